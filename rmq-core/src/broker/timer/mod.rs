//! Timed messages: they wait in one queue of the wheel's topic; a thread notes on a wheel when each
//! is due, and puts it into its own topic then.

pub(crate) mod due;
mod message;
mod progress;
pub(crate) mod worker;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

pub(crate) use message::delete_key;

use crate::broker::inbox::Inbox;
use crate::broker::metadata::Files;
use crate::protocol::body::timer::TimerMetrics;
use crate::store::timer::{LiveSlots, TimerCheckpoint};

/// What the timer's thread shares with the others.
#[derive(Debug)]
pub(crate) struct Timer {
    /// One word to look is as good as many.
    pub(crate) inbox: Inbox<Infallible>,
    /// Whether the thread found nothing more in the wheel's topic.
    idle: AtomicBool,
    /// Where the commit log ended when it was opened: what was beyond in a life before was lost,
    /// and other messages take its place.
    log_end_at_start: i64,
    live: LiveSlots,
    checkpoint: Mutex<TimerCheckpoint>,
    metrics: Mutex<TimerMetrics>,
    /// Offset of the next message of the wheel's topic that is not on the wheel yet.
    next: AtomicI64,
    dice: AtomicU64,
}

impl Timer {
    /// The timer of a broker with these files, whose commit log ends at `log_end` before anything
    /// is appended.
    #[must_use]
    pub(crate) fn new(files: &Files, log_end: i64) -> Self {
        Self {
            log_end_at_start: log_end,
            inbox: Inbox::new(1),
            idle: AtomicBool::new(false),
            live: LiveSlots::default(),
            checkpoint: Mutex::new(files.load_timer_checkpoint()),
            metrics: Mutex::new(files.load_timer_metrics()),
            next: AtomicI64::new(0),
            dice: AtomicU64::new(0),
        }
    }

    /// Tells that a message was appended to the wheel's topic. Cheap unless the thread had nothing
    /// to do.
    pub(crate) fn appended(&self) {
        // The append came before this load, and the thread sets the flag before it looks at the
        // queue: sequential consistency makes one of the two see the other.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.idle.load(Ordering::SeqCst) {
            self.idle.store(false, Ordering::SeqCst);
            self.inbox.look();
        }
    }

    /// Whether the slot of a time (ms since the epoch) takes no more messages.
    #[must_use]
    pub(crate) fn is_congested(&self, out_ms: i64, tick_ms: i64, limit: u32) -> bool {
        // Nobody sets this limit, so nobody pays for it.
        if limit >= i32::MAX.unsigned_abs() {
            return false;
        }
        let num = self.live.lock().get(&out_ms.div_euclid(tick_ms)).copied();
        let turn = self.dice.fetch_add(1, Ordering::Relaxed);
        // Fibonacci hashing spreads the turns well enough for dice.
        let dice = (turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 1000;
        let num = i64::from(num.unwrap_or(0));
        due::is_congested(num, i64::from(limit), dice.cast_signed())
    }

    /// How far the timer is for good.
    #[must_use]
    pub(crate) fn checkpoint(&self) -> TimerCheckpoint {
        *self.checkpoint.lock()
    }

    /// How many messages wait, by topic.
    #[must_use]
    pub(crate) fn metrics(&self) -> TimerMetrics {
        self.metrics.lock().clone()
    }

    /// Counts messages of a topic that came or went.
    fn count(&self, topic: &str, change: i64, now_ms: i64) {
        let mut metrics = self.metrics.lock();
        metrics.data_version.advance(now_ms);
        if !metrics.counts.contains_key(topic) {
            metrics.counts.insert(topic.to_owned(), Default::default());
        }
        if let Some(metric) = metrics.counts.get_mut(topic) {
            metric.count += change;
            metric.changed_ms = now_ms;
        }
    }

    /// Forgets the count of a topic that was deleted.
    pub(crate) fn topic_deleted(&self, topic: &str) {
        self.metrics.lock().counts.remove(topic);
    }

    /// Nothing waits: counts that a crash left wrong are right again.
    fn nothing_waits(&self, now_ms: i64) {
        let mut metrics = self.metrics.lock();
        let mut changed = false;
        for metric in metrics.counts.values_mut().filter(|one| one.count != 0) {
            (metric.count, metric.changed_ms) = (0, now_ms);
            changed = true;
        }
        if changed {
            metrics.data_version.advance(now_ms);
        }
    }

    /// How many messages wait on the wheel.
    #[must_use]
    pub(crate) fn waiting(&self) -> i64 {
        self.live.lock().values().map(|num| i64::from(*num)).sum()
    }

    /// The time (ms since the epoch) of the first slot that has a message.
    #[must_use]
    pub(crate) fn first_ms(&self, tick_ms: i64) -> Option<i64> {
        self.live.lock().keys().next().map(|tick| tick * tick_ms)
    }

    /// The first message of the wheel's topic that is not on the wheel yet.
    #[must_use]
    pub(crate) fn next_offset(&self) -> i64 {
        self.next.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
