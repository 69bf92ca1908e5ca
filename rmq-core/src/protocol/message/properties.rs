//! Properties of a message: `name \x01 value \x02`, repeated.
//!
//! The text is read as Apache's parser reads it: a segment without a separator, with an empty name
//! or with an empty value does not exist; of two values under one name the later one counts; the
//! last `\x02` may be missing. Everything works on bytes, because a stored record may hold any.

use std::fmt;

/// Ends a name.
pub const NAME_VALUE_SEPARATOR: u8 = 1;
/// Ends a value.
pub const PROPERTY_SEPARATOR: u8 = 2;
/// Most bytes of properties that a record can hold.
pub const MAX_BYTES: usize = i16::MAX as usize;
/// Between two keys of the `KEYS` property.
pub const KEY_SEPARATOR: char = ' ';
/// Between two queues of the `INNER_MULTI_DISPATCH` property.
pub const MULTI_DISPATCH_SEPARATOR: char = ',';

/// Names of properties.
pub mod names {
    macro_rules! names {
        ($($constant:ident = $name:literal, $doc:literal;)*) => {
            $(#[doc = $doc] pub const $constant: &str = $name;)*
            /// Every name of this module.
            pub const ALL: &[&str] = &[$($constant),*];
        };
    }
    names! {
        KEYS = "KEYS", "Keys for queries, joined by one space.";
        TAGS = "TAGS", "The tag that consumers filter by.";
        WAIT = "WAIT", "`false`: the sender does not wait for the disk or the slave.";
        DELAY = "DELAY", "Delay level, from 1.";
        RETRY_TOPIC = "RETRY_TOPIC", "Topic that a retried message came from.";
        REAL_TOPIC = "REAL_TOPIC", "Topic of a message that waits in a system topic.";
        REAL_QUEUE_ID = "REAL_QID", "Queue of a message that waits in a system topic.";
        TRANSACTION_PREPARED = "TRAN_MSG", "`true` on a half message.";
        PRODUCER_GROUP = "PGROUP", "Producer group of a transaction.";
        MIN_OFFSET = "MIN_OFFSET", "Set by consumers: smallest offset of the queue.";
        MAX_OFFSET = "MAX_OFFSET", "Set by consumers: offset after the last of the queue.";
        BUYER_ID = "BUYER_ID", "Kept for old clients.";
        ORIGIN_MESSAGE_ID = "ORIGIN_MESSAGE_ID", "Offset message id of the first delivery.";
        TRANSFER_FLAG = "TRANSFER_FLAG", "Kept for old clients.";
        CORRECTION_FLAG = "CORRECTION_FLAG", "Kept for old clients.";
        MQ2_FLAG = "MQ2_FLAG", "Kept for old clients.";
        RECONSUME_TIME = "RECONSUME_TIME", "How often a message was consumed again.";
        MSG_REGION = "MSG_REGION", "Region of the broker that stored the message.";
        TRACE_ON = "TRACE_ON", "Whether the message is traced.";
        UNIQ_KEY = "UNIQ_KEY", "Message id that the client made.";
        EXTEND_UNIQ_INFO = "EXTEND_UNIQ_INFO", "Kept for old clients.";
        MAX_RECONSUME_TIMES = "MAX_RECONSUME_TIMES", "How often a message may be consumed again.";
        CONSUME_START_TIME = "CONSUME_START_TIME", "Set by consumers: start of consumption, ms.";
        INNER_NUM = "INNER_NUM", "Messages inside an inner batch.";
        INNER_BASE = "INNER_BASE", "Queue offset of the first message of an inner batch.";
        DUP_INFO = "DUP_INFO", "Used by duplication of stores.";
        CHECK_IMMUNITY_TIME = "CHECK_IMMUNITY_TIME_IN_SECONDS", "No transaction check before this.";
        TRANSACTION_PREPARED_QUEUE_OFFSET = "TRAN_PREPARED_QUEUE_OFFSET",
            "Queue offset of the half message.";
        TRANSACTION_ID = "__transactionId__", "Transaction id.";
        TRANSACTION_CHECK_TIMES = "TRANSACTION_CHECK_TIMES", "Checks of a half message so far.";
        INSTANCE_ID = "INSTANCE_ID", "Instance of the client.";
        CORRELATION_ID = "CORRELATION_ID", "Joins a reply to its request.";
        REPLY_TO_CLIENT = "REPLY_TO_CLIENT", "Client that waits for the reply.";
        TTL = "TTL", "Time a request waits for its reply, ms.";
        ARRIVE_TIME = "ARRIVE_TIME", "When a reply reached the broker, ms.";
        PUSH_REPLY_TIME = "PUSH_REPLY_TIME", "When a reply was pushed to the client, ms.";
        CLUSTER = "CLUSTER", "Cluster that stored the message.";
        MSG_TYPE = "MSG_TYPE", "Kind of message, for example `reply`.";
        POP_CK = "POP_CK", "Check point of a popped message.";
        POP_CK_OFFSET = "POP_CK_OFFSET", "Queue offset of a popped message.";
        FIRST_POP_TIME = "1ST_POP_TIME", "When a message was first popped, ms.";
        SHARDING_KEY = "__SHARDINGKEY", "Key that chose the queue.";
        FORWARD_QUEUE_ID = "PROPERTY_FORWARD_QUEUE_ID", "Kept for old clients.";
        REDIRECT = "REDIRECT", "Kept for old clients.";
        INNER_MULTI_DISPATCH = "INNER_MULTI_DISPATCH", "Light queues of the message, comma joined.";
        INNER_MULTI_QUEUE_OFFSET = "INNER_MULTI_QUEUE_OFFSET", "Its offsets in those queues.";
        TRACE_CONTEXT = "TRACE_CONTEXT", "Context of a distributed trace.";
        TIMER_DELAY_SEC = "TIMER_DELAY_SEC", "Deliver this many seconds after storing.";
        TIMER_DELAY_MS = "TIMER_DELAY_MS", "Deliver this many milliseconds after storing.";
        TIMER_DELIVER_MS = "TIMER_DELIVER_MS", "Deliver at this time, ms since the epoch.";
        TIMER_ENQUEUE_MS = "TIMER_ENQUEUE_MS", "When the timer took the message, ms.";
        TIMER_DEQUEUE_MS = "TIMER_DEQUEUE_MS", "When the timer let the message go, ms.";
        TIMER_ROLL_TIMES = "TIMER_ROLL_TIMES", "How often the timer put the message back.";
        TIMER_OUT_MS = "TIMER_OUT_MS", "When the timer is to let the message go, ms.";
        TIMER_DEL_UNIQ_KEY = "TIMER_DEL_UNIQKEY", "Id of the timed message to delete.";
        TIMER_DELAY_LEVEL = "TIMER_DELAY_LEVEL", "Delay level served by the timer.";
        BORN_HOST = "__BORNHOST", "Host that made the message, when relayed.";
        BORN_TIMESTAMP = "BORN_TIMESTAMP", "When the message was made, ms, when relayed.";
        TRANSIENT_TOPIC_SYS_FLAG = "__RMQ.TRANSIENT.TOPIC_SYS_FLAG", "Never stored: topic flag.";
        TRANSIENT_GROUP_SYS_FLAG = "__RMQ.TRANSIENT.GROUP_SYS_FLAG", "Never stored: group flag.";
        CRC32 = "__CRC32#", "Check sum of the record before it.";
        DLQ_ORIGIN_TOPIC = "DLQ_ORIGIN_TOPIC", "Topic that a dead letter came from.";
        DLQ_ORIGIN_MESSAGE_ID = "DLQ_ORIGIN_MESSAGE_ID", "Id that a dead letter had.";
    }
}

/// Position of the first `needle` in `haystack`, eight bytes at a time.
fn find_byte(haystack: &[u8], needle: u8) -> Option<usize> {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let pattern = u64::from_be_bytes([needle; 8]);
    let mut chunks = haystack.chunks_exact(8);
    let mut at = 0;
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let x = u64::from_be_bytes(word) ^ pattern;
        // The top bit of each byte of `zero` is set exactly where the byte of `x` is zero.
        let zero = !(((x & LOW) + LOW) | x | LOW);
        if zero != 0 {
            return Some(at + (zero.leading_zeros() / 8) as usize);
        }
        at += 8;
    }
    chunks
        .remainder()
        .iter()
        .position(|&b| b == needle)
        .map(|i| at + i)
}

/// One property and where its segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property<'a> {
    /// The name; never empty.
    pub name: &'a [u8],
    /// The value; never empty.
    pub value: &'a [u8],
}

/// Iterates over the properties of a text, in order, duplicates included.
#[derive(Clone, Debug)]
pub struct Properties<'a> {
    rest: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Reads `text`.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }
}

/// Cuts the first segment off `text`: the segment without its separator, and what follows.
fn next_segment(text: &[u8]) -> (&[u8], &[u8]) {
    match find_byte(text, PROPERTY_SEPARATOR) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

/// Name and value of a segment, if it is a property.
fn split_segment(segment: &[u8]) -> Option<Property<'_>> {
    let at = find_byte(segment, NAME_VALUE_SEPARATOR)?;
    (at > 0 && at + 1 < segment.len()).then(|| Property {
        name: &segment[..at],
        value: &segment[at + 1..],
    })
}

impl<'a> Iterator for Properties<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        while !self.rest.is_empty() {
            let (segment, rest) = next_segment(self.rest);
            self.rest = rest;
            if let Some(property) = split_segment(segment) {
                return Some(property);
            }
        }
        None
    }
}

/// The value of `name` in `text`: of several, the last.
#[must_use]
pub fn find<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Properties::new(text)
        .filter(|p| p.name == name.as_bytes())
        .last()
        .map(|p| p.value)
}

/// As [`find`], for a value that is to be text; `None` also when it is not UTF-8.
#[must_use]
pub fn find_str<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    find(text, name).and_then(|value| std::str::from_utf8(value).ok())
}

/// Copies `text` to `out` without the properties called `name`; all other bytes stay as they are.
///
/// Returns whether anything was left out.
pub fn remove(text: &[u8], name: &str, out: &mut Vec<u8>) -> bool {
    remove_all(text, &[name], out)
}

/// As [`remove`], for the properties called by one of `names`.
pub fn remove_all(text: &[u8], names: &[&str], out: &mut Vec<u8>) -> bool {
    let is_named = |p: Property<'_>| names.iter().any(|name| p.name == name.as_bytes());
    let mut removed = false;
    let mut rest = text;
    while !rest.is_empty() {
        let (segment, after) = next_segment(rest);
        if split_segment(segment).is_some_and(is_named) {
            removed = true;
        } else {
            out.extend_from_slice(&rest[..rest.len() - after.len()]);
        }
        rest = after;
    }
    removed
}

/// The separator that is missing between `first` and what is appended to it, if any.
#[must_use]
pub(crate) fn needs_separator(first: &[u8]) -> bool {
    first.last().is_some_and(|&b| b != PROPERTY_SEPARATOR)
}

/// Builds a property text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertiesBuilder {
    text: Vec<u8>,
}

/// A name or value that the text form cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyError {
    /// The name is empty or holds a separator.
    Name,
    /// The value is empty or holds a separator.
    Value,
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a property is empty or holds a separator",
            Self::Value => "the value of a property is empty or holds a separator",
        })
    }
}

impl std::error::Error for PropertyError {}

impl PropertiesBuilder {
    /// An empty text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from `text`, which is kept as it is; a missing last separator is added.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        let mut text = text.to_vec();
        if needs_separator(&text) {
            text.push(PROPERTY_SEPARATOR);
        }
        Self { text }
    }

    /// Appends a property. A reader takes the last of several values under one name.
    pub fn push(&mut self, name: &str, value: &str) -> Result<&mut Self, PropertyError> {
        self.push_bytes(name.as_bytes(), value.as_bytes())
    }

    /// As [`push`](Self::push), with any bytes.
    pub fn push_bytes(&mut self, name: &[u8], value: &[u8]) -> Result<&mut Self, PropertyError> {
        let separator = |b: &u8| *b == NAME_VALUE_SEPARATOR || *b == PROPERTY_SEPARATOR;
        if name.is_empty() || name.iter().any(separator) {
            return Err(PropertyError::Name);
        }
        // A value may hold \x01: only the first one of a segment separates.
        if value.is_empty() || value.contains(&PROPERTY_SEPARATOR) {
            return Err(PropertyError::Value);
        }
        self.text.extend_from_slice(name);
        self.text.push(NAME_VALUE_SEPARATOR);
        self.text.extend_from_slice(value);
        self.text.push(PROPERTY_SEPARATOR);
        Ok(self)
    }

    /// Replaces every property called `name` by one at the end.
    pub fn set(&mut self, name: &str, value: &str) -> Result<&mut Self, PropertyError> {
        self.remove(name);
        self.push(name, value)
    }

    /// Removes every property called `name`; returns whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let mut out = Vec::with_capacity(self.text.len());
        let removed = remove(&self.text, name, &mut out);
        if removed {
            self.text = out;
        }
        removed
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        find(&self.text, name)
    }

    /// The text so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The text.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.text
    }
}

macro_rules! scanned {
    ($($variant:ident = $name:ident, $doc:literal;)*) => {
        /// A property that the send path looks at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Scanned {
            $(#[doc = $doc] $variant,)*
        }

        impl Scanned {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name of the property.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => names::$name,)* }
            }
        }
    };
}

scanned! {
    Keys = KEYS, "`KEYS`";
    Tags = TAGS, "`TAGS`";
    Wait = WAIT, "`WAIT`";
    Delay = DELAY, "`DELAY`";
    UniqKey = UNIQ_KEY, "`UNIQ_KEY`";
    TransactionPrepared = TRANSACTION_PREPARED, "`TRAN_MSG`";
    PopCk = POP_CK, "`POP_CK`";
    Cluster = CLUSTER, "`CLUSTER`";
    MsgRegion = MSG_REGION, "`MSG_REGION`";
    TraceOn = TRACE_ON, "`TRACE_ON`";
    MsgType = MSG_TYPE, "`MSG_TYPE`";
    InnerMultiDispatch = INNER_MULTI_DISPATCH, "`INNER_MULTI_DISPATCH`";
    TimerDelaySec = TIMER_DELAY_SEC, "`TIMER_DELAY_SEC`";
    TimerDelayMs = TIMER_DELAY_MS, "`TIMER_DELAY_MS`";
    TimerDeliverMs = TIMER_DELIVER_MS, "`TIMER_DELIVER_MS`";
    TimerDelUniqKey = TIMER_DEL_UNIQ_KEY, "`TIMER_DEL_UNIQKEY`";
    ShardingKey = SHARDING_KEY, "`__SHARDINGKEY`";
    Crc32 = CRC32, "`__CRC32#`";
}

impl Scanned {
    /// The member called `name`. Decided by length and first byte, then one comparison.
    fn of(name: &[u8]) -> Option<Self> {
        let candidate = match (name.len(), *name.first()?) {
            (4, b'K') => Self::Keys,
            (4, b'T') => Self::Tags,
            (4, b'W') => Self::Wait,
            (5, b'D') => Self::Delay,
            (6, b'P') => Self::PopCk,
            (7, b'C') => Self::Cluster,
            (8, b'U') => Self::UniqKey,
            (8, b'M') => Self::MsgType,
            (8, b'_') => Self::Crc32,
            (8, b'T') if name == b"TRACE_ON" => Self::TraceOn,
            (8, b'T') => Self::TransactionPrepared,
            (10, b'M') => Self::MsgRegion,
            (13, b'_') => Self::ShardingKey,
            (14, b'T') => Self::TimerDelayMs,
            (15, b'T') => Self::TimerDelaySec,
            (16, b'T') => Self::TimerDeliverMs,
            (17, b'T') => Self::TimerDelUniqKey,
            (20, b'I') => Self::InnerMultiDispatch,
            _ => return None,
        };
        (candidate.name().as_bytes() == name).then_some(candidate)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

const TIMER_BITS: u32 = Scanned::TimerDelaySec.bit()
    | Scanned::TimerDelayMs.bit()
    | Scanned::TimerDeliverMs.bit()
    | Scanned::TimerDelUniqKey.bit();

/// What one pass over a property text found. No allocation.
#[derive(Clone, Copy)]
pub struct Scan<'a> {
    present: u32,
    values: [&'a [u8]; Scanned::ALL.len()],
}

impl fmt::Debug for Scan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                Scanned::ALL
                    .iter()
                    .filter_map(|&s| Some((s, self.get_str(s)?))),
            )
            .finish()
    }
}

/// Reads `text` once and keeps the properties that the send path looks at.
#[must_use]
pub fn scan(text: &[u8]) -> Scan<'_> {
    let mut found = Scan {
        present: 0,
        values: [&[]; Scanned::ALL.len()],
    };
    for property in Properties::new(text) {
        if let Some(which) = Scanned::of(property.name) {
            found.present |= which.bit();
            found.values[which as usize] = property.value;
        }
    }
    found
}

impl<'a> Scan<'a> {
    /// Whether `which` is present.
    #[must_use]
    pub fn has(&self, which: Scanned) -> bool {
        self.present & which.bit() != 0
    }

    /// The value of `which`.
    #[must_use]
    pub fn get(&self, which: Scanned) -> Option<&'a [u8]> {
        self.has(which).then(|| self.values[which as usize])
    }

    /// The value of `which`, if it is UTF-8.
    #[must_use]
    pub fn get_str(&self, which: Scanned) -> Option<&'a str> {
        self.get(which)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Whether the message asks the timer for anything.
    #[must_use]
    pub fn has_timer(&self) -> bool {
        self.present & TIMER_BITS != 0
    }

    /// Whether the sender waits for the flush and the slaves: not when `WAIT` is present and is
    /// anything but `true`.
    #[must_use]
    pub fn waits_for_store(&self) -> bool {
        self.get(Scanned::Wait)
            .is_none_or(|value| value.eq_ignore_ascii_case(b"true"))
    }

    /// Whether this is a half message: `TRAN_MSG` is `true`.
    #[must_use]
    pub fn is_prepared(&self) -> bool {
        self.get(Scanned::TransactionPrepared)
            .is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
    }

    /// The delay level, 0 without one. `None` when it is not a number.
    #[must_use]
    pub fn delay_level(&self) -> Option<i32> {
        match self.get(Scanned::Delay) {
            None => Some(0),
            Some(value) => std::str::from_utf8(value).ok()?.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[u8]) -> Vec<(String, String)> {
        Properties::new(text)
            .map(|p| {
                (
                    String::from_utf8_lossy(p.name).into_owned(),
                    String::from_utf8_lossy(p.value).into_owned(),
                )
            })
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn reads_with_and_without_the_last_separator() {
        let want = vec![pair("a", "1"), pair("bc", "23")];
        assert_eq!(pairs(b"a\x011\x02bc\x0123\x02"), want);
        assert_eq!(pairs(b"a\x011\x02bc\x0123"), want);
    }

    #[test]
    fn what_is_no_property_is_passed_over() {
        assert_eq!(pairs(b""), vec![]);
        assert_eq!(pairs(b"\x02\x02\x02"), vec![]);
        assert_eq!(
            pairs(b"plain\x02a\x01\x02\x01v\x02x\x01y"),
            vec![pair("x", "y")]
        );
        assert_eq!(pairs(b"a\x01b\x01c\x02"), vec![pair("a", "b\u{1}c")]);
        assert_eq!(pairs(b"a\x01\x01\x02"), vec![pair("a", "\u{1}")]);
    }

    #[test]
    fn the_last_value_counts() {
        let text = b"a\x011\x02b\x012\x02a\x013\x02a\x01\x02";
        assert_eq!(find(text, "a"), Some(b"3".as_slice()));
        assert_eq!(find_str(text, "b"), Some("2"));
        assert_eq!(find(text, "c"), None);
    }

    #[test]
    fn remove_keeps_every_other_byte() {
        let mut out = Vec::new();
        assert!(remove(b"odd\x02a\x011\x02b\x012\x02a\x013", "a", &mut out));
        assert_eq!(out, b"odd\x02b\x012\x02");
        out.clear();
        assert!(!remove(b"b\x012", "a", &mut out));
        assert_eq!(out, b"b\x012");
        out.clear();
        assert!(remove_all(
            b"a\x011\x02b\x012\x02c\x013",
            &["c", "a"],
            &mut out
        ));
        assert_eq!(out, b"b\x012\x02");
    }

    #[test]
    fn builder_refuses_what_a_reader_would_not_see() {
        let mut builder = PropertiesBuilder::from_text(b"a\x011");
        builder.push("b", "x").unwrap().set("a", "2").unwrap();
        assert_eq!(builder.as_bytes(), b"b\x01x\x02a\x012\x02");
        assert_eq!(builder.push("", "x"), Err(PropertyError::Name));
        assert_eq!(builder.push("a\u{1}", "x"), Err(PropertyError::Name));
        assert_eq!(builder.push("a", ""), Err(PropertyError::Value));
        assert_eq!(builder.push("a", "\u{2}"), Err(PropertyError::Value));
        assert!(builder.remove("a"));
        assert!(!builder.remove("a"));
        assert_eq!(builder.into_bytes(), b"b\x01x\x02");
    }

    #[test]
    fn every_scanned_name_is_found_and_near_misses_are_not() {
        for &which in Scanned::ALL {
            let text = format!("{}\u{1}value\u{2}", which.name());
            let found = scan(text.as_bytes());
            assert_eq!(found.get(which), Some(b"value".as_slice()), "{which:?}");
            assert_eq!(found.present.count_ones(), 1);
            let mut other = which.name().to_owned();
            other.pop();
            other.push('~');
            assert_eq!(scan(format!("{other}\u{1}v\u{2}").as_bytes()).present, 0);
        }
        assert!(Scanned::ALL.len() <= 32);
    }

    #[test]
    fn scan_answers_the_questions_of_the_send_path() {
        let found = scan(b"WAIT\x01False\x02TRAN_MSG\x01TRUE\x02DELAY\x013\x02TIMER_DELAY_MS\x011");
        assert!(!found.waits_for_store());
        assert!(found.is_prepared());
        assert!(found.has_timer());
        assert_eq!(found.delay_level(), Some(3));
        let none = scan(b"");
        assert!(none.waits_for_store() && !none.is_prepared() && !none.has_timer());
        assert_eq!(none.delay_level(), Some(0));
        assert_eq!(scan(b"DELAY\x01x\x02").delay_level(), None);
    }

    #[test]
    fn find_byte_agrees_with_a_plain_search_at_every_place() {
        for len in 0..40 {
            for at in 0..len {
                let mut bytes = vec![0x81; len];
                bytes[at] = 1;
                if at + 1 < len {
                    bytes[at + 1] = 0;
                }
                assert_eq!(find_byte(&bytes, 1), Some(at));
                assert_eq!(find_byte(&bytes, 2), None);
            }
        }
    }
}
