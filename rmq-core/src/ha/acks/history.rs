//! What the log held when.

use std::collections::VecDeque;

/// Samples that are kept at most.
const SAMPLES_MAX: u64 = 1_000;
/// Least time between two samples, ms.
const LEAST_SPACING_MS: u64 = 10;
/// How much longer than the time that matters the history goes back, ms.
const SPARE_MS: u64 = 1_000;

/// Ends of the log by time, about one sample for each `spacing_ms`.
#[derive(Debug)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    spacing_ms: u64,
    horizon_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When the log was last seen to end there, ms.
    at_ms: u64,
    end: i64,
}

impl History {
    /// Goes back at least `ms`.
    pub(super) fn new(ms: u64) -> Self {
        let horizon_ms = ms.saturating_add(SPARE_MS);
        Self {
            samples: VecDeque::new(),
            spacing_ms: (horizon_ms / SAMPLES_MAX).max(LEAST_SPACING_MS),
            horizon_ms,
        }
    }

    /// The log ends at `end` now.
    pub(super) fn observe(&mut self, now_ms: u64, end: i64) {
        let oldest = now_ms.saturating_sub(self.horizon_ms);
        while self.samples.front().is_some_and(|s| s.at_ms < oldest) {
            self.samples.pop_front();
        }
        let sample = Sample { at_ms: now_ms, end };
        let before_last = self.samples.iter().rev().nth(1).map(|s| s.at_ms);
        match self.samples.back_mut() {
            Some(last) if last.end >= end => last.at_ms = now_ms,
            // Too near to the one before: what is asked for in between is answered with that one.
            Some(last) if before_last.is_some_and(|at| last.at_ms < at + self.spacing_ms) => {
                *last = sample;
            }
            _ => self.samples.push_back(sample),
        }
    }

    /// When the log last ended at or before `offset`, as far as known; up to `spacing_ms` early.
    pub(super) fn last_at(&self, offset: i64) -> Option<u64> {
        let after = self.samples.partition_point(|s| s.end <= offset);
        Some(self.samples.get(after.checked_sub(1)?)?.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_when_the_log_ended_where() {
        let mut history = History::new(3_000);
        assert_eq!(history.last_at(i64::MAX), None);
        for (now_ms, end) in [(0, 0), (500, 0), (600, 100), (700, 200), (705, 210)] {
            history.observe(now_ms, end);
        }
        let found = [0, 99, 100, 199, 200, 209, 210, 999].map(|end| history.last_at(end));
        let want = [500, 500, 600, 600, 700, 700, 705, 705].map(Some);
        assert_eq!(found, want);
        assert_eq!(history.last_at(-1), None);
        history.observe(4_650, 300);
        assert_eq!(history.last_at(199), None, "forgotten");
        assert_eq!(history.last_at(200), Some(700));
    }

    #[test]
    fn stays_small_and_nearly_exact_however_often_it_is_fed() {
        for timeout_ms in [1, 3_000, 600_000] {
            let mut history = History::new(timeout_ms);
            for now_ms in 0..20_000u64 {
                history.observe(now_ms, now_ms as i64);
                let asked = now_ms.saturating_sub(timeout_ms);
                let found = history.last_at(asked as i64).unwrap();
                assert!(found <= asked && found + history.spacing_ms > asked);
            }
            assert!(history.samples.len() as u64 <= SAMPLES_MAX + 2);
        }
    }
}
