//! The offsets that groups committed, and those of delayed delivery.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::data_version::DataVersion;
use crate::protocol::json::{Flavour, inline_set};

/// Between topic and group in the name of a row.
pub const TOPIC_GROUP_SEPARATOR: char = '@';

/// The committed offsets: `consumerOffset.json`, and what a broker tells its slaves. Written with
/// the topics of each group, which are derived; they are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerOffsetTable {
    /// The version of the table.
    pub data_version: DataVersion,
    /// Offsets by queue number, by `topic@group`.
    #[serde(rename = "offsetTable")]
    pub offsets: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// Topics of a group.
struct Topics<'a>(BTreeSet<&'a str>);

impl Serialize for Topics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        inline_set(&self.0, serializer)
    }
}

impl Serialize for ConsumerOffsetTable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut groups = BTreeMap::new();
        for (topic, group) in self
            .offsets
            .keys()
            .filter_map(|row| row.split_once(TOPIC_GROUP_SEPARATOR))
        {
            groups
                .entry(group)
                .or_insert_with(|| Topics(BTreeSet::new()))
                .0
                .insert(topic);
        }
        let mut table = serializer.serialize_struct("ConsumerOffsetTable", 3)?;
        table.serialize_field("dataVersion", &self.data_version)?;
        table.serialize_field("groupTopicMap", &groups)?;
        table.serialize_field("offsetTable", &self.offsets)?;
        table.end()
    }
}

impl ConsumerOffsetTable {
    /// Writes the file.
    #[must_use]
    pub fn encode_file(&self) -> Vec<u8> {
        self.encode_as(Flavour::Pretty)
    }

    /// Writes the body that a broker hands its slaves and tools.
    #[must_use]
    pub fn encode_wire(&self) -> Vec<u8> {
        self.encode()
    }
}

/// How far delayed messages were delivered: `delayOffset.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DelayOffsetTable {
    /// The version of the table.
    pub data_version: DataVersion,
    /// Offset of the next message by delay level.
    #[serde(rename = "offsetTable")]
    pub offsets: BTreeMap<i32, i64>,
}

impl DelayOffsetTable {
    /// Writes the file.
    #[must_use]
    pub fn encode_file(&self) -> Vec<u8> {
        self.encode_as(Flavour::Pretty)
    }

    /// Writes the body that a broker hands its slaves and tools.
    #[must_use]
    pub fn encode_wire(&self) -> Vec<u8> {
        self.encode()
    }
}

/// Where the consumers of a topic are, by queue number: the answer to QUERY_CORRECTION_OFFSET.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorrectionOffsets {
    /// The least offset of the groups that were asked about, or `i64::MAX` if the group that they
    /// are compared with is behind it.
    #[serde(rename = "correctionOffsets")]
    pub offsets: BTreeMap<i32, i64>,
}

super::body!(ConsumerOffsetTable, DelayOffsetTable, CorrectionOffsets);
