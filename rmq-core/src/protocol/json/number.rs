//! Numbers: coercions as fastjson makes them, and doubles as Java prints them.

use std::fmt::Write;

/// The integer that `text` stands for: a number, with a fraction cut off; `None` when it is none
/// or does not fit.
pub(super) fn integer(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    if !text.contains(['.', 'e', 'E']) {
        return None;
    }
    let value = text.parse::<f64>().ok()?.trunc();
    // The bounds are exact as doubles: -2^63 fits and 2^63 does not.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    fits.then_some(value as i64)
}

/// The integer that a string stands for: nothing and `null` are 0, thousands may be separated.
pub(super) fn integer_of_string(text: &str) -> Option<i64> {
    match text {
        "" | "null" | "NULL" => Some(0),
        _ if text.contains(',') => text.replace(',', "").parse().ok(),
        _ => text.parse().ok(),
    }
}

/// The double that `text` stands for; `None` when it is none or not finite.
pub(super) fn double(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The double that a string stands for.
pub(super) fn double_of_string(text: &str) -> Option<f64> {
    match text {
        "" | "null" | "NULL" => Some(0.0),
        _ => double(&text.replace(',', "")),
    }
}

/// The boolean that a string stands for.
pub(super) fn bool_of_string(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") || matches!(text, "1" | "Y" | "T") {
        return Some(true);
    }
    let no = text.eq_ignore_ascii_case("false")
        || matches!(text, "" | "0" | "N" | "F" | "null" | "NULL");
    no.then_some(false)
}

/// Appends `value` as Java prints it: `1.0`, `1.0E7`, `9.99E-4`; `null` when it is not finite.
pub(super) fn push_double(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str("null");
        return;
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        let start = out.len();
        let _ = write!(out, "{value}");
        if !out[start..].contains('.') {
            out.push_str(".0");
        }
        return;
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    out.push_str(digits);
    if !digits.contains('.') {
        out.push_str(".0");
    }
    out.push('E');
    out.push_str(exponent);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut out = String::new();
        push_double(value, &mut out);
        out
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (100.0, "100.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (9.99e-4, "9.99E-4"),
            (123_456.789, "123456.789"),
            (1e21, "1.0E21"),
            (1e-10, "1.0E-10"),
            (f64::MAX, "1.7976931348623157E308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-1_234_567_890.123, "-1.234567890123E9"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ];
        for (value, want) in cases {
            assert_eq!(double(value), want);
        }
    }

    #[test]
    fn integers_take_fractions_and_exponents_but_not_overflow() {
        assert_eq!(integer("1.9"), Some(1));
        assert_eq!(integer("-1.9"), Some(-1));
        assert_eq!(integer("1e3"), Some(1000));
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer("9223372036854775808"), None);
        assert_eq!(integer("1e19"), None);
        assert_eq!(integer_of_string("1,000"), Some(1000));
        assert_eq!(integer_of_string("1.5"), None);
        assert_eq!(integer_of_string(" 5"), None);
    }
}
