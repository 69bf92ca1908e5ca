//! Messages as JavaScript gives and gets them.

use std::collections::HashMap;

use napi::bindgen_prelude::{BigInt, Buffer};
use napi_derive::napi;
use rmq_core::embed::{self, Message, MessageQueue, ReceivedMessage, SendStatus};

use crate::failure::Failure;

/// A message to send, but for its body.
#[napi(object)]
pub struct NativeMessage {
    /// The topic.
    pub topic: String,
    /// The tag.
    pub tags: Option<String>,
    /// The keys, separated by spaces.
    pub keys: Option<String>,
    /// A number for the program's own use.
    pub flag: Option<i32>,
    /// The delay level, from 1.
    pub delay_level: Option<i32>,
    /// How long after it was stored it is delivered, ms.
    pub delay_ms: Option<f64>,
    /// When it is delivered, ms since the epoch.
    pub deliver_at_ms: Option<f64>,
    /// Other properties.
    pub properties: Option<HashMap<String, String>>,
}

impl NativeMessage {
    pub(crate) fn with_body(self, body: &[u8]) -> Message {
        let mut message = Message::new(self.topic, body.to_vec());
        message.flag = self.flag.unwrap_or(0);
        message.properties = self.properties.unwrap_or_default().into_iter().collect();
        if let Some(tags) = self.tags {
            message.set_tag(tags);
        }
        if let Some(keys) = self.keys {
            message.set_keys([keys.as_str()]);
        }
        if let Some(level) = self.delay_level {
            message.set_delay_level(level);
        }
        // JavaScript checked that these are whole numbers from 0.
        if let Some(ms) = self.delay_ms {
            message.set_delay_ms(ms as u64);
        }
        if let Some(ms) = self.deliver_at_ms {
            message.set_deliver_at_ms(ms as i64);
        }
        message
    }
}

/// A queue of a topic.
#[napi(object)]
#[derive(Clone)]
pub struct NativeQueue {
    /// The topic.
    pub topic: String,
    /// The broker's name.
    pub broker_name: String,
    /// The number of the queue on that broker.
    pub queue_id: i32,
}

impl From<MessageQueue> for NativeQueue {
    fn from(queue: MessageQueue) -> Self {
        Self {
            topic: queue.topic,
            broker_name: queue.broker_name,
            queue_id: queue.queue_id,
        }
    }
}

impl From<NativeQueue> for MessageQueue {
    fn from(queue: NativeQueue) -> Self {
        Self {
            topic: queue.topic,
            broker_name: queue.broker_name,
            queue_id: queue.queue_id,
        }
    }
}

/// What became of a message.
#[napi(object)]
pub struct NativeSendResult {
    /// SEND_OK, FLUSH_DISK_TIMEOUT, FLUSH_SLAVE_TIMEOUT or SLAVE_NOT_AVAILABLE.
    pub status: String,
    /// Its unique id.
    pub msg_id: String,
    /// The id that says where it is stored.
    pub offset_msg_id: String,
    /// The queue it is in.
    pub queue: NativeQueue,
    /// Its offset there.
    pub queue_offset: BigInt,
    /// The transaction's id, of a half message.
    pub transaction_id: Option<String>,
    /// With it a timed message can be recalled.
    pub recall_handle: Option<String>,
}

impl From<embed::SendResult> for NativeSendResult {
    fn from(sent: embed::SendResult) -> Self {
        let status = match sent.status {
            SendStatus::Ok => "SEND_OK",
            SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
            SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
            SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
        };
        Self {
            status: status.to_owned(),
            msg_id: sent.msg_id,
            offset_msg_id: sent.offset_msg_id,
            queue: sent.queue.into(),
            queue_offset: BigInt::from(sent.queue_offset),
            transaction_id: sent.transaction_id,
            recall_handle: sent.recall_handle,
        }
    }
}

/// A message from a broker.
#[napi(object)]
pub struct NativeReceived {
    /// The topic.
    pub topic: String,
    /// The body.
    pub body: Buffer,
    /// The id that its producer gave it, or else the one that says where it is stored.
    pub msg_id: String,
    /// The properties: name \x01 value \x02, repeated.
    pub properties: String,
    /// A number for the program's own use.
    pub flag: i32,
    /// The name of the broker that it came from, where it is known.
    pub broker_name: Option<String>,
    /// The number of its queue on that broker.
    pub queue_id: i32,
    /// Its offset there.
    pub queue_offset: BigInt,
    /// How often it came before and was not consumed.
    pub reconsume_times: i32,
    /// When it was sent, ms since the epoch.
    pub born_timestamp_ms: f64,
    /// When it was stored, ms since the epoch.
    pub store_timestamp_ms: f64,
    /// By whom it was sent.
    pub born_host: String,
    /// Where it was stored.
    pub store_host: String,
    /// The id that says where it is stored.
    pub offset_msg_id: String,
    /// What it is answered for with.
    pub token: u32,
}

impl NativeReceived {
    pub(crate) fn new(received: &ReceivedMessage, broker: Option<&str>, token: u32) -> Self {
        let message = &received.message;
        let mut properties = String::new();
        for (name, value) in &message.properties {
            properties.push_str(name);
            properties.push('\u{1}');
            properties.push_str(value);
            properties.push('\u{2}');
        }
        Self {
            topic: message.topic.clone(),
            body: message.body.to_vec().into(),
            msg_id: received.msg_id(),
            properties,
            flag: message.flag,
            broker_name: broker.map(str::to_owned),
            queue_id: received.queue_id,
            queue_offset: BigInt::from(received.queue_offset),
            reconsume_times: received.reconsume_times,
            born_timestamp_ms: received.born_timestamp_ms as f64,
            store_timestamp_ms: received.store_timestamp_ms as f64,
            born_host: received.born_host.to_string(),
            store_host: received.store_host.to_string(),
            offset_msg_id: received.offset_msg_id().as_str().to_owned(),
            token,
        }
    }

    /// One that is not answered for.
    pub(crate) fn plain(received: &ReceivedMessage) -> Self {
        Self::new(received, None, 0)
    }
}

/// A message that answers a request, or why there is none.
#[napi(object)]
pub struct NativeReply {
    /// Where it goes.
    pub topic: Option<String>,
    /// Its properties.
    pub properties: Option<HashMap<String, String>>,
    /// Why there is none.
    pub failure: Option<Failure>,
}

/// The topic and the properties of a message that answers a request with these properties.
#[napi]
#[must_use]
pub fn reply_to(properties: HashMap<String, String>) -> NativeReply {
    let request = ReceivedMessage::new(Message {
        properties: properties.into_iter().collect(),
        ..Message::default()
    });
    match embed::reply_to(&request, Vec::new()) {
        Ok(reply) => NativeReply {
            topic: Some(reply.topic),
            properties: Some(reply.properties.into_iter().collect()),
            failure: None,
        },
        Err(error) => NativeReply {
            topic: None,
            properties: None,
            failure: Some(error.into()),
        },
    }
}
