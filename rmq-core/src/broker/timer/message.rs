//! A message of the wheel's topic: what it says of itself, and what it becomes when it is due.

use crate::broker::names;
use crate::protocol::message::properties::names as property;
use crate::protocol::message::record::{CheckLevel, Checked, RecordRef};

/// A record of the wheel's topic.
#[derive(Debug)]
pub(crate) struct Timed<'a> {
    record: RecordRef<'a>,
}

impl<'a> Timed<'a> {
    /// Reads a record; the error says what is wrong with it.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let record = match RecordRef::check(bytes, CheckLevel::Exact) {
            Ok(Checked::Record(record)) => record,
            Ok(_) => return Err("there is no record".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        if record.topic_bytes() != names::TIMER_TOPIC.as_bytes() {
            return Err("it is no timed message".to_owned());
        }
        Ok(Self { record })
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        let value = self.record.property(name)?;
        std::str::from_utf8(value).ok()
    }

    /// The time of its slot, ms since the epoch.
    pub(crate) fn out_ms(&self) -> Option<i64> {
        self.text(property::TIMER_OUT_MS)?.parse().ok()
    }

    /// The topic that it is for.
    pub(crate) fn topic(&self) -> Option<&'a str> {
        self.text(property::REAL_TOPIC)
    }

    /// What names the message that it takes back, if it is there for that.
    pub(crate) fn deletes(&self) -> Option<&'a [u8]> {
        self.record.property(property::TIMER_DEL_UNIQ_KEY)
    }

    /// Its own unique id.
    pub(crate) fn unique_id(&self) -> Option<&'a [u8]> {
        self.record.property(property::UNIQ_KEY)
    }

    /// How often it was put back.
    pub(crate) fn rolls(&self) -> i64 {
        let rolls = self.text(property::TIMER_ROLL_TIMES);
        rolls.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Length of the record, bytes.
    pub(crate) fn len(&self) -> usize {
        self.record.len()
    }
}

/// What names a message to be taken back: its unique id, with its topic in front or without.
pub(crate) fn delete_key(topic: &str, unique_id: &str, with_topic: bool) -> String {
    match with_topic {
        true => format!("{topic}+{unique_id}"),
        false => unique_id.to_owned(),
    }
}
