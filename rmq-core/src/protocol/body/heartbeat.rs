//! What a client tells every broker of itself.

use serde::{Deserialize, Serialize};

use crate::protocol::filter::tag::SubscriptionData;

super::json_enum! {
    /// How a consumer gets its messages.
    ConsumeType default Passively {
        /// It pulls.
        Actively = "CONSUME_ACTIVELY",
        /// They are pushed to it.
        Passively = "CONSUME_PASSIVELY",
        /// It pops.
        Pop = "CONSUME_POP",
    }
}

super::json_enum! {
    /// Who of a group gets a message.
    MessageModel default Clustering {
        /// Every member.
        Broadcasting = "BROADCASTING",
        /// One member.
        Clustering = "CLUSTERING",
    }
}

super::json_enum! {
    /// Where a group without an offset starts.
    ConsumeFromWhere default LastOffset {
        /// At the end.
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        /// Kept for old clients.
        LastOffsetAndMinWhenBootFirst =
            "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// Kept for old clients.
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        /// Kept for old clients.
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        /// At the beginning.
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        /// At a point in time.
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    }
}

/// A heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeartbeatData {
    /// The client.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Its consumer groups.
    #[serde(rename = "consumerDataSet")]
    pub consumers: Vec<ConsumerData>,
    /// Tells subscriptions apart without comparing them; 0 from clients that do not use it.
    pub heartbeat_fingerprint: i32,
    /// Its producer groups.
    #[serde(rename = "producerDataSet")]
    pub producers: Vec<ProducerData>,
    /// The subscriptions were left out: they are those of an earlier heartbeat.
    pub without_sub: bool,
}

/// A consumer group of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerData {
    /// Where a group without an offset starts.
    pub consume_from_where: ConsumeFromWhere,
    /// How it gets its messages.
    pub consume_type: ConsumeType,
    /// The group.
    pub group_name: String,
    /// Who of the group gets a message.
    pub message_model: MessageModel,
    /// What it takes, by topic.
    #[serde(rename = "subscriptionDataSet")]
    pub subscriptions: Vec<SubscriptionData>,
    /// The group belongs to a unit.
    pub unit_mode: bool,
}

/// A producer group of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerData {
    /// The group.
    pub group_name: String,
}

super::body!(HeartbeatData);
