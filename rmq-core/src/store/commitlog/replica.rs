//! A slave's end of the log: bytes that another broker placed.

use std::sync::atomic::Ordering;

use super::{AppendError, CommitLog};
use crate::base::error::{Error, ErrorKind, Result};
use crate::store::mmap::LogSlice;
use crate::store::options::FlushMode;

impl CommitLog {
    /// At most `max` bytes from log offset `offset`, of one file, none behind the last record.
    pub(in crate::store) fn slice(&self, offset: i64, max: usize) -> Option<LogSlice> {
        let segment = self.segments.find(offset)?;
        let end = self.marks.appended().min(segment.end());
        let len = usize::try_from(end.checked_sub(offset)?).ok()?.min(max);
        if len == 0 {
            return None;
        }
        segment.slice(offset, len)
    }

    /// Bytes from the end of the log to the end of its file; the whole file when none is begun.
    /// Only for the one who appends.
    pub(in crate::store) fn room(&self) -> usize {
        let end = self.marks.appended();
        let into_file = usize::try_from(end - self.segments.base_of(end)).unwrap_or(0);
        self.segments.segment_bytes() - into_file
    }

    /// Puts `bytes`, records that belong just there and fit into the file, at the end of the log.
    pub(in crate::store) fn append_raw(
        &self,
        bytes: &[u8],
        last_store_ms: Option<i64>,
    ) -> Result<(), AppendError> {
        let mut tail = self.tail.lock();
        self.health.check()?;
        if tail
            .open
            .as_ref()
            .is_none_or(|open| open.writer.remaining() == 0)
        {
            self.roll(&mut tail)?;
        }
        let Some(open) = &mut tail.open else {
            return Err(AppendError::Store(ErrorKind::DiskFull));
        };
        let Some(target) = open.writer.reserve(bytes.len()) else {
            return Err(AppendError::TooLarge);
        };
        target.copy_from_slice(bytes);
        open.writer.publish(bytes.len());
        tail.end += bytes.len() as i64;
        tail.last_store_ms = last_store_ms.unwrap_or(tail.last_store_ms);
        self.marks.set_appended(tail.end, tail.last_store_ms);
        let wanted = self.wants_allocation(&tail);
        drop(tail);
        if self.mode == FlushMode::Sync {
            self.flush_bell.ring();
        }
        if wanted {
            self.allocate_bell.ring();
        }
        Ok(())
    }

    /// Lets a log that holds nothing begin at `offset`.
    pub(in crate::store) fn begin_at(&self, offset: i64) -> Result<()> {
        let refuse = |context| {
            Err(Error::new(
                ErrorKind::Invalid,
                "store.replica.begin",
                context,
            ))
        };
        let mut tail = self.tail.lock();
        if tail.open.is_some() || self.segments.count() > 0 {
            return refuse("the log is not empty".to_owned());
        }
        if offset < 0 || offset != self.segments.base_of(offset) {
            let len = self.segments.segment_bytes();
            return refuse(format!(
                "the log would begin at {offset}, but files of {len} bytes begin at multiples of \
                 that: mappedFileSizeCommitLog has to be as at the master"
            ));
        }
        tail.end = offset;
        let mut ahead = self.ahead.lock();
        // A first file that was made ahead lies at the wrong place, and none may come there later.
        self.has_ahead.store(false, Ordering::Relaxed);
        if let Some(next) = ahead.next.take() {
            self.segments.remove_file(next.segment.base())?;
        }
        ahead.made_to = offset;
        self.marks.set_appended(offset, tail.last_store_ms);
        self.marks.set_flushed(offset);
        Ok(())
    }
}
