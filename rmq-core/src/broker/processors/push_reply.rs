//! Request-reply: the consumer's reply is pushed to the producer that waits for it.

use std::sync::Arc;

use crate::broker::calls::Unanswered;
use crate::broker::control::{Context, NewTopic};
use crate::broker::names;
use crate::broker::processors::topic;
use crate::broker::reply::{Answer, Refusal, encode_answer};
use crate::broker::shared::Shared;
use crate::broker::topics::PERM_WRITE;
use crate::net::ConnectionId;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::filter::tag;
use crate::protocol::message::id;
use crate::protocol::message::properties::{self, PropertiesBuilder, names as property};
use crate::protocol::message::record::NewRecord;
use crate::protocol::request::push::PushReplyMessageRequest;
use crate::protocol::request::send::{SendRequest, SendResponse};

/// Time a client has to take a reply.
const PUSH_TIMEOUT_MS: u64 = 10_000;

/// A reply on its way.
struct Reply {
    shared: Arc<Shared>,
    conn: ConnectionId,
    /// The request that brought it; its body is the reply's.
    request: Command,
    peer: std::net::SocketAddr,
    queue_id: i32,
    /// The properties that are stored.
    properties: Vec<u8>,
}

/// SEND_REPLY_MESSAGE and its second version: pushes the reply to the client that it names, and
/// answers when that has taken it.
pub(super) fn send_reply(context: &Context<'_>, request: &Command) -> Answer {
    let header = SendRequest::decode(request.request_code(), &request.ext)?;
    let queue_id = check(context.shared, &header)?;
    let given = header.properties.unwrap_or_default().as_bytes();
    let reply = Reply {
        shared: Arc::clone(context.shared),
        conn: context.conn,
        request: request.clone(),
        peer: context.peer,
        queue_id,
        properties: with_broker_properties(context.shared, given),
    };
    let Some(client_id) = properties::find_str(given, property::REPLY_TO_CLIENT) else {
        let remark = "reply message properties[REPLY_TO_CLIENT] is null";
        return reply.finish(Err(remark.to_owned()));
    };
    let client = context.shared.producers.lock().find_client(client_id);
    let Some(client) = client else {
        let remark = format!("push reply message fail, channel of <{client_id}> not found.");
        return reply.finish(Err(remark));
    };
    let client_id = client_id.to_owned();
    let push = reply.push_request(&header);
    let then = move |answer| reply.answered(&client_id, answer);
    match context.shared.call(client, push, PUSH_TIMEOUT_MS, then) {
        true => Ok(None),
        false => {
            let busy = "[OVERLOAD]system busy, start flow control for a while";
            Err(Refusal::new(ResponseCode::SYSTEM_BUSY, busy))
        }
    }
}

/// The checks of a send; returns the queue.
fn check(shared: &Arc<Shared>, header: &SendRequest<'_>) -> Result<i32, Refusal> {
    let config = shared.config();
    let refuse = |code, remark: String| Err(Refusal::new(code, remark));
    let accept_ms = config.accept_sends_after_ms;
    if accept_ms > 0 && shared.clock.wall_ms() < accept_ms {
        let remark = format!("broker unable to service, until {accept_ms}");
        return refuse(ResponseCode::SYSTEM_ERROR, remark);
    }
    let name = header.topic;
    let known = shared.topics.get(name);
    let is_order = known.as_ref().is_some_and(|topic| topic.order);
    if is_order && config.broker_permission.cast_signed() & PERM_WRITE == 0 {
        let ip = shared.store_host().ip();
        let remark = format!("the broker[{ip}] sending message is forbidden");
        return refuse(ResponseCode::NO_PERMISSION, remark);
    }
    if let Err(remark) = names::check_topic(name) {
        return refuse(ResponseCode::INVALID_PARAMETER, remark);
    }
    if names::is_send_forbidden(name) {
        let remark = format!("Sending message to topic[{name}] is forbidden.");
        return refuse(ResponseCode::NO_PERMISSION, remark);
    }
    if known.is_none() {
        if let Some(refusal) = shared.refuse_sends() {
            return Err(refusal);
        }
        let wanted = NewTopic {
            topic: name.to_owned(),
            default_topic: header.default_topic.to_owned(),
            queue_nums: header.default_topic_queue_nums,
            unit_mode: header.unit_mode,
        };
        topic::create_by_send(shared, &wanted)?;
    }
    let queues = shared.topics.get(name);
    let (write, read) = queues.map_or((1, 1), |one| (one.write_queue_nums, one.read_queue_nums));
    if header.queue_id >= write.max(read) {
        let remark = format!(
            "request queueId[{}] is illegal, topic[{name}] has {write} write and {read} read \
             queues",
            header.queue_id
        );
        return refuse(ResponseCode::INVALID_PARAMETER, remark);
    }
    Ok(match header.queue_id {
        chosen if chosen >= 0 => chosen,
        _ => shared.stats.next_queue(write),
    })
}

fn with_broker_properties(shared: &Shared, given: &[u8]) -> Vec<u8> {
    let config = shared.config();
    let mut text = PropertiesBuilder::from_text(given);
    let pairs = [
        (property::MSG_REGION, config.region_id.as_str()),
        (
            property::TRACE_ON,
            if config.trace_on { "true" } else { "false" },
        ),
    ];
    for (name, value) in pairs {
        // A region that no property can hold is left out.
        let _ = text.set(name, value);
    }
    text.into_bytes()
}

impl Reply {
    /// PUSH_REPLY_MESSAGE_TO_CLIENT.
    fn push_request(&self, header: &SendRequest<'_>) -> Command {
        let now_ms = self.shared.clock.wall_ms();
        let mut text = PropertiesBuilder::from_text(&self.properties);
        // Digits fit into a property.
        let _ = text.set(property::PUSH_REPLY_TIME, &now_ms.to_string());
        let push = PushReplyMessageRequest {
            producer_group: header.producer_group.to_owned(),
            topic: header.topic.to_owned(),
            default_topic: header.default_topic.to_owned(),
            default_topic_queue_nums: header.default_topic_queue_nums,
            queue_id: header.queue_id,
            sys_flag: header.sys_flag,
            born_timestamp_ms: header.born_timestamp_ms,
            flag: header.flag,
            properties: Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
            reconsume_times: Some(header.reconsume_times),
            unit_mode: header.unit_mode,
            born_host: self.peer.to_string(),
            store_host: self.shared.store_host().to_string(),
            store_timestamp_ms: now_ms,
        };
        let request = Command::request(RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT, &push);
        request.with_body(self.request.body.clone())
    }

    /// The client has the reply, or not: tells the consumer.
    fn answered(self, client_id: &str, answer: Result<Command, Unanswered>) {
        let taken = match answer {
            Ok(answer) if answer.response_code() == ResponseCode::SUCCESS => Ok(()),
            Ok(answer) => Err(answer.remark.unwrap_or_default()),
            Err(why) => Err(format!("{why:?}")),
        };
        let taken = taken.map_err(|why| {
            tracing::warn!(client_id, why, "a reply was not taken");
            format!("push reply message to {client_id}fail.")
        });
        let (shared, conn, request) = (Arc::clone(&self.shared), self.conn, self.request.clone());
        if let Some(bytes) = encode_answer(&request, self.finish(taken)) {
            shared.send(conn, bytes);
        }
    }

    /// Stores the reply where that is wanted, and makes the answer.
    fn finish(self, taken: Result<(), String>) -> Answer {
        let config = self.shared.config();
        let stored = match config.store_replies {
            true => self.store(),
            false => None,
        };
        let (msg_id, queue_offset) = match stored {
            Some(stored) => stored,
            // Clients read these fields whether they mean something or not.
            None => ("0".to_owned(), 0),
        };
        let (code, remark) = match taken {
            Ok(()) => (ResponseCode::SUCCESS, None),
            Err(remark) => (ResponseCode::SYSTEM_ERROR, Some(remark)),
        };
        let header = SendResponse {
            msg_id: &msg_id,
            queue_id: self.queue_id,
            queue_offset,
            region: Some(&config.region_id),
            trace_on: Some(config.trace_on),
            ..SendResponse::default()
        };
        let answer = Command::response_to(&self.request, code, remark);
        Ok(Some(answer.with_header(&header)))
    }

    /// Appends the reply to its topic; its message id and queue offset.
    fn store(&self) -> Option<(String, i64)> {
        let header = SendRequest::decode(self.request.request_code(), &self.request.ext).ok()?;
        let store_host = self.shared.store_host();
        let record = NewRecord {
            topic: header.topic,
            queue_id: self.queue_id,
            flag: header.flag,
            sys_flag: header.sys_flag,
            born_timestamp_ms: header.born_timestamp_ms,
            born_host: self.peer,
            store_host,
            reconsume_times: header.reconsume_times,
            prepared_transaction_offset: 0,
            body: &self.request.body,
            properties: &self.properties,
            extra_properties: &[],
        };
        let tags = properties::find(&self.properties, property::TAGS).unwrap_or_default();
        let queue = self.shared.store.queue(header.topic, self.queue_id);
        let mut batch = self.shared.store.new_batch();
        let pushed = batch.push(&record, Arc::clone(&queue), tag::tags_code(tags));
        if let Err(error) = pushed {
            tracing::warn!(%error, "a reply cannot be stored");
            return None;
        }
        self.shared.store.append(&mut batch);
        let appended = match batch.results().first()? {
            Ok(appended) => *appended,
            Err(error) => {
                tracing::warn!(%error, "a reply could not be stored");
                return None;
            }
        };
        let (shared, bytes) = (&self.shared, appended.len as u64);
        let now_ms = shared.clock.monotonic_ms();
        shared.stats.stored(header.topic, 1, bytes, now_ms);
        self.shared.announce(&queue, None);
        let mut msg_id = Vec::with_capacity(id::MAX_ID_LEN);
        id::push_offset_msg_id(store_host, appended.physical_offset, &mut msg_id);
        Some((String::from_utf8(msg_id).ok()?, appended.queue_offset))
    }
}
