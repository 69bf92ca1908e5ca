//! Clusters and the brokers in them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::route::BrokerData;

/// All brokers that a nameserver knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClusterInfo {
    /// Addresses by broker name.
    #[serde(rename = "brokerAddrTable")]
    pub brokers: BTreeMap<String, BrokerData>,
    /// Broker names by cluster.
    #[serde(rename = "clusterAddrTable")]
    pub clusters: BTreeMap<String, BTreeSet<String>>,
}

/// A master and its slaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerMemberGroup {
    /// Addresses by broker id.
    pub broker_addrs: BTreeMap<i64, String>,
    /// Their name.
    pub broker_name: String,
    /// Their cluster.
    pub cluster: String,
}

/// The answer to a question for a member group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerMemberGroupResponse {
    /// The group, if the nameserver knows it.
    #[serde(rename = "brokerMemberGroup")]
    pub group: Option<BrokerMemberGroup>,
}

super::body!(ClusterInfo, BrokerMemberGroup, BrokerMemberGroupResponse);
