//! What recovery does with a queue, before the store is used.

use std::io;
use std::sync::atomic::Ordering;

use super::{ENTRY_BYTES, Entry, Queue, decode_entries};

/// A jump of queue offsets up to this size is filled with blank entries when the log is read again;
/// a larger one, which no broker makes, begins the queue anew behind it.
const MAX_HOLE: i64 = 1_000_000;

/// Entries that are read at once when the end of a file is looked for.
const SCAN_ENTRIES: usize = 4096;

/// Entries that are kept in memory during recovery before they are written.
const MAX_PENDING: usize = 16 * 1024;

impl Queue {
    /// Finds the files of the queue. The first entry there may be becomes the minimum.
    pub(in crate::store) fn find_files(&self) -> io::Result<()> {
        let numbers = self.files.list(&self.dir)?;
        let first = numbers.first().copied();
        self.state.lock().first_file = first;
        self.set_min(first.unwrap_or(0) * self.files.entries_per_file());
        Ok(())
    }

    /// Offset behind the last entry in the files, going by what the last file holds that has any
    /// entry. 0 when there is none.
    pub(in crate::store) fn end_in_files(&self) -> io::Result<i64> {
        let numbers = self.files.list(&self.dir)?;
        let per_file = self.files.entries_per_file();
        for &number in numbers.iter().rev() {
            let start = number * per_file;
            let end = self.end_in_file(start, start + per_file)?;
            if end > start {
                return Ok(end);
            }
        }
        Ok(numbers.first().map_or(0, |first| first * per_file))
    }

    fn end_in_file(&self, start: i64, end: i64) -> io::Result<i64> {
        let mut entries = Vec::with_capacity(SCAN_ENTRIES);
        let mut at = start;
        while at < end {
            entries.clear();
            let upto = end.min(at + SCAN_ENTRIES as i64);
            self.read_file(at, upto, &mut entries)?;
            let written = entries.iter().take_while(|e| e.is_written()).count();
            at += written as i64;
            if at < upto {
                break;
            }
        }
        Ok(at)
    }

    /// The entry at `offset` in the files.
    pub(in crate::store) fn entry_in_files(&self, offset: i64) -> io::Result<Option<Entry>> {
        let mut out = Vec::with_capacity(1);
        if offset >= 0 {
            match self.read_file(offset, offset + 1, &mut out) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(out.first().copied().filter(Entry::is_written))
    }

    /// Number of leading entries, of `end` in the files, whose records begin before `log_offset`.
    pub(in crate::store) fn count_before(&self, end: i64, log_offset: i64) -> io::Result<i64> {
        let (mut low, mut high) = (self.min_offset().min(end), end);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry_in_files(middle)?;
            // Blanks are before everything.
            if entry.is_some_and(|e| e.is_message() && e.offset >= log_offset) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    fn set_min(&self, min: i64) {
        self.min.store(min, Ordering::Release);
    }

    /// The queue ends at `next`; entries before are in the files or gone.
    pub(in crate::store) fn restore(&self, next: i64) -> io::Result<()> {
        let last = self.entry_in_files(next - 1)?;
        let mut state = self.state.lock();
        state.entries.clear();
        state.cached_from = next;
        state.written = next;
        state.last_written = last;
        self.next.store(next, Ordering::Release);
        let end = last.filter(Entry::is_message).map_or(0, |e| e.end());
        self.last_end.store(end, Ordering::Release);
        let no_files = state.first_file.is_none();
        drop(state);
        if no_files || self.min_offset() > next {
            self.set_min(next);
        }
        Ok(())
    }

    /// Takes the entry of a record that the log holds for `offset`. The log is read front to back,
    /// so what it says last is right. `first`: the queue was not met in the log before; if it does
    /// not go on where it ended, what was before is lost.
    pub(in crate::store) fn restore_entry(
        &self,
        offset: i64,
        entry: Entry,
        first: bool,
    ) -> io::Result<()> {
        let next = self.next_offset();
        if offset < next {
            // The topic was deleted and made again.
            self.cut_to(offset)?;
        } else if offset - next > MAX_HOLE || (offset > next && first) {
            self.begin_at(offset)?;
        } else {
            for _ in next..offset {
                self.append(Entry::BLANK);
            }
        }
        self.append(entry);
        if self.state.lock().entries.len() > MAX_PENDING {
            self.write(i64::MAX, 0, 0)?;
        }
        Ok(())
    }

    /// Takes back the entries from `offset` on.
    fn cut_to(&self, offset: i64) -> io::Result<()> {
        let first = self.state.lock().first_file;
        let starts_later =
            first.is_some_and(|first| first * self.files.entries_per_file() > offset);
        if starts_later {
            return self.begin_at(offset);
        }
        let mut state = self.state.lock();
        if offset >= state.cached_from && offset >= state.written {
            let kept = (offset - state.cached_from) as usize;
            state.entries.truncate(kept);
            self.next.store(offset, Ordering::Release);
            return Ok(());
        }
        drop(state);
        self.restore(offset)
    }

    /// Makes the queue empty with `offset` as its next one.
    pub(in crate::store) fn begin_at(&self, offset: i64) -> io::Result<()> {
        self.remove_files_from(0)?;
        self.state.lock().first_file = None;
        self.restore(offset)?;
        self.set_min(offset);
        Ok(())
    }

    fn remove_files_from(&self, number: i64) -> io::Result<()> {
        for found in self.files.list(&self.dir)? {
            if found >= number {
                self.files.remove(self.handle, &self.dir, found)?;
                let mut state = self.state.lock();
                state.dir_dirty = true;
                state.dirty.remove(&found);
            }
        }
        Ok(())
    }

    /// Removes what the files hold behind the end of the queue.
    pub(in crate::store) fn cut_files(&self) -> io::Result<()> {
        let end = self.next_offset();
        let number = self.files.file_of(end);
        self.remove_files_from(number + 1)?;
        match self.files.open(self.handle, &self.dir, number) {
            Ok(file) => {
                let position = self.files.position(end);
                let whole = self.files.file_bytes();
                if file.len()? != whole {
                    file.set_len(whole)?;
                }
                self.files.zero_from(&*file, position)?;
                self.state.lock().dirty.insert(number);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Whether it has entries in memory since the log was read.
    pub(in crate::store) fn is_active(&self) -> bool {
        self.state.lock().active
    }

    /// A killed process may have left the directory, and what no snapshot speaks of, in the memory
    /// of the system only: they are made durable with the next checkpoint.
    pub(in crate::store) fn distrust_files(&self, contents: bool) -> io::Result<()> {
        let files = if contents {
            self.files.list(&self.dir)?
        } else {
            Vec::new()
        };
        let mut state = self.state.lock();
        state.dir_dirty |= state.first_file.is_some();
        state.dirty.extend(files);
        Ok(())
    }

    /// Whether the last file is not as it should be: the slot behind the end of the queue holds
    /// something, or the file is cut off.
    pub(in crate::store) fn has_wrong_end(&self) -> io::Result<bool> {
        let end = self.next_offset();
        let mut out: Vec<Entry> = Vec::with_capacity(1);
        match self
            .files
            .open(self.handle, &self.dir, self.files.file_of(end))
        {
            Ok(file) => {
                let mut bytes = [0; ENTRY_BYTES];
                if file.len()? != self.files.file_bytes() {
                    return Ok(true);
                }
                let got = file.read_at(&mut bytes, self.files.position(end))?;
                decode_entries(&bytes[..got], &mut out);
                Ok(out.first().is_some_and(|e| *e != Entry::default()))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}
