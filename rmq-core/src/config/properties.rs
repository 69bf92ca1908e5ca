//! Java `.properties` text: read with comments, order and line numbers kept, so that a file can be
//! changed key by key and written back as its owner wrote it.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::base::{Error, ErrorKind, Result};

const OP: &str = "read properties";

/// One logical line of a properties text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// A comment or an empty line, as written.
    Verbatim(String),
    /// A key with its value, and the text it came from while it is unchanged.
    Entry {
        line: usize,
        key: String,
        value: String,
        raw: Option<String>,
    },
}

/// Keys and values in file order; the last of two equal keys counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    origin: String,
    items: Vec<Item>,
    /// Key to the place of the entry that counts.
    places: HashMap<String, usize>,
}

impl Properties {
    /// No keys; `origin` is what messages call this set ("command line", a file name).
    #[must_use]
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            ..Self::default()
        }
    }

    /// Parses a file's content. Text that is not UTF-8 is taken as Latin-1, as Java takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a `\u` that four hex digits do not follow, naming the line.
    pub fn parse(origin: impl Into<String>, content: &[u8]) -> Result<Self> {
        let text = decode(content);
        let mut properties = Self::new(origin);
        let mut lines = NaturalLines {
            text: &text,
            line: 0,
        };
        while let Some((line, first)) = lines.next() {
            let body = first.trim_start_matches(is_blank);
            if body.is_empty() || body.starts_with(['#', '!']) {
                properties.items.push(Item::Verbatim(first.to_owned()));
                continue;
            }
            let mut raw = first.to_owned();
            let mut logical = body.to_owned();
            while ends_in_continuation(&logical) {
                logical.pop();
                let Some((_, next)) = lines.next() else { break };
                raw.push('\n');
                raw.push_str(next);
                logical.push_str(next.trim_start_matches(is_blank));
            }
            let (key, value) = split(&logical);
            let unescaped = unescape(key).and_then(|k| unescape(value).map(|v| (k, v)));
            let (key, value) = unescaped.map_err(|what| {
                let origin = &properties.origin;
                Error::new(ErrorKind::Invalid, OP, format!("{origin}:{line}: {what}"))
            })?;
            properties
                .places
                .insert(key.clone(), properties.items.len());
            properties.items.push(Item::Entry {
                line,
                key,
                value,
                raw: Some(raw),
            });
        }
        Ok(properties)
    }

    /// Parses the `key=value` lines of a config request's body: the same syntax.
    ///
    /// # Errors
    /// As [`Properties::parse`].
    pub fn parse_body(body: &[u8]) -> Result<Self> {
        Self::parse("request body", body)
    }

    /// What messages call this set.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The value that counts for `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        match self.items.get(*self.places.get(key)?)? {
            Item::Entry { value, .. } => Some(value),
            Item::Verbatim(_) => None,
        }
    }

    /// `origin:line` of the entry that counts for `key`, or the origin when it has no line.
    #[must_use]
    pub fn position(&self, key: &str) -> String {
        match self
            .places
            .get(key)
            .and_then(|place| self.items.get(*place))
        {
            Some(Item::Entry { line, .. }) if *line > 0 => format!("{}:{line}", self.origin),
            _ => self.origin.clone(),
        }
    }

    /// Whether `key` is present.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// The number of different keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The entries that count, in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.items
            .iter()
            .enumerate()
            .filter_map(|(place, item)| match item {
                Item::Entry { key, value, .. } if self.places.get(key) == Some(&place) => {
                    Some((key.as_str(), value.as_str()))
                }
                _ => None,
            })
    }

    /// Sets a key: in its place when it is there, else at the end. Other lines stay as they are.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        if let Some(&place) = self.places.get(&key)
            && let Some(Item::Entry {
                value: old, raw, ..
            }) = self.items.get_mut(place)
        {
            if *old != value {
                *old = value;
                *raw = None;
            }
            return;
        }
        self.places.insert(key.clone(), self.items.len());
        self.items.push(Item::Entry {
            line: 0,
            key,
            value,
            raw: None,
        });
    }

    /// The text of the file: unchanged lines as they were, changed ones as `key=value`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Verbatim(raw) | Item::Entry { raw: Some(raw), .. } => text.push_str(raw),
                Item::Entry {
                    key,
                    value,
                    raw: None,
                    ..
                } => {
                    escape(key, true, &mut text);
                    text.push('=');
                    escape(value, false, &mut text);
                }
            }
            text.push('\n');
        }
        text
    }

    /// The `key=value` lines of a config answer's body, sorted by key. Only what would not survive
    /// reading (backslash, line ends, outer blanks) is escaped.
    #[must_use]
    pub fn to_body(&self) -> String {
        let mut pairs: Vec<_> = self.iter().collect();
        pairs.sort_unstable();
        let mut text = String::new();
        for (key, value) in pairs {
            escape(key, true, &mut text);
            text.push('=');
            escape(value, false, &mut text);
            text.push('\n');
        }
        text
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Properties {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, pairs: T) {
        for (key, value) in pairs {
            self.set(key, value);
        }
    }
}

/// Lines ended by LF, CR or CRLF, with their numbers from 1.
struct NaturalLines<'a> {
    text: &'a str,
    line: usize,
}

impl<'a> Iterator for NaturalLines<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.text.is_empty() {
            return None;
        }
        self.line += 1;
        let Some(end) = self.text.find(['\n', '\r']) else {
            return Some((self.line, std::mem::take(&mut self.text)));
        };
        let line = &self.text[..end];
        let after = if self.text[end..].starts_with("\r\n") {
            end + 2
        } else {
            end + 1
        };
        self.text = &self.text[after..];
        Some((self.line, line))
    }
}

fn decode(content: &[u8]) -> String {
    let content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
    match std::str::from_utf8(content) {
        Ok(text) => text.to_owned(),
        Err(_) => content.iter().map(|&byte| char::from(byte)).collect(),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0C')
}

fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

/// Splits at the first `=`, `:` or blank that no backslash precedes.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if matches!(c, '=' | ':') || is_blank(c) {
            let rest = line[at..].trim_start_matches(is_blank);
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (&line[..at], rest.trim_start_matches(is_blank));
        }
    }
    (line, "")
}

/// Undoes the escapes of one key or value; the error says what is wrong.
fn unescape(text: &str) -> Result<String, String> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    // Escapes above U+FFFF come as two surrogates, so the units are collected before decoding.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let mut buffer = [0u16; 2];
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut buffer));
            continue;
        }
        let plain = match chars.next() {
            None => break,
            Some('t') => '\t',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\x0C',
            Some('u') => {
                let rest = chars.as_str();
                let digits = rest
                    .get(..4)
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let unit = digits.and_then(|d| u16::from_str_radix(d, 16).ok());
                units.push(unit.ok_or("\\u wants four hex digits after it")?);
                chars = rest[4..].chars();
                continue;
            }
            Some(other) => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
    Ok(String::from_utf16_lossy(&units))
}

fn escape(text: &str, is_key: bool, out: &mut String) {
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0C' => out.push_str("\\f"),
            ' ' if is_key || at == 0 => out.push_str("\\ "),
            '=' | ':' if is_key => {
                out.push('\\');
                out.push(c);
            }
            '#' | '!' if is_key && at == 0 => {
                out.push('\\');
                out.push(c);
            }
            // A byte order mark at the start of a file would be taken for one.
            c if c.is_control() || c == '\u{FEFF}' => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Properties {
        Properties::parse("t", text.as_bytes()).unwrap()
    }

    #[test]
    fn separators_comments_and_line_ends() {
        let text = "# c\n! d\r\n a = 1\r b:2\n\tc  3\nd\ne=\n\n f == x = y \n";
        let p = read(text);
        let pairs: Vec<_> = p.iter().collect();
        assert_eq!(
            pairs,
            [
                ("a", "1"),
                ("b", "2"),
                ("c", "3"),
                ("d", ""),
                ("e", ""),
                ("f", "= x = y ")
            ]
        );
        assert_eq!(p.position("a"), "t:3");
        assert_eq!(p.position("f"), "t:9");
        assert_eq!(p.position("none"), "t");
    }

    #[test]
    fn continuation_and_escapes() {
        let p = read(
            "list = a,\\\n   b,\\\r\n\tc\npath=C:\\\\x\\ty\nk\\ 1\\=\\:=v\n\
             u=\\u00e9\\uD83D\\uDE00\n",
        );
        assert_eq!(p.get("list"), Some("a,b,c"));
        assert_eq!(p.get("path"), Some("C:\\x\ty"));
        assert_eq!(p.get("k 1=:"), Some("v"));
        assert_eq!(p.get("u"), Some("\u{e9}\u{1F600}"));
        assert_eq!(p.position("path"), "t:4");
        assert_eq!(read("a=1\\\\\nb=2").get("a"), Some("1\\"));
        assert_eq!(read("a=1\\").get("a"), Some("1"));
        // A comment sign after a continued line is part of the value.
        assert_eq!(read("a=1\\\n#2").get("a"), Some("1#2"));
    }

    #[test]
    fn duplicates_the_last_wins() {
        let mut p = read("a=1\nb=2\na=3\n");
        assert_eq!(p.get("a"), Some("3"));
        assert_eq!(p.len(), 2);
        assert_eq!(p.iter().collect::<Vec<_>>(), [("b", "2"), ("a", "3")]);
        p.set("a", "4");
        assert_eq!(p.to_text(), "a=1\nb=2\na=4\n");
        assert_eq!(read(&p.to_text()).get("a"), Some("4"));
    }

    #[test]
    fn text_that_is_not_utf8_and_marks() {
        let p = Properties::parse("t", b"\xEF\xBB\xBFa=\xE4\n").unwrap();
        assert_eq!(p.get("a"), Some("\u{e4}"));
        let p = Properties::parse("t", "a=\u{4f60}".as_bytes()).unwrap();
        assert_eq!(p.get("a"), Some("\u{4f60}"));
    }

    #[test]
    fn a_bad_unicode_escape_names_its_line() {
        let e = Properties::parse("broker.conf", b"a=1\n\nb=\\u12x4").unwrap_err();
        assert!(
            e.to_string().contains("broker.conf:3: \\u wants four hex"),
            "{e}"
        );
        assert!(Properties::parse_body("b=\\u12\u{20ac}".as_bytes()).is_err());
    }

    #[test]
    fn a_change_keeps_every_other_line() {
        let text = "# head\n\nbrokerName : a\n  # note\nnamesrvAddr=x;\\\n   y\nz=1\n";
        let mut p = read(text);
        assert_eq!(p.to_text(), text);
        p.set("brokerName", "b b");
        p.set("new", " lead");
        p.set("z", "1");
        let expected =
            "# head\n\nbrokerName=b b\n  # note\nnamesrvAddr=x;\\\n   y\nz=1\nnew=\\ lead\n";
        assert_eq!(p.to_text(), expected);
        assert_eq!(read(&p.to_text()).get("new"), Some(" lead"));
    }

    #[test]
    fn bodies_are_sorted_and_keep_blanks_inside() {
        let mut p = Properties::new("t");
        p.extend([("messageDelayLevel", "1s 5s"), ("a", "x\\y")]);
        assert_eq!(p.to_body(), "a=x\\\\y\nmessageDelayLevel=1s 5s\n");
        assert_eq!(
            Properties::parse_body(p.to_body().as_bytes())
                .unwrap()
                .get("a"),
            Some("x\\y")
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            pairs in proptest::collection::vec((".{1,12}", ".{0,20}"), 0..8),
        ) {
            let mut p = Properties::new("t");
            p.extend(pairs);
            for text in [p.to_text(), p.to_body()] {
                let again = read(&text);
                for (key, value) in p.iter() {
                    prop_assert_eq!(again.get(key), Some(value));
                }
                prop_assert_eq!(again.len(), p.len());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(p) = Properties::parse("t", &bytes) {
                prop_assert!(p.iter().count() == p.len());
            }
        }
    }
}
