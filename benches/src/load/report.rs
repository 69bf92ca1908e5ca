//! What a measurement found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use rmq_core::protocol::code::ResponseCode;
use serde_json::{Value, json};

/// Latencies in microseconds, from send (or, in an open loop, from the time a request was due) to
/// the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// 90 of 100 were faster.
    pub p90: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// 999 of 1,000 were faster.
    pub p99_9: f64,
    /// The slowest.
    pub max: f64,
}

impl Latency {
    /// From a histogram of nanoseconds.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "nanoseconds of a minute fit 53 bits"
    )]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: histogram.max() as f64 / 1e3,
        }
    }
}

/// What a measurement found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The time that counted.
    pub elapsed: Duration,
    /// Requests answered in that time with success.
    pub requests: u64,
    /// Messages in them.
    pub messages: u64,
    /// Bytes of bodies: of messages sent, of records pulled.
    pub bytes: u64,
    /// Latencies of the requests begun, or due, in that time.
    pub latency: Latency,
    /// Answers other than success, by code.
    pub refused: BTreeMap<i32, u64>,
    /// Requests that never had an answer.
    pub unanswered: u64,
    /// Connections that broke, with the reason of each.
    pub broken: Vec<String>,
    /// Requests that were due when the window of every connection was full.
    pub late: u64,
    /// Share of one core that the generator itself used; near 1 it measures itself.
    pub own_cpu: f64,
}

impl Report {
    fn per_second(&self, count: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let count = count as f64;
        count / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Requests a second.
    #[must_use]
    pub fn requests_per_s(&self) -> f64 {
        self.per_second(self.requests)
    }

    /// Messages a second.
    #[must_use]
    pub fn messages_per_s(&self) -> f64 {
        self.per_second(self.messages)
    }

    /// Whether every request was answered with success.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.refused.is_empty() && self.unanswered == 0 && self.broken.is_empty()
    }

    /// One JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let refused: serde_json::Map<String, Value> = self
            .refused
            .iter()
            .map(|(code, n)| (code.to_string(), json!(n)))
            .collect();
        let latency = &self.latency;
        json!({
            "elapsed_s": self.elapsed.as_secs_f64(),
            "requests": self.requests,
            "messages": self.messages,
            "requests_per_s": self.requests_per_s().round(),
            "messages_per_s": self.messages_per_s().round(),
            "mib_per_s": self.per_second(self.bytes) / f64::from(1 << 20),
            "latency_us": {
                "mean": latency.mean,
                "p50": latency.p50,
                "p90": latency.p90,
                "p99": latency.p99,
                "p99.9": latency.p99_9,
                "max": latency.max,
            },
            "refused": refused,
            "unanswered": self.unanswered,
            "broken": self.broken,
            "late": self.late,
            "own_cpu": self.own_cpu,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.latency;
        writeln!(
            f,
            "requests   {:>12}  {:>12.0}/s  in {:.1} s",
            self.requests,
            self.requests_per_s(),
            self.elapsed.as_secs_f64()
        )?;
        writeln!(
            f,
            "messages   {:>12}  {:>12.0}/s  {:.1} MiB/s of bodies",
            self.messages,
            self.messages_per_s(),
            self.per_second(self.bytes) / f64::from(1 << 20)
        )?;
        writeln!(
            f,
            "latency    mean {:.0} us  p50 {:.0}  p90 {:.0}  p99 {:.0}  p99.9 {:.0}  max {:.0}",
            latency.mean, latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max
        )?;
        for (code, count) in &self.refused {
            writeln!(f, "refused    {count:>12}  {}", ResponseCode::new(*code))?;
        }
        if self.unanswered > 0 {
            writeln!(f, "unanswered {:>12}", self.unanswered)?;
        }
        if self.late > 0 {
            writeln!(f, "late       {:>12}  (every window was full)", self.late)?;
        }
        for reason in &self.broken {
            writeln!(f, "broken     {reason}")?;
        }
        write!(f, "generator  {:.0}% of one core", self.own_cpu * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_microseconds() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 120_000_000_000, 3).unwrap();
        for us in 1..=1000_u64 {
            histogram.record(us * 1000).unwrap();
        }
        let latency = Latency::of(&histogram);
        assert!((latency.p50 - 500.0).abs() < 1.0, "{latency:?}");
        assert!((latency.p99 - 990.0).abs() < 1.0, "{latency:?}");
        assert!((latency.max - 1000.0).abs() < 1.0, "{latency:?}");
    }

    #[test]
    fn rates_and_trouble_are_told() {
        let mut report = Report {
            elapsed: Duration::from_secs(2),
            requests: 10,
            messages: 320,
            ..Report::default()
        };
        assert!(report.is_clean());
        assert_eq!(report.to_json()["messages_per_s"], json!(160.0));
        report.refused.insert(2, 5);
        assert!(!report.is_clean());
        assert_eq!(report.to_json()["refused"]["2"], json!(5));
        assert!(report.to_string().contains("SYSTEM_BUSY"));
    }
}
