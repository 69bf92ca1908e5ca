//! From the wheel's topic to the wheel.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::Ordering;

use super::{BATCH_MAX, Now, Row, Running, SPARE_SLOTS, StoreConfig, Timed, Timer, Worker};
use crate::broker::timer::due;
use crate::protocol::filter::tag::java_hash_code;
use crate::store::Entry;
use crate::store::timer::{Linked, Unit, UnitKind};

/// What is left to do in the wheel's topic.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Enqueued {
    /// There are more messages to be seen.
    pub(super) more: bool,
    /// The next one has to wait for an old slot to be emptied.
    pub(super) blocked: bool,
}

/// What is to be done with a message.
enum Plan {
    /// Nothing.
    Pass,
    /// It goes to the wheel, and counts for the topic.
    Link(Unit, String),
    /// It is late: it is delivered at once.
    Deliver(Row),
}

impl Worker {
    /// Takes the next messages of the wheel's topic, up to a batch.
    pub(super) fn enqueue(
        &mut self,
        running: &mut Running,
        config: &StoreConfig,
        now: Now,
    ) -> io::Result<Enqueued> {
        let none = Enqueued::default();
        let Some(visible) = self.look(running) else {
            return Ok(none);
        };
        if config.timer_stop_enqueue {
            return Ok(none);
        }
        let count = usize::try_from(visible - running.next).unwrap_or(0);
        self.entries.clear();
        let mut entries = std::mem::take(&mut self.entries);
        let read = running
            .queue
            .entries(running.next, count.min(BATCH_MAX), &mut entries);
        let outcome = match read {
            Ok(()) if entries.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(()) => self.take(running, config, &entries, now),
            Err(error) => Err(error),
        };
        self.entries = entries;
        let blocked = outcome?;
        Ok(Enqueued {
            more: !blocked && running.next < running.queue.max_offset(),
            blocked,
        })
    }

    /// How far messages may be taken; `None` when there is none to take. The thread counts as idle
    /// from before the queue is looked at.
    fn look(&self, running: &mut Running) -> Option<i64> {
        let timer: &Timer = &self.shared.timer;
        timer.idle.store(true, Ordering::SeqCst);
        let (min, end) = (running.queue.min_offset(), running.queue.next_offset());
        if running.next < min || running.next > end {
            let to = running.next.clamp(min, end);
            let from = running.next;
            tracing::warn!(from, to, "the timer's offset is moved into its queue");
            running.next = to;
        }
        if running.next == end {
            return None;
        }
        timer.idle.store(false, Ordering::SeqCst);
        if running.next >= running.queue.max_offset() {
            timer.inbox.await_store(true);
        }
        let visible = running.queue.max_offset();
        (running.next < visible).then_some(visible)
    }

    /// Takes these messages one after the other; returns whether the next one has to wait for an
    /// old slot to be emptied.
    fn take(
        &mut self,
        running: &mut Running,
        config: &StoreConfig,
        entries: &[Entry],
        now: Now,
    ) -> io::Result<bool> {
        let mut late: Vec<Row> = Vec::new();
        let mut linked = None;
        let outcome = self.take_each(running, (config, entries), (&mut late, &mut linked), now);
        // The checkpoint may count a unit when its message is durable.
        running.progress.reached(running.position(), linked);
        outcome
    }

    fn take_each(
        &mut self,
        running: &mut Running,
        (config, entries): (&StoreConfig, &[Entry]),
        (late, linked): (&mut Vec<Row>, &mut Option<i64>),
        now: Now,
    ) -> io::Result<bool> {
        for entry in entries {
            let plan = self.plan(running, config, entry, now);
            if !matches!(plan, Plan::Deliver(_)) && !self.deliver_late(running, late, now) {
                return Ok(false);
            }
            match plan {
                Plan::Pass => running.next += 1,
                Plan::Deliver(row) => late.push(row),
                Plan::Link(unit, topic) => {
                    if running.wheel.link(unit)? == Linked::Taken {
                        return Ok(true);
                    }
                    let weight = if unit.kind.is_delete() { -1 } else { 1 };
                    self.shared.timer.count(&topic, weight, now.wall_ms);
                    self.count_enqueued(1);
                    running.next += 1;
                    *linked = Some(entry.end());
                }
            }
        }
        self.deliver_late(running, late, now);
        Ok(false)
    }

    /// Delivers messages that are late; false when some of them are still to be.
    fn deliver_late(&mut self, running: &mut Running, late: &mut Vec<Row>, now: Now) -> bool {
        while !late.is_empty() {
            let moved = self.move_rows(late, &mut HashMap::new(), now);
            late.drain(..moved.count);
            self.count_enqueued(moved.count);
            running.next += i64::try_from(moved.count).unwrap_or(0);
            running.progress.reached(running.position(), moved.log_end);
            if moved.failure.is_some() {
                return false;
            }
        }
        true
    }

    fn count_enqueued(&self, messages: usize) {
        let counter = &self.shared.stats.totals.timer_enqueued;
        counter.fetch_add(messages as u64, Ordering::Relaxed);
    }

    fn plan(&self, running: &mut Running, config: &StoreConfig, entry: &Entry, now: Now) -> Plan {
        if running.known.remove(&entry.offset) {
            return Plan::Pass;
        }
        let slice = self.shared.store.message_at(entry.offset);
        let message = match slice.as_ref().map(|slice| Timed::read(slice.as_ref())) {
            Some(Ok(message)) => message,
            unreadable => {
                let why = unreadable.and_then(Result::err);
                let offset = entry.offset;
                tracing::error!(?why, offset, "a timed message is not in the log any more");
                return Plan::Pass;
            }
        };
        let (Some(out_ms), Some(topic)) = (message.out_ms(), message.topic()) else {
            tracing::error!(
                offset = entry.offset,
                "a timed message has no time or topic"
            );
            return Plan::Pass;
        };
        let (tick, offset) = (running.wheel.tick_of(out_ms), entry.offset);
        if running.next < running.before.0 && tick < running.before.1 {
            return Plan::Pass;
        }
        // The slot that is being emptied takes nothing more.
        let first = running.tick + i64::from(running.round.is_some());
        if tick < first {
            return Plan::Deliver(Row {
                offset,
                enqueued_ms: i64::MAX,
                roll: false,
            });
        }
        let enqueued_ms = now.tick * running.tick_ms;
        let window = window_ticks(config.timer_roll_ticks, self.slots);
        let (slot_ms, roll) = due::slot_ms(out_ms, enqueued_ms, window, running.tick_ms);
        let mut kind = UnitKind::DELIVER;
        if roll {
            kind = kind.with(UnitKind::ROLL);
        }
        if message.deletes().is_some() {
            kind = kind.with(UnitKind::DELETE);
        }
        let Ok(delay_ms) = i32::try_from(slot_ms - enqueued_ms) else {
            tracing::error!(
                offset,
                out_ms,
                "a timed message is too far away for the wheel"
            );
            return Plan::Pass;
        };
        let unit = Unit {
            prev: -1,
            kind,
            enqueued_ms,
            delay_ms,
            offset,
            size: i32::try_from(message.len()).unwrap_or(i32::MAX),
            topic_hash: java_hash_code(topic),
        };
        Plan::Link(unit, topic.to_owned())
    }
}

/// How many ticks a message may be away; what makes no sense is the most that the wheel allows.
fn window_ticks(asked: u32, slots: i64) -> i64 {
    let most = slots / 2 - SPARE_SLOTS;
    let asked = i64::from(asked);
    if (2..=most).contains(&asked) {
        asked
    } else {
        most
    }
}
