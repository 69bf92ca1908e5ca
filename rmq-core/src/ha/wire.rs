//! The bytes of replication. Integers are big-endian.
//!
//! A slave sends reports, 8 bytes each: the log offset up to which it holds the log. A master sends
//! frames: offset (8 bytes), size (4 bytes), and as many bytes of the log from that offset on,
//! which may begin and end inside a record. A frame without a body is a heartbeat.

use std::fmt;

/// Bytes of a report.
pub const REPORT_BYTES: usize = 8;
/// Bytes before the body of a frame.
pub const HEADER_BYTES: usize = 12;
/// Longest body of a frame: what fits into the read buffer of Apache's slave.
pub const MAX_BODY_BYTES: usize = (4 << 20) - HEADER_BYTES;

/// What comes before the body of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Log offset of the first byte of the body; of the next byte to come in a heartbeat.
    pub offset: i64,
    /// Bytes of the body, at most `MAX_BODY_BYTES`; 0 in a heartbeat.
    pub size: usize,
}

/// A header that no master sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHeader {
    offset: i64,
    size: i32,
}

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, size } = self;
        if *offset < 0 {
            return write!(f, "a frame announces the log offset {offset}");
        }
        write!(
            f,
            "a frame announces {size} bytes; 0 to {MAX_BODY_BYTES} are possible"
        )
    }
}

impl Header {
    /// Its bytes.
    #[must_use]
    pub fn encode(self) -> [u8; HEADER_BYTES] {
        let size = u32::try_from(self.size).unwrap_or(u32::MAX);
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_be_bytes());
        bytes[8..].copy_from_slice(&size.to_be_bytes());
        bytes
    }

    /// The header of these bytes, if a master can mean it.
    pub fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, BadHeader> {
        let [o0, o1, o2, o3, o4, o5, o6, o7, s0, s1, s2, s3] = bytes;
        let offset = i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let size = i32::from_be_bytes([s0, s1, s2, s3]);
        let bad = BadHeader { offset, size };
        match usize::try_from(size) {
            Ok(size) if size <= MAX_BODY_BYTES && offset >= 0 => Ok(Self { offset, size }),
            _ => Err(bad),
        }
    }
}

/// Puts reports together from what a connection brings. Only the newest one matters.
#[derive(Debug, Default)]
pub struct Reports {
    rest: [u8; REPORT_BYTES],
    len: usize,
}

impl Reports {
    /// The last report that `bytes` complete. What is left is kept for the next call.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<i64> {
        let total = self.len + bytes.len();
        let tail = total % REPORT_BYTES;
        let report = (total >= REPORT_BYTES).then(|| {
            // The eight bytes before the tail; some of them may have been kept.
            let from_bytes = (bytes.len() - tail).min(REPORT_BYTES);
            let mut value = [0; REPORT_BYTES];
            let (kept, new) = value.split_at_mut(REPORT_BYTES - from_bytes);
            kept.copy_from_slice(&self.rest[..kept.len()]);
            new.copy_from_slice(&bytes[bytes.len() - tail - from_bytes..bytes.len() - tail]);
            i64::from_be_bytes(value)
        });
        if report.is_some() {
            self.rest[..tail].copy_from_slice(&bytes[bytes.len() - tail..]);
        } else {
            self.rest[self.len..tail].copy_from_slice(bytes);
        }
        self.len = tail;
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_have_twelve_bytes() {
        let header = Header {
            offset: 0x0102_0304_0506_0708,
            size: 0x0a0b0c,
        };
        let bytes = header.encode();
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 0, 10, 11, 12]);
        assert_eq!(Header::decode(bytes), Ok(header));
    }

    #[test]
    fn sizes_are_bounded() {
        let decode = |offset: i64, size: i32| {
            let mut bytes = [0; HEADER_BYTES];
            bytes[..8].copy_from_slice(&offset.to_be_bytes());
            bytes[8..].copy_from_slice(&size.to_be_bytes());
            Header::decode(bytes)
        };
        let most = MAX_BODY_BYTES as i32;
        assert!(decode(0, 0).is_ok() && decode(i64::MAX, most).is_ok());
        for (offset, size, named) in [
            (0, most + 1, "4194293 bytes"),
            (0, -1, "-1 bytes"),
            (-1, 0, "offset -1"),
            (0, i32::MIN, "-2147483648 bytes"),
        ] {
            let error = decode(offset, size).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn only_the_last_whole_report_counts() {
        let mut reports = Reports::default();
        assert_eq!(reports.feed(&[]), None);
        assert_eq!(reports.feed(&[0; 7]), None);
        assert_eq!(reports.feed(&[5]), Some(5));
        let many: Vec<u8> = (1..=3i64).flat_map(i64::to_be_bytes).collect();
        assert_eq!(reports.feed(&many[..20]), Some(2));
        assert_eq!(reports.feed(&many[20..]), Some(3));
    }

    proptest! {
        #[test]
        fn reports_survive_any_cut(
            values in prop::collection::vec(any::<i64>(), 1..20),
            cuts in prop::collection::vec(0usize..40, 1..60),
        ) {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_be_bytes()).collect();
            let mut reports = Reports::default();
            let (mut at, mut fed) = (0, 0);
            for cut in cuts.into_iter().chain([bytes.len()]) {
                let next = (at + cut).min(bytes.len());
                let before = fed;
                fed = next / REPORT_BYTES;
                let want = (fed > before).then(|| values[fed - 1]);
                prop_assert_eq!(reports.feed(&bytes[at..next]), want);
                at = next;
            }
        }
    }
}
