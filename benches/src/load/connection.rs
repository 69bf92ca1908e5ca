//! One connection: what is to be written, what has been read, and what is in flight.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rmq_core::base::error::{Error, Result};
use rmq_core::protocol::frame::{self, FrameRef, LIMIT_DEFAULT};

use super::frames::OPAQUE_BASE;

/// A request in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// When it was sent, or was due in an open loop.
    started: Duration,
    /// What the work wants to know when the answer comes.
    tag: u32,
    busy: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
    /// The start of a frame whose rest is still to come.
    partial: Vec<u8>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    pub(super) open: bool,
}

impl Connection {
    pub(super) fn connect(address: SocketAddr, window: usize) -> Result<Self> {
        let io = |e| Error::io("connect", address.to_string(), e);
        let stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(10));
        let stream = stream.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        stream.set_nonblocking(true).map_err(io)?;
        let slots = u32::try_from(window).unwrap_or(u32::MAX);
        Ok(Self {
            stream: TcpStream::from_std(stream),
            out: Vec::with_capacity(64 * 1024),
            written: 0,
            partial: Vec::new(),
            slots: vec![Slot::default(); window],
            free: (0..slots).rev().collect(),
            open: true,
        })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(
            &mut self.stream,
            token,
            Interest::READABLE | Interest::WRITABLE,
        )
    }

    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Adds a request, which `encode` appends with the correlation id it is given; `false` when
    /// the window is full.
    pub(super) fn start(
        &mut self,
        started: Duration,
        encode: impl FnOnce(&mut Vec<u8>, i32) -> u32,
    ) -> bool {
        let Some(slot) = self.free.pop() else {
            return false;
        };
        let opaque = OPAQUE_BASE + i32::try_from(slot).expect("the window is far below 2^31");
        let tag = encode(&mut self.out, opaque);
        self.slots[slot as usize] = Slot {
            started,
            tag,
            busy: true,
        };
        true
    }

    /// The start time and tag of the request that an answer belongs to.
    pub(super) fn finish(&mut self, opaque: i32) -> Option<(Duration, u32)> {
        let index = u32::try_from(opaque.checked_sub(OPAQUE_BASE)?).ok()?;
        let slot = self
            .slots
            .get_mut(index as usize)
            .filter(|slot| slot.busy)?;
        slot.busy = false;
        self.free.push(index);
        Some((slot.started, slot.tag))
    }

    /// Writes what it can; the rest goes when the socket takes more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// One read into `buffer`: the number of bytes, zero when there are none for now.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Hands every whole frame of `bytes`, and of what came before, to `each`.
    pub(super) fn frames(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&mut Self, FrameRef<'_>),
    ) -> io::Result<()> {
        let mut rest = bytes;
        // Complete the frame begun earlier with no more of the new bytes than it needs.
        while !self.partial.is_empty() && !rest.is_empty() {
            let known = self.partial.len();
            let wanted = match frame::frame_len(&self.partial, LIMIT_DEFAULT) {
                Ok(Some(total)) => total - known,
                Ok(None) => 4 - known,
                Err(e) => return Err(io::Error::new(ErrorKind::InvalidData, e)),
            };
            let (now, later) = rest.split_at(wanted.min(rest.len()));
            self.partial.extend_from_slice(now);
            rest = later;
            let partial = std::mem::take(&mut self.partial);
            let whole = next(&partial)?;
            match whole {
                Some((frame, _)) => each(self, frame),
                None => self.partial = partial,
            }
        }
        while let Some((frame, used)) = next(rest)? {
            each(self, frame);
            rest = &rest[used..];
        }
        if !rest.is_empty() {
            self.partial.extend_from_slice(rest);
        }
        Ok(())
    }
}

fn next(bytes: &[u8]) -> io::Result<Option<(FrameRef<'_>, usize)>> {
    frame::next_frame(bytes, LIMIT_DEFAULT).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))
}
