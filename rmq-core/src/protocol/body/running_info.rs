//! What a consumer tells of itself, for operators.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;
use crate::protocol::filter::tag::SubscriptionData;

/// The state of a consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerRunningInfo {
    /// The queues that it has.
    #[serde(rename = "mqTable")]
    pub queues: BTreeMap<MessageQueue, QueueInfo>,
    /// What it pops of; number -1 means all queues of a broker.
    #[serde(rename = "mqPopTable")]
    pub pops: BTreeMap<MessageQueue, PopQueueInfo>,
    /// Facts by name; tools look for those that begin with `PROP_`.
    pub properties: BTreeMap<String, String>,
    /// What it takes.
    #[serde(rename = "subscriptionSet")]
    pub subscriptions: Vec<SubscriptionData>,
}

/// The state of one queue at a consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueInfo {
    /// Messages that it holds.
    pub cached_msg_count: usize,
    /// MiB that they take.
    #[serde(rename = "cachedMsgSizeInMiB")]
    pub cached_msg_size_mib: usize,
    /// The offset before which everything is done with.
    pub commit_offset: i64,
    /// The queue was taken away; misspelt on the wire.
    #[serde(rename = "droped")]
    pub dropped: bool,
    /// It holds the broker's lock.
    pub locked: bool,
}

/// The state of what a consumer pops of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PopQueueInfo {
    /// Messages that nobody said anything of yet.
    pub wait_ack_count: usize,
    /// The queue was taken away; misspelt on the wire.
    #[serde(rename = "droped")]
    pub dropped: bool,
    /// When it was last popped of, ms since the epoch.
    pub last_pop_timestamp: i64,
}

/// What came of consuming one message at an operator's wish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumeDirectlyResult {
    /// Offsets are committed without the listener's doing.
    pub auto_commit: bool,
    /// `CR_SUCCESS`, `CR_LATER` or `CR_THROW_EXCEPTION`.
    pub consume_result: String,
    /// The consumer keeps the order.
    pub order: bool,
    /// A sentence for a person.
    pub remark: Option<String>,
    /// How long the listener took, ms; misspelt on the wire.
    pub spent_time_mills: i64,
}

super::body!(
    ConsumerRunningInfo,
    QueueInfo,
    PopQueueInfo,
    ConsumeDirectlyResult
);
