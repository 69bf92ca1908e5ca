//! Sends with a delay level: they go to the schedule topic and wait there.

use std::sync::Arc;

use super::DataHandler;
use crate::broker::names;
use crate::broker::reply::Refusal;
use crate::broker::schedule::{DelayLevel, message};
use crate::protocol::code::ResponseCode;
use crate::protocol::message::properties::{PropertyError, Scan};
use crate::protocol::message::record::{NewRecord, RecordError};
use crate::store::{AppendBatch, Queue};

/// What is different about the record of a message that waits.
pub(super) struct Waiting {
    pub(super) level: DelayLevel,
    /// The level's queue.
    pub(super) queue: Arc<Queue>,
    properties: Vec<u8>,
}

impl Waiting {
    /// Adds the message of `record`, which is as it would be without a delay, to the batch.
    pub(super) fn push<'b>(
        &self,
        record: &NewRecord<'_>,
        body: &'b [u8],
        batch: &mut AppendBatch<'b>,
    ) -> Result<(), RecordError> {
        let waiting = NewRecord {
            topic: names::SCHEDULE_TOPIC,
            queue_id: self.level.queue_id(),
            properties: &self.properties,
            ..*record
        };
        let queue = Arc::clone(&self.queue);
        batch.push_delayed(&waiting, body, queue, self.level.delay_ms)
    }
}

impl DataHandler {
    /// Where a message for `queue_id` of `topic` waits; `None` when it is not delayed.
    pub(super) fn waiting(
        &mut self,
        topic: &str,
        queue_id: i32,
        text: &[u8],
        found: &Scan<'_>,
    ) -> Result<Option<Waiting>, Refusal> {
        let illegal = |why: &dyn std::fmt::Display| {
            let remark = format!("the message is illegal: {why}");
            Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark)
        };
        let asked = found.delay_level();
        let asked = asked.ok_or_else(|| illegal(&"its delay level is no number"))?;
        self.waiting_in(asked, topic, queue_id, text)
            .map_err(|error| illegal(&error))
    }

    /// Where a message waits that is to wait in this level; `None` when that is no level.
    pub(super) fn waiting_in(
        &mut self,
        asked: i32,
        topic: &str,
        queue_id: i32,
        text: &[u8],
    ) -> Result<Option<Waiting>, PropertyError> {
        let Some(level) = self.shared.schedule.level(asked) else {
            return Ok(None);
        };
        let properties = message::waiting_properties(text, level.number, topic, queue_id)?;
        let queue = match self.topics.get(&self.shared, names::SCHEDULE_TOPIC) {
            Some(schedule) => schedule.queue(&self.shared, level.queue_id()),
            None => {
                let shared = &self.shared;
                shared.store.queue(names::SCHEDULE_TOPIC, level.queue_id())
            }
        };
        Ok(Some(Waiting {
            level,
            queue,
            properties,
        }))
    }
}
