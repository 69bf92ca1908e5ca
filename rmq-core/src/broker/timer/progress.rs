//! How far the timer is, and how much of that no crash can take back: no clock, no store.

use std::collections::VecDeque;

/// Deliveries that are not safe yet are remembered one by one up to this number.
const MARKS_MAX: usize = 256;

/// How far the timer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Slots before this tick are done with.
    pub(crate) tick: i64,
    /// Messages of the wheel's topic below are on the wheel, or done with.
    pub(crate) next: i64,
    /// Where the timer log ended then.
    pub(crate) log_position: i64,
}

/// Where the timer is for good, and where it will be when the log is safe up to some offsets.
#[derive(Debug)]
pub(crate) struct Progress {
    settled: Position,
    marks: VecDeque<(i64, Position)>,
}

impl Progress {
    /// It begins where it was for good.
    #[must_use]
    pub(crate) fn new(settled: Position) -> Self {
        Self {
            settled,
            marks: VecDeque::new(),
        }
    }

    /// The timer is at `position`, for which the commit log was filled up to `log_end`; `None` when
    /// nothing was delivered since the last call.
    pub(crate) fn reached(&mut self, position: Position, log_end: Option<i64>) {
        let full = self.marks.len() >= MARKS_MAX;
        match (self.marks.back_mut(), log_end) {
            (None, None) => self.settled = position,
            (Some(last), None) => last.1 = position,
            (Some(last), Some(log_end)) if full => *last = (log_end, position),
            (_, Some(log_end)) => self.marks.push_back((log_end, position)),
        }
    }

    /// The log below `safe` will not be lost. Returns whether that settles anything.
    pub(crate) fn settle(&mut self, safe: i64) -> bool {
        let before = self.settled;
        while let Some(mark) = self.marks.front().filter(|mark| mark.0 <= safe) {
            self.settled = mark.1;
            self.marks.pop_front();
        }
        self.settled != before
    }

    /// How far the timer is for good.
    #[must_use]
    pub(crate) fn settled(&self) -> Position {
        self.settled
    }

    /// Whether anything waits for the log to be safe.
    #[must_use]
    pub(crate) fn awaits_safety(&self) -> bool {
        !self.marks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(next: i64) -> Position {
        Position {
            tick: next * 10,
            next,
            log_position: next * 52,
        }
    }

    #[test]
    fn a_delivery_counts_when_the_log_has_it() {
        let mut progress = Progress::new(at(0));
        progress.reached(at(1), None);
        assert_eq!(progress.settled(), at(1));
        progress.reached(at(2), Some(100));
        progress.reached(at(3), Some(200));
        progress.reached(at(4), None);
        assert_eq!(progress.settled(), at(1));
        assert!(!progress.settle(99));
        assert!(progress.settle(100));
        assert_eq!(progress.settled(), at(2));
        assert!(progress.awaits_safety());
        assert!(progress.settle(1000));
        assert_eq!(progress.settled(), at(4));
        assert!(!progress.awaits_safety());
    }

    #[test]
    fn marks_are_bounded() {
        let mut progress = Progress::new(at(0));
        for step in 1..=1000 {
            progress.reached(at(step), Some(step));
        }
        assert_eq!(progress.marks.len(), MARKS_MAX);
        progress.settle(999);
        assert_eq!(progress.settled(), at(255));
        progress.settle(1000);
        assert_eq!(progress.settled(), at(1000));
    }
}
