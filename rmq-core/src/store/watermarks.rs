//! How far the log has come.

use std::sync::atomic::{AtomicI64, Ordering};

use super::options::FlushMode;

/// Whether senders wait for slaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// Nobody waits for a slave.
    NotAwaited,
    /// Enough slaves keep up: what they hold is promised to senders and shown to consumers.
    InSync,
    /// Senders should wait, but fewer slaves keep up than they should wait for. Consumers see what
    /// this store alone holds.
    Unavailable,
}

/// `visible_limit` while no slave holds consumers back.
const NO_LIMIT: i64 = i64::MAX;

/// Log offsets that only move forward. A record counts as appended, flushed, replicated, promised
/// or safe when its end is at or below the mark.
#[derive(Debug)]
pub struct Watermarks {
    mode: FlushMode,
    await_slaves: bool,
    appended: AtomicI64,
    flushed: AtomicI64,
    /// Store timestamp of the last record at or before `appended`, ms.
    appended_ms: AtomicI64,
    /// What enough slaves hold.
    replicated: AtomicI64,
    /// What consumers may see as far as slaves are concerned: `NO_LIMIT` unless enough are in
    /// sync; then what is replicated, but never below what was seen before.
    visible_limit: AtomicI64,
}

impl Watermarks {
    pub(super) fn new(
        mode: FlushMode,
        await_slaves: bool,
        offset: i64,
        last_store_ms: i64,
    ) -> Self {
        Self {
            mode,
            await_slaves,
            appended: AtomicI64::new(offset),
            flushed: AtomicI64::new(offset),
            appended_ms: AtomicI64::new(last_store_ms),
            replicated: AtomicI64::new(0),
            visible_limit: AtomicI64::new(NO_LIMIT),
        }
    }

    /// End of the last record in the log.
    #[must_use]
    pub fn appended(&self) -> i64 {
        self.appended.load(Ordering::Acquire)
    }

    /// What is below is durable.
    #[must_use]
    pub fn flushed(&self) -> i64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// What this store alone can promise: what is flushed under SYNC_FLUSH, else what is appended.
    #[must_use]
    pub fn local(&self) -> i64 {
        match self.mode {
            FlushMode::Async => self.appended(),
            FlushMode::Sync => self.flushed(),
        }
    }

    /// What as many slaves hold as senders wait for. 0 before any did.
    #[must_use]
    pub fn replicated(&self) -> i64 {
        self.replicated.load(Ordering::Acquire)
    }

    /// What is below may be promised to senders: it is stored as safely as was configured.
    #[must_use]
    pub fn promised(&self) -> i64 {
        match self.await_slaves {
            true => self.local().min(self.replicated()),
            false => self.local(),
        }
    }

    /// What is below may be shown to consumers: what is promised, but a slave that does not keep up
    /// holds nobody back.
    #[must_use]
    pub fn safe(&self) -> i64 {
        // In this order: a limit that is set after the first load is not below what was loaded.
        let local = self.local();
        local.min(self.visible_limit.load(Ordering::SeqCst))
    }

    /// Whether senders wait for slaves, and whether there are enough.
    #[must_use]
    pub fn replication(&self) -> Replication {
        if !self.await_slaves {
            Replication::NotAwaited
        } else if self.visible_limit.load(Ordering::SeqCst) == NO_LIMIT {
            Replication::Unavailable
        } else {
            Replication::InSync
        }
    }

    /// The end of the log, and the store timestamp of a record that is not after it.
    pub(super) fn appended_with_time(&self) -> (i64, i64) {
        let time = self.appended_ms.load(Ordering::Acquire);
        (self.appended(), time)
    }

    pub(super) fn set_appended(&self, offset: i64, last_store_ms: i64) {
        self.appended.store(offset, Ordering::SeqCst);
        self.appended_ms.store(last_store_ms, Ordering::Release);
    }

    pub(super) fn set_flushed(&self, offset: i64) {
        self.flushed.fetch_max(offset, Ordering::AcqRel);
    }

    /// Takes note of what enough slaves hold. True when it moved.
    pub(super) fn set_replicated(&self, offset: i64) -> bool {
        let before = self.replicated.fetch_max(offset, Ordering::SeqCst);
        // A failed exchange saw another value; one that needs no change ends the loop.
        let _ = self
            .visible_limit
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |limit| {
                (limit != NO_LIMIT && limit < offset).then_some(offset)
            });
        before < offset
    }

    /// Lets consumers wait for slaves, or stops that. `end`: the end of the log, which does not
    /// move meanwhile; all before it may have been seen.
    pub(super) fn set_in_sync(&self, in_sync: bool, end: i64) {
        let limit = match in_sync && self.await_slaves {
            true => self.replicated().max(end),
            false => NO_LIMIT,
        };
        self.visible_limit.store(limit, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_wait_for_slaves_and_consumers_only_while_these_keep_up() {
        let marks = Watermarks::new(FlushMode::Async, true, 100, 0);
        assert_eq!(marks.replication(), Replication::Unavailable);
        assert_eq!((marks.promised(), marks.safe()), (0, 100));
        marks.set_in_sync(true, 100);
        marks.set_appended(300, 0);
        // What was seen stays seen.
        assert_eq!((marks.promised(), marks.safe()), (0, 100));
        assert!(marks.set_replicated(200));
        assert!(!marks.set_replicated(150));
        assert_eq!((marks.promised(), marks.safe()), (200, 200));
        marks.set_in_sync(false, 300);
        assert_eq!(marks.replication(), Replication::Unavailable);
        assert_eq!((marks.promised(), marks.safe()), (200, 300));
        marks.set_appended(400, 0);
        marks.set_replicated(350);
        assert_eq!((marks.promised(), marks.safe()), (350, 400));
        marks.set_in_sync(true, 400);
        assert_eq!((marks.promised(), marks.safe()), (350, 400));
        assert_eq!(marks.replication(), Replication::InSync);
    }

    #[test]
    fn both_the_disk_and_the_slaves_are_waited_for() {
        let marks = Watermarks::new(FlushMode::Sync, true, 0, 0);
        marks.set_in_sync(true, 0);
        marks.set_appended(300, 0);
        marks.set_replicated(300);
        assert_eq!((marks.promised(), marks.safe()), (0, 0));
        marks.set_flushed(200);
        assert_eq!((marks.promised(), marks.safe()), (200, 200));
    }

    #[test]
    fn without_waiting_slaves_change_nothing() {
        let marks = Watermarks::new(FlushMode::Async, false, 10, 0);
        marks.set_in_sync(true, 10);
        marks.set_replicated(5);
        marks.set_appended(20, 0);
        assert_eq!((marks.promised(), marks.safe()), (20, 20));
        assert_eq!(marks.replication(), Replication::NotAwaited);
    }
}
