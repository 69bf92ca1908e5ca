//! Reads of records whose pages are not in memory, away from the reactors.

use std::sync::Arc;
use std::time::Duration;

use crate::base::thread::{self, JoinHandle};
use crate::base::{Result, queue};
use crate::net::{ConnectionId, ReactorHandle};
use crate::store::LogSlice;

/// Most cold reads that wait; beyond it the reactor reads for itself, which slows the asker down.
const QUEUE_CAPACITY: usize = 1024;

/// A reply whose head is encoded and whose records are still to be read.
#[derive(Debug)]
pub(crate) struct ColdRead {
    /// Whom to answer.
    pub(crate) conn: ConnectionId,
    /// The frame up to its body.
    pub(crate) frame: Vec<u8>,
    /// The body.
    pub(crate) records: Vec<LogSlice>,
}

/// The helper thread and its queue.
#[derive(Debug)]
pub(crate) struct ColdReader {
    queue: Arc<queue::Queue<(ReactorHandle, ColdRead)>>,
    thread: parking_lot::Mutex<Option<JoinHandle>>,
}

impl ColdReader {
    /// Starts the helper thread.
    pub(crate) fn start() -> Result<Self> {
        let queue = Arc::new(queue::Queue::new(QUEUE_CAPACITY));
        let work: Arc<queue::Queue<(ReactorHandle, ColdRead)>> = Arc::clone(&queue);
        let thread = thread::spawn("rmq-broker-cold", move || {
            while let Some((reactor, read)) = work.pop() {
                let conn = read.conn;
                reactor.send(conn, assemble(read).into());
            }
        })?;
        Ok(Self {
            queue,
            thread: parking_lot::Mutex::new(Some(thread)),
        })
    }

    /// Hands a read over; gives the finished frame back at once when the helper is overloaded.
    pub(crate) fn read(&self, reactor: &ReactorHandle, read: ColdRead) -> Option<Vec<u8>> {
        match self.queue.try_push((reactor.clone(), read)) {
            Ok(()) => None,
            Err(refused) => Some(assemble(refused.into_item().1)),
        }
    }

    /// Ends the helper thread.
    pub(crate) fn close(&self, deadline: Duration) -> Result<()> {
        self.queue.close();
        match self.thread.lock().take() {
            Some(thread) => thread.join_deadline(deadline),
            None => Ok(()),
        }
    }
}

fn assemble(read: ColdRead) -> Vec<u8> {
    let mut frame = read.frame;
    frame.reserve_exact(
        read.records
            .iter()
            .map(|record| record.as_ref().len())
            .sum(),
    );
    for record in &read.records {
        frame.extend_from_slice(record.as_ref());
    }
    frame
}
