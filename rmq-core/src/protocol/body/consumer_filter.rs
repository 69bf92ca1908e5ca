//! What groups filter by when they filter by an expression: `consumerFilter.json`.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::protocol::json::Flavour;

/// The filters of all groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerFilterTable {
    /// By topic.
    #[serde(rename = "filterDataByTopic")]
    pub topics: BTreeMap<String, TopicFilters>,
}

/// The filters of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicFilters {
    /// By consumer group.
    #[serde(rename = "groupFilterData")]
    pub groups: BTreeMap<String, ConsumerFilter>,
    /// The topic.
    pub topic: String,
}

/// What one group takes of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerFilter {
    /// The group's bits in the bit maps of messages.
    #[serde(rename = "bloomFilterData")]
    pub bloom: Option<BloomPositions>,
    /// When the filter came, ms since the epoch.
    #[serde(rename = "bornTime")]
    pub born_ms: i64,
    /// The version of the subscription: ms since the epoch on the clock of a client.
    pub client_version: i64,
    /// The group.
    pub consumer_group: String,
    /// When the group was last seen to have no member any more, ms since the epoch; it counts only
    /// if it is not before `born_ms`.
    #[serde(rename = "deadTime")]
    pub dead_ms: i64,
    /// The expression.
    pub expression: String,
    /// Its type, such as `SQL92`.
    pub expression_type: String,
    /// The topic.
    pub topic: String,
}

/// Bits that stand for a group and a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BloomPositions {
    /// Bits of a whole bit map.
    pub bit_num: u32,
    /// The places of the bits.
    #[serde(serialize_with = "super::as_set")]
    pub bit_pos: Vec<u32>,
}

impl ConsumerFilter {
    /// Whether the group has had no member since `dead_ms`.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead_ms >= self.born_ms
    }
}

impl Serialize for ConsumerFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut filter = serializer.serialize_struct("ConsumerFilter", 9)?;
        if let Some(bloom) = &self.bloom {
            filter.serialize_field("bloomFilterData", bloom)?;
        }
        filter.serialize_field("bornTime", &self.born_ms)?;
        filter.serialize_field("clientVersion", &self.client_version)?;
        filter.serialize_field("consumerGroup", &self.consumer_group)?;
        filter.serialize_field("dead", &self.is_dead())?;
        filter.serialize_field("deadTime", &self.dead_ms)?;
        filter.serialize_field("expression", &self.expression)?;
        filter.serialize_field("expressionType", &self.expression_type)?;
        filter.serialize_field("topic", &self.topic)?;
        filter.end()
    }
}

impl ConsumerFilterTable {
    /// Writes the file.
    #[must_use]
    pub fn encode_file(&self) -> Vec<u8> {
        self.encode_as(Flavour::Pretty)
    }
}

super::body!(ConsumerFilterTable);
