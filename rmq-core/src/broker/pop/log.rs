//! Records of the revive topic: how they are written and read.

use std::net::SocketAddr;

use super::points::Input;
use crate::protocol::body::pop::{PopAck, PopCheckPoint};
use crate::protocol::filter::tag;
use crate::protocol::message::properties::{self, PropertiesBuilder, names as property};
use crate::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};

const POINT_TAG: &str = "ck";
const ACK_TAG: &str = "ack";
const BATCH_ACK_TAG: &str = "bAck";

/// An Apache broker's timer puts check points and acknowledgements into the revive topic when they
/// are due, and an acknowledgement may come so much later than its check point, ms.
const TIMER_SLACK_MS: i64 = 2_000;

/// A record to append to a revive queue.
#[derive(Debug)]
pub(super) struct ReviveRecord {
    pub(super) queue_id: i32,
    body: Vec<u8>,
    properties: Vec<u8>,
    tags_code: i64,
    born_ms: i64,
}

impl ReviveRecord {
    /// A check point for a revive queue.
    pub(super) fn point(point: &PopCheckPoint, queue_id: i32, now_ms: i64) -> Self {
        let PopCheckPoint {
            topic,
            queue_id: of_queue,
            start_offset,
            group,
            pop_time_ms,
            broker_name,
            ..
        } = point;
        let id = format!(
            "{topic}@{of_queue}@{start_offset}@{group}@{pop_time_ms}@{broker_name}@{POINT_TAG}"
        );
        Self::new(POINT_TAG, &id, point.to_body(), queue_id, now_ms)
    }

    /// An acknowledgement for a revive queue.
    pub(super) fn ack(ack: &PopAck, queue_id: i32, now_ms: i64) -> Self {
        let PopAck {
            topic,
            queue_id: of_queue,
            offset,
            group,
            pop_time_ms,
            broker_name,
            ..
        } = ack;
        let tag = match ack.offsets {
            Some(_) => BATCH_ACK_TAG,
            None => ACK_TAG,
        };
        let id =
            format!("{topic}@{of_queue}@{offset}@{group}@{pop_time_ms}@{broker_name}@{ACK_TAG}");
        Self::new(tag, &id, ack.encode(), queue_id, now_ms)
    }

    fn new(tag: &str, id: &str, body: Vec<u8>, queue_id: i32, now_ms: i64) -> Self {
        let mut text = PropertiesBuilder::new();
        // An Apache broker goes by the newest time of delivery that it reads: it revives what was
        // due before that. So it is the time at which this is written.
        let pushed = text
            .push(property::TAGS, tag)
            .and_then(|text| text.push(property::TIMER_DELIVER_MS, &now_ms.to_string()))
            .and_then(|text| text.push(property::UNIQ_KEY, id));
        if let Err(error) = pushed {
            tracing::warn!(%error, id, "a record of the revive topic lacks a property");
        }
        Self {
            queue_id,
            body,
            properties: text.into_bytes(),
            tags_code: tag::tags_code(tag.as_bytes()),
            born_ms: now_ms,
        }
    }

    /// The record to append.
    pub(super) fn record<'a>(&'a self, topic: &'a str, store_host: SocketAddr) -> NewRecord<'a> {
        NewRecord {
            topic,
            queue_id: self.queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp_ms: self.born_ms,
            born_host: store_host,
            store_host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &self.body,
            properties: &self.properties,
            extra_properties: &[],
        }
    }

    pub(super) fn tags_code(&self) -> i64 {
        self.tags_code
    }
}

/// What a record of a revive queue says.
pub(super) fn read(bytes: &[u8]) -> Input {
    let Ok(Checked::Record(record)) = RecordRef::check(bytes, CheckLevel::BodyCrc) else {
        tracing::error!("a record of the revive topic is damaged");
        return Input::Other;
    };
    let read = match record.tags() {
        Some(tag) if tag == POINT_TAG.as_bytes() => PopCheckPoint::parse(record.body()).map(|p| {
            let by_timer =
                properties::find(record.properties_bytes(), property::TIMER_OUT_MS).is_some();
            let slack_ms = if by_timer { TIMER_SLACK_MS } else { 0 };
            let due_ms = p.revive_time_ms().saturating_add(slack_ms);
            Input::Point { point: p, due_ms }
        }),
        Some(tag) if tag == ACK_TAG.as_bytes() || tag == BATCH_ACK_TAG.as_bytes() => {
            PopAck::decode(record.body()).map(Input::Ack)
        }
        _ => return Input::Other,
    };
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "a record of the revive topic cannot be read");
        Input::Other
    })
}
