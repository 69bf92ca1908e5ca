//! A request or response: the decoded header and its body.

use bytes::Bytes;

use super::code::{RequestCode, ResponseCode};
use super::ext::ExtFields;
use super::frame::{FrameRef, Serialize};
use super::header::{self, FLAG_ONEWAY, FLAG_RESPONSE, Head, HeadWrite, Sink, WriteFields};
use super::language::Language;
use super::request::{EncodeHeader, Header, HeaderError};
use super::version;

pub use super::header::DecodeError;

/// A request or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Request or response code.
    pub code: i32,
    /// The sender's language.
    pub language: Language,
    /// The sender's version, see `protocol::version`.
    pub version: i32,
    /// Correlation id: a response carries that of its request.
    pub opaque: i32,
    /// `header::FLAG_RESPONSE` and `header::FLAG_ONEWAY`.
    pub flag: i32,
    /// A sentence for a person, mostly why a request failed.
    pub remark: Option<String>,
    /// The request's or response's own fields.
    pub ext: ExtFields,
    /// The payload; may be empty.
    pub body: Bytes,
    /// How the header was or will be written.
    pub serialize: Serialize,
}

impl Command {
    /// A request with the fields of `header`, in JSON; set `opaque` before sending it.
    #[must_use]
    pub fn request(code: RequestCode, header: &impl EncodeHeader) -> Self {
        let mut command = Self::bare_request(code);
        header.encode(&mut command.ext);
        command
    }

    /// A request without fields, in JSON; set `opaque` before sending it.
    #[must_use]
    pub fn bare_request(code: RequestCode) -> Self {
        let head = Head {
            code: code.value(),
            version: version::CURRENT,
            language: Language::OWN,
            ..Head::EMPTY
        };
        Self::with_head(&head, Serialize::Json)
    }

    /// The response to a request of this opaque and serialization.
    #[must_use]
    pub fn response(
        opaque: i32,
        serialize: Serialize,
        code: ResponseCode,
        remark: Option<String>,
    ) -> Self {
        let head = Head {
            code: code.value(),
            opaque,
            flag: FLAG_RESPONSE,
            version: version::CURRENT,
            language: Language::OWN,
        };
        Self {
            remark,
            ..Self::with_head(&head, serialize)
        }
    }

    /// The response to `request`, with its opaque and in its serialization.
    #[must_use]
    pub fn response_to(request: &Self, code: ResponseCode, remark: Option<String>) -> Self {
        Self::response(request.opaque, request.serialize, code, remark)
    }

    pub(crate) fn with_head(head: &Head, serialize: Serialize) -> Self {
        Self {
            code: head.code,
            language: head.language,
            version: head.version,
            opaque: head.opaque,
            flag: head.flag,
            remark: None,
            ext: ExtFields::new(),
            body: Bytes::new(),
            serialize,
        }
    }

    /// Adds the fields of `header`.
    #[must_use]
    pub fn with_header(mut self, header: &impl EncodeHeader) -> Self {
        header.encode(&mut self.ext);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Marks that no answer is wanted.
    #[must_use]
    pub fn oneway(mut self) -> Self {
        self.flag |= FLAG_ONEWAY;
        self
    }

    /// The code as a request's.
    #[must_use]
    pub const fn request_code(&self) -> RequestCode {
        RequestCode::new(self.code)
    }

    /// The code as a response's.
    #[must_use]
    pub const fn response_code(&self) -> ResponseCode {
        ResponseCode::new(self.code)
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

    /// The part of the header that dispatch needs.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head {
            code: self.code,
            opaque: self.opaque,
            flag: self.flag,
            version: self.version,
            language: self.language,
        }
    }

    /// The typed fields.
    ///
    /// # Errors
    /// When a required field is missing or a field has a wrong value.
    pub fn header<H: Header>(&self) -> Result<H, HeaderError> {
        H::decode(&self.ext)
    }

    /// Decodes a frame; the body is copied. Lenient in JSON, see `header::json`.
    ///
    /// # Errors
    /// When the header cannot be understood.
    pub fn decode(frame: FrameRef<'_>) -> Result<Self, DecodeError> {
        let mut command = Self::decode_header(frame.serialize, frame.header)?;
        command.body = Bytes::copy_from_slice(frame.body);
        Ok(command)
    }

    /// Decodes a header alone; the body of the result is empty.
    ///
    /// # Errors
    /// When the header cannot be understood.
    pub fn decode_header(serialize: Serialize, header: &[u8]) -> Result<Self, DecodeError> {
        match serialize {
            Serialize::Json => header::json::decode(header),
            Serialize::Rocketmq => header::binary::decode(header),
        }
    }

    /// Appends the whole frame.
    ///
    /// The serialization is `self.serialize`, except that the binary form has 16 bits for code and
    /// version: larger ones (the POP requests from 200050 on) are written as JSON. A header over
    /// 16 MiB - 1, which no peer could be told the length of, loses its fields and all but the
    /// start of its remark; a frame over 4 GiB is marked so that every peer refuses it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out, self.body.len());
        out.extend_from_slice(&self.body);
    }

    /// Appends the frame without its body, of which `body_len` bytes are to follow.
    pub fn encode_head(&self, out: &mut Vec<u8>, body_len: usize) {
        let head = HeadWrite {
            head: self.head(),
            remark: self.remark.as_deref(),
        };
        header::write_frame(out, self.serialize, &head, &self.ext, body_len);
    }

    /// The whole frame in a buffer of its own.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.body.len() + 256);
        self.encode(&mut out);
        Bytes::from(out)
    }
}

impl WriteFields for ExtFields {
    fn write(&self, sink: &mut impl Sink) {
        for (key, value) in self.iter() {
            sink.pair(key, value);
        }
    }
}

impl Sink for ExtFields {
    fn pair(&mut self, key: &str, value: &str) {
        self.insert(key.to_owned(), value);
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.insert(key, value);
    }

    fn int(&mut self, key: &'static str, value: i64) {
        self.insert(key, value.to_string());
    }
}
