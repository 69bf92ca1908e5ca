use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::base::clock::ManualClock;
use crate::store::disk::{Crash, Disk, MemDisk};
use crate::store::options::FlushMode;

const PER_FILE: i64 = 8;

struct Fixture {
    disk: MemDisk,
    marks: Arc<Watermarks>,
    table: QueueTable,
}

fn fixture_on(disk: MemDisk, mode: FlushMode) -> Fixture {
    let files = QueueFiles::new(
        disk.shared(),
        "/cq".into(),
        PER_FILE as usize * ENTRY_BYTES,
        2,
    );
    let marks = Arc::new(Watermarks::new(mode, false, 0, 0));
    let table = QueueTable::new(Arc::new(files), Arc::clone(&marks));
    Fixture { disk, marks, table }
}

fn fixture(mode: FlushMode) -> Fixture {
    let disk = MemDisk::new(ManualClock::new(0));
    disk.create_dir(Path::new("/cq")).unwrap();
    fixture_on(disk, mode)
}

/// The entry of message `number` where every record has 10 bytes.
fn entry(number: i64) -> Entry {
    Entry {
        offset: number * 10,
        size: 10,
        tags_code: number,
    }
}

fn fill(fixture: &Fixture, queue: &Queue, range: std::ops::Range<i64>) {
    for number in range {
        queue.append(entry(number));
        fixture.marks.set_appended(entry(number).end(), 0);
    }
}

fn numbers(queue: &Queue, from: i64, count: usize) -> Vec<i64> {
    let mut out = Vec::new();
    queue.entries(from, count, &mut out).unwrap();
    out.iter().map(|e| e.tags_code).collect()
}

#[test]
fn entries_are_read_from_memory_and_from_files() {
    let fixture = fixture(FlushMode::Async);
    let queue = fixture.table.find_or_create("T", 3).unwrap();
    fill(&fixture, &queue, 0..30);
    assert_eq!(numbers(&queue, 5, 100), (5..30).collect::<Vec<_>>());
    // Only what is durable is written, and only enough of it.
    assert!(queue.write(200, 21 * ENTRY_BYTES, 4).unwrap());
    assert_eq!(queue.written().next, 0);
    assert!(queue.write(205, 20 * ENTRY_BYTES, 4).unwrap());
    assert_eq!(queue.written().next, 20);
    assert_eq!(queue.written().last, Some(entry(19)));
    let names: Vec<String> = fixture
        .disk
        .list(Path::new("/cq/T/3"))
        .unwrap()
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names.len(), 3);
    assert_eq!(names[2], format!("{:020}", 320));
    // The last four written and all unwritten ones are in memory; a file ends a read.
    assert_eq!(numbers(&queue, 16, 100), (16..30).collect::<Vec<_>>());
    assert_eq!(numbers(&queue, 3, 100), [3, 4, 5, 6, 7]);
    assert_eq!(numbers(&queue, 3, 2), [3, 4]);
    assert_eq!(numbers(&queue, 15, 3), [15]);
    assert_eq!(numbers(&queue, 30, 5), [0; 0]);
    assert!(queue.entries(-1, 5, &mut Vec::new()).is_ok());
    assert_eq!(queue.entry(17), Some(entry(17)));
    assert_eq!((queue.entry(30), queue.entry(-1)), (None, None));
}

#[test]
fn an_idle_queue_keeps_nothing_in_memory_and_leaves_the_list() {
    let fixture = fixture(FlushMode::Async);
    let queue = fixture.table.find_or_create("T", 0).unwrap();
    assert!(queue.append(entry(0)));
    assert!(!queue.append(entry(1)));
    assert!(queue.write(i64::MAX, 0, 10).unwrap());
    assert_eq!(queue.state.lock().entries.len(), 2);
    assert!(!queue.write(i64::MAX, 0, 10).unwrap());
    assert_eq!(queue.state.lock().entries.capacity(), 0);
    assert_eq!(numbers(&queue, 0, 10), [0, 1]);
    assert!(queue.append(entry(2)));
    assert_eq!(queue.next_offset(), 3);
}

#[test]
fn only_safe_entries_are_visible() {
    let fixture = fixture(FlushMode::Sync);
    let queue = fixture.table.find_or_create("T", 0).unwrap();
    fill(&fixture, &queue, 0..10);
    assert_eq!((queue.next_offset(), queue.max_offset()), (10, 0));
    for (flushed, visible) in [(9, 0), (10, 1), (55, 5), (100, 10)] {
        fixture.marks.set_flushed(flushed);
        assert_eq!(queue.max_offset(), visible, "{flushed}");
    }
    fill(&fixture, &queue, 10..12);
    queue.write(100, 0, 0).unwrap();
    assert_eq!((queue.next_offset(), queue.max_offset()), (12, 10));
}

#[test]
fn what_was_synced_survives_and_is_taken_up_again() {
    let fixture = fixture(FlushMode::Async);
    let queue = fixture.table.find_or_create("T", 0).unwrap();
    fill(&fixture, &queue, 0..20);
    queue.write(i64::MAX, 0, 0).unwrap();
    fixture.disk.sync_dir(Path::new("/")).unwrap();
    let dirty = queue.take_dirty();
    assert_eq!(dirty.count(), 4);
    queue.sync(&dirty).unwrap();
    assert!(queue.take_dirty().is_empty());
    let again = fixture_on(fixture.disk.crash(Crash::Synced), FlushMode::Async);
    again.table.load_dirs().unwrap();
    let queue = again.table.find("T", 0).unwrap();
    queue.find_files().unwrap();
    assert_eq!(queue.end_in_files().unwrap(), 20);
    for (position, count) in [(0, 0), (1, 1), (10, 1), (191, 20), (1000, 20)] {
        assert_eq!(
            queue.count_before(20, position).unwrap(),
            count,
            "{position}"
        );
    }
    queue.restore(12).unwrap();
    assert!(queue.has_wrong_end().unwrap());
    queue.restore_entry(12, entry(12), true).unwrap();
    queue.cut_files().unwrap();
    assert!(!queue.has_wrong_end().unwrap());
    assert_eq!(queue.end_in_files().unwrap(), 13);
    queue.write(i64::MAX, 0, 0).unwrap();
    assert_eq!(numbers(&queue, 8, 9), [8, 9, 10, 11, 12]);
    assert_eq!(again.disk.list(Path::new("/cq/T/0")).unwrap().len(), 2);
}

#[test]
fn the_log_decides_when_a_queue_was_made_again_or_has_a_hole() {
    let fixture = fixture(FlushMode::Async);
    let queue = fixture.table.find_or_create("T", 0).unwrap();
    for number in 0..20 {
        queue
            .restore_entry(number, entry(number), number == 0)
            .unwrap();
    }
    queue.write(i64::MAX, 0, 0).unwrap();
    // Made again.
    queue.restore_entry(0, entry(50), false).unwrap();
    queue.restore_entry(1, entry(51), false).unwrap();
    assert_eq!((queue.min_offset(), queue.next_offset()), (0, 2));
    assert_eq!(numbers(&queue, 0, 9), [50, 51]);
    // A hole is filled with blanks, which are no messages.
    queue.restore_entry(5, entry(55), false).unwrap();
    assert_eq!(queue.next_offset(), 6);
    assert_eq!(queue.entry(3), Some(Entry::BLANK));
    queue.cut_files().unwrap();
    queue.write(i64::MAX, 0, 0).unwrap();
    assert_eq!(numbers(&queue, 0, 9), [50, 51, 0, 0, 0, 55]);
    assert_eq!(queue.end_in_files().unwrap(), 6);
    // A leap that no broker makes begins the queue anew.
    queue.restore_entry(1 << 40, entry(60), false).unwrap();
    assert_eq!(
        (queue.min_offset(), queue.next_offset()),
        (1 << 40, (1 << 40) + 1)
    );
    queue.write(i64::MAX, 0, 0).unwrap();
    assert_eq!(numbers(&queue, 1 << 40, 9), [60]);
}

#[test]
fn expired_entries_and_their_files_go_but_never_the_last_one() {
    let fixture = fixture(FlushMode::Async);
    let queue = fixture.table.find_or_create("T", 0).unwrap();
    fill(&fixture, &queue, 0..30);
    queue.write(i64::MAX, 0, 3).unwrap();
    assert_eq!((queue.expire(0).unwrap(), queue.min_offset()), (0, 0));
    assert_eq!((queue.expire(95).unwrap(), queue.min_offset()), (1, 10));
    assert_eq!((queue.expire(95).unwrap(), queue.min_offset()), (0, 10));
    assert_eq!((queue.expire(290).unwrap(), queue.min_offset()), (2, 29));
    assert_eq!((queue.expire(9999).unwrap(), queue.min_offset()), (0, 30));
    assert_eq!(fixture.disk.list(Path::new("/cq/T/0")).unwrap().len(), 1);
    assert!(queue.entry(5).is_none());
}

#[test]
fn few_files_stay_open() {
    let fixture = fixture(FlushMode::Async);
    let queue = fixture.table.find_or_create("T", 0).unwrap();
    fill(&fixture, &queue, 0..100);
    queue.write(i64::MAX, 0, 0).unwrap();
    for round in 0..3 {
        for number in (0..100).rev() {
            assert_eq!(queue.entry(number), Some(entry(number)), "{round}");
        }
    }
    assert!(fixture.table.files().open_count() <= 2);
    queue.set_deleted();
    assert_eq!(fixture.table.files().open_count(), 0);
}

#[test]
fn directories_that_are_no_queues_are_left_alone() {
    let fixture = fixture(FlushMode::Async);
    for dir in ["/cq/T/x", "/cq/T/-1", "/cq/T/7", "/cq/empty"] {
        fixture.disk.create_dir(Path::new(dir)).unwrap();
    }
    fixture.disk.create(Path::new("/cq/file")).unwrap();
    fixture.disk.create(Path::new("/cq/T/7/odd")).unwrap();
    fixture
        .disk
        .create(Path::new("/cq/T/7/00000000000000000007"))
        .unwrap();
    fixture.table.load_dirs().unwrap();
    let all = fixture.table.all();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].topic(), all[0].id()), ("T", 7));
    assert_eq!(
        fixture.table.files().list(Path::new("/cq/T/7")).unwrap(),
        [0; 0]
    );
}
