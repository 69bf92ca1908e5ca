//! Reads of what is not in memory, away from the reactors: records, and requests that look for
//! messages.

use std::hint::black_box;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::base::thread::{self, JoinHandle};
use crate::base::{Result, queue};
use crate::broker::handler::HeldPull;
use crate::broker::hold::Held;
use crate::broker::processors;
use crate::broker::reply::{encode_answer, guarded};
use crate::broker::shared::{Mail, Shared};
use crate::net::{ConnectionId, ReactorHandle};
use crate::protocol::command::Command;
use crate::store::{LogSlice, Patience};

/// Most cold reads and requests that wait; beyond it the reactor reads for itself, which slows the
/// asker down, and requests are refused.
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

/// Work for the helper thread.
#[derive(Debug)]
enum Work {
    /// A reply to finish and send.
    Reply(ReactorHandle, ColdRead),
    /// A request that its reactor handles again when the record that it needs is in memory.
    Fetch {
        shared: Weak<Shared>,
        record: LogSlice,
        conn: ConnectionId,
        frame: Vec<u8>,
    },
    /// A pull whose expression looks at messages that are not in memory.
    Select {
        shared: Weak<Shared>,
        held: Box<Held<HeldPull>>,
    },
    /// A request to answer.
    Request {
        shared: Weak<Shared>,
        conn: ConnectionId,
        command: Command,
    },
}

/// The helper thread and its queue.
#[derive(Debug)]
pub(crate) struct ColdReader {
    queue: Arc<queue::Queue<Work>>,
    thread: parking_lot::Mutex<Option<JoinHandle>>,
}

impl ColdReader {
    /// Starts the helper thread.
    pub(crate) fn start() -> Result<Self> {
        let queue = Arc::new(queue::Queue::new(QUEUE_CAPACITY));
        let tasks: Arc<queue::Queue<Work>> = Arc::clone(&queue);
        let thread = thread::spawn("rmq-broker-cold", move || {
            while let Some(work) = tasks.pop() {
                work.run();
            }
        })?;
        Ok(Self {
            queue,
            thread: parking_lot::Mutex::new(Some(thread)),
        })
    }

    /// Hands a read over; gives the finished frame back at once when the helper is overloaded.
    pub(crate) fn read(&self, reactor: &ReactorHandle, read: ColdRead) -> Option<Vec<u8>> {
        match self.queue.try_push(Work::Reply(reactor.clone(), read)) {
            Ok(()) => None,
            Err(refused) => match refused.into_item() {
                Work::Reply(_, read) => Some(assemble(read)),
                _ => None,
            },
        }
    }

    /// Brings a record into memory and gives the frame that needs it back to its reactor. Gives the
    /// record back at once when the helper is overloaded.
    pub(crate) fn fetch(
        &self,
        shared: &Arc<Shared>,
        record: LogSlice,
        conn: ConnectionId,
        frame: Vec<u8>,
    ) -> Option<LogSlice> {
        let shared = Arc::downgrade(shared);
        let work = Work::Fetch {
            shared,
            record,
            conn,
            frame,
        };
        match self.queue.try_push(work) {
            Ok(()) => None,
            Err(refused) => match refused.into_item() {
                Work::Fetch { record, .. } => Some(record),
                _ => None,
            },
        }
    }

    /// Reads for a pull and gives it back to its reactor. Gives it back at once when the helper is
    /// overloaded.
    pub(crate) fn select(
        &self,
        shared: &Arc<Shared>,
        held: Held<HeldPull>,
    ) -> Option<Held<HeldPull>> {
        let (shared, held) = (Arc::downgrade(shared), Box::new(held));
        match self.queue.try_push(Work::Select { shared, held }) {
            Ok(()) => None,
            Err(refused) => match refused.into_item() {
                Work::Select { held, .. } => Some(*held),
                _ => None,
            },
        }
    }

    /// Has a request answered. Gives it back at once when the helper is overloaded.
    pub(crate) fn answer(
        &self,
        shared: &Arc<Shared>,
        conn: ConnectionId,
        command: Command,
    ) -> Option<Command> {
        let work = Work::Request {
            shared: Arc::downgrade(shared),
            conn,
            command,
        };
        match self.queue.try_push(work) {
            Ok(()) => None,
            Err(refused) => match refused.into_item() {
                Work::Request { command, .. } => Some(command),
                _ => None,
            },
        }
    }

    /// Whether no work waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
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

impl Work {
    fn run(self) {
        match self {
            Self::Reply(reactor, read) => {
                let conn = read.conn;
                reactor.send(conn, assemble(read).into());
            }
            Self::Fetch {
                shared,
                record,
                conn,
                frame,
            } => {
                touch(record.as_ref());
                if let Some(shared) = shared.upgrade() {
                    let mail = Mail::Frame { conn, bytes: frame };
                    shared.post(usize::from(conn.reactor()), mail);
                }
            }
            Self::Select { shared, held } => {
                if let Some(shared) = shared.upgrade() {
                    let outcome = held.payload.read(&shared, &held.queue, Patience::Waits);
                    let reactor = usize::from(held.conn.reactor());
                    shared.post(reactor, Mail::Read { held, outcome });
                }
            }
            Self::Request {
                shared,
                conn,
                command,
            } => {
                if let Some(shared) = shared.upgrade()
                    && let Some(bytes) = answer(&shared, conn, &command)
                {
                    shared.send(conn, bytes);
                }
            }
        }
    }
}

/// The answer to a request.
fn answer(shared: &Arc<Shared>, conn: ConnectionId, command: &Command) -> Option<Vec<u8>> {
    let serve = || processors::process_cold(shared, conn, command);
    encode_answer(command, guarded(command, serve))
}

/// Reads a byte of every page.
fn touch(bytes: &[u8]) {
    const PAGE_BYTES: usize = 4096;
    for page in bytes.chunks(PAGE_BYTES) {
        black_box(page.first().copied());
    }
    black_box(bytes.last().copied());
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
