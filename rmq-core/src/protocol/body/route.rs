//! The route of a topic: which brokers have it and how many queues each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mapping::TopicQueueMappingInfo;

/// Where a topic is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicRouteData {
    /// The brokers.
    #[serde(rename = "brokerDatas")]
    pub brokers: Vec<BrokerData>,
    /// Filter servers by broker address.
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// Queues in order for ordered topics: `broker:count;broker:count`.
    pub order_topic_conf: Option<String>,
    /// The queues of each broker.
    #[serde(rename = "queueDatas")]
    pub queues: Vec<QueueData>,
    /// Mappings of a static topic by broker.
    pub topic_queue_mapping_by_broker: Option<BTreeMap<String, TopicQueueMappingInfo>>,
}

/// The addresses under one broker name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerData {
    /// Addresses by broker id; 0 is the master.
    pub broker_addrs: BTreeMap<i64, String>,
    /// The broker's name.
    pub broker_name: String,
    /// The cluster.
    pub cluster: String,
    /// Slaves may stand in for a master that is gone.
    pub enable_acting_master: bool,
    /// The zone that the broker runs in.
    pub zone_name: Option<String>,
}

/// The queues of a topic on one broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QueueData {
    /// The broker's name.
    pub broker_name: String,
    /// Permission bits of the topic there.
    pub perm: i32,
    /// How many queues are read.
    pub read_queue_nums: i32,
    /// Flags of the topic; old releases misspell the name.
    #[serde(alias = "topicSynFlag")]
    pub topic_sys_flag: i32,
    /// How many queues are written.
    pub write_queue_nums: i32,
}

super::body!(TopicRouteData, BrokerData, QueueData);
