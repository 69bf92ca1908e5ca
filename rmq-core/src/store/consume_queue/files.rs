//! Consume queue files: `consumequeue/TOPIC/QUEUE/OFFSET`, sparse, written with pwrite.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::entry::{ENTRY_BYTES, Entry};
use crate::store::disk::{Disk, DiskFile};
use crate::store::segments::{file_name, parse_file_name};

/// What all queues of a store share to reach their files.
#[derive(Debug)]
pub(crate) struct QueueFiles {
    disk: Arc<dyn Disk>,
    /// The `consumequeue` directory.
    root: PathBuf,
    file_bytes: i64,
    open: Mutex<OpenFiles>,
    next_id: AtomicU64,
}

#[derive(Debug)]
struct OpenFiles {
    files: HashMap<(u64, i64), OpenFile>,
    max: usize,
    clock: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: Arc<dyn DiskFile>,
    used: u64,
}

impl OpenFiles {
    fn get(&mut self, key: (u64, i64)) -> Option<Arc<dyn DiskFile>> {
        self.clock += 1;
        let open = self.files.get_mut(&key)?;
        open.used = self.clock;
        Some(Arc::clone(&open.file))
    }

    fn put(&mut self, key: (u64, i64), file: Arc<dyn DiskFile>) {
        if self.files.len() >= self.max {
            // An eighth of them at once, so that looking for the oldest is rare.
            let mut ages: Vec<u64> = self.files.values().map(|open| open.used).collect();
            let middle = (ages.len() / 8).min(ages.len() - 1);
            let (_, &mut limit, _) = ages.select_nth_unstable(middle);
            self.files.retain(|_, open| open.used > limit);
        }
        self.clock += 1;
        let used = self.clock;
        self.files.insert(key, OpenFile { file, used });
    }
}

impl QueueFiles {
    /// Files of `file_bytes`, rounded up to whole entries, below `root`.
    #[must_use]
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        root: PathBuf,
        file_bytes: usize,
        max_open: usize,
    ) -> Self {
        let entries = file_bytes.div_ceil(ENTRY_BYTES).max(1);
        let open = OpenFiles {
            files: HashMap::new(),
            max: max_open.max(1),
            clock: 0,
        };
        Self {
            disk,
            root,
            file_bytes: (entries * ENTRY_BYTES) as i64,
            open: Mutex::new(open),
            next_id: AtomicU64::new(0),
        }
    }

    /// A number that no other queue has.
    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The directory of all queues.
    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The disk.
    #[must_use]
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The directory of one queue.
    #[must_use]
    pub(crate) fn dir(&self, topic: &str, queue_id: i32) -> PathBuf {
        self.root.join(topic).join(queue_id.to_string())
    }

    /// Length of a file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes as u64
    }

    /// Entries in a file.
    #[must_use]
    pub(crate) fn entries_per_file(&self) -> i64 {
        self.file_bytes / ENTRY_BYTES as i64
    }

    /// Number of the file that holds entry `index`; the file's name is the number times its length.
    #[must_use]
    pub(crate) fn file_of(&self, index: i64) -> i64 {
        index / self.entries_per_file()
    }

    /// The numbers of the files of a queue, ascending and without gaps: files before a gap or with
    /// a name or length that cannot be are left out.
    pub(crate) fn list(&self, dir: &Path) -> io::Result<Vec<i64>> {
        let entries = match self.disk.list(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut numbers: Vec<i64> = Vec::new();
        for entry in entries {
            let base = parse_file_name(&entry.name).filter(|base| base % self.file_bytes == 0);
            let Some(base) = base.filter(|_| !entry.is_dir) else {
                tracing::warn!(dir = %dir.display(), name = entry.name, "not a queue file");
                continue;
            };
            let number = base / self.file_bytes;
            if numbers.last().is_some_and(|last| last + 1 != number) {
                tracing::warn!(dir = %dir.display(), name = entry.name, "a gap before it");
                numbers.clear();
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    fn path(&self, dir: &Path, number: i64) -> PathBuf {
        dir.join(file_name(number * self.file_bytes))
    }

    fn cached(
        &self,
        key: (u64, i64),
        open: impl FnOnce() -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.open.lock().get(key) {
            return Ok(file);
        }
        let file = open()?;
        self.open.lock().put(key, Arc::clone(&file));
        Ok(file)
    }

    /// Opens file `number` of the queue `id` in `dir`.
    pub(super) fn open(&self, id: u64, dir: &Path, number: i64) -> io::Result<Arc<dyn DiskFile>> {
        self.cached((id, number), || self.disk.open(&self.path(dir, number)))
    }

    /// Opens file `number`, making it in full length where it is missing; tells whether it was.
    pub(super) fn open_or_create(
        &self,
        id: u64,
        dir: &Path,
        number: i64,
    ) -> io::Result<(Arc<dyn DiskFile>, bool)> {
        let mut created = false;
        let file = self.cached((id, number), || {
            let path = self.path(dir, number);
            match self.disk.open(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
                Ok(file) => {
                    if file.len()? != self.file_bytes as u64 {
                        file.set_len(self.file_bytes as u64)?;
                    }
                    return Ok(file);
                }
            }
            created = true;
            self.disk.create_dir(dir)?;
            let file = self.disk.create(&path)?;
            file.set_len(self.file_bytes as u64)?;
            Ok(file)
        })?;
        Ok((file, created))
    }

    /// Removes file `number`. A missing one is fine.
    pub(super) fn remove(&self, id: u64, dir: &Path, number: i64) -> io::Result<()> {
        self.open.lock().files.remove(&(id, number));
        match self.disk.remove(&self.path(dir, number)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Forgets the open files of a queue.
    pub(super) fn close(&self, id: u64) {
        self.open.lock().files.retain(|key, _| key.0 != id);
    }

    #[cfg(test)]
    pub(super) fn open_count(&self) -> usize {
        self.open.lock().files.len()
    }

    /// Byte position of entry `index` in its file.
    pub(super) fn position(&self, index: i64) -> u64 {
        ((index % self.entries_per_file()) as u64) * ENTRY_BYTES as u64
    }

    /// Zeroes file `number` from entry position `from` (bytes) on.
    pub(super) fn zero_from(&self, file: &dyn DiskFile, from: u64) -> io::Result<()> {
        file.zero(from, self.file_bytes as u64)
    }
}

/// Appends the entries in `bytes` to `out`; a part of an entry at the end is left out.
pub(super) fn decode_entries(bytes: &[u8], out: &mut Vec<Entry>) {
    let (whole, _) = bytes.as_chunks::<ENTRY_BYTES>();
    out.extend(whole.iter().map(Entry::decode));
}
