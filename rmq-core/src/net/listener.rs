//! Accepting connections, and living on when that fails.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use nix::sys::resource::{Resource, getrlimit};

use super::mailbox::{Accepted, ReactorHandle};
use super::suspect::RateLimit;
use super::sys;
use crate::base::backoff::{Backoff, BackoffConfig};
use crate::base::fault;

/// How long accepting rests when descriptors or memory have run out.
const REST: BackoffConfig = BackoffConfig {
    initial: Duration::from_millis(20),
    max: Duration::from_millis(500),
    jitter_percent: 0,
};

/// Descriptors that connections leave to the rest of the process, its files above all: a store that
/// cannot open its next file takes no messages.
const SPARE_DESCRIPTORS: usize = 256;

/// Connections that leave enough descriptors; with a low limit, two thirds of it.
fn connections_for(descriptors: usize) -> usize {
    descriptors - SPARE_DESCRIPTORS.min(descriptors / 3)
}

/// The limit of this process on descriptors.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Counts the open connections of all reactors of a server.
#[derive(Debug, Default)]
pub(crate) struct Census {
    open: AtomicUsize,
}

impl Census {
    pub(crate) fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts one more unless there are `max` already.
    pub(crate) fn enter(&self, max: usize) -> bool {
        if self.open.fetch_add(1, Ordering::Relaxed) < max {
            return true;
        }
        self.leave();
        false
    }

    pub(crate) fn leave(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One listening socket, owned by the first reactor.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    tag: u8,
    /// Connections may be waiting.
    ready: bool,
    /// Something ran out: accepting rests until then.
    resting_until: Option<Duration>,
    backoff: Backoff,
}

/// Deals accepted connections out to the reactors.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) listeners: Vec<Listener>,
    census: Arc<Census>,
    max_connections: usize,
    /// Connections at which accepting rests, so that descriptors remain.
    room: usize,
    per_turn: usize,
    reactors: Vec<ReactorHandle>,
    next: usize,
    too_many: RateLimit,
    name: String,
}

impl Listener {
    pub(crate) fn bind(addr: SocketAddr, tag: u8, backlog: u32) -> io::Result<Self> {
        let socket = sys::listen(addr, backlog)?;
        let local = socket.local_addr()?;
        let backoff = Backoff::new(REST);
        Ok(Self {
            socket,
            local,
            tag,
            ready: false,
            resting_until: None,
            backoff,
        })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn tag(&self) -> u8 {
        self.tag
    }

    pub(crate) fn socket(&mut self) -> &mut TcpListener {
        &mut self.socket
    }

    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        fault::check("net.accept")?;
        self.socket.accept()
    }

    /// Rests after `error`, and says so once per shortage.
    fn rest(&mut self, now: Duration, error: &io::Error, name: &str) {
        if self.backoff.failures() == 0 {
            tracing::error!(
                server = name, listener = %self.local, %error,
                "cannot accept connections; open ones go on, accepting is tried again"
            );
        }
        self.resting_until = Some(now + self.backoff.fail());
    }

    fn rested(&mut self, name: &str) {
        if self.backoff.failures() > 0 {
            self.backoff.reset();
            tracing::info!(server = name, listener = %self.local, "accepting connections again");
        }
    }
}

impl Acceptor {
    pub(crate) fn new(
        name: String,
        listeners: Vec<Listener>,
        census: Arc<Census>,
        limits: &super::Limits,
        reactors: Vec<ReactorHandle>,
    ) -> Self {
        Self {
            listeners,
            census,
            max_connections: limits.max_connections,
            room: connections_for(descriptors()),
            per_turn: limits.accepts_per_turn,
            reactors,
            next: 0,
            too_many: RateLimit::new(Duration::from_secs(1)),
            name,
        }
    }

    /// A listener's event arrived.
    pub(crate) fn ready(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
        }
    }

    /// When `accept` has something to do: at once, at a time, or not before an event.
    pub(crate) fn due(&self) -> Option<Duration> {
        let due = |listener: &Listener| {
            listener
                .ready
                .then(|| listener.resting_until.unwrap_or(Duration::ZERO))
        };
        self.listeners.iter().filter_map(due).min()
    }

    /// Accepts what waits, up to the turn's bound, and hands it out in turn.
    pub(crate) fn accept(&mut self, now: Duration) {
        for index in 0..self.listeners.len() {
            let listener = &mut self.listeners[index];
            if !listener.ready || listener.resting_until.is_some_and(|until| now < until) {
                continue;
            }
            listener.resting_until = None;
            for _ in 0..self.per_turn {
                let accepted = match self.census.count() < self.room {
                    true => self.listeners[index].accept(),
                    false => Err(io::Error::from_raw_os_error(libc::EMFILE)),
                };
                match accepted {
                    Ok((stream, remote)) => {
                        self.listeners[index].rested(&self.name);
                        self.hand_out(now, index, stream, remote);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        let listener = &mut self.listeners[index];
                        listener.rested(&self.name);
                        listener.ready = false;
                        break;
                    }
                    Err(e) if sys::accept_error_is_transient(&e) => {}
                    Err(e) => {
                        self.listeners[index].rest(now, &e, &self.name);
                        break;
                    }
                }
            }
        }
    }

    fn hand_out(&mut self, now: Duration, index: usize, stream: TcpStream, remote: SocketAddr) {
        if !self.census.enter(self.max_connections) {
            if let Some(suppressed) = self.too_many.pass(now) {
                let max = self.max_connections;
                tracing::warn!(
                    server = %self.name, peer = %remote, max, suppressed,
                    "connection refused: too many are open"
                );
            }
            return;
        }
        let listener = self.listeners[index].tag;
        let reactor = &self.reactors[self.next % self.reactors.len()];
        self.next = self.next.wrapping_add(1);
        if !reactor.adopt(Accepted {
            stream,
            remote,
            listener,
        }) {
            self.census.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors() {
        for (descriptors, connections) in [
            (0, 0),
            (100, 67),
            (1024, 768),
            (20_000, 19_744),
            (usize::MAX, usize::MAX - 256),
        ] {
            assert_eq!(connections_for(descriptors), connections);
        }
    }
}
