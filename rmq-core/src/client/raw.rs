//! One typed function for each request: no retries, no routes, no state.
//!
//! Every function blocks its caller for at most `timeout` and fails with `ErrorKind::Remote` when
//! the server answers another code than the function can make sense of.

use std::time::Duration;

use bytes::Bytes;

use crate::base::{Error, ErrorKind, Result};
use crate::net::Client;
use crate::protocol::body::route::TopicRouteData;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::namesrv::GetRouteInfoRequest;
use crate::protocol::request::offset::{
    GetMaxOffsetRequest, GetMinOffsetRequest, OffsetResponse, QueryConsumerOffsetRequest,
    UpdateConsumerOffsetRequest,
};
use crate::protocol::request::pull::{PullRequest, PullResponse};
use crate::protocol::request::send::{SendRequest, SendResponse};
use crate::protocol::request::topic::CreateTopicRequest;

/// How a stored message was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStatus {
    /// Stored as safely as the broker promises.
    Ok,
    /// Stored, but not flushed in time.
    FlushDiskTimeout,
    /// Stored, but not replicated in time.
    FlushSlaveTimeout,
    /// Stored, but there is no slave to replicate to.
    SlaveNotAvailable,
}

/// What a broker says of a stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendReceipt {
    /// How safe it is.
    pub status: SendStatus,
    /// The offset message id.
    pub msg_id: String,
    /// The queue that it went to.
    pub queue_id: i32,
    /// Its place in that queue.
    pub queue_offset: i64,
    /// The transaction's id, of a half message.
    pub transaction_id: Option<String>,
    /// With it a timed message can be recalled.
    pub recall_handle: Option<String>,
    /// The broker's region, if it names one.
    pub region: Option<String>,
    /// Whether the broker wants the message to be traced.
    pub trace_on: bool,
}

/// What a pull brought.
#[derive(Clone, Debug)]
pub struct PullReply {
    /// SUCCESS, PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY or PULL_OFFSET_MOVED.
    pub code: ResponseCode,
    /// Where the queue stands.
    pub header: PullResponse,
    /// The records as they are stored.
    pub records: Bytes,
}

pub(crate) fn remote(op: &'static str, address: &str, reply: &Command) -> Error {
    let remark = reply.remark.as_deref().unwrap_or("no remark");
    let context = format!("{address} answered {}: {remark}", reply.response_code());
    Error::new(ErrorKind::Remote(reply.code), op, context)
}

fn malformed(op: &'static str, address: &str, error: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        op,
        format!("the answer of {address}: {error}"),
    )
}

fn ask(
    client: &Client,
    op: &'static str,
    address: &str,
    request: Command,
    timeout: Duration,
) -> Result<Command> {
    let reply = client.call(address, request, timeout)?;
    match reply.response_code() {
        ResponseCode::SUCCESS => Ok(reply),
        _ => Err(remote(op, address, &reply)),
    }
}

/// The route of a topic, from a nameserver.
pub fn route(
    client: &Client,
    nameserver: &str,
    topic: &str,
    timeout: Duration,
) -> Result<TopicRouteData> {
    const OP: &str = "get route";
    let header = GetRouteInfoRequest {
        topic: topic.to_owned(),
        accept_standard_json_only: Some(true),
    };
    let request = Command::request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &header);
    let reply = ask(client, OP, nameserver, request, timeout)?;
    TopicRouteData::decode(&reply.body).map_err(|error| malformed(OP, nameserver, error))
}

/// Sends one message (or a batch, if the header says so) to a broker.
pub fn send(
    client: &Client,
    broker: &str,
    header: &SendRequest<'_>,
    body: Bytes,
    timeout: Duration,
) -> Result<SendReceipt> {
    let code = match header.batch {
        true => RequestCode::SEND_BATCH_MESSAGE,
        false => RequestCode::SEND_MESSAGE_V2,
    };
    let reply = client.call(broker, header.command(code).with_body(body), timeout)?;
    receipt(broker, &reply)
}

/// Reads what a broker answered to a send.
pub(crate) fn receipt(broker: &str, reply: &Command) -> Result<SendReceipt> {
    const OP: &str = "send message";
    let status = match reply.response_code() {
        ResponseCode::SUCCESS => SendStatus::Ok,
        ResponseCode::FLUSH_DISK_TIMEOUT => SendStatus::FlushDiskTimeout,
        ResponseCode::FLUSH_SLAVE_TIMEOUT => SendStatus::FlushSlaveTimeout,
        ResponseCode::SLAVE_NOT_AVAILABLE => SendStatus::SlaveNotAvailable,
        _ => return Err(remote(OP, broker, reply)),
    };
    let response =
        SendResponse::decode(&reply.ext).map_err(|error| malformed(OP, broker, error))?;
    Ok(SendReceipt {
        status,
        msg_id: response.msg_id.to_owned(),
        queue_id: response.queue_id,
        queue_offset: response.queue_offset,
        transaction_id: response.transaction_id.map(str::to_owned),
        recall_handle: response.recall_handle.map(str::to_owned),
        region: response.region.map(str::to_owned),
        trace_on: response.trace_on.unwrap_or(true),
    })
}

/// Pulls from one queue.
pub fn pull(
    client: &Client,
    broker: &str,
    header: &PullRequest<'_>,
    timeout: Duration,
) -> Result<PullReply> {
    const OP: &str = "pull messages";
    let request = Command::request(RequestCode::PULL_MESSAGE, header);
    let reply = client.call(broker, request, timeout)?;
    let code = reply.response_code();
    if !matches!(
        code,
        ResponseCode::SUCCESS
            | ResponseCode::PULL_NOT_FOUND
            | ResponseCode::PULL_RETRY_IMMEDIATELY
            | ResponseCode::PULL_OFFSET_MOVED
    ) {
        return Err(remote(OP, broker, &reply));
    }
    let header = PullResponse::decode(&reply.ext).map_err(|error| malformed(OP, broker, error))?;
    Ok(PullReply {
        code,
        header,
        records: reply.body,
    })
}

/// Creates or changes a topic on one broker.
pub fn create_topic(
    client: &Client,
    broker: &str,
    topic: &str,
    queues: i32,
    timeout: Duration,
) -> Result<()> {
    let header = CreateTopicRequest {
        topic: topic.to_owned(),
        default_topic: "TBW102".to_owned(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".to_owned(),
        topic_sys_flag: Some(0),
        order: false,
        attributes: None,
        force: false,
    };
    let request = Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC, &header);
    ask(client, "create topic", broker, request, timeout).map(drop)
}

fn offset(
    client: &Client,
    op: &'static str,
    broker: &str,
    request: Command,
    timeout: Duration,
) -> Result<i64> {
    let reply = ask(client, op, broker, request, timeout)?;
    let response: OffsetResponse = reply
        .header()
        .map_err(|error| malformed(op, broker, error))?;
    Ok(response.offset)
}

/// One past the last offset of a queue that consumers may see.
pub fn max_offset(
    client: &Client,
    broker: &str,
    topic: &str,
    queue_id: i32,
    timeout: Duration,
) -> Result<i64> {
    let header = GetMaxOffsetRequest {
        topic: topic.to_owned(),
        queue_id,
        committed: true,
    };
    let request = Command::request(RequestCode::GET_MAX_OFFSET, &header);
    offset(client, "get max offset", broker, request, timeout)
}

/// The first offset that a queue still has.
pub fn min_offset(
    client: &Client,
    broker: &str,
    topic: &str,
    queue_id: i32,
    timeout: Duration,
) -> Result<i64> {
    let header = GetMinOffsetRequest {
        topic: topic.to_owned(),
        queue_id,
    };
    let request = Command::request(RequestCode::GET_MIN_OFFSET, &header);
    offset(client, "get min offset", broker, request, timeout)
}

/// The committed offset of a group; `None` when it has none.
pub fn committed_offset(
    client: &Client,
    broker: &str,
    (group, topic, queue_id): (&str, &str, i32),
    timeout: Duration,
) -> Result<Option<i64>> {
    let header = QueryConsumerOffsetRequest {
        consumer_group: group.to_owned(),
        topic: topic.to_owned(),
        queue_id,
        set_zero_if_not_found: Some(false),
    };
    let request = Command::request(RequestCode::QUERY_CONSUMER_OFFSET, &header);
    match offset(client, "query offset", broker, request, timeout) {
        Ok(offset) => Ok(Some(offset)),
        Err(error) if error.kind() == ErrorKind::Remote(ResponseCode::QUERY_NOT_FOUND.value()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Commits a group's offset.
pub fn commit_offset(
    client: &Client,
    broker: &str,
    (group, topic, queue_id): (&str, &str, i32),
    offset: i64,
    timeout: Duration,
) -> Result<()> {
    let header = UpdateConsumerOffsetRequest {
        consumer_group: group.to_owned(),
        topic: topic.to_owned(),
        queue_id: Some(queue_id),
        commit_offset: Some(offset),
    };
    let request = Command::request(RequestCode::UPDATE_CONSUMER_OFFSET, &header);
    ask(client, "commit offset", broker, request, timeout).map(drop)
}
