//! What the threads of a store share.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::{Mutex, RwLock};

use super::bell::Bell;
use super::checkpoint::{Checkpoint, CheckpointFile};
use super::commitlog::{AppendBatch, CommitLog};
use super::consume_queue::{Entry, Queue, QueueTable};
use super::disk::{Disk, PAGE_BYTES};
use super::health::{self, Full, HealthState};
use super::index::Index;
use super::metadata::MetadataFile;
use super::options::StoreOptions;
use super::snapshot::{Deletion, LastRecord, QueueMark, Snapshot};
use super::watermarks::Watermarks;
use crate::base::clock::SharedClock;
use crate::base::error::{Error, ErrorKind, Result};
use crate::protocol::message::record::{CheckLevel, Checked, RecordRef};

/// More files than this are made durable by one sync of the whole file system.
const MAX_SINGLE_SYNCS: usize = 128;

type Hook = Box<dyn Fn() + Send + Sync>;
/// Called with a queue.
pub type QueueHook = Box<dyn Fn(&Arc<Queue>) + Send + Sync>;

/// The parts of an open store.
pub(super) struct Core {
    /// As the store was opened.
    pub(super) options: StoreOptions,
    tuned: RwLock<Arc<StoreOptions>>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: SharedClock,
    pub(super) log: CommitLog,
    pub(super) queues: Arc<QueueTable>,
    pub(super) marks: Arc<Watermarks>,
    pub(super) health: Arc<HealthState>,
    pub(super) index: Index,
    pub(super) queue_bell: Bell,
    pub(super) retention_bell: Bell,
    hooks: RwLock<Vec<Hook>>,
    append_hooks: RwLock<Vec<Hook>>,
    arrival_hooks: RwLock<Vec<QueueHook>>,
    /// One writer of consume queue files at a time.
    books: Mutex<Books>,
    pub(super) retention: Mutex<super::retention::State>,
    /// End of the log when the store was opened.
    pub(super) opened_at: i64,
    /// Queues have been cleaned up to this start of the log.
    pub(super) expired_to: AtomicI64,
}

/// What is known to be durable besides the log.
struct Books {
    checkpoint_file: CheckpointFile,
    checkpoint: Checkpoint,
    snapshot_file: MetadataFile,
    snapshot: Snapshot,
    deletions: Vec<Deletion>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}

/// What [`Core::new`] is made of.
pub(super) struct Parts {
    pub(super) options: StoreOptions,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: SharedClock,
    pub(super) log: CommitLog,
    pub(super) queues: Arc<QueueTable>,
    pub(super) marks: Arc<Watermarks>,
    pub(super) health: Arc<HealthState>,
    pub(super) index: Index,
    pub(super) checkpoint_file: CheckpointFile,
    pub(super) checkpoint: Checkpoint,
    pub(super) snapshot_file: MetadataFile,
    pub(super) snapshot: Snapshot,
    pub(super) deletions: Vec<Deletion>,
    pub(super) opened_at: i64,
}

impl Core {
    pub(super) fn new(parts: Parts) -> Self {
        let books = Books {
            checkpoint_file: parts.checkpoint_file,
            checkpoint: parts.checkpoint,
            snapshot_file: parts.snapshot_file,
            snapshot: parts.snapshot,
            deletions: parts.deletions,
        };
        let log_min = parts.log.min_offset();
        Self {
            tuned: RwLock::new(Arc::new(parts.options.clone())),
            options: parts.options,
            disk: parts.disk,
            clock: parts.clock,
            log: parts.log,
            queues: parts.queues,
            marks: parts.marks,
            health: parts.health,
            index: parts.index,
            queue_bell: Bell::default(),
            retention_bell: Bell::default(),
            hooks: RwLock::default(),
            append_hooks: RwLock::default(),
            arrival_hooks: RwLock::default(),
            books: Mutex::new(books),
            retention: Mutex::default(),
            expired_to: AtomicI64::new(log_min),
            opened_at: parts.opened_at,
        }
    }

    /// The options with what was changed since.
    pub(super) fn tuned(&self) -> Arc<StoreOptions> {
        Arc::clone(&self.tuned.read())
    }

    /// Takes over what may be changed while the store is open.
    pub(super) fn tune(&self, new: StoreOptions) {
        *self.tuned.write() = Arc::new(StoreOptions {
            flush_interval_ms: new.flush_interval_ms,
            flush_least_pages: new.flush_least_pages,
            flush_thorough_interval_ms: new.flush_thorough_interval_ms,
            queue_flush_interval_ms: new.queue_flush_interval_ms,
            queue_flush_least_pages: new.queue_flush_least_pages,
            queue_flush_thorough_interval_ms: new.queue_flush_thorough_interval_ms,
            max_message_bytes: new.max_message_bytes,
            read: new.read,
            retention: new.retention,
            ..self.options.clone()
        });
    }

    pub(super) fn add_hook(&self, hook: Hook) {
        self.hooks.write().push(hook);
    }

    pub(super) fn add_append_hook(&self, hook: Hook) {
        self.append_hooks.write().push(hook);
    }

    pub(super) fn add_arrival_hook(&self, hook: QueueHook) {
        self.arrival_hooks.write().push(hook);
    }

    /// Appends all records of `batch`, and tells who waits for that.
    pub(super) fn append(&self, batch: &mut AppendBatch<'_>) {
        self.log.append(batch, &self.queues);
        self.index.appended();
        for hook in self.append_hooks.read().iter() {
            hook();
        }
    }

    /// Tells that a queue got something from the master.
    pub(super) fn arrived(&self, queue: &Arc<Queue>) {
        for hook in self.arrival_hooks.read().iter() {
            hook(queue);
        }
    }

    /// Takes note of what enough slaves hold.
    pub(super) fn set_replicated(&self, offset: i64) {
        if self.marks.set_replicated(offset) {
            self.progress();
        }
    }

    /// Lets consumers wait for slaves or not.
    pub(super) fn set_in_sync(&self, in_sync: bool) {
        self.log.locked(|end| self.marks.set_in_sync(in_sync, end));
        self.progress();
    }

    /// Tells that a mark moved or that the store changed its health.
    pub(super) fn progress(&self) {
        for hook in self.hooks.read().iter() {
            hook();
        }
    }

    /// Makes the log durable as far as it is appended.
    pub(super) fn flush_log(&self) -> Result<()> {
        let flushed = self.log.flush();
        if !matches!(flushed, Ok(false)) {
            self.progress();
        }
        flushed.map(drop)
    }

    /// Writes the queue entries of durable records to the files: all of them when `thorough`,
    /// which then makes them durable and writes snapshot and checkpoint.
    pub(super) fn write_queues(&self, thorough: bool) -> Result<()> {
        let mut books = self.books.lock();
        if self.health.is_read_only() {
            let context = "after an earlier failure";
            return Err(Error::new(
                ErrorKind::ReadOnly,
                "store.queues.write",
                context,
            ));
        }
        // The time first: what it stands for is at or below the mark read after it.
        let flushed_ms = self.log.flushed_ms();
        let limit = self.marks.flushed();
        let least = match thorough {
            true => 0,
            false => self.tuned().queue_flush_least_pages as usize * PAGE_BYTES,
        };
        self.write_active(limit, least)?;
        self.health.set_full(Full::Queues, false);
        if !thorough {
            return Ok(());
        }
        let queues = self.queues.all();
        self.sync_queues(&queues)?;
        self.save_snapshot(&mut books, &queues)?;
        books.checkpoint.log_timestamp_ms = self.log.flushed_ms();
        books.checkpoint.queue_timestamp_ms = flushed_ms;
        books.checkpoint.confirmed_offset = limit;
        let checkpoint = books.checkpoint;
        books
            .checkpoint_file
            .store(&checkpoint)
            .inspect_err(|error| {
                self.health.set_read_only(error.to_string());
            })
    }

    /// Writes the queues that have entries in memory.
    fn write_active(&self, limit: i64, least: usize) -> Result<()> {
        let mut still = Vec::new();
        let mut failed = Ok(());
        for queue in self.queues.take_active() {
            if queue.is_deleted() {
                continue;
            }
            if failed.is_ok() {
                match queue.write(limit, least, self.options.recent_entries) {
                    Ok(false) => continue,
                    Ok(true) => {}
                    Err(e) => failed = Err(self.queue_failed(&queue, e, true)),
                }
            }
            still.push(queue);
        }
        self.queues.activate(still);
        failed
    }

    /// What a failure at a queue's files means for the store.
    fn queue_failed(&self, queue: &Queue, e: io::Error, writing: bool) -> Error {
        let context = format!("queue {} of topic {}", queue.id(), queue.topic());
        let error = Error::io("store.queues.write", context, e);
        if writing && health::is_shortage(error.kind()) {
            self.health.set_full(Full::Queues, true);
        } else {
            self.health.set_read_only(error.to_string());
        }
        error
    }

    fn sync_queues(&self, queues: &[Arc<Queue>]) -> Result<()> {
        let mut dirty: Vec<_> = queues
            .iter()
            .map(|queue| (queue, queue.take_dirty()))
            .filter(|(_, dirty)| !dirty.is_empty())
            .collect();
        let files: usize = dirty.iter().map(|(_, dirty)| dirty.count()).sum();
        if files > MAX_SINGLE_SYNCS {
            match self.disk.sync_all(self.queues.files().root()) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(e) => {
                    let context = self.queues.files().root().display().to_string();
                    let error = Error::io("store.queues.sync", context, e);
                    self.health.set_read_only(error.to_string());
                    return Err(error);
                }
            }
        }
        while let Some((queue, files)) = dirty.pop() {
            if let Err(e) = queue.sync(&files) {
                return Err(self.queue_failed(queue, e, false));
            }
        }
        Ok(())
    }

    /// Notes durably how far the queues are. They are all durable as far as they are written.
    fn save_snapshot(&self, books: &mut Books, queues: &[Arc<Queue>]) -> Result<()> {
        let log_min = self.log.min_offset();
        books
            .deletions
            .retain(|deletion| deletion.position > log_min);
        let mut marks = Vec::with_capacity(queues.len());
        let mut last: Option<Entry> = None;
        for queue in queues {
            let written = queue.written();
            let Some(entry) = written.last else { continue };
            marks.push(QueueMark {
                topic: queue.shared_topic(),
                queue_id: queue.id(),
                next: written.next,
                last_offset: entry.offset,
                last_size: entry.size,
            });
            if entry.is_message() && last.is_none_or(|last| last.end() < entry.end()) {
                last = Some(entry);
            }
        }
        let Some((entry, store_ms)) = last.and_then(|e| Some((e, self.store_ms(&e)?))) else {
            return Ok(());
        };
        let snapshot = Snapshot {
            position: entry.end(),
            last: LastRecord {
                offset: entry.offset,
                size: entry.size,
                store_ms,
            },
            queues: marks,
            deletions: books.deletions.clone(),
        };
        if snapshot != books.snapshot {
            books
                .snapshot_file
                .save(&snapshot.encode())
                .inspect_err(|error| {
                    self.save_failed(error);
                })?;
            books.snapshot = snapshot;
        }
        Ok(())
    }

    fn save_failed(&self, error: &Error) {
        if health::is_shortage(error.kind()) {
            self.health.set_full(Full::Queues, true);
        } else {
            self.health.set_read_only(error.to_string());
        }
    }

    /// Store timestamp of the record that `entry` points to, ms.
    pub(super) fn store_ms(&self, entry: &Entry) -> Option<i64> {
        let len = usize::try_from(entry.size)
            .ok()
            .filter(|_| entry.is_message())?;
        let slice = self.log.segments().slice(entry.offset, len)?;
        record_store_ms(&slice)
    }

    /// Deletes the queues of a topic: first durably from the books, then their files.
    pub(super) fn delete_topic(&self, topic: &str) -> Result<()> {
        self.delete_topic_before(topic, i64::MAX)
    }

    /// The same when the log already holds messages of the topic's next life from `position` on.
    pub(super) fn delete_topic_before(&self, topic: &str, position: i64) -> Result<()> {
        self.delete_topic_if(topic, position, &|_| true)
    }

    /// The same if `wanted` says so of its queues, while nothing is appended.
    pub(super) fn delete_topic_if(
        &self,
        topic: &str,
        position: i64,
        wanted: &dyn Fn(&[Arc<Queue>]) -> bool,
    ) -> Result<()> {
        let mut books = self.books.lock();
        let (gone, position) = self.log.locked(|end| {
            let gone = match wanted(&self.queues.of_topic(topic)) {
                true => self.queues.take_topic(topic),
                false => Vec::new(),
            };
            for queue in &gone {
                queue.set_deleted();
            }
            (gone, end.min(position))
        });
        let Some(first) = gone.first() else {
            return Ok(());
        };
        // The log must never end before the place that is noted: what would be written there again
        // would count as deleted.
        self.flush_log()?;
        books.deletions.retain(|deletion| &*deletion.topic != topic);
        books.deletions.push(Deletion {
            topic: first.shared_topic(),
            position,
        });
        let mut snapshot = books.snapshot.clone();
        snapshot.queues.retain(|mark| &*mark.topic != topic);
        snapshot.deletions.clone_from(&books.deletions);
        books.snapshot_file.save(&snapshot.encode())?;
        books.snapshot = snapshot;
        let root = self.queues.files().root();
        let dir = root.join(topic);
        let removed = match self.disk.remove_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.and_then(|()| self.disk.sync_dir(root)),
        };
        removed.map_err(|e| Error::io("store.delete_topic", dir.display().to_string(), e))
    }

    /// Store timestamp up to which the checkpoint says that the index is durable, ms.
    pub(super) fn index_time_ms(&self) -> i64 {
        self.books.lock().checkpoint.index_timestamp_ms
    }

    /// Says durably up to which store timestamp the index is durable.
    pub(super) fn note_index_time(&self, ms: i64) -> Result<()> {
        let mut books = self.books.lock();
        books.checkpoint.index_timestamp_ms = ms;
        let checkpoint = books.checkpoint;
        books.checkpoint_file.store(&checkpoint)
    }

    /// Runs `work` while no queue file is written.
    pub(super) fn with_books<T>(&self, work: impl FnOnce() -> T) -> T {
        let _books = self.books.lock();
        work()
    }
}

/// Store timestamp of a record, ms. `None` when the bytes are not one record.
pub(super) fn record_store_ms(bytes: &[u8]) -> Option<i64> {
    match RecordRef::check(bytes, CheckLevel::Bounds) {
        Ok(Checked::Record(record)) if record.len() == bytes.len() => {
            Some(record.store_timestamp_ms())
        }
        _ => None,
    }
}
