//! How many timed messages wait: `timermetrics`, the answer to GET_TIMER_METRICS.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::data_version::DataVersion;

/// The count of one topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimerMetric {
    /// Messages that wait.
    pub count: i64,
    /// When that changed last, ms since the epoch.
    #[serde(rename = "timeStamp")]
    pub changed_ms: i64,
}

/// Counts of waiting messages by the topic that they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TimerMetrics {
    /// Moves with every change.
    pub data_version: DataVersion,
    /// The counts.
    #[serde(rename = "timingCount")]
    pub counts: BTreeMap<String, TimerMetric>,
}

super::body!(TimerMetrics);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_fastjson_writes_it() {
        let mut metrics = TimerMetrics::default();
        let metric = TimerMetric {
            count: 3,
            changed_ms: 5,
        };
        metrics.counts.insert("t".to_owned(), metric);
        let text = String::from_utf8(metrics.encode()).unwrap();
        let expected = r#"{"dataVersion":{"counter":0,"stateVersion":0,"timestamp":0},"#.to_owned()
            + r#""timingCount":{"t":{"count":3,"timeStamp":5}}}"#;
        assert_eq!(text, expected);
        assert_eq!(TimerMetrics::decode(text.as_bytes()).unwrap(), metrics);
    }
}
