//! What a producer is told once, and with each message.

use std::time::Duration;

use crate::client::options::ClientOptions;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::message::compress;
use crate::protocol::message::record::DEFAULT_MAX_BODY_BYTES;
use crate::protocol::message::sysflag::Compression;

/// How a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerOptions {
    /// How the cluster is reached.
    pub client: ClientOptions,
    /// The producer group.
    pub group: String,
    /// How long one send may take, retries included, ms.
    pub send_timeout_ms: u64,
    /// How often a send that failed is tried again, on other brokers where there are any. Messages
    /// with a queue or a sharding key are not tried again.
    pub retry_times: u32,
    /// Whether a message that was stored, but less safely than asked for, is sent again elsewhere.
    pub retry_not_stored_ok: bool,
    /// Bodies of this many bytes and more are compressed; 0 compresses none.
    pub compress_over_bytes: usize,
    /// How bodies are compressed.
    pub compression: Compression,
    /// How hard bodies are compressed, 0 to 9, where the format has levels.
    pub compress_level: u32,
    /// Most bytes of a body, before compression.
    pub max_message_bytes: usize,
    /// Queues that a topic made by sending gets.
    pub new_topic_queue_nums: i32,
    /// Asynchronous sends under way at a time; one more is `Busy`.
    pub max_in_flight: usize,
    /// Whether brokers that were slow or failed are left out for a while.
    pub avoid_slow_brokers: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            client: ClientOptions::default(),
            group: "DEFAULT_PRODUCER".to_owned(),
            send_timeout_ms: 3_000,
            retry_times: 2,
            retry_not_stored_ok: false,
            compress_over_bytes: 4096,
            compression: Compression::Zlib,
            compress_level: compress::DEFAULT_LEVEL,
            max_message_bytes: DEFAULT_MAX_BODY_BYTES,
            new_topic_queue_nums: 4,
            max_in_flight: 10_000,
            avoid_slow_brokers: false,
        }
    }
}

impl ProducerOptions {
    /// The defaults, for this group and these nameservers.
    #[must_use]
    pub fn new(group: impl Into<String>, nameservers: impl Into<String>) -> Self {
        Self {
            client: ClientOptions::new(nameservers),
            group: group.into(),
            ..Self::default()
        }
    }
}

/// Where a message goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// To any queue, one after the other.
    #[default]
    Any,
    /// To this queue.
    Queue(MessageQueue),
    /// To the queue that all messages of this key go to, while the topic keeps its queues.
    ShardingKey(String),
}

/// How one message is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Where it goes.
    pub target: Target,
    /// How long it may take; `None` takes the producer's.
    pub timeout: Option<Duration>,
}

impl SendOptions {
    /// To this queue.
    #[must_use]
    pub fn to_queue(queue: MessageQueue) -> Self {
        Self {
            target: Target::Queue(queue),
            timeout: None,
        }
    }

    /// To the queue of this key.
    #[must_use]
    pub fn by_key(key: impl Into<String>) -> Self {
        Self {
            target: Target::ShardingKey(key.into()),
            timeout: None,
        }
    }

    /// Within this time.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        Self {
            target: Target::Any,
            timeout: Some(timeout),
        }
    }
}
