//! How fast bytes go, and how fast they may.

/// Length of the window that a rate is taken over, ms.
const WINDOW_MS: u64 = 1_000;

/// Counts bytes by the second.
#[derive(Debug, Default)]
pub(super) struct Meter {
    window: u64,
    bytes: u64,
    before: u64,
}

impl Meter {
    /// `bytes` went.
    pub(super) fn add(&mut self, now_ms: u64, bytes: usize) {
        self.turn(now_ms);
        self.bytes += bytes as u64;
    }

    /// Bytes that went in the last whole second.
    pub(super) fn per_second(&mut self, now_ms: u64) -> u64 {
        self.turn(now_ms);
        self.before
    }

    fn turn(&mut self, now_ms: u64) {
        let window = now_ms / WINDOW_MS;
        if window != self.window {
            self.before = match window == self.window + 1 {
                true => self.bytes,
                false => 0,
            };
            self.bytes = 0;
            self.window = window;
        }
    }
}

/// How long to wait when nothing may pass, ms.
pub(super) const PAUSE_MS: u64 = 20;

/// Lets a number of bytes pass each second, a tenth of it at once.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u64,
    tokens: u64,
    /// Up to when tokens were handed out, ms.
    filled_ms: u64,
}

impl Bucket {
    /// Allows at least a thousand bytes a second.
    pub(super) fn new(per_second: u64, now_ms: u64) -> Self {
        let per_second = per_second.max(1_000);
        Self {
            per_second,
            tokens: per_second / 10,
            filled_ms: now_ms,
        }
    }

    /// Bytes that may pass now.
    pub(super) fn allowed(&mut self, now_ms: u64) -> usize {
        let passed = now_ms.saturating_sub(self.filled_ms);
        let new = self.per_second.saturating_mul(passed) / 1_000;
        // What is less than a byte stays to be filled in later.
        if new > 0 {
            self.filled_ms = now_ms;
            self.tokens = self.tokens.saturating_add(new).min(self.per_second / 10);
        }
        usize::try_from(self.tokens).unwrap_or(usize::MAX)
    }

    /// `bytes` of what was allowed passed.
    pub(super) fn take(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_second_is_told() {
        let mut meter = Meter::default();
        meter.add(5_100, 10);
        meter.add(5_999, 20);
        assert_eq!(meter.per_second(5_999), 0);
        assert_eq!(meter.per_second(6_000), 30);
        meter.add(6_500, 7);
        assert_eq!(meter.per_second(7_999), 7);
        assert_eq!(meter.per_second(9_000), 0);
    }

    #[test]
    fn a_bucket_lets_its_rate_pass() {
        let mut bucket = Bucket::new(100_000, 0);
        let mut passed = 0;
        for now_ms in 0..10_000 {
            let now = bucket.allowed(now_ms).min(3_000);
            bucket.take(now);
            passed += now;
        }
        assert!((1_000_000..=1_010_000).contains(&passed), "{passed}");
        assert_eq!(bucket.allowed(60_000), 10_000, "no more after a rest");
    }
}
