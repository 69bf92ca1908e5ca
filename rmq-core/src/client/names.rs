//! Names of topics and groups, as clients check them before a broker does.

use crate::base::{Error, ErrorKind, Result};

/// The topic whose settings a topic made by sending inherits.
pub(crate) const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Longest name of a topic.
pub(crate) const TOPIC_MAX_CHARS: usize = 127;
/// Longest name of a group.
pub(crate) const GROUP_MAX_CHARS: usize = 255;
/// Prefix of the topic that messages of a group come back by.
pub(crate) const RETRY_PREFIX: &str = "%RETRY%";
/// Topics that only a broker writes.
const NO_SEND_TOPICS: [&str; 6] = [
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

fn check(what: &str, name: &str, max_chars: usize) -> Result<()> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'|' | b'-' | b'_');
    let wrong = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > max_chars {
        format!("has {} characters, and {max_chars} is the most", name.len())
    } else if !name.bytes().all(legal) {
        "has other characters than letters, digits and %|-_".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(64).collect();
    let context = format!("the {what} \"{}\" {wrong}", shown.escape_debug());
    Err(Error::new(ErrorKind::Invalid, "check name", context))
}

/// The topic that messages of a group come back by.
pub(crate) fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// Whether this can be the name of a topic.
pub(crate) fn check_topic(topic: &str) -> Result<()> {
    check("topic", topic, TOPIC_MAX_CHARS)
}

/// Whether messages may be sent to this topic.
pub(crate) fn check_send_topic(topic: &str) -> Result<()> {
    check_topic(topic)?;
    if NO_SEND_TOPICS.contains(&topic) {
        let context = format!("clients may not send to the topic {topic}");
        return Err(Error::new(ErrorKind::Invalid, "check name", context));
    }
    Ok(())
}

/// Whether this can be the name of a group.
pub(crate) fn check_group(group: &str) -> Result<()> {
    check("group", group, GROUP_MAX_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_their_limits() {
        for topic in ["T", "%RETRY%g", "a|b-c_D9", &"x".repeat(127)] {
            check_send_topic(topic).unwrap();
        }
        for topic in [
            "",
            " ",
            "a b",
            "a/b",
            "\u{e9}",
            "a\0",
            &"x".repeat(128),
            "SELF_TEST_TOPIC",
        ] {
            let error = check_send_topic(topic).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{topic}");
        }
        check_group(&"g".repeat(255)).unwrap();
        check_group(&"g".repeat(256)).unwrap_err();
    }
}
