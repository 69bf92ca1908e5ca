//! Following the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::files::{Current, name_after};
use super::keys::{KeyHasher, Put};
use super::{Header, Index};
use crate::base::error::{Error, Result};
use crate::protocol::message::record::{CheckLevel, Checked, RecordError, RecordRef};
use crate::store::core::Core;
use crate::store::health;
use crate::store::mmap::LogSlice;

/// Bytes of the log looked at in one step, more only for a longer record.
const CHUNK_LEN: usize = 256 << 10;

/// Bytes of entries kept in memory before they are written.
const TAIL_LEN: usize = 256 << 10;

/// After it caught up the thread lets this long pass before it looks again, so that a busy
/// appender wakes it a hundred times a second and not for each append.
const PAUSE: Duration = Duration::from_millis(10);

/// Pause before something is tried again that there was no space for.
const RETRY: Duration = Duration::from_secs(1);

/// How often the thread looks at the clock when nothing is appended.
const IDLE: Duration = Duration::from_secs(1);

/// How long a store that is closed waits for its index, ms.
const CLOSE_MS: u64 = 2000;

const OP: &str = "store.index.build";

/// Where the index is in the log.
#[derive(Debug, Default)]
pub(super) struct Builder {
    /// Log offset behind what was read; not known before the first step.
    position: Option<i64>,
    /// Keys of the record at `position` that are in a file already.
    skip: usize,
    /// Keys that were read and are not in a file yet, from `done` on.
    pending: Vec<Put>,
    done: usize,
    hasher: KeyHasher,
    /// Log offset at the last time that everything was made durable, and when, monotonic ms.
    durable_at: i64,
    durable_when_ms: Option<u64>,
}

fn record(bytes: &[u8]) -> Option<RecordRef<'_>> {
    match RecordRef::check(bytes, CheckLevel::Bounds) {
        Ok(Checked::Record(record)) => Some(record),
        _ => None,
    }
}

impl Index {
    /// How many of the last entries belong to the record at `offset`.
    fn keys_at(&self, offset: i64) -> Result<usize> {
        let error = self.error(OP);
        let files = self.files.read();
        let mut keys = 0;
        let current = files.current.as_ref().map(|current| Ok(current.reader()));
        let sealed = files.sealed.iter().rev();
        let readers = current
            .into_iter()
            .chain(sealed.map(|file| file.reader(&*self.disk, self.shape)));
        for reader in readers {
            let mut reader = reader.map_err(&error)?;
            for number in (1..reader.header().count).rev() {
                if reader.entry(number).map_err(&error)?.offset != offset {
                    return Ok(keys);
                }
                keys += 1;
            }
        }
        Ok(keys)
    }

    /// Puts pending keys into the current file until it is full. False when it is, or when there
    /// is none.
    fn put_pending(&self, builder: &mut Builder) -> Result<bool> {
        let mut files = self.files.write();
        let Some(current) = &mut files.current else {
            return Ok(false);
        };
        while let Some(put) = builder.pending.get(builder.done) {
            if current.is_full() {
                return Ok(false);
            }
            current.put(put).map_err(self.error(OP))?;
            builder.done += 1;
        }
        builder.pending.clear();
        builder.done = 0;
        Ok(true)
    }

    /// Writes entries to the file when there are many in memory.
    fn write_tail(&self) -> Result<()> {
        {
            let files = self.files.read();
            match &files.current {
                Some(current) if current.tail_len() >= TAIL_LEN => {
                    current.write_tail().map_err(self.error(OP))?;
                }
                _ => return Ok(()),
            }
        }
        if let Some(current) = &mut self.files.write().current {
            current.tail_written();
        }
        Ok(())
    }

    fn with_current(&self, work: impl FnOnce(&Current) -> std::io::Result<()>) -> Result<()> {
        match &self.files.read().current {
            Some(current) => work(current).map_err(self.error(OP)),
            None => Ok(()),
        }
    }

    fn last_header(&self) -> Option<Header> {
        self.files.read().last_header().copied()
    }
}

impl Core {
    /// Indexes what was appended, all of it unless `stop` says so. One caller at a time works.
    pub(in crate::store) fn index_all(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        if !self.index.options.build {
            return Ok(());
        }
        let mut builder = self.index.builder.lock();
        while !stop() && self.index_step(&mut builder)? {}
        Ok(())
    }

    /// Makes durable what is indexed.
    pub(in crate::store) fn flush_index(&self) -> Result<()> {
        self.flush_built(&mut self.index.builder.lock())
    }

    /// Before the store is closed: indexes what is left, if that does not take long, and makes it
    /// durable.
    pub(in crate::store) fn finish_index(&self) -> Result<()> {
        if !self.index.options.build {
            return Ok(());
        }
        let until_ms = self.clock.monotonic_ms().saturating_add(CLOSE_MS);
        self.index_all(&|| self.clock.monotonic_ms() > until_ms)?;
        let behind = self.marks.appended() - self.index.indexed();
        if behind > 0 {
            tracing::warn!(behind, "closed before the index had caught up with the log");
        }
        self.flush_index()
    }

    /// Indexes a piece of the log. False when there is nothing more.
    fn index_step(&self, builder: &mut Builder) -> Result<bool> {
        self.index.check_failed()?;
        let step = self.try_index_step(builder);
        step.inspect_err(|error| self.index_failed(error))
    }

    fn try_index_step(&self, builder: &mut Builder) -> Result<bool> {
        // First, so that without space no more than this stays in memory.
        self.index.write_tail()?;
        let position = match builder.position {
            Some(position) => position,
            None => self.find_index_start(builder)?,
        };
        if builder.pending.is_empty() && !self.read_keys(builder, position) {
            return Ok(false);
        }
        // A record without keys needs no file.
        while !builder.pending.is_empty() && !self.index.put_pending(builder)? {
            self.next_index_file(builder)?;
        }
        let position = builder.position.unwrap_or(position);
        self.index.indexed.store(position, Ordering::Release);
        Ok(true)
    }

    /// What a failure means: without space the same is tried again, otherwise nothing is any more.
    fn index_failed(&self, error: &Error) {
        if !health::is_shortage(error.kind()) && !self.index.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "messages are not indexed until the store is opened again");
        }
    }

    /// Where the files end: at the last record that they have keys of, which may lack some.
    fn find_index_start(&self, builder: &mut Builder) -> Result<i64> {
        let log_min = self.log.min_offset();
        let last = self.index.last_header();
        let mut start = log_min;
        if let Some(last) = last.filter(|last| last.end_offset >= log_min) {
            let chunk = self.log.slice(last.end_offset, usize::MAX);
            let borne_out = chunk.as_deref().and_then(record).is_some_and(|record| {
                record.physical_offset() == last.end_offset
                    && record.store_timestamp_ms() == last.end_ms
            });
            if borne_out {
                start = last.end_offset;
                builder.skip = self.index.keys_at(start)?;
            } else {
                tracing::warn!("the log does not bear out the index: it is built anew");
                self.index.remove_all().map_err(self.index.error(OP))?;
            }
        }
        let end = self.marks.appended();
        if start < end {
            tracing::info!(from = start, to = end, "indexing the log");
        }
        builder.position = Some(start);
        builder.durable_at = start;
        self.index.indexed.store(start, Ordering::Release);
        Ok(start)
    }

    /// Reads the keys of the records from `position` on, and moves it. False when there are no
    /// records.
    fn read_keys(&self, builder: &mut Builder, position: i64) -> bool {
        let log_min = self.log.min_offset();
        if position < log_min {
            builder.skip = 0;
        }
        let position = position.max(log_min);
        let Some(chunk) = self.chunk(position, CHUNK_LEN) else {
            return false;
        };
        let len = match self.keys_of(builder, position, &chunk) {
            // The first record alone is longer.
            Err(RecordError::Truncated { need, .. }) if need > chunk.len() => self
                .chunk(position, need)
                .and_then(|chunk| self.keys_of(builder, position, &chunk).ok()),
            other => other.ok(),
        };
        let segments = self.log.segments();
        let next_file = segments.base_of(position) + segments.segment_bytes() as i64;
        builder.position = Some(match len.filter(|&len| len > 0) {
            Some(len) => position + len as i64,
            // A blank, or what is too short for one; anything else is damage.
            None => next_file,
        });
        true
    }

    /// The log from `position` on.
    fn chunk(&self, position: i64, len: usize) -> Option<LogSlice> {
        let chunk = self.log.slice(position, len)?;
        // What was there before the store was opened may have to be read from the disk, which
        // goes faster in one piece.
        if position < self.opened_at {
            chunk.populate();
        }
        Some(chunk)
    }

    /// Adds the keys of the whole records in `chunk`; returns their length. An error: the first
    /// of them is none.
    fn keys_of(
        &self,
        builder: &mut Builder,
        position: i64,
        chunk: &[u8],
    ) -> Result<usize, RecordError> {
        let tags = self.index.options.tags;
        let mut at = 0;
        loop {
            let record = match RecordRef::check(&chunk[at..], CheckLevel::Bounds) {
                Ok(Checked::Record(record)) => record,
                Ok(Checked::Blank { .. } | Checked::End) => return Ok(at),
                Err(_) if at > 0 => return Ok(at),
                Err(error) => {
                    let cut = matches!(error, RecordError::Truncated { .. });
                    if !cut {
                        tracing::error!(position, %error, "no record: its file is not indexed");
                    }
                    return Err(error);
                }
            };
            if record.physical_offset() != position + at as i64 {
                tracing::error!(
                    ?record,
                    position,
                    "a record of another place is not indexed"
                );
                return Ok(at);
            }
            let skip = std::mem::take(&mut builder.skip);
            let pending = &mut builder.pending;
            builder.hasher.keys_of(&record, tags, skip, pending);
            at += record.len();
        }
    }

    /// Makes the current file durable, if there is one, and begins the next.
    fn next_index_file(&self, builder: &mut Builder) -> Result<()> {
        self.flush_built(builder)?;
        let index = &self.index;
        let (name, previous) = {
            let mut files = index.files.write();
            if let Some(full) = files.current.take() {
                files.sealed.push(Arc::new(full.into_sealed()));
            }
            let name = name_after(files.last_name(), self.clock.wall_ms());
            (name, files.last_header().copied())
        };
        let (disk, dir) = (&*index.disk, &index.dir);
        let current = Current::create(disk, dir, name, index.shape, previous.as_ref())
            .map_err(index.error("store.index.create"))?;
        index.files.write().current = Some(current);
        Ok(())
    }

    /// Makes the current file durable, then says so in the checkpoint.
    fn flush_built(&self, builder: &mut Builder) -> Result<()> {
        let index = &self.index;
        index.check_failed()?;
        let flush = || -> Result<()> {
            let Some(header) = index.last_header() else {
                return Ok(());
            };
            let files = index.files.read();
            if !files.current.as_ref().is_some_and(Current::is_dirty) {
                return Ok(());
            }
            drop(files);
            // The index must not know records that a loss of power would take from the log.
            if self.marks.flushed() < builder.position.unwrap_or(0) {
                self.flush_log()?;
            }
            // From its header on the file has to be newer than the checkpoint until it is whole.
            if header.end_ms <= self.index_time_ms() {
                self.note_index_time(header.end_ms - 1)?;
            }
            index.with_current(Current::write_counted)?;
            index.with_current(Current::write_slots)?;
            if let Some(current) = &mut index.files.write().current {
                current.all_written();
            }
            self.note_index_time(header.end_ms)
        };
        flush().inspect_err(|error| self.index_failed(error))?;
        builder.durable_at = builder.position.unwrap_or(0);
        builder.durable_when_ms = Some(self.clock.monotonic_ms());
        Ok(())
    }

    /// Makes durable what is indexed, when it is time.
    fn flush_index_when_due(&self) -> Result<()> {
        let options = &self.options;
        let mut builder = self.index.builder.lock();
        let now_ms = self.clock.monotonic_ms();
        let since_ms = *builder.durable_when_ms.get_or_insert(now_ms);
        let grown = builder.position.unwrap_or(0) - builder.durable_at;
        let due_ms = since_ms.saturating_add(options.queue_flush_thorough_interval_ms);
        if grown >= i64::try_from(options.checkpoint_log_bytes).unwrap_or(i64::MAX)
            || grown > 0 && now_ms >= due_ms
        {
            self.flush_built(&mut builder)?;
        }
        Ok(())
    }

    /// Follows the log to its end. False when the thread should end.
    fn index_round(&self) -> Result<bool> {
        let bell = &self.index.bell;
        loop {
            let more = {
                let mut builder = self.index.builder.lock();
                self.index_step(&mut builder)?
            };
            self.flush_index_when_due()?;
            if bell.is_stopped() {
                return Ok(false);
            }
            if !more {
                return Ok(true);
            }
        }
    }
}

/// Indexes what is appended, from a while behind.
pub(in crate::store) fn index_thread(core: &Core) {
    let bell = &core.index.bell;
    let mut short = false;
    // What an earlier run left is begun with at once.
    bell.ring();
    while core.index.options.build && bell.wait(IDLE) {
        let pause = match core.index_round() {
            Ok(false) => return,
            Ok(true) => {
                if std::mem::take(&mut short) {
                    tracing::info!("messages are indexed again");
                }
                PAUSE
            }
            Err(error) if health::is_shortage(error.kind()) => {
                if !std::mem::replace(&mut short, true) {
                    tracing::warn!(%error, "no space for the index: it stays behind");
                }
                RETRY
            }
            Err(_) => return,
        };
        if !bell.pause(pause) {
            return;
        }
    }
}
