//! A list of topics.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Names of topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopicList {
    /// The broker that answers, in some answers.
    pub broker_addr: Option<String>,
    /// The names.
    #[serde(rename = "topicList")]
    pub topics: BTreeSet<String>,
}

super::body!(TopicList);
