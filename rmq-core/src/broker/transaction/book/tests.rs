use super::*;

const RULES: Rules = Rules {
    timeout_ms: 6_000,
    check_max: 3,
    reserved_ms: 3_600_000,
};

fn half(offset: i64) -> Facts {
    Facts {
        offset,
        origin: offset,
        born_ms: 0,
        check_times: None,
        immunity_s: None,
    }
}

fn copy(offset: i64, origin: i64, check_times: i32) -> Facts {
    Facts {
        origin,
        check_times: Some(check_times),
        ..half(offset)
    }
}

fn book(half: i64) -> Book {
    Book::new(Progress { half, over: 0 })
}

#[test]
fn a_transaction_ends_once() {
    let mut book = book(0);
    let ending = book.end(&half(3), Outcome::Committed).unwrap();
    assert_eq!(ending.offsets().collect::<Vec<_>>(), [3]);
    let again = book.end(&half(3), Outcome::RolledBack);
    assert_eq!(again, Err(Outcome::Committed));
    book.take_back(&ending);
    assert_eq!(book.current(&half(3)), Ok(3));
    book.end(&half(3), Outcome::RolledBack).unwrap();
    assert_eq!(book.current(&half(3)), Err(Outcome::RolledBack));
}

#[test]
fn all_copies_are_one_transaction() {
    let mut book = book(0);
    book.put_back(&half(3), 8);
    book.put_back(&copy(8, 3, 1), 11);
    // Whichever of them a producer names.
    for named in [half(3), copy(8, 3, 1), copy(11, 3, 2)] {
        assert_eq!(book.current(&named), Ok(11));
        let ending = book.end(&named, Outcome::Committed).unwrap();
        assert_eq!(ending.offsets().collect::<Vec<_>>(), [3, 11]);
        for other in [half(3), copy(8, 3, 1), copy(11, 3, 2)] {
            assert_eq!(book.current(&other), Err(Outcome::Committed));
        }
        book.take_back(&ending);
        assert_eq!(book.current(&half(3)), Ok(11));
    }
    assert_eq!(book.judge(&half(3), &RULES, 0, 10_000), Step::Pass);
    assert_eq!(book.judge(&copy(8, 3, 1), &RULES, 0, 10_000), Step::Pass);
    let last = copy(11, 3, 2);
    assert_eq!(book.judge(&last, &RULES, 0, 10_000), Step::Check(3));
}

#[test]
fn progress_stops_at_the_first_open_one_and_keeps_its_lists() {
    let mut book = book(0);
    for (list, halves) in [(0, [0, 2]), (1, [3, 4]), (2, [1, 5])] {
        for offset in halves {
            book.end(&half(offset), Outcome::Committed).unwrap();
        }
        book.listed(list, halves[1]);
        let progress = book.advance();
        let expected = match list {
            0 | 1 => Progress { half: 1, over: 0 },
            _ => Progress { half: 6, over: 3 },
        };
        assert_eq!(progress, expected);
    }
    assert_eq!(book.current(&half(1)), Err(Outcome::Committed));
    assert_eq!(book.current(&half(6)), Ok(6));
}

#[test]
fn what_lies_far_behind_is_over_and_no_longer_known_how() {
    let mut book = book(0);
    for offset in 0..REMEMBERED + 10 {
        book.end(&half(offset), Outcome::Committed).unwrap();
    }
    book.advance();
    assert_eq!(book.current(&half(9)), Err(Outcome::Gone));
    assert_eq!(book.current(&half(10)), Err(Outcome::Committed));
}

#[test]
fn loading_tells_open_ones_from_those_that_are_listed_or_put_back() {
    let mut book = book(10);
    // As Apache's broker lists: by the origin, which lies before the start.
    book.load_list(4, [4, 12]);
    book.load_list(5, []);
    let open = [
        half(10),
        copy(11, 4, 1),
        copy(13, 7, 1),
        half(14),
        copy(15, 7, 2),
        copy(16, 10, 1),
        copy(17, 12, 1),
    ];
    for facts in &open {
        assert_eq!(book.first_open(facts.offset), facts.offset, "{facts:?}");
        book.load_half(facts);
    }
    book.loaded();
    let is_open = |facts: &Facts| book.current(facts) == Ok(facts.offset);
    let found: Vec<i64> = open
        .iter()
        .filter(|facts| is_open(facts))
        .map(|facts| facts.offset)
        .collect();
    assert_eq!(found, [14, 15, 16]);
    assert_eq!(book.current(&half(10)), Ok(16));
    assert_eq!(book.current(&copy(13, 7, 1)), Ok(15));
    // Up to the first open one; its list is the first one needed.
    let progress = book.advance();
    assert_eq!(progress, Progress { half: 14, over: 6 });
}

#[test]
fn a_check_waits_for_the_age_and_for_the_producer() {
    let book = book(0);
    let young = |now_ms| book.judge(&half(0), &RULES, 0, now_ms);
    assert_eq!(young(6_000), Step::Wait);
    assert_eq!(young(6_001), Step::Check(1));
    // A clock ahead of the broker's is no reason to wait for long.
    assert_eq!(young(-1), Step::Check(1));
    let immune = Facts {
        immunity_s: Some(60),
        ..half(0)
    };
    let judge = |behind, now_ms| book.judge(&immune, &RULES, behind, now_ms);
    assert_eq!(judge(IMMUNE_BEHIND_MAX - 1, 60_000), Step::Stay);
    assert_eq!(judge(IMMUNE_BEHIND_MAX, 60_000), Step::PutBack);
    assert_eq!(judge(0, 60_001), Step::Check(1));
    let unreadable = Facts {
        immunity_s: Some(-1),
        ..half(0)
    };
    assert_eq!(book.judge(&unreadable, &RULES, 0, 6_000), Step::Stay);
    assert_eq!(book.judge(&unreadable, &RULES, 0, 6_001), Step::Check(1));
}

#[test]
fn a_producer_that_asked_to_be_asked_later_comes_too_late() {
    let named = |immunity_s| Facts {
        immunity_s: Some(immunity_s),
        ..half(0)
    };
    assert!(!RULES.is_late(&half(0), i64::MAX));
    assert!(!RULES.is_late(&named(60), 60_000));
    assert!(RULES.is_late(&named(60), 60_001));
    // Never earlier than others are checked.
    assert!(!RULES.is_late(&named(1), 6_000));
    assert!(RULES.is_late(&named(1), 6_001));
}

#[test]
fn what_was_checked_too_often_or_is_too_old_is_given_up() {
    let book = book(0);
    let judge = |times: Option<i32>, now_ms| {
        let facts = Facts {
            check_times: times,
            ..half(0)
        };
        book.judge(&facts, &RULES, 0, now_ms)
    };
    assert_eq!(judge(Some(2), 10_000), Step::Check(3));
    assert_eq!(judge(Some(3), 10_000), Step::GiveUp);
    // As Apache counts what is no number.
    assert_eq!(judge(Some(-1), 10_000), Step::Check(0));
    assert_eq!(judge(None, 3_600_000), Step::Check(1));
    assert_eq!(judge(None, 3_600_001), Step::GiveUp);
}
