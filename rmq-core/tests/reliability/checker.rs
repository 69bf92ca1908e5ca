//! Holds a whole history against what a deployment promises.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use crate::history::{
    Answer, Attempt, Consumer, Delivery, Entry, History, Id, Micros, Place, Queue, Status,
};

/// A copy that is gone for good, with what only it had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    pub(crate) broker: u8,
    pub(crate) at: Micros,
    /// Where the log of the copy that was left ended.
    pub(crate) kept: i64,
}

/// A time in which no slave could acknowledge anything to this master.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alone {
    pub(crate) broker: u8,
    pub(crate) from: Micros,
    pub(crate) to: Micros,
}

/// What was done to the cluster, and what it may have cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) losses: Vec<Loss>,
    /// Whether a loss may take what the copy that was left had not yet got.
    pub(crate) lag_may_be_lost: bool,
    /// Times in which a SEND_OK is a lie; only for a master that promises a second copy.
    pub(crate) alone: Vec<Alone>,
    /// Times in which consumers may have moved, so that messages may be delivered again.
    pub(crate) disturbed: Vec<(Micros, Micros)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wrong {
    /// Acknowledged, and not in the log.
    Lost,
    /// Acknowledged for a place where the log has another message.
    Replaced,
    /// Two messages were acknowledged for one place.
    Conflict,
    /// Acknowledged as copied while nobody could have had the copy.
    NotCopied,
    /// Delivered or found, but nobody had sent it by then.
    NobodySent,
    /// In the log more often than requests may have stored it.
    Surplus,
    /// A queue whose offsets or log offsets do not grow one by one.
    Hole,
    /// Sent after another one was answered, and yet before it in the queue.
    Order,
    /// Delivered, and then not in the log at that place.
    Vanished,
    /// In the log, and not delivered to a group.
    NotDelivered,
    /// Delivered to a consumer after later ones of the queue.
    Backwards,
    /// Delivered again at a time when no consumer had a cause to move.
    Again,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) attempts: u64,
    pub(crate) ok: u64,
    pub(crate) flush_disk_timeout: u64,
    pub(crate) flush_slave_timeout: u64,
    pub(crate) slave_not_available: u64,
    pub(crate) refused: u64,
    pub(crate) unanswered: u64,
    /// Messages in the logs.
    pub(crate) stored: u64,
    /// Messages that lie at more than one place, since a client sent them again.
    pub(crate) stored_twice: u64,
    pub(crate) delivered: u64,
    pub(crate) redelivered: u64,
    /// Acknowledged messages that went with a copy, within the promise.
    pub(crate) lost_with_copy: u64,
    /// Deliveries of messages that were lost afterwards, within the promise.
    pub(crate) seen_then_lost: u64,
    /// Messages that a group passed over, since it had already seen a lost one at their place.
    pub(crate) passed_over: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            attempts,
            ok,
            flush_disk_timeout,
            flush_slave_timeout,
            slave_not_available,
            refused,
            unanswered,
            stored,
            stored_twice,
            delivered,
            redelivered,
            lost_with_copy,
            seen_then_lost,
            passed_over,
        } = self;
        write!(
            f,
            "{attempts} sent: {ok} SEND_OK, {flush_disk_timeout} FLUSH_DISK_TIMEOUT, \
             {flush_slave_timeout} FLUSH_SLAVE_TIMEOUT, {slave_not_available} SLAVE_NOT_AVAILABLE, \
             {refused} refused, {unanswered} unanswered; {stored} stored, {stored_twice} of them \
             twice; {delivered} delivered, {redelivered} of them again; {lost_with_copy} gone with \
             a disk, {seen_then_lost} seen and then lost, {passed_over} passed over"
        )
    }
}

/// Cases of a kind that are told in words.
const EXAMPLES: usize = 5;

#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) counts: Counts,
    wrong: BTreeMap<Wrong, (u64, Vec<String>)>,
}

impl Verdict {
    fn note(&mut self, wrong: Wrong, what: impl FnOnce() -> String) {
        let (count, examples) = self.wrong.entry(wrong).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(what());
        }
    }

    pub(crate) fn holds(&self) -> bool {
        self.wrong.is_empty()
    }

    /// How often each thing went wrong that went wrong at all.
    pub(crate) fn wrong(&self) -> BTreeMap<Wrong, u64> {
        let count = |(&wrong, (count, _)): (&Wrong, &(u64, Vec<String>))| (wrong, *count);
        self.wrong.iter().map(count).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.counts)?;
        for (wrong, (count, examples)) in &self.wrong {
            write!(f, "\n{wrong:?}: {count}, such as")?;
            for example in examples {
                write!(f, "\n    {example}")?;
            }
        }
        Ok(())
    }
}

/// Requests that carried a message.
#[derive(Clone, Copy, Debug)]
struct Sent {
    first: Micros,
    /// How many of them may have stored it.
    may_be_stored: u32,
}

struct Checker<'a> {
    history: &'a History,
    conditions: &'a Conditions,
    sent: HashMap<Id, Sent>,
    /// What the log has at a place.
    found: HashMap<Place, Id>,
    verdict: Verdict,
}

pub(crate) fn check(history: &History, conditions: &Conditions) -> Verdict {
    let mut checker = Checker {
        history,
        conditions,
        sent: HashMap::new(),
        found: HashMap::new(),
        verdict: Verdict::default(),
    };
    for foreign in &history.foreign {
        checker.verdict.note(Wrong::NobodySent, || foreign.clone());
    }
    checker.count_attempts();
    checker.check_log();
    checker.check_answers();
    checker.check_order();
    checker.check_deliveries();
    checker.verdict
}

impl Checker<'_> {
    fn count_attempts(&mut self) {
        let counts = &mut self.verdict.counts;
        for attempt in &self.history.attempts {
            counts.attempts += 1;
            let count = match attempt.answer {
                Answer::Refused => &mut counts.refused,
                Answer::Unknown => &mut counts.unanswered,
                Answer::Stored { status, .. } => match status {
                    Status::Ok => &mut counts.ok,
                    Status::FlushDiskTimeout => &mut counts.flush_disk_timeout,
                    Status::FlushSlaveTimeout => &mut counts.flush_slave_timeout,
                    Status::SlaveNotAvailable => &mut counts.slave_not_available,
                },
            };
            *count += 1;
            let sent = self.sent.entry(attempt.id).or_insert(Sent {
                first: attempt.start,
                may_be_stored: 0,
            });
            sent.first = sent.first.min(attempt.start);
            sent.may_be_stored += u32::from(attempt.answer != Answer::Refused);
        }
    }

    /// The log by itself: nothing that nobody sent, nothing too often, no holes.
    fn check_log(&mut self) {
        let history = self.history;
        let mut times: HashMap<Id, u32> = HashMap::new();
        for (&queue, entries) in &history.log {
            let mut before: Option<&Entry> = None;
            for entry in entries {
                let place = Place {
                    queue,
                    offset: entry.offset,
                };
                if let Some(before) = before
                    && (entry.offset != before.offset + 1 || entry.physical <= before.physical)
                {
                    self.verdict.note(Wrong::Hole, || {
                        format!("{place} at {} after {before:?}", entry.physical)
                    });
                }
                before = Some(entry);
                self.found.insert(place, entry.id);
                *times.entry(entry.id).or_default() += 1;
            }
        }
        for (id, times) in times {
            self.verdict.counts.stored += u64::from(times);
            self.verdict.counts.stored_twice += u64::from(times > 1);
            match self.sent.get(&id) {
                None => self.verdict.note(Wrong::NobodySent, || {
                    format!("{id} lies in the log and was never sent")
                }),
                Some(sent) if times > sent.may_be_stored => {
                    let may = sent.may_be_stored;
                    self.verdict.note(Wrong::Surplus, || {
                        format!("{id} is there {times} times, {may} requests may have stored it")
                    });
                }
                Some(_) => {}
            }
        }
    }

    /// Whether a message that lay there and is not there any more was gone with a copy.
    fn went_with_copy(&self, broker: u8, sent: Micros, physical: i64) -> bool {
        self.conditions.lag_may_be_lost
            && self
                .conditions
                .losses
                .iter()
                .any(|loss| loss.broker == broker && sent <= loss.at && physical >= loss.kept)
    }

    /// Every SEND_OK is where its answer says.
    fn check_answers(&mut self) {
        let history = self.history;
        let mut promised: HashMap<Place, Id> = HashMap::new();
        for attempt in &history.attempts {
            let Answer::Stored {
                status: Status::Ok,
                place,
                physical,
            } = attempt.answer
            else {
                continue;
            };
            let id = attempt.id;
            self.check_copied(attempt, place);
            let there = self.found.get(&place).copied();
            if there == Some(id) {
                // As it should be.
            } else if self.went_with_copy(place.queue.broker, attempt.start, physical) {
                self.verdict.counts.lost_with_copy += 1;
                continue;
            } else if let Some(there) = there {
                self.verdict.note(Wrong::Replaced, || {
                    format!("{id} was acknowledged for {place}, where {there} is")
                });
            } else {
                self.verdict.note(Wrong::Lost, || {
                    format!("{id} was acknowledged for {place} ({physical}) and is not there")
                });
            }
            if let Some(other) = promised.insert(place, id)
                && other != id
            {
                self.verdict.note(Wrong::Conflict, || {
                    format!("{other} and {id} were acknowledged for {place}")
                });
            }
        }
    }

    fn check_copied(&mut self, attempt: &Attempt, place: Place) {
        let alone = self.conditions.alone.iter().find(|alone| {
            alone.broker == place.queue.broker
                && attempt.start > alone.from
                && attempt.end < alone.to
        });
        if let Some(alone) = alone {
            self.verdict.note(Wrong::NotCopied, || {
                format!(
                    "{} was acknowledged for {place} during {alone:?}",
                    attempt.id
                )
            });
        }
    }

    /// A message that was sent after another one had been answered lies behind it.
    fn check_order(&mut self) {
        let history = self.history;
        let mut answered: HashMap<(Place, Id), &Attempt> = HashMap::new();
        for attempt in &history.attempts {
            if let Answer::Stored { place, .. } = attempt.answer {
                answered.insert((place, attempt.id), attempt);
            }
        }
        for (&queue, entries) in &history.log {
            // Of those before: the one that was sent last.
            let mut latest: Option<(Micros, Id)> = None;
            for entry in entries {
                let offset = entry.offset;
                let place = Place { queue, offset };
                let own = answered.get(&(place, entry.id));
                if let (Some(own), Some((start, other))) = (own, latest)
                    && own.end < start
                {
                    self.verdict.note(Wrong::Order, || {
                        format!(
                            "{other} lies before {place}, which was answered before it was sent"
                        )
                    });
                }
                // Without an answer at this place it may have been any of the requests.
                let first = || self.sent.get(&entry.id).map(|sent| sent.first);
                let start = own.map(|own| own.start).or_else(first);
                latest = latest.max(start.map(|start| (start, entry.id)));
            }
        }
    }
}

/// What a group was given.
#[derive(Default)]
struct Taken {
    times: HashMap<(Place, Id), Micros>,
    /// For each queue the last place at which it saw a message that was lost afterwards.
    seen_then_lost: HashMap<Queue, i64>,
}

impl Checker<'_> {
    fn check_deliveries(&mut self) {
        let history = self.history;
        let mut groups: BTreeMap<u16, Taken> = BTreeMap::new();
        let mut last: HashMap<(Consumer, Queue), i64> = HashMap::new();
        for delivery in &history.deliveries {
            self.verdict.counts.delivered += 1;
            let taken = groups.entry(delivery.consumer.group).or_default();
            self.check_delivery(taken, delivery);
            let seen = (delivery.place, delivery.id);
            let again = taken.times.insert(seen, delivery.at);
            let key = (delivery.consumer, delivery.place.queue);
            match again {
                Some(_) => self.check_again(delivery),
                None => {
                    let last = last.entry(key).or_insert(delivery.place.offset);
                    if delivery.place.offset < *last
                        && !taken.seen_then_lost.contains_key(&delivery.place.queue)
                    {
                        self.verdict
                            .note(Wrong::Backwards, || format!("{delivery:?} after {last}"));
                    }
                    *last = delivery.place.offset.max(*last);
                }
            }
        }
        let unknown: BTreeSet<u16> = groups.keys().copied().collect();
        let known: HashSet<u16> = history.groups.iter().copied().collect();
        assert!(unknown.iter().all(|group| known.contains(group)), "groups");
        for group in &history.groups {
            self.check_complete(*group, &groups.remove(group).unwrap_or_default());
        }
    }

    fn check_delivery(&mut self, taken: &mut Taken, delivery: &Delivery) {
        let Delivery { at, id, place, .. } = *delivery;
        if self.sent.get(&id).is_none_or(|sent| at < sent.first) {
            self.verdict.note(Wrong::NobodySent, || {
                format!("{delivery:?} before it was sent")
            });
        }
        if self.found.get(&place) == Some(&id) {
            return;
        }
        let broker = place.queue.broker;
        let gone = self.conditions.lag_may_be_lost
            && self
                .conditions
                .losses
                .iter()
                .any(|loss| loss.broker == broker);
        if gone {
            self.verdict.counts.seen_then_lost += 1;
            let last = taken.seen_then_lost.entry(place.queue).or_default();
            *last = place.offset.max(*last);
        } else {
            let there = self.found.get(&place).copied();
            self.verdict.note(Wrong::Vanished, || {
                format!("{delivery:?}, where the log has {there:?}")
            });
        }
    }

    fn check_again(&mut self, delivery: &Delivery) {
        self.verdict.counts.redelivered += 1;
        let disturbed = |&(from, to): &(Micros, Micros)| (from..=to).contains(&delivery.at);
        if !self.conditions.disturbed.iter().any(disturbed) {
            self.verdict.note(Wrong::Again, || format!("{delivery:?}"));
        }
    }

    /// Everything that is in the log was delivered to the group.
    fn check_complete(&mut self, group: u16, taken: &Taken) {
        let history = self.history;
        for (&queue, entries) in &history.log {
            for entry in entries {
                let offset = entry.offset;
                let place = Place { queue, offset };
                if taken.times.contains_key(&(place, entry.id)) {
                    continue;
                }
                let passed = taken.seen_then_lost.get(&queue);
                if passed.is_some_and(|passed| offset <= *passed) {
                    self.verdict.counts.passed_over += 1;
                } else {
                    self.verdict.note(Wrong::NotDelivered, || {
                        format!("{} at {place} to group {group}", entry.id)
                    });
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
