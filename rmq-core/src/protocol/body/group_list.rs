//! A list of consumer groups.

use serde::{Deserialize, Serialize};

/// Names of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupList {
    /// The names.
    #[serde(rename = "groupList")]
    pub groups: Vec<String>,
}

super::body!(GroupList);
