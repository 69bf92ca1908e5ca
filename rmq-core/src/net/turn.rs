//! The loop of a reactor: wait, read, hand over, write.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Token};

use super::connection::{Connection, Last, Stage, top_up};
use super::listener::Acceptor;
use super::mailbox::{Command, Mailbox};
use super::reactor::{Core, Io};
use super::{CloseReason, Handler, Peer};
use crate::base::clock::SharedClock;
use crate::base::slots::Key;
use crate::base::thread;
use crate::protocol::frame::{self, FrameRef};

/// The token of the waker; listeners count down from below it, connections up from zero.
pub(crate) const WAKER: Token = Token(usize::MAX);
const EVENTS: usize = 1024;
/// How often `Handler::drained` is asked.
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);

/// The token of a listener.
pub(crate) fn listener_token(index: usize) -> Token {
    Token(usize::MAX - 1 - index)
}

/// A reactor with its handler, ready to run on its thread.
pub(crate) struct Turn {
    pub(crate) core: Core,
    pub(crate) handler: Box<dyn Handler>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Only the first reactor of a server has one.
    pub(crate) acceptor: Option<Acceptor>,
    pub(crate) clock: SharedClock,
    buffer: Vec<u8>,
    frames: Vec<FrameRef<'static>>,
    commands: Vec<Command>,
    reading: Vec<Key>,
    tick_at: Option<Duration>,
    shutdown_at: Option<Duration>,
}

/// Refuses the mailbox's further commands however the reactor ends.
struct EndMailbox(Arc<Mailbox>);

impl Drop for EndMailbox {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What came of handing bytes over.
struct Handed {
    /// Bytes of `rest` that were handed over.
    consumed: usize,
    /// The outbox is full; whole frames may be left.
    backlog: bool,
}

/// The next frame within both limits, or a sentence about what is wrong with it.
fn bounded_frame(
    bytes: &[u8],
    limit: usize,
    header_limit: usize,
) -> Result<Option<(FrameRef<'_>, usize)>, String> {
    match frame::next_frame(bytes, limit).map_err(|error| error.to_string())? {
        Some((frame, _)) if frame.header.len() > header_limit => Err(format!(
            "a header of {} bytes; {header_limit} are allowed",
            frame.header.len()
        )),
        found => Ok(found),
    }
}

impl Turn {
    pub(crate) fn new(
        core: Core,
        handler: Box<dyn Handler>,
        mailbox: Arc<Mailbox>,
        acceptor: Option<Acceptor>,
        clock: SharedClock,
    ) -> Self {
        let buffer = vec![0; core.limits().read_buffer_bytes];
        Self {
            core,
            handler,
            mailbox,
            acceptor,
            clock,
            buffer,
            frames: Vec::new(),
            commands: Vec::new(),
            reading: Vec::new(),
            // The handler is asked for its first time in a turn of its own.
            tick_at: Some(Duration::ZERO),
            shutdown_at: None,
        }
    }

    /// Runs until shut down or killed.
    pub(crate) fn run(mut self) {
        let _end = EndMailbox(Arc::clone(&self.mailbox));
        let mut events = Events::with_capacity(EVENTS);
        self.core.now = self.clock.monotonic();
        loop {
            let timeout = self.timeout();
            match self.core.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(server = %self.core.role.name, %error, "polling failed");
                    return;
                }
            }
            self.mailbox.wake_up();
            if self.mailbox.is_killed() {
                return;
            }
            self.core.now = self.clock.monotonic();
            for event in &events {
                self.event(event);
            }
            self.obey_commands();
            if let Some(acceptor) = &mut self.acceptor {
                acceptor.accept(self.core.now);
            }
            self.read_scheduled();
            if self.mailbox.take_wake() {
                self.guard("woken", |handler, io| handler.woken(io));
            }
            self.core.sweep();
            let now = self.core.now;
            let mut tick_at = None;
            self.guard("tick", |handler, io| tick_at = handler.tick(io, now));
            self.tick_at = tick_at;
            self.settle();
            self.guard("turned", |handler, _| handler.turned());
            if self
                .shutdown_at
                .is_some_and(|deadline| self.shut_down(deadline))
            {
                return;
            }
        }
    }

    /// How long the poll may take.
    fn timeout(&self) -> Option<Duration> {
        if !self.mailbox.fall_asleep() || !self.core.scheduled.is_empty() {
            return Some(Duration::ZERO);
        }
        let accept_at = self.acceptor.as_ref().and_then(Acceptor::due);
        let drain_at = self.shutdown_at.map(|deadline| {
            if self.core.closing {
                deadline
            } else {
                deadline.min(self.core.now + DRAIN_INTERVAL)
            }
        });
        let sweep_at = (self.core.next_sweep < Duration::MAX).then_some(self.core.next_sweep);
        let next = [accept_at, drain_at, sweep_at, self.tick_at]
            .into_iter()
            .flatten()
            .min()?;
        Some(next.saturating_sub(self.clock.monotonic()))
    }

    fn event(&mut self, event: &Event) {
        let token = event.token();
        if token == WAKER {
            return;
        }
        let Some(key) = u32::try_from(token.0)
            .ok()
            .and_then(|s| self.core.connections.key_at(s))
        else {
            if let Some(acceptor) = &mut self.acceptor {
                acceptor.ready(usize::MAX - 1 - token.0);
            }
            return;
        };
        let connecting = self
            .core
            .connections
            .get(key)
            .is_some_and(|conn| matches!(conn.stage, Stage::Connecting { .. }));
        if connecting && self.core.connected(key) {
            self.opened(key);
        }
        let Some(conn) = self.core.connections.get_mut(key) else {
            return;
        };
        if matches!(conn.stage, Stage::Connecting { .. }) {
            return;
        }
        if event.is_writable() || event.is_error() || event.is_write_closed() {
            conn.blocked = false;
            if !conn.out.is_empty() || matches!(conn.stage, Stage::Closing { .. }) {
                self.core.touch(key);
            }
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            let Some(conn) = self.core.connections.get_mut(key) else {
                return;
            };
            conn.readable = true;
            conn.read_closed |= event.is_read_closed() || event.is_error();
            self.core.schedule(key);
        }
    }

    fn opened(&mut self, key: Key) {
        let Some(peer) = self.core.connections.get(key).map(|conn| conn.peer) else {
            return;
        };
        let id = self.core.id(key);
        if !self.guard("opened", |handler, io| handler.opened(io, id, &peer)) {
            self.core.doom(key, CloseReason::HandlerPanic);
        }
    }

    fn obey_commands(&mut self) {
        let mut commands = std::mem::take(&mut self.commands);
        self.mailbox.take(&mut commands);
        for command in commands.drain(..) {
            match command {
                Command::Send(conn, frames) => {
                    if let Some(mut out) = Io::new(&mut self.core).out(conn) {
                        out.push(frames);
                    }
                }
                Command::Close(conn) => Io::new(&mut self.core).close(conn),
                Command::Adopt(accepted) => self.adopt(accepted),
                Command::FenceChanged => self.fence_changed(),
                Command::Shutdown(deadline) => {
                    self.shutdown_at = Some(self.shutdown_at.map_or(deadline, |d| d.min(deadline)));
                    self.core.draining = true;
                    self.acceptor = None;
                }
            }
        }
        self.commands = commands;
    }

    fn fence_changed(&mut self) {
        self.core.retry_all();
        let connecting = |conn: &Connection| matches!(conn.stage, Stage::Connecting { .. });
        let connections = self.core.connections.iter();
        let keys: Vec<Key> = connections
            .filter(|(_, conn)| connecting(conn))
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            if self.core.connected(key) {
                self.opened(key);
            }
        }
    }

    fn adopt(&mut self, accepted: super::mailbox::Accepted) {
        if self.core.draining {
            self.core.census.leave();
            return;
        }
        match self.core.adopt(accepted) {
            Ok((key, _)) => self.opened(key),
            Err(error) => {
                self.core.census.leave();
                tracing::debug!(server = %self.core.role.name, %error, "connection lost at once");
            }
        }
    }

    /// Reads every connection that has something, one buffer's worth each.
    fn read_scheduled(&mut self) {
        if self.core.scheduled.is_empty() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        std::mem::swap(&mut self.core.scheduled, &mut self.reading);
        for index in 0..self.reading.len() {
            self.read(self.reading[index], &mut buffer);
        }
        self.reading.clear();
        self.buffer = buffer;
    }

    fn read(&mut self, key: Key, buffer: &mut [u8]) {
        let draining = self.core.draining;
        let Some(conn) = self.core.connections.get_mut(key) else {
            return;
        };
        conn.scheduled = false;
        // Its readiness is kept for when the fence changes.
        if conn.cannot_receive(&self.core.role.fence) {
            return;
        }
        let closing = matches!(conn.stage, Stage::Closing { .. });
        if !closing && (!conn.is_open() || conn.paused || draining) {
            return;
        }
        if conn.backlog && !closing {
            conn.backlog = false;
            let waiting = std::mem::take(&mut conn.input);
            self.deliver_backlog(key, waiting);
            return;
        }
        match (&conn.stream).read(buffer) {
            Ok(0) if closing => self.core.remove(key),
            Ok(0) => self.core.doom(key, CloseReason::Peer),
            Ok(read) => {
                conn.active_at = self.core.now;
                // Fewer bytes than asked for: the socket is empty, and the next byte makes an
                // event. No second read is needed to hear that it would block.
                if read < buffer.len() && !conn.read_closed {
                    conn.readable = false;
                } else {
                    self.core.schedule(key);
                }
                if !closing {
                    self.deliver(key, &buffer[..read]);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => conn.readable = false,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => self.core.schedule(key),
            Err(_) if closing => self.core.remove(key),
            Err(e) => self.core.doom(key, CloseReason::Io(e)),
        }
    }

    /// Hands over what was read, together with what was left from before.
    fn deliver(&mut self, key: Key, read: &[u8]) {
        let limit = self.core.limits().max_frame_bytes;
        let Some(conn) = self.core.connections.get_mut(key) else {
            return;
        };
        let mut head = std::mem::take(&mut conn.input);
        let mut rest = read;
        if !head.is_empty() {
            match top_up(&mut head, &mut rest, limit) {
                Ok(true) => {}
                Ok(false) => {
                    conn.input = head;
                    return;
                }
                Err(error) => {
                    self.core.reject(key, error.to_string(), &head);
                    return;
                }
            }
        }
        let handed = self.hand_over(key, &head, rest);
        self.core.recycle(head);
        self.keep(key, &rest[handed.consumed..], handed.backlog);
    }

    /// Hands over frames that waited for the outbox to drain.
    fn deliver_backlog(&mut self, key: Key, waiting: Vec<u8>) {
        let handed = self.hand_over(key, &[], &waiting);
        self.keep(key, &waiting[handed.consumed..], handed.backlog);
        self.core.recycle(waiting);
        if self
            .core
            .connections
            .get(key)
            .is_some_and(|conn| conn.readable)
        {
            self.core.schedule(key);
        }
    }

    /// Saves what could not be handed over.
    fn keep(&mut self, key: Key, left: &[u8], backlog: bool) {
        let (now, frame_timeout) = (self.core.now, self.core.limits().frame_timeout);
        let mut input = if left.is_empty() {
            Vec::new()
        } else {
            self.core.spare_buffer()
        };
        let Some(conn) = self
            .core
            .connections
            .get_mut(key)
            .filter(|conn| conn.is_open())
        else {
            return self.core.recycle(input);
        };
        input.extend_from_slice(left);
        conn.input = input;
        conn.backlog = backlog && !left.is_empty();
        conn.unfinished_since = None;
        if !left.is_empty() && !conn.paused {
            conn.unfinished_since = Some(now);
            self.core.arm(now + frame_timeout);
        }
    }

    /// Gives the handler the whole frame in `head`, if it is not empty, and every whole frame at
    /// the start of `rest`.
    fn hand_over(&mut self, key: Key, head: &[u8], rest: &[u8]) -> Handed {
        let (limit, header_limit) = {
            let limits = self.core.limits();
            (limits.max_frame_bytes, limits.max_header_bytes)
        };
        let per_call = self.core.limits().frames_per_call;
        let id = self.core.id(key);
        let mut frames = reuse(std::mem::take(&mut self.frames));
        let mut handed = Handed {
            consumed: 0,
            backlog: false,
        };
        let mut wrong = None;
        if !head.is_empty() {
            match bounded_frame(head, limit, header_limit) {
                Ok(Some((frame, _))) => frames.push(frame),
                Ok(None) => debug_assert!(false, "the first frame is whole"),
                Err(e) => wrong = Some((e, head)),
            }
        }
        loop {
            let mut more = false;
            while wrong.is_none() {
                if frames.len() >= per_call {
                    more = true;
                    break;
                }
                let at = &rest[handed.consumed..];
                match bounded_frame(at, limit, header_limit) {
                    Ok(Some((frame, len))) => {
                        frames.push(frame);
                        handed.consumed += len;
                    }
                    Ok(None) => break,
                    Err(e) => wrong = Some((e, at)),
                }
            }
            if !frames.is_empty() {
                if !self.guard("frames", |handler, io| handler.frames(io, id, &frames)) {
                    self.core.doom(key, CloseReason::HandlerPanic);
                }
                frames.clear();
            }
            if let Some((error, at)) = wrong.take() {
                self.core.reject(key, error, at);
            }
            if !more {
                break;
            }
            self.core.relieve(key);
            match self.core.connections.get(key) {
                Some(conn) if conn.is_open() && !conn.paused => {}
                Some(conn) if conn.is_open() => {
                    handed.backlog = true;
                    break;
                }
                _ => break,
            }
        }
        self.frames = reuse(frames);
        handed
    }

    /// Closes and writes until nothing is left to close or write; the handler may add to both.
    fn settle(&mut self) {
        loop {
            if let Some(key) = self.core.doomed.pop() {
                self.bury(key);
            } else if let Some(key) = self.core.touched.pop() {
                self.core.flush(key);
            } else {
                return;
            }
        }
    }

    /// Tells the handler that a connection is gone and drops it, or lets it finish writing.
    fn bury(&mut self, key: Key) {
        let deadline = self.core.now + self.core.limits().close_timeout;
        let id = self.core.id(key);
        let Some(conn) = self.core.connections.get_mut(key) else {
            return;
        };
        let Some(reason) = conn.doomed.take() else {
            return;
        };
        let connecting = matches!(conn.stage, Stage::Connecting { .. });
        let last = match reason {
            CloseReason::Local | CloseReason::Shutdown => Last::WriteAndEnd,
            _ => Last::Write,
        };
        conn.stage = Stage::Closing { deadline, last };
        let Peer {
            remote, listener, ..
        } = conn.peer;
        tracing::debug!(
            server = %self.core.role.name, peer = %remote, listener, %reason, "connection closed"
        );
        self.guard("closed", |handler, io| handler.closed(io, id, &reason));
        let finishes = match reason {
            CloseReason::Local | CloseReason::Shutdown | CloseReason::Peer => true,
            // One last write of the replies to what came before; nothing is waited for.
            CloseReason::NotAFrame(_) | CloseReason::HandlerPanic => {
                self.core.flush(key);
                false
            }
            _ => false,
        };
        if connecting || !finishes {
            self.core.remove(key);
            return;
        }
        self.core.flush(key);
        if self.core.connections.contains(key) {
            self.core.arm(deadline);
        }
    }

    /// One step of an ordered shutdown; true when nothing is left to do.
    fn shut_down(&mut self, deadline: Duration) -> bool {
        let now = self.clock.monotonic();
        if !self.core.closing {
            let mut drained = true;
            self.guard("drained", |handler, io| drained = handler.drained(io));
            self.settle();
            if !drained && now < deadline {
                return false;
            }
            self.core.closing = true;
            let keys: Vec<Key> = self.core.connections.iter().map(|(key, _)| key).collect();
            for key in keys {
                self.core.doom(key, CloseReason::Shutdown);
            }
            self.settle();
        }
        self.core.connections.is_empty() || now >= deadline
    }

    /// Calls the handler; false if it panicked, which has been reported then.
    #[inline]
    fn guard(
        &mut self,
        what: &'static str,
        call: impl FnOnce(&mut dyn Handler, &mut Io<'_>),
    ) -> bool {
        let (handler, core) = (&mut *self.handler, &mut self.core);
        match thread::catch(|| call(handler, &mut Io::new(core))) {
            Ok(()) => true,
            Err(panic) => {
                let name = &self.core.role.name;
                tracing::error!(server = %name, what, panic, "a handler panicked");
                false
            }
        }
    }
}

/// Empties the list and lends its memory to frames of another lifetime: collecting in place keeps
/// the allocation, since nothing but the lifetime differs.
fn reuse<'a>(frames: Vec<FrameRef<'_>>) -> Vec<FrameRef<'a>> {
    let mut frames = frames;
    frames.clear();
    frames
        .into_iter()
        .map(|_| FrameRef {
            serialize: frame::Serialize::Json,
            header: &[],
            body: &[],
        })
        .collect()
}
