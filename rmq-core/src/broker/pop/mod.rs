//! Pop: the broker hands out messages of its queues one by one, and what is not acknowledged within
//! its invisible time comes again, through a retry topic.
//!
//! All of it belongs to the thread `rmq-broker-pop`: pops, acknowledgements, revival. One thread
//! needs no locks of queues, and what it writes to the revive topic it reads again as soon as that
//! is safe: the check points in memory are always what the log makes of them, before a crash and
//! after it. There is no buffer that matches acknowledgements before they are stored, as Apache's
//! broker has; an append of a few hundred bytes for each is cheap where many share one take of the
//! lock.

mod ack;
mod engine;
mod log;
mod notify;
mod order;
mod points;
mod polling;
mod positions;
mod revive;
mod take;
#[cfg(test)]
mod tests;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::queue::{self, Popped, PushError};
use crate::net::ConnectionId;
use crate::protocol::body::pop::OrderInfoTable;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::store::Queue;

pub(crate) use order::Orders;
pub(crate) use worker::Worker;

/// The bit of the pop thread in `Queue::waiters`; those below are of reactors.
pub(crate) const POP_WAITER: u32 = 1 << 31;

/// Requests that may wait for the thread; a further one is refused.
const INBOX_CAPACITY: usize = 100_000;

/// Whether the request belongs to the pop thread.
#[must_use]
pub(crate) fn is_pop(code: i32) -> bool {
    matches!(
        RequestCode::new(code),
        RequestCode::POP_MESSAGE
            | RequestCode::ACK_MESSAGE
            | RequestCode::BATCH_ACK_MESSAGE
            | RequestCode::PEEK_MESSAGE
            | RequestCode::CHANGE_MESSAGE_INVISIBLETIME
            | RequestCode::NOTIFICATION
            | RequestCode::POLLING_INFO
    )
}

/// A request and where it came from.
#[derive(Clone, Debug)]
struct Request {
    conn: ConnectionId,
    peer: SocketAddr,
    command: Arc<Command>,
}

/// Something for the thread to do.
#[derive(Debug)]
enum Work {
    Request(Request),
    /// The thread is to look up from its sleep.
    Look,
}

/// What other threads leave for the pop thread besides requests.
#[derive(Debug, Default)]
struct Notes {
    /// Queues that held requests wait at and that have something new.
    arrived: Vec<Arc<Queue>>,
    /// Connections that are gone.
    closed: Vec<ConnectionId>,
}

/// What the pop thread shares with the others.
#[derive(Debug)]
pub(crate) struct Pops {
    inbox: queue::Queue<Work>,
    notes: Mutex<Notes>,
    /// Whether requests are held.
    holds: AtomicBool,
    /// Whether the thread waits for more of the log to be safe.
    awaits_store: AtomicBool,
    /// Offsets must not be written to a file before the log is durable up to here: they pass over
    /// messages whose check points lie before it.
    log_end: AtomicI64,
    /// Whether the end is an orderly one.
    finish: AtomicBool,
    /// What ordered groups work on.
    pub(crate) orders: Mutex<Orders>,
}

impl Pops {
    /// No requests yet; ordered groups as they were stored.
    #[must_use]
    pub(crate) fn new(stored: OrderInfoTable) -> Self {
        Self {
            inbox: queue::Queue::new(INBOX_CAPACITY),
            notes: Mutex::default(),
            holds: AtomicBool::new(false),
            awaits_store: AtomicBool::new(false),
            log_end: AtomicI64::new(0),
            finish: AtomicBool::new(false),
            orders: Mutex::new(Orders::new(stored)),
        }
    }

    /// Hands over a request; it comes back when there are too many.
    pub(crate) fn hand_over(
        &self,
        conn: ConnectionId,
        peer: SocketAddr,
        command: Command,
    ) -> Option<Command> {
        let command = Arc::new(command);
        let work = Work::Request(Request {
            conn,
            peer,
            command,
        });
        match self.inbox.try_push(work).map_err(PushError::into_item) {
            Err(Work::Request(request)) => Arc::into_inner(request.command),
            _ => None,
        }
    }

    /// Up to where the log must be durable before offsets that were read before this was called are
    /// written to a file.
    #[must_use]
    pub(crate) fn log_end(&self) -> i64 {
        self.log_end.load(Ordering::SeqCst)
    }

    /// Whether no request waits for the thread; held ones do not count.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Tells that a queue that the thread watches has something new.
    pub(crate) fn arrived(&self, queue: &Arc<Queue>) {
        self.notes.lock().arrived.push(Arc::clone(queue));
        self.look();
    }

    /// Tells that a connection is gone.
    pub(crate) fn closed(&self, conn: ConnectionId) {
        // Whoever is held after this load was read before the connection was seen to be gone; his
        // messages come again after their time.
        if self.holds.load(Ordering::Acquire) {
            self.notes.lock().closed.push(conn);
            self.look();
        }
    }

    /// Tells that more of the log is safe.
    pub(crate) fn on_progress(&self) {
        if self.awaits_store.swap(false, Ordering::SeqCst) {
            self.look();
        }
    }

    fn look(&self) {
        // A full inbox is looked at anyway.
        let _ = self.inbox.try_push(Work::Look);
    }

    /// Ends the thread: with `finish` after all that it did is durable and noted, else as a crash
    /// would.
    pub(crate) fn close(&self, finish: bool) {
        self.finish.store(finish, Ordering::Release);
        self.inbox.close();
    }

    /// Waits for work. False when the thread is to end.
    fn wait(&self, ms: u64, works: &mut Vec<Work>) -> bool {
        match self.inbox.pop_timeout(Duration::from_millis(ms)) {
            Popped::Item(work) => {
                works.push(work);
                self.inbox.drain_into(works);
                true
            }
            Popped::TimedOut => true,
            Popped::Closed => false,
        }
    }

    fn take_notes(&self) -> Notes {
        std::mem::take(&mut *self.notes.lock())
    }
}
