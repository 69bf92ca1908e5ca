//! Threads for calls that wait: starts, ends, flushes. Idle ones end after a moment, so that a
//! process that does nothing has none.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rmq_core::embed::spawn_thread;

/// Most threads at a time; calls beyond them wait for one.
const THREADS_MAX: usize = 64;
const IDLE: Duration = Duration::from_secs(1);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static STATE: Mutex<State> = Mutex::new(State {
    jobs: VecDeque::new(),
    threads: 0,
    idle: 0,
});
static CHANGED: Condvar = Condvar::new();

/// Runs `job` on a thread of the pool. If there can be no thread at all it is dropped.
pub(crate) fn run(job: Job) {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    state.jobs.push_back(job);
    if state.jobs.len() <= state.idle || state.threads == THREADS_MAX {
        drop(state);
        CHANGED.notify_one();
        return;
    }
    state.threads += 1;
    drop(state);
    // The thread ends by itself; nobody waits for it.
    if let Err(error) = spawn_thread("rmq-node-work", serve) {
        tracing::error!(%error, "a call has no thread to run on");
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.threads -= 1;
        let left = match state.threads {
            0 => std::mem::take(&mut state.jobs),
            _ => VecDeque::new(),
        };
        drop(state);
        drop(left);
    }
}

fn serve() {
    while let Some(job) = next() {
        // A job reports its own panic; the thread goes on.
        let body = std::panic::AssertUnwindSafe(job);
        if std::panic::catch_unwind(body).is_err() {
            tracing::error!("a call panicked");
        }
    }
}

fn next() -> Option<Job> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(job) = state.jobs.pop_front() {
            return Some(job);
        }
        state.idle += 1;
        let (after, waited) = CHANGED
            .wait_timeout(state, IDLE)
            .unwrap_or_else(PoisonError::into_inner);
        state = after;
        state.idle -= 1;
        if waited.timed_out() && state.jobs.is_empty() {
            state.threads -= 1;
            return None;
        }
    }
}
