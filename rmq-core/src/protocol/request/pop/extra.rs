//! The texts about popped messages: what a consumer hands back to acknowledge one, and the lists of
//! offsets in the answer to a pop.

use std::fmt::Write;

use crate::protocol::message::properties::KEY_SEPARATOR;

/// The revive queue of ordered pops, which have no check points.
pub const ORDER_REVIVE_QUEUE: i32 = 999;

/// Prefix of topics of retries.
const RETRY_PREFIX: &str = "%RETRY%";

/// Which of its topics a message was popped of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RetryKind {
    /// The topic itself.
    #[default]
    Normal,
    /// The retry topic `%RETRY%GROUP_TOPIC`.
    V1,
    /// The retry topic `%RETRY%GROUP+TOPIC`.
    V2,
}

impl RetryKind {
    /// The kind of a topic.
    #[must_use]
    pub fn of_topic(topic: &str) -> Self {
        match topic.strip_prefix(RETRY_PREFIX) {
            None => Self::Normal,
            Some(rest) if rest.contains('+') => Self::V2,
            Some(_) => Self::V1,
        }
    }

    /// As it travels.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Normal => "0",
            Self::V1 => "1",
            Self::V2 => "2",
        }
    }

    /// The kind that travels as `flag`.
    #[must_use]
    pub fn from_flag(flag: &str) -> Option<Self> {
        match flag {
            "0" => Some(Self::Normal),
            "1" => Some(Self::V1),
            "2" => Some(Self::V2),
            _ => None,
        }
    }

    /// The topic of this kind for what `group` popped of `topic`.
    #[must_use]
    pub fn topic(self, topic: &str, group: &str) -> String {
        match self {
            Self::Normal => topic.to_owned(),
            Self::V1 => format!("{RETRY_PREFIX}{group}_{topic}"),
            Self::V2 => format!("{RETRY_PREFIX}{group}+{topic}"),
        }
    }
}

/// The topic whose messages a pop retry topic of `group` holds; any other topic as it is.
#[must_use]
pub fn normal_topic<'a>(topic: &'a str, group: &str) -> &'a str {
    let rest = topic
        .strip_prefix(RETRY_PREFIX)
        .and_then(|rest| rest.strip_prefix(group));
    rest.and_then(|rest| rest.strip_prefix(['_', '+']))
        .unwrap_or(topic)
}

/// What a consumer hands back about a message: the text `extraInfo`, and the property `POP_CK`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraInfo {
    /// The offset that the pop began at.
    pub start_offset: i64,
    /// When it was popped, ms since the epoch.
    pub pop_time_ms: i64,
    /// How long it is invisible, ms from the pop.
    pub invisible_time_ms: i64,
    /// The revive queue, or `ORDER_REVIVE_QUEUE`.
    pub revive_queue_id: i32,
    /// Which topic it was popped of.
    pub retry: RetryKind,
    /// The broker.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
    /// The queue offset of the message.
    pub queue_offset: Option<i64>,
}

impl ExtraInfo {
    /// Reads the text. What is missing behind the revive queue is as by default: clients leave out
    /// what their version does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(KEY_SEPARATOR);
        let mut number = || parts.next()?.parse::<i64>().ok();
        let (start_offset, pop_time_ms, invisible_time_ms) = (number()?, number()?, number()?);
        let revive_queue_id = i32::try_from(number()?).ok()?;
        let mut info = Self {
            start_offset,
            pop_time_ms,
            invisible_time_ms,
            revive_queue_id,
            ..Self::default()
        };
        if let Some(flag) = parts.next() {
            info.retry = RetryKind::from_flag(flag)?;
        }
        parts
            .next()
            .unwrap_or_default()
            .clone_into(&mut info.broker_name);
        if let Some(queue_id) = parts.next() {
            info.queue_id = queue_id.parse().ok()?;
        }
        if let Some(offset) = parts.next() {
            info.queue_offset = Some(offset.parse().ok()?);
        }
        Some(info)
    }

    /// Writes the text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self {
            start_offset,
            pop_time_ms,
            invisible_time_ms,
            revive_queue_id,
            broker_name,
            queue_id,
            ..
        } = self;
        let retry = self.retry.flag();
        let mut text = format!(
            "{start_offset} {pop_time_ms} {invisible_time_ms} {revive_queue_id} {retry} \
             {broker_name} {queue_id}"
        );
        if let Some(offset) = self.queue_offset {
            // Writing to a string cannot fail.
            let _ = write!(text, " {offset}");
        }
        text
    }
}

/// Adds `line` to a list that is separated by semicolons.
fn add(list: &mut String, line: std::fmt::Arguments<'_>) {
    if !list.is_empty() {
        list.push(';');
    }
    // Writing to a string cannot fail.
    let _ = list.write_fmt(line);
}

/// Adds a queue to `startOffsetInfo`.
pub fn add_start_offset(list: &mut String, topic: &str, queue_id: i32, offset: i64) {
    let retry = RetryKind::of_topic(topic).flag();
    add(list, format_args!("{retry} {queue_id} {offset}"));
}

/// Adds a queue's messages to `msgOffsetInfo`.
pub fn add_offsets(list: &mut String, topic: &str, queue_id: i32, offsets: &[i64]) {
    let retry = RetryKind::of_topic(topic).flag();
    let offsets: Vec<String> = offsets.iter().map(ToString::to_string).collect();
    let offsets = offsets.join(",");
    add(list, format_args!("{retry} {queue_id} {offsets}"));
}

/// Adds to `orderCountInfo` how often a message came again.
pub fn add_message_count(list: &mut String, topic: &str, queue_id: i32, offset: i64, count: i32) {
    let retry = RetryKind::of_topic(topic).flag();
    add(list, format_args!("{retry} qo{queue_id}%{offset} {count}"));
}

/// Adds to `orderCountInfo` how often each message of a queue came again at least.
pub fn add_queue_count(list: &mut String, topic: &str, queue_id: i32, count: i32) {
    let retry = RetryKind::of_topic(topic).flag();
    add(list, format_args!("{retry} {queue_id} {count}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_info_goes_both_ways() {
        let text = "12 1700000000000 60000 3 1 broker-a 2 14";
        let info = ExtraInfo::parse(text).unwrap();
        assert_eq!(info.start_offset, 12);
        assert_eq!(info.retry, RetryKind::V1);
        assert_eq!((info.queue_id, info.queue_offset), (2, Some(14)));
        assert_eq!(info.to_text(), text);
        let short = ExtraInfo::parse("12 1 60000 999 0 b 2").unwrap();
        assert_eq!(short.to_text(), "12 1 60000 999 0 b 2");
        assert_eq!(ExtraInfo::parse("1 2 3 4").unwrap().broker_name, "");
        for bad in ["", "1 2 3", "a 2 3 4", "1 2 3 4 9 b 0", "1 2 3 99999999999"] {
            assert_eq!(ExtraInfo::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn retry_topics_have_two_names() {
        assert_eq!(RetryKind::V1.topic("T", "g"), "%RETRY%g_T");
        assert_eq!(RetryKind::V2.topic("T", "g"), "%RETRY%g+T");
        for kind in [RetryKind::Normal, RetryKind::V1, RetryKind::V2] {
            let topic = kind.topic("T_1", "g_2");
            assert_eq!(RetryKind::of_topic(&topic), kind);
            assert_eq!(RetryKind::from_flag(kind.flag()), Some(kind));
            assert_eq!(normal_topic(&topic, "g_2"), "T_1");
        }
        assert_eq!(normal_topic("%RETRY%other", "g"), "%RETRY%other");
        assert_eq!(normal_topic("%RETRY%g", "g"), "%RETRY%g");
    }

    #[test]
    fn lists_are_separated_by_semicolons() {
        let (mut starts, mut offsets, mut counts) = <(String, String, String)>::default();
        add_start_offset(&mut starts, "T", 0, 3);
        add_start_offset(&mut starts, "%RETRY%g_T", 0, 9);
        assert_eq!(starts, "0 0 3;1 0 9");
        add_offsets(&mut offsets, "T", 1, &[3, 4, 6]);
        add_offsets(&mut offsets, "%RETRY%g+T", 0, &[9]);
        assert_eq!(offsets, "0 1 3,4,6;2 0 9");
        add_message_count(&mut counts, "T", 0, 3, 1);
        add_queue_count(&mut counts, "T", 0, 1);
        assert_eq!(counts, "0 qo0%3 1;0 0 1");
    }
}
