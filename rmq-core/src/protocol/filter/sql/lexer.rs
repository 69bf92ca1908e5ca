//! The words of an expression, cut as Apache's lexer cuts them: the longest match counts, a quote
//! that never ends and a character that begins nothing are errors, but only once they are reached.

use super::ParseError;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    And,
    Between,
    Contains,
    EndsWith,
    False,
    In,
    Is,
    Not,
    Null,
    Or,
    StartsWith,
    True,
    /// A name of a property.
    Name,
    /// Digits, perhaps with an `L` behind them.
    Integer,
    /// A number with a point or an exponent.
    Float,
    /// A string with its quotes.
    Text,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Open,
    Comma,
    Close,
    Plus,
    Minus,
    /// Behind the last word.
    End,
}

const KEYWORDS: [(&str, Kind); 12] = [
    ("AND", Kind::And),
    ("BETWEEN", Kind::Between),
    ("CONTAINS", Kind::Contains),
    ("ENDSWITH", Kind::EndsWith),
    ("FALSE", Kind::False),
    ("IN", Kind::In),
    ("IS", Kind::Is),
    ("NOT", Kind::Not),
    ("NULL", Kind::Null),
    ("OR", Kind::Or),
    ("STARTSWITH", Kind::StartsWith),
    ("TRUE", Kind::True),
];

/// A word and where it lies, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Cuts one word after the other.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$'
}

/// The length of the run of bytes at `at` that `holds`.
fn run(bytes: &[u8], at: usize, holds: fn(u8) -> bool) -> usize {
    bytes[at..].iter().take_while(|byte| holds(**byte)).count()
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Result<Token, ParseError> {
        let bytes = self.text.as_bytes();
        self.skip_space();
        let start = self.at;
        let Some(&first) = bytes.get(start) else {
            let kind = Kind::End;
            return Ok(Token {
                kind,
                start,
                end: start,
            });
        };
        let (kind, len) = match first {
            b'\'' => (Kind::Text, self.text_len(start)?),
            b'.' | b'0'..=b'9' => self.number(start)?,
            byte if begins_name(byte) => {
                let len = run(bytes, start, |byte| begins_name(byte) || is_digit(byte));
                (keyword(&self.text[start..start + len]), len)
            }
            _ => self.sign(start)?,
        };
        self.at = start + len;
        Ok(Token {
            kind,
            start,
            end: self.at,
        })
    }

    /// Skips spaces and comments.
    fn skip_space(&mut self) {
        let bytes = self.text.as_bytes();
        loop {
            let rest = &bytes[self.at..];
            match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0c, ..] => self.at += 1,
                [b'-', b'-', comment @ ..] => {
                    // A comment that no line end closes is two minus signs and what follows.
                    let Some(len) = comment.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
                        return;
                    };
                    self.at += 2 + len + 1;
                }
                [b'/', b'*', ..] => {
                    let Some(len) = self.text[self.at + 2..].find("*/") else {
                        return;
                    };
                    self.at += 2 + len + 2;
                }
                _ => return,
            }
        }
    }

    /// The length of the string that begins at `start`. Of `'a''`, which never ends, the part up to
    /// the last quote but one is a string.
    fn text_len(&self, start: usize) -> Result<usize, ParseError> {
        let bytes = self.text.as_bytes();
        let mut end = None;
        let mut at = start + 1;
        while let Some(quote) = bytes[at..].iter().position(|byte| *byte == b'\'') {
            at += quote + 1;
            end = Some(at);
            if bytes.get(at) != Some(&b'\'') {
                break;
            }
            at += 1;
        }
        match end {
            Some(end) => Ok(end - start),
            None => Err(self.error(start, "a string has no closing quote")),
        }
    }

    fn number(&self, start: usize) -> Result<(Kind, usize), ParseError> {
        let bytes = self.text.as_bytes();
        let digits = run(bytes, start, is_digit);
        let mut len = digits;
        let mut float = false;
        if bytes.get(start + len) == Some(&b'.') {
            let fraction = run(bytes, start + len + 1, is_digit);
            if digits == 0 && fraction == 0 {
                return Err(self.error(start, "a point without digits is no number"));
            }
            len += 1 + fraction;
            float = true;
        }
        if let Some(exponent) = exponent_len(&bytes[start + len..]) {
            len += exponent;
            float = true;
        }
        if float {
            return Ok((Kind::Float, len));
        }
        // A zero ends a number: what follows it is a word of its own.
        if bytes[start] == b'0' {
            return Ok((Kind::Integer, 1));
        }
        let suffix = usize::from(matches!(bytes.get(start + len), Some(b'l' | b'L')));
        Ok((Kind::Integer, len + suffix))
    }

    fn sign(&self, start: usize) -> Result<(Kind, usize), ParseError> {
        let bytes = &self.text.as_bytes()[start..];
        Ok(match bytes {
            [b'=', ..] => (Kind::Equal, 1),
            [b'<', b'>', ..] => (Kind::NotEqual, 2),
            [b'<', b'=', ..] => (Kind::LessOrEqual, 2),
            [b'<', ..] => (Kind::Less, 1),
            [b'>', b'=', ..] => (Kind::GreaterOrEqual, 2),
            [b'>', ..] => (Kind::Greater, 1),
            [b'(', ..] => (Kind::Open, 1),
            [b',', ..] => (Kind::Comma, 1),
            [b')', ..] => (Kind::Close, 1),
            [b'+', ..] => (Kind::Plus, 1),
            [b'-', ..] => (Kind::Minus, 1),
            [b'/', b'*', ..] => return Err(self.error(start, "a comment has no end")),
            _ => {
                let found = self.text[start..].chars().next().unwrap_or_default();
                let problem = format!("the character {found:?} means nothing here");
                return Err(self.error(start, problem));
            }
        })
    }

    /// An error at a byte of the text.
    pub(super) fn error(&self, at: usize, problem: impl Into<String>) -> ParseError {
        ParseError {
            position: self.text[..at].chars().count() + 1,
            problem: problem.into(),
        }
    }

    /// The bytes of a word.
    pub(super) fn slice(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }
}

fn keyword(word: &str) -> Kind {
    KEYWORDS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map_or(Kind::Name, |(_, kind)| *kind)
}

/// The length of an exponent that `bytes` begin with.
fn exponent_len(bytes: &[u8]) -> Option<usize> {
    let mut len = 1;
    if !matches!(bytes.first()?, b'e' | b'E') {
        return None;
    }
    if matches!(bytes.get(len), Some(b'+' | b'-')) {
        len += 1;
    }
    let digits = run(bytes, len.min(bytes.len()), is_digit);
    (digits > 0).then_some(len + digits)
}
