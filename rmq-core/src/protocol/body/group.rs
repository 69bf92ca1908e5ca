//! The settings of consumer groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::data_version::DataVersion;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::json::{Flavour, Json};

super::json_enum! {
    /// How long a message waits before it is tried again.
    GroupRetryPolicyType default Customized {
        /// Twice as long each time, or by another factor.
        Exponential = "EXPONENTIAL",
        /// By a list.
        Customized = "CUSTOMIZED",
    }
}

/// Waits that grow by a factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExponentialRetryPolicy {
    /// The first wait, ms.
    #[serde(rename = "initial")]
    pub initial_ms: i64,
    /// The longest wait, ms.
    #[serde(rename = "max")]
    pub max_ms: i64,
    /// The factor.
    pub multiplier: i64,
    /// Members that this release does not know; they are written back.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

impl Default for ExponentialRetryPolicy {
    fn default() -> Self {
        Self {
            initial_ms: 5_000,
            max_ms: 7_200_000,
            multiplier: 2,
            unknown: BTreeMap::new(),
        }
    }
}

/// Waits by a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomizedRetryPolicy {
    /// The waits, ms; the last one goes on.
    #[serde(rename = "next", serialize_with = "super::as_set")]
    pub next_ms: Vec<i64>,
    /// Members that this release does not know; they are written back.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

impl Default for CustomizedRetryPolicy {
    fn default() -> Self {
        const SECOND: i64 = 1000;
        const MINUTE: i64 = 60 * SECOND;
        const HOUR: i64 = 60 * MINUTE;
        Self {
            next_ms: vec![
                SECOND,
                5 * SECOND,
                10 * SECOND,
                30 * SECOND,
                MINUTE,
                2 * MINUTE,
                3 * MINUTE,
                4 * MINUTE,
                5 * MINUTE,
                6 * MINUTE,
                7 * MINUTE,
                8 * MINUTE,
                9 * MINUTE,
                10 * MINUTE,
                20 * MINUTE,
                30 * MINUTE,
                HOUR,
                2 * HOUR,
            ],
            unknown: BTreeMap::new(),
        }
    }
}

/// How long a message waits before it is tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRetryPolicy {
    /// The list of the second kind; absent means the default list.
    pub customized_retry_policy: Option<CustomizedRetryPolicy>,
    /// The numbers of the first kind; absent means the default list, too.
    pub exponential_retry_policy: Option<ExponentialRetryPolicy>,
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: GroupRetryPolicyType,
    /// Members that this release does not know; they are written back.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

/// A subscription that every member of a group is to have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SimpleSubscriptionData {
    /// The expression.
    pub expression: Option<String>,
    /// Its type.
    pub expression_type: Option<String>,
    /// The topic.
    pub topic: String,
    /// The newest counts.
    pub version: i64,
    /// Members that this release does not know; they are written back.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

/// The settings of a consumer group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionGroupConfig {
    /// Attributes by name.
    pub attributes: BTreeMap<String, String>,
    /// The broker to consume from.
    pub broker_id: i64,
    /// The group may broadcast.
    pub consume_broadcast_enable: bool,
    /// The group may consume.
    pub consume_enable: bool,
    /// The group may start at the first message.
    pub consume_from_min_enable: bool,
    /// Messages are consumed in order.
    pub consume_message_orderly: bool,
    /// A message is taken back after this long, in minutes.
    pub consume_timeout_minute: i32,
    /// The name.
    pub group_name: String,
    /// How long a message waits before it is tried again.
    pub group_retry_policy: GroupRetryPolicy,
    /// Flags.
    pub group_sys_flag: i32,
    /// Members are told when others come and go.
    pub notify_consumer_ids_changed_enable: bool,
    /// How often a message is tried again before it is a dead letter.
    pub retry_max_times: i32,
    /// Queues of the retry topic.
    pub retry_queue_nums: i32,
    /// Subscriptions that every member is to have.
    #[serde(serialize_with = "optional_set")]
    pub subscription_data_set: Option<Vec<SimpleSubscriptionData>>,
    /// The broker to suggest to a group that is far behind.
    pub which_broker_when_consume_slowly: i64,
    /// Members that this release does not know; they are written back.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, Json>,
}

fn optional_set<S: serde::Serializer>(
    set: &Option<Vec<SimpleSubscriptionData>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match set {
        Some(items) => super::as_set(items, serializer),
        None => serializer.serialize_none(),
    }
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            broker_id: 0,
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: false,
            consume_timeout_minute: 15,
            group_name: String::new(),
            group_retry_policy: GroupRetryPolicy::default(),
            group_sys_flag: 0,
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            subscription_data_set: None,
            which_broker_when_consume_slowly: 1,
            unknown: BTreeMap::new(),
        }
    }
}

impl SubscriptionGroupConfig {
    /// A group with the default settings.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            group_name: name.into(),
            ..Self::default()
        }
    }
}

/// The groups of a broker: `subscriptionGroup.json`, and what it tells others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupTable {
    /// The version of the table.
    pub data_version: DataVersion,
    /// Bits of what a group may not do with a topic, by group and topic.
    #[serde(rename = "forbiddenTable")]
    pub forbidden: BTreeMap<String, BTreeMap<String, i32>>,
    /// The groups by name.
    #[serde(rename = "subscriptionGroupTable")]
    pub groups: BTreeMap<String, SubscriptionGroupConfig>,
}

impl GroupTable {
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

/// Groups to create.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriptionGroupList {
    /// The groups.
    #[serde(rename = "groupConfigList")]
    pub groups: Vec<SubscriptionGroupConfig>,
}

/// The subscription of a group to a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupSubscription {
    /// The group.
    pub group: String,
    /// What it takes, if it is known.
    #[serde(rename = "subscriptionData")]
    pub subscription: Option<SubscriptionData>,
    /// The topic.
    pub topic: String,
}

/// Whether a group may read a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupForbidden {
    /// The group.
    pub group: String,
    /// Whether it may.
    pub readable: bool,
    /// The topic.
    pub topic: String,
}

super::body!(
    GroupForbidden,
    SubscriptionGroupConfig,
    GroupTable,
    SubscriptionGroupList,
    GroupSubscription
);
