//! When the messages of a queue were stored and consumed.

use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;

/// Times of a queue, ms since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueTimeSpan {
    /// Store time of the message consumed last.
    #[serde(rename = "consumeTimeStamp")]
    pub consume_timestamp: i64,
    /// How long the next message has been waiting, in ms.
    pub delay_time: i64,
    /// Store time of the last message.
    #[serde(rename = "maxTimeStamp")]
    pub max_timestamp: i64,
    /// The queue.
    pub message_queue: MessageQueue,
    /// Store time of the first message.
    #[serde(rename = "minTimeStamp")]
    pub min_timestamp: i64,
}

/// Times of the queues of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumeTimeSpans {
    /// The times.
    #[serde(rename = "consumeTimeSpanSet")]
    pub spans: Vec<QueueTimeSpan>,
}

super::body!(ConsumeTimeSpans);
