//! Reviving: a message whose invisible time is over goes to the group's retry topic, or to its dead
//! letters when it was tried often enough, and the revive topic gets an acknowledgement for it in
//! the same append. So a crash revives a message twice at most when it cuts that append in two.

use std::sync::Arc;

use super::engine::{Engine, News};
use super::log::ReviveRecord;
use super::points::Due;
use super::take::record_of;
use crate::broker::control::{GroupTopic, Task};
use crate::broker::names;
use crate::protocol::body::group::SubscriptionGroupConfig;
use crate::protocol::body::pop::{PopAck, PopCheckPoint};
use crate::protocol::filter::tag;
use crate::protocol::message::properties::{
    self, PropertiesBuilder, PropertyError, names as property,
};
use crate::protocol::message::record::{NewRecord, RecordRef};
use crate::protocol::request::pop::extra::{self, RetryKind};
use crate::store::{AppendBatch, LogSlice};

/// Check points revived with one take of the append lock.
const BATCH_MAX: usize = 32;

/// How soon a check point is tried again whose topic is being made, ms.
const TOPIC_MS: i64 = 20;

/// How soon one is tried again that could not be written, ms.
const RETRY_MS: i64 = 1_000;

/// A message to revive.
struct Again {
    slice: LogSlice,
    topic: String,
    properties: Vec<u8>,
    reconsume_times: i32,
}

/// What becomes of a check point.
struct Revival {
    due: Due,
    messages: Vec<Again>,
    ack: ReviveRecord,
}

impl Engine {
    /// Revives what is due. Returns whether there is more.
    pub(super) fn revive(&mut self) -> bool {
        let due = self.points.take_due(self.now.wall_ms, BATCH_MAX);
        let more = due.len() == BATCH_MAX;
        let revivals: Vec<Revival> = due
            .into_iter()
            .filter_map(|one| self.prepare(one))
            .collect();
        if !revivals.is_empty() {
            self.append_revived(&revivals);
        }
        more
    }

    /// Finds the messages of a check point; `None` when it has to wait for a topic.
    fn prepare(&mut self, due: Due) -> Option<Revival> {
        let point = &due.point;
        let normal = extra::normal_topic(&point.topic, &point.group);
        let group = self.shared.groups.get(&point.group);
        let group = group.filter(|_| self.shared.topics.get(normal).is_some());
        let mut messages = Vec::new();
        // Nobody can pop what belongs to a group or a topic that is gone.
        if let Some(group) = group {
            for offset in &due.offsets {
                let Some(slice) = self.message_of(point, *offset) else {
                    // It is no longer in the log.
                    continue;
                };
                let (topic, is_dead) = self.target(point, &group, &slice);
                if self.shared.topics.get(&topic).is_none() {
                    self.make_topic(topic);
                    let waited_ms = self.now.wall_ms - point.revive_time_ms();
                    let pause_ms = match waited_ms > RETRY_MS {
                        true => RETRY_MS,
                        false => TOPIC_MS,
                    };
                    let at_ms = self.now.wall_ms + pause_ms;
                    self.points.again(due.queue, due.at, at_ms);
                    return None;
                }
                match again(point, slice, topic, is_dead) {
                    Ok(message) => messages.push(message),
                    Err(error) => {
                        tracing::error!(%error, offset, "a popped message cannot be revived");
                    }
                }
            }
        }
        let ack = PopAck {
            offset: -1,
            offsets: Some(due.offsets.clone()),
            broker_name: point.broker_name.clone(),
            group: point.group.clone(),
            pop_time_ms: point.pop_time_ms,
            queue_id: point.queue_id,
            start_offset: point.start_offset,
            topic: point.topic.clone(),
        };
        let queue_id = i32::try_from(due.queue).unwrap_or(i32::MAX);
        let ack = ReviveRecord::ack(&ack, queue_id, self.now.wall_ms);
        Some(Revival { due, messages, ack })
    }

    fn message_of(&self, point: &PopCheckPoint, offset: i64) -> Option<LogSlice> {
        let store = &self.shared.store;
        let queue = store.find_queue(&point.topic, point.queue_id)?;
        if offset < queue.min_offset() {
            return None;
        }
        store.message_at(queue.entry(offset)?.offset)
    }

    /// Where a message goes, and whether it is tried no more.
    fn target(
        &self,
        point: &PopCheckPoint,
        group: &SubscriptionGroupConfig,
        slice: &LogSlice,
    ) -> (String, bool) {
        let tried = record_of(slice).map_or(0, |record| record.reconsume_times());
        if !point.suspend && tried >= group.retry_max_times {
            return (format!("{}{}", names::DLQ_PREFIX, point.group), true);
        }
        if point.topic.starts_with(names::RETRY_PREFIX) {
            return (point.topic.clone(), false);
        }
        let kind = match self.config.pop_retry_v2 {
            true => RetryKind::V2,
            false => RetryKind::V1,
        };
        (kind.topic(&point.topic, &point.group), false)
    }

    fn make_topic(&self, name: String) {
        let topic = GroupTopic {
            name,
            queues: 1,
            sys_flag: 0,
        };
        // A full queue of tasks: it is asked for again soon.
        let _ = self.shared.control.try_push(Task::MakeGroupTopic(topic));
    }

    fn append_revived(&mut self, revivals: &[Revival]) {
        let host = self.shared.store_host();
        let revive_topic = self.revive_topic.clone();
        let mut batch = AppendBatch::new(self.stage_options());
        // No acknowledgement without the messages before it.
        batch.stop_at_failure();
        let mut staged: Vec<usize> = Vec::with_capacity(revivals.len());
        for revival in revivals {
            for message in &revival.messages {
                let Some(record) = record_of(&message.slice) else {
                    continue;
                };
                let queue = self.shared.store.queue(&message.topic, 0);
                let new = message.record(&record, host);
                let tags_code = tag::tags_code(record.tags().unwrap_or_default());
                if let Err(error) = batch.push_with_body(&new, record.body(), queue, tags_code) {
                    tracing::error!(%error, "a popped message cannot be revived");
                }
            }
            let new = revival.ack.record(&revive_topic, host);
            if let Some(queue) = self.revive_queue(revival.ack.queue_id).cloned()
                && let Err(error) = batch.push(&new, queue, revival.ack.tags_code())
            {
                tracing::error!(%error, "cannot write to the revive topic");
            }
            staged.push(batch.len());
        }
        self.shared.store.append(&mut batch);
        let mut from = 0;
        for (revival, to) in revivals.iter().zip(staged) {
            let results = &batch.results()[from..to];
            from = to;
            let stored = results.iter().filter_map(|result| result.as_ref().ok());
            let log_end = stored.clone().map(|appended| appended.end()).max();
            for appended in stored {
                let stats = &self.shared.stats;
                stats.stored_elsewhere(1, appended.len as u64);
            }
            if let Some(Err(error)) = results.iter().find(|result| result.is_err()) {
                tracing::warn!(%error, "popped messages are revived later");
                let at_ms = self.now.wall_ms + RETRY_MS;
                self.points.again(revival.due.queue, revival.due.at, at_ms);
            }
            self.tell(revival, log_end.unwrap_or(0));
        }
    }

    /// Takes note of whom to tell when the retries can be seen.
    fn tell(&mut self, revival: &Revival, log_end: i64) {
        if revival.messages.is_empty() {
            return;
        }
        let point = &revival.due.point;
        let topic = extra::normal_topic(&point.topic, &point.group);
        self.news.push_back(News {
            log_end,
            topic: topic.to_owned(),
            group: point.group.clone(),
        });
        let mut topics: Vec<&String> = revival.messages.iter().map(|one| &one.topic).collect();
        topics.dedup();
        for topic in topics {
            let queue = self.shared.store.queue(topic, 0);
            // Pulls may be held at it too.
            self.shared.arrived(&Arc::clone(&queue));
        }
    }
}

impl Again {
    fn record<'a>(&'a self, record: &RecordRef<'a>, host: std::net::SocketAddr) -> NewRecord<'a> {
        NewRecord {
            topic: &self.topic,
            queue_id: 0,
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp_ms: record.born_timestamp_ms(),
            born_host: host,
            store_host: host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: 0,
            body: record.body(),
            properties: &self.properties,
            extra_properties: &[],
        }
    }
}

/// The message as it comes again.
fn again(
    point: &PopCheckPoint,
    slice: LogSlice,
    topic: String,
    is_dead: bool,
) -> Result<Again, String> {
    let record = record_of(&slice).ok_or("it is damaged")?;
    let reconsume_times = match point.suspend {
        true => record.reconsume_times(),
        false => record.reconsume_times().saturating_add(1),
    };
    let properties = properties_of(point, &record, is_dead).map_err(|error| error.to_string())?;
    Ok(Again {
        topic,
        properties,
        reconsume_times,
        slice,
    })
}

fn properties_of(
    point: &PopCheckPoint,
    record: &RecordRef<'_>,
    is_dead: bool,
) -> Result<Vec<u8>, PropertyError> {
    let mut kept = Vec::with_capacity(record.properties_bytes().len() + 128);
    let replaced = [property::CRC32, property::POP_CK];
    properties::remove_all(record.properties_bytes(), &replaced, &mut kept);
    let mut text = PropertiesBuilder::from_text(&kept);
    if record.reconsume_times() == 0 || text.get(property::FIRST_POP_TIME).is_none() {
        text.set(property::FIRST_POP_TIME, &point.pop_time_ms.to_string())?;
    }
    if is_dead {
        let origin = extra::normal_topic(&point.topic, &point.group);
        text.set(property::DLQ_ORIGIN_TOPIC, origin)?;
        if let Some(id) = record.uniq_key() {
            text.remove(property::DLQ_ORIGIN_MESSAGE_ID);
            text.push_bytes(property::DLQ_ORIGIN_MESSAGE_ID.as_bytes(), id)?;
        }
    }
    Ok(text.into_bytes())
}
