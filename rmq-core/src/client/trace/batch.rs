//! Records that wait to travel together.

use std::collections::BTreeSet;
use std::time::Duration;

use super::record::Record;

/// Records wait for others at most this long.
const HOLD: Duration = Duration::from_secs(1);
/// A batch with this many bytes of text travels at once.
const TEXT_BYTES: usize = 64 << 10;
/// A batch with this many bytes of keys travels at once: they are a property, which has a limit.
const KEY_BYTES: usize = 8 << 10;
/// A record with more bytes of keys is found by its message's id alone.
const OWN_KEY_BYTES: usize = 16 << 10;

/// Records on their way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceBatch {
    pub(crate) text: String,
    pub(crate) keys: BTreeSet<String>,
    pub(crate) count: usize,
    key_bytes: usize,
}

/// What is to be done after a record was added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It waits for others.
    Waits,
    /// It waits, as the first one: the batch is to be looked at again after this.
    LookAfter(Duration),
    /// The batch is full.
    Send(TraceBatch),
}

/// Gathers records.
#[derive(Debug)]
pub(crate) struct Batcher {
    waiting: TraceBatch,
    since: Duration,
    max_count: usize,
}

impl Batcher {
    pub(crate) fn new(max_count: usize) -> Self {
        Self {
            waiting: TraceBatch::default(),
            since: Duration::ZERO,
            max_count: max_count.max(1),
        }
    }

    pub(crate) fn add(&mut self, record: &Record, now: Duration) -> Added {
        let batch = &mut self.waiting;
        record.write(&mut batch.text);
        let own_bytes: usize = record.keys().map(|key| key.len() + 1).sum();
        let kept = if own_bytes > OWN_KEY_BYTES {
            1
        } else {
            usize::MAX
        };
        for key in record.keys().take(kept) {
            if !batch.keys.contains(key) {
                batch.key_bytes += key.len() + 1;
                batch.keys.insert(key.to_owned());
            }
        }
        batch.count += 1;
        let full = batch.count >= self.max_count
            || batch.text.len() >= TEXT_BYTES
            || batch.key_bytes >= KEY_BYTES;
        if full {
            return Added::Send(std::mem::take(batch));
        }
        if batch.count == 1 {
            self.since = now;
            return Added::LookAfter(HOLD);
        }
        Added::Waits
    }

    /// What has waited long enough. A batch that began meanwhile has a look of its own.
    pub(crate) fn due(&mut self, now: Duration) -> Option<TraceBatch> {
        let waited = now.saturating_sub(self.since);
        (waited >= HOLD).then(|| self.take()).flatten()
    }

    /// Everything that waits.
    pub(crate) fn take(&mut self) -> Option<TraceBatch> {
        let batch = std::mem::take(&mut self.waiting);
        (batch.count > 0).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Event;
    use super::super::record::tests::record;
    use super::*;

    fn recalled() -> Record {
        record(Event::Recalled { success: true })
    }

    #[test]
    fn batches_end_by_number_time_and_size() {
        let mut batcher = Batcher::new(3);
        let now = Duration::from_secs(5);
        assert_eq!(batcher.add(&recalled(), now), Added::LookAfter(HOLD));
        assert_eq!(batcher.add(&recalled(), now), Added::Waits);
        let Added::Send(batch) = batcher.add(&recalled(), now) else {
            panic!("three are a batch");
        };
        assert_eq!((batch.count, batch.keys.len()), (3, 3));
        assert_eq!(batch.text.matches('\u{2}').count(), 3);
        assert_eq!(batcher.due(now + HOLD), None);
        batcher.add(&recalled(), now);
        assert_eq!(batcher.due(now + HOLD / 2), None);
        assert_eq!(batcher.due(now + HOLD).unwrap().count, 1);
        assert_eq!(batcher.take(), None);

        let mut batcher = Batcher::new(usize::MAX);
        let mut long = recalled();
        long.message.keys = Some("k".repeat(KEY_BYTES));
        assert!(matches!(batcher.add(&long, now), Added::Send(_)));
        long.message.keys = Some("k".repeat(OWN_KEY_BYTES));
        batcher.add(&long, now);
        assert_eq!(batcher.take().unwrap().keys, BTreeSet::from(["ID".into()]));
        long.message.topic = "T".repeat(TEXT_BYTES);
        assert!(matches!(batcher.add(&long, now), Added::Send(_)));
    }
}
