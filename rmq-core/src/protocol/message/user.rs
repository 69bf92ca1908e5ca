//! Messages as a program sees them: what it sends, and what a broker hands it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use super::batch::{Batch, BatchError};
use super::compress::{self, CompressError};
use super::id::{IdText, OffsetMsgId};
use super::properties::{KEY_SEPARATOR, Properties, PropertiesBuilder, PropertyError, names};
use super::record::{CheckLevel, Checked, RecordError, RecordRef};
use super::sysflag;
use crate::base::error::Error;

/// Properties of a message by name.
pub type PropertyMap = BTreeMap<String, String>;

/// Reads a property text; of two values under one name the later counts. Bytes that are no UTF-8
/// become replacement characters.
#[must_use]
pub fn property_map(text: &[u8]) -> PropertyMap {
    let owned = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Properties::new(text)
        .map(|p| (owned(p.name), owned(p.value)))
        .collect()
}

/// Writes a property text, ordered by name. Empty values are left out, as no reader would see
/// them.
pub fn property_text(properties: &PropertyMap) -> Result<Vec<u8>, PropertyError> {
    let mut out = PropertiesBuilder::new();
    for (name, value) in properties.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(name, value)?;
    }
    Ok(out.into_bytes())
}

/// A message that a program sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// A number for the program's own use.
    pub flag: i32,
    /// The body.
    pub body: Bytes,
    /// The properties, the well-known ones among them.
    pub properties: PropertyMap,
}

impl Message {
    /// A message to `topic`.
    #[must_use]
    pub fn new(topic: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            body: body.into(),
            ..Self::default()
        }
    }

    /// The value of a property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }

    /// Sets a property.
    pub fn set_property(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.property(names::TAGS)
    }

    /// Sets the tag.
    pub fn set_tag(&mut self, tag: impl Into<String>) -> &mut Self {
        self.set_property(names::TAGS, tag)
    }

    /// The keys that the message is found by.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.property(names::KEYS).unwrap_or_default();
        keys.split(KEY_SEPARATOR).filter(|key| !key.is_empty())
    }

    /// Sets the keys; a key with a space counts as several.
    pub fn set_keys<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) -> &mut Self {
        let mut joined = String::new();
        for key in keys {
            if !joined.is_empty() {
                joined.push(KEY_SEPARATOR);
            }
            joined.push_str(key);
        }
        self.set_property(names::KEYS, joined)
    }

    /// The delay level; 0 without one.
    #[must_use]
    pub fn delay_level(&self) -> i32 {
        self.property(names::DELAY)
            .and_then(|level| level.parse().ok())
            .unwrap_or(0)
    }

    /// Has the broker deliver the message after the time of one of its delay levels, from 1.
    pub fn set_delay_level(&mut self, level: i32) -> &mut Self {
        self.set_property(names::DELAY, level.to_string())
    }

    /// Has the broker deliver the message at this time, ms since the epoch.
    pub fn set_deliver_at_ms(&mut self, deliver_at_ms: i64) -> &mut Self {
        self.set_property(names::TIMER_DELIVER_MS, deliver_at_ms.to_string())
    }

    /// Has the broker deliver the message this long after it was stored, ms.
    pub fn set_delay_ms(&mut self, delay_ms: u64) -> &mut Self {
        self.set_property(names::TIMER_DELAY_MS, delay_ms.to_string())
    }

    /// Whether the broker is to answer only after flush and replication.
    #[must_use]
    pub fn waits_for_store(&self) -> bool {
        self.property(names::WAIT)
            .is_none_or(|wait| wait.eq_ignore_ascii_case("true"))
    }

    /// The id that the client gave the message.
    #[must_use]
    pub fn unique_id(&self) -> Option<&str> {
        self.property(names::UNIQ_KEY)
    }
}

/// A message from a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// What was sent; the body is inflated.
    pub message: Message,
    /// The queue.
    pub queue_id: i32,
    /// The offset in the queue.
    pub queue_offset: i64,
    /// The offset in the broker's commit log.
    pub physical_offset: i64,
    /// The system flag; without the compressed bit once the body is inflated.
    pub sys_flag: i32,
    /// When the message was made, ms since the epoch.
    pub born_timestamp_ms: i64,
    /// Where it was made.
    pub born_host: SocketAddr,
    /// When it was stored, ms since the epoch.
    pub store_timestamp_ms: i64,
    /// The broker that stored it.
    pub store_host: SocketAddr,
    /// How often it was consumed again.
    pub reconsume_times: i32,
    /// Commit log offset of the half message of a transaction.
    pub prepared_transaction_offset: i64,
    /// Check sum of the stored body.
    pub body_crc: u32,
    /// Bytes of the stored record.
    pub store_len: usize,
}

impl ReceivedMessage {
    /// A message of which nothing is known but what was sent: the rest is zero.
    #[must_use]
    pub fn new(message: Message) -> Self {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            message,
            queue_id: 0,
            queue_offset: 0,
            physical_offset: 0,
            sys_flag: 0,
            born_timestamp_ms: 0,
            born_host: unknown,
            store_timestamp_ms: 0,
            store_host: unknown,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body_crc: 0,
            store_len: 0,
        }
    }

    /// The id that says where the message is stored.
    #[must_use]
    pub fn offset_msg_id(&self) -> IdText {
        let (store_host, physical_offset) = (self.store_host, self.physical_offset);
        OffsetMsgId {
            store_host,
            physical_offset,
        }
        .to_text()
    }

    /// The id of the message: the client's, or where it is stored when the client gave none.
    #[must_use]
    pub fn msg_id(&self) -> String {
        match self.message.unique_id() {
            Some(id) => id.to_owned(),
            None => self.offset_msg_id().as_str().to_owned(),
        }
    }

    /// Takes over a record that lies in `source`. The body is not copied unless it is inflated.
    pub fn from_record(
        record: &RecordRef<'_>,
        source: &Bytes,
        inflated_max_bytes: usize,
    ) -> Result<Self, CompressError> {
        let stored = record.sys_flag();
        let (body, sys_flag) =
            match compress::inflate_body(record.body(), stored, inflated_max_bytes)? {
                Some(inflated) => (Bytes::from(inflated), stored & !sysflag::COMPRESSED),
                None => (source.slice_ref(record.body()), stored),
            };
        Ok(Self {
            message: Message {
                topic: record.topic().into_owned(),
                flag: record.flag(),
                body,
                properties: property_map(record.properties_bytes()),
            },
            queue_id: record.queue_id(),
            queue_offset: record.queue_offset(),
            physical_offset: record.physical_offset(),
            sys_flag,
            born_timestamp_ms: record.born_timestamp_ms(),
            born_host: record.born_host(),
            store_timestamp_ms: record.store_timestamp_ms(),
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: record.prepared_transaction_offset(),
            body_crc: record.body_crc(),
            store_len: record.len(),
        })
    }

    /// The messages inside, when this one holds a batch that its reader is to unwrap; they have
    /// consecutive queue offsets. `None` when it is a message by itself.
    pub fn unwrap_batch(&self) -> Result<Option<Vec<Self>>, BatchError> {
        let wrapped = sysflag::INNER_BATCH | sysflag::NEED_UNWRAP;
        if self.sys_flag & wrapped != wrapped {
            return Ok(None);
        }
        let inner = Batch::new(&self.message.body).zip(self.queue_offset..);
        let messages = inner.map(|(message, queue_offset)| {
            let message = message?;
            Ok(Self {
                message: Message {
                    topic: self.message.topic.clone(),
                    flag: message.flag,
                    body: self.message.body.slice_ref(message.body),
                    properties: property_map(message.properties),
                },
                queue_offset,
                ..self.clone()
            })
        });
        messages.collect::<Result<_, _>>().map(Some)
    }
}

/// Why a message of a pull reply was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// The bytes are no record; nothing after it can be read.
    Record(RecordError),
    /// The body of one record was not inflated; the next one can be read.
    Body {
        /// The queue offset of the record.
        queue_offset: i64,
        /// Why.
        error: CompressError,
    },
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::Body {
                queue_offset,
                error,
            } => {
                write!(
                    f,
                    "the body of the message at queue offset {queue_offset} {error}"
                )
            }
        }
    }
}

impl std::error::Error for ReceiveError {}

impl From<ReceiveError> for Error {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Record(error) => error.into(),
            ReceiveError::Body { error, .. } => error.into(),
        }
    }
}

/// Iterates over the messages of a pull reply. Bodies are slices of it, or inflated.
#[derive(Clone, Debug)]
pub struct ReceivedMessages {
    rest: Bytes,
    level: CheckLevel,
    inflated_max_bytes: usize,
}

impl ReceivedMessages {
    /// Reads `body` with `level`; a body inflates to at most `inflated_max_bytes`.
    #[must_use]
    pub fn new(body: Bytes, level: CheckLevel, inflated_max_bytes: usize) -> Self {
        Self {
            rest: body,
            level,
            inflated_max_bytes,
        }
    }
}

impl Iterator for ReceivedMessages {
    type Item = Result<ReceivedMessage, ReceiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let source = std::mem::take(&mut self.rest);
        match RecordRef::check(&source, self.level) {
            Ok(Checked::Record(record)) => {
                self.rest = source.slice(record.len()..);
                let message =
                    ReceivedMessage::from_record(&record, &source, self.inflated_max_bytes);
                let queue_offset = record.queue_offset();
                Some(message.map_err(|error| ReceiveError::Body {
                    queue_offset,
                    error,
                }))
            }
            Ok(Checked::Blank { .. } | Checked::End) => None,
            Err(error) => Some(Err(ReceiveError::Record(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::BatchMessage;
    use super::super::record::{NewRecord, Place, StageOptions};
    use super::*;

    fn push_record(body: &[u8], sys_flag: i32, queue_offset: i64, out: &mut Vec<u8>) {
        let host = "127.0.0.1:10911".parse().unwrap();
        let record = NewRecord {
            topic: "T",
            queue_id: 1,
            flag: 2,
            sys_flag,
            born_timestamp_ms: 3,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            properties: b"TAGS\x01t\x02KEYS\x01a b",
            extra_properties: b"",
        };
        let place = Place {
            queue_offset,
            physical_offset: 3,
            store_timestamp_ms: 4,
        };
        record
            .encode(&StageOptions::default(), &place, out)
            .unwrap();
    }

    fn receive(bytes: Vec<u8>) -> Vec<Result<ReceivedMessage, ReceiveError>> {
        ReceivedMessages::new(bytes.into(), CheckLevel::BodyCrc, 1000).collect()
    }

    #[test]
    fn replies_are_read_and_bodies_inflated() {
        let mut bytes = Vec::new();
        push_record(b"plain", 0, 10, &mut bytes);
        push_record(
            &compress::deflate(b"small", 5),
            sysflag::COMPRESSED | 0x300,
            11,
            &mut bytes,
        );
        push_record(
            &compress::deflate(&[7; 1001], 5),
            sysflag::COMPRESSED,
            12,
            &mut bytes,
        );
        push_record(b"last", 0, 13, &mut bytes);
        let mut received = receive(bytes);
        assert_eq!(
            received.remove(2),
            Err(ReceiveError::Body {
                queue_offset: 12,
                error: CompressError::TooLong { max: 1000 }
            })
        );
        let received: Vec<_> = received.into_iter().map(Result::unwrap).collect();
        let bodies: Vec<_> = received.iter().map(|m| m.message.body.as_ref()).collect();
        assert_eq!(bodies, [b"plain".as_slice(), b"small", b"last"]);
        assert_eq!(received[1].sys_flag, 0x300);
        assert_eq!(received[0].msg_id(), "7F00000100002A9F0000000000000003");
        assert_eq!(received[0].message.tag(), Some("t"));
        assert_eq!(received[0].message.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_broken_record_ends_the_reply() {
        let mut bytes = Vec::new();
        push_record(b"plain", 0, 10, &mut bytes);
        bytes.extend_from_slice(b"junk");
        let received = receive(bytes);
        assert_eq!(received.len(), 2);
        assert!(matches!(received[1], Err(ReceiveError::Record(_))));
    }

    #[test]
    fn wrapped_batches_are_unwrapped() {
        let mut inner = Vec::new();
        for body in [b"a", b"b"] {
            let message = BatchMessage {
                flag: 5,
                body,
                properties: b"UNIQ_KEY\x01id\x02",
            };
            message.encode(&mut inner).unwrap();
        }
        let mut bytes = Vec::new();
        push_record(
            &inner,
            sysflag::INNER_BATCH | sysflag::NEED_UNWRAP,
            20,
            &mut bytes,
        );
        push_record(b"x", 0, 22, &mut bytes);
        let received = receive(bytes);
        let messages = received[0]
            .as_ref()
            .unwrap()
            .unwrap_batch()
            .unwrap()
            .unwrap();
        let got: Vec<_> = messages
            .iter()
            .map(|m| (m.queue_offset, m.message.body.as_ref()))
            .collect();
        assert_eq!(got, [(20, b"a".as_slice()), (21, b"b")]);
        assert_eq!(messages[0].msg_id(), "id");
        assert_eq!(received[1].as_ref().unwrap().unwrap_batch(), Ok(None));
    }

    #[test]
    fn property_maps_are_written_by_name() {
        let mut message = Message::new("T", b"b".as_slice());
        message
            .set_tag("t")
            .set_keys(["a", "b"])
            .set_property("empty", "");
        let text = property_text(&message.properties).unwrap();
        assert_eq!(text, b"KEYS\x01a b\x02TAGS\x01t\x02");
        assert_eq!(message.delay_level(), 0);
        assert!(message.waits_for_store());
        message.set_property("x\u{1}", "y");
        assert!(property_text(&message.properties).is_err());
        assert_eq!(property_map(b"a\x011\x02a\x012\x02")["a"], "2");
    }
}
