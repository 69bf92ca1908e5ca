//! Threads of a guest: named, deaf to signals, their panics reported, joined with a deadline.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{Builder, ThreadId};
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use parking_lot::{Condvar, Mutex};

use super::error::{Error, ErrorKind, Result};
use super::process;

/// Starts a thread called `name` that runs `body`.
///
/// Every signal that could be meant for the host process is blocked in the new thread; only the
/// faults of the thread itself (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS) stay deliverable,
/// so that a crash handler of the host still sees them. A panic is caught, reported through
/// `tracing` and returned by `join_deadline`. The kernel shows the first 15 bytes of the name.
pub fn spawn(name: impl Into<String>, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle> {
    let name = name.into();
    let exit = Arc::new(Exit {
        outcome: Mutex::new(None),
        ended: Condvar::new(),
    });
    let (thread_name, thread_exit) = (name.clone(), Arc::clone(&exit));
    let main = move || {
        let outcome = catch(body).inspect_err(|message| {
            tracing::error!(thread = %thread_name, panic = %message, "a thread panicked");
        });
        *thread_exit.outcome.lock() = Some(outcome);
        thread_exit.ended.notify_all();
    };
    // The mask is inherited, so it is set before the thread exists: there is no moment in which
    // the thread could take a signal of the host.
    let saved = guest_mask().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let spawned = Builder::new().name(name.clone()).spawn(main);
    if let Ok(saved) = saved {
        let _ = saved.thread_set_mask();
    }
    match spawned {
        Ok(thread) => Ok(JoinHandle {
            name,
            id: thread.thread().id(),
            exit,
            process: ProcessMark::current(),
        }),
        Err(e) => Err(Error::io("thread.spawn", name, e)),
    }
}

/// Does `work` and catches its panic: the error is the panic's text. Whoever calls this answers for
/// what the work left half done.
pub fn catch<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| panic_message(panic.as_ref()).to_owned())
}

/// The text of a panic, as far as it is text.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "a value that is not text"
    }
}

fn guest_mask() -> SigSet {
    let mut set = SigSet::all();
    for own in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGSYS,
    ] {
        set.remove(own);
    }
    set
}

/// How a thread ended: nothing yet, normally, or with the text of its panic.
#[derive(Debug)]
struct Exit {
    outcome: Mutex<Option<std::result::Result<(), String>>>,
    ended: Condvar,
}

/// A started thread. Dropping the handle detaches the thread.
#[derive(Debug)]
pub struct JoinHandle {
    name: String,
    id: ThreadId,
    exit: Arc<Exit>,
    process: ProcessMark,
}

impl JoinHandle {
    /// The name given at `spawn`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The identity of the thread, to ask whether one runs on it.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// Whether the calling thread is this one.
    #[must_use]
    pub fn is_current(&self) -> bool {
        std::thread::current().id() == self.id
    }

    /// Whether the thread's work has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.exit.outcome.lock().is_some()
    }

    /// Waits until the thread has ended, at most for `deadline`. May be called again.
    ///
    /// `Timeout`: it still runs. `Internal`: it panicked. `Forked`: it belongs to the parent
    /// process, and nothing was waited for. `Invalid`: a thread cannot wait for itself.
    pub fn join_deadline(&self, deadline: Duration) -> Result<()> {
        const OP: &str = "thread.join";
        self.process.check(OP)?;
        if self.is_current() {
            return Err(Error::new(
                ErrorKind::Invalid,
                OP,
                format!("{} by itself", self.name),
            ));
        }
        let mut outcome = self.exit.outcome.lock();
        if outcome.is_none() {
            let still_running = |outcome: &mut Option<_>| outcome.is_none();
            self.exit
                .ended
                .wait_while_for(&mut outcome, still_running, deadline);
        }
        match &*outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(panic)) => Err(Error::new(
                ErrorKind::Internal,
                OP,
                format!("{} panicked: {panic}", self.name),
            )),
            None => {
                let context = format!("{} still runs after {deadline:?}", self.name);
                Err(Error::new(ErrorKind::Timeout, OP, context))
            }
        }
    }
}

/// Remembers the process a handle was made in; a forked child has none of its parent's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessMark {
    pid: u32,
}

impl ProcessMark {
    /// The calling process.
    #[must_use]
    pub fn current() -> Self {
        Self { pid: process::id() }
    }

    /// A mark that no process carries: what a forked child sees.
    #[cfg(test)]
    pub(crate) fn foreign() -> Self {
        Self { pid: u32::MAX }
    }

    /// Whether the calling process is still the one of the mark.
    #[must_use]
    pub fn is_current(self) -> bool {
        self.pid == process::id()
    }

    /// `Forked` in a child of the marked process.
    pub fn check(self, op: &'static str) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        let context = format!("made by process {}, used after a fork", self.pid);
        Err(Error::new(ErrorKind::Forked, op, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn runs_named_and_deaf_to_signals_and_leaves_the_callers_mask() {
        let before = SigSet::thread_get_mask().unwrap();
        let (sender, receiver) = mpsc::channel();
        let thread = spawn("rmq-test-name", move || {
            let name = std::thread::current().name().map(str::to_owned);
            sender
                .send((name, SigSet::thread_get_mask().unwrap()))
                .unwrap();
        })
        .unwrap();
        let (name, mask) = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(name.as_deref(), Some("rmq-test-name"));
        for blocked in [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGPIPE,
        ] {
            assert!(mask.contains(blocked), "{blocked}");
        }
        assert!(!mask.contains(Signal::SIGSEGV) && !mask.contains(Signal::SIGBUS));
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
        thread.join_deadline(LONG).unwrap();
        thread.join_deadline(Duration::ZERO).unwrap();
        assert!(thread.is_finished());
    }

    #[test]
    fn a_panic_is_told_by_join() {
        let thread = spawn("rmq-test-panic", || panic!("on purpose {}", 7)).unwrap();
        let error = thread.join_deadline(LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("on purpose 7"), "{error}");
    }

    #[test]
    fn join_gives_up_at_the_deadline_and_can_be_repeated() {
        let (release, held) = mpsc::channel::<()>();
        let thread = spawn("rmq-test-slow", move || {
            let _ = held.recv();
        })
        .unwrap();
        let error = thread.join_deadline(Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        drop(release);
        thread.join_deadline(LONG).unwrap();
    }

    #[test]
    fn a_mark_of_another_process_is_refused() {
        assert!(ProcessMark::current().is_current());
        ProcessMark::current().check("test").unwrap();
        assert_eq!(
            ProcessMark::foreign().check("test").unwrap_err().kind(),
            ErrorKind::Forked
        );
    }
}
