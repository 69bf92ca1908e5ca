//! Making the log durable.

use std::sync::atomic::Ordering;

use super::CommitLog;
use crate::base::error::{Error, ErrorKind, Result};
use crate::store::disk::PAGE_BYTES;

impl CommitLog {
    /// Makes everything durable that was appended before the call, and moves the flushed mark
    /// there. Returns whether it moved.
    ///
    /// After a failure the store is read-only: what the system still holds in memory may be lost
    /// without another sync telling so.
    pub(in crate::store) fn flush(&self) -> Result<bool> {
        let _one_at_a_time = self.flushing.lock();
        if self.health.is_read_only() {
            let context = "after an earlier failure";
            return Err(Error::new(ErrorKind::ReadOnly, "store.flush", context));
        }
        let (target, last_store_ms) = self.marks.appended_with_time();
        let flushed = self.marks.flushed();
        if target <= flushed {
            return Ok(false);
        }
        for segment in self.segments.all() {
            if segment.end() > flushed
                && segment.base() < target
                && let Err(e) = segment.sync()
            {
                let error = Error::io("store.flush", segment.path().display().to_string(), e);
                self.health.set_read_only(error.to_string());
                return Err(error);
            }
        }
        self.marks.set_flushed(target);
        self.flushed_ms.store(last_store_ms, Ordering::Release);
        Ok(true)
    }

    /// Pages of 4096 bytes that are not durable.
    pub(in crate::store) fn dirty_pages(&self) -> u64 {
        let page = PAGE_BYTES as i64;
        let pages = self.marks.appended() / page - self.marks.flushed() / page;
        pages.unsigned_abs()
    }
}
