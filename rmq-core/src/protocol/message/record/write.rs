//! Encoding records in parts, so that little is left to do inside the store's lock.

use std::net::{IpAddr, SocketAddr};

use super::*;

/// Limits of a new record, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Largest body.
    pub body_max_bytes: usize,
    /// Largest record.
    pub record_max_bytes: usize,
}

impl RecordLimits {
    /// The limits that follow from the configured `maxMessageSize`.
    #[must_use]
    pub const fn new(max_message_size: usize) -> Self {
        let record_max_bytes = max_message_size.saturating_add(OVERHEAD_MAX_BYTES);
        let int_max = i32::MAX as usize;
        Self {
            body_max_bytes: max_message_size,
            record_max_bytes: if record_max_bytes > int_max {
                int_max
            } else {
                record_max_bytes
            },
        }
    }
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_BODY_BYTES)
    }
}

/// How [`NewRecord::stage`] encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageOptions {
    /// Limits to hold the record against.
    pub limits: RecordLimits,
    /// Append the check sum of the record as its last property.
    pub append_crc: bool,
    /// Bodies up to this length are staged too, so that one copy moves the record.
    pub inline_body_max_bytes: usize,
}

impl Default for StageOptions {
    fn default() -> Self {
        Self {
            limits: RecordLimits::default(),
            append_crc: false,
            inline_body_max_bytes: 4 * 1024,
        }
    }
}

/// What is known only when a record gets its place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Offset in the queue.
    pub queue_offset: i64,
    /// Offset in the commit log.
    pub physical_offset: i64,
    /// Time of storing, ms since the epoch.
    pub store_timestamp_ms: i64,
}

impl Place {
    /// Writes the place into `record`, which holds at least everything before the body.
    pub fn patch(&self, record: &mut [u8]) {
        put_i64(record, QUEUE_OFFSET_AT, self.queue_offset);
        put_i64(record, PHYSICAL_OFFSET_AT, self.physical_offset);
        let sys_flag = get_i32(record, SYS_FLAG_AT);
        put_i64(
            record,
            store_timestamp_at(sys_flag),
            self.store_timestamp_ms,
        );
    }
}

/// A message on its way into the log. All parts are borrowed.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue_id: i32,
    /// The user's flag.
    pub flag: i32,
    /// The system flag; its address bits are set from the hosts.
    pub sys_flag: i32,
    /// When the message was made, ms since the epoch.
    pub born_timestamp_ms: i64,
    /// The host that made it.
    pub born_host: SocketAddr,
    /// The address that clients reach this broker by.
    pub store_host: SocketAddr,
    /// How often the message was consumed again.
    pub reconsume_times: i32,
    /// Commit log offset of the half message; 0 without a transaction.
    pub prepared_transaction_offset: i64,
    /// The body, as it is to be stored.
    pub body: &'a [u8],
    /// The property text of the sender.
    pub properties: &'a [u8],
    /// Properties of the broker, appended; a separator between is added where it is missing.
    pub extra_properties: &'a [u8],
}

/// A staged record: how its parts lie in the staging buffer and what they become.
#[derive(Clone, Debug)]
pub struct Staged {
    total_len: u32,
    prefix_len: u32,
    body_len: u32,
    suffix_len: u32,
    body_inline: bool,
    /// The sum over body and suffix, when a check sum property ends the record.
    tail_crc: Option<crc32fast::Hasher>,
}

impl Staged {
    /// Bytes of the whole record.
    #[must_use]
    pub fn total_len(&self) -> usize {
        self.total_len as usize
    }

    /// Bytes that the record takes in the staging buffer.
    #[must_use]
    pub fn staged_len(&self) -> usize {
        let body = if self.body_inline {
            self.body_len as usize
        } else {
            0
        };
        self.prefix_len as usize + body + self.suffix_len as usize
    }

    /// Whether the staging buffer holds the body too.
    #[must_use]
    pub fn body_inline(&self) -> bool {
        self.body_inline
    }

    /// Writes the record into `target`, [`total_len`](Self::total_len) bytes long.
    ///
    /// `staged` are the [`staged_len`](Self::staged_len) bytes that [`NewRecord::stage`] appended,
    /// `body` is the body of that same record; it is not read when it was staged inline.
    pub fn place(&self, staged: &[u8], body: &[u8], place: &Place, target: &mut [u8]) {
        let (prefix_len, body_len) = (self.prefix_len as usize, self.body_len as usize);
        if self.body_inline {
            target.copy_from_slice(staged);
        } else {
            let (prefix, suffix) = staged.split_at(prefix_len);
            target[..prefix_len].copy_from_slice(prefix);
            target[prefix_len..prefix_len + body_len].copy_from_slice(body);
            target[prefix_len + body_len..].copy_from_slice(suffix);
        }
        place.patch(&mut target[..prefix_len]);
        if let Some(tail) = &self.tail_crc {
            let mut crc = crc32fast::Hasher::new();
            crc.update(&target[..prefix_len]);
            crc.combine(tail);
            let end = target.len() - 1;
            target[end - CRC_DIGITS..end]
                .copy_from_slice(&crc_digits(crc.finalize() & 0x7fff_ffff));
        }
    }
}

/// Lengths and host forms of a record to be, checked against the limits.
struct Layout {
    v2: bool,
    sys_flag: i32,
    born_host: SocketAddr,
    store_host: SocketAddr,
    /// A separator goes between properties and extra properties.
    join: bool,
    /// A separator goes before the check sum.
    join_crc: bool,
    properties_len: usize,
    total_len: usize,
}

fn too_long(part: &'static str, len: usize, max: usize) -> Result<(), RecordError> {
    if len > max {
        Err(RecordError::TooLong { part, len, max })
    } else {
        Ok(())
    }
}

impl NewRecord<'_> {
    fn layout(&self, limits: &RecordLimits, append_crc: bool) -> Result<Layout, RecordError> {
        too_long("body", self.body.len(), limits.body_max_bytes)?;
        too_long("topic", self.topic.len(), MAX_TOPIC_LEN)?;
        let born_host = SocketAddr::new(self.born_host.ip().to_canonical(), self.born_host.port());
        let store_host =
            SocketAddr::new(self.store_host.ip().to_canonical(), self.store_host.port());
        let mut sys_flag = self.sys_flag & !(sysflag::BORN_HOST_V6 | sysflag::STORE_HOST_V6);
        if born_host.is_ipv6() {
            sys_flag |= sysflag::BORN_HOST_V6;
        }
        if store_host.is_ipv6() {
            sys_flag |= sysflag::STORE_HOST_V6;
        }
        let v2 = self.topic.len() > MAX_TOPIC_LEN_V1;
        let join =
            !self.extra_properties.is_empty() && properties::needs_separator(self.properties);
        let joined = self.properties.len() + usize::from(join) + self.extra_properties.len();
        let last = if self.extra_properties.is_empty() {
            self.properties
        } else {
            self.extra_properties
        };
        let join_crc = append_crc && properties::needs_separator(last);
        let crc_len = if append_crc { CRC_PROPERTY_LEN } else { 0 };
        let properties_len = joined + usize::from(join_crc) + crc_len;
        too_long("properties", properties_len, properties::MAX_BYTES)?;
        let total_len = body_at(sys_flag)
            + self.body.len()
            + if v2 { 2 } else { 1 }
            + self.topic.len()
            + 2
            + properties_len;
        too_long(
            "record",
            total_len,
            limits.record_max_bytes.min(i32::MAX as usize),
        )?;
        Ok(Layout {
            v2,
            sys_flag,
            born_host,
            store_host,
            join,
            join_crc,
            properties_len,
            total_len,
        })
    }

    /// Bytes of the record, or why it cannot be one.
    pub fn encoded_len(&self, options: &StageOptions) -> Result<usize, RecordError> {
        Ok(self.layout(&options.limits, options.append_crc)?.total_len)
    }

    /// Appends to `out` all that can be encoded before the record has its place: everything but
    /// the body, or with the body when it is short. Nothing is appended on error.
    pub fn stage(&self, options: &StageOptions, out: &mut Vec<u8>) -> Result<Staged, RecordError> {
        let layout = self.layout(&options.limits, options.append_crc)?;
        let body_inline = self.body.len() <= options.inline_body_max_bytes;
        let body_staged = if body_inline { self.body.len() } else { 0 };
        out.reserve(layout.total_len - self.body.len() + body_staged);
        let crc = crc32fast::hash(self.body);
        let mut prefix = [0; MAX_PREFIX_LEN];
        let prefix_len = self.put_prefix(&layout, crc & 0x7fff_ffff, &mut prefix);
        out.extend_from_slice(&prefix[..prefix_len]);
        if body_inline {
            out.extend_from_slice(self.body);
        }
        let suffix_at = out.len();
        self.put_suffix(&layout, options.append_crc, out);
        let suffix = &out[suffix_at..];
        let tail_crc = options.append_crc.then(|| {
            let mut tail = crc32fast::Hasher::new_with_initial_len(crc, self.body.len() as u64);
            tail.update(&suffix[..suffix.len() - CRC_PROPERTY_LEN]);
            tail
        });
        Ok(Staged {
            total_len: layout.total_len as u32,
            prefix_len: prefix_len as u32,
            body_len: self.body.len() as u32,
            suffix_len: suffix.len() as u32,
            body_inline,
            tail_crc,
        })
    }

    /// Appends the whole record at `place` to `out` and returns its length.
    pub fn encode(
        &self,
        options: &StageOptions,
        place: &Place,
        out: &mut Vec<u8>,
    ) -> Result<usize, RecordError> {
        let mut staged = Vec::new();
        let parts = self.stage(options, &mut staged)?;
        let at = out.len();
        out.resize(at + parts.total_len(), 0);
        parts.place(&staged, self.body, place, &mut out[at..]);
        Ok(parts.total_len())
    }

    /// Writes everything before the body; queue offset, physical offset and store time are zero.
    fn put_prefix(&self, layout: &Layout, crc: u32, out: &mut [u8; MAX_PREFIX_LEN]) -> usize {
        let magic = if layout.v2 { MAGIC_V2 } else { MAGIC_V1 };
        let mut put = Put { out, at: 0 };
        put.bytes(&(layout.total_len as u32).to_be_bytes());
        put.bytes(&magic.to_be_bytes());
        put.bytes(&crc.to_be_bytes());
        put.bytes(&self.queue_id.to_be_bytes());
        put.bytes(&self.flag.to_be_bytes());
        put.at = SYS_FLAG_AT;
        put.bytes(&layout.sys_flag.to_be_bytes());
        put.bytes(&self.born_timestamp_ms.to_be_bytes());
        put.host(layout.born_host);
        put.at += 8;
        put.host(layout.store_host);
        put.bytes(&self.reconsume_times.to_be_bytes());
        put.bytes(&self.prepared_transaction_offset.to_be_bytes());
        put.bytes(&(self.body.len() as u32).to_be_bytes());
        put.at
    }

    /// Appends everything after the body; the digits of a check sum are zeros.
    fn put_suffix(&self, layout: &Layout, append_crc: bool, out: &mut Vec<u8>) {
        if layout.v2 {
            out.extend_from_slice(&(self.topic.len() as u16).to_be_bytes());
        } else {
            out.push(self.topic.len() as u8);
        }
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(&(layout.properties_len as u16).to_be_bytes());
        out.extend_from_slice(self.properties);
        if layout.join {
            out.push(properties::PROPERTY_SEPARATOR);
        }
        out.extend_from_slice(self.extra_properties);
        if append_crc {
            if layout.join_crc {
                out.push(properties::PROPERTY_SEPARATOR);
            }
            out.extend_from_slice(properties::names::CRC32.as_bytes());
            out.push(properties::NAME_VALUE_SEPARATOR);
            out.extend_from_slice(&[b'0'; CRC_DIGITS]);
            out.push(properties::PROPERTY_SEPARATOR);
        }
    }
}

/// Writes into a prefix, field after field.
struct Put<'a> {
    out: &'a mut [u8; MAX_PREFIX_LEN],
    at: usize,
}

impl Put<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn host(&mut self, host: SocketAddr) {
        match host.ip() {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.bytes(&u32::from(host.port()).to_be_bytes());
    }
}
