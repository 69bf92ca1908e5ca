//! Transactions: half messages wait in a queue of the system until their producer commits or rolls
//! back, and producers that do not are asked.
//!
//! A reactor stores half messages as it stores others. Everything after that belongs to the thread
//! `rmq-broker-transaction`: requests to end a transaction are handed to it, and it alone decides,
//! so that two of them for one transaction cannot cross.

mod book;
mod check;
mod ended;
mod engine;
mod load;
mod message;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::base::queue::{self, Popped, PushError};
use crate::net::ConnectionId;
use crate::protocol::command::Command;

pub(crate) use message::half_properties;
pub(crate) use worker::Worker;

/// Something for the thread to do.
#[derive(Debug)]
enum Work {
    /// A producer ends a transaction.
    End {
        conn: ConnectionId,
        command: Command,
        /// Since when it waits: monotonic clock, ms.
        since_ms: u64,
    },
    /// The thread is to look up from its sleep.
    Look,
}

/// What the thread of transactions shares with the others.
#[derive(Debug)]
pub(crate) struct Transactions {
    inbox: queue::Queue<Work>,
    /// Whether the thread waits for more of the log to be safe or durable.
    awaits_store: AtomicBool,
    /// Whether the end is an orderly one.
    finish: AtomicBool,
}

impl Transactions {
    /// No requests yet, at most `capacity` at a time.
    #[must_use]
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            inbox: queue::Queue::new(capacity),
            awaits_store: AtomicBool::new(false),
            finish: AtomicBool::new(false),
        }
    }

    /// Hands over a request to end a transaction; it comes back when there are too many.
    pub(crate) fn end(
        &self,
        conn: ConnectionId,
        command: Command,
        now_ms: u64,
    ) -> Result<(), Command> {
        let work = Work::End {
            conn,
            command,
            since_ms: now_ms,
        };
        match self.inbox.try_push(work).map_err(PushError::into_item) {
            Err(Work::End { command, .. }) => Err(command),
            _ => Ok(()),
        }
    }

    /// How many requests wait.
    #[must_use]
    fn len(&self) -> usize {
        self.inbox.len()
    }

    /// Whether no request waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Tells that more of the log is safe or durable.
    pub(crate) fn on_progress(&self) {
        if self.awaits_store.swap(false, Ordering::SeqCst) {
            // A full inbox is looked at anyway.
            let _ = self.inbox.try_push(Work::Look);
        }
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
}
