//! Finds the fields of a known request in the bytes of its header: no map, no tree, no allocation.
//!
//! Everything unusual gives `None`, and the general path decides. Whatever is found equals what the
//! general path finds.

use super::{Head, binary, text};
use crate::protocol::ext::EXT_FIELDS_MAX;
use crate::protocol::frame::{FrameRef, Serialize};
use crate::protocol::language::Language;

/// Buffers that decoding reuses from one request to the next; one per thread is enough.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Strings without their JSON escapes.
    text: String,
}

/// Memory that a scratch keeps between requests.
const SCRATCH_KEPT_LEN: usize = 64 * 1024;

impl Scratch {
    /// An empty scratch; allocates nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: String::new(),
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.text.shrink_to(SCRATCH_KEPT_LEN);
    }
}

/// Where a value stands in the header; no value stands at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    escaped: bool,
}

impl Span {
    const ABSENT: Self = Self {
        start: 0,
        end: 0,
        escaped: false,
    };

    fn is_absent(self) -> bool {
        self.start == 0
    }
}

/// Which slot a field goes to: a function of the request code and the field's name.
pub(crate) trait Slots<const N: usize> {
    /// The slot, `None` for a field that does not matter.
    fn slot(code: i32, key: &[u8]) -> Option<usize>;
}

/// The fields of a request, each in its slot.
pub(crate) struct Fields<'a, const N: usize> {
    header: Source<'a>,
    scratch: &'a str,
    spans: [Span; N],
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Json(&'a str),
    Binary(&'a [u8]),
}

impl<'a, const N: usize> Fields<'a, N> {
    /// Scans a header; strings with escapes are resolved into `scratch`.
    pub(crate) fn scan<S: Slots<N>>(
        frame: FrameRef<'a>,
        scratch: &'a mut Scratch,
    ) -> Option<(Head, Self)> {
        let mut spans = [Span::ABSENT; N];
        let (head, header) = match frame.serialize {
            Serialize::Json => {
                let text = std::str::from_utf8(frame.header).ok()?;
                let head = scan_json::<N, S>(text, &mut spans)?;
                (head, Source::Json(text))
            }
            Serialize::Rocketmq => {
                let head = scan_binary::<N, S>(frame.header, &mut spans)?;
                (head, Source::Binary(frame.header))
            }
        };
        scratch.clear();
        if let Source::Json(text) = header {
            for span in spans.iter_mut().filter(|span| span.escaped) {
                let start = scratch.text.len();
                if !text::unescape(&text[span.start..span.end], &mut scratch.text) {
                    return None;
                }
                (span.start, span.end) = (start, scratch.text.len());
            }
        }
        Some((
            head,
            Self {
                header,
                scratch: &scratch.text,
                spans,
            },
        ))
    }

    /// The string in a slot; outer `None` when it cannot be shown, inner when it is absent.
    #[expect(clippy::option_option, reason = "absent is a value, unusual is not")]
    pub(crate) fn text_opt(&self, slot: usize) -> Option<Option<&'a str>> {
        let span = self.spans[slot];
        if span.escaped {
            return Some(Some(&self.scratch[span.start..span.end]));
        }
        if span.is_absent() {
            return Some(None);
        }
        match self.header {
            Source::Json(text) => Some(Some(&text[span.start..span.end])),
            Source::Binary(bytes) => std::str::from_utf8(&bytes[span.start..span.end])
                .ok()
                .map(Some),
        }
    }

    /// The string in a slot.
    pub(crate) fn text(&self, slot: usize) -> Option<&'a str> {
        self.text_opt(slot)?
    }

    /// The number in a slot: digits with an optional minus.
    pub(crate) fn int64(&self, slot: usize) -> Option<i64> {
        parse_int(self.raw(slot)?)
    }

    /// As `int64`, in 32 bits.
    pub(crate) fn int32(&self, slot: usize) -> Option<i32> {
        i32::try_from(self.int64(slot)?).ok()
    }

    /// As `int32`; inner `None` when the field is absent.
    #[expect(clippy::option_option, reason = "absent is a value, unusual is not")]
    pub(crate) fn int32_opt(&self, slot: usize) -> Option<Option<i32>> {
        if self.spans[slot].is_absent() && !self.spans[slot].escaped {
            return Some(None);
        }
        self.int32(slot).map(Some)
    }

    /// The boolean in a slot, `false` when it is absent.
    pub(crate) fn flag(&self, slot: usize) -> Option<bool> {
        if self.spans[slot].is_absent() && !self.spans[slot].escaped {
            return Some(false);
        }
        Some(self.raw(slot)?.eq_ignore_ascii_case(b"true"))
    }

    /// The bytes of a slot that is there and has no escapes.
    fn raw(&self, slot: usize) -> Option<&'a [u8]> {
        let span = self.spans[slot];
        if span.escaped || span.is_absent() {
            return None;
        }
        let bytes = match self.header {
            Source::Json(text) => text.as_bytes(),
            Source::Binary(bytes) => bytes,
        };
        Some(&bytes[span.start..span.end])
    }
}

/// A decimal number of at most 18 digits with an optional minus; more is for the general path.
fn parse_int(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

fn scan_binary<const N: usize, S: Slots<N>>(header: &[u8], spans: &mut [Span; N]) -> Option<Head> {
    let head = binary::head(header)?;
    let mut at = 13;
    let remark_len = read_len(header, &mut at)?;
    at = at
        .checked_add(remark_len)
        .filter(|at| *at <= header.len())?;
    let ext_len = read_len(header, &mut at)?;
    if header.len() - at != ext_len {
        return None;
    }
    let mut count = 0;
    while at < header.len() {
        let key_len = usize::try_from(i16::from_be_bytes(*header[at..].first_chunk()?)).ok()?;
        at += 2;
        let key = header.get(at..at + key_len)?;
        at += key_len;
        let len = read_len(header, &mut at)?;
        let end = at.checked_add(len).filter(|end| *end <= header.len())?;
        // Empty stands for null, and null is as good as absent.
        if len != 0 && key_len != 0 {
            count += 1;
            if let Some(slot) = S::slot(head.code, key) {
                set(
                    &mut spans[slot],
                    Span {
                        start: at,
                        end,
                        escaped: false,
                    },
                )?;
            }
        }
        at = end;
    }
    (count <= EXT_FIELDS_MAX).then_some(head)
}

fn read_len(header: &[u8], at: &mut usize) -> Option<usize> {
    let len = i32::from_be_bytes(*header.get(*at..)?.first_chunk()?);
    *at += 4;
    usize::try_from(len).ok()
}

/// Fills a slot once; a field that comes twice is for the general path.
fn set(slot: &mut Span, span: Span) -> Option<()> {
    if *slot != Span::ABSENT {
        return None;
    }
    *slot = span;
    Some(())
}

/// The head of a JSON header; its fields are passed over without being validated.
pub(crate) fn json_head(header: &[u8]) -> Option<Head> {
    struct PassOver;
    impl Slots<0> for PassOver {
        fn slot(_: i32, _: &[u8]) -> Option<usize> {
            None
        }
    }
    let text = std::str::from_utf8(header).ok()?;
    scan_json::<0, PassOver>(text, &mut [])
}

/// The code of a JSON header that starts with it.
pub(crate) fn json_leading_code(header: &[u8]) -> Option<i32> {
    let digits = header.strip_prefix(b"{\"code\":")?;
    let len = digits.iter().position(|byte| *byte == b',')?;
    i32::try_from(parse_int(&digits[..len])?).ok()
}

fn scan_json<const N: usize, S: Slots<N>>(text: &str, spans: &mut [Span; N]) -> Option<Head> {
    let mut cursor = Cursor {
        bytes: text.as_bytes(),
        at: 0,
    };
    let mut head = Head::EMPTY;
    let mut seen = 0_u8;
    if cursor.token()? != b'{' {
        return None;
    }
    loop {
        let key = cursor.key()?;
        let bit = match &cursor.bytes[key.start..key.end] {
            b"code" => {
                head.code = cursor.int()?;
                CODE
            }
            b"extFields" => {
                // Which fields matter depends on the code.
                if seen & CODE == 0 && N > 0 {
                    return None;
                }
                cursor.ext::<N, S>(head.code, spans)?;
                1 << 1
            }
            b"flag" => {
                head.flag = cursor.int()?;
                1 << 2
            }
            b"language" => {
                head.language = cursor.language()?;
                1 << 3
            }
            b"opaque" => {
                head.opaque = cursor.int()?;
                1 << 4
            }
            b"version" => {
                head.version = cursor.int()?;
                1 << 5
            }
            b"remark" => {
                cursor.plain_string()?;
                1 << 6
            }
            b"serializeTypeCurrentRPC" => {
                cursor.plain_string()?;
                1 << 7
            }
            _ => return None,
        };
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        match cursor.token()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let rest = cursor.bytes[cursor.at..].iter().all(|byte| is_space(*byte));
    (rest && seen & CODE != 0).then_some(head)
}

const CODE: u8 = 1;

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Takes the next byte that is no space.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !is_space(byte) {
                return Some(byte);
            }
        }
    }

    /// Takes a key without escapes, and its colon.
    #[inline]
    fn key(&mut self) -> Option<Span> {
        let key = self.plain_string()?;
        (self.token()? == b':').then_some(key)
    }

    /// Takes a string without escapes.
    #[inline]
    fn plain_string(&mut self) -> Option<Span> {
        let span = self.string()?;
        (!span.escaped).then_some(span)
    }

    /// Takes a string in double quotes.
    #[inline]
    fn string(&mut self) -> Option<Span> {
        if self.token()? != b'"' {
            return None;
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = find_quote_or_backslash(self.bytes, self.at)?;
            if self.bytes[self.at] == b'"' {
                let span = Span {
                    start,
                    end: self.at,
                    escaped,
                };
                self.at += 1;
                return Some(span);
            }
            escaped = true;
            // What is escaped is never the closing quote.
            self.at += 2;
        }
    }

    /// Takes a plain decimal number of 32 bits.
    #[inline]
    fn int(&mut self) -> Option<i32> {
        let first = self.token()?;
        let start = self.at - 1;
        if first != b'-' && !first.is_ascii_digit() {
            return None;
        }
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        i32::try_from(parse_int(&self.bytes[start..self.at])?).ok()
    }

    #[inline]
    fn language(&mut self) -> Option<Language> {
        let span = self.plain_string()?;
        Some(match &self.bytes[span.start..span.end] {
            b"JAVA" => Language::JAVA,
            b"GO" => Language::GO,
            b"CPP" => Language::CPP,
            name => Language::from_name(std::str::from_utf8(name).ok()?),
        })
    }

    fn rest_of_word(&mut self, rest: &[u8]) -> Option<()> {
        let there = self.bytes.get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        there.then_some(())
    }

    /// Takes the object of fields, or null.
    #[inline]
    fn ext<const N: usize, S: Slots<N>>(&mut self, code: i32, spans: &mut [Span; N]) -> Option<()> {
        match self.token()? {
            b'{' => {}
            b'n' => return self.rest_of_word(b"ull"),
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
            match S::slot(code, &self.bytes[key.start..key.end]) {
                Some(slot) => set(&mut spans[slot], value)?,
                // A wrong escape fails the general path; nobody looks at this one here.
                None if N > 0 && value.escaped => return None,
                None => {}
            }
            count += 1;
            match self.token()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        (count <= EXT_FIELDS_MAX).then_some(())
    }
}

/// The position of the next `"` or `\` at or after `at`, eight bytes at a time.
#[inline]
fn find_quote_or_backslash(bytes: &[u8], mut at: usize) -> Option<usize> {
    const QUOTES: u64 = u64::from_be_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_be_bytes([b'\\'; 8]);
    while let Some(chunk) = bytes.get(at..)?.first_chunk() {
        let word = u64::from_be_bytes(*chunk);
        let found = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
        if found != 0 {
            return Some(at + found.leading_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = &bytes[at..];
    rest.iter()
        .position(|byte| matches!(byte, b'"' | b'\\'))
        .map(|found| at + found)
}

/// The high bit of each byte that is zero, exactly: no carry leaves a byte.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    const LOW_BITS: u64 = u64::from_be_bytes([0x7F; 8]);
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_quote_or_backslash_at_every_distance() {
        for len in 0..40 {
            for end in [b'"', b'\\'] {
                let mut bytes = vec![0xFF; len];
                bytes.extend_from_slice(&[end, b'"', b'\\', 0x5D, 0x23, 0, 0, 0, 0, 0]);
                assert_eq!(find_quote_or_backslash(&bytes, 0), Some(len));
                assert_eq!(find_quote_or_backslash(&bytes[..len], 0), None);
            }
        }
        assert_eq!(find_quote_or_backslash(b"ab", 3), None);
    }

    #[test]
    fn numbers() {
        assert_eq!(parse_int(b"-0"), Some(0));
        assert_eq!(parse_int(b"007"), Some(7));
        assert_eq!(
            parse_int(b"-999999999999999999"),
            Some(-999_999_999_999_999_999)
        );
        for bad in [
            &b""[..],
            b"-",
            b"+1",
            b" 1",
            b"1.0",
            b"9999999999999999999",
            b"/",
            b":",
        ] {
            assert_eq!(parse_int(bad), None);
        }
    }

    #[test]
    fn the_head_needs_no_order() {
        let header = br#" {"opaque":7 , "extFields":{"i":"\u0001","x":"{"},"code":310} "#;
        let head = json_head(header).unwrap();
        assert_eq!(
            (head.code, head.opaque, head.language),
            (310, 7, Language::JAVA)
        );
        assert_eq!(
            json_head(b"{\"code\":34,\"extFields\":null}").unwrap().code,
            34
        );
        assert_eq!(
            json_head(b"{\"code\":34,\"extFields\":{}}").unwrap().code,
            34
        );
        assert_eq!(json_head(b"{\"code\":34,\"extFields\":nil}"), None);
        assert_eq!(json_head(b"{\"opaque\":7}"), None);
        assert_eq!(json_head(b"{\"code\":7}x"), None);
        assert_eq!(json_head(b"{\"code\":7,\"code\":8}"), None);
        assert_eq!(json_head(b"{\"code\":7,\"x\":8}"), None);
        assert_eq!(json_leading_code(b"{\"code\":310,"), Some(310));
        assert_eq!(json_leading_code(b"{\"code\":\"310\","), None);
    }
}
