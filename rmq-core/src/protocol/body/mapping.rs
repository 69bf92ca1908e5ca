//! Mappings of static topics: logical queues onto the queues of brokers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Scope of a topic that is known everywhere.
pub const SCOPE_GLOBAL: &str = "__global__";

/// The logical queues that a broker has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicQueueMappingInfo {
    /// The broker.
    pub bname: String,
    /// Physical queue by logical queue.
    pub curr_id_map: BTreeMap<i32, i32>,
    /// The data is out of date.
    pub dirty: bool,
    /// Tells newer data from older.
    pub epoch: i64,
    /// Where the topic is known.
    pub scope: String,
    /// The topic.
    pub topic: String,
    /// Logical queues of the topic.
    pub total_queues: i32,
}

impl Default for TopicQueueMappingInfo {
    fn default() -> Self {
        Self {
            bname: String::new(),
            curr_id_map: BTreeMap::new(),
            dirty: false,
            epoch: 0,
            scope: SCOPE_GLOBAL.to_owned(),
            topic: String::new(),
            total_queues: 0,
        }
    }
}

/// A stretch of a logical queue on a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LogicQueueMappingItem {
    /// The broker.
    pub bname: String,
    /// Physical offset after the last message; -1 while open.
    pub end_offset: i64,
    /// Number of the stretch.
    #[serde(rename = "gen")]
    pub generation: i32,
    /// Logical offset of its first message.
    pub logic_offset: i64,
    /// Physical queue.
    pub queue_id: i32,
    /// Physical offset of its first message.
    pub start_offset: i64,
    /// Not used yet; -1.
    pub time_of_end: i64,
    /// Not used yet; -1.
    pub time_of_start: i64,
}

impl Default for LogicQueueMappingItem {
    fn default() -> Self {
        Self {
            bname: String::new(),
            end_offset: -1,
            generation: 0,
            logic_offset: 0,
            queue_id: 0,
            start_offset: 0,
            time_of_end: -1,
            time_of_start: -1,
        }
    }
}

/// The logical queues that a broker has, with their stretches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicQueueMappingDetail {
    /// The broker.
    pub bname: String,
    /// Physical queue by logical queue.
    pub curr_id_map: BTreeMap<i32, i32>,
    /// The data is out of date.
    pub dirty: bool,
    /// Tells newer data from older.
    pub epoch: i64,
    /// Stretches by logical queue.
    pub hosted_queues: BTreeMap<i32, Vec<LogicQueueMappingItem>>,
    /// Where the topic is known.
    pub scope: String,
    /// The topic.
    pub topic: String,
    /// Logical queues of the topic.
    pub total_queues: i32,
}

impl Default for TopicQueueMappingDetail {
    fn default() -> Self {
        let info = TopicQueueMappingInfo::default();
        Self {
            bname: info.bname,
            curr_id_map: info.curr_id_map,
            dirty: info.dirty,
            epoch: info.epoch,
            hosted_queues: BTreeMap::new(),
            scope: info.scope,
            topic: info.topic,
            total_queues: info.total_queues,
        }
    }
}

super::body!(TopicQueueMappingInfo, TopicQueueMappingDetail);
