//! The network does to packets what the faults say.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::hosts::Network;

const PORT: u16 = 9000;
/// Long enough for an answer on an idle machine, and for a packet to be sent again.
const PATIENCE: Duration = Duration::from_millis(400);

/// A connection from one host to another: both of its ends.
struct Pipe {
    near: TcpStream,
    far: TcpStream,
}

fn pipe(network: &Network, from: usize, to: usize) -> Pipe {
    let address: SocketAddr = format!("{}:{PORT}", Network::address(to)).parse().unwrap();
    let listener = network
        .host(to)
        .within(|| TcpListener::bind(address).unwrap());
    let near = network
        .host(from)
        .within(|| TcpStream::connect(address).unwrap());
    let (far, _) = listener.accept().unwrap();
    for end in [&near, &far] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        end.set_nodelay(true).unwrap();
    }
    Pipe { near, far }
}

fn arrives(mut from: &TcpStream, mut to: &TcpStream) -> bool {
    from.write_all(b"x").unwrap();
    match to.read_exact(&mut [0]) {
        Ok(()) => true,
        Err(error) => {
            let silent = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
            assert!(silent.contains(&error.kind()), "{error}");
            false
        }
    }
}

#[test]
fn cuts_are_silent_one_way_and_heal() {
    let Some(network) = Network::new(3) else {
        return;
    };
    let pipes = [pipe(&network, 0, 1), pipe(&network, 0, 2)];
    let both = |pipe: &Pipe| {
        [
            arrives(&pipe.near, &pipe.far),
            arrives(&pipe.far, &pipe.near),
        ]
    };
    assert_eq!(pipes.each_ref().map(both), [[true; 2]; 2]);
    network.cut(0, 1);
    // Not even an acknowledgement gets back, yet what the other sends arrives.
    assert!(!arrives(&pipes[0].near, &pipes[0].far));
    assert!(arrives(&pipes[0].far, &pipes[0].near));
    assert_eq!(both(&pipes[1]), [true; 2]);
    network.heal(0, 1);
    let mut waiting = [0];
    pipes[0].far.set_read_timeout(None).unwrap();
    (&pipes[0].far).read_exact(&mut waiting).unwrap();
    // Healed without having been cut.
    network.heal(1, 0);
    network.unplug(2);
    assert!(!arrives(&pipes[1].near, &pipes[1].far));
    network.plug(2);
    pipes[1].far.set_read_timeout(None).unwrap();
    (&pipes[1].far).read_exact(&mut waiting).unwrap();
}

/// What has arrived by now.
fn take(mut end: &TcpStream) -> usize {
    end.set_nonblocking(true).unwrap();
    let mut bytes = Vec::new();
    let ended = end.read_to_end(&mut bytes);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::WouldBlock);
    end.set_nonblocking(false).unwrap();
    bytes.len()
}

#[test]
fn a_slow_link_is_slow_both_ways_until_it_is_restored() {
    const BYTES: usize = 200_000;
    let Some(network) = Network::new(2) else {
        return;
    };
    let pipe = pipe(&network, 0, 1);
    // 50,000 bytes a second, so 20,000 within the time, and what may go at once.
    network.slow(1, 400);
    let ends = [(&pipe.near, &pipe.far), (&pipe.far, &pipe.near)];
    std::thread::scope(|scope| {
        for (mut from, _) in ends {
            scope.spawn(move || from.write_all(&[7; BYTES]).unwrap());
        }
        std::thread::sleep(PATIENCE);
        let early = ends.map(|(_, to)| take(to));
        let slow = |bytes: &usize| (1..BYTES / 2).contains(bytes);
        assert!(early.iter().all(slow), "{early:?}");
        network.restore(1);
        for ((_, mut to), early) in ends.into_iter().zip(early) {
            to.set_read_timeout(Some(PATIENCE * 20)).unwrap();
            to.read_exact(&mut vec![0; BYTES - early]).unwrap();
        }
    });
}
