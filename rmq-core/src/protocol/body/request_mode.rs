//! How the groups of a broker get their messages: `messageRequestMode.json`, and what a broker
//! tells its slaves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

super::json_enum! {
    /// How consumers get their messages.
    MessageRequestMode default Pull {
        /// From queues that are divided among them.
        Pull = "PULL",
        /// From the broker, which divides the messages.
        Pop = "POP",
    }
}

/// The mode of one group at one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupRequestMode {
    /// The group.
    pub consumer_group: String,
    /// The mode.
    pub mode: MessageRequestMode,
    /// How many consumers share a queue under POP; 0 all.
    pub pop_share_queue_num: i32,
    /// The topic.
    pub topic: String,
}

/// Modes by topic and group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestModeTable {
    /// The modes.
    #[serde(rename = "messageRequestModeMap")]
    pub modes: BTreeMap<String, BTreeMap<String, GroupRequestMode>>,
}

super::body!(GroupRequestMode, RequestModeTable);
