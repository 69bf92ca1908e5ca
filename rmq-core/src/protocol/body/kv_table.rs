//! A table of texts: runtime information, key-value configuration, order configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KvTable {
    /// Values by name.
    pub table: BTreeMap<String, String>,
}

super::body!(KvTable);
