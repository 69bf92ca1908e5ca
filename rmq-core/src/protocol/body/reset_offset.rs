//! New offsets for a group.

use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;

/// Offsets by queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResetOffset {
    /// The offsets.
    #[serde(rename = "offsetTable", with = "super::pairs")]
    pub offsets: Vec<(MessageQueue, i64)>,
}

/// An offset of a queue in one object, as C++ clients read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueOffset {
    /// The broker's name.
    pub broker_name: String,
    /// The offset.
    pub offset: i64,
    /// Number of the queue.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

/// The same for C++ clients, which cannot read objects as keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResetOffsetList {
    /// The offsets.
    #[serde(rename = "offsetTable")]
    pub offsets: Vec<QueueOffset>,
}

super::body!(ResetOffset, ResetOffsetList);
