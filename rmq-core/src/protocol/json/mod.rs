//! JSON as RocketMQ speaks it: what fastjson writes, and everything that fastjson reads.
//!
//! Bodies are plain serde types. Reading coerces as fastjson does: numbers from strings and back,
//! booleans from numbers, unquoted and single-quoted names, integers and whole objects as names of
//! map entries, extra commas, comments, names in another case. A member that is `null` counts as
//! absent; entries of maps and lists that are `null` are left out. Of two members with one name the
//! later counts. References to an object that was written before are followed.
//!
//! Writing drops members that are `None`, keeps the order of the fields (bodies list theirs
//! alphabetically) and leaves integer and object keys unquoted unless the standard form is asked
//! for.

mod de;
mod lexer;
mod number;
mod reference;
mod ser;
mod tree;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::error::{Error, ErrorKind};

pub use tree::Json;

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 64;
/// Longest text that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024 * 1024;
/// Most values that a [`Json`] tree holds.
pub const MAX_NODES: usize = 4 * 1024 * 1024;

/// The dialect to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// What fastjson writes by default: integer and object keys are not quoted.
    #[default]
    Fastjson,
    /// Standard JSON: every key quoted, everything but ASCII escaped, `/` as `\/`.
    Standard,
    /// As `Fastjson`, over many lines with tabs, as in configuration files.
    Pretty,
}

/// Which rule a text broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text is not JSON, however leniently read.
    Syntax,
    /// A value cannot become the type that is wanted.
    Type,
    /// The text is too long, too deep, or has too many values.
    Limit,
    /// A name occurs twice; never leaves this module.
    Duplicate,
}

/// Why a text was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    kind: JsonErrorKind,
    message: String,
}

impl JsonError {
    fn new(kind: JsonErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    fn syntax(message: &str, at: usize) -> Self {
        Self::new(JsonErrorKind::Syntax, format!("{message} at byte {at}"))
    }

    fn wrong_type(message: &str, at: usize) -> Self {
        Self::new(JsonErrorKind::Type, format!("{message} at byte {at}"))
    }

    /// Which rule was broken.
    #[must_use]
    pub fn kind(&self) -> JsonErrorKind {
        self.kind
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for JsonError {}

impl serde::de::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(JsonErrorKind::Type, message.to_string())
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(
            JsonErrorKind::Duplicate,
            format!("duplicate member {field}"),
        )
    }
}

impl serde::ser::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(JsonErrorKind::Type, message.to_string())
    }
}

impl From<JsonError> for Error {
    fn from(error: JsonError) -> Self {
        let kind = match error.kind {
            JsonErrorKind::Limit => ErrorKind::Limit,
            _ => ErrorKind::Corrupt,
        };
        Self::new(kind, "json", error.message)
    }
}

/// Reads a value. Bytes that are no UTF-8 become replacement characters; `null` alone is an error.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    if bytes.len() > MAX_BYTES {
        let message = format!("{} bytes, and {MAX_BYTES} is the most", bytes.len());
        return Err(JsonError::new(JsonErrorKind::Limit, message));
    }
    from_text(&String::from_utf8_lossy(bytes))
}

/// Reads a value from text; see [`from_slice`].
pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    if reference::occurs_in(text) {
        return by_tree(text);
    }
    match de::read(text) {
        Err(error) if error.kind == JsonErrorKind::Duplicate => by_tree(text),
        other => other,
    }
}

/// Reads what is rare: duplicate names and references are settled in a tree, and what that writes
/// is read.
fn by_tree<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    let tree = reference::resolve(&de::read::<Json>(text)?.without_duplicates())?;
    de::read(&to_text(&tree, Flavour::Fastjson))
}

/// Writes `value` in `flavour`.
///
/// # Panics
/// When the `Serialize` of a type fails by itself; none of this crate does.
#[must_use]
pub fn to_vec<T: Serialize + ?Sized>(value: &T, flavour: Flavour) -> Vec<u8> {
    let mut out = String::new();
    ser::write(value, flavour, &mut out).expect("serializing a body cannot fail");
    out.into_bytes()
}

/// Writes `value` in `flavour` as text; see [`to_vec`].
///
/// # Panics
/// As [`to_vec`].
#[must_use]
pub fn to_text<T: Serialize + ?Sized>(value: &T, flavour: Flavour) -> String {
    let mut out = String::new();
    ser::write(value, flavour, &mut out).expect("serializing a body cannot fail");
    out
}

/// For `serialize_with`: a set, which fastjson writes on one line even when it writes many.
pub fn inline_set<T, I, S>(items: I, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize,
    I: IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    S: serde::Serializer,
{
    use serde::ser::SerializeTuple;
    let items = items.into_iter();
    let mut tuple = serializer.serialize_tuple(items.len())?;
    for item in items {
        tuple.serialize_element(&item)?;
    }
    tuple.end()
}

#[cfg(test)]
mod tests;
