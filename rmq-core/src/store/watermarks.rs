//! How far the log has come.

use std::sync::atomic::{AtomicI64, Ordering};

use super::options::FlushMode;

/// Log offsets that only move forward. A record counts as appended, flushed or safe when its end is
/// at or below the mark.
#[derive(Debug)]
pub struct Watermarks {
    mode: FlushMode,
    appended: AtomicI64,
    flushed: AtomicI64,
    /// Store timestamp of the last record at or before `appended`, ms.
    appended_ms: AtomicI64,
}

impl Watermarks {
    pub(super) fn new(mode: FlushMode, offset: i64, last_store_ms: i64) -> Self {
        Self {
            mode,
            appended: AtomicI64::new(offset),
            flushed: AtomicI64::new(offset),
            appended_ms: AtomicI64::new(last_store_ms),
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

    /// What is below may be promised to senders and shown to consumers.
    #[must_use]
    pub fn safe(&self) -> i64 {
        match self.mode {
            FlushMode::Async => self.appended(),
            FlushMode::Sync => self.flushed(),
        }
    }

    /// The end of the log, and the store timestamp of a record that is not after it.
    pub(super) fn appended_with_time(&self) -> (i64, i64) {
        let time = self.appended_ms.load(Ordering::Acquire);
        (self.appended(), time)
    }

    pub(super) fn set_appended(&self, offset: i64, last_store_ms: i64) {
        self.appended.store(offset, Ordering::Release);
        self.appended_ms.store(last_store_ms, Ordering::Release);
    }

    pub(super) fn set_flushed(&self, offset: i64) {
        self.flushed.fetch_max(offset, Ordering::AcqRel);
    }
}
