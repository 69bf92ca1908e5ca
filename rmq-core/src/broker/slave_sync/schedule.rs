//! When a slave asks its master for what the log does not carry, and which topics it may delete.

use std::collections::BTreeSet;

/// Pause between two rounds, ms.
const PERIOD_MS: u64 = 3_000;

/// Pause before a round that somebody waits for, ms.
const HURRY_MS: u64 = 500;

/// A round costs its master at most one part in so many of its time.
const SHARE: u64 = 20;

/// The pauses between rounds.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    master: Option<String>,
    due_ms: u64,
    /// The earliest time of a round that somebody waits for.
    soonest_ms: u64,
}

impl Schedule {
    /// Whether a round with this master is due: at once with another one than the last.
    pub(super) fn is_due(&self, master: &str, now_ms: u64) -> bool {
        self.master.as_deref() != Some(master) || now_ms >= self.due_ms
    }

    /// Takes note of a round.
    pub(super) fn done(&mut self, master: &str, began_ms: u64, ended_ms: u64) {
        let took_ms = ended_ms.saturating_sub(began_ms);
        self.due_ms = ended_ms.saturating_add(PERIOD_MS.max(took_ms.saturating_mul(SHARE)));
        self.soonest_ms = ended_ms.saturating_add(HURRY_MS.max(took_ms * 2));
        self.master = Some(master.to_owned());
    }

    /// The next round is now.
    pub(super) fn at_once(&mut self) {
        self.due_ms = 0;
    }

    /// Something came that only the master can explain: the next round is soon.
    pub(super) fn hurry(&mut self) {
        self.due_ms = self.due_ms.min(self.soonest_ms);
    }
}

/// Topics with queues here that the master does not have.
///
/// A topic is deleted when two rounds in a row miss it: the log may be ahead of the first, with
/// messages of a topic that was just made.
#[derive(Debug, Default)]
pub(super) struct Absent {
    missed: BTreeSet<String>,
}

impl Absent {
    /// Takes what this round misses; returns what to delete.
    pub(super) fn take(&mut self, missing: BTreeSet<String>) -> Vec<String> {
        let twice = missing.intersection(&self.missed).cloned().collect();
        self.missed = missing;
        twice
    }

    /// Whether the master did not have the topic when it was last asked.
    pub(super) fn is_missed(&self, topic: &str) -> bool {
        self.missed.contains(topic)
    }

    /// Whether a round missed something.
    pub(super) fn is_waiting(&self) -> bool {
        !self.missed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_follow_each_other_slowly_and_a_new_master_is_asked_at_once() {
        let mut schedule = Schedule::default();
        assert!(schedule.is_due("a", 0));
        schedule.done("a", 100, 110);
        assert!(!schedule.is_due("a", 3_109));
        assert!(schedule.is_due("a", 3_110));
        assert!(schedule.is_due("b", 111));
        schedule.done("b", 10_000, 11_000);
        assert!(!schedule.is_due("b", 30_999));
        assert!(schedule.is_due("b", 31_000));
        schedule.hurry();
        assert!(!schedule.is_due("b", 12_999));
        assert!(schedule.is_due("b", 13_000));
        schedule.done("b", 13_000, 13_001);
        schedule.hurry();
        assert!(!schedule.is_due("b", 13_500));
        assert!(schedule.is_due("b", 13_501));
    }

    #[test]
    fn a_topic_is_deleted_when_two_rounds_miss_it() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut absent = Absent::default();
        assert!(absent.take(set(&["a", "b"])).is_empty());
        assert!(absent.is_waiting());
        assert_eq!(absent.take(set(&["b", "c"])), ["b"]);
        assert_eq!(absent.take(set(&["b", "c"])), ["b", "c"]);
        assert!(absent.take(set(&[])).is_empty());
        assert!(!absent.is_waiting());
        assert!(absent.take(set(&["a"])).is_empty());
    }
}
