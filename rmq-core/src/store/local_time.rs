//! The local time, from the system's time zone files (RFC 9636).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const DAY_S: i64 = 24 * 60 * 60;
const ZONES: &str = "/usr/share/zoneinfo";

/// Hour of the local day, 0 to 23, at `ms` since the epoch. The zone is that of `TZ` or else of the
/// system, as they were at the first call; UTC when neither can be read.
pub(super) fn hour(ms: i64) -> u8 {
    hour_of(local_s(ms))
}

/// Number of the local day at `ms` since the epoch; grows by one at each midnight.
pub(crate) fn day(ms: i64) -> i64 {
    local_s(ms).div_euclid(DAY_S)
}

/// The local time at `ms` since the epoch as 17 digits: year, month, day, hour, minute, second,
/// millisecond.
pub(super) fn digits(ms: i64) -> String {
    digits_of(local_s(ms), ms.rem_euclid(1000))
}

/// Seconds since the epoch as a local clock shows them.
fn local_s(ms: i64) -> i64 {
    static ZONE: OnceLock<Zone> = OnceLock::new();
    let zone = ZONE.get_or_init(|| Zone::of_system().unwrap_or_default());
    let seconds = ms.div_euclid(1000);
    seconds + i64::from(zone.offset_s(seconds))
}

fn digits_of(local_s: i64, ms: i64) -> String {
    let (days, second) = (local_s.div_euclid(DAY_S), local_s.rem_euclid(DAY_S));
    let year = year_of(days);
    let month = (2..=12)
        .take_while(|&month| days_before_month(year, month) <= days)
        .last()
        .unwrap_or(1);
    let day = days - days_before_month(year, month) + 1;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let second = second % 60;
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{ms:03}")
}

fn hour_of(local_s: i64) -> u8 {
    u8::try_from(local_s.rem_euclid(DAY_S) / 3600).unwrap_or(0)
}

/// A time zone: offsets from UTC in seconds, and from when.
#[derive(Debug, Default, PartialEq, Eq)]
struct Zone {
    /// Before the first transition.
    first_s: i32,
    /// From these times on, ascending.
    transitions: Vec<(i64, i32)>,
    /// After the last transition.
    rule: Option<Rule>,
}

/// A POSIX TZ string: standard time, and summer time between two days of each year.
#[derive(Debug, PartialEq, Eq)]
struct Rule {
    standard_s: i32,
    summer: Option<Summer>,
}

#[derive(Debug, PartialEq, Eq)]
struct Summer {
    offset_s: i32,
    start: (Day, i64),
    end: (Day, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    /// 1 to 365, 29 February not counted.
    Julian(i64),
    /// 0 to 365.
    OfYear(i64),
    /// Month 1 to 12, week 1 to 5 (5 is the last), day 0 to 6 from Sunday.
    Weekday(i64, i64, i64),
}

impl Zone {
    fn of_system() -> Option<Self> {
        let path = match std::env::var("TZ") {
            Ok(name) if !name.is_empty() => {
                let name = name.trim_start_matches(':');
                if let Some(rule) = Rule::parse(name) {
                    return Some(Self {
                        rule: Some(rule),
                        ..Self::default()
                    });
                }
                let path = Path::new(ZONES).join(name);
                if name.contains("..") {
                    PathBuf::from("/etc/localtime")
                } else {
                    path
                }
            }
            _ => PathBuf::from("/etc/localtime"),
        };
        Self::parse(&std::fs::read(path).ok()?)
    }

    /// Reads a TZif file, of whose two blocks the second has 64-bit times.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, block) = Head::parse(bytes)?;
        if head.version == 0 {
            return Self::parse_block(&head, block, 4).map(|(zone, _)| zone);
        }
        let (_, rest) = block.split_at_checked(head.block_len(4))?;
        let (head, block) = Head::parse(rest)?;
        let (mut zone, footer) = Self::parse_block(&head, block, 8)?;
        let footer = std::str::from_utf8(footer).ok()?;
        zone.rule = Rule::parse(footer.trim_matches('\n'));
        Some(zone)
    }

    fn parse_block<'a>(head: &Head, block: &'a [u8], width: usize) -> Option<(Self, &'a [u8])> {
        let (times, rest) = block.split_at_checked(head.times * width)?;
        let (indices, rest) = rest.split_at_checked(head.times)?;
        let (types, _) = rest.split_at_checked(head.types * 6)?;
        let offset = |index: usize| {
            let field = types.get(index * 6..index * 6 + 4)?;
            Some(i32::from_be_bytes(field.try_into().ok()?))
        };
        let mut transitions = Vec::with_capacity(head.times);
        for (time, &index) in times.chunks_exact(width).zip(indices) {
            let time = match width {
                4 => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
                _ => i64::from_be_bytes(time.try_into().ok()?),
            };
            transitions.push((time, offset(usize::from(index))?));
        }
        let zone = Self {
            first_s: offset(0)?,
            transitions,
            rule: None,
        };
        Some((zone, block.get(head.block_len(width)..)?))
    }

    fn offset_s(&self, utc_s: i64) -> i32 {
        let after = self.transitions.partition_point(|&(time, _)| time <= utc_s);
        match (&self.rule, after.checked_sub(1)) {
            (Some(rule), _) if after == self.transitions.len() => rule.offset_s(utc_s),
            (_, Some(last)) => self.transitions[last].1,
            (_, None) => self.first_s,
        }
    }
}

/// The counts at the start of a block.
struct Head {
    version: u8,
    utc: usize,
    std: usize,
    leaps: usize,
    times: usize,
    types: usize,
    chars: usize,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let rest = bytes.strip_prefix(b"TZif")?;
        let (version, rest) = rest.split_first()?;
        let (counts, block) = rest.get(15..)?.split_first_chunk::<24>()?;
        let count = |index: usize| {
            let field = counts.get(index * 4..index * 4 + 4)?;
            // More would be no time zone.
            usize::try_from(u32::from_be_bytes(field.try_into().ok()?))
                .ok()
                .filter(|&n| n < 100_000)
        };
        let head = Self {
            version: *version,
            utc: count(0)?,
            std: count(1)?,
            leaps: count(2)?,
            times: count(3)?,
            types: count(4)?,
            chars: count(5)?,
        };
        Some((head, block))
    }

    fn block_len(&self, width: usize) -> usize {
        let times = self.times * (width + 1) + self.types * 6 + self.chars;
        times + self.leaps * (width + 4) + self.std + self.utc
    }
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let mut rest = skip_name(text)?;
        let standard_s = -i32::try_from(take_time(&mut rest)?).ok()?;
        if rest.is_empty() {
            return Some(Self {
                standard_s,
                summer: None,
            });
        }
        rest = skip_name(rest)?;
        let offset_s = match rest.starts_with(',') {
            true => standard_s + 3600,
            false => -i32::try_from(take_time(&mut rest)?).ok()?,
        };
        let (start, end) = rest.strip_prefix(',')?.split_once(',')?;
        let summer = Summer {
            offset_s,
            start: parse_day(start)?,
            end: parse_day(end)?,
        };
        Some(Self {
            standard_s,
            summer: Some(summer),
        })
    }

    fn offset_s(&self, utc_s: i64) -> i32 {
        let Some(summer) = &self.summer else {
            return self.standard_s;
        };
        let year = year_of((utc_s + i64::from(self.standard_s)).div_euclid(DAY_S));
        let at = |(day, time): (Day, i64), offset_s: i32| {
            day.in_year(year) * DAY_S + time - i64::from(offset_s)
        };
        let start = at(summer.start, self.standard_s);
        let end = at(summer.end, summer.offset_s);
        let is_summer = if start < end {
            (start..end).contains(&utc_s)
        } else {
            !(end..start).contains(&utc_s)
        };
        if is_summer {
            summer.offset_s
        } else {
            self.standard_s
        }
    }
}

fn skip_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let end = text
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    (end >= 3).then(|| &text[end..])
}

/// Takes `[+-]hh[:mm[:ss]]` off the front, seconds.
fn take_time(rest: &mut &str) -> Option<i64> {
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | ':')))
        .unwrap_or(rest.len());
    let (time, after) = rest.split_at(end);
    *rest = after;
    let (sign, digits) = match time.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, time.strip_prefix('+').unwrap_or(time)),
    };
    let mut seconds = 0;
    let mut unit = 3600;
    for part in digits.split(':') {
        seconds += part.parse::<i64>().ok().filter(|&n| n < 200)? * unit;
        unit /= 60;
    }
    Some(sign * seconds)
}

/// A day and a time of day, `M3.5.0/2` for example.
fn parse_day(text: &str) -> Option<(Day, i64)> {
    let (day, mut time) = text.split_once('/').unwrap_or((text, "2"));
    let time = take_time(&mut time)?;
    let number = |text: &str| text.parse::<i64>().ok().filter(|n| (0..=366).contains(n));
    let day = if let Some(day) = day.strip_prefix('M') {
        let mut parts = day.split('.').map(number);
        Day::Weekday(parts.next()??, parts.next()??, parts.next()??)
    } else if let Some(day) = day.strip_prefix('J') {
        Day::Julian(number(day)?)
    } else {
        Day::OfYear(number(day)?)
    };
    Some((day, time))
}

impl Day {
    /// Days since the epoch of this day in `year`.
    fn in_year(self, year: i64) -> i64 {
        let first = days_before_month(year, 1);
        match self {
            Self::OfYear(day) => first + day,
            Self::Julian(day) => {
                let leap = days_before_month(year, 3) - first == 60;
                first + day - 1 + i64::from(leap && day >= 60)
            }
            Self::Weekday(month, week, weekday) => {
                let start = days_before_month(year, month);
                let next = days_before_month(year + month / 12, month % 12 + 1);
                // The epoch was a Thursday.
                let first = start + (weekday - (start + 4)).rem_euclid(7);
                let day = first + (week - 1) * 7;
                if day >= next { day - 7 } else { day }
            }
        }
    }
}

/// Days from the epoch to the first of a month of the Gregorian calendar.
fn days_before_month(year: i64, month: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let day = (153 * month + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719_468
}

fn year_of(day: i64) -> i64 {
    // Close at first, then exact.
    let mut year = 1970 + day.div_euclid(366);
    while days_before_month(year + 1, 1) <= day {
        year += 1;
    }
    while days_before_month(year, 1) > day {
        year -= 1;
    }
    year
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-07-01 12:00 and 2026-01-01 12:00, UTC.
    const SUMMER: i64 = 1_782_907_200;
    const WINTER: i64 = 1_767_268_800;

    #[test]
    fn days_and_years_of_the_calendar() {
        assert_eq!(days_before_month(1970, 1), 0);
        assert_eq!(days_before_month(2000, 3), 11_017);
        assert_eq!(days_before_month(2026, 7), SUMMER / DAY_S);
        assert_eq!(
            (year_of(-1), year_of(0), year_of(364), year_of(365)),
            (1969, 1970, 1970, 1971)
        );
        assert_eq!(year_of(SUMMER / DAY_S), 2026);
    }

    #[test]
    fn rules_know_summer_and_winter_of_both_halves_of_the_earth() {
        let berlin = Rule::parse("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(
            (berlin.offset_s(SUMMER), berlin.offset_s(WINTER)),
            (7200, 3600)
        );
        // 2026-03-29 01:00 UTC and the second before.
        assert_eq!(berlin.offset_s(1_774_746_000), 7200);
        assert_eq!(berlin.offset_s(1_774_745_999), 3600);
        let sydney = Rule::parse("AEST-10AEDT,M10.1.0,M4.1.0/3").unwrap();
        assert_eq!(
            (sydney.offset_s(SUMMER), sydney.offset_s(WINTER)),
            (36_000, 39_600)
        );
        let india = Rule::parse("<+0530>-5:30").unwrap();
        assert_eq!(india.offset_s(SUMMER), 19_800);
        let by_day = Rule::parse("XXX3YYY,J60/0,J300/0").unwrap();
        assert_eq!(
            (by_day.offset_s(SUMMER), by_day.offset_s(WINTER)),
            (-7200, -10_800)
        );
        for wrong in [
            "",
            "A1",
            "CET",
            "CET-1CEST",
            "CET-1CEST,M3.5",
            "Europe/Berlin",
        ] {
            assert_eq!(Rule::parse(wrong), None, "{wrong}");
        }
    }

    /// A file with one transition in each block and a rule after it.
    fn file() -> Vec<u8> {
        let block = |width: usize| {
            let mut bytes = b"TZif2".to_vec();
            bytes.extend([0; 15]);
            for count in [0u32, 0, 0, 1, 2, 4] {
                bytes.extend(count.to_be_bytes());
            }
            bytes.extend(&1_000_000i64.to_be_bytes()[8 - width..]);
            bytes.push(1);
            for offset in [600i32, 1200] {
                bytes.extend(offset.to_be_bytes());
                bytes.extend([0, 0]);
            }
            bytes.extend(b"AAA\0");
            bytes
        };
        [block(4), block(8), b"\nCET-1\n".to_vec()].concat()
    }

    #[test]
    fn zone_files_are_read_and_damaged_ones_are_refused() {
        let mut zone = Zone::parse(&file()).unwrap();
        assert_eq!(
            (zone.offset_s(999_999), zone.offset_s(1_000_000)),
            (600, 3600)
        );
        zone.rule = None;
        assert_eq!(zone.offset_s(1_000_000), 1200);
        let whole = file();
        let with_rule = whole.len() - "CET-1\n".len();
        for cut in 0..with_rule - 1 {
            assert_eq!(Zone::parse(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(Zone::default().offset_s(5), 0);
        if let Ok(bytes) = std::fs::read("/usr/share/zoneinfo/Europe/Berlin") {
            let berlin = Zone::parse(&bytes).unwrap();
            assert_eq!(
                (berlin.offset_s(SUMMER), berlin.offset_s(WINTER)),
                (7200, 3600)
            );
        }
    }

    #[test]
    fn times_as_digits() {
        for (seconds, text) in [
            (0, "19700101000000007"),
            (SUMMER, "20260701120000007"),
            (WINTER + 86_399 - 43_200, "20260101235959007"),
            (951_782_400, "20000229000000007"),
            (1_798_761_599, "20261231235959007"),
        ] {
            assert_eq!(digits_of(seconds, 7), text);
        }
        assert_eq!(digits(SUMMER * 1000 + 123)[14..], *"123");
    }

    #[test]
    fn hours_are_of_the_day() {
        assert_eq!(hour_of(SUMMER), 12);
        assert_eq!(hour_of(-1), 23);
        assert!(hour(SUMMER * 1000) < 24);
    }
}
