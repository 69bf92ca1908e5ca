//! Outbound connections shared by every thread: calls, one-way requests, requests pushed back.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use mio::Poll;
use parking_lot::{Condvar, Mutex, RwLock};

use super::calls::{Call, Calls, Complete, Permit, fail_all, guard};
use super::connector::{Address, Directory, Phase, Waiting};
use super::listener::Census;
use super::mailbox::{Mailbox, ReactorHandle, waker};
use super::reactor::{Core, Role};
use super::turn::{Turn, WAKER};
use super::{CloseReason, ConnectionId, Handler, Io, Limits, Peer};
use crate::base::backoff::BackoffConfig;
use crate::base::clock::SharedClock;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::slots::Key;
use crate::base::thread::{self, JoinHandle, ProcessMark};
use crate::protocol::command::Command;
use crate::protocol::frame::FrameRef;

const CALL: &str = "net.call";
const ONEWAY: &str = "net.oneway";
/// Frames longer than this are handed to the socket without copying them into the outbox.
const SHARED_FRAME_BYTES: usize = 8 << 10;
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
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            name: "client".to_owned(),
            limits: Limits::default(),
            max_in_flight: 65_535,
            backoff: BackoffConfig::default(),
        }
    }
}

/// Calls servers by address (`host:port`), over one connection per address that all threads share.
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
}

type OnRequest = Arc<dyn Fn(PushedRequest) + Send + Sync>;

/// What callers and the client's thread share.
struct Shared {
    inbox: Mutex<Inbox>,
    in_flight: Arc<AtomicUsize>,
    next_opaque: AtomicI32,
    closed: AtomicBool,
    on_request: RwLock<Option<OnRequest>>,
}

#[derive(Default)]
struct Inbox {
    submissions: Vec<Submission>,
    /// The client's thread takes nothing any more.
    ended: bool,
}

enum Submission {
    Call {
        addr: Arc<str>,
        opaque: i32,
        frame: Vec<u8>,
        call: Call,
    },
    Oneway {
        addr: Arc<str>,
        frame: Vec<u8>,
        permit: Permit,
    },
    Resolved {
        address: Key,
        found: Result<Vec<SocketAddr>>,
    },
    Close {
        deadline: Duration,
    },
}

impl Shared {
    /// Queues a submission; gives it back when the client's thread has ended.
    fn post(&self, handle: &ReactorHandle, submission: Submission) -> Result<(), Submission> {
        {
            let mut inbox = self.inbox.lock();
            if inbox.ended {
                return Err(submission);
            }
            inbox.submissions.push(submission);
        }
        handle.wake();
        Ok(())
    }
}

/// A request that a server sent to this client.
#[derive(Debug)]
pub struct PushedRequest {
    /// The address of the server, as it was called.
    pub addr: Arc<str>,
    /// The request.
    pub command: Command,
    conn: ConnectionId,
    reactor: ReactorHandle,
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
        } = config;
        let limits = limits.usable();
        let fail = |e| Error::io("net.poll", "cannot make an event loop", e);
        let poll = Poll::new().map_err(fail)?;
        let waker = waker(&poll, WAKER).map_err(fail)?;
        let mailbox = Arc::new(Mailbox::new(0, limits.mailbox_commands, waker));
        let handle = ReactorHandle::new(Arc::clone(&mailbox));
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            in_flight: Arc::default(),
            next_opaque: AtomicI32::new(1),
            closed: AtomicBool::new(false),
            on_request: RwLock::new(None),
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

    fn submit(&self, addr: &str, mut command: Command, timeout: Duration, complete: Complete) {
        let opaque = self.shared.next_opaque.fetch_add(1, Ordering::Relaxed);
        command.opaque = opaque;
        let admitted = self
            .encode(CALL, &command)
            .and_then(|frame| self.admit(CALL).map(|permit| (frame, permit)));
        let (frame, permit) = match admitted {
            Ok(admitted) => admitted,
            Err(e) => return complete(Err(e)),
        };
        let deadline = self.clock.monotonic().saturating_add(timeout);
        let call = Call {
            code: command.code,
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
        command.opaque = self.shared.next_opaque.fetch_add(1, Ordering::Relaxed);
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
        let mut frame = Vec::with_capacity(256 + command.body.len());
        command.encode(&mut frame);
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

    /// Sets what happens to requests that servers send. `callback` runs on the client's thread and
    /// must not block; it may answer later from any thread. Without one they are dropped.
    pub fn on_request(&self, callback: impl Fn(PushedRequest) + Send + Sync + 'static) {
        *self.shared.on_request.write() = Some(Arc::new(callback));
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
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.process.is_current() || self.thread.is_finished() {
            return;
        }
        self.shared.closed.store(true, Ordering::Relaxed);
        self.handle.kill();
        if !self.thread.is_current()
            && let Err(error) = self.thread.join_deadline(JOIN_GRACE)
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

fn closed(op: &'static str) -> Error {
    Error::new(ErrorKind::Closed, op, "the client is closed")
}

fn timed_out(code: i32, addr: &str, timeout: Duration) -> Error {
    let context = format!("request {code} to {addr}: no answer within {timeout:?}");
    Error::new(ErrorKind::Timeout, CALL, context)
}

/// The client's side of its reactor.
struct Driver {
    name: Arc<str>,
    shared: Arc<Shared>,
    directory: Directory,
    calls: Calls,
    /// The most bytes that may wait for one address.
    unsent_bytes: usize,
    submissions: Vec<Submission>,
}

impl Driver {
    fn obey(&mut self, io: &mut Io<'_>, submission: Submission) {
        match submission {
            Submission::Call {
                addr,
                opaque,
                frame,
                call,
            } => {
                self.send(io, &addr, frame, Some((opaque, call)));
            }
            Submission::Oneway {
                addr,
                frame,
                permit,
            } => {
                self.send(io, &addr, frame, None);
                drop(permit);
            }
            Submission::Resolved { address, found } => match found {
                Ok(mut targets) => {
                    targets.reverse();
                    self.connect(io, address, targets, "the name has no address".to_owned());
                }
                Err(e) => self.down(io.now(), address, e.to_string()),
            },
            Submission::Close { deadline } => {
                fail_all(self.calls.take_all(), |_| closed(CALL));
                // Only now: what was submitted before may still need a connection.
                io.reactor().shutdown(deadline);
            }
        }
    }

    /// Writes a frame, or has it wait for its connection, or fails it.
    fn send(
        &mut self,
        io: &mut Io<'_>,
        addr: &Arc<str>,
        frame: Vec<u8>,
        call: Option<(i32, Call)>,
    ) {
        let now = io.now();
        let unsent_bytes = self.unsent_bytes;
        let Some(key) = self.directory.find_or_add(addr, now) else {
            let full = Error::new(ErrorKind::Busy, CALL, "too many addresses");
            return refuse(call, full);
        };
        let Some(address) = self.directory.get_mut(key) else {
            return;
        };
        if let Phase::Open(conn) = address.phase
            && let Some(mut out) = io.out(conn)
        {
            if out.queued() > 0 && out.queued() + frame.len() > unsent_bytes {
                return refuse(call, too_much_waits(address));
            }
            put(&mut out, frame);
            if let Some((opaque, call)) = call {
                self.add_call(opaque, key, Some(conn), call);
            }
            return;
        }
        if address.rests(now) {
            return refuse(call, address.unreachable(CALL));
        }
        if !address.waiting.is_empty() && address.waiting_bytes + frame.len() > unsent_bytes {
            return refuse(call, too_much_waits(address));
        }
        let start = matches!(address.phase, Phase::Down | Phase::Open(_));
        address.wait(Waiting {
            opaque: call.as_ref().map(|(opaque, _)| *opaque),
            frame,
        });
        if let Some((opaque, call)) = call {
            self.add_call(opaque, key, None, call);
        }
        if start {
            self.begin(io, key);
        }
    }

    fn add_call(&mut self, opaque: i32, key: Key, conn: Option<ConnectionId>, call: Call) {
        if let Some(old) = self.calls.insert(opaque, key, conn, call) {
            let context = "its number was needed again";
            old.finish(Err(Error::new(ErrorKind::Timeout, CALL, context)));
        }
    }

    /// Begins to establish the connection of an address.
    fn begin(&mut self, io: &mut Io<'_>, key: Key) {
        let Some(address) = self.directory.get_mut(key) else {
            return;
        };
        if let Ok(target) = address.name.parse::<SocketAddr>() {
            return self.connect(io, key, vec![target], String::new());
        }
        address.phase = Phase::Resolving;
        let name = Arc::clone(&address.name);
        let (shared, handle) = (Arc::clone(&self.shared), io.reactor().clone());
        let done = move |found| {
            let _ = shared.post(
                &handle,
                Submission::Resolved {
                    address: key,
                    found,
                },
            );
        };
        if let Err(e) = self.directory.look_up(&self.name, &name, done) {
            self.down(io.now(), key, e.to_string());
        }
    }

    /// Tries the last of `targets`, keeping the others for when it fails.
    fn connect(
        &mut self,
        io: &mut Io<'_>,
        key: Key,
        mut targets: Vec<SocketAddr>,
        mut failure: String,
    ) {
        while let Some(target) = targets.pop() {
            match io.connect(target) {
                Ok(conn) => {
                    self.directory.bind(conn, key);
                    if let Some(address) = self.directory.get_mut(key) {
                        address.phase = Phase::Connecting;
                        address.targets = targets;
                    }
                    return;
                }
                Err(e) => failure = describe(target, &e),
            }
        }
        self.down(io.now(), key, failure);
    }

    /// Gives an address up for now; whoever waits for it is told.
    fn down(&mut self, now: Duration, key: Key, why: String) {
        let Some(address) = self.directory.get_mut(key) else {
            return;
        };
        let waiting = address.fail(now, why);
        let opaques = waiting.into_iter().filter_map(|waiting| waiting.opaque);
        let calls: Vec<Call> = opaques
            .filter_map(|opaque| self.calls.take(opaque))
            .collect();
        let address = self.directory.get(key);
        fail_all(calls, |_| {
            address.map_or_else(|| closed(CALL), |a| a.unreachable(CALL))
        });
    }

    fn response(&mut self, conn: ConnectionId, response: Command) {
        match self.calls.answered(response.opaque, conn) {
            Some(call) => call.finish(Ok(response)),
            None => tracing::debug!(
                client = %self.name, opaque = response.opaque, "an answer nobody waits for"
            ),
        }
    }

    fn request(&mut self, io: &Io<'_>, conn: ConnectionId, addr: &Arc<str>, command: Command) {
        let callback = self.shared.on_request.read().clone();
        let Some(callback) = callback else {
            tracing::debug!(client = %self.name, code = command.code, "a request nobody takes");
            return;
        };
        let addr = Arc::clone(addr);
        let request = PushedRequest {
            addr,
            command,
            conn,
            reactor: io.reactor().clone(),
        };
        guard(|| callback(request));
    }
}

impl Handler for Driver {
    fn opened(&mut self, io: &mut Io<'_>, conn: ConnectionId, _peer: &Peer) {
        let Some(key) = self.directory.of(conn) else {
            return;
        };
        let Some(address) = self.directory.get_mut(key) else {
            return;
        };
        let waiting = address.open(conn);
        let Some(mut out) = io.out(conn) else { return };
        for Waiting { opaque, frame } in waiting {
            match opaque {
                // It timed out meanwhile: nobody would hear the answer.
                Some(opaque) if !self.calls.contains(opaque) => continue,
                Some(opaque) => self.calls.sent(opaque, conn),
                None => {}
            }
            put(&mut out, frame);
        }
    }

    fn frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]) {
        let Some(key) = self.directory.of(conn) else {
            return;
        };
        let Some(address) = self.directory.get_mut(key) else {
            return;
        };
        address.prove();
        let addr = Arc::clone(&address.name);
        for frame in frames {
            match Command::decode(*frame) {
                Ok(command) if command.is_response() => self.response(conn, command),
                Ok(command) => self.request(io, conn, &addr, command),
                Err(error) => {
                    tracing::warn!(
                        client = %self.name, %addr, %error,
                        "connection closed: the server's header cannot be read"
                    );
                    io.close(conn);
                    return;
                }
            }
        }
    }

    fn closed(&mut self, io: &mut Io<'_>, conn: ConnectionId, reason: &CloseReason) {
        let Some(key) = self.directory.unbind(conn) else {
            return;
        };
        let lost = self.calls.take_of(conn);
        let Some(address) = self.directory.get_mut(key) else {
            return;
        };
        if matches!(address.phase, Phase::Connecting) && !address.targets.is_empty() {
            let targets = std::mem::take(&mut address.targets);
            return self.connect(io, key, targets, reason.to_string());
        }
        self.down(io.now(), key, reason.to_string());
        let shut = matches!(reason, CloseReason::Shutdown);
        let address = self.directory.get(key);
        fail_all(lost, |_| match address {
            Some(address) if !shut => address.unreachable(CALL),
            _ => closed(CALL),
        });
    }

    fn woken(&mut self, io: &mut Io<'_>) {
        let mut submissions = std::mem::take(&mut self.submissions);
        std::mem::swap(&mut self.shared.inbox.lock().submissions, &mut submissions);
        for submission in submissions.drain(..) {
            self.obey(io, submission);
        }
        self.submissions = submissions;
    }

    fn tick(&mut self, _io: &mut Io<'_>, now: Duration) -> Option<Duration> {
        while let Some((address, call)) = self.calls.take_expired(now) {
            let name = self
                .directory
                .get(address)
                .map_or("", |address| &address.name);
            let error = timed_out(call.code, name, call.timeout);
            call.finish(Err(error));
        }
        self.calls.next_deadline()
    }

    fn drained(&mut self, _io: &mut Io<'_>) -> bool {
        !self
            .directory
            .iter()
            .any(|address| !address.waiting.is_empty())
    }
}

impl Drop for Driver {
    /// However the thread ends, no caller waits for ever.
    fn drop(&mut self) {
        let left = {
            let mut inbox = self.shared.inbox.lock();
            inbox.ended = true;
            std::mem::take(&mut inbox.submissions)
        };
        self.directory.take_waiting();
        let mut calls = self.calls.take_all();
        for submission in left
            .into_iter()
            .chain(std::mem::take(&mut self.submissions))
        {
            if let Submission::Call { call, .. } = submission {
                calls.push(call);
            }
        }
        for call in calls {
            call.finish(Err(closed(CALL)));
        }
    }
}

fn put(out: &mut super::Outbox<'_>, frame: Vec<u8>) {
    if frame.len() > SHARED_FRAME_BYTES {
        out.push(Bytes::from(frame));
    } else {
        out.buffer().extend_from_slice(&frame);
    }
}

fn refuse(call: Option<(i32, Call)>, error: Error) {
    match call {
        Some((_, call)) => call.finish(Err(error)),
        None => tracing::debug!(%error, "a one-way request was dropped"),
    }
}

fn too_much_waits(address: &Address) -> Error {
    let context = format!("{}: too much waits to be written", address.name);
    Error::new(ErrorKind::Busy, CALL, context)
}

fn describe(target: SocketAddr, error: &io::Error) -> String {
    format!("connect to {target} failed: {error}")
}
