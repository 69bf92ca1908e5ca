//! The header of a frame in its two serializations.
//!
//! Reading comes twice: a lenient general path that builds a `Command`, and `scan`, which finds the
//! fields of a known request in the bytes and gives up on anything unusual.

pub(crate) mod binary;
pub(crate) mod json;
pub(crate) mod scan;
mod scan_json;
pub(crate) mod text;

pub use json::DEPTH_MAX;

use std::error::Error as StdError;
use std::fmt;

use crate::base::error::{Error, ErrorKind};

use super::code::RequestCode;
use super::frame::{FrameRef, HEADER_LEN_MAX, Serialize};
use super::language::Language;

/// Bit of `flag`: this is a response.
pub const FLAG_RESPONSE: i32 = 1;
/// Bit of `flag`: no response is wanted.
pub const FLAG_ONEWAY: i32 = 2;

/// What is needed of a header to dispatch a request and to answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Request or response code.
    pub code: i32,
    /// The sender's correlation id; a response carries that of its request.
    pub opaque: i32,
    /// `FLAG_RESPONSE` and `FLAG_ONEWAY`.
    pub flag: i32,
    /// The sender's version, see `protocol::version`.
    pub version: i32,
    /// The sender's language.
    pub language: Language,
}

impl Head {
    pub(crate) const EMPTY: Self = Self {
        code: 0,
        opaque: 0,
        flag: 0,
        version: 0,
        language: Language::JAVA,
    };

    /// The code as a request's.
    #[must_use]
    pub const fn request_code(&self) -> RequestCode {
        RequestCode::new(self.code)
    }

    /// Whether this answers a request.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flag & FLAG_RESPONSE != 0
    }

    /// Whether the sender wants no answer.
    #[must_use]
    pub const fn is_oneway(&self) -> bool {
        self.flag & FLAG_ONEWAY != 0
    }
}

/// The head of a frame, found without building anything; for dispatch.
///
/// `None` means that the header is unusual or broken, and that `Command::decode` has the answer.
/// The rest of the header is not validated.
#[must_use]
pub fn peek_head(frame: FrameRef<'_>) -> Option<Head> {
    match frame.serialize {
        Serialize::Json => scan_json::head(frame.header),
        Serialize::Rocketmq => binary::head(frame.header),
    }
}

/// The code alone: cheaper than `peek_head` where the code comes first, as official clients write.
#[must_use]
pub fn peek_code(frame: FrameRef<'_>) -> Option<i32> {
    match frame.serialize {
        Serialize::Json => match scan_json::leading_code(frame.header) {
            Some(code) => Some(code),
            None => scan_json::head(frame.header).map(|head| head.code),
        },
        Serialize::Rocketmq => binary::head(frame.header).map(|head| head.code),
    }
}

/// A header that cannot be understood. The frame's borders are sound, so the connection could be
/// read on, but RocketMQ closes it, and there is no opaque to answer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The JSON text is wrong at this byte of the header.
    Syntax {
        /// Byte offset in the header.
        at: usize,
        /// What was expected or found.
        what: &'static str,
    },
    /// A field of the header has a value of the wrong kind.
    Field {
        /// The field.
        name: &'static str,
        /// The start of its value.
        value: String,
    },
    /// A binary length reaches past the header, or is negative.
    Length {
        /// What the length is of.
        of: &'static str,
        /// The length as announced.
        len: i64,
        /// Bytes that the header has left.
        available: usize,
    },
    /// Bytes follow the end of a binary header.
    Trailing(usize),
    /// More pairs than `ext::EXT_FIELDS_MAX`.
    TooManyFields,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { at, what } => {
                write!(f, "the JSON header is wrong at byte {at}: {what}")
            }
            Self::Field { name, value } => {
                write!(f, "the header field {name} cannot be {value:?}")
            }
            Self::Length { of, len, available } => write!(
                f,
                "the binary header announces {len} bytes of {of}, but has {available} left"
            ),
            Self::Trailing(len) => write!(f, "{len} bytes follow the end of the binary header"),
            Self::TooManyFields => {
                write!(
                    f,
                    "the header has more than {} fields",
                    super::ext::EXT_FIELDS_MAX
                )
            }
        }
    }
}

impl StdError for DecodeError {}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        let kind = match error {
            DecodeError::TooManyFields => ErrorKind::Limit,
            _ => ErrorKind::Corrupt,
        };
        Self::new(kind, "decode header", error.to_string())
    }
}

/// The fixed part of a header that is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadWrite<'a> {
    pub(crate) head: Head,
    pub(crate) remark: Option<&'a str>,
}

/// Where ext fields are written to, in the order of their keys.
pub(crate) trait Sink {
    /// A pair with a key of any characters.
    fn pair(&mut self, key: &str, value: &str);
    /// A pair whose key needs no escaping.
    fn text(&mut self, key: &'static str, value: &str);
    /// A pair whose key needs no escaping and whose value is a decimal number.
    fn int(&mut self, key: &'static str, value: i64);
    /// A pair whose key needs no escaping and whose value is `true` or `false`.
    fn flag(&mut self, key: &'static str, value: bool) {
        self.text(key, if value { "true" } else { "false" });
    }
    /// As `text` for a value that is there.
    fn text_opt(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }
    /// As `int` for a value that is there.
    fn int_opt(&mut self, key: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            self.int(key, value);
        }
    }
}

/// Something that writes its ext fields to either serialization.
pub(crate) trait WriteFields {
    fn write(&self, sink: &mut impl Sink);
}

/// Appends a whole frame but for its body, of which the length is announced.
///
/// What the binary form cannot carry (codes and versions beyond 16 bits) is written as JSON. A
/// header over `HEADER_LEN_MAX` is cut to its head and the start of its remark.
pub(crate) fn write_frame(
    out: &mut Vec<u8>,
    serialize: Serialize,
    head: &HeadWrite<'_>,
    fields: &impl WriteFields,
    body_len: usize,
) {
    let serialize = if binary::fits(&head.head) {
        serialize
    } else {
        Serialize::Json
    };
    let at = super::frame::start(out);
    write_header(out, serialize, head, fields);
    if out.len() - at - super::frame::PREFIX_LEN > HEADER_LEN_MAX {
        out.truncate(at + super::frame::PREFIX_LEN);
        let remark = head
            .remark
            .map(|remark| text::clip(remark, REMARK_CLIP_LEN));
        write_header(
            out,
            serialize,
            &HeadWrite {
                head: head.head,
                remark,
            },
            &NoFields,
        );
    }
    super::frame::finish(out, at, serialize, body_len);
}

/// Bytes of a remark that are kept when a header would be too long.
const REMARK_CLIP_LEN: usize = 1024;

fn write_header(
    out: &mut Vec<u8>,
    serialize: Serialize,
    head: &HeadWrite<'_>,
    fields: &impl WriteFields,
) {
    match serialize {
        Serialize::Json => json::write(out, head, fields),
        Serialize::Rocketmq => binary::write(out, head, fields),
    }
}

/// No ext fields.
struct NoFields;

impl WriteFields for NoFields {
    fn write(&self, _: &mut impl Sink) {}
}
