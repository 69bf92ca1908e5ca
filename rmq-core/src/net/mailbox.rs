//! How other threads reach a reactor.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use mio::Waker;
use mio::net::TcpStream;
use parking_lot::Mutex;

use super::{ConnectionId, Fence, FenceWatch};

/// What another thread asks of a reactor.
#[derive(Debug)]
pub(crate) enum Command {
    Send(ConnectionId, Bytes),
    Close(ConnectionId),
    /// A connection that the listener's reactor accepted for this one.
    Adopt(Accepted),
    /// The fence has changed: what it held back is to be tried again.
    FenceChanged,
    /// Ends the reactor in order, by this monotonic time at the latest.
    Shutdown(std::time::Duration),
}

/// A socket on its way from the listener to its reactor.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) remote: std::net::SocketAddr,
    pub(crate) listener: u8,
}

/// A reactor's mailbox: commands in order, and flags that need no order.
///
/// The reactor is `awake` from the moment it leaves the poll until just before it polls again, and
/// looks into the mailbox in between; so only the first command for a sleeping reactor costs a
/// system call.
pub(crate) struct Mailbox {
    index: u16,
    limit: usize,
    waker: Waker,
    commands: Mutex<Vec<Command>>,
    has_commands: AtomicBool,
    wake: AtomicBool,
    killed: AtomicBool,
    ended: AtomicBool,
    awake: AtomicBool,
}

impl Mailbox {
    pub(crate) fn new(index: u16, limit: usize, waker: Waker) -> Self {
        Self {
            index,
            limit,
            waker,
            commands: Mutex::new(Vec::new()),
            has_commands: AtomicBool::new(false),
            wake: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            awake: AtomicBool::new(false),
        }
    }

    /// Queues a command; false when the reactor has ended or `limit` commands wait already.
    fn post(&self, command: Command, limit: usize) -> bool {
        {
            let mut commands = self.commands.lock();
            if commands.len() >= limit || self.ended.load(Ordering::Relaxed) {
                return false;
            }
            commands.push(command);
        }
        self.has_commands.store(true, Ordering::SeqCst);
        self.rouse();
        true
    }

    fn rouse(&self) {
        if !self.awake.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            // Let the next one try again.
            self.awake.store(false, Ordering::SeqCst);
            tracing::error!(%error, reactor = self.index, "cannot wake a reactor");
        }
    }

    /// Called before the reactor polls; whether it may sleep.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        !(self.has_commands.load(Ordering::SeqCst)
            || self.wake.load(Ordering::SeqCst)
            || self.killed.load(Ordering::SeqCst))
    }

    /// Called after the poll.
    pub(crate) fn wake_up(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    /// Swaps what waits into `commands`, which must be empty.
    pub(crate) fn take(&self, commands: &mut Vec<Command>) {
        if self.has_commands.load(Ordering::Relaxed)
            && self.has_commands.swap(false, Ordering::SeqCst)
        {
            std::mem::swap(&mut *self.commands.lock(), commands);
        }
    }

    pub(crate) fn take_wake(&self) -> bool {
        self.wake.load(Ordering::Relaxed) && self.wake.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Refuses everything from now on and drops what waits.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *self.commands.lock());
        drop(waiting);
    }
}

/// Reaches one reactor from any thread. Cheap to clone; outlives the reactor harmlessly.
#[derive(Clone)]
pub struct ReactorHandle {
    mailbox: Arc<Mailbox>,
}

impl ReactorHandle {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { mailbox }
    }

    /// Puts whole encoded frames into a connection's outbox. False when they were not taken:
    /// the reactor has ended, or `Limits::mailbox_commands` wait for it. True is no promise that
    /// the peer gets them: the connection may be gone.
    pub fn send(&self, conn: ConnectionId, frames: Bytes) -> bool {
        self.mailbox
            .post(Command::Send(conn, frames), self.mailbox.limit)
    }

    /// Closes a connection after what is in its outbox has been written. False as for `send`.
    pub fn close(&self, conn: ConnectionId) -> bool {
        self.mailbox.post(Command::Close(conn), self.mailbox.limit)
    }

    /// Has `Handler::woken` called soon. Several wakes may be one call.
    pub fn wake(&self) {
        if !self.mailbox.wake.swap(true, Ordering::SeqCst) {
            self.mailbox.rouse();
        }
    }

    /// The reactor's number, from 0.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.mailbox.index
    }

    pub(crate) fn adopt(&self, accepted: Accepted) -> bool {
        self.mailbox.post(Command::Adopt(accepted), usize::MAX)
    }

    /// Has this reactor follow the changes of `fence` as long as the answer is held.
    pub(crate) fn watch(&self, fence: &Fence) -> FenceWatch {
        let mailbox = Arc::clone(&self.mailbox);
        fence.on_change(Box::new(move || {
            mailbox.post(Command::FenceChanged, usize::MAX);
        }))
    }

    pub(crate) fn shutdown(&self, deadline: std::time::Duration) {
        self.mailbox.post(Command::Shutdown(deadline), usize::MAX);
    }

    pub(crate) fn kill(&self) {
        self.mailbox.killed.store(true, Ordering::SeqCst);
        self.mailbox.rouse();
    }
}

impl fmt::Debug for ReactorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReactorHandle")
            .field("index", &self.mailbox.index)
            .finish()
    }
}

/// The waker of a poll, as a mailbox needs it.
pub(crate) fn waker(poll: &mio::Poll, token: mio::Token) -> io::Result<Waker> {
    Waker::new(poll.registry(), token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::slots::Key;

    fn mailbox(limit: usize) -> (mio::Poll, ReactorHandle) {
        let poll = mio::Poll::new().unwrap();
        let waker = waker(&poll, mio::Token(0)).unwrap();
        (
            poll,
            ReactorHandle::new(Arc::new(Mailbox::new(3, limit, waker))),
        )
    }

    fn wakes(poll: &mut mio::Poll) -> usize {
        let mut events = mio::Events::with_capacity(8);
        poll.poll(&mut events, Some(std::time::Duration::ZERO))
            .unwrap();
        events.iter().count()
    }

    #[test]
    fn commands_end_at_the_limit() {
        let (_poll, handle) = mailbox(2);
        let conn = ConnectionId::new(
            3,
            Key {
                slot: 0,
                generation: 0,
            },
        );
        assert!(handle.send(conn, Bytes::from_static(b"1")));
        assert!(handle.close(conn));
        assert!(!handle.send(conn, Bytes::from_static(b"3")));
        assert!(!handle.close(conn));
        let mut commands = Vec::new();
        handle.mailbox.take(&mut commands);
        assert_eq!(commands.len(), 2);
        assert!(handle.send(conn, Bytes::new()));
        handle.mailbox.end();
        assert!(!handle.send(conn, Bytes::new()));
    }

    #[test]
    fn only_a_sleeping_reactor_costs_a_wake_and_none_is_lost() {
        let (mut poll, handle) = mailbox(10);
        let mailbox = &handle.mailbox;
        mailbox.wake_up();
        handle.wake();
        handle.wake();
        assert_eq!(wakes(&mut poll), 0, "it was awake");
        assert!(!mailbox.fall_asleep(), "slept over a wake");
        mailbox.wake_up();
        assert!(mailbox.take_wake());
        assert!(!mailbox.take_wake());
        assert!(mailbox.fall_asleep());
        handle.wake();
        assert_eq!(wakes(&mut poll), 1);
        mailbox.wake_up();
        assert!(mailbox.take_wake());
        assert!(mailbox.fall_asleep());
        handle.kill();
        assert_eq!(wakes(&mut poll), 1);
        assert!(mailbox.is_killed());
    }
}
