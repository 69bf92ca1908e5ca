//! Each kind of violation is found, and what is no violation is not.

use super::*;

const A0: Queue = Queue {
    broker: 0,
    queue: 0,
};

fn id(number: u32) -> Id {
    Id {
        client: 1,
        producer: 0,
        number,
    }
}

fn at(offset: i64) -> Place {
    Place { queue: A0, offset }
}

/// Messages are sent one after the other, ten microseconds each, and lie 100 bytes apart.
fn answered(number: u32, offset: i64, status: Status) -> Attempt {
    let start = i64::from(number) * 20;
    Attempt {
        id: id(number),
        start,
        end: start + 10,
        answer: Answer::Stored {
            status,
            place: at(offset),
            physical: offset * 100,
        },
    }
}

fn unanswered(number: u32) -> Attempt {
    let answer = Answer::Unknown;
    Attempt {
        answer,
        ..answered(number, 0, Status::Ok)
    }
}

fn entry(offset: i64, number: u32) -> Entry {
    Entry {
        offset,
        physical: offset * 100,
        id: id(number),
    }
}

fn delivery(at_us: Micros, offset: i64, number: u32) -> Delivery {
    let (group, member) = (1, 0);
    Delivery {
        at: at_us,
        consumer: Consumer { group, member },
        id: id(number),
        place: at(offset),
    }
}

/// Ten messages, sent, stored and delivered.
fn sound() -> History {
    let numbers = 0..10_u32;
    let mut history = History {
        groups: vec![1],
        ..History::default()
    };
    history.attempts = numbers
        .clone()
        .map(|n| answered(n, i64::from(n), Status::Ok))
        .collect();
    history.log.insert(
        A0,
        numbers.clone().map(|n| entry(i64::from(n), n)).collect(),
    );
    history.deliveries = numbers
        .map(|n| delivery(1000 + i64::from(n), i64::from(n), n))
        .collect();
    history
}

fn log(history: &mut History) -> &mut Vec<Entry> {
    history.log.get_mut(&A0).unwrap()
}

#[track_caller]
fn finds(history: &History, conditions: &Conditions, expected: &[(Wrong, u64)]) -> Counts {
    let verdict = check(history, conditions);
    let expected: BTreeMap<Wrong, u64> = expected.iter().copied().collect();
    assert_eq!(verdict.wrong(), expected, "{verdict}");
    assert_eq!(verdict.holds(), expected.is_empty());
    verdict.counts
}

#[track_caller]
fn broken(change: impl FnOnce(&mut History), expected: &[(Wrong, u64)]) -> Counts {
    let mut history = sound();
    change(&mut history);
    finds(&history, &Conditions::default(), expected)
}

/// The slave had the first six messages when the master's disk was lost.
fn loss() -> Conditions {
    let (broker, at, kept) = (0, 500, 600);
    Conditions {
        losses: vec![Loss { broker, at, kept }],
        lag_may_be_lost: true,
        ..Conditions::default()
    }
}

#[test]
fn a_sound_history_holds() {
    let counts = broken(|_| {}, &[]);
    assert_eq!((counts.attempts, counts.ok, counts.stored), (10, 10, 10));
    assert_eq!((counts.delivered, counts.redelivered), (10, 0));
}

#[test]
fn a_lost_message_is_found() {
    let without = |history: &mut History| {
        log(history).pop();
        history.deliveries.pop();
    };
    broken(without, &[(Wrong::Lost, 1)]);
    // What was not acknowledged may be lost.
    for status in [
        Status::FlushDiskTimeout,
        Status::FlushSlaveTimeout,
        Status::SlaveNotAvailable,
    ] {
        let change = |history: &mut History| {
            without(history);
            history.attempts[9] = answered(9, 9, status);
        };
        broken(change, &[]);
    }
    let change = |history: &mut History| {
        without(history);
        history.attempts[9] = unanswered(9);
    };
    assert_eq!(broken(change, &[]).unanswered, 1);
}

#[test]
fn another_message_at_an_acknowledged_place_is_found() {
    let change = |history: &mut History| {
        history.attempts.push(unanswered(10));
        log(history)[9].id = id(10);
        history.deliveries[9].id = id(10);
    };
    broken(change, &[(Wrong::Replaced, 1)]);
    let change = |history: &mut History| {
        history.attempts.push(answered(10, 9, Status::Ok));
    };
    broken(change, &[(Wrong::Replaced, 1), (Wrong::Conflict, 1)]);
}

#[test]
fn a_message_that_nobody_sent_is_found() {
    let change = |history: &mut History| {
        log(history).push(entry(10, 77));
        history.deliveries.push(delivery(2000, 10, 77));
    };
    broken(change, &[(Wrong::NobodySent, 2)]);
    let change = |history: &mut History| history.foreign.push("X".to_owned());
    broken(change, &[(Wrong::NobodySent, 1)]);
    // Delivered before it was sent.
    let change = |history: &mut History| history.deliveries[9].at = 5;
    broken(change, &[(Wrong::NobodySent, 1)]);
}

#[test]
fn a_message_stored_too_often_is_found() {
    let twice = |history: &mut History| {
        log(history).push(entry(10, 9));
        history.deliveries.push(delivery(2000, 10, 9));
    };
    let counts = broken(twice, &[(Wrong::Surplus, 1)]);
    assert_eq!(counts.stored_twice, 1);
    // Sent again after no answer: once more is no wonder.
    let change = |history: &mut History| {
        twice(history);
        history.attempts.push(unanswered(9));
    };
    broken(change, &[]);
    // Refused is not stored.
    let change = |history: &mut History| {
        twice(history);
        let answer = Answer::Refused;
        history.attempts.push(Attempt {
            answer,
            ..unanswered(9)
        });
    };
    broken(change, &[(Wrong::Surplus, 1)]);
}

#[test]
fn holes_and_log_offsets_that_do_not_grow_are_found() {
    let change = |history: &mut History| {
        history.attempts[4] = unanswered(4);
        log(history).remove(4);
        history.deliveries.remove(4);
    };
    broken(change, &[(Wrong::Hole, 1)]);
    let change = |history: &mut History| log(history)[4].physical = 250;
    broken(change, &[(Wrong::Hole, 1)]);
}

#[test]
fn a_queue_that_is_not_in_the_order_of_sending_is_found() {
    let swap = |history: &mut History| {
        history.attempts[3] = Attempt {
            id: id(3),
            ..answered(4, 3, Status::Ok)
        };
        history.attempts[4] = Attempt {
            id: id(4),
            ..answered(3, 4, Status::Ok)
        };
    };
    broken(swap, &[(Wrong::Order, 1)]);
    // At the same time: either order.
    let change = |history: &mut History| {
        swap(history);
        history.attempts[4].end = 1000;
    };
    broken(change, &[]);
    // A message without an answer was not stored before it was sent.
    let change = |history: &mut History| {
        history.attempts[3] = Attempt {
            start: 900,
            end: 910,
            ..unanswered(3)
        };
    };
    broken(change, &[(Wrong::Order, 6)]);
}

#[test]
fn what_a_consumer_saw_and_the_log_has_not_is_found() {
    let change = |history: &mut History| {
        history.attempts.push(unanswered(10));
        history.deliveries.push(delivery(2000, 10, 10));
    };
    broken(change, &[(Wrong::Vanished, 1)]);
    // Two different ones at one place.
    let change = |history: &mut History| history.deliveries.push(delivery(2000, 9, 8));
    broken(change, &[(Wrong::Vanished, 1)]);
}

#[test]
fn what_a_group_was_not_given_is_found() {
    let change = |history: &mut History| {
        history.deliveries.remove(4);
    };
    broken(change, &[(Wrong::NotDelivered, 1)]);
    // Also when it was never acknowledged.
    let change = |history: &mut History| {
        history.deliveries.remove(4);
        history.attempts[4] = unanswered(4);
    };
    broken(change, &[(Wrong::NotDelivered, 1)]);
    // And each group by itself.
    let change = |history: &mut History| history.groups.push(2);
    broken(change, &[(Wrong::NotDelivered, 10)]);
}

#[test]
fn a_consumer_that_goes_back_is_found() {
    let change = |history: &mut History| history.deliveries.swap(3, 4);
    broken(change, &[(Wrong::Backwards, 1)]);
    // Two consumers are each in order.
    let change = |history: &mut History| {
        history.deliveries.swap(3, 4);
        history.deliveries[3].consumer.member = 1;
    };
    broken(change, &[]);
}

#[test]
fn a_delivery_again_is_found_unless_something_happened() {
    let mut history = sound();
    history.deliveries.push(delivery(2000, 4, 4));
    let mut conditions = Conditions::default();
    finds(&history, &conditions, &[(Wrong::Again, 1)]);
    conditions.disturbed.push((1500, 1999));
    finds(&history, &conditions, &[(Wrong::Again, 1)]);
    conditions.disturbed.push((1990, 2000));
    let counts = finds(&history, &conditions, &[]);
    assert_eq!(counts.redelivered, 1);
}

#[test]
fn an_acknowledgement_that_no_slave_can_have_given_is_found() {
    let mut history = sound();
    let mut conditions = Conditions::default();
    let alone = |broker, from, to| Alone { broker, from, to };
    // Message 4 is sent at 80 and answered at 90.
    conditions.alone = vec![alone(0, 79, 91)];
    finds(&history, &conditions, &[(Wrong::NotCopied, 1)]);
    for other in [alone(0, 80, 95), alone(0, 75, 90), alone(1, 0, 1000)] {
        conditions.alone = vec![other];
        finds(&history, &conditions, &[]);
    }
    conditions.alone = vec![alone(0, 79, 91)];
    history.attempts[4] = answered(4, 4, Status::SlaveNotAvailable);
    finds(&history, &conditions, &[]);
}

/// The last four of ten were on the lost disk alone; two others took their places.
fn after_loss() -> History {
    let mut history = sound();
    log(&mut history).truncate(6);
    for (number, offset) in [(50, 6), (51, 7)] {
        history.attempts.push(answered(number, offset, Status::Ok));
        log(&mut history).push(entry(offset, number));
    }
    history
}

#[test]
fn what_went_with_a_disk_is_lost_within_the_promise_and_no_more() {
    let history = after_loss();
    // Delivered before the loss: 6 to 9. At 6 and 7 the group has been already.
    let counts = finds(&history, &loss(), &[]);
    assert_eq!(counts.lost_with_copy, 4);
    assert_eq!((counts.seen_then_lost, counts.passed_over), (4, 2));
    // A deployment that promises a second copy may lose nothing.
    let mut strict = loss();
    strict.lag_may_be_lost = false;
    let expected = [
        (Wrong::Replaced, 2),
        (Wrong::Lost, 2),
        (Wrong::Conflict, 2),
        (Wrong::Vanished, 4),
        (Wrong::NotDelivered, 2),
    ];
    finds(&history, &strict, &expected);
    // One of them lay below the end of the copy that was left.
    let mut more = loss();
    more.losses[0].kept = 601;
    let expected = [(Wrong::Replaced, 1), (Wrong::Conflict, 1)];
    finds(&history, &more, &expected);
    // Acknowledged after the loss: no excuse.
    let mut late = loss();
    late.losses[0].at = 170;
    finds(&history, &late, &[(Wrong::Lost, 1)]);
    // The loss of another broker's disk excuses nothing.
    let mut other = loss();
    other.losses[0].broker = 1;
    finds(&history, &other, &expected_without_excuse());
}

fn expected_without_excuse() -> [(Wrong, u64); 5] {
    [
        (Wrong::Replaced, 2),
        (Wrong::Lost, 2),
        (Wrong::Conflict, 2),
        (Wrong::Vanished, 4),
        (Wrong::NotDelivered, 2),
    ]
}

#[test]
fn a_group_passes_over_no_more_than_it_had_seen() {
    let mut history = after_loss();
    // It had seen only the first of the lost ones.
    history.deliveries.truncate(7);
    finds(&history, &loss(), &[(Wrong::NotDelivered, 1)]);
    history.deliveries.push(delivery(3000, 7, 51));
    finds(&history, &loss(), &[]);
}
