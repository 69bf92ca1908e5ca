//! The offsets that the clients of a group hold in memory.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;

/// Offsets by queue, of one client or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerStatus {
    /// Offsets by client.
    #[serde(rename = "consumerTable")]
    pub consumers: BTreeMap<String, BTreeMap<MessageQueue, i64>>,
    /// Offsets of the client that answers.
    #[serde(rename = "messageQueueTable")]
    pub queues: BTreeMap<MessageQueue, i64>,
}

super::body!(ConsumerStatus);
