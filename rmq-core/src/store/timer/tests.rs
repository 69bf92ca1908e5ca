//! The wheel and its log on a disk that may lose power.

use std::path::Path;

use super::*;
use crate::base::clock::ManualClock;
use crate::store::disk::{Crash, MemDisk};

const TICK_MS: i64 = 1000;
const TEST_SLOTS: i64 = 300;

fn open_at(disk: &MemDisk, checkpoint: &TimerCheckpoint) -> (TimerWheel, HashSet<i64>) {
    let live = LiveSlots::default();
    // Three units and the blank.
    let file_bytes = (3 * UNIT_BYTES + 20) as u64;
    let disk = disk.shared();
    let options = TimerOptions {
        slots: TEST_SLOTS,
        log_file_bytes: file_bytes,
        tick_ms: TICK_MS,
        commit_log_end: 100_000,
    };
    TimerWheel::open(&disk, Path::new("/s"), &options, (checkpoint, live)).unwrap()
}

fn unit(tick: i64, offset: i64) -> Unit {
    Unit {
        kind: UnitKind::DELIVER,
        enqueued_ms: 50_000,
        delay_ms: i32::try_from(tick * TICK_MS - 50_000).unwrap(),
        offset,
        size: 100,
        topic_hash: 7,
        prev: -1,
    }
}

fn offsets(wheel: &mut TimerWheel, tick: i64) -> Vec<i64> {
    let positions = wheel.units_of(tick).unwrap();
    let offset = |at: i64, wheel: &mut TimerWheel| wheel.unit(at).unwrap().offset;
    positions.into_iter().map(|at| offset(at, wheel)).collect()
}

fn disk() -> MemDisk {
    MemDisk::new(ManualClock::new(0))
}

#[test]
fn bytes_are_those_of_apache() {
    let unit = Unit {
        prev: 104,
        kind: UnitKind::DELIVER.with(UnitKind::ROLL),
        enqueued_ms: 1_795_357_533_000,
        delay_ms: 5000,
        offset: 4096,
        size: 333,
        topic_hash: -5,
    };
    let mut expected = Vec::new();
    expected.extend(52_i32.to_be_bytes());
    expected.extend(104_i64.to_be_bytes());
    expected.extend(3_i32.to_be_bytes());
    expected.extend(1_795_357_533_000_i64.to_be_bytes());
    expected.extend(5000_i32.to_be_bytes());
    expected.extend(4096_i64.to_be_bytes());
    expected.extend(333_i32.to_be_bytes());
    expected.extend((-5_i32).to_be_bytes());
    expected.extend(0_i64.to_be_bytes());
    assert_eq!(unit.encode().to_vec(), expected);
    assert_eq!(Unit::decode(&unit.encode(), 156), Some(unit));
    // A chain leads backwards.
    assert_eq!(Unit::decode(&unit.encode(), 104), None);
    assert_eq!(Unit::decode(&[0; UNIT_BYTES], 0), None);
    let slot = Slot {
        tick: 1_795_357_533,
        first: 52,
        last: 520,
        num: 3,
        magic: 9,
    };
    let mut expected = Vec::new();
    expected.extend(1_795_357_533_i64.to_be_bytes());
    expected.extend(52_i64.to_be_bytes());
    expected.extend(520_i64.to_be_bytes());
    expected.extend(3_i32.to_be_bytes());
    expected.extend(9_i32.to_be_bytes());
    assert_eq!(slot.encode().to_vec(), expected);
    assert_eq!(Slot::decode(&slot.encode()), slot);
}

#[test]
fn slots_keep_their_units_in_order_over_files() {
    let disk = disk();
    let (mut wheel, found) = open_at(&disk, &TimerCheckpoint::default());
    assert!(found.is_empty());
    for n in 0..20 {
        let tick = 100 + n % 3;
        assert_eq!(wheel.link(unit(tick, n * 1000)).unwrap(), Linked::Done);
    }
    assert_eq!(wheel.first_tick(), Some(100));
    let third: Vec<i64> = (0..20).step_by(3).map(|n| n * 1000).collect();
    assert_eq!(offsets(&mut wheel, 100), third);
    wheel.sync().unwrap();
    assert_eq!(offsets(&mut wheel, 100), third);
    let names = Disk::list(&disk, Path::new("/s/timerlog")).unwrap();
    assert_eq!(names.len(), 7);
    assert!(names.iter().all(|name| name.len == 176));
    assert_eq!(names[1].name, "00000000000000000176");
    let file = Disk::read(&disk, Path::new("/s/timerlog/00000000000000000000"));
    let mut blank = 20_i32.to_be_bytes().to_vec();
    blank.extend([0; 8]);
    blank.extend((0xBBCC_DDEE_u32 ^ 1_880_681_594).to_be_bytes());
    assert_eq!(file.unwrap()[156..172], blank);
    // What is done with is skipped by the time of the checkpoint.
    wheel.done(100);
    let checkpoint = TimerCheckpoint {
        read_ms: 101_000,
        log_position: wheel.log_end(),
        ..TimerCheckpoint::default()
    };
    let (mut again, found) = open_at(&disk, &checkpoint);
    assert!(found.is_empty());
    assert_eq!(again.first_tick(), Some(101));
    assert_eq!(offsets(&mut again, 101).len(), 7);
    assert_eq!(again.log_end(), wheel.log_end());
    again.delete_before(9_500).unwrap();
    let names = Disk::list(&disk, Path::new("/s/timerlog")).unwrap();
    assert_eq!(names[0].name, "00000000000000000528");
    assert_eq!(offsets(&mut again, 101), [10_000, 13_000, 16_000, 19_000]);
}

#[test]
fn what_the_wheel_lacks_is_taken_from_the_log() {
    for crash in [Crash::Synced, Crash::Everything] {
        let disk = disk();
        let (mut wheel, _) = open_at(&disk, &TimerCheckpoint::default());
        wheel.link(unit(100, 1)).unwrap();
        wheel.sync().unwrap();
        let checkpoint = TimerCheckpoint {
            log_position: wheel.log_end(),
            ..TimerCheckpoint::default()
        };
        for n in 2..9 {
            wheel.link(unit(100 + n % 2, n)).unwrap();
        }
        // Only the log gets to the disk.
        wheel.log.sync().unwrap();
        let after = disk.crash(crash);
        let (mut again, found) = open_at(&after, &checkpoint);
        assert_eq!(found, (2..9).collect());
        assert_eq!(offsets(&mut again, 100), [1, 2, 4, 6, 8]);
        assert_eq!(offsets(&mut again, 101), [3, 5, 7]);
        assert_eq!(again.live.lock().get(&100), Some(&5));
        again.link(unit(101, 9)).unwrap();
        again.sync().unwrap();
        // A wheel that is lost is made again from the whole log.
        Disk::remove(&after, Path::new("/s/timerwheel")).unwrap();
        let (mut third, found) = open_at(&after, &checkpoint);
        assert_eq!(found, (2..10).collect());
        assert_eq!(offsets(&mut third, 101), [3, 5, 7, 9]);
        assert_eq!(offsets(&mut third, 100), [1, 2, 4, 6, 8]);
    }
}

#[test]
fn a_wheel_ahead_of_its_log_is_made_again() {
    let disk = disk();
    let (mut wheel, _) = open_at(&disk, &TimerCheckpoint::default());
    for n in 1..9 {
        wheel.link(unit(100 + n % 2, n)).unwrap();
    }
    wheel.sync().unwrap();
    let checkpoint = TimerCheckpoint {
        log_position: 176,
        ..TimerCheckpoint::default()
    };
    for name in ["00000000000000000176", "00000000000000000352"] {
        Disk::remove(&disk, &Path::new("/s/timerlog").join(name)).unwrap();
    }
    let (mut again, _) = open_at(&disk, &checkpoint);
    assert_eq!(offsets(&mut again, 100), [2]);
    assert_eq!(offsets(&mut again, 101), [1, 3]);
    again.link(unit(100, 20)).unwrap();
    assert_eq!(offsets(&mut again, 100), [2, 20]);
}

#[test]
fn what_is_left_of_a_slot_begins_a_new_chain() {
    let disk = disk();
    let (mut wheel, _) = open_at(&disk, &TimerCheckpoint::default());
    for n in 0..5 {
        wheel.link(unit(100, n)).unwrap();
    }
    let positions = wheel.units_of(100).unwrap();
    wheel.keep_only(100, &positions[3..]).unwrap();
    assert_eq!(offsets(&mut wheel, 100), [3, 4]);
    wheel.sync().unwrap();
    let checkpoint = TimerCheckpoint {
        log_position: wheel.log_end(),
        ..TimerCheckpoint::default()
    };
    let (mut again, _) = open_at(&disk, &checkpoint);
    assert_eq!(offsets(&mut again, 100), [3, 4]);
    assert_eq!(again.live.lock().get(&100), Some(&2));
    again.keep_only(100, &[]).unwrap();
    assert_eq!(again.first_tick(), None);
    again.forget(100).unwrap();
    again.sync().unwrap();
    let (again, _) = open_at(&disk, &checkpoint);
    assert_eq!(again.first_tick(), None);
}

#[test]
fn a_place_on_the_wheel_is_not_taken_twice() {
    let disk = disk();
    let (mut wheel, _) = open_at(&disk, &TimerCheckpoint::default());
    wheel.link(unit(100, 1)).unwrap();
    let mut later = unit(100, 2);
    later.enqueued_ms += TEST_SLOTS * TICK_MS;
    assert_eq!(wheel.link(later).unwrap(), Linked::Taken);
    wheel.done(100);
    assert_eq!(wheel.link(later).unwrap(), Linked::Done);
    assert_eq!(offsets(&mut wheel, 100 + TEST_SLOTS), [2]);
    assert_eq!(offsets(&mut wheel, 100), Vec::<i64>::new());
}

#[test]
fn units_of_messages_that_were_lost_are_none() {
    let disk = disk();
    let (mut wheel, _) = open_at(&disk, &TimerCheckpoint::default());
    for (n, offset) in [1, 2, 99_950, 3].into_iter().enumerate() {
        wheel.link(unit(100 + n as i64 % 2, offset)).unwrap();
    }
    wheel.sync().unwrap();
    let (mut again, found) = open_at(&disk, &TimerCheckpoint::default());
    assert_eq!(found, [1, 2].into());
    assert_eq!(offsets(&mut again, 100), [1]);
    assert_eq!(offsets(&mut again, 101), [2]);
    again.link(unit(100, 50)).unwrap();
    again.sync().unwrap();
    let (mut third, _) = open_at(&disk, &TimerCheckpoint::default());
    assert_eq!(offsets(&mut third, 100), [1, 50]);
    assert_eq!(offsets(&mut third, 101), [2]);
}
