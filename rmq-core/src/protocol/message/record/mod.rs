//! The message record: one layout in the commit log, in pull replies and in pushed messages.
//!
//! All integers are big-endian. Offsets for IPv4 hosts:
//!
//! ```text
//!  0 i32 total size             40 i64 born timestamp, ms      76 i64 prepared transaction
//!  4 i32 magic, V1 or V2        48 address, i32 port              offset
//!  8 i32 body CRC               56 i64 store timestamp, ms     84 i32 body length, body
//! 12 i32 queue id               64 address, i32 port            . u8 / i16 topic length, topic
//! 16 i32 flag                   72 i32 reconsume times          . i16 length, properties
//! 20 i64 queue offset
//! 28 i64 physical offset
//! 36 i32 system flag
//! ```
//!
//! An address takes 4 bytes, or 16 when its bit of the system flag says IPv6. V2 serves topics
//! longer than 127 bytes. A blank record (`i32 length, i32 magic`) fills the rest of a segment.

mod read;
mod write;

use std::fmt;

use super::{properties, sysflag};
use crate::base::crc;
use crate::base::error::{Error, ErrorKind};

pub use read::{CheckLevel, Checked, RecordRef, Records};
pub use write::{NewRecord, Place, RecordLimits, StageOptions, Staged};

/// Magic of a record whose topic length is one byte.
pub const MAGIC_V1: u32 = 0xdaa3_20a7;
/// Magic of a record whose topic length is two bytes.
pub const MAGIC_V2: u32 = 0xdaa3_20ab;
/// Magic of the filler at the end of a segment.
pub const MAGIC_BLANK: u32 = 0xcbd4_3194;

/// Offset of the total size.
pub const TOTAL_SIZE_AT: usize = 0;
/// Offset of the magic.
pub const MAGIC_AT: usize = TOTAL_SIZE_AT + 4;
/// Offset of the check sum of the body.
pub const BODY_CRC_AT: usize = MAGIC_AT + 4;
/// Offset of the queue id.
pub const QUEUE_ID_AT: usize = BODY_CRC_AT + 4;
/// Offset of the user's flag.
pub const FLAG_AT: usize = QUEUE_ID_AT + 4;
/// Offset of the queue offset.
pub const QUEUE_OFFSET_AT: usize = FLAG_AT + 4;
/// Offset of the physical offset.
pub const PHYSICAL_OFFSET_AT: usize = QUEUE_OFFSET_AT + 8;
/// Offset of the system flag.
pub const SYS_FLAG_AT: usize = PHYSICAL_OFFSET_AT + 8;
/// Offset of the time the message was made.
pub const BORN_TIMESTAMP_AT: usize = SYS_FLAG_AT + 4;
/// Offset of the host that made the message; what follows it moves with its length.
pub const BORN_HOST_AT: usize = BORN_TIMESTAMP_AT + 8;

/// Bytes of an IPv4 host with its port.
pub const HOST_V4_LEN: usize = 4 + 4;
/// Bytes of an IPv6 host with its port.
pub const HOST_V6_LEN: usize = 16 + 4;
/// Bytes of a blank record that carry meaning: its length and its magic.
pub const BLANK_LEN: usize = 4 + 4;
/// Bytes of the shortest record: IPv4 hosts, no body, no topic, no properties.
pub const MIN_LEN: usize = body_at(0) + 1 + 2;
/// Longest topic that the first version holds, in bytes.
pub const MAX_TOPIC_LEN_V1: usize = i8::MAX as usize;
/// Longest topic that any version holds, in bytes.
pub const MAX_TOPIC_LEN: usize = i16::MAX as usize;
/// Bytes that a record may be longer than the largest body.
pub const OVERHEAD_MAX_BYTES: usize = 64 * 1024;
/// Largest body unless configured otherwise, in bytes.
pub const DEFAULT_MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Digits of the appended check sum.
const CRC_DIGITS: usize = 10;
/// Bytes of the appended check sum property.
pub const CRC_PROPERTY_LEN: usize = properties::names::CRC32.len() + 1 + CRC_DIGITS + 1;
/// Longest prefix: both hosts IPv6.
const MAX_PREFIX_LEN: usize = body_at(sysflag::BORN_HOST_V6 | sysflag::STORE_HOST_V6);

const fn born_host_len(sys_flag: i32) -> usize {
    if sys_flag & sysflag::BORN_HOST_V6 == 0 {
        HOST_V4_LEN
    } else {
        HOST_V6_LEN
    }
}

const fn store_host_len(sys_flag: i32) -> usize {
    if sys_flag & sysflag::STORE_HOST_V6 == 0 {
        HOST_V4_LEN
    } else {
        HOST_V6_LEN
    }
}

/// Offset of the store timestamp.
#[must_use]
pub const fn store_timestamp_at(sys_flag: i32) -> usize {
    BORN_HOST_AT + born_host_len(sys_flag)
}

/// Offset of the store host.
#[must_use]
pub const fn store_host_at(sys_flag: i32) -> usize {
    store_timestamp_at(sys_flag) + 8
}

/// Offset of the reconsume times.
#[must_use]
pub const fn reconsume_times_at(sys_flag: i32) -> usize {
    store_host_at(sys_flag) + store_host_len(sys_flag)
}

/// Offset of the prepared transaction offset.
#[must_use]
pub const fn prepared_transaction_offset_at(sys_flag: i32) -> usize {
    reconsume_times_at(sys_flag) + 4
}

/// Offset of the body length.
#[must_use]
pub const fn body_len_at(sys_flag: i32) -> usize {
    prepared_transaction_offset_at(sys_flag) + 8
}

/// Offset of the body.
#[must_use]
pub const fn body_at(sys_flag: i32) -> usize {
    body_len_at(sys_flag) + 4
}

/// The check sum of a body, as records carry it: CRC-32 without the sign bit.
#[must_use]
pub fn body_crc(body: &[u8]) -> u32 {
    crc::crc32(body).cast_unsigned()
}

/// Why bytes are no record, or why a message cannot become one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes end inside the record.
    Truncated {
        /// Bytes that the record has, as far as known.
        need: usize,
        /// Bytes that are there.
        have: usize,
    },
    /// The magic is none that is known.
    Magic(u32),
    /// A length inside the record is negative or reaches beyond it.
    Length {
        /// Which one.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The parts do not add up to the total size.
    TotalSize {
        /// The total size that the record states.
        stated: usize,
        /// The sum of its parts.
        actual: usize,
    },
    /// The body does not have the check sum that the record states.
    BodyCrc {
        /// The check sum stated.
        stated: u32,
        /// The check sum of the body.
        actual: u32,
    },
    /// The record does not have the check sum of its last property.
    PropertyCrc {
        /// The check sum stated; `None` when its digits are none.
        stated: Option<u32>,
        /// The check sum of the record.
        actual: u32,
    },
    /// A part of a new record is longer than allowed.
    TooLong {
        /// Which part: `body`, `topic`, `properties` or `record`.
        part: &'static str,
        /// Its length in bytes.
        len: usize,
        /// Its limit in bytes.
        max: usize,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => {
                write!(f, "the record needs {need} bytes and {have} are there")
            }
            Self::Magic(magic) => write!(f, "unknown magic {magic:#010x}"),
            Self::Length { field, value } => {
                write!(f, "the {field} length {value} does not fit into the record")
            }
            Self::TotalSize { stated, actual } => {
                write!(
                    f,
                    "the record says {stated} bytes and its parts are {actual}"
                )
            }
            Self::BodyCrc { stated, actual } => {
                write!(
                    f,
                    "the body has check sum {actual:#x} and the record says {stated:#x}"
                )
            }
            Self::PropertyCrc {
                stated: Some(stated),
                actual,
            } => {
                write!(
                    f,
                    "the record has check sum {actual} and its property says {stated}"
                )
            }
            Self::PropertyCrc {
                stated: None,
                actual,
            } => {
                write!(
                    f,
                    "the record has check sum {actual} and its property is no number"
                )
            }
            Self::TooLong { part, len, max } => {
                write!(f, "the {part} has {len} bytes and the limit is {max}")
            }
        }
    }
}

impl std::error::Error for RecordError {}

impl From<RecordError> for Error {
    fn from(error: RecordError) -> Self {
        let kind = match error {
            RecordError::TooLong { .. } => ErrorKind::Limit,
            _ => ErrorKind::Corrupt,
        };
        Self::new(kind, "record", error.to_string())
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn get_i32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(array(bytes, at))
}

fn get_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

fn get_i64(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array(bytes, at))
}

fn put_i64(bytes: &mut [u8], at: usize, value: i64) {
    bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// Writes the filler at the start of `target`: `len` bytes are left in the segment.
pub fn put_blank(target: &mut [u8], len: u32) {
    target[..4].copy_from_slice(&len.to_be_bytes());
    target[MAGIC_AT..BLANK_LEN].copy_from_slice(&MAGIC_BLANK.to_be_bytes());
}

/// Digits of `crc`, least significant first, padded with zeros.
fn crc_digits(mut crc: u32) -> [u8; CRC_DIGITS] {
    let mut digits = [b'0'; CRC_DIGITS];
    for digit in &mut digits {
        *digit += (crc % 10) as u8;
        crc /= 10;
    }
    digits
}

fn parse_crc_digits(digits: &[u8]) -> Option<u32> {
    let value = digits.iter().rev().try_fold(0u64, |value, &digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u64::from(digit - b'0'))
    })?;
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests;
