//! A server that stores nothing: it answers every request at once. It shows what the machine and
//! the generator allow, and stands in for a broker in tests.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rmq_core::base::error::{Error, Result};
use rmq_core::base::thread::{self, JoinHandle};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::{FrameRef, LIMIT_DEFAULT, Serialize, next_frame};
use rmq_core::protocol::header::peek_head;

const LISTENER: Token = Token(usize::MAX - 1);
/// Bytes of a record in a pull's body.
const RECORD_LEN: u32 = 256;
/// What a queue claims to hold.
const QUEUE_LEN: &str = "100000";

/// How it behaves; may be changed while it runs.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// Answers sends with SYSTEM_BUSY.
    pub busy: AtomicBool,
    /// Leaves sends without an answer.
    pub silent: AtomicBool,
    /// Once, before the next send: sleeps so many milliseconds.
    pub stall_ms: AtomicU64,
    stop: AtomicBool,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct NullServer {
    address: SocketAddr,
    behaviour: Arc<Behaviour>,
    thread: JoinHandle,
}

impl NullServer {
    /// Listens on this port of 127.0.0.1; 0 picks a free one.
    ///
    /// # Errors
    /// When the port is taken or no thread can be had.
    pub fn start(port: u16) -> Result<Self> {
        let io = |e| Error::io("listen", format!("127.0.0.1:{port}"), e);
        let mut listener =
            TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let poll = Poll::new().map_err(io)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(io)?;
        let behaviour = Arc::new(Behaviour::default());
        let own = Arc::clone(&behaviour);
        let server = Serving {
            poll,
            listener,
            connections: Vec::new(),
            behaviour: own,
        };
        let thread = thread::spawn("null-server", move || server.run())?;
        Ok(Self {
            address,
            behaviour,
            thread,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it behaves.
    #[must_use]
    pub fn behaviour(&self) -> &Behaviour {
        &self.behaviour
    }

    /// Blocks until the server ends by itself, which it does only for a fault.
    pub fn wait(&self) {
        while self
            .thread
            .join_deadline(Duration::from_secs(3600))
            .is_err()
        {}
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.behaviour.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join_deadline(Duration::from_secs(5));
    }
}

struct Connection {
    stream: TcpStream,
    partial: Vec<u8>,
    out: Vec<u8>,
}

struct Serving {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    behaviour: Arc<Behaviour>,
}

impl Serving {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut buffer = vec![0; 256 * 1024];
        let mut answers = Answers::new();
        while !self.behaviour.stop.load(Ordering::Relaxed) {
            if self
                .poll
                .poll(&mut events, Some(Duration::from_millis(20)))
                .is_err()
            {
                continue;
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(i) => self.serve(i, &mut buffer, &mut answers),
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let token = Token(self.connections.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            let _ = stream.set_nodelay(true);
            if self
                .poll
                .registry()
                .register(&mut stream, token, interest)
                .is_ok()
            {
                let connection = Connection {
                    stream,
                    partial: Vec::new(),
                    out: Vec::new(),
                };
                self.connections.push(Some(connection));
            }
        }
    }

    fn serve(&mut self, i: usize, buffer: &mut [u8], answers: &mut Answers) {
        if let Some(connection) = self.connections[i].as_mut()
            && connection.turn(buffer, answers, &self.behaviour).is_err()
        {
            self.connections[i] = None;
        }
    }
}

impl Connection {
    fn turn(
        &mut self,
        buffer: &mut [u8],
        answers: &mut Answers,
        behaviour: &Behaviour,
    ) -> io::Result<()> {
        self.flush()?;
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            };
            let bad = |e| io::Error::new(ErrorKind::InvalidData, e);
            if self.partial.is_empty() {
                let mut rest = &buffer[..n];
                while let Some((frame, used)) = next_frame(rest, LIMIT_DEFAULT).map_err(bad)? {
                    answers.append(&mut self.out, frame, behaviour);
                    rest = &rest[used..];
                }
                self.partial.extend_from_slice(rest);
            } else {
                self.partial.extend_from_slice(&buffer[..n]);
                let mut done = 0;
                while let Some((frame, used)) =
                    next_frame(&self.partial[done..], LIMIT_DEFAULT).map_err(bad)?
                {
                    answers.append(&mut self.out, frame, behaviour);
                    done += used;
                }
                self.partial.drain(..done);
            }
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(n) if n == self.out.len() => self.out.clear(),
                Ok(n) => {
                    self.out.drain(..n);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Answers to sends, made beforehand.
struct Answers {
    sent: [Vec<u8>; 2],
    opaque_at: [usize; 2],
    pulled: Vec<u8>,
}

/// Ten digits, as the correlation ids of the generator have.
const OPAQUE: i32 = 1_999_999_999;

impl Answers {
    fn new() -> Self {
        let answer = |serialize| {
            let mut answer = Command::response(OPAQUE, serialize, ResponseCode::SUCCESS, None);
            let id = "7F00000100002A9F0000000000000000";
            for (key, value) in [("msgId", id), ("queueId", "0"), ("queueOffset", "0")] {
                answer.ext.insert(key, value);
            }
            answer.to_bytes().to_vec()
        };
        let find = |bytes: &[u8], wanted: &[u8]| {
            let mut windows = bytes.windows(wanted.len());
            windows
                .position(|window| window == wanted)
                .expect("the answer has its id")
        };
        let sent = [answer(Serialize::Json), answer(Serialize::Rocketmq)];
        let opaque_at = [
            find(&sent[0], OPAQUE.to_string().as_bytes()),
            find(&sent[1], &OPAQUE.to_be_bytes()),
        ];
        let mut record = vec![0; RECORD_LEN as usize];
        record[..4].copy_from_slice(&RECORD_LEN.to_be_bytes());
        Self {
            sent,
            opaque_at,
            pulled: record.repeat(32),
        }
    }

    fn append(&mut self, out: &mut Vec<u8>, frame: FrameRef<'_>, behaviour: &Behaviour) {
        let Some(head) = peek_head(frame) else { return };
        match head.request_code() {
            RequestCode::SEND_MESSAGE
            | RequestCode::SEND_MESSAGE_V2
            | RequestCode::SEND_BATCH_MESSAGE => {
                self.append_sent(out, frame.serialize, head.opaque, behaviour);
            }
            code => {
                let success = ResponseCode::SUCCESS;
                let mut answer = Command::response(head.opaque, frame.serialize, success, None);
                match code {
                    RequestCode::PULL_MESSAGE => answer.body = self.pulled.clone().into(),
                    RequestCode::GET_MAX_OFFSET => answer.ext.insert("offset", QUEUE_LEN),
                    RequestCode::GET_MIN_OFFSET => answer.ext.insert("offset", "0"),
                    _ => {}
                }
                answer.encode(out);
            }
        }
    }

    fn append_sent(
        &mut self,
        out: &mut Vec<u8>,
        serialize: Serialize,
        opaque: i32,
        behaviour: &Behaviour,
    ) {
        let stall = behaviour.stall_ms.swap(0, Ordering::Relaxed);
        if stall > 0 {
            std::thread::sleep(Duration::from_millis(stall));
        }
        if behaviour.silent.load(Ordering::Relaxed) {
            return;
        }
        if behaviour.busy.load(Ordering::Relaxed) {
            let busy = ResponseCode::SYSTEM_BUSY;
            Command::response(opaque, serialize, busy, None).encode(out);
            return;
        }
        let which = usize::from(serialize == Serialize::Rocketmq);
        let (answer, at) = (&mut self.sent[which], self.opaque_at[which]);
        match serialize {
            Serialize::Json if opaque >= 1_000_000_000 => {
                let mut rest = opaque.unsigned_abs();
                for digit in answer[at..at + 10].iter_mut().rev() {
                    *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
                    rest /= 10;
                }
            }
            // A shorter id would change the length; it becomes one that nobody waits for.
            Serialize::Json => answer[at..at + 10].copy_from_slice(b"1999999999"),
            Serialize::Rocketmq => answer[at..at + 4].copy_from_slice(&opaque.to_be_bytes()),
        }
        out.extend_from_slice(answer);
    }
}
