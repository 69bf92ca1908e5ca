//! A slave's store follows its master's log, in pieces of any length.

#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "store_support/mod.rs"]
mod store_support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::ManualClock;
use rmq_core::store::disk::{Crash, MemDisk};
use rmq_core::store::{FlushMode, Replication, Store, StoreOptions};
use store_support::{
    LONG, ROOT, assert_queues_equal_rescan, bodies, clock, files, mem, open, options, put, record,
};

/// A master or slave on a disk of its own.
struct Side {
    clock: Arc<ManualClock>,
    disk: MemDisk,
    store: Arc<Store>,
}

impl Side {
    fn new() -> Self {
        Self::with(options(FlushMode::Async))
    }

    fn with(options: StoreOptions) -> Self {
        let clock = clock();
        let disk = mem(&clock);
        let store = open(options, &disk, &clock);
        Self { clock, disk, store }
    }

    fn end(&self) -> i64 {
        self.store.watermarks().appended()
    }

    /// The log's files up to its end, which is all that a slave has to have alike.
    fn log(&self) -> Vec<u8> {
        let found = files(&self.disk, &Path::new(ROOT).join("commitlog"));
        let first = found.keys().next().unwrap().file_name().unwrap();
        let base: i64 = first.to_str().unwrap().parse().unwrap();
        let bytes: Vec<u8> = found.into_values().flatten().collect();
        bytes[..usize::try_from(self.end() - base).unwrap()].to_vec()
    }

    fn killed(self) -> Self {
        self.store.kill();
        let disk = self.disk.crash(Crash::Everything);
        let clock = self.clock;
        let store = open(options(FlushMode::Async), &disk, &clock);
        Self { clock, disk, store }
    }

    /// Closes the store and compares its queues with what its log says.
    fn check_queues(&self) {
        self.store.close(LONG).unwrap();
        assert_queues_equal_rescan(&self.disk, &self.clock);
    }
}

/// Brings what the master has to the slave, in pieces of `piece(n)` bytes, as a connection would.
fn replicate(master: &Store, slave: &Store, piece: &mut dyn FnMut() -> usize) {
    let mut at = slave.watermarks().appended();
    let mut rest = Vec::new();
    while let Some(slice) = master.log_slice(at, piece().max(1)) {
        at += slice.len() as i64;
        rest.extend_from_slice(&slice);
        let taken = slave.append_replica(&rest).unwrap();
        rest.drain(..taken);
        assert!(rest.len() < slave.max_record_bytes());
        assert_eq!(slave.watermarks().appended(), at - rest.len() as i64);
    }
    assert!(rest.is_empty());
}

fn fill(store: &Store, from: usize, to: usize) {
    for number in from..to {
        let body = vec![b'a' + (number % 26) as u8; number * 37 % 700];
        put(
            store,
            ["first", "second", "third"][number % 3],
            (number % 2) as i32,
            &body,
        )
        .unwrap();
    }
}

/// A half message has a place in the log and none in a queue.
fn put_half(store: &Store) {
    let mut batch = store.new_batch();
    let mut half = record("first", 0, b"half", "");
    half.sys_flag = 0x4;
    batch.push(&half, store.queue("first", 0), 0).unwrap();
    store.append(&mut batch);
    batch.results()[0].clone().unwrap();
}

#[test]
fn a_slave_has_the_log_and_the_queues_of_its_master() {
    let (master, slave) = (Side::new(), Side::new());
    let mut piece = 0;
    for round in 0..12 {
        fill(&master.store, round * 20, round * 20 + 20);
        put_half(&master.store);
        replicate(&master.store, &slave.store, &mut || {
            piece = (piece + 7919) % 5000;
            piece
        });
    }
    assert!(master.end() > 8 * 8 * 1024, "several files");
    assert_eq!(master.log(), slave.log());
    for topic in ["first", "second", "third"] {
        for queue in 0..2 {
            let want = bodies(&master.store, topic, queue, 0);
            assert!(!want.is_empty());
            assert_eq!(bodies(&slave.store, topic, queue, 0), want);
        }
    }
    slave.check_queues();
}

#[test]
fn a_killed_slave_goes_on_where_it_was() {
    let (master, mut slave) = (Side::new(), Side::new());
    for round in 0..6 {
        fill(&master.store, round * 30, round * 30 + 30);
        replicate(&master.store, &slave.store, &mut || 1000);
        if round % 2 == 0 {
            slave.store.write_queues().unwrap();
        }
        slave = slave.killed();
    }
    assert_eq!(master.log(), slave.log());
    let want = bodies(&master.store, "second", 1, 0);
    assert_eq!(bodies(&slave.store, "second", 1, 0), want);
    slave.check_queues();
}

#[test]
fn a_slave_may_begin_at_a_later_file() {
    let (master, slave) = (Side::new(), Side::new());
    fill(&master.store, 0, 200);
    let second = 2 * 8 * 1024;
    let refused = slave.store.begin_replica_at(second + 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(
        refused.to_string().contains("mappedFileSizeCommitLog"),
        "{refused}"
    );
    // What was made ahead lies at another place.
    slave.store.run_allocation();
    slave.store.begin_replica_at(second).unwrap();
    slave.store.run_allocation();
    assert_eq!(slave.store.min_offset(), second);
    replicate(&master.store, &slave.store, &mut || 3000);
    assert_eq!(slave.end(), master.end());
    assert_eq!(slave.log(), master.log()[second as usize..]);
    assert_eq!(
        slave.store.begin_replica_at(second).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    let (ours, theirs) = (
        slave.store.find_queue("first", 0).unwrap(),
        master.store.find_queue("first", 0).unwrap(),
    );
    assert_eq!(ours.max_offset(), theirs.max_offset());
    let first = ours.min_offset();
    assert!(first > 0);
    assert_eq!(
        bodies(&slave.store, "first", 0, first),
        bodies(&master.store, "first", 0, first)
    );
    let slave = slave.killed();
    assert_eq!(
        slave.store.find_queue("first", 0).unwrap().min_offset(),
        first
    );
    slave.check_queues();
}

#[test]
fn bytes_that_are_no_record_of_that_place_are_not_written() {
    let (master, slave) = (Side::new(), Side::new());
    fill(&master.store, 0, 40);
    let all = master.log();
    let first = slave.store.append_replica(&all[..2000]).unwrap();
    let refused = |bytes: &[u8]| {
        let before = slave.end();
        let error = slave.store.append_replica(bytes).unwrap_err();
        assert_eq!(slave.end(), before);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        error.to_string()
    };
    assert!(refused(b"GET / HTTP/1.1").contains("magic"));
    assert!(refused(&all[..200]).contains("belongs at 0"));
    // Told by the head alone.
    assert!(refused(&all[..36]).contains("belongs at 0"));
    let mut damaged = all[first..].to_vec();
    damaged[90] ^= 1;
    refused(&damaged);
    damaged[0] = 0xff;
    assert!(refused(&damaged).contains("length"));
    refused(&[0; 100]);
    // What is whole before the damage is kept.
    let mut later = all[first..].to_vec();
    let two = later.len() - 10;
    later.truncate(two);
    assert!(slave.store.append_replica(&later).unwrap() > 0);
    replicate(&master.store, &slave.store, &mut || 777);
    assert_eq!(master.log(), slave.log());
    slave.check_queues();
}

#[test]
fn a_master_with_files_of_another_length_is_refused() {
    for master_bytes in [6 * 1024, 12 * 1024] {
        let master = Side::with(StoreOptions {
            segment_bytes: master_bytes,
            ..options(FlushMode::Async)
        });
        let slave = Side::new();
        fill(&master.store, 0, 100);
        let mut at = 0;
        let mut rest = Vec::new();
        let error = loop {
            let slice = master.store.log_slice(at, 1000).unwrap();
            at += slice.len() as i64;
            rest.extend_from_slice(&slice);
            match slave.store.append_replica(&rest) {
                Ok(taken) => drop(rest.drain(..taken)),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().contains("mappedFileSizeCommitLog"),
            "{error}"
        );
    }
}

#[test]
fn a_topic_made_again_at_the_master_begins_anew_at_the_slave() {
    let (master, slave) = (Side::new(), Side::new());
    fill(&master.store, 0, 60);
    replicate(&master.store, &slave.store, &mut || 4000);
    master.store.delete_topic("first").unwrap();
    // Records of both lives in one piece, and another topic between.
    put(&master.store, "second", 0, b"between").unwrap();
    put(&master.store, "first", 0, b"new 0").unwrap();
    put(&master.store, "first", 0, b"new 1").unwrap();
    put(&master.store, "first", 1, b"new 2").unwrap();
    replicate(&master.store, &slave.store, &mut || 1 << 20);
    assert_eq!(bodies(&slave.store, "first", 0, 0), [b"new 0", b"new 1"]);
    assert_eq!(bodies(&slave.store, "first", 1, 0), [b"new 2"]);
    let want = bodies(&master.store, "second", 0, 0);
    assert_eq!(bodies(&slave.store, "second", 0, 0), want);
    let slave = slave.killed();
    assert_eq!(bodies(&slave.store, "first", 0, 0), [b"new 0", b"new 1"]);
}

#[test]
fn slices_of_the_log_end_with_a_file_and_with_the_log() {
    let master = Side::new();
    assert!(master.store.log_slice(0, 10).is_none());
    fill(&master.store, 0, 100);
    let len = 8 * 1024;
    assert_eq!(master.store.log_slice(0, 1 << 20).unwrap().len(), len);
    assert_eq!(master.store.log_slice(100, 10).unwrap().len(), 10);
    assert_eq!(master.store.log_slice(len as i64 - 5, 10).unwrap().len(), 5);
    let end = master.end();
    assert_eq!(master.store.log_slice(end - 3, 10).unwrap().len(), 3);
    for nothing in [end, end + 1, -1, i64::MAX, i64::MIN] {
        assert!(master.store.log_slice(nothing, 10).is_none(), "{nothing}");
    }
}

#[test]
fn consumers_of_a_sync_master_see_what_slaves_hold() {
    let master = Side::with(StoreOptions {
        await_slaves: true,
        ..options(FlushMode::Async)
    });
    let store = &master.store;
    let (appends, moves) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&appends);
    store.on_append(Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let count = Arc::clone(&moves);
    store.on_progress(Box::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let first = put(store, "t", 0, b"alone").unwrap();
    assert_eq!(store.watermarks().replication(), Replication::Unavailable);
    assert_eq!(bodies(store, "t", 0, 0), [b"alone"]);
    store.await_replication(true);
    let second = put(store, "t", 0, b"waits").unwrap();
    assert_eq!(bodies(store, "t", 0, 0), [b"alone"]);
    assert!(store.message_at(second.physical_offset).is_none());
    store.set_replicated(first.end());
    assert_eq!(bodies(store, "t", 0, 0), [b"alone"]);
    store.set_replicated(second.end());
    assert_eq!(bodies(store, "t", 0, 0), [b"alone", b"waits"]);
    put(store, "t", 0, b"given up").unwrap();
    store.await_replication(false);
    assert_eq!(bodies(store, "t", 0, 0).len(), 3);
    assert_eq!(appends.load(Ordering::Relaxed), 3);
    assert_eq!(moves.load(Ordering::Relaxed), 4);
}

#[test]
fn arrivals_are_told_queue_by_queue() {
    let (master, slave) = (Side::new(), Side::new());
    let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    slave.store.on_arrival(Box::new(move |queue| {
        list.lock()
            .push((queue.topic().to_owned(), queue.max_offset()));
    }));
    put(&master.store, "a", 0, b"1").unwrap();
    put(&master.store, "a", 0, b"2").unwrap();
    put(&master.store, "b", 0, b"3").unwrap();
    replicate(&master.store, &slave.store, &mut || 1 << 20);
    assert_eq!(*told.lock(), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_pieces_give_the_same_log(
        sizes in prop::collection::vec(0usize..3000, 1..40),
        pieces in prop::collection::vec(1usize..9000, 1..20),
    ) {
        let (master, slave) = (Side::new(), Side::new());
        for (number, size) in sizes.iter().enumerate() {
            put(&master.store, "t", (number % 3) as i32, &vec![7; *size]).unwrap();
        }
        let mut index = 0;
        replicate(&master.store, &slave.store, &mut || {
            index += 1;
            pieces[index % pieces.len()]
        });
        prop_assert_eq!(master.log(), slave.log());
        slave.check_queues();
    }
}
