//! What a record is found by, as hashes.

use std::borrow::Cow;

use crate::protocol::filter::tag::java_hash_from;
use crate::protocol::message::properties::{KEY_SEPARATOR, names};
use crate::protocol::message::record::RecordRef;
use crate::protocol::message::sysflag;

/// Stands between topic and key.
const SEPARATOR: &str = "#";
/// Stands between topic and tag.
const TAG_SEPARATOR: &str = "#T#";

/// A key of a record to be put into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Put {
    /// Not negative.
    pub(super) hash: i32,
    pub(super) offset: i64,
    pub(super) store_ms: i64,
}

/// What a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A word of the keys that the sender gave, or the unique id that the client made.
    Key,
    /// The tag.
    Tag,
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn positive(hash: i32) -> i32 {
    hash.checked_abs().unwrap_or(0)
}

/// The hash under which the records of a topic with this key are found.
pub(super) fn hash_of(topic: &str, key: &str, kind: KeyKind) -> i32 {
    let separator = match kind {
        KeyKind::Key => SEPARATOR,
        KeyKind::Tag => TAG_SEPARATOR,
    };
    let hash = [topic, separator, key]
        .iter()
        .fold(0, |hash, part| java_hash_from(hash, part));
    positive(hash)
}

/// Hashes the keys of records; neighbours mostly have the same topic.
#[derive(Debug, Default)]
pub(super) struct KeyHasher {
    topic: Vec<u8>,
    of_topic: i32,
}

impl KeyHasher {
    fn set_topic(&mut self, topic: &[u8]) {
        if self.topic != topic || topic.is_empty() {
            self.topic.clear();
            self.topic.extend_from_slice(topic);
            self.of_topic = java_hash_from(0, &text(topic));
        }
    }

    fn hash(&self, separator: &str, key: &[u8]) -> i32 {
        let hash = java_hash_from(self.of_topic, separator);
        positive(java_hash_from(hash, &text(key)))
    }

    /// Adds the keys of a record to `out`, those before `skip` left out: its unique id, its keys,
    /// and with `tags` its tag. A roll-back has none.
    pub(super) fn keys_of(
        &mut self,
        record: &RecordRef<'_>,
        tags: bool,
        skip: usize,
        out: &mut Vec<Put>,
    ) {
        if sysflag::transaction(record.sys_flag()) == sysflag::TRANSACTION_ROLLBACK {
            return;
        }
        self.set_topic(record.topic_bytes());
        let (mut id, mut keys, mut tag) = (None, None, None);
        for property in record.properties() {
            let name = property.name;
            if name == names::UNIQ_KEY.as_bytes() {
                id = Some(property.value);
            } else if name == names::KEYS.as_bytes() {
                keys = Some(property.value);
            } else if name == names::TAGS.as_bytes() {
                tag = Some(property.value);
            }
        }
        let (offset, store_ms) = (record.physical_offset(), record.store_timestamp_ms());
        let put = |hash| Put {
            hash,
            offset,
            store_ms,
        };
        let words = keys
            .unwrap_or_default()
            .split(|&b| b == KEY_SEPARATOR as u8);
        let words = id
            .into_iter()
            .chain(words.filter(|word| !word.is_empty()))
            .map(|key| put(self.hash(SEPARATOR, key)));
        let tag = tag
            .filter(|_| tags)
            .map(|tag| put(self.hash(TAG_SEPARATOR, tag)));
        out.extend(words.chain(tag).skip(skip));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::record::{CheckLevel, Checked, NewRecord, Place, StageOptions};

    fn keys(topic: &str, properties: &str, sys_flag: i32, tags: bool, skip: usize) -> Vec<i32> {
        let host = ([127, 0, 0, 1], 1).into();
        let record = NewRecord {
            topic,
            queue_id: 0,
            flag: 0,
            sys_flag,
            born_timestamp_ms: 1,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"b",
            properties: properties.as_bytes(),
            extra_properties: b"",
        };
        let place = Place {
            queue_offset: 0,
            physical_offset: 77,
            store_timestamp_ms: 88,
        };
        let mut bytes = Vec::new();
        record
            .encode(&StageOptions::default(), &place, &mut bytes)
            .unwrap();
        let Ok(Checked::Record(record)) = RecordRef::check(&bytes, CheckLevel::Exact) else {
            panic!("no record");
        };
        let mut out = Vec::new();
        KeyHasher::default().keys_of(&record, tags, skip, &mut out);
        assert!(out.iter().all(|put| (put.offset, put.store_ms) == (77, 88)));
        out.iter().map(|put| put.hash).collect()
    }

    fn key(key: &str) -> i32 {
        hash_of("T", key, KeyKind::Key)
    }

    const PROPERTIES: &str = "TAGS\u{1}t\u{2}KEYS\u{1} a  b \u{2}UNIQ_KEY\u{1}id\u{2}";

    #[test]
    fn the_id_comes_first_then_each_word_then_the_tag() {
        let tag = hash_of("T", "t", KeyKind::Tag);
        assert_eq!(tag, key("T#t"));
        let all = [key("id"), key("a"), key("b"), tag];
        assert_eq!(keys("T", PROPERTIES, 0, true, 0), all);
        assert_eq!(keys("T", PROPERTIES, 0, false, 0), all[..3]);
        assert_eq!(keys("T", PROPERTIES, 0, true, 2), all[2..]);
        assert!(keys("T", PROPERTIES, 0, true, 9).is_empty());
        assert!(keys("T", "", 0, true, 0).is_empty());
        // Of two properties of one name the later one counts.
        let twice = format!("{PROPERTIES}KEYS\u{1}c\u{2}");
        assert_eq!(keys("T", &twice, 0, false, 1), [key("c")]);
    }

    #[test]
    fn half_and_committed_messages_have_keys_and_roll_backs_have_none() {
        for (flag, count) in [
            (sysflag::TRANSACTION_PREPARED, 4),
            (sysflag::TRANSACTION_COMMIT, 4),
            (sysflag::TRANSACTION_ROLLBACK, 0),
        ] {
            assert_eq!(keys("T", PROPERTIES, flag, true, 0).len(), count, "{flag}");
        }
    }

    #[test]
    fn hashes_are_javas_and_never_negative() {
        // "T#a".hashCode()
        assert_eq!(key("a"), 81_906);
        assert_eq!(hash_of("\u{6570}", "\u{10348}", KeyKind::Key), 775_417_659);
        assert_eq!((positive(i32::MIN), positive(-5), positive(5)), (0, 5, 5));
    }
}
