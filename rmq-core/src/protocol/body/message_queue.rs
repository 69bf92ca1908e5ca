//! The name of a queue in a cluster.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// A queue of a topic on a broker. Ordered by topic, broker and number, as clients share queues
/// out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MessageQueue {
    /// The broker's name, shared by a master and its slaves.
    pub broker_name: String,
    /// Number of the queue on that broker.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

super::body!(MessageQueue);

impl Ord for MessageQueue {
    fn cmp(&self, other: &Self) -> Ordering {
        self.topic
            .cmp(&other.topic)
            .then_with(|| self.broker_name.cmp(&other.broker_name))
            .then_with(|| self.queue_id.cmp(&other.queue_id))
    }
}

impl PartialOrd for MessageQueue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
