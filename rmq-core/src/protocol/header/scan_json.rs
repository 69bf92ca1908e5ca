//! Scans a JSON header that is written as the official clients write it: no spaces, double quotes,
//! known members once each, no value of an unexpected kind. Everything else gives `None`.

use super::scan::{Slots, Span, parse_int, set};
use super::{Head, text};
use crate::protocol::ext::EXT_FIELDS_MAX;
use crate::protocol::language::Language;

/// The head of a JSON header; its fields are passed over without being validated.
pub(super) fn head(header: &[u8]) -> Option<Head> {
    struct PassOver;
    impl Slots<0> for PassOver {
        fn slot(_: i32, _: &[u8]) -> Option<usize> {
            None
        }
    }
    let text = std::str::from_utf8(header).ok()?;
    scan::<0, PassOver>(text, &mut [])
}

/// The code of a JSON header that starts with it.
pub(super) fn leading_code(header: &[u8]) -> Option<i32> {
    let digits = header.strip_prefix(b"{\"code\":")?;
    let len = digits.iter().position(|byte| *byte == b',')?;
    i32::try_from(parse_int(&digits[..len])?).ok()
}

/// Members of the object that came already, a bit each.
mod seen {
    pub(super) const CODE: u8 = 1;
    pub(super) const EXT_FIELDS: u8 = 1 << 1;
    pub(super) const FLAG: u8 = 1 << 2;
    pub(super) const LANGUAGE: u8 = 1 << 3;
    pub(super) const OPAQUE: u8 = 1 << 4;
    pub(super) const VERSION: u8 = 1 << 5;
    pub(super) const REMARK: u8 = 1 << 6;
    pub(super) const SERIALIZE: u8 = 1 << 7;
}

/// Scans a header: its head is returned, its fields are put into their slots.
pub(super) fn scan<const N: usize, S: Slots<N>>(text: &str, spans: &mut [Span; N]) -> Option<Head> {
    let mut cursor = Cursor {
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut head = Head::EMPTY;
    let mut seen = 0_u8;
    cursor.expect(b'{')?;
    loop {
        let bit = cursor.member::<N, S>(seen, &mut head, spans)?;
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        match cursor.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let rest = cursor.bytes[cursor.at..]
        .iter()
        .all(u8::is_ascii_whitespace);
    (rest && seen & seen::CODE != 0).then_some(head)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

// Always inlined: the cursor then stays in registers, which is worth a tenth of the time.
impl<'a> Cursor<'a> {
    /// Takes a member of the header's object and returns its bit.
    #[inline(always)]
    fn member<const N: usize, S: Slots<N>>(
        &mut self,
        seen: u8,
        head: &mut Head,
        spans: &mut [Span; N],
    ) -> Option<u8> {
        // The members' first letters differ.
        let bit = match self.bytes.get(self.at + 1)? {
            b'c' => {
                self.literal(b"\"code\":")?;
                head.code = self.int()?;
                seen::CODE
            }
            b'e' => {
                self.literal(b"\"extFields\":")?;
                // Which fields matter depends on the code.
                if seen & seen::CODE == 0 && N > 0 {
                    return None;
                }
                self.ext::<N, S>(head.code, spans)?;
                seen::EXT_FIELDS
            }
            b'f' => {
                self.literal(b"\"flag\":")?;
                head.flag = self.int()?;
                seen::FLAG
            }
            b'l' => {
                self.literal(b"\"language\":")?;
                head.language = self.language()?;
                seen::LANGUAGE
            }
            b'o' => {
                self.literal(b"\"opaque\":")?;
                head.opaque = self.int()?;
                seen::OPAQUE
            }
            b'r' => {
                self.literal(b"\"remark\":")?;
                self.plain_string()?;
                seen::REMARK
            }
            b's' => {
                self.literal(b"\"serializeTypeCurrentRPC\":")?;
                self.plain_string()?;
                seen::SERIALIZE
            }
            b'v' => {
                self.literal(b"\"version\":")?;
                head.version = self.int()?;
                seen::VERSION
            }
            _ => return None,
        };
        Some(bit)
    }

    /// Takes the next byte.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Takes exactly these bytes.
    #[inline(always)]
    fn literal<const LEN: usize>(&mut self, literal: &[u8; LEN]) -> Option<()> {
        let next: &[u8; LEN] = self.bytes.get(self.at..)?.first_chunk()?;
        self.at += LEN;
        (next == literal).then_some(())
    }

    /// Takes a key of a field, and its colon.
    #[inline(always)]
    fn key(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        if let [b'"', letter @ (b'a'..=b'z'), b'"', b':', ..] = rest {
            self.at += 4;
            return Some(std::slice::from_ref(letter));
        }
        let key = self.plain_string()?;
        self.expect(b':')?;
        Some(&self.bytes[key.range()])
    }

    /// Takes a string without escapes.
    #[inline(always)]
    fn plain_string(&mut self) -> Option<Span> {
        let span = self.string()?;
        (!span.escaped).then_some(span)
    }

    /// Takes a string in double quotes.
    #[inline(always)]
    fn string(&mut self) -> Option<Span> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = text::find::<b'"', b'\\'>(self.bytes, self.at)?;
            if self.bytes[self.at] == b'"' {
                let span = Span::new(start, self.at, escaped);
                self.at += 1;
                return Some(span);
            }
            escaped = true;
            // What is escaped is never the closing quote.
            self.at += 2;
        }
    }

    /// Takes a plain decimal number of 32 bits.
    #[inline(always)]
    fn int(&mut self) -> Option<i32> {
        let start = self.at;
        while self
            .bytes
            .get(self.at)
            .is_some_and(|byte| matches!(byte, b'-' | b'0'..=b'9'))
        {
            self.at += 1;
        }
        i32::try_from(parse_int(&self.bytes[start..self.at])?).ok()
    }

    #[inline(always)]
    fn language(&mut self) -> Option<Language> {
        let span = self.plain_string()?;
        Some(match &self.bytes[span.range()] {
            b"JAVA" => Language::JAVA,
            b"GO" => Language::GO,
            b"CPP" => Language::CPP,
            name => Language::from_name(std::str::from_utf8(name).ok()?),
        })
    }

    /// Takes the object of fields, or null.
    #[inline(always)]
    fn ext<const N: usize, S: Slots<N>>(&mut self, code: i32, spans: &mut [Span; N]) -> Option<()> {
        match self.next()? {
            b'{' => {}
            b'n' => return self.literal(b"ull"),
            _ => return None,
        }
        if self.bytes.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Some(());
        }
        let mut count = 0;
        loop {
            let key = self.key()?;
            let value = self.string()?;
            match S::slot(code, key) {
                Some(slot) => set(&mut spans[slot], value)?,
                // A wrong escape fails the general path; nobody looks at this one here.
                None if N > 0 && value.escaped => return None,
                None => {}
            }
            count += 1;
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        (count <= EXT_FIELDS_MAX).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_needs_no_order() {
        let header = br#"{"opaque":7,"extFields":{"i":"\u0001","x":"{"},"code":310}"#;
        let found = head(header).unwrap();
        assert_eq!(
            (found.code, found.opaque, found.language),
            (310, 7, Language::JAVA)
        );
        assert_eq!(head(b"{\"code\":34,\"extFields\":null}").unwrap().code, 34);
        assert_eq!(head(b"{\"code\":34,\"extFields\":{}}").unwrap().code, 34);
        assert_eq!(head(b"{\"code\":34,\"extFields\":nil}"), None);
        assert_eq!(head(b"{\"opaque\":7}"), None);
        assert_eq!(head(b"{\"code\":7}\n").unwrap().code, 7);
        assert_eq!(head(b"{\"code\":7}x"), None);
        assert_eq!(head(b"{\"code\": 7}"), None);
        assert_eq!(head(b"{\"code\":7,\"code\":8}"), None);
        assert_eq!(head(b"{\"code\":7,\"x\":8}"), None);
        assert_eq!(leading_code(b"{\"code\":310,"), Some(310));
        assert_eq!(leading_code(b"{\"code\":\"310\","), None);
    }
}
