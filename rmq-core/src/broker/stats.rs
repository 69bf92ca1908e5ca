//! Counters of a broker, as `GET_BROKER_RUNTIME_INFO` shows them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Sampling period of the rates.
pub(crate) const SAMPLE_INTERVAL_MS: u64 = 1_000;

/// Samples kept: the longest rate looks back ten minutes.
const SAMPLES_MAX: usize = 601;

/// Totals since the start. Relaxed counters: they are read for people.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Messages stored.
    pub(crate) put_messages: AtomicU64,
    /// Bytes of the records stored.
    pub(crate) put_bytes: AtomicU64,
    /// Sends that were refused or failed.
    pub(crate) put_failed: AtomicU64,
    /// Messages handed to consumers.
    pub(crate) get_messages: AtomicU64,
    /// Pulls that found something.
    pub(crate) get_found: AtomicU64,
    /// Pulls that found nothing.
    pub(crate) get_missed: AtomicU64,
}

/// One reading of the totals.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_ms: u64,
    put: u64,
    found: u64,
    missed: u64,
    transferred: u64,
}

/// The rates of ten seconds, one minute and ten minutes, a second each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates(pub [f64; 3]);

impl std::fmt::Display for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [ten, minute, ten_minutes] = self.0;
        write!(
            f,
            "{} {} {}",
            JavaDouble(ten),
            JavaDouble(minute),
            JavaDouble(ten_minutes)
        )
    }
}

/// A number the way Java prints a double of everyday size.
struct JavaDouble(f64);

impl std::fmt::Display for JavaDouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The four rates of the runtime information.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllRates {
    /// Messages stored.
    pub(crate) put: Rates,
    /// Pulls that found something.
    pub(crate) found: Rates,
    /// Pulls that found nothing.
    pub(crate) missed: Rates,
    /// Messages handed out.
    pub(crate) transferred: Rates,
}

/// Counters and their recent history.
#[derive(Debug)]
pub(crate) struct Stats {
    /// Totals since the start.
    pub(crate) totals: Totals,
    /// Wall-clock time of the start.
    pub(crate) boot_ms: i64,
    /// When a slave was last in step with its master's topics, groups and offsets (ms since the
    /// epoch); 0 never.
    pub(crate) metadata_taken_ms: AtomicI64,
    samples: Mutex<VecDeque<Sample>>,
    turn: AtomicU64,
}

impl Stats {
    /// Counters that begin at zero.
    #[must_use]
    pub(crate) fn new(boot_ms: i64) -> Self {
        Self {
            totals: Totals::default(),
            boot_ms,
            metadata_taken_ms: AtomicI64::new(0),
            samples: Mutex::default(),
            turn: AtomicU64::new(0),
        }
    }

    /// A queue for a sender that leaves the choice to the broker: each in turn.
    #[must_use]
    pub(crate) fn next_queue(&self, queues: i32) -> i32 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        i32::try_from(turn % u64::from(queues.max(1).unsigned_abs())).unwrap_or(0)
    }

    fn read(&self, at_ms: u64) -> Sample {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sample {
            at_ms,
            put: load(&self.totals.put_messages),
            found: load(&self.totals.get_found),
            missed: load(&self.totals.get_missed),
            transferred: load(&self.totals.get_messages),
        }
    }

    /// Notes the totals; to be called every `SAMPLE_INTERVAL_MS`.
    pub(crate) fn sample(&self, now_ms: u64) {
        let mut samples = self.samples.lock();
        samples.push_back(self.read(now_ms));
        if samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// The rates up to now.
    #[must_use]
    pub(crate) fn rates(&self, now_ms: u64) -> AllRates {
        let samples = self.samples.lock();
        let last = self.read(now_ms);
        let rate = |of: fn(&Sample) -> u64| {
            Rates([10_000, 60_000, 600_000].map(|span_ms: u64| {
                let from_ms = now_ms.saturating_sub(span_ms);
                let Some(first) = samples.iter().find(|one| one.at_ms >= from_ms) else {
                    return 0.0;
                };
                let elapsed_ms = now_ms.saturating_sub(first.at_ms);
                if elapsed_ms == 0 {
                    return 0.0;
                }
                (of(&last) - of(first)) as f64 * 1000.0 / elapsed_ms as f64
            }))
        };
        AllRates {
            put: rate(|one| one.put),
            found: rate(|one| one.found),
            missed: rate(|one| one.missed),
            transferred: rate(|one| one.transferred),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_look_back_over_their_span_only() {
        let stats = Stats::new(0);
        for second in 0..=20 {
            stats.sample(second * 1000);
            let rate = if second < 10 { 100 } else { 10 };
            stats.totals.put_messages.fetch_add(rate, Ordering::Relaxed);
        }
        let rates = stats.rates(20_000);
        assert_eq!(rates.put.0[0], 11.0);
        assert_eq!(rates.put.0[1], (1000.0 + 110.0) / 20.0);
        assert_eq!(rates.missed, Rates([0.0; 3]));
        assert_eq!(Rates([0.0, 1.5, 20.0]).to_string(), "0.0 1.5 20.0");
    }

    #[test]
    fn history_is_bounded() {
        let stats = Stats::new(0);
        for second in 0..2000 {
            stats.sample(second * 1000);
        }
        assert_eq!(stats.samples.lock().len(), SAMPLES_MAX);
    }
}
