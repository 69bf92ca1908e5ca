//! What a consumer that pops asks, and what it makes of the answers, as the Java client does.

#![allow(
    dead_code,
    reason = "each test crate uses its own part of the support modules"
)]

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::properties::names as property;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::pop::extra::{ExtraInfo, RetryKind};
use rmq_core::protocol::request::pop::{AckMessageRequest, PopMessageRequest, PopMessageResponse};

/// A message as a consumer has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Popped {
    /// The topic that the broker said.
    pub(crate) topic: String,
    pub(crate) body: String,
    /// What it is settled with.
    pub(crate) info: ExtraInfo,
    pub(crate) reconsume_times: i32,
    /// When it was popped, ms.
    pub(crate) at_ms: i64,
}

/// The header of a pop of any queue that is answered at once.
pub(crate) fn pop_of(topic: &str, group: &str, invisible_ms: i64) -> PopMessageRequest {
    PopMessageRequest {
        consumer_group: group.to_owned(),
        topic: topic.to_owned(),
        queue_id: -1,
        max_msg_nums: 32,
        invisible_time_ms: invisible_ms,
        poll_time_ms: 0,
        born_time_ms: 0,
        init_mode: 0,
        exp_type: None,
        exp: None,
        order: false,
        attempt_id: None,
    }
}

/// The messages of an answer, none if it is no success.
pub(crate) fn messages(reply: &Command) -> Vec<Popped> {
    if reply.response_code() != ResponseCode::SUCCESS {
        return Vec::new();
    }
    let header: PopMessageResponse = reply.header().unwrap();
    let starts = header.start_offset_info.unwrap();
    let start_of = |queue_id: i32| -> i64 {
        let prefix = format!("{} {queue_id} ", RetryKind::Normal.flag());
        let line = starts.split(';').find_map(|one| one.strip_prefix(&prefix));
        line.unwrap().parse().unwrap()
    };
    let records = Records::new(&reply.body, CheckLevel::BodyCrc);
    let popped = records.map(|record| {
        let record = record.unwrap();
        let text = record.property(property::POP_CK);
        let info = match text.map(|text| std::str::from_utf8(text).unwrap()) {
            Some(text) => ExtraInfo::parse(text).unwrap(),
            None => ExtraInfo {
                start_offset: start_of(record.queue_id()),
                pop_time_ms: header.pop_time_ms,
                invisible_time_ms: header.invisible_time_ms,
                revive_queue_id: header.revive_queue_id,
                retry: RetryKind::Normal,
                broker_name: "broker-a".to_owned(),
                queue_id: record.queue_id(),
                queue_offset: Some(record.queue_offset()),
            },
        };
        Popped {
            topic: record.topic().into_owned(),
            body: String::from_utf8(record.body().to_vec()).unwrap(),
            info,
            reconsume_times: record.reconsume_times(),
            at_ms: SystemClock::new().wall_ms(),
        }
    });
    popped.collect()
}

/// The header of the acknowledgement of a message that was popped of this topic.
pub(crate) fn ack_of(topic: &str, group: &str, message: &Popped) -> AckMessageRequest {
    AckMessageRequest {
        consumer_group: group.to_owned(),
        topic: message.info.retry.topic(topic, group),
        queue_id: message.info.queue_id,
        extra_info: message.info.to_text(),
        offset: message.info.queue_offset.unwrap(),
    }
}
