mod model;

use super::super::super::message::properties::PropertiesBuilder;
use super::number::{to_f64, to_i32, to_i64};
use super::*;

fn parse(text: &str) -> Result<Selector, ParseError> {
    Selector::parse(text, &SelectorLimits::default())
}

fn properties(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = PropertiesBuilder::new();
    for (name, value) in pairs {
        builder.push(name, value).unwrap();
    }
    builder.into_bytes()
}

#[track_caller]
fn answers(text: &str, pairs: &[(&str, &str)], want: Result<Option<bool>, EvalError>) {
    let selector = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(selector.evaluate(&properties(pairs)), want, "{text}");
}

const YES: Result<Option<bool>, EvalError> = Ok(Some(true));
const NO: Result<Option<bool>, EvalError> = Ok(Some(false));
const UNKNOWN: Result<Option<bool>, EvalError> = Ok(None);
const NO_NUMBER: Result<Option<bool>, EvalError> = Err(EvalError::NotANumber);

#[test]
fn errors_say_where_they_are() {
    let said = |text: &str| parse(text).unwrap_err().to_string();
    for (text, want) in [
        (
            "",
            "character 1: a property, a value or ( is missing at the end",
        ),
        (
            "a = ",
            "character 5: a property, a value or ( is missing at the end",
        ),
        ("a = 'x", "character 5: a string has no closing quote"),
        (
            "\u{4e2d} = 1",
            "character 1: the character '\u{4e2d}' means nothing here",
        ),
        (
            "a='\u{4e2d}' AND ",
            "character 11: a property, a value or ( is missing at the end",
        ),
        ("a > 'x'", "character 5: 'x' has no order"),
        (
            "a = NULL",
            "character 5: nothing is equal to NULL: IS NULL asks for it",
        ),
        ("TRUE = 1", "character 1: TRUE cannot be compared with 1"),
        (
            "a BETWEEN 5 AND 1",
            "character 1: nothing is between 5 and 1",
        ),
        (
            "a IN ('x', 5)",
            "character 12: expected a string in single quotes, found 5",
        ),
        (
            "-a IN ('x')",
            "character 1: IN stands behind the name of a property, not behind (- a)",
        ),
        (
            "a NOT 5",
            "character 7: expected BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH, found 5",
        ),
        ("a IS 5", "character 6: expected NULL or NOT NULL, found 5"),
        ("(a = 1", "character 7: ) is missing at the end"),
        ("1 + 1", "character 1: 1 is neither true nor false"),
        (
            "a = 99999999999999999999",
            "character 5: 99999999999999999999 is too large",
        ),
        ("a = 1e999", "character 5: 1e999 is too large"),
        (
            "a = 0.0",
            "character 5: 0.0 is too small: 0 without a point is zero",
        ),
        ("a = . ", "character 5: a point without digits is no number"),
        ("a /* b", "character 3: a comment has no end"),
    ] {
        assert_eq!(said(text), want, "{text}");
    }
}

#[test]
fn what_follows_an_expression_is_not_read() {
    let selector = parse("a = 1 b !").unwrap();
    assert_eq!(selector.unread_from(), Some(6));
    assert_eq!(
        selector,
        Selector {
            rest: Some(6),
            ..parse("a=1").unwrap()
        }
    );
    assert_eq!(parse("a = 1 ").unwrap().unread_from(), None);
    // The word behind the expression is looked at, so it must be one.
    assert!(parse("a = 1 !").is_err());
    assert!(parse("a = 1 NOT b").is_err());
}

#[test]
fn strings_are_read_as_what_they_are_compared_with() {
    answers("a = 7", &[("a", "007")], YES);
    answers("a = 7", &[("a", "+7")], YES);
    answers("a = 7", &[("a", "7.0")], NO_NUMBER);
    answers("a = 7.0", &[("a", " 7f ")], YES);
    answers("a = 7", &[("a", " 7")], NO_NUMBER);
    answers("a = '7'", &[("a", "007")], NO);
    answers("a > 7", &[("a", "3000000000")], NO_NUMBER);
    answers("a > 7000000000", &[("a", "8000000000")], YES);
    answers("a > b", &[("a", "10"), ("b", "9.5")], YES);
    answers("a > b", &[("a", "x"), ("b", "9.5")], NO_NUMBER);
    answers("a > 1.5", &[("a", "NaN")], YES);
    answers("a = TRUE", &[("a", "tRuE")], YES);
    answers(
        "TRUE = a",
        &[("a", "true")],
        Err(EvalError::ConditionAndText),
    );
    answers("a", &[("a", "true")], NO);
    answers("-a = 1", &[("a", "-1")], UNKNOWN);
    answers("NOT a = 1", &[("a", "5")], NO);
}

#[test]
fn missing_properties_are_unknown() {
    answers("a = 1", &[], UNKNOWN);
    answers("1 = a", &[], NO);
    answers("a = b", &[], YES);
    answers("a <> 1", &[], UNKNOWN);
    answers("a IS NULL", &[], YES);
    answers("a IS NOT NULL", &[], NO);
    answers("a IN ('x')", &[], UNKNOWN);
    answers("a NOT IN ('x')", &[], UNKNOWN);
    answers("a CONTAINS 'x'", &[], NO);
    answers("a NOT CONTAINS 'x'", &[], NO);
    answers("a NOT CONTAINS ''", &[("a", "x")], NO);
    answers("a = 1 OR b = 1", &[("b", "1")], YES);
    answers("a = 1 AND b = 1", &[("b", "1")], UNKNOWN);
    answers("a = 1 AND b = 1", &[("b", "2")], NO);
    answers("a NOT BETWEEN 1 AND 2", &[], UNKNOWN);
}

#[test]
fn an_error_counts_only_when_it_is_reached() {
    answers("b = 1 OR a = 1", &[("a", "x"), ("b", "1")], YES);
    answers("a = 1 OR b = 1", &[("a", "x"), ("b", "1")], NO_NUMBER);
    assert!(
        !parse("a = 1 OR b = 1")
            .unwrap()
            .matches(&properties(&[("a", "x"), ("b", "1")]))
    );
    answers("a BETWEEN 5 AND b", &[("a", "1"), ("b", "x")], NO);
    answers("a BETWEEN 0 AND b", &[("a", "1"), ("b", "x")], NO_NUMBER);
}

#[test]
fn the_last_of_two_properties_counts() {
    answers("a = '2'", &[("a", "1"), ("a", "2")], YES);
}

#[test]
fn more_properties_than_fit_on_the_stack() {
    let names: Vec<String> = (0..SLOTS_ON_STACK + 3).map(|n| format!("p{n}")).collect();
    let terms: Vec<String> = names
        .iter()
        .map(|name| format!("{name} = '{name}'"))
        .collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
    answers(&terms.join(" AND "), &pairs, YES);
    answers(&terms.join(" AND "), &pairs[1..], UNKNOWN);
}

#[test]
fn limits_hold_at_the_limit() {
    let limits = SelectorLimits {
        max_bytes: 100,
        max_depth: 4,
        max_operators: 5,
    };
    let parse = |text: &str| Selector::parse(text, &limits);
    assert!(parse(&format!("a='{}'", "x".repeat(96))).is_ok());
    assert!(parse(&format!("a='{}'", "x".repeat(97))).is_err());
    assert!(parse("((((a))))").is_ok());
    let deep = parse("(((((a)))))").unwrap_err();
    assert_eq!(deep.position, 5, "{deep}");
    assert!(parse("NOT NOT NOT NOT a").is_ok());
    assert!(parse("NOT NOT NOT NOT NOT a").is_err());
    assert!(parse("a = b = c = d = e").is_ok());
    assert!(parse("a = b = c = d = e = f").is_err());
    assert!(parse("a OR b OR c OR d OR e OR f").is_ok());
    assert!(parse("a OR b OR c OR d OR e OR f OR g").is_err());
    assert!(parse("a IN ('1','2','3','4','5','6','7')").is_ok());
}

#[test]
fn hostile_depth_is_refused_without_recursion() {
    for unit in ["(", "NOT ", "- ", "+ ", "- ("] {
        assert!(
            parse(&format!("{}a", unit.repeat(30_000))).is_err(),
            "{unit}"
        );
    }
    assert!(parse(&"a = ".repeat(30_000)).is_err());
}

#[test]
fn whole_numbers_are_those_of_java() {
    for (text, want) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("+00012", Some(12)),
        ("\u{0661}\u{ff12}", Some(12)),
        ("9223372036854775807", Some(i64::MAX)),
        ("9223372036854775808", None),
        ("-9223372036854775808", Some(i64::MIN)),
        ("-9223372036854775809", None),
        ("", None),
        ("-", None),
        ("+-1", None),
        (" 1", None),
        ("1L", None),
        ("0x10", None),
        ("\u{1d7ce}", None),
        ("\u{b2}", None),
    ] {
        assert_eq!(to_i64(text), want, "{text}");
        assert_eq!(
            to_i32(text),
            want.and_then(|value| value.try_into().ok()),
            "{text}"
        );
    }
    assert_eq!(to_i32("2147483648"), None);
    assert_eq!(to_i32("-2147483648"), Some(i32::MIN));
}

#[test]
fn floating_numbers_are_those_of_java() {
    let bits = |text: &str| to_f64(text).map(f64::to_bits);
    for (text, want) in [
        ("1", 1.0),
        ("\t1.5e3\u{0}", 1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0", -0.0),
        ("1d", 1.0),
        ("1e400", f64::INFINITY),
        ("-Infinity", f64::NEG_INFINITY),
        ("1e-400", 0.0),
        ("0x1p3", 8.0),
        ("0x.8P0f", 0.5),
        ("0x1.8p1", 3.0),
        ("0x1p1024", f64::INFINITY),
        ("0x1p-1074", 5e-324),
        ("0x1p-1075", 0.0),
        ("0x1.000001p-1075", 5e-324),
        ("0x1.fffffffffffff8p0", 2.0),
        ("0x1.fffffffffffff7p0", 1.999_999_999_999_999_8),
        ("0x10000000000000000p-64", 1.0),
        (
            "0x1.00000000000008000000000000001p0",
            1.000_000_000_000_000_2,
        ),
        ("0x1.0000000000000800000000000000p0", 1.0),
        ("0x1p99999999999999999999", f64::INFINITY),
        ("0x1p-99999999999999999999", 0.0),
    ] {
        assert_eq!(bits(text), Some(f64::to_bits(want)), "{text}");
    }
    assert!(to_f64("-NaN").unwrap().is_nan());
    for text in [
        "", " ", ".", "1e", "1e+", "e1", "inf", "nan", "infinity", "NaNd", "1_0", "1ff", "0x1",
        "0xp1", "0x.p1", "0x1p", "+-1", "1 2", "\u{661}",
    ] {
        assert_eq!(to_f64(text), None, "{text:?}");
    }
}

/// Threads of tests and of the library have stacks of 2 MiB.
#[test]
fn the_deepest_expression_fits_on_a_stack() {
    let depth = SelectorLimits::default().max_depth;
    for unit in ["(", "NOT (", "b = 1 OR (", "1 = (", "- ("] {
        let depth = if unit.len() == 1 { depth } else { depth / 2 };
        let closing = ")".repeat(depth);
        let text = format!("a = 1 OR {}a{closing} = 1", unit.repeat(depth));
        let selector = parse(&text).unwrap();
        assert!(selector.matches(&properties(&[("a", "1")])));
        assert!(!selector.to_string().is_empty());
        assert_eq!(selector.clone(), selector);
    }
}
