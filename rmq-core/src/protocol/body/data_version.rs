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
        self.advance_in(now_ms, self.state_version);
    }

    /// Notes a change at `now_ms` in the state `state_version`. The time does not go back, so that
    /// the newer of two versions stays the later one when a clock is set back, or when another
    /// broker with another clock goes on with the table.
    pub fn advance_in(&mut self, now_ms: i64, state_version: i64) {
        self.timestamp_ms = self.timestamp_ms.max(now_ms);
        self.state_version = state_version;
        self.counter = self.counter.wrapping_add(1);
    }

    /// Whether a table of the version `other` was changed after one of this.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        let key = |version: &Self| (version.state_version, version.timestamp_ms, version.counter);
        key(self) < key(other)
    }

    /// The body as text, for headers that carry it.
    #[must_use]
    pub fn to_text(&self) -> String {
        json::to_text(self, Flavour::Fastjson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_a_version_newer_whatever_the_clock_says() {
        let mut version = DataVersion::default();
        let mut before = version;
        for now_ms in [1000, 1000, 500, 2000] {
            version.advance(now_ms);
            assert!(before.is_older_than(&version), "{now_ms}");
            assert!(!version.is_older_than(&before), "{now_ms}");
            before = version;
        }
        assert!(!version.is_older_than(&version));
        version.advance_in(0, 1);
        assert!(before.is_older_than(&version));
        assert_eq!(version.timestamp_ms, 2000);
    }
}
