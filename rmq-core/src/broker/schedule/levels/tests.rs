use super::*;

const DELAYS_MS: [i64; 3] = [1_000, 5_000, 0];

fn at(ms: i64) -> Now {
    Now {
        wall_ms: 1_000_000 + ms,
        monotonic_ms: ms.unsigned_abs(),
    }
}

fn ends(next: i64) -> Ends {
    Ends {
        min: 0,
        visible: next,
        next,
    }
}

fn levels() -> Levels {
    Levels::new(&DELAYS_MS, &BTreeMap::new())
}

/// Only the level of this index has messages.
fn ready_only(levels: &mut Levels, index: usize, now: Now) {
    for other in (0..DELAYS_MS.len()).filter(|other| *other != index) {
        assert_eq!(levels.look(other, ends(0)), None);
    }
    assert_eq!(levels.ready(now), Some(index));
}

fn due(ms: i64) -> i64 {
    at(ms).wall_ms
}

#[test]
fn a_level_sleeps_until_its_first_message_is_due() {
    let mut levels = levels();
    ready_only(&mut levels, 0, at(0));
    assert_eq!(levels.look(0, ends(3)), Some(0));
    let entries = [due(300), due(400), due(900)];
    assert_eq!(levels.choose(0, ends(3), entries, at(0)), 0);
    assert_eq!(levels.ready(at(299)), None);
    assert_eq!(levels.sleep_ms(at(0)), Some(300));
    assert_eq!(levels.sleep_ms(at(299)), Some(1));

    assert_eq!(levels.ready(at(500)), Some(0));
    assert_eq!(levels.look(0, ends(3)), Some(0));
    assert_eq!(levels.choose(0, ends(3), entries, at(500)), 2);
    levels.delivered(0, 2, Some(77));
    // What comes next is known already.
    assert_eq!(levels.sleep_ms(at(500)), Some(400));
    assert_eq!(levels.ready(at(900)), Some(0));
    assert_eq!(levels.look(0, ends(3)), Some(2));
    assert_eq!(levels.choose(0, ends(3), [due(900)], at(900)), 1);
    levels.delivered(0, 1, Some(99));
    assert_eq!(levels.ready(at(900)), Some(0));
    assert_eq!(levels.look(0, ends(3)), None);
    assert_eq!(levels.sleep_ms(at(900)), None);
}

#[test]
fn an_empty_level_waits_for_news() {
    let mut levels = levels();
    while let Some(index) = levels.ready(at(0)) {
        assert_eq!(levels.look(index, ends(0)), None);
    }
    assert_eq!(levels.sleep_ms(at(0)), None);
    levels.arrived(1);
    levels.arrived(63);
    assert_eq!(levels.sleep_ms(at(0)), Some(0));
    assert_eq!(levels.ready(at(0)), Some(1));
}

#[test]
fn a_long_delay_is_looked_at_again_and_again_for_the_clock_may_jump() {
    let mut levels = levels();
    ready_only(&mut levels, 1, at(0));
    levels.look(1, ends(1));
    assert_eq!(levels.choose(1, ends(1), [due(5_000)], at(0)), 0);
    assert_eq!(levels.sleep_ms(at(0)), Some(LOOK_INTERVAL_MS));
    assert_eq!(levels.sleep_ms(at(4_200)), Some(800));
    assert_eq!(levels.ready(at(5_000)), Some(1));
}

#[test]
fn a_clock_that_goes_back_a_little_delivers_nothing_early() {
    let mut levels = levels();
    ready_only(&mut levels, 0, at(0));
    levels.look(0, ends(1));
    // Stored at 0, then the clock went back by nine seconds.
    assert_eq!(levels.choose(0, ends(1), [due(1_000)], at(-9_000)), 0);
    assert_eq!(levels.ready(at(999)), None);
    assert_eq!(levels.ready(at(1_000)), Some(0));
}

#[test]
fn what_is_due_later_than_the_level_allows_goes_at_once() {
    let mut levels = levels();
    ready_only(&mut levels, 0, at(0));
    levels.look(0, ends(2));
    // As when the level was an hour before the restart.
    let entries = [due(3_600_000), due(11_000)];
    assert_eq!(levels.choose(0, ends(2), entries, at(0)), 1);
    levels.delivered(0, 1, Some(1));
    assert_eq!(levels.ready(at(0)), None);
    // While a level sleeps, a clock that is set far back wakes it.
    assert_eq!(levels.ready(at(-1)), Some(0));
}

#[test]
fn what_is_not_safe_yet_is_not_delivered_and_not_forgotten() {
    let mut levels = levels();
    ready_only(&mut levels, 2, at(0));
    let hidden = Ends {
        min: 0,
        visible: 1,
        next: 2,
    };
    let entries = [due(0), due(0)];
    levels.look(2, hidden);
    assert_eq!(levels.choose(2, hidden, entries, at(0)), 1);
    levels.delivered(2, 1, Some(10));
    assert!(levels.awaits_safety());
    assert_eq!(levels.sleep_ms(at(0)), None);
    levels.became_safe();
    assert_eq!(levels.ready(at(0)), Some(2));
    assert_eq!(levels.look(2, ends(2)), Some(1));
    assert_eq!(levels.choose(2, ends(2), [due(0)], at(0)), 1);
}

#[test]
fn a_failed_delivery_is_tried_again_after_a_pause() {
    let mut levels = levels();
    ready_only(&mut levels, 0, at(0));
    levels.look(0, ends(5));
    assert_eq!(levels.choose(0, ends(5), [due(0); 5], at(0)), 5);
    levels.delivered(0, 2, Some(50));
    levels.failed(0, RETRY_MS, at(0));
    assert_eq!(levels.sleep_ms(at(0)), Some(RETRY_MS));
    assert_eq!(levels.ready(at(99)), None);
    assert_eq!(levels.ready(at(100)), Some(0));
    assert_eq!(levels.look(0, ends(5)), Some(2));
    // The same when a queue cannot be read.
    assert_eq!(levels.choose(0, ends(5), [], at(100)), 0);
    assert_eq!(levels.sleep_ms(at(100)), Some(RETRY_MS));
}

#[test]
fn offsets_are_settled_when_the_log_is_safe_that_far() {
    let mut levels = levels();
    ready_only(&mut levels, 0, at(0));
    levels.look(0, ends(9));
    levels.choose(0, ends(9), [due(0); 9], at(0));
    // Passed over: there is nothing to wait for.
    levels.delivered(0, 1, None);
    assert_eq!(levels.settled().collect::<Vec<_>>(), [(1, 1)]);
    levels.delivered(0, 2, Some(100));
    levels.delivered(0, 1, None);
    levels.delivered(0, 1, Some(200));
    assert!(levels.awaits_safety());
    assert!(!levels.settle(99));
    assert!(levels.settle(100));
    assert_eq!(levels.settled().collect::<Vec<_>>(), [(1, 4)]);
    assert!(levels.settle(1_000));
    assert!(!levels.awaits_safety());
    assert_eq!(levels.settled().collect::<Vec<_>>(), [(1, 5)]);
}

#[test]
fn what_is_remembered_of_deliveries_is_bounded_and_never_ahead() {
    let mut levels = levels();
    for number in 1..=10_000 {
        levels.delivered(0, 1, Some(number * 10));
    }
    assert_eq!(levels.levels[0].marks.len(), MARKS_MAX);
    for safe in [5, 500, 5_000, 99_999, 100_000] {
        levels.settle(safe);
        let settled = levels.settled().next().map_or(0, |(_, offset)| offset);
        assert!(settled * 10 <= safe, "{settled} of {safe}");
    }
    assert_eq!(levels.settled().collect::<Vec<_>>(), [(1, 10_000)]);
}

#[test]
fn levels_take_turns() {
    let mut levels = levels();
    let mut seen = Vec::new();
    for _ in 0..6 {
        let index = levels.ready(at(0)).unwrap();
        seen.push(index);
        levels.look(index, ends(1_000));
        assert_eq!(levels.choose(index, ends(1_000), [due(0); 8], at(0)), 8);
        levels.delivered(index, 8, Some(1));
    }
    assert_eq!(seen, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn offsets_go_on_where_they_were_and_are_moved_into_their_queue() {
    let stored = BTreeMap::from([(1, 7), (2, 70), (3, 3), (9, 1)]);
    let mut levels = Levels::new(&DELAYS_MS, &stored);
    let settled: Vec<_> = levels.settled().collect();
    assert_eq!(settled, [(1, 7), (2, 70), (3, 3)]);
    assert_eq!(levels.look(0, ends(10)), Some(7));
    // The log lost its end.
    assert_eq!(levels.look(1, ends(60)), None);
    let young = Ends { min: 5, ..ends(10) };
    assert_eq!(levels.look(2, young), Some(5));
    let settled: Vec<_> = levels.settled().collect();
    assert_eq!(settled, [(1, 7), (2, 60), (3, 5)]);
}

#[test]
fn a_broker_without_levels_has_nothing_to_do() {
    let mut levels = Levels::new(&[], &BTreeMap::new());
    assert_eq!(levels.ready(at(0)), None);
    assert_eq!(levels.sleep_ms(at(0)), None);
}
