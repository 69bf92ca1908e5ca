//! Finds the fields of a known request in the bytes of its header: no map, no tree, no allocation.
//!
//! Everything unusual gives `None`, and the general path decides. Whatever is found equals what the
//! general path finds.

use std::ops::Range;

use super::{Head, binary, scan_json, text};
use crate::protocol::ext::EXT_FIELDS_MAX;
use crate::protocol::frame::{FrameRef, HEADER_LEN_MAX, Serialize};

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

/// Where a value stands in the header. Both forms start with something else, so no value stands at
/// zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
    pub(super) escaped: bool,
}

impl Span {
    const ABSENT: Self = Self::new(0, 0, false);

    /// A span of a header, or of its scratch, of at most `HEADER_LEN_MAX` bytes.
    #[inline]
    pub(super) const fn new(start: usize, end: usize, escaped: bool) -> Self {
        Self {
            start: start as u32,
            end: end as u32,
            escaped,
        }
    }

    #[inline]
    pub(super) const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    const fn is_absent(self) -> bool {
        self.start == 0 && !self.escaped
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
        if frame.header.len() > HEADER_LEN_MAX {
            return None;
        }
        let mut spans = [Span::ABSENT; N];
        let (head, header) = match frame.serialize {
            Serialize::Json => {
                let text = std::str::from_utf8(frame.header).ok()?;
                let head = scan_json::scan::<N, S>(text, &mut spans)?;
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
                if !text::unescape(&text[span.range()], &mut scratch.text) {
                    return None;
                }
                *span = Span::new(start, scratch.text.len(), true);
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
            return Some(Some(&self.scratch[span.range()]));
        }
        if span.is_absent() {
            return Some(None);
        }
        match self.header {
            Source::Json(text) => Some(Some(&text[span.range()])),
            Source::Binary(bytes) => std::str::from_utf8(&bytes[span.range()]).ok().map(Some),
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
        if self.spans[slot].is_absent() {
            return Some(None);
        }
        self.int32(slot).map(Some)
    }

    /// The boolean in a slot, `false` when it is absent.
    pub(crate) fn flag(&self, slot: usize) -> Option<bool> {
        if self.spans[slot].is_absent() {
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
        Some(&bytes[span.range()])
    }
}

/// A decimal number of at most 18 digits with an optional minus; more is for the general path.
pub(super) fn parse_int(bytes: &[u8]) -> Option<i64> {
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
                set(&mut spans[slot], Span::new(at, end, false))?;
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
pub(super) fn set(slot: &mut Span, span: Span) -> Option<()> {
    if *slot != Span::ABSENT {
        return None;
    }
    *slot = span;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
