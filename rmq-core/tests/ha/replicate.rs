//! A slave gets its master's log, whatever happens on the way.

use std::sync::Arc;
use std::time::Duration;

use rmq_core::ha::{MasterOptions, Slave, SlaveState};
use rmq_core::store::disk::Crash;
use rmq_core::store::{FlushMode, StoreOptions};

use crate::store_support::{LONG, bodies};
use crate::support::{
    Cutter, Node, RawMaster, RawSlave, SEGMENT, eventually, master_options, node_options,
    slave_options,
};

#[test]
fn an_empty_slave_gets_the_whole_log_and_what_comes_after() {
    let (first, second) = (Node::new(), Node::new());
    first.fill(300);
    assert!(first.end() > 8 * SEGMENT);
    let master = first.master();
    let slave = second.slave(master.address());
    second.equals(&first);
    for _ in 0..20 {
        first.fill(10);
        second.equals(&first);
    }
    assert_eq!(
        bodies(&second.store, "topic", 0, 0),
        bodies(&first.store, "topic", 0, 0)
    );
    let status = slave.status();
    assert_eq!(status.state, SlaveState::Streaming);
    assert_eq!(status.master, Some(master.address().to_string()));
    assert_eq!(status.received, first.end());
    assert!(status.master_seen_ms > 0 && status.reported_ms > 0);
    eventually("the master knows", || {
        let status = master.status();
        status.slaves.len() == 1 && status.slaves[0].ack == first.end()
    });
    let status = master.status();
    let line = &status.slaves[0];
    assert_eq!((status.end, line.transfer_from), (first.end(), first.end()));
    assert_eq!((line.gap_bytes, line.lag_ms), (0, Some(0)));
    assert!(line.in_sync && status.in_sync == 1 && master.in_sync_replicas() == 2);
    slave.close(LONG).unwrap();
    master.close(LONG).unwrap();
    second.check_queues();
}

#[test]
fn an_empty_slave_waits_for_an_empty_master() {
    let (first, second) = (Node::new(), Node::new());
    let master = first.master();
    let slave = second.slave(master.address());
    eventually("the slave follows", || {
        slave.status().state == SlaveState::Streaming
    });
    first.fill(50);
    second.equals(&first);
}

#[test]
fn frames_follow_each_other_and_are_no_longer_than_configured() {
    let node = Node::new();
    node.fill(100);
    let master = node.master_with(MasterOptions {
        batch_bytes: 333,
        ..master_options()
    });
    for report in [0, 1] {
        let mut slave = RawSlave::connect(master.address(), report);
        let (mut at, mut log) = (report, Vec::new());
        while at < node.end() {
            let (offset, body) = slave.frame().unwrap();
            assert_eq!(offset, at);
            assert!((1..=333).contains(&body.len()));
            log.extend_from_slice(&body);
            at += body.len() as i64;
        }
        let skipped = usize::try_from(report).unwrap();
        assert!(log == node.log()[skipped..]);
        // Told at once that this is all, and again every 50 ms.
        assert_eq!(slave.frame(), Some((node.end(), Vec::new())));
        assert_eq!(slave.frame(), Some((node.end(), Vec::new())));
        node.put(b"more");
        let more = slave.read_to(at, node.end());
        assert!(node.log().ends_with(&more));
    }
    // From the middle of a record.
    let mut slave = RawSlave::connect(master.address(), 12_345);
    let log = slave.read_to(12_345, node.end());
    assert!(log == node.log()[12_345..]);
}

#[test]
fn a_log_that_does_not_begin_at_zero_is_copied_from_where_it_begins() {
    let (first, second) = (Node::new(), Node::new());
    first.store.begin_replica_at(5 * SEGMENT).unwrap();
    first.fill(100);
    let master = first.master();
    let slave = second.slave(master.address());
    second.equals(&first);
    assert_eq!(second.store.min_offset(), 5 * SEGMENT);
    slave.close(LONG).unwrap();
    let second = second.crashed(Crash::Everything);
    let _slave = second.slave(master.address());
    first.fill(30);
    second.equals(&first);
}

#[test]
fn both_ends_go_away_and_come_back_at_any_moment() {
    let (mut first, mut second) = (Node::new(), Node::new());
    let limited = || MasterOptions {
        bytes_per_second: Some(3_000_000),
        ..master_options()
    };
    let mut master = first.master_with(limited());
    let mut slave = second.slave(master.address());
    for round in 0..24u64 {
        first.fill(40);
        std::thread::sleep(Duration::from_millis(round % 7));
        match round % 3 {
            0 => {
                slave.kill();
                second = second.crashed(Crash::Everything);
                slave = second.slave(master.address());
            }
            1 => {
                master.kill();
                first = first.crashed(Crash::Everything);
                master = first.master_with(limited());
                slave.set_master(Some(master.address().to_string()));
            }
            _ => {
                // What was not durable is gone, but the master has it.
                drop(slave);
                second = second.crashed(Crash::Random {
                    seed: round,
                    torn: true,
                });
                slave = second.slave(master.address());
            }
        }
    }
    second.equals(&first);
    slave.close(LONG).unwrap();
    second.check_queues();
}

#[test]
fn connections_that_break_inside_records_lose_nothing() {
    let (first, second) = (Node::new(), Node::new());
    first.fill(200);
    let master = first.master();
    let mut budget = 20_011;
    let cutter = Cutter::new(master.address(), move || {
        // The overlap has to get through, or nothing ever would.
        budget = 66_000 + budget * 7 % 5_003;
        budget
    });
    let slave = second.slave(cutter.address);
    for _ in 0..20 {
        first.fill(20);
        second.equals(&first);
    }
    slave.close(LONG).unwrap();
    second.check_queues();
}

#[test]
fn large_records_among_small_ones() {
    let large = || StoreOptions {
        segment_bytes: 6 << 20,
        max_message_bytes: 5 << 20,
        ..node_options(FlushMode::Async)
    };
    let (first, second) = (Node::with(large()), Node::with(large()));
    let master = first.master_with(MasterOptions {
        batch_bytes: 32 << 10,
        ..master_options()
    });
    let _slave = second.slave(master.address());
    for size in [10, 3 << 20, 100, 5 << 20, 5 << 20, 7] {
        first.put(&vec![b'x'; size]);
    }
    second.equals(&first);
}

#[test]
fn a_slave_follows_whom_it_is_told_to_follow() {
    let slave_node = Node::new();
    let options = slave_options();
    let slave = Slave::start(
        options,
        Arc::clone(&slave_node.store),
        Arc::clone(&slave_node.clock),
    )
    .unwrap();
    assert_eq!(slave.status().state, SlaveState::Waiting);
    assert!(!slave.is_connected());
    let (one, other) = (RawMaster::new(), RawMaster::new());
    slave.set_master(Some(format!("localhost:{}", one.address().port())));
    let (mut link, report) = one.accept();
    assert_eq!(report, 1);
    slave.set_master(Some(other.address().to_string()));
    while link.report().is_some() {}
    let (mut link, _) = other.accept();
    eventually("the slave is connected", || slave.is_connected());
    slave.set_master(None);
    while link.report().is_some() {}
    eventually("the slave waits", || {
        slave.status().state == SlaveState::Waiting
    });
    slave.set_master(Some("no such host:1".to_owned()));
    eventually("the slave tries", || {
        slave.status().state == SlaveState::Connecting
    });
    slave.close(LONG).unwrap();
}

/// What Apache's master does: nothing but the bytes that were asked for, heartbeats of which the
/// offset is the next one, and now and then an empty frame because of its speed limit.
#[test]
fn a_master_of_apaches_is_followed() {
    let (source, slave_node) = (Node::new(), Node::new());
    source.fill(60);
    let log = source.log();
    let master = RawMaster::new();
    let slave = slave_node.slave(master.address());
    let (mut link, report) = master.accept();
    assert_eq!(report, 1);
    link.send(1, &[]);
    link.send(1, &log[1..10_000]);
    link.send(10_000, &[]);
    link.send(10_000, &log[10_000..]);
    link.reports(source.end());
    // Reports go on without anything new.
    link.reports(source.end());
    link.reports(source.end());
    drop(link);
    // Again: the overlap is asked for, and an empty frame in the middle is not the end of it.
    let (mut link, report) = master.accept();
    assert_eq!(report, 1, "less than the overlap");
    link.send(1, &log[1..20_000]);
    link.send(20_000, &[]);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(slave.status().state, SlaveState::Verifying);
    link.send(20_000, &log[20_000..]);
    link.reports(source.end());
    assert!(slave_node.log() == log);
}

/// Apache's master sends nothing to a slave that asks for the beginning if that is deleted.
#[test]
fn an_empty_slave_can_be_told_where_its_master_begins() {
    let (source, slave_node) = (Node::new(), Node::new());
    source.store.begin_replica_at(3 * SEGMENT).unwrap();
    source.fill(20);
    let master = RawMaster::new();
    let slave = slave_node.slave(master.address());
    let (mut link, report) = master.accept();
    assert_eq!(report, 1);
    link.send(1, &[]);
    slave.set_first_offset(3 * SEGMENT);
    while link.report().is_some() {}
    let (mut link, report) = master.accept();
    assert_eq!(report, 3 * SEGMENT);
    link.send(report, &source.log());
    link.reports(source.end());
    assert!(slave_node.log() == source.log());
}

/// To reconnect would leave the master without its slave for a while.
#[test]
fn an_empty_slave_that_is_told_of_the_beginning_goes_on_as_it_is() {
    let (source, slave_node) = (Node::new(), Node::new());
    source.fill(20);
    let master = RawMaster::new();
    let slave = slave_node.slave(master.address());
    let (mut link, report) = master.accept();
    assert_eq!(report, 1);
    link.send(1, &[]);
    eventually("it follows", || {
        slave.status().state == SlaveState::Streaming
    });
    slave.set_first_offset(0);
    link.send(1, &source.log()[1..]);
    link.reports(source.end());
}

#[test]
fn a_silent_master_is_left() {
    let slave_node = Node::new();
    let master = RawMaster::new();
    let mut options = slave_options();
    options.housekeeping_ms = 100;
    let _slave = slave_node.slave_with(options, master.address());
    let (mut link, _) = master.accept();
    while link.report().is_some() {}
    let _ = master.accept();
}

#[test]
fn a_slave_with_a_full_disk_waits_for_space() {
    let (first, second) = (Node::new(), Node::new());
    let master = first.master();
    let slave = second.slave(master.address());
    first.fill(50);
    second.equals(&first);
    let used: u64 = 400_000;
    second.disk.set_capacity(Some(used));
    first.fill(2_000);
    eventually("the disk is full", || slave.status().disk_full);
    assert!(second.end() < first.end());
    assert!(slave.is_connected());
    assert_eq!(slave.status().state, SlaveState::Streaming);
    eventually("the slave reports all the same", || {
        master
            .status()
            .slaves
            .first()
            .is_some_and(|s| s.ack == second.end())
    });
    second.disk.set_capacity(None);
    second.equals(&first);
    assert!(!slave.status().disk_full);
    slave.close(LONG).unwrap();
    second.check_queues();
}

#[test]
fn speed_is_limited_for_each_slave() {
    let first = Node::new();
    first.fill(200);
    let master = first.master_with(MasterOptions {
        bytes_per_second: Some(100_000),
        ..master_options()
    });
    let mut slave = RawSlave::connect(master.address(), 0);
    let begun = first.clock.monotonic();
    let bytes = slave.read_to(0, 40_000).len() as u64;
    let took = first.clock.monotonic() - begun;
    // A tenth of a second's bytes may come at once.
    let least = Duration::from_millis((bytes - 10_000).saturating_sub(11_200) / 100);
    assert!(took >= least, "{bytes} bytes in {took:?}");
}

#[test]
fn closing_lets_slaves_have_what_they_lack() {
    let (first, second) = (Node::new(), Node::new());
    let master = first.master();
    let _slave = second.slave(master.address());
    first.fill(10);
    second.equals(&first);
    eventually("in sync", || master.in_sync_replicas() == 2);
    first.fill(500);
    master.close(LONG).unwrap();
    master.close(LONG).unwrap();
    assert!(second.log() == first.log());
}
