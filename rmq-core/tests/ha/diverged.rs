//! Logs that do not go together are noticed, and nothing is written over or behind.

use rmq_core::ha::SlaveState;
use rmq_core::store::disk::Crash;
use rmq_core::store::{FlushMode, StoreOptions};

use crate::support::{Node, RawMaster, RawSlave, SEGMENT, eventually, node_options, refusal};

/// Two nodes with the same first messages.
fn alike(count: usize) -> (Node, Node) {
    let (first, second) = (Node::new(), Node::new());
    let master = first.master();
    let slave = second.slave(master.address());
    first.fill(count);
    second.equals(&first);
    slave.kill();
    (first, second)
}

#[test]
fn a_slave_that_has_more_is_refused() {
    for (count, more) in [(3, 1), (300, 300)] {
        let (first, second) = alike(count);
        for _ in 0..more {
            second.put(&[7; 200]);
        }
        let before = second.log();
        let master = first.master();
        let slave = second.slave(master.address());
        let why = refusal(&slave);
        assert!(why.contains(&format!("ends at {}", second.end())), "{why}");
        assert!(why.contains("messages that the master lost"), "{why}");
        assert!(why.contains("remove this store"), "{why}");
        assert!(!slave.is_connected());
        // Messages of the same sizes at the same places are other messages.
        for _ in 0..more {
            first.put(&[8; 200]);
        }
        eventually("the content differs", || {
            matches!(slave.status().state, SlaveState::Refused(why)
                if why.contains("differs from the master's at log offset"))
        });
        first.fill(10);
        refusal(&slave);
        assert!(second.log() == before);
        assert_eq!(master.in_sync_replicas(), 1);
        // As it says: remove the store to copy the master's.
        drop(slave);
        let fresh = Node::new();
        let _slave = fresh.slave(master.address());
        fresh.equals(&first);
    }
}

#[test]
fn a_master_that_lost_its_last_messages_finds_out() {
    let (first, second) = alike(300);
    let master = first.master();
    let slave = second.slave(master.address());
    let durable = first.end();
    first.store.flush().unwrap();
    first.fill(40);
    second.equals(&first);
    // The power goes: what was not flushed is lost.
    master.kill();
    let first = first.crashed(Crash::Synced);
    if first.end() == second.end() {
        // The flush thread was faster.
        return;
    }
    assert!(first.end() >= durable);
    let master = first.master();
    slave.set_master(Some(master.address().to_string()));
    refusal(&slave);
    assert!(second.end() > first.end());
}

#[test]
fn a_slave_that_never_was_a_copy_is_refused() {
    let (first, second) = (Node::new(), Node::new());
    first.fill(200);
    second.put(b"mine");
    second.fill(100);
    let before = second.log();
    let master = first.master();
    let slave = second.slave(master.address());
    let why = refusal(&slave);
    assert!(why.contains("differs from the master's"), "{why}");
    assert!(second.log() == before);
}

#[test]
fn a_slave_that_is_behind_what_was_deleted_is_refused() {
    let (first, second) = (Node::new(), Node::new());
    first.store.begin_replica_at(9 * SEGMENT).unwrap();
    first.fill(20);
    second.fill(20);
    let master = first.master();
    let slave = second.slave(master.address());
    let why = refusal(&slave);
    let begins = format!("the master's log begins at {}", 9 * SEGMENT);
    assert!(why.contains(&begins), "{why}");
}

#[test]
fn files_of_another_length_are_refused_with_the_key() {
    let (first, second) = (
        Node::new(),
        Node::with(StoreOptions {
            segment_bytes: 12 * 1024,
            ..node_options(FlushMode::Async)
        }),
    );
    first.fill(300);
    let master = first.master();
    let slave = second.slave(master.address());
    let why = refusal(&slave);
    assert!(why.contains("mappedFileSizeCommitLog"), "{why}");
    assert!(second.end() <= SEGMENT);
}

#[test]
fn the_master_closes_a_slave_beyond_its_end_and_shows_why() {
    let node = Node::new();
    node.fill(20);
    let master = node.master();
    for report in [node.end() + 1, i64::MAX] {
        let mut slave = RawSlave::connect(master.address(), report);
        assert_eq!(slave.frame(), Some((node.end(), Vec::new())));
        assert_eq!(slave.frame(), None);
    }
    assert!(RawSlave::connect(master.address(), -1).ends());
    // Just at the end is nothing wrong.
    let mut slave = RawSlave::connect(master.address(), node.end());
    assert_eq!(slave.frame(), Some((node.end(), Vec::new())));
    let from = node.end();
    node.put(b"new");
    slave.read_to(from, node.end());
}

#[test]
fn a_master_that_sends_nonsense_is_left_and_nothing_is_written() {
    let (source, slave_node) = (Node::new(), Node::new());
    source.fill(20);
    let log = source.log();
    let master = RawMaster::new();
    let slave = slave_node.slave(master.address());
    let (mut link, _) = master.accept();
    let mut wrong = log.clone();
    let at = log.len() / 2;
    wrong[at] ^= 0x55;
    link.send(1, &wrong[1..]);
    refusal(&slave);
    let good = slave_node.end();
    assert!(good <= at as i64);
    assert!(slave_node.log() == log[..usize::try_from(good).unwrap()]);
    while link.report().is_some() {}
    // The rest from a master that has it.
    let (mut link, report) = master.accept();
    let from = usize::try_from(report).unwrap();
    link.send(report, &log[from..]);
    link.reports(source.end());
    eventually("it follows again", || {
        slave.status().state == SlaveState::Streaming
    });
    assert!(slave_node.log() == log);
}
