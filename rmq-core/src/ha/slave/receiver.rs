//! What a slave makes of the bytes that its master sends. No socket, no clock.
//!
//! A slave that holds something does not trust that its master has the same log: it first reports
//! an offset some way before its end, compares what comes with what it has, and only then reports
//! its end and appends. So a master that lost messages which the slave has is noticed, and nothing
//! is written over or behind what differs.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::base::error::{Error, ErrorKind, Result};
use crate::ha::wire::{HEADER_BYTES, Header};
use crate::store::Store;

/// Bytes at the end of the log that a slave compares with its master's.
const OVERLAP_BYTES: i64 = 64 << 10;
/// Bytes of the buffer at first.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes of the buffer at most; it grows for records that do not fit. Messages have less, because
/// no frame that brings one is longer.
const BUFFER_BYTES_MAX: usize = 40 << 20;
/// Room that is made before bytes are read.
const READ_BYTES_MIN: usize = 64 << 10;
/// How long a master that says it has no more may take to go on before the log of the slave is seen
/// to be the longer one, ms. A master that limits its speed sends heartbeats when it must wait.
const QUIET_MS: u64 = 1_500;

/// The slave's own log.
pub(super) trait Log {
    /// First offset, and offset behind the last record.
    fn bounds(&self) -> (i64, i64);
    /// What is durable.
    fn flushed(&self) -> i64;
    /// The first of `bytes`, which the master has at `offset`, that the log has otherwise.
    fn difference(&self, offset: i64, bytes: &[u8]) -> Option<i64>;
    /// Appends whole records; tells in any case by `bounds` how far it came.
    fn append(&self, bytes: &[u8]) -> Result<()>;
    /// Lets the empty log begin at `offset`.
    fn begin_at(&self, offset: i64) -> Result<()>;
}

impl Log for Store {
    fn bounds(&self) -> (i64, i64) {
        (self.min_offset(), self.watermarks().appended())
    }

    fn flushed(&self) -> i64 {
        self.watermarks().flushed()
    }

    fn difference(&self, offset: i64, bytes: &[u8]) -> Option<i64> {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as i64;
            let Some(own) = self.log_slice(at, bytes.len() - done) else {
                return Some(at);
            };
            let other = &bytes[done..done + own.len()];
            if *own != *other {
                let same = own.iter().zip(other).take_while(|(a, b)| a == b).count();
                return Some(at + same as i64);
            }
            done += own.len();
        }
        None
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        self.append_replica(bytes).map(drop)
    }

    fn begin_at(&self, offset: i64) -> Result<()> {
        self.begin_replica_at(offset)
    }
}

/// Why replication from this connection cannot go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the master sent makes no sense; another connection may.
    Protocol(String),
    /// The two logs do not go together, or the store takes nothing more: a person has to see to it.
    Refused(String),
    /// The store has no space; what came is kept, and `process` may be called again later.
    DiskFull(Error),
}

/// What the bytes to come are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The log is empty: it begins where the master begins.
    Empty,
    /// Bytes up to `until` are compared. `quiet_ms`: since when the master says it has no more.
    Verifying { until: i64, quiet_ms: Option<u64> },
    /// Bytes are appended.
    Streaming,
}

/// What a slave without a log, which would go on at `end`, reports first: where the master's begins
/// if that is known. 0 would make Apache's master begin with its last file; the byte at 0 is known
/// anyway: it is the highest one of a record's length.
pub(super) fn report_of_nothing(wanted: Option<i64>, end: i64) -> i64 {
    wanted.unwrap_or(end).max(1)
}

/// The bytes of one connection on their way to the log.
#[derive(Debug)]
pub(super) struct Receiver {
    buffer: Vec<u8>,
    /// Bytes of the log that wait for the rest of their record.
    data: Range<usize>,
    /// Bytes as they came, not looked at yet; behind `data`.
    raw: Range<usize>,
    /// What is missing of the current frame's body.
    body_left: usize,
    /// Log offset of the next byte to come.
    next: i64,
    phase: Phase,
    /// Whether a frame has come.
    heard: bool,
    first_report: i64,
    ack_flushed: bool,
}

impl Receiver {
    /// Reports what is flushed rather than what is appended if `ack_flushed`.
    pub(super) fn new(ack_flushed: bool) -> Self {
        Self {
            buffer: Vec::new(),
            data: 0..0,
            raw: 0..0,
            body_left: 0,
            next: 0,
            phase: Phase::Empty,
            heard: false,
            first_report: 0,
            ack_flushed,
        }
    }

    /// A new connection. An empty log asks for `wanted` if that is known, else for the beginning.
    pub(super) fn begin(&mut self, log: &impl Log, wanted: Option<i64>) {
        let (first, end) = log.bounds();
        self.data = 0..0;
        self.raw = 0..0;
        self.body_left = 0;
        self.heard = false;
        self.buffer.truncate(BUFFER_BYTES);
        self.buffer.shrink_to_fit();
        if first == end {
            self.phase = Phase::Empty;
            self.first_report = report_of_nothing(wanted, end);
            self.next = self.first_report;
            return;
        }
        let mut from = end - OVERLAP_BYTES;
        if self.ack_flushed {
            // What is reported once is never taken back.
            from = from.min(log.flushed());
        }
        self.first_report = from.max(first).max(1);
        self.next = self.first_report;
        self.phase = Phase::Verifying {
            until: end,
            quiet_ms: None,
        };
    }

    /// What to tell the master now.
    pub(super) fn report(&self, log: &impl Log) -> i64 {
        if self.phase != Phase::Streaming {
            return self.first_report;
        }
        let (_, end) = log.bounds();
        let held = match self.ack_flushed {
            true => end.min(log.flushed()),
            false => end,
        };
        held.max(self.first_report)
    }

    /// Whether the master's log is known to continue the slave's.
    pub(super) fn is_streaming(&self) -> bool {
        match self.phase {
            Phase::Empty => self.heard,
            Phase::Verifying { .. } => false,
            Phase::Streaming => true,
        }
    }

    /// Log offset up to which bytes have come.
    pub(super) fn received(&self) -> i64 {
        self.next
    }

    /// When `check` has something to say, ms.
    pub(super) fn check_at_ms(&self) -> Option<u64> {
        match self.phase {
            Phase::Verifying { quiet_ms, .. } => quiet_ms.map(|at| at + QUIET_MS),
            _ => None,
        }
    }

    /// Time passed.
    pub(super) fn check(&self, now_ms: u64) -> Result<(), Trouble> {
        match (self.phase, self.check_at_ms()) {
            (Phase::Verifying { until, .. }, Some(at)) if now_ms >= at => {
                Err(longer(until, self.next))
            }
            _ => Ok(()),
        }
    }

    /// Room for bytes of the connection; tell `filled` how many came. `Refused`: a record is longer
    /// than any can be.
    pub(super) fn space(&mut self) -> Result<&mut [u8], Trouble> {
        if self.data.is_empty() && self.raw.is_empty() {
            self.data = 0..0;
            self.raw = 0..0;
        }
        if self.buffer.len() - self.raw.end < READ_BYTES_MIN {
            self.compact();
        }
        let used = self.raw.end;
        if self.buffer.len() - used < READ_BYTES_MIN {
            if used + READ_BYTES_MIN > BUFFER_BYTES_MAX {
                let context = format!(
                    "the master sends a record longer than {BUFFER_BYTES_MAX} bytes at log offset \
                     {}; no broker stores one",
                    self.next - self.data.len() as i64
                );
                return Err(Trouble::Refused(context));
            }
            let len = (used * 2).clamp(BUFFER_BYTES, BUFFER_BYTES_MAX);
            self.buffer.resize(len, 0);
        }
        Ok(&mut self.buffer[used..])
    }

    /// `count` bytes were put into `space`.
    pub(super) fn filled(&mut self, count: usize) {
        self.raw.end += count;
    }

    /// Moves everything to the front of the buffer.
    fn compact(&mut self) {
        let data = self.data.len();
        self.buffer.copy_within(self.data.clone(), 0);
        self.buffer.copy_within(self.raw.clone(), data);
        self.raw = data..data + self.raw.len();
        self.data = 0..data;
    }

    /// Compares or appends what has come.
    pub(super) fn process(&mut self, log: &impl Log, now_ms: u64) -> Result<(), Trouble> {
        // What an earlier lack of space left over.
        self.append(log)?;
        loop {
            if self.body_left == 0 {
                if !self.next_header(log, now_ms)? {
                    return Ok(());
                }
                continue;
            }
            let len = self.raw.len().min(self.body_left);
            if len == 0 {
                return Ok(());
            }
            match self.phase {
                Phase::Verifying { until, .. } => self.verify(log, until, len)?,
                _ => {
                    self.attach(len);
                    self.append(log)?;
                }
            }
        }
    }

    /// Takes the next frame's header, if it is there.
    fn next_header(&mut self, log: &impl Log, now_ms: u64) -> Result<bool, Trouble> {
        let Some(bytes) = self.buffer[self.raw.clone()].first_chunk::<HEADER_BYTES>() else {
            return Ok(false);
        };
        let header = Header::decode(*bytes).map_err(|bad| Trouble::Protocol(bad.to_string()))?;
        self.raw.start += HEADER_BYTES;
        self.body_left = header.size;
        self.heard = true;
        if self.phase == Phase::Empty {
            self.first_frame(log, header)?;
        } else if header.offset != self.next {
            return Err(self.misplaced(log, header));
        }
        if let Phase::Verifying { quiet_ms, .. } = &mut self.phase {
            match header.size {
                0 => *quiet_ms = quiet_ms.or(Some(now_ms)),
                _ => *quiet_ms = None,
            }
        }
        Ok(true)
    }

    /// The first frame for an empty log says where the master's begins.
    fn first_frame(&mut self, log: &impl Log, header: Header) -> Result<(), Trouble> {
        if header.size == 0 {
            return Ok(());
        }
        let (_, end) = log.bounds();
        if header.offset == 1 && end == 0 {
            // The byte that was not asked for takes the place of the header's last one.
            self.data = self.raw.start - 1..self.raw.start;
            self.buffer[self.data.start] = 0;
        } else if header.offset != end {
            log.begin_at(header.offset)
                .map_err(|error| Trouble::Refused(error.to_string()))?;
        }
        self.next = header.offset;
        self.phase = Phase::Streaming;
        Ok(())
    }

    /// Why a frame is not for where the log goes on.
    fn misplaced(&self, log: &impl Log, header: Header) -> Trouble {
        let (_, end) = log.bounds();
        let (next, offset) = (self.next, header.offset);
        match self.phase {
            Phase::Verifying { .. } if header.size == 0 && offset < next => longer(end, offset),
            Phase::Verifying { .. } if offset > next => Trouble::Refused(format!(
                "the master's log begins at {offset}, after the end {end} of this one: it deleted \
                 what is in between; remove this store to copy the master's"
            )),
            _ => Trouble::Protocol(format!("a frame for log offset {offset} instead of {next}")),
        }
    }

    fn verify(&mut self, log: &impl Log, until: i64, len: usize) -> Result<(), Trouble> {
        let left = usize::try_from(until - self.next).unwrap_or(0);
        let len = len.min(left);
        let bytes = &self.buffer[self.raw.start..self.raw.start + len];
        if let Some(offset) = log.difference(self.next, bytes) {
            return Err(Trouble::Refused(format!(
                "this log differs from the master's at log offset {offset} (it ends at {until}): \
                 it holds messages that the master lost; remove this store to copy the master's"
            )));
        }
        self.raw.start += len;
        self.body_left -= len;
        self.next += len as i64;
        if self.next == until {
            self.phase = Phase::Streaming;
        }
        Ok(())
    }

    /// Lets the next `len` raw bytes, of a body, follow the data without a gap.
    fn attach(&mut self, len: usize) {
        let gap = self.raw.start - self.data.end;
        let new = self.raw.start..self.raw.start + len;
        if self.data.is_empty() {
            self.data = new;
        } else if self.data.len() < len {
            self.buffer
                .copy_within(self.data.clone(), self.data.start + gap);
            self.data = self.data.start + gap..new.end;
        } else {
            self.buffer.copy_within(new, self.data.end);
            self.data.end += len;
        }
        self.raw.start += len;
        self.body_left -= len;
        self.next += len as i64;
    }

    /// Hands the data to the log, as far as it takes it.
    fn append(&mut self, log: &impl Log) -> Result<(), Trouble> {
        while !self.data.is_empty() {
            let appended = log.append(&self.buffer[self.data.clone()]);
            // Also when it failed, something may have been taken.
            let (_, end) = log.bounds();
            let left = usize::try_from(self.next - end).unwrap_or(0);
            let before = self.data.len();
            self.data.start = self.data.end - left.min(before);
            match appended {
                Ok(()) if self.data.len() == before => return Ok(()),
                // What is wrong with the next record is told when it is the first one.
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::DiskFull | ErrorKind::Busy) => {
                    return Err(Trouble::DiskFull(error));
                }
                Err(error) => return Err(Trouble::Refused(error.to_string())),
            }
        }
        Ok(())
    }
}

fn longer(end: i64, master_end: i64) -> Trouble {
    Trouble::Refused(format!(
        "this log ends at {end}, the master's at {master_end}: it holds messages that the master \
         lost; remove this store to copy the master's"
    ))
}
