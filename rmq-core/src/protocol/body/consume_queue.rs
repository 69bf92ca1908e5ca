//! A part of a consume queue, as an operator looks at it.

use serde::{Deserialize, Serialize};

use crate::protocol::filter::tag::SubscriptionData;

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeQueueEntry {
    /// Bits of the filters that match; only of extended queues.
    pub bit_map: Option<String>,
    /// Whether the group's filter matches; only of extended queues.
    pub eval: bool,
    /// The extension; only of extended queues.
    pub extend_data_json: Option<String>,
    /// What is wrong with the entry.
    pub msg: Option<String>,
    /// Log offset of the message.
    pub physic_offset: i64,
    /// Length of the message in bytes.
    pub physic_size: i32,
    /// Hash of the tag, or the time that a delayed message is due, ms.
    pub tags_code: i64,
}

/// The answer to QUERY_CONSUME_QUEUE (321).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeQueuePart {
    /// The filter of the group asked for as a text of JSON, `null` for tags; or that the group is
    /// not there.
    pub filter_data: Option<String>,
    /// Offset after the last message.
    pub max_queue_index: i64,
    /// Offset of the first message.
    pub min_queue_index: i64,
    /// The entries.
    pub queue_data: Option<Vec<ConsumeQueueEntry>>,
    /// The subscription of the group asked for.
    pub subscription_data: Option<SubscriptionData>,
}

super::body!(ConsumeQueuePart);
