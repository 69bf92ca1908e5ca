//! Compression of bodies: the formats that RocketMQ's clients write.

use std::fmt;
use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::sysflag::{self, Compression};
use crate::base::error::{Error, ErrorKind};

/// Level that clients compress with.
pub const DEFAULT_LEVEL: u32 = 5;
/// The best and slowest level.
pub const BEST_LEVEL: u32 = 9;

/// Most bytes that a Zstandard frame may ask its reader to look back.
const ZSTD_WINDOW_MAX_BYTES: u64 = 16 << 20;

/// Why bytes were not inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressError {
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
            CompressError::Unknown(_) => ErrorKind::Invalid,
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

/// Compresses to a format; `level` is 0 to 9 and means something to zlib alone.
#[must_use]
pub fn compress(kind: Compression, bytes: &[u8], level: u32) -> Vec<u8> {
    match kind {
        Compression::Zlib => deflate(bytes, level),
        Compression::Lz4 => {
            let mut encoder = FrameEncoder::new(Vec::with_capacity(bytes.len() / 2));
            let written = encoder.write_all(bytes);
            written.expect("writing to memory cannot fail");
            encoder.finish().expect("writing to memory cannot fail")
        }
        Compression::Zstd => compress_to_vec(bytes, CompressionLevel::Fastest),
    }
}

/// Inflates the zlib format to at most `max_bytes`.
pub fn inflate(bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, CompressError> {
    read_all(ZlibDecoder::new(bytes), bytes.len(), max_bytes)
}

fn read_all(
    decoder: impl Read,
    packed_len: usize,
    max_bytes: usize,
) -> Result<Vec<u8>, CompressError> {
    let limit = u64::try_from(max_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut out = Vec::with_capacity(packed_len.saturating_mul(3).min(max_bytes));
    decoder
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
        Ok(Compression::Lz4) => {
            let inflated = read_all(FrameDecoder::new(body), body.len(), max_bytes)?;
            // The decoder takes what is shorter than a frame's head for no frame at all.
            match inflated.is_empty() {
                true => Err(CompressError::Corrupt),
                false => Ok(Some(inflated)),
            }
        }
        Ok(Compression::Zstd) => {
            let decoder = StreamingDecoder::new_with_max_window_size(body, ZSTD_WINDOW_MAX_BYTES);
            let decoder = decoder.map_err(|_| CompressError::Corrupt)?;
            read_all(decoder, body.len(), max_bytes).map(Some)
        }
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
        let text = b"round and round and round and round".repeat(9);
        for kind in [Compression::Lz4, Compression::Zstd, Compression::Zlib] {
            let packed = compress(kind, &text, DEFAULT_LEVEL);
            let flag = flag | kind.bits();
            assert!(packed.len() < text.len(), "{kind:?}");
            assert_eq!(
                inflate_body(&packed, flag, text.len()),
                Ok(Some(text.clone()))
            );
            let max = text.len() - 1;
            assert_eq!(
                inflate_body(&packed, flag, max),
                Err(CompressError::TooLong { max })
            );
            assert_eq!(inflate_body(b"junk", flag, 9), Err(CompressError::Corrupt));
            let cut = &packed[..packed.len() / 2];
            assert!(inflate_body(cut, flag, text.len()).is_err(), "{kind:?}");
        }
        assert_eq!(
            inflate_body(&bytes, flag | 0x700, 10),
            Err(CompressError::Unknown(7))
        );
    }
}
