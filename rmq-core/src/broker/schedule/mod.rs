//! Delayed messages: they wait in the schedule topic, one queue for each delay level, and a thread
//! puts each into its own topic when it is due.

pub(crate) mod deliverer;
mod levels;
pub(crate) mod message;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::queue::{self, Popped};
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::offset::DelayOffsetTable;

/// A delay level that a message may wait in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DelayLevel {
    /// Its number, from 1.
    pub(crate) number: i32,
    /// How long a message waits, ms.
    pub(crate) delay_ms: i64,
}

impl DelayLevel {
    /// Its queue of the schedule topic.
    #[must_use]
    pub(crate) fn queue_id(self) -> i32 {
        self.number - 1
    }
}

/// What the delivering thread shares with the others.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Delay of each level, ms; level 1 first.
    delays_ms: Vec<i64>,
    /// A word for the thread to look up from its sleep; one is as good as many.
    bell: queue::Queue<()>,
    /// A bit for each level whose queue the thread found empty.
    idle: AtomicU64,
    /// Whether the thread waits for more of the log to be safe.
    awaits_safety: AtomicBool,
    /// Whether the end is an orderly one.
    finish: AtomicBool,
    offsets: Mutex<BTreeMap<i32, i64>>,
    changes: AtomicU64,
}

impl Schedule {
    /// Levels with these delays, of which deliveries go on at the offsets of `stored`.
    #[must_use]
    pub(crate) fn new(delays_ms: Vec<i64>, stored: DelayOffsetTable) -> Self {
        Self {
            delays_ms,
            bell: queue::Queue::new(1),
            idle: AtomicU64::new(0),
            awaits_safety: AtomicBool::new(false),
            finish: AtomicBool::new(false),
            offsets: Mutex::new(stored.offsets),
            changes: AtomicU64::new(stored.data_version.counter.unsigned_abs()),
        }
    }

    /// The level that a message of property `DELAY` waits in: the last one when there are fewer.
    /// `None` for 0 and less.
    #[must_use]
    pub(crate) fn level(&self, asked: i32) -> Option<DelayLevel> {
        let last = self.delays_ms.len();
        let number = usize::try_from(asked).ok()?.min(last);
        let delay_ms = *self.delays_ms.get(number.checked_sub(1)?)?;
        Some(DelayLevel {
            number: i32::try_from(number).ok()?,
            delay_ms,
        })
    }

    /// Tells that a message was appended to a level. Cheap unless the level was empty.
    pub(crate) fn appended(&self, level: DelayLevel) {
        // The append came before this load, and the thread sets its bit before it looks at the
        // queue: sequential consistency makes one of the two see the other.
        std::sync::atomic::fence(Ordering::SeqCst);
        let bit = 1_u64.checked_shl(level.queue_id().unsigned_abs());
        let bit = bit.unwrap_or_default();
        if self.idle.load(Ordering::SeqCst) & bit != 0 {
            self.idle.fetch_and(!bit, Ordering::SeqCst);
            self.ring();
        }
    }

    /// Tells that more of the log is safe, or that the store's health changed.
    pub(crate) fn on_progress(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.awaits_safety.swap(false, Ordering::SeqCst) {
            self.ring();
        }
    }

    /// Wakes the thread, to look at everything again.
    pub(crate) fn ring(&self) {
        // Full: it was rung already.
        let _ = self.bell.try_push(());
    }

    /// Sleeps until the bell is rung. False when the thread is to end.
    fn sleep(&self, ms: Option<u64>) -> bool {
        match ms {
            Some(ms) => self.bell.pop_timeout(Duration::from_millis(ms)) != Popped::Closed,
            None => self.bell.pop().is_some(),
        }
    }

    /// Ends the thread: after everything that it delivered is durable and noted with `finish`, else
    /// as a crash would.
    pub(crate) fn close(&self, finish: bool) {
        self.finish.store(finish, Ordering::Release);
        self.bell.close();
    }

    /// Moves with every change of the offsets.
    #[must_use]
    pub(crate) fn version(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The offsets up to which messages were delivered for good, by level: `delayOffset.json`.
    #[must_use]
    pub(crate) fn table(&self, now_ms: i64) -> DelayOffsetTable {
        DelayOffsetTable {
            data_version: DataVersion {
                counter: i64::try_from(self.version()).unwrap_or(i64::MAX),
                state_version: 0,
                timestamp_ms: now_ms,
            },
            offsets: self.offsets.lock().clone(),
        }
    }
}

#[cfg(test)]
mod tests;
