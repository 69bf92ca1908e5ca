//! One thing at a time.

use std::path::Path;

use super::*;

/// How long after the start the slot of a message of this delay is over, ms.
fn over_after(delay_ms: i64) -> u64 {
    let deliver_ms = START_MS + delay_ms;
    let over_ms = (deliver_ms + 999).div_euclid(1000) * 1000;
    (over_ms - START_MS).unsigned_abs()
}

#[test]
fn without_timed_messages_nothing_is_made_and_nothing_wakes() {
    let mut broker = Fixture::asynchronous();
    broker.append("t", 1, "a", b"");
    assert_eq!(broker.settle(), None);
    broker.pass(100 * HOUR_MS);
    assert_eq!(broker.settle(), None);
    for path in [
        "timerwheel",
        "timerlog",
        "config/timercheck",
        "config/timermetrics",
    ] {
        let path = Path::new("/store").join(path);
        assert!(!crate::store::Disk::exists(&broker.disk, &path).unwrap());
    }
}

#[test]
fn a_message_is_delivered_when_its_tick_is_over_and_not_before() {
    let mut broker = Fixture::asynchronous();
    assert_eq!(broker.settle(), None);
    let out_ms = broker.send(5_300, "t", "a");
    assert!(broker.rung());
    assert_eq!(broker.settle(), Some(1000));
    assert_eq!(broker.count("t"), 1);
    let over_ms = over_after(5_300);
    broker.pass(over_ms - 1);
    assert_eq!(broker.bodies("t", 1), Vec::<String>::new());
    assert_eq!(broker.worker.step(), Some(1));
    broker.pass(1);
    assert_eq!(broker.bodies("t", 1), ["a"]);
    assert_eq!(broker.count("t"), 0);
    let records = broker.records("t", 1);
    let record = record_of(records[0].as_ref());
    let text = record.properties_bytes();
    let number = |name| find_str(text, name).unwrap().parse::<i64>().unwrap();
    assert_eq!(number(names::TIMER_OUT_MS), out_ms);
    assert_eq!(number(names::TIMER_ENQUEUE_MS), START_MS / 1000 * 1000);
    assert_eq!(number(names::TIMER_DEQUEUE_MS), broker.now_ms());
    assert_eq!(find_str(text, names::TIMER_DELAY_MS), Some("5300"));
    assert_eq!(find_str(text, names::REAL_TOPIC), Some("t"));
    assert_eq!(find_str(text, names::TIMER_ROLL_TIMES), None);
    assert_eq!((record.flag(), record.reconsume_times()), (7, 2));
    assert_eq!(record.born_timestamp_ms(), 5);
    // What was delivered is noted, and then there is nothing more to do.
    broker.shared.store.flush().unwrap();
    broker.settle();
    broker.pass(1000);
    assert_eq!(broker.settle(), None);
    assert!(broker.shared.timer.checkpoint().read_ms > out_ms);
}

#[test]
fn messages_of_one_slot_keep_their_order_over_many_batches() {
    let mut broker = Fixture::asynchronous();
    let ids: Vec<String> = (0..700).map(|n| format!("id{n}")).collect();
    for (n, id) in ids.iter().enumerate() {
        broker.send(2_000, "t", id);
        if n % 50 == 0 {
            broker.send(4_000, "u", id);
            broker.settle();
        }
    }
    broker.pass(3_000);
    assert_eq!(broker.bodies("t", 1), ids);
    assert_eq!(broker.bodies("u", 1).len(), 0);
    broker.pass(2_000);
    assert_eq!(broker.bodies("u", 1).len(), 14);
}

#[test]
fn what_is_late_goes_at_once() {
    let mut broker = Fixture::asynchronous();
    broker.send(10_000, "t", "first");
    broker.settle();
    let late = broker.send(1_500, "t", "late");
    broker.clock.advance(Duration::from_secs(5));
    broker.settle();
    assert_eq!(broker.bodies("t", 1), ["late"]);
    let _ = late;
    // Its slot has passed: it never was on the wheel.
    let text = timed_properties(b"", START_MS - 5000, "t", 1).unwrap();
    broker.append(TIMER_TOPIC, 0, "later", &text);
    broker.settle();
    let records = broker.records("t", 1);
    let text = record_of(records[1].as_ref()).properties_bytes();
    let enqueued = find_str(text, names::TIMER_ENQUEUE_MS).unwrap();
    assert_eq!(enqueued, i64::MAX.to_string());
}

#[test]
fn a_recalled_message_is_not_delivered() {
    let mut broker = Fixture::asynchronous();
    for key in ["by-id", "by-topic", "other-topic", "kept"] {
        broker.send(5_000, "t", key);
    }
    let out_ms = broker.send(5_000, "t", "last");
    broker.settle();
    assert_eq!(broker.count("t"), 5);
    broker.recall(out_ms, "t", "by-id");
    broker.recall(out_ms, "t", "t+by-topic");
    broker.recall(out_ms, "t", "u+other-topic");
    broker.settle();
    assert_eq!(broker.count("t"), 2);
    broker.pass(10_000);
    assert_eq!(broker.bodies("t", 1), ["other-topic", "kept", "last"]);
    assert_eq!(broker.count("t"), 0);
}

#[test]
fn a_recall_counts_that_was_stored_before_the_time_even_if_read_later() {
    let mut broker = Fixture::asynchronous();
    let out_ms = broker.send(5_000, "t", "a");
    broker.recall(out_ms, "t", "a");
    broker.send(5_000, "t", "b");
    // The thread sees all of it only when the slot is long over.
    broker.pass(HOUR_MS);
    assert_eq!(broker.bodies("t", 1), ["b"]);
}

#[test]
fn a_far_message_is_put_back_until_it_is_near() {
    let mut broker = Fixture::new(FlushMode::Async, |config| {
        config.store.timer_roll_ticks = 100;
    });
    let out_ms = broker.send(350_000, "t", "a");
    broker.send(350_000, "t", "b");
    broker.recall(out_ms, "t", "b");
    broker.settle();
    let mut steps = 0;
    while broker.bodies("t", 1).is_empty() {
        assert!(broker.now_ms() < out_ms + 1000, "it is late");
        broker.pass(1_000);
        steps += 1;
    }
    assert_eq!(steps, over_after(350_000) / 1000 + 1);
    assert!(broker.now_ms() >= out_ms + 1000);
    assert_eq!(broker.bodies("t", 1), ["a"]);
    let records = broker.records("t", 1);
    let text = record_of(records[0].as_ref()).properties_bytes();
    let rolls = find_str(text, names::TIMER_ROLL_TIMES).unwrap();
    assert!(rolls.parse::<i64>().unwrap() >= 3, "{rolls}");
    assert_eq!(broker.count("t"), 0);
}

#[test]
fn a_clean_stop_repeats_nothing_and_loses_nothing() {
    let mut broker = Fixture::asynchronous();
    let ids: Vec<String> = (0..300).map(|n| format!("id{n:03}")).collect();
    for id in &ids {
        broker.send(2_000, "t", id);
    }
    let out_ms = broker.send(2_000, "t", "x");
    broker.recall(out_ms, "t", "x");
    broker.settle();
    broker.restart();
    broker.clock.advance(Duration::from_secs(3));
    // In the middle of the slot.
    for _ in 0..100 {
        if !broker.bodies("t", 1).is_empty() {
            break;
        }
        broker.worker.step();
    }
    let some = broker.bodies("t", 1).len();
    assert!((1..300).contains(&some), "{some}");
    broker.restart();
    broker.settle();
    assert_eq!(broker.bodies("t", 1), ids);
    broker.restart();
    broker.pass(HOUR_MS);
    assert_eq!(broker.bodies("t", 1), ids);
}

#[test]
fn a_crash_loses_nothing_and_delivers_nothing_early() {
    for mode in [Crash::Synced, Crash::Everything] {
        let mut broker = Fixture::new(FlushMode::Sync, |_| {});
        for n in 0..30 {
            broker.send(1_000 + n * 300, "t", &format!("id{n:02}"));
            broker.shared.store.flush().unwrap();
            broker.shared.timer.inbox.look();
        }
        broker.pass(1_500);
        broker.crash(mode);
        broker.pass(3_000);
        broker.crash(mode);
        broker.pass(20_000);
        broker.shared.store.flush().unwrap();
        let mut bodies = broker.bodies("t", 1);
        bodies.sort();
        bodies.dedup();
        assert_eq!(bodies.len(), 30, "{mode:?}");
    }
}

#[test]
fn a_slave_that_becomes_master_goes_on_where_its_master_was() {
    let mut broker = Fixture::new(FlushMode::Async, |config| {
        config.store.broker_role = BrokerRole::Slave;
        config.broker_id = 1;
    });
    let first = broker.send(2_000, "t", "delivered");
    broker.send(8_000, "t", "waiting");
    assert_eq!(broker.settle(), None);
    // Its master had delivered the first one, and has not seen the last one.
    let theirs = crate::store::timer::TimerCheckpoint {
        read_ms: first + 1000,
        log_position: 777,
        queue_offset: 2,
        master_queue_offset: 2,
        ..Default::default()
    };
    broker.shared.files.take_timer_checkpoint(&theirs).unwrap();
    broker.send(2_500, "t", "unseen");
    broker.config.store.broker_role = BrokerRole::AsyncMaster;
    broker.config.broker_id = 0;
    broker.clock.advance(Duration::from_secs(5));
    broker.restart();
    broker.settle();
    assert_eq!(broker.bodies("t", 1), ["unseen"]);
    broker.pass(5_000);
    assert_eq!(broker.bodies("t", 1), ["unseen", "waiting"]);
}

#[test]
fn a_clock_that_is_set_back_delivers_nothing_early() {
    let mut broker = Fixture::asynchronous();
    broker.send(2_000, "t", "a");
    broker.pass(5_000);
    assert_eq!(broker.bodies("t", 1), ["a"]);
    broker.clock.set_wall_ms(START_MS - 3_600_000);
    let out_ms = broker.send(10_000, "t", "b");
    broker.settle();
    broker.pass(9_000);
    assert_eq!(broker.bodies("t", 1), ["a"]);
    broker.pass(2_000);
    assert!(broker.now_ms() >= out_ms + 1000);
    assert_eq!(broker.bodies("t", 1), ["a", "b"]);
}

#[test]
fn garbage_in_the_wheels_topic_is_passed_over() {
    let mut broker = Fixture::asynchronous();
    broker.append(
        TIMER_TOPIC,
        0,
        "no time",
        b"REAL_TOPIC\x01t\x02REAL_QID\x011\x02",
    );
    broker.append(TIMER_TOPIC, 0, "no topic", b"TIMER_OUT_MS\x015\x02");
    broker.append(
        TIMER_TOPIC,
        0,
        "no path",
        b"TIMER_OUT_MS\x015\x02REAL_TOPIC\x01../t\x02REAL_QID\x011",
    );
    broker.append(
        TIMER_TOPIC,
        0,
        "far",
        b"TIMER_OUT_MS\x019223372036854775807\x02REAL_TOPIC\x01t",
    );
    broker.send(1_000, "t", "a");
    broker.pass(3_000);
    assert_eq!(broker.bodies("t", 1), ["a"]);
}

#[test]
fn a_full_disk_delays_and_loses_nothing() {
    let mut broker = Fixture::asynchronous();
    for n in 0..20 {
        broker.send(2_000, "t", &format!("id{n:02}"));
    }
    broker.settle();
    broker.disk.set_capacity(Some(0));
    // The log's file is there already: only the wheel cannot be written.
    for _ in 0..5 {
        broker.clock.advance(Duration::from_secs(1));
        for _ in 0..20 {
            broker.worker.step();
        }
    }
    broker.disk.set_capacity(None);
    broker.pass(5_000);
    assert_eq!(broker.bodies("t", 1).len(), 20);
    broker.restart();
    broker.pass(5_000);
    assert_eq!(broker.bodies("t", 1).len(), 20);
}

#[test]
fn switches_stop_the_two_halves() {
    let mut broker = Fixture::new(FlushMode::Async, |config| {
        config.store.timer_stop_dequeue = true;
    });
    broker.send(2_000, "t", "a");
    broker.pass(10_000);
    assert_eq!(broker.bodies("t", 1), Vec::<String>::new());
    broker.config.store.timer_stop_dequeue = false;
    broker.restart();
    broker.settle();
    assert_eq!(broker.bodies("t", 1), ["a"]);
    broker.config.store.timer_enable = false;
    broker.restart();
    broker.send(2_000, "t", "b");
    broker.pass(10_000);
    assert_eq!(broker.bodies("t", 1), ["a"]);
}

#[test]
fn a_limit_of_a_slot_is_told() {
    let mut broker = Fixture::asynchronous();
    let out_ms = broker.send(5_000, "t", "a");
    for n in 0..4 {
        broker.send(5_000, "t", &n.to_string());
    }
    broker.settle();
    let timer = &broker.shared.timer;
    assert!(timer.is_congested(out_ms, 1000, 2));
    assert!(!timer.is_congested(out_ms, 1000, 5));
    assert!(!timer.is_congested(out_ms + 1000, 1000, 0));
    assert!(!timer.is_congested(out_ms, 1000, i32::MAX.unsigned_abs()));
    assert_eq!(timer.waiting(), 5);
    assert_eq!(timer.first_ms(1000), Some(out_ms));
    assert_eq!(timer.next_offset(), 5);
}
