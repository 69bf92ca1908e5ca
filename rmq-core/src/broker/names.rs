//! Names that brokers know: the rules of all of RocketMQ as sentences for clients, and the topics
//! and groups of their own.

use crate::protocol::names::{self, NameError};

pub(crate) use crate::protocol::names::{
    AUTO_CREATE_TOPIC, BENCHMARK_TOPIC, DLQ_PREFIX, GROUP_MAX_CHARS, HALF_TOPIC,
    OFFSET_MOVED_TOPIC, OP_HALF_TOPIC, RETRY_PREFIX, SCHEDULE_TOPIC, SELF_TEST_TOPIC,
    SYSTEM_PREFIX, SYSTEM_TOPICS, TRANS_CHECK_MAX_TIME_TOPIC, has_legal_characters,
    is_send_forbidden, is_system_topic, retry_topic,
};

/// The group whose offsets say how far transactions need not be looked at again.
pub(crate) const TRANSACTION_GROUP: &str = "CID_RMQ_SYS_TRANS";
/// The topic that timed messages wait in.
pub(crate) const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";

/// The group whose offsets say how far the revive topic need not be read again.
pub(crate) const REVIVE_GROUP: &str = "CID_RMQ_SYS_REVIVE_GROUP";
/// The group whose offsets say of which check points of the revive topic the committed offsets
/// know.
pub(crate) const POP_POSITION_GROUP: &str = "CID_RMQ_SYS_POP_POSITION";

/// The topic of a cluster's check points and acknowledgements of pop.
#[must_use]
pub(crate) fn revive_topic(cluster: &str) -> String {
    format!("{SYSTEM_PREFIX}REVIVE_LOG_{cluster}")
}

fn sentence(what: &str, error: NameError) -> String {
    match error {
        NameError::Blank => format!("The specified {what} is blank."),
        NameError::Characters => format!(
            "The specified {what} contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ),
        NameError::Longer(max) => {
            format!("The specified {what} is longer than {what} max length {max}.")
        }
    }
}

/// Checks a topic name; the error is a sentence for the client.
pub(crate) fn check_topic(topic: &str) -> Result<(), String> {
    names::check_topic(topic).map_err(|error| sentence("topic", error))
}

/// Checks a group name; the error is a sentence for the client.
pub(crate) fn check_group(group: &str) -> Result<(), String> {
    names::check_group(group).map_err(|error| sentence("group", error))
}

/// Whether a topic that another broker has may be a topic here: a name that is no path, and not
/// longer than any may be.
#[must_use]
pub(crate) fn can_be_stored(topic: &str) -> bool {
    // The newer names of pop retry topics have a plus between group and topic.
    let (first, second) = match topic.strip_prefix(RETRY_PREFIX) {
        Some(rest) => rest.split_once('+').unwrap_or((rest, "")),
        None => (topic, ""),
    };
    let legal = has_legal_characters(first) && has_legal_characters(second);
    !topic.is_empty() && topic.len() <= GROUP_MAX_CHARS && legal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_what_is_wrong() {
        assert_eq!(check_topic("T"), Ok(()));
        assert_eq!(
            check_topic(" ").unwrap_err(),
            "The specified topic is blank."
        );
        assert_eq!(
            check_group("a b").unwrap_err(),
            "The specified group contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        );
        assert_eq!(
            check_topic(&"t".repeat(128)).unwrap_err(),
            "The specified topic is longer than topic max length 127."
        );
    }
}
