//! Fences over real sockets: what is cut waits, what is healed goes on, nothing is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "net/support.rs"]
mod support;

use std::io::{ErrorKind::WouldBlock, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmq_core::base::ErrorKind;
use rmq_core::net::{Client, ClientConfig, Fence, Limits, Server};
use rmq_core::protocol::code::RequestCode;
use rmq_core::protocol::command::Command;
use support::*;

/// Where plain sockets of the tests come from.
const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Long enough for whatever should not happen to happen.
const QUIET: Duration = Duration::from_millis(60);

fn address(last: u8) -> IpAddr {
    IpAddr::from([127, 70, 0, last])
}

fn server_at(server: IpAddr, fence: &Fence, limits: Limits) -> (Server, Arc<Seen>) {
    let mut config = config(2, limits);
    config.listeners = vec![(SocketAddr::new(server, 0), 0)];
    config.fence = fence.clone();
    start(config)
}

fn client_at(client: IpAddr, fence: &Fence, limits: Limits) -> Client {
    let config = ClientConfig {
        bind: Some(client),
        fence: fence.clone(),
        limits,
        ..ClientConfig::default()
    };
    Client::start(config, clock()).unwrap()
}

fn addr_of(server: &Server) -> String {
    server.local_addr(0).unwrap().to_string()
}

fn command(code: i32, body: &[u8]) -> Command {
    Command::bare_request(RequestCode::new(code)).with_body(body.to_vec())
}

fn frames(seen: &Seen) -> usize {
    seen.frames.load(Ordering::SeqCst)
}

fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), WouldBlock, "{error}");
    stream.set_read_timeout(Some(LONG)).unwrap();
}

#[test]
fn what_is_sent_across_a_cut_waits_in_the_kernel() {
    let (fence, here) = (Fence::default(), address(1));
    let (server, seen) = server_at(here, &fence, Limits::default());
    let mut stream = connect(&server);
    ask(&mut stream, 1, b"before");
    fence.cut(OUTSIDE, here);
    stream.write_all(&request(1, 2, b"during")).unwrap();
    assert_silent(&mut stream);
    assert_eq!(frames(&seen), 1);
    fence.heal(OUTSIDE, here);
    assert_eq!(&receive(&mut stream).unwrap().body[..], b"during");
    ask(&mut stream, 3, b"after");
}

#[test]
fn a_one_way_cut_lets_requests_in_and_no_answers_out() {
    let (fence, here) = (Fence::default(), address(1));
    let (server, seen) = server_at(here, &fence, Limits::default());
    let mut stream = connect(&server);
    fence.cut(here, OUTSIDE);
    for opaque in 0..10 {
        stream.write_all(&request(1, opaque, b"in")).unwrap();
    }
    eventually("requests heard", || frames(&seen) == 10);
    assert_silent(&mut stream);
    // A cut between others changes nothing.
    fence.cut(address(2), address(3));
    fence.heal(address(2), address(3));
    assert_silent(&mut stream);
    fence.heal_all();
    for opaque in 0..10 {
        assert_eq!(receive(&mut stream).unwrap().opaque, opaque);
    }
}

#[test]
fn a_large_answer_goes_on_where_it_was_cut() {
    let (fence, here) = (Fence::default(), address(1));
    let (server, _) = server_at(here, &fence, Limits::default());
    let mut stream = connect(&server);
    let bytes = 40 << 20;
    let asked = request(CODE_BYTES, 1, bytes.to_string().as_bytes());
    stream.write_all(&asked).unwrap();
    stream.write_all(&request(1, 2, b"behind it")).unwrap();
    let mut got = vec![0; 100_000];
    stream.read_exact(&mut got).unwrap();
    let total = 4 + u32::from_be_bytes(got[..4].try_into().unwrap()) as usize;
    let mut chunk = vec![0; 1 << 20];
    let mut cuts = 0;
    while got.len() < total {
        fence.cut_all([(here, OUTSIDE), (OUTSIDE, here)]);
        stream.set_read_timeout(Some(QUIET)).unwrap();
        // What the kernels hold still arrives; then nothing.
        while let Ok(read) = stream.read(&mut chunk) {
            got.extend_from_slice(&chunk[..read]);
        }
        cuts += 1;
        stream.set_read_timeout(Some(LONG)).unwrap();
        fence.heal_all();
        if got.len() < total {
            let read = stream.read(&mut chunk).unwrap();
            got.extend_from_slice(&chunk[..read]);
        }
    }
    assert!(cuts > 1, "the kernels took it all: {cuts}");
    let body = &got[total - bytes..total];
    assert!(body.iter().all(|byte| *byte == b'x'));
    let mut rest = got.split_off(total);
    while !rest.ends_with(b"behind it") {
        let read = stream.read(&mut chunk).unwrap();
        rest.extend_from_slice(&chunk[..read]);
    }
}

#[test]
fn many_connections_of_all_reactors_go_on_at_once() {
    let (fence, here) = (Fence::default(), address(1));
    let (server, _) = server_at(here, &fence, Limits::default());
    let mut streams: Vec<TcpStream> = (0..40).map(|_| connect(&server)).collect();
    for round in 0..20 {
        match round % 3 {
            0 => fence.isolate(here),
            1 => fence.cut(OUTSIDE, here),
            _ => fence.cut(here, OUTSIDE),
        }
        for stream in &mut streams {
            stream.write_all(&request(1, round, b"round")).unwrap();
        }
        fence.heal_all();
        fence.restore(here);
        for stream in &mut streams {
            assert_eq!(receive(stream).unwrap().opaque, round);
        }
    }
}

#[test]
fn a_connect_across_a_cut_hangs_until_its_time_limit() {
    let (fence, here, there) = (Fence::default(), address(1), address(2));
    let (server, seen) = server_at(here, &fence, Limits::default());
    let client = client_at(
        there,
        &fence,
        Limits {
            connect_timeout: QUIET,
            ..Limits::default()
        },
    );
    for (from, to) in [(here, there), (there, here)] {
        fence.cut(from, to);
        let error = client.call(&addr_of(&server), command(1, b""), LONG);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("timed out"), "{error}");
        fence.heal_all();
    }
    // A port that refuses is as silent as one that listens.
    fence.cut(there, here);
    let nobody = SocketAddr::new(here, 9).to_string();
    let error = client.call(&nobody, command(1, b""), LONG).unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
    assert_eq!(seen.opened.load(Ordering::SeqCst), 0);
    assert_eq!(server.connection_count(), 0);
}

#[test]
fn a_connect_that_hangs_goes_on_when_the_cut_heals() {
    let (fence, here, there) = (Fence::default(), address(1), address(2));
    let (server, seen) = server_at(here, &fence, Limits::default());
    let limits = Limits {
        connect_timeout: LONG,
        ..Limits::default()
    };
    let client = client_at(there, &fence, limits);
    fence.cut(there, here);
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| client.call(&addr_of(&server), command(1, b"late"), LONG));
        eventually("call under way", || client.in_flight() == 1);
        std::thread::sleep(QUIET);
        assert_eq!(seen.opened.load(Ordering::SeqCst), 0);
        fence.heal_all();
        assert_eq!(&calling.join().unwrap().unwrap().body[..], b"late");
    });
    let peer = seen.peers.lock().unwrap()[0].1;
    assert_eq!(peer.remote.ip(), there, "the source address");
    assert_eq!(peer.local.ip(), here);
}

#[test]
fn a_listener_behind_a_fence_accepts_and_says_nothing() {
    let (fence, here) = (Fence::default(), address(1));
    fence.isolate(here);
    let (server, seen) = server_at(here, &fence, Limits::default());
    let outside = Client::start(ClientConfig::default(), clock()).unwrap();
    let error = outside.call(&addr_of(&server), command(1, b""), QUIET);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(frames(&seen), 0);
    fence.restore(here);
    outside
        .call(&addr_of(&server), command(1, b""), LONG)
        .unwrap();
    assert_eq!(server.connection_count(), 1, "it was the same connection");
}

#[test]
fn an_end_behind_a_fence_is_not_noticed_before_it_heals() {
    let (fence, here) = (Fence::default(), address(1));
    let (server, seen) = server_at(here, &fence, Limits::default());
    let mut stream = connect(&server);
    ask(&mut stream, 1, b"there");
    fence.cut(OUTSIDE, here);
    drop(stream);
    std::thread::sleep(QUIET);
    assert_eq!(seen.closed.load(Ordering::SeqCst), 0);
    fence.heal_all();
    eventually("the end noticed", || {
        seen.closed.load(Ordering::SeqCst) == 1
    });
}

#[test]
fn time_runs_on_behind_a_fence() {
    let (fence, here) = (Fence::default(), address(1));
    let limits = Limits {
        idle_timeout: QUIET,
        ..Limits::default()
    };
    let (server, seen) = server_at(here, &fence, limits);
    let mut stream = connect(&server);
    eventually("opened", || seen.opened.load(Ordering::SeqCst) == 1);
    fence.isolate(here);
    stream.write_all(&request(1, 1, b"not read")).unwrap();
    eventually("closed", || seen.closed.load(Ordering::SeqCst) == 1);
    assert!(seen.reasons()[0].contains("idle"), "{seen:?}");
    assert_eq!(frames(&seen), 0);
}

#[test]
fn too_much_for_a_peer_that_is_cut_off_is_too_much() {
    let (fence, here) = (Fence::default(), address(1));
    let limits = Limits {
        outbox_soft_bytes: 10_000,
        outbox_hard_bytes: 100_000,
        ..Limits::default()
    };
    let (server, seen) = server_at(here, &fence, limits);
    let mut stream = connect(&server);
    ask(&mut stream, 1, b"there");
    fence.cut(here, OUTSIDE);
    // Above the soft bound nothing more is read, above the hard one the connection ends.
    stream.write_all(&request(CODE_BYTES, 2, b"20000")).unwrap();
    eventually("heard", || frames(&seen) == 2);
    stream.write_all(&request(1, 3, b"")).unwrap();
    std::thread::sleep(QUIET);
    assert_eq!(frames(&seen), 2);
    fence.heal_all();
    assert_eq!(receive(&mut stream).unwrap().body.len(), 20_000);
    assert_eq!(receive(&mut stream).unwrap().opaque, 3);
    fence.cut(here, OUTSIDE);
    stream
        .write_all(&request(CODE_BYTES, 4, b"200000"))
        .unwrap();
    eventually("closed", || seen.closed.load(Ordering::SeqCst) == 1);
    assert!(seen.reasons()[0].contains("unread"), "{seen:?}");
}

#[test]
fn callers_get_every_answer_through_a_storm_of_cuts() {
    let (fence, here, there) = (Fence::default(), address(1), address(2));
    let (server, _) = server_at(here, &fence, Limits::default());
    let (client, addr) = (
        client_at(there, &fence, Limits::default()),
        addr_of(&server),
    );
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let calling: Vec<_> = (0..4u8)
            .map(|thread| {
                let (client, addr) = (&client, &addr);
                scope.spawn(move || {
                    for i in 0..100usize {
                        let body = vec![thread; 1 + (i * i * 977) % 100_000];
                        let answer = client.call(addr, command(1, &body), LONG).unwrap();
                        assert!(answer.body == body, "another's answer");
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let mut turn = 0;
            while !over.load(Ordering::SeqCst) {
                turn += 1;
                match turn % 4 {
                    0 => fence.cut(here, there),
                    1 => fence.cut(there, here),
                    2 => fence.isolate(here),
                    _ => fence.isolate(there),
                }
                std::thread::sleep(Duration::from_micros(300));
                fence.heal_all();
                fence.restore(here);
                fence.restore(there);
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let done: Vec<_> = calling.into_iter().map(|one| one.join()).collect();
        over.store(true, Ordering::SeqCst);
        assert!(done.iter().all(Result::is_ok));
    });
    assert_eq!(server.connection_count(), 1, "no connection was lost");
    client.close(LONG).unwrap();
    server.shutdown(LONG).unwrap();
}

#[test]
fn ends_come_in_time_behind_a_fence() {
    let (fence, here, there) = (Fence::default(), address(1), address(2));
    let (server, seen) = server_at(here, &fence, Limits::default());
    let client = client_at(there, &fence, Limits::default());
    let addr = addr_of(&server);
    client.call(&addr, command(1, b""), LONG).unwrap();
    fence.isolate(here);
    client.oneway(&addr, command(1, b"never sent")).unwrap();
    let killed = client_at(address(3), &fence, Limits::default());
    killed.oneway(&addr, command(1, b"never sent")).unwrap();
    killed.kill().unwrap();
    let error = killed.call(&addr, command(1, b""), LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let short = Duration::from_millis(100);
    client.close(short).unwrap();
    server.shutdown(short).unwrap();
    assert_eq!(frames(&seen), 1);
}
