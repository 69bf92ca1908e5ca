//! The frame: `length u32 | serialize u8, header length u24 | header | body`, big-endian.
//!
//! `length` counts what follows it. Reading is incremental and every length is checked before
//! anything is sliced or allocated.

use std::error::Error as StdError;
use std::fmt;

use crate::base::error::{Error, ErrorKind};

/// The largest frame that is taken or sent by default, its length prefix included: 16 MiB.
pub const LIMIT_DEFAULT: usize = 16 * 1024 * 1024;

/// Bytes before the header: the frame length and the header length.
pub const PREFIX_LEN: usize = 8;

/// The largest header that the 24 bits of its length can tell.
pub const HEADER_LEN_MAX: usize = 0x00ff_ffff;

const LENGTH_LEN: usize = 4;

/// How a header is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Serialize {
    /// A JSON object, in the dialect of fastjson.
    #[default]
    Json,
    /// RocketMQ's own binary form.
    Rocketmq,
}

impl Serialize {
    /// The byte that stands before the header length.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Rocketmq => 1,
        }
    }

    /// The name that a JSON header carries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Rocketmq => "ROCKETMQ",
        }
    }

    const fn from_value(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Json),
            1 => Some(Self::Rocketmq),
            _ => None,
        }
    }
}

/// One whole frame, borrowed from the buffer it was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef<'a> {
    /// How `header` is written.
    pub serialize: Serialize,
    /// The header's bytes, not yet decoded.
    pub header: &'a [u8],
    /// The body's bytes; may be empty.
    pub body: &'a [u8],
}

/// Bytes that are not a frame. The stream cannot be read further: close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The announced frame, its prefix included, is longer than the limit; a negative length of a
    /// signed peer shows as a length over 2 GiB.
    TooLong {
        /// Announced bytes, length prefix included.
        len: u64,
        /// Bytes allowed, length prefix included.
        limit: usize,
    },
    /// The announced frame has no room for the header length.
    TooShort {
        /// Announced bytes after the length prefix.
        len: u32,
    },
    /// The header is announced longer than the frame.
    HeaderTooLong {
        /// Announced bytes of the header.
        header_len: usize,
        /// Bytes that the frame has after the header length.
        available: usize,
    },
    /// The header is in no known form.
    UnknownSerialize(u8),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, limit } => {
                write!(
                    f,
                    "the frame announces {len} bytes, more than the limit of {limit}"
                )
            }
            Self::TooShort { len } => {
                write!(
                    f,
                    "the frame announces {len} bytes, too few to hold a header length"
                )
            }
            Self::HeaderTooLong {
                header_len,
                available,
            } => write!(
                f,
                "the header announces {header_len} bytes, but the frame has only {available}"
            ),
            Self::UnknownSerialize(value) => {
                write!(
                    f,
                    "the header is of serialize type {value}; known are 0 and 1"
                )
            }
        }
    }
}

impl StdError for FrameError {}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        let kind = match error {
            FrameError::TooLong { .. } => ErrorKind::Limit,
            _ => ErrorKind::Corrupt,
        };
        Self::new(kind, "read frame", error.to_string())
    }
}

/// The length of the frame at the start of `buf`, its length prefix included.
///
/// `None` while fewer than four bytes are there. The header length is checked too once eight
/// bytes are there, so that a bad frame is known before its body is read.
///
/// # Errors
/// When the bytes cannot be the start of a frame of at most `limit` bytes.
pub fn frame_len(buf: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(len) = buf.first_chunk().copied().map(u32::from_be_bytes) else {
        return Ok(None);
    };
    let total = u64::from(len) + LENGTH_LEN as u64;
    let total = match usize::try_from(total) {
        Ok(total) if total <= limit => total,
        _ => return Err(FrameError::TooLong { len: total, limit }),
    };
    if total < PREFIX_LEN {
        return Err(FrameError::TooShort { len });
    }
    if let Some(mark) = header_mark(buf) {
        check_mark(mark, total)?;
    }
    Ok(Some(total))
}

/// The first frame of `buf` and the number of bytes it takes, `None` while it is not complete.
///
/// # Errors
/// As `frame_len`.
pub fn next_frame(buf: &[u8], limit: usize) -> Result<Option<(FrameRef<'_>, usize)>, FrameError> {
    let Some(total) = frame_len(buf, limit)? else {
        return Ok(None);
    };
    let (Some(frame), Some(mark)) = (buf.get(..total), header_mark(buf)) else {
        return Ok(None);
    };
    let (serialize, header_len) = check_mark(mark, total)?;
    let (header, body) = frame[PREFIX_LEN..].split_at(header_len);
    Ok(Some((
        FrameRef {
            serialize,
            header,
            body,
        },
        total,
    )))
}

/// The serialize byte and header length of a frame's second word.
fn header_mark(buf: &[u8]) -> Option<u32> {
    buf.get(LENGTH_LEN..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

fn check_mark(mark: u32, total: usize) -> Result<(Serialize, usize), FrameError> {
    let [value, ..] = mark.to_be_bytes();
    let serialize = Serialize::from_value(value).ok_or(FrameError::UnknownSerialize(value))?;
    let header_len = (mark & 0x00ff_ffff) as usize;
    let available = total - PREFIX_LEN;
    if header_len > available {
        return Err(FrameError::HeaderTooLong {
            header_len,
            available,
        });
    }
    Ok((serialize, header_len))
}

/// Starts a frame: leaves room for the prefix and returns where the frame begins.
///
/// The header is appended next, then `finish` is called, then the body is appended.
pub fn start(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    at
}

/// Completes the prefix of the frame that starts at `at`, once its header has been appended and
/// before its body of `body_len` bytes is.
///
/// A frame that cannot be told in 32 bits is marked with the largest length, which every peer
/// refuses. The header must not exceed `HEADER_LEN_MAX`.
pub fn finish(out: &mut [u8], at: usize, serialize: Serialize, body_len: usize) {
    let header_len = out.len() - at - PREFIX_LEN;
    debug_assert!(
        header_len <= HEADER_LEN_MAX,
        "the caller checked the header"
    );
    let len = u32::try_from(LENGTH_LEN + header_len + body_len).unwrap_or(u32::MAX);
    let mark = u32::from(serialize.value()) << 24 | (header_len & HEADER_LEN_MAX) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    out[at + 4..at + 8].copy_from_slice(&mark.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: u32, mark: u32, rest: usize) -> Vec<u8> {
        let mut bytes = len.to_be_bytes().to_vec();
        bytes.extend_from_slice(&mark.to_be_bytes());
        bytes.resize(bytes.len() + rest, b'x');
        bytes
    }

    #[test]
    fn limit_counts_the_prefix() {
        let at_limit = frame(96, 0, 92);
        assert_eq!(frame_len(&at_limit, 100), Ok(Some(100)));
        let (whole, used) = next_frame(&at_limit, 100).unwrap().unwrap();
        assert_eq!((whole.header.len(), whole.body.len(), used), (0, 92, 100));
        let over = frame(97, 0, 93);
        assert_eq!(
            next_frame(&over, 100),
            Err(FrameError::TooLong {
                len: 101,
                limit: 100
            })
        );
        assert_eq!(
            frame_len(&over[..4], 100),
            Err(FrameError::TooLong {
                len: 101,
                limit: 100
            })
        );
    }

    #[test]
    fn default_limit_and_one_more() {
        let limit = u32::try_from(LIMIT_DEFAULT).unwrap();
        assert_eq!(
            frame_len(&(limit - 4).to_be_bytes(), LIMIT_DEFAULT),
            Ok(Some(LIMIT_DEFAULT))
        );
        assert!(frame_len(&(limit - 3).to_be_bytes(), LIMIT_DEFAULT).is_err());
        assert!(frame_len(&(-1_i32).to_be_bytes(), LIMIT_DEFAULT).is_err());
        assert!(frame_len(&i32::MIN.to_be_bytes(), usize::MAX - 8).is_ok());
    }

    #[test]
    fn short_lengths() {
        for len in 0..4 {
            assert_eq!(
                frame_len(&frame(len, 0, 0), LIMIT_DEFAULT),
                Err(FrameError::TooShort { len })
            );
        }
        assert_eq!(frame_len(&frame(4, 0, 0), LIMIT_DEFAULT), Ok(Some(8)));
        assert_eq!(frame_len(&[0, 0, 0], LIMIT_DEFAULT), Ok(None));
    }

    #[test]
    fn header_inside_the_frame() {
        assert!(next_frame(&frame(14, 10, 10), 100).unwrap().is_some());
        let bad = frame(14, 11, 0);
        let expected = FrameError::HeaderTooLong {
            header_len: 11,
            available: 10,
        };
        assert_eq!(frame_len(&bad, 100), Err(expected));
        assert_eq!(next_frame(&bad, 100), Err(expected));
    }

    #[test]
    fn serialize_byte() {
        let bytes = frame(4, 1 << 24, 0);
        let (binary, _) = next_frame(&bytes, 100).unwrap().unwrap();
        assert_eq!(binary.serialize, Serialize::Rocketmq);
        assert_eq!(
            frame_len(&frame(4, 2 << 24, 0), 100),
            Err(FrameError::UnknownSerialize(2))
        );
        assert_eq!(
            next_frame(&frame(4, 255 << 24, 0), 100),
            Err(FrameError::UnknownSerialize(255))
        );
    }
}
