//! Message ids: where a message is stored, and the id that its client gave it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const HEX: &[u8; 16] = b"0123456789ABCDEF";
/// Most characters of an id: an IPv6 address, and 12 bytes more.
pub const MAX_ID_LEN: usize = 2 * (16 + 12);

/// Text that is no message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// An id has 32 or 56 characters.
    Length(usize),
    /// The character at this place is no hexadecimal digit.
    Digit(usize),
    /// The port does not fit into 16 bits.
    Port(u32),
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(len) => write!(f, "a message id has 32 or 56 characters, not {len}"),
            Self::Digit(at) => write!(f, "character {at} of the message id is no hex digit"),
            Self::Port(port) => write!(f, "the port {port} of the message id does not exist"),
        }
    }
}

impl std::error::Error for IdError {}

/// An id as upper-case hexadecimal text, held in place.
#[derive(Clone, Copy)]
pub struct IdText {
    text: [u8; MAX_ID_LEN],
    len: u8,
}

impl IdText {
    const EMPTY: Self = Self {
        text: [0; MAX_ID_LEN],
        len: 0,
    };

    fn push(&mut self, bytes: &[u8]) {
        let mut at = usize::from(self.len);
        for byte in bytes {
            self.text[at] = HEX[usize::from(byte >> 4)];
            self.text[at + 1] = HEX[usize::from(byte & 0xf)];
            at += 2;
        }
        self.len = at as u8;
    }

    fn push_ip(&mut self, ip: IpAddr) {
        match ip.to_canonical() {
            IpAddr::V4(ip) => self.push(&ip.octets()),
            IpAddr::V6(ip) => self.push(&ip.octets()),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("hexadecimal digits are text")
    }

    /// The text, as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.len)]
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq for IdText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for IdText {}

impl AsRef<str> for IdText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Bytes of an id, decoded in place.
struct IdBytes {
    bytes: [u8; MAX_ID_LEN / 2],
    len: usize,
}

impl IdBytes {
    fn decode(text: &str) -> Result<Self, IdError> {
        let text = text.as_bytes();
        if text.len() != 32 && text.len() != MAX_ID_LEN {
            return Err(IdError::Length(text.len()));
        }
        let digit = |at: usize| {
            char::from(text[at])
                .to_digit(16)
                .map(|d| d as u8)
                .ok_or(IdError::Digit(at))
        };
        let mut out = Self {
            bytes: [0; MAX_ID_LEN / 2],
            len: text.len() / 2,
        };
        for (i, byte) in out.bytes[..out.len].iter_mut().enumerate() {
            *byte = digit(2 * i)? << 4 | digit(2 * i + 1)?;
        }
        Ok(out)
    }

    fn ip_len(&self) -> usize {
        self.len - 12
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[at..at + N]);
        out
    }

    fn ip(&self) -> IpAddr {
        if self.ip_len() == 4 {
            IpAddr::V4(Ipv4Addr::from(self.array::<4>(0)))
        } else {
            IpAddr::V6(Ipv6Addr::from(self.array::<16>(0)))
        }
    }
}

/// The id of a stored message: the broker's address and the offset in its commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OffsetMsgId {
    /// The broker that stored the message.
    pub store_host: SocketAddr,
    /// The offset in its commit log.
    pub physical_offset: i64,
}

impl OffsetMsgId {
    /// The text of the id.
    #[must_use]
    pub fn to_text(&self) -> IdText {
        let mut text = IdText::EMPTY;
        text.push_ip(self.store_host.ip());
        text.push(&u32::from(self.store_host.port()).to_be_bytes());
        text.push(&self.physical_offset.to_be_bytes());
        text
    }

    /// Appends the text of the id to `out`.
    pub fn push_text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_text().as_bytes());
    }

    /// Reads an id, in either case.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let id = IdBytes::decode(text)?;
        let port = u32::from_be_bytes(id.array(id.ip_len()));
        let port = u16::try_from(port).map_err(|_| IdError::Port(port))?;
        Ok(Self {
            store_host: SocketAddr::new(id.ip(), port),
            physical_offset: i64::from_be_bytes(id.array(id.ip_len() + 4)),
        })
    }
}

/// Appends the text of the id of a message at `physical_offset` on `store_host`.
pub fn push_offset_msg_id(store_host: SocketAddr, physical_offset: i64, out: &mut Vec<u8>) {
    OffsetMsgId {
        store_host,
        physical_offset,
    }
    .push_text(out);
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Start of the month (UTC) that `now_ms` lies in, ms since the epoch.
#[must_use]
pub fn month_start_ms(now_ms: i64) -> i64 {
    let days = now_ms.div_euclid(DAY_MS);
    // Days since 0000-03-01, in eras of 400 years; a year starts in March, so that the leap day
    // is its last.
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5;
    (days - day_of_month) * DAY_MS
}

/// Makes the ids that a client gives its messages. All inputs are handed in; see
/// [`id`](Self::id).
#[derive(Clone, Copy, Debug)]
pub struct UniqueIds {
    fixed: IdText,
}

impl UniqueIds {
    /// Ids of the process `pid` on `ip`; `salt` tells generators of one process apart.
    #[must_use]
    pub fn new(ip: IpAddr, pid: u32, salt: u32) -> Self {
        let mut fixed = IdText::EMPTY;
        fixed.push_ip(ip);
        fixed.push(&(pid as u16).to_be_bytes());
        fixed.push(&salt.to_be_bytes());
        Self { fixed }
    }

    /// The id of a message made at `now_ms`. Ids of one millisecond differ by `counter`.
    #[must_use]
    pub fn id(&self, now_ms: i64, counter: u16) -> IdText {
        let mut text = self.fixed;
        text.push(&((now_ms - month_start_ms(now_ms)) as u32).to_be_bytes());
        text.push(&counter.to_be_bytes());
        text
    }
}

/// The parts of an id that a client made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqueId {
    /// Address of the client.
    pub ip: IpAddr,
    /// Lower half of the process id.
    pub pid: u16,
    /// Tells generators of one process apart.
    pub salt: u32,
    /// Milliseconds from the start of the month to the making of the message.
    pub elapsed_ms: u32,
    /// Tells messages of one millisecond apart.
    pub counter: u16,
}

impl UniqueId {
    /// Reads an id, in either case.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let id = IdBytes::decode(text)?;
        let at = id.ip_len();
        Ok(Self {
            ip: id.ip(),
            pid: u16::from_be_bytes(id.array(at)),
            salt: u32::from_be_bytes(id.array(at + 2)),
            elapsed_ms: u32::from_be_bytes(id.array(at + 6)),
            counter: u16::from_be_bytes(id.array(at + 10)),
        })
    }

    /// When the message was made, seen from `now_ms`: in this month, or else in the last.
    #[must_use]
    pub fn born_ms(&self, now_ms: i64) -> i64 {
        let start = month_start_ms(now_ms);
        let born = start + i64::from(self.elapsed_ms);
        if born < now_ms {
            return born;
        }
        month_start_ms(start - 1) + i64::from(self.elapsed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn offset_ids_have_the_published_form() {
        let id = OffsetMsgId {
            store_host: host("1.2.3.4:10911"),
            physical_offset: 3,
        };
        assert_eq!(id.to_text().as_str(), "0102030400002A9F0000000000000003");
        assert_eq!(
            OffsetMsgId::parse("0102030400002a9f0000000000000003"),
            Ok(id)
        );
        let v6 = OffsetMsgId {
            store_host: host("[2001:db8::9]:1"),
            physical_offset: -1,
        };
        let text = v6.to_text();
        assert_eq!(text.as_str().len(), 56);
        assert_eq!(OffsetMsgId::parse(text.as_str()), Ok(v6));
        let mut out = b"a,".to_vec();
        push_offset_msg_id(id.store_host, 3, &mut out);
        assert_eq!(out, b"a,0102030400002A9F0000000000000003");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        assert_eq!(OffsetMsgId::parse(""), Err(IdError::Length(0)));
        assert_eq!(
            OffsetMsgId::parse(&"0".repeat(33)),
            Err(IdError::Length(33))
        );
        assert_eq!(
            OffsetMsgId::parse("0102030400002A9F000000000000000x"),
            Err(IdError::Digit(31))
        );
        assert_eq!(
            OffsetMsgId::parse("01020304000100000000000000000003"),
            Err(IdError::Port(65536))
        );
        assert!(
            OffsetMsgId::parse("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}01020304000102030")
                .is_err()
        );
    }

    #[test]
    fn unique_ids_read_back() {
        // 2026-11-22T10:38:53.837Z
        let now = 1_795_343_933_837;
        for ip in ["10.1.2.3", "2001:db8::1"] {
            let ip: IpAddr = ip.parse().unwrap();
            let text = UniqueIds::new(ip, 0x0001_2345, 0xdead_beef).id(now, 0xfffe);
            let id = UniqueId::parse(text.as_str()).unwrap();
            assert_eq!(
                (id.ip, id.pid, id.salt, id.counter),
                (ip, 0x2345, 0xdead_beef, 0xfffe)
            );
            assert_eq!(id.born_ms(now + 1), now);
        }
    }

    #[test]
    fn months_start_where_the_calendar_says() {
        for (now, want) in [
            (0, 0),
            (-1, -31 * DAY_MS),
            (1_795_343_933_837, 1_793_491_200_000),
            (951_827_696_000, 949_363_200_000),
            (951_868_800_000, 951_868_800_000),
            (4_107_542_399_999, 4_105_123_200_000),
        ] {
            assert_eq!(month_start_ms(now), want, "{now}");
        }
    }

    #[test]
    fn a_message_of_last_month_is_dated_there() {
        let start = 1_793_491_200_000;
        let text = UniqueIds::new("1.1.1.1".parse().unwrap(), 1, 1).id(start - 5, 0);
        assert_eq!(
            UniqueId::parse(text.as_str()).unwrap().born_ms(start + 5),
            start - 5
        );
    }
}
