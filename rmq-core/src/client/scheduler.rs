//! A few threads that run jobs, at once or later.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::base::Result;
use crate::base::clock::SharedClock;
use crate::base::thread::{self, JoinHandle, ProcessMark};

/// How long the end of a scheduler waits for a job that runs.
const JOIN_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    ready: VecDeque<Job>,
    /// By due time; the number keeps jobs of one time in order.
    later: BTreeMap<(Duration, u64), Job>,
    next_number: u64,
    idle: usize,
    stopped: bool,
}

impl State {
    /// Moves what is due to the jobs that are ready, and says when the next one is.
    fn ripen(&mut self, now: Duration) -> Option<Duration> {
        while let Some(entry) = self.later.first_entry() {
            let (due, _) = *entry.key();
            if due > now {
                return Some(due - now);
            }
            self.ready.push_back(entry.remove());
        }
        None
    }
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
    /// Jobs were queued that no thread was told of.
    untold: AtomicBool,
    clock: SharedClock,
}

impl Shared {
    fn rouse(&self) {
        if self.untold.load(Ordering::Relaxed) && self.untold.swap(false, Ordering::AcqRel) {
            self.work.notify_one();
        }
    }

    /// What a thread of the scheduler does until the scheduler ends.
    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return;
            }
            let next = state.ripen(self.clock.monotonic());
            if let Some(job) = state.ready.pop_front() {
                let more = !state.ready.is_empty() && state.idle > 0;
                drop(state);
                if more {
                    // This job may take long, and the others are not to wait for it.
                    self.work.notify_one();
                }
                run(job);
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            match next {
                Some(wait) => drop(self.work.wait_for(&mut state, wait)),
                None => self.work.wait(&mut state),
            }
            state.idle -= 1;
        }
    }
}

/// Runs a job; its panic is reported and goes no further.
fn run(job: Job) {
    if let Err(panic) = thread::catch(job) {
        tracing::error!(panic, "a job of the client panicked");
    }
}

/// At most a few threads, started when there is work for them. Dropping it drops the jobs that did
/// not begin, and waits a little for those that did, unless it is one of them that drops it.
pub(crate) struct Scheduler {
    name: &'static str,
    max_threads: usize,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle>>,
    process: ProcessMark,
}

impl Scheduler {
    pub(crate) fn new(name: &'static str, max_threads: usize, clock: SharedClock) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            untold: AtomicBool::new(false),
            clock,
        };
        Self {
            name,
            max_threads,
            shared: Arc::new(shared),
            threads: Mutex::default(),
            process: ProcessMark::current(),
        }
    }

    /// Starts the first thread, so that a later lack of threads can only slow jobs down.
    pub(crate) fn start(&self) -> Result<()> {
        self.grow(1)
    }

    /// Runs `job` as soon as a thread is free.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.queue(job);
        self.shared.rouse();
    }

    /// Has `job` run as soon as a thread is free, but not before the next `rouse`: who brings many
    /// jobs wakes a thread once.
    pub(crate) fn queue(&self, job: impl FnOnce() + Send + 'static) {
        let short = {
            let mut state = self.shared.state.lock();
            if state.stopped {
                return;
            }
            state.ready.push_back(Box::new(job));
            state.idle < state.ready.len()
        };
        self.shared.untold.store(true, Ordering::Release);
        if short && let Err(error) = self.grow(self.max_threads) {
            tracing::warn!(%error, "the client goes on with fewer threads");
        }
    }

    /// Tells a thread of what was queued; to be kept by who queues.
    pub(crate) fn rouser(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.rouse()
    }

    /// Runs `job` when `delay` has passed.
    pub(crate) fn run_after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        let due = self.shared.clock.monotonic().saturating_add(delay);
        {
            let mut state = self.shared.state.lock();
            if state.stopped {
                return;
            }
            let number = state.next_number;
            state.next_number += 1;
            state.later.insert((due, number), Box::new(job));
        }
        self.shared.work.notify_one();
    }

    /// Drops the jobs that did not begin, and waits a little for those that did, unless it is one
    /// of them that calls. Nothing is run any more.
    pub(crate) fn stop(&self) {
        // Dropped outside of the lock: a job may own what asks the scheduler again.
        let jobs = {
            let mut state = self.shared.state.lock();
            state.stopped = true;
            (
                std::mem::take(&mut state.ready),
                std::mem::take(&mut state.later),
            )
        };
        drop(jobs);
        self.shared.work.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if !thread.is_current()
                && let Err(error) = thread.join_deadline(JOIN_PATIENCE)
            {
                tracing::warn!(%error, "a thread of the client did not end");
            }
        }
    }

    /// Whether the calling thread is one of the scheduler's.
    pub(crate) fn is_current(&self) -> bool {
        self.threads.lock().iter().any(JoinHandle::is_current)
    }

    /// Adds a thread while there are fewer than `most`.
    fn grow(&self, most: usize) -> Result<()> {
        let mut threads = self.threads.lock();
        if threads.len() < most {
            let name = format!("rmq-{}-{}", self.name, threads.len());
            let shared = Arc::clone(&self.shared);
            threads.push(thread::spawn(name, move || shared.serve())?);
        }
        Ok(())
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if self.process.is_current() {
            self.stop();
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("name", &self.name)
            .field("threads", &self.threads.lock().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::base::clock::SystemClock;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn jobs_run_in_time_order_and_survive_a_panic() {
        let scheduler = Scheduler::new("test", 1, SystemClock::shared());
        let (tell, told) = mpsc::channel();
        for (delay_ms, number) in [(40, 3), (1, 1), (20, 2)] {
            let tell = tell.clone();
            scheduler.run_after(Duration::from_millis(delay_ms), move || {
                tell.send(number).unwrap();
            });
        }
        scheduler.run(|| panic!("on purpose"));
        let order: Vec<i32> = (0..3).map(|_| told.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(order, [1, 2, 3]);
        assert!(!scheduler.is_current());
    }

    #[test]
    fn a_job_that_blocks_does_not_hold_up_the_others() {
        let scheduler = Scheduler::new("test", 2, SystemClock::shared());
        let (release, released) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        scheduler.run(move || released.recv_timeout(LONG).unwrap());
        scheduler.run(move || tell.send(()).unwrap());
        told.recv_timeout(LONG).unwrap();
        release.send(()).unwrap();
    }

    #[test]
    fn what_is_queued_runs_after_it_is_roused() {
        let scheduler = Scheduler::new("test", 2, SystemClock::shared());
        let rouse = scheduler.rouser();
        let (release, released) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        scheduler.queue(move || released.recv_timeout(LONG).unwrap());
        for number in 0..3 {
            let tell = tell.clone();
            scheduler.queue(move || tell.send(number).unwrap());
        }
        rouse();
        // The first blocks one thread, and the other takes the rest though nobody calls again.
        let order: Vec<i32> = (0..3).map(|_| told.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(order, [0, 1, 2]);
        release.send(()).unwrap();
    }

    #[test]
    fn its_end_drops_what_has_not_begun() {
        let scheduler = Scheduler::new("test", 1, SystemClock::shared());
        let owned = Arc::new(());
        let held = Arc::clone(&owned);
        scheduler.run_after(LONG, move || drop(held));
        assert_eq!(Arc::strong_count(&owned), 2);
        drop(scheduler);
        assert_eq!(Arc::strong_count(&owned), 1);
    }
}
