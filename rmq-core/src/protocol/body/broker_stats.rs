//! Counters of a broker over three spans of time.

use serde::{Deserialize, Serialize};

/// A counter over a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStatsItem {
    /// Average of an event.
    #[serde(rename = "avgpt")]
    pub average: f64,
    /// Sum over the span.
    pub sum: i64,
    /// Events a second.
    pub tps: f64,
}

/// A counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BrokerStatsData {
    /// Over the last day.
    pub stats_day: BrokerStatsItem,
    /// Over the last hour.
    pub stats_hour: BrokerStatsItem,
    /// Over the last minute.
    pub stats_minute: BrokerStatsItem,
}

super::body!(BrokerStatsData);
