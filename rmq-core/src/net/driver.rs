//! The client's side of its reactor: what callers submitted becomes frames, frames become outcomes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use super::calls::{Call, Calls, Permit, fail_all, guard};
use super::client::{CALL, PushedRequest};
use super::connector::{Address, Directory, Phase, Waiting, endpoint};
use super::mailbox::ReactorHandle;
use super::{CloseReason, ConnectionId, Handler, Io, Peer};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::slots::Key;
use crate::protocol::command::Command;
use crate::protocol::frame::FrameRef;

/// Frames longer than this are handed to the socket without copying them into the outbox.
const SHARED_FRAME_BYTES: usize = 8 << 10;

pub(crate) type OnRequest = Arc<dyn Fn(PushedRequest) + Send + Sync>;
pub(crate) type OnDisconnect = Arc<dyn Fn(&str) + Send + Sync>;
pub(crate) type OnTurn = Arc<dyn Fn() + Send + Sync>;

/// What callers and the client's thread share.
pub(crate) struct Shared {
    pub(crate) inbox: Mutex<Inbox>,
    pub(crate) in_flight: Arc<AtomicUsize>,
    pub(crate) next_opaque: AtomicI32,
    pub(crate) closed: AtomicBool,
    pub(crate) on_request: RwLock<Option<OnRequest>>,
    pub(crate) on_disconnect: RwLock<Option<OnDisconnect>>,
    pub(crate) on_turn: RwLock<Option<OnTurn>>,
}

#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) submissions: Vec<Submission>,
    /// The client's thread takes nothing any more.
    pub(crate) ended: bool,
}

pub(crate) enum Submission {
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
    /// Ends the connections of a lane.
    Disconnect {
        lane: u32,
    },
    Close {
        deadline: Duration,
    },
}

impl Shared {
    /// Queues a submission; gives it back when the client's thread has ended.
    pub(crate) fn post(
        &self,
        handle: &ReactorHandle,
        submission: Submission,
    ) -> Result<(), Submission> {
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

    /// All calls that ended in this turn of the client's thread were told.
    fn told(&self) {
        if let Some(callback) = &*self.on_turn.read() {
            guard(|| callback());
        }
    }
}

/// The client's side of its reactor.
pub(crate) struct Driver {
    pub(crate) name: Arc<str>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) directory: Directory,
    pub(crate) calls: Calls,
    /// The most bytes that may wait for one address.
    pub(crate) unsent_bytes: usize,
    pub(crate) submissions: Vec<Submission>,
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
            Submission::Disconnect { lane } => {
                for conn in self.directory.of_lane(lane) {
                    io.close(conn);
                }
            }
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
        if let Ok(target) = endpoint(&address.name).parse::<SocketAddr>() {
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
        let was_open = matches!(address.phase, Phase::Open(_));
        let name = Arc::clone(&address.name);
        self.down(io.now(), key, reason.to_string());
        let shut = matches!(reason, CloseReason::Shutdown);
        let callback = self.shared.on_disconnect.read().clone();
        if let Some(callback) = callback.filter(|_| was_open && !shut) {
            guard(|| callback(&name));
        }
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
            let error = timed_out(call.code, endpoint(name), call.timeout);
            call.finish(Err(error));
        }
        self.calls.next_deadline()
    }

    fn turned(&mut self) {
        self.shared.told();
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
        self.shared.told();
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
    let context = format!("{}: too much waits to be written", endpoint(&address.name));
    Error::new(ErrorKind::Busy, CALL, context)
}

fn describe(target: SocketAddr, error: &io::Error) -> String {
    format!("connect to {target} failed: {error}")
}

pub(crate) fn closed(op: &'static str) -> Error {
    Error::new(ErrorKind::Closed, op, "the client is closed")
}

pub(crate) fn timed_out(code: i32, addr: &str, timeout: Duration) -> Error {
    let context = format!("request {code} to {addr}: no answer within {timeout:?}");
    Error::new(ErrorKind::Timeout, CALL, context)
}
