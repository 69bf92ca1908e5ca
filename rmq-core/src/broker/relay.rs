//! Messages that a thread of the broker appends to their own topics when they are due: what the
//! threads of delayed and of timed messages share.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::ErrorKind;
use crate::broker::shared::Shared;
use crate::protocol::message::properties::{self, PropertiesBuilder, PropertyError, names};
use crate::protocol::message::record::{RecordLimits, StageOptions};
use crate::store::{AppendBatch, AppendError, LogSlice, Queue, Store};

/// Messages moved with one take of the append lock.
pub(crate) const BATCH_MAX: usize = 128;

/// Bytes moved with one take of the append lock, but for a message that is longer.
const BATCH_MAX_BYTES: usize = 512 * 1024;

/// How the records are staged: what was taken once is not refused because a limit was lowered
/// meanwhile.
pub(crate) fn stage_options(shared: &Shared) -> StageOptions {
    StageOptions {
        limits: RecordLimits::new(usize::MAX),
        ..shared.store.options().stage_options()
    }
}

/// The properties of a message for `queue_id` of `topic` while it waits: without those of
/// `replaced`, and with one that says for how long.
pub(crate) fn waiting_properties(
    text: &[u8],
    replaced: &[&str],
    (name, value): (&str, &str),
    (topic, queue_id): (&str, i32),
) -> Result<Vec<u8>, PropertyError> {
    let mut kept = Vec::with_capacity(text.len() + topic.len() + 64);
    properties::remove_all(text, replaced, &mut kept);
    let mut waiting = PropertiesBuilder::from_text(&kept);
    waiting
        .push(name, value)?
        .push(names::REAL_TOPIC, topic)?
        .push(names::REAL_QUEUE_ID, &queue_id.to_string())?;
    Ok(waiting.into_bytes())
}

/// The records at these offsets of the log, as many of the first as make a batch; `None` for one
/// that the log no longer has.
pub(crate) fn read_batch(
    store: &Store,
    offsets: impl ExactSizeIterator<Item = i64>,
) -> Vec<Option<LogSlice>> {
    let mut records: Vec<Option<LogSlice>> = Vec::with_capacity(offsets.len());
    let mut bytes = 0;
    for offset in offsets {
        let record = store.message_at(offset);
        bytes += record.as_ref().map_or(0, LogSlice::len);
        if bytes > BATCH_MAX_BYTES && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    records
}

/// What became of the messages that were to be moved.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// The first ones of them are done with.
    pub(crate) count: usize,
    /// End of the last record stored for them.
    pub(crate) log_end: Option<i64>,
    /// Why the one behind them is not.
    pub(crate) failure: Option<AppendError>,
}

impl Moved {
    /// What became of the messages of which `staged` tells whether they are in the batch.
    pub(crate) fn of(staged: &[bool], batch: &AppendBatch<'_>) -> Self {
        let mut moved = Self::default();
        let mut results = batch.results().iter();
        for &staged in staged {
            if staged {
                match results.next() {
                    Some(Ok(appended)) => moved.log_end = Some(appended.end()),
                    Some(Err(error)) if can_be_retried(error) => {
                        moved.failure = Some(error.clone());
                        break;
                    }
                    Some(Err(error)) => {
                        tracing::error!(%error, "a message that is due is passed over");
                    }
                    None => break,
                }
            }
            moved.count += 1;
        }
        moved
    }
}

/// Whether a later try can succeed.
fn can_be_retried(error: &AppendError) -> bool {
    match error {
        AppendError::TooLarge | AppendError::Illegal(_) => false,
        AppendError::Store(kind) => *kind != ErrorKind::Invalid,
    }
}

/// A queue that got messages which consumers may not see yet.
#[derive(Debug)]
struct News {
    log_end: i64,
    queue: Arc<Queue>,
}

/// What held pulls are to be told when it can be seen.
#[derive(Debug, Default)]
pub(crate) struct Tidings(VecDeque<News>);

impl Tidings {
    /// Whether nothing waits to be told.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts what was appended, and tells held pulls of it or keeps that for later.
    pub(crate) fn tell(
        &mut self,
        shared: &Shared,
        batch: &AppendBatch<'_>,
        targets: &[Arc<Queue>],
    ) {
        let (stats, now_ms) = (&shared.stats, shared.clock.monotonic_ms());
        let mut last: Vec<(&Arc<Queue>, i64)> = Vec::new();
        for (result, queue) in batch.results().iter().zip(targets).rev() {
            let Ok(appended) = result else { continue };
            stats.stored(queue.topic(), 1, appended.len as u64, now_ms);
            // The last one of a queue speaks for those before it.
            if !last.iter().any(|(one, _)| Arc::ptr_eq(one, queue)) {
                last.push((queue, appended.end()));
            }
        }
        let safe = shared.store.watermarks().safe();
        for (queue, log_end) in last.into_iter().rev() {
            if log_end <= safe {
                shared.announce(queue, None);
                continue;
            }
            self.0.push_back(News {
                log_end,
                queue: Arc::clone(queue),
            });
        }
    }

    /// Tells what can be seen now that the log below `safe` is.
    pub(crate) fn became_safe(&mut self, shared: &Shared, safe: i64) {
        while self.0.front().is_some_and(|first| first.log_end <= safe) {
            if let Some(news) = self.0.pop_front() {
                shared.announce(&news.queue, None);
            }
        }
    }
}
