//! Bringing a store back: what the log holds decides, nothing else is trusted.
//!
//! The log is read from the newest point up to which the consume queues are known to be complete,
//! and what it says replaces what the queues say. That point is the position of the
//! [`Snapshot`], if the log and the queues bear it out; otherwise, as Apache's broker does it, the
//! newest file that began before the checkpoint, and some files more. A queue that turns out to
//! lack something from before makes the whole log be read once. The first record that is not
//! whole ends the log.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::commitlog::LogEnd;
use super::commitlog::scan::{self, ScanEnd};
use super::consume_queue::{Queue, QueueFiles, QueueTable};
use super::disk::Disk;
use super::dispatch;
use super::metadata::{MetadataFile, create_dirs_durably};
use super::options::StoreOptions;
use super::segments::{Listing, Segments};
use super::snapshot::{Deletion, QueueMark, Snapshot};
use super::watermarks::Watermarks;
use crate::base::error::{Error, Result};
use crate::protocol::message::record::{CheckLevel, RecordRef};

/// Newest files that are read when there is no snapshot to go by.
const RESCAN_SEGMENTS: usize = 8;

/// Name of the file that holds the snapshot.
const SNAPSHOT_NAME: &str = "queueSnapshot";

const OP: &str = "store.recover";

/// What recovery found and made.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) segments: Segments,
    pub(super) queues: Arc<QueueTable>,
    pub(super) marks: Arc<Watermarks>,
    pub(super) end: LogEnd,
    pub(super) snapshot_file: MetadataFile,
    pub(super) deletions: Vec<Deletion>,
    /// What is known durably of the queues.
    pub(super) snapshot: Snapshot,
}

/// Where reading starts and what queues are taken to hold before.
struct Start<'a> {
    position: i64,
    snapshot: Option<&'a Snapshot>,
}

/// How one reading of the log went.
enum Outcome {
    Done(ScanEnd),
    /// A queue lacks something from before the start.
    Incomplete(String),
}

/// A queue while the log is read.
struct Restored {
    queue: Arc<Queue>,
    seen: bool,
}

struct Recovery<'a> {
    options: &'a StoreOptions,
    disk: &'a Arc<dyn Disk>,
    segments: Segments,
    bases: Vec<i64>,
    queues: Arc<QueueTable>,
    deletions: Vec<Deletion>,
    level: CheckLevel,
}

/// Recovers the store. `aborted`: it was not closed.
pub(super) fn recover(
    options: &StoreOptions,
    disk: &Arc<dyn Disk>,
    checkpoint: &Checkpoint,
    aborted: bool,
) -> Result<Recovered> {
    let listing = Listing::read(&**disk, &options.commitlog_dir, options.segment_bytes)?;
    let dir = options.commitlog_dir.clone();
    let segments = Segments::new(Arc::clone(disk), dir, listing.segment_bytes);
    let marks = Arc::new(Watermarks::new(options.flush, options.await_slaves, 0, 0));
    let files = Arc::new(QueueFiles::new(
        Arc::clone(disk),
        options.root.join("consumequeue"),
        options.consume_queue_file_bytes,
        options.max_open_queue_files,
    ));
    let queues = Arc::new(QueueTable::new(files, Arc::clone(&marks)));
    queues.load_dirs()?;
    let snapshot_file =
        MetadataFile::new(Arc::clone(disk), options.root.join(SNAPSHOT_NAME)).without_backup();
    let snapshot = load_snapshot(&snapshot_file);
    let mut recovery = Recovery {
        options,
        disk,
        segments,
        bases: listing.bases,
        queues,
        deletions: snapshot
            .as_ref()
            .map(|s| s.deletions.clone())
            .unwrap_or_default(),
        level: check_level(options),
    };
    let end = recovery.run(snapshot.as_ref(), checkpoint, aborted)?;
    marks.set_appended(end.end, end.last_store_ms);
    marks.set_flushed(end.end);
    Ok(Recovered {
        segments: recovery.segments,
        queues: recovery.queues,
        marks,
        end,
        snapshot_file,
        deletions: recovery.deletions,
        snapshot: snapshot.unwrap_or_else(Snapshot::empty),
    })
}

pub(super) fn check_level(options: &StoreOptions) -> CheckLevel {
    match (options.check_crc_on_recover, options.append_prop_crc) {
        (true, true) => CheckLevel::AllCrc,
        (true, false) => CheckLevel::BodyCrc,
        (false, _) => CheckLevel::Exact,
    }
}

fn load_snapshot(file: &MetadataFile) -> Option<Snapshot> {
    file.load(|bytes| Snapshot::decode(bytes).ok())
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "the snapshot of the queues is of no use");
            None
        })
}

fn queue_error(queue: &Queue) -> impl Fn(io::Error) -> Error {
    move |e| {
        let context = format!("queue {} of topic {}", queue.id(), queue.topic());
        Error::io(OP, context, e)
    }
}

impl Recovery<'_> {
    fn run(
        &mut self,
        snapshot: Option<&Snapshot>,
        checkpoint: &Checkpoint,
        aborted: bool,
    ) -> Result<LogEnd> {
        let Some(&log_min) = self.bases.first() else {
            return self.begin_empty();
        };
        let snapshot = snapshot.filter(|snapshot| self.bears_out(snapshot));
        let start = match snapshot {
            Some(snapshot) => Start {
                position: snapshot.position,
                snapshot: Some(snapshot),
            },
            None => Start {
                position: self.start_by_checkpoint(checkpoint)?,
                snapshot: None,
            },
        };
        let mut outcome = self.read_log(&start)?;
        if let Outcome::Incomplete(why) = &outcome {
            tracing::warn!(why, "the whole log is read to rebuild the consume queues");
            outcome = self.read_log(&Start {
                position: log_min,
                snapshot,
            })?;
        }
        let Outcome::Done(found) = outcome else {
            // Reading from the minimum takes every queue as it is.
            return Err(Error::new(
                crate::base::ErrorKind::Internal,
                OP,
                "no end of the log",
            ));
        };
        let clean = !aborted && found.records == 0 && found.error.is_none() && snapshot.is_some();
        tracing::info!(
            aborted,
            from = start.position,
            end = found.end,
            records = found.records,
            cut = found.error,
            "recovered the log"
        );
        self.settle_queues(clean, snapshot.is_some(), log_min)?;
        let end = self.open_log(&found, !clean, snapshot)?;
        if !clean {
            self.sync_log(start.position)?;
        }
        Ok(end)
    }

    /// A log without files: its queues point to nothing.
    fn begin_empty(&self) -> Result<LogEnd> {
        let root = self.queues.files().root();
        let topics = self.queues.topics();
        if !topics.is_empty() {
            tracing::warn!("the commit log has no files: the consume queues are removed");
        }
        let error = |e| Error::io(OP, root.display().to_string(), e);
        for topic in topics {
            for queue in self.queues.take_topic(&topic) {
                queue.set_deleted();
            }
            self.disk.remove_dir(&root.join(&*topic)).map_err(error)?;
        }
        self.disk.sync_dir(root).map_err(error)?;
        Ok(LogEnd {
            open: None,
            end: 0,
            last_store_ms: 0,
        })
    }

    /// Whether the record at the snapshot's position is the one that it knew.
    fn bears_out(&self, snapshot: &Snapshot) -> bool {
        let last = snapshot.last;
        let base = self.segments.base_of(last.offset.max(0));
        if self.bases.binary_search(&base).is_err() {
            return false;
        }
        let Ok(segment) = self.segments.open_whole(base) else {
            return false;
        };
        let record = scan::record_at(&segment, last.offset, self.level);
        let borne_out = record.is_some_and(|record| {
            record.len() as i64 == i64::from(last.size)
                && record.store_timestamp_ms() == last.store_ms
                && last.offset + i64::from(last.size) == snapshot.position
        });
        if !borne_out {
            tracing::warn!(
                position = snapshot.position,
                "the log does not bear out the snapshot"
            );
        }
        borne_out
    }

    /// The start of the newest file that began before the checkpoint, and some files before it.
    fn start_by_checkpoint(&self, checkpoint: &Checkpoint) -> Result<i64> {
        let limit_ms = checkpoint.min_timestamp_ms();
        let newest = self.bases.len().saturating_sub(RESCAN_SEGMENTS);
        for &base in self.bases[..=newest.min(self.bases.len() - 1)].iter().rev() {
            let segment = self.segments.open_whole(base)?;
            if let Some(record) = scan::record_at(&segment, base, self.level)
                && (1..=limit_ms).contains(&record.store_timestamp_ms())
            {
                return Ok(base);
            }
        }
        Ok(self.bases.first().copied().unwrap_or(0))
    }

    /// Reads the log from `start` on and lets the queues follow it.
    fn read_log(&self, start: &Start<'_>) -> Result<Outcome> {
        let log_min = self.bases.first().copied().unwrap_or(0);
        let from_min = start.position <= log_min;
        let mut marks: HashMap<(&str, i32), &QueueMark> = HashMap::new();
        for mark in start.snapshot.iter().flat_map(|snapshot| &snapshot.queues) {
            self.queues.find_or_create(&mark.topic, mark.queue_id)?;
            marks.insert((&mark.topic, mark.queue_id), mark);
        }
        let by_snapshot = start.snapshot.is_some() && !from_min;
        let mut restored: HashMap<Vec<u8>, HashMap<i32, Restored>> = HashMap::new();
        for queue in self.queues.all() {
            let mark = marks.get(&(queue.topic(), queue.id())).copied();
            let ready = if by_snapshot {
                self.prepare_by_mark(&queue, mark, log_min)?
            } else {
                self.prepare_by_files(&queue, mark, start.position, log_min)?
            };
            if !ready && !from_min {
                let why = format!("queue {} of {} lacks entries", queue.id(), queue.topic());
                return Ok(Outcome::Incomplete(why));
            }
            let topic = queue.topic().as_bytes().to_vec();
            let of_topic = restored.entry(topic).or_default();
            of_topic.insert(queue.id(), Restored { queue, seen: false });
        }
        let mut incomplete = None;
        let mut visit = |record: &RecordRef<'_>| {
            if incomplete.is_none() {
                incomplete = self.visit(record, &mut restored, from_min)?;
            }
            Ok(())
        };
        let end = scan::scan(
            &self.segments,
            &self.bases,
            start.position,
            self.level,
            &mut visit,
        )?;
        if let Some(why) = incomplete {
            return Ok(Outcome::Incomplete(why));
        }
        if by_snapshot {
            // Their topic was deleted, or was never more than a directory.
            let unknown = restored
                .into_values()
                .flat_map(HashMap::into_values)
                .filter(|one| {
                    !one.seen && !marks.contains_key(&(one.queue.topic(), one.queue.id()))
                });
            for one in unknown {
                tracing::warn!(queue = ?one.queue, "the log has nothing of a queue: removed");
                one.queue.begin_at(0).map_err(queue_error(&one.queue))?;
            }
        }
        Ok(Outcome::Done(end))
    }

    /// Sets a queue to what the snapshot says of it. False when its files do not have that.
    fn prepare_by_mark(
        &self,
        queue: &Queue,
        mark: Option<&QueueMark>,
        log_min: i64,
    ) -> Result<bool> {
        let error = queue_error(queue);
        queue.find_files().map_err(&error)?;
        let Some(mark) = mark else {
            queue.restore(0).map_err(&error)?;
            return Ok(true);
        };
        let expired = mark.last_offset < log_min;
        let last = queue.entry_in_files(mark.next - 1).map_err(&error)?;
        queue.restore(mark.next).map_err(&error)?;
        Ok(expired || last.is_some_and(|last| mark.matches(&last)))
    }

    /// Sets a queue to what its files hold of records before `position`. False when its last entry
    /// is not borne out by the log.
    fn prepare_by_files(
        &self,
        queue: &Queue,
        mark: Option<&QueueMark>,
        position: i64,
        log_min: i64,
    ) -> Result<bool> {
        let error = queue_error(queue);
        queue.find_files().map_err(&error)?;
        let end = queue.end_in_files().map_err(&error)?;
        let mut next = queue.count_before(end, position).map_err(&error)?;
        if let Some(deletion) = self.deletions.iter().find(|d| &*d.topic == queue.topic())
            && let Some(last) = queue.entry_in_files(next - 1).map_err(&error)?
            && last.offset < deletion.position
        {
            // The power went before its files were removed.
            queue.begin_at(0).map_err(&error)?;
            return Ok(true);
        }
        // All of its messages are gone, and so may be its files; the offsets go on.
        if let Some(mark) = mark.filter(|mark| mark.last_offset < log_min) {
            next = next.max(mark.next);
        }
        queue.restore(next).map_err(&error)?;
        let last = queue.entry_in_files(next - 1).map_err(&error)?;
        let Some(last) = last.filter(|last| last.is_message() && last.offset >= log_min) else {
            return Ok(true);
        };
        let base = self.segments.base_of(last.offset);
        if self.bases.binary_search(&base).is_err() {
            return Ok(false);
        }
        let segment = self.segments.open_whole(base)?;
        let record = scan::record_at(&segment, last.offset, CheckLevel::Exact);
        Ok(record.is_some_and(|record| {
            record.len() as i64 == i64::from(last.size)
                && record.queue_offset() == next - 1
                && record.queue_id() == queue.id()
                && record.topic_bytes() == queue.topic().as_bytes()
        }))
    }

    /// Lets the queue of `record` follow it. `Some`: the queue lacks what was before.
    fn visit(
        &self,
        record: &RecordRef<'_>,
        restored: &mut HashMap<Vec<u8>, HashMap<i32, Restored>>,
        from_min: bool,
    ) -> Result<Option<String>> {
        let Some(entry) = dispatch::entry_of(record, &self.options.delay_levels_ms) else {
            return Ok(None);
        };
        let offset = record.queue_offset();
        let (topic, queue_id) = (record.topic_bytes(), record.queue_id());
        let known = restored
            .get_mut(topic)
            .and_then(|queues| queues.get_mut(&queue_id));
        let one = match known {
            Some(one) => one,
            None => {
                let queue = std::str::from_utf8(topic)
                    .ok()
                    .and_then(|topic| self.queues.find_or_create(topic, queue_id).ok());
                let Some(queue) = queue else {
                    tracing::warn!(?record, "a record for a queue that cannot be is left out");
                    return Ok(None);
                };
                queue.find_files().map_err(queue_error(&queue))?;
                let of_topic = restored.entry(topic.to_vec()).or_default();
                of_topic
                    .entry(queue_id)
                    .or_insert(Restored { queue, seen: false })
            }
        };
        let deleted = |deletion: &Deletion| {
            deletion.topic.as_bytes() == topic && entry.offset < deletion.position
        };
        if self.deletions.iter().any(deleted) {
            return Ok(None);
        }
        let queue = &one.queue;
        if !one.seen && !from_min && offset > queue.next_offset() {
            let next = queue.next_offset();
            let name = queue.topic();
            let why = format!("queue {queue_id} of {name} ends at {next} and goes on at {offset}");
            return Ok(Some(why));
        }
        let first = !one.seen;
        one.seen = true;
        queue
            .restore_entry(offset, entry, first)
            .map_err(queue_error(queue))?;
        Ok(None)
    }

    /// Cuts what the queue files hold too much and moves the minimums.
    fn settle_queues(&self, clean: bool, by_snapshot: bool, log_min: i64) -> Result<()> {
        for queue in self.queues.all() {
            let error = queue_error(&queue);
            if !clean || queue.has_wrong_end().map_err(&error)? {
                queue.cut_files().map_err(&error)?;
                queue.distrust_files(!by_snapshot).map_err(&error)?;
            }
            queue.expire(log_min).map_err(&error)?;
            if queue.is_active() {
                self.queues.activate([Arc::clone(&queue)]);
            }
        }
        Ok(())
    }

    /// What was read may so far be in the memory of the system only: a killed process leaves it
    /// there. It counts as flushed from now on, so it has to be.
    fn sync_log(&self, from: i64) -> Result<()> {
        for segment in self
            .segments
            .all()
            .iter()
            .filter(|segment| segment.end() > from)
        {
            let path = segment.path();
            segment
                .sync()
                .map_err(|e| Error::io(OP, path.display().to_string(), e))?;
        }
        self.disk
            .sync_dir(&self.options.commitlog_dir)
            .map_err(|e| Error::io(OP, self.options.commitlog_dir.display().to_string(), e))
    }

    /// Removes the files behind the end of the log and opens the others.
    fn open_log(
        &self,
        found: &ScanEnd,
        dirty: bool,
        snapshot: Option<&Snapshot>,
    ) -> Result<LogEnd> {
        let tail_base = self.segments.base_of(found.end);
        // Last file first: a hole would stop the next start.
        for &base in self.bases.iter().rev().filter(|&&base| base >= tail_base) {
            let empty = base > tail_base || found.end == tail_base;
            if empty && base != self.bases[0] {
                tracing::info!(base, "removed a log file behind the end of the log");
                self.segments.remove_file(base)?;
            }
        }
        let mut open = None;
        for &base in self.bases.iter().filter(|&&base| base <= tail_base) {
            let position = usize::try_from(found.end - base).unwrap_or(0);
            if position >= self.segments.segment_bytes() {
                self.segments.push(self.segments.open_whole(base)?);
            } else if position > 0 || base == self.bases[0] {
                let tail = self.segments.open_tail(base, position, dirty)?;
                self.segments.push(Arc::clone(&tail.segment));
                open = Some(tail);
            }
        }
        let last_store_ms = match snapshot {
            Some(snapshot) if found.records == 0 => snapshot.last.store_ms,
            _ => found.last_store_ms,
        };
        Ok(LogEnd {
            open,
            end: found.end,
            last_store_ms,
        })
    }
}

/// Makes the directories of the store, durably.
pub(super) fn make_dirs(options: &StoreOptions, disk: &dyn Disk) -> Result<()> {
    let queues = options.root.join("consumequeue");
    let dirs = [&options.root, &options.commitlog_dir, &queues];
    create_dirs_durably(disk, &dirs.map(|dir| dir.as_path())).map_err(|e| {
        let missing = dirs.into_iter().find(|dir| disk.list(dir).is_err());
        let dir = missing.unwrap_or(&options.root);
        Error::io("store.open", dir.display().to_string(), e)
    })
}
