//! The thread of a slave: connects, reads, reports, rests, and again.

use std::io::{self, IoSlice, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::connect::{self, Attempt};
use super::receiver::{Receiver, Trouble};
use super::{Orders, Shared, SlaveState};
use crate::base::backoff::Backoff;
use crate::base::error::Error;
use crate::ha::wire::REPORT_BYTES;
use crate::net::sys;

const SOCKET: Token = Token(1);
/// How often a full disk is tried again, ms.
const DISK_FULL_PAUSE_MS: u64 = 1_000;
/// Reads before the handle and the time are looked at again.
const READS_PER_TURN: usize = 16;

/// Why a connection, or the attempt at one, is over.
#[derive(Debug)]
enum End {
    /// The handle wants something else.
    Ordered,
    /// It broke or made no sense; another one may do.
    Lost(String),
    /// The logs do not go together.
    Refused(String),
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Protocol(why) => Self::Lost(why),
            Trouble::Refused(why) => Self::Refused(why),
            Trouble::DiskFull(error) => Self::Lost(error.to_string()),
        }
    }
}

fn lost(e: io::Error) -> End {
    End::Lost(e.to_string())
}

/// A connection to the master.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    remote: IpAddr,
    local: IpAddr,
    /// Bytes may be there to read.
    readable: bool,
    heard_ms: u64,
    /// The report on its way, and how much of it has gone.
    report: [u8; REPORT_BYTES],
    report_done: usize,
    /// What was reported last.
    reported: Option<i64>,
    reported_ms: u64,
    /// A report waits for room in the socket, or for the fence: an event will tell.
    blocked: bool,
    /// The disk is full: when to try again.
    stalled_until_ms: Option<u64>,
}

pub(super) struct Follower {
    shared: Arc<Shared>,
    poll: Poll,
    events: Events,
    receiver: Receiver,
    backoff: Backoff,
    orders: Orders,
    /// What was last logged of what went wrong, so that it is told once.
    told: Option<String>,
}

impl Follower {
    pub(super) fn new(shared: Arc<Shared>, poll: Poll) -> Self {
        Self {
            poll,
            events: Events::with_capacity(8),
            receiver: Receiver::new(shared.options.ack_flushed),
            backoff: Backoff::new(shared.options.backoff),
            orders: Orders::default(),
            told: None,
            shared,
        }
    }

    pub(super) fn run(mut self) {
        while !self.shared.is_stopped() {
            if self.take_orders() {
                self.backoff.reset();
                self.told = None;
                self.shared.set_state(match self.orders.master {
                    Some(_) => SlaveState::Connecting,
                    None => SlaveState::Waiting,
                });
            }
            let Some(master) = self.orders.master.clone() else {
                self.pause(None);
                continue;
            };
            let end = match self.connect(&master) {
                Ok(link) => self.follow(link, &master),
                Err(end) => end,
            };
            self.shared.status.lock().disk_full = false;
            self.rest(end, &master);
        }
        self.shared.set_state(SlaveState::Waiting);
    }

    /// Whether there are new orders, which are in force then.
    fn take_orders(&mut self) -> bool {
        let orders = self.shared.orders.lock();
        let new = orders.number != self.orders.number;
        self.orders = orders.clone();
        new
    }

    /// Whether the handle wants something else than what is being done.
    fn is_ordered(&self) -> bool {
        self.shared.is_stopped() || self.shared.orders.lock().number != self.orders.number
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.monotonic_ms()
    }

    /// Says what went wrong, unless it is what went wrong before, and waits a while.
    fn rest(&mut self, end: End, master: &str) {
        let (state, why, pause) = match end {
            End::Ordered => return,
            End::Lost(why) => (SlaveState::Connecting, why, self.backoff.fail()),
            End::Refused(why) => {
                let pause = Duration::from_millis(self.shared.options.refused_pause_ms);
                (SlaveState::Refused(why.clone()), why, pause)
            }
        };
        if self.told.as_ref() != Some(&why) {
            match state {
                SlaveState::Refused(_) => {
                    tracing::error!(master, "this slave cannot follow its master: {why}");
                }
                _ => tracing::warn!(master, "no connection to the master: {why}; trying again"),
            }
            self.told = Some(why);
        }
        // A slave that was refused stays so until it follows again.
        let mut status = self.shared.status.lock();
        if !matches!(
            (&status.state, &state),
            (SlaveState::Refused(_), SlaveState::Connecting)
        ) {
            status.state = state;
        }
        drop(status);
        self.pause(Some(pause));
    }

    /// Waits until there are orders, at most for `time`.
    fn pause(&mut self, time: Option<Duration>) {
        let until = time.map(|time| self.shared.clock.monotonic() + time);
        while !self.is_ordered() {
            let left = until.map(|until| until.saturating_sub(self.shared.clock.monotonic()));
            if left.is_some_and(|left| left.is_zero()) {
                return;
            }
            self.wait(left);
        }
    }

    /// Waits for an event. Whether the socket had one.
    fn wait(&mut self, time: Option<Duration>) -> bool {
        // Less than a millisecond would be none, and turn into a busy loop.
        let time = time.map(|time| match time.is_zero() {
            true => time,
            false => time.max(Duration::from_millis(1)),
        });
        match self.poll.poll(&mut self.events, time) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                tracing::error!(%error, "a slave's event loop fails");
                std::thread::sleep(Duration::from_millis(100));
            }
            _ => {}
        }
        self.shared.caller.called.store(false, Ordering::SeqCst);
        self.events.iter().any(|event| event.token() == SOCKET)
    }

    /// Connects to the first address of `master` that answers.
    fn connect(&mut self, master: &str) -> Result<Link, End> {
        let found = connect::resolve(master, &self.shared.options).map_err(lost)?;
        let mut failed = End::Lost(String::new());
        for remote in found {
            match self.connect_to(remote) {
                Ok(link) => return Ok(link),
                Err(End::Ordered) => return Err(End::Ordered),
                Err(end) => failed = end,
            }
        }
        Err(failed)
    }

    fn connect_to(&mut self, remote: SocketAddr) -> Result<Link, End> {
        let shared = Arc::clone(&self.shared);
        let options = &shared.options;
        let mut attempt = Attempt::new(remote, options).map_err(lost)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry
            .register(&mut attempt.stream, SOCKET, interest)
            .map_err(lost)?;
        let deadline_ms = self.now_ms() + options.connect_timeout_ms;
        loop {
            if self.is_ordered() {
                return Err(End::Ordered);
            }
            if let Some(local) = attempt.advance(options).map_err(lost)? {
                let now_ms = self.now_ms();
                return Ok(Link::new(attempt.stream, remote.ip(), local.ip(), now_ms));
            }
            let left_ms = deadline_ms.saturating_sub(self.now_ms());
            if left_ms == 0 {
                return Err(lost(io::ErrorKind::TimedOut.into()));
            }
            self.wait(Some(Duration::from_millis(left_ms)));
        }
    }

    /// Follows the master until something ends that.
    fn follow(&mut self, mut link: Link, master: &str) -> End {
        let first_offset = self.orders.first_offset;
        let shared = Arc::clone(&self.shared);
        self.receiver.begin(&*shared.store, first_offset);
        let mut status = shared.status.lock();
        if !matches!(status.state, SlaveState::Refused(_)) {
            status.state = SlaveState::Verifying;
        }
        drop(status);
        let mut streaming = false;
        loop {
            if !streaming && self.receiver.is_streaming() {
                streaming = true;
                self.backoff.reset();
                self.told = None;
                let offset = self.receiver.received();
                tracing::info!(master, offset, "following the master's log");
                shared.set_state(SlaveState::Streaming);
            }
            if let Err(end) = self.turn(&mut link) {
                return end;
            }
        }
    }

    /// Reports, waits, reads.
    fn turn(&mut self, link: &mut Link) -> Result<(), End> {
        self.send_report(link)?;
        let pause = self.pause_of(link);
        if self.wait(pause) {
            link.readable = true;
        }
        if self.is_ordered() {
            return Err(End::Ordered);
        }
        if let Some(until_ms) = link.stalled_until_ms
            && (self.now_ms() >= until_ms || self.has_progress())
        {
            self.process(link)?;
        }
        for _ in 0..READS_PER_TURN {
            if !self.may_read(link) {
                break;
            }
            self.read(link)?;
            self.send_report(link)?;
        }
        let now_ms = self.now_ms();
        self.receiver.check(now_ms)?;
        let silent_ms = now_ms.saturating_sub(link.heard_ms);
        if link.stalled_until_ms.is_none() && silent_ms > self.shared.options.housekeeping_ms {
            return Err(End::Lost(format!("silent for {silent_ms} ms")));
        }
        Ok(())
    }

    /// Whether the store told of progress since that was asked for.
    fn has_progress(&self) -> bool {
        !self.shared.caller.wants_progress.load(Ordering::SeqCst)
    }

    fn may_read(&self, link: &Link) -> bool {
        let fence = &self.shared.options.fence;
        link.readable && link.stalled_until_ms.is_none() && !fence.is_cut(link.remote, link.local)
    }

    /// How long to wait at most.
    fn pause_of(&self, link: &Link) -> Option<Duration> {
        if self.may_read(link) {
            return Some(Duration::ZERO);
        }
        let options = &self.shared.options;
        let silence_ms = match link.stalled_until_ms {
            Some(until_ms) => until_ms,
            None => link.heard_ms + options.housekeeping_ms + 1,
        };
        let heartbeat_ms = match link.blocked {
            true => u64::MAX,
            false => link.reported_ms + options.heartbeat_ms,
        };
        let due_ms = silence_ms
            .min(heartbeat_ms)
            .min(self.receiver.check_at_ms().unwrap_or(u64::MAX));
        let left_ms = due_ms.saturating_sub(self.now_ms());
        Some(Duration::from_millis(left_ms))
    }

    fn read(&mut self, link: &mut Link) -> Result<(), End> {
        let space = self.receiver.space()?;
        match link.stream.read(space) {
            Ok(0) => Err(End::Lost("closed by the master".to_owned())),
            Ok(count) => {
                self.receiver.filled(count);
                link.heard_ms = self.now_ms();
                self.shared.meter.lock().add(link.heard_ms, count);
                self.process(link)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                link.readable = false;
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(lost(e)),
        }
    }

    /// Lets the receiver work on what has come. A full disk stalls the link.
    fn process(&mut self, link: &mut Link) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let now_ms = self.now_ms();
        // Asked for before it is tried, so that nothing is missed.
        let caller = &shared.caller;
        caller
            .wants_progress
            .store(link.stalled_until_ms.is_some(), Ordering::SeqCst);
        let outcome = self.receiver.process(&*shared.store, now_ms);
        let full = match outcome {
            Ok(()) => None,
            Err(Trouble::DiskFull(error)) => Some(error),
            Err(trouble) => return Err(trouble.into()),
        };
        let was_full = link.stalled_until_ms.is_some();
        link.stalled_until_ms = full.as_ref().map(|_| now_ms + DISK_FULL_PAUSE_MS);
        if !was_full && full.is_none() {
            self.note_received();
            return Ok(());
        }
        tell_full(was_full, full.as_ref());
        if full.is_none() {
            // What could not be read meanwhile was not silence.
            link.heard_ms = now_ms;
        }
        self.note_received();
        shared.status.lock().disk_full = full.is_some();
        Ok(())
    }

    fn note_received(&self) {
        let mut status = self.shared.status.lock();
        status.received = self.receiver.received();
        status.master_seen_ms = self.shared.clock.wall_ms();
    }

    /// Reports what is held when that changed, or when it is time.
    fn send_report(&mut self, link: &mut Link) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let options = &shared.options;
        link.blocked = options.fence.is_cut(link.local, link.remote);
        while !link.blocked {
            while link.report_done < REPORT_BYTES {
                let rest = IoSlice::new(&link.report[link.report_done..]);
                match sys::send(&link.stream, &[rest]) {
                    Ok(count) => link.report_done += count,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        link.blocked = true;
                        return Ok(());
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(lost(e)),
                }
            }
            let now_ms = self.now_ms();
            let held = self.report(link);
            let due = now_ms >= link.reported_ms + options.heartbeat_ms;
            if link.reported == Some(held) && !due {
                return Ok(());
            }
            link.report = held.to_be_bytes();
            link.report_done = 0;
            link.reported = Some(held);
            link.reported_ms = now_ms;
            shared.status.lock().reported_ms = shared.clock.wall_ms();
        }
        Ok(())
    }

    /// What is held; has the store tell when that may be more.
    fn report(&self, link: &Link) -> i64 {
        let shared = &self.shared;
        let held = self.receiver.report(&*shared.store);
        let flushing = shared.options.ack_flushed && held < shared.store.watermarks().appended();
        if !flushing || link.stalled_until_ms.is_some() {
            return held;
        }
        shared.caller.wants_progress.store(true, Ordering::SeqCst);
        // It may have been flushed in between.
        self.receiver.report(&*shared.store)
    }
}

impl Link {
    fn new(stream: TcpStream, remote: IpAddr, local: IpAddr, now_ms: u64) -> Self {
        Self {
            stream,
            remote,
            local,
            readable: true,
            heard_ms: now_ms,
            report: [0; REPORT_BYTES],
            report_done: REPORT_BYTES,
            reported: None,
            reported_ms: now_ms,
            blocked: false,
            stalled_until_ms: None,
        }
    }
}

/// Says once that the disk is full, and once that it is not any more.
fn tell_full(was_full: bool, full: Option<&Error>) {
    match full {
        Some(error) if !was_full => {
            tracing::error!(%error, "this slave's disk is full: it waits for space");
        }
        None if was_full => tracing::info!("this slave's disk has space again"),
        _ => {}
    }
}
