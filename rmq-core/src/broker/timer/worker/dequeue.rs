//! From the wheel to the messages' own topics.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Deletion, Now, RETRY_MS, Round, Row, Running, StoreConfig, Timed, Worker};
use crate::broker::names;
use crate::broker::relay::{self, BATCH_MAX, Moved};
use crate::broker::schedule::message::DueMessage;
use crate::broker::shared::Shared;
use crate::store::timer::{Linked, Unit, UnitKind};
use crate::store::{AppendBatch, LogSlice, Queue};

impl Worker {
    /// Empties the slot that is due, up to a batch of it; returns whether something was done.
    pub(super) fn dequeue(
        &mut self,
        running: &mut Running,
        (config, blocked): (&StoreConfig, bool),
        now: Now,
    ) -> io::Result<bool> {
        if config.timer_stop_dequeue {
            return Ok(false);
        }
        if running.round.is_none() {
            let Some(tick) = running.wheel.first_tick().filter(|tick| *tick < now.tick) else {
                return Ok(false);
            };
            let barrier = match running.barrier {
                Some((of, barrier)) if of == tick => barrier,
                _ => running.queue.max_offset(),
            };
            running.barrier = Some((tick, barrier));
            if running.next < barrier && !blocked && !config.timer_stop_enqueue {
                return Ok(false);
            }
            running.round = Some(self.begin_round(running, tick, now)?);
            running.tick = tick;
        }
        let Some(mut round) = running.round.take() else {
            return Ok(false);
        };
        let outcome = self.move_batch(running, &mut round, now);
        if round.left.is_empty() && outcome.is_ok() {
            self.end_round(running, &round, now);
        } else {
            running.round = Some(round);
        }
        let log_end = outcome?;
        running.progress.reached(running.position(), log_end);
        Ok(true)
    }

    fn begin_round(&self, running: &mut Running, tick: i64, now: Now) -> io::Result<Round> {
        let mut round = Round {
            tick,
            left: VecDeque::new(),
            delete_units: Vec::new(),
            deleted: HashMap::new(),
        };
        for position in running.wheel.units_of(tick)? {
            let unit = running.wheel.unit(position)?;
            let slice = match unit.kind == UnitKind::DELIVER {
                true => None,
                false => self.shared.store.message_at(unit.offset),
            };
            if unit.kind.is_roll() {
                if !roll_on_the_wheel(running, tick, &unit, slice.as_ref(), now)? {
                    round.left.push_back(position);
                }
                continue;
            }
            if !unit.kind.is_delete() {
                round.left.push_back(position);
                continue;
            }
            round.delete_units.push(position);
            if let Some(Ok(message)) = slice.as_ref().map(|slice| Timed::read(slice.as_ref()))
                && let Some(key) = message.deletes()
            {
                let topic = message.topic().unwrap_or_default().to_owned();
                let deletion = Deletion { topic, used: false };
                round.deleted.insert(key.to_vec(), deletion);
            }
        }
        Ok(round)
    }

    fn end_round(&self, running: &mut Running, round: &Round, now: Now) {
        for deletion in round.deleted.values().filter(|one| !one.used) {
            // What it was to take back was never there, or gone already.
            self.shared.timer.count(&deletion.topic, 1, now.wall_ms);
        }
        running.wheel.done(round.tick);
        running.tick = round.tick + 1;
        running.barrier = None;
        running.done.push_back(round.tick);
    }

    /// Moves the first messages of a slot; returns how far the log was filled for them.
    fn move_batch(
        &mut self,
        running: &mut Running,
        round: &mut Round,
        now: Now,
    ) -> io::Result<Option<i64>> {
        let mut rows = Vec::with_capacity(BATCH_MAX.min(round.left.len()));
        for &position in round.left.iter().take(BATCH_MAX) {
            let unit = running.wheel.unit(position)?;
            rows.push(Row {
                offset: unit.offset,
                enqueued_ms: unit.enqueued_ms,
                roll: unit.kind.is_roll(),
            });
        }
        let moved = self.move_rows(&rows, &mut round.deleted, now);
        round.left.drain(..moved.count);
        Ok(moved.log_end)
    }

    /// Appends messages to their topics, those that are put back to the wheel's; as many as make a
    /// batch.
    pub(super) fn move_rows(
        &mut self,
        rows: &[Row],
        deleted: &mut HashMap<Vec<u8>, Deletion>,
        now: Now,
    ) -> Moved {
        let shared = Arc::clone(&self.shared);
        let offsets = rows.iter().map(|row| row.offset);
        let slices = relay::read_batch(&shared.store, offsets);
        let mut batch = AppendBatch::new(self.stage);
        let mut staged = Vec::with_capacity(slices.len());
        let mut targets = Vec::with_capacity(slices.len());
        for (slice, row) in slices.iter().zip(rows) {
            let queue = match slice.as_ref() {
                Some(slice) => stage(&shared, slice, row, deleted, now, &mut batch),
                None => Err("it is no longer in the log".to_owned()),
            };
            let queue = queue.unwrap_or_else(|why| {
                tracing::error!(why, offset = row.offset, "a timed message is passed over");
                None
            });
            staged.push(queue.is_some());
            targets.extend(queue);
        }
        shared.store.append(&mut batch);
        self.tidings.tell(&shared, &batch, &targets);
        let moved = Moved::of(&staged, &batch);
        let put = staged[..moved.count].iter().filter(|staged| **staged);
        let counter = &shared.stats.totals.timer_dequeued;
        counter.fetch_add(put.count() as u64, Ordering::Relaxed);
        let sent = slices.iter().zip(rows).zip(&staged).take(moved.count);
        for ((slice, row), staged) in sent {
            if *staged
                && row.enqueued_ms != i64::MAX
                && let Some(Ok(message)) = slice.as_ref().map(|slice| Timed::read(slice.as_ref()))
                && let Some(topic) = message.topic()
            {
                let weight = if message.deletes().is_some() { 1 } else { -1 };
                shared.timer.count(topic, weight, now.wall_ms);
            }
        }
        if let Some(error) = &moved.failure {
            if !std::mem::replace(&mut self.failing, true) {
                tracing::error!(%error, "cannot deliver timed messages, tried again");
            }
            self.retry_at_ms = Some(now.monotonic_ms + RETRY_MS);
        }
        moved
    }
}

/// Links a message that was to be put back to its own slot, when that is due as well: after a long
/// stop. Put back, it would come too late to be taken back by what lies in that slot.
fn roll_on_the_wheel(
    running: &mut Running,
    tick: i64,
    unit: &Unit,
    slice: Option<&LogSlice>,
    now: Now,
) -> io::Result<bool> {
    let message = slice.and_then(|slice| Timed::read(slice.as_ref()).ok());
    let Some(out_ms) = message.and_then(|message| message.out_ms()) else {
        return Ok(false);
    };
    let own = running.wheel.tick_of(out_ms);
    let delay_ms = i32::try_from(out_ms - unit.enqueued_ms);
    let (true, Ok(delay_ms)) = (tick < own && own <= now.tick, delay_ms) else {
        return Ok(false);
    };
    let unit = Unit {
        kind: unit.kind.without(UnitKind::ROLL),
        delay_ms,
        ..*unit
    };
    Ok(running.wheel.link(unit)? == Linked::Done)
}

/// Adds a message to the batch, for the queue that is returned; `None` when it was taken back.
fn stage<'a>(
    shared: &Shared,
    slice: &'a LogSlice,
    row: &Row,
    deleted: &mut HashMap<Vec<u8>, Deletion>,
    now: Now,
    batch: &mut AppendBatch<'a>,
) -> Result<Option<Arc<Queue>>, String> {
    let timed = Timed::read(slice.as_ref())?;
    if !row.roll && is_deleted(&timed, deleted) {
        return Ok(None);
    }
    if timed.deletes().is_some() && !row.roll {
        // Too late to take anything back.
        return Ok(None);
    }
    let mut message = DueMessage::read(slice.as_ref())?;
    message.stamp(
        row.enqueued_ms,
        now.wall_ms,
        row.roll.then(|| timed.rolls() + 1),
    );
    let mut record = message.record(shared.store_host());
    if row.roll {
        (record.topic, record.queue_id) = (names::TIMER_TOPIC, 0);
    } else {
        names::check_topic(message.topic)?;
    }
    let queue = shared.store.queue(record.topic, record.queue_id);
    batch
        .push_with_body(
            &record,
            message.body(),
            Arc::clone(&queue),
            message.tags_code,
        )
        .map_err(|error| error.to_string())?;
    Ok(Some(queue))
}

fn is_deleted(timed: &Timed<'_>, deleted: &mut HashMap<Vec<u8>, Deletion>) -> bool {
    if deleted.is_empty() {
        return false;
    }
    let (Some(topic), Some(unique_id)) = (timed.topic(), timed.unique_id()) else {
        return false;
    };
    let with_topic = [topic.as_bytes(), b"+", unique_id].concat();
    for key in [&with_topic, unique_id] {
        if let Some(deletion) = deleted.get_mut(key) {
            deletion.used = true;
            return true;
        }
    }
    false
}
