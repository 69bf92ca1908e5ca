//! Frames on their way to a slave. No socket.

use std::io::IoSlice;

use crate::ha::wire::{HEADER_BYTES, Header};

/// Frames that leave together at most.
pub(super) const FRAMES_MAX: usize = 16;

/// A run of the log cut into frames, and how much of that has been written.
#[derive(Debug)]
pub(super) struct Outgoing<T> {
    /// `None`: a heartbeat.
    bytes: Option<T>,
    offset: i64,
    frame_bytes: usize,
    headers: Vec<[u8; HEADER_BYTES]>,
    /// Bytes written, headers and bodies.
    written: usize,
}

impl<T: AsRef<[u8]>> Outgoing<T> {
    /// Frames of at most `frame_bytes` with `bytes` of the log at `offset`.
    pub(super) fn new(offset: i64, bytes: T, frame_bytes: usize) -> Self {
        Self::cut(offset, Some(bytes), frame_bytes.max(1))
    }

    /// One frame without a body.
    pub(super) fn heartbeat(offset: i64) -> Self {
        Self::cut(offset, None, 1)
    }

    fn cut(offset: i64, bytes: Option<T>, frame_bytes: usize) -> Self {
        let len = bytes.as_ref().map_or(0, |bytes| bytes.as_ref().len());
        let count = len.div_ceil(frame_bytes).max(1);
        let header = |index: usize| {
            let start = index * frame_bytes;
            let header = Header {
                offset: offset + start as i64,
                size: (len - start).min(frame_bytes),
            };
            header.encode()
        };
        Self {
            bytes,
            offset,
            frame_bytes,
            headers: (0..count).map(header).collect(),
            written: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.as_ref().map_or(&[], T::as_ref)
    }

    /// What is still to be written, in order; at most `FRAMES_MAX` frames of it.
    pub(super) fn parts(&self) -> Vec<IoSlice<'_>> {
        let bytes = self.bytes();
        let whole = HEADER_BYTES + self.frame_bytes;
        let first = self.written / whole;
        let mut skip = self.written % whole;
        let mut parts = Vec::with_capacity(2 * FRAMES_MAX);
        let headers = self.headers.iter().enumerate().skip(first);
        for (index, header) in headers.take(FRAMES_MAX) {
            let start = index * self.frame_bytes;
            let body = &bytes[start..bytes.len().min(start + self.frame_bytes)];
            for part in [&header[..], body] {
                let skipped = skip.min(part.len());
                skip -= skipped;
                if skipped < part.len() {
                    parts.push(IoSlice::new(&part[skipped..]));
                }
            }
        }
        parts
    }

    /// `count` bytes of `parts` were written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count;
    }

    /// Whether all is written.
    pub(super) fn is_done(&self) -> bool {
        self.written >= self.headers.len() * HEADER_BYTES + self.bytes().len()
    }

    /// Log offset up to which the bodies were written.
    pub(super) fn sent_to(&self) -> i64 {
        let whole = HEADER_BYTES + self.frame_bytes;
        let (frames, rest) = (self.written / whole, self.written % whole);
        let sent = frames * self.frame_bytes + rest.saturating_sub(HEADER_BYTES);
        self.offset + sent.min(self.bytes().len()) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_heartbeat_is_a_header() {
        let mut beat = Outgoing::<&[u8]>::heartbeat(77);
        let parts: Vec<u8> = beat.parts().iter().flat_map(|p| p.to_vec()).collect();
        let header = Header {
            offset: 77,
            size: 0,
        };
        assert_eq!(parts, header.encode().to_vec());
        assert_eq!(beat.sent_to(), 77);
        beat.wrote(HEADER_BYTES - 1);
        assert!(!beat.is_done());
        beat.wrote(1);
        assert!(beat.is_done() && beat.parts().is_empty());
        assert_eq!(beat.sent_to(), 77);
    }

    proptest! {
        #[test]
        fn partial_writes_lose_and_repeat_nothing(
            len in 1usize..5_000,
            frame_bytes in 1usize..700,
            writes in prop::collection::vec(1usize..900, 1..50),
        ) {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut want = Vec::new();
            for (index, piece) in body.chunks(frame_bytes).enumerate() {
                let offset = 1_000 + (index * frame_bytes) as i64;
                want.extend(Header { offset, size: piece.len() }.encode());
                want.extend(piece);
            }
            let mut outgoing = Outgoing::new(1_000, &body, frame_bytes);
            let (mut got, mut writes) = (Vec::<u8>::new(), writes.into_iter().cycle());
            while !outgoing.is_done() {
                let parts: Vec<u8> = outgoing.parts().iter().flat_map(|p| p.to_vec()).collect();
                prop_assert!(outgoing.parts().len() <= 2 * FRAMES_MAX);
                let count = writes.next().unwrap().min(parts.len());
                got.extend(&parts[..count]);
                outgoing.wrote(count);
                let whole = got.len() / (HEADER_BYTES + frame_bytes) * frame_bytes;
                let part = got.len() % (HEADER_BYTES + frame_bytes);
                let sent = (whole + part.saturating_sub(HEADER_BYTES)).min(len);
                prop_assert_eq!(outgoing.sent_to(), 1_000 + sent as i64);
            }
            prop_assert_eq!(got, want);
            prop_assert_eq!(outgoing.sent_to(), 1_000 + len as i64);
        }
    }
}
