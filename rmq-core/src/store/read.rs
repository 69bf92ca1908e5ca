//! Reading messages from a queue.

use super::consume_queue::{ENTRY_BYTES, Entry, Queue};
use super::core::Core;
use super::mmap::LogSlice;
use super::options::ReadOptions;
use crate::protocol::message::record::{MAGIC_V1, MAGIC_V2, PHYSICAL_OFFSET_AT};
use crate::protocol::request::offset::Boundary;

/// Bytes that one answer never exceeds.
const MAX_ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// What a caller wants at most. The store's own limits hold besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Messages.
    pub max_count: usize,
    /// Bytes; at least one message is returned even if it is longer.
    pub max_bytes: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            max_count: 32,
            max_bytes: MAX_ANSWER_BYTES,
        }
    }
}

/// How a read went, as RocketMQ's brokers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadStatus {
    /// Here are messages.
    Found,
    /// None of the messages looked at was wanted.
    NoMatchedMessage,
    /// The messages looked at are no longer in the log.
    MessageWasRemoving,
    /// The queue has no entry there although it should.
    OffsetFoundNull,
    /// The offset is beyond the end.
    OffsetOverflowBadly,
    /// The offset is the end.
    OffsetOverflowOne,
    /// The offset is before the first message.
    OffsetTooSmall,
    /// There is no such queue.
    NoMatchedLogicQueue,
    /// The queue never had a message.
    NoMessageInQueue,
    /// The offset was reset meanwhile.
    OffsetReset,
}

impl ReadStatus {
    /// RocketMQ's name, which is the remark of the reply.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// What a read found.
#[derive(Debug)]
pub struct ReadOutcome {
    /// How it went.
    pub status: ReadStatus,
    /// Where to read next.
    pub next_offset: i64,
    /// Offset of the first message of the queue.
    pub min_offset: i64,
    /// Offset behind the last message that may be consumed.
    pub max_offset: i64,
    /// The records, as they lie in the log.
    pub records: Vec<LogSlice>,
    /// Sum of their lengths.
    pub bytes: usize,
    /// Some of the records may not be in memory: touching them may wait for the disk, so a thread
    /// that must not wait hands them to one that may. Without records: the read ended before a
    /// record that its filter may not wait for.
    pub cold: bool,
    /// The reader is so far behind that a slave had better serve it.
    pub suggests_slave: bool,
    /// Queue entries looked at.
    pub scanned: usize,
}

/// What a filter says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// It is to be in the answer.
    Yes,
    /// It is to be left out.
    No,
    /// This read has cost enough: it ends before the record.
    Later,
}

/// Whether a filter may look at records that are not in memory, and so wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// It may.
    Waits,
    /// It may not: the read ends before such a record. If it has found nothing by then, it says
    /// that it is `cold`.
    Hurries,
}

/// Looks at whole records.
#[allow(missing_debug_implementations, reason = "a function has no text")]
pub struct RecordFilter<'a> {
    /// Judges one.
    pub matches: &'a mut dyn FnMut(&[u8]) -> Wanted,
    /// Whether it may wait for the disk.
    pub patience: Patience,
}

/// Decides by the tags code of an entry, and by the record, whether a message is wanted.
pub(super) struct Filter<'a> {
    pub(super) by_tags: &'a mut dyn FnMut(i64) -> bool,
    pub(super) by_record: Option<RecordFilter<'a>>,
}

/// A read in progress.
struct Reading<'a> {
    core: &'a Core,
    options: ReadOptions,
    outcome: ReadOutcome,
    limits: ReadLimits,
    log_end: i64,
    /// Entries that point below are skipped: their file is gone.
    skip_below: Option<i64>,
    last_offset: i64,
}

impl Core {
    pub(super) fn read(
        &self,
        queue: &Queue,
        offset: i64,
        limits: ReadLimits,
        mut filter: Filter<'_>,
    ) -> ReadOutcome {
        let (min, max) = (queue.min_offset(), queue.max_offset());
        let none = |status, next_offset| ReadOutcome {
            status,
            next_offset,
            min_offset: min,
            max_offset: max,
            records: Vec::new(),
            bytes: 0,
            cold: false,
            suggests_slave: false,
            scanned: 0,
        };
        if queue.is_deleted() {
            let gone = none(ReadStatus::NoMatchedLogicQueue, 0);
            return ReadOutcome {
                min_offset: 0,
                max_offset: 0,
                ..gone
            };
        }
        if max == 0 {
            return none(ReadStatus::NoMessageInQueue, 0);
        }
        if offset < min {
            return none(ReadStatus::OffsetTooSmall, min);
        }
        if offset == max {
            return none(ReadStatus::OffsetOverflowOne, offset);
        }
        if offset > max {
            return none(ReadStatus::OffsetOverflowBadly, max);
        }
        let limits = ReadLimits {
            max_bytes: limits.max_bytes.clamp(100, MAX_ANSWER_BYTES),
            ..limits
        };
        let mut reading = Reading {
            core: self,
            options: self.tuned().read,
            outcome: none(ReadStatus::NoMatchedMessage, offset),
            limits,
            log_end: self.marks.appended(),
            skip_below: None,
            last_offset: 0,
        };
        reading.run(queue, offset, max, &mut filter);
        reading.finish()
    }

    /// The whole record that begins at log offset `offset`.
    pub(super) fn message_at(&self, offset: i64) -> Option<LogSlice> {
        let head = self.log.segments().slice(offset, PHYSICAL_OFFSET_AT + 8)?;
        let (size, magic) = head.split_first_chunk::<4>()?;
        let magic = u32::from_be_bytes(*magic.first_chunk::<4>()?);
        let stated = i64::from_be_bytes(*head.get(PHYSICAL_OFFSET_AT..)?.first_chunk::<8>()?);
        let size = usize::try_from(i32::from_be_bytes(*size)).ok()?;
        // Inside of bodies there may be anything, but nothing that says it lies just there.
        let is_record = matches!(magic, MAGIC_V1 | MAGIC_V2) && stated == offset;
        let record = self
            .log
            .segments()
            .slice(offset, size)
            .filter(|_| is_record)?;
        (offset + size as i64 <= self.marks.safe()).then_some(record)
    }

    /// Store timestamp of the message at `offset` of the queue, ms.
    pub(super) fn store_ms_at(&self, queue: &Queue, offset: i64) -> Option<i64> {
        self.store_ms(&queue.entry(offset)?)
    }

    /// The offset of the first message stored at or after a time, or of the last one at or before.
    pub(super) fn offset_by_time(&self, queue: &Queue, time_ms: i64, boundary: Boundary) -> i64 {
        let (min, max) = (queue.min_offset(), queue.max_offset());
        let first_after = |wanted: &dyn Fn(i64) -> bool| {
            queue.lower_bound(min, max, |entry| self.store_ms(entry).is_some_and(wanted))
        };
        match boundary {
            Boundary::Lower => first_after(&|ms| ms >= time_ms),
            Boundary::Upper => {
                let found = first_after(&|ms| ms > time_ms);
                if found > min { found - 1 } else { 0 }
            }
        }
    }
}

impl RecordFilter<'_> {
    fn hurries(&self) -> bool {
        self.patience == Patience::Hurries
    }
}

/// What the filter says of a record, which is `cold` if it may not be in memory.
fn judge(filter: Option<&mut RecordFilter<'_>>, record: &[u8], cold: bool) -> Wanted {
    match filter {
        None => Wanted::Yes,
        Some(filter) if cold && filter.hurries() => Wanted::Later,
        Some(filter) => (filter.matches)(record),
    }
}

impl Reading<'_> {
    fn run(&mut self, queue: &Queue, offset: i64, max: i64, filter: &mut Filter<'_>) {
        let options = &self.options;
        let by_bytes = options.max_filter_bytes.div_ceil(ENTRY_BYTES);
        let scan = by_bytes.max(self.limits.max_count);
        let count = scan.min(usize::try_from(max - offset).unwrap_or(usize::MAX));
        // Most reads want few entries and take all of them.
        let mut entries = Vec::new();
        let mut at = offset;
        let end = offset + count as i64;
        while at < end {
            entries.clear();
            let step = (self.limits.max_count.max(32)).min((end - at) as usize);
            if let Err(error) = queue.entries(at, step, &mut entries) {
                tracing::warn!(?queue, at, %error, "cannot read queue entries");
            }
            if entries.is_empty() {
                if self.outcome.records.is_empty() {
                    self.outcome.status = ReadStatus::OffsetFoundNull;
                    self.outcome.next_offset = queue.next_file_start(at).min(max);
                }
                return;
            }
            for entry in &entries {
                if !self.take(entry, at, filter) {
                    return;
                }
                at += 1;
            }
        }
    }

    /// Looks at one entry. False when the answer is full.
    fn take(&mut self, entry: &Entry, offset: i64, filter: &mut Filter<'_>) -> bool {
        let size = usize::try_from(entry.size).unwrap_or(0);
        if self.is_full(entry, size) {
            return false;
        }
        let before = (self.last_offset, self.outcome.next_offset);
        self.last_offset = entry.offset;
        self.outcome.next_offset = offset + 1;
        self.outcome.scanned += 1;
        if self.skip_below.is_some_and(|limit| entry.offset < limit) {
            return true;
        }
        if !(filter.by_tags)(entry.tags_code) {
            self.nothing(ReadStatus::NoMatchedMessage);
            return true;
        }
        let Some((slice, cold)) = self.record(entry, size) else {
            self.nothing(ReadStatus::MessageWasRemoving);
            // Others before the start of the log need not be looked for; an entry that points
            // nowhere else says nothing about the others.
            let log_min = self.core.log.min_offset();
            self.skip_below = Some(log_min).filter(|&min| entry.offset < min);
            return true;
        };
        match judge(filter.by_record.as_mut(), &slice, cold) {
            Wanted::Yes => {}
            Wanted::No => {
                self.nothing(ReadStatus::NoMatchedMessage);
                return true;
            }
            Wanted::Later => {
                // As if it had not been looked at.
                (self.last_offset, self.outcome.next_offset) = before;
                self.outcome.scanned -= 1;
                let untouched = filter.by_record.as_ref().is_some_and(|by| by.hurries());
                self.outcome.cold = cold && untouched && self.outcome.records.is_empty();
                return false;
            }
        }
        self.outcome.cold |= cold;
        self.outcome.bytes += size;
        self.outcome.records.push(slice);
        self.outcome.status = ReadStatus::Found;
        self.skip_below = None;
        true
    }

    fn nothing(&mut self, status: ReadStatus) {
        if self.outcome.records.is_empty() {
            self.outcome.status = status;
        }
    }

    fn is_full(&self, entry: &Entry, size: usize) -> bool {
        if self.outcome.records.is_empty() {
            return false;
        }
        let options = &self.options;
        let in_memory = self.is_near(entry.offset);
        let (max_count, max_bytes) = match in_memory {
            true => (options.max_count_in_memory, options.max_bytes_in_memory),
            false => (options.max_count_on_disk, options.max_bytes_on_disk),
        };
        let bytes = self.outcome.bytes + size;
        let count = self.outcome.records.len() + 1;
        count > self.limits.max_count.min(max_count) || bytes > self.limits.max_bytes.min(max_bytes)
    }

    /// Whether an offset is near enough to the end of the log to count as in memory.
    fn is_near(&self, offset: i64) -> bool {
        let distance = self.log_end.saturating_sub(offset);
        distance <= i64::try_from(self.options.memory_bytes).unwrap_or(i64::MAX)
    }

    /// The record of an entry, if the log has it, and whether it may not be in memory.
    fn record(&self, entry: &Entry, size: usize) -> Option<(LogSlice, bool)> {
        if !entry.is_message() {
            return None;
        }
        let slice = self.core.log.segments().slice(entry.offset, size)?;
        // What this process wrote lately is there without asking.
        let hot = entry.offset >= self.core.opened_at && self.is_near(entry.offset);
        if !hot && !slice.is_resident() {
            return Some((slice, true));
        }
        // A damaged entry must not hand out other bytes than a record.
        let stated = slice
            .first_chunk::<4>()
            .map(|size| i32::from_be_bytes(*size));
        (stated == Some(entry.size)).then_some((slice, false))
    }

    fn finish(mut self) -> ReadOutcome {
        self.outcome.suggests_slave = !self.is_near(self.last_offset);
        self.outcome
    }
}
