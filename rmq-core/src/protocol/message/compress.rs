//! Compression of bodies. The zlib format is read and written; the others are named in the error.

use std::fmt;
use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::sysflag::{self, Compression};
use crate::base::error::{Error, ErrorKind};

/// Level that clients compress with.
pub const DEFAULT_LEVEL: u32 = 5;
/// The best and slowest level.
pub const BEST_LEVEL: u32 = 9;

/// Why bytes were not inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressError {
    /// This build has no code for the compressor.
    Unsupported(Compression),
    /// The flag names no compressor.
    Unknown(u8),
    /// The bytes inflate to more than this.
    TooLong {
        /// The most bytes.
        max: usize,
    },
    /// The bytes are not in the format.
    Corrupt,
}

impl fmt::Display for CompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(kind) => write!(f, "{} compression is not supported", kind.name()),
            Self::Unknown(bits) => write!(f, "{bits} names no compression"),
            Self::TooLong { max } => write!(f, "inflates to more than {max} bytes"),
            Self::Corrupt => f.write_str("is not what was compressed"),
        }
    }
}

impl std::error::Error for CompressError {}

impl From<CompressError> for Error {
    fn from(error: CompressError) -> Self {
        let kind = match error {
            CompressError::TooLong { .. } => ErrorKind::Limit,
            CompressError::Corrupt => ErrorKind::Corrupt,
            CompressError::Unsupported(_) | CompressError::Unknown(_) => ErrorKind::Invalid,
        };
        Self::new(kind, "inflate", error.to_string())
    }
}

/// Compresses to the zlib format; `level` is 0 to 9.
#[must_use]
pub fn deflate(bytes: &[u8], level: u32) -> Vec<u8> {
    let out = Vec::with_capacity(bytes.len() / 2);
    let mut encoder = ZlibEncoder::new(out, flate2::Compression::new(level.min(BEST_LEVEL)));
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory cannot fail")
}

/// Inflates the zlib format to at most `max_bytes`.
pub fn inflate(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressError> {
    let limit = u64::try_from(max_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(3).min(max_bytes));
    ZlibDecoder::new(bytes)
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|_| CompressError::Corrupt)?;
    if out.len() > max_bytes {
        return Err(CompressError::TooLong { max: max_bytes });
    }
    Ok(out)
}

/// Inflates a body as its system flag says; `None` when it is not compressed.
pub fn inflate_body(
    body: &[u8],
    sys_flag: i32,
    max_bytes: usize,
) -> Result<Option<Vec<u8>>, CompressError> {
    if !sysflag::is_compressed(sys_flag) || body.is_empty() {
        return Ok(None);
    }
    match sysflag::compression(sys_flag) {
        Ok(Compression::Zlib) => inflate(body, max_bytes).map(Some),
        Ok(other) => Err(CompressError::Unsupported(other)),
        Err(bits) => Err(CompressError::Unknown(bits)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deflated_inflates() {
        for len in [0, 1, 4096, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 7) as u8).collect();
            for level in [0, 1, DEFAULT_LEVEL, BEST_LEVEL, 99] {
                assert_eq!(inflate(&deflate(&bytes, level), len).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bytes = deflate(&vec![0; 1 << 20], BEST_LEVEL);
        assert_eq!(inflate(&bytes, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(
            inflate(&bytes, (1 << 20) - 1),
            Err(CompressError::TooLong { max: (1 << 20) - 1 })
        );
    }

    #[test]
    fn damage_is_noticed() {
        let mut bytes = deflate(b"hello hello hello", DEFAULT_LEVEL);
        assert_eq!(
            inflate(&bytes[..bytes.len() - 5], 100),
            Err(CompressError::Corrupt)
        );
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(inflate(&bytes, 100), Err(CompressError::Corrupt));
        assert_eq!(inflate(b"", 100), Err(CompressError::Corrupt));
    }

    #[test]
    fn the_flag_decides() {
        let bytes = deflate(b"x", DEFAULT_LEVEL);
        let flag = sysflag::COMPRESSED;
        assert_eq!(inflate_body(b"raw", 0, 10), Ok(None));
        assert_eq!(inflate_body(&bytes, flag, 10), Ok(Some(b"x".to_vec())));
        assert_eq!(
            inflate_body(&bytes, flag | Compression::Zlib.bits(), 10),
            Ok(Some(b"x".to_vec()))
        );
        for kind in [Compression::Lz4, Compression::Zstd] {
            assert_eq!(
                inflate_body(&bytes, flag | kind.bits(), 10),
                Err(CompressError::Unsupported(kind))
            );
        }
        assert_eq!(
            inflate_body(&bytes, flag | 0x700, 10),
            Err(CompressError::Unknown(7))
        );
    }
}
