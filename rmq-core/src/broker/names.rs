//! Topic and group names: what is allowed, and the names that belong to RocketMQ itself.

/// Prefix of a group's retry topic.
pub(crate) const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of a group's dead letter topic.
pub(crate) const DLQ_PREFIX: &str = "%DLQ%";
/// The topic whose settings a topic created by sending inherits.
pub(crate) const AUTO_CREATE_TOPIC: &str = "TBW102";
/// The topic that delayed messages wait in.
pub(crate) const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// The topic that half messages wait in.
pub(crate) const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// The topic that says which half messages are settled.
pub(crate) const OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Where half messages go that nobody settles.
pub(crate) const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// The group whose offsets say how far transactions need not be looked at again.
pub(crate) const TRANSACTION_GROUP: &str = "CID_RMQ_SYS_TRANS";
/// Apache's self test topic.
pub(crate) const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Apache's topic of moved offsets.
pub(crate) const OFFSET_MOVED_TOPIC: &str = "OFFSET_MOVED_EVENT";
/// Apache's benchmark topic.
pub(crate) const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// The topic that timed messages wait in.
pub(crate) const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Prefix of topics that belong to RocketMQ.
pub(crate) const SYSTEM_PREFIX: &str = "rmq_sys_";

/// Longest name of an ordinary topic.
pub(crate) const TOPIC_MAX_CHARS: usize = 127;
/// Longest name of a retry or dead letter topic and of a group.
pub(crate) const GROUP_MAX_CHARS: usize = 255;

/// Topics that every broker counts as RocketMQ's own.
pub(crate) const SYSTEM_TOPICS: [&str; 10] = [
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    HALF_TOPIC,
    "RMQ_SYS_TRACE_TOPIC",
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_TOPIC,
    "CHECKPOINT_TOPIC",
];

const NO_SEND_TOPICS: [&str; 6] = [
    SCHEDULE_TOPIC,
    HALF_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_TOPIC,
];

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

/// The retry topic of a group.
#[must_use]
pub(crate) fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// Whether the topic belongs to RocketMQ itself and no client may change it.
#[must_use]
pub(crate) fn is_system_topic(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_PREFIX)
}

/// Whether clients may not send to this topic.
#[must_use]
pub(crate) fn is_send_forbidden(topic: &str) -> bool {
    NO_SEND_TOPICS.contains(&topic)
}

/// Letters, digits and `%|-_`: nothing that means something to a file system.
#[must_use]
pub(crate) fn has_legal_characters(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'|' | b'-' | b'_'))
}

/// Checks a topic name; the error is a sentence for the client.
pub(crate) fn check_topic(topic: &str) -> Result<(), String> {
    if topic.trim().is_empty() {
        return Err("The specified topic is blank.".into());
    }
    if !has_legal_characters(topic) {
        return Err(
            "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
                .into(),
        );
    }
    let of_group = topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX);
    let max = if of_group {
        GROUP_MAX_CHARS
    } else {
        TOPIC_MAX_CHARS
    };
    if topic.len() > max {
        return Err(format!(
            "The specified topic is longer than topic max length {max}."
        ));
    }
    Ok(())
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

/// Checks a group name; the error is a sentence for the client.
pub(crate) fn check_group(group: &str) -> Result<(), String> {
    if group.trim().is_empty() {
        return Err("The specified group is blank.".into());
    }
    if !has_legal_characters(group) {
        return Err(
            "The specified group contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
                .into(),
        );
    }
    if group.len() > GROUP_MAX_CHARS {
        return Err(format!(
            "The specified group is longer than group max length {GROUP_MAX_CHARS}."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_store_are_refused() {
        for bad in [
            "", " ", "..", "../x", "a/b", "a\\b", "a.b", "a b", "a\0b", "t\u{e9}",
        ] {
            assert!(check_topic(bad).is_err(), "{bad:?}");
            assert!(check_group(bad).is_err(), "{bad:?}");
        }
        for good in ["T", "%RETRY%g", "a|b-c_d", "TBW102"] {
            assert!(check_topic(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn lengths_are_checked_at_the_limit() {
        assert!(check_topic(&"t".repeat(127)).is_ok());
        assert!(check_topic(&"t".repeat(128)).is_err());
        let retry = retry_topic(&"g".repeat(255 - RETRY_PREFIX.len()));
        assert!(check_topic(&retry).is_ok());
        assert!(check_topic(&format!("{retry}g")).is_err());
        assert!(check_group(&"g".repeat(255)).is_ok());
        assert!(check_group(&"g".repeat(256)).is_err());
    }
}
