//! How long to wait before trying again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The shape of a retry schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The delay after the first failure, before jitter.
    pub initial: Duration,
    /// No delay is longer than this.
    pub max: Duration,
    /// How much of a delay is left to chance, in percent: 20 makes 100 ms anything from 80 to 100.
    pub jitter_percent: u8,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(50),
            max: Duration::from_secs(1),
            jitter_percent: 20,
        }
    }
}

/// Delays that double with each failure up to a cap, less a random part so that many clients of
/// one server do not come back in the same instant.
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// A schedule seeded by chance.
    #[must_use]
    pub fn new(config: BackoffConfig) -> Self {
        Self::with_seed(config, RandomState::new().hash_one(0u8))
    }

    /// A schedule that is the same for the same seed.
    #[must_use]
    pub fn with_seed(config: BackoffConfig, seed: u64) -> Self {
        Self {
            config,
            failures: 0,
            random: seed,
        }
    }

    /// Counts a failure and tells how long to wait now.
    pub fn fail(&mut self) -> Duration {
        let doublings = self.failures.min(30);
        self.failures = self.failures.saturating_add(1);
        let full = self
            .config
            .initial
            .saturating_mul(1 << doublings)
            .min(self.config.max);
        let jitter = u32::from(self.config.jitter_percent.min(100));
        // 0..=10_000 of the part that is left to chance.
        let part = u32::try_from(self.next_random() % 10_001).unwrap_or(0);
        full - full.mul_f64(f64::from(jitter * part) / 1_000_000.0)
    }

    /// Forgets the failures: the next delay is the initial one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How many failures were counted since the start or the last reset.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// One step of splitmix64.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(jitter_percent: u8) -> BackoffConfig {
        BackoffConfig {
            initial: Duration::from_millis(100),
            max: Duration::from_millis(1_500),
            jitter_percent,
        }
    }

    #[test]
    fn doubles_up_to_the_cap_and_starts_over() {
        let mut backoff = Backoff::new(config(0));
        let delays: Vec<_> = (0..6).map(|_| backoff.fail().as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_500, 1_500]);
        assert_eq!(backoff.failures(), 6);
        backoff.reset();
        assert_eq!(backoff.fail().as_millis(), 100);
    }

    #[test]
    fn jitter_takes_at_most_its_part_and_varies() {
        let mut backoff = Backoff::with_seed(config(50), 1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            backoff.reset();
            let delay = backoff.fail();
            assert!((50..=100).contains(&delay.as_millis()), "{delay:?}");
            seen.insert(delay);
        }
        assert!(seen.len() > 50);
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let delays = |seed| {
            let mut backoff = Backoff::with_seed(config(20), seed);
            (0..8).map(|_| backoff.fail()).collect::<Vec<_>>()
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }

    #[test]
    fn never_overflows() {
        let long = BackoffConfig {
            initial: Duration::MAX,
            max: Duration::MAX,
            jitter_percent: 0,
        };
        let mut backoff = Backoff::new(long);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.fail(), Duration::MAX);
    }
}
