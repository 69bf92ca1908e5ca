//! What the library has to say, for a thread of Python that hands it to `logging`.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

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

/// A line: the message, then the other fields as `name=value`.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

/// Puts every event where Python takes it.
struct Relay;

impl Subscriber for Relay {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match LEAST.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1..=TRACE => LevelFilter::TRACE,
            6..=10 => LevelFilter::DEBUG,
            11..=20 => LevelFilter::INFO,
            21..=30 => LevelFilter::WARN,
            _ => LevelFilter::ERROR,
        })
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let least = LEAST.load(Ordering::Relaxed);
        least > 0 && metadata.is_event() && number_of(*metadata.level()) >= least
    }

    fn event(&self, event: &Event<'_>) {
        // A thread that is not in the child may have held the lock at the fork.
        if PROCESS.load(Ordering::Relaxed) != std::process::id() {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let (level, text) = (number_of(*metadata.level()), line.message + &line.fields);
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.records.len() >= WAITING_MAX {
            waiting.dropped += 1;
            return;
        }
        waiting.records.push_back((level, metadata.target(), text));
        drop(waiting);
        FILLED.notify_one();
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Begins to keep what is at least as urgent as a level of Python's; 0 ends it.
/// `RuntimeError`: the host takes the events of Rust's `tracing` itself.
#[pyfunction]
pub(crate) fn log_start(level: u8) -> PyResult<()> {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    if level > 0
        && !*INSTALLED.get_or_init(|| tracing::subscriber::set_global_default(Relay).is_ok())
    {
        let why = "the host has a subscriber of tracing's own";
        return Err(PyRuntimeError::new_err(why));
    }
    PROCESS.store(std::process::id(), Ordering::Relaxed);
    LEAST.store(level, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
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
