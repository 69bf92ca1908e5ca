//! The thread that listens for slaves.
//!
//! A connection gets a thread of its own when it has reported an offset that a slave can have.
//! Until then it costs a descriptor and a few bytes, and there are only so many of them.

use std::io::{self, IoSlice, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::WAKER;
use super::session::{Refusal, Session};
use super::shared::Shared;
use super::thread;
use crate::base::error::{Error, Result};
use crate::ha::wire::{Header, REPORT_BYTES};
use crate::net::{suspect, sys};

const LISTENER: Token = Token(1);
/// Token of the first place for a connection that has not reported.
const FIRST_PLACE: usize = 2;
/// Connections that the kernel holds before they are accepted.
const BACKLOG: u32 = 1024;
/// Connections that are accepted before the open ones have their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// How long accepting rests when descriptors or memory have run out, ms.
const REST_MS: u64 = 200;
/// How often the time of slaves in sync is looked at, as part of the longest lag, and its bounds.
const TICKS_PER_TIMEOUT: u64 = 20;
const TICK_MS_MIN: u64 = 5;
const TICK_MS_MAX: u64 = 100;

/// A connection that has not reported yet.
#[derive(Debug)]
struct Unreported {
    stream: TcpStream,
    remote: SocketAddr,
    local: SocketAddr,
    since: Duration,
    report: [u8; REPORT_BYTES],
    len: usize,
}

/// What came of reading from such a connection.
enum First {
    /// Not all bytes of a report are there.
    Waiting,
    Reported(i64),
    Gone,
}

impl Unreported {
    /// Reads the first report and not a byte more.
    fn read(&mut self) -> First {
        loop {
            match self.stream.read(&mut self.report[self.len..]) {
                Ok(0) => return First::Gone,
                Ok(count) => {
                    self.len += count;
                    if self.len == REPORT_BYTES {
                        return First::Reported(i64::from_be_bytes(self.report));
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return First::Waiting,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return First::Gone,
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) struct Acceptor {
    shared: Arc<Shared>,
    poll: Poll,
    listener: TcpListener,
    address: SocketAddr,
    /// Connections may be waiting; not before that time, ms.
    accept_at_ms: Option<u64>,
    places: Vec<Option<Unreported>>,
}

impl Acceptor {
    pub(super) fn bind(shared: Arc<Shared>, poll: Poll) -> Result<Self> {
        let listen = shared.options.listen;
        let fail = |e| Error::io("ha.listen", listen.to_string(), e);
        let mut listener = sys::listen(listen, BACKLOG).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let registry = poll.registry();
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(fail)?;
        let places = shared.options.max_unreported.max(1);
        Ok(Self {
            shared,
            poll,
            listener,
            address,
            accept_at_ms: None,
            places: (0..places).map(|_| None).collect(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(128);
        loop {
            let pause = self.pause();
            match self.poll.poll(&mut events, pause) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    tracing::error!(%error, "replication's event loop fails");
                    std::thread::sleep(Duration::from_millis(REST_MS));
                }
                _ => {}
            }
            if self.shared.is_stopped() {
                return;
            }
            for event in &events {
                match event.token() {
                    // The fence changed: bytes may be there that were not told again.
                    WAKER => (0..self.places.len()).for_each(|place| self.read(place)),
                    LISTENER => self.accept_at_ms = self.accept_at_ms.or(Some(0)),
                    Token(token) => self.read(token - FIRST_PLACE),
                }
            }
            self.accept();
            self.close_silent();
            if self.shared.lines.count() > 0 {
                self.shared
                    .settle(|acks, end, now_ms| acks.tick(end, now_ms));
            }
            self.clear_threads();
        }
    }

    /// How long there is nothing to do.
    fn pause(&self) -> Option<Duration> {
        let options = &self.shared.options;
        let tick_ms = (options.ack_timeout_ms / TICKS_PER_TIMEOUT).clamp(TICK_MS_MIN, TICK_MS_MAX);
        let tick = (self.shared.lines.count() > 0).then_some(tick_ms);
        let now_ms = self.shared.now_ms();
        let accept = self.accept_at_ms.map(|at| at.saturating_sub(now_ms));
        let oldest = self.places.iter().flatten().map(|c| c.since).min();
        let silent = oldest.map(|since| {
            let due_ms = millis(since) + options.housekeeping_ms + 1;
            due_ms.saturating_sub(now_ms).max(1)
        });
        // Threads that ended are cleared away some time.
        let ended = (!self.shared.threads.lock().is_empty()).then_some(1_000);
        let least = [tick, accept, silent, ended].into_iter().flatten().min();
        least.map(Duration::from_millis)
    }

    fn accept(&mut self) {
        let now_ms = self.shared.now_ms();
        if self.accept_at_ms.is_none_or(|at| now_ms < at) {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            match self.listener.accept() {
                Ok((stream, remote)) => self.take(stream, remote),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.accept_at_ms = None;
                    return;
                }
                Err(e) if sys::accept_error_is_transient(&e) => {}
                Err(e) => {
                    self.shared
                        .warn(self.address, &format_args!("cannot accept: {e}"));
                    self.accept_at_ms = Some(now_ms + REST_MS);
                    return;
                }
            }
        }
        self.accept_at_ms = Some(now_ms);
    }

    /// The place for a new connection. A slave of rmq's reports at once, one of Apache's within
    /// seconds, so the one that has been silent for the longest makes way.
    fn make_way(&mut self) -> usize {
        if let Some(free) = self.places.iter().position(Option::is_none) {
            return free;
        }
        let since = |place: &usize| self.places[*place].as_ref().map(|c| c.since);
        let oldest = (0..self.places.len()).min_by_key(since).unwrap_or(0);
        // It may have reported by now.
        self.read(oldest);
        if let Some(old) = self.places[oldest].take() {
            let why = "too many connections have not reported an offset yet";
            self.shared.warn(old.remote, &why);
        }
        oldest
    }

    fn take(&mut self, mut stream: TcpStream, remote: SocketAddr) {
        let place = self.make_way();
        let interest = Interest::READABLE;
        let token = Token(FIRST_PLACE + place);
        let ready = stream
            .set_nodelay(true)
            .and_then(|()| stream.local_addr())
            .and_then(|local| {
                let registry = self.poll.registry();
                registry.register(&mut stream, token, interest)?;
                Ok(local)
            });
        match ready {
            Ok(local) => {
                self.places[place] = Some(Unreported {
                    stream,
                    remote,
                    local,
                    since: self.shared.clock.monotonic(),
                    report: [0; REPORT_BYTES],
                    len: 0,
                });
            }
            Err(error) => tracing::debug!(peer = %remote, %error, "a connection was lost at once"),
        }
    }

    /// Reads from the connection at `place`, if there is one.
    fn read(&mut self, place: usize) {
        let Some(Some(conn)) = self.places.get_mut(place) else {
            return;
        };
        let fence = &self.shared.options.fence;
        if fence.is_cut(conn.remote.ip(), conn.local.ip()) {
            return;
        }
        match conn.read() {
            First::Waiting => {}
            First::Gone => self.places[place] = None,
            First::Reported(report) => {
                if let Some(conn) = self.places[place].take() {
                    self.reported(conn, report);
                }
            }
        }
    }

    /// Serves a connection from the offset that it reported, or closes it.
    fn reported(&self, mut conn: Unreported, report: i64) {
        let shared = &self.shared;
        let session = match Session::new(report, shared.store.min_offset(), shared.end()) {
            Ok(session) => session,
            Err(refusal) => return self.refuse(&conn, &refusal),
        };
        if shared.lines.count() >= shared.options.max_slaves {
            let why = "there are too many slaves";
            return shared.warn(conn.remote, &why);
        }
        let registry = self.poll.registry();
        let started = registry
            .deregister(&mut conn.stream)
            .map_err(|e| Error::io("ha.slave", conn.remote.to_string(), e))
            .and_then(|()| thread::serve(shared, conn.stream, (conn.remote, conn.local), session));
        if let Err(error) = started {
            shared.warn(conn.remote, &error);
        }
    }

    /// Says why a connection is closed. A slave sees by the offset in a frame what is wrong.
    fn refuse(&self, conn: &Unreported, refusal: &Refusal) {
        match suspect::guess(&conn.report) {
            Some(guess) => {
                let why = format_args!("what it sent looks like {guess}");
                self.shared.warn(conn.remote, &why);
            }
            None => {
                if let Some(offset) = refusal.hint() {
                    let header = Header { offset, size: 0 }.encode();
                    let _ = sys::send(&conn.stream, &[IoSlice::new(&header)]);
                }
                self.shared.warn(conn.remote, refusal);
            }
        }
    }

    fn close_silent(&mut self) {
        let now_ms = self.shared.now_ms();
        let limit_ms = self.shared.options.housekeeping_ms;
        for place in &mut self.places {
            if let Some(conn) = place
                && now_ms.saturating_sub(millis(conn.since)) > limit_ms
            {
                let why = format_args!("it has reported no offset for {limit_ms} ms");
                self.shared.warn(conn.remote, &why);
                *place = None;
            }
        }
    }

    /// Lets go of threads that ended.
    fn clear_threads(&self) {
        self.shared
            .threads
            .lock()
            .retain(|thread| !thread.is_finished());
    }
}
