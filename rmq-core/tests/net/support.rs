//! A server that answers every request with its own body, and a raw peer to talk to it.

#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rmq_core::base::clock::{SharedClock, SystemClock};
use rmq_core::net::{
    CloseReason, ConnectionId, Fence, Handler, Io, Limits, Peer, ReactorHandle, Server,
    ServerConfig,
};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::{self, FrameRef, Serialize};

/// No test waits longer for anything.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A request code that the echo server panics over.
pub(crate) const CODE_PANIC: i32 = 9_001;
/// A request code after which the echo server closes the connection.
pub(crate) const CODE_CLOSE: i32 = 9_002;
/// A request code that is never answered.
pub(crate) const CODE_SILENCE: i32 = 9_003;
/// A request code answered with as many bytes as the body says in decimal.
pub(crate) const CODE_BYTES: i32 = 9_004;
/// A request code answered by another request to the client, with the same body.
pub(crate) const CODE_PUSH: i32 = 9_005;

/// What the handlers of one server have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) opened: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) frames: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    pub(crate) woken: AtomicUsize,
    pub(crate) reasons: std::sync::Mutex<Vec<String>>,
    pub(crate) peers: std::sync::Mutex<Vec<(ConnectionId, Peer)>>,
}

impl Seen {
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.reasons.lock().unwrap().clone()
    }
}

pub(crate) struct Echo {
    pub(crate) seen: Arc<Seen>,
}

impl Handler for Echo {
    fn opened(&mut self, _io: &mut Io<'_>, conn: ConnectionId, peer: &Peer) {
        self.seen.opened.fetch_add(1, Ordering::SeqCst);
        self.seen.peers.lock().unwrap().push((conn, *peer));
    }

    fn frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]) {
        self.seen.frames.fetch_add(frames.len(), Ordering::SeqCst);
        self.seen.calls.fetch_add(1, Ordering::SeqCst);
        for frame in frames {
            let request = Command::decode(*frame).unwrap();
            if request.is_response() {
                continue;
            }
            match request.code {
                CODE_PANIC => {
                    let mut out = io.out(conn).unwrap();
                    out.buffer().extend_from_slice(b"half a reply");
                    panic!("a request asked for it");
                }
                CODE_CLOSE => io.close(conn),
                CODE_SILENCE => continue,
                _ => {}
            }
            let Some(mut out) = io.out(conn) else { return };
            if request.code == CODE_PUSH {
                let mut push = Command::bare_request(RequestCode::new(1));
                push.body = request.body.clone();
                push.opaque = 77;
                push.encode(out.buffer());
            }
            let mut response = Command::response_to(&request, ResponseCode::new(0), None);
            response.body = request.body.clone();
            if request.code == CODE_BYTES {
                let bytes: usize = std::str::from_utf8(&request.body).unwrap().parse().unwrap();
                response.body = vec![b'x'; bytes].into();
            }
            response.encode(out.buffer());
        }
    }

    fn closed(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, reason: &CloseReason) {
        self.seen.closed.fetch_add(1, Ordering::SeqCst);
        self.seen.reasons.lock().unwrap().push(reason.to_string());
    }

    fn woken(&mut self, _io: &mut Io<'_>) {
        self.seen.woken.fetch_add(1, Ordering::SeqCst);
    }

    fn tick(&mut self, _io: &mut Io<'_>, _now: Duration) -> Option<Duration> {
        None
    }
}

pub(crate) fn clock() -> SharedClock {
    SystemClock::shared()
}

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn config(reactors: u16, limits: Limits) -> ServerConfig {
    ServerConfig {
        name: "test".to_owned(),
        reactors,
        listeners: vec![(any_port(), 0)],
        limits,
        fence: Fence::default(),
        clock: clock(),
    }
}

pub(crate) fn start(config: ServerConfig) -> (Server, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let server = Server::start(config, |_, _: ReactorHandle| {
        Box::new(Echo {
            seen: Arc::clone(&seen),
        })
    })
    .unwrap();
    (server, seen)
}

pub(crate) fn echo(limits: Limits) -> (Server, Arc<Seen>) {
    start(config(1, limits))
}

pub(crate) fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr(0).unwrap()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) fn request(code: i32, opaque: i32, body: &[u8]) -> Vec<u8> {
    let mut command = Command::bare_request(RequestCode::new(code));
    command.opaque = opaque;
    command.serialize = Serialize::Rocketmq;
    command.body = body.to_vec().into();
    let mut frame = Vec::new();
    command.encode(&mut frame);
    frame
}

/// A frame whose whole length is `len`.
pub(crate) fn request_of_len(opaque: i32, len: usize) -> Vec<u8> {
    let empty = request(1, opaque, b"").len();
    let frame = request(1, opaque, &vec![b'b'; len - empty]);
    assert_eq!(frame.len(), len);
    frame
}

/// Reads one frame; `None` at the end of the stream.
pub(crate) fn receive(stream: &mut TcpStream) -> Option<Command> {
    let mut prefix = [0; 4];
    if let Err(e) = stream.read_exact(&mut prefix) {
        assert_ne!(e.kind(), std::io::ErrorKind::WouldBlock, "nothing arrived");
        return None;
    }
    let mut frame = prefix.to_vec();
    frame.resize(4 + u32::from_be_bytes(prefix) as usize, 0);
    stream.read_exact(&mut frame[4..]).unwrap();
    let (frame, _) = frame::next_frame(&frame, 64 << 20).unwrap().unwrap();
    Some(Command::decode(frame).unwrap())
}

pub(crate) fn ask(stream: &mut TcpStream, opaque: i32, body: &[u8]) {
    stream.write_all(&request(1, opaque, body)).unwrap();
    let response = receive(stream).expect("closed instead of answered");
    assert!(response.is_response());
    assert_eq!((response.opaque, &response.body[..]), (opaque, body));
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !condition() {
        let waited = rmq_core::base::clock::Clock::monotonic(&clock);
        assert!(waited < LONG, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The peer closed: end of stream or a reset, nothing else before it.
pub(crate) fn assert_closed(stream: &mut TcpStream) {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => {}
        Ok(_) => panic!("an answer instead of a close"),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{e}"),
    }
}
