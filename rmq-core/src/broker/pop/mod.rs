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

use parking_lot::Mutex;

use crate::broker::inbox::Inbox;
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
pub(crate) struct Request {
    conn: ConnectionId,
    peer: SocketAddr,
    command: Arc<Command>,
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
    pub(crate) inbox: Inbox<Request>,
    notes: Mutex<Notes>,
    /// Whether requests are held.
    holds: AtomicBool,
    /// Offsets must not be written to a file before the log is durable up to here: they pass over
    /// messages whose check points lie before it.
    log_end: AtomicI64,
    /// What ordered groups work on.
    pub(crate) orders: Mutex<Orders>,
}

impl Pops {
    /// No requests yet; ordered groups as they were stored.
    #[must_use]
    pub(crate) fn new(stored: OrderInfoTable) -> Self {
        Self {
            inbox: Inbox::new(INBOX_CAPACITY),
            notes: Mutex::default(),
            holds: AtomicBool::new(false),
            log_end: AtomicI64::new(0),
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
        let request = Request {
            conn,
            peer,
            command: Arc::new(command),
        };
        let refused = self.inbox.hand_over(request).err()?;
        Arc::into_inner(refused.command)
    }

    /// Up to where the log must be durable before offsets that were read before this was called are
    /// written to a file.
    #[must_use]
    pub(crate) fn log_end(&self) -> i64 {
        self.log_end.load(Ordering::SeqCst)
    }

    /// Tells that a queue that the thread watches has something new.
    pub(crate) fn arrived(&self, queue: &Arc<Queue>) {
        self.notes.lock().arrived.push(Arc::clone(queue));
        self.inbox.look();
    }

    /// Tells that a connection is gone.
    pub(crate) fn closed(&self, conn: ConnectionId) {
        // Whoever is held after this load was read before the connection was seen to be gone; his
        // messages come again after their time.
        if self.holds.load(Ordering::Acquire) {
            self.notes.lock().closed.push(conn);
            self.inbox.look();
        }
    }

    fn take_notes(&self) -> Notes {
        std::mem::take(&mut *self.notes.lock())
    }
}
