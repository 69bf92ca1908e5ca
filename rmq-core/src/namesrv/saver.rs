//! Writes the nameserver's files on a thread of its own, and answers the requests that wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::kv::KvTable;
use super::settings::Settings;
use crate::base::queue::Queue;
use crate::base::thread::{self, JoinHandle, ProcessMark};
use crate::base::{Error, ErrorKind, Result};
use crate::net::{ConnectionId, ReactorHandle};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;

/// Changes that may wait to be written.
const WAITING_MAX: usize = 4096;

/// Which file a request changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// The key-value configuration.
    Kv,
    /// The nameserver's own configuration.
    Settings,
}

/// A request that is answered when its file is written.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) changed: Changed,
    /// The answer if all goes well.
    pub(super) answer: Command,
    pub(super) oneway: bool,
    pub(super) connection: ConnectionId,
    pub(super) reactor: ReactorHandle,
}

impl Waiting {
    fn finish(mut self, failure: Option<&Error>) {
        if let Some(error) = failure {
            self.answer.code = ResponseCode::SYSTEM_ERROR.value();
            self.answer.remark = Some(format!("changed, but not written to its file: {error}"));
        }
        if !self.oneway {
            let mut frame = Vec::new();
            self.answer.encode(&mut frame);
            self.reactor.send(self.connection, Bytes::from(frame));
        }
    }
}

#[derive(Debug)]
struct Shared {
    queue: Queue<Waiting>,
    /// Requests taken and not answered yet.
    unanswered: AtomicUsize,
    killed: AtomicBool,
    kv: Arc<KvTable>,
    settings: Arc<Settings>,
}

/// The thread, started when first needed.
#[derive(Debug)]
pub(super) struct Saver {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle>>,
    process: ProcessMark,
}

impl Saver {
    pub(super) fn new(kv: Arc<KvTable>, settings: Arc<Settings>) -> Self {
        let shared = Shared {
            queue: Queue::new(WAITING_MAX),
            unanswered: AtomicUsize::new(0),
            killed: AtomicBool::new(false),
            kv,
            settings,
        };
        Self {
            shared: Arc::new(shared),
            thread: Mutex::new(None),
            process: ProcessMark::current(),
        }
    }

    /// Takes a request; its file is written soon.
    pub(super) fn submit(&self, waiting: Waiting) -> Result<()> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            *thread = Some(thread::spawn("rmq-namesrv-save", move || run(&shared))?);
        }
        drop(thread);
        self.shared.unanswered.fetch_add(1, Ordering::AcqRel);
        self.shared.queue.try_push(waiting).map_err(|_| {
            self.shared.unanswered.fetch_sub(1, Ordering::AcqRel);
            Error::new(
                ErrorKind::Busy,
                "namesrv.save",
                "too many changes wait to be written",
            )
        })
    }

    /// Whether nothing waits to be written and answered.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.unanswered.load(Ordering::Acquire) == 0
    }

    /// Ends the thread after what waits has been written.
    pub(super) fn end(&self, deadline: Duration) -> Result<()> {
        self.shared.queue.close();
        match &*self.thread.lock() {
            Some(thread) => thread.join_deadline(deadline),
            None => Ok(()),
        }
    }

    /// Ends the thread; what waits is forgotten.
    pub(super) fn kill(&self) -> Result<()> {
        self.shared.killed.store(true, Ordering::Release);
        self.end(Duration::from_secs(2))
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        // In a forked child the queue's lock may be held by a thread that is not there.
        if self.process.is_current() {
            self.shared.killed.store(true, Ordering::Release);
            self.shared.queue.close();
        }
    }
}

fn run(shared: &Shared) {
    let mut waiting = Vec::new();
    while let Some(first) = shared.queue.pop() {
        waiting.push(first);
        // One writing covers every change that was made before it.
        shared.queue.drain_into(&mut waiting);
        if shared.killed.load(Ordering::Acquire) {
            return;
        }
        let has = |changed| waiting.iter().any(|each| each.changed == changed);
        let kv = if has(Changed::Kv) {
            shared.kv.save().err()
        } else {
            None
        };
        let settings = if has(Changed::Settings) {
            shared.settings.save().err()
        } else {
            None
        };
        for error in kv.iter().chain(&settings) {
            tracing::error!(%error, "a change could not be written to its file");
        }
        let count = waiting.len();
        for each in waiting.drain(..) {
            let failure = match each.changed {
                Changed::Kv => kv.as_ref(),
                Changed::Settings => settings.as_ref(),
            };
            each.finish(failure);
        }
        shared.unanswered.fetch_sub(count, Ordering::AcqRel);
    }
}
