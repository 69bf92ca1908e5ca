//! Sends with a time: they go to the wheel's topic and wait there. And recalls, which send what
//! takes such a message back.

use std::net::SocketAddr;
use std::sync::Arc;

use super::DataHandler;
use super::send::{Answered, NotStaged, Recallable, StagedSend};
use crate::broker::names;
use crate::broker::reply::Refusal;
use crate::broker::timer::delete_key;
use crate::broker::timer::due::{self, Due, DueLimits};
use crate::broker::topics::PERM_WRITE;
use crate::net::{ConnectionId, Io};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::filter::tag;
use crate::protocol::frame::FrameRef;
use crate::protocol::message::properties::{self, PropertiesBuilder, Scan, names as property};
use crate::protocol::message::recall::RecallHandle;
use crate::protocol::message::record::{NewRecord, RecordError};
use crate::protocol::request::query::RecallMessageRequest;
use crate::store::{AppendBatch, Queue};

/// The tag of messages that take others back.
const RECALL_TAG: &str = "_RECALL_TAG_";

/// The body of these; nobody reads it, but a message has one.
const RECALL_BODY: &[u8] = b"0";

/// What is different about the record of a message that waits for a time.
pub(super) struct TimedWait {
    /// Begin of the slot that it waits in, ms since the epoch.
    pub(super) out_ms: i64,
    pub(super) queue: Arc<Queue>,
    properties: Vec<u8>,
}

impl TimedWait {
    /// Adds the message of `record`, which is as it would be without a time, to the batch.
    pub(super) fn push<'b>(
        &self,
        record: &NewRecord<'_>,
        body: &'b [u8],
        tags_code: i64,
        batch: &mut AppendBatch<'b>,
    ) -> Result<(), RecordError> {
        let waiting = NewRecord {
            topic: names::TIMER_TOPIC,
            queue_id: 0,
            properties: &self.properties,
            ..*record
        };
        batch.push_with_body(&waiting, body, Arc::clone(&self.queue), tags_code)
    }
}

impl DataHandler {
    /// Where a message for `queue_id` of `topic` waits; `None` when it names no time, or none that
    /// counts.
    pub(super) fn timed(
        &mut self,
        topic: &str,
        queue_id: i32,
        text: &[u8],
        found: &Scan<'_>,
    ) -> Result<Option<TimedWait>, Refusal> {
        let is_delayed = found.delay_level().is_none_or(|level| level > 0);
        if !found.has_timer()
            || is_delayed
            || topic == names::TIMER_TOPIC
            || properties::find(text, property::TIMER_OUT_MS).is_some()
        {
            return Ok(None);
        }
        let store = &self.config.store;
        let limits = DueLimits {
            max_delay_ms: i64::from(store.timer_max_delay_secs) * 1000,
            tick_ms: store.timer_tick_ms.cast_signed(),
        };
        let now_ms = self.shared.clock.wall_ms();
        let Some(due) = due::due(found, &limits, now_ms) else {
            return Ok(None);
        };
        if !store.timer_enable {
            let remark = "timed messages are not served by this broker: timerWheelEnable is false";
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        let illegal = |remark: String| Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark);
        let out_ms = match due {
            Ok(Due::Now) => return Ok(None),
            Ok(Due::After(out_ms)) => out_ms,
            Err(_) => {
                return Err(illegal(format!(
                    "timer message illegal: its time has to be a number and no more than {} ms \
                     ahead, and one that deletes another has to be ahead",
                    limits.max_delay_ms
                )));
            }
        };
        let limit = store.timer_congest_max;
        if self
            .shared
            .timer
            .is_congested(out_ms, limits.tick_ms, limit)
        {
            let remark = format!(
                "timer message is under flow control: more than {limit} are due at that time"
            );
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        let properties = due::timed_properties(text, out_ms, topic, queue_id)
            .map_err(|error| illegal(format!("the message is illegal: {error}")))?;
        let queue = match self.topics.get(&self.shared, names::TIMER_TOPIC) {
            Some(wheel) => wheel.queue(&self.shared, 0),
            None => self.shared.store.queue(names::TIMER_TOPIC, 0),
        };
        Ok(Some(TimedWait {
            out_ms,
            queue,
            properties,
        }))
    }

    /// With what the sender of a message that waits until `out_ms` can recall it; retries cannot
    /// be.
    pub(super) fn recallable(&self, topic: &str, out_ms: i64, unique_id: &[u8]) -> Recallable {
        let unique_id = std::str::from_utf8(unique_id).ok();
        let unique_id = unique_id.filter(|_| !topic.starts_with(names::RETRY_PREFIX));
        Recallable(unique_id.map(|unique_id| {
            let handle = RecallHandle {
                topic: topic.to_owned(),
                broker_name: self.config.broker_name.clone(),
                // A time inside of the slot: its begin would be rounded to the one before.
                time: (out_ms + 1).to_string(),
                unique_id: unique_id.to_owned(),
            };
            handle.encode()
        }))
    }

    /// RECALL_MESSAGE.
    pub(super) fn handle_recall(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        frame: &FrameRef<'_>,
    ) {
        let Some(command) = super::decode(io, conn, frame) else {
            return;
        };
        if let Err(NotStaged::Refused(refusal)) = self.recall(io, conn, peer, (&command, frame)) {
            self.answer(io, conn, &command, Err(refusal));
        }
    }

    fn recall(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        (command, frame): (&Command, &FrameRef<'_>),
    ) -> Result<(), NotStaged> {
        let request: RecallMessageRequest = command.header().map_err(Refusal::from)?;
        let now_ms = self.shared.clock.wall_ms();
        self.check_recall(command, &request, now_ms)?;
        let handle = self.check_handle(&request, now_ms)?;
        let failed = |error: &dyn std::fmt::Display| {
            let remark = format!("recall failed, execute error: {error}");
            Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
        };
        let by_topic = self.config.store.timer_delete_by_topic;
        let key = delete_key(&handle.topic, &handle.unique_id, by_topic);
        let text = recall_properties(&request, &handle, &key, now_ms).map_err(|e| failed(&e))?;
        let found = properties::scan(&text);
        let timed = self.timed(&handle.topic, 0, &text, &found)?;
        let Some(timed) = timed else {
            return Err(failed(&"the message has no time").into());
        };
        let record = NewRecord {
            topic: &handle.topic,
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp_ms: now_ms,
            born_host: peer,
            store_host: self.shared.store_host(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: RECALL_BODY,
            properties: &text,
            extra_properties: &[],
        };
        let mut batch = self.shared.store.new_batch();
        let tags_code = tag::tags_code(RECALL_TAG.as_bytes());
        timed
            .push(&record, RECALL_BODY, tags_code, &mut batch)
            .map_err(|error| failed(&error))?;
        self.shared.store.append(&mut batch);
        if let Some(Err(error)) = batch.results().first() {
            return Err(failed(error).into());
        }
        self.stage.staged.push(StagedSend {
            head: command.head(),
            serialize: frame.serialize,
            queue: timed.queue,
            queue_id: 0,
            delay: None,
            timed: Some(Recallable(None)),
            first: 0,
            count: 1,
            // Apache does not; but the sender relies on the message not being delivered.
            wait: true,
            unique_id: 0..0,
            answered: Answered::Recalled(handle.unique_id),
        });
        self.reply_to_staged(io, conn, &batch);
        self.stage.staged.clear();
        Ok(())
    }

    fn check_recall(
        &mut self,
        command: &Command,
        request: &RecallMessageRequest,
        now_ms: i64,
    ) -> Result<(), Refusal> {
        let refuse = |code, why: &str| Err(Refusal::new(code, format!("recall failed, {why}")));
        if !self.config.recall_enable {
            let why = "operation is forbidden: recallMessageEnable is false";
            return refuse(ResponseCode::NO_PERMISSION, why);
        }
        if let Some(refusal) = self.shared.refuse_on_slave(command.code) {
            return Err(refusal);
        }
        let is_open = now_ms >= self.config.accept_sends_after_ms;
        let is_writable = self.config.broker_permission.cast_signed() & PERM_WRITE != 0;
        if !is_open || !(is_writable || self.config.recall_when_read_only) {
            let why = "broker service not available";
            return refuse(ResponseCode::SERVICE_NOT_AVAILABLE, why);
        }
        if self.topics.get(&self.shared, &request.topic).is_none() {
            let why = format!("the topic[{}] not exist", request.topic);
            return refuse(ResponseCode::TOPIC_NOT_EXIST, &why);
        }
        match self.shared.refuse_sends() {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn check_handle(
        &self,
        request: &RecallMessageRequest,
        now_ms: i64,
    ) -> Result<RecallHandle, Refusal> {
        let illegal = |why: &str| Refusal::new(ResponseCode::ILLEGAL_OPERATION, why);
        let handle = RecallHandle::decode(&request.recall_handle)
            .ok_or_else(|| illegal("recall handle is invalid"))?;
        if request.topic != handle.topic {
            return Err(illegal("recall failed, topic not match"));
        }
        if self.config.broker_name != handle.broker_name {
            let why = "recall failed, broker service not available: the message is at another one";
            return Err(illegal(why));
        }
        let left_ms = handle
            .time
            .parse::<i64>()
            .unwrap_or(-1)
            .saturating_sub(now_ms);
        let max_ms = i64::from(self.config.store.timer_max_delay_secs) * 1000;
        if left_ms <= 0 || left_ms >= max_ms {
            return Err(illegal("recall failed, timestamp invalid"));
        }
        Ok(handle)
    }
}

/// The properties of a message that takes another one back.
fn recall_properties(
    request: &RecallMessageRequest,
    handle: &RecallHandle,
    key: &str,
    now_ms: i64,
) -> Result<Vec<u8>, properties::PropertyError> {
    let mut text = PropertiesBuilder::default();
    text.push(property::TAGS, RECALL_TAG)?
        .push(property::TIMER_DEL_UNIQ_KEY, key)?
        .push(property::UNIQ_KEY, &handle.unique_id)?
        .push(property::TIMER_DELIVER_MS, &handle.time)?
        .push(property::BORN_TIMESTAMP, &now_ms.to_string())?;
    if let Some(group) = request.producer_group.as_deref().filter(|g| !g.is_empty()) {
        text.push(property::PRODUCER_GROUP, group)?;
    }
    Ok(text.into_bytes())
}
