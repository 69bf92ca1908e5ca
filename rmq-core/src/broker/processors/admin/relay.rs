//! Questions of tools that only the consumer can answer: passed on to it, and its answer back.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::broker::calls::Unanswered;
use crate::broker::clients::Member;
use crate::broker::reply::{Answer, Refusal, encode_answer, success};
use crate::broker::shared::Shared;
use crate::net::ConnectionId;
use crate::protocol::body::consumer_status::ConsumerStatus;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::id::OffsetMsgId;
use crate::protocol::request::push::{
    ConsumeMessageDirectlyRequest, GetConsumerRunningInfoRequest, GetConsumerStatusRequest,
};
use crate::protocol::version;

/// Time that a consumer has for an answer.
const TIMEOUT_MS: u64 = 10_000;

/// Time that each consumer of a group has to tell its offsets.
const STATUS_TIMEOUT_MS: u64 = 5_000;

fn failed(remark: impl Into<String>) -> Refusal {
    Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
}

fn busy() -> Refusal {
    let remark = "[OVERLOAD]system busy, start flow control for a while";
    Refusal::new(ResponseCode::SYSTEM_BUSY, remark)
}

/// GET_CONSUMER_RUNNING_INFO: what a consumer is at.
pub(crate) fn running_info(shared: &Arc<Shared>, conn: ConnectionId, request: &Command) -> Answer {
    let header: GetConsumerRunningInfoRequest = request.header()?;
    pass_on(
        shared,
        (conn, request),
        &header.consumer_group,
        &header.client_id,
        request.clone(),
    )
}

/// CONSUME_MESSAGE_DIRECTLY: has a consumer take a message of the log now. May wait for the disk.
pub(crate) fn consume_directly(
    shared: &Arc<Shared>,
    conn: ConnectionId,
    request: &Command,
) -> Answer {
    let mut header: ConsumeMessageDirectlyRequest = request.header()?;
    let message_id = header.msg_id.as_deref().unwrap_or_default();
    let record = OffsetMsgId::parse(message_id)
        .ok()
        .and_then(|id| shared.store.message_at(id.physical_offset))
        .ok_or_else(|| failed(format!("there is no message of the id {message_id:?} here")))?;
    header.broker_name = Some(shared.config().broker_name.clone());
    let topic = header.topic.as_deref().unwrap_or_default();
    if let Some(topic) = shared.topics.get(topic) {
        header.topic_sys_flag = Some(topic.topic_sys_flag);
    }
    if let Some(group) = shared.groups.get(&header.consumer_group) {
        header.group_sys_flag = Some(group.group_sys_flag);
    }
    let told = request
        .clone()
        .with_header(&header)
        .with_body(record.as_ref().to_vec());
    let client_id = header.client_id.as_deref().unwrap_or_default();
    let group = &header.consumer_group;
    pass_on(shared, (conn, request), group, client_id, told)
}

/// Refuses clients from before a request was known.
fn check_version(member: &Member, least: i32) -> Result<(), Refusal> {
    if member.version >= least {
        return Ok(());
    }
    Err(failed(format!(
        "the client {} is of version {}, but this takes {} or newer",
        member.client_id,
        version::describe(member.version),
        version::describe(least)
    )))
}

/// Passes `told` on to a consumer, and its answer to who asked.
fn pass_on(
    shared: &Arc<Shared>,
    (conn, request): (ConnectionId, &Command),
    group: &str,
    client_id: &str,
    told: Command,
) -> Answer {
    let member = {
        let consumers = shared.consumers.read();
        let mut members = consumers.group(group).into_iter().flat_map(|g| g.members());
        members
            .find(|member| member.client_id == client_id)
            .cloned()
    };
    let member =
        member.ok_or_else(|| failed(format!("The Consumer <{group}> <{client_id}> not online")))?;
    check_version(&member, version::V3_1_8_SNAPSHOT)?;
    let consumer = format!("consumer <{group}> <{client_id}>");
    let (to, asked) = (Arc::clone(shared), request.clone());
    let then = move |answer: Result<Command, Unanswered>| {
        let answer = match answer {
            Ok(mut answer) => {
                answer.opaque = asked.opaque;
                answer.serialize = asked.serialize;
                Ok(Some(answer))
            }
            Err(Unanswered::TimedOut) => Err(Refusal::new(
                ResponseCode::CONSUME_MSG_TIMEOUT,
                format!("{consumer} Timeout: no answer within {TIMEOUT_MS} ms"),
            )),
            Err(Unanswered::Closed) => Err(failed(format!("{consumer} has gone"))),
        };
        if let Some(bytes) = encode_answer(&asked, answer) {
            to.send(conn, bytes);
        }
    };
    let code = request.request_code();
    let told = Command {
        ext: told.ext,
        body: told.body,
        ..Command::bare_request(code)
    };
    match shared.call(member.conn, told, TIMEOUT_MS, then) {
        true => Ok(None),
        false => Err(busy()),
    }
}

/// Answers of the consumers of a group as they come in.
struct Gathered {
    shared: Arc<Shared>,
    conn: ConnectionId,
    request: Command,
    state: Mutex<ConsumerStatus>,
}

impl Drop for Gathered {
    /// The last consumer has answered, or never will.
    fn drop(&mut self) {
        let body = self.state.get_mut().encode();
        let answer = success(&self.request).with_body(body);
        if let Some(bytes) = encode_answer(&self.request, Ok(Some(answer))) {
            self.shared.send(self.conn, bytes);
        }
    }
}

/// INVOKE_BROKER_TO_GET_CONSUMER_STATUS: where the consumers of a group are, as they know it.
pub(crate) fn status(shared: &Arc<Shared>, conn: ConnectionId, request: &Command) -> Answer {
    let header: GetConsumerStatusRequest = request.header()?;
    let group = &header.group;
    let wanted = header.client_addr.filter(|id| !id.trim().is_empty());
    let members: Vec<Member> = {
        let consumers = shared.consumers.read();
        let members = consumers.group(group).into_iter().flat_map(|g| g.members());
        members.cloned().collect()
    };
    if members.is_empty() {
        let remark = format!("No Any Consumer online in the consumer group: [{group}]");
        return Err(failed(remark));
    }
    let asked = members
        .iter()
        .filter(|member| wanted.as_ref().is_none_or(|id| *id == member.client_id));
    for member in asked.clone() {
        check_version(member, version::V3_0_7_SNAPSHOT)?;
    }
    let question = GetConsumerStatusRequest {
        topic: header.topic,
        group: group.clone(),
        client_addr: None,
    };
    let gathered = Arc::new(Gathered {
        shared: Arc::clone(shared),
        conn,
        request: request.clone(),
        state: Mutex::default(),
    });
    for member in asked {
        let told = Command::request(RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT, &question);
        let (gathered, client_id) = (Arc::clone(&gathered), member.client_id.clone());
        let then = move |answer: Result<Command, Unanswered>| {
            if let Some(queues) = queues_in(answer) {
                let mut state = gathered.state.lock();
                state.consumers.insert(client_id, queues);
            }
        };
        // One that cannot be asked is left out like one that does not answer.
        shared.call(member.conn, told, STATUS_TIMEOUT_MS, then);
    }
    Ok(None)
}

type Queues = BTreeMap<crate::protocol::body::message_queue::MessageQueue, i64>;

fn queues_in(answer: Result<Command, Unanswered>) -> Option<Queues> {
    let answer = answer.ok()?;
    if answer.response_code() != ResponseCode::SUCCESS {
        return None;
    }
    Some(ConsumerStatus::decode(&answer.body).ok()?.queues)
}
