//! The thread `rmq-broker-timer`: it sleeps until a slot is due or news come, takes messages from
//! the wheel's topic to the wheel, and moves what is due to the messages' own topics.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Timer;
use super::message::Timed;
use super::progress::{Position, Progress};
use crate::base::thread;
use crate::base::{Error, Result};
use crate::broker::names;
use crate::broker::relay::{self, BATCH_MAX, Tidings};
use crate::broker::shared::Shared;
use crate::config::store::StoreConfig;
use crate::protocol::message::record::StageOptions;
use crate::store::timer::{SLOTS, TimerCheckpoint, TimerOptions, TimerWheel};
use crate::store::{Entry, Queue};

mod dequeue;
mod enqueue;

/// Longest sleep while a message waits: the wall clock may be set forward meanwhile, ms.
const LOOK_INTERVAL_MS: u64 = 1_000;

/// Pause after a delivery that failed, ms.
const RETRY_MS: u64 = 100;

/// Pause after the wheel or its log could not be read or written, ms.
const IO_PAUSE_MS: u64 = 1_000;

/// Pause after a defect showed itself, ms.
const DEFECT_PAUSE_MS: u64 = 10_000;

/// Slots at the end of a round of the wheel that a far message does not reach.
const SPARE_SLOTS: i64 = 60;

/// The two clocks at one moment, and the tick of the wall clock.
#[derive(Clone, Copy, Debug)]
struct Now {
    wall_ms: i64,
    monotonic_ms: u64,
    tick: i64,
}

/// A message to be moved.
#[derive(Clone, Copy, Debug)]
struct Row {
    offset: i64,
    /// When it came to the wheel, ms; `i64::MAX` when it never was on it.
    enqueued_ms: i64,
    roll: bool,
}

/// A message that takes another one back.
#[derive(Debug)]
struct Deletion {
    topic: String,
    used: bool,
}

/// A slot that is being emptied.
#[derive(Debug)]
struct Round {
    tick: i64,
    /// Units of messages that are still to be moved, the oldest first.
    left: VecDeque<i64>,
    /// Units that take messages back.
    delete_units: Vec<i64>,
    deleted: HashMap<Vec<u8>, Deletion>,
}

/// What there is while the broker is a master and has timed messages.
#[derive(Debug)]
struct Running {
    wheel: TimerWheel,
    queue: Arc<Queue>,
    tick_ms: i64,
    /// Offset of the next message of the wheel's topic.
    next: i64,
    /// Slots before are done with.
    tick: i64,
    round: Option<Round>,
    /// The slot that is due next, and the offset up to which messages that may take something of
    /// it back are to be on the wheel first.
    barrier: Option<(i64, i64)>,
    /// Messages whose units are behind the place of the checkpoint.
    known: HashSet<i64>,
    /// What another master had on its wheel (offsets below) and had delivered (ticks before).
    before: (i64, i64),
    progress: Progress,
    /// Slots that are done with, whose content is to be forgotten when that is for good.
    done: VecDeque<i64>,
    /// When (monotonic) what changed is to be written.
    flush_at_ms: Option<u64>,
}

impl Running {
    fn position(&self) -> Position {
        Position {
            tick: self.tick,
            next: self.next,
            log_position: self.wheel.log_end(),
        }
    }
}

/// The state of the thread.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    running: Option<Running>,
    tidings: Tidings,
    stage: StageOptions,
    /// Slots of the wheel.
    slots: i64,
    entries: Vec<Entry>,
    /// When (monotonic) to go on after a failure.
    retry_at_ms: Option<u64>,
    /// Whether a failure was told.
    failing: bool,
}

impl Worker {
    /// The timer's thread of a broker.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            stage: relay::stage_options(&shared),
            shared,
            slots: SLOTS,
            running: None,
            tidings: Tidings::default(),
            entries: Vec::with_capacity(BATCH_MAX),
            retry_at_ms: None,
            failing: false,
        }
    }

    /// The same with a wheel of fewer slots.
    #[cfg(test)]
    pub(super) fn with_slots(self, slots: i64) -> Self {
        Self { slots, ..self }
    }

    /// Works until it is told to end.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        if shared.timer.inbox.serve(|_| self.step()) {
            self.finish();
        }
    }

    /// Does a part of what is to be done; returns how long there is nothing more to do.
    pub(super) fn step(&mut self) -> Option<u64> {
        let config = self.shared.config();
        if !self.shared.is_master() || !config.store.timer_enable {
            self.running = None;
            self.tidings.clear();
            return None;
        }
        let monotonic_ms = self.shared.clock.monotonic_ms();
        if let Some(at_ms) = self.retry_at_ms.filter(|at_ms| *at_ms > monotonic_ms) {
            return Some(at_ms - monotonic_ms);
        }
        self.retry_at_ms = None;
        let tick_ms = config.store.timer_tick_ms.cast_signed();
        let wall_ms = self.shared.clock.wall_ms();
        let now = Now {
            wall_ms,
            monotonic_ms,
            tick: wall_ms.div_euclid(tick_ms),
        };
        match thread::catch(|| self.work(&config.store, now)) {
            Ok(Ok(sleep_ms)) => sleep_ms,
            Ok(Err(error)) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the timer wheel cannot go on, tried again");
                }
                self.pause(IO_PAUSE_MS, now)
            }
            Err(what) => {
                tracing::error!(what, "delivering timed messages panicked");
                self.pause(DEFECT_PAUSE_MS, now)
            }
        }
    }

    fn pause(&mut self, ms: u64, now: Now) -> Option<u64> {
        self.retry_at_ms = Some(now.monotonic_ms + ms);
        Some(ms)
    }

    fn work(&mut self, config: &StoreConfig, now: Now) -> Result<Option<u64>> {
        let running = match self.running.take() {
            Some(running) => Some(running),
            None => self.open(config)?,
        };
        let Some(mut running) = running else {
            return Ok(None);
        };
        let outcome = self.turn(&mut running, config, now);
        self.running = Some(running);
        if outcome.is_ok() {
            self.failing &= self.retry_at_ms.is_some();
        }
        outcome
    }

    /// Reads what is there; `None` when no message was ever timed.
    fn open(&mut self, config: &StoreConfig) -> Result<Option<Running>> {
        let timer = &self.shared.timer;
        timer.idle.store(true, Ordering::SeqCst);
        let Some(queue) = self.shared.store.find_queue(names::TIMER_TOPIC, 0) else {
            return Ok(None);
        };
        if queue.next_offset() == 0 {
            return Ok(None);
        }
        let files = &self.shared.files;
        let checkpoint = files.load_timer_checkpoint();
        let tick_ms = config.timer_tick_ms.cast_signed();
        let (wheel, known) = TimerWheel::open(
            files.disk(),
            files.root(),
            &TimerOptions {
                slots: self.slots,
                log_file_bytes: config.timer_log_file_bytes,
                tick_ms,
                commit_log_end: timer.log_end_at_start,
            },
            (&checkpoint, Arc::clone(&timer.live)),
        )
        .map_err(|e| Error::io("open timer wheel", files.root().display().to_string(), e))?;
        let tick = wheel.tick_of(checkpoint.read_ms);
        let next = checkpoint
            .queue_offset
            .min(checkpoint.master_queue_offset)
            .max(0);
        let position = Position {
            tick,
            next,
            log_position: wheel.log_end(),
        };
        tracing::info!(
            next,
            read_ms = checkpoint.read_ms,
            "the timer wheel is ready"
        );
        Ok(Some(Running {
            wheel,
            queue,
            tick_ms,
            next,
            tick,
            round: None,
            barrier: None,
            known,
            before: (checkpoint.master_queue_offset, tick),
            progress: Progress::new(Position {
                log_position: checkpoint.log_position,
                ..position
            }),
            done: VecDeque::new(),
            flush_at_ms: None,
        }))
    }

    fn turn(
        &mut self,
        running: &mut Running,
        config: &StoreConfig,
        now: Now,
    ) -> Result<Option<u64>> {
        let io_error = |e: io::Error| Error::io("timer wheel", "", e);
        self.take_news(running, config, now);
        let before = running.position();
        if running.round.is_none() {
            // A clock that was set back: what is sent now is not late.
            running.tick = running.tick.min(now.tick);
        }
        let enqueued = self.enqueue(running, config, now).map_err(io_error)?;
        let timer = &self.shared.timer;
        timer.next.store(running.next, Ordering::Relaxed);
        if !enqueued.more && running.round.is_none() {
            // Nothing more can come for a slot that is over: slots without messages are passed.
            let first = running.wheel.first_tick().unwrap_or(i64::MAX);
            running.tick = running.tick.max(first.min(now.tick));
        }
        let worked = self
            .dequeue(running, (config, enqueued.blocked), now)
            .map_err(io_error)?;
        if running.position() != before && !worked {
            running.progress.reached(running.position(), None);
        }
        if running.position().next != before.next || worked {
            note_change(running, config, now);
        }
        self.flush_when_due(running, config, now)?;
        if let Some(at_ms) = self.retry_at_ms {
            return Ok(Some(at_ms.saturating_sub(now.monotonic_ms)));
        }
        if enqueued.more || worked {
            return Ok(Some(0));
        }
        Ok(self.sleep_ms(running, config, now))
    }

    /// How long there is nothing to do but for news; `None` without end.
    fn sleep_ms(&self, running: &Running, config: &StoreConfig, now: Now) -> Option<u64> {
        let slot = running.wheel.first_tick().map(|tick| {
            let due_ms = (tick + 1).saturating_mul(running.tick_ms);
            let rest_ms = u64::try_from(due_ms.saturating_sub(now.wall_ms)).unwrap_or(0);
            let stopped = config.timer_stop_dequeue || config.timer_stop_enqueue;
            let least_ms = if stopped { LOOK_INTERVAL_MS } else { 0 };
            rest_ms.clamp(least_ms, LOOK_INTERVAL_MS)
        });
        let flush = running
            .flush_at_ms
            .map(|at_ms| at_ms.saturating_sub(now.monotonic_ms));
        let stopped = config.timer_stop_enqueue.then_some(LOOK_INTERVAL_MS);
        [slot, flush, stopped].into_iter().flatten().min()
    }

    /// Looks at what became safe meanwhile.
    fn take_news(&mut self, running: &mut Running, config: &StoreConfig, now: Now) {
        if !running.progress.awaits_safety() && self.tidings.is_empty() {
            return;
        }
        self.shared.timer.inbox.await_store(true);
        let (safe, flushed) = {
            let marks = self.shared.store.watermarks();
            (marks.safe(), marks.flushed())
        };
        self.tidings.became_safe(&self.shared, safe);
        if running.progress.settle(safe.min(flushed)) {
            note_change(running, config, now);
        }
    }

    fn flush_when_due(
        &mut self,
        running: &mut Running,
        config: &StoreConfig,
        now: Now,
    ) -> Result<()> {
        if running
            .flush_at_ms
            .is_none_or(|at_ms| at_ms > now.monotonic_ms)
        {
            return Ok(());
        }
        // Should it fail, it is tried again after the same pause.
        running.flush_at_ms = Some(now.monotonic_ms + config.timer_flush_interval_ms);
        self.flush(running, now)?;
        running.flush_at_ms = None;
        Ok(())
    }

    /// Makes durable how far the timer is.
    fn flush(&mut self, running: &mut Running, now: Now) -> Result<()> {
        let (shared, timer) = (&self.shared, &self.shared.timer);
        let io_error = |e: io::Error| Error::io("write timer wheel", "", e);
        let settled = running.progress.settled();
        while let Some(tick) = running.done.pop_front_if(|tick| *tick < settled.tick) {
            running.wheel.forget(tick).map_err(io_error)?;
        }
        running.wheel.sync().map_err(io_error)?;
        let last = timer.checkpoint();
        let mut checkpoint = TimerCheckpoint {
            read_ms: settled.tick.saturating_mul(running.tick_ms),
            log_position: settled.log_position,
            queue_offset: settled.next,
            master_queue_offset: settled.next,
            version: last.version,
        };
        if checkpoint != last {
            checkpoint.version.advance(now.wall_ms);
            shared.files.save_timer_checkpoint(&checkpoint)?;
            *timer.checkpoint.lock() = checkpoint;
        }
        let is_empty = running.wheel.first_tick().is_none() && running.round.is_none();
        if is_empty && running.next == running.queue.next_offset() {
            timer.nothing_waits(now.wall_ms);
        }
        shared.files.save_timer_metrics(&timer.metrics())?;
        let min_offset = shared.store.min_offset();
        running.wheel.delete_before(min_offset).map_err(io_error)
    }

    /// Makes everything that was delivered durable and notes it, so that the next start delivers
    /// nothing twice.
    pub(super) fn finish(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        let wall_ms = self.shared.clock.wall_ms();
        let now = Now {
            wall_ms,
            monotonic_ms: self.shared.clock.monotonic_ms(),
            tick: wall_ms.div_euclid(running.tick_ms),
        };
        if let Err(error) = self.finish_running(&mut running, now) {
            tracing::warn!(%error, "timed messages may be delivered twice after the next start");
        }
    }

    fn finish_running(&mut self, running: &mut Running, now: Now) -> Result<()> {
        let io_error = |e: io::Error| Error::io("write timer wheel", "", e);
        self.shared.store.flush()?;
        if let Some(round) = running.round.take() {
            // The part of the slot that was delivered leaves it.
            let mut left: Vec<i64> = round.left.into_iter().chain(round.delete_units).collect();
            left.sort_unstable();
            let (wheel, tick) = (&mut running.wheel, round.tick);
            wheel.keep_only(tick, &left).map_err(io_error)?;
            running.progress.reached(running.position(), None);
        }
        running
            .progress
            .settle(self.shared.store.watermarks().flushed());
        self.flush(running, now)
    }
}

/// Takes note that there is something to be written.
fn note_change(running: &mut Running, config: &StoreConfig, now: Now) {
    let at_ms = now.monotonic_ms + config.timer_flush_interval_ms;
    running.flush_at_ms.get_or_insert(at_ms);
}
