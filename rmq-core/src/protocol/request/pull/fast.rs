//! Pulls straight from bytes, and the heads of their responses straight to bytes.

use super::{PullRequest, PullResponse};
use crate::protocol::code::RequestCode;
use crate::protocol::frame::{FrameRef, Serialize};
use crate::protocol::header::scan::{Fields, Slots};
use crate::protocol::header::{self, Head, HeadWrite};
use crate::protocol::request::{Reply, Scratch};

/// Slots of the fields.
mod slot {
    pub(super) const CONSUMER_GROUP: usize = 0;
    pub(super) const TOPIC: usize = 1;
    pub(super) const QUEUE_ID: usize = 2;
    pub(super) const QUEUE_OFFSET: usize = 3;
    pub(super) const MAX_MSG_NUMS: usize = 4;
    pub(super) const SYS_FLAG: usize = 5;
    pub(super) const COMMIT_OFFSET: usize = 6;
    pub(super) const SUSPEND_TIMEOUT: usize = 7;
    pub(super) const SUBSCRIPTION: usize = 8;
    pub(super) const SUB_VERSION: usize = 9;
    pub(super) const EXPRESSION_TYPE: usize = 10;
    pub(super) const MAX_MSG_BYTES: usize = 11;
    pub(super) const REQUEST_SOURCE: usize = 12;
    pub(super) const PROXY_CLIENT_ID: usize = 13;
    pub(super) const COUNT: usize = 14;
}

struct PullSlots;

impl Slots<{ slot::COUNT }> for PullSlots {
    #[inline]
    fn slot(_: i32, key: &[u8]) -> Option<usize> {
        // By length first: most keys are then compared once.
        Some(match key.len() {
            5 => match key {
                b"topic" => slot::TOPIC,
                _ => return None,
            },
            7 => match key {
                b"queueId" => slot::QUEUE_ID,
                b"sysFlag" => slot::SYS_FLAG,
                _ => return None,
            },
            10 => match key {
                b"maxMsgNums" => slot::MAX_MSG_NUMS,
                b"subVersion" => slot::SUB_VERSION,
                _ => return None,
            },
            11 => match key {
                b"queueOffset" => slot::QUEUE_OFFSET,
                b"maxMsgBytes" => slot::MAX_MSG_BYTES,
                _ => return None,
            },
            12 => match key {
                b"commitOffset" => slot::COMMIT_OFFSET,
                b"subscription" => slot::SUBSCRIPTION,
                _ => return None,
            },
            13 => match key {
                b"consumerGroup" => slot::CONSUMER_GROUP,
                b"requestSource" => slot::REQUEST_SOURCE,
                _ => return None,
            },
            14 => match key {
                b"expressionType" => slot::EXPRESSION_TYPE,
                _ => return None,
            },
            20 => match key {
                b"suspendTimeoutMillis" => slot::SUSPEND_TIMEOUT,
                b"proxyFrowardClientId" => slot::PROXY_CLIENT_ID,
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// Decodes a request of code 11 or 361 without building a map or a tree.
///
/// `None` for other codes and for everything unusual or wrong: `Command::decode` and
/// `PullRequest::decode` then tell, and give the same result where this gives one.
#[must_use]
pub fn decode<'a>(
    frame: FrameRef<'a>,
    scratch: &'a mut Scratch,
) -> Option<(Head, PullRequest<'a>)> {
    let (head, fields) = Fields::scan::<PullSlots>(frame, scratch)?;
    if !matches!(
        head.request_code(),
        RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE
    ) {
        return None;
    }
    let request = PullRequest {
        consumer_group: fields.text(slot::CONSUMER_GROUP)?,
        topic: fields.text(slot::TOPIC)?,
        queue_id: fields.int32(slot::QUEUE_ID)?,
        queue_offset: fields.int64(slot::QUEUE_OFFSET)?,
        max_msg_nums: fields.int32(slot::MAX_MSG_NUMS)?,
        sys_flag: fields.int32(slot::SYS_FLAG)?,
        commit_offset: fields.int64(slot::COMMIT_OFFSET)?,
        suspend_timeout_ms: fields.int64(slot::SUSPEND_TIMEOUT)?,
        subscription: fields.text_opt(slot::SUBSCRIPTION)?,
        sub_version: fields.int64(slot::SUB_VERSION)?,
        expression_type: fields.text_opt(slot::EXPRESSION_TYPE)?,
        max_msg_bytes: fields.int32_opt(slot::MAX_MSG_BYTES)?,
        request_source: fields.int32_opt(slot::REQUEST_SOURCE)?,
        proxy_forward_client_id: fields.text_opt(slot::PROXY_CLIENT_ID)?,
    };
    Some((head, request))
}

/// Appends a response's frame but for its body, of which `body_len` bytes are to follow; the same
/// bytes as `Command::encode_head` would append.
pub fn encode_response_head(
    out: &mut Vec<u8>,
    reply: &Reply<'_>,
    response: &PullResponse,
    body_len: usize,
) {
    header::write_frame(out, reply.serialize, &reply.head(), response, body_len);
}

/// Appends the whole frame of a request.
pub fn encode_request(
    out: &mut Vec<u8>,
    serialize: Serialize,
    head: &Head,
    request: &PullRequest<'_>,
) {
    let write = HeadWrite {
        head: *head,
        remark: None,
    };
    header::write_frame(out, serialize, &write, request, 0);
}
