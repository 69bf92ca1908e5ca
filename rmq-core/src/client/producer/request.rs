//! Request-reply: a message that waits for another in answer.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use parking_lot::Mutex;

use super::core::Core;
use super::{Producer, SendOptions};
use crate::base::{Error, ErrorKind, Result};
use crate::client::wait::Slot;
use crate::net::PushedRequest;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::message::compress;
use crate::protocol::message::properties::names;
use crate::protocol::message::sysflag;
use crate::protocol::message::user::{Message, ReceivedMessage, property_map};
use crate::protocol::request::push::PushReplyMessageRequest;

const OP: &str = "request";

/// What a waiting caller is told.
type Reply = Result<ReceivedMessage>;

/// Requests that wait for their replies, by correlation id.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: Mutex<HashMap<String, Slot<Reply>>>,
}

impl Requests {
    fn tell(&self, id: &str, reply: Reply) -> bool {
        let slot = self.waiting.lock().remove(id);
        slot.map(|slot| slot.put(reply)).is_some()
    }

    /// Ends every request.
    pub(crate) fn close(&self) {
        for (_, slot) in self.waiting.lock().drain() {
            slot.put(Err(Error::new(
                ErrorKind::Closed,
                OP,
                "the producer is closed",
            )));
        }
    }
}

impl Producer {
    /// Sends a message and waits for the message that its consumer answers with. `Timeout`: nobody
    /// answered within `timeout`, the sending included. Other errors as for sends.
    pub fn request(&self, mut message: Message, timeout: Duration) -> Result<ReceivedMessage> {
        let runtime = &self.core.instance.runtime;
        let until = runtime.now().saturating_add(timeout);
        let id = runtime.unique_id().as_str().to_owned();
        message
            .set_property(names::CORRELATION_ID, id.clone())
            .set_property(names::REPLY_TO_CLIENT, self.client_id())
            .set_property(names::TTL, timeout.as_millis().to_string());
        let slot = Slot::new();
        let requests = &self.core.requests;
        requests.waiting.lock().insert(id.clone(), slot.clone());
        let sent = self.send_with(message, SendOptions::within(timeout));
        if let Err(error) = sent {
            requests.waiting.lock().remove(&id);
            return Err(error);
        }
        // Closed meanwhile, perhaps after the list was emptied.
        if let Err(error) = self.core.check() {
            requests.tell(&id, Err(error));
        }
        let reply = slot.take(until.saturating_sub(runtime.now()));
        requests.waiting.lock().remove(&id);
        reply.unwrap_or_else(|| {
            let context = format!("no reply within {timeout:?}");
            Err(Error::new(ErrorKind::Timeout, OP, context))
        })
    }
}

/// The message that answers a request; a producer sends it like any other. `Invalid`: the message
/// does not wait for a reply.
pub fn reply_to(request: &ReceivedMessage, body: impl Into<bytes::Bytes>) -> Result<Message> {
    let needed = |name: &str| {
        let value = request.message.property(name);
        value.map(str::to_owned).ok_or_else(|| {
            let context = format!("the message waits for no reply: it has no {name}");
            Error::new(ErrorKind::Invalid, OP, context)
        })
    };
    let topic = format!("{}_REPLY_TOPIC", needed(names::CLUSTER)?);
    let mut reply = Message::new(topic, body);
    reply.set_property(names::MSG_TYPE, super::sending::REPLY);
    for name in [names::CORRELATION_ID, names::REPLY_TO_CLIENT, names::TTL] {
        reply.set_property(name, needed(name)?);
    }
    Ok(reply)
}

impl Core {
    /// A broker brings a reply.
    pub(crate) fn take_reply(&self, request: &PushedRequest) {
        let max = self.options.max_message_bytes.saturating_mul(2);
        let (code, remark) = match read_reply(&request.command, max) {
            Ok(mut reply) => {
                self.instance.unwrap_topic(&mut reply.message);
                let id = reply.message.property(names::CORRELATION_ID);
                let id = id.unwrap_or_default().to_owned();
                if !self.requests.tell(&id, Ok(reply)) {
                    tracing::debug!(id, "a reply that nobody waits for");
                }
                (ResponseCode::SUCCESS, None)
            }
            Err(error) => (ResponseCode::SYSTEM_ERROR, Some(error.to_string())),
        };
        request.answer(Command::response_to(&request.command, code, remark));
    }
}

fn read_reply(command: &Command, max_bytes: usize) -> Result<ReceivedMessage> {
    let header: PushReplyMessageRequest = command.header()?;
    let inflated = compress::inflate_body(&command.body, header.sys_flag, max_bytes)?;
    let text = header.properties.unwrap_or_default();
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    // Java writes an address with a slash before it.
    let host = |text: &str| text.trim_start_matches('/').parse().unwrap_or(unknown);
    Ok(ReceivedMessage {
        message: Message {
            topic: header.topic,
            flag: header.flag,
            body: inflated.map_or_else(|| command.body.clone(), Into::into),
            properties: property_map(text.as_bytes()),
        },
        queue_id: header.queue_id,
        queue_offset: 0,
        physical_offset: 0,
        sys_flag: sysflag::without_compression(header.sys_flag),
        born_timestamp_ms: header.born_timestamp_ms,
        born_host: host(&header.born_host),
        store_timestamp_ms: header.store_timestamp_ms,
        store_host: host(&header.store_host),
        reconsume_times: header.reconsume_times.unwrap_or(0),
        prepared_transaction_offset: 0,
        body_crc: 0,
        store_len: command.body.len(),
    })
}
