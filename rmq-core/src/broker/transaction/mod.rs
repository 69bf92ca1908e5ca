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

use crate::broker::inbox::Inbox;
use crate::net::ConnectionId;
use crate::protocol::command::Command;

pub(crate) use message::half_properties;
pub(crate) use worker::Worker;

/// A producer's request to end a transaction.
#[derive(Debug)]
pub(crate) struct End {
    conn: ConnectionId,
    command: Command,
    /// Since when it waits: monotonic clock, ms.
    since_ms: u64,
}

/// What the thread of transactions shares with the others.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) inbox: Inbox<End>,
}

impl Transactions {
    /// No requests yet, at most `capacity` at a time.
    #[must_use]
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            inbox: Inbox::new(capacity),
        }
    }

    /// Hands over a request to end a transaction; it comes back when there are too many.
    pub(crate) fn end(
        &self,
        conn: ConnectionId,
        command: Command,
        now_ms: u64,
    ) -> Result<(), Command> {
        let end = End {
            conn,
            command,
            since_ms: now_ms,
        };
        self.inbox.hand_over(end).map_err(|end| end.command)
    }
}
