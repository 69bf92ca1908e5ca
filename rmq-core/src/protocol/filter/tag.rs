//! Subscriptions by tag, and the hash that brokers match them by.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, ErrorKind};
use crate::protocol::json::inline_set;

/// Java's `String.hashCode`: over UTF-16 units.
#[must_use]
pub fn java_hash_code(text: &str) -> i32 {
    java_hash_from(0, text)
}

/// The hash of a text that begins with one of hash `hash` and goes on with `text`.
#[must_use]
pub fn java_hash_from(hash: i32, text: &str) -> i32 {
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    if text.is_ascii() {
        return text
            .bytes()
            .fold(hash, |hash, byte| step(hash, u16::from(byte)));
    }
    text.encode_utf16().fold(hash, step)
}

/// The code of a tag in a consume queue: its hash, 0 without a tag. Bytes that are no UTF-8 count
/// as replacement characters.
#[must_use]
pub fn tags_code(tags: &[u8]) -> i64 {
    let hash = match std::str::from_utf8(tags) {
        Ok(text) => java_hash_code(text),
        Err(_) => java_hash_code(&String::from_utf8_lossy(tags)),
    };
    i64::from(hash)
}

/// The expression that takes every message.
pub const ALL: &str = "*";
/// Between two tags of an expression.
pub const SEPARATOR: &str = "||";
/// Type of an expression that lists tags.
pub const TYPE_TAG: &str = "TAG";
/// Type of an expression in SQL.
pub const TYPE_SQL92: &str = "SQL92";

/// Whether an expression type means tags: also when there is none.
#[must_use]
pub fn is_tag_type(expression_type: Option<&str>) -> bool {
    expression_type.is_none_or(|kind| kind.is_empty() || kind == TYPE_TAG)
}

/// An expression that names no tag at all, such as `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    expression: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the expression \"{}\" names no tag", self.expression)
    }
}

impl std::error::Error for ExpressionError {}

impl From<ExpressionError> for Error {
    fn from(error: ExpressionError) -> Self {
        Self::new(ErrorKind::Invalid, "subscription", error.to_string())
    }
}

/// What a consumer group takes of a topic, as heartbeats carry it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionData {
    /// The broker is not to filter; a filter server does.
    pub class_filter_mode: bool,
    /// Hashes of the tags.
    #[serde(serialize_with = "set")]
    pub code_set: BTreeSet<i32>,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
    /// The expression.
    pub sub_string: String,
    /// When the subscription was made, ms since the epoch; the newest counts.
    pub sub_version: i64,
    /// The tags.
    #[serde(serialize_with = "set")]
    pub tags_set: BTreeSet<String>,
    /// The topic.
    pub topic: String,
}

fn set<T: Serialize, S: serde::Serializer>(
    set: &BTreeSet<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    inline_set(set, serializer)
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            class_filter_mode: false,
            code_set: BTreeSet::new(),
            expression_type: TYPE_TAG.to_owned(),
            sub_string: String::new(),
            sub_version: 0,
            tags_set: BTreeSet::new(),
            topic: String::new(),
        }
    }
}

impl SubscriptionData {
    /// A subscription to `topic` by the tags of `expression`: `None`, an empty expression and `*`
    /// take everything; else tags are separated by `||`. `sub_version` is 0: set it to the time.
    pub fn from_tags(topic: &str, expression: Option<&str>) -> Result<Self, ExpressionError> {
        let mut data = Self {
            topic: topic.to_owned(),
            ..Self::default()
        };
        let expression = expression.filter(|text| !text.is_empty()).unwrap_or(ALL);
        data.sub_string = expression.to_owned();
        if expression == ALL {
            return Ok(data);
        }
        // As Java splits: empty parts at the end do not count, and without any part it is an error.
        if expression.split(SEPARATOR).all(str::is_empty) {
            return Err(ExpressionError {
                expression: expression.to_owned(),
            });
        }
        let java_space = |c: char| c <= ' ';
        for tag in expression
            .split(SEPARATOR)
            .map(|tag| tag.trim_matches(java_space))
        {
            if !tag.is_empty() {
                data.code_set.insert(java_hash_code(tag));
                data.tags_set.insert(tag.to_owned());
            }
        }
        Ok(data)
    }

    /// A subscription to `topic` by an expression of another type.
    #[must_use]
    pub fn from_expression(topic: &str, expression: &str, expression_type: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            sub_string: expression.to_owned(),
            expression_type: expression_type.to_owned(),
            ..Self::default()
        }
    }

    /// Whether the expression lists tags.
    #[must_use]
    pub fn is_tag_type(&self) -> bool {
        is_tag_type(Some(&self.expression_type))
    }

    /// Whether the broker hands out a message whose consume queue entry has this code. The consumer
    /// looks at the tag itself, because two tags may share a code.
    #[must_use]
    pub fn matches_code(&self, tags_code: i64) -> bool {
        self.class_filter_mode
            || self.sub_string == ALL
            || self.code_set.contains(&(tags_code as i32))
    }

    /// Whether a consumer takes a message with this tag.
    #[must_use]
    pub fn matches_tag(&self, tag: Option<&str>) -> bool {
        self.tags_set.is_empty()
            || self.class_filter_mode
            || tag.is_some_and(|tag| self.tags_set.contains(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json::{Flavour, from_slice, to_text};

    #[test]
    fn hashes_are_those_of_java() {
        for (text, want) in [
            ("", 0),
            ("a", 97),
            ("TagA", 2_598_919),
            ("polygenelubricants", i32::MIN),
            ("\u{4e2d}", 0x4e2d),
            ("\u{1f600}", 0xd83d * 31 + 0xde00),
        ] {
            assert_eq!(java_hash_code(text), want, "{text}");
        }
        assert_eq!(tags_code(b""), 0);
        assert_eq!(tags_code(b"polygenelubricants"), i64::from(i32::MIN));
        assert_eq!(tags_code(b"\xff"), 0xfffd);
    }

    #[test]
    fn expressions_split_as_java_splits_them() {
        let tags = |expression| {
            let data = SubscriptionData::from_tags("T", Some(expression)).unwrap();
            assert_eq!(data.code_set.len(), data.tags_set.len());
            data.tags_set.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(tags("A || B"), ["A", "B"]);
        assert_eq!(tags("A||B||"), ["A", "B"]);
        assert_eq!(tags("||A"), ["A"]);
        assert_eq!(tags("A|B"), ["A|B"]);
        assert_eq!(tags("*").len(), 0);
        assert_eq!(tags("  ").len(), 0);
        assert_eq!(tags(" || ").len(), 0);
        assert!(SubscriptionData::from_tags("T", Some("||")).is_err());
        for all in [None, Some(""), Some("*")] {
            assert_eq!(
                SubscriptionData::from_tags("T", all).unwrap().sub_string,
                "*"
            );
        }
    }

    #[test]
    fn brokers_match_codes_and_consumers_tags() {
        let data = SubscriptionData::from_tags("T", Some("Aa||x")).unwrap();
        assert!(data.matches_code(tags_code(b"Aa")));
        // "BB" has the hash of "Aa".
        assert!(data.matches_code(tags_code(b"BB")));
        assert!(!data.matches_tag(Some("BB")));
        assert!(!data.matches_tag(None));
        assert!(!data.matches_code(0));
        let all = SubscriptionData::from_tags("T", None).unwrap();
        assert!(all.matches_code(0) && all.matches_tag(None));
    }

    #[test]
    fn code_sets_of_strings_are_read() {
        let data: SubscriptionData = from_slice(
            br#"{"topic":"T","subString":"Aa","codeSet":["2112"],"tagsSet":["Aa"],"subVersion":"5"}"#,
        )
        .unwrap();
        assert!(data.matches_code(tags_code(b"Aa")));
        assert_eq!((data.sub_version, data.is_tag_type()), (5, true));
        assert_eq!(
            to_text(&data, Flavour::Fastjson),
            r#"{"classFilterMode":false,"codeSet":[2112],"expressionType":"TAG","subString":"Aa","subVersion":5,"tagsSet":["Aa"],"topic":"T"}"#
        );
    }
}
