//! What the library has to say, for a thread of Python that hands it to `logging`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rmq_core::embed::{LogEvent, LogSink, install_log, log_level_changed};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::arguments;
use crate::job;

/// Records that wait at most; what comes beyond is counted and dropped.
const WAITING_MAX: usize = 10_000;

/// Level by Python's numbers, target, line.
type Record = (u8, &'static str, String);

struct Waiting {
    records: VecDeque<Record>,
    dropped: u64,
}

static WAITING: Mutex<Waiting> = Mutex::new(Waiting {
    records: VecDeque::new(),
    dropped: 0,
});
/// The process whose records are kept.
static PROCESS: AtomicU32 = AtomicU32::new(0);
static FILLED: Condvar = Condvar::new();
/// The least of Python's levels that is told; 0 for none.
static LEAST: AtomicU8 = AtomicU8::new(0);

/// TRACE, which Python does not know, is half of DEBUG.
const TRACE: u8 = 5;

fn number_of(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        _ => TRACE,
    }
}

/// Puts every event where Python takes it.
struct Relay;

impl LogSink for Relay {
    fn level(&self) -> LevelFilter {
        match LEAST.load(Ordering::Relaxed) {
            1..=TRACE => LevelFilter::TRACE,
            6..=10 => LevelFilter::DEBUG,
            11..=20 => LevelFilter::INFO,
            21..=30 => LevelFilter::WARN,
            31..=40 => LevelFilter::ERROR,
            // None; or CRITICAL, which nothing here is.
            _ => LevelFilter::OFF,
        }
    }

    fn event(&self, event: &LogEvent<'_>) {
        // A thread that is not in the child may have held the lock at the fork.
        if PROCESS.load(Ordering::Relaxed) != std::process::id() {
            return;
        }
        let record = (number_of(event.level()), event.target(), event.text());
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.records.len() >= WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.records.push_back(record);
        drop(waiting);
        FILLED.notify_one();
    }
}

/// Begins to keep what is at least as urgent as a level of Python's; 0 ends it.
/// `RuntimeError`: the host takes the events of Rust's `tracing` itself.
#[pyfunction]
pub(crate) fn log_start(level: u8) -> PyResult<()> {
    if level > 0 && !install_log(&Relay) {
        let why = "the host has a subscriber of tracing's own";
        return Err(PyRuntimeError::new_err(why));
    }
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    LEAST.store(level, Ordering::Relaxed);
    log_level_changed();
    Ok(())
}

/// The records that wait, and how many were dropped since the last call; waits for the first at
/// most for `timeout` seconds.
#[pyfunction]
pub(crate) fn log_take(py: Python<'_>, timeout: f64) -> PyResult<(Vec<Record>, u64)> {
    let timeout = arguments::duration(timeout)?;
    let taken = job::in_slices(py, timeout, timeout, |slice| {
        let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |waiting: &mut Waiting| waiting.records.is_empty();
        let waited = FILLED.wait_timeout_while(waiting, slice, empty);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        let records: Vec<Record> = waiting.records.drain(..).collect();
        let dropped = std::mem::take(&mut waiting.dropped);
        (!records.is_empty()).then_some((records, dropped))
    })?;
    Ok(taken.unwrap_or_default())
}
