//! One connection's state: what was read and not yet handed over, what waits to be written.

use std::time::Duration;

use mio::net::TcpStream;

use super::outbox::OutQueue;
use super::{CloseReason, Fence, Peer};
use crate::protocol::frame::{self, FrameError};

/// The part of a frame's start that tells its length and that of its header.
const PREFIX_BYTES: usize = 8;
/// What an unfinished frame's buffer grows by at first.
const GROW_BYTES: usize = 4096;

/// Where a connection is in its life.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Being established, or kept from it by a fence if not `begun`; given up at `deadline`.
    Connecting { deadline: Duration, begun: bool },
    /// Frames come and go.
    Open,
    /// The handler has been told that it is gone; dropped at `deadline` at the latest.
    Closing { deadline: Duration, last: Last },
}

/// What is left to do on a closing connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// Write the outbox and drop it: the peer has ended its side.
    Write,
    /// Write the outbox, end this side, and hear the peer out.
    WriteAndEnd,
    /// This side is ended; what the peer still sends is discarded until it ends too. Dropping
    /// a connection with unread bytes would reset it, and the reset would destroy what the
    /// peer has not read yet.
    HearOut,
}

/// A connection as its reactor keeps it. Small while idle: both buffers are given back when empty.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) peer: Peer,
    pub(crate) stage: Stage,
    /// Bytes that were read and could not be handed over yet.
    pub(crate) input: Vec<u8>,
    pub(crate) out: OutQueue,
    /// When something was last read or written.
    pub(crate) active_at: Duration,
    /// Since when `input` has held the beginning of a frame.
    pub(crate) unfinished_since: Option<Duration>,
    /// Why it is to be closed at the end of the turn.
    pub(crate) doomed: Option<CloseReason>,
    /// The socket may hold bytes.
    pub(crate) readable: bool,
    /// The peer's end of stream or an error is in the socket: read until it shows.
    pub(crate) read_closed: bool,
    /// Nothing is read until the outbox has drained.
    pub(crate) paused: bool,
    /// `input` holds whole frames that wait for the outbox to drain.
    pub(crate) backlog: bool,
    /// The socket took no more; a writable event is awaited.
    pub(crate) blocked: bool,
    /// In the reactor's list of outboxes to flush.
    pub(crate) touched: bool,
    /// In the reactor's list of connections to read.
    pub(crate) scheduled: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, peer: Peer, stage: Stage, now: Duration) -> Self {
        Self {
            stream,
            peer,
            stage,
            input: Vec::new(),
            out: OutQueue::default(),
            active_at: now,
            unfinished_since: None,
            doomed: None,
            readable: false,
            read_closed: false,
            paused: false,
            backlog: false,
            blocked: false,
            touched: false,
            scheduled: false,
        }
    }

    /// Whether frames may be handed over and replies encoded.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open) && self.doomed.is_none()
    }

    /// Whether `fence` keeps what this side writes from the peer.
    #[inline]
    pub(crate) fn cannot_send(&self, fence: &Fence) -> bool {
        fence.is_cut(self.peer.local.ip(), self.peer.remote.ip())
    }

    /// Whether `fence` keeps what the peer writes from this side.
    #[inline]
    pub(crate) fn cannot_receive(&self, fence: &Fence) -> bool {
        fence.is_cut(self.peer.remote.ip(), self.peer.local.ip())
    }
}

/// Moves bytes from the front of `rest` to the unfinished frame in `head`, no more than it needs.
/// True when the frame is whole. Memory grows with the bytes that arrive, not with what the
/// frame announces.
pub(crate) fn top_up(
    head: &mut Vec<u8>,
    rest: &mut &[u8],
    limit: usize,
) -> Result<bool, FrameError> {
    if head.len() < PREFIX_BYTES {
        move_bytes(head, rest, PREFIX_BYTES, PREFIX_BYTES);
    }
    let Some(total) = frame::frame_len(head, limit)? else {
        return Ok(false);
    };
    move_bytes(head, rest, total, total);
    Ok(head.len() >= total)
}

/// Fills `head` up to `wanted` bytes as far as `rest` goes.
fn move_bytes(head: &mut Vec<u8>, rest: &mut &[u8], wanted: usize, total: usize) {
    let (moved, left) = rest.split_at(rest.len().min(wanted.saturating_sub(head.len())));
    let len = head.len() + moved.len();
    if head.capacity() < len {
        let target = len
            .max(head.len() * 2)
            .max(GROW_BYTES)
            .min(total.max(GROW_BYTES));
        head.reserve_exact(target.max(len) - head.len());
    }
    head.extend_from_slice(moved);
    *rest = left;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: usize) -> Vec<u8> {
        let mut frame = u32::try_from(4 + body).unwrap().to_be_bytes().to_vec();
        frame.extend_from_slice(&[0; 4]);
        frame.extend((0..body).map(|i| i as u8));
        frame
    }

    #[test]
    fn a_frame_in_any_pieces_is_put_together() {
        let frame = frame(300);
        for piece in [1, 2, 3, 4, 5, 7, 8, 9, 100, 308] {
            let mut head = Vec::new();
            let mut done = false;
            for chunk in frame.chunks(piece) {
                assert!(!done);
                let mut rest = chunk;
                done = top_up(&mut head, &mut rest, 1 << 20).unwrap();
                assert!(rest.is_empty());
            }
            assert!(done);
            assert_eq!(head, frame);
        }
    }

    #[test]
    fn bytes_of_the_next_frame_stay_where_they_are() {
        let frame = frame(20);
        let mut stream = frame[10..].to_vec();
        stream.extend_from_slice(b"next");
        let mut head = frame[..10].to_vec();
        let mut rest = &stream[..];
        assert!(top_up(&mut head, &mut rest, 1 << 20).unwrap());
        assert_eq!(rest, b"next");
    }

    #[test]
    fn announced_bytes_are_not_allocated_before_they_arrive() {
        let mut head = Vec::new();
        let announced = frame(8 << 20);
        let mut rest = &announced[..10_000];
        assert!(!top_up(&mut head, &mut rest, 16 << 20).unwrap());
        assert!(head.capacity() < 30_000, "{}", head.capacity());
        let mut rest = &announced[10_000..];
        assert!(top_up(&mut head, &mut rest, 16 << 20).unwrap());
        assert!(head.capacity() <= announced.len() + 4096);
    }

    #[test]
    fn the_limit_is_the_largest_frame() {
        let whole = frame(92);
        let mut rest = &whole[..];
        assert!(top_up(&mut Vec::new(), &mut rest, 100).unwrap());
        let mut rest = &whole[..];
        assert!(top_up(&mut Vec::new(), &mut rest, 99).is_err());
    }
}
