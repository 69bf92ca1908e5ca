//! The client over real sockets: calls, pushes, reconnects, limits, close.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "net/support.rs"]
mod support;

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rmq_core::base::{ErrorKind, thread};
use rmq_core::net::{Client, ClientConfig, Limits, Server};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use support::*;

fn client(config: ClientConfig) -> Client {
    Client::start(config, clock()).unwrap()
}

fn addr_of(server: &Server) -> String {
    server.local_addr(0).unwrap().to_string()
}

fn command(code: i32, body: &[u8]) -> Command {
    Command::bare_request(RequestCode::new(code)).with_body(body.to_vec())
}

#[test]
fn threads_share_one_connection_and_get_their_own_answers() {
    let (server, _) = echo(Limits::default());
    let (client, addr) = (client(ClientConfig::default()), addr_of(&server));
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (client, addr) = (&client, &addr);
            scope.spawn(move || {
                for i in 0..200 {
                    let body = vec![thread; i * 7 + 1];
                    let response = client.call(addr, command(1, &body), LONG).unwrap();
                    assert!(response.is_response());
                    assert_eq!(response.body, body);
                }
            });
        }
    });
    assert_eq!(server.connection_count(), 1);
    assert_eq!(client.in_flight(), 0);
    client.close(LONG).unwrap();
}

#[test]
fn host_names_are_resolved() {
    let (server, _) = echo(Limits::default());
    let client = client(ClientConfig::default());
    let addr = format!("localhost:{}", server.local_addr(0).unwrap().port());
    let response = client.call(&addr, command(1, b"by name"), LONG).unwrap();
    assert_eq!(&response.body[..], b"by name");
    for wrong in ["no port", "host:99999", ""] {
        let error = client.call(wrong, command(1, b""), LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
}

#[test]
fn a_call_without_answer_times_out_and_later_calls_go_on() {
    let (server, _) = echo(Limits::default());
    let (client, addr) = (client(ClientConfig::default()), addr_of(&server));
    let timeout = Duration::from_millis(50);
    let error = client
        .call(&addr, command(CODE_SILENCE, b""), timeout)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains(&addr), "{error}");
    client.call(&addr, command(1, b""), LONG).unwrap();
    assert_eq!(server.connection_count(), 1);
}

#[test]
fn a_refused_connect_fails_at_once_and_rests() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = client(ClientConfig::default());
    for _ in 0..3 {
        let error = client.call(&addr, command(1, b""), LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("efused"), "{error}");
    }
}

#[test]
fn a_connect_that_hangs_is_given_up() {
    // A listener whose backlog is full answers no further SYN.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&any_port().into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let fill: Vec<_> = (0..8)
        .map(|_| {
            let stream =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            stream.set_nonblocking(true).unwrap();
            let _ = stream.connect(&addr.into());
            stream
        })
        .collect();
    let limits = Limits {
        connect_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let client = client(ClientConfig {
        limits,
        ..ClientConfig::default()
    });
    let error = client
        .call(&addr.to_string(), command(1, b""), LONG)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    drop(fill);
}

#[test]
fn losing_the_connection_fails_its_calls_at_once_and_the_next_call_reconnects() {
    let (server, _) = echo(Limits::default());
    let (client, addr) = (client(ClientConfig::default()), addr_of(&server));
    client.call(&addr, command(1, b"warm"), LONG).unwrap();
    let (sender, outcomes) = mpsc::channel();
    for _ in 0..10 {
        let sender = sender.clone();
        client.call_async(&addr, command(CODE_SILENCE, b""), LONG, move |outcome| {
            sender.send(outcome.unwrap_err().kind()).unwrap();
        });
    }
    client
        .call(&addr, command(1, b"they are out"), LONG)
        .unwrap();
    let again = server.local_addr(0).unwrap();
    server.kill().unwrap();
    for _ in 0..10 {
        assert_eq!(outcomes.recv_timeout(LONG).unwrap(), ErrorKind::Unreachable);
    }
    let mut config = config(1, Limits::default());
    config.listeners = vec![(again, 0)];
    let (_server, _) = start(config);
    eventually("reconnected", || {
        client.call(&addr, command(1, b"again"), LONG).is_ok()
    });
}

#[test]
fn a_lost_connection_is_told_and_a_closed_one_is_not() {
    let (server, _) = echo(Limits::default());
    let (client, addr) = (client(ClientConfig::default()), addr_of(&server));
    let (sender, lost) = mpsc::channel();
    client.on_disconnect(move |addr| sender.send(addr.to_owned()).unwrap());
    // Refused is not lost.
    client
        .call("127.0.0.1:1", command(1, b""), LONG)
        .unwrap_err();
    client.call(&addr, command(1, b""), LONG).unwrap();
    server.kill().unwrap();
    assert_eq!(lost.recv_timeout(LONG).unwrap(), addr);
    let (other, _) = echo(Limits::default());
    client
        .call(&addr_of(&other), command(1, b""), LONG)
        .unwrap();
    client.close(LONG).unwrap();
    drop(client);
    assert!(lost.recv_timeout(LONG).is_err(), "told of its own close");
}

#[test]
fn a_server_that_drops_connections_at_once_is_not_hammered() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    listener.set_nonblocking(true).unwrap();
    let client = client(ClientConfig::default());
    let mut accepted = 0;
    for _ in 0..200 {
        let (sender, outcome) = mpsc::channel();
        client.call_async(&addr, command(1, b""), LONG, move |outcome| {
            sender.send(outcome.unwrap_err().kind()).unwrap();
        });
        let kind = loop {
            if let Ok((stream, _)) = listener.accept() {
                accepted += 1;
                drop(stream);
            }
            if let Ok(kind) = outcome.recv_timeout(Duration::from_millis(1)) {
                break kind;
            }
        };
        assert_eq!(kind, ErrorKind::Unreachable);
    }
    assert!(accepted < 20, "{accepted} connects for 200 calls");
}

#[test]
fn calls_in_flight_end_at_the_limit() {
    let (server, _) = echo(Limits::default());
    let config = ClientConfig {
        max_in_flight: 3,
        ..ClientConfig::default()
    };
    let (client, addr) = (client(config), addr_of(&server));
    for _ in 0..3 {
        client.call_async(&addr, command(CODE_SILENCE, b""), LONG, |_| {});
    }
    let error = client.call(&addr, command(1, b""), LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(
        client.oneway(&addr, command(1, b"")).unwrap_err().kind(),
        ErrorKind::Busy
    );
    assert_eq!(client.in_flight(), 3);
}

#[test]
fn a_request_at_the_frame_limit_goes_and_one_byte_more_does_not() {
    let (server, _) = echo(Limits::default());
    let mut frame = Vec::new();
    command(1, b"").encode(&mut frame);
    // Opaque is a decimal number in the header, here one digit; the body grows nothing else.
    let limits = Limits {
        max_frame_bytes: frame.len() + 1000,
        ..Limits::default()
    };
    let client = client(ClientConfig {
        limits,
        ..ClientConfig::default()
    });
    let addr = addr_of(&server);
    let largest = (980..=1000)
        .rev()
        .find(|len| client.call(&addr, command(1, &vec![1; *len]), LONG).is_ok())
        .unwrap();
    let error = client
        .call(&addr, command(1, &vec![1; 1001]), LONG)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(largest >= 990, "{largest}");
}

#[test]
fn what_waits_for_a_stalled_server_is_bounded() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let limits = Limits {
        outbox_soft_bytes: 1 << 20,
        ..Limits::default()
    };
    let client = client(ClientConfig {
        limits,
        ..ClientConfig::default()
    });
    let (sender, outcomes) = mpsc::channel();
    // The server accepts (the kernel does) and never reads.
    for _ in 0..200 {
        let sender = sender.clone();
        client.call_async(&addr, command(1, &vec![7; 100_000]), LONG, move |outcome| {
            let _ = sender.send(outcome.unwrap_err().kind());
        });
    }
    assert_eq!(outcomes.recv_timeout(LONG).unwrap(), ErrorKind::Busy);
    drop(listener);
}

#[test]
fn requests_pushed_by_a_server_reach_the_callback_and_can_be_answered() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let client = Arc::new(client(ClientConfig::default()));
    let (sender, pushed) = mpsc::channel();
    client.on_request(move |request| {
        assert!(request.answer(Command::response_to(
            &request.command,
            ResponseCode::new(0),
            Some("well received".to_owned()),
        )));
        sender
            .send((request.addr.to_string(), request.command))
            .unwrap();
    });
    client.oneway(&addr, command(1, b"hello")).unwrap();
    let (mut server_side, _) = listener.accept().unwrap();
    server_side.set_read_timeout(Some(LONG)).unwrap();
    let hello = receive(&mut server_side).unwrap();
    assert!(hello.is_oneway());
    server_side.write_all(&request(40, 77, b"notify")).unwrap();
    let answer = receive(&mut server_side).unwrap();
    assert!(answer.is_response());
    assert_eq!(
        (answer.opaque, answer.remark.as_deref()),
        (77, Some("well received"))
    );
    let (from, request) = pushed.recv_timeout(LONG).unwrap();
    assert_eq!(
        (from, request.code, &request.body[..]),
        (addr, 40, &b"notify"[..])
    );
}

#[test]
fn a_callback_cannot_wait_for_its_own_client_nor_harm_it() {
    let (server, _) = echo(Limits::default());
    let (client, addr) = (Arc::new(client(ClientConfig::default())), addr_of(&server));
    let (sender, outcome) = mpsc::channel();
    let (inner, inner_addr) = (Arc::clone(&client), addr.clone());
    client.call_async(&addr, command(1, b""), LONG, move |_| {
        let error = inner.call(&inner_addr, command(1, b""), LONG).unwrap_err();
        sender.send(error.kind()).unwrap();
        panic!("a callback panics on purpose");
    });
    assert_eq!(outcome.recv_timeout(LONG).unwrap(), ErrorKind::Internal);
    client
        .call(&addr, command(1, b"still there"), LONG)
        .unwrap();
    assert_eq!(server.connection_count(), 1);
}

#[test]
fn a_turn_is_over_after_the_calls_of_a_lost_connection_were_told() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    // No other time comes at which the client's thread would wake up by itself.
    let limits = Limits {
        connect_timeout: LONG * 10,
        idle_timeout: LONG * 10,
        ..Limits::default()
    };
    let client = client(ClientConfig {
        limits,
        ..ClientConfig::default()
    });
    let failed = Arc::new(AtomicBool::new(false));
    let (sender, turned) = mpsc::channel();
    let seen = Arc::clone(&failed);
    client.on_turn(move || {
        if seen.load(Ordering::SeqCst) {
            let _ = sender.send(());
        }
    });
    let fail = Arc::clone(&failed);
    client.call_async(
        &addr,
        command(CODE_SILENCE, b""),
        LONG * 10,
        move |outcome| {
            fail.store(outcome.is_err(), Ordering::SeqCst);
        },
    );
    let (mut server_side, _) = listener.accept().unwrap();
    receive(&mut server_side).unwrap();
    drop(server_side);
    turned.recv_timeout(LONG).unwrap();
}

#[test]
fn answers_that_nobody_waits_for_are_ignored() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let client = client(ClientConfig::default());
    let (sender, outcome) = mpsc::channel();
    client.call_async(&addr, command(1, b"q"), LONG, move |o| {
        sender.send(o).unwrap()
    });
    let (mut server_side, _) = listener.accept().unwrap();
    let request = receive(&mut server_side).unwrap();
    let mut bytes = Vec::new();
    let mut response = Command::response_to(&request, ResponseCode::new(0), None);
    for opaque in [request.opaque + 1, request.opaque, request.opaque] {
        response.opaque = opaque;
        response.encode(&mut bytes);
    }
    server_side.write_all(&bytes).unwrap();
    assert_eq!(
        outcome.recv_timeout(LONG).unwrap().unwrap().opaque,
        request.opaque
    );
}

#[test]
fn garbage_from_a_server_ends_the_connection_and_its_calls() {
    let listener = TcpListener::bind(any_port()).unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let client = client(ClientConfig::default());
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0, 0, 0, 10, 0, 0, 0, 6, 1, 2, 3, 4, 5, 6],
    ] {
        let (sender, outcome) = mpsc::channel();
        eventually("accepted", || {
            let sender = sender.clone();
            client.call_async(&addr, command(1, b"q"), LONG, move |o| {
                let _ = sender.send(o.unwrap_err().kind());
            });
            listener.set_nonblocking(true).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            let Ok((mut server_side, _)) = listener.accept() else {
                return false;
            };
            server_side.write_all(garbage).unwrap();
            true
        });
        assert_eq!(outcome.recv_timeout(LONG).unwrap(), ErrorKind::Unreachable);
    }
}

#[test]
fn close_answers_everyone_and_refuses_later_calls() {
    let (server, _) = echo(Limits::default());
    let (client, addr) = (Arc::new(client(ClientConfig::default())), addr_of(&server));
    client.call(&addr, command(1, b"warm"), LONG).unwrap();
    let (sender, outcomes) = mpsc::channel();
    for _ in 0..4 {
        let (client, addr, sender) = (Arc::clone(&client), addr.clone(), sender.clone());
        thread::spawn("test-caller", move || {
            let outcome = client.call(&addr, command(CODE_SILENCE, b""), LONG);
            sender.send(outcome.unwrap_err().kind()).unwrap();
        })
        .unwrap();
    }
    eventually("in flight", || client.in_flight() == 4);
    client.close(LONG).unwrap();
    client.close(LONG).unwrap();
    for _ in 0..4 {
        assert_eq!(outcomes.recv_timeout(LONG).unwrap(), ErrorKind::Closed);
    }
    let error = client.call(&addr, command(1, b""), LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(
        client.oneway(&addr, command(1, b"")).unwrap_err().kind(),
        ErrorKind::Closed
    );
    eventually("gone", || server.connection_count() == 0);
}

#[test]
fn close_writes_one_way_requests_that_wait_for_their_connection() {
    let (server, seen) = echo(Limits::default());
    let (client, addr) = (client(ClientConfig::default()), addr_of(&server));
    for _ in 0..50 {
        client
            .oneway(&addr, command(1, b"fire and forget"))
            .unwrap();
    }
    client.close(LONG).unwrap();
    eventually("arrived", || seen.frames.load(Ordering::SeqCst) == 50);
}

#[test]
fn dropping_a_client_fails_its_calls() {
    let (server, _) = echo(Limits::default());
    let (client, addr) = (client(ClientConfig::default()), addr_of(&server));
    let (sender, outcome) = mpsc::channel();
    client.call_async(&addr, command(CODE_SILENCE, b""), LONG, move |o| {
        sender.send(o.unwrap_err().kind()).unwrap();
    });
    drop(client);
    assert_eq!(outcome.recv_timeout(LONG).unwrap(), ErrorKind::Closed);
    eventually("gone", || server.connection_count() == 0);
}
