//! The thread that serves one slave.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::WAKER;
use super::outgoing::{FRAMES_MAX, Outgoing};
use super::session::{Refusal, Session};
use super::shared::{Line, Shared};
use crate::base::error::{Error, Result};
use crate::base::thread;
use crate::ha::rate::{Bucket, PAUSE_MS};
use crate::ha::wire::{MAX_BODY_BYTES, Reports};
use crate::net::sys;
use crate::store::LogSlice;

const SOCKET: Token = Token(1);
/// Writes before reports are looked at again.
const WRITES_PER_TURN: usize = 4;
/// Reads before the slave is written to again.
const READS_PER_TURN: usize = 4;
const READ_BYTES: usize = 4096;

/// Why a slave is not served any more.
#[derive(Debug)]
enum End {
    Stopped,
    Lost(io::Error),
    ClosedBySlave,
    Silent(u64),
    Refused(Refusal),
}

impl From<io::Error> for End {
    fn from(e: io::Error) -> Self {
        Self::Lost(e)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("replication is stopped"),
            Self::Lost(e) => e.fmt(f),
            Self::ClosedBySlave => f.write_str("closed by the slave"),
            Self::Silent(ms) => write!(f, "it has been silent for {ms} ms"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

/// Starts a thread that serves the slave at the other end of `stream`.
pub(super) fn serve(
    shared: &Arc<Shared>,
    mut stream: TcpStream,
    (remote, local): (SocketAddr, SocketAddr),
    session: Session,
) -> Result<()> {
    let fail = |e| Error::io("ha.slave", remote.to_string(), e);
    let poll = Poll::new().map_err(fail)?;
    let waker = Waker::new(poll.registry(), WAKER).map_err(fail)?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(&mut stream, SOCKET, interest)
        .map_err(fail)?;
    let id = shared.next_id();
    let line = Arc::new(Line::new(id, remote, session.next(), waker));
    let now_ms = shared.now_ms();
    let limit = shared.options.bytes_per_second;
    let sender = Sender {
        shared: Arc::clone(shared),
        line: Arc::clone(&line),
        session,
        poll,
        stream,
        remote: remote.ip(),
        local: local.ip(),
        reports: Reports::default(),
        outgoing: None,
        bucket: limit.map(|limit| Bucket::new(limit, now_ms)),
        readable: true,
        writable: true,
        greeted: false,
        heard_ms: now_ms,
        sent_ms: now_ms,
    };
    shared.lines.add(Arc::clone(&line));
    let name = format!("rmq-ha-send-{id}");
    match thread::spawn(name, move || sender.run()) {
        Ok(thread) => {
            shared.threads.lock().push(thread);
            Ok(())
        }
        Err(error) => {
            shared.lines.remove(&line);
            Err(error)
        }
    }
}

struct Sender {
    shared: Arc<Shared>,
    line: Arc<Line>,
    session: Session,
    poll: Poll,
    stream: TcpStream,
    remote: IpAddr,
    local: IpAddr,
    reports: Reports,
    /// Frames that are not written yet.
    outgoing: Option<Outgoing<LogSlice>>,
    bucket: Option<Bucket>,
    readable: bool,
    writable: bool,
    /// It was told once that it has everything.
    greeted: bool,
    heard_ms: u64,
    sent_ms: u64,
}

/// Leaves the books in order also when the thread panics.
struct Membership {
    shared: Arc<Shared>,
    line: Arc<Line>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let id = self.line.id;
        self.shared.lines.remove(&self.line);
        self.shared
            .settle(|acks, end, now_ms| acks.leave(id, end, now_ms));
    }
}

impl Sender {
    fn run(mut self) {
        let (id, peer) = (self.line.id, self.line.remote);
        let membership = Membership {
            shared: Arc::clone(&self.shared),
            line: Arc::clone(&self.line),
        };
        let (asked, from) = (self.session.asked(), self.session.next());
        tracing::info!(%peer, reported = asked, from, "a slave is served");
        self.shared
            .settle(|acks, end, now_ms| acks.join(id, peer.ip(), asked, end, now_ms));
        let mut events = Events::with_capacity(8);
        let end = loop {
            if let Err(end) = self.turn(&mut events) {
                break end;
            }
        };
        drop(membership);
        match end {
            End::Stopped => {}
            End::Refused(refusal) => self.shared.warn(peer, &refusal),
            other => tracing::info!(%peer, "a slave is not served any more: {other}"),
        }
    }

    fn turn(&mut self, events: &mut Events) -> std::result::Result<(), End> {
        let pause = self.pause();
        let polled = self.poll.poll(events, Some(pause));
        self.shared.lines.rise(&self.line);
        if let Err(e) = polled
            && e.kind() != io::ErrorKind::Interrupted
        {
            return Err(e.into());
        }
        for event in events.iter().filter(|event| event.token() == SOCKET) {
            self.readable |= event.is_readable() || event.is_error() || event.is_read_closed();
            self.writable |= event.is_writable();
        }
        if self.shared.is_stopped() {
            return Err(End::Stopped);
        }
        self.read()?;
        self.write()?;
        let silent_ms = self.shared.now_ms().saturating_sub(self.heard_ms);
        if silent_ms > self.shared.options.housekeeping_ms {
            return Err(End::Silent(silent_ms));
        }
        Ok(())
    }

    fn may_read(&self) -> bool {
        let fence = &self.shared.options.fence;
        self.readable && !fence.is_cut(self.remote, self.local)
    }

    fn may_write(&self) -> bool {
        let fence = &self.shared.options.fence;
        self.writable && !fence.is_cut(self.local, self.remote)
    }

    fn has_more(&self) -> bool {
        self.outgoing.is_some() || self.shared.end() > self.session.next()
    }

    /// Whether the limit of speed lets nothing new be sent now.
    fn must_wait(&mut self, now_ms: u64) -> bool {
        let bucket = self.bucket.as_mut();
        self.outgoing.is_none() && bucket.is_some_and(|bucket| bucket.allowed(now_ms) == 0)
    }

    /// How long there is nothing to do, unless an event comes.
    fn pause(&mut self) -> Duration {
        if self.may_read() {
            return Duration::ZERO;
        }
        let now_ms = self.shared.now_ms();
        let options = &self.shared.options;
        let mut due_ms = self.heard_ms + options.housekeeping_ms + 1;
        if self.may_write() {
            due_ms = due_ms.min(self.sent_ms + options.heartbeat_ms);
            if !self.has_more() {
                self.shared.lines.lie_down(&self.line);
            }
            if self.has_more() {
                if !self.must_wait(now_ms) {
                    return Duration::ZERO;
                }
                due_ms = due_ms.min(now_ms + PAUSE_MS);
            }
        }
        // Less than a millisecond would be none.
        Duration::from_millis(due_ms.saturating_sub(now_ms).max(1))
    }

    /// Reads reports; only the last one counts.
    fn read(&mut self) -> std::result::Result<(), End> {
        let mut last = None;
        let mut bytes = [0; READ_BYTES];
        for _ in 0..READS_PER_TURN {
            if !self.may_read() {
                break;
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(End::ClosedBySlave),
                Ok(count) => last = self.reports.feed(&bytes[..count]).or(last),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        let Some(report) = last else { return Ok(()) };
        self.heard_ms = self.shared.now_ms();
        if let Some(ack) = self.session.report(report).map_err(End::Refused)? {
            let id = self.line.id;
            self.shared
                .settle(|acks, end, now_ms| acks.ack(id, ack, end, now_ms));
        }
        Ok(())
    }

    /// Writes what there is of the log, or a heartbeat.
    fn write(&mut self) -> std::result::Result<(), End> {
        for _ in 0..WRITES_PER_TURN {
            if !self.may_write() {
                break;
            }
            if self.outgoing.is_none() {
                self.outgoing = self.next_frames()?;
            }
            let Some(outgoing) = &mut self.outgoing else {
                break;
            };
            match sys::send(&self.stream, &outgoing.parts()) {
                Ok(count) => {
                    outgoing.wrote(count);
                    self.session.sent(outgoing.sent_to());
                    if outgoing.is_done() {
                        self.outgoing = None;
                    }
                    self.note_sent(count);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn note_sent(&mut self, count: usize) {
        self.sent_ms = self.shared.now_ms();
        self.line.meter.lock().add(self.sent_ms, count);
        self.line.next.store(self.session.next(), Ordering::Relaxed);
        if let Some(bucket) = &mut self.bucket {
            bucket.take(count);
        }
    }

    /// The next frames to write, if it is time for any.
    fn next_frames(&mut self) -> std::result::Result<Option<Outgoing<LogSlice>>, End> {
        let shared = &self.shared;
        let (options, next, now_ms) = (&shared.options, self.session.next(), shared.now_ms());
        let frame_bytes = options.batch_bytes.clamp(1, MAX_BODY_BYTES);
        let allowed = match &mut self.bucket {
            Some(bucket) => bucket.allowed(now_ms),
            None => usize::MAX,
        };
        if next < shared.end() {
            let most = (frame_bytes * FRAMES_MAX).min(allowed);
            if most == 0 {
                return Ok(None);
            }
            return match shared.store.log_slice(next, most) {
                Some(slice) => Ok(Some(Outgoing::new(next, slice, frame_bytes))),
                None => {
                    let (report, first) = (next, shared.store.min_offset());
                    Err(End::Refused(Refusal::BeforeFirst { report, first }))
                }
            };
        }
        // The first one at once: a slave that has more learns that this is all.
        let due = !self.greeted || now_ms >= self.sent_ms + options.heartbeat_ms;
        self.greeted = true;
        Ok(due.then(|| Outgoing::heartbeat(next)))
    }
}
