//! What a producer is told once, and with each message.

use std::time::Duration;

use super::accumulate::Limits;
use crate::base::{Error, ErrorKind, Result};
use crate::client::hooks::{Hooks, SendHook};
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
    /// Bytes of the bodies of sends under way; an asynchronous send that does not fit is `Busy`, a
    /// synchronous one waits for room as long as it may take. One message always fits.
    pub max_in_flight_bytes: usize,
    /// Whether brokers that were slow or failed are left out for a while.
    pub avoid_slow_brokers: bool,
    /// Whether single messages, sent with or without waiting, are held for a moment and travel
    /// with others of the same topic, target and tag. Each is answered by itself. Delayed, timed
    /// and transactional messages, requests, replies and bodies to be compressed go alone.
    pub auto_batch: bool,
    /// How long a message is held at most, besides the time that it may take, ms.
    pub batch_hold_ms: u64,
    /// Held messages with this many bytes of bodies go at once.
    pub batch_max_bytes: usize,
    /// Bytes of bodies in batches that are held or under way; beyond it messages go alone.
    pub batch_total_bytes: usize,
    /// What runs around every send.
    pub hooks: Hooks<dyn SendHook>,
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
            max_in_flight_bytes: 100 << 20,
            avoid_slow_brokers: false,
            auto_batch: false,
            batch_hold_ms: 10,
            batch_max_bytes: 32 << 10,
            batch_total_bytes: 32 << 20,
            hooks: Hooks::default(),
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

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = if self.new_topic_queue_nums < 1 {
            "new_topic_queue_nums is less than 1"
        } else if !(1..=30_000).contains(&self.batch_hold_ms) {
            "batch_hold_ms is not from 1 to 30,000"
        } else if !(1..=2 << 20).contains(&self.batch_max_bytes) {
            "batch_max_bytes is not from 1 to 2 MiB"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Invalid, "producer options", wrong))
    }

    pub(crate) fn held_limits(&self) -> Limits {
        Limits {
            hold: Duration::from_millis(self.batch_hold_ms),
            batch_bytes: self.batch_max_bytes,
            total_bytes: self.batch_total_bytes,
            encoded_bytes: self.max_message_bytes,
        }
    }
}

/// Where a message goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
