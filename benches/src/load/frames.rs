//! Request frames: whole ones made beforehand, in which a request's own bytes are patched.

use rmq_core::protocol::code::RequestCode;
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::Serialize;

/// Added to every slot number, so that the correlation id always has ten digits.
pub const OPAQUE_BASE: i32 = 1_000_000_000;

/// Thirteen digits that stand for the time of birth until it is known.
const BORN: &str = "1999999999997";
/// Stands for the unique id of a message; the last eight digits count messages.
const UNIQUE: &str = "7F0000010A5C5F2D11B47D3A00000000";

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendKind {
    /// Request 10, with long names.
    V1,
    /// Request 310, with one-letter names.
    V2,
    /// Request 320 with this many messages.
    Batch(u32),
}

/// A request frame for one queue, ready but for its correlation id, time and unique ids.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    serialize: Serialize,
    opaque_at: usize,
    born_at: usize,
    unique_at: Vec<usize>,
}

fn find_all(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    let hits = bytes
        .windows(wanted.len())
        .enumerate()
        .filter(|(_, window)| *window == wanted);
    hits.map(|(at, _)| at).collect()
}

impl Template {
    /// The frame of a send of `body_len` bytes to one queue.
    #[must_use]
    pub fn send(
        kind: SendKind,
        serialize: Serialize,
        topic: &str,
        queue: u32,
        body_len: usize,
    ) -> Self {
        let body: Vec<u8> = (b'a'..=b'z').cycle().take(body_len).collect();
        let message_properties = format!("UNIQ_KEY\u{1}{UNIQUE}\u{2}WAIT\u{1}true");
        let (code, properties, body) = match kind {
            SendKind::V1 => (RequestCode::SEND_MESSAGE, message_properties, body),
            SendKind::V2 => (RequestCode::SEND_MESSAGE_V2, message_properties, body),
            SendKind::Batch(count) => {
                let one = batch_entry(&body, message_properties.as_bytes());
                let whole = one.repeat(count as usize);
                (
                    RequestCode::SEND_BATCH_MESSAGE,
                    "WAIT\u{1}true".to_owned(),
                    whole,
                )
            }
        };
        let mut command = Command::bare_request(code).with_body(body);
        command.opaque = OPAQUE_BASE;
        command.serialize = serialize;
        let queue = queue.to_string();
        let batch = if matches!(kind, SendKind::Batch(_)) {
            "true"
        } else {
            "false"
        };
        let fields = [
            ("producerGroup", "a", "rmq-load"),
            ("topic", "b", topic),
            ("defaultTopic", "c", "TBW102"),
            ("defaultTopicQueueNums", "d", "4"),
            ("queueId", "e", &queue),
            ("sysFlag", "f", "0"),
            ("bornTimestamp", "g", BORN),
            ("flag", "h", "0"),
            ("properties", "i", &properties),
            ("reconsumeTimes", "j", "0"),
            ("unitMode", "k", "false"),
            ("batch", "m", batch),
        ];
        for (long, short, value) in fields {
            let key = if kind == SendKind::V1 { long } else { short };
            command.ext.insert(key, value);
        }
        Self::new(&command)
    }

    fn new(command: &Command) -> Self {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        let opaque_at = match command.serialize {
            Serialize::Json => {
                let text = format!("\"opaque\":{OPAQUE_BASE}");
                find_all(&bytes, text.as_bytes())[0] + "\"opaque\":".len()
            }
            Serialize::Rocketmq => find_all(&bytes, &OPAQUE_BASE.to_be_bytes())[0],
        };
        let born_at = find_all(&bytes, BORN.as_bytes())[0];
        let unique_at = find_all(&bytes, UNIQUE.as_bytes())
            .iter()
            .map(|at| at + UNIQUE.len() - 8)
            .collect();
        Self {
            bytes,
            serialize: command.serialize,
            opaque_at,
            born_at,
            unique_at,
        }
    }

    /// Appends the frame with its own correlation id, time and unique ids.
    pub fn append(&mut self, out: &mut Vec<u8>, opaque: i32, born: &Decimal, unique: &mut u32) {
        match self.serialize {
            Serialize::Json => {
                write_decimal(&mut self.bytes[self.opaque_at..self.opaque_at + 10], opaque);
            }
            Serialize::Rocketmq => self.bytes[self.opaque_at..self.opaque_at + 4]
                .copy_from_slice(&opaque.to_be_bytes()),
        }
        self.bytes[self.born_at..self.born_at + 13].copy_from_slice(&born.digits);
        for &at in &self.unique_at {
            write_hex(&mut self.bytes[at..at + 8], *unique);
            *unique = unique.wrapping_add(1);
        }
        out.extend_from_slice(&self.bytes);
    }

    /// Bytes of the frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a frame has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// One message of a batch body.
fn batch_entry(body: &[u8], properties: &[u8]) -> Vec<u8> {
    let total = 4 + 4 + 4 + 4 + 4 + body.len() + 2 + properties.len();
    let length = |n: usize| {
        u32::try_from(n)
            .expect("a message is far below 4 GiB")
            .to_be_bytes()
    };
    let short = u16::try_from(properties.len()).expect("the properties are short");
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(&length(total));
    // Magic number, body CRC and flag, which the broker does not look at.
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&length(body.len()));
    out.extend_from_slice(body);
    out.extend_from_slice(&short.to_be_bytes());
    out.extend_from_slice(properties);
    out
}

/// Milliseconds as text; made once and used for every request of a turn.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    ms: i64,
    digits: [u8; 13],
}

impl Decimal {
    /// The digits of a time between the years 2001 and 2286.
    #[must_use]
    pub fn new(ms: i64) -> Self {
        let mut digits = [b'0'; 13];
        let mut rest = ms;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        Self { ms, digits }
    }

    /// Turns to another time, if it is another.
    pub fn set(&mut self, ms: i64) {
        if ms != self.ms {
            *self = Self::new(ms);
        }
    }
}

fn write_decimal(out: &mut [u8], value: i32) {
    let mut rest = value;
    for digit in out.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
}

fn write_hex(out: &mut [u8], value: u32) {
    let mut rest = value;
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(rest & 15) as usize];
        rest >>= 4;
    }
}

/// Appends a pull of up to `count` messages.
pub fn append_pull(
    out: &mut Vec<u8>,
    serialize: Serialize,
    opaque: i32,
    (topic, queue): (&str, u32),
    offset: i64,
    count: u32,
) {
    let mut command = Command::bare_request(RequestCode::PULL_MESSAGE);
    command.serialize = serialize;
    command.opaque = opaque;
    let numbers = [queue.to_string(), offset.to_string(), count.to_string()];
    let fields = [
        ("consumerGroup", "rmq-load"),
        ("topic", topic),
        ("queueId", &numbers[0]),
        ("queueOffset", &numbers[1]),
        ("maxMsgNums", &numbers[2]),
        // The subscription is in the request; do not wait for messages.
        ("sysFlag", "4"),
        ("commitOffset", "0"),
        ("suspendTimeoutMillis", "0"),
        ("subscription", "*"),
        ("subVersion", "0"),
        ("expressionType", "TAG"),
    ];
    for (key, value) in fields {
        command.ext.insert(key, value);
    }
    command.encode(out);
}

/// The number of stored messages in a pull's body.
#[must_use]
pub fn count_messages(body: &[u8]) -> u64 {
    let mut rest = body;
    let mut count = 0;
    while let Some(length) = rest.first_chunk().copied().map(u32::from_be_bytes) {
        match rest.get(length as usize..) {
            Some(after) if length > 0 => rest = after,
            _ => break,
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmq_core::protocol::frame::next_frame;

    fn decode(bytes: &[u8]) -> Command {
        let (frame, used) = next_frame(bytes, 1 << 24).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        Command::decode(frame).unwrap()
    }

    #[test]
    fn patched_frames_decode_to_their_request() {
        for serialize in [Serialize::Json, Serialize::Rocketmq] {
            for (kind, key, code) in [
                (SendKind::V1, "bornTimestamp", 10),
                (SendKind::V2, "g", 310),
            ] {
                let mut template = Template::send(kind, serialize, "T", 3, 128);
                let mut unique = 0xABC;
                let mut out = Vec::new();
                let born = Decimal::new(1_700_000_000_123);
                template.append(&mut out, OPAQUE_BASE + 77, &born, &mut unique);
                let command = decode(&out);
                assert_eq!((command.code, command.opaque), (code, OPAQUE_BASE + 77));
                assert_eq!(command.ext.get(key), Some("1700000000123"));
                assert_eq!(command.body.len(), 128);
                let properties = if kind == SendKind::V1 {
                    "properties"
                } else {
                    "i"
                };
                assert!(
                    command
                        .ext
                        .get(properties)
                        .unwrap()
                        .contains("3A00000ABC\u{2}WAIT")
                );
                assert_eq!(unique, 0xABD);
            }
        }
    }

    #[test]
    fn batches_hold_their_messages() {
        let mut template = Template::send(SendKind::Batch(3), Serialize::Rocketmq, "T", 0, 10);
        let (mut unique, mut out) = (0, Vec::new());
        template.append(
            &mut out,
            OPAQUE_BASE,
            &Decimal::new(1_700_000_000_000),
            &mut unique,
        );
        let command = decode(&out);
        assert_eq!((command.code, unique), (320, 3));
        assert_eq!(command.ext.get("m"), Some("true"));
        assert_eq!(count_messages(&command.body), 3);
        assert_eq!(&command.body[20..30], b"abcdefghij");
    }

    #[test]
    fn pulls_decode_and_bodies_are_counted() {
        let mut out = Vec::new();
        append_pull(&mut out, Serialize::Json, 5, ("T", 2), 1234, 32);
        let command = decode(&out);
        assert_eq!((command.code, command.opaque), (11, 5));
        assert_eq!(command.ext.get("queueOffset"), Some("1234"));
        assert_eq!(count_messages(&[]), 0);
        assert_eq!(count_messages(&[0, 0, 0, 0]), 0);
        assert_eq!(count_messages(&[0, 0, 0, 5, 1, 0, 0, 0, 9]), 1);
    }
}
