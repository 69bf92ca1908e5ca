//! Queues that a broker assigns to the consumers of a group.

use serde::{Deserialize, Serialize};

use super::heartbeat::MessageModel;
use super::message_queue::MessageQueue;
use super::request_mode::MessageRequestMode;

/// The body of QUERY_ASSIGNMENT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueryAssignment {
    /// Who asks.
    pub client_id: String,
    /// His group.
    pub consumer_group: String,
    /// How the group shares messages.
    pub message_model: MessageModel,
    /// The name of the way that queues are divided.
    pub strategy_name: String,
    /// The topic.
    pub topic: String,
}

impl Default for QueryAssignment {
    fn default() -> Self {
        Self {
            client_id: String::new(),
            consumer_group: String::new(),
            message_model: MessageModel::Clustering,
            strategy_name: String::new(),
            topic: String::new(),
        }
    }
}

/// A queue and how its messages are got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueAssignment {
    /// The queue; number -1 means all of its broker.
    pub message_queue: MessageQueue,
    /// How.
    pub mode: MessageRequestMode,
}

/// The answer to QUERY_ASSIGNMENT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Assignments {
    /// The queues; `None` when it cannot be told, and the consumer keeps what it has.
    #[serde(rename = "messageQueueAssignments")]
    pub queues: Option<Vec<QueueAssignment>>,
}

super::body!(QueryAssignment, Assignments);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_rocketmqs() {
        let text = r#"{"clientId":"c","consumerGroup":"g","messageModel":"CLUSTERING","strategyName":"AVG","topic":"T"}"#;
        let query = QueryAssignment::decode(text.as_bytes()).unwrap();
        assert_eq!(query.encode(), text.as_bytes());
        assert_eq!(Assignments::default().encode(), b"{}");
        let queue = MessageQueue {
            broker_name: "b".to_owned(),
            queue_id: -1,
            topic: "T".to_owned(),
        };
        let answer = Assignments {
            queues: Some(vec![QueueAssignment {
                message_queue: queue,
                mode: MessageRequestMode::Pull,
            }]),
        };
        let text = r#"{"messageQueueAssignments":[{"messageQueue":{"brokerName":"b","queueId":-1,"topic":"T"},"mode":"PULL"}]}"#;
        assert_eq!(answer.encode(), text.as_bytes());
        assert_eq!(Assignments::decode(text.as_bytes()).unwrap(), answer);
    }
}
