//! The JSON header, read as leniently as fastjson 1.2.83 reads it and written as it writes it.
//!
//! Accepted beyond JSON: unquoted and single-quoted keys, single-quoted strings, comments, spare
//! commas, control characters inside strings, numbers as strings and strings as numbers. Unknown
//! members are skipped. Bytes that are not UTF-8 become U+FFFD.

use std::borrow::Cow;

use super::{DecodeError, HeadWrite, Sink, WriteFields, text};
use crate::protocol::command::Command;
use crate::protocol::ext::{EXT_FIELDS_MAX, ExtFields};
use crate::protocol::frame::Serialize;
use crate::protocol::language::Language;

/// How deep unknown members may nest.
pub const DEPTH_MAX: usize = 64;

/// Bytes of a wrong value that an error shows.
const VALUE_CLIP_LEN: usize = 64;

/// Reads a whole header; the command has no body yet.
pub(crate) fn decode(header: &[u8]) -> Result<Command, DecodeError> {
    // Valid text, which is the rule, is told from other much faster than text is mended.
    let text = match std::str::from_utf8(header) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(header),
    };
    let mut reader = Reader::new(&text);
    let mut command = Command::with_head(&super::Head::EMPTY, Serialize::Json);
    reader.open_object()?;
    while let Some(key) = reader.next_key()? {
        read_member(&mut reader, &key, &mut command)?;
    }
    reader.end()?;
    Ok(command)
}

fn read_member(
    reader: &mut Reader<'_>,
    key: &str,
    command: &mut Command,
) -> Result<(), DecodeError> {
    match member_name(key) {
        "code" => read_int(reader, "code", &mut command.code),
        "version" => read_int(reader, "version", &mut command.version),
        "opaque" => read_int(reader, "opaque", &mut command.opaque),
        "flag" => read_int(reader, "flag", &mut command.flag),
        "language" => {
            command.language = match reader.value(0)? {
                Value::Text(name) => Language::from_name(&name),
                // An enum may come as its position, and the positions are the codes.
                Value::Number(number) => number.parse().map_or(Language::UNKNOWN, Language::new),
                Value::Null | Value::Bool(_) | Value::Nested => Language::UNKNOWN,
            };
            Ok(())
        }
        "remark" => {
            command.remark = reader.value(0)?.into_text();
            Ok(())
        }
        "extFields" => {
            command.ext = read_ext(reader)?;
            Ok(())
        }
        _ => reader.value(0).map(drop),
    }
}

/// The member that a key means: letter case and underscores do not matter.
fn member_name(key: &str) -> &str {
    const MEMBERS: [&str; 7] = [
        "code",
        "language",
        "version",
        "opaque",
        "flag",
        "remark",
        "extFields",
    ];
    if MEMBERS.contains(&key) {
        return key;
    }
    let key_plain = || plain(text::clip(key, 32));
    MEMBERS
        .into_iter()
        .find(|member| plain(member).eq(key_plain()))
        .unwrap_or(key)
}

/// The bytes of a name but for what does not matter in it.
fn plain(name: &str) -> impl Iterator<Item = u8> {
    let bytes = name.bytes().filter(|byte| *byte != b'_');
    bytes.map(|byte| byte.to_ascii_lowercase())
}

fn read_int(
    reader: &mut Reader<'_>,
    name: &'static str,
    target: &mut i32,
) -> Result<(), DecodeError> {
    let value = reader.value(0)?;
    match int_of(&value) {
        Some(Some(int)) => *target = int,
        Some(None) => {}
        None => {
            let value = value
                .into_text()
                .unwrap_or_else(|| "an object or array".to_owned());
            let value = text::clip(&value, VALUE_CLIP_LEN).to_owned();
            return Err(DecodeError::Field { name, value });
        }
    }
    Ok(())
}

/// The integer that a value stands for; `Some(None)` when it stands for nothing.
fn int_of(value: &Value<'_>) -> Option<Option<i32>> {
    match value {
        Value::Null => Some(None),
        Value::Bool(value) => Some(Some(i32::from(*value))),
        Value::Number(number) => number_to_int(number).map(Some),
        Value::Text(text) => match text.trim() {
            "" | "null" | "NULL" => Some(None),
            text => number_to_int(&text.replace(',', "")).map(Some),
        },
        Value::Nested => None,
    }
}

fn number_to_int(number: &str) -> Option<i32> {
    if let Ok(int) = number.parse() {
        return Some(int);
    }
    if !number
        .bytes()
        .any(|byte| matches!(byte, b'.' | b'e' | b'E'))
    {
        return None;
    }
    let float = number.parse::<f64>().ok()?.trunc();
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    // A whole number inside the range of i32 converts exactly.
    range.contains(&float).then_some(float as i32)
}

fn read_ext(reader: &mut Reader<'_>) -> Result<ExtFields, DecodeError> {
    if reader.peek() != Some(b'{') {
        // Anything but an object holds no fields.
        reader.value(0)?;
        return Ok(ExtFields::new());
    }
    reader.open_object()?;
    let mut pairs = Vec::new();
    while let Some(key) = reader.next_key()? {
        // Null and nested values are as good as absent.
        let Some(value) = reader.value(1)?.into_text() else {
            continue;
        };
        if pairs.len() == EXT_FIELDS_MAX {
            return Err(DecodeError::TooManyFields);
        }
        pairs.push((key.into_owned(), value));
    }
    Ok(ExtFields::from_pairs(pairs))
}

enum Value<'a> {
    Null,
    Bool(bool),
    /// The digits as written, without a type suffix.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// An object or array, skipped.
    Nested,
}

impl Value<'_> {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Null | Self::Nested => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(number) => Some(number.to_owned()),
            Self::Text(text) => Some(text.into_owned()),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            at: if text.starts_with('\u{feff}') { 3 } else { 0 },
        }
    }

    fn error(&self, what: &'static str) -> DecodeError {
        DecodeError::Syntax { at: self.at, what }
    }

    /// The next byte that is no space and in no comment, not taken.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0C | 0x08) => self.at += 1,
                Some(b'/') => {
                    let rest = &self.text[self.at..];
                    let (inside, closing) = match rest.as_bytes().get(1) {
                        Some(b'*') => (&rest[2..], "*/"),
                        Some(b'/') => (&rest[2..], "\n"),
                        _ => return Some(b'/'),
                    };
                    // A comment that does not end takes all the rest.
                    let len = inside.find(closing).map(|at| at + closing.len());
                    self.at += 2 + len.unwrap_or(inside.len());
                }
                byte => return byte.copied(),
            }
        }
    }

    fn open_object(&mut self) -> Result<(), DecodeError> {
        if self.peek() != Some(b'{') {
            return Err(self.error("expected an object"));
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the next key and its colon, or the end of the object.
    fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        // Right behind the opening brace no comma is due; no value ends with one.
        let mut comma = self.text.as_bytes()[..self.at].ends_with(b"{");
        loop {
            match self.peek() {
                Some(b',') => {
                    comma = true;
                    self.at += 1;
                }
                Some(b'}') => {
                    self.at += 1;
                    return Ok(None);
                }
                Some(_) if !comma => return Err(self.error("expected a comma or brace")),
                Some(quote @ (b'"' | b'\'')) => {
                    let key = self.string(quote)?;
                    return self.colon().map(|()| Some(key));
                }
                Some(_) => {
                    let key = self.word();
                    if key.is_empty() {
                        return Err(self.error("expected a key"));
                    }
                    return self.colon().map(|()| Some(Cow::Borrowed(key)));
                }
                None => return Err(self.error("the object does not end")),
            }
        }
    }

    fn colon(&mut self) -> Result<(), DecodeError> {
        if self.peek() != Some(b':') {
            return Err(self.error("expected a colon"));
        }
        self.at += 1;
        Ok(())
    }

    /// A run of characters that are neither space nor punctuation.
    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let ends = |c: char| c.is_ascii_whitespace() || ",:;{}[]()\"'/".contains(c);
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn string(&mut self, quote: u8) -> Result<Cow<'a, str>, DecodeError> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut escaped = false;
        loop {
            match bytes.get(at) {
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(byte) if *byte == quote => break,
                Some(_) => at += 1,
                None => return Err(self.error("the string does not end")),
            }
        }
        // Both ends stand beside a quote, so they are borders of characters.
        let raw = &self.text[start..at];
        if !escaped {
            self.at = at + 1;
            return Ok(Cow::Borrowed(raw));
        }
        let mut meaning = String::with_capacity(raw.len());
        if !text::unescape(raw, &mut meaning) {
            return Err(self.error("the string has an unknown escape"));
        }
        self.at = at + 1;
        Ok(Cow::Owned(meaning))
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, DecodeError> {
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.string(quote).map(Value::Text),
            Some(b'{') => {
                self.enter(depth)?;
                while self.next_key()?.is_some() {
                    self.value(depth + 1)?;
                }
                Ok(Value::Nested)
            }
            Some(b'[') => self.skip_array(depth),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9') => self.number(),
            _ => match self.word() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                "null" | "undefined" | "NaN" => Ok(Value::Null),
                _ => Err(self.error("expected a value")),
            },
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), DecodeError> {
        if depth >= DEPTH_MAX {
            return Err(self.error("nested too deep"));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_array(&mut self, depth: usize) -> Result<Value<'a>, DecodeError> {
        self.enter(depth)?;
        loop {
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Nested);
                }
                _ => {
                    self.value(depth + 1)?;
                }
            }
        }
    }

    fn number(&mut self) -> Result<Value<'a>, DecodeError> {
        let rest = &self.text[self.at..];
        let ends = |c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let number = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if !number.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(self.error("expected a number"));
        }
        self.at += number.len();
        // Java's type suffixes.
        let suffix = matches!(
            self.text.as_bytes().get(self.at),
            Some(b'L' | b'S' | b'B' | b'F' | b'D')
        );
        self.at += usize::from(suffix);
        Ok(Value::Number(number))
    }

    fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("text follows the object")),
        }
    }
}

/// Appends the header: keys in order, absent members left out.
pub(crate) fn write(out: &mut Vec<u8>, write: &HeadWrite<'_>, fields: &impl WriteFields) {
    let head = &write.head;
    out.extend_from_slice(b"{\"code\":");
    text::write_int(out, i64::from(head.code));
    out.push(b',');
    let mut sink = JsonSink { out, any: false };
    fields.write(&mut sink);
    if sink.any {
        out.extend_from_slice(b"},");
    }
    out.extend_from_slice(b"\"flag\":");
    text::write_int(out, i64::from(head.flag));
    out.extend_from_slice(b",\"language\":\"");
    out.extend_from_slice(head.language.name().as_bytes());
    out.extend_from_slice(b"\",\"opaque\":");
    text::write_int(out, i64::from(head.opaque));
    if let Some(remark) = write.remark {
        out.extend_from_slice(b",\"remark\":");
        text::write_string(out, remark);
    }
    out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    text::write_int(out, i64::from(head.version));
    out.push(b'}');
}

struct JsonSink<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl JsonSink<'_> {
    fn separate(&mut self) {
        let before: &[u8] = if self.any { b"," } else { b"\"extFields\":{" };
        self.out.extend_from_slice(before);
        self.any = true;
    }

    fn key(&mut self, key: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

impl Sink for JsonSink<'_> {
    fn pair(&mut self, key: &str, value: &str) {
        self.separate();
        text::write_string(self.out, key);
        self.out.push(b':');
        text::write_string(self.out, value);
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.key(key);
        text::write_string(self.out, value);
    }

    fn int(&mut self, key: &'static str, value: i64) {
        self.key(key);
        self.out.push(b'"');
        text::write_int(self.out, value);
        self.out.push(b'"');
    }
}
