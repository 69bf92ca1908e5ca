//! Values as operators write them, and the types that snapshots hold them in.

use std::fmt::Display;

use crate::base::units;
use crate::config::table::{Kind, Row, Unit};

/// A type that a snapshot's field may have.
pub trait Value: Sized {
    /// The type shown to operators.
    const KIND: Kind;
    /// Reads a value for `row`.
    ///
    /// # Errors
    /// What is wrong with `text`, without naming the key.
    fn parse(row: &Row, text: &str) -> Result<Self, String>;
    /// Writes the value; `None` when there is none.
    fn render(&self) -> Option<String>;
}

fn refuse(row: &Row) -> String {
    format!("allowed is {}", row.allowed())
}

/// Checks the text of a key that has no field.
pub(crate) fn check(row: &Row, text: &str) -> Result<(), String> {
    match row.kind {
        Kind::Bool => bool::parse(row, text).map(drop),
        Kind::Int => i32::parse(row, text).map(drop),
        Kind::Long => i64::parse(row, text).map(drop),
        Kind::Double => f64::parse(row, text).map(drop),
        Kind::Choice(words) => choose(row, words, text).map(drop),
        Kind::Text | Kind::List | Kind::Form(_) => Ok(()),
    }
}

/// Reads a whole number with an optional suffix, in the row's unit, inside the row's range.
fn number(row: &Row, text: &str) -> Result<i64, String> {
    let number = scaled(row.unit, text.trim()).ok_or_else(|| refuse(row))?;
    match row.range {
        Some((least, most)) if number < least || number > most => Err(refuse(row)),
        _ => Ok(number),
    }
}

/// Reads `text` as a count of `unit`: a plain number, or one with a suffix that comes out whole.
fn scaled(unit: Unit, text: &str) -> Option<i64> {
    if let Ok(count) = text.parse() {
        return Some(count);
    }
    let nanoseconds_each: u128 = match unit {
        Unit::None | Unit::Percent | Unit::Pages => return None,
        Unit::Bytes => return units::parse_size(text).ok()?.try_into().ok(),
        Unit::Milliseconds => 1_000_000,
        Unit::Seconds => 1_000_000_000,
        Unit::Hours => 3_600_000_000_000,
    };
    let nanoseconds = units::parse_duration(text).ok()?.as_nanos();
    let whole = nanoseconds % nanoseconds_each == 0;
    whole
        .then(|| i64::try_from(nanoseconds / nanoseconds_each).ok())
        .flatten()
}

impl Value for bool {
    const KIND: Kind = Kind::Bool;

    fn parse(row: &Row, text: &str) -> Result<Self, String> {
        match text.trim() {
            t if t.eq_ignore_ascii_case("true") => Ok(true),
            t if t.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(refuse(row)),
        }
    }

    fn render(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! whole_numbers {
    ($($type:ty => $kind:ident),*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::$kind;

            fn parse(row: &Row, text: &str) -> Result<Self, String> {
                <$type>::try_from(number(row, text)?).map_err(|_| refuse(row))
            }

            fn render(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}

whole_numbers! { u16 => Int, i32 => Int, u32 => Int, usize => Long, u64 => Long, i64 => Long }

impl Value for f64 {
    const KIND: Kind = Kind::Double;

    fn parse(row: &Row, text: &str) -> Result<Self, String> {
        let number = text
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite());
        number.ok_or_else(|| refuse(row))
    }

    fn render(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn parse(_: &Row, text: &str) -> Result<Self, String> {
        Ok(text.trim().to_owned())
    }

    fn render(&self) -> Option<String> {
        Some(self.clone())
    }
}

impl Value for Option<String> {
    const KIND: Kind = Kind::Text;

    fn parse(_: &Row, text: &str) -> Result<Self, String> {
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    fn render(&self) -> Option<String> {
        self.clone()
    }
}

impl Value for Vec<String> {
    const KIND: Kind = Kind::List;

    fn parse(_: &Row, text: &str) -> Result<Self, String> {
        Ok(text
            .split(';')
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
            .collect())
    }

    fn render(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.join(";"))
    }
}

/// Finds the word that `text` is, in any case of letters.
pub(crate) fn choose(row: &Row, words: &[&str], text: &str) -> Result<usize, String> {
    let text = text.trim();
    words
        .iter()
        .position(|word| word.eq_ignore_ascii_case(text))
        .ok_or_else(|| refuse(row))
}

/// Makes an enum of words that a key may have.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word for it in files and answers.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::config::value::Value for $name {
            const KIND: $crate::config::table::Kind =
                $crate::config::table::Kind::Choice(Self::WORDS);

            fn parse(row: &$crate::config::table::Row, text: &str) -> Result<Self, String> {
                let place = $crate::config::value::choose(row, Self::WORDS, text)?;
                Ok([$(Self::$variant),*][place])
            }

            fn render(&self) -> Option<String> {
                Some(self.word().to_owned())
            }
        }
    };
}

pub(crate) use choices;

/// Hours of the day, written `04` or `04;16`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HourList(Vec<u8>);

impl HourList {
    /// Whether `hour` (0 to 23) is in the list.
    #[must_use]
    pub fn contains(&self, hour: u8) -> bool {
        self.0.contains(&hour)
    }

    /// The hours as written.
    #[must_use]
    pub fn hours(&self) -> &[u8] {
        &self.0
    }
}

impl Value for HourList {
    const KIND: Kind = Kind::Form("hours of the day from 0 to 23 with ; between them");

    fn parse(row: &Row, text: &str) -> Result<Self, String> {
        let parts = text
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let hours = parts.map(|part| part.parse::<u8>().ok().filter(|hour| *hour < 24));
        hours
            .collect::<Option<Vec<u8>>>()
            .map(Self)
            .ok_or_else(|| refuse(row))
    }

    fn render(&self) -> Option<String> {
        Some(join(self.0.iter().map(|hour| format!("{hour:02}")), ";"))
    }
}

/// Delay levels, written `1s 5s 2h`: the first is level 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelayLevels {
    text: String,
    delays_ms: Vec<u64>,
}

impl DelayLevels {
    /// The delays, level 1 first.
    #[must_use]
    pub fn delays_ms(&self) -> &[u64] {
        &self.delays_ms
    }

    /// The highest level.
    #[must_use]
    pub fn level_max(&self) -> usize {
        self.delays_ms.len()
    }
}

impl Value for DelayLevels {
    const KIND: Kind = Kind::Form("up to 64 delays such as 10s, 5m, 2h or 1d with blanks between");

    fn parse(row: &Row, text: &str) -> Result<Self, String> {
        let text = text.trim();
        let delay = |part: &str| {
            let number = part.strip_suffix(['s', 'm', 'h', 'd'])?;
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let delay = digits.then(|| units::parse_duration(part).ok()).flatten()?;
            u64::try_from(delay.as_millis()).ok()
        };
        let delays_ms: Option<Vec<u64>> = text.split_whitespace().map(delay).collect();
        match delays_ms {
            Some(delays_ms) if delays_ms.len() <= 64 => Ok(Self {
                text: text.to_owned(),
                delays_ms,
            }),
            _ => Err(refuse(row)),
        }
    }

    fn render(&self) -> Option<String> {
        Some(self.text.clone())
    }
}

fn join<T: Display>(parts: impl Iterator<Item = T>, separator: &str) -> String {
    let mut text = String::new();
    for part in parts {
        if !text.is_empty() {
            text.push_str(separator);
        }
        text.push_str(&part.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::is;

    #[test]
    fn numbers_take_suffixes_of_their_unit_only() {
        let bytes = is("0").named("k", Kind::Long, "").bytes().range(0, 1 << 40);
        assert_eq!(u64::parse(&bytes, " 16m "), Ok(16 << 20));
        assert_eq!(u64::parse(&bytes, "1G"), Ok(1 << 30));
        assert_eq!(u64::parse(&bytes, "64 KB"), Ok(64 << 10));
        assert!(
            u64::parse(&bytes, "5s")
                .unwrap_err()
                .contains("from 0 to 1099511627776 bytes")
        );
        let hours = is("0").named("k", Kind::Int, "").hours();
        assert_eq!(i32::parse(&hours, "3d"), Ok(72));
        assert!(i32::parse(&hours, "90m").is_err());
        let plain = is("0").named("k", Kind::Int, "");
        for wrong in [
            "1k",
            "",
            "x",
            "1.5",
            "2147483648",
            "9223372036854775808",
            "--1",
        ] {
            assert!(i32::parse(&plain, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ranges_hold_at_both_ends() {
        let row = is("0").named("k", Kind::Int, "").range(0, 65_535);
        assert_eq!(u16::parse(&row, "65535"), Ok(65_535));
        assert_eq!(u16::parse(&row, "0"), Ok(0));
        assert!(u16::parse(&row, "65536").is_err());
        assert!(u16::parse(&row, "-1").is_err());
    }

    #[test]
    fn hours_and_delay_levels() {
        let row = is("");
        let hours = HourList::parse(&row, "04;16").unwrap();
        assert!(hours.contains(4) && hours.contains(16) && !hours.contains(5));
        assert_eq!(hours.render().unwrap(), "04;16");
        assert!(HourList::parse(&row, "24").is_err());
        let levels = DelayLevels::parse(&row, "1s 5m 2h 1d").unwrap();
        assert_eq!(levels.delays_ms(), [1_000, 300_000, 7_200_000, 86_400_000]);
        assert!(DelayLevels::parse(&row, "1s 5").is_err());
        assert!(DelayLevels::parse(&row, "-1s").is_err());
        assert_eq!(levels.render().unwrap(), "1s 5m 2h 1d");
    }
}
