//! Names of topics and groups: which are allowed, and which belong to RocketMQ itself.

use std::borrow::Cow;

/// Prefix of a group's retry topic.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of a group's dead letter topic.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// The topic whose settings a topic made by sending inherits.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// The topic that delayed messages wait in.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// The topic that half messages wait in.
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// The topic that says which half messages are settled.
pub const OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Where half messages go that nobody settles.
pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Apache's self test topic.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Apache's topic of moved offsets.
pub const OFFSET_MOVED_TOPIC: &str = "OFFSET_MOVED_EVENT";
/// Apache's benchmark topic.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// The topic that clients write what became of messages to, unless told another.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Prefix of topics that belong to RocketMQ.
pub const SYSTEM_PREFIX: &str = "rmq_sys_";
/// Prefix of groups that belong to RocketMQ.
const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Longest name of an ordinary topic.
pub const TOPIC_MAX_CHARS: usize = 127;
/// Longest name of a retry or dead letter topic and of a group.
pub const GROUP_MAX_CHARS: usize = 255;

/// Topics that every broker counts as RocketMQ's own.
pub const SYSTEM_TOPICS: [&str; 10] = [
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    HALF_TOPIC,
    TRACE_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_TOPIC,
    "CHECKPOINT_TOPIC",
];

/// Topics that only a broker writes.
const NO_SEND_TOPICS: [&str; 6] = [
    SCHEDULE_TOPIC,
    HALF_TOPIC,
    OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_TOPIC,
];

/// Why a name is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is empty, or white space alone.
    Blank,
    /// It has other characters than letters, digits and `%|-_`.
    Characters,
    /// It is longer than this.
    Longer(usize),
}

fn check(name: &str, max_chars: usize) -> Result<(), NameError> {
    if name.trim().is_empty() {
        Err(NameError::Blank)
    } else if !has_legal_characters(name) {
        Err(NameError::Characters)
    } else if name.len() > max_chars {
        Err(NameError::Longer(max_chars))
    } else {
        Ok(())
    }
}

/// Whether this can be the name of a topic.
pub fn check_topic(topic: &str) -> Result<(), NameError> {
    let of_group = topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX);
    let max_chars = match of_group {
        true => GROUP_MAX_CHARS,
        false => TOPIC_MAX_CHARS,
    };
    check(topic, max_chars)
}

/// Whether this can be the name of a group.
pub fn check_group(group: &str) -> Result<(), NameError> {
    check(group, GROUP_MAX_CHARS)
}

/// Letters, digits and `%|-_`: nothing that means something to a file system.
#[must_use]
pub fn has_legal_characters(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'|' | b'-' | b'_'))
}

/// The retry topic of a group.
#[must_use]
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// Whether the topic belongs to RocketMQ itself and no client may change it.
#[must_use]
pub fn is_system_topic(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_PREFIX)
}

/// Whether clients may not send to this topic.
#[must_use]
pub fn is_send_forbidden(topic: &str) -> bool {
    NO_SEND_TOPICS.contains(&topic)
}

/// Sets the topics and groups of one user apart from those of others by a prefix, `name%topic`,
/// which the prefixes of retries and dead letters stay before: `%RETRY%name%group`. What belongs to
/// RocketMQ is everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// With the separator; empty when there is no namespace.
    prefix: String,
}

const NAMESPACE_SEPARATOR: char = '%';

impl Namespace {
    /// The namespace of this name; an empty one changes no name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let prefix = match name {
            "" => String::new(),
            name => format!("{name}{NAMESPACE_SEPARATOR}"),
        };
        Self { prefix }
    }

    /// The name; empty when there is no namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = self.prefix.strip_suffix(NAMESPACE_SEPARATOR);
        name.unwrap_or_default()
    }

    fn split(resource: &str) -> (&str, &str) {
        let mut prefixes = [RETRY_PREFIX, DLQ_PREFIX].iter();
        let found = prefixes.find(|prefix| resource.starts_with(**prefix));
        resource.split_at(found.map_or(0, |prefix| prefix.len()))
    }

    /// The name that a topic or group has outside of the namespace. One that has it already is
    /// left as it is.
    #[must_use]
    pub fn wrap<'a>(&self, resource: &'a str) -> Cow<'a, str> {
        let (before, rest) = Self::split(resource);
        let as_it_is = self.prefix.is_empty()
            || resource.is_empty()
            || rest.starts_with(&self.prefix)
            || is_system_topic(resource)
            || resource.starts_with(SYSTEM_GROUP_PREFIX);
        match as_it_is {
            true => Cow::Borrowed(resource),
            false => Cow::Owned(format!("{before}{}{rest}", self.prefix)),
        }
    }

    /// Whether a topic or group is one of this namespace; of no namespace, all are.
    #[must_use]
    pub fn has(&self, resource: &str) -> bool {
        Self::split(resource).1.starts_with(&self.prefix)
    }

    /// The name that a topic or group has inside the namespace. One of another is left as it is.
    #[must_use]
    pub fn unwrap<'a>(&self, resource: &'a str) -> Cow<'a, str> {
        let (before, rest) = Self::split(resource);
        match rest.strip_prefix(&self.prefix) {
            Some(rest) if !self.prefix.is_empty() => Cow::Owned(format!("{before}{rest}")),
            _ => Cow::Borrowed(resource),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for bad in ["..", "../x", "a/b", "a\\b", "a.b", "a b", "a\0b", "t\u{e9}"] {
            assert_eq!(check_topic(bad), Err(NameError::Characters), "{bad:?}");
            assert_eq!(check_group(bad), Err(NameError::Characters), "{bad:?}");
        }
        for blank in ["", " "] {
            assert_eq!(check_topic(blank), Err(NameError::Blank));
            assert_eq!(check_group(blank), Err(NameError::Blank));
        }
        for good in ["T", "%RETRY%g", "a|b-c_d", "TBW102"] {
            assert_eq!(check_topic(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn lengths_are_checked_at_the_limit() {
        assert_eq!(check_topic(&"t".repeat(127)), Ok(()));
        assert_eq!(check_topic(&"t".repeat(128)), Err(NameError::Longer(127)));
        let retry = retry_topic(&"g".repeat(255 - RETRY_PREFIX.len()));
        assert_eq!(check_topic(&retry), Ok(()));
        let longer = format!("{retry}g");
        assert_eq!(check_topic(&longer), Err(NameError::Longer(255)));
        assert_eq!(check_group(&"g".repeat(255)), Ok(()));
        assert_eq!(check_group(&"g".repeat(256)), Err(NameError::Longer(255)));
    }

    #[test]
    fn a_namespace_lies_inside_of_the_prefixes() {
        let ns = Namespace::new("ns");
        assert_eq!(ns.name(), "ns");
        for (inside, outside) in [
            ("T", "ns%T"),
            ("%RETRY%g", "%RETRY%ns%g"),
            ("%DLQ%g", "%DLQ%ns%g"),
            ("nsT", "ns%nsT"),
        ] {
            assert_eq!(ns.wrap(inside), outside);
            assert_eq!(ns.wrap(outside), outside, "it has it already");
            assert_eq!(ns.unwrap(outside), inside);
            assert!(ns.has(outside) && !ns.has(inside));
        }
        for everybodys in ["TBW102", "rmq_sys_x", "RMQ_SYS_TRACE_TOPIC", ""] {
            assert_eq!(ns.wrap(everybodys), everybodys);
        }
        assert_eq!(ns.wrap("CID_RMQ_SYS_TRANS"), "CID_RMQ_SYS_TRANS");
        for others in ["other%T", "%RETRY%other%g", "T"] {
            assert_eq!(ns.unwrap(others), others);
        }
        let none = Namespace::default();
        assert_eq!(none, Namespace::new(""));
        assert_eq!((none.name(), &*none.wrap("T")), ("", "T"));
        assert_eq!(none.unwrap("ns%T"), "ns%T");
        assert!(none.has("T"));
    }
}
