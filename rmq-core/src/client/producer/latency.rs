//! Brokers that were slow or failed, and how long they are left alone.

use std::collections::HashMap;
use std::time::Duration;

/// A send that took at least this long, ms, sends the broker to rest for so long, ms.
const REST_AFTER: [(u64, u64); 5] = [
    (15_000, 30_000),
    (5_000, 10_000),
    (3_000, 6_000),
    (1_800, 5_000),
    (550, 2_000),
];
/// A send that failed counts as one that took so long, ms.
const FAILURE_MS: u64 = 10_000;

/// Until when brokers rest, by name.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    rest_until: HashMap<String, Duration>,
}

impl Latency {
    /// A send took `latency`, or failed.
    pub(crate) fn sent(&mut self, broker: &str, latency: Option<Duration>, now: Duration) {
        let latency_ms = latency.map_or(FAILURE_MS, |latency| {
            u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)
        });
        let rest = REST_AFTER.iter().find(|(least, _)| latency_ms >= *least);
        match rest {
            Some((_, rest_ms)) => {
                let until = now + Duration::from_millis(*rest_ms);
                self.rest_until.insert(broker.to_owned(), until);
            }
            None => drop(self.rest_until.remove(broker)),
        }
    }

    pub(crate) fn is_well(&self, broker: &str, now: Duration) -> bool {
        self.rest_until
            .get(broker)
            .is_none_or(|until| now >= *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn slow_brokers_rest_the_longer_the_slower_they_were() {
        let mut latency = Latency::default();
        for (took_ms, rest_ms) in [(549, 0), (550, 2_000), (3_000, 6_000), (99_999, 30_000)] {
            latency.sent("a", Some(took_ms * MS), MS);
            assert!(latency.is_well("a", (1 + rest_ms) * MS));
            assert!(rest_ms == 0 || !latency.is_well("a", rest_ms * MS));
        }
        latency.sent("a", None, MS);
        assert!(!latency.is_well("a", 10_000 * MS));
        assert!(latency.is_well("a", 10_001 * MS));
        latency.sent("a", Some(MS), 2 * MS);
        assert!(latency.is_well("a", 3 * MS));
        assert!(latency.is_well("b", MS));
    }
}
