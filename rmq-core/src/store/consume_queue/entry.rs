//! Entries of a consume queue: where a message lies in the commit log.
//!
//! ```text
//! 0 i64 log offset   8 i32 size   12 i64 tags code
//! ```

/// Length of an entry on disk, bytes.
pub const ENTRY_BYTES: usize = TAGS_AT + 8;

const OFFSET_AT: usize = 0;
const SIZE_AT: usize = OFFSET_AT + 8;
const TAGS_AT: usize = SIZE_AT + 4;

/// Size in entries that stand for nothing: the slots before the first message of a queue that
/// does not begin at offset 0.
const BLANK_SIZE: i32 = i32::MAX;

/// One entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Where the record begins in the commit log.
    pub offset: i64,
    /// Hash of the tag, or when a delayed message is due, ms.
    pub tags_code: i64,
    /// Length of the record in bytes.
    pub size: i32,
}

impl Entry {
    /// Stands for a message that is not there.
    pub const BLANK: Self = Self {
        offset: 0,
        tags_code: 0,
        size: BLANK_SIZE,
    };

    /// Log offset behind the record; 0 for a blank, which comes before every record.
    #[must_use]
    pub fn end(&self) -> i64 {
        if self.size == BLANK_SIZE {
            return 0;
        }
        self.offset.saturating_add(i64::from(self.size))
    }

    /// Whether it can point to something: not so for zeros behind the last entry.
    #[must_use]
    pub fn is_written(&self) -> bool {
        self.offset >= 0 && self.size > 0
    }

    /// Whether it points to a message.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.is_written() && self.size != BLANK_SIZE
    }

    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[OFFSET_AT..SIZE_AT].copy_from_slice(&self.offset.to_be_bytes());
        bytes[SIZE_AT..TAGS_AT].copy_from_slice(&self.size.to_be_bytes());
        bytes[TAGS_AT..].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }

    /// Reads the bytes on disk.
    #[must_use]
    pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> Self {
        let (offset, rest) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let (size, rest) = rest.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let tags = rest.first_chunk::<8>().unwrap_or(&[0; 8]);
        Self {
            offset: i64::from_be_bytes(*offset),
            size: i32::from_be_bytes(*size),
            tags_code: i64::from_be_bytes(*tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_lie_as_apache_has_them() {
        let entry = Entry {
            offset: 0x0102_0304_0506_0708,
            size: 0x1112_1314,
            tags_code: -2,
        };
        let bytes = entry.encode();
        assert_eq!(bytes[..8], [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(bytes[8..12], [0x11, 0x12, 0x13, 0x14]);
        assert_eq!(bytes[12..], (-2i64).to_be_bytes());
        assert_eq!(Entry::decode(&bytes), entry);
        assert_eq!(Entry::BLANK.encode()[8..12], [0x7f, 0xff, 0xff, 0xff]);
        assert!(Entry::BLANK.is_written() && !Entry::BLANK.is_message());
        assert!(!Entry::default().is_written());
        assert_eq!(
            (entry.end(), Entry::BLANK.end()),
            (0x0102_0304_1618_1a1c, 0)
        );
    }
}
