//! How far consumer groups are behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;

/// The offsets of a group in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OffsetWrapper {
    /// Offset after the last message.
    pub broker_offset: i64,
    /// Offset that the group committed.
    pub consumer_offset: i64,
    /// Store time of the last message consumed, ms since the epoch.
    pub last_timestamp: i64,
    /// Offset that the group pulled up to.
    pub pull_offset: i64,
}

/// The offsets of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStats {
    /// Messages a second.
    pub consume_tps: f64,
    /// Offsets by queue.
    #[serde(rename = "offsetTable", with = "super::pairs")]
    pub offsets: Vec<(MessageQueue, OffsetWrapper)>,
}

/// The offsets of all groups of a broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeStatsList {
    /// The broker.
    pub broker_addr: String,
    /// Offsets by group.
    #[serde(rename = "consumeStatsList")]
    pub stats: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    /// Messages not yet consumed.
    pub total_diff: i64,
    /// Messages pulled and not yet consumed.
    pub total_inflight_diff: i64,
}

super::body!(ConsumeStats, ConsumeStatsList);
