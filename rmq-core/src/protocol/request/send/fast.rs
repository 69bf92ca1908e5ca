//! Sends and their responses straight from bytes and straight to bytes.

use super::{LongNames, SendRequest, SendResponse, ShortNames, has_short_names, slot};
use crate::protocol::code::RequestCode;
use crate::protocol::frame::{FrameRef, Serialize};
use crate::protocol::header::scan::{Fields, Slots};
use crate::protocol::header::{self, Head, HeadWrite};
use crate::protocol::request::{Reply, Scratch};

struct SendSlots;

impl Slots<{ slot::COUNT }> for SendSlots {
    #[inline]
    fn slot(code: i32, key: &[u8]) -> Option<usize> {
        if !has_short_names(RequestCode::new(code)) {
            return long_name_slot(key);
        }
        match key {
            [letter @ b'a'..=b'n'] => Some(usize::from(letter - b'a')),
            _ => None,
        }
    }
}

fn long_name_slot(key: &[u8]) -> Option<usize> {
    // By length first: most keys are then compared once.
    Some(match key.len() {
        4 => match key {
            b"flag" => slot::FLAG,
            _ => return None,
        },
        5 => match key {
            b"topic" => slot::TOPIC,
            b"batch" => slot::BATCH,
            b"bname" => slot::BROKER_NAME,
            _ => return None,
        },
        7 => match key {
            b"queueId" => slot::QUEUE_ID,
            b"sysFlag" => slot::SYS_FLAG,
            _ => return None,
        },
        8 => match key {
            b"unitMode" => slot::UNIT_MODE,
            _ => return None,
        },
        10 => match key {
            b"properties" => slot::PROPERTIES,
            _ => return None,
        },
        12 => match key {
            b"defaultTopic" => slot::DEFAULT_TOPIC,
            _ => return None,
        },
        13 => match key {
            b"producerGroup" => slot::PRODUCER_GROUP,
            b"bornTimestamp" => slot::BORN_TIMESTAMP,
            _ => return None,
        },
        14 => match key {
            b"reconsumeTimes" => slot::RECONSUME_TIMES,
            _ => return None,
        },
        17 => match key {
            b"maxReconsumeTimes" => slot::MAX_RECONSUME_TIMES,
            _ => return None,
        },
        21 => match key {
            b"defaultTopicQueueNums" => slot::DEFAULT_TOPIC_QUEUE_NUMS,
            _ => return None,
        },
        _ => return None,
    })
}

/// Decodes a request of code 10, 310 or 320 without building a map or a tree.
///
/// `None` for other codes and for everything unusual or wrong: `Command::decode` and
/// `SendRequest::decode` then tell, and give the same result where this gives one.
#[must_use]
pub fn decode<'a>(
    frame: FrameRef<'a>,
    scratch: &'a mut Scratch,
) -> Option<(Head, SendRequest<'a>)> {
    let (head, fields) = Fields::scan::<SendSlots>(frame, scratch)?;
    let known = matches!(
        head.request_code(),
        RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE
    );
    if !known {
        return None;
    }
    let request = SendRequest {
        producer_group: fields.text(slot::PRODUCER_GROUP)?,
        topic: fields.text(slot::TOPIC)?,
        default_topic: fields.text(slot::DEFAULT_TOPIC)?,
        default_topic_queue_nums: fields.int32(slot::DEFAULT_TOPIC_QUEUE_NUMS)?,
        queue_id: fields.int32(slot::QUEUE_ID)?,
        sys_flag: fields.int32(slot::SYS_FLAG)?,
        born_timestamp_ms: fields.int64(slot::BORN_TIMESTAMP)?,
        flag: fields.int32(slot::FLAG)?,
        properties: fields.text_opt(slot::PROPERTIES)?,
        reconsume_times: fields.int32_opt(slot::RECONSUME_TIMES)?.unwrap_or(0),
        unit_mode: fields.flag(slot::UNIT_MODE)?,
        batch: fields.flag(slot::BATCH)?,
        max_reconsume_times: fields.int32_opt(slot::MAX_RECONSUME_TIMES)?,
        broker_name: fields.text_opt(slot::BROKER_NAME)?,
    };
    Some((head, request))
}

/// Appends the whole frame of a response; the same bytes as `Command::encode` would append.
pub fn encode_response(out: &mut Vec<u8>, reply: &Reply<'_>, response: &SendResponse<'_>) {
    header::write_frame(out, reply.serialize, &reply.head(), response, 0);
}

/// Appends a request's frame but for its body, of which `body_len` bytes are to follow; the names
/// of the fields are those of `head.code`.
pub fn encode_request_head(
    out: &mut Vec<u8>,
    serialize: Serialize,
    head: &Head,
    request: &SendRequest<'_>,
    body_len: usize,
) {
    let write = HeadWrite {
        head: *head,
        remark: None,
    };
    if has_short_names(head.request_code()) {
        header::write_frame(out, serialize, &write, &ShortNames(request), body_len);
    } else {
        header::write_frame(out, serialize, &write, &LongNames(request), body_len);
    }
}
