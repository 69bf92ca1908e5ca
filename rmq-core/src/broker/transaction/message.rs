//! What the messages of a transaction look like: the half message as it is sent, put back and
//! given up, the delivered message, the record of ends, and the question to a producer.

use std::net::SocketAddr;

use super::book::Facts;
use crate::broker::names;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::filter::tag;
use crate::protocol::message::id;
use crate::protocol::message::properties::{
    self, Properties, PropertiesBuilder, PropertyError, names as property,
};
use crate::protocol::message::record::{
    CheckLevel, Checked, NewRecord, Place, RecordError, RecordLimits, RecordRef, StageOptions,
};
use crate::protocol::message::sysflag;
use crate::protocol::request::push::CheckTransactionStateRequest;
use crate::store::Appended;

/// Properties that the broker alone gives a half message: a message that was delivered and is
/// sent on in another transaction may still have them.
const GIVEN: [&str; 6] = [
    property::TRANSACTION_ID,
    property::REAL_TOPIC,
    property::REAL_QUEUE_ID,
    property::TRANSACTION_PREPARED_QUEUE_OFFSET,
    property::TRANSACTION_CHECK_TIMES,
    property::CRC32,
];

/// Properties that a half message has and the delivered one has not.
const CLEARED: [&str; 4] = [
    property::REAL_TOPIC,
    property::REAL_QUEUE_ID,
    property::TRANSACTION_PREPARED_QUEUE_OFFSET,
    property::CRC32,
];

/// Tag of the records that list half messages which are over.
const OVER_TAG: &[u8] = b"d";
/// Ends each offset in such a list.
const SEPARATOR: u8 = b',';

/// The properties of a half message for `queue_id` of `topic`.
pub(crate) fn half_properties(
    text: &[u8],
    unique_id: &[u8],
    topic: &str,
    queue_id: i32,
) -> Result<Vec<u8>, PropertyError> {
    let mut kept = Vec::with_capacity(text.len() + unique_id.len() + topic.len() + 64);
    properties::remove_all(text, &GIVEN, &mut kept);
    let mut half = PropertiesBuilder::from_text(&kept);
    if !unique_id.is_empty() {
        half.push_bytes(property::TRANSACTION_ID.as_bytes(), unique_id)?;
    }
    half.push(property::REAL_TOPIC, topic)?
        .push(property::REAL_QUEUE_ID, &queue_id.to_string())?;
    Ok(half.into_bytes())
}

/// A half message as it lies in the log.
#[derive(Debug)]
pub(crate) struct Half<'a> {
    record: RecordRef<'a>,
    /// What decides about its transaction.
    pub(crate) facts: Facts,
    /// The producers that may end it.
    pub(crate) producer_group: Option<&'a str>,
    topic: Option<&'a str>,
    queue_id: Option<i32>,
    unique_id: &'a str,
    tags: &'a [u8],
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    text(value)?.parse().ok()
}

impl<'a> Half<'a> {
    /// Reads the record of a half message. `None` when it is something else, or damaged.
    #[must_use]
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let Ok(Checked::Record(record)) = RecordRef::check(bytes, CheckLevel::BodyCrc) else {
            return None;
        };
        if record.topic_bytes() != names::HALF_TOPIC.as_bytes() {
            return None;
        }
        let mut half = Self {
            facts: Facts {
                offset: record.queue_offset(),
                origin: record.queue_offset(),
                born_ms: record.born_timestamp_ms(),
                check_times: None,
                immunity_s: None,
            },
            record,
            producer_group: None,
            topic: None,
            queue_id: None,
            unique_id: "",
            tags: &[],
        };
        for one in Properties::new(record.properties_bytes()) {
            half.take(one.name, one.value);
        }
        Some(half)
    }

    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        match text(name).unwrap_or_default() {
            property::REAL_TOPIC => self.topic = text(value),
            property::REAL_QUEUE_ID => self.queue_id = number(value),
            property::PRODUCER_GROUP => self.producer_group = text(value),
            property::UNIQ_KEY => self.unique_id = text(value).unwrap_or_default(),
            property::TAGS => self.tags = value,
            // As Apache counts: what is no number stands for -1.
            property::TRANSACTION_CHECK_TIMES => {
                self.facts.check_times = Some(number(value).unwrap_or(-1));
            }
            property::CHECK_IMMUNITY_TIME => {
                self.facts.immunity_s = Some(number(value).unwrap_or(-1));
            }
            property::TRANSACTION_PREPARED_QUEUE_OFFSET => {
                // It was put back, so the first one came before it.
                let earlier = |origin: &i64| (0..self.record.queue_offset()).contains(origin);
                if let Some(origin) = number(value).filter(earlier) {
                    self.facts.origin = origin;
                }
            }
            _ => {}
        }
    }

    /// Where it begins in the log.
    #[must_use]
    pub(crate) fn physical_offset(&self) -> i64 {
        self.record.physical_offset()
    }

    /// The body, as it is stored.
    #[must_use]
    pub(crate) fn body(&self) -> &'a [u8] {
        self.record.body()
    }

    /// The topic and the queue that its message is for.
    #[must_use]
    pub(crate) fn destination(&self) -> Option<(&'a str, i32)> {
        let queue_id = self.queue_id.filter(|queue_id| *queue_id >= 0)?;
        let topic = self
            .topic
            .filter(|topic| names::check_topic(topic).is_ok())?;
        Some((topic, queue_id))
    }

    /// Hash of its tag.
    #[must_use]
    pub(crate) fn tags_code(&self) -> i64 {
        tag::tags_code(self.tags)
    }

    /// The same message in another place.
    fn moved<'r>(&self, topic: &'r str, queue_id: i32, properties: &'r [u8]) -> NewRecord<'r>
    where
        'a: 'r,
    {
        NewRecord {
            topic,
            queue_id,
            flag: self.record.flag(),
            sys_flag: self.record.sys_flag(),
            born_timestamp_ms: self.record.born_timestamp_ms(),
            born_host: self.record.born_host(),
            store_host: self.record.store_host(),
            reconsume_times: self.record.reconsume_times(),
            prepared_transaction_offset: 0,
            body: self.record.body(),
            properties,
            extra_properties: &[],
        }
    }

    /// The properties of the delivered message.
    #[must_use]
    pub(crate) fn delivered_properties(&self) -> Vec<u8> {
        let stored = self.record.properties_bytes();
        let mut kept = Vec::with_capacity(stored.len());
        properties::remove_all(stored, &CLEARED, &mut kept);
        kept
    }

    /// The delivered message.
    #[must_use]
    pub(crate) fn delivered<'r>(
        &self,
        (topic, queue_id): (&'r str, i32),
        properties: &'r [u8],
    ) -> NewRecord<'r>
    where
        'a: 'r,
    {
        let sys_flag = self.record.sys_flag();
        NewRecord {
            sys_flag: sysflag::with_transaction(sys_flag, sysflag::TRANSACTION_COMMIT),
            prepared_transaction_offset: self.record.physical_offset(),
            ..self.moved(topic, queue_id, properties)
        }
    }

    /// The properties of the half message put back; `check_times` when it is checked with that.
    pub(crate) fn put_back_properties(
        &self,
        check_times: Option<i32>,
    ) -> Result<Vec<u8>, PropertyError> {
        let stored = self.record.properties_bytes();
        let mut kept = Vec::with_capacity(stored.len() + 64);
        properties::remove_all(stored, &[property::CRC32], &mut kept);
        let mut copy = PropertiesBuilder::from_text(&kept);
        if let Some(times) = check_times {
            copy.set(property::TRANSACTION_CHECK_TIMES, &times.to_string())?;
        }
        let origin = self.facts.origin.to_string();
        copy.set(property::TRANSACTION_PREPARED_QUEUE_OFFSET, &origin)?;
        Ok(copy.into_bytes())
    }

    /// The half message put back at the end of its queue.
    #[must_use]
    pub(crate) fn put_back<'r>(&self, properties: &'r [u8]) -> NewRecord<'r>
    where
        'a: 'r,
    {
        self.moved(names::HALF_TOPIC, 0, properties)
    }

    /// The half message where it goes that nobody ends.
    #[must_use]
    pub(crate) fn given_up(&self) -> NewRecord<'a> {
        let stored = self.record.properties_bytes();
        self.moved(names::TRANS_CHECK_MAX_TIME_TOPIC, 0, stored)
    }

    /// The question to a producer how the transaction is to end. `properties` are those of the
    /// half message put back, which lies at `place`. `None` when the message is for nobody.
    #[must_use]
    pub(crate) fn question(
        &self,
        properties: &[u8],
        place: &Appended,
        broker_name: &str,
    ) -> Option<Command> {
        let (topic, queue_id) = self.destination()?;
        let mut offset_msg_id = Vec::new();
        let store_host = self.record.store_host();
        id::push_offset_msg_id(store_host, place.physical_offset, &mut offset_msg_id);
        let header = CheckTransactionStateRequest {
            topic: Some(names::HALF_TOPIC.to_owned()),
            tran_state_table_offset: place.queue_offset,
            commit_log_offset: place.physical_offset,
            msg_id: Some(self.unique_id.to_owned()),
            transaction_id: Some(self.unique_id.to_owned()),
            offset_msg_id: String::from_utf8(offset_msg_id).ok(),
            broker_name: Some(broker_name.to_owned()),
        };
        let place = Place {
            queue_offset: place.queue_offset,
            physical_offset: place.physical_offset,
            store_timestamp_ms: self.record.store_timestamp_ms(),
        };
        let mut body = Vec::with_capacity(self.record.len() + topic.len());
        self.moved(topic, queue_id, properties)
            .encode(&unlimited(StageOptions::default()), &place, &mut body)
            .ok()?;
        let request = Command::request(RequestCode::CHECK_TRANSACTION_STATE, &header);
        Some(request.oneway().with_body(body))
    }
}

/// Staging without limits: what was taken once is not refused because a limit was lowered.
#[must_use]
pub(crate) fn unlimited(options: StageOptions) -> StageOptions {
    StageOptions {
        limits: RecordLimits::new(usize::MAX),
        ..options
    }
}

/// Lists of half messages that are over, as bodies of at most about `max_bytes`.
#[derive(Debug, Default)]
pub(crate) struct OverLists {
    bodies: Vec<(Vec<u8>, i64)>,
}

impl OverLists {
    /// Adds the half message at `offset`; returns which of the lists has it now.
    pub(crate) fn add(&mut self, offset: i64, max_bytes: usize) -> usize {
        let full = |(body, _): &(Vec<u8>, i64)| body.len() >= max_bytes;
        if self.bodies.last().is_none_or(full) {
            self.bodies.push((Vec::new(), offset));
        }
        if let Some((body, last)) = self.bodies.last_mut() {
            body.extend_from_slice(offset.to_string().as_bytes());
            body.push(SEPARATOR);
            *last = offset.max(*last);
        }
        self.bodies.len() - 1
    }

    /// The body of each list and the largest offset in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.bodies.iter().map(|(body, last)| (&body[..], *last))
    }
}

/// The record that lists half messages which are over.
#[must_use]
pub(crate) fn over_record(body: &[u8], store_host: SocketAddr, now_ms: i64) -> NewRecord<'_> {
    NewRecord {
        topic: names::OP_HALF_TOPIC,
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: now_ms,
        born_host: store_host,
        store_host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties: b"TAGS\x01d\x02",
        extra_properties: &[],
    }
}

/// Hash of the tag of such a record.
#[must_use]
pub(crate) fn over_tags_code() -> i64 {
    tag::tags_code(OVER_TAG)
}

/// The half messages that a record lists as over: one or many, with or without a last separator.
pub(crate) fn over_offsets<'a>(record: &RecordRef<'a>) -> impl Iterator<Item = i64> + use<'a> {
    let is_list = record.tags() == Some(OVER_TAG);
    let body = if is_list { record.body() } else { &[] };
    body.split(|byte| *byte == SEPARATOR)
        .filter_map(number)
        .filter(|offset| *offset >= 0)
}

/// Whether a record is a delivered message of a transaction, and of which half message.
#[must_use]
pub(crate) fn prepared_offset(record: &RecordRef<'_>) -> Option<i64> {
    let is_delivered = sysflag::transaction(record.sys_flag()) == sysflag::TRANSACTION_COMMIT;
    is_delivered.then(|| record.prepared_transaction_offset())
}

/// Why a record cannot be one at all, in a store with files of `file_bytes`.
pub(crate) fn check_fits(
    record: &NewRecord<'_>,
    options: &StageOptions,
    file_bytes: usize,
) -> Result<(), RecordError> {
    use crate::protocol::message::record::BLANK_LEN;
    let len = record.encoded_len(options)?;
    let max = file_bytes.saturating_sub(BLANK_LEN);
    if len > max {
        let part = "record";
        return Err(RecordError::TooLong { part, len, max });
    }
    Ok(())
}
