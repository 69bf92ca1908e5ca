//! Deleting old files, and the disk that fills up.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rmq_core::base::clock::{Clock, ManualClock};
use rmq_core::store::disk::{Crash, Disk, MemDisk};
use rmq_core::store::{
    FlushMode, Health, ReadLimits, ReadStatus, RetentionOptions, Store, StoreOptions,
};
use store_support::*;

const HOUR: Duration = Duration::from_secs(3600);
/// About 60 records of this length fill a file.
const BODY: usize = 40;

/// Deletes at any hour what is older than ten hours.
fn retaining() -> StoreOptions {
    StoreOptions {
        retention: RetentionOptions {
            delete_hours: (0..24).collect(),
            file_reserved_ms: 10 * 3_600_000,
            ..RetentionOptions::default()
        },
        ..options(FlushMode::Async)
    }
}

/// Ten files, an hour of the clock each; queue B 0 has messages in the first one only.
fn ten_hours(clock: &Arc<ManualClock>, disk: &MemDisk) -> Arc<Store> {
    let store = open(retaining(), disk, clock);
    for number in 0..5u8 {
        put(&store, "B", 0, &[number; BODY]).unwrap();
    }
    let mut number = 0u32;
    for hour in 1..=10 {
        while store.watermarks().appended() < hour * 8192 - 4096 {
            put(&store, "A", 0, &number.to_be_bytes().repeat(BODY / 4)).unwrap();
            number += 1;
        }
        store.checkpoint().unwrap();
        clock.advance(HOUR);
    }
    store
}

fn log_files(disk: &dyn Disk) -> usize {
    files(disk, &Path::new(ROOT).join("commitlog")).len()
}

fn assert_goes_on(store: &Store, min: i64, next: i64) {
    let queue = store.find_queue("A", 0).unwrap();
    assert_eq!((queue.min_offset(), queue.max_offset()), (min, next));
    let found = bodies(store, "A", 0, min);
    assert_eq!(found.len() as i64, next - min);
    for (number, body) in (min..).zip(&found) {
        assert_eq!(*body, (number as u32).to_be_bytes().repeat(BODY / 4));
    }
    let read = |offset| store.read(&queue, offset, ReadLimits::default(), &mut |_| true);
    let early = read(min - 1);
    assert_eq!(
        (early.status, early.next_offset),
        (ReadStatus::OffsetTooSmall, min)
    );
    assert_eq!(read(0).status, ReadStatus::OffsetTooSmall);
    assert_eq!(
        store.earliest_time_ms(&queue),
        store.earliest_store_time_ms()
    );
}

#[test]
fn expired_files_go_and_offsets_go_on() {
    let clock = clock();
    let disk = mem(&clock);
    let store = ten_hours(&clock, &disk);
    assert_eq!((store.run_retention().unwrap(), store.min_offset()), (0, 0));
    let queue = store.queue("A", 0);
    let held = store
        .read(&queue, 0, ReadLimits::default(), &mut |_| true)
        .records;
    let next = queue.max_offset();
    clock.advance(4 * HOUR);
    // Four files are ten hours old or older; the last is always kept.
    assert_eq!(store.run_retention().unwrap(), 4);
    assert_eq!(store.min_offset(), 4 * 8192);
    assert_eq!(log_files(&disk), 6);
    let min = queue.min_offset();
    assert!(min > 200, "{min}");
    assert_goes_on(&store, min, next);
    // Queue files wholly before the minimum are gone: 16 entries each.
    let first = queue_files(&disk).into_keys().next().unwrap();
    let name = format!("{:020}", min / 16 * 320);
    assert_eq!(first.file_name().unwrap().to_str().unwrap(), name);
    // What was read before stays readable.
    assert_eq!(held[1][88..92], 1u32.to_be_bytes());
    let other = store.queue("B", 0);
    assert_eq!((other.min_offset(), other.max_offset()), (5, 5));
    let read = |offset| store.read(&other, offset, ReadLimits::default(), &mut |_| true);
    assert_eq!(read(2).status, ReadStatus::OffsetTooSmall);
    assert_eq!(read(5).status, ReadStatus::OffsetOverflowOne);
    assert_eq!(store.run_retention().unwrap(), 0);
    clock.advance(100 * HOUR);
    assert_eq!(store.run_retention().unwrap(), 5);
    assert_eq!((log_files(&disk), store.run_retention().unwrap()), (1, 0));
}

/// Closed or killed, with or without notes and queue files: offsets never begin anew, also not
/// those of a queue all of whose messages are gone.
#[test]
fn offsets_go_on_after_deletion_and_a_restart() {
    for kill in [false, true] {
        for lost in ["", "checkpoint", "queueSnapshot", "consumequeue/A"] {
            let clock = clock();
            let disk = mem(&clock);
            let store = ten_hours(&clock, &disk);
            clock.advance(4 * HOUR);
            assert_eq!(store.run_retention().unwrap(), 4);
            let queue = store.queue("A", 0);
            let (min, next) = (queue.min_offset(), queue.max_offset());
            match kill {
                true => store.kill(),
                false => store.close(LONG).unwrap(),
            }
            let disk = disk.crash(Crash::Everything);
            match lost {
                "" => {}
                "queueSnapshot" => {
                    disk.remove(&Path::new(ROOT).join(lost)).unwrap();
                    let _ = disk.remove(&Path::new(ROOT).join("queueSnapshot.bak"));
                }
                "checkpoint" => disk.remove(&Path::new(ROOT).join(lost)).unwrap(),
                dir => disk.remove_dir(&Path::new(ROOT).join(dir)).unwrap(),
            }
            let store = open(retaining(), &disk, &clock);
            assert_goes_on(&store, min, next);
            assert_eq!(
                put(&store, "B", 0, &[9; BODY]).unwrap().queue_offset,
                5,
                "{lost}"
            );
            assert_eq!(bodies(&store, "B", 0, 5), [[9; BODY]]);
            store.checkpoint().unwrap();
            store.kill();
            let store = open(retaining(), &disk.crash(Crash::Everything), &clock);
            assert_goes_on(&store, min, next);
            assert_eq!(bodies(&store, "B", 0, 5), [[9; BODY]]);
        }
    }
}

#[test]
fn a_pass_deletes_so_many_files_at_most_and_a_manual_request_ignores_the_hour() {
    let clock = clock();
    let disk = mem(&clock);
    drop(ten_hours(&clock, &disk));
    clock.advance(100 * HOUR);
    let mut options = retaining();
    options.retention.delete_hours.clear();
    options.retention.delete_batch_max = 2;
    let store = open(options, &disk, &clock);
    assert_eq!(store.run_retention().unwrap(), 0);
    store.delete_expired();
    let passes: Vec<usize> = (0..6).map(|_| store.run_retention().unwrap()).collect();
    assert_eq!(passes, [2, 2, 2, 2, 1, 0]);
}

#[test]
fn a_filling_disk_deletes_young_files_and_then_refuses_messages() {
    let clock = clock();
    let disk = mem(&clock);
    let store = ten_hours(&clock, &disk);
    disk.set_used_ratio(Some(0.80));
    assert_eq!(store.run_retention().unwrap(), 0);
    assert_eq!(store.health(), Health::Writable);
    disk.set_used_ratio(Some(0.95));
    // As many as a pass may, whatever their age; meanwhile messages are refused.
    assert_eq!(store.run_retention().unwrap(), 9);
    assert_eq!(store.health(), Health::DiskFull);
    assert!(put(&store, "A", 0, b"x").is_err());
    let queue = store.queue("A", 0);
    assert!(!bodies(&store, "A", 0, queue.min_offset()).is_empty());
    disk.set_used_ratio(Some(0.50));
    store.run_retention().unwrap();
    assert_eq!(store.health(), Health::Writable);
    put(&store, "A", 0, b"x").unwrap();
}

/// The retention thread alone brings writing back.
#[test]
fn the_thread_notices_that_space_is_free_again() {
    let clock = clock();
    let disk = mem(&clock);
    disk.set_used_ratio(Some(0.99));
    let mut options = retaining();
    options.background = true;
    options.retention.interval_ms = 2;
    let store = open(options, &disk, &clock);
    assert_eq!(store.health(), Health::DiskFull);
    disk.set_used_ratio(None);
    let waited = rmq_core::base::clock::SystemClock::new();
    while store.health() != Health::Writable {
        assert!(waited.monotonic() < LONG);
        std::thread::sleep(Duration::from_millis(1));
    }
    store.close(LONG).unwrap();
}
