//! Locks on queues, for consumption in order.

use serde::{Deserialize, Serialize};

use super::message_queue::MessageQueue;

/// A wish to lock or unlock queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LockRequest {
    /// The client that is to hold the locks.
    pub client_id: String,
    /// Its group.
    pub consumer_group: String,
    /// The queues.
    #[serde(rename = "mqSet")]
    pub queues: Vec<MessageQueue>,
    /// Other brokers of the same name are not to be asked.
    pub only_this_broker: bool,
}

/// The queues that the client holds after a wish to lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockResponse {
    /// The queues.
    #[serde(rename = "lockOKMQSet")]
    pub queues: Vec<MessageQueue>,
}

super::body!(LockRequest, LockResponse);
