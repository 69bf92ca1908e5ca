//! Names of topics and groups, as clients check them before a broker does.

use crate::base::{Error, ErrorKind, Result};
use crate::protocol::names::{self, NameError};

pub(crate) use crate::protocol::names::{AUTO_CREATE_TOPIC, RETRY_PREFIX, retry_topic};

fn explained(what: &str, name: &str, outcome: Result<(), NameError>) -> Result<()> {
    let wrong = match outcome {
        Ok(()) => return Ok(()),
        Err(NameError::Blank) => "is empty".to_owned(),
        Err(NameError::Characters) => {
            "has other characters than letters, digits and %|-_".to_owned()
        }
        Err(NameError::Longer(max)) => {
            format!("has {} characters, and {max} is the most", name.len())
        }
    };
    let shown: String = name.chars().take(64).collect();
    let context = format!("the {what} \"{}\" {wrong}", shown.escape_debug());
    Err(Error::new(ErrorKind::Invalid, "check name", context))
}

/// Whether this can be the name of a topic.
pub(crate) fn check_topic(topic: &str) -> Result<()> {
    explained("topic", topic, names::check_topic(topic))
}

/// Whether messages may be sent to this topic.
pub(crate) fn check_send_topic(topic: &str) -> Result<()> {
    check_topic(topic)?;
    if names::is_send_forbidden(topic) {
        let context = format!("clients may not send to the topic {topic}");
        return Err(Error::new(ErrorKind::Invalid, "check name", context));
    }
    Ok(())
}

/// Whether this can be the name of a namespace.
pub(crate) fn check_namespace(namespace: &str) -> Result<()> {
    explained("namespace", namespace, names::check_topic(namespace))
}

/// Whether this can be the name of a group.
pub(crate) fn check_group(group: &str) -> Result<()> {
    explained("group", group, names::check_group(group))
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
