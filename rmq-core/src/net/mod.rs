//! L3: event loops, connections, calls.
//!
//! A `Server` runs reactor threads. Each owns one `mio::Poll`, one read buffer, its share of the
//! connections, and one `Handler` that it alone calls; so a handler needs no lock for what belongs
//! to it. Whatever a handler puts into outboxes during a turn leaves with one system call per
//! connection at the end of the turn. A `Client` is one such reactor for outbound connections,
//! shared by every thread that calls.

mod calls;
mod client;
pub(crate) mod connect;
mod connection;
mod connector;
mod driver;
mod fence;
mod limits;
mod listener;
mod mailbox;
mod outbox;
mod reactor;
mod server;
pub(crate) mod suspect;
pub(crate) mod sys;
mod turn;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::base::slots::Key;
use crate::protocol::frame::FrameRef;

pub use client::{Client, ClientConfig, PushedRequest};
pub(crate) use connector::endpoint;
pub use connector::{lane_address, lane_of};
pub use fence::{Fence, FenceWatch};
pub use limits::Limits;
pub use mailbox::ReactorHandle;
pub use outbox::Outbox;
pub use reactor::Io;
pub use server::{Server, ServerConfig};

/// How many reactors a server's configuration asks for: 0 stands for one per processor.
#[must_use]
pub fn reactor_threads(config: &crate::config::ServerConfig) -> u16 {
    let wanted = match config.reactor_threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        given => given,
    };
    u16::try_from(wanted).unwrap_or(u16::MAX)
}

/// Names one connection of one server or client, for as long as it is open. An id that has outlived
/// its connection is ignored wherever it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    reactor: u16,
    slot: u32,
    generation: u32,
}

impl ConnectionId {
    pub(crate) fn new(reactor: u16, key: Key) -> Self {
        Self {
            reactor,
            slot: key.slot,
            generation: key.generation,
        }
    }

    pub(crate) fn key(self) -> Key {
        Key {
            slot: self.slot,
            generation: self.generation,
        }
    }

    /// The index of the reactor that owns the connection.
    #[must_use]
    pub fn reactor(self) -> u16 {
        self.reactor
    }
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the other side.
    pub remote: SocketAddr,
    /// The address of this side; the one that the peer connected to.
    pub local: SocketAddr,
    /// The tag of the listener that accepted it (0 main, 1 VIP, ...); 0 for outbound connections.
    pub listener: u8,
}

/// Why a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed its side.
    Peer,
    /// This side closed it, by `Io::close` or `ReactorHandle::close`.
    Local,
    /// Nothing was read or written for the idle timeout.
    Idle,
    /// A frame was begun and not finished within the frame timeout.
    UnfinishedFrame,
    /// What arrived is not a frame; the text says why.
    NotAFrame(String),
    /// The peer does not read: more than the hard limit waited to be written.
    SlowReader,
    /// Reading or writing failed.
    Io(io::Error),
    /// An outbound connection could not be established.
    ConnectFailed(io::Error),
    /// The handler panicked over something this connection sent.
    HandlerPanic,
    /// The server or client is being shut down.
    Shutdown,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("closed by the peer"),
            Self::Local => f.write_str("closed by this side"),
            Self::Idle => f.write_str("idle for too long"),
            Self::UnfinishedFrame => f.write_str("a frame was not finished in time"),
            Self::NotAFrame(why) => write!(f, "not a frame: {why}"),
            Self::SlowReader => f.write_str("too much unread data"),
            Self::Io(e) => write!(f, "connection broken: {e}"),
            Self::ConnectFailed(e) => write!(f, "connect failed: {e}"),
            Self::HandlerPanic => f.write_str("request handler panicked"),
            Self::Shutdown => f.write_str("shut down"),
        }
    }
}

/// What a server does with its connections. One handler per reactor thread, called only by that
/// thread. A handler never blocks: everything else on its reactor waits meanwhile.
///
/// A panic in any of these is caught and reported; the connection it was about is closed, and the
/// reactor goes on. Replies that were being encoded at that moment are taken back.
pub trait Handler: Send {
    /// A connection was accepted or, for `Io::connect`, established.
    fn opened(&mut self, io: &mut Io<'_>, conn: ConnectionId, peer: &Peer);

    /// Complete frames of one connection, in order: all that one read brought (in portions of at
    /// most `Limits::frames_per_call`).
    fn frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]);

    /// The connection is gone, or only finishes writing; called once for each `opened`, and for
    /// each successful `Io::connect` that never opened. `io.out(conn)` is `None` from now on.
    fn closed(&mut self, io: &mut Io<'_>, conn: ConnectionId, reason: &CloseReason);

    /// `ReactorHandle::wake` was called, once or more, since the last time.
    fn woken(&mut self, io: &mut Io<'_>);

    /// Called towards the end of every turn, and at the time it asked for. `now` is the clock's
    /// monotonic time; the answer is the monotonic time (not a delay) of the next call wanted.
    fn tick(&mut self, io: &mut Io<'_>, now: Duration) -> Option<Duration>;

    /// The turn is over: what it brought was written, and `closed` was called for the connections
    /// that ended in it.
    fn turned(&mut self) {}

    /// Asked during an ordered shutdown, when no more frames are read: whether everything that
    /// will be answered has been answered. The connections close when it says so.
    fn drained(&mut self, io: &mut Io<'_>) -> bool {
        let _ = io;
        true
    }
}
