//! What the library has to say goes to one function of JavaScript's, or nowhere.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use napi_derive::napi;
use rmq_core::embed::{LogEvent, LogSink, install_log, log_level_changed};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::hub::{Hub, Sender};

/// Lines beyond these are dropped until JavaScript has read some.
const LINES_MAX: u32 = 10_000;

/// One line of the log.
#[napi(object)]
pub struct NativeLogRecord {
    /// 1 (error) to 5 (trace).
    pub level: u32,
    /// The part of the library.
    pub target: String,
    /// The line.
    pub message: String,
}

struct Listener {
    sender: Sender,
    id: u32,
    level: u32,
    /// Lines on their way.
    waiting: AtomicU32,
}

/// One for each JavaScript environment that listens.
static LISTENERS: Mutex<Vec<Listener>> = Mutex::new(Vec::new());
static LEVEL: AtomicU32 = AtomicU32::new(0);

fn number_of(level: Level) -> u32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        _ => 5,
    }
}

/// Hands every event to all who listen.
struct Relay;

impl LogSink for Relay {
    fn level(&self) -> LevelFilter {
        match LEVEL.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }

    fn event(&self, event: &LogEvent<'_>) {
        let (level, message) = (number_of(event.level()), event.text());
        let listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.iter().filter(|one| level <= one.level) {
            if listener.waiting.load(Ordering::Relaxed) >= LINES_MAX {
                continue;
            }
            listener.waiting.fetch_add(1, Ordering::Relaxed);
            let record = NativeLogRecord {
                level,
                target: event.target().to_owned(),
                message: message.clone(),
            };
            listener.sender.send(listener.id, Ok(record));
        }
    }
}

/// Has lines up to a level (1 error to 5 trace; 0 none any more) come as events with this number.
/// False: the process has another taker of them.
#[napi]
pub fn set_log_level(hub: &Hub, id: u32, level: u32) -> bool {
    if !install_log(&Relay) {
        return false;
    }
    let sender = hub.sender();
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.retain(|one| !(one.id == id && one.sender.is_same(&sender)) && one.sender.is_open());
    if level > 0 {
        let waiting = AtomicU32::new(0);
        listeners.push(Listener {
            sender,
            id,
            level,
            waiting,
        });
    }
    let most = listeners.iter().map(|one| one.level).max();
    LEVEL.store(most.unwrap_or(0), Ordering::Relaxed);
    drop(listeners);
    log_level_changed();
    true
}

/// JavaScript has read a line of the listener with this number.
#[napi]
pub fn log_line_read(hub: &Hub, id: u32) {
    let sender = hub.sender();
    let listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut own = listeners.iter();
    if let Some(own) = own.find(|one| one.id == id && one.sender.is_same(&sender)) {
        let fewer = |waiting: u32| waiting.checked_sub(1);
        let _ = own
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }
}
