//! What a message becomes while it waits, and what it becomes again when it is due.

use std::borrow::Cow;
use std::net::SocketAddr;

use crate::broker::relay;
use crate::protocol::filter::tag;
use crate::protocol::message::properties::{self, PropertiesBuilder, PropertyError, names};
use crate::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};

/// Properties that a waiting message gets from the broker, or that mean nothing beside a delay
/// level.
const REPLACED: [&str; 7] = [
    names::DELAY,
    names::REAL_TOPIC,
    names::REAL_QUEUE_ID,
    names::TIMER_DELIVER_MS,
    names::TIMER_DELAY_SEC,
    names::TIMER_DELAY_MS,
    names::CRC32,
];

/// The properties of a message for `queue_id` of `topic` while it waits in `level`.
pub(crate) fn waiting_properties(
    text: &[u8],
    level: i32,
    topic: &str,
    queue_id: i32,
) -> Result<Vec<u8>, PropertyError> {
    let wait = (names::DELAY, &*level.to_string());
    relay::waiting_properties(text, &REPLACED, wait, (topic, queue_id))
}

/// A message that is due, as it goes to its own topic.
#[derive(Debug)]
pub(crate) struct DueMessage<'a> {
    record: RecordRef<'a>,
    /// Where it was sent to.
    pub(crate) topic: &'a str,
    /// The queue of that topic.
    pub(crate) queue_id: i32,
    /// Hash of its tag.
    pub(crate) tags_code: i64,
    properties: Cow<'a, [u8]>,
}

impl<'a> DueMessage<'a> {
    /// Reads a record of the schedule topic; the error says what is wrong with it.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let record = match RecordRef::check(bytes, CheckLevel::BodyCrc) {
            Ok(Checked::Record(record)) => record,
            Ok(_) => return Err("there is no record".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let stored = record.properties_bytes();
        let topic = properties::find_str(stored, names::REAL_TOPIC)
            .ok_or("it does not say which topic it was sent to")?;
        let queue_id = properties::find_str(stored, names::REAL_QUEUE_ID)
            .and_then(|text| text.parse().ok())
            .filter(|queue_id| *queue_id >= 0)
            .ok_or("it does not say which queue it was sent to")?;
        // Everything stays, also DELAY: consumers of Apache's brokers see it.
        let mut text = Cow::Borrowed(stored);
        if properties::find(stored, names::CRC32).is_some() {
            let mut without = Vec::with_capacity(stored.len());
            properties::remove(stored, names::CRC32, &mut without);
            text = Cow::Owned(without);
        }
        Ok(Self {
            topic,
            queue_id,
            tags_code: tag::tags_code(record.tags().unwrap_or_default()),
            properties: text,
            record,
        })
    }

    /// Notes when the timer took the message and when it lets it go (ms since the epoch), and how
    /// often it was put back; where there is no room for it, nothing is noted.
    pub(crate) fn stamp(&mut self, enqueued_ms: i64, dequeued_ms: i64, rolls: Option<i64>) {
        let mut stamps = vec![
            (names::TIMER_ENQUEUE_MS, enqueued_ms),
            (names::TIMER_DEQUEUE_MS, dequeued_ms),
        ];
        stamps.extend(rolls.map(|rolls| (names::TIMER_ROLL_TIMES, rolls)));
        let replaced: Vec<&str> = stamps.iter().map(|stamp| stamp.0).collect();
        let mut kept = Vec::with_capacity(self.properties.len() + 96);
        properties::remove_all(&self.properties, &replaced, &mut kept);
        let mut stamped = PropertiesBuilder::from_text(&kept);
        for (name, value) in stamps {
            if stamped.push(name, &value.to_string()).is_err() {
                return;
            }
        }
        let stamped = stamped.into_bytes();
        if stamped.len() <= i16::MAX.unsigned_abs().into() {
            self.properties = Cow::Owned(stamped);
        }
    }

    /// The body, as it is stored.
    #[must_use]
    pub(crate) fn body(&self) -> &'a [u8] {
        self.record.body()
    }

    /// The record to append.
    #[must_use]
    pub(crate) fn record(&self, store_host: SocketAddr) -> NewRecord<'_> {
        NewRecord {
            topic: self.topic,
            queue_id: self.queue_id,
            flag: self.record.flag(),
            sys_flag: self.record.sys_flag(),
            born_timestamp_ms: self.record.born_timestamp_ms(),
            born_host: self.record.born_host(),
            store_host,
            reconsume_times: self.record.reconsume_times(),
            prepared_transaction_offset: 0,
            body: self.record.body(),
            properties: &self.properties,
            extra_properties: &[],
        }
    }
}
