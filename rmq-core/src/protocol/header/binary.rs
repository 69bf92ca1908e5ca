//! The ROCKETMQ header: `i16 code | u8 language | i16 version | i32 opaque | i32 flag |
//! i32 remark length, remark | i32 ext length, ext`; ext repeats `i16 key length, key |
//! i32 value length, value`. A length of zero stands for null.

use super::{DecodeError, Head, HeadWrite, Sink, WriteFields, text};
use crate::protocol::command::Command;
use crate::protocol::ext::{EXT_FIELDS_MAX, ExtFields};
use crate::protocol::frame::Serialize;
use crate::protocol::language::Language;

/// Bytes of the fields before the remark.
const HEAD_LEN: usize = 13;

/// The head of a binary header.
pub(crate) fn head(header: &[u8]) -> Option<Head> {
    let head: &[u8; HEAD_LEN] = header.first_chunk()?;
    let [c0, c1, language, v0, v1, o0, o1, o2, o3, f0, f1, f2, f3] = *head;
    Some(Head {
        code: i32::from(i16::from_be_bytes([c0, c1])),
        language: Language::new(language),
        version: i32::from(i16::from_be_bytes([v0, v1])),
        opaque: i32::from_be_bytes([o0, o1, o2, o3]),
        flag: i32::from_be_bytes([f0, f1, f2, f3]),
    })
}

/// Whether the binary form can carry this head; only JSON carries the rest.
pub(crate) fn fits(head: &Head) -> bool {
    i16::try_from(head.code).is_ok() && i16::try_from(head.version).is_ok()
}

/// Reads a whole header; the command has no body yet.
pub(crate) fn decode(header: &[u8]) -> Result<Command, DecodeError> {
    let truncated = DecodeError::Length {
        of: "fixed fields",
        len: HEAD_LEN as i64,
        available: header.len(),
    };
    let head = head(header).ok_or(truncated)?;
    let mut reader = Reader {
        rest: &header[HEAD_LEN..],
    };
    let remark = reader.long("remark")?;
    let ext = reader.long("ext fields")?;
    if !reader.rest.is_empty() {
        return Err(DecodeError::Trailing(reader.rest.len()));
    }
    Ok(Command {
        remark: (!remark.is_empty()).then(|| lossy(remark)),
        ext: decode_ext(ext)?,
        ..Command::with_head(&head, Serialize::Rocketmq)
    })
}

fn decode_ext(ext: &[u8]) -> Result<ExtFields, DecodeError> {
    let mut reader = Reader { rest: ext };
    let mut pairs = Vec::new();
    while !reader.rest.is_empty() {
        let key = reader.short("a field's name")?;
        let value = reader.long("a field's value")?;
        if key.is_empty() || value.is_empty() {
            continue;
        }
        if pairs.len() == EXT_FIELDS_MAX {
            return Err(DecodeError::TooManyFields);
        }
        pairs.push((lossy(key), lossy(value)));
    }
    Ok(ExtFields::from_pairs(pairs))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Takes length-prefixed slices off the front of the bytes; never past their end.
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A slice behind a length of two bytes.
    pub(crate) fn short(&mut self, of: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((len, rest)) = self.rest.split_first_chunk() else {
            return Err(DecodeError::Length {
                of,
                len: 2,
                available: self.rest.len(),
            });
        };
        self.rest = rest;
        self.take(of, i64::from(i16::from_be_bytes(*len)))
    }

    /// A slice behind a length of four bytes.
    pub(crate) fn long(&mut self, of: &'static str) -> Result<&'a [u8], DecodeError> {
        let Some((len, rest)) = self.rest.split_first_chunk() else {
            return Err(DecodeError::Length {
                of,
                len: 4,
                available: self.rest.len(),
            });
        };
        self.rest = rest;
        self.take(of, i64::from(i32::from_be_bytes(*len)))
    }

    fn take(&mut self, of: &'static str, len: i64) -> Result<&'a [u8], DecodeError> {
        let split = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len));
        let Some((taken, rest)) = split else {
            return Err(DecodeError::Length {
                of,
                len,
                available: self.rest.len(),
            });
        };
        self.rest = rest;
        Ok(taken)
    }
}

/// Appends the header. The head must fit; pairs whose key is longer than 16 bits tell are left out.
pub(crate) fn write(out: &mut Vec<u8>, write: &HeadWrite<'_>, fields: &impl WriteFields) {
    let Head {
        code,
        opaque,
        flag,
        version,
        language,
    } = write.head;
    debug_assert!(fits(&write.head), "the caller checked the head");
    out.extend_from_slice(&(code as i16).to_be_bytes());
    out.push(language.value());
    out.extend_from_slice(&(version as i16).to_be_bytes());
    out.extend_from_slice(&opaque.to_be_bytes());
    out.extend_from_slice(&flag.to_be_bytes());
    let remark = write.remark.unwrap_or_default();
    write_len(out, remark.len());
    out.extend_from_slice(remark.as_bytes());
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    fields.write(&mut BinarySink { out });
    let len = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// A header of over 4 GiB is refused by `write_frame`, so the cut never reaches the wire.
fn write_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

struct BinarySink<'a> {
    out: &'a mut Vec<u8>,
}

impl BinarySink<'_> {
    fn key(&mut self, key: &str) -> bool {
        let Ok(len) = i16::try_from(key.len()) else {
            return false;
        };
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(key.as_bytes());
        true
    }
}

impl Sink for BinarySink<'_> {
    fn pair(&mut self, key: &str, value: &str) {
        if self.key(key) {
            write_len(self.out, value.len());
            self.out.extend_from_slice(value.as_bytes());
        }
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.pair(key, value);
    }

    fn int(&mut self, key: &'static str, value: i64) {
        if self.key(key) {
            write_len(self.out, text::int_len(value));
            text::write_int(self.out, value);
        }
    }
}
