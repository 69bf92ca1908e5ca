//! Reading records where they lie.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::properties::{self, Properties};
use super::*;

/// How thoroughly [`RecordRef::check`] looks at a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckLevel {
    /// Magic, and every length inside the record; bytes after the last part are allowed, as in
    /// messages that Apache's broker rewrote into a larger buffer before pushing them.
    Bounds,
    /// Also: the parts add up to exactly the total size.
    Exact,
    /// Also: the check sum of the body.
    BodyCrc,
    /// Also: the check sum appended to the properties, where the record ends with one. Only for
    /// stores that append it to every record, because a sender may put anything there.
    AllCrc,
}

/// What [`RecordRef::check`] found.
#[derive(Clone, Copy, Debug)]
pub enum Checked<'a> {
    /// A record.
    Record(RecordRef<'a>),
    /// The filler at the end of a segment.
    Blank {
        /// Bytes to the end of the segment, this filler included; at least [`BLANK_LEN`].
        len: usize,
    },
    /// Nothing more: no bytes, or a total size of zero.
    End,
}

/// A checked record, borrowed. Accessors read the bytes where they lie.
#[derive(Clone, Copy)]
pub struct RecordRef<'a> {
    bytes: &'a [u8],
    sys_flag: i32,
    body: &'a [u8],
    topic: &'a [u8],
    properties: &'a [u8],
}

impl fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordRef")
            .field("topic", &self.topic())
            .field("queue_id", &self.queue_id())
            .field("queue_offset", &self.queue_offset())
            .field("physical_offset", &self.physical_offset())
            .field("len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

fn get_host(bytes: &[u8], at: usize, len: usize) -> SocketAddr {
    let (ip, port_at) = if len == HOST_V4_LEN {
        (IpAddr::V4(Ipv4Addr::from(array::<4>(bytes, at))), at + 4)
    } else {
        (IpAddr::V6(Ipv6Addr::from(array::<16>(bytes, at))), at + 16)
    };
    // The port has four bytes and uses two.
    SocketAddr::new(ip, u16::from_be_bytes(array(bytes, port_at + 2)))
}

/// Takes `len` bytes of `bytes` at `at`, where a length may be negative or reach beyond the end.
fn part<'a>(
    bytes: &'a [u8],
    at: usize,
    len: i64,
    field: &'static str,
) -> Result<&'a [u8], RecordError> {
    let error = RecordError::Length { field, value: len };
    let Ok(len) = usize::try_from(len) else {
        return Err(error);
    };
    at.checked_add(len)
        .and_then(|end| bytes.get(at..end))
        .ok_or(error)
}

impl<'a> RecordRef<'a> {
    /// Reads the record at the start of `bytes`, which may go on after it.
    pub fn check(bytes: &'a [u8], level: CheckLevel) -> Result<Checked<'a>, RecordError> {
        if bytes.is_empty() {
            return Ok(Checked::End);
        }
        let have = bytes.len();
        if have < 4 {
            return Err(RecordError::Truncated {
                need: BLANK_LEN,
                have,
            });
        }
        let total = get_i32(bytes, TOTAL_SIZE_AT);
        if total == 0 {
            return Ok(Checked::End);
        }
        let length = RecordError::Length {
            field: "total",
            value: i64::from(total),
        };
        let Ok(total) = usize::try_from(total) else {
            return Err(length);
        };
        if have < BLANK_LEN {
            return Err(RecordError::Truncated {
                need: total.max(BLANK_LEN),
                have,
            });
        }
        let topic_len_len = match get_u32(bytes, MAGIC_AT) {
            MAGIC_V1 => 1,
            MAGIC_V2 => 2,
            MAGIC_BLANK if total < BLANK_LEN => return Err(length),
            MAGIC_BLANK => return Ok(Checked::Blank { len: total }),
            other => return Err(RecordError::Magic(other)),
        };
        if total < MIN_LEN {
            return Err(length);
        }
        let Some(bytes) = bytes.get(..total) else {
            return Err(RecordError::Truncated { need: total, have });
        };
        let record = Self::split(bytes, topic_len_len, level)?;
        if level >= CheckLevel::BodyCrc {
            record.check_body_crc()?;
        }
        if level >= CheckLevel::AllCrc {
            record.check_property_crc()?;
        }
        Ok(Checked::Record(record))
    }

    /// Finds the parts of `bytes`, which are [`MIN_LEN`] or more and end with the record.
    fn split(
        bytes: &'a [u8],
        topic_len_len: usize,
        level: CheckLevel,
    ) -> Result<Self, RecordError> {
        let sys_flag = get_i32(bytes, SYS_FLAG_AT);
        let body_at = body_at(sys_flag);
        let have = bytes.len();
        if have < body_at + topic_len_len + 2 {
            return Err(RecordError::Truncated {
                need: body_at + topic_len_len + 2,
                have,
            });
        }
        let body_len = i64::from(get_i32(bytes, body_len_at(sys_flag)));
        let body = part(bytes, body_at, body_len, "body")?;
        let at = body_at + body.len();
        let topic_len = part(bytes, at, topic_len_len as i64, "topic")?
            .iter()
            .fold(0, |len, &b| len << 8 | i64::from(b));
        let topic = part(bytes, at + topic_len_len, topic_len, "topic")?;
        let at = at + topic_len_len + topic.len();
        let properties_len = i16::from_be_bytes(array(part(bytes, at, 2, "properties")?, 0));
        let properties = part(bytes, at + 2, i64::from(properties_len), "properties")?;
        let actual = at + 2 + properties.len();
        if level >= CheckLevel::Exact && actual != have {
            return Err(RecordError::TotalSize {
                stated: have,
                actual,
            });
        }
        Ok(Self {
            bytes,
            sys_flag,
            body,
            topic,
            properties,
        })
    }

    fn check_body_crc(&self) -> Result<(), RecordError> {
        let (stated, actual) = (self.body_crc(), body_crc(self.body));
        // An empty body is not checked by Apache and may carry any sum.
        if stated == actual || self.body.is_empty() {
            return Ok(());
        }
        Err(RecordError::BodyCrc { stated, actual })
    }

    fn check_property_crc(&self) -> Result<(), RecordError> {
        let name = properties::names::CRC32.as_bytes();
        let Some((covered, property)) = self.bytes.split_last_chunk::<CRC_PROPERTY_LEN>() else {
            return Ok(());
        };
        let is_sum = self.properties.len() >= CRC_PROPERTY_LEN
            && property.starts_with(name)
            && property[name.len()] == properties::NAME_VALUE_SEPARATOR;
        if !is_sum {
            return Ok(());
        }
        let stated = parse_crc_digits(&property[name.len() + 1..CRC_PROPERTY_LEN - 1]);
        let actual = body_crc(covered);
        if stated == Some(actual) {
            return Ok(());
        }
        Err(RecordError::PropertyCrc { stated, actual })
    }

    /// The whole record.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of the whole record in bytes; never zero.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a record is never empty")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The magic.
    #[must_use]
    pub fn magic(&self) -> u32 {
        get_u32(self.bytes, MAGIC_AT)
    }

    /// The check sum of the body that the record states.
    #[must_use]
    pub fn body_crc(&self) -> u32 {
        get_u32(self.bytes, BODY_CRC_AT)
    }

    /// The queue id.
    #[must_use]
    pub fn queue_id(&self) -> i32 {
        get_i32(self.bytes, QUEUE_ID_AT)
    }

    /// The user's flag.
    #[must_use]
    pub fn flag(&self) -> i32 {
        get_i32(self.bytes, FLAG_AT)
    }

    /// The offset in the queue.
    #[must_use]
    pub fn queue_offset(&self) -> i64 {
        get_i64(self.bytes, QUEUE_OFFSET_AT)
    }

    /// The offset in the commit log.
    #[must_use]
    pub fn physical_offset(&self) -> i64 {
        get_i64(self.bytes, PHYSICAL_OFFSET_AT)
    }

    /// The system flag.
    #[must_use]
    pub fn sys_flag(&self) -> i32 {
        self.sys_flag
    }

    /// When the message was made, ms since the epoch.
    #[must_use]
    pub fn born_timestamp_ms(&self) -> i64 {
        get_i64(self.bytes, BORN_TIMESTAMP_AT)
    }

    /// The host that made the message.
    #[must_use]
    pub fn born_host(&self) -> SocketAddr {
        get_host(self.bytes, BORN_HOST_AT, born_host_len(self.sys_flag))
    }

    /// When the message was stored, ms since the epoch.
    #[must_use]
    pub fn store_timestamp_ms(&self) -> i64 {
        get_i64(self.bytes, store_timestamp_at(self.sys_flag))
    }

    /// The broker that stored the message.
    #[must_use]
    pub fn store_host(&self) -> SocketAddr {
        get_host(
            self.bytes,
            store_host_at(self.sys_flag),
            store_host_len(self.sys_flag),
        )
    }

    /// How often the message was consumed again.
    #[must_use]
    pub fn reconsume_times(&self) -> i32 {
        get_i32(self.bytes, reconsume_times_at(self.sys_flag))
    }

    /// Commit log offset of the half message of a committed message.
    #[must_use]
    pub fn prepared_transaction_offset(&self) -> i64 {
        get_i64(self.bytes, prepared_transaction_offset_at(self.sys_flag))
    }

    /// The body as stored; compressed if the system flag says so.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The topic as stored.
    #[must_use]
    pub fn topic_bytes(&self) -> &'a [u8] {
        self.topic
    }

    /// The topic; bytes that are no UTF-8 become replacement characters.
    #[must_use]
    pub fn topic(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.topic)
    }

    /// The property text.
    #[must_use]
    pub fn properties_bytes(&self) -> &'a [u8] {
        self.properties
    }

    /// Iterates over the properties.
    #[must_use]
    pub fn properties(&self) -> Properties<'a> {
        Properties::new(self.properties)
    }

    /// The value of the property `name`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a [u8]> {
        properties::find(self.properties, name)
    }

    /// The tag.
    #[must_use]
    pub fn tags(&self) -> Option<&'a [u8]> {
        self.property(properties::names::TAGS)
    }

    /// The keys, joined by spaces.
    #[must_use]
    pub fn keys(&self) -> Option<&'a [u8]> {
        self.property(properties::names::KEYS)
    }

    /// The message id that the client made.
    #[must_use]
    pub fn uniq_key(&self) -> Option<&'a [u8]> {
        self.property(properties::names::UNIQ_KEY)
    }
}

/// Iterates over concatenated records, as in the body of a pull reply. Blanks end it.
///
/// After an error it ends.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    level: CheckLevel,
}

impl<'a> Records<'a> {
    /// Reads `bytes` with `level`.
    #[must_use]
    pub fn new(bytes: &'a [u8], level: CheckLevel) -> Self {
        Self { rest: bytes, level }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordRef<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let checked = RecordRef::check(self.rest, self.level);
        if let Ok(Checked::Record(record)) = checked {
            self.rest = &self.rest[record.len()..];
            return Some(Ok(record));
        }
        self.rest = &[];
        checked.err().map(Err)
    }
}
