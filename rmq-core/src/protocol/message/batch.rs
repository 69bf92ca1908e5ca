//! Several messages in one body, as batch sends carry them. Each is
//! `i32 total | i32 magic | i32 body CRC | i32 flag | i32 length, body | i16 length, properties`;
//! the first three are not read, because brokers never looked at them.

use std::fmt;

use super::properties;
use crate::base::error::{Error, ErrorKind};

const FLAG_AT: usize = 4 + 4 + 4;
const BODY_LEN_AT: usize = FLAG_AT + 4;
const BODY_AT: usize = BODY_LEN_AT + 4;
/// Bytes of the shortest message of a batch.
pub const MIN_LEN: usize = BODY_AT + 2;

/// One message of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMessage<'a> {
    /// The user's flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// The property text.
    pub properties: &'a [u8],
}

/// Why a batch was not read or not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// The batch ends inside a message; `at` is where that starts.
    Truncated {
        /// Offset of the message.
        at: usize,
    },
    /// A length is negative.
    Negative {
        /// Offset of the message.
        at: usize,
        /// The length.
        len: i32,
    },
    /// A body or property text is too long to be written.
    TooLong {
        /// Its bytes.
        len: usize,
        /// The most bytes.
        max: usize,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { at } => write!(f, "the batch ends inside the message at byte {at}"),
            Self::Negative { at, len } => {
                write!(
                    f,
                    "the message at byte {at} of the batch has a length of {len}"
                )
            }
            Self::TooLong { len, max } => write!(f, "{len} bytes, and {max} is the most"),
        }
    }
}

impl std::error::Error for BatchError {}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        let kind = match error {
            BatchError::TooLong { .. } => ErrorKind::Limit,
            _ => ErrorKind::Corrupt,
        };
        Self::new(kind, "batch", error.to_string())
    }
}

/// Iterates over the messages of a batch. After an error it ends.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Batch<'a> {
    /// Reads `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads all of `bytes` and returns how many messages they hold.
    pub fn count(bytes: &[u8]) -> Result<usize, BatchError> {
        Batch::new(bytes).try_fold(0, |count, message| message.map(|_| count + 1))
    }

    fn read(&mut self) -> Result<BatchMessage<'a>, BatchError> {
        let at = self.at;
        let rest = &self.bytes[at..];
        let truncated = BatchError::Truncated { at };
        let (head, rest) = rest.split_first_chunk::<BODY_AT>().ok_or(truncated)?;
        let int =
            |at: usize| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let len = int(BODY_LEN_AT);
        let len = usize::try_from(len).map_err(|_| BatchError::Negative { at, len })?;
        let (body, rest) = rest.split_at_checked(len).ok_or(truncated)?;
        let (len, rest) = rest.split_first_chunk::<2>().ok_or(truncated)?;
        let len = i16::from_be_bytes(*len);
        let len = usize::try_from(len).map_err(|_| BatchError::Negative {
            at,
            len: i32::from(len),
        })?;
        let properties = rest.get(..len).ok_or(truncated)?;
        self.at = at + MIN_LEN + body.len() + len;
        Ok(BatchMessage {
            flag: int(FLAG_AT),
            body,
            properties,
        })
    }
}

impl<'a> Iterator for Batch<'a> {
    type Item = Result<BatchMessage<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let message = self.read();
        if message.is_err() {
            self.at = self.bytes.len();
        }
        Some(message)
    }
}

impl BatchMessage<'_> {
    /// Bytes that the message takes in a batch.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        MIN_LEN + self.body.len() + self.properties.len()
    }

    /// Appends the message to a batch. Nothing is appended on error.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), BatchError> {
        let max = i32::MAX as usize - MIN_LEN - properties::MAX_BYTES;
        for (len, max) in [
            (self.body.len(), max),
            (self.properties.len(), properties::MAX_BYTES),
        ] {
            if len > max {
                return Err(BatchError::TooLong { len, max });
            }
        }
        out.reserve(self.encoded_len());
        out.extend_from_slice(&(self.encoded_len() as u32).to_be_bytes());
        out.extend_from_slice(&[0; FLAG_AT - 4]);
        out.extend_from_slice(&self.flag.to_be_bytes());
        out.extend_from_slice(&(self.body.len() as u32).to_be_bytes());
        out.extend_from_slice(self.body);
        out.extend_from_slice(&(self.properties.len() as u16).to_be_bytes());
        out.extend_from_slice(self.properties);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: [BatchMessage<'static>; 3] = [
        BatchMessage {
            flag: 0,
            body: b"hi",
            properties: b"WAIT\x01true\x02",
        },
        BatchMessage {
            flag: -1,
            body: b"",
            properties: b"",
        },
        BatchMessage {
            flag: 7,
            body: b"last",
            properties: b"TAGS\x01x\x02",
        },
    ];

    fn encoded() -> Vec<u8> {
        let mut out = Vec::new();
        for message in &MESSAGES {
            message.encode(&mut out).unwrap();
        }
        out
    }

    #[test]
    fn messages_read_back() {
        let bytes = encoded();
        assert_eq!(
            Batch::new(&bytes).collect::<Result<Vec<_>, _>>().unwrap(),
            MESSAGES
        );
        assert_eq!(Batch::count(&bytes), Ok(3));
        assert_eq!(Batch::count(b""), Ok(0));
    }

    #[test]
    fn every_cut_is_an_error_or_ends_between_messages() {
        let bytes = encoded();
        let first = MESSAGES[0].encoded_len();
        let ends = [0, first, first + MESSAGES[1].encoded_len(), bytes.len()];
        for len in 0..=bytes.len() {
            match Batch::count(&bytes[..len]) {
                Ok(count) => assert_eq!(ends[count], len),
                Err(BatchError::Truncated { .. }) => assert!(!ends.contains(&len)),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn negative_lengths_are_refused() {
        let mut bytes = encoded();
        bytes[BODY_LEN_AT] = 0x80;
        assert!(matches!(
            Batch::count(&bytes),
            Err(BatchError::Negative { at: 0, .. })
        ));
        let mut bytes = encoded();
        bytes[BODY_AT + 2] = 0xff;
        assert!(matches!(
            Batch::count(&bytes),
            Err(BatchError::Negative { at: 0, .. })
        ));
    }

    #[test]
    fn long_properties_are_refused_beyond_the_limit() {
        let text = vec![b'x'; properties::MAX_BYTES + 1];
        let mut out = Vec::new();
        let mut message = BatchMessage {
            flag: 0,
            body: b"",
            properties: &text[1..],
        };
        assert!(message.encode(&mut out).is_ok());
        assert_eq!(Batch::count(&out), Ok(1));
        message.properties = &text;
        assert_eq!(
            message.encode(&mut out),
            Err(BatchError::TooLong {
                len: 32768,
                max: 32767
            })
        );
    }
}
