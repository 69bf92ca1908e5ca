//! The version of a configuration table.

use serde::{Deserialize, Serialize};

use crate::protocol::json::{self, Flavour};

/// Moves with every change of a table; tables are equal when all three parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DataVersion {
    /// Changes so far.
    pub counter: i64,
    /// Version of the store's state; an epoch under a controller.
    pub state_version: i64,
    /// Time of the last change, ms since the epoch.
    #[serde(rename = "timestamp")]
    pub timestamp_ms: i64,
}

super::body!(DataVersion);

impl DataVersion {
    /// Notes a change at `now_ms`.
    pub fn advance(&mut self, now_ms: i64) {
        self.advance_in(now_ms, 0);
    }

    /// Notes a change at `now_ms` in the state `state_version`.
    pub fn advance_in(&mut self, now_ms: i64, state_version: i64) {
        self.timestamp_ms = now_ms;
        self.state_version = state_version;
        self.counter = self.counter.wrapping_add(1);
    }

    /// The body as text, for headers that carry it.
    #[must_use]
    pub fn to_text(&self) -> String {
        json::to_text(self, Flavour::Fastjson)
    }
}
