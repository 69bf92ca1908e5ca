//! Which transactions are open, and what is to become of them: a plain state machine over offsets.
//!
//! Its one truth is the queue of half messages together with the queue that lists those which are
//! over. A half message that is checked is put back at the end of its queue, so that those behind
//! it are not held up; all copies name the first one, its origin, and the transaction is open as
//! long as the origin is not listed. Only the last copy counts.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::ended::{Ended, Outcome};

/// Outcomes are remembered for this many half messages behind the first open one, for producers
/// that end a transaction twice.
const REMEMBERED: i64 = 65_536;

/// A half message that must not be checked yet stays where it is until this many lie behind it.
pub(crate) const IMMUNE_BEHIND_MAX: i64 = 4096;

/// What decides about a half message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Its offset in the queue of half messages.
    pub(crate) offset: i64,
    /// The offset of the one that was sent: another one when it was put back.
    pub(crate) origin: i64,
    /// When its producer made it, ms since the epoch.
    pub(crate) born_ms: i64,
    /// How often it was checked.
    pub(crate) check_times: Option<i32>,
    /// Seconds before which its producer does not want to be asked.
    pub(crate) immunity_s: Option<i64>,
}

/// The limits of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Age at which a half message is checked, ms.
    pub(crate) timeout_ms: i64,
    /// Checks of a half message before it is given up.
    pub(crate) check_max: i32,
    /// Age at which it is given up in any case, ms.
    pub(crate) reserved_ms: i64,
}

/// What is to be done with a half message that nobody ended yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, it is over.
    Pass,
    /// Nothing yet, and those behind it are younger.
    Wait,
    /// Nothing yet, but those behind it may be due.
    Stay,
    /// It is put back and its producers are left alone.
    PutBack,
    /// It is put back, marked with this number of checks, and a producer is asked.
    Check(i32),
    /// It is given up.
    GiveUp,
}

/// A transaction that ends, so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The half message that was sent.
    pub(crate) origin: i64,
    /// The last one that was put back for it, or the same.
    pub(crate) current: i64,
}

impl Ending {
    /// The half messages to be listed as over.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = i64> + use<> {
        let copy = (self.current != self.origin).then_some(self.current);
        [self.origin].into_iter().chain(copy)
    }
}

/// How far the two queues need not be read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// All half messages below are over.
    pub(crate) half: i64,
    /// All lists below have only half messages below `half`.
    pub(crate) over: i64,
}

/// A list of half messages that are over.
#[derive(Clone, Copy, Debug)]
struct List {
    offset: i64,
    last_half: i64,
}

/// The state of all transactions of a broker.
#[derive(Debug)]
pub(crate) struct Book {
    ended: Ended,
    /// By origin, the last half message put back for it, while the transaction is open.
    copies: HashMap<i64, i64>,
    lists: VecDeque<List>,
    progress: Progress,
    /// While loading: half messages below the start that are listed.
    listed_before: BTreeSet<i64>,
}

impl Book {
    /// Of what lies behind `progress` nothing is known yet: it is to be loaded.
    #[must_use]
    pub(crate) fn new(progress: Progress) -> Self {
        Self {
            ended: Ended::below(progress.half),
            copies: HashMap::new(),
            lists: VecDeque::new(),
            progress,
            listed_before: BTreeSet::new(),
        }
    }

    /// Loading, first: the list at `offset` of its queue names these half messages.
    pub(crate) fn load_list(&mut self, offset: i64, halves: impl IntoIterator<Item = i64>) {
        let mut last_half = -1;
        for half in halves {
            if half < self.progress.half {
                self.listed_before.insert(half);
            }
            self.ended.set(half, Outcome::Gone);
            last_half = half.max(last_half);
        }
        self.listed(offset, last_half);
    }

    /// Loading, then: a half message that is not listed, in the order of the queue.
    pub(crate) fn load_half(&mut self, facts: &Facts) {
        let (offset, origin) = (facts.offset, facts.origin);
        if origin == offset {
            return;
        }
        let first = self.progress.half;
        let is_over = match origin < first {
            true => self.listed_before.contains(&origin),
            false => self.ended.get(origin).is_some() && !self.copies.contains_key(&origin),
        };
        if is_over {
            self.ended.set(offset, Outcome::Gone);
            return;
        }
        let before = self.copies.insert(origin, offset).unwrap_or(origin);
        self.ended.set(before, Outcome::Gone);
    }

    /// Loading, last: forgets what only loading needs.
    pub(crate) fn loaded(&mut self) {
        self.listed_before = BTreeSet::new();
    }

    /// The last half message of a transaction that is open, or how it ended.
    pub(crate) fn current(&self, facts: &Facts) -> Result<i64, Outcome> {
        if let Some(&copy) = self.copies.get(&facts.origin) {
            return Ok(copy);
        }
        match self.ended.get(facts.origin) {
            Some(outcome) => Err(outcome),
            None => Ok(facts.offset),
        }
    }

    /// Ends the transaction of a half message, or says how it ended before.
    pub(crate) fn end(&mut self, facts: &Facts, outcome: Outcome) -> Result<Ending, Outcome> {
        let current = self.current(facts)?;
        self.copies.remove(&facts.origin);
        let ending = Ending {
            origin: facts.origin,
            current,
        };
        for offset in ending.offsets() {
            self.ended.set(offset, outcome);
        }
        Ok(ending)
    }

    /// Takes an end back that could not be stored. Nothing else happened in between.
    pub(crate) fn take_back(&mut self, ending: &Ending) {
        self.ended.reopen(ending.current);
        if ending.current != ending.origin {
            self.ended.set(ending.origin, Outcome::Gone);
            self.copies.insert(ending.origin, ending.current);
        }
    }

    /// The half message was put back at `offset`.
    pub(crate) fn put_back(&mut self, facts: &Facts, offset: i64) {
        self.copies.insert(facts.origin, offset);
        self.ended.set(facts.offset, Outcome::Gone);
        self.ended.set(facts.origin, Outcome::Gone);
    }

    /// Half messages from `start` to before `end` cannot be read any more.
    pub(crate) fn lost(&mut self, start: i64, end: i64) {
        self.ended.set_range(start, end, Outcome::Gone);
    }

    /// A list was stored at `offset` of its queue, with half messages up to `last_half`.
    pub(crate) fn listed(&mut self, offset: i64, last_half: i64) {
        self.lists.push_back(List { offset, last_half });
    }

    /// The first half message from `from` on that is not over.
    #[must_use]
    pub(crate) fn first_open(&self, from: i64) -> i64 {
        self.ended.first_open(from)
    }

    /// What is to be done at `now_ms` with a half message which has `behind` others behind it.
    #[must_use]
    pub(crate) fn judge(&self, facts: &Facts, rules: &Rules, behind: i64, now_ms: i64) -> Step {
        if self.current(facts) != Ok(facts.offset) {
            return Step::Pass;
        }
        let age_ms = now_ms.saturating_sub(facts.born_ms);
        let times = facts.check_times.unwrap_or(0);
        let too_often = facts.check_times.is_some() && times >= rules.check_max;
        if too_often || age_ms > rules.reserved_ms {
            return Step::GiveUp;
        }
        if let Some(immunity_ms) = rules.immunity_ms(facts) {
            if age_ms <= immunity_ms {
                return match behind >= IMMUNE_BEHIND_MAX {
                    true => Step::PutBack,
                    false => Step::Stay,
                };
            }
        } else if (0..=rules.timeout_ms).contains(&age_ms) {
            return Step::Wait;
        }
        Step::Check(times.saturating_add(1))
    }

    /// How far everything is over now.
    pub(crate) fn advance(&mut self) -> Progress {
        let half = self.ended.first_open(self.progress.half);
        self.ended.raise_floor(half.saturating_sub(REMEMBERED));
        self.progress.half = half;
        while let Some(list) = self.lists.front().filter(|list| list.last_half < half) {
            self.progress.over = list.offset + 1;
            self.lists.pop_front();
        }
        self.progress
    }
}

impl Rules {
    /// How long the producer wants to be left alone, ms. `None` when it did not say.
    fn immunity_ms(&self, facts: &Facts) -> Option<i64> {
        match facts.immunity_s? {
            -1 => Some(self.timeout_ms),
            seconds => Some(seconds.saturating_mul(1000)),
        }
    }

    /// Whether the producer comes too late to end the transaction by itself at `now_ms`: it named
    /// a time after which it is asked, and that is over.
    #[must_use]
    pub(crate) fn is_late(&self, facts: &Facts, now_ms: i64) -> bool {
        self.immunity_ms(facts).is_some_and(|immunity_ms| {
            now_ms.saturating_sub(facts.born_ms) > immunity_ms.max(self.timeout_ms)
        })
    }
}

#[cfg(test)]
mod tests;
