//! Delayed messages: they wait in the schedule topic, one queue for each delay level, and a thread
//! puts each into its own topic when it is due.

pub(crate) mod deliverer;
mod levels;
pub(crate) mod message;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::broker::inbox::Inbox;
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
    /// One word to look is as good as many.
    pub(crate) inbox: Inbox<Infallible>,
    /// A bit for each level whose queue the thread found empty.
    idle: AtomicU64,
    offsets: Mutex<BTreeMap<i32, i64>>,
    changes: AtomicU64,
}

impl Schedule {
    /// Levels with these delays, of which deliveries go on at the offsets of `stored`.
    #[must_use]
    pub(crate) fn new(delays_ms: Vec<i64>, stored: DelayOffsetTable) -> Self {
        Self {
            delays_ms,
            inbox: Inbox::new(1),
            idle: AtomicU64::new(0),
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
            self.inbox.look();
        }
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
