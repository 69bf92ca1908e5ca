//! Loss of power at every operation of the disk: what was acknowledged as flushed is there.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::sync::Arc;

use rmq_core::base::clock::ManualClock;
use rmq_core::store::disk::{CountdownDisk, Crash, Disk, Plan};
use rmq_core::store::{FlushMode, Health, IndexOptions, Store, StoreOptions};
use store_support::*;

const LANES: [(&str, i32); 3] = [("A", 0), ("A", 1), ("B", 0)];

/// What was sent to each lane, and how many of it are known to be durable.
#[derive(Clone, Default)]
struct Sent {
    bodies: [Vec<Vec<u8>>; 3],
    ends: [Vec<i64>; 3],
    durable: [usize; 3],
}

impl Sent {
    fn send(&mut self, store: &Store, lane: usize) {
        let (topic, queue) = LANES[lane];
        let number = self.bodies[lane].len();
        // Of many lengths, so that records lie across pages and file ends in many ways.
        let body = format!("{topic}{queue}-{number}-")
            .repeat(1 + number * 7 % 13)
            .into_bytes();
        if let Ok(appended) = put(store, topic, queue, &body) {
            assert_eq!(appended.queue_offset, number as i64);
            self.bodies[lane].push(body);
            self.ends[lane].push(appended.end());
        }
    }

    fn note_durable(&mut self, store: &Store) {
        let flushed = store.watermarks().flushed();
        for lane in 0..3 {
            let durable = self.ends[lane].partition_point(|&end| end <= flushed);
            self.durable[lane] = self.durable[lane].max(durable);
        }
    }

    /// The store has what is durable, and nothing that was not sent.
    fn check(&self, store: &Store, context: &str) {
        for (lane, (topic, queue)) in LANES.into_iter().enumerate() {
            let found = bodies(store, topic, queue, 0);
            let sent = &self.bodies[lane];
            assert!(
                found.len() >= self.durable[lane],
                "{context}: {topic} {queue} lost messages"
            );
            assert!(
                found.len() <= sent.len(),
                "{context}: {topic} {queue} has too many"
            );
            assert!(
                found == sent[..found.len()],
                "{context}: {topic} {queue} differs"
            );
        }
    }

    /// Forgets what was lost, so that sending can go on.
    fn keep(&mut self, store: &Store) {
        for (lane, (topic, queue)) in LANES.into_iter().enumerate() {
            let have = store.queue(topic, queue).next_offset() as usize;
            self.bodies[lane].truncate(have);
            self.ends[lane].truncate(have);
        }
    }
}

fn small(flush: FlushMode) -> StoreOptions {
    // Queues of many files, or of files with several sectors.
    let entries = match flush {
        FlushMode::Async => 8,
        FlushMode::Sync => 64,
    };
    StoreOptions {
        segment_bytes: 4096,
        consume_queue_file_bytes: 20 * entries,
        // It has crash tests of its own.
        index: IndexOptions {
            build: false,
            ..IndexOptions::default()
        },
        ..options(flush)
    }
}

fn try_open(
    disk: &Arc<dyn Disk>,
    clock: &Arc<ManualClock>,
    flush: FlushMode,
) -> Option<Arc<Store>> {
    Store::open(small(flush), Arc::clone(disk), Arc::clone(clock) as _).ok()
}

/// Appends, flushes, writes queues, checkpoints, closes and opens again.
fn workload(disk: &Arc<dyn Disk>, clock: &Arc<ManualClock>, flush: FlushMode, sent: &mut Sent) {
    let Some(mut store) = try_open(disk, clock, flush) else {
        return;
    };
    for step in 0..48 {
        clock.advance(std::time::Duration::from_millis(700));
        sent.send(&store, step % 3);
        sent.send(&store, step * step % 3);
        match step % 8 {
            1 | 4 => drop(store.flush()),
            2 => drop(store.write_queues()),
            3 => store.run_allocation(),
            6 => drop(store.checkpoint()),
            _ => {}
        }
        sent.note_durable(&store);
        if step == 13 || step == 25 {
            // Killed, the process leaves what it wrote to the system; closed, all is durable.
            match step {
                13 => store.kill(),
                _ => drop(store.close(LONG)),
            }
            sent.note_durable(&store);
            drop(store);
            match try_open(disk, clock, flush) {
                Some(opened) => {
                    store = opened;
                    sent.keep(&store);
                    sent.note_durable(&store);
                }
                None => return,
            }
        }
    }
    store.kill();
}

fn modes(seed: u64) -> [Crash; 5] {
    [
        Crash::Synced,
        Crash::Everything,
        Crash::Random {
            seed: seed * 3 + 1,
            torn: false,
        },
        Crash::Random {
            seed: seed * 3 + 2,
            torn: true,
        },
        Crash::Random {
            seed: seed * 3 + 3,
            torn: true,
        },
    ]
}

fn crash_at_every_operation(flush: FlushMode) {
    let mut cut = 0;
    loop {
        let clock = clock();
        let disk = mem(&clock);
        let countdown = CountdownDisk::new(disk.shared(), Plan::gone_after(cut));
        let mut sent = Sent::default();
        workload(&countdown.shared(), &clock, flush, &mut sent);
        for (mode_index, mode) in (0..).zip(modes(cut)) {
            let context = format!("{flush:?}, cut {cut}, {mode:?}");
            let disk = disk.crash(mode);
            let mut sent = sent.clone();
            let store = open(small(flush), &disk, &clock);
            sent.check(&store, &context);
            sent.keep(&store);
            for lane in 0..3 {
                sent.send(&store, lane);
            }
            store.close(LONG).unwrap();
            if (cut + mode_index) % 4 == 0 {
                assert_queues_equal_rescan_with(&disk, &clock, small(flush));
            }
            let store = open(small(flush), &disk, &clock);
            sent.note_durable(&store);
            sent.check(&store, &context);
        }
        if countdown.passed() < cut {
            break;
        }
        cut += 1;
    }
    assert!(cut > 100, "{cut}");
}

#[test]
fn asynchronous_flush_loses_nothing_that_was_flushed() {
    crash_at_every_operation(FlushMode::Async);
}

#[test]
fn synchronous_flush_loses_nothing_that_was_flushed() {
    crash_at_every_operation(FlushMode::Sync);
}

/// Power goes again at every operation of a recovery.
#[test]
fn a_crash_during_recovery_changes_nothing() {
    for first in [40, 90, 140, 190] {
        let clock = clock();
        let disk = mem(&clock);
        let countdown = CountdownDisk::new(disk.shared(), Plan::gone_after(first));
        let mut sent = Sent::default();
        workload(&countdown.shared(), &clock, FlushMode::Sync, &mut sent);
        for mode in modes(first) {
            let crashed = disk.crash(mode);
            for cut in 0.. {
                let again = crashed.crash(Crash::Everything);
                let countdown = CountdownDisk::new(again.shared(), Plan::gone_after(cut));
                let opened = try_open(&countdown.shared(), &clock, FlushMode::Sync);
                let done = opened.is_some() && countdown.passed() < cut;
                drop(opened);
                for last in modes(cut) {
                    let disk = again.crash(last);
                    let store = open(small(FlushMode::Sync), &disk, &clock);
                    let context = format!("first {first} {mode:?}, then {cut} {last:?}");
                    sent.check(&store, &context);
                }
                if done {
                    break;
                }
            }
        }
    }
}

/// A single failure, not the loss of the disk: the store says so, keeps what it has, and after a
/// reopening everything that it acknowledged is there.
#[test]
fn single_errors_never_lose_what_was_acknowledged() {
    for (errno, mut cut) in [(libc::EIO, 0), (libc::ENOSPC, 0)] {
        loop {
            let clock = clock();
            let disk = mem(&clock);
            let plan = Plan {
                succeed: cut,
                fail: 1,
                errno,
            };
            let countdown = CountdownDisk::new(disk.shared(), plan);
            let mut sent = Sent::default();
            workload(&countdown.shared(), &clock, FlushMode::Sync, &mut sent);
            let passed = countdown.passed();
            for mode in [Crash::Synced, Crash::Everything] {
                let disk = disk.crash(mode);
                let store = open(small(FlushMode::Sync), &disk, &clock);
                assert_eq!(store.health(), Health::Writable);
                sent.check(&store, &format!("errno {errno}, cut {cut}, {mode:?}"));
            }
            if passed < cut {
                break;
            }
            cut += 3;
        }
    }
}

/// apache/rocketmq#8239: what a consumer saw under SYNC_FLUSH is there after the power came back,
/// so its committed offset never points behind reused offsets.
#[test]
fn consumers_see_only_what_survives() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(small(FlushMode::Sync), &disk, &clock);
    let mut flushed = 0;
    for number in 0..60u8 {
        put(&store, "A", 0, &[number; 40]).unwrap();
        if number % 7 == 3 {
            store.flush().unwrap();
            flushed = i64::from(number) + 1;
        }
        let seen = store.queue("A", 0).max_offset();
        assert_eq!(seen, flushed);
        assert_eq!(bodies(&store, "A", 0, 0).len() as i64, seen);
        let crashed = disk.crash(Crash::Synced);
        let again = open(small(FlushMode::Sync), &crashed, &clock);
        assert!(again.queue("A", 0).max_offset() >= seen);
        assert_eq!(
            bodies(&again, "A", 0, 0).len() as i64,
            again.queue("A", 0).max_offset()
        );
    }
}
