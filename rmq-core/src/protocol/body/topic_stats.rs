//! The offsets of a topic's queues.

use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;

/// The offsets of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicOffset {
    /// Store time of the last message, ms since the epoch.
    pub last_update_timestamp: i64,
    /// Offset after the last message.
    pub max_offset: i64,
    /// Offset of the first message.
    pub min_offset: i64,
}

/// The offsets of a topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicStatsTable {
    /// Offsets by queue.
    #[serde(rename = "offsetTable", with = "super::pairs")]
    pub offsets: Vec<(MessageQueue, TopicOffset)>,
    /// Messages a second.
    pub topic_put_tps: f64,
}

super::body!(TopicStatsTable);
