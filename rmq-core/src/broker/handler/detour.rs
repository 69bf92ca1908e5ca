//! Messages that do not go to their own queue yet: delayed and timed ones, and half messages, which
//! are what the first phase of a transaction sends.

use std::sync::Arc;

use super::DataHandler;
use super::delayed::Waiting;
use super::timed::TimedWait;
use crate::broker::names;
use crate::broker::reply::Refusal;
use crate::broker::schedule::DelayLevel;
use crate::broker::transaction::half_properties;
use crate::protocol::code::ResponseCode;
use crate::protocol::message::properties::Scan;
use crate::protocol::message::record::{NewRecord, RecordError};
use crate::protocol::message::sysflag;
use crate::protocol::request::send::SendRequest;
use crate::store::{AppendBatch, Queue};

/// Where a message goes first.
pub(super) enum Detour {
    /// It waits in a delay level.
    Delay(Waiting),
    /// It waits for a time.
    Timer(TimedWait),
    /// It waits in this queue until its transaction ends.
    Transaction(Arc<Queue>),
}

impl Detour {
    /// The delay level, if it is one.
    pub(super) fn level(&self) -> Option<DelayLevel> {
        match self {
            Self::Delay(waiting) => Some(waiting.level),
            Self::Timer(_) | Self::Transaction(_) => None,
        }
    }

    /// When it is due (ms since the epoch, the begin of its slot), if it waits for a time.
    pub(super) fn out_ms(&self) -> Option<i64> {
        match self {
            Self::Timer(waiting) => Some(waiting.out_ms),
            Self::Delay(_) | Self::Transaction(_) => None,
        }
    }

    /// The queue that it goes to.
    pub(super) fn into_queue(self) -> Arc<Queue> {
        match self {
            Self::Delay(waiting) => waiting.queue,
            Self::Timer(waiting) => waiting.queue,
            Self::Transaction(queue) => queue,
        }
    }

    /// Adds the message of `record`, which is as it would be in its own queue, to the batch.
    pub(super) fn push<'b>(
        &self,
        record: &NewRecord<'_>,
        body: &'b [u8],
        unique_id: &[u8],
        tags_code: i64,
        batch: &mut AppendBatch<'b>,
    ) -> Result<(), RecordError> {
        // Consumers, or those who look after the message, are to see it.
        let record = NewRecord {
            sys_flag: sysflag::with_transaction(record.sys_flag, sysflag::TRANSACTION_NONE),
            ..*record
        };
        let queue = match self {
            Self::Delay(waiting) => return waiting.push(&record, body, batch),
            Self::Timer(waiting) => return waiting.push(&record, body, tags_code, batch),
            Self::Transaction(queue) => Arc::clone(queue),
        };
        let (topic, queue_id) = (record.topic, record.queue_id);
        // What no property can hold was not read from one, so there is always a text.
        let properties = half_properties(record.properties, unique_id, topic, queue_id);
        let half = NewRecord {
            topic: names::HALF_TOPIC,
            queue_id: 0,
            properties: &properties.unwrap_or_default(),
            ..record
        };
        batch.push_with_body(&half, body, queue, tags_code)
    }
}

impl DataHandler {
    /// Where a message for `queue_id` goes first; `None` when it goes there at once.
    pub(super) fn detour(
        &mut self,
        request: &SendRequest<'_>,
        queue_id: i32,
        text: &[u8],
        found: &Scan<'_>,
    ) -> Result<Option<Detour>, Refusal> {
        // What old consumers send to be retried still has the mark of its transaction.
        let is_delayed = found.delay_level().is_some_and(|level| level > 0);
        if !found.is_prepared() || (request.reconsume_times > 0 && is_delayed) {
            if let Some(timed) = self.timed(request.topic, queue_id, text, found)? {
                return Ok(Some(Detour::Timer(timed)));
            }
            let waiting = self.waiting(request.topic, queue_id, text, found)?;
            return Ok(waiting.map(Detour::Delay));
        }
        if self.config.reject_transactions {
            let ip = self.shared.store_host().ip();
            let remark = format!("the broker[{ip}] sending transaction message is forbidden");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if found.delay_level() != Some(0) || found.has_timer() {
            let remark = "the message is illegal: the message of a transaction cannot be delayed";
            return Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark));
        }
        let queue = match self.topics.get(&self.shared, names::HALF_TOPIC) {
            Some(half) => half.queue(&self.shared, 0),
            None => self.shared.store.queue(names::HALF_TOPIC, 0),
        };
        Ok(Some(Detour::Transaction(queue)))
    }
}
