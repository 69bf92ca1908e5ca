//! Byte sizes and durations as people write them in configuration files.

use std::time::Duration;

use super::error::{Error, ErrorKind, Result};

const SIZE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
    ("gib", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1 << 40),
    ("tib", 1 << 40),
];

const DURATION_UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Parses a number of bytes: `1024`, `16KB`, `64 m`, `1g`. Units are powers of 1024 and their case
/// does not matter. `Invalid` for anything else, including what does not fit 64 bits.
pub fn parse_size(text: &str) -> Result<u64> {
    let (number, unit) = split_number(text);
    let unit = unit.to_ascii_lowercase();
    let scale = SIZE_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale);
    match (number.parse::<u64>().ok(), scale) {
        (Some(number), Some(scale)) => number.checked_mul(scale),
        _ => None,
    }
    .ok_or_else(|| invalid("parse_size", text, "a size such as 1024, 16KB, 64m or 1g"))
}

/// Parses a duration: `500ms`, `30s`, `5m`, `2h`, `7d`, several parts in a row (`1h30m`), or a bare
/// number of milliseconds. `Invalid` for anything else, including more than 580 years.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let fail = || {
        invalid(
            "parse_duration",
            text,
            "a duration such as 500ms, 30s, 5m, 1h30m or 7d",
        )
    };
    let mut rest = text.trim();
    if let Ok(ms) = rest.parse::<u64>() {
        return Ok(Duration::from_millis(ms));
    }
    let mut total_ns: u64 = 0;
    let mut parts = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let unit_len = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let unit = unit.to_ascii_lowercase();
        let number: u64 = number.parse().map_err(|_| fail())?;
        let (_, scale) = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(fail)?;
        let part = number.checked_mul(*scale).ok_or_else(fail)?;
        total_ns = total_ns.checked_add(part).ok_or_else(fail)?;
        rest = after.trim_start();
        parts += 1;
    }
    if parts == 0 {
        Err(fail())
    } else {
        Ok(Duration::from_nanos(total_ns))
    }
}

/// Writes a size for people, exact when it is a whole number of units: `512B`, `16KiB`, `1.5GiB`.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let (unit, scale) = match bytes {
        0..1024 => return format!("{bytes}B"),
        _ if bytes < 1 << 20 => ("KiB", 1u64 << 10),
        _ if bytes < 1 << 30 => ("MiB", 1 << 20),
        _ if bytes < 1 << 40 => ("GiB", 1 << 30),
        _ => ("TiB", 1 << 40),
    };
    let (whole, tenths) = (bytes / scale, (bytes % scale) * 10 / scale);
    if tenths == 0 {
        format!("{whole}{unit}")
    } else {
        format!("{whole}.{tenths}{unit}")
    }
}

/// Splits the leading digits from the rest, blanks taken off both.
fn split_number(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    (number, rest.trim_start())
}

fn invalid(op: &'static str, text: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Invalid, op, format!("{text:?} is not {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1073741824", 1 << 30),
            ("16KB", 16 << 10),
            (" 64 m ", 64 << 20),
            ("1g", 1 << 30),
            ("2TiB", 2 << 40),
            ("7b", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "1.5g",
            "1x",
            "1 k b",
            "18446744073709551616",
            "17179869184g",
        ] {
            let error = parse_size(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in [
            ("0", 0),
            ("500", 500),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2min", 120_000),
            ("1H30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_millis(ms),
                "{text}"
            );
        }
        assert_eq!(parse_duration("20us").unwrap(), Duration::from_micros(20));
        for text in ["", "s", "-5s", "1.5s", "5x", "1h30", "99999999999d"] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn sizes_are_written_for_people() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (16 << 10, "16KiB"),
            (1 << 30, "1GiB"),
            ((3 << 30) / 2, "1.5GiB"),
            (5 << 40, "5TiB"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }
}
