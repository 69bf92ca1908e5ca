//! What counts as durable, when, and what happens when the disk fails or is full.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::SystemClock;
use rmq_core::base::thread;
use rmq_core::store::disk::{CountdownDisk, Crash, Disk, Plan, RealDisk};
use rmq_core::store::{AppendError, FlushMode, Health, ReadLimits, Store, StoreOptions};
use store_support::*;

const DISK_FULL: AppendError = AppendError::Store(ErrorKind::DiskFull);
const READ_ONLY: AppendError = AppendError::Store(ErrorKind::ReadOnly);
const CLOSED: AppendError = AppendError::Store(ErrorKind::Closed);

/// Counts the calls of a hook, and lets a test wait for something that follows one.
#[derive(Clone, Default)]
struct Progress {
    calls: Arc<AtomicUsize>,
    turn: Arc<(Mutex<()>, Condvar)>,
}

impl Progress {
    fn of(store: &Store) -> Self {
        let progress = Self::default();
        let seen = progress.clone();
        store.on_progress(Box::new(move || {
            seen.calls.fetch_add(1, Ordering::SeqCst);
            drop(seen.turn.0.lock());
            seen.turn.1.notify_all();
        }));
        progress
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn wait(&self, condition: impl Fn() -> bool) {
        let mut turn = self.turn.0.lock();
        let waited = self
            .turn
            .1
            .wait_while_for(&mut turn, |()| !condition(), LONG);
        assert!(!waited.timed_out());
    }
}

#[test]
fn with_sync_flush_nothing_counts_before_it_is_durable() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Sync), &disk, &clock);
    let progress = Progress::of(&store);
    let appended = put(&store, "A", 0, b"one").unwrap();
    let queue = store.queue("A", 0);
    let marks = store.watermarks();
    assert_eq!(
        (marks.appended(), marks.flushed(), marks.safe()),
        (appended.end(), 0, 0)
    );
    assert_eq!((queue.next_offset(), queue.max_offset()), (1, 0));
    assert!(bodies(&store, "A", 0, 0).is_empty());
    assert!(store.message_at(appended.physical_offset).is_none());
    store.flush().unwrap();
    assert_eq!(
        (marks.flushed(), marks.safe()),
        (appended.end(), appended.end())
    );
    assert_eq!(queue.max_offset(), 1);
    assert_eq!(bodies(&store, "A", 0, 0), [b"one"]);
    assert!(store.message_at(appended.physical_offset).is_some());
    assert_eq!(progress.calls(), 1);
    store.flush().unwrap();
    assert_eq!(progress.calls(), 1);
}

#[test]
fn with_async_flush_everything_counts_at_once() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let appended = put(&store, "A", 0, b"one").unwrap();
    let marks = store.watermarks();
    assert_eq!((marks.safe(), marks.flushed()), (appended.end(), 0));
    assert_eq!(bodies(&store, "A", 0, 0), [b"one"]);
}

#[test]
fn one_sync_covers_all_that_was_appended_before() {
    let clock = clock();
    let disk = mem(&clock);
    let countdown = CountdownDisk::new(disk.shared(), Plan::NEVER);
    let store = open(options(FlushMode::Sync), &countdown.shared(), &clock);
    for i in 0..20 {
        put(&store, "A", i % 3, b"x").unwrap();
    }
    let before = countdown.passed();
    store.flush().unwrap();
    assert_eq!(countdown.passed() - before, 1);
    assert_eq!(store.watermarks().safe(), store.watermarks().appended());
}

#[test]
fn after_a_failed_sync_the_store_is_read_only_until_it_is_opened_again() {
    let clock = clock();
    let disk = mem(&clock);
    let countdown = CountdownDisk::new(disk.shared(), Plan::NEVER);
    let store = open(options(FlushMode::Sync), &countdown.shared(), &clock);
    let progress = Progress::of(&store);
    put(&store, "A", 0, b"safe").unwrap();
    store.flush().unwrap();
    put(&store, "A", 0, b"lost").unwrap();
    countdown.set_plan(Plan {
        succeed: 0,
        fail: 1,
        errno: libc::EIO,
    });
    assert_eq!(store.flush().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(progress.calls(), 2);
    match store.health() {
        Health::ReadOnly(reason) => assert!(reason.contains("store.flush"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(put(&store, "A", 0, b"refused").unwrap_err(), READ_ONLY);
    // A later sync would say yes without the data being there: it is not asked.
    assert_eq!(store.flush().unwrap_err().kind(), ErrorKind::ReadOnly);
    assert_eq!(bodies(&store, "A", 0, 0), [b"safe"]);
    assert_eq!(store.close(LONG).unwrap_err().kind(), ErrorKind::ReadOnly);
    assert!(disk.exists(&Path::new(ROOT).join("abort")).unwrap());
    let store = open(options(FlushMode::Sync), &disk.crash(Crash::Synced), &clock);
    assert_eq!(store.health(), Health::Writable);
    assert_eq!(bodies(&store, "A", 0, 0), [b"safe"]);
}

#[test]
fn a_full_disk_refuses_messages_serves_reads_and_comes_back() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    put(&store, "A", 0, &[1; 100]).unwrap();
    disk.set_capacity(Some(10_000));
    let mut sent = 1;
    while put(&store, "A", 0, &[1; 100]).is_ok() {
        sent += 1;
        assert!(sent < 1000, "the disk never filled up");
    }
    // The file that is there is used up first.
    assert!(sent > 30, "{sent}");
    assert_eq!(put(&store, "A", 0, &[1; 100]).unwrap_err(), DISK_FULL);
    assert_eq!(store.health(), Health::DiskFull);
    assert_eq!(bodies(&store, "A", 0, 0).len(), sent);
    store.run_allocation();
    assert_eq!(store.health(), Health::DiskFull);
    disk.set_capacity(None);
    store.run_allocation();
    assert_eq!(store.health(), Health::Writable);
    assert_eq!(
        put(&store, "A", 0, &[2; 100]).unwrap().queue_offset,
        sent as i64
    );
    store.close(LONG).unwrap();
    let store = open(options(FlushMode::Async), &disk, &clock);
    assert_eq!(bodies(&store, "A", 0, 0).len(), sent + 1);
}

#[test]
fn a_record_that_does_not_fit_a_full_disk_does_not_hide_a_smaller_one() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let mut batch = store.new_batch();
    let queue = store.queue("A", 0);
    let (large, small) = (vec![1; 9000], vec![2; 10]);
    for body in [&small, &large, &small] {
        batch
            .push(&record("A", 0, body, ""), Arc::clone(&queue), 0)
            .unwrap();
    }
    store.append(&mut batch);
    let results = batch.results();
    assert_eq!(results[1], Err(AppendError::TooLarge));
    assert_eq!(results[0].as_ref().unwrap().queue_offset, 0);
    assert_eq!(results[2].as_ref().unwrap().queue_offset, 1);
    // Appending the same batch again does not append anything twice.
    store.append(&mut batch);
    assert_eq!(queue.next_offset(), 2);
}

#[test]
fn a_batch_that_stops_at_a_failure_leaves_no_gap() {
    let clock = clock();
    let store = open(options(FlushMode::Async), &mem(&clock), &clock);
    let queue = store.queue("A", 0);
    let (large, small) = (vec![1; 9000], vec![2; 10]);
    let mut batch = store.new_batch();
    batch.stop_at_failure();
    for body in [&small, &large, &small] {
        batch
            .push(&record("A", 0, body, ""), Arc::clone(&queue), 0)
            .unwrap();
    }
    store.append(&mut batch);
    let refused = Err(AppendError::TooLarge);
    assert!(batch.results()[0].is_ok());
    assert_eq!(batch.results()[1..], [refused.clone(), refused]);
    assert_eq!(queue.next_offset(), 1);
    // The batch in the same memory is an ordinary one again.
    let mut batch = batch.recycle();
    for body in [&large, &small] {
        batch
            .push(&record("A", 0, body, ""), Arc::clone(&queue), 0)
            .unwrap();
    }
    store.append(&mut batch);
    assert!(batch.results()[0].is_err() && batch.results()[1].is_ok());
}

#[test]
fn consume_queues_without_space_refuse_messages_until_there_is_some() {
    let clock = clock();
    let disk = mem(&clock);
    let countdown = CountdownDisk::new(disk.shared(), Plan::NEVER);
    let store = open(options(FlushMode::Async), &countdown.shared(), &clock);
    put(&store, "A", 0, b"one").unwrap();
    store.flush().unwrap();
    countdown.set_plan(Plan {
        succeed: 0,
        fail: 5,
        errno: libc::ENOSPC,
    });
    assert_eq!(store.checkpoint().unwrap_err().kind(), ErrorKind::DiskFull);
    assert_eq!(store.health(), Health::DiskFull);
    assert_eq!(put(&store, "A", 0, b"two").unwrap_err(), DISK_FULL);
    assert_eq!(bodies(&store, "A", 0, 0), [b"one"]);
    countdown.set_plan(Plan::NEVER);
    store.checkpoint().unwrap();
    assert_eq!(store.health(), Health::Writable);
    assert_eq!(put(&store, "A", 0, b"two").unwrap().queue_offset, 1);
    store.close(LONG).unwrap();
    assert_queues_equal_rescan(&disk, &clock);
}

#[test]
fn a_closed_store_refuses_and_closing_twice_is_fine() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    put(&store, "A", 0, b"one").unwrap();
    store.close(LONG).unwrap();
    store.close(LONG).unwrap();
    store.kill();
    assert_eq!(put(&store, "A", 0, b"two").unwrap_err(), CLOSED);
    assert_eq!(bodies(&store, "A", 0, 0), [b"one"]);
    // The lock is free although the handle lives on.
    open(options(FlushMode::Async), &disk, &clock)
        .close(LONG)
        .unwrap();
}

#[test]
fn names_that_cannot_be_topics_are_refused() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let long = "x".repeat(256);
    for name in ["", ".", "..", "../up", "a/b", "a\0b", "a\\b", &long] {
        let refused = put(&store, name, 0, b"x").unwrap_err();
        assert_eq!(refused, AppendError::Store(ErrorKind::Invalid), "{name:?}");
    }
    assert_eq!(
        put(&store, "A", -1, b"x").unwrap_err().kind(),
        ErrorKind::Invalid
    );
    put(&store, "%RETRY%group-1_x", 0, b"x").unwrap();
    store.close(LONG).unwrap();
    let mut names: Vec<String> = files(&disk, Path::new("/"))
        .into_keys()
        .map(|path| path.to_str().unwrap().to_owned())
        .filter(|path| path.contains("consumequeue"))
        .collect();
    names.retain(|path| !path.starts_with("/store/consumequeue/%RETRY%group-1_x/0/"));
    assert!(names.is_empty(), "{names:?}");
}

fn threaded(root: &Path, flush: FlushMode) -> StoreOptions {
    StoreOptions {
        flush,
        segment_bytes: 256 * 1024,
        consume_queue_file_bytes: 20 * 500,
        flush_interval_ms: 5,
        flush_least_pages: 0,
        queue_flush_interval_ms: 5,
        queue_flush_least_pages: 0,
        populate_ahead_bytes: 64 * 1024,
        ..StoreOptions::new(root)
    }
}

/// Several threads append to several queues while the store's threads work; then the store is
/// closed or killed, and everything that it promised is there.
fn many_threads(flush: FlushMode, kill: bool) {
    const THREADS: i32 = 3;
    const EACH: usize = 1500;
    let dir = tempfile::tempdir().unwrap();
    let options = || threaded(dir.path(), flush);
    let store = Store::open(options(), RealDisk::shared(), SystemClock::shared()).unwrap();
    let progress = Progress::of(&store);
    let mut writers = Vec::new();
    for lane in 0..THREADS {
        let (store, progress) = (Arc::clone(&store), progress.clone());
        writers.push(thread::spawn("rmq-test-writer", move || {
            for number in 0..EACH {
                let body = format!("{lane}-{number}").repeat(1 + number % 7);
                let appended = put(&store, "T", lane, body.as_bytes()).unwrap();
                assert_eq!(appended.queue_offset, number as i64);
                if number % 100 == 0 {
                    progress.wait(|| store.watermarks().flushed() >= appended.end());
                }
            }
        }));
    }
    for writer in writers {
        writer.unwrap().join_deadline(LONG).unwrap();
    }
    let end = store.watermarks().appended();
    progress.wait(|| store.watermarks().flushed() >= end);
    match kill {
        true => store.kill(),
        false => store.close(LONG).unwrap(),
    }
    drop(store);
    let store = Store::open(options(), RealDisk::shared(), SystemClock::shared()).unwrap();
    assert_eq!(store.watermarks().appended(), end);
    for lane in 0..THREADS {
        let found = bodies(&store, "T", lane, 0);
        assert_eq!(found.len(), EACH);
        for (number, body) in found.iter().enumerate() {
            let want = format!("{lane}-{number}").repeat(1 + number % 7);
            assert_eq!(body, want.as_bytes());
        }
    }
    store.close(LONG).unwrap();
    assert!(!dir.path().join("abort").exists());
}

#[test]
fn many_threads_with_sync_flush() {
    many_threads(FlushMode::Sync, false);
    many_threads(FlushMode::Sync, true);
}

#[test]
fn many_threads_with_async_flush() {
    many_threads(FlushMode::Async, false);
    many_threads(FlushMode::Async, true);
}

/// The flush thread waits for dirty pages, but not for ever: a clock that a test turns decides.
#[test]
fn background_flushes_follow_pages_and_the_thorough_interval() {
    let clock = clock();
    let disk = mem(&clock);
    let options = StoreOptions {
        background: true,
        flush_interval_ms: 1,
        flush_least_pages: 1,
        flush_thorough_interval_ms: 10_000,
        segment_bytes: 64 * 1024,
        ..options(FlushMode::Async)
    };
    let store = open(options, &disk, &clock);
    let progress = Progress::of(&store);
    put(&store, "A", 0, b"small").unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(store.watermarks().flushed(), 0);
    let large = put(&store, "A", 0, &[1; 5000]).unwrap();
    progress.wait(|| store.watermarks().flushed() >= large.end());
    let small = put(&store, "A", 0, b"small").unwrap();
    clock.advance(Duration::from_secs(11));
    progress.wait(|| store.watermarks().flushed() >= small.end());
    store.close(LONG).unwrap();
}

/// Pages that are not in memory are told, and reading them gives the right bytes.
#[test]
fn cold_records_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = || threaded(dir.path(), FlushMode::Async);
    let store = Store::open(options(), RealDisk::shared(), SystemClock::shared()).unwrap();
    for number in 0..400usize {
        put(&store, "T", 0, &[number as u8; 1000]).unwrap();
    }
    let queue = store.queue("T", 0);
    let fresh = store.read(&queue, 0, ReadLimits::default(), &mut |_| true);
    assert!(!fresh.cold && !fresh.records.is_empty());
    drop(fresh);
    store.close(LONG).unwrap();
    drop((queue, store));
    for entry in std::fs::read_dir(dir.path().join("commitlog")).unwrap() {
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        nix::fcntl::posix_fadvise(&file, 0, 0, advice).unwrap();
    }
    let store = Store::open(options(), RealDisk::shared(), SystemClock::shared()).unwrap();
    let queue = store.queue("T", 0);
    let found = store.read(&queue, 0, ReadLimits::default(), &mut |_| true);
    assert_eq!(
        found.cold,
        found.records.iter().any(|record| !record.is_resident())
    );
    drop(found);
    let found = bodies(&store, "T", 0, 0);
    assert_eq!(found.len(), 400);
    assert!(
        found
            .iter()
            .enumerate()
            .all(|(number, body)| *body == [number as u8; 1000])
    );
    store.close(LONG).unwrap();
}

#[test]
fn a_close_that_comes_too_early_keeps_the_store_locked_and_may_be_tried_again() {
    let (clock, gate) = (clock(), Arc::new(Mutex::new(())));
    let disk = mem(&clock);
    let background = StoreOptions {
        background: true,
        ..options(FlushMode::Sync)
    };
    let store = open(background.clone(), &disk, &clock);
    let progress = Progress::of(&store);
    let hook = Arc::clone(&gate);
    store.on_progress(Box::new(move || drop(hook.lock())));
    let closed = gate.lock();
    put(&store, "t", 0, b"kept").unwrap();
    progress.wait(|| progress.calls() > 0);
    let early = store.close(Duration::from_millis(30)).unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Timeout);
    let second = Store::open(background.clone(), disk.shared(), Arc::clone(&clock) as _);
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Locked);
    drop(closed);
    store.close(LONG).unwrap();
    store.close(LONG).unwrap();
    let again = open(background, &disk, &clock);
    assert_eq!(bodies(&again, "t", 0, 0), [b"kept"]);
    again.close(LONG).unwrap();
}
