//! One file for each family of requests. A processor takes a decoded command and answers it.

pub(crate) mod admin;
mod assignment;
mod client;
mod lock;
pub(crate) mod offset;
mod push_reply;
mod query;
mod queue;
mod replication;
pub(crate) mod topic;

use std::sync::Arc;

use crate::broker::control::Context;
use crate::broker::reply::{Answer, Refusal};
use crate::broker::shared::Shared;
use crate::net::ConnectionId;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::frame::{self, FrameRef};
use crate::protocol::unserved;

/// Whether the request is answered on the reactor: it touches memory only.
#[must_use]
pub(crate) fn is_data_plane(code: i32) -> bool {
    matches!(
        RequestCode::new(code),
        RequestCode::QUERY_CONSUMER_OFFSET
            | RequestCode::UPDATE_CONSUMER_OFFSET
            | RequestCode::GET_MAX_OFFSET
            | RequestCode::GET_MIN_OFFSET
    )
}

/// Answers a request of the data plane.
pub(crate) fn process_data(shared: &Arc<Shared>, request: &Command) -> Answer {
    match request.request_code() {
        RequestCode::QUERY_CONSUMER_OFFSET => offset::query(shared, request),
        RequestCode::UPDATE_CONSUMER_OFFSET => offset::update(shared, request),
        RequestCode::GET_MAX_OFFSET => queue::max_offset(shared, request),
        RequestCode::GET_MIN_OFFSET => queue::min_offset(shared, request),
        _ => unsupported(request.code),
    }
}

/// Whether the request is answered on the helper thread: it may read what is not in memory, and
/// changes nothing that only the control thread may change.
#[must_use]
pub(crate) fn is_cold(code: i32) -> bool {
    matches!(
        RequestCode::new(code),
        RequestCode::QUERY_MESSAGE
            | RequestCode::VIEW_MESSAGE_BY_ID
            | RequestCode::QUERY_CONSUME_QUEUE
            | RequestCode::SEARCH_OFFSET_BY_TIMESTAMP
            | RequestCode::GET_EARLIEST_MSG_STORETIME
            | RequestCode::INVOKE_BROKER_TO_RESET_OFFSET
            | RequestCode::CONSUME_MESSAGE_DIRECTLY
    )
}

/// Answers such a request. May wait for the disk.
pub(crate) fn process_cold(shared: &Arc<Shared>, conn: ConnectionId, request: &Command) -> Answer {
    match request.request_code() {
        RequestCode::QUERY_MESSAGE => query::by_key(shared, request),
        RequestCode::VIEW_MESSAGE_BY_ID => query::view_message(shared, request),
        RequestCode::QUERY_CONSUME_QUEUE => query::consume_queue(shared, request),
        RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => queue::search_by_timestamp(shared, request),
        RequestCode::GET_EARLIEST_MSG_STORETIME => queue::earliest_time(shared, request),
        RequestCode::INVOKE_BROKER_TO_RESET_OFFSET => admin::reset(shared, request),
        RequestCode::CONSUME_MESSAGE_DIRECTLY => admin::consume_directly(shared, conn, request),
        _ => unsupported(request.code),
    }
}

/// Answers a request of the control plane; runs on the control thread.
pub(crate) fn process(context: &Context<'_>, request: &Command) -> Answer {
    let shared = context.shared;
    match request.request_code() {
        RequestCode::HEART_BEAT => client::heartbeat(context, request),
        RequestCode::UNREGISTER_CLIENT => client::unregister(context, request),
        RequestCode::CHECK_CLIENT_CONFIG => client::check_config(shared, request),
        RequestCode::GET_CONSUMER_LIST_BY_GROUP => client::consumer_list(shared, request),
        RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2 => {
            push_reply::send_reply(context, request)
        }
        RequestCode::QUERY_ASSIGNMENT => assignment::query(context, request),
        RequestCode::LOCK_BATCH_MQ => lock::lock(shared, request),
        RequestCode::UNLOCK_BATCH_MQ => lock::unlock(shared, request),
        _ => admin::process(context, request),
    }
}

/// The answer to a request code that this broker does not serve.
pub(crate) fn unsupported(code: i32) -> Answer {
    Err(Refusal::new(
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
        unserved::remark(RequestCode::new(code)),
    ))
}

/// The one frame that fills these bytes.
#[must_use]
pub(crate) fn frame_of(bytes: &[u8]) -> Option<FrameRef<'_>> {
    frame::next_frame(bytes, usize::MAX)
        .ok()
        .flatten()
        .map(|(frame, _)| frame)
}

/// The bytes of a frame, for a thread that outlives the read buffer.
#[must_use]
pub(crate) fn bytes_of(frame: &FrameRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame::PREFIX_LEN + frame.header.len() + frame.body.len());
    let at = frame::start(&mut bytes);
    bytes.extend_from_slice(frame.header);
    frame::finish(&mut bytes, at, frame.serialize, frame.body.len());
    bytes.extend_from_slice(frame.body);
    bytes
}

/// The command in the one frame that fills these bytes.
#[must_use]
pub(crate) fn decode_frame(bytes: &[u8]) -> Option<Command> {
    Command::decode(frame_of(bytes)?).ok()
}
