//! Finding records by key.

use std::ops::Range;
use std::sync::Arc;

use super::Index;
use super::files::Reader;
use super::keys::{KeyKind, hash_of};
use super::layout::Header;
use crate::store::core::Core;
use crate::store::mmap::LogSlice;

/// A query is given up after this time, ms, with what it found so far: who asked has given up too.
const MAX_MS: u64 = 3000;

/// Entries looked at between two looks at the clock.
const CLOCK_STEPS: u32 = 512;

/// What records are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyQuery<'a> {
    /// The topic as it is stored.
    pub topic: &'a str,
    /// One key, the unique id, or the tag.
    pub key: &'a str,
    /// What `key` is.
    pub kind: KeyKind,
    /// Most records; the newest count.
    pub max_count: usize,
    /// Most bytes; one record is found even if it is longer.
    pub max_bytes: usize,
    /// Stored at or after this time, ms since the epoch. Files tell times to the second.
    pub begin_ms: i64,
    /// Stored at or before this time.
    pub end_ms: i64,
}

/// What a query found.
#[derive(Debug, Default)]
pub struct KeyMatches {
    /// The records, in the order of the log. Another key of the same hash may be among them.
    pub records: Vec<LogSlice>,
    /// Store timestamp of the last record in the index, ms; 0 when nothing was found.
    pub last_update_ms: i64,
    /// Log offset of the last record in the index; 0 when nothing was found.
    pub last_update_offset: i64,
}

/// A walk through files, newest first, and through the entries of a slot, newest first.
struct Walk<'a> {
    hash: i32,
    query: &'a KeyQuery<'a>,
    /// Log offsets at which records may be shown.
    visible: Range<i64>,
    give_up: &'a dyn Fn() -> bool,
    steps: u32,
    found: Vec<i64>,
}

impl Walk<'_> {
    fn is_full(&self) -> bool {
        self.found.len() >= self.query.max_count
    }

    /// Whether older files may hold something.
    fn goes_on_behind(&self, header: &Header) -> bool {
        !self.is_full() && header.begin_ms >= self.query.begin_ms
    }

    /// Whether a file has records of the time asked for.
    fn concerns(&self, header: &Header) -> bool {
        self.query.begin_ms <= header.end_ms && self.query.end_ms >= header.begin_ms
    }

    /// Looks through one file.
    fn read(&mut self, reader: &mut Reader<'_>) -> std::io::Result<()> {
        let header = *reader.header();
        let mut number = reader.newest(self.hash)?;
        while number > 0 && !self.is_full() {
            let entry = reader.entry(number)?;
            if entry.seconds < 0 {
                break;
            }
            let time_ms = header.time_ms(&entry);
            let wanted = entry.hash == self.hash
                && (self.query.begin_ms..=self.query.end_ms).contains(&time_ms)
                && self.visible.contains(&entry.offset);
            // A record that has a key twice is found once.
            if wanted && self.found.last() != Some(&entry.offset) {
                self.found.push(entry.offset);
            }
            self.steps += 1;
            let late = self.steps.is_multiple_of(CLOCK_STEPS) && (self.give_up)();
            // Entries only lead to older ones; in a damaged file they might go round.
            if time_ms < self.query.begin_ms || entry.before >= number || late {
                break;
            }
            number = entry.before;
        }
        Ok(())
    }
}

impl Index {
    /// Log offsets of visible records, newest first, and the time and log offset of the newest
    /// record in the index.
    fn find(
        &self,
        query: &KeyQuery<'_>,
        visible: Range<i64>,
        give_up: &dyn Fn() -> bool,
    ) -> (Vec<i64>, (i64, i64)) {
        let mut walk = Walk {
            hash: hash_of(query.topic, query.key, query.kind),
            query,
            visible,
            give_up,
            steps: 0,
            found: Vec::new(),
        };
        let mut outcome = Ok(());
        let (sealed, newest, mut goes_on) = {
            let files = self.files.read();
            let newest = files
                .last_header()
                .map(|last| (last.end_ms, last.end_offset));
            let mut goes_on = true;
            if let Some(current) = &files.current {
                if walk.concerns(current.header()) {
                    outcome = walk.read(&mut current.reader());
                }
                goes_on = walk.goes_on_behind(current.header());
            }
            let sealed: Vec<_> = files.sealed.iter().map(Arc::clone).collect();
            (sealed, newest.unwrap_or_default(), goes_on)
        };
        for file in sealed.iter().rev() {
            if !goes_on || outcome.is_err() || (walk.give_up)() {
                break;
            }
            if walk.concerns(&file.header) {
                outcome = match file.reader(&*self.disk, self.shape) {
                    Ok(mut reader) => walk.read(&mut reader),
                    // Deleted in the meantime, and its records are too.
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                    Err(e) => Err(e),
                };
            }
            goes_on = walk.goes_on_behind(&file.header);
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "an index file cannot be read");
        }
        (walk.found, newest)
    }
}

impl Core {
    /// Finds records by key. May wait for the disk.
    pub(in crate::store) fn query_by_key(&self, query: &KeyQuery<'_>) -> KeyMatches {
        let until_ms = self.clock.monotonic_ms().saturating_add(MAX_MS);
        let late = || self.clock.monotonic_ms() > until_ms;
        let visible = self.log.min_offset()..self.marks.safe();
        let (offsets, (last_ms, last_offset)) = self.index.find(query, visible, &late);
        if offsets.is_empty() {
            return KeyMatches::default();
        }
        let mut records = Vec::with_capacity(offsets.len());
        let mut bytes = 0;
        for offset in offsets {
            let Some(record) = self.message_at(offset) else {
                continue;
            };
            bytes += record.len();
            if (bytes > query.max_bytes || late()) && !records.is_empty() {
                break;
            }
            records.push((offset, record));
        }
        records.sort_unstable_by_key(|(offset, _)| *offset);
        KeyMatches {
            records: records.into_iter().map(|(_, record)| record).collect(),
            last_update_ms: last_ms,
            last_update_offset: last_offset,
        }
    }
}
