//! Descriptors run out. One test, for it lowers the limit of its whole process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "net/log.rs"]
mod log;
#[path = "net/support.rs"]
mod support;

use std::net::TcpStream;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rmq_core::net::Limits;
use socket2::{Domain, Socket, Type};
use support::*;
use tracing::Level;

/// Connections that fit below the lowered limit.
const ROOM: usize = 4;

#[test]
fn a_shortage_of_descriptors_is_waited_out() {
    log::catch();
    let (server, seen) = echo(Limits::default());
    let addr = server.local_addr(0).unwrap();
    // The client's ends have their descriptors before the limit comes down.
    let sockets: Vec<Socket> = (0..12)
        .map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap())
        .collect();
    let free = std::fs::File::open("/proc/self/fd").unwrap();
    let highest = std::os::fd::AsRawFd::as_raw_fd(&free);
    drop(free);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let lowered = u64::try_from(highest).unwrap() + ROOM as u64;
    setrlimit(Resource::RLIMIT_NOFILE, lowered, hard).unwrap();

    let mut streams: Vec<TcpStream> = sockets
        .into_iter()
        .map(|socket| {
            socket.set_read_timeout(Some(LONG)).unwrap();
            socket.connect(&addr.into()).unwrap();
            socket.into()
        })
        .collect();
    let served = || seen.opened.load(std::sync::atomic::Ordering::SeqCst);
    eventually("as many as fit are served", || served() == ROOM);
    eventually("it is said", || {
        !log::lines(Level::ERROR, "cannot accept").is_empty()
    });
    // Open connections go on, and the listener goes on trying.
    for _ in 0..20 {
        ask(&mut streams[0], 1, b"open ones go on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(served(), ROOM);
    assert_eq!(
        log::lines(Level::ERROR, "").len(),
        1,
        "{:?}",
        log::lines(Level::ERROR, "")
    );

    // Room again: those that waited are served.
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    for stream in &mut streams {
        ask(stream, 2, b"served at last");
    }
    assert_eq!(
        log::lines(Level::INFO, "accepting connections again").len(),
        1
    );
}
