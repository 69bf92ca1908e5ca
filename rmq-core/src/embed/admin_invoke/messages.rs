//! Finding messages.

use super::{Call, Entry, OP, object, text, unreadable};
use crate::base::{Error, ErrorKind, Result};
use crate::client::ReceivedMessage;
use crate::protocol::body::consume_queue::ConsumeQueuePart;
use crate::protocol::code::RequestCode;
use crate::protocol::json::Json;
use crate::protocol::message::id::OffsetMsgId;
use crate::protocol::request::query::QueryConsumeQueueRequest;

/// Messages found by a key unless said otherwise, as `mqadmin` has it.
const MAX_NUM: i32 = 64;

pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "queryMsgById",
        takes: "msgId",
        answers: "the message; the id is the one that says where it is stored (`offsetMsgId`)",
        run: by_id,
    },
    Entry {
        name: "queryMsgByUniqueKey",
        takes: "topic msgId",
        answers: "the messages; the id is the one that the sender made (`msgId`)",
        run: by_unique_key,
    },
    Entry {
        name: "queryMsgByKey",
        takes: "topic msgKey [beginTimestamp] [endTimestamp] [maxNum]",
        answers: "the messages, at most `maxNum` (64 unless said) of each broker",
        run: by_key,
    },
    Entry {
        name: "queryMsgByOffset",
        takes: "topic brokerName queueId offset",
        answers: "the message",
        run: by_offset,
    },
];

fn by_id(call: &Call<'_>) -> Result<Json> {
    let id = call.arguments.needed("msgId")?;
    Ok(shown(&call.admin.message_at(&id)?))
}

fn by_unique_key(call: &Call<'_>) -> Result<Json> {
    let (topic, id) = (
        call.arguments.needed("topic")?,
        call.arguments.needed("msgId")?,
    );
    Ok(all(&call.admin.messages_by_id(&topic, &id)?))
}

fn by_key(call: &Call<'_>) -> Result<Json> {
    let arguments = &call.arguments;
    let begin_ms = arguments.integer("beginTimestamp")?.unwrap_or(0);
    let end_ms = arguments.integer("endTimestamp")?.unwrap_or(i64::MAX);
    let found = call.admin.messages_by_key_within(
        &arguments.needed("topic")?,
        &arguments.needed("msgKey")?,
        arguments.int("maxNum")?.unwrap_or(MAX_NUM),
        (begin_ms, end_ms),
    )?;
    Ok(all(&found))
}

fn by_offset(call: &Call<'_>) -> Result<Json> {
    let arguments = &call.arguments;
    let (topic, name) = (arguments.needed("topic")?, arguments.needed("brokerName")?);
    let header = QueryConsumeQueueRequest {
        topic: Some(topic.clone()),
        queue_id: arguments.int("queueId")?.unwrap_or(0),
        index: arguments.integer("offset")?.unwrap_or(0),
        count: 1,
        consumer_group: None,
    };
    let route = call.admin.route(&topic)?;
    let broker = route
        .brokers
        .into_iter()
        .find(|broker| broker.broker_name == name);
    let address = broker.and_then(|mut broker| broker.broker_addrs.remove(&0));
    let missing = |what: &str| Error::new(ErrorKind::NotFound, OP, what);
    let address = address.ok_or_else(|| missing("the topic has no master of that name"))?;
    let answer = call.ask(&address, RequestCode::QUERY_CONSUME_QUEUE, &header)?;
    let nothing = "the queue has no message at this offset";
    // Apache's brokers have no body then.
    if answer.body.is_empty() {
        return Err(missing(nothing));
    }
    let part = ConsumeQueuePart::decode(&answer.body).map_err(|e| unreadable(&address, e))?;
    let entry = part.queue_data.unwrap_or_default().into_iter().next();
    let entry = entry.ok_or_else(|| missing(nothing))?;
    let id = OffsetMsgId {
        store_host: address.parse().map_err(|e| unreadable(&address, e))?,
        physical_offset: entry.physic_offset,
    };
    Ok(shown(&call.admin.message_at(id.to_text().as_str())?))
}

fn all(messages: &[ReceivedMessage]) -> Json {
    Json::Array(messages.iter().map(shown).collect())
}

/// A message with the names of Java's fields; the body as a text if it is UTF-8, else in base64.
fn shown(received: &ReceivedMessage) -> Json {
    let message = &received.message;
    let body = match std::str::from_utf8(&message.body) {
        Ok(body) => ("body", text(body)),
        Err(_) => ("bodyBase64", text(base64(&message.body))),
    };
    let properties = message.properties.iter();
    let properties = properties.map(|(name, value)| (text(name), text(value)));
    object([
        ("topic", text(message.topic.as_str())),
        ("msgId", text(received.msg_id())),
        ("offsetMsgId", text(received.offset_msg_id().as_str())),
        ("queueId", Json::Int(received.queue_id.into())),
        ("queueOffset", Json::Int(received.queue_offset)),
        ("commitLogOffset", Json::Int(received.physical_offset)),
        ("bornTimestamp", Json::Int(received.born_timestamp_ms)),
        ("bornHost", text(received.born_host.to_string())),
        ("storeTimestamp", Json::Int(received.store_timestamp_ms)),
        ("storeHost", text(received.store_host.to_string())),
        ("flag", Json::Int(message.flag.into())),
        ("sysFlag", Json::Int(received.sys_flag.into())),
        ("storeSize", Json::Int(received.store_len as i64)),
        ("reconsumeTimes", Json::Int(received.reconsume_times.into())),
        ("properties", Json::Object(properties.collect())),
        body,
    ])
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() {
                digit as char
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
        assert_eq!(super::base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
