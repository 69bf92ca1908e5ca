//! Peers that do not speak the protocol, and very many of them. One test, for it watches the
//! descriptors and the memory of its whole process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "net/log.rs"]
mod log;
#[path = "net/support.rs"]
mod support;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rmq_core::net::{Limits, Server};
use support::*;
use tracing::Level;

/// Bytes that stay resident whatever happens: the allocator's own.
const SLACK_KIB: usize = 12 << 10;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Ten thousand, or as many as this process may have with both ends of each in it.
fn crowd() -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    usize::try_from(soft.saturating_sub(200) / 2)
        .unwrap()
        .min(10_000)
}

fn pseudo_random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(|_| byte()).collect()
}

/// Everything here ends the connection: at once, or when its time is up.
fn strangers() -> Vec<Vec<u8>> {
    let mut all = vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"POST /send HTTP/1.1\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        (-1i32).to_be_bytes().to_vec(),
        i32::MIN.to_be_bytes().to_vec(),
        i32::MAX.to_be_bytes().to_vec(),
        0u32.to_be_bytes().to_vec(),
        3u32.to_be_bytes().to_vec(),
        // A header longer than its frame; a serialization that does not exist.
        vec![0, 0, 0, 10, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6],
        vec![0, 0, 0, 10, 9, 0, 0, 6, 1, 2, 3, 4, 5, 6],
        // Half a frame, half a length, and nothing at all.
        request(1, 1, b"half")[..20].to_vec(),
        vec![0, 0],
        vec![],
        // The largest frame allowed is announced and never sent.
        ((16u32 << 20) - 4).to_be_bytes().to_vec(),
    ];
    all.extend((0..48).map(|seed| pseudo_random(seed, 1 + seed as usize * 37)));
    all
}

fn visit(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(server);
    let _ = stream.write_all(bytes);
    stream
}

#[test]
fn strangers_are_turned_away_and_leave_nothing_behind() {
    log::catch();
    let limits = Limits {
        idle_timeout: Duration::from_millis(600),
        frame_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let (server, _) = echo(limits);

    // Every sort once: closed, and others served meanwhile.
    for bytes in strangers() {
        let mut stranger = visit(&server, &bytes);
        ask(&mut connect(&server), 1, b"undisturbed");
        assert_closed(&mut stranger);
    }
    let warned = log::lines(Level::WARN, "connection closed");
    assert!(!warned.is_empty());
    assert!(warned[0].contains("peer=127.0.0.1:"), "{warned:?}");
    assert!(
        warned[0].contains("looks_like=\"a TLS hello\""),
        "{warned:?}"
    );
    assert!(
        warned[0].contains("first_bytes=1603010200010001fc0303"),
        "{warned:?}"
    );

    // A first crowd, so that what is allocated once is allocated; then the same again.
    let crowd = crowd();
    let sorts = strangers();
    let visit_all = |count: usize| {
        let visitors: Vec<TcpStream> = (0..count)
            .map(|i| visit(&server, &sorts[i % sorts.len()]))
            .collect();
        for mut visitor in visitors {
            assert_closed(&mut visitor);
        }
        eventually("all gone", || server.connection_count() == 0);
    };
    visit_all(crowd);
    let (descriptors_before, resident_before) = (descriptors(), resident_kib());
    let warned_before = log::lines(Level::WARN, "").len();
    let started = rmq_core::base::clock::SystemClock::new();
    visit_all(crowd);
    let seconds = rmq_core::base::clock::Clock::monotonic(&started).as_secs() as usize;
    assert_eq!(descriptors(), descriptors_before);
    let resident = resident_kib();
    assert!(
        resident < resident_before + SLACK_KIB,
        "{resident_before} -> {resident} KiB"
    );
    // Two sorts of warning, one of each a second.
    let warned = log::lines(Level::WARN, "").len() - warned_before;
    assert!(
        warned <= 2 * (seconds + 2),
        "{warned} warnings in {seconds} s"
    );
    assert!(
        log::lines(Level::ERROR, "").is_empty(),
        "{:?}",
        log::lines(Level::ERROR, "")
    );
    ask(&mut connect(&server), 3, b"as if nothing had happened");
    idle_crowd_costs_little(crowd);
}

fn idle_crowd_costs_little(crowd: usize) {
    let (server, seen) = echo(Limits {
        idle_timeout: LONG,
        ..Limits::default()
    });
    let before = resident_kib();
    let mut visitors: Vec<TcpStream> = (0..crowd).map(|_| connect(&server)).collect();
    for visitor in &mut visitors {
        ask(visitor, 1, b"hello");
    }
    let each = resident_kib().saturating_sub(before) * 1024 / crowd;
    assert!(each < 2048, "{each} bytes for an idle connection");
    drop(visitors);
    eventually("all gone", || server.connection_count() == 0);
    assert_eq!(seen.closed.load(std::sync::atomic::Ordering::SeqCst), crowd);
}
