//! Strings and numbers inside JSON text, as fastjson escapes them.

/// The first bytes of `text`, at most `len` of them and whole characters.
pub(crate) fn clip(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

/// The position of the next byte that is `A` or `B`, at or after `at`; eight bytes at a time.
#[inline]
pub(crate) fn find<const A: u8, const B: u8>(bytes: &[u8], mut at: usize) -> Option<usize> {
    let (all_a, all_b) = const { (u64::from_be_bytes([A; 8]), u64::from_be_bytes([B; 8])) };
    while let Some(chunk) = bytes.get(at..)?.first_chunk() {
        let word = u64::from_be_bytes(*chunk);
        let found = zero_bytes(word ^ all_a) | zero_bytes(word ^ all_b);
        if found != 0 {
            return Some(at + found.leading_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = &bytes[at..];
    rest.iter()
        .position(|byte| *byte == A || *byte == B)
        .map(|found| at + found)
}

/// The high bit of each byte that is zero, exactly: no carry leaves a byte.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    const LOW_BITS: u64 = u64::from_be_bytes([0x7F; 8]);
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/// Appends `value` in decimal.
pub(crate) fn write_int(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The number of bytes that `write_int` appends.
pub(crate) fn int_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    digits + usize::from(value < 0)
}

/// Appends `text` between double quotes. Escaped are what JSON demands, U+007F to U+009F, U+2028
/// and U+2029; numbers in upper-case hex.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if PLAIN[byte as usize] {
            at += 1;
            continue;
        }
        let (code, len) = match (byte, &bytes[at + 1..]) {
            (0xC2, [next @ 0x80..=0x9F, ..]) => (u16::from(*next), 2),
            (0xE2, [0x80, next @ (0xA8 | 0xA9), ..]) => (0x2028 + u16::from(next - 0xA8), 3),
            (0x80.., _) => {
                at += 1;
                continue;
            }
            _ => (u16::from(byte), 1),
        };
        out.extend_from_slice(&bytes[copied..at]);
        write_escape(out, code);
        at += len;
        copied = at;
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Bytes that are copied without a look at what follows them.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        plain[byte] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain[0x7F] = false;
    plain[0xC2] = false;
    plain[0xE2] = false;
    plain
};

fn write_escape(out: &mut Vec<u8>, code: u16) {
    let short = match code {
        0x08 => b'b',
        0x09 => b't',
        0x0A => b'n',
        0x0C => b'f',
        0x0D => b'r',
        0x22 => b'"',
        0x5C => b'\\',
        _ => {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |shift: u16| HEX[usize::from(code >> shift & 0xF)];
            out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends the meaning of `raw`, the characters between the quotes of a JSON string; `false` when
/// it has an escape that fastjson refuses. Half a surrogate pair becomes U+FFFD.
pub(crate) fn unescape(raw: &str, out: &mut String) -> bool {
    let mut rest = raw;
    while let Some(at) = find::<b'\\', b'\\'>(rest.as_bytes(), 0) {
        out.push_str(&rest[..at]);
        rest = match rest.as_bytes().get(at + 1) {
            Some(b'u') => match unescape_unicode(&rest[at..]) {
                Some((c, len)) => {
                    out.push(c);
                    &rest[at + len..]
                }
                None => return false,
            },
            Some(b'x') => match hex(&rest[at..], 2, 4) {
                // Two hex digits are at most U+00FF.
                Some(code) => {
                    out.push(char::from(code as u8));
                    &rest[at + 4..]
                }
                None => return false,
            },
            Some(byte) => match short_escape(*byte) {
                Some(c) => {
                    out.push(c);
                    &rest[at + 2..]
                }
                None => return false,
            },
            None => return false,
        };
    }
    out.push_str(rest);
    true
}

fn short_escape(byte: u8) -> Option<char> {
    Some(match byte {
        b'b' => '\u{8}',
        b't' => '\t',
        b'n' => '\n',
        b'v' => '\u{b}',
        b'f' | b'F' => '\u{c}',
        b'r' => '\r',
        b'"' | b'\'' | b'/' | b'\\' => char::from(byte),
        b'0'..=b'7' => char::from(byte - b'0'),
        _ => return None,
    })
}

/// The character of the `\uXXXX` at the start of `text`, and the bytes it takes.
fn unescape_unicode(text: &str) -> Option<(char, usize)> {
    // The separators of properties, and what cautious encoders escape.
    if let [_, _, b'0', b'0', high @ b'0'..=b'7', low, ..] = text.as_bytes() {
        let low = char::from(*low).to_digit(16)?;
        return Some((char::from((high - b'0') << 4 | low as u8), 6));
    }
    let high = hex(text, 2, 6)?;
    if let Some(c) = char::from_u32(high) {
        return Some((c, 6));
    }
    if (0xD800..0xDC00).contains(&high)
        && text.as_bytes().get(6..8) == Some(b"\\u")
        && let Some(low @ 0xDC00..0xE000) = hex(text, 8, 12)
    {
        let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return Some((char::from_u32(code)?, 12));
    }
    Some((char::REPLACEMENT_CHARACTER, 6))
}

fn hex(text: &str, from: usize, to: usize) -> Option<u32> {
    let digits = text.as_bytes().get(from..to)?;
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16)?;
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn read(raw: &str) -> Option<String> {
        let mut out = String::new();
        unescape(raw, &mut out).then_some(out)
    }

    #[test]
    fn escapes_what_fastjson_escapes() {
        let expected = "\"\\u0000\\u0001\\u0007\\b\\t\\n\\u000B\\f\\r\\u001F\\\"\\\\\\u007F\"";
        let text = "\0\u{1}\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\\u{7f}";
        assert_eq!(written(text), expected);
        assert_eq!(written("\u{80}\u{9f}\u{a0}"), "\"\\u0080\\u009F\u{a0}\"");
        assert_eq!(written("\u{2027}\u{2028}\u{2029}\u{202a}"), {
            "\"\u{2027}\\u2028\\u2029\u{202a}\""
        });
        assert_eq!(
            written("a/<>&'\u{1f600}\u{e9}"),
            "\"a/<>&'\u{1f600}\u{e9}\""
        );
    }

    #[test]
    fn reads_what_fastjson_reads() {
        assert_eq!(read(r"\u0041\x41\0\7\v\F\f\'\/\b\\\t").unwrap(), {
            "AA\0\u{7}\u{b}\u{c}\u{c}'/\u{8}\\\t"
        });
        assert_eq!(read(r"\ud83d\ude00 \uD83D").unwrap(), "\u{1f600} \u{fffd}");
        assert_eq!(read(r"\ud83d\u0041\udc00").unwrap(), "\u{fffd}A\u{fffd}");
        for bad in [
            r"\q",
            r"\8",
            r"\u00",
            r"\uZZZZ",
            r"\x4",
            r"\xZZ",
            "\\",
            r"\u00\u00e9",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn finds_the_first_quote_or_backslash_at_every_distance() {
        for len in 0..40 {
            for end in [b'"', b'\\'] {
                let mut bytes = vec![0xFF; len];
                bytes.extend_from_slice(&[end, b'"', b'\\', 0x5D, 0x23, 0, 0, 0, 0, 0]);
                assert_eq!(find::<b'"', b'\\'>(&bytes, 0), Some(len));
                assert_eq!(find::<b'"', b'\\'>(&bytes[..len], 0), None);
            }
        }
        assert_eq!(find::<b'"', b'\\'>(b"ab", 3), None);
    }

    #[test]
    fn integers() {
        for value in [0, 1, -1, 9, 10, 99, 100, -100, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_int(&mut out, value);
            assert_eq!(String::from_utf8(out.clone()).unwrap(), value.to_string());
            assert_eq!(int_len(value), out.len());
        }
    }

    #[test]
    fn clip_keeps_whole_characters() {
        assert_eq!(clip("a\u{e9}b", 2), "a");
        assert_eq!(clip("ab", 9), "ab");
    }
}
