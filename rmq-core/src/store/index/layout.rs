//! The bytes of an index file.
//!
//! ```text
//!  0 i64 time of the first record, ms      24 i64 log offset of the last record
//!  8 i64 time of the last record, ms       32 i32 hash slots in use
//! 16 i64 log offset of the first record    36 i32 number of the next entry, from 1
//! 40 slots, i32 each: number of the newest entry of the slot, 0 for none
//!  . entries, 20 bytes each: i32 hash  i64 log offset  i32 seconds after the file's first record
//!    i32 number of the entry before it in its slot, 0 for none; entry 0 is not used
//! ```

use std::io;

use crate::store::disk::DiskFile;

pub(super) const SLOT_LEN: usize = 4;
pub(super) const ENTRY_LEN: usize = 20;

const BEGIN_MS_AT: usize = 0;
const END_MS_AT: usize = BEGIN_MS_AT + 8;
const BEGIN_OFFSET_AT: usize = END_MS_AT + 8;
const END_OFFSET_AT: usize = BEGIN_OFFSET_AT + 8;
const USED_SLOTS_AT: usize = END_OFFSET_AT + 8;
const COUNT_AT: usize = USED_SLOTS_AT + 4;
pub(super) const HEADER_LEN: usize = COUNT_AT + 4;

fn get_i32(bytes: &[u8], at: usize) -> i32 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| i32::from_be_bytes(*field))
}

fn get_i64(bytes: &[u8], at: usize) -> i64 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| i64::from_be_bytes(*field))
}

/// How many slots and entries a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    slots: i32,
    entries: i32,
}

impl Shape {
    /// At least one slot and room for one entry besides the unused one.
    pub(super) fn new(slots: u32, entries: u32) -> Self {
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        Self {
            slots: number(slots).max(1),
            entries: number(entries).max(2),
        }
    }

    pub(super) fn slots(self) -> i32 {
        self.slots
    }

    pub(super) fn entries(self) -> i32 {
        self.entries
    }

    /// Length of a file.
    pub(super) fn file_len(self) -> u64 {
        self.entry_at(self.entries)
    }

    /// The slot of a hash, which is not negative.
    pub(super) fn slot_of(self, hash: i32) -> i32 {
        hash % self.slots
    }

    /// Position of a slot in the file.
    pub(super) fn slot_at(self, slot: i32) -> u64 {
        HEADER_LEN as u64 + u64::from(slot.unsigned_abs()) * SLOT_LEN as u64
    }

    /// Position of an entry in the file.
    pub(super) fn entry_at(self, number: i32) -> u64 {
        self.slot_at(self.slots) + u64::from(number.unsigned_abs()) * ENTRY_LEN as u64
    }
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) begin_ms: i64,
    pub(super) end_ms: i64,
    pub(super) begin_offset: i64,
    pub(super) end_offset: i64,
    pub(super) used_slots: i32,
    /// Number of the next entry; entries 1 to this are there.
    pub(super) count: i32,
}

impl Header {
    /// Of a file without entries that follows another: it begins where that one ends.
    pub(super) fn after(previous: Option<&Self>) -> Self {
        let (ms, offset) = previous.map_or((0, 0), |last| (last.end_ms, last.end_offset));
        Self {
            begin_ms: ms.max(0),
            end_ms: ms.max(0),
            begin_offset: offset.max(0),
            end_offset: offset.max(0),
            used_slots: 0,
            count: 1,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count <= 1
    }

    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        for (at, value) in [
            (BEGIN_MS_AT, self.begin_ms),
            (END_MS_AT, self.end_ms),
            (BEGIN_OFFSET_AT, self.begin_offset),
            (END_OFFSET_AT, self.end_offset),
        ] {
            bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        for (at, value) in [(USED_SLOTS_AT, self.used_slots), (COUNT_AT, self.count)] {
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        Self {
            begin_ms: get_i64(bytes, BEGIN_MS_AT),
            end_ms: get_i64(bytes, END_MS_AT),
            begin_offset: get_i64(bytes, BEGIN_OFFSET_AT),
            end_offset: get_i64(bytes, END_OFFSET_AT),
            used_slots: get_i32(bytes, USED_SLOTS_AT),
            count: get_i32(bytes, COUNT_AT).max(1),
        }
    }

    /// Reads the header of a file.
    pub(super) fn read(file: &dyn DiskFile) -> io::Result<Self> {
        let mut bytes = [0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Self::decode(&bytes))
    }

    /// Whether a number belongs to an entry that is there.
    pub(super) fn has(&self, number: i32) -> bool {
        (1..self.count).contains(&number)
    }

    /// The time of an entry as a file knows it, ms: whole seconds after the first record.
    pub(super) fn time_ms(&self, entry: &Entry) -> i64 {
        self.begin_ms
            .saturating_add(i64::from(entry.seconds) * 1000)
    }
}

/// One key of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: i32,
    pub(super) offset: i64,
    pub(super) seconds: i32,
    /// Number of the entry before it in its slot, 0 for none.
    pub(super) before: i32,
}

impl Entry {
    pub(super) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..4].copy_from_slice(&self.hash.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.seconds.to_be_bytes());
        bytes[16..].copy_from_slice(&self.before.to_be_bytes());
        bytes
    }

    /// Reads an entry at the start of `bytes`; what is missing is 0.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        Self {
            hash: get_i32(bytes, 0),
            offset: get_i64(bytes, 4),
            seconds: get_i32(bytes, 12),
            before: get_i32(bytes, 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_default_shape_is_as_long_as_apaches() {
        let shape = Shape::new(5_000_000, 20_000_000);
        assert_eq!(shape.file_len(), 420_000_040);
        assert_eq!((shape.slot_at(0), shape.entry_at(0)), (40, 20_000_040));
        assert_eq!(shape.entry_at(1), 20_000_060);
        assert_eq!(Shape::new(0, 0), Shape::new(1, 2));
    }

    #[test]
    fn headers_and_entries_lie_as_apache_has_them() {
        let header = Header {
            begin_ms: 1,
            end_ms: 2,
            begin_offset: 3,
            end_offset: 4,
            used_slots: 5,
            count: 6,
        };
        let bytes = header.encode();
        let last_bytes: Vec<u8> = [7, 15, 23, 31, 35, 39].map(|at| bytes[at]).to_vec();
        assert_eq!(last_bytes, [1, 2, 3, 4, 5, 6]);
        assert_eq!(Header::decode(&bytes), header);
        assert!(header.has(1) && header.has(5) && !header.has(0) && !header.has(6));
        assert!(Header::decode(&[0; HEADER_LEN]).is_empty());
        let entry = Entry {
            hash: 1,
            offset: 2,
            seconds: 3,
            before: 4,
        };
        let bytes = entry.encode();
        assert_eq!([3, 11, 15, 19].map(|at| bytes[at]), [1, 2, 3, 4]);
        assert_eq!(Entry::decode(&bytes), entry);
        assert_eq!(header.time_ms(&entry), 3001);
    }
}
