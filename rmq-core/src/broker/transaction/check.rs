//! Checks: a walk through the queue of half messages, in steps, that has producers asked about
//! those which nobody ended.
//!
//! A half message that is checked is put back at the end of the queue, as Apache's broker does, so
//! that the walk begins behind it next time.

use std::sync::Arc;

use super::book::{Ending, Step};
use super::ended::Outcome;
use super::engine::{Engine, Output, Settings};
use super::message::{self, Half, OverLists};
use crate::base::clock::Now;
use crate::broker::names;
use crate::store::{AppendBatch, Appended, LogSlice};

/// Half messages looked at in one step of a check, so that ends do not wait for long.
const STEP_MAX: usize = 256;
/// Bytes put back in one step of a check, but for a message that is longer.
const STEP_MAX_BYTES: usize = 512 * 1024;
/// A check on its way through the queue of half messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    /// The first half message that was not looked at.
    pub(super) at: i64,
    /// Where the queue ended when the check began.
    pub(super) end: i64,
}

/// A half message that a check put into a batch.
struct Moved<'a> {
    half: &'a Half<'a>,
    index: usize,
    kind: Kind,
}

enum Kind {
    /// Put back with these properties; checked, or left alone.
    PutBack { properties: Vec<u8>, asks: bool },
    /// Given up; its end, and which of the lists has it.
    GivenUp { ending: Ending, list: usize },
}

impl Engine {
    /// Looks at the next half messages; returns where the check goes on.
    pub(super) fn check_step(
        &mut self,
        check: Check,
        settings: &Settings,
        now: Now,
    ) -> Option<Check> {
        let mut records: Vec<(i64, LogSlice)> = Vec::new();
        let (mut at, mut bytes) = (check.at, 0);
        while records.len() < STEP_MAX && bytes < STEP_MAX_BYTES {
            at = self.book.first_open(at);
            if at >= check.end {
                break;
            }
            let entry = self.half_queue.entry(at);
            match entry.and_then(|entry| self.record_at(entry.offset)) {
                Some(record) => {
                    bytes += record.len();
                    records.push((at, record));
                }
                None => {
                    tracing::warn!(offset = at, "a half message is no longer in the log");
                    self.book.lost(at, at + 1);
                }
            }
            at += 1;
        }
        let mut halves = Vec::with_capacity(records.len());
        for (offset, record) in &records {
            match Half::read(record).filter(|half| half.facts.offset == *offset) {
                Some(half) => halves.push(half),
                None => {
                    tracing::error!(offset, "there is no half message where one should be");
                    self.book.lost(*offset, offset + 1);
                }
            }
        }
        let goes_on = self.check_halves(&halves, check.end, settings, now);
        (goes_on && at < check.end).then_some(Check { at, ..check })
    }

    /// Does what is due with these half messages. False when the check is over.
    fn check_halves(
        &mut self,
        halves: &[Half<'_>],
        end: i64,
        settings: &Settings,
        now: Now,
    ) -> bool {
        let mut lists = OverLists::default();
        let mut batch = self.new_batch();
        let mut moved = Vec::new();
        let mut goes_on = true;
        for half in halves {
            let facts = &half.facts;
            let behind = end - facts.offset - 1;
            let step = self.book.judge(facts, &settings.rules, behind, now.wall_ms);
            let times = match step {
                Step::Pass | Step::Stay => continue,
                Step::Wait => {
                    goes_on = false;
                    break;
                }
                Step::PutBack => None,
                Step::Check(times) => Some(times),
                Step::GiveUp => {
                    moved.extend(self.stage_given_up(half, &mut batch, &mut lists, settings));
                    continue;
                }
            };
            let staged = self.stage_put_back(half, times, &mut batch);
            moved.extend(match staged {
                Some(staged) => Some(staged),
                // It cannot be put back, so it cannot be checked either.
                None => self.stage_given_up(half, &mut batch, &mut lists, settings),
            });
        }
        let owed = self.take_owed(&mut lists, settings);
        let first_list = self.append(&mut batch, &lists, owed, settings, now);
        for one in moved {
            let Some(Ok(appended)) = batch.results().get(one.index).cloned() else {
                if let Kind::GivenUp { ending, .. } = &one.kind {
                    self.book.take_back(ending);
                }
                // The store takes nothing now: the next check tries again.
                goes_on = false;
                continue;
            };
            let listed = |list| matches!(batch.results().get(first_list + list), Some(Ok(_)));
            self.settle_check(one, &appended, listed, settings);
        }
        goes_on
    }

    fn stage_put_back<'r>(
        &self,
        half: &'r Half<'r>,
        times: Option<i32>,
        batch: &mut AppendBatch<'r>,
    ) -> Option<Moved<'r>> {
        let properties = half.put_back_properties(times).ok()?;
        let index = batch.len();
        let record = half.put_back(&properties);
        let tags_code = half.tags_code();
        message::check_fits(&record, &self.stage, self.store.max_record_bytes()).ok()?;
        let queue = Arc::clone(&self.half_queue);
        batch
            .push_with_body(&record, half.body(), queue, tags_code)
            .ok()?;
        let kind = Kind::PutBack {
            properties,
            asks: times.is_some(),
        };
        Some(Moved { half, index, kind })
    }

    fn stage_given_up<'r>(
        &mut self,
        half: &'r Half<'r>,
        batch: &mut AppendBatch<'r>,
        lists: &mut OverLists,
        settings: &Settings,
    ) -> Option<Moved<'r>> {
        let index = batch.len();
        let record = half.given_up();
        let queue = self.store.queue(names::TRANS_CHECK_MAX_TIME_TOPIC, 0);
        let pushed = message::check_fits(&record, &self.stage, self.store.max_record_bytes())
            .and_then(|()| batch.push_with_body(&record, half.body(), queue, half.tags_code()));
        if let Err(error) = pushed {
            tracing::error!(%error, offset = half.facts.offset, "a half message cannot be moved");
            return None;
        }
        let ending = self.book.end(&half.facts, Outcome::Gone).ok()?;
        let mut list = 0;
        for offset in ending.offsets() {
            list = lists.add(offset, settings.list_max_bytes);
        }
        let kind = Kind::GivenUp { ending, list };
        Some(Moved { half, index, kind })
    }

    /// Takes note of a half message that a check moved.
    fn settle_check(
        &mut self,
        one: Moved<'_>,
        appended: &Appended,
        listed: impl Fn(usize) -> bool,
        settings: &Settings,
    ) {
        let half = one.half;
        match one.kind {
            Kind::PutBack { properties, asks } => {
                self.book.put_back(&half.facts, appended.queue_offset);
                if !asks {
                    return;
                }
                let question = half.question(&properties, appended, &settings.broker_name);
                if let (Some(group), Some(question)) = (half.producer_group, question) {
                    let group = group.to_owned();
                    self.outputs.push(Output::Ask { group, question });
                }
            }
            Kind::GivenUp { ending, list } => {
                tracing::warn!(
                    offset = half.facts.offset,
                    born_ms = half.facts.born_ms,
                    checks = half.facts.check_times,
                    producer_group = half.producer_group,
                    "nobody ended a transaction; its half message is given up"
                );
                if !listed(list) {
                    self.owed.extend(ending.offsets());
                }
                let queue = self.store.queue(names::TRANS_CHECK_MAX_TIME_TOPIC, 0);
                self.stored(appended, &queue);
                self.outputs.push(Output::GivenUp);
            }
        }
    }
}
