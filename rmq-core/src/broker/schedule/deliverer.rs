//! The thread `rmq-broker-schedule`: it sleeps until a message is due or news come, and moves what
//! is due from the schedule topic to the messages' own topics, many at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Schedule;
use super::levels::{Ends, Levels, RETRY_MS};
use super::message::DueMessage;
use crate::base::clock::Now;
use crate::base::thread;
use crate::broker::names;
use crate::broker::relay::{self, BATCH_MAX, Moved, Tidings};
use crate::broker::shared::Shared;
use crate::protocol::message::record::StageOptions;
use crate::store::{AppendBatch, Entry, LogSlice, Queue};

/// Pause of a level after a defect showed itself, ms.
const DEFECT_PAUSE_MS: u64 = 10_000;

/// The state of the delivering thread.
#[derive(Debug)]
pub(crate) struct Deliverer {
    shared: Arc<Shared>,
    /// `None` while the broker is a slave.
    levels: Option<Levels>,
    queues: Vec<Option<Arc<Queue>>>,
    news: Tidings,
    /// The log was safe up to here when it was last asked.
    safe: i64,
    stage: StageOptions,
    entries: Vec<Entry>,
    /// The level that fails, so that it is told once.
    failing: Option<usize>,
}

impl Deliverer {
    /// The deliverer of a broker.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let stage = relay::stage_options(&shared);
        let queues = vec![None; shared.schedule.delays_ms.len()];
        Self {
            shared,
            levels: None,
            queues,
            news: Tidings::default(),
            safe: 0,
            stage,
            entries: Vec::with_capacity(BATCH_MAX),
            failing: None,
        }
    }

    /// Works until it is told to end.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        if shared.schedule.inbox.serve(|_| self.step()) {
            self.finish();
        }
    }

    /// Does what is to be done for one level; returns how long there is nothing more to do.
    pub(super) fn step(&mut self) -> Option<u64> {
        if !self.shared.is_master() {
            self.levels = None;
            self.news.clear();
            return None;
        }
        let mut levels = self.levels.take().unwrap_or_else(|| {
            let schedule = &self.shared.schedule;
            Levels::new(&schedule.delays_ms, &schedule.offsets.lock())
        });
        self.take_news(&mut levels);
        let now = self.shared.clock.now();
        let ready = levels.ready(now);
        if let Some(index) = ready
            && let Err(what) = thread::catch(|| self.serve(&mut levels, index, now))
        {
            tracing::error!(
                what,
                level = index + 1,
                "delivering delayed messages panicked"
            );
            levels.failed(index, DEFECT_PAUSE_MS, now);
        }
        // What serving left to wait for is noted by the next step, before it sleeps.
        let sleep_ms = ready.map_or_else(|| levels.sleep_ms(now), |_| Some(0));
        self.levels = Some(levels);
        sleep_ms
    }

    /// Looks at what other threads did.
    fn take_news(&mut self, levels: &mut Levels) {
        let schedule = &self.shared.schedule;
        let idle = schedule.idle.load(Ordering::SeqCst);
        for index in 0..self.queues.len() {
            if idle & bit(index) == 0 {
                levels.arrived(index);
            }
        }
        let waits = levels.awaits_safety() || !self.news.is_empty();
        if !waits {
            return;
        }
        schedule.inbox.await_store(true);
        let (safe, flushed) = {
            let marks = self.shared.store.watermarks();
            (marks.safe(), marks.flushed())
        };
        if safe > self.safe {
            self.safe = safe;
            levels.became_safe();
        }
        self.news.became_safe(&self.shared, safe);
        if levels.settle(safe.min(flushed)) {
            publish(schedule, levels);
        }
    }

    /// Moves the messages of one level that are due, up to a batch of them.
    fn serve(&mut self, levels: &mut Levels, index: usize, now: Now) {
        let ends = self.ends(index);
        let Some(from) = levels.look(index, ends) else {
            return;
        };
        self.shared
            .schedule
            .idle
            .fetch_and(!bit(index), Ordering::SeqCst);
        let Some(queue) = self.queues[index].clone() else {
            return;
        };
        self.entries.clear();
        if let Err(error) = queue.entries(from, BATCH_MAX, &mut self.entries) {
            tracing::error!(%error, level = index + 1, "cannot read a queue of delayed messages");
        }
        let due = self.entries.iter().map(|entry| entry.tags_code);
        let count = levels.choose(index, ends, due, now);
        if count == 0 {
            return;
        }
        let moved = self.deliver(index, count);
        levels.delivered(index, moved.count, moved.log_end);
        match &moved.failure {
            Some(error) => {
                if self.failing.replace(index) != Some(index) {
                    tracing::error!(%error, level = index + 1, "cannot deliver delayed messages");
                }
                levels.failed(index, RETRY_MS, now);
            }
            None if self.failing == Some(index) => self.failing = None,
            None => {}
        }
    }

    /// How far the queue of a level goes; the level counts as idle from before that is read.
    fn ends(&mut self, index: usize) -> Ends {
        self.shared
            .schedule
            .idle
            .fetch_or(bit(index), Ordering::SeqCst);
        let slot = &mut self.queues[index];
        if slot.is_none() {
            let queue_id = i32::try_from(index).unwrap_or(i32::MAX);
            *slot = self
                .shared
                .store
                .find_queue(names::SCHEDULE_TOPIC, queue_id);
        }
        slot.as_ref().map_or_else(Ends::default, |queue| Ends {
            min: queue.min_offset(),
            visible: queue.max_offset(),
            next: queue.next_offset(),
        })
    }

    /// Appends the first `count` of the entries read, or as many as make a batch.
    fn deliver(&mut self, index: usize, count: usize) -> Moved {
        let shared = Arc::clone(&self.shared);
        let offsets = self.entries[..count].iter().map(|entry| entry.offset);
        let records = relay::read_batch(&shared.store, offsets);
        let mut batch = AppendBatch::new(self.stage);
        // For each entry whether it is in the batch.
        let mut staged = Vec::with_capacity(records.len());
        let mut targets = Vec::with_capacity(records.len());
        for (record, entry) in records.iter().zip(&self.entries) {
            let queue = stage(&shared, record.as_ref(), &mut batch).map_err(|why| {
                let (level, offset) = (index + 1, entry.offset);
                tracing::error!(why, level, offset, "a delayed message is passed over");
            });
            staged.push(queue.is_ok());
            targets.extend(queue);
        }
        shared.store.append(&mut batch);
        self.news.tell(&shared, &batch, &targets);
        Moved::of(&staged, &batch)
    }

    /// Makes everything that was delivered durable and notes it, so that the next start delivers
    /// nothing twice.
    pub(super) fn finish(&mut self) {
        let Some(mut levels) = self.levels.take() else {
            return;
        };
        if let Err(error) = self.shared.store.flush() {
            tracing::warn!(%error, "delayed messages may be delivered twice after the next start");
        }
        levels.settle(self.shared.store.watermarks().flushed());
        publish(&self.shared.schedule, &levels);
    }
}

fn bit(index: usize) -> u64 {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1_u64.checked_shl(index))
        .unwrap_or_default()
}

fn publish(schedule: &Schedule, levels: &Levels) {
    schedule.offsets.lock().extend(levels.settled());
    schedule.changes.fetch_add(1, Ordering::AcqRel);
}

/// Stages the message of a record of the schedule topic; returns the queue that it goes to, or why
/// it never can.
fn stage<'a>(
    shared: &Shared,
    record: Option<&'a LogSlice>,
    batch: &mut AppendBatch<'a>,
) -> Result<Arc<Queue>, String> {
    let record = record.ok_or("it is no longer in the log")?;
    let message = DueMessage::read(record.as_ref())?;
    if message.topic == names::HALF_TOPIC {
        return Err("it is a half message".to_owned());
    }
    names::check_topic(message.topic)?;
    let queue = shared.store.queue(message.topic, message.queue_id);
    let record = message.record(shared.store_host());
    batch
        .push_with_body(
            &record,
            message.body(),
            Arc::clone(&queue),
            message.tags_code,
        )
        .map_err(|error| error.to_string())?;
    Ok(queue)
}
