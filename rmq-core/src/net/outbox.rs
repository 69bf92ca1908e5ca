//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use mio::net::TcpStream;

use super::sys;

/// Slices at most this long are copied: cheaper than one more entry in the gather list.
const COPY_BYTES: usize = 512;
/// Parts gathered into one sendmsg.
const PARTS: usize = 64;
/// Entries of the slice list that are kept allocated.
const RETAINED_SLICES: usize = 64;

/// Encoded bytes and shared slices in the order they were put in.
///
/// The encoded bytes are one buffer; a slice remembers the place in the buffer that it goes before.
#[derive(Debug, Default)]
pub(crate) struct OutQueue {
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that were written already.
    head: usize,
    slices: VecDeque<Slice>,
    slice_bytes: usize,
}

#[derive(Debug)]
struct Slice {
    at: usize,
    bytes: Bytes,
}

/// How a flush ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waits any more.
    All,
    /// The socket takes no more for now.
    Blocked,
}

impl OutQueue {
    /// Bytes that wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.buffer.len() - self.head + self.slice_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn has_buffer(&self) -> bool {
        self.buffer.capacity() > 0
    }

    /// Gives an empty queue a buffer to encode into.
    pub(crate) fn set_buffer(&mut self, buffer: Vec<u8>) {
        debug_assert!(self.buffer.is_empty() && buffer.is_empty());
        self.buffer = buffer;
    }

    /// Takes the buffer of an empty queue away, for another to use.
    pub(crate) fn take_buffer(&mut self) -> Vec<u8> {
        debug_assert!(self.is_empty());
        self.head = 0;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer
    }

    pub(crate) fn push(&mut self, bytes: Bytes) {
        if bytes.len() <= COPY_BYTES {
            self.buffer.extend_from_slice(&bytes);
            return;
        }
        self.slice_bytes += bytes.len();
        self.slices.push_back(Slice {
            at: self.buffer.len(),
            bytes,
        });
    }

    /// Writes as much as the socket takes. `wrote` counts the bytes, also when it fails.
    pub(crate) fn flush(&mut self, stream: &TcpStream, wrote: &mut usize) -> io::Result<Flushed> {
        loop {
            let mut parts = [IoSlice::new(&[]); PARTS];
            let (count, gathered) = self.gather(&mut parts);
            if gathered == 0 {
                return Ok(Flushed::All);
            }
            match sys::send(stream, &parts[..count]) {
                Ok(sent) => {
                    *wrote += sent;
                    self.advance(sent);
                    // The socket's buffer is full: the event loop hears when there is room.
                    if sent < gathered {
                        return Ok(Flushed::Blocked);
                    }
                    if self.is_empty() {
                        return Ok(Flushed::All);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Fills `parts` from the front of the queue; returns how many parts and how many bytes.
    fn gather<'a>(&'a self, parts: &mut [IoSlice<'a>; PARTS]) -> (usize, usize) {
        let (mut count, mut total, mut position) = (0, 0, self.head);
        let mut add = |part: &'a [u8]| {
            if !part.is_empty() && count < PARTS {
                parts[count] = IoSlice::new(part);
                count += 1;
                total += part.len();
            }
            count < PARTS
        };
        for slice in &self.slices {
            if !add(&self.buffer[position..slice.at]) || !add(&slice.bytes) {
                return (count, total);
            }
            position = slice.at;
        }
        add(&self.buffer[position..]);
        (count, total)
    }

    /// Drops `sent` bytes from the front.
    fn advance(&mut self, mut sent: usize) {
        while let Some(slice) = self.slices.front_mut() {
            let before = slice.at - self.head;
            if sent < before {
                break;
            }
            sent -= before;
            self.head = slice.at;
            if sent < slice.bytes.len() {
                slice.bytes.advance(sent);
                self.slice_bytes -= sent;
                self.compact();
                return;
            }
            sent -= slice.bytes.len();
            self.slice_bytes -= slice.bytes.len();
            self.slices.pop_front();
        }
        self.head += sent;
        self.compact();
    }

    /// Keeps written bytes from piling up at the front while a slow reader never lets it empty.
    fn compact(&mut self) {
        if self.head == self.buffer.len() && self.slices.is_empty() {
            self.buffer.clear();
            self.head = 0;
            if self.slices.capacity() > RETAINED_SLICES {
                self.slices = VecDeque::new();
            }
        } else if self.head > 4096 && self.head >= self.buffer.len() / 2 {
            self.buffer.drain(..self.head);
            for slice in &mut self.slices {
                slice.at -= self.head;
            }
            self.head = 0;
        }
    }

    /// Takes back everything put in since `mark`.
    fn roll_back(&mut self, mark: Mark) {
        self.buffer.truncate(mark.buffer);
        while self.slices.len() > mark.slices {
            if let Some(slice) = self.slices.pop_back() {
                self.slice_bytes -= slice.bytes.len();
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    buffer: usize,
    slices: usize,
}

/// The way into a connection's queue during a turn. All of it leaves at the end of the turn in one
/// system call, as far as the peer reads. If the handler panics while it holds this, what was put
/// in through it is taken back, so that no half frame is ever written.
#[derive(Debug)]
pub struct Outbox<'a> {
    queue: &'a mut OutQueue,
    mark: Mark,
}

impl<'a> Outbox<'a> {
    #[inline]
    pub(crate) fn new(queue: &'a mut OutQueue) -> Self {
        let mark = Mark {
            buffer: queue.buffer.len(),
            slices: queue.slices.len(),
        };
        Self { queue, mark }
    }

    /// The buffer to encode frames into. Append only: what is there before is someone's reply.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.queue.buffer
    }

    /// Appends a slice without copying it (short ones are copied).
    #[inline]
    pub fn push(&mut self, bytes: Bytes) {
        self.queue.push(bytes);
    }

    /// Bytes that wait for the peer to read, these included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

impl Drop for Outbox<'_> {
    #[inline]
    fn drop(&mut self) {
        debug_assert!(
            self.queue.buffer.len() >= self.mark.buffer,
            "an outbox was shortened"
        );
        if std::thread::panicking() {
            self.queue.roll_back(self.mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a socket that takes `room` bytes would be given; checked against `expected`.
    fn write(queue: &mut OutQueue, room: usize, expected: &mut Vec<u8>) {
        let mut parts = [IoSlice::new(&[]); PARTS];
        let (count, gathered) = queue.gather(&mut parts);
        let bytes: Vec<u8> = parts[..count]
            .iter()
            .flat_map(|part| part.to_vec())
            .collect();
        assert_eq!(bytes.len(), gathered);
        let sent = room.min(gathered);
        assert_eq!(bytes[..sent], expected[..sent]);
        expected.drain(..sent);
        queue.advance(sent);
        assert_eq!(queue.len(), expected.len());
    }

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_they_came(
            steps in prop::collection::vec((0u8..4, 0usize..6000), 1..120),
        ) {
            let mut queue = OutQueue::default();
            let mut expected = Vec::new();
            for (index, (step, len)) in steps.into_iter().enumerate() {
                let bytes = vec![index as u8; len];
                match step {
                    0 => {
                        Outbox::new(&mut queue).buffer().extend_from_slice(&bytes);
                        expected.extend(bytes);
                    }
                    1 => {
                        expected.extend_from_slice(&bytes);
                        Outbox::new(&mut queue).push(bytes.into());
                    }
                    2 => write(&mut queue, len, &mut expected),
                    _ => {
                        let panics = || {
                            let mut outbox = Outbox::new(&mut queue);
                            outbox.buffer().extend_from_slice(&bytes);
                            outbox.push(bytes.clone().into());
                            outbox.buffer().push(1);
                            std::panic::resume_unwind(Box::new("on purpose"));
                        };
                        let panics = std::panic::AssertUnwindSafe(panics);
                        let panicked: Result<(), _> = std::panic::catch_unwind(panics);
                        prop_assert!(panicked.is_err());
                    }
                }
                prop_assert_eq!(queue.len(), expected.len());
            }
            while !queue.is_empty() {
                write(&mut queue, 10_000, &mut expected);
            }
            prop_assert!(queue.take_buffer().is_empty());
        }
    }

    #[test]
    fn a_reader_that_never_catches_up_does_not_pile_up_written_bytes() {
        let mut queue = OutQueue::default();
        let mut expected = vec![0; 50_000];
        queue.buffer.extend_from_slice(&expected);
        for round in 0..1_000u32 {
            let bytes = vec![round as u8; 10_000];
            expected.extend_from_slice(&bytes);
            queue.buffer.extend_from_slice(&bytes);
            write(&mut queue, 10_000, &mut expected);
        }
        assert!(
            queue.buffer.capacity() < 300_000,
            "{}",
            queue.buffer.capacity()
        );
    }

    #[test]
    fn more_slices_than_one_call_takes() {
        let mut queue = OutQueue::default();
        let mut expected = Vec::new();
        for index in 0..3 * PARTS {
            let bytes = vec![index as u8; COPY_BYTES + 1];
            expected.extend_from_slice(&bytes);
            queue.push(bytes.into());
        }
        while !queue.is_empty() {
            write(&mut queue, usize::MAX, &mut expected);
        }
        assert!(expected.is_empty());
    }
}
