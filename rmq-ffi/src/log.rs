//! What the library has to say goes to a callback of the host, or nowhere.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rmq_core::embed::{LogEvent, LogSink, install_log, log_level_changed};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::boundary::{call, guard, run_callback};
use crate::error::{Fault, rmq_error};
use crate::status::{RMQ_E_BUSY, rmq_status};

/// Nothing is told.
pub const RMQ_LOG_OFF: i32 = 0;
/// Something failed and a person should look.
pub const RMQ_LOG_ERROR: i32 = 1;
/// Something is not as it should be; the library goes on.
pub const RMQ_LOG_WARN: i32 = 2;
/// Starts, ends, elections: what an operator wants to find later.
pub const RMQ_LOG_INFO: i32 = 3;
/// What a developer of a client wants to know.
pub const RMQ_LOG_DEBUG: i32 = 4;
/// Everything.
pub const RMQ_LOG_TRACE: i32 = 5;

/// Takes one line of the log. It is called on any thread, also on several at once, and must not
/// wait: functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it. What the library would log
/// meanwhile on the same thread is dropped.
///
/// @param user_data What was given with the callback.
/// @param level `RMQ_LOG_ERROR` to `RMQ_LOG_TRACE`.
/// @param target The part of the library, UTF-8 of `target_len` bytes, not NUL-terminated; valid
/// during the call.
/// @param message The line without an end of line, UTF-8 of `message_len` bytes, not
/// NUL-terminated; valid during the call.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_log_cb = Option<
    extern "C" fn(
        user_data: *mut c_void,
        level: i32,
        target: *const c_char,
        target_len: usize,
        message: *const c_char,
        message_len: usize,
    ),
>;

/// Releases the user data of a callback: called once, after the last call of that callback has
/// ended, on the thread that ended it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_destroy_cb = Option<extern "C" fn(user_data: *mut c_void)>;

struct Sink {
    process: u32,
    callback: extern "C" fn(*mut c_void, i32, *const c_char, usize, *const c_char, usize),
    user_data: *mut c_void,
    destroy: rmq_destroy_cb,
}

// SAFETY: the terms of `rmq_log_set` say that the callback is called on any thread.
unsafe impl Send for Sink {}
// SAFETY: the same, and on several at once.
unsafe impl Sync for Sink {}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            destroy(self.user_data);
        }
    }
}

static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);
static MAX_LEVEL: AtomicI32 = AtomicI32::new(RMQ_LOG_OFF);

fn number_of(level: Level) -> i32 {
    match level {
        Level::ERROR => RMQ_LOG_ERROR,
        Level::WARN => RMQ_LOG_WARN,
        Level::INFO => RMQ_LOG_INFO,
        Level::DEBUG => RMQ_LOG_DEBUG,
        _ => RMQ_LOG_TRACE,
    }
}

/// Hands every event to the sink of the moment.
struct Relay;

impl LogSink for Relay {
    fn level(&self) -> LevelFilter {
        match MAX_LEVEL.load(Ordering::Relaxed) {
            RMQ_LOG_ERROR => LevelFilter::ERROR,
            RMQ_LOG_WARN => LevelFilter::WARN,
            RMQ_LOG_INFO => LevelFilter::INFO,
            RMQ_LOG_DEBUG => LevelFilter::DEBUG,
            RMQ_LOG_TRACE => LevelFilter::TRACE,
            _ => LevelFilter::OFF,
        }
    }

    fn event(&self, event: &LogEvent<'_>) {
        // A thread that is not in the child may have held the lock at the fork, so nobody waits.
        let sink = match SINK.try_read() {
            Ok(sink) => sink.clone(),
            Err(_) => None,
        };
        let Some(sink) = sink.filter(|sink| sink.process == std::process::id()) else {
            return;
        };
        let (level, target, text) = (number_of(event.level()), event.target(), event.text());
        run_callback(|| {
            let (target_text, message) = (target.as_ptr().cast(), text.as_ptr().cast());
            let user_data = sink.user_data;
            (sink.callback)(
                user_data,
                level,
                target_text,
                target.len(),
                message,
                text.len(),
            );
        });
    }
}

/// Says where the log goes, for the whole process, in place of what was said before. Before the
/// first call it goes nowhere. Callbacks of log lines may call this function.
///
/// @param callback Takes the lines; NULL for nobody.
/// @param user_data Handed to the callback as it is.
/// @param destroy NULL, or what is called once when `callback` will not be called any more: at the
/// next `rmq_log_set`, or, if the callback is running then, when it returns. It is called also when
/// this call fails.
/// @param max_level `RMQ_LOG_OFF` to `RMQ_LOG_TRACE`: the least urgent lines that are told.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_INVALID` for another level; `RMQ_E_BUSY` if the host takes events of
/// Rust's `tracing` itself.
///
/// # Safety
/// As the parameters say; `callback` and `destroy` may be called on any thread.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_log_set(
    callback: rmq_log_cb,
    user_data: *mut c_void,
    destroy: rmq_destroy_cb,
    max_level: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let fresh = match callback {
            Some(callback) => Some(Arc::new(Sink {
                process: std::process::id(),
                callback,
                user_data,
                destroy,
            })),
            None => {
                if let Some(destroy) = destroy {
                    destroy(user_data);
                }
                None
            }
        };
        if !(RMQ_LOG_OFF..=RMQ_LOG_TRACE).contains(&max_level) {
            return Err(Fault::invalid(format!("max_level is {max_level}")));
        }
        if fresh.is_some() && !install_log(&Relay) {
            let why = "the host has a subscriber of tracing's own";
            return Err(Fault::new(RMQ_E_BUSY, why));
        }
        let level = if fresh.is_some() {
            max_level
        } else {
            RMQ_LOG_OFF
        };
        let mut sink = SINK.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *sink, fresh);
        MAX_LEVEL.store(level, Ordering::Relaxed);
        drop(sink);
        drop(before);
        log_level_changed();
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// The name of a level, for example "WARN"; "unknown" for a number that is none.
///
/// @return A NUL-terminated string that lives as long as the library is loaded; never NULL. Do not
/// free it.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_log_level_name(level: i32) -> *const c_char {
    let name = || match level {
        RMQ_LOG_OFF => c"OFF",
        RMQ_LOG_ERROR => c"ERROR",
        RMQ_LOG_WARN => c"WARN",
        RMQ_LOG_INFO => c"INFO",
        RMQ_LOG_DEBUG => c"DEBUG",
        RMQ_LOG_TRACE => c"TRACE",
        _ => c"unknown",
    };
    guard(c"unknown".as_ptr(), || name().as_ptr())
}
