//! Outbound connections shared by every thread: calls, one-way requests, requests pushed back.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mio::Poll;
use parking_lot::{Condvar, Mutex, RwLock};

use super::calls::{Call, Calls, Complete, Permit};
use super::connector::Directory;
use super::driver::{Driver, Shared, Submission, closed, timed_out};
use super::listener::Census;
use super::mailbox::{Mailbox, ReactorHandle, waker};
use super::reactor::{Core, Role};
use super::turn::{Turn, WAKER};
use super::{ConnectionId, Fence, FenceWatch, Limits};
use crate::base::backoff::BackoffConfig;
use crate::base::clock::SharedClock;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::thread::{self, JoinHandle, ProcessMark};
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;

pub(crate) const CALL: &str = "net.call";
const ONEWAY: &str = "net.oneway";
/// Room for the header of most requests.
const HEADER_BYTES: usize = 512;
/// Time for the client's thread to end after the deadline of `close` has passed.
const JOIN_GRACE: Duration = Duration::from_secs(2);
/// A caller waits this much longer than its call, in case the client's thread is late.
const CALLER_GRACE: Duration = Duration::from_secs(5);

/// What a client is made from.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Names the thread (`rmq-<name>-net`) and log lines.
    pub name: String,
    /// The bounds of its connections. `outbox_soft_bytes` bounds what waits to be written, or for
    /// a connection, per address: beyond it calls are `Busy` and one-way requests dropped.
    pub limits: Limits,
    /// Calls in flight at a time over all addresses; one more is `Busy`.
    pub max_in_flight: usize,
    /// How long an address rests after it could not be reached; calls to it fail at once meanwhile.
    pub backoff: BackoffConfig,
    /// The source address of its connections; `None` leaves it to the system.
    pub bind: Option<IpAddr>,
    /// Who it cannot reach.
    pub fence: Fence,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            name: "client".to_owned(),
            limits: Limits::default(),
            max_in_flight: 65_535,
            backoff: BackoffConfig::default(),
            bind: None,
            fence: Fence::default(),
        }
    }
}

/// Calls servers by address (`host:port`), over one connection per address that all threads share.
/// An address of `lane_address` is one of its own: the same server over another connection.
/// Connections are made when first needed and again when lost. Dropping a client closes it without
/// waiting for anything to be written; in a forked child dropping it does nothing.
pub struct Client {
    shared: Arc<Shared>,
    handle: ReactorHandle,
    thread: JoinHandle,
    clock: SharedClock,
    process: ProcessMark,
    max_in_flight: usize,
    max_frame_bytes: usize,
    _fence_watch: FenceWatch,
}

/// A request that a server sent to this client.
#[derive(Debug)]
pub struct PushedRequest {
    /// The address of the server, as it was called.
    pub addr: Arc<str>,
    /// The request.
    pub command: Command,
    pub(crate) conn: ConnectionId,
    pub(crate) reactor: ReactorHandle,
}

impl PushedRequest {
    /// Answers it, from any thread, over the connection it came by. The response's opaque is set
    /// to that of the request. False when the client is closed.
    pub fn answer(&self, mut response: Command) -> bool {
        response.opaque = self.command.opaque;
        let mut frame = Vec::new();
        response.encode(&mut frame);
        self.reactor.send(self.conn, Bytes::from(frame))
    }
}

/// Where a blocked caller finds its answer.
#[derive(Default)]
struct Reply {
    outcome: Mutex<Option<Result<Command>>>,
    arrived: Condvar,
}

impl Client {
    /// Starts the client's thread. No connection is made yet.
    pub fn start(config: ClientConfig, clock: SharedClock) -> Result<Self> {
        let ClientConfig {
            name,
            limits,
            max_in_flight,
            backoff,
            bind,
            fence,
        } = config;
        let limits = limits.usable();
        let fail = |e| Error::io("net.poll", "cannot make an event loop", e);
        let poll = Poll::new().map_err(fail)?;
        let waker = waker(&poll, WAKER).map_err(fail)?;
        let mailbox = Arc::new(Mailbox::new(0, limits.mailbox_commands, waker));
        let handle = ReactorHandle::new(Arc::clone(&mailbox));
        let fence_watch = handle.watch(&fence);
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            in_flight: Arc::default(),
            next_opaque: AtomicI32::new(1),
            closed: AtomicBool::new(false),
            on_request: RwLock::new(None),
            on_disconnect: RwLock::new(None),
            on_turn: RwLock::new(None),
        });
        let max_frame_bytes = limits.max_frame_bytes;
        let handler = Driver {
            name: name.as_str().into(),
            shared: Arc::clone(&shared),
            directory: Directory::new(backoff),
            calls: Calls::default(),
            unsent_bytes: limits.outbox_soft_bytes,
            submissions: Vec::new(),
        };
        let role = Role {
            name: name.as_str().into(),
            limits,
            pause_reads: false,
            fence,
            bind,
        };
        let core = Core::new(role, 0, poll, handle.clone(), Arc::new(Census::default()));
        let turn = Turn::new(core, Box::new(handler), mailbox, None, Arc::clone(&clock));
        let thread = thread::spawn(format!("rmq-{name}-net"), || turn.run())?;
        let process = ProcessMark::current();
        Ok(Self {
            shared,
            handle,
            thread,
            clock,
            process,
            max_in_flight,
            max_frame_bytes,
            _fence_watch: fence_watch,
        })
    }

    /// Sends a request and waits for the response. `command.opaque` is replaced.
    ///
    /// A response of any code is `Ok`. `Unreachable`: no connection could be made, or it broke
    /// before the answer came (the request may have been carried out). `Timeout`: no answer within
    /// `timeout`, connecting included. `Busy`: too many calls are in flight, or too much waits to
    /// be written. `Limit`: the request is larger than a frame may be. `Closed`, `Forked`: as they
    /// say. `Internal`: called on the client's own thread (from a callback), where it would wait
    /// for itself.
    pub fn call(&self, addr: &str, command: Command, timeout: Duration) -> Result<Command> {
        self.process.check(CALL)?;
        if self.thread.is_current() {
            let context = "a callback of the client cannot wait for the client";
            return Err(Error::new(ErrorKind::Internal, CALL, context));
        }
        let code = command.code;
        let reply = Arc::new(Reply::default());
        let arriving = Arc::clone(&reply);
        let complete = Box::new(move |outcome| {
            *arriving.outcome.lock() = Some(outcome);
            arriving.arrived.notify_one();
        });
        self.submit(addr, command, timeout, complete);
        let mut outcome = reply.outcome.lock();
        let waiting = |outcome: &mut Option<_>| outcome.is_none();
        reply
            .arrived
            .wait_while_for(&mut outcome, waiting, timeout.saturating_add(CALLER_GRACE));
        outcome
            .take()
            .unwrap_or_else(|| Err(timed_out(code, addr, timeout)))
    }

    /// Sends a request; `complete` is called exactly once with the outcome, as `call` would return
    /// it: on the client's thread, where it must not block, or at once on this one if the request
    /// is refused.
    pub fn call_async(
        &self,
        addr: &str,
        command: Command,
        timeout: Duration,
        complete: impl FnOnce(Result<Command>) + Send + 'static,
    ) {
        match self.process.check(CALL) {
            Ok(()) => self.submit(addr, command, timeout, Box::new(complete)),
            Err(e) => complete(Err(e)),
        }
    }

    /// As `call_async` for a request that writes itself: `write` is given the request's opaque and
    /// the place for its frame, which will have about `body_len` bytes more than a header.
    pub(crate) fn call_written_async(
        &self,
        addr: &str,
        (code, body_len): (RequestCode, usize),
        write: impl FnOnce(i32, &mut Vec<u8>),
        timeout: Duration,
        complete: impl FnOnce(Result<Command>) + Send + 'static,
    ) {
        if let Err(e) = self.process.check(CALL) {
            return complete(Err(e));
        }
        let opaque = self.next_opaque();
        let frame = self.frame(CALL, body_len, |frame| write(opaque, frame));
        self.submit_frame(
            addr,
            (code.value(), opaque),
            frame,
            timeout,
            Box::new(complete),
        );
    }

    fn next_opaque(&self) -> i32 {
        self.shared.next_opaque.fetch_add(1, Ordering::Relaxed)
    }

    fn submit(&self, addr: &str, mut command: Command, timeout: Duration, complete: Complete) {
        command.opaque = self.next_opaque();
        let frame = self.encode(CALL, &command);
        self.submit_frame(
            addr,
            (command.code, command.opaque),
            frame,
            timeout,
            complete,
        );
    }

    fn submit_frame(
        &self,
        addr: &str,
        (code, opaque): (i32, i32),
        frame: Result<Vec<u8>>,
        timeout: Duration,
        complete: Complete,
    ) {
        let admitted = frame.and_then(|frame| self.admit(CALL).map(|permit| (frame, permit)));
        let (frame, permit) = match admitted {
            Ok(admitted) => admitted,
            Err(e) => return complete(Err(e)),
        };
        let deadline = self.clock.monotonic().saturating_add(timeout);
        let call = Call {
            code,
            deadline,
            timeout,
            complete,
            permit,
        };
        let submission = Submission::Call {
            addr: addr.into(),
            opaque,
            frame,
            call,
        };
        if let Err(Submission::Call { call, .. }) = self.shared.post(&self.handle, submission) {
            call.finish(Err(closed(CALL)));
        }
    }

    /// Sends a request that wants no answer; marks it so. `Ok` means that it was queued: it is lost
    /// if the server cannot be reached. Errors that are known at once are as for `call`.
    pub fn oneway(&self, addr: &str, command: Command) -> Result<()> {
        self.process.check(ONEWAY)?;
        let mut command = command.oneway();
        command.opaque = self.next_opaque();
        let frame = self.encode(ONEWAY, &command)?;
        let permit = self.admit(ONEWAY)?;
        let submission = Submission::Oneway {
            addr: addr.into(),
            frame,
            permit,
        };
        self.shared
            .post(&self.handle, submission)
            .map_err(|_| closed(ONEWAY))
    }

    fn encode(&self, op: &'static str, command: &Command) -> Result<Vec<u8>> {
        self.frame(op, command.body.len(), |frame| command.encode(frame))
    }

    fn frame(
        &self,
        op: &'static str,
        body_len: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>> {
        let mut frame = Vec::with_capacity(HEADER_BYTES + body_len);
        write(&mut frame);
        if frame.len() > self.max_frame_bytes {
            let context = format!(
                "a request of {} bytes; {} are allowed",
                frame.len(),
                self.max_frame_bytes
            );
            return Err(Error::new(ErrorKind::Limit, op, context));
        }
        Ok(frame)
    }

    fn admit(&self, op: &'static str) -> Result<Permit> {
        if self.shared.closed.load(Ordering::Relaxed) {
            return Err(closed(op));
        }
        Permit::take(&self.shared.in_flight, self.max_in_flight).ok_or_else(|| {
            let context = format!("{} calls are in flight", self.max_in_flight);
            Error::new(ErrorKind::Busy, op, context)
        })
    }

    /// Ends the connections of a lane once what was submitted is written. Calls in flight over
    /// them fail with `Unreachable`; a later call makes a new connection.
    pub fn disconnect_lane(&self, lane: u32) {
        // A client that has ended has no connection.
        let _ = self
            .shared
            .post(&self.handle, Submission::Disconnect { lane });
    }

    /// Sets what happens to requests that servers send. `callback` runs on the client's thread and
    /// must not block; it may answer later from any thread. Without one they are dropped.
    pub fn on_request(&self, callback: impl Fn(PushedRequest) + Send + Sync + 'static) {
        *self.shared.on_request.write() = Some(Arc::new(callback));
    }

    /// Sets what happens when an established connection has ended, other than by `close`:
    /// `callback` is given the address as it was called. It runs on the client's thread and must
    /// not block.
    pub fn on_disconnect(&self, callback: impl Fn(&str) + Send + Sync + 'static) {
        *self.shared.on_disconnect.write() = Some(Arc::new(callback));
    }

    /// Sets what happens at the end of each turn of the client's thread, so after outcomes of calls
    /// were told: `callback` runs on that thread, often, and must not block.
    pub fn on_turn(&self, callback: impl Fn() + Send + Sync + 'static) {
        *self.shared.on_turn.write() = Some(Arc::new(callback));
    }

    /// Whether the calling thread is the client's.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.thread.is_current()
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// Closes: calls in flight fail with `Closed` at once, queued one-way requests are written as
    /// far as `deadline` allows, connections are closed and the thread ends. May be called again,
    /// and from several threads. `Timeout`: a callback blocks the thread, which was left behind.
    /// From a callback of the client itself it only begins to close.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.process.check("net.close")?;
        self.shared.closed.store(true, Ordering::Relaxed);
        let at = self.clock.monotonic().saturating_add(deadline);
        let _ = self
            .shared
            .post(&self.handle, Submission::Close { deadline: at });
        if self.thread.is_current() {
            return Ok(());
        }
        self.thread
            .join_deadline(deadline.saturating_add(JOIN_GRACE))
    }

    /// Ends at once: calls in flight fail with `Closed`, nothing more is written. Errors as for
    /// `close`; in a forked child nothing is done.
    pub fn kill(&self) -> Result<()> {
        self.process.check("net.kill")?;
        self.shared.closed.store(true, Ordering::Relaxed);
        self.handle.kill();
        if self.thread.is_current() {
            return Ok(());
        }
        self.thread.join_deadline(JOIN_GRACE)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.process.is_current()
            && !self.thread.is_finished()
            && let Err(error) = self.kill()
        {
            tracing::error!(client = self.thread.name(), %error, "a client did not end");
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("thread", &self.thread.name())
            .field("in_flight", &self.in_flight())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;

    #[test]
    fn after_a_fork_every_call_is_refused_and_nothing_is_waited_for() {
        let mut client = Client::start(ClientConfig::default(), SystemClock::shared()).unwrap();
        let owner = (Arc::clone(&client.shared), client.handle.clone());
        client.process = ProcessMark::foreign();
        let request = || Command::bare_request(RequestCode::new(1));
        let timeout = Duration::from_secs(1);
        let mut kinds = vec![
            client
                .call("127.0.0.1:1", request(), timeout)
                .unwrap_err()
                .kind(),
            client.oneway("127.0.0.1:1", request()).unwrap_err().kind(),
            client.close(timeout).unwrap_err().kind(),
        ];
        let told = Arc::new(Mutex::new(None));
        let tell = Arc::clone(&told);
        client.call_async("127.0.0.1:1", request(), timeout, move |outcome| {
            *tell.lock() = outcome.err().map(|e| e.kind());
        });
        kinds.extend(*told.lock());
        assert_eq!(kinds, [ErrorKind::Forked; 4]);
        drop(client);
        // The parent's thread was left alone.
        assert!(!owner.0.inbox.lock().ended);
        owner.1.kill();
    }
}
