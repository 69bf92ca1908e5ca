//! What a synchronous master promises is on enough slaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmq_core::base::thread;
use rmq_core::ha::{InSync, MasterOptions, SlaveOptions};
use rmq_core::store::disk::Crash;
use rmq_core::store::{FlushMode, Replication, StoreOptions};

use crate::store_support::LONG;
use crate::support::{
    Node, RawSlave, bound, eventually, node_options, slave_options, sync_options,
};

fn promised(node: &Node) -> i64 {
    node.store.watermarks().promised()
}

fn replication(node: &Node) -> Replication {
    node.store.watermarks().replication()
}

#[test]
fn a_message_is_promised_when_a_slave_has_it() {
    let (first, second) = (Node::waiting(), Node::new());
    first.put(b"early");
    let master = first.master_with(sync_options(1));
    assert_eq!(replication(&first), Replication::Unavailable);
    assert_eq!(promised(&first), 0);
    let slave = second.slave(master.address());
    eventually("in sync", || replication(&first) == Replication::InSync);
    for number in 0..200 {
        let end = first.put(format!("{number}").as_bytes());
        eventually("promised", || promised(&first) >= end);
        assert!(second.end() >= end);
    }
    slave.close(LONG).unwrap();
    eventually("unavailable", || {
        replication(&first) == Replication::Unavailable
    });
    let kept = promised(&first);
    let end = first.put(b"alone");
    assert_eq!(promised(&first), kept);
    assert_eq!(first.store.watermarks().safe(), end, "consumers go on");
    let _slave = second.slave(master.address());
    eventually("in sync again", || {
        replication(&first) == Replication::InSync
    });
    eventually("all of it", || promised(&first) == end);
    assert_eq!(second.end(), end);
}

#[test]
fn nothing_is_promised_that_the_slave_does_not_have() {
    let (first, mut second) = (Node::waiting(), Node::new());
    let first = Arc::new(first);
    let master = first.master_with(sync_options(1));
    let done = Arc::new(AtomicBool::new(false));
    let (writer, stop) = (Arc::clone(&first), Arc::clone(&done));
    let thread = thread::spawn("test-writer", move || {
        while !stop.load(Ordering::SeqCst) {
            writer.fill(5);
            std::thread::sleep(Duration::from_micros(100));
        }
    })
    .unwrap();
    let mut slave = second.slave(master.address());
    for round in 0..15 {
        for _ in 0..200 {
            let (promise, held) = (promised(&first), second.end());
            assert!(promise <= held, "{promise} was promised, {held} is held");
        }
        slave.kill();
        second = second.crashed(Crash::Everything);
        assert!(promised(&first) <= second.end(), "{round}");
        slave = second.slave(master.address());
        eventually("it goes on", || replication(&first) == Replication::InSync);
    }
    done.store(true, Ordering::SeqCst);
    thread.join_deadline(LONG).unwrap();
    let end = first.end();
    eventually("all is promised", || promised(&first) == end);
    second.equals(&first);
}

#[test]
fn a_slave_that_flushes_acknowledges_what_is_flushed() {
    let first = Node::waiting();
    let master = first.master_with(sync_options(1));
    // Without threads nothing is flushed by itself.
    let second = Node::with(StoreOptions {
        background: false,
        ..node_options(FlushMode::Sync)
    });
    let slave = second.slave_with(
        SlaveOptions {
            ack_flushed: true,
            heartbeat_ms: 60_000,
            ..slave_options()
        },
        master.address(),
    );
    let mut end = 0;
    for _ in 0..5 {
        let before = end;
        end = first.put(b"message");
        eventually("it is there", || second.end() == end);
        assert!(promised(&first) <= before);
        second.store.flush().unwrap();
        eventually("it is promised", || promised(&first) == end);
    }
    // The same after another connection: what is not flushed is not acknowledged.
    let end = first.put(b"unflushed");
    eventually("it is there", || second.end() == end);
    let kept = promised(&first);
    slave.set_master(None);
    eventually("it left", || master.status().slaves.is_empty());
    slave.set_master(Some(master.address().to_string()));
    eventually("it is back", || slave.is_connected());
    eventually("it was sent everything", || {
        let slaves = master.status().slaves;
        slaves.first().is_some_and(|s| s.transfer_from == end)
    });
    assert_eq!(promised(&first), kept);
    second.store.flush().unwrap();
    eventually("it is promised", || promised(&first) == end);
}

#[test]
fn two_slaves_are_waited_for_when_that_is_asked() {
    let (first, second) = (Node::waiting(), Node::new());
    let master = first.master_with(sync_options(2));
    let _slave = second.slave_with(bound(2), master.address());
    first.fill(20);
    second.equals(&first);
    eventually("one is in sync", || master.in_sync_replicas() == 2);
    assert_eq!(replication(&first), Replication::Unavailable);
    assert_eq!(promised(&first), 0);
    let mut other = RawSlave::connect(master.address(), 1);
    let end = first.end();
    other.read_to(1, end);
    other.report(end - 10);
    eventually("the lower one counts", || promised(&first) == end - 10);
    other.report(end);
    eventually("both have all", || promised(&first) == end);
    assert_eq!(replication(&first), Replication::InSync);
    drop(other);
    eventually("one is too few", || {
        replication(&first) == Replication::Unavailable
    });
    assert_eq!(master.in_sync_replicas(), 2);
}

#[test]
fn a_slave_that_connects_again_is_not_two_slaves() {
    let first = Node::waiting();
    let master = first.master_with(sync_options(2));
    let mut old = RawSlave::connect(master.address(), 1);
    let end = first.put(b"message");
    old.read_to(1, end);
    old.report(end);
    eventually("the old one", || {
        master.status().slaves.iter().any(|s| s.ack == end)
    });
    // Its first connection is half open for the master; the second one is the same store.
    let mut new = RawSlave::connect(master.address(), 1);
    new.read_to(1, end);
    new.report(end);
    eventually("the new one", || {
        master
            .status()
            .slaves
            .iter()
            .filter(|s| s.ack == end)
            .count()
            == 2
    });
    assert_eq!(promised(&first), 0);
}

#[test]
fn fewer_are_waited_for_when_that_is_allowed() {
    let (first, second) = (Node::waiting(), Node::new());
    let master = first.master_with(MasterOptions {
        in_sync: Some(InSync {
            replicas: 3,
            min: 1,
            auto: true,
        }),
        ..sync_options(2)
    });
    let _slave = second.slave_with(bound(2), master.address());
    let end = first.put(b"message");
    eventually("one is enough", || promised(&first) == end);
    assert_eq!(replication(&first), Replication::InSync);
}

#[test]
fn a_slave_that_stalls_leaves_and_comes_back_when_it_catches_up() {
    let first = Node::waiting();
    let master = first.master_with(sync_options(1));
    let mut slave = RawSlave::connect(master.address(), 1);
    let end = first.put(b"one");
    slave.read_to(1, end);
    slave.report(end);
    eventually("in sync", || replication(&first) == Replication::InSync);
    let more = first.put(b"two");
    slave.read_to(end, more);
    // It has it and does not say so.
    eventually("out of sync", || {
        replication(&first) == Replication::Unavailable
    });
    let line = master.status().slaves[0].clone();
    assert!(line.lag_ms.unwrap() >= 300 && line.gap_bytes == more - end);
    assert_eq!(master.in_sync_replicas(), 1);
    assert_eq!(first.store.watermarks().safe(), more);
    slave.report(more);
    eventually("in sync again", || {
        replication(&first) == Replication::InSync
    });
    assert_eq!(promised(&first), more);
}

#[test]
fn a_slave_far_behind_is_not_in_sync_before_it_is_near() {
    let (first, second) = (Node::waiting(), Node::new());
    first.fill(3_000);
    let master = first.master_with(MasterOptions {
        bytes_per_second: Some(2_000_000),
        ..sync_options(1)
    });
    let _slave = second.slave(master.address());
    eventually("it is served", || second.end() > 0);
    assert_eq!(replication(&first), Replication::Unavailable);
    second.equals(&first);
    eventually("in sync", || replication(&first) == Replication::InSync);
}
