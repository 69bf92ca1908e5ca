//! Consume queues: for each message of a queue, where it lies in the commit log.
//!
//! New entries are kept in memory and written to the files later, so appending never waits for a
//! disk and a full disk is an error and not a signal. Files can always be made again from the log.

pub(super) mod entry;
pub(super) mod files;
pub(super) mod table;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use parking_lot::Mutex;

pub use entry::{ENTRY_BYTES, Entry};
pub(super) use files::QueueFiles;
pub(super) use table::QueueTable;

use super::watermarks::Watermarks;
use files::decode_entries;

/// A queue of a topic. All methods may be called from any thread.
pub struct Queue {
    topic: Arc<str>,
    queue_id: i32,
    /// Tells this queue from an earlier one of the same name.
    handle: u64,
    dir: PathBuf,
    files: Arc<QueueFiles>,
    marks: Arc<Watermarks>,
    /// Offset of the next message.
    next: AtomicI64,
    /// Log offset behind the last message.
    last_end: AtomicI64,
    /// Offset of the first message that is still in the log.
    min: AtomicI64,
    deleted: AtomicBool,
    state: Mutex<State>,
    /// Number of pulls that wait for a message; kept by the broker.
    pub waiters: AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    /// The entries from `cached_from` on to the end of the queue.
    entries: VecDeque<Entry>,
    cached_from: i64,
    /// Entries below are in the files.
    written: i64,
    /// The last entry in the files.
    last_written: Option<Entry>,
    /// Number of the first file; `None` when there are no files.
    first_file: Option<i64>,
    /// Files with entries that are not durable.
    dirty: BTreeSet<i64>,
    /// Files were made or removed, and the directory does not know durably.
    dir_dirty: bool,
    /// Appended to since the last write.
    busy: bool,
    /// In the table's list of queues that have to be looked at.
    active: bool,
}

/// How far a queue is in its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// Offset behind the last entry in the files.
    pub next: i64,
    /// That last entry; `None` when the files have none.
    pub last: Option<Entry>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("topic", &self.topic)
            .field("queue_id", &self.queue_id)
            .field("min", &self.min)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(
        topic: Arc<str>,
        queue_id: i32,
        files: Arc<QueueFiles>,
        marks: Arc<Watermarks>,
    ) -> Self {
        Self {
            dir: files.dir(&topic, queue_id),
            topic,
            queue_id,
            handle: files.new_id(),
            files,
            marks,
            next: AtomicI64::new(0),
            last_end: AtomicI64::new(0),
            min: AtomicI64::new(0),
            deleted: AtomicBool::new(false),
            state: Mutex::new(State::default()),
            waiters: AtomicU32::new(0),
        }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn shared_topic(&self) -> Arc<str> {
        Arc::clone(&self.topic)
    }

    /// The number of the queue in its topic.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.queue_id
    }

    /// Offset of the first message that is still there.
    #[must_use]
    pub fn min_offset(&self) -> i64 {
        self.min.load(Ordering::Acquire)
    }

    /// Offset behind the last message that may be consumed: all before it are safe.
    #[must_use]
    pub fn max_offset(&self) -> i64 {
        // In this order: `last_end` belongs to the entry before `next` or to a later one.
        let next = self.next.load(Ordering::Acquire);
        let last_end = self.last_end.load(Ordering::Acquire);
        let safe = self.marks.safe();
        if last_end <= safe {
            return next;
        }
        let state = self.state.lock();
        state.cached_from + state.entries.partition_point(|e| e.end() <= safe) as i64
    }

    /// Offset that the next message gets: also counts messages that are not safe yet.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next.load(Ordering::Acquire)
    }

    /// Whether its topic was deleted. Appending goes to the topic's new queue then.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Adds an entry at the end. Only under the append lock. True when the queue was idle: the
    /// caller then puts it on the list of the active ones.
    pub(super) fn append(&self, entry: Entry) -> bool {
        let mut state = self.state.lock();
        let offset = state.cached_from + state.entries.len() as i64;
        state.entries.push_back(entry);
        state.busy = true;
        self.last_end.store(entry.end(), Ordering::Release);
        self.next.store(offset + 1, Ordering::Release);
        !std::mem::replace(&mut state.active, true)
    }

    /// Appends to `out` up to `count` entries from offset `from` on, fewer when the entries of a
    /// file end or are not there. May read a file.
    pub fn entries(&self, from: i64, count: usize, out: &mut Vec<Entry>) -> io::Result<()> {
        let cached_from = {
            let state = self.state.lock();
            if let Ok(skip) = usize::try_from(from - state.cached_from) {
                out.extend(state.entries.iter().skip(skip).take(count));
                return Ok(());
            }
            state.cached_from
        };
        let file_end = (self.files.file_of(from) + 1) * self.files.entries_per_file();
        let end = cached_from
            .min(file_end)
            .min(from.saturating_add_unsigned(count as u64));
        self.read_file(from, end, out)
    }

    /// Reads the entries `from..end`, which lie in one file.
    fn read_file(&self, from: i64, end: i64, out: &mut Vec<Entry>) -> io::Result<()> {
        let count = usize::try_from(end - from).unwrap_or(0);
        if from < 0 || count == 0 {
            return Ok(());
        }
        let file = self
            .files
            .open(self.handle, &self.dir, self.files.file_of(from))?;
        let mut bytes = vec![0; count * ENTRY_BYTES];
        let got = file.read_at(&mut bytes, self.files.position(from))?;
        decode_entries(&bytes[..got], out);
        Ok(())
    }

    /// Offset of the first entry of the file behind the one that holds `offset`.
    pub(super) fn next_file_start(&self, offset: i64) -> i64 {
        (self.files.file_of(offset) + 1) * self.files.entries_per_file()
    }

    /// The entry at `offset`. `None` when there is none or it cannot be read.
    #[must_use]
    pub fn entry(&self, offset: i64) -> Option<Entry> {
        if offset < 0 || offset >= self.next_offset() {
            return None;
        }
        let mut out = Vec::with_capacity(1);
        if let Err(error) = self.entries(offset, 1, &mut out) {
            tracing::warn!(queue = ?self, offset, %error, "cannot read a queue entry");
        }
        out.first().copied().filter(Entry::is_written)
    }

    /// Writes the entries of records that end at or below `limit` to the files, if they are
    /// `least` bytes or more, and forgets old entries in memory except the last `keep`; all of
    /// them when the queue is idle. False when it is idle: it has left the list of the active
    /// ones. One caller at a time.
    pub(super) fn write(&self, limit: i64, least: usize, keep: usize) -> io::Result<bool> {
        let (mut from, batch) = {
            let mut state = self.state.lock();
            let skip = (state.written - state.cached_from).max(0) as usize;
            let ready = state.entries.partition_point(|e| e.end() <= limit);
            if ready <= skip {
                let idle = !state.busy && skip >= state.entries.len();
                state.busy = false;
                state.active = !idle;
                state.forget(if idle { 0 } else { keep });
                return Ok(!idle);
            }
            if (ready - skip) * ENTRY_BYTES < least {
                return Ok(true);
            }
            let batch: Vec<Entry> = state.entries.range(skip..ready).copied().collect();
            (state.written, batch)
        };
        let mut rest = &batch[..];
        while !rest.is_empty() {
            let file_end = (self.files.file_of(from) + 1) * self.files.entries_per_file();
            let len = rest
                .len()
                .min(usize::try_from(file_end - from).unwrap_or(0));
            let (part, more) = rest.split_at(len);
            self.write_part(from, part)?;
            from += len as i64;
            rest = more;
        }
        let mut state = self.state.lock();
        state.busy = false;
        state.forget(keep);
        Ok(true)
    }

    /// Writes entries that lie in one file.
    fn write_part(&self, from: i64, part: &[Entry]) -> io::Result<()> {
        let number = self.files.file_of(from);
        let (file, created) = self.files.open_or_create(self.handle, &self.dir, number)?;
        let mut bytes = Vec::with_capacity(part.len() * ENTRY_BYTES);
        let position = self.files.position(from);
        let first = {
            let mut state = self.state.lock();
            if created {
                state.dir_dirty = true;
            }
            state.dirty.insert(number);
            state
                .first_file
                .is_none_or(|first| first == number && created)
        };
        // Readers of the files look for the first slot that was never written.
        if first && position > 0 {
            let blanks = usize::try_from(position).unwrap_or(0) / ENTRY_BYTES;
            file.write_at(&Entry::BLANK.encode().repeat(blanks), 0)?;
        }
        for entry in part {
            bytes.extend_from_slice(&entry.encode());
        }
        file.write_at(&bytes, position)?;
        let mut state = self.state.lock();
        state.first_file.get_or_insert(number);
        state.written = from + part.len() as i64;
        state.last_written = part.last().copied();
        Ok(())
    }

    /// How far the queue is in its files.
    pub(super) fn written(&self) -> Written {
        self.state.lock().written_so_far()
    }

    /// Takes the list of what has to be synced to make the written entries durable.
    pub(super) fn take_dirty(&self) -> Dirty {
        let mut state = self.state.lock();
        Dirty {
            files: std::mem::take(&mut state.dirty),
            dir: std::mem::take(&mut state.dir_dirty),
        }
    }

    /// Makes the files in `dirty` durable.
    pub(super) fn sync(&self, dirty: &Dirty) -> io::Result<()> {
        for &number in &dirty.files {
            match self.files.open(self.handle, &self.dir, number) {
                Ok(file) => file.sync_data()?,
                // Deleted in the meantime.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        if dirty.dir {
            let disk = self.files.disk();
            let topic_dir = self.dir.parent().unwrap_or(Path::new("."));
            for dir in [&self.dir, topic_dir, self.files.root()] {
                match disk.sync_dir(dir) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Marks the queue as deleted and forgets its files.
    pub(super) fn set_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
        self.files.close(self.handle);
    }

    /// Moves the minimum to the first entry that lies at or behind `log_min`, and removes files
    /// that are wholly before. Returns how many files were removed. One caller at a time.
    pub(super) fn expire(&self, log_min: i64) -> io::Result<usize> {
        let (first_file, written, next) = {
            let state = self.state.lock();
            (state.first_file, state.written, self.next_offset())
        };
        let min = self.min_offset();
        if min < next
            && self
                .entry(min)
                .is_none_or(|e| !e.is_message() || e.offset < log_min)
        {
            let found = self.lower_bound(min, next, |e| e.is_message() && e.offset >= log_min);
            self.min.store(found, Ordering::Release);
        }
        let Some(mut first_file) = first_file else {
            return Ok(0);
        };
        let mut removed = 0;
        // The last file stays: it alone tells where the queue goes on.
        let last_file = self.files.file_of((written - 1).max(0));
        while first_file < last_file && first_file < self.files.file_of(self.min_offset()) {
            self.files.remove(self.handle, &self.dir, first_file)?;
            first_file += 1;
            removed += 1;
            let mut state = self.state.lock();
            state.first_file = Some(first_file);
            state.dir_dirty = true;
        }
        Ok(removed)
    }

    /// The first offset in `from..to` whose entry fulfils `wanted`, or `to`; `wanted` must hold for
    /// all entries behind one for which it holds. Entries that cannot be read count as no.
    pub(super) fn lower_bound(&self, from: i64, to: i64, wanted: impl Fn(&Entry) -> bool) -> i64 {
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle).is_some_and(|e| wanted(&e)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// Files and directories of a queue that are not durable.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    files: BTreeSet<i64>,
    dir: bool,
}

impl Dirty {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.dir
    }

    pub(super) fn count(&self) -> usize {
        self.files.len() + usize::from(self.dir)
    }
}

impl State {
    /// Drops written entries from memory, except the last `keep`.
    fn forget(&mut self, keep: usize) {
        let written = usize::try_from(self.written - self.cached_from).unwrap_or(0);
        let old = written.min(self.entries.len()).saturating_sub(keep);
        self.entries.drain(..old);
        self.cached_from += old as i64;
        let len = self.entries.len();
        if len == 0 || self.entries.capacity() > 4 * len.max(64) {
            self.entries.shrink_to_fit();
        }
    }

    fn written_so_far(&self) -> Written {
        Written {
            next: self.written,
            last: self.last_written,
        }
    }
}

mod restore;

#[cfg(test)]
mod tests;
