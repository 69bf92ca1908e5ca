//! One thread's share of the connections, and what a handler may do with them.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};

use super::connection::{Connection, Last, Stage};
use super::listener::Census;
use super::mailbox::{Accepted, ReactorHandle};
use super::outbox::{Flushed, Outbox};
use super::suspect::{self, About, RateLimit};
use super::{CloseReason, ConnectionId, Fence, Limits, Peer};
use crate::base::slots::{Key, Slots};

/// Empty buffers kept for the next connection that needs one.
const SPARE_BUFFERS: usize = 64;
/// Timeouts are looked for at most this often.
const SWEEP_INTERVAL: Duration = Duration::from_millis(20);
/// How long a peer may take to end its side after this one has ended.
const HEAR_OUT: Duration = Duration::from_millis(500);
/// Between two warnings of one sort.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// How a connection's reactor differs between servers and clients.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    /// For logs.
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
    /// Whether a connection with a full outbox is not read. A client must go on reading replies:
    /// if both sides waited for the other to read, neither would.
    pub(crate) pause_reads: bool,
    /// Who cannot be reached and heard.
    pub(crate) fence: Fence,
    /// The source address of outbound connections; `None` leaves it to the system.
    pub(crate) bind: Option<IpAddr>,
}

/// The connections of one reactor with everything but the handler that serves them.
pub(crate) struct Core {
    pub(crate) role: Role,
    pub(crate) index: u16,
    pub(crate) poll: Poll,
    pub(crate) handle: ReactorHandle,
    pub(crate) census: Arc<Census>,
    pub(crate) connections: Slots<Box<Connection>>,
    /// The monotonic time at which this turn began.
    pub(crate) now: Duration,
    /// No frames are read any more.
    pub(crate) draining: bool,
    /// The connections were told to close for the shutdown.
    pub(crate) closing: bool,
    /// Outboxes to flush at the end of the turn.
    pub(crate) touched: Vec<Key>,
    /// Connections to read in the next turn.
    pub(crate) scheduled: Vec<Key>,
    /// Connections to close at the end of the turn.
    pub(crate) doomed: Vec<Key>,
    /// When the earliest timeout can be due; `Duration::MAX` for none.
    pub(crate) next_sweep: Duration,
    expired: Vec<Key>,
    spare: Vec<Vec<u8>>,
    garbage_warnings: RateLimit,
    timeout_warnings: RateLimit,
    slow_warnings: RateLimit,
}

impl Core {
    pub(crate) fn new(
        role: Role,
        index: u16,
        poll: Poll,
        handle: ReactorHandle,
        census: Arc<Census>,
    ) -> Self {
        let capacity = u32::try_from(role.limits.max_connections).unwrap_or(u32::MAX);
        Self {
            role,
            index,
            poll,
            handle,
            census,
            connections: Slots::new(capacity.min(u32::MAX - 1)),
            now: Duration::ZERO,
            draining: false,
            closing: false,
            touched: Vec::new(),
            scheduled: Vec::new(),
            doomed: Vec::new(),
            next_sweep: Duration::MAX,
            expired: Vec::new(),
            spare: Vec::new(),
            garbage_warnings: RateLimit::new(WARN_INTERVAL),
            timeout_warnings: RateLimit::new(WARN_INTERVAL),
            slow_warnings: RateLimit::new(WARN_INTERVAL),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.role.limits
    }

    pub(crate) fn id(&self, key: Key) -> ConnectionId {
        ConnectionId::new(self.index, key)
    }

    /// Sees to it that timeouts are looked for at `at`.
    pub(crate) fn arm(&mut self, at: Duration) {
        self.next_sweep = self.next_sweep.min(at);
    }

    /// A buffer that may have been used before.
    pub(crate) fn spare_buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next use unless it is large or there are enough.
    pub(crate) fn recycle(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        let kept = capacity > 0 && capacity <= self.limits().retained_buffer_bytes;
        if kept && self.spare.len() < SPARE_BUFFERS {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Takes over an accepted connection; the caller tells the handler.
    pub(crate) fn adopt(&mut self, accepted: Accepted) -> io::Result<(Key, Peer)> {
        let Accepted {
            stream,
            remote,
            listener,
        } = accepted;
        let local = stream.local_addr()?;
        stream.set_nodelay(true)?;
        let peer = Peer {
            remote,
            local,
            listener,
        };
        let key = self.insert(stream, peer, Stage::Open)?;
        self.arm(self.now + self.limits().idle_timeout);
        Ok((key, peer))
    }

    pub(crate) fn insert(
        &mut self,
        mut stream: TcpStream,
        peer: Peer,
        stage: Stage,
    ) -> io::Result<Key> {
        let full = || io::Error::new(io::ErrorKind::QuotaExceeded, "too many connections");
        let key = self.connections.next_key().ok_or_else(full)?;
        // Both interests once and for good: readiness is edge-triggered, so an idle direction
        // costs nothing, and changing interests would cost a system call each time.
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(key.slot as usize), both)?;
        let connection = Connection::new(stream, peer, stage, self.now);
        self.connections
            .insert(Box::new(connection))
            .map_err(|_| full())
    }

    /// Has a connection read in the next turn.
    pub(crate) fn schedule(&mut self, key: Key) {
        if let Some(conn) = self.connections.get_mut(key)
            && !conn.scheduled
        {
            conn.scheduled = true;
            self.scheduled.push(key);
        }
    }

    /// Has a connection flushed at the end of this turn.
    pub(crate) fn touch(&mut self, key: Key) {
        if let Some(conn) = self.connections.get_mut(key)
            && !conn.touched
        {
            conn.touched = true;
            self.touched.push(key);
        }
    }

    /// Has a connection closed at the end of this turn. The first reason counts.
    pub(crate) fn doom(&mut self, key: Key, reason: CloseReason) {
        if let Some(conn) = self.connections.get_mut(key)
            && conn.doomed.is_none()
            && !matches!(conn.stage, Stage::Closing { .. })
        {
            conn.doomed = Some(reason);
            self.doomed.push(key);
        }
    }

    /// Closes a connection that sent something else than frames, with a warning.
    pub(crate) fn reject(&mut self, key: Key, why: String, first_bytes: &[u8]) {
        if let Some(conn) = self.connections.get(key) {
            let about = About {
                why: &why,
                first_bytes,
            };
            suspect::warn(
                &mut self.garbage_warnings,
                self.now,
                &self.role.name,
                &conn.peer,
                &about,
            );
        }
        self.doom(key, CloseReason::NotAFrame(why));
    }

    /// Writes what a connection's outbox holds, and applies what follows from how far that went.
    pub(crate) fn flush(&mut self, key: Key) {
        let Some(conn) = self.connections.get_mut(key) else {
            return;
        };
        conn.touched = false;
        if matches!(conn.stage, Stage::Connecting { .. }) {
            return;
        }
        // What a fence holds back is written when it changes: then every outbox is tried again.
        if !conn.blocked && !conn.cannot_send(&self.role.fence) {
            let mut wrote = 0;
            let flushed = conn.out.flush(&conn.stream, &mut wrote);
            if wrote > 0 {
                conn.active_at = self.now;
            }
            match flushed {
                Ok(Flushed::All) => {
                    if conn.out.has_buffer() {
                        let buffer = conn.out.take_buffer();
                        self.recycle(buffer);
                    }
                }
                Ok(Flushed::Blocked) => conn.blocked = true,
                Err(e) if matches!(conn.stage, Stage::Closing { .. }) => {
                    tracing::debug!(server = %self.role.name, error = %e, "write failed at close");
                    self.remove(key);
                    return;
                }
                Err(e) => {
                    self.doom(key, CloseReason::Io(e));
                    return;
                }
            }
        }
        self.apply_outbox_limits(key);
    }

    /// Writes in the middle of a turn, but only if more waits than should.
    pub(crate) fn relieve(&mut self, key: Key) {
        let soft = self.limits().outbox_soft_bytes;
        if self
            .connections
            .get(key)
            .is_some_and(|conn| conn.out.len() > soft)
        {
            self.flush(key);
        }
    }

    fn apply_outbox_limits(&mut self, key: Key) {
        let (soft, hard) = (
            self.limits().outbox_soft_bytes,
            self.limits().outbox_hard_bytes,
        );
        let pause_reads = self.role.pause_reads;
        let Some(conn) = self.connections.get_mut(key) else {
            return;
        };
        let waiting = conn.out.len();
        if matches!(conn.stage, Stage::Closing { .. }) {
            if waiting == 0 {
                self.finish_closing(key);
            }
        } else if waiting > hard {
            if let Some(suppressed) = self.slow_warnings.pass(self.now) {
                tracing::warn!(
                    server = %self.role.name, peer = %conn.peer.remote, waiting, hard, suppressed,
                    "connection closed: the peer does not read what it asked for"
                );
            }
            self.doom(key, CloseReason::SlowReader);
        } else if pause_reads && waiting > soft {
            conn.paused = true;
            conn.unfinished_since = None;
        } else if conn.paused && waiting <= soft / 2 {
            conn.paused = false;
            let (readable, backlog) = (conn.readable, conn.backlog);
            if !backlog && !conn.input.is_empty() {
                conn.unfinished_since = Some(self.now);
                self.arm(self.now + self.limits().frame_timeout);
            }
            if backlog || readable {
                self.schedule(key);
            }
        }
    }

    /// Everything has been written on a closing connection: says so to the peer, or is done.
    fn finish_closing(&mut self, key: Key) {
        let hear_out_until = self.now + HEAR_OUT;
        let Some(conn) = self.connections.get_mut(key) else {
            return;
        };
        let Stage::Closing { deadline, last } = &mut conn.stage else {
            return;
        };
        match last {
            Last::HearOut => {}
            Last::WriteAndEnd if conn.stream.shutdown(Shutdown::Write).is_ok() => {
                *last = Last::HearOut;
                *deadline = hear_out_until.min(*deadline);
                let (deadline, readable) = (*deadline, conn.readable);
                self.arm(deadline);
                if readable {
                    self.schedule(key);
                }
            }
            Last::Write | Last::WriteAndEnd => self.remove(key),
        }
    }

    /// Drops a connection for good.
    pub(crate) fn remove(&mut self, key: Key) {
        let Some(mut conn) = self.connections.remove(key) else {
            return;
        };
        // Not left to the drop: in a forked child a copy of the descriptor may live on, and then
        // the kernel would go on reporting events for it.
        let _ = self.poll.registry().deregister(&mut conn.stream);
        self.census.leave();
        self.recycle(conn.input);
    }

    /// Finds the connections whose time is up.
    pub(crate) fn sweep(&mut self) {
        if self.now < self.next_sweep {
            return;
        }
        let mut expired = std::mem::take(&mut self.expired);
        let mut next = Duration::MAX;
        for (key, conn) in self.connections.iter() {
            let deadline = deadline_of(conn, &self.role.limits);
            if deadline <= self.now {
                expired.push(key);
            } else {
                next = next.min(deadline);
            }
        }
        self.next_sweep = next.max(self.now + SWEEP_INTERVAL);
        if next == Duration::MAX {
            self.next_sweep = next;
        }
        for key in expired.drain(..) {
            self.expire(key);
        }
        self.expired = expired;
    }

    fn expire(&mut self, key: Key) {
        let frame_timeout = self.limits().frame_timeout;
        let Some(conn) = self.connections.get(key) else {
            return;
        };
        match conn.stage {
            Stage::Connecting { .. } => {
                let error = io::Error::from(io::ErrorKind::TimedOut);
                self.doom(key, CloseReason::ConnectFailed(error));
            }
            Stage::Closing { .. } => self.remove(key),
            Stage::Open if is_due(conn.unfinished_since, frame_timeout, self.now) => {
                let why = "a frame was begun and not finished in time";
                let about = About {
                    why,
                    first_bytes: &conn.input,
                };
                suspect::warn(
                    &mut self.timeout_warnings,
                    self.now,
                    &self.role.name,
                    &conn.peer,
                    &about,
                );
                self.doom(key, CloseReason::UnfinishedFrame);
            }
            Stage::Open => self.doom(key, CloseReason::Idle),
        }
    }
}

fn is_due(since: Option<Duration>, after: Duration, now: Duration) -> bool {
    since.is_some_and(|since| since + after <= now)
}

fn deadline_of(conn: &Connection, limits: &Limits) -> Duration {
    match conn.stage {
        Stage::Connecting { deadline, .. } | Stage::Closing { deadline, .. } => deadline,
        Stage::Open => {
            let idle = conn.active_at + limits.idle_timeout;
            conn.unfinished_since
                .map_or(idle, |since| idle.min(since + limits.frame_timeout))
        }
    }
}

/// What a handler can do during a turn of its reactor.
pub struct Io<'a> {
    core: &'a mut Core,
}

impl<'a> Io<'a> {
    #[inline]
    pub(crate) fn new(core: &'a mut Core) -> Self {
        Self { core }
    }

    /// The outbox of a connection of this reactor; `None` when it is closed or not yet open.
    #[inline]
    pub fn out(&mut self, conn: ConnectionId) -> Option<Outbox<'_>> {
        let core = &mut *self.core;
        if conn.reactor() != core.index {
            return None;
        }
        let key = conn.key();
        let connection = core.connections.get_mut(key)?;
        if !connection.is_open() {
            return None;
        }
        if !connection.touched {
            connection.touched = true;
            core.touched.push(key);
        }
        if !connection.out.has_buffer() {
            connection
                .out
                .set_buffer(core.spare.pop().unwrap_or_default());
        }
        Some(Outbox::new(&mut connection.out))
    }

    /// Closes a connection at the end of this turn, after what is in its outbox has been written
    /// (as far as the peer takes it within `Limits::close_timeout`).
    pub fn close(&mut self, conn: ConnectionId) {
        if conn.reactor() == self.core.index {
            self.core.doom(conn.key(), CloseReason::Local);
        }
    }

    /// Closes a connection whose peer sent frames that cannot be understood, with a warning that
    /// shows the first bytes of `sent`; of many at a time the log is told of few.
    pub fn reject(&mut self, conn: ConnectionId, why: String, sent: &[u8]) {
        if conn.reactor() == self.core.index {
            self.core.reject(conn.key(), why, sent);
        }
    }

    /// Begins an outbound connection owned by this reactor. `Handler::opened` tells when it is
    /// established, `Handler::closed` with `ConnectFailed` when it could not be. An error here
    /// means that it was not even begun, and nothing more will be heard of it.
    pub fn connect(&mut self, addr: SocketAddr) -> io::Result<ConnectionId> {
        let key = self.core.connect(addr)?;
        Ok(self.core.id(key))
    }

    /// The two ends of an open connection of this reactor.
    #[must_use]
    pub fn peer(&self, conn: ConnectionId) -> Option<&Peer> {
        if conn.reactor() != self.core.index {
            return None;
        }
        self.core
            .connections
            .get(conn.key())
            .filter(|c| c.is_open())
            .map(|c| &c.peer)
    }

    /// The clock's monotonic time at which this turn began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.core.now
    }

    /// The handle of this reactor, to be given to other threads.
    #[must_use]
    pub fn reactor(&self) -> &ReactorHandle {
        &self.core.handle
    }
}

impl std::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Io")
            .field("reactor", &self.core.index)
            .field("connections", &self.core.connections.len())
            .finish()
    }
}
