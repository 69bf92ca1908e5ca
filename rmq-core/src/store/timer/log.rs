//! The timer log: one unit for each message that waits, chained from the newest of a slot to the
//! oldest. It is written after the commit log, and everything in it can be made from that again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::disk::{Disk, DiskFile};
use crate::store::metadata::create_dirs_durably;

/// Bytes of one unit.
pub const UNIT_BYTES: usize = 52;

/// Bytes at the end of a file that say that nothing more fits.
const BLANK_BYTES: usize = 16;

/// Stands where a unit has its kind.
const BLANK_CODE: i32 = (0xBBCC_DDEE_u32 ^ (1_880_681_586 + 8)).cast_signed();

/// Bytes read at a time when units are read one after the other.
const WINDOW_BYTES: usize = 64 * 1024;

/// Units that were not written yet, at most, in bytes.
const PENDING_MAX_BYTES: usize = 256 * 1024;

/// What is to be done with the message of a unit; bits that may be together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UnitKind(i32);

impl UnitKind {
    /// Deliver it.
    pub const DELIVER: Self = Self(1);
    /// Put it back, because its time is too far for the wheel.
    pub const ROLL: Self = Self(1 << 1);
    /// Do not deliver the message that it names.
    pub const DELETE: Self = Self(1 << 2);

    /// Both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The first without the second.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the message is to be put back.
    #[must_use]
    pub fn is_roll(self) -> bool {
        self.0 & Self::ROLL.0 != 0
    }

    /// Whether it takes another message back.
    #[must_use]
    pub fn is_delete(self) -> bool {
        self.0 & Self::DELETE.0 != 0
    }
}

/// One unit of the timer log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Position of the unit before it in its slot; -1 for none.
    pub prev: i64,
    /// What is to be done.
    pub kind: UnitKind,
    /// When the unit was written, rounded down to a tick, ms since the epoch.
    pub enqueued_ms: i64,
    /// Time of its slot, ms after that.
    pub delay_ms: i32,
    /// Where the message lies in the commit log.
    pub offset: i64,
    /// Length of its record there, bytes.
    pub size: i32,
    /// Java's hash of the topic that it is for.
    pub topic_hash: i32,
}

impl Unit {
    /// The time of its slot, ms since the epoch.
    #[must_use]
    pub fn slot_ms(&self) -> i64 {
        self.enqueued_ms.saturating_add(i64::from(self.delay_ms))
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; UNIT_BYTES] {
        let mut bytes = [0; UNIT_BYTES];
        bytes[0..4].copy_from_slice(&(UNIT_BYTES as i32).to_be_bytes());
        bytes[4..12].copy_from_slice(&self.prev.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.kind.0.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.enqueued_ms.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.delay_ms.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.offset.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.size.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.topic_hash.to_be_bytes());
        bytes
    }

    /// Reads the unit that lies at `position`; `None` when there is none.
    #[must_use]
    pub fn decode(bytes: &[u8; UNIT_BYTES], position: i64) -> Option<Self> {
        let unit = Self {
            prev: long(bytes, 4),
            kind: UnitKind(int(bytes, 12)),
            enqueued_ms: long(bytes, 16),
            delay_ms: int(bytes, 24),
            offset: long(bytes, 28),
            size: int(bytes, 36),
            topic_hash: int(bytes, 40),
        };
        let is_unit = int(bytes, 0) == UNIT_BYTES as i32
            && (1..=0xF).contains(&unit.kind.0)
            && (-1..position).contains(&unit.prev)
            && unit.offset >= 0
            && unit.size > 0;
        is_unit.then_some(unit)
    }
}

fn int(bytes: &[u8], at: usize) -> i32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    i32::from_be_bytes(four)
}

fn long(bytes: &[u8], at: usize) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(eight)
}

/// The files, one after the other as those of the commit log. Not synchronised.
#[derive(Debug)]
pub struct TimerLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file_bytes: i64,
    /// By the position of their first byte, without gaps.
    files: BTreeMap<i64, Arc<dyn DiskFile>>,
    /// Files that were written since the last sync.
    unsynced: BTreeSet<i64>,
    /// Whether a file was made since.
    dir_unsynced: bool,
    /// Everything below is written.
    written: i64,
    /// What comes behind, in one file.
    pending: Vec<u8>,
    window: Vec<u8>,
    window_at: i64,
}

impl TimerLog {
    /// Opens what is there. Files keep the length that they were made with; a new log has files of
    /// `file_bytes`. What lies below `known` is durable: files that do not join the one where that
    /// ends are what a crash left of the making or the removing of files, and are removed.
    /// [`recover`](Self::recover) says where the log ends.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        file_bytes: u64,
        known: i64,
    ) -> io::Result<Self> {
        let mut file_bytes = i64::try_from(file_bytes).unwrap_or(i64::MAX);
        let mut found = BTreeMap::new();
        if disk.exists(&dir)? {
            for entry in disk.list(&dir)? {
                if let Ok(start) = entry.name.parse::<i64>()
                    && entry.name.len() == 20
                {
                    found.insert(start, i64::try_from(entry.len).unwrap_or(i64::MAX));
                }
            }
        }
        let anchor = found
            .range(..known.max(1))
            .next_back()
            .map(|(start, len)| (*start, *len));
        if let Some((_, len)) = anchor.filter(|(_, len)| *len > 0) {
            file_bytes = len;
        }
        let least = (UNIT_BYTES + BLANK_BYTES) as i64;
        if file_bytes < least {
            let why = format!("a file of the timer log has {file_bytes} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let has = |start: i64| found.get(&start) == Some(&file_bytes);
        let (mut from, mut to) = anchor.map_or((0, 0), |(start, _)| (start, start));
        while has(from - file_bytes) {
            from -= file_bytes;
        }
        while has(to) {
            to += file_bytes;
        }
        let mut files = BTreeMap::new();
        for &start in found.keys() {
            let path = dir.join(format!("{start:020}"));
            if (from..to).contains(&start) {
                files.insert(start, disk.open(&path)?);
            } else {
                disk.remove(&path)?;
            }
        }
        let mut log = Self {
            disk,
            dir,
            file_bytes,
            files,
            unsynced: BTreeSet::new(),
            dir_unsynced: false,
            written: 0,
            pending: Vec::new(),
            window: Vec::new(),
            window_at: 0,
        };
        log.written = log.start();
        Ok(log)
    }

    /// Position of the first unit.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.files.keys().next().copied().unwrap_or(0)
    }

    /// Position behind the last unit.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.written + self.pending.len() as i64
    }

    fn file_start(&self, position: i64) -> i64 {
        position - position.rem_euclid(self.file_bytes)
    }

    /// Reads units from `from` on until one is none, or is not accepted, which is the end: it and
    /// what is behind are removed.
    /// `from` is moved to the start of its file when no unit can begin there.
    pub fn recover(
        &mut self,
        from: i64,
        visit: &mut dyn FnMut(i64, &Unit) -> bool,
    ) -> io::Result<i64> {
        let Some((&last, _)) = self.files.last_key_value() else {
            return Ok(0);
        };
        let mut at = from.clamp(self.start(), last + self.file_bytes);
        if at == last + self.file_bytes && from != at {
            at = last;
        }
        if (at - self.file_start(at)) % UNIT_BYTES as i64 != 0 {
            at = self.file_start(at);
        }
        self.pending.clear();
        while self.files.contains_key(&self.file_start(at)) {
            let mut bytes = [0; UNIT_BYTES];
            let got = self.read_window(at, &mut bytes)?;
            if got >= BLANK_BYTES && int(&bytes, 12) == BLANK_CODE {
                at = self.file_start(at) + self.file_bytes;
                continue;
            }
            match Unit::decode(&bytes, at) {
                Some(unit) if got == UNIT_BYTES && visit(at, &unit) => {}
                _ => break,
            }
            at += UNIT_BYTES as i64;
        }
        self.cut(at)?;
        Ok(at)
    }

    /// Makes the log end at `end`.
    fn cut(&mut self, end: i64) -> io::Result<()> {
        self.written = end;
        self.window.clear();
        let gone: Vec<i64> = self.files.range(end..).map(|(&start, _)| start).collect();
        for start in gone {
            // An empty file at the end is what comes next.
            if start == end {
                continue;
            }
            self.files.remove(&start);
            self.disk.remove(&self.dir.join(format!("{start:020}")))?;
            self.dir_unsynced = true;
        }
        let start = self.file_start(end);
        if let Some(file) = self.files.get(&start) {
            let len = self.file_bytes.unsigned_abs();
            file.zero((end - start).unsigned_abs(), len)?;
            self.unsynced.insert(start);
        }
        Ok(())
    }

    /// Reads from one file into `out`, through a window of what comes next.
    fn read_window(&mut self, at: i64, out: &mut [u8]) -> io::Result<usize> {
        let start = self.file_start(at);
        let len = out
            .len()
            .min(usize::try_from(start + self.file_bytes - at).unwrap_or(0));
        let inside = |window_at: i64, window: &[u8]| {
            let from = usize::try_from(at - window_at).ok()?;
            window.get(from..from + len).map(|_| from)
        };
        let from = match inside(self.window_at, &self.window) {
            Some(from) => from,
            None => {
                let file = self.files.get(&start).ok_or(io::ErrorKind::NotFound)?;
                // Chains go backwards, so the window has more before the unit than behind it.
                let back = (at - start).min(WINDOW_BYTES as i64 / 4 * 3);
                let wanted = (start + self.file_bytes - (at - back)).min(WINDOW_BYTES as i64);
                self.window.resize(usize::try_from(wanted).unwrap_or(0), 0);
                let got = file.read_at(&mut self.window, (at - back - start).unsigned_abs());
                self.window.truncate(*got.as_ref().unwrap_or(&0));
                got?;
                self.window_at = at - back;
                inside(self.window_at, &self.window).ok_or(io::ErrorKind::UnexpectedEof)?
            }
        };
        out[..len].copy_from_slice(&self.window[from..from + len]);
        Ok(len)
    }

    /// The unit at a position; `InvalidData` when there is none.
    pub fn unit(&mut self, position: i64) -> io::Result<Unit> {
        let none = || {
            let why = format!("the timer log has no unit at {position}");
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let mut bytes = [0; UNIT_BYTES];
        if position < self.start() || position >= self.end() {
            return Err(none());
        }
        if position >= self.written {
            let from = usize::try_from(position - self.written).unwrap_or(usize::MAX);
            let unit = self.pending.get(from..from.saturating_add(UNIT_BYTES));
            bytes.copy_from_slice(unit.ok_or_else(none)?);
        } else if self.read_window(position, &mut bytes)? < UNIT_BYTES {
            return Err(none());
        }
        Unit::decode(&bytes, position).ok_or_else(none)
    }

    /// Adds a unit; returns its position. It is written with those that come after it.
    pub fn append(&mut self, unit: &Unit) -> io::Result<i64> {
        if self.pending.len() >= PENDING_MAX_BYTES {
            self.write()?;
        }
        let start = self.file_start(self.end());
        let left = start + self.file_bytes - self.end();
        let is_new = !self.files.contains_key(&start);
        if !is_new && left < (UNIT_BYTES + BLANK_BYTES) as i64 {
            let mut blank = [0; BLANK_BYTES];
            blank[0..4].copy_from_slice(&i32::try_from(left).unwrap_or(0).to_be_bytes());
            blank[12..16].copy_from_slice(&BLANK_CODE.to_be_bytes());
            if left >= BLANK_BYTES as i64 {
                self.pending.extend_from_slice(&blank);
            }
            self.write()?;
            self.written = start + self.file_bytes;
            return self.append(unit);
        }
        if is_new {
            self.write()?;
            self.add_file(start)?;
        }
        let position = self.end();
        self.pending.extend_from_slice(&unit.encode());
        Ok(position)
    }

    fn add_file(&mut self, start: i64) -> io::Result<()> {
        create_dirs_durably(&*self.disk, &[&self.dir])?;
        let file = self.disk.create(&self.dir.join(format!("{start:020}")))?;
        file.set_len(self.file_bytes.unsigned_abs())?;
        self.files.insert(start, file);
        self.unsynced.insert(start);
        self.dir_unsynced = true;
        Ok(())
    }

    /// Writes what was added.
    fn write(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let start = self.file_start(self.written);
        let file = self.files.get(&start).ok_or(io::ErrorKind::NotFound)?;
        file.write_at(&self.pending, (self.written - start).unsigned_abs())?;
        self.unsynced.insert(start);
        self.written += self.pending.len() as i64;
        self.pending.clear();
        self.window.clear();
        Ok(())
    }

    /// Makes everything durable.
    pub fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        for start in &self.unsynced {
            if let Some(file) = self.files.get(start) {
                file.sync_data()?;
            }
        }
        self.unsynced.clear();
        if std::mem::take(&mut self.dir_unsynced) {
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// Removes files at the start whose last message lies below `min_offset` of the commit log, and
    /// so is no longer there. The last file stays.
    pub fn delete_before(&mut self, min_offset: i64) -> io::Result<()> {
        let units = (self.file_bytes as usize - BLANK_BYTES) / UNIT_BYTES;
        let last_unit = ((units - 1) * UNIT_BYTES) as i64;
        while self.files.len() > 1 {
            let start = self.start();
            if self.unit(start + last_unit)?.offset >= min_offset {
                break;
            }
            self.disk.remove(&self.dir.join(format!("{start:020}")))?;
            self.files.remove(&start);
            self.unsynced.remove(&start);
            self.window.clear();
            self.dir_unsynced = true;
        }
        Ok(())
    }
}
