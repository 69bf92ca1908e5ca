//! The state of transactions at a start, from the two queues.
//!
//! A broker that was killed, and Apache's broker at any time, may have delivered a message without
//! listing its half message as over. Such a message lies behind its half message, so for each
//! transaction that seems open the queue of its message is read back to there. That is not far: a
//! half message that nobody ends is put back every half minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{Facts, Progress};
use super::ended::Outcome;
use super::engine::Engine;
use super::message::{self, Half};
use crate::base::clock::Now;
use crate::protocol::message::record::{CheckLevel, Checked, RecordRef};
use crate::store::{Entry, Queue, Store};

/// Messages of a queue that are looked at. Few half messages are older than that many others, those
/// whose producers wanted to be left alone; what is missed of them was missed by a broker that was
/// killed long ago.
const LOOK_BACK_MAX: i64 = 1 << 20;

/// Entries of a queue read at a time.
const READ_ENTRIES: usize = 256;

/// Where the transactions of a broker go on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    /// Where the queue of half messages is to be read from.
    pub(crate) half: Option<i64>,
    /// The same of the queue that lists those which are over.
    pub(crate) over: Option<i64>,
}

impl Engine {
    /// Reads the state of all transactions.
    #[must_use]
    pub(crate) fn load(
        store: Arc<Store>,
        stored: Stored,
        check_interval_ms: u64,
        now: Now,
    ) -> Self {
        let place = |queue: &Queue, stored: Option<i64>| {
            let (min, next) = (queue.min_offset(), queue.next_offset());
            stored.unwrap_or(min).min(next).max(min)
        };
        let mut engine = Self::new(store, now.monotonic_ms + check_interval_ms);
        let progress = Progress {
            half: place(&engine.half_queue, stored.half),
            over: place(&engine.over_queue, stored.over),
        };
        let published = Progress {
            half: stored.half.unwrap_or(progress.half),
            over: stored.over.unwrap_or(progress.over),
        };
        engine.start_at(progress, published);
        engine.load_lists(progress.over);
        let open = engine.load_halves(progress.half);
        engine.load_delivered(&open);
        engine.book.loaded();
        let open = open.len();
        tracing::debug!(?progress, open, "transactions loaded");
        engine
    }

    fn load_lists(&mut self, from: i64) {
        let queue = Arc::clone(&self.over_queue);
        let end = queue.next_offset();
        for_entries(&queue, from, end, |offset, entry| {
            let slice = self.record_at(entry.offset);
            if let Some(record) = slice.as_deref().and_then(read) {
                self.book.load_list(offset, message::over_offsets(&record));
            }
        });
    }

    /// Returns the half messages that are not over, by where they lie in the log.
    fn load_halves(&mut self, from: i64) -> BTreeMap<i64, OpenHalf> {
        let queue = Arc::clone(&self.half_queue);
        let end = queue.next_offset();
        let mut open = BTreeMap::new();
        let mut at = self.book.first_open(from);
        while at < end {
            let entry = queue.entry(at);
            let slice = entry.and_then(|entry| self.record_at(entry.offset));
            if let Some(half) = slice.as_deref().and_then(Half::read) {
                self.book.load_half(&half.facts);
                let destination = half.destination();
                open.insert(
                    half.physical_offset(),
                    OpenHalf {
                        facts: half.facts,
                        destination: destination.map(|(topic, id)| (topic.to_owned(), id)),
                    },
                );
            }
            at = self.book.first_open(at + 1);
        }
        open
    }

    /// Ends transactions whose message was delivered already.
    fn load_delivered(&mut self, open: &BTreeMap<i64, OpenHalf>) {
        // Of each queue the half message that lies first in the log.
        let mut queues: BTreeMap<&(String, i32), i64> = BTreeMap::new();
        for (physical_offset, half) in open {
            if let Some(destination) = &half.destination
                && self.book.current(&half.facts).is_ok()
            {
                queues.entry(destination).or_insert(*physical_offset);
            }
        }
        for ((topic, queue_id), behind) in queues {
            let Some(queue) = self.store.find_queue(topic, *queue_id) else {
                continue;
            };
            for prepared_offset in self.delivered(&queue, behind) {
                let facts = open.get(&prepared_offset).map(|half| half.facts);
                // One that was put back since is not among the open ones any more.
                let facts = facts.or_else(|| {
                    let slice = self.record_at(prepared_offset)?;
                    Some(Half::read(&slice)?.facts)
                });
                if let Some(facts) = facts
                    && let Ok(ending) = self.book.end(&facts, Outcome::Committed)
                {
                    tracing::info!(
                        offset = ending.origin,
                        topic,
                        "a transaction was committed just before the last stop"
                    );
                    self.owed.extend(ending.offsets());
                }
            }
        }
    }

    /// The half messages whose messages lie in a queue, behind a place of the log.
    fn delivered(&self, queue: &Queue, behind: i64) -> Vec<i64> {
        let mut found = Vec::new();
        let mut end = queue.next_offset();
        let first = queue.min_offset().max(end - LOOK_BACK_MAX);
        while end > first {
            let from = (end - READ_ENTRIES as i64).max(first);
            let mut reached = false;
            for_entries(queue, from, end, |_, entry| {
                if entry.offset < behind {
                    reached = true;
                    return;
                }
                let slice = self.record_at(entry.offset);
                let record = slice.as_deref().and_then(read);
                found.extend(record.and_then(|record| message::prepared_offset(&record)));
            });
            if reached {
                break;
            }
            end = from;
        }
        found
    }
}

/// A half message that is not over.
struct OpenHalf {
    facts: Facts,
    /// Where its message goes.
    destination: Option<(String, i32)>,
}

fn read(slice: &[u8]) -> Option<RecordRef<'_>> {
    match RecordRef::check(slice, CheckLevel::Exact) {
        Ok(Checked::Record(record)) => Some(record),
        _ => None,
    }
}

/// Calls `each` with the entries of a queue that can be read, and their offsets.
fn for_entries(queue: &Queue, from: i64, end: i64, mut each: impl FnMut(i64, &Entry)) {
    let mut at = from;
    let mut entries = Vec::new();
    while at < end {
        entries.clear();
        let count = usize::try_from(end - at).unwrap_or(0).min(READ_ENTRIES);
        if let Err(error) = queue.entries(at, count, &mut entries) {
            tracing::warn!(?queue, at, %error, "cannot read queue entries");
        }
        if entries.is_empty() {
            // What cannot be read is passed over.
            at += 1;
            continue;
        }
        for entry in &entries {
            each(at, entry);
            at += 1;
        }
    }
}
