//! When delayed messages are due: a plain state machine over the queues of the schedule topic.
//!
//! A level is one queue, whose entries carry the time at which their message is due. They lie in
//! the order of storing and are handed out in that order, so the first one that is not due yet
//! says when to look again.

use std::collections::{BTreeMap, VecDeque};

use crate::base::clock::Now;

/// Messages may be due later than the level's delay from now by this much, because store times do
/// not follow a clock that goes back a little, ms.
const CLOCK_SLACK_MS: i64 = 10_000;

/// Longest sleep while a message waits: the wall clock may be set forward meanwhile, ms.
const LOOK_INTERVAL_MS: u64 = 1_000;

/// Pause after a delivery that failed, ms.
pub(crate) const RETRY_MS: u64 = 100;

/// Deliveries that are not safe yet are remembered one by one up to this number a level.
const MARKS_MAX: usize = 256;

/// How far the queue of a level goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    /// Offset of the first message that is still in the log.
    pub(crate) min: i64,
    /// Offset behind the last message that consumers may see.
    pub(crate) visible: i64,
    /// Offset behind the last message.
    pub(crate) next: i64,
}

/// What a level waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Nothing: its queue is to be looked at.
    Nothing,
    /// A message.
    Message,
    /// The time (wall clock) at which its first message is due.
    Due(i64),
    /// That its first message, which is due, becomes safe.
    Safe,
    /// The time (monotonic) of the next try.
    Retry(u64),
}

/// Messages below `next` were delivered when the log was at `log_end`.
#[derive(Clone, Copy, Debug)]
struct Mark {
    log_end: i64,
    next: i64,
}

#[derive(Debug)]
struct Level {
    delay_ms: i64,
    /// Offset of the first message that was not delivered.
    next: i64,
    /// Messages below are delivered for good: what was stored for them is durable.
    settled: i64,
    marks: VecDeque<Mark>,
    wait: Wait,
}

impl Level {
    /// Whether a message due at `due_ms` is to be delivered. One that is due later than the
    /// level's delay allows was stored under another delay or another time, and goes at once.
    fn is_due(&self, due_ms: i64, now: Now) -> bool {
        let latest_ms = now.wall_ms.saturating_add(self.delay_ms);
        due_ms <= now.wall_ms || due_ms > latest_ms.saturating_add(CLOCK_SLACK_MS)
    }

    fn is_ready(&self, now: Now) -> bool {
        match self.wait {
            Wait::Nothing => true,
            Wait::Message | Wait::Safe => false,
            Wait::Due(due_ms) => self.is_due(due_ms, now),
            Wait::Retry(at_ms) => at_ms <= now.monotonic_ms,
        }
    }

    fn sleep_ms(&self, now: Now) -> Option<u64> {
        match self.wait {
            Wait::Nothing => Some(0),
            Wait::Message | Wait::Safe => None,
            Wait::Due(due_ms) => {
                let rest_ms = u64::try_from(due_ms.saturating_sub(now.wall_ms)).unwrap_or(0);
                Some(rest_ms.min(LOOK_INTERVAL_MS))
            }
            Wait::Retry(at_ms) => Some(at_ms.saturating_sub(now.monotonic_ms)),
        }
    }

    fn settle(&mut self, safe: i64) {
        while let Some(mark) = self.marks.front().filter(|mark| mark.log_end <= safe) {
            self.settled = mark.next;
            self.marks.pop_front();
        }
    }
}

/// All delay levels. Indices are queue numbers: level 1 is index 0.
#[derive(Debug)]
pub(crate) struct Levels {
    levels: Vec<Level>,
    /// Where the next search for a level begins, so that a busy one does not starve the others.
    turn: usize,
}

impl Levels {
    /// Levels with these delays, of which deliveries go on at `offsets` (by level, from 1).
    #[must_use]
    pub(crate) fn new(delays_ms: &[i64], offsets: &BTreeMap<i32, i64>) -> Self {
        let level = |(index, &delay_ms): (usize, &i64)| {
            let next = number(index).and_then(|number| offsets.get(&number));
            let next = next.copied().unwrap_or(0);
            Level {
                delay_ms,
                next,
                settled: next,
                marks: VecDeque::new(),
                wait: Wait::Nothing,
            }
        };
        Self {
            levels: delays_ms.iter().enumerate().map(level).collect(),
            turn: 0,
        }
    }

    /// A level whose queue is to be looked at.
    pub(crate) fn ready(&mut self, now: Now) -> Option<usize> {
        let count = self.levels.len();
        let found = (0..count)
            .map(|step| (self.turn + step) % count)
            .find(|&index| self.levels[index].is_ready(now))?;
        self.turn = found + 1;
        Some(found)
    }

    /// Takes note of how far the queue of `index` goes; returns the offset to read from, or `None`
    /// when there is nothing to deliver.
    pub(crate) fn look(&mut self, index: usize, ends: Ends) -> Option<i64> {
        let level = &mut self.levels[index];
        if level.next < ends.min || level.next > ends.next {
            let to = level.next.clamp(ends.min, ends.next);
            tracing::warn!(
                level = index + 1,
                from = level.next,
                to,
                "the delay offset is moved into its queue"
            );
            level.next = to;
            level.settled = to;
            level.marks.clear();
        }
        if level.next == ends.next {
            level.wait = Wait::Message;
            return None;
        }
        Some(level.next)
    }

    /// How many of the messages from the offset of `look` on are to be delivered now. `due_ms`
    /// are the times at which they are due, in order.
    pub(crate) fn choose(
        &mut self,
        index: usize,
        ends: Ends,
        due_ms: impl IntoIterator<Item = i64>,
        now: Now,
    ) -> usize {
        let level = &mut self.levels[index];
        // Entries that cannot be read are tried again.
        level.wait = Wait::Retry(now.monotonic_ms + RETRY_MS);
        let mut count = 0;
        for (offset, due_ms) in (level.next..).zip(due_ms) {
            level.wait = if !level.is_due(due_ms, now) {
                Wait::Due(due_ms)
            } else if offset >= ends.visible {
                Wait::Safe
            } else {
                count += 1;
                level.wait = Wait::Nothing;
                continue;
            };
            break;
        }
        count
    }

    /// The first `count` messages are done with: their records end below `log_end`, or there is
    /// none when all of them were passed over.
    pub(crate) fn delivered(&mut self, index: usize, count: usize, log_end: Option<i64>) {
        let level = &mut self.levels[index];
        level.next += i64::try_from(count).unwrap_or(0);
        let next = level.next;
        let full = level.marks.len() >= MARKS_MAX;
        match (level.marks.back_mut(), log_end) {
            (None, None) => level.settled = next,
            (Some(last), None) => last.next = next,
            (Some(last), Some(log_end)) if full => *last = Mark { log_end, next },
            (_, Some(log_end)) => level.marks.push_back(Mark { log_end, next }),
        }
    }

    /// The first message could not be delivered; it is tried again after `pause_ms`.
    pub(crate) fn failed(&mut self, index: usize, pause_ms: u64, now: Now) {
        self.levels[index].wait = Wait::Retry(now.monotonic_ms + pause_ms);
    }

    /// A message may have come to the level.
    pub(crate) fn arrived(&mut self, index: usize) {
        if let Some(level) = self.levels.get_mut(index)
            && level.wait == Wait::Message
        {
            level.wait = Wait::Nothing;
        }
    }

    /// More of the log may be seen than before.
    pub(crate) fn became_safe(&mut self) {
        for level in &mut self.levels {
            if level.wait == Wait::Safe {
                level.wait = Wait::Nothing;
            }
        }
    }

    /// The log below `safe` will not be lost. Returns whether an offset moved.
    pub(crate) fn settle(&mut self, safe: i64) -> bool {
        let mut moved = false;
        for level in &mut self.levels {
            let before = level.settled;
            level.settle(safe);
            moved |= level.settled != before;
        }
        moved
    }

    /// Whether anything hangs on how far the log is safe.
    #[must_use]
    pub(crate) fn awaits_safety(&self) -> bool {
        let awaits = |level: &Level| level.wait == Wait::Safe || !level.marks.is_empty();
        self.levels.iter().any(awaits)
    }

    /// How long there is nothing to do but for news; `None` without end.
    #[must_use]
    pub(crate) fn sleep_ms(&self, now: Now) -> Option<u64> {
        self.levels
            .iter()
            .filter_map(|level| level.sleep_ms(now))
            .min()
    }

    /// Offset behind the last message that was delivered for good, by level from 1, without the
    /// levels that never had one.
    pub(crate) fn settled(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.levels
            .iter()
            .enumerate()
            .filter(|(_, level)| level.settled > 0)
            .filter_map(|(index, level)| Some((number(index)?, level.settled)))
    }
}

/// The level's number.
fn number(index: usize) -> Option<i32> {
    i32::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests;
