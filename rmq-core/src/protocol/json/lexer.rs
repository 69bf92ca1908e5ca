//! Tokens of the lenient dialect.

use std::borrow::Cow;

use super::{JsonError, JsonErrorKind, MAX_DEPTH, MAX_NODES};

/// One token: a whole scalar, or the opening of an array or object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    /// A number without plus sign and type suffix; it starts with a digit or a minus sign.
    Number(&'a str),
    String(Cow<'a, str>),
    Array,
    Object,
}

/// A position in a text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    depth: usize,
    nodes: usize,
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self {
            text,
            at,
            depth: 0,
            nodes: 0,
        }
    }

    /// Reads `text`, which lay as a string inside this one.
    pub(super) fn nested<'b>(&self, text: &'b str) -> Lexer<'b> {
        Lexer {
            text,
            at: 0,
            depth: self.depth,
            nodes: self.nodes,
        }
    }

    /// Reads the same text from an earlier position.
    pub(super) fn seek(&self, at: usize) -> Lexer<'a> {
        Lexer { at, ..self.clone() }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn error<T>(&self, message: &str) -> Result<T, JsonError> {
        Err(JsonError::syntax(message, self.at))
    }

    /// Counts a value that is kept in a tree.
    pub(super) fn count_node(&mut self) -> Result<(), JsonError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values");
            return Err(JsonError::new(JsonErrorKind::Limit, message));
        }
        Ok(())
    }

    /// Called after the opening of an array or object.
    pub(super) fn enter(&mut self) -> Result<(), JsonError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} at byte {}", self.at);
            return Err(JsonError::new(JsonErrorKind::Limit, message));
        }
        Ok(())
    }

    /// Called after the end of an array or object.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Passes over white space and comments.
    fn skip_space(&mut self) -> Result<(), JsonError> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t' | 0x0c | 0x08) => self.at += 1,
                Some(b'/') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        let end = if rest.starts_with("//") {
            Some(rest.find('\n').map_or(rest.len(), |end| end + 1))
        } else {
            rest.strip_prefix("/*")
                .and_then(|rest| rest.find("*/"))
                .map(|end| end + 4)
        };
        match end {
            Some(end) => self.at += end,
            None => return self.error("a comment that does not end"),
        }
        Ok(())
    }

    /// The next byte that means something; it is not consumed.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, JsonError> {
        self.skip_space()?;
        Ok(self.byte())
    }

    /// Consumes `byte` if it is next.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, JsonError> {
        let found = self.peek()? == Some(byte);
        if found {
            self.at += 1;
        }
        Ok(found)
    }

    /// Whether the next value is `null`; if so it is consumed.
    pub(super) fn take_null(&mut self) -> Result<bool, JsonError> {
        self.skip_space()?;
        let rest = &self.text.as_bytes()[self.at..];
        for word in ["null", "undefined"] {
            let ends = !rest.get(word.len()).copied().is_some_and(is_identifier);
            if rest.starts_with(word.as_bytes()) && ends {
                self.at += word.len();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes to the next element: `false` at `end`, which is consumed. `first` is whether no element
    /// was read so far; else a comma must follow. Superfluous commas are passed over.
    pub(super) fn next_element(&mut self, first: bool, end: u8) -> Result<bool, JsonError> {
        let mut commas = 0;
        loop {
            match self.peek()? {
                Some(b',' | b';') => {
                    commas += 1;
                    self.at += 1;
                }
                Some(byte) if byte == end => {
                    self.at += 1;
                    return Ok(false);
                }
                None => return self.error("the text ends inside an array or object"),
                Some(_) if first || commas > 0 => return Ok(true),
                Some(_) => return self.error("expected a comma"),
            }
        }
    }

    /// Reads a token of a value.
    pub(super) fn token(&mut self) -> Result<Token<'a>, JsonError> {
        match self.peek()? {
            Some(b'{') => {
                self.at += 1;
                Ok(Token::Object)
            }
            Some(b'[') => {
                self.at += 1;
                Ok(Token::Array)
            }
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                Ok(Token::String(self.string(quote)?))
            }
            Some(b'0'..=b'9' | b'-' | b'+') => Ok(Token::Number(self.number()?)),
            Some(byte) if is_identifier(byte) => {
                let at = self.at;
                let token = match self.identifier() {
                    "null" | "undefined" | "NaN" => Token::Null,
                    "true" => Token::Bool(true),
                    "false" => Token::Bool(false),
                    // How fastjson writes sets when it writes class names.
                    "Set" | "TreeSet" if self.take(b'[')? => Token::Array,
                    _ => return self.seek(at).error("an unknown word"),
                };
                Ok(token)
            }
            Some(_) => self.error("expected a value"),
            None => self.error("expected a value and the text ends"),
        }
    }

    /// Reads a name of a member that is no object: a string, a bare word or a number.
    pub(super) fn name(&mut self) -> Result<Token<'a>, JsonError> {
        match self.peek()? {
            Some(b'"' | b'\'' | b'0'..=b'9' | b'-' | b'+') => self.token(),
            Some(byte) if is_identifier(byte) => {
                Ok(Token::String(Cow::Borrowed(self.identifier())))
            }
            _ => self.error("expected a name"),
        }
    }

    fn identifier(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let len = rest
            .bytes()
            .position(|b| !is_identifier(b))
            .unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let len = rest
            .iter()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(rest.len());
        self.at += len;
        len
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        if self.byte() == Some(b'+') {
            self.at += 1;
        }
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.digits() == 0 {
            return self.error("a number without digits");
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits();
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.error("an exponent without digits");
            }
        }
        let number = &self.text[start..self.at];
        // Java's suffixes of number types.
        if matches!(self.byte(), Some(b'L' | b'S' | b'B' | b'F' | b'D')) {
            self.at += 1;
        }
        if self.byte().is_some_and(is_identifier) {
            return self.error("a number runs into a word");
        }
        Ok(number)
    }

    /// Position of the quote that ends the string here, and whether a backslash comes before it.
    fn string_end(&self, quote: u8) -> Result<(usize, bool), JsonError> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let mut escaped = false;
        while let Some(&byte) = bytes.get(at) {
            if byte == quote {
                return Ok((at, escaped));
            }
            if byte == b'\\' {
                escaped = true;
                at += 1;
            }
            at += 1;
        }
        self.error("a string that does not end")
    }

    /// Reads a string after its opening quote.
    fn string(&mut self, quote: u8) -> Result<Cow<'a, str>, JsonError> {
        let (end, escaped) = self.string_end(quote)?;
        let raw = &self.text[self.at..end];
        if !escaped {
            self.at = end + 1;
            return Ok(Cow::Borrowed(raw));
        }
        let mut out = String::with_capacity(raw.len());
        while self.at < end {
            let rest = &self.text[self.at..end];
            let plain = rest.find('\\').unwrap_or(rest.len());
            out.push_str(&rest[..plain]);
            self.at += plain;
            if plain < rest.len() {
                self.at += 1;
                let unit = self.escape()?;
                self.push_unit(unit, &mut out)?;
            }
        }
        self.at = end + 1;
        Ok(Cow::Owned(out))
    }

    /// Reads what follows a backslash: one UTF-16 unit.
    fn escape(&mut self) -> Result<u16, JsonError> {
        let Some(byte) = self.byte() else {
            return self.error("a string that does not end");
        };
        let unit = match byte {
            b'"' | b'\'' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' | b'F' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'0'..=b'7' => byte - b'0',
            b'x' => return self.hex_escape(2),
            b'u' => return self.hex_escape(4),
            _ => return self.error("an unknown escape"),
        };
        self.at += 1;
        Ok(u16::from(unit))
    }

    fn hex_escape(&mut self, digits: usize) -> Result<u16, JsonError> {
        let hex = self.text.as_bytes().get(self.at + 1..self.at + 1 + digits);
        let value = hex.and_then(|hex| {
            hex.iter().try_fold(0u16, |value, &digit| {
                let digit = char::from(digit).to_digit(16)?;
                Some(value << 4 | digit as u16)
            })
        });
        match value {
            Some(value) => {
                self.at += 1 + digits;
                Ok(value)
            }
            None => self.error("an escape without its hexadecimal digits"),
        }
    }

    /// Appends `unit`; a high surrogate takes the low one that follows it. Half a pair becomes a
    /// replacement character.
    fn push_unit(&mut self, unit: u16, out: &mut String) -> Result<(), JsonError> {
        let mut units = [unit, 0];
        let mut len = 1;
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 1;
            let low = self.escape()?;
            if (0xdc00..0xe000).contains(&low) {
                units[1] = low;
                len = 2;
            } else {
                self.at = before;
            }
        }
        for decoded in char::decode_utf16(units[..len].iter().copied()) {
            out.push(decoded.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(())
    }

    /// Passes over a whole value.
    pub(super) fn skip_value(&mut self) -> Result<(), JsonError> {
        match self.token()? {
            Token::Array => {
                self.enter()?;
                let mut first = true;
                while self.next_element(first, b']')? {
                    self.skip_value()?;
                    first = false;
                }
                self.leave();
            }
            Token::Object => {
                self.enter()?;
                let mut first = true;
                while self.next_element(first, b'}')? {
                    self.skip_name()?;
                    self.skip_value()?;
                    first = false;
                }
                self.leave();
            }
            _ => {}
        }
        Ok(())
    }

    fn skip_name(&mut self) -> Result<(), JsonError> {
        if self.peek()? == Some(b'{') {
            self.skip_value()?;
        } else {
            self.name()?;
        }
        self.colon()
    }

    /// Consumes the colon after a name.
    pub(super) fn colon(&mut self) -> Result<(), JsonError> {
        if self.take(b':')? {
            Ok(())
        } else {
            self.error("expected a colon")
        }
    }

    /// Checks that nothing follows the value.
    pub(super) fn finish(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => self.error("something follows the value"),
        }
    }
}
