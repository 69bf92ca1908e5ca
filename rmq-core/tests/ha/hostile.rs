//! The replication port among strangers and liars.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use rmq_core::ha::MasterOptions;
use rmq_core::store::{FlushMode, StoreOptions};

use crate::support::{
    Node, RawSlave, eventually, master_options, node_options, refusal, slave_options, sync_options,
};

fn closes(stream: TcpStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    RawSlave { stream }.ends()
}

#[test]
fn strangers_are_closed_and_never_served() {
    let (first, second) = (Node::new(), Node::new());
    first.fill(50);
    let master = first.master_with(MasterOptions {
        housekeeping_ms: 200,
        ..master_options()
    });
    let slave = second.slave(master.address());
    let mut tls = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    tls.resize(300, 0x42);
    let strangers: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &tls,
        b"\0\0\0\xff{\"code\":105}",
        &[0xff; 64],
        &[0x80; 4096],
        b"short",
    ];
    for bytes in strangers {
        let mut stream = TcpStream::connect(master.address()).unwrap();
        stream.write_all(bytes).unwrap();
        assert!(closes(stream), "{bytes:?}");
    }
    // Says nothing at all.
    assert!(closes(TcpStream::connect(master.address()).unwrap()));
    first.fill(50);
    second.equals(&first);
    assert_eq!(master.status().slaves.len(), 1);
    assert!(slave.is_connected());
}

#[test]
fn a_flood_of_silent_connections_does_not_keep_slaves_out() {
    let (first, second) = (Node::new(), Node::new());
    first.fill(50);
    let master = first.master_with(MasterOptions {
        max_unreported: 8,
        ..master_options()
    });
    // All of them stay open, as far as this side goes.
    let flood: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(master.address()).unwrap())
        .collect();
    let slave = second.slave(master.address());
    second.equals(&first);
    assert!(slave.is_connected());
    let mut closed = 0;
    for stream in flood.into_iter().take(300 - 8) {
        closed += usize::from(closes(stream));
    }
    assert_eq!(closed, 300 - 8, "more than eight were kept");
    // Those that come and go.
    for _ in 0..200 {
        drop(TcpStream::connect(master.address()).unwrap());
    }
    first.fill(5);
    second.equals(&first);
}

#[test]
fn there_are_only_so_many_slaves() {
    let first = Node::new();
    first.fill(5);
    let master = first.master_with(MasterOptions {
        max_slaves: 2,
        ..master_options()
    });
    let mut slaves: Vec<_> = (0..2)
        .map(|_| RawSlave::connect(master.address(), 0))
        .collect();
    for slave in &mut slaves {
        slave.read_to(0, first.end());
    }
    assert!(RawSlave::connect(master.address(), 0).ends());
    slaves.pop();
    eventually("one left", || master.status().slaves.len() == 1);
    RawSlave::connect(master.address(), 0).read_to(0, first.end());
}

#[test]
fn acknowledgements_of_what_was_not_sent_never_count() {
    let first = Node::waiting();
    let end = first.put(b"before");
    let master = first.master_with(sync_options(1));
    let mut liar = RawSlave::connect(master.address(), end);
    eventually("in sync", || master.in_sync_replicas() == 2);
    liar.report(end + 1_000_000);
    assert!(liar.ends());
    eventually("it left", || master.in_sync_replicas() == 1);
    // Backwards, below what it came with.
    let mut liar = RawSlave::connect(master.address(), end);
    liar.report(end - 1);
    assert!(liar.ends());
    assert_eq!(first.store.watermarks().replicated(), 0);
    // What it was sent but does not read it may claim to have; nobody can know better.
    let mut slave = RawSlave::connect(master.address(), end);
    let new = first.put(b"after");
    slave.read_to(end, new);
    slave.report(new);
    eventually("replicated", || {
        first.store.watermarks().replicated() == new
    });
}

#[test]
fn only_the_last_of_many_reports_counts_and_halves_wait() {
    let first = Node::waiting();
    first.fill(10);
    let master = first.master_with(sync_options(1));
    let mut slave = RawSlave::connect(master.address(), 1);
    slave.read_to(1, first.end());
    let reports: Vec<u8> = (100..200i64).flat_map(i64::to_be_bytes).collect();
    let (whole, half) = reports.split_at(90 * 8 + 3);
    slave.stream.write_all(whole).unwrap();
    let ack = || master.status().slaves.first().map(|s| s.ack);
    eventually("the last whole one", || ack() == Some(189));
    slave.stream.write_all(half).unwrap();
    eventually("the last one", || ack() == Some(199));
}

#[test]
fn a_slave_that_does_not_read_holds_nothing_and_nobody() {
    let large = || StoreOptions {
        segment_bytes: 4 << 20,
        ..node_options(FlushMode::Async)
    };
    let first = Node::with(StoreOptions {
        await_slaves: true,
        ..large()
    });
    let second = Node::with(large());
    let master = first.master_with(MasterOptions {
        batch_bytes: 32 << 10,
        ..sync_options(1)
    });
    let asleep = RawSlave::connect(master.address(), 1);
    eventually("it is served", || master.status().slaves.len() == 1);
    let mut options = slave_options();
    options.bind = Some([127, 0, 0, 2].into());
    let _slave = second.slave_with(options, master.address());
    // More than the sockets take.
    let body = vec![b'z'; 200_000];
    for _ in 0..150 {
        first.put(&body);
    }
    second.equals(&first);
    let own = asleep.stream.local_addr().unwrap();
    let line = || {
        let slaves = master.status().slaves;
        slaves.into_iter().find(|s| s.address == own).unwrap()
    };
    eventually("it is out of sync", || !line().in_sync);
    // What was taken from the log for it is what its socket took.
    let stuck = line().transfer_from;
    assert!(stuck < first.end());
    first.put(b"more");
    second.equals(&first);
    eventually("the other one counts", || {
        first.store.watermarks().promised() == first.end()
    });
    assert_eq!(master.in_sync_replicas(), 2);
    assert_eq!(line().transfer_from, stuck);
}

#[test]
fn a_silent_slave_is_left() {
    let first = Node::new();
    first.fill(5);
    let master = first.master_with(MasterOptions {
        housekeeping_ms: 100,
        ..master_options()
    });
    let mut slave = RawSlave::connect(master.address(), 0);
    slave.read_to(0, first.end());
    assert!(slave.ends());
    eventually("nobody", || master.status().slaves.is_empty());
}

#[test]
fn a_slave_asks_a_port_that_is_none() {
    // Something that answers with text.
    let node = Node::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let slave = node.slave(listener.local_addr().unwrap());
    let (mut stream, _) = listener.accept().unwrap();
    stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nno")
        .unwrap();
    // It comes back, and is not impressed.
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&[0; 12]).unwrap();
    stream
        .write_all(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8])
        .unwrap();
    stream.write_all(b"\0\0\x10GARBAGE AND MORE").unwrap();
    let why = refusal(&slave);
    assert!(why.contains("no record"), "{why}");
    assert_eq!(node.end(), 0);
}
