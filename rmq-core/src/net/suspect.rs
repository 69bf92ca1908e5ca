//! What to say about a peer that does not speak the protocol, and how often.

use std::fmt::Write as _;
use std::time::Duration;

use super::Peer;

/// Bytes of the peer that are shown.
const SHOWN_BYTES: usize = 16;

/// Lets one report through per interval and counts the others.
#[derive(Debug)]
pub(crate) struct RateLimit {
    interval: Duration,
    next: Duration,
    suppressed: u64,
}

impl RateLimit {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Duration::ZERO,
            suppressed: 0,
        }
    }

    /// `Some(reports left out since the last one)` if this one may be made.
    pub(crate) fn pass(&mut self, now: Duration) -> Option<u64> {
        if now < self.next {
            self.suppressed += 1;
            return None;
        }
        self.next = now + self.interval;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Guesses from the first bytes what the peer took this port for.
pub(crate) fn guess(bytes: &[u8]) -> Option<&'static str> {
    const HTTP: [&[u8]; 8] = [
        b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"CONN", b"PATC",
    ];
    match bytes {
        [0x16, 0x03, ..] => Some("a TLS hello"),
        [b'P', b'R', b'I', b' ', ..] => Some("an HTTP/2 (gRPC) client"),
        [b'P', b'R', b'O', b'X', ..] | [0x0d, 0x0a, 0x0d, 0x0a, ..] => Some("a PROXY preface"),
        [b'S', b'S', b'H', b'-', ..] => Some("an SSH client"),
        _ if HTTP.iter().any(|method| bytes.starts_with(method)) => Some("an HTTP request"),
        _ => None,
    }
}

/// The first bytes for a log line: hexadecimal, and as text where they are printable.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let mut text = String::with_capacity(SHOWN_BYTES * 4 + 4);
    for byte in shown {
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str(" \"");
    for &byte in shown {
        text.push(if byte.is_ascii_graphic() || byte == b' ' {
            char::from(byte)
        } else {
            '.'
        });
    }
    text.push('"');
    text
}

/// Warns about a connection that is closed for what it sent, or did not send.
pub(crate) fn warn(
    limit: &mut RateLimit,
    now: Duration,
    name: &str,
    peer: &Peer,
    about: &About<'_>,
) {
    let Some(suppressed) = limit.pass(now) else {
        return;
    };
    tracing::warn!(
        server = name,
        peer = %peer.remote,
        local = %peer.local,
        first_bytes = %show(about.first_bytes),
        looks_like = guess(about.first_bytes).unwrap_or("unknown"),
        suppressed,
        "connection closed: {}", about.why,
    );
}

/// The subject of a warning.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub(crate) why: &'a str,
    pub(crate) first_bytes: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_report_per_interval_tells_how_many_were_left_out() {
        let mut limit = RateLimit::new(Duration::from_secs(1));
        assert_eq!(limit.pass(Duration::ZERO), Some(0));
        assert_eq!(limit.pass(Duration::from_millis(1)), None);
        assert_eq!(limit.pass(Duration::from_millis(999)), None);
        assert_eq!(limit.pass(Duration::from_millis(1_000)), Some(2));
        assert_eq!(limit.pass(Duration::from_millis(2_000)), Some(0));
    }

    #[test]
    fn strangers_are_recognized() {
        assert_eq!(guess(&[0x16, 3, 1, 2, 0]), Some("a TLS hello"));
        assert_eq!(guess(b"GET / HTTP/1.1"), Some("an HTTP request"));
        assert_eq!(guess(b"PRI * HTTP/2.0"), Some("an HTTP/2 (gRPC) client"));
        assert_eq!(guess(b"POST /"), Some("an HTTP request"));
        assert_eq!(guess(&[0, 0, 0, 9]), None);
        assert_eq!(guess(b""), None);
        assert_eq!(show(b"GET \x00"), "4745542000 \"GET .\"");
        assert_eq!(show(&[b'a'; 40]).len(), 32 + 2 + 16 + 1);
    }
}
