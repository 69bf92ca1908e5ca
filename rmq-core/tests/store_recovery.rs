//! Opening stores that were closed, killed, damaged or moved.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rmq_core::base::ErrorKind;
use rmq_core::base::clock::ManualClock;
use rmq_core::store::disk::{Crash, Disk, MemDisk};
use rmq_core::store::segments::file_name;
use rmq_core::store::{FlushMode, Store};
use store_support::*;

/// Writes `count` messages to three queues, round robin, so that several files are filled.
fn fill(store: &Store, clock: &ManualClock, count: usize) {
    for i in 0..count {
        clock.advance(std::time::Duration::from_millis(10));
        let (topic, queue) = [("A", 0), ("A", 1), ("B", 0)][i % 3];
        put(store, topic, queue, format!("message {i}").as_bytes()).unwrap();
    }
}

fn assert_holds(store: &Store, count: usize) {
    for (lane, (topic, queue)) in [("A", 0), ("A", 1), ("B", 0)].into_iter().enumerate() {
        let want: Vec<Vec<u8>> = (lane..count)
            .step_by(3)
            .map(|i| format!("message {i}").into_bytes())
            .collect();
        assert_eq!(bodies(store, topic, queue, 0), want, "{topic} {queue}");
        let queue = store.find_queue(topic, queue).unwrap();
        assert_eq!(queue.max_offset(), want.len() as i64);
        assert_eq!(queue.min_offset(), 0);
    }
}

const COUNT: usize = 300;

/// A store that was filled and closed.
fn closed() -> (MemDisk, Arc<ManualClock>) {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    fill(&store, &clock, COUNT);
    store.close(LONG).unwrap();
    (disk, clock)
}

/// A store that was filled, partly checkpointed, and killed.
fn killed() -> (MemDisk, Arc<ManualClock>) {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    fill(&store, &clock, COUNT / 2);
    store.checkpoint().unwrap();
    for i in COUNT / 2..COUNT {
        let (topic, queue) = [("A", 0), ("A", 1), ("B", 0)][i % 3];
        put(&store, topic, queue, format!("message {i}").as_bytes()).unwrap();
    }
    store.kill();
    (disk.crash(Crash::Everything), clock)
}

fn path(rest: &str) -> PathBuf {
    Path::new(ROOT).join(rest)
}

/// Opens, checks that everything is there and goes on right, and that the files equal a rebuild.
fn assert_recovers(disk: &MemDisk, clock: &Arc<ManualClock>) {
    let store = open(options(FlushMode::Async), disk, clock);
    assert_holds(&store, COUNT);
    fill_more(&store);
    store.close(LONG).unwrap();
    assert_queues_equal_rescan(disk, clock);
    let store = open(options(FlushMode::Async), disk, clock);
    assert_eq!(store.queue("A", 0).max_offset(), (COUNT / 3 + 1) as i64);
    store.close(LONG).unwrap();
}

fn fill_more(store: &Store) {
    for (topic, queue) in [("A", 0), ("A", 1), ("B", 0)] {
        let appended = put(store, topic, queue, b"one more").unwrap();
        assert_eq!(appended.queue_offset, (COUNT / 3) as i64);
    }
}

#[test]
fn a_closed_store_opens_with_everything_and_without_abort() {
    let (disk, clock) = closed();
    assert!(!disk.exists(&path("abort")).unwrap());
    assert_queues_equal_rescan(&disk, &clock);
    assert_recovers(&disk, &clock);
}

#[test]
fn a_killed_store_opens_with_everything() {
    let (disk, clock) = killed();
    assert!(disk.exists(&path("abort")).unwrap());
    assert_recovers(&disk, &clock);
}

#[test]
fn lost_snapshots_and_checkpoints_change_nothing() {
    for lost in ["queueSnapshot", "checkpoint"] {
        for (disk, clock) in [closed(), killed()] {
            disk.remove(&path(lost)).unwrap();
            let _ = disk.remove(&path(&format!("{lost}.bak")));
            assert_recovers(&disk, &clock);
        }
    }
}

/// apache/rocketmq#1434 and its kin: whatever the checkpoint claims, no queue entry is missing.
#[test]
fn checkpoints_that_claim_too_much_or_too_little_change_nothing() {
    for claim in [0, START_MS + 500, START_MS + 2000, i64::MAX, -1] {
        for (disk, clock) in [closed(), killed()] {
            let file = disk.open(&path("checkpoint")).unwrap();
            for at in [0, 8, 16] {
                file.write_at(&claim.to_be_bytes(), at).unwrap();
            }
            let _ = disk.remove(&path("queueSnapshot"));
            let _ = disk.remove(&path("queueSnapshot.bak"));
            assert_recovers(&disk, &clock);
        }
    }
}

#[test]
fn deleted_queue_directories_are_rebuilt() {
    for lost in ["consumequeue", "consumequeue/A", "consumequeue/A/1"] {
        for (disk, clock) in [closed(), killed()] {
            disk.remove_dir(&path(lost)).unwrap();
            assert_recovers(&disk, &clock);
        }
    }
}

#[test]
fn torn_and_cut_queue_files_are_rebuilt() {
    let names: Vec<PathBuf> = queue_files(&closed().0).into_keys().collect();
    for name in names {
        for damage in 0..4 {
            let (disk, clock) = closed();
            let file = disk.open(&name).unwrap();
            match damage {
                0 => file.zero(0, 320).unwrap(),
                1 => file.zero(163, 320).unwrap(),
                2 => file.set_len(100).unwrap(),
                _ => disk.remove(&name).unwrap(),
            }
            // The last file tells of the damage; what is before it is looked at when the abort
            // file says that the power went.
            let last = name.to_str().unwrap().ends_with(&file_name(320 * 6));
            if !last {
                let _ = disk.remove_dir(name.parent().unwrap());
            }
            assert_recovers(&disk, &clock);
        }
    }
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_record() {
    let (intact, clock) = killed();
    let store = open(options(FlushMode::Async), &intact, &clock);
    let queue = store.queue("B", 0);
    let last = store.read(
        &queue,
        queue.max_offset() - 1,
        Default::default(),
        &mut |_| true,
    );
    let len = last.bytes as i64;
    let end = store.watermarks().appended();
    store.kill();
    let base = end - end % 8192;
    for at in (end - len..end).step_by(7).chain([end - 1]) {
        let disk = intact.crash(Crash::Everything);
        let file = disk.open(&path("commitlog").join(file_name(base))).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, (at - base) as u64).unwrap();
        file.write_at(&[byte[0] ^ 0x11], (at - base) as u64)
            .unwrap();
        let store = open(options(FlushMode::Async), &disk, &clock);
        let cut = end - len;
        let position = at - cut;
        // Bytes that no check covers may change: flag, times, hosts, topic, properties.
        if store.watermarks().appended() == end {
            assert!(position > 11, "{position}");
            store.kill();
            continue;
        }
        assert_eq!(store.watermarks().appended(), cut, "{position}");
        assert_eq!(store.queue("B", 0).max_offset(), (COUNT / 3 - 1) as i64);
        assert_eq!(
            put(&store, "B", 0, b"again").unwrap().queue_offset,
            (COUNT / 3 - 1) as i64
        );
        store.close(LONG).unwrap();
        assert_queues_equal_rescan(&disk, &clock);
    }
}

#[test]
fn a_record_whose_last_sector_is_lost_is_cut_though_its_body_is_whole() {
    let mut seen = 0;
    for body in (700..900).step_by(3) {
        let clock = clock();
        let disk = mem(&clock);
        let store = open(options(FlushMode::Async), &disk, &clock);
        let first = put(&store, "A", 0, b"first").unwrap();
        let torn = put(&store, "A", 0, &vec![7; body]).unwrap();
        store.kill();
        let disk = disk.crash(Crash::Everything);
        let file = disk.open(&path("commitlog").join(file_name(0))).unwrap();
        let (from, to) = (torn.end() as u64 / 512 * 512, torn.end() as u64);
        file.write_at(&vec![0; (to - from) as usize], from).unwrap();
        let store = open(options(FlushMode::Async), &disk, &clock);
        let want = if to == from { torn } else { first };
        assert_eq!(store.watermarks().appended(), want.end(), "{body}");
        // Some sectors begin among the properties, where no check sum sees them.
        seen += usize::from((1..8).contains(&(to - from)));
    }
    assert!(seen > 0);
}

#[test]
fn zeros_in_properties_do_not_end_the_log() {
    let zeros = "k\u{1}".to_owned() + &"\0".repeat(1_500) + "\u{2}";
    for body in (0..1_024).step_by(7) {
        let clock = clock();
        let disk = mem(&clock);
        let store = open(options(FlushMode::Async), &disk, &clock);
        let body = vec![7; body];
        for properties in [zeros.as_str(), ""] {
            let mut batch = store.new_batch();
            let record = record("A", 0, &body, properties);
            batch.push(&record, store.queue("A", 0), 0).unwrap();
            store.append(&mut batch);
            batch.results()[0].clone().unwrap();
        }
        let end = store.watermarks().appended();
        store.kill();
        let disk = disk.crash(Crash::Everything);
        let store = open(options(FlushMode::Async), &disk, &clock);
        assert_eq!(store.watermarks().appended(), end, "{}", body.len());
    }
}

#[test]
fn whole_records_behind_a_torn_one_do_not_come_back() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let first = put(&store, "A", 0, &[1; 100]).unwrap();
    let torn = put(&store, "A", 0, &[2; 100]).unwrap();
    put(&store, "A", 0, &[3; 100]).unwrap();
    store.kill();
    let disk = disk.crash(Crash::Everything);
    let file = disk.open(&path("commitlog").join(file_name(0))).unwrap();
    file.write_at(&[9; 50], torn.physical_offset as u64 + 90)
        .unwrap();
    let store = open(options(FlushMode::Async), &disk, &clock);
    assert_eq!(store.watermarks().appended(), first.end());
    // As long as the torn one: the third would follow it exactly.
    put(&store, "A", 0, &[4; 100]).unwrap();
    store.flush().unwrap();
    store.kill();
    let store = open(
        options(FlushMode::Async),
        &disk.crash(Crash::Everything),
        &clock,
    );
    assert_eq!(bodies(&store, "A", 0, 0), [vec![1; 100], vec![4; 100]]);
}

#[test]
fn a_hole_in_the_file_list_is_named() {
    let (disk, clock) = closed();
    disk.remove(&path("commitlog").join(file_name(8192)))
        .unwrap();
    let opened = Store::open(
        options(FlushMode::Async),
        disk.shared(),
        Arc::clone(&clock) as _,
    );
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().contains("00000000000000008192"),
        "{error}"
    );
    // The failed opening let go of the lock.
    assert_eq!(
        disk.lock(&path("lock")).map(|_| ()).map_err(|e| e.kind()),
        Ok(())
    );
}

#[test]
fn a_log_without_files_begins_anew() {
    let (disk, clock) = closed();
    disk.remove_dir(&path("commitlog")).unwrap();
    let store = open(options(FlushMode::Async), &disk, &clock);
    assert_eq!(bodies(&store, "A", 0, 0), Vec::<Vec<u8>>::new());
    let appended = put(&store, "A", 0, b"new").unwrap();
    assert_eq!((appended.queue_offset, appended.physical_offset), (0, 0));
    store.close(LONG).unwrap();
    assert_queues_equal_rescan(&disk, &clock);
}

#[test]
fn a_second_opening_is_refused() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    let second = Store::open(
        options(FlushMode::Async),
        disk.shared(),
        Arc::clone(&clock) as _,
    );
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Locked);
    drop(store);
    open(options(FlushMode::Async), &disk, &clock);
}

#[test]
fn a_deleted_topic_stays_deleted_and_a_new_one_begins_at_zero() {
    for kill in [false, true] {
        for rescan in [false, true] {
            let clock = clock();
            let disk = mem(&clock);
            let store = open(options(FlushMode::Async), &disk, &clock);
            for i in 0..50 {
                put(&store, "A", 0, &[i]).unwrap();
                put(&store, "B", 0, &[i]).unwrap();
            }
            let stale = store.queue("A", 0);
            store.checkpoint().unwrap();
            store.delete_topic("A").unwrap();
            assert!(store.find_queue("A", 0).is_none());
            store.delete_topic("B").unwrap();
            store.delete_topic("never there").unwrap();
            assert!(!disk.exists(&path("consumequeue/A")).unwrap());
            // A caller that still has the old queue appends to the new one.
            let mut batch = store.new_batch();
            batch
                .push(&record("B", 0, b"new", ""), store.queue("B", 0), 0)
                .unwrap();
            batch.push(&record("A", 0, b"stale", ""), stale, 0).unwrap();
            store.append(&mut batch);
            store.delete_topic("A").unwrap();
            store.flush().unwrap();
            if kill {
                store.kill();
            } else {
                store.close(LONG).unwrap();
            }
            let disk = disk.crash(Crash::Everything);
            if rescan {
                let file = disk.open(&path("checkpoint")).unwrap();
                file.zero(0, 4096).unwrap();
                disk.remove_dir(&path("consumequeue")).unwrap();
            }
            let store = open(options(FlushMode::Async), &disk, &clock);
            assert_eq!(bodies(&store, "B", 0, 0), [b"new"]);
            assert_eq!(bodies(&store, "A", 0, 0), Vec::<Vec<u8>>::new());
            assert_eq!(put(&store, "A", 0, b"x").unwrap().queue_offset, 0);
        }
    }
}

#[test]
fn a_topic_made_again_wins_over_its_old_messages_without_any_notes() {
    let clock = clock();
    let disk = mem(&clock);
    let store = open(options(FlushMode::Async), &disk, &clock);
    for i in 0..40 {
        put(&store, "A", 0, &[i]).unwrap();
    }
    store.delete_topic("A").unwrap();
    for i in 100..120 {
        put(&store, "A", 0, &[i]).unwrap();
    }
    store.flush().unwrap();
    store.kill();
    let disk = disk.crash(Crash::Everything);
    disk.remove_dir(&path("consumequeue")).unwrap();
    disk.remove(&path("queueSnapshot")).unwrap();
    let _ = disk.remove(&path("queueSnapshot.bak"));
    let store = open(options(FlushMode::Async), &disk, &clock);
    let want: Vec<Vec<u8>> = (100..120).map(|i| vec![i]).collect();
    assert_eq!(bodies(&store, "A", 0, 0), want);
}
