//! The store: opening and closing, and the threads that keep it durable.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::checkpoint::{self, AbortFile, CheckpointFile};
use super::commitlog::{AppendBatch, CommitLog};
use super::consume_queue::Queue;
use super::core::{self, Core, Parts, QueueHook};
use super::disk::{Disk, DiskLock, Usage};
use super::health::{Full, Health, HealthState};
use super::index::{Index, KeyMatches, KeyQuery, index_thread};
use super::mmap::LogSlice;
use super::options::{FlushMode, StoreOptions};
use super::read::{Filter, ReadLimits, ReadOutcome, RecordFilter};
use super::recover;
use super::watermarks::Watermarks;
use crate::base::clock::SharedClock;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::thread::{self, JoinHandle, ProcessMark};
use crate::protocol::request::offset::Boundary;

/// How long threads are waited for when the store is killed or dropped.
const KILL_DEADLINE: Duration = Duration::from_secs(30);

/// Pause of a thread that waits for space, and of the look at how full the disk is, ms.
const SPACE_INTERVAL_MS: u64 = 1000;

/// How often pages behind the end of the log are let go, ms.
const RELEASE_INTERVAL_MS: u64 = 5000;

/// A message store. All methods may be called from any thread.
///
/// Dropping it without [`close`](Self::close) is like [`kill`](Self::kill).
#[derive(Debug)]
pub struct Store {
    core: Arc<Core>,
    abort: AbortFile,
    running: Mutex<Option<Running>>,
    process: ProcessMark,
}

/// What an open store holds besides its parts.
#[derive(Debug)]
struct Running {
    threads: Vec<JoinHandle>,
    /// Last, so that it is let go last.
    _lock: Box<dyn DiskLock>,
}

impl Store {
    /// Opens the store of `options`, made where it is missing: takes its lock, recovers it, starts
    /// its threads.
    ///
    /// `Locked`: another broker has it. `Corrupt`: a file of the log is missing or has the wrong
    /// length; the error names it.
    pub fn open(
        options: StoreOptions,
        disk: Arc<dyn Disk>,
        clock: SharedClock,
    ) -> Result<Arc<Self>> {
        recover::make_dirs(&options, &*disk)?;
        let lock = checkpoint::lock(&*disk, &options.root)?;
        let abort = AbortFile::new(&options.root);
        let aborted = abort.is_there(&*disk)?;
        let (checkpoint_file, mut checkpoint) = CheckpointFile::open(&*disk, &options.root)?;
        let found = recover::recover(&options, &disk, &checkpoint, aborted)?;
        let index = Index::open(&options, &disk, &checkpoint, aborted, found.end.end)?;
        // Files may have been removed.
        checkpoint.index_timestamp_ms = checkpoint.index_timestamp_ms.min(index.end_ms());
        abort.create(&*disk)?;
        let health = Arc::new(HealthState::default());
        let opened_at = found.end.end;
        let log = CommitLog::new(
            found.segments,
            Arc::clone(&found.marks),
            Arc::clone(&health),
            Arc::clone(&clock),
            options.flush,
            options.populate_ahead_bytes,
            found.end,
        );
        let background = options.background;
        let core = Core::new(Parts {
            options,
            disk,
            clock,
            log,
            queues: found.queues,
            marks: found.marks,
            health,
            index,
            checkpoint_file,
            checkpoint,
            snapshot_file: found.snapshot_file,
            snapshot: found.snapshot,
            deletions: found.deletions,
            opened_at,
        });
        let core = Arc::new(core);
        core.check_space();
        if core.options.index.complete_at_open
            && let Err(error) = core.index_all(&|| false)
        {
            tracing::warn!(%error, "the index is not complete yet");
        }
        // The first message had better not wait for the first file.
        core.log.allocate_bell.ring();
        let threads = if background {
            start_threads(&core)?
        } else {
            Vec::new()
        };
        Ok(Arc::new(Self {
            core,
            abort,
            running: Mutex::new(Some(Running {
                threads,
                _lock: lock,
            })),
            process: ProcessMark::current(),
        }))
    }

    /// The options that the store was opened with.
    #[must_use]
    pub fn options(&self) -> &StoreOptions {
        &self.core.options
    }

    /// Changes limits of reading and of messages, pauses of the threads, and when files are
    /// deleted; everything else stays as it was opened.
    pub fn tune(&self, options: StoreOptions) {
        self.core.tune(options);
    }

    /// An empty batch for this store.
    #[must_use]
    pub fn new_batch<'a>(&self) -> AppendBatch<'a> {
        AppendBatch::new(self.core.tuned().stage_options())
    }

    /// Appends the records of `batch` in order, under one lock, and fills in its results. A failed
    /// record does not keep later ones from being appended, unless the batch is to stop there.
    /// Never waits for a disk, except when
    /// the next file of the log was not made in time.
    pub fn append(&self, batch: &mut AppendBatch<'_>) {
        self.core.append(batch);
    }

    /// How far the log has come.
    #[must_use]
    pub fn watermarks(&self) -> &Watermarks {
        &self.core.marks
    }

    /// Has `hook` called, by a thread of the store, when the flushed mark has moved or the health
    /// has changed. It must not block.
    pub fn on_progress(&self, hook: Box<dyn Fn() + Send + Sync>) {
        self.core.add_hook(hook);
    }

    /// Has `hook` called after each append, by whoever appended. It must not block.
    pub fn on_append(&self, hook: Box<dyn Fn() + Send + Sync>) {
        self.core.add_append_hook(hook);
    }

    /// Has `hook` called, by the thread that replicates, with each queue that got something from
    /// the master. It must not block.
    pub fn on_arrival(&self, hook: QueueHook) {
        self.core.add_arrival_hook(hook);
    }

    /// Whether messages are taken.
    #[must_use]
    pub fn health(&self) -> Health {
        self.core.health.get()
    }

    /// The queue, made where it is missing. For a name that cannot be a topic, or a negative
    /// number, it is a queue that nothing can be appended to.
    #[must_use]
    pub fn queue(&self, topic: &str, queue_id: i32) -> Arc<Queue> {
        self.core.queues.find_or_refuse(topic, queue_id)
    }

    /// The queue, if it exists.
    #[must_use]
    pub fn find_queue(&self, topic: &str, queue_id: i32) -> Option<Arc<Queue>> {
        self.core.queues.find(topic, queue_id)
    }

    /// The topics that have queues, sorted.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<str>> {
        self.core.queues.topics()
    }

    /// The queues of a topic by number.
    #[must_use]
    pub fn queues_of(&self, topic: &str) -> Vec<Arc<Queue>> {
        self.core.queues.of_topic(topic)
    }

    /// Deletes the queues of a topic. Its messages stay in the log until they expire, but do not
    /// come back. Waits for the disk.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        self.core.delete_topic(topic)
    }

    /// Deletes the queues of a topic unless one of them has got something since it was looked at:
    /// `ends` has the `next_offset` of each, by number. Waits for the disk.
    pub fn delete_topic_at(&self, topic: &str, ends: &BTreeMap<i32, i64>) -> Result<()> {
        let is_same = |queues: &[Arc<Queue>]| {
            let mut queues = queues.iter();
            queues.all(|queue| ends.get(&queue.id()) == Some(&queue.next_offset()))
        };
        self.core.delete_topic_if(topic, i64::MAX, &is_same)
    }

    /// Reads messages of `queue` from `offset` on that `matches` by the code of their tag.
    #[must_use]
    pub fn read(
        &self,
        queue: &Queue,
        offset: i64,
        limits: ReadLimits,
        matches: &mut dyn FnMut(i64) -> bool,
    ) -> ReadOutcome {
        let filter = Filter {
            by_tags: matches,
            by_record: None,
        };
        self.core.read(queue, offset, limits, filter)
    }

    /// The same, but what matches by its tag must also match as a whole record. Looking at one that
    /// is not in memory waits for the disk, if it may.
    #[must_use]
    pub fn read_matching<'a>(
        &self,
        queue: &Queue,
        offset: i64,
        limits: ReadLimits,
        matches: &'a mut dyn FnMut(i64) -> bool,
        by_record: RecordFilter<'a>,
    ) -> ReadOutcome {
        let filter = Filter {
            by_tags: matches,
            by_record: Some(by_record),
        };
        self.core.read(queue, offset, limits, filter)
    }

    /// The bytes of the log from `offset` on: at most `max`, of one file, none behind the last
    /// record. `None` when there are none there, yet or any more.
    #[must_use]
    pub fn log_slice(&self, offset: i64, max: usize) -> Option<LogSlice> {
        self.core.log.slice(offset, max)
    }

    /// Takes note that as many slaves as senders wait for hold the log up to `offset`. Forward
    /// only.
    pub fn set_replicated(&self, offset: i64) {
        self.core.set_replicated(offset);
    }

    /// Whether as many slaves keep up as senders should wait for. Consumers then see only what is
    /// replicated, or was visible before. Without effect unless
    /// [`await_slaves`](StoreOptions::await_slaves).
    pub fn await_replication(&self, in_sync: bool) {
        self.core.set_in_sync(in_sync);
    }

    /// For a slave: appends the whole records and blanks at the start of `bytes`, which belong at
    /// `watermarks().appended()`, and lets their queues follow. Returns how many bytes were taken;
    /// 0 when the first record is not whole yet. One caller at a time, and no other way of
    /// appending besides.
    ///
    /// `Corrupt`: there is no record, or one of another place. `Invalid`: the master's files are
    /// of another length. Nothing of it is written then. `DiskFull`, `ReadOnly`, `Closed`.
    pub fn append_replica(&self, bytes: &[u8]) -> Result<usize> {
        self.core.append_replica(bytes)
    }

    /// For a slave: lets the log begin at `offset`, a multiple of the file length. `Invalid`: it is
    /// not one, or the log is not empty.
    pub fn begin_replica_at(&self, offset: i64) -> Result<()> {
        self.core.log.begin_at(offset)
    }

    /// Most bytes that [`append_replica`](Self::append_replica) needs at once.
    #[must_use]
    pub fn max_record_bytes(&self) -> usize {
        self.core.log.segments().segment_bytes()
    }

    /// The record that begins at this offset of the log, if one does.
    #[must_use]
    pub fn message_at(&self, physical_offset: i64) -> Option<LogSlice> {
        self.core.message_at(physical_offset)
    }

    /// Finds records by key. Touches files and records, so it may wait for the disk.
    #[must_use]
    pub fn query_by_key(&self, query: &KeyQuery<'_>) -> KeyMatches {
        self.core.query_by_key(query)
    }

    /// Everything before this log offset can be found by key. Follows the end of the log.
    #[must_use]
    pub fn indexed(&self) -> i64 {
        self.core.index.indexed()
    }

    /// First offset of the log.
    #[must_use]
    pub fn min_offset(&self) -> i64 {
        self.core.log.min_offset()
    }

    /// Store timestamp of the first record of the log, ms since the epoch.
    #[must_use]
    pub fn earliest_store_time_ms(&self) -> Option<i64> {
        let record = self.message_at(self.min_offset())?;
        core::record_store_ms(&record)
    }

    /// Store timestamp of the message at `offset` of the queue, ms since the epoch.
    #[must_use]
    pub fn store_time_ms(&self, queue: &Queue, offset: i64) -> Option<i64> {
        self.core.store_ms_at(queue, offset)
    }

    /// Store timestamp of the first message of the queue, ms since the epoch.
    #[must_use]
    pub fn earliest_time_ms(&self, queue: &Queue) -> Option<i64> {
        self.core.store_ms_at(queue, queue.min_offset())
    }

    /// The offset of the first message stored at or after `time_ms`, the end of the queue when
    /// there is none; with `Upper` the offset of the last one stored at or before, 0 when there is
    /// none.
    pub fn offset_by_timestamp(
        &self,
        queue: &Queue,
        time_ms: i64,
        boundary: Boundary,
    ) -> Result<i64> {
        Ok(self.core.offset_by_time(queue, time_ms, boundary))
    }

    /// Whether the message at `offset` of the queue is near enough to the end of the log to count
    /// as in memory.
    #[must_use]
    pub fn is_recent(&self, queue: &Queue, offset: i64) -> bool {
        let memory = i64::try_from(self.core.tuned().read.memory_bytes).unwrap_or(i64::MAX);
        let end = self.core.marks.appended();
        queue
            .entry(offset)
            .is_some_and(|entry| end.saturating_sub(entry.offset) <= memory)
    }

    /// How full the disk of the log is; zeros when that cannot be told.
    #[must_use]
    pub fn disk_usage(&self) -> Usage {
        let usage = self.core.disk.usage(&self.core.options.commitlog_dir);
        usage.unwrap_or(Usage {
            used_ratio: 0.0,
            free_bytes: 0,
            total_bytes: 0,
        })
    }

    /// Lets expired files of the log be deleted now, whatever the hour.
    pub fn delete_expired(&self) {
        self.core.delete_expired();
    }

    /// Has what lies before the start of the log removed from the consume queues now, and whatever
    /// else is due at this time, instead of a few seconds later.
    pub fn clean_queues(&self) {
        self.core.ask_for_pass();
    }

    /// Makes the log durable as far as it is appended. Waits for the disk.
    pub fn flush(&self) -> Result<()> {
        self.process.check("store.flush")?;
        self.core.flush_log()
    }

    /// Makes log, consume queues and index durable and writes a checkpoint. Waits for the disk.
    pub fn checkpoint(&self) -> Result<()> {
        self.process.check("store.checkpoint")?;
        self.core.flush_log()?;
        self.core.write_queues(true)?;
        self.core.flush_index()
    }

    /// Writes queue entries of durable records to the files, as the queue thread does at times.
    pub fn write_queues(&self) -> Result<()> {
        self.core.write_queues(false)
    }

    /// Indexes what was appended, as the index thread does.
    pub fn run_index(&self) -> Result<()> {
        self.core.index_all(&|| false)
    }

    /// Looks at the disk and deletes what is due, as the retention thread does at times. Returns
    /// how many files of the log went.
    pub fn run_retention(&self) -> Result<usize> {
        self.core.retain()
    }

    /// Makes the next file of the log where that is due, as the allocate thread does at times.
    pub fn run_allocation(&self) {
        self.core.log.allocate();
    }

    /// Closes the store: refuses appends, makes everything durable, lets go of the lock. Reading
    /// what was read before goes on working. A second call does nothing.
    ///
    /// `Timeout`: a thread did not end in time. The store keeps its lock, and may be closed again.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.process.check("store.close")?;
        let mut running = self.running.lock();
        let Some(parts) = &*running else {
            return Ok(());
        };
        self.stop_appends();
        // On an error everything stays: a thread that may still write must not meet another broker.
        join(&parts.threads, deadline)?;
        let closed = self.core.flush_log().and_then(|()| {
            self.core.write_queues(true)?;
            self.core.finish_index()?;
            self.core.log.drop_ahead()?;
            self.abort.remove(&*self.core.disk)
        });
        *running = None;
        drop(running);
        self.core.progress();
        closed
    }

    /// Stops as if the process had been killed: what is not durable yet stays so, and the next
    /// opening recovers.
    pub fn kill(&self) {
        if !self.process.is_current() {
            return;
        }
        let mut running = self.running.lock();
        if let Some(parts) = running.take() {
            self.stop_appends();
            if let Err(error) = join(&parts.threads, KILL_DEADLINE) {
                tracing::error!(%error, "a thread of the store does not end; it stays locked");
                std::mem::forget(parts);
            }
        }
    }

    fn stop_appends(&self) {
        let core = &self.core;
        core.health.set_closed();
        core.log.locked(|_| ());
        let (flush, allocate) = (&core.log.flush_bell, &core.log.allocate_bell);
        let (queue, retention) = (&core.queue_bell, &core.retention_bell);
        for bell in [flush, allocate, queue, retention, &core.index.bell] {
            bell.stop();
        }
    }

    /// Directory of everything but the log.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.core.options.root
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.process.is_current() {
            // A forked child: threads and files belong to the parent.
            std::mem::forget(self.running.get_mut().take());
            return;
        }
        self.kill();
    }
}

fn join(threads: &[JoinHandle], deadline: Duration) -> Result<()> {
    for thread in threads {
        if thread.is_current() {
            let context = "the store was closed by one of its own threads";
            return Err(Error::new(ErrorKind::Invalid, "store.close", context));
        }
        thread.join_deadline(deadline)?;
    }
    Ok(())
}

type Body = fn(&Core);

fn start_threads(core: &Arc<Core>) -> Result<Vec<JoinHandle>> {
    let mut threads = Vec::new();
    let bodies: [(&str, Body); 5] = [
        ("rmq-store-flush", flush_thread),
        ("rmq-store-queue", queue_thread),
        ("rmq-store-alloc", allocate_thread),
        ("rmq-store-clean", retention_thread),
        ("rmq-store-index", index_thread),
    ];
    for (name, body) in bodies {
        let core = Arc::clone(core);
        threads.push(thread::spawn(name, move || body(&core))?);
    }
    Ok(threads)
}

/// Makes the log durable: at once and in groups with SYNC_FLUSH, else at intervals.
fn flush_thread(core: &Core) {
    let pause = || Duration::from_millis(core.tuned().flush_interval_ms.max(1));
    let mut thorough_at = core.clock.monotonic_ms();
    while core.log.flush_bell.wait(pause()) {
        let options = core.tuned();
        let due = match options.flush {
            FlushMode::Sync => true,
            FlushMode::Async => {
                let now = core.clock.monotonic_ms();
                let thorough = now >= thorough_at + options.flush_thorough_interval_ms;
                if thorough {
                    thorough_at = now;
                }
                thorough || core.log.dirty_pages() >= u64::from(options.flush_least_pages)
            }
        };
        if due && let Err(error) = core.flush_log() {
            tracing::debug!(%error, "flush");
        }
    }
}

/// Writes consume queues, and at longer intervals makes them durable and writes checkpoints.
fn queue_thread(core: &Core) {
    let pause = || Duration::from_millis(core.tuned().queue_flush_interval_ms.max(1));
    let checkpoint_bytes = i64::try_from(core.options.checkpoint_log_bytes).unwrap_or(i64::MAX);
    // What recovery read again is not read a second time after the next crash.
    let mut checkpoint_at = core.opened_at;
    let mut thorough_at = None;
    while core.queue_bell.wait(pause()) {
        let (now, flushed) = (core.clock.monotonic_ms(), core.marks.flushed());
        let interval_ms = core.tuned().queue_flush_thorough_interval_ms;
        let thorough = thorough_at.is_none_or(|at| now >= at + interval_ms)
            || flushed - checkpoint_at >= checkpoint_bytes;
        match core.write_queues(thorough) {
            Ok(()) if thorough => {
                thorough_at = Some(now);
                checkpoint_at = flushed;
            }
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "write queues"),
        }
    }
}

/// Makes files and pages of the log before they are needed.
fn allocate_thread(core: &Core) {
    let interval = Duration::from_millis(SPACE_INTERVAL_MS);
    let mut release_at = RELEASE_INTERVAL_MS;
    while core.log.allocate_bell.wait(interval) {
        let now = core.clock.monotonic_ms();
        if now >= release_at {
            release_at = now + RELEASE_INTERVAL_MS;
            core.log.release();
        }
        let was_full = core.health.is_full(Full::Log);
        if !core.log.allocate() && !core.log.allocate_bell.pause(interval) {
            return;
        }
        if was_full && !core.health.is_full(Full::Log) {
            core.progress();
        }
    }
}

/// Looks at how full the disk is and deletes what is due.
fn retention_thread(core: &Core) {
    let interval_ms = || core.tuned().retention.interval_ms.max(1);
    let pause = || Duration::from_millis(interval_ms().min(SPACE_INTERVAL_MS));
    let mut due = 0;
    while core.retention_bell.wait(pause()) {
        let now = core.clock.monotonic_ms();
        if now < due && !core.is_pass_asked_for() {
            core.check_space();
            continue;
        }
        due = now.saturating_add(interval_ms());
        if let Err(error) = core.retain() {
            tracing::warn!(%error, "cannot delete old files");
        }
    }
}
