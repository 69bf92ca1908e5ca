//! Typed headers of requests and responses, one file a family.
//!
//! A header is a row of `headers!`: its fields, their types and their names on the wire. An
//! `Option` may be absent, a field with `=` has that value when absent, any other is required.
//! Keys that a header does not name are ignored here and stay in `Command::ext`.

pub mod admin;
pub mod auth;
pub mod broker;
pub mod controller;
pub mod group;
pub mod ha;
pub mod heartbeat;
pub mod kv;
pub mod namesrv;
pub mod offset;
pub mod pop;
pub mod pull;
pub mod push;
pub mod query;
pub mod send;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod topic;
pub mod transaction;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use crate::base::error::{Error, ErrorKind};

use super::code::ResponseCode;
use super::ext::ExtFields;
use super::frame::Serialize;
pub use super::header::scan::Scratch;
use super::header::{text, write_frame};

/// Writes typed fields.
pub trait EncodeHeader {
    /// Sets the fields that are there; leaves other keys alone.
    fn encode(&self, ext: &mut ExtFields);
}

/// Reads typed fields.
pub trait Header: EncodeHeader + Sized {
    /// Reads the fields; unknown keys are ignored.
    ///
    /// # Errors
    /// When a required field is missing or a field has a wrong value.
    fn decode(ext: &ExtFields) -> Result<Self, HeaderError>;
}

/// No fields at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoHeader;

impl EncodeHeader for NoHeader {
    fn encode(&self, _: &mut ExtFields) {}
}

impl Header for NoHeader {
    fn decode(_: &ExtFields) -> Result<Self, HeaderError> {
        Ok(Self)
    }
}

/// A field that a request needs and does not have, or that has a wrong value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The field is required.
    Missing {
        /// Its name, on the wire and in words where they differ.
        field: &'static str,
    },
    /// The value is not of the field's type.
    Invalid {
        /// Its name, on the wire and in words where they differ.
        field: &'static str,
        /// The start of the value.
        value: String,
        /// What a value must be.
        expected: &'static str,
    },
}

impl HeaderError {
    fn invalid(field: &'static str, value: &str, expected: &'static str) -> Self {
        Self::Invalid {
            field,
            value: text::clip(value, 64).to_owned(),
            expected,
        }
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { field } => write!(f, "the request lacks the field {field}"),
            Self::Invalid {
                field,
                value,
                expected,
            } => {
                write!(f, "the field {field} must be {expected}, not {value:?}")
            }
        }
    }
}

impl StdError for HeaderError {}

impl From<HeaderError> for Error {
    fn from(error: HeaderError) -> Self {
        Self::new(ErrorKind::Invalid, "read fields", error.to_string())
    }
}

/// A value that travels as a string.
pub(crate) trait FieldValue: Sized {
    /// What a value must be, for an error.
    const EXPECTED: &'static str;
    fn parse(text: &str) -> Option<Self>;
    fn show(&self) -> Cow<'_, str>;
}

impl FieldValue for String {
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn show(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl FieldValue for i32 {
    const EXPECTED: &'static str = "a whole number of 32 bits";

    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn show(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl FieldValue for i64 {
    const EXPECTED: &'static str = "a whole number of 64 bits";

    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn show(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }
}

impl FieldValue for bool {
    const EXPECTED: &'static str = "true or false";

    /// Never fails: what is not `true` in any letter case is false, as in Java.
    fn parse(text: &str) -> Option<Self> {
        Some(text.eq_ignore_ascii_case("true"))
    }

    fn show(&self) -> Cow<'_, str> {
        Cow::Borrowed(if *self { "true" } else { "false" })
    }
}

/// A field's whole rule: how it is read when absent and whether it is written.
pub(crate) trait Field: Sized {
    fn read(ext: &ExtFields, key: &str, field: &'static str) -> Result<Self, HeaderError>;
    fn write(&self, ext: &mut ExtFields, key: &'static str);
}

impl<T: FieldValue> Field for T {
    fn read(ext: &ExtFields, key: &str, field: &'static str) -> Result<Self, HeaderError> {
        Option::read(ext, key, field)?.ok_or(HeaderError::Missing { field })
    }

    fn write(&self, ext: &mut ExtFields, key: &'static str) {
        ext.insert(key, self.show());
    }
}

impl<T: FieldValue> Field for Option<T> {
    fn read(ext: &ExtFields, key: &str, field: &'static str) -> Result<Self, HeaderError> {
        let Some(text) = ext.get(key) else {
            return Ok(None);
        };
        match T::parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(HeaderError::invalid(field, text, T::EXPECTED)),
        }
    }

    fn write(&self, ext: &mut ExtFields, key: &'static str) {
        if let Some(value) = self {
            value.write(ext, key);
        }
    }
}

/// The head of a reply that a fast encoder writes.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The serialization of the request.
    pub serialize: Serialize,
    /// The opaque of the request.
    pub opaque: i32,
    /// How the request ended.
    pub code: ResponseCode,
    /// A sentence for a person.
    pub remark: Option<&'a str>,
}

impl Reply<'_> {
    /// A reply of success without a remark.
    #[must_use]
    pub const fn success(serialize: Serialize, opaque: i32) -> Self {
        Self {
            serialize,
            opaque,
            code: ResponseCode::SUCCESS,
            remark: None,
        }
    }

    /// Appends the whole frame of a reply without fields and without a body; the same bytes as
    /// `Command::encode` would append.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write_frame(out, self.serialize, &self.head(), &ExtFields::new(), 0);
    }

    fn head(&self) -> super::header::HeadWrite<'_> {
        let head = super::header::Head {
            code: self.code.value(),
            opaque: self.opaque,
            flag: super::header::FLAG_RESPONSE,
            version: super::version::CURRENT,
            language: super::language::Language::OWN,
        };
        super::header::HeadWrite {
            head,
            remark: self.remark,
        }
    }
}

/// Makes the struct of each row, and its reading and writing.
macro_rules! headers {
    ($(
        $(#[$meta:meta])*
        $name:ident { $($field:ident: $type:ty => $key:literal $(= $default:expr)?),* $(,)? }
    )*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $(
                    #[doc = concat!("The field `", $key, "`.")]
                    pub $field: $type,
                )*
            }

            impl $crate::protocol::request::EncodeHeader for $name {
                fn encode(&self, ext: &mut $crate::protocol::ext::ExtFields) {
                    $($crate::protocol::request::Field::write(&self.$field, ext, $key);)*
                }
            }

            impl $crate::protocol::request::Header for $name {
                fn decode(
                    ext: &$crate::protocol::ext::ExtFields,
                ) -> Result<Self, $crate::protocol::request::HeaderError> {
                    Ok(Self {
                        $($field: headers!(@read ext, $type, $key $(, $default)?),)*
                    })
                }
            }
        )*
    };
    (@read $ext:ident, $type:ty, $key:literal) => {
        <$type as $crate::protocol::request::Field>::read($ext, $key, $key)?
    };
    (@read $ext:ident, $type:ty, $key:literal, $default:expr) => {
        <Option<$type> as $crate::protocol::request::Field>::read($ext, $key, $key)?
            .unwrap_or($default)
    };
}
pub(crate) use headers;
