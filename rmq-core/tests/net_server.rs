//! The server over real sockets: framing, order, back pressure, timeouts, shutdown.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "net/support.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use rmq_core::base::{ErrorKind, thread};
use rmq_core::net::{CloseReason, ConnectionId, Handler, Io, Limits, Peer, Server};
use rmq_core::protocol::code::RequestCode;
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::{self, FrameRef};
use support::*;

#[test]
fn answers_frames_however_they_are_cut() {
    let (server, _) = echo(Limits::default());
    let mut stream = connect(&server);
    let frame = request(1, 5, b"in pieces");
    for piece in [1, 3, 4, 7, 8, 9, frame.len()] {
        for chunk in frame.chunks(piece) {
            stream.write_all(chunk).unwrap();
        }
        assert_eq!(&receive(&mut stream).unwrap().body[..], b"in pieces");
    }
    server.shutdown(LONG).unwrap();
}

#[test]
fn keeps_the_order_of_many_frames_of_all_sizes() {
    let limits = Limits {
        read_buffer_bytes: 10_000,
        frames_per_call: 7,
        ..Limits::default()
    };
    let (server, seen) = echo(limits);
    let mut stream = connect(&server);
    let bodies: Vec<Vec<u8>> = (0..400usize)
        .map(|i| vec![i as u8; (i * i * 7) % 30_011])
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let sent = bodies.clone();
    let writing = thread::spawn("test-peer", move || {
        for (opaque, body) in (0..).zip(&sent) {
            writer.write_all(&request(1, opaque, body)).unwrap();
        }
    });
    for (opaque, body) in (0..).zip(&bodies) {
        let response = receive(&mut stream).unwrap();
        assert_eq!(response.opaque, opaque);
        assert!(response.body == body, "frame {opaque} came back changed");
    }
    writing.unwrap().join_deadline(LONG).unwrap();
    assert_eq!(seen.frames.load(Ordering::SeqCst), 400);
}

#[test]
fn many_frames_of_one_read_are_one_call() {
    let (server, seen) = echo(Limits::default());
    let mut stream = connect(&server);
    let frames: Vec<u8> = (0..100)
        .flat_map(|opaque| request(1, opaque, b"x"))
        .collect();
    stream.write_all(&frames).unwrap();
    for opaque in 0..100 {
        assert_eq!(receive(&mut stream).unwrap().opaque, opaque);
    }
    assert!(seen.calls.load(Ordering::SeqCst) < 10, "{seen:?}");
}

#[test]
fn a_header_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let with_header_of = |len: usize| {
        let mut bytes = Vec::new();
        let mut command = Command::bare_request(RequestCode::new(1));
        command.remark = Some(String::new());
        command.encode(&mut bytes);
        let bare = bytes.len() - frame::PREFIX_LEN;
        command.remark = Some("r".repeat(len - bare));
        bytes.clear();
        command.encode(&mut bytes);
        // An empty remark may be left out, so the first guess can be short.
        let actual = bytes.len() - frame::PREFIX_LEN;
        command.remark = Some("r".repeat(2 * len - bare - actual));
        bytes.clear();
        command.encode(&mut bytes);
        assert_eq!(bytes.len() - frame::PREFIX_LEN, len);
        bytes
    };
    let (server, seen) = echo(Limits {
        max_header_bytes: 1024,
        ..Limits::default()
    });
    let mut stream = connect(&server);
    stream.write_all(&with_header_of(1024)).unwrap();
    receive(&mut stream).unwrap();
    stream.write_all(&with_header_of(1025)).unwrap();
    assert_closed(&mut stream);
    eventually("close told", || seen.closed.load(Ordering::SeqCst) == 1);
    assert!(seen.reasons()[0].contains("1024 are allowed"), "{seen:?}");
}

#[test]
fn a_frame_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let (server, seen) = echo(Limits {
        max_frame_bytes: 100_000,
        ..Limits::default()
    });
    let mut stream = connect(&server);
    stream.write_all(&request_of_len(1, 100_000)).unwrap();
    assert_eq!(receive(&mut stream).unwrap().opaque, 1);
    // The reply to what came before a bad frame still arrives.
    let mut bytes = request(1, 2, b"good");
    bytes.extend(&request_of_len(3, 100_001)[..64]);
    stream.write_all(&bytes).unwrap();
    assert_eq!(receive(&mut stream).unwrap().opaque, 2);
    assert_closed(&mut stream);
    eventually("close told", || seen.closed.load(Ordering::SeqCst) == 1);
    assert!(seen.reasons()[0].contains("not a frame"), "{seen:?}");
    ask(&mut connect(&server), 4, b"others are served");
}

#[test]
fn connections_are_spread_over_the_reactors_with_their_tags() {
    let mut config = config(2, Limits::default());
    config.listeners = vec![(any_port(), 0), (any_port(), 1)];
    let (server, seen) = start(config);
    let (main, vip) = (server.local_addr(0).unwrap(), server.local_addr(1).unwrap());
    assert!(main.port() != 0 && vip.port() != 0 && main != vip);
    assert_eq!(server.local_addr(2), None);
    let mut streams: Vec<TcpStream> = [main, vip, main, vip, main, vip]
        .iter()
        .map(|addr| TcpStream::connect(addr).unwrap())
        .collect();
    for (opaque, stream) in (0..).zip(&mut streams) {
        ask(stream, opaque, b"hello");
    }
    assert_eq!(server.connection_count(), 6);
    let peers = seen.peers.lock().unwrap().clone();
    for reactor in [0, 1] {
        assert_eq!(
            peers
                .iter()
                .filter(|(id, _)| id.reactor() == reactor)
                .count(),
            3
        );
    }
    for (_, peer) in peers {
        assert_eq!(peer.local, if peer.listener == 0 { main } else { vip });
        assert!(
            streams
                .iter()
                .any(|s| s.local_addr().unwrap() == peer.remote)
        );
    }
    drop(streams);
    eventually("all closed", || server.connection_count() == 0);
}

#[test]
fn a_port_in_use_is_one_clear_error() {
    let (server, _) = echo(Limits::default());
    let taken = server.local_addr(0).unwrap();
    let mut second = config(1, Limits::default());
    second.listeners = vec![(any_port(), 0), (taken, 1)];
    let error = Server::start(second, |_, _| unreachable!()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressInUse);
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[test]
fn one_connection_more_than_the_limit_is_closed() {
    let (server, _) = echo(Limits {
        max_connections: 3,
        ..Limits::default()
    });
    let mut open: Vec<_> = (0..3).map(|_| connect(&server)).collect();
    for stream in &mut open {
        ask(stream, 1, b"in");
    }
    assert_closed(&mut connect(&server));
    ask(&mut open[0], 2, b"still in");
    drop(open.pop());
    eventually("room again", || server.connection_count() == 2);
    ask(&mut connect(&server), 3, b"in again");
}

#[test]
fn a_panic_costs_its_connection_and_nothing_else() {
    let (server, seen) = echo(Limits::default());
    let mut bystander = connect(&server);
    ask(&mut bystander, 1, b"before");
    let mut stream = connect(&server);
    let mut bytes = request(
        1,
        2,
        b"answered before the panic, in another call or not at all",
    );
    bytes.extend(request(CODE_PANIC, 3, b""));
    stream.write_all(&bytes).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    let half = b"half a reply";
    assert!(
        !rest.windows(half.len()).any(|w| w == half),
        "half a reply was written"
    );
    eventually("closed", || seen.closed.load(Ordering::SeqCst) == 1);
    assert_eq!(seen.reasons(), ["request handler panicked"]);
    ask(&mut bystander, 4, b"after");
}

#[test]
fn close_by_the_handler_writes_what_was_put_in_before() {
    let (server, seen) = echo(Limits::default());
    let mut stream = connect(&server);
    let mut bytes = request(1, 1, &vec![b'y'; 500_000]);
    bytes.extend(request(CODE_CLOSE, 2, b""));
    stream.write_all(&bytes).unwrap();
    assert_eq!(receive(&mut stream).unwrap().body.len(), 500_000);
    assert_closed(&mut stream);
    drop(stream);
    eventually("gone", || server.connection_count() == 0);
    assert_eq!(seen.reasons(), ["closed by this side"]);
}

#[test]
fn a_closed_connection_goes_even_if_its_peer_does_not() {
    let limits = Limits {
        close_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let (server, seen) = echo(limits);
    // One peer leaves its answer unread, the other never ends its own side.
    let mut deaf = connect(&server);
    let mut bytes = request(CODE_BYTES, 1, b"50000000");
    bytes.extend(request(CODE_CLOSE, 2, b""));
    deaf.write_all(&bytes).unwrap();
    let mut open = connect(&server);
    open.write_all(&request(CODE_CLOSE, 1, b"")).unwrap();
    assert_closed(&mut open);
    eventually("gone", || server.connection_count() == 0);
    assert_eq!(
        seen.reasons(),
        ["closed by this side", "closed by this side"]
    );
}

#[test]
fn a_peer_that_ends_its_stream_gets_its_answers() {
    let (server, _) = echo(Limits::default());
    let mut stream = connect(&server);
    stream
        .write_all(&request(1, 1, &vec![b'z'; 3_000_000]))
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream).unwrap().body.len(), 3_000_000);
    assert!(receive(&mut stream).is_none());
    eventually("gone", || server.connection_count() == 0);
}

#[test]
fn a_slow_reader_stops_being_read_and_comes_back() {
    let limits = Limits {
        outbox_soft_bytes: 64 << 10,
        frames_per_call: 4,
        ..Limits::default()
    };
    let (server, seen) = echo(limits);
    let mut stream = connect(&server);
    let mut writer = stream.try_clone().unwrap();
    const REQUESTS: usize = 20_000;
    let writing = thread::spawn("test-peer", move || {
        for opaque in 0..REQUESTS as i32 {
            writer
                .write_all(&request(CODE_BYTES, opaque, b"5000"))
                .unwrap();
        }
    });
    // Nothing is read here until the server has stopped taking requests.
    let (mut before, mut taken) = (0, 1);
    while before < taken {
        std::thread::sleep(Duration::from_millis(150));
        before = taken;
        taken = seen.frames.load(Ordering::SeqCst);
    }
    assert!(
        taken < REQUESTS,
        "everything was read although nobody took the answers"
    );
    // A second connection is served meanwhile.
    ask(&mut connect(&server), 1, b"not stalled");
    for opaque in 0..REQUESTS as i32 {
        let response = receive(&mut stream).unwrap();
        assert_eq!((response.opaque, response.body.len()), (opaque, 5000));
    }
    writing.unwrap().join_deadline(LONG).unwrap();
}

#[test]
fn a_reader_far_behind_is_closed() {
    let limits = Limits {
        outbox_soft_bytes: 1 << 20,
        outbox_hard_bytes: 20 << 20,
        ..Limits::default()
    };
    let (server, seen) = echo(limits);
    let mut patient = connect(&server);
    // One answer below the hard limit is kept for as long as it takes.
    patient
        .write_all(&request(CODE_BYTES, 1, b"15000000"))
        .unwrap();
    let mut greedy = connect(&server);
    for opaque in 0..3 {
        greedy
            .write_all(&request(CODE_BYTES, opaque, b"15000000"))
            .unwrap();
    }
    eventually("closed", || seen.closed.load(Ordering::SeqCst) == 1);
    assert_eq!(seen.reasons(), ["too much unread data"]);
    assert_eq!(receive(&mut patient).unwrap().body.len(), 15_000_000);
}

#[test]
fn idle_and_unfinished_connections_are_closed_in_time() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(400),
        frame_timeout: Duration::from_millis(150),
        ..Limits::default()
    };
    let (server, seen) = echo(limits);
    let mut half = connect(&server);
    half.write_all(&request(1, 1, b"whole")).unwrap();
    half.write_all(&request(1, 2, b"half")[..20]).unwrap();
    assert_eq!(receive(&mut half).unwrap().opaque, 1);
    assert_closed(&mut half);
    assert!(
        seen.reasons()[0].contains("not finished in time"),
        "{seen:?}"
    );
    let mut idle = connect(&server);
    assert_closed(&mut idle);
    assert_eq!(seen.reasons()[1], "idle for too long");
}

#[test]
fn a_trickled_frame_is_not_kept_alive_by_its_bytes() {
    let limits = Limits {
        idle_timeout: LONG,
        frame_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let (server, seen) = echo(limits);
    let mut stream = connect(&server);
    for byte in request(1, 1, &[0; 200]) {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    eventually("closed", || seen.closed.load(Ordering::SeqCst) == 1);
    assert!(
        seen.reasons()[0].contains("not finished in time"),
        "{seen:?}"
    );
}

#[test]
fn other_threads_send_close_and_wake() {
    let (server, seen) = echo(Limits::default());
    let mut stream = connect(&server);
    ask(&mut stream, 1, b"hello");
    let conn = seen.peers.lock().unwrap()[0].0;
    let reactor = &server.reactors()[0];
    assert!(reactor.send(conn, Bytes::from(request(1, 9, b"pushed"))));
    assert_eq!(&receive(&mut stream).unwrap().body[..], b"pushed");
    reactor.wake();
    eventually("woken", || seen.woken.load(Ordering::SeqCst) > 0);
    assert!(reactor.close(conn));
    assert_closed(&mut stream);
    drop(stream);
    eventually("gone", || server.connection_count() == 0);
    // A stale id reaches nobody, even when the slot has a new tenant.
    let mut next = connect(&server);
    ask(&mut next, 2, b"next");
    assert!(reactor.send(conn, Bytes::from(request(1, 9, b"stale"))));
    assert!(reactor.close(conn));
    ask(&mut next, 3, b"undisturbed");
    server.shutdown(LONG).unwrap();
    assert!(!reactor.send(conn, Bytes::new()), "taken after the end");
}

#[test]
fn shutdown_writes_what_was_answered_and_ends() {
    let (server, seen) = echo(Limits::default());
    let addr = server.local_addr(0).unwrap();
    let mut stream = connect(&server);
    stream
        .write_all(&request(CODE_BYTES, 1, b"8000000"))
        .unwrap();
    eventually("taken", || seen.frames.load(Ordering::SeqCst) == 1);
    let mut idle = connect(&server);
    ask(&mut idle, 1, b"idle");
    let reading = thread::spawn("test-peer", move || {
        assert_eq!(receive(&mut stream).unwrap().body.len(), 8_000_000);
        assert!(receive(&mut stream).is_none());
    });
    let closing = thread::spawn("test-peer", move || assert_closed(&mut idle));
    server.shutdown(LONG).unwrap();
    server.shutdown(LONG).unwrap();
    reading.unwrap().join_deadline(LONG).unwrap();
    closing.unwrap().join_deadline(LONG).unwrap();
    assert_eq!(seen.closed.load(Ordering::SeqCst), 2);
    assert_refused(addr);
}

#[test]
fn shutdown_does_not_wait_for_a_peer_that_does_not_read() {
    let (server, seen) = echo(Limits::default());
    let mut stream = connect(&server);
    stream
        .write_all(&request(CODE_BYTES, 1, b"50000000"))
        .unwrap();
    eventually("taken", || seen.frames.load(Ordering::SeqCst) == 1);
    server.shutdown(Duration::from_millis(50)).unwrap();
    assert_eq!(seen.closed.load(Ordering::SeqCst), 1);
}

#[test]
fn kill_and_drop_are_abrupt_and_leave_nothing() {
    for by_drop in [false, true] {
        let (server, seen) = echo(Limits::default());
        let addr = server.local_addr(0).unwrap();
        let mut stream = connect(&server);
        ask(&mut stream, 1, b"alive");
        if by_drop {
            drop(server);
        } else {
            server.kill().unwrap();
        }
        assert_closed(&mut stream);
        assert_eq!(seen.closed.load(Ordering::SeqCst), 0, "handlers were told");
        assert_refused(addr);
    }
}

fn assert_refused(addr: SocketAddr) {
    let error = TcpStream::connect(addr).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// Asks to be called every few milliseconds, and is not drained before it has been called often.
struct Ticking {
    seen: Arc<Seen>,
    ticks: u32,
}

impl Handler for Ticking {
    fn opened(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _peer: &Peer) {}

    fn frames(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _frames: &[FrameRef<'_>]) {}

    fn closed(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _reason: &CloseReason) {}

    fn woken(&mut self, io: &mut Io<'_>) {
        // From its own thread it is called again, not at once but in the next turn.
        if self.seen.woken.fetch_add(1, Ordering::SeqCst) == 0 {
            io.reactor().wake();
        }
    }

    fn tick(&mut self, io: &mut Io<'_>, now: Duration) -> Option<Duration> {
        assert_eq!(now, io.now());
        self.ticks += 1;
        self.seen.calls.fetch_add(1, Ordering::SeqCst);
        Some(now + Duration::from_millis(2))
    }

    fn drained(&mut self, _io: &mut Io<'_>) -> bool {
        self.ticks >= 50
    }
}

#[test]
fn handlers_are_called_when_they_asked_and_drain_before_the_end() {
    let seen = Arc::new(Seen::default());
    let server = Server::start(config(1, Limits::default()), |_, _| {
        Box::new(Ticking {
            seen: Arc::clone(&seen),
            ticks: 0,
        })
    })
    .unwrap();
    eventually("ticks without events", || {
        seen.calls.load(Ordering::SeqCst) > 5
    });
    server.reactors()[0].wake();
    eventually("woken by itself", || seen.woken.load(Ordering::SeqCst) == 2);
    server.shutdown(LONG).unwrap();
    assert!(seen.calls.load(Ordering::SeqCst) >= 50);
    assert_eq!(seen.woken.load(Ordering::SeqCst), 2);
}

#[test]
fn a_handler_that_blocks_is_left_behind_at_the_deadline() {
    struct Stuck(mpsc::Receiver<()>);
    impl Handler for Stuck {
        fn opened(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _peer: &Peer) {}
        fn frames(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _f: &[FrameRef<'_>]) {}
        fn closed(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _reason: &CloseReason) {}
        fn woken(&mut self, _io: &mut Io<'_>) {
            let _ = self.0.recv();
        }
        fn tick(&mut self, _io: &mut Io<'_>, _now: Duration) -> Option<Duration> {
            None
        }
    }
    let (release, held) = mpsc::channel();
    let mut held = Some(held);
    let server = Server::start(config(1, Limits::default()), |_, _| {
        Box::new(Stuck(held.take().unwrap()))
    })
    .unwrap();
    server.reactors()[0].wake();
    let error = server.shutdown(Duration::from_millis(10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    drop(release);
    server.shutdown(LONG).unwrap();
}
