//! The members of a consumer group.

use serde::{Deserialize, Serialize};

/// Ids of the clients in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerList {
    /// The ids.
    #[serde(rename = "consumerIdList")]
    pub ids: Vec<String>,
}

super::body!(ConsumerList);
