//! Which half messages are over, by their offset in the queue of half messages: runs of offsets
//! that ended alike, so that a busy hour takes no more memory than a quiet one.

use std::collections::BTreeMap;

/// How the transaction of a half message ended, or what else became of the half message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its message was delivered.
    Committed,
    /// It was forgotten, as its producer wished.
    RolledBack,
    /// It is over, and how is no longer known: put back as a later one, given up, no longer in the
    /// log, or ended before the start.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    end: i64,
    outcome: Outcome,
}

/// Offsets that are over. All below a floor are.
#[derive(Debug)]
pub(crate) struct Ended {
    floor: i64,
    /// By their first offset; they do not overlap, and neighbours differ in their outcome.
    runs: BTreeMap<i64, Run>,
}

impl Ended {
    /// Everything below `floor` is over, nothing else.
    #[must_use]
    pub(crate) fn below(floor: i64) -> Self {
        Self {
            floor,
            runs: BTreeMap::new(),
        }
    }

    /// How `offset` ended; `None` while it has not.
    #[must_use]
    pub(crate) fn get(&self, offset: i64) -> Option<Outcome> {
        if offset < self.floor {
            return Some(Outcome::Gone);
        }
        let (_, run) = self.runs.range(..=offset).next_back()?;
        (offset < run.end).then_some(run.outcome)
    }

    /// Takes note of how `offset` ended, whatever was known of it before.
    pub(crate) fn set(&mut self, offset: i64, outcome: Outcome) {
        self.set_range(offset, offset.saturating_add(1), outcome);
    }

    /// The same for all offsets from `start` to before `end`.
    pub(crate) fn set_range(&mut self, start: i64, end: i64, outcome: Outcome) {
        let start = start.max(self.floor);
        if start >= end {
            return;
        }
        self.cut_out(start, end);
        let mut joined = Run { end, outcome };
        let mut first = start;
        if let Some((&at, before)) = self.runs.range(..start).next_back()
            && before.end == start
            && before.outcome == outcome
        {
            first = at;
        }
        if let Some(after) = self.runs.get(&end).copied()
            && after.outcome == outcome
        {
            self.runs.remove(&end);
            joined.end = after.end;
        }
        self.runs.insert(first, joined);
    }

    /// Takes back that `offset` ended.
    pub(crate) fn reopen(&mut self, offset: i64) {
        self.cut_out(offset, offset.saturating_add(1));
    }

    /// Leaves `start..end` in no run.
    fn cut_out(&mut self, start: i64, end: i64) {
        if let Some((&at, run)) = self.runs.range(..start).next_back()
            && run.end > start
        {
            let run = *run;
            self.runs.insert(at, Run { end: start, ..run });
            if run.end > end {
                self.runs.insert(end, run);
            }
        }
        while let Some((&at, run)) = self.runs.range(start..end).next() {
            let run = *run;
            self.runs.remove(&at);
            if run.end > end {
                self.runs.insert(end, run);
            }
        }
    }

    /// The first offset from `from` on that is not over.
    #[must_use]
    pub(crate) fn first_open(&self, from: i64) -> i64 {
        let mut at = from.max(self.floor);
        while let Some((_, run)) = self.runs.range(..=at).next_back()
            && at < run.end
        {
            at = run.end;
        }
        at
    }

    /// Forgets how those below `floor` ended.
    pub(crate) fn raise_floor(&mut self, floor: i64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        while let Some((&at, run)) = self.runs.first_key_value()
            && at < floor
        {
            let run = *run;
            self.runs.remove(&at);
            if run.end > floor {
                self.runs.insert(floor, run);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(i64, i64, Outcome),
        Reopen(i64),
        Floor(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let outcome = prop_oneof![
            Just(Outcome::Committed),
            Just(Outcome::RolledBack),
            Just(Outcome::Gone)
        ];
        prop_oneof![
            4 => (0..60_i64, 0..6_i64, outcome).prop_map(|(at, len, o)| Step::Set(at, at + len, o)),
            1 => (0..60_i64).prop_map(Step::Reopen),
            1 => (0..60_i64).prop_map(Step::Floor),
        ]
    }

    proptest! {
        #[test]
        fn runs_are_what_a_plain_list_would_be(steps in prop::collection::vec(step(), 0..80)) {
            let mut ended = Ended::below(5);
            let mut floor = 5;
            let mut plain = [None; 80];
            for step in steps {
                match step {
                    Step::Set(start, end, outcome) => {
                        ended.set_range(start, end, outcome);
                        for at in start..end {
                            plain[at as usize] = Some(outcome);
                        }
                    }
                    Step::Reopen(at) if at >= floor => {
                        ended.reopen(at);
                        plain[at as usize] = None;
                    }
                    Step::Reopen(_) => {}
                    Step::Floor(at) => {
                        ended.raise_floor(at);
                        floor = floor.max(at);
                    }
                }
                for at in 0..70 {
                    let known = if at < floor { Some(Outcome::Gone) } else { plain[at as usize] };
                    prop_assert_eq!(ended.get(at), known, "{}", at);
                    let open = (at.max(floor)..).find(|at| plain[*at as usize].is_none());
                    prop_assert_eq!(Some(ended.first_open(at)), open);
                }
                let mut last: Option<(i64, Outcome)> = None;
                for (&at, run) in &ended.runs {
                    prop_assert!(at < run.end);
                    if let Some((end, outcome)) = last {
                        prop_assert!(end < at || (end == at && outcome != run.outcome));
                    }
                    last = Some((run.end, run.outcome));
                }
            }
        }
    }
}
