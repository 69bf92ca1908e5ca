//! From what a program sends to what travels: checked, numbered, compressed.

use bytes::Bytes;

use super::options::{ProducerOptions, Target};
use super::sending::REPLY;
use crate::base::{Error, ErrorKind, Result};
use crate::client::names;
use crate::client::trace::{Kind, Traced};
use crate::protocol::message::batch::{BatchMessage, MIN_LEN};
use crate::protocol::message::compress;
use crate::protocol::message::properties::{self, names as property};
use crate::protocol::message::sysflag;
use crate::protocol::message::user::{Message, PropertyMap, property_text};
use crate::protocol::names::{DLQ_PREFIX, RETRY_PREFIX};

const OP: &str = "check message";

/// A message, or a batch of them, that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) topic: String,
    pub(crate) flag: i32,
    pub(crate) sys_flag: i32,
    pub(crate) properties: String,
    pub(crate) body: Bytes,
    pub(crate) batch: bool,
    /// It answers a request.
    pub(crate) reply: bool,
    /// The unique id; of a batch, all of them joined by commas.
    pub(crate) msg_id: String,
    /// It cannot travel with others.
    pub(crate) alone: bool,
    pub(crate) tags: Option<String>,
    /// Whether the broker is to answer only after flush and replication.
    pub(crate) waits: bool,
    pub(crate) kind: Kind,
    /// What traces tell of each message, and the bytes of its body; empty without traces.
    pub(crate) traced: Vec<(Traced, usize)>,
}

impl Outgoing {
    /// Bytes of the message in a batch.
    pub(crate) fn batched_bytes(&self) -> usize {
        MIN_LEN + self.body.len() + self.properties.len()
    }
}

fn invalid(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, OP, context)
}

fn limit(context: String) -> Error {
    Error::new(ErrorKind::Limit, OP, context)
}

/// The id of a message; one that has none gets that of `new_id`.
fn identify(message: &mut Message, new_id: impl FnOnce() -> String) -> String {
    if let Some(id) = message.unique_id().filter(|id| !id.is_empty()) {
        return id.to_owned();
    }
    let id = new_id();
    message.set_property(property::UNIQ_KEY, id.clone());
    id
}

fn properties_of(map: &PropertyMap) -> Result<String> {
    let text = property_text(map).map_err(|error| invalid(error.to_string()))?;
    if text.len() > properties::MAX_BYTES {
        let (have, max) = (text.len(), properties::MAX_BYTES);
        return Err(limit(format!(
            "the properties take {have} bytes, and {max} is the most"
        )));
    }
    Ok(String::from_utf8(text).expect("names, values and separators are UTF-8"))
}

fn check_body(len: usize, options: &ProducerOptions) -> Result<()> {
    let max = options.max_message_bytes;
    if len > max {
        return Err(limit(format!(
            "the body has {len} bytes, and {max} is the most"
        )));
    }
    Ok(())
}

/// Properties of messages that a broker cannot take in a batch.
const NOT_IN_BATCHES: [&str; 6] = [
    property::DELAY,
    property::TIMER_DELAY_SEC,
    property::TIMER_DELAY_MS,
    property::TIMER_DELIVER_MS,
    property::TRANSACTION_PREPARED,
    property::RETRY_TOPIC,
];

/// Properties of messages that are not put into a batch unasked.
const NOT_HELD: [&str; 2] = [property::PRODUCER_GROUP, property::CORRELATION_ID];

fn has_any(message: &Message, names: &[&str]) -> bool {
    names.iter().any(|name| message.property(name).is_some())
}

fn kind(message: &Message) -> Kind {
    if message.property(property::TRANSACTION_PREPARED) == Some("true") {
        Kind::Half
    } else if has_any(message, &NOT_IN_BATCHES[..4]) {
        Kind::Delayed
    } else {
        Kind::Normal
    }
}

/// Gives a message its id and writes its properties.
fn written(
    mut message: Message,
    options: &ProducerOptions,
    new_id: impl FnOnce() -> String,
) -> Result<Outgoing> {
    let msg_id = identify(&mut message, new_id);
    let of_group = [RETRY_PREFIX, DLQ_PREFIX];
    let of_group = of_group
        .iter()
        .any(|prefix| message.topic.starts_with(prefix));
    let mut traced = Vec::new();
    if options.client.trace && message.topic != options.client.trace_topic {
        traced.push((Traced::of(&message, msg_id.clone()), message.body.len()));
    }
    let reply = message.property(property::MSG_TYPE) == Some(REPLY);
    Ok(Outgoing {
        reply,
        properties: properties_of(&message.properties)?,
        sys_flag: 0,
        batch: false,
        msg_id,
        alone: reply
            || of_group
            || has_any(&message, &NOT_IN_BATCHES)
            || has_any(&message, &NOT_HELD),
        tags: message.tag().map(str::to_owned),
        waits: message.waits_for_store(),
        kind: kind(&message),
        traced,
        topic: message.topic,
        flag: message.flag,
        body: message.body,
    })
}

/// Makes one message ready.
pub(crate) fn single(
    mut message: Message,
    target: &Target,
    options: &ProducerOptions,
    new_id: impl FnOnce() -> String,
) -> Result<Outgoing> {
    names::check_send_topic(&message.topic)?;
    check_body(message.body.len(), options)?;
    if message.body.is_empty() {
        return Err(invalid(
            "the message has no body, and brokers take none without",
        ));
    }
    if let Target::ShardingKey(key) = target {
        message.set_property(property::SHARDING_KEY, key.clone());
    }
    let mut out = written(message, options, new_id)?;
    let over = options.compress_over_bytes;
    if over > 0 && out.body.len() >= over {
        let kind = options.compression;
        let packed = compress::compress(kind, &out.body, options.compress_level);
        out.body = packed.into();
        out.sys_flag |= sysflag::COMPRESSED | kind.bits();
        out.alone = true;
    }
    if out.kind == Kind::Half {
        out.sys_flag = sysflag::with_transaction(out.sys_flag, sysflag::TRANSACTION_PREPARED);
    }
    Ok(out)
}

/// Makes several messages of one topic ready to travel as one; none is compressed.
pub(crate) fn batch(
    messages: Vec<Message>,
    options: &ProducerOptions,
    mut new_id: impl FnMut() -> String,
) -> Result<Outgoing> {
    let first = messages
        .first()
        .ok_or_else(|| invalid("the batch is empty"))?;
    let (topic, waits) = (first.topic.clone(), first.waits_for_store());
    names::check_send_topic(&topic)?;
    let mut ready = Vec::with_capacity(messages.len());
    for message in messages {
        if message.topic != topic {
            return Err(invalid("the messages of a batch have one topic"));
        }
        if message.waits_for_store() != waits {
            return Err(invalid(
                "all messages of a batch wait for the store, or none",
            ));
        }
        if has_any(&message, &NOT_IN_BATCHES) {
            return Err(invalid(
                "delayed, timed, retried and transactional messages go alone",
            ));
        }
        ready.push(written(message, options, &mut new_id)?);
    }
    join(ready, options)
}

/// Makes one of several messages of one topic, at least one.
pub(crate) fn join(messages: Vec<Outgoing>, options: &ProducerOptions) -> Result<Outgoing> {
    let first = messages
        .first()
        .ok_or_else(|| invalid("the batch is empty"))?;
    let (topic, waits) = (first.topic.clone(), first.waits);
    let mut body = Vec::new();
    let mut ids = Vec::with_capacity(messages.len());
    let mut traced = Vec::new();
    for message in messages {
        let part = BatchMessage {
            flag: message.flag,
            body: &message.body,
            properties: message.properties.as_bytes(),
        };
        part.encode(&mut body)?;
        check_body(body.len(), options)?;
        ids.push(message.msg_id);
        traced.extend(message.traced);
    }
    let mut shared = PropertyMap::new();
    shared.insert(property::WAIT.to_owned(), waits.to_string());
    Ok(Outgoing {
        topic,
        flag: 0,
        sys_flag: 0,
        properties: properties_of(&shared)?,
        body: body.into(),
        batch: true,
        reply: false,
        msg_id: ids.join(","),
        alone: true,
        tags: None,
        waits,
        kind: Kind::Normal,
        traced,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::batch::Batch;
    use crate::protocol::message::sysflag::Compression;
    use crate::protocol::message::user::property_map;

    fn options() -> ProducerOptions {
        ProducerOptions {
            max_message_bytes: 10_000,
            ..ProducerOptions::new("g", "n:1")
        }
    }

    fn ready(message: Message, target: &Target) -> Result<Outgoing> {
        single(message, target, &options(), || "ID".to_owned())
    }

    #[test]
    fn a_message_gets_an_id_and_its_key() {
        let key = Target::ShardingKey("k".to_owned());
        let out = ready(Message::new("T", "b"), &key).unwrap();
        let properties = property_map(out.properties.as_bytes());
        assert_eq!(properties["UNIQ_KEY"], "ID");
        assert_eq!(properties["__SHARDINGKEY"], "k");
        assert_eq!((out.sys_flag, out.msg_id.as_str()), (0, "ID"));
        let mut own = Message::new("T", "b");
        own.set_property("UNIQ_KEY", "mine")
            .set_property("TRAN_MSG", "true");
        let out = ready(own, &Target::Any).unwrap();
        assert_eq!((out.sys_flag, out.msg_id.as_str()), (4, "mine"));
    }

    #[test]
    fn large_bodies_are_compressed_as_the_flag_says() {
        for kind in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
            let mut options = options();
            options.compression = kind;
            for (len, compressed) in [(1, false), (4095, false), (4096, true), (10_000, true)] {
                let message = Message::new("T", vec![7; len]);
                let out = single(message, &Target::Any, &options, String::new).unwrap();
                assert_eq!(sysflag::is_compressed(out.sys_flag), compressed, "{len}");
                let body = match compress::inflate_body(&out.body, out.sys_flag, len).unwrap() {
                    Some(inflated) => inflated,
                    None => out.body.to_vec(),
                };
                assert_eq!(body, vec![7; len]);
                assert!(!compressed || sysflag::compression(out.sys_flag) == Ok(kind));
            }
        }
    }

    #[test]
    fn limits_hold_at_the_limit_and_not_above() {
        ready(Message::new("T", vec![0; 10_000]), &Target::Any).unwrap();
        let error = ready(Message::new("T", vec![0; 10_001]), &Target::Any).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
        // UNIQ_KEY, ID, the name and separators take the rest.
        let room = properties::MAX_BYTES - "UNIQ_KEY\u{1}ID\u{2}p\u{1}\u{2}".len();
        for (len, fits) in [(room, true), (room + 1, false)] {
            let mut message = Message::new("T", "b");
            message.set_property("p", "x".repeat(len));
            assert_eq!(ready(message, &Target::Any).is_ok(), fits, "{len}");
        }
        for (name, value) in [("", "x"), ("a\u{1}", "x"), ("a", "x\u{2}")] {
            let mut message = Message::new("T", "b");
            message.set_property(name, value);
            let error = ready(message, &Target::Any).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        for (topic, body) in [("no topic", "b"), ("T", "")] {
            let error = ready(Message::new(topic, body), &Target::Any).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn batches_hold_messages_of_one_kind() {
        let mut count = 0;
        let mut together = |messages| {
            batch(messages, &options(), || {
                count += 1;
                format!("ID{count}")
            })
        };
        let out = together(vec![Message::new("T", "a"), Message::new("T", "b")]).unwrap();
        assert_eq!((out.msg_id.as_str(), out.batch), ("ID1,ID2", true));
        let inside: Vec<_> = Batch::new(&out.body).map(|m| m.unwrap().body).collect();
        assert_eq!(inside, [b"a", b"b"]);
        assert!(together(vec![]).is_err());
        assert!(together(vec![Message::new("T", "a"), Message::new("U", "b")]).is_err());
        let mut delayed = Message::new("T", "a");
        delayed.set_delay_level(1);
        assert!(together(vec![delayed]).is_err());
        let mut hasty = Message::new("T", "a");
        hasty.set_property("WAIT", "false");
        assert!(together(vec![Message::new("T", "a"), hasty]).is_err());
        let error = together(vec![Message::new("T", vec![0; 9_000]); 2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }
}
