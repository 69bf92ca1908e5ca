//! What a reader gets: statuses, limits, filters, times, and damaged queues.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rmq_core::protocol::message::properties::names;
use rmq_core::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};
use rmq_core::protocol::message::sysflag;
use rmq_core::protocol::request::offset::Boundary;
use rmq_core::store::disk::{Crash, Disk};
use rmq_core::store::segments::file_name;
use rmq_core::store::{
    Entry, FlushMode, Patience, Queue, ReadLimits, ReadOutcome, ReadStatus, RecordFilter, Store,
    StoreOptions, Wanted,
};
use store_support::*;

fn wide() -> StoreOptions {
    StoreOptions {
        segment_bytes: 1 << 20,
        consume_queue_file_bytes: 20 * 500,
        ..options(FlushMode::Async)
    }
}

fn read(store: &Store, queue: &Queue, offset: i64) -> ReadOutcome {
    store.read(queue, offset, ReadLimits::default(), &mut |_| true)
}

fn limits(max_count: usize, max_bytes: usize) -> ReadLimits {
    ReadLimits {
        max_count,
        max_bytes,
    }
}

#[test]
fn every_offset_has_its_status() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    let queue = store.queue("A", 0);
    for offset in [0, 5] {
        let found = read(&store, &queue, offset);
        assert_eq!(
            (found.status, found.next_offset),
            (ReadStatus::NoMessageInQueue, 0)
        );
    }
    for _ in 0..10 {
        put(&store, "A", 0, b"x").unwrap();
    }
    for (offset, status, next) in [
        (-1, ReadStatus::OffsetTooSmall, 0),
        (0, ReadStatus::Found, 10),
        (9, ReadStatus::Found, 10),
        (10, ReadStatus::OffsetOverflowOne, 10),
        (11, ReadStatus::OffsetOverflowBadly, 10),
        (i64::MAX, ReadStatus::OffsetOverflowBadly, 10),
        (i64::MIN, ReadStatus::OffsetTooSmall, 0),
    ] {
        let found = read(&store, &queue, offset);
        assert_eq!(
            (found.status, found.next_offset),
            (status, next),
            "{offset}"
        );
        assert_eq!((found.min_offset, found.max_offset), (0, 10));
    }
    let none = store.read(&queue, 3, ReadLimits::default(), &mut |_| false);
    assert_eq!(
        (none.status, none.next_offset),
        (ReadStatus::NoMatchedMessage, 10)
    );
    store.delete_topic("A").unwrap();
    let gone = read(&store, &queue, 3);
    assert_eq!(
        (gone.status, gone.next_offset),
        (ReadStatus::NoMatchedLogicQueue, 0)
    );
    assert_eq!(
        ReadStatus::OffsetOverflowBadly.name(),
        "OFFSET_OVERFLOW_BADLY"
    );
}

#[test]
fn a_topic_that_got_something_since_it_was_looked_at_is_not_deleted() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    put(&store, "A", 0, b"old").unwrap();
    let ends = std::collections::BTreeMap::from([(0, 1)]);
    for queue_id in [1, 0] {
        put(&store, "A", queue_id, b"new").unwrap();
        store.delete_topic_at("A", &ends).unwrap();
        assert_eq!(store.queues_of("A").len(), 2);
    }
    let ends = std::collections::BTreeMap::from([(0, 2), (1, 1)]);
    store.delete_topic_at("A", &ends).unwrap();
    assert!(store.queues_of("A").is_empty());
}

#[test]
fn limits_of_count_and_bytes_hold_and_one_message_always_comes() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    let queue = store.queue("A", 0);
    for _ in 0..100 {
        put(&store, "A", 0, &[1; 1000]).unwrap();
    }
    let len = read(&store, &queue, 0).records[0].len();
    let count = |limits| {
        let found = store.read(&queue, 0, limits, &mut |_| true);
        assert_eq!(found.next_offset, found.records.len() as i64);
        assert_eq!(
            found.bytes,
            found
                .records
                .iter()
                .map(|record| record.len())
                .sum::<usize>()
        );
        found.records.len()
    };
    assert_eq!(count(limits(5, usize::MAX)), 5);
    assert_eq!(count(limits(500, usize::MAX)), 32);
    assert_eq!(count(limits(0, usize::MAX)), 1);
    assert_eq!(count(limits(32, 0)), 1);
    assert_eq!(count(limits(32, 4 * len)), 4);
    assert_eq!(count(limits(32, 4 * len - 1)), 3);
    store.kill();
    let mut options = wide();
    options.read.max_bytes_in_memory = 3 * len;
    let store = open(options.clone(), &disk, &clock);
    let found = store.read(&store.queue("A", 0), 0, limits(32, usize::MAX), &mut |_| {
        true
    });
    assert_eq!((found.records.len(), found.suggests_slave), (3, false));
    store.kill();
    // Far from the end of the log the limits of the disk hold.
    options.read.memory_bytes = 10 * len as u64;
    options.read.max_bytes_in_memory = usize::MAX;
    let store = open(options, &disk, &clock);
    let queue = store.queue("A", 0);
    let found = store.read(&queue, 0, limits(32, usize::MAX), &mut |_| true);
    assert_eq!((found.records.len(), found.suggests_slave), (8, true));
    let found = store.read(&queue, 90, limits(32, usize::MAX), &mut |_| true);
    assert_eq!((found.records.len(), found.suggests_slave), (10, false));
    assert!(store.is_recent(&queue, 95) && !store.is_recent(&queue, 5));
}

#[test]
fn a_filter_looks_at_eight_hundred_entries_at_most() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    let queue = store.queue("A", 0);
    let mut batch = store.new_batch();
    for number in 0..2000 {
        batch
            .push(&record("A", 0, b"x", ""), Arc::clone(&queue), number)
            .unwrap();
    }
    store.append(&mut batch);
    store.flush().unwrap();
    // Some entries come from files, some from memory.
    store.write_queues().unwrap();
    let found = store.read(&queue, 0, ReadLimits::default(), &mut |code| code == 1500);
    assert_eq!(
        (found.status, found.next_offset),
        (ReadStatus::NoMatchedMessage, 800)
    );
    assert_eq!(found.scanned, 800);
    let found = store.read(&queue, 800, ReadLimits::default(), &mut |code| code == 1500);
    assert_eq!((found.status, found.next_offset), (ReadStatus::Found, 1600));
    assert_eq!(found.records.len(), 1);
    let found = store.read(&queue, 0, limits(1000, 100), &mut |code| code >= 900);
    assert_eq!((found.records.len(), found.next_offset), (1, 901));
    let mut one_of_a_hundred = |bytes: &[u8]| match RecordRef::check(bytes, CheckLevel::AllCrc) {
        Ok(Checked::Record(record)) if record.queue_offset() % 100 == 7 => Wanted::Yes,
        _ => Wanted::No,
    };
    let by_record = hurried(&mut one_of_a_hundred);
    let found = store.read_matching(&queue, 0, limits(8, 1 << 20), &mut |_| true, by_record);
    assert_eq!((found.records.len(), found.next_offset), (8, 708));
}

fn hurried(matches: &mut dyn FnMut(&[u8]) -> Wanted) -> RecordFilter<'_> {
    let patience = Patience::Hurries;
    RecordFilter { matches, patience }
}

#[test]
fn a_filter_of_records_can_end_a_read() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    for _ in 0..20 {
        put(&store, "A", 0, b"x").unwrap();
    }
    store.flush().unwrap();
    let queue = store.queue("A", 0);
    let read = |offset, answers: &[Wanted]| {
        let mut answers = answers.iter().copied();
        let mut matches = |_: &[u8]| answers.next().unwrap();
        let by_record = hurried(&mut matches);
        store.read_matching(
            &queue,
            offset,
            limits(32, 1 << 20),
            &mut |_| true,
            by_record,
        )
    };
    let found = read(5, &[Wanted::No, Wanted::No, Wanted::Later]);
    assert_eq!(
        (found.status, found.next_offset),
        (ReadStatus::NoMatchedMessage, 7)
    );
    assert_eq!((found.scanned, found.cold), (2, false));
    let found = read(5, &[Wanted::No, Wanted::Yes, Wanted::No, Wanted::Later]);
    assert_eq!((found.status, found.next_offset), (ReadStatus::Found, 8));
    assert_eq!((found.records.len(), found.scanned), (1, 3));
}

#[test]
fn times_are_found_from_both_sides() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    let queue = store.queue("A", 0);
    let search = |ms, boundary| store.offset_by_timestamp(&queue, ms, boundary).unwrap();
    assert_eq!(search(START_MS, Boundary::Lower), 0);
    // Three messages at each of five times.
    for _ in 0..5 {
        for _ in 0..3 {
            put(&store, "A", 0, b"x").unwrap();
            put(&store, "B", 0, b"x").unwrap();
        }
        clock.advance(Duration::from_millis(100));
    }
    for (after, lower, upper) in [
        (-1, 0, 0),
        (0, 0, 2),
        (50, 3, 2),
        (100, 3, 5),
        (399, 12, 11),
        (400, 12, 14),
        (401, 15, 14),
        (i64::MAX - START_MS, 15, 14),
    ] {
        assert_eq!(search(START_MS + after, Boundary::Lower), lower, "{after}");
        assert_eq!(search(START_MS + after, Boundary::Upper), upper, "{after}");
    }
    assert_eq!(store.earliest_time_ms(&queue), Some(START_MS));
    assert_eq!(store.store_time_ms(&queue, 14), Some(START_MS + 400));
    assert_eq!(store.store_time_ms(&queue, 15), None);
    assert_eq!(store.earliest_store_time_ms(), Some(START_MS));
}

#[test]
fn a_clock_that_goes_back_a_little_does_not_take_store_times_back() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    let mut times = Vec::new();
    for wall in [0, 5000, 4000, -4000, 6000, 6000 - 20_000, 6000 - 19_000] {
        clock.set_wall_ms(START_MS + wall);
        times.push(put(&store, "A", 0, b"x").unwrap().store_timestamp_ms - START_MS);
    }
    assert_eq!(times, [0, 5000, 5000, 5000, 6000, -14_000, -13_000]);
}

fn push(store: &Store, record: &NewRecord<'_>, queue: &Arc<Queue>, delay_ms: Option<i64>) -> i64 {
    let mut batch = store.new_batch();
    match delay_ms {
        Some(delay_ms) => batch
            .push_delayed(record, record.body, Arc::clone(queue), delay_ms)
            .unwrap(),
        None => batch.push(record, Arc::clone(queue), 0).unwrap(),
    }
    store.append(&mut batch);
    batch.results()[0].as_ref().unwrap().queue_offset
}

/// Entries of the schedule topic hold the time that is due, also when they are made again; half
/// messages and roll-backs have no entry.
#[test]
fn delayed_and_half_messages_have_the_entries_that_they_should() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    let topic = "SCHEDULE_TOPIC_XXXX";
    let delay = |level: &str| format!("{}\u{1}{level}\u{2}TAGS\u{1}t", names::DELAY);
    let queue = store.queue(topic, 2);
    let (third, high) = (delay("3"), delay("99"));
    push(
        &store,
        &record(topic, 2, b"x", &third),
        &queue,
        Some(10_000),
    );
    push(
        &store,
        &record(topic, 2, b"x", &high),
        &queue,
        Some(7_200_000),
    );
    let half = |kind| NewRecord {
        sys_flag: kind,
        ..record("H", 0, b"x", "TAGS\u{1}t")
    };
    let halves = store.queue("H", 0);
    for (kind, offset) in [
        (sysflag::TRANSACTION_PREPARED, 0),
        (sysflag::TRANSACTION_COMMIT, 0),
        (sysflag::TRANSACTION_ROLLBACK, 0),
        (sysflag::TRANSACTION_COMMIT, 1),
    ] {
        assert_eq!(push(&store, &half(kind), &halves, None), offset);
    }
    let check = |store: &Store| {
        let queue = store.queue(topic, 2);
        assert_eq!(queue.entry(0).unwrap().tags_code, START_MS + 10_000);
        assert_eq!(queue.entry(1).unwrap().tags_code, START_MS + 7_200_000);
        assert_eq!(store.queue("H", 0).max_offset(), 2);
    };
    check(&store);
    store.kill();
    let store = open(wide(), &disk.crash(Crash::Everything), &clock);
    check(&store);
}

#[test]
fn long_topics_large_bodies_and_property_check_sums_survive() {
    let clock = clock();
    let disk = mem(&clock);
    let options = || StoreOptions {
        append_prop_crc: true,
        ..wide()
    };
    let store = open(options(), &disk, &clock);
    let topic = format!("%RETRY%{}", "g".repeat(200));
    let large = vec![7; 300_000];
    for body in [&large[..], b"", b"small"] {
        put(&store, &topic, 0, body).unwrap();
    }
    assert_eq!(bodies(&store, &topic, 0, 0), [&large[..], b"", b"small"]);
    store.kill();
    let disk = disk.crash(Crash::Everything);
    let file = disk
        .open(&Path::new(ROOT).join("commitlog").join(file_name(0)))
        .unwrap();
    let store = open(options(), &disk, &clock);
    assert_eq!(bodies(&store, &topic, 0, 0).len(), 3);
    let last = read(&store, &store.queue(&topic, 0), 2).records[0].len() as i64;
    let at = (store.watermarks().appended() - last) as u64;
    store.kill();
    drop(store);
    // Even a flag is covered now.
    file.write_at(&[1], at + 19).unwrap();
    let store = open(options(), &disk.crash(Crash::Everything), &clock);
    assert_eq!(bodies(&store, &topic, 0, 0).len(), 2);
}

const HOSTILE: [Entry; 10] = [
    Entry {
        offset: i64::MAX,
        size: i32::MAX,
        tags_code: 0,
    },
    Entry {
        offset: i64::MAX - 5,
        size: 100,
        tags_code: 0,
    },
    Entry {
        offset: 0,
        size: i32::MAX - 1,
        tags_code: 0,
    },
    Entry {
        offset: 1,
        size: 50,
        tags_code: 0,
    },
    Entry {
        offset: (1 << 20) - 10,
        size: 100,
        tags_code: 0,
    },
    Entry {
        offset: 1 << 40,
        size: 100,
        tags_code: 0,
    },
    Entry {
        offset: -100,
        size: 200,
        tags_code: 0,
    },
    Entry {
        offset: 5,
        size: -1,
        tags_code: 0,
    },
    Entry {
        offset: 0,
        size: 0,
        tags_code: 0,
    },
    Entry::BLANK,
];

/// Queue files that a hostile hand wrote while the store was closed.
#[test]
fn hostile_queue_entries_are_skipped() {
    for entry in HOSTILE {
        skips(entry);
    }
}

fn skips(entry: Entry) {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    for number in 0..20u8 {
        put(&store, "A", 0, &[number]).unwrap();
    }
    store.close(LONG).unwrap();
    drop(store);
    let path = Path::new(ROOT).join("consumequeue/A/0").join(file_name(0));
    disk.open(&path)
        .unwrap()
        .write_at(&entry.encode(), 5 * 20)
        .unwrap();
    let store = open(wide(), &disk, &clock);
    let queue = store.queue("A", 0);
    let (mut at, mut count) = (0, 0);
    while at < 20 {
        let found = read(&store, &queue, at);
        assert!(found.next_offset > at, "{entry:?} at {at}");
        (at, count) = (found.next_offset, count + found.records.len());
    }
    assert_eq!(count, 19, "{entry:?}");
    let found = read(&store, &queue, 5);
    assert!(found.next_offset > 5, "{entry:?}");
    for offset in 6..20 {
        assert_eq!(
            read(&store, &queue, offset).records.len(),
            20 - offset as usize
        );
    }
    for time in [0, START_MS, i64::MAX] {
        store
            .offset_by_timestamp(&queue, time, Boundary::Lower)
            .unwrap();
        store
            .offset_by_timestamp(&queue, time, Boundary::Upper)
            .unwrap();
    }
    assert_eq!(store.store_time_ms(&queue, 5), None);
}

#[test]
fn messages_are_found_by_their_place_in_the_log() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(wide(), &disk, &clock);
    let first = put(&store, "A", 0, b"first").unwrap();
    let second = put(&store, "A", 0, b"second").unwrap();
    let found = store.message_at(second.physical_offset).unwrap();
    assert_eq!(found.len(), second.len);
    for wrong in [-1, 1, first.physical_offset + 3, second.end(), i64::MAX] {
        assert!(store.message_at(wrong).is_none(), "{wrong}");
    }
}

/// A queue that begins in the middle: slots before are filled as Apache fills them.
#[test]
fn a_rebuilt_queue_that_does_not_begin_at_zero_has_blank_slots_before() {
    let clock = clock();
    let disk = mem(&clock);
    let options = || StoreOptions {
        segment_bytes: 8192,
        ..wide()
    };
    let store = open(options(), &disk, &clock);
    for number in 0..100u8 {
        put(&store, "A", 0, &[number; 50]).unwrap();
    }
    store.close(LONG).unwrap();
    disk.remove(&Path::new(ROOT).join("commitlog").join(file_name(0)))
        .unwrap();
    disk.remove_dir(&Path::new(ROOT).join("consumequeue"))
        .unwrap();
    let store = open(options(), &disk, &clock);
    let queue = store.queue("A", 0);
    let min = queue.min_offset();
    assert!(min > 10 && queue.max_offset() == 100, "{queue:?}");
    assert_eq!(bodies(&store, "A", 0, min).len() as i64, 100 - min);
    assert_eq!(read(&store, &queue, 0).status, ReadStatus::OffsetTooSmall);
    store.close(LONG).unwrap();
    let path = Path::new(ROOT).join("consumequeue/A/0").join(file_name(0));
    let bytes = disk.read(&path).unwrap();
    for (index, entry) in bytes.chunks(20).take(100).enumerate() {
        let blank = entry == Entry::BLANK.encode();
        assert_eq!(blank, (index as i64) < min, "{index}");
    }
    let store = open(options(), &disk, &clock);
    assert_eq!(store.queue("A", 0).min_offset(), min);
}
