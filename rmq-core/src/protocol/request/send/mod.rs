//! Sending: SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320) and the replies
//! SEND_REPLY_MESSAGE (324) and SEND_REPLY_MESSAGE_V2 (325).

pub mod fast;
#[cfg(test)]
mod tests;

use super::{EncodeHeader, FieldValue, HeaderError};
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::ext::ExtFields;
use crate::protocol::header::{Sink, WriteFields};

/// The header of every kind of send, whichever names its fields had on the wire. Strings borrow
/// from the header or from a scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendRequest<'a> {
    /// The producer's group.
    pub producer_group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The topic whose settings a new topic takes.
    pub default_topic: &'a str,
    /// Queues that a new topic gets.
    pub default_topic_queue_nums: i32,
    /// The queue; negative lets the broker choose.
    pub queue_id: i32,
    /// Bits of `message::sysflag`.
    pub sys_flag: i32,
    /// When the producer made the message, in milliseconds since 1970.
    pub born_timestamp_ms: i64,
    /// The user's own flag.
    pub flag: i32,
    /// The message's properties as they are stored.
    pub properties: Option<&'a str>,
    /// How often the message was consumed before.
    pub reconsume_times: i32,
    /// Whether the producer is in unit mode.
    pub unit_mode: bool,
    /// Whether the body holds several messages.
    pub batch: bool,
    /// After how many tries the message goes to the dead-letter queue.
    pub max_reconsume_times: Option<i32>,
    /// The broker that the client means, for topics that are mapped over brokers.
    pub broker_name: Option<&'a str>,
}

/// Slots of the fields, in the order of the short names `a` to `n`.
mod slot {
    pub(super) const PRODUCER_GROUP: usize = 0;
    pub(super) const TOPIC: usize = 1;
    pub(super) const DEFAULT_TOPIC: usize = 2;
    pub(super) const DEFAULT_TOPIC_QUEUE_NUMS: usize = 3;
    pub(super) const QUEUE_ID: usize = 4;
    pub(super) const SYS_FLAG: usize = 5;
    pub(super) const BORN_TIMESTAMP: usize = 6;
    pub(super) const FLAG: usize = 7;
    pub(super) const PROPERTIES: usize = 8;
    pub(super) const RECONSUME_TIMES: usize = 9;
    pub(super) const UNIT_MODE: usize = 10;
    pub(super) const MAX_RECONSUME_TIMES: usize = 11;
    pub(super) const BATCH: usize = 12;
    pub(super) const BROKER_NAME: usize = 13;
    pub(super) const COUNT: usize = 14;
}

/// One field's names.
struct Names {
    short: &'static str,
    long: &'static str,
    /// The short name with the long one, for an error.
    both: &'static str,
}

macro_rules! names {
    ($($short:literal $long:literal,)*) => {
        [$(Names { short: $short, long: $long, both: concat!($long, " (", $short, ")") },)*]
    };
}

const NAMES: [Names; slot::COUNT] = names![
    "a" "producerGroup",
    "b" "topic",
    "c" "defaultTopic",
    "d" "defaultTopicQueueNums",
    "e" "queueId",
    "f" "sysFlag",
    "g" "bornTimestamp",
    "h" "flag",
    "i" "properties",
    "j" "reconsumeTimes",
    "k" "unitMode",
    "l" "maxReconsumeTimes",
    "m" "batch",
    "n" "bname",
];

/// Whether requests of this code name their fields `a` to `n`.
fn has_short_names(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::SEND_MESSAGE_V2
            | RequestCode::SEND_BATCH_MESSAGE
            | RequestCode::SEND_REPLY_MESSAGE_V2
    )
}

impl<'a> SendRequest<'a> {
    /// Reads the fields under the names that requests of `code` give them.
    ///
    /// # Errors
    /// When a required field is missing or a field has a wrong value.
    pub fn decode(code: RequestCode, ext: &'a ExtFields) -> Result<Self, HeaderError> {
        let fields = Reader {
            ext,
            short: has_short_names(code),
        };
        Ok(Self {
            producer_group: fields.text(slot::PRODUCER_GROUP)?,
            topic: fields.text(slot::TOPIC)?,
            default_topic: fields.text(slot::DEFAULT_TOPIC)?,
            default_topic_queue_nums: fields.value(slot::DEFAULT_TOPIC_QUEUE_NUMS)?,
            queue_id: fields.value(slot::QUEUE_ID)?,
            sys_flag: fields.value(slot::SYS_FLAG)?,
            born_timestamp_ms: fields.value(slot::BORN_TIMESTAMP)?,
            flag: fields.value(slot::FLAG)?,
            properties: fields.get(slot::PROPERTIES),
            reconsume_times: fields.value_opt(slot::RECONSUME_TIMES)?.unwrap_or(0),
            unit_mode: fields.value_opt(slot::UNIT_MODE)?.unwrap_or(false),
            batch: fields.value_opt(slot::BATCH)?.unwrap_or(false),
            max_reconsume_times: fields.value_opt(slot::MAX_RECONSUME_TIMES)?,
            broker_name: fields.get(slot::BROKER_NAME),
        })
    }

    /// Sets the fields under the names that requests of `code` give them.
    pub fn encode(&self, code: RequestCode, ext: &mut ExtFields) {
        if has_short_names(code) {
            ShortNames(self).write(ext);
        } else {
            LongNames(self).write(ext);
        }
    }

    /// A request of `code` without a body.
    #[must_use]
    pub fn command(&self, code: RequestCode) -> Command {
        let mut command = Command::bare_request(code);
        self.encode(code, &mut command.ext);
        command
    }
}

struct Reader<'a> {
    ext: &'a ExtFields,
    short: bool,
}

impl<'a> Reader<'a> {
    fn get(&self, slot: usize) -> Option<&'a str> {
        let names = &NAMES[slot];
        self.ext
            .get(if self.short { names.short } else { names.long })
    }

    fn shown_name(&self, slot: usize) -> &'static str {
        let names = &NAMES[slot];
        if self.short { names.both } else { names.long }
    }

    fn text(&self, slot: usize) -> Result<&'a str, HeaderError> {
        self.get(slot).ok_or(HeaderError::Missing {
            field: self.shown_name(slot),
        })
    }

    fn value<T: FieldValue>(&self, slot: usize) -> Result<T, HeaderError> {
        self.value_opt(slot)?.ok_or(HeaderError::Missing {
            field: self.shown_name(slot),
        })
    }

    fn value_opt<T: FieldValue>(&self, slot: usize) -> Result<Option<T>, HeaderError> {
        let Some(text) = self.get(slot) else {
            return Ok(None);
        };
        match T::parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(HeaderError::invalid(
                self.shown_name(slot),
                text,
                T::EXPECTED,
            )),
        }
    }
}

struct ShortNames<'a>(&'a SendRequest<'a>);

impl WriteFields for ShortNames<'_> {
    fn write(&self, sink: &mut impl Sink) {
        let it = self.0;
        sink.text("a", it.producer_group);
        sink.text("b", it.topic);
        sink.text("c", it.default_topic);
        sink.int("d", it.default_topic_queue_nums.into());
        sink.int("e", it.queue_id.into());
        sink.int("f", it.sys_flag.into());
        sink.int("g", it.born_timestamp_ms);
        sink.int("h", it.flag.into());
        sink.text_opt("i", it.properties);
        sink.int("j", it.reconsume_times.into());
        sink.flag("k", it.unit_mode);
        sink.int_opt("l", it.max_reconsume_times.map(i64::from));
        sink.flag("m", it.batch);
        sink.text_opt("n", it.broker_name);
    }
}

struct LongNames<'a>(&'a SendRequest<'a>);

impl WriteFields for LongNames<'_> {
    fn write(&self, sink: &mut impl Sink) {
        let it = self.0;
        sink.flag("batch", it.batch);
        sink.text_opt("bname", it.broker_name);
        sink.int("bornTimestamp", it.born_timestamp_ms);
        sink.text("defaultTopic", it.default_topic);
        sink.int("defaultTopicQueueNums", it.default_topic_queue_nums.into());
        sink.int("flag", it.flag.into());
        sink.int_opt("maxReconsumeTimes", it.max_reconsume_times.map(i64::from));
        sink.text("producerGroup", it.producer_group);
        sink.text_opt("properties", it.properties);
        sink.int("queueId", it.queue_id.into());
        sink.int("reconsumeTimes", it.reconsume_times.into());
        sink.int("sysFlag", it.sys_flag.into());
        sink.text("topic", it.topic);
        sink.flag("unitMode", it.unit_mode);
    }
}

/// What a broker says of a stored message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendResponse<'a> {
    /// The offset message id; of a batch, all of them joined by commas.
    pub msg_id: &'a str,
    /// The queue that the message went to.
    pub queue_id: i32,
    /// Its position in that queue.
    pub queue_offset: i64,
    /// The transaction's id.
    pub transaction_id: Option<&'a str>,
    /// The id of a batch that is kept as one record.
    pub batch_uniq_id: Option<&'a str>,
    /// With it a delayed message can be recalled.
    pub recall_handle: Option<&'a str>,
    /// The broker's region, under `MSG_REGION`.
    pub region: Option<&'a str>,
    /// Whether the broker wants traces, under `TRACE_ON`.
    pub trace_on: Option<bool>,
}

impl<'a> SendResponse<'a> {
    /// Reads the fields.
    ///
    /// # Errors
    /// When a required field is missing or a field has a wrong value.
    pub fn decode(ext: &'a ExtFields) -> Result<Self, HeaderError> {
        use super::Field;
        Ok(Self {
            msg_id: ext
                .get("msgId")
                .ok_or(HeaderError::Missing { field: "msgId" })?,
            queue_id: i32::read(ext, "queueId", "queueId")?,
            queue_offset: i64::read(ext, "queueOffset", "queueOffset")?,
            transaction_id: ext.get("transactionId"),
            batch_uniq_id: ext.get("batchUniqId"),
            recall_handle: ext.get("recallHandle"),
            region: ext.get("MSG_REGION"),
            trace_on: Option::read(ext, "TRACE_ON", "TRACE_ON")?,
        })
    }
}

impl WriteFields for SendResponse<'_> {
    fn write(&self, sink: &mut impl Sink) {
        sink.text_opt("MSG_REGION", self.region);
        if let Some(trace_on) = self.trace_on {
            sink.flag("TRACE_ON", trace_on);
        }
        sink.text_opt("batchUniqId", self.batch_uniq_id);
        sink.text("msgId", self.msg_id);
        sink.int("queueId", self.queue_id.into());
        sink.int("queueOffset", self.queue_offset);
        sink.text_opt("recallHandle", self.recall_handle);
        sink.text_opt("transactionId", self.transaction_id);
    }
}

impl EncodeHeader for SendResponse<'_> {
    fn encode(&self, ext: &mut ExtFields) {
        self.write(ext);
    }
}
