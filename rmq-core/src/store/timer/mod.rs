//! Messages that wait for a time: which of them are due when.
//!
//! A wheel has a slot for each tick; the units of a slot are a chain in the timer log, and each
//! leads to a message in the commit log. Both can be made again from the topic that the messages
//! wait in, so neither is written before a sender is answered.

mod checkpoint;
mod log;
mod wheel;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

pub use checkpoint::{CHECKPOINT_BYTES, TimerCheckpoint};
pub use log::{TimerLog, UNIT_BYTES, Unit, UnitKind};
pub use wheel::{SLOT_BYTES, SLOTS, Slot, Wheel};

use super::disk::Disk;

/// Slots that changed are written at the latest when they are so many.
const DIRTY_SLOTS_MAX: usize = 8192;

/// By tick, how many messages wait in each slot that has any; shared with those who ask.
pub type LiveSlots = Arc<Mutex<BTreeMap<i64, i32>>>;

/// What a wheel is opened with.
#[derive(Clone, Copy, Debug)]
pub struct TimerOptions {
    /// Slots of the wheel; [`SLOTS`] but in tests.
    pub slots: i64,
    /// Length of a file of the log in bytes. A log that is there keeps the length it has.
    pub log_file_bytes: u64,
    /// Length of a tick, ms.
    pub tick_ms: i64,
    /// Where the commit log ends: units of messages beyond are none.
    pub commit_log_end: i64,
}

/// The wheel with its log. Owned by one thread.
#[derive(Debug)]
pub struct TimerWheel {
    wheel: Wheel,
    log: TimerLog,
    tick_ms: i64,
    live: LiveSlots,
}

/// What became of a unit that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// It is in its slot.
    Done,
    /// Its place on the wheel is still taken by a slot of two weeks before.
    Taken,
}

impl TimerWheel {
    /// Opens the wheel below `root` and finds out what waits: slots before the time of the
    /// checkpoint are done with. Returns besides where in the commit log the messages lie whose
    /// units are behind the checkpoint's place in the timer log.
    pub fn open(
        disk: &Arc<dyn Disk>,
        root: &Path,
        options: &TimerOptions,
        (checkpoint, live): (&TimerCheckpoint, LiveSlots),
    ) -> io::Result<(Self, HashSet<i64>)> {
        let (wheel, is_whole) =
            Wheel::open(Arc::clone(disk), root.join("timerwheel"), options.slots)?;
        let log = TimerLog::open(
            Arc::clone(disk),
            root.join("timerlog"),
            options.log_file_bytes,
            checkpoint.log_position,
        )?;
        let mut this = Self {
            wheel,
            log,
            tick_ms: options.tick_ms,
            live,
        };
        let found = this.recover(checkpoint, is_whole, options.commit_log_end)?;
        Ok((this, found))
    }

    fn recover(
        &mut self,
        checkpoint: &TimerCheckpoint,
        is_whole: bool,
        commit_log_end: i64,
    ) -> io::Result<HashSet<i64>> {
        let from_tick = self.tick_of(checkpoint.read_ms);
        let tick_ms = self.tick_ms;
        let mut slots = BTreeMap::new();
        self.wheel.scan(from_tick, &mut |slot| {
            slots.insert(slot.tick, slot);
        })?;
        let mut found = HashSet::new();
        let known = checkpoint.log_position;
        // A message that was lost, because nobody was promised that it is kept.
        let is_lost = |unit: &Unit| unit.offset.saturating_add(unit.size.into()) > commit_log_end;
        let mut link = |position: i64, unit: &Unit| {
            if is_lost(unit) {
                return false;
            }
            if position >= known {
                found.insert(unit.offset);
            }
            let tick = unit.slot_ms().div_euclid(tick_ms);
            if tick >= from_tick {
                relink(&mut slots, tick, position, unit);
            }
            true
        };
        let start = self.log.start();
        let from = if is_whole { known } else { start };
        let end = self.log.recover(from, &mut link)?;
        // A wheel that was written ahead of its log, as another broker's may be.
        let ahead = |slot: &Slot| slot.last >= end || slot.last < start;
        if slots.values().any(ahead) {
            tracing::warn!("the timer wheel is ahead of its log and is made again");
            slots.clear();
            self.log.recover(start, &mut |position, unit| {
                let tick = unit.slot_ms().div_euclid(tick_ms);
                if tick >= from_tick {
                    relink(&mut slots, tick, position, unit);
                }
                true
            })?;
        }
        let mut live = self.live.lock();
        live.clear();
        for slot in slots.into_values() {
            live.insert(slot.tick, slot.num);
            if self.wheel.raw(slot.tick)? != slot {
                self.wheel.put(slot);
            }
        }
        Ok(found)
    }

    /// The tick of a time.
    #[must_use]
    pub fn tick_of(&self, time_ms: i64) -> i64 {
        time_ms.div_euclid(self.tick_ms)
    }

    /// The first slot that has something.
    #[must_use]
    pub fn first_tick(&self) -> Option<i64> {
        self.live.lock().keys().next().copied()
    }

    /// Position behind the last unit of the log.
    #[must_use]
    pub fn log_end(&self) -> i64 {
        self.log.end()
    }

    fn live_slot(&self, tick: i64) -> io::Result<Option<Slot>> {
        if !self.live.lock().contains_key(&tick) {
            return Ok(None);
        }
        let slot = self.wheel.raw(tick)?;
        Ok(Some(slot).filter(|slot| slot.tick == tick))
    }

    /// Adds a unit to the slot of its time. The unit's `prev` is set here.
    pub fn link(&mut self, unit: Unit) -> io::Result<Linked> {
        let tick = self.tick_of(unit.slot_ms());
        let before = self.live_slot(tick)?;
        if before.is_none() {
            let raw = self.wheel.raw(tick)?;
            if raw.tick != tick && self.live.lock().contains_key(&raw.tick) {
                return Ok(Linked::Taken);
            }
        }
        if self.wheel.dirty() >= DIRTY_SLOTS_MAX {
            self.sync()?;
        }
        let prev = before.map_or(-1, |slot| slot.last);
        let position = self.log.append(&Unit { prev, ..unit })?;
        let slot = before.unwrap_or(Slot {
            tick,
            first: position,
            ..Slot::default()
        });
        let slot = Slot {
            last: position,
            num: slot.num.saturating_add(weight(&unit)),
            ..slot
        };
        self.wheel.put(slot);
        self.live.lock().insert(tick, slot.num);
        Ok(Linked::Done)
    }

    /// Positions of the units of a slot, the oldest first.
    pub fn units_of(&mut self, tick: i64) -> io::Result<Vec<i64>> {
        let Some(slot) = self.live_slot(tick)? else {
            return Ok(Vec::new());
        };
        let mut positions = Vec::new();
        let mut at = slot.last;
        while at >= self.log.start() {
            let unit = match self.log.unit(at) {
                Ok(unit) => unit,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::error!(%error, tick, "a slot of the timer wheel lost its older part");
                    break;
                }
                Err(error) => return Err(error),
            };
            if self.tick_of(unit.slot_ms()) != tick {
                break;
            }
            positions.push(at);
            at = unit.prev;
        }
        positions.reverse();
        Ok(positions)
    }

    /// The unit at a position.
    pub fn unit(&mut self, position: i64) -> io::Result<Unit> {
        self.log.unit(position)
    }

    /// A slot is done with. What it leads to stays until [`forget`](Self::forget).
    pub fn done(&mut self, tick: i64) {
        self.live.lock().remove(&tick);
    }

    /// What a slot led to was delivered for good: it is not to be found again.
    pub fn forget(&mut self, tick: i64) -> io::Result<()> {
        if !self.live.lock().contains_key(&tick) && self.wheel.raw(tick)?.tick == tick {
            self.wheel.put(Slot {
                tick,
                first: -1,
                last: -1,
                ..Slot::default()
            });
        }
        Ok(())
    }

    /// Leaves only these units in a slot, of which the others are done with.
    pub fn keep_only(&mut self, tick: i64, positions: &[i64]) -> io::Result<()> {
        self.done(tick);
        // The chain begins anew behind everything that is there.
        let units: io::Result<Vec<Unit>> = positions.iter().map(|at| self.log.unit(*at)).collect();
        for unit in units? {
            self.link(unit)?;
        }
        Ok(())
    }

    /// Makes everything durable: the log before the wheel that leads into it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.log.sync()?;
        self.wheel.sync()
    }

    /// Removes files of the log whose messages are gone from the commit log.
    pub fn delete_before(&mut self, min_offset: i64) -> io::Result<()> {
        self.log.delete_before(min_offset)
    }
}

/// What a unit adds to the count of its slot.
fn weight(unit: &Unit) -> i32 {
    if unit.kind.is_delete() { -1 } else { 1 }
}

/// Notes a unit that is in the log, in slots that may know it already.
fn relink(slots: &mut BTreeMap<i64, Slot>, tick: i64, position: i64, unit: &Unit) {
    let slot = slots.entry(tick).or_insert(Slot {
        tick,
        first: position,
        last: -1,
        ..Slot::default()
    });
    if slot.last < position {
        // Only this part of the slot was taken out of what was there before.
        if unit.prev < 0 {
            slot.first = position;
            slot.num = 0;
        }
        slot.last = position;
        slot.num = slot.num.saturating_add(weight(unit));
    }
}

#[cfg(test)]
mod tests;
