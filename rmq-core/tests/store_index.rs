//! The index by message key: what is found, what the files hold, and that nothing is missing and
//! nothing doubled after a stop of any kind.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rmq_core::base::clock::ManualClock;
use rmq_core::protocol::message::record::{CheckLevel, Checked, RecordRef};
use rmq_core::store::disk::{CountdownDisk, Crash, Disk, MemDisk, Plan};
use rmq_core::store::{
    FlushMode, Health, IndexOptions, KeyKind, KeyMatches, KeyQuery, Store, StoreOptions,
};
use store_support::*;

/// Appends a message with these properties; returns its log offset.
fn put_with(store: &Store, topic: &str, body: &[u8], properties: &str) -> i64 {
    let mut batch = store.new_batch();
    let queue = store.queue(topic, 0);
    batch
        .push(&record(topic, 0, body, properties), queue, 0)
        .unwrap();
    store.append(&mut batch);
    batch.results()[0].clone().unwrap().physical_offset
}

fn put_keys(store: &Store, topic: &str, keys: &str) -> i64 {
    put_with(store, topic, b"body", &format!("KEYS\u{1}{keys}\u{2}"))
}

fn query<'a>(topic: &'a str, key: &'a str) -> KeyQuery<'a> {
    KeyQuery {
        topic,
        key,
        kind: KeyKind::Key,
        max_count: 64,
        max_bytes: usize::MAX,
        begin_ms: 0,
        end_ms: i64::MAX,
    }
}

fn offsets(matches: &KeyMatches) -> Vec<i64> {
    let offset = |bytes: &[u8]| match RecordRef::check(bytes, CheckLevel::AllCrc) {
        Ok(Checked::Record(record)) => record.physical_offset(),
        other => panic!("{other:?}"),
    };
    matches.records.iter().map(|bytes| offset(bytes)).collect()
}

fn find(store: &Store, topic: &str, key: &str) -> Vec<i64> {
    offsets(&store.query_by_key(&query(topic, key)))
}

/// The index files of a closed store, oldest first.
fn index_files(disk: &dyn Disk) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(ROOT).join("index");
    files(disk, &dir).into_iter().collect()
}

/// Hash and log offset of every entry, in the order of the files.
fn entries(disk: &dyn Disk, options: &StoreOptions) -> Vec<(i32, i64)> {
    let number = |bytes: &[u8]| i32::from_be_bytes(bytes.try_into().unwrap());
    let mut found = Vec::new();
    for (path, bytes) in index_files(disk) {
        let count = number(&bytes[36..40]);
        assert!(count > 1, "{} is empty", path.display());
        for index in 1..count as usize {
            let at = 40 + options.index.hash_slots as usize * 4 + index * 20;
            let offset = i64::from_be_bytes(bytes[at + 4..at + 12].try_into().unwrap());
            found.push((number(&bytes[at..at + 4]), offset));
        }
    }
    found
}

/// The entries that the log alone gives.
fn rebuilt(disk: &MemDisk, clock: &Arc<ManualClock>, options: &StoreOptions) -> Vec<(i32, i64)> {
    let copy = disk.crash(Crash::Everything);
    let _ = copy.remove_dir(&Path::new(ROOT).join("index"));
    open(options.clone(), &copy, clock).close(LONG).unwrap();
    entries(&copy, options)
}

fn assert_equals_rebuilt(
    disk: &MemDisk,
    clock: &Arc<ManualClock>,
    options: &StoreOptions,
    context: &str,
) {
    let (found, want) = (entries(disk, options), rebuilt(disk, clock, options));
    assert!(found == want, "{context}:\n{found:?}\n{want:?}");
}

#[test]
fn records_are_found_by_id_by_each_key_and_by_tag() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let properties = "UNIQ_KEY\u{1}id1\u{2}TAGS\u{1}red\u{2}KEYS\u{1}a b\u{2}";
    let first = put_with(&store, "T", b"1", properties);
    let second = put_with(&store, "T", b"2", "KEYS\u{1}b b\u{2}");
    let other = put_keys(&store, "U", "b");
    assert_eq!(find(&store, "T", "b"), []);
    store.run_index().unwrap();
    assert_eq!(store.indexed(), store.watermarks().appended());
    for (key, want) in [
        ("id1", vec![first]),
        ("a", vec![first]),
        ("b", vec![first, second]),
        ("red", vec![]),
        ("c", vec![]),
    ] {
        assert_eq!(find(&store, "T", key), want, "{key}");
    }
    assert_eq!(find(&store, "U", "b"), [other]);
    assert_eq!(find(&store, "V", "b"), []);
    let by_tag = KeyQuery {
        kind: KeyKind::Tag,
        ..query("T", "red")
    };
    let found = store.query_by_key(&by_tag);
    assert_eq!(offsets(&found), [first]);
    assert_eq!(
        (found.last_update_ms, found.last_update_offset),
        (START_MS, other)
    );
    let none = store.query_by_key(&query("T", "c"));
    assert_eq!((none.last_update_ms, none.last_update_offset), (0, 0));
}

#[test]
fn the_newest_count_and_come_in_the_order_of_the_log() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let all: Vec<i64> = (0..300).map(|_| put_keys(&store, "T", "k")).collect();
    store.run_index().unwrap();
    for (max_count, want) in [(0, 0), (1, 1), (63, 63), (300, 300), (1000, 300)] {
        let found = store.query_by_key(&KeyQuery {
            max_count,
            ..query("T", "k")
        });
        assert_eq!(offsets(&found), all[300 - want..], "{max_count}");
    }
    let len = all[1] - all[0];
    for (max_bytes, want) in [(0, 1), (len, 1), (2 * len - 1, 1), (2 * len, 2)] {
        let found = store.query_by_key(&KeyQuery {
            max_bytes: max_bytes as usize,
            ..query("T", "k")
        });
        assert_eq!(offsets(&found), all[300 - want as usize..], "{max_bytes}");
    }
}

#[test]
fn only_what_is_safe_is_found() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Sync), &disk, &clock);
    let first = put_keys(&store, "T", "k");
    store.flush().unwrap();
    let second = put_keys(&store, "T", "k");
    store.run_index().unwrap();
    assert_eq!(find(&store, "T", "k"), [first]);
    store.flush().unwrap();
    assert_eq!(find(&store, "T", "k"), [first, second]);
}

/// A record each second over several files, and ranges of every kind.
#[test]
fn time_ranges_are_told_to_the_second() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let all: Vec<i64> = (0..400)
        .map(|_| {
            let offset = put_keys(&store, "T", "k");
            clock.advance(Duration::from_secs(1));
            offset
        })
        .collect();
    store.run_index().unwrap();
    let ranges = [
        (0, 400),
        (0, 1),
        (399, 400),
        (130, 131),
        (100, 300),
        (250, 251),
        (5, 5),
    ];
    for (from, to) in ranges {
        let ms = |second: usize| START_MS + second as i64 * 1000;
        let found = store.query_by_key(&KeyQuery {
            max_count: 1000,
            begin_ms: ms(from),
            end_ms: ms(to) - 1,
            ..query("T", "k")
        });
        assert_eq!(offsets(&found), all[from..to], "{from} {to}");
    }
    for (begin_ms, end_ms) in [
        (START_MS + 400_000, i64::MAX),
        (0, START_MS - 1),
        (i64::MAX, 0),
    ] {
        let outside = KeyQuery {
            begin_ms,
            end_ms,
            ..query("T", "k")
        };
        assert!(store.query_by_key(&outside).records.is_empty());
    }
}

#[test]
fn a_closed_index_is_gone_on_with() {
    let clock = clock();
    let disk = mem(&clock);
    let options = options(FlushMode::Async);
    let mut all = Vec::new();
    for round in 0..5 {
        let store = open(options.clone(), &disk, &clock);
        assert_eq!(find(&store, "T", "k"), all, "{round}");
        for number in 0..37 {
            clock.advance(Duration::from_millis(300));
            all.push(put_keys(&store, "T", &format!("x{number} k y")));
        }
        all.drain(..all.len().saturating_sub(64));
        store.close(LONG).unwrap();
        assert_equals_rebuilt(&disk, &clock, &options, "closed");
    }
    assert!(index_files(&disk).len() >= 4);
}

/// The process dies with entries in memory, in the file, and after a checkpoint.
#[test]
fn a_killed_index_misses_nothing_and_doubles_nothing() {
    let clock = clock();
    let disk = mem(&clock);
    let options = options(FlushMode::Async);
    let mut count = 0;
    for round in 0..12 {
        let store = open(options.clone(), &disk, &clock);
        for number in 0..20 + round {
            clock.advance(Duration::from_millis(50));
            put_keys(&store, "T", &format!("r{round} n{number} k"));
            count += 3;
            if number % 5 == round % 5 {
                store.run_index().unwrap();
            }
            if number == round {
                store.checkpoint().unwrap();
            }
        }
        store.kill();
    }
    let store = open(options.clone(), &disk, &clock);
    store.run_index().unwrap();
    assert_eq!(find(&store, "T", "r3").len(), 23);
    store.close(LONG).unwrap();
    assert_eq!(entries(&disk, &options).len(), count);
    assert_equals_rebuilt(&disk, &clock, &options, "killed");
}

/// A file that was being made durable when the process died is newer than the checkpoint.
#[test]
fn files_newer_than_the_checkpoint_are_removed_after_an_unclean_stop() {
    let clock = clock();
    let disk = mem(&clock);
    let options = options(FlushMode::Async);
    let store = open(options.clone(), &disk, &clock);
    put_keys(&store, "T", "a b c");
    store.close(LONG).unwrap();
    let name = index_files(&disk)[0].0.clone();
    let checkpoint = disk.open(&Path::new(ROOT).join("checkpoint")).unwrap();
    for (time, aborted, kept) in [(0, false, true), (START_MS, true, true), (1, true, false)] {
        clock.advance(Duration::from_secs(1));
        checkpoint.write_at(&i64::to_be_bytes(time), 16).unwrap();
        if aborted {
            disk.create(&Path::new(ROOT).join("abort")).unwrap();
        }
        open(options.clone(), &disk, &clock).close(LONG).unwrap();
        let now = index_files(&disk);
        assert_eq!(now.len(), 1);
        assert_eq!(now[0].0 == name, kept, "{time} {aborted}");
        assert_equals_rebuilt(&disk, &clock, &options, "opened again");
    }
}

#[test]
fn the_checkpoint_says_what_is_durable() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let noted = |disk: &MemDisk| {
        let bytes = disk.read(&Path::new(ROOT).join("checkpoint")).unwrap();
        i64::from_be_bytes(bytes[16..24].try_into().unwrap())
    };
    put_keys(&store, "T", "a");
    store.run_index().unwrap();
    assert_eq!(noted(&disk), 0);
    store.checkpoint().unwrap();
    assert_eq!(noted(&disk), START_MS);
    clock.advance(Duration::from_secs(5));
    put_keys(&store, "T", "b");
    store.run_index().unwrap();
    store.checkpoint().unwrap();
    assert_eq!(noted(&disk), START_MS + 5000);
    // What it says survives a loss of power.
    let crashed = disk.crash(Crash::Synced);
    let again = open(options(FlushMode::Async), &crashed, &clock);
    assert_eq!(find(&again, "T", "b").len(), 1);
}

#[test]
fn files_of_another_shape_are_made_anew() {
    let clock = clock();
    let disk = mem(&clock);
    let first = options(FlushMode::Async);
    let store = open(first.clone(), &disk, &clock);
    let all: Vec<i64> = (0..150).map(|_| put_keys(&store, "T", "k")).collect();
    store.close(LONG).unwrap();
    for (hash_slots, max_entries) in [(33, 128), (1, 2), (500, 1000)] {
        let index = IndexOptions {
            hash_slots,
            max_entries,
            ..first.index
        };
        let options = StoreOptions {
            index,
            ..first.clone()
        };
        let store = open(options.clone(), &disk, &clock);
        store.run_index().unwrap();
        let found = store.query_by_key(&KeyQuery {
            max_count: 1000,
            ..query("T", "k")
        });
        assert_eq!(offsets(&found), all, "{hash_slots} {max_entries}");
        store.close(LONG).unwrap();
        assert_eq!(entries(&disk, &options).len(), 150);
    }
}

#[test]
fn an_index_of_another_log_is_made_anew() {
    let clock = clock();
    let options = options(FlushMode::Async);
    let [one, other] = ["one", "other"].map(|key| {
        let disk = mem(&clock);
        let store = open(options.clone(), &disk, &clock);
        for number in 0..200 {
            clock.advance(Duration::from_millis(7));
            put_with(
                &store,
                "T",
                &vec![0; number],
                &format!("KEYS\u{1}{key}\u{2}"),
            );
        }
        store.close(LONG).unwrap();
        disk
    });
    for (path, bytes) in index_files(&one) {
        other.create(&path).unwrap().write_at(&bytes, 0).unwrap();
    }
    for (path, _) in index_files(&other) {
        let theirs = index_files(&one).iter().any(|(name, _)| *name == path);
        if !theirs {
            other.remove(&path).unwrap();
        }
    }
    let store = open(options.clone(), &other, &clock);
    store.run_index().unwrap();
    assert_eq!(
        (
            find(&store, "T", "one").len(),
            find(&store, "T", "other").len()
        ),
        (0, 64)
    );
    store.close(LONG).unwrap();
    assert_equals_rebuilt(&other, &clock, &options, "another log");
}

#[test]
fn turned_off_nothing_is_indexed_and_turned_on_all_of_it_is() {
    let clock = clock();
    let disk = mem(&clock);
    let on = options(FlushMode::Async);
    let off = StoreOptions {
        index: IndexOptions {
            build: false,
            ..on.index
        },
        ..on.clone()
    };
    let mut all = Vec::new();
    for (round, options) in [&off, &on, &off, &on].into_iter().enumerate() {
        let store = open(options.clone(), &disk, &clock);
        let before = all.clone();
        all.push(put_keys(&store, "T", "k"));
        store.run_index().unwrap();
        let want = match (options.index.build, round) {
            (true, _) => &all,
            (false, 0) => &Vec::new(),
            (false, _) => &before,
        };
        assert_eq!(&find(&store, "T", "k"), want, "{round}");
        store.close(LONG).unwrap();
    }
    assert_equals_rebuilt(&disk, &clock, &on, "on and off");
}

#[test]
fn opening_can_wait_for_the_index() {
    let clock = clock();
    let disk = mem(&clock);
    let mut options = options(FlushMode::Async);
    let store = open(options.clone(), &disk, &clock);
    put_keys(&store, "T", "k");
    store.kill();
    options.index.complete_at_open = true;
    let store = open(options, &disk, &clock);
    assert_eq!(find(&store, "T", "k").len(), 1);
}

#[test]
fn files_go_with_their_part_of_the_log() {
    let clock = clock();
    let disk = mem(&clock);
    let mut options = options(FlushMode::Async);
    options.retention.file_reserved_ms = 1000;
    options.retention.delete_pause_ms = 0;
    let store = open(options.clone(), &disk, &clock);
    for number in 0..1000 {
        put_keys(&store, "T", &format!("k n{number}"));
    }
    store.checkpoint().unwrap();
    store.run_index().unwrap();
    let before = index_files(&disk).len();
    clock.advance(Duration::from_secs(3600));
    store.delete_expired();
    while store.run_retention().unwrap() > 0 {}
    let log_min = store.min_offset();
    assert!(log_min > 0);
    let left = index_files(&disk);
    assert!(left.len() < before, "{before}");
    for (index, (path, bytes)) in left.iter().enumerate() {
        let end = i64::from_be_bytes(bytes[24..32].try_into().unwrap());
        assert!(
            end >= log_min || index + 1 == left.len(),
            "{}",
            path.display()
        );
    }
    let found = store.query_by_key(&KeyQuery {
        max_count: 10_000,
        ..query("T", "k")
    });
    let found = offsets(&found);
    assert!(found.iter().all(|&offset| offset >= log_min));
    assert_eq!(found.last(), find(&store, "T", "n999").last());
    // What is left is gone on with.
    store.close(LONG).unwrap();
    let store = open(options, &disk, &clock);
    store.run_index().unwrap();
    let again = store.query_by_key(&KeyQuery {
        max_count: 10_000,
        ..query("T", "k")
    });
    assert_eq!(offsets(&again), found);
}

/// Without space the index stays behind and messages are taken; with space it catches up.
#[test]
fn a_full_disk_keeps_the_index_behind_and_nothing_else() {
    let clock = clock();
    let disk = mem(&clock);
    let options = options(FlushMode::Async);
    let countdown = CountdownDisk::new(disk.shared(), Plan::NEVER);
    let store = open(options.clone(), &countdown.shared(), &clock);
    for number in 0..50 {
        put_keys(&store, "T", &format!("k{number} k"));
    }
    store.run_index().unwrap();
    let full = |succeed| Plan {
        succeed,
        fail: u64::MAX,
        errno: libc::ENOSPC,
    };
    for succeed in 0..14 {
        // Enough for a file to become full.
        let keys: Vec<String> = (0..60).map(|n| format!("w{n}")).collect();
        put_keys(&store, "T", &keys.join(" "));
        put_keys(&store, "T", &format!("at{succeed} k"));
        store.flush().unwrap();
        countdown.set_plan(full(succeed));
        for _ in 0..3 {
            if let Err(error) = store.run_index() {
                assert!(error.kind().retriable(), "{error}");
            }
        }
        assert_eq!(store.health(), Health::Writable);
        countdown.set_plan(Plan::NEVER);
        store.run_index().unwrap();
        assert_eq!(find(&store, "T", &format!("at{succeed}")).len(), 1);
        assert_eq!(store.indexed(), store.watermarks().appended());
    }
    store.close(LONG).unwrap();
    assert_equals_rebuilt(&disk, &clock, &options, "full");
}

/// Another error stops the index, not the store; the next start makes it whole.
#[test]
fn a_failing_disk_stops_the_index_until_the_store_is_opened_again() {
    for cut in 0..40 {
        let clock = clock();
        let disk = mem(&clock);
        let options = StoreOptions {
            segment_bytes: 1 << 20,
            ..options(FlushMode::Async)
        };
        let countdown = CountdownDisk::new(disk.shared(), Plan::NEVER);
        let store = open(options.clone(), &countdown.shared(), &clock);
        put_keys(&store, "T", "first");
        store.run_index().unwrap();
        store.checkpoint().unwrap();
        let plan = Plan {
            succeed: cut,
            fail: 1,
            errno: libc::EIO,
        };
        for number in 0..160 {
            put_keys(&store, "T", &format!("n{number}"));
        }
        store.flush().unwrap();
        countdown.set_plan(plan);
        let failed = store.run_index().is_err();
        assert_eq!(store.health(), Health::Writable);
        countdown.set_plan(Plan::NEVER);
        if failed {
            assert!(store.run_index().is_err() && store.checkpoint().is_err());
            assert_eq!(find(&store, "T", "first").len(), 1);
        }
        assert_eq!(store.close(LONG).is_err(), failed, "{cut}");
        let store = open(options.clone(), &disk, &clock);
        store.run_index().unwrap();
        assert_eq!(find(&store, "T", "n159").len(), 1, "{cut}");
        store.close(LONG).unwrap();
        assert_equals_rebuilt(&disk, &clock, &options, &format!("cut {cut}"));
    }
}

fn crashing(flush: FlushMode) -> StoreOptions {
    let small = options(flush);
    StoreOptions {
        segment_bytes: 4096,
        consume_queue_file_bytes: 20 * 64,
        index: IndexOptions {
            hash_slots: 40,
            max_entries: 24,
            ..small.index
        },
        ..small
    }
}

fn try_open(disk: &Arc<dyn Disk>, clock: &Arc<ManualClock>) -> Option<Arc<Store>> {
    let options = crashing(FlushMode::Async);
    Store::open(options, Arc::clone(disk), Arc::clone(clock) as _).ok()
}

/// Appends, indexes, checkpoints, dies, closes; the clock stands still at times.
fn workload(disk: &Arc<dyn Disk>, clock: &Arc<ManualClock>) {
    let Some(mut store) = try_open(disk, clock) else {
        return;
    };
    for step in 0..40 {
        if step % 3 == 0 {
            clock.advance(Duration::from_millis(700));
        }
        let keys: Vec<String> = (0..step % 6).map(|n| format!("k{n}")).collect();
        let properties = format!("UNIQ_KEY\u{1}id{step}\u{2}KEYS\u{1}{}\u{2}", keys.join(" "));
        let mut batch = store.new_batch();
        let queue = store.queue("T", 0);
        let body = vec![b'b'; step * 37 % 200];
        batch
            .push(&record("T", 0, &body, &properties), queue, 0)
            .unwrap();
        store.append(&mut batch);
        match step % 8 {
            1 | 5 => drop(store.run_index()),
            3 => drop(store.run_index().and_then(|()| store.checkpoint())),
            4 => drop(store.flush()),
            6 => drop(store.checkpoint()),
            _ => {}
        }
        if step == 13 || step == 27 {
            match step {
                13 => store.kill(),
                _ => drop(store.close(LONG)),
            }
            drop(store);
            match try_open(disk, clock) {
                Some(opened) => store = opened,
                None => return,
            }
        }
    }
    store.kill();
}

/// Loss of power at every operation of the disk.
#[test]
fn after_a_crash_the_index_is_that_of_the_log() {
    let mut cut = 0;
    loop {
        let clock = clock();
        let disk = mem(&clock);
        let countdown = CountdownDisk::new(disk.shared(), Plan::gone_after(cut));
        workload(&countdown.shared(), &clock);
        let random = |seed, torn| Crash::Random { seed, torn };
        for mode in [
            Crash::Synced,
            Crash::Everything,
            random(cut * 3 + 1, false),
            random(cut * 3 + 2, true),
            random(cut * 3 + 3, true),
        ] {
            let context = format!("cut {cut}, {mode:?}");
            let disk = disk.crash(mode);
            let options = crashing(FlushMode::Async);
            let store = open(options.clone(), &disk, &clock);
            store.run_index().unwrap();
            check_all(&store, &context);
            put_keys(&store, "T", "after");
            store.close(LONG).unwrap();
            assert_equals_rebuilt(&disk, &clock, &options, &context);
        }
        if countdown.passed() < cut {
            break;
        }
        cut += 1;
    }
    assert!(cut > 100, "{cut}");
}

/// Every record of the log is found by every key that it has, once.
fn check_all(store: &Store, context: &str) {
    let queue = store.queue("T", 0);
    let mut bodies = Vec::new();
    for at in queue.min_offset()..queue.max_offset() {
        let entry = queue.entry(at).unwrap();
        let bytes = store.message_at(entry.offset).unwrap();
        let Ok(Checked::Record(record)) = RecordRef::check(&bytes, CheckLevel::AllCrc) else {
            panic!("{context}: no record at {at}");
        };
        let keys = record.keys().unwrap_or_default().split(|&b| b == b' ');
        for key in keys.chain(record.uniq_key()).filter(|key| !key.is_empty()) {
            let key = std::str::from_utf8(key).unwrap();
            let found = find(store, "T", key);
            let times = found.iter().filter(|&&o| o == entry.offset).count();
            assert_eq!(times, 1, "{context}: {key} at {}", entry.offset);
        }
        bodies.push(entry.offset);
    }
    assert!(bodies.is_sorted());
}

/// A slave indexes what it is sent.
#[test]
fn a_copy_of_the_log_has_the_same_index() {
    let clock = clock();
    let (disk, copy) = (mem(&clock), mem(&clock));
    let options = options(FlushMode::Async);
    let master = open(options.clone(), &disk, &clock);
    let slave = open(options.clone(), &copy, &clock);
    for number in 0..400 {
        put_keys(&master, "T", &format!("k n{number}"));
        while let Some(slice) = master.log_slice(slave.watermarks().appended(), 1 << 20) {
            slave.append_replica(&slice).unwrap();
        }
        if number % 50 == 0 {
            slave.run_index().unwrap();
        }
    }
    slave.run_index().unwrap();
    assert_eq!(find(&slave, "T", "n17").len(), 1);
    for store in [master, slave] {
        store.close(LONG).unwrap();
    }
    assert_eq!(entries(&disk, &options), entries(&copy, &options));
}

/// The threads of a store: what is appended is found soon, also while more is appended.
#[test]
fn the_thread_follows_the_log() {
    let clock = clock();
    let disk = mem(&clock);
    let options = StoreOptions {
        background: true,
        ..options(FlushMode::Async)
    };
    let store = open(options.clone(), &disk, &clock);
    for number in 0..2000 {
        put_keys(&store, "T", &format!("n{number}"));
    }
    let last = put_keys(&store, "T", "last");
    // Bounded by the limit of the test run.
    while find(&store, "T", "last") != [last] {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(find(&store, "T", "n0").len(), 1);
    store.close(LONG).unwrap();
    assert_equals_rebuilt(&disk, &clock, &options, "threads");
}
