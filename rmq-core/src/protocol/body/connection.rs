//! The clients of a group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::heartbeat::{ConsumeFromWhere, ConsumeType, MessageModel};
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::language::Language;

/// A connected client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Connection {
    /// Its address.
    pub client_addr: String,
    /// Its id.
    pub client_id: String,
    /// What it is written in.
    #[serde(with = "language_name")]
    pub language: Language,
    /// Its version.
    pub version: i32,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            client_addr: String::new(),
            client_id: String::new(),
            language: Language::OTHER,
            version: 0,
        }
    }
}

/// A language by its name; read by number too.
mod language_name {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::protocol::language::Language;

    pub(super) fn serialize<S: Serializer>(
        language: &Language,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(language.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Language, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(text
            .parse()
            .map_or_else(|_| Language::from_name(&text), Language::new))
    }
}

/// The clients and subscriptions of a consumer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConsumerConnection {
    /// The clients.
    #[serde(rename = "connectionSet")]
    pub connections: Vec<Connection>,
    /// Where a group without an offset starts.
    pub consume_from_where: ConsumeFromWhere,
    /// How the group gets its messages.
    pub consume_type: ConsumeType,
    /// Who of the group gets a message.
    pub message_model: MessageModel,
    /// What it takes, by topic.
    #[serde(rename = "subscriptionTable")]
    pub subscriptions: BTreeMap<String, SubscriptionData>,
}

/// The clients of a producer group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerConnection {
    /// The clients.
    #[serde(rename = "connectionSet")]
    pub connections: Vec<Connection>,
}

/// A client of a producer group, with the time it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ProducerInfo {
    /// Its id.
    pub client_id: String,
    /// What it is written in.
    #[serde(with = "language_name")]
    pub language: Language,
    /// When it was last heard of, ms since the epoch.
    #[serde(rename = "lastUpdateTimestamp")]
    pub last_update_timestamp_ms: i64,
    /// Its address.
    #[serde(rename = "remoteIP")]
    pub remote_ip: String,
    /// Its version.
    pub version: i32,
}

impl Default for ProducerInfo {
    fn default() -> Self {
        Self {
            client_id: String::new(),
            language: Language::OTHER,
            last_update_timestamp_ms: 0,
            remote_ip: String::new(),
            version: 0,
        }
    }
}

/// All producer groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProducerTable {
    /// Clients by group.
    #[serde(rename = "data")]
    pub groups: BTreeMap<String, Vec<ProducerInfo>>,
}

super::body!(ConsumerConnection, ProducerConnection, ProducerTable);
