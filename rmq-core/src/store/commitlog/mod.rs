//! The commit log: all messages of all topics in the order of their arrival.

mod batch;
mod flush;
mod replica;
pub(super) mod scan;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;

pub(super) use batch::is_queued;
pub use batch::{AppendBatch, AppendError, Appended};

use super::bell::Bell;
use super::consume_queue::{Entry, QueueTable};
use super::health::{self, Full, HealthState};
use super::options::FlushMode;
use super::segments::{OpenSegment, Segment, Segments};
use super::watermarks::Watermarks;
use crate::base::clock::SharedClock;
use crate::base::error::{ErrorKind, Result};
use crate::protocol::message::record::{self, BLANK_LEN, Place};
use batch::{Item, TagsCode};

/// Time by which the clock may go back without store timestamps doing so, ms.
const CLOCK_SLACK_MS: i64 = 10_000;

#[derive(Debug)]
pub(super) struct CommitLog {
    segments: Segments,
    marks: Arc<Watermarks>,
    health: Arc<HealthState>,
    clock: SharedClock,
    mode: FlushMode,
    tail: Mutex<Tail>,
    /// Held while a segment is made, by whoever makes it.
    ahead: Mutex<Ahead>,
    /// Whether there is a segment made ahead.
    has_ahead: AtomicBool,
    /// Pages below this log offset are ready to be written.
    populated: AtomicI64,
    populate_bytes: i64,
    flushed_ms: AtomicI64,
    /// One flush at a time.
    flushing: Mutex<()>,
    pub(super) flush_bell: Bell,
    pub(super) allocate_bell: Bell,
}

/// What the append lock protects.
#[derive(Debug)]
struct Tail {
    open: Option<OpenSegment>,
    /// Log offset of the next record.
    end: i64,
    last_store_ms: i64,
}

/// The next segment, made before it is needed.
#[derive(Debug)]
struct Ahead {
    next: Option<OpenSegment>,
    /// Segments that begin before were made; making one again would empty its file.
    made_to: i64,
}

/// What recovery found at the end of the log.
#[derive(Debug)]
pub(super) struct LogEnd {
    pub(super) open: Option<OpenSegment>,
    pub(super) end: i64,
    pub(super) last_store_ms: i64,
}

impl CommitLog {
    pub(super) fn new(
        segments: Segments,
        marks: Arc<Watermarks>,
        health: Arc<HealthState>,
        clock: SharedClock,
        mode: FlushMode,
        populate_bytes: usize,
        end: LogEnd,
    ) -> Self {
        let made_to = match &end.open {
            Some(open) => open.segment.end(),
            None => segments.base_of(end.end),
        };
        let tail = Tail {
            open: end.open,
            end: end.end,
            last_store_ms: end.last_store_ms,
        };
        Self {
            segments,
            marks,
            health,
            clock,
            mode,
            tail: Mutex::new(tail),
            ahead: Mutex::new(Ahead {
                next: None,
                made_to,
            }),
            has_ahead: AtomicBool::new(false),
            populated: AtomicI64::new(end.end),
            populate_bytes: i64::try_from(populate_bytes).unwrap_or(i64::MAX / 4),
            flushed_ms: AtomicI64::new(end.last_store_ms),
            flushing: Mutex::new(()),
            flush_bell: Bell::default(),
            allocate_bell: Bell::default(),
        }
    }

    pub(super) fn segments(&self) -> &Segments {
        &self.segments
    }

    pub(super) fn min_offset(&self) -> i64 {
        self.segments
            .min_offset()
            .unwrap_or_else(|| self.marks.appended())
    }

    /// Appends all records of `batch` in order, with one take of the lock.
    pub(super) fn append(&self, batch: &mut AppendBatch<'_>, queues: &QueueTable) {
        let mut tail = self.tail.lock();
        // Time is read under the lock, so that it grows along the log.
        let now = self.clock.wall_ms();
        let goes_back = tail.last_store_ms - now;
        if !(0..=CLOCK_SLACK_MS).contains(&goes_back) {
            tail.last_store_ms = now;
        }
        let mut failed = None;
        for index in 0..batch.items.len() {
            let item = &batch.items[index];
            if batch.results[index].is_ok() {
                continue;
            }
            let body = batch.bodies[index];
            let staged = &batch.buffer[item.at..item.at + item.staged.staged_len()];
            let result = match &failed {
                None => self.append_one(&mut tail, item, staged, body, queues),
                Some(error) => Err(AppendError::clone(error)),
            };
            if batch.stops_at_failure && failed.is_none() {
                failed = result.as_ref().err().cloned();
            }
            batch.results[index] = result;
        }
        self.marks.set_appended(tail.end, tail.last_store_ms);
        let wanted = self.wants_allocation(&tail);
        drop(tail);
        if self.mode == FlushMode::Sync {
            self.flush_bell.ring();
        }
        if wanted {
            self.allocate_bell.ring();
        }
    }

    fn append_one(
        &self,
        tail: &mut Tail,
        item: &Item,
        staged: &[u8],
        body: &[u8],
        queues: &QueueTable,
    ) -> Result<Appended, AppendError> {
        self.health.check()?;
        let len = item.staged.total_len();
        if len + BLANK_LEN > self.segments.segment_bytes() {
            return Err(AppendError::TooLarge);
        }
        let mut queue = &item.queue;
        let again;
        if queue.is_deleted() {
            again = queues
                .find_or_create(queue.topic(), queue.id())
                .map_err(|error| AppendError::Store(error.kind()))?;
            queue = &again;
        }
        let store_timestamp_ms = tail.last_store_ms;
        let open = self.room_for(tail, len)?;
        let writer = &mut open.writer;
        let physical_offset = open.segment.base() + writer.position() as i64;
        let queue_offset = if item.queued { queue.next_offset() } else { 0 };
        let place = Place {
            queue_offset,
            physical_offset,
            store_timestamp_ms,
        };
        let Some(target) = writer.reserve(len) else {
            return Err(AppendError::TooLarge);
        };
        item.staged.place(staged, body, &place, target);
        writer.publish(len);
        tail.end = physical_offset + len as i64;
        if item.queued {
            let tags_code = match item.tags_code {
                TagsCode::Is(code) => code,
                TagsCode::After(delay_ms) => store_timestamp_ms.saturating_add(delay_ms),
            };
            let was_idle = queue.append(Entry {
                offset: physical_offset,
                size: len as i32,
                tags_code,
            });
            if was_idle {
                queues.activate([Arc::clone(queue)]);
            }
        }
        Ok(Appended {
            physical_offset,
            queue_offset,
            store_timestamp_ms,
            len,
        })
    }

    /// The open segment with room for a record of `len` bytes and a blank behind it; fills up the
    /// present one and goes to the next where that is needed.
    fn room_for<'t>(
        &self,
        tail: &'t mut Tail,
        len: usize,
    ) -> Result<&'t mut OpenSegment, AppendError> {
        let fits = |open: &OpenSegment| len + BLANK_LEN <= open.writer.remaining();
        if !tail.open.as_ref().is_some_and(fits) {
            self.roll(tail)?;
        }
        match &mut tail.open {
            Some(open) => Ok(open),
            None => Err(AppendError::Store(ErrorKind::DiskFull)),
        }
    }

    /// Fills up the present segment and goes to the next.
    fn roll(&self, tail: &mut Tail) -> Result<(), AppendError> {
        let next_base = match &tail.open {
            Some(open) => open.segment.end(),
            None => self.segments.base_of(tail.end),
        };
        let next = self.next_segment(next_base)?;
        if let Some(mut full) = tail.open.take() {
            let rest = full.writer.remaining();
            if let Some(target) = full.writer.reserve(rest)
                && rest >= BLANK_LEN
            {
                record::put_blank(target, rest as u32);
            }
            full.writer.publish(rest);
        }
        tail.end = next.segment.base();
        self.segments.push(Arc::clone(&next.segment));
        tail.open = Some(next);
        Ok(())
    }

    /// The segment that begins at `base`: the one made ahead, or else a new one.
    fn next_segment(&self, base: i64) -> Result<OpenSegment, AppendError> {
        let mut ahead = self.ahead.lock();
        self.has_ahead.store(false, Ordering::Relaxed);
        if let Some(next) = ahead.next.take().filter(|next| next.segment.base() == base) {
            return Ok(next);
        }
        let made = self.segments.create(base);
        if let Ok(made) = &made {
            ahead.made_to = made.segment.end();
        }
        made.map_err(|error| {
            tracing::error!(%error, "cannot make the next file of the log");
            if health::is_shortage(error.kind()) {
                self.health.set_full(Full::Log, true);
                AppendError::Store(ErrorKind::DiskFull)
            } else {
                self.health.set_read_only(error.to_string());
                AppendError::Store(ErrorKind::ReadOnly)
            }
        })
    }

    fn wants_allocation(&self, tail: &Tail) -> bool {
        if self.populate_bytes > 0
            && tail.end + self.populate_bytes / 2 > self.populated.load(Ordering::Relaxed)
        {
            return true;
        }
        let half_full =
            |open: &OpenSegment| open.writer.remaining() < self.segments.segment_bytes() / 2;
        tail.open.as_ref().is_none_or(half_full) && !self.has_ahead.load(Ordering::Relaxed)
    }

    /// Makes the next segment when the present one is half full, and pages ready ahead of the
    /// writer. Work of the allocate thread. False when there was no space.
    pub(super) fn allocate(&self) -> bool {
        let (next_base, end, open) = {
            let tail = self.tail.lock();
            let segment = tail.open.as_ref().map(|open| Arc::clone(&open.segment));
            let base = segment
                .as_ref()
                .map_or(self.segments.base_of(tail.end), |s| s.end());
            (base, tail.end, segment)
        };
        let half = (self.segments.segment_bytes() / 2) as i64;
        let due = next_base - end < half || self.health.is_full(Full::Log);
        let made = !due || self.health.is_closed() || self.make_ahead(next_base);
        if let Some(segment) = open.filter(|_| self.populate_bytes > 0) {
            self.populate(&segment, end);
        }
        made
    }

    /// Lets go of the pages of the log but for those of its end, which are written and read most:
    /// a log is as large as its disk, and the memory counted as the broker's should not be.
    pub(super) fn release(&self) {
        const KEEP_BYTES: i64 = 64 << 20;
        let end = self.tail.lock().end - KEEP_BYTES;
        for segment in self.segments.all() {
            if let Ok(len) = usize::try_from(end.min(segment.end()) - segment.base()) {
                segment.region().release(0..len);
            }
        }
    }

    fn populate(&self, segment: &Segment, end: i64) {
        let from = self.populated.load(Ordering::Relaxed).max(end);
        let to = end + self.populate_bytes;
        if from >= to {
            return;
        }
        let range = |base: i64| {
            let start = usize::try_from(from - base).unwrap_or(0);
            start..usize::try_from(to - base).unwrap_or(0)
        };
        segment.region().populate_write(range(segment.base()));
        if to > segment.end() {
            let ahead = self
                .ahead
                .lock()
                .next
                .as_ref()
                .map(|next| Arc::clone(&next.segment));
            if let Some(next) = ahead.filter(|next| next.base() == segment.end()) {
                next.region().populate_write(range(next.base()));
            }
        }
        self.populated.store(to, Ordering::Relaxed);
    }

    fn make_ahead(&self, base: i64) -> bool {
        let mut ahead = self.ahead.lock();
        if ahead.next.is_some() || base < ahead.made_to {
            return true;
        }
        match self.segments.create(base) {
            Ok(next) => {
                ahead.made_to = next.segment.end();
                ahead.next = Some(next);
                self.has_ahead.store(true, Ordering::Relaxed);
                self.health.set_full(Full::Log, false);
                true
            }
            Err(error) => {
                // Not a failure yet: the present file has room.
                tracing::warn!(%error, "cannot make the next file of the log ahead");
                false
            }
        }
    }

    /// Removes the segment made ahead, which Apache's broker does too when it stops.
    pub(super) fn drop_ahead(&self) -> Result<()> {
        let mut ahead = self.ahead.lock();
        self.has_ahead.store(false, Ordering::Relaxed);
        match ahead.next.take() {
            Some(next) => {
                ahead.made_to = next.segment.base();
                self.segments.remove_file(next.segment.base())
            }
            None => Ok(()),
        }
    }

    /// Runs `work` while nothing is appended; it is given the end of the log.
    pub(super) fn locked<T>(&self, work: impl FnOnce(i64) -> T) -> T {
        let tail = self.tail.lock();
        work(tail.end)
    }

    /// Store timestamp of a record that is durable, ms; later ones may be too.
    pub(super) fn flushed_ms(&self) -> i64 {
        self.flushed_ms.load(Ordering::Acquire)
    }
}
