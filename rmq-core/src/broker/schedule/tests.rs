//! The delivering thread's steps over a store in memory, under a clock that is moved by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::deliverer::Deliverer;
use super::message::{DueMessage, waiting_properties};
use super::*;
use crate::broker::fixture::{self, Dice, Stepped, record, record_of, rung, small_store};
use crate::broker::names::SCHEDULE_TOPIC;
use crate::broker::shared::Shared;
use crate::config::{BrokerConfig, BrokerRole};
use crate::protocol::filter::tag;
use crate::protocol::message::properties::{find_str, names};
use crate::store::FlushMode;
use crate::store::disk::Crash;

const START_MS: i64 = 1_795_357_533_000;
const TWO_HOURS_MS: i64 = 2 * 3_600_000;

type Fixture = fixture::Fixture<Deliverer>;

impl Stepped for Deliverer {
    fn start(shared: &Arc<Shared>) -> Self {
        Self::new(Arc::clone(shared))
    }

    fn step(&mut self) -> Option<u64> {
        Deliverer::step(self)
    }

    fn finish(&mut self) {
        Deliverer::finish(self);
    }
}

impl Fixture {
    fn new(flush: FlushMode, role: BrokerRole, levels: &[i64]) -> Self {
        let mut config = BrokerConfig::embedded_defaults("/store");
        config.store.broker_role = role;
        let mut options = small_store(flush);
        options.delay_levels_ms = levels.to_vec();
        Self::open(START_MS, options, config)
    }

    fn asynchronous() -> Self {
        Self::new(
            FlushMode::Async,
            BrokerRole::AsyncMaster,
            &[1_000, 5_000, TWO_HOURS_MS],
        )
    }

    /// Starts again with other levels.
    fn restart_with(&mut self, levels: &[i64]) {
        self.options.delay_levels_ms = levels.to_vec();
        self.restart();
    }

    /// Stores a message that waits in a level, as a send does.
    fn send(&self, level: i32, topic: &str, queue_id: i32, body: &str) {
        let level = self.shared.schedule.level(level).unwrap();
        let given = b"TAGS\x01t\x02KEYS\x01k";
        let properties = waiting_properties(given, level.number, topic, queue_id).unwrap();
        let place = (SCHEDULE_TOPIC, level.queue_id());
        let record = record(place, body, &properties);
        self.store_record(&record, Some(level.delay_ms));
        self.shared.schedule.appended(level);
    }

    fn rung(&self) -> bool {
        rung(&self.shared.schedule.inbox)
    }
}

#[test]
fn a_message_is_delivered_when_it_is_due_as_it_was_sent() {
    let mut fixture = Fixture::asynchronous();
    assert_eq!(fixture.settle(), None);
    fixture.send(1, "T", 3, "hello");
    assert!(fixture.rung());
    assert_eq!(fixture.settle(), Some(1000));
    fixture.pass(999);
    assert!(fixture.bodies("T", 3).is_empty());
    fixture.pass(1);
    assert_eq!(fixture.bodies("T", 3), ["hello"]);

    let queue = fixture.shared.store.find_queue("T", 3).unwrap();
    let entry = queue.entry(0).unwrap();
    assert_eq!(entry.tags_code, tag::tags_code(b"t"));
    let record = fixture.shared.store.message_at(entry.offset).unwrap();
    let record = record_of(record.as_ref());
    assert_eq!((record.topic(), record.queue_id()), ("T".into(), 3));
    assert_eq!((record.flag(), record.reconsume_times()), (7, 2));
    assert_eq!(record.born_timestamp_ms(), 5);
    assert_eq!(record.born_host(), SocketAddr::from(([10, 0, 0, 1], 99)));
    assert_eq!(record.store_timestamp_ms(), START_MS + 1000);
    let stored = record.properties_bytes();
    for (name, value) in [
        (names::DELAY, Some("1")),
        (names::REAL_TOPIC, Some("T")),
        (names::REAL_QUEUE_ID, Some("3")),
        (names::KEYS, Some("k")),
        (names::MSG_REGION, Some("r")),
    ] {
        assert_eq!(find_str(stored, name), value, "{name}");
    }
    let totals = &fixture.shared.stats.totals;
    assert_eq!(totals.put_messages.load(Ordering::Relaxed), 1);
}

#[test]
fn levels_are_independent_and_each_keeps_its_order() {
    let mut fixture = Fixture::asynchronous();
    for number in 0..300 {
        fixture.send(2, "T", 0, &format!("late {number}"));
        fixture.send(1, "T", 0, &format!("soon {number}"));
    }
    fixture.send(3, "T", 0, "in two hours");
    let expect = |word: &str| (0..300).map(|n| format!("{word} {n}")).collect::<Vec<_>>();
    fixture.pass(1000);
    assert_eq!(fixture.bodies("T", 0), expect("soon"));
    fixture.pass(4000);
    assert_eq!(fixture.bodies("T", 0)[300..], expect("late"));
    // Whoever holds the clock need not wait for two hours.
    fixture.pass(TWO_HOURS_MS.unsigned_abs() - 5000);
    assert_eq!(fixture.bodies("T", 0)[600..], ["in two hours"]);
    assert_eq!(fixture.settle(), None);
}

#[test]
fn a_level_above_the_last_is_the_last_and_none_is_none() {
    let fixture = Fixture::asynchronous();
    let number = |asked| {
        fixture
            .shared
            .schedule
            .level(asked)
            .map(|level| level.number)
    };
    assert_eq!(number(1), Some(1));
    assert_eq!(number(3), Some(3));
    assert_eq!(number(4), Some(3));
    assert_eq!(number(i32::MAX), Some(3));
    assert_eq!(number(0), None);
    assert_eq!(number(i32::MIN), None);
    assert_eq!(
        Schedule::new(Vec::new(), DelayOffsetTable::default()).level(1),
        None
    );
}

#[test]
fn a_delay_level_replaces_a_time() {
    let given = "TIMER_DELIVER_MS\u{1}9\u{2}A\u{1}1\u{2}DELAY\u{1}77\u{2}TIMER_DELAY_SEC\u{1}9";
    let text = waiting_properties(given.as_bytes(), 3, "T", 4).unwrap();
    assert_eq!(
        text,
        b"A\x011\x02DELAY\x013\x02REAL_TOPIC\x01T\x02REAL_QID\x014\x02"
    );
}

#[test]
fn the_thread_is_rung_only_when_it_waits() {
    let mut fixture = Fixture::asynchronous();
    fixture.settle();
    fixture.send(1, "T", 0, "a");
    assert!(fixture.rung());
    fixture.send(1, "T", 0, "b");
    assert!(!fixture.rung(), "it was rung already");
    fixture.settle();
    fixture.send(1, "T", 0, "c");
    assert!(!fixture.rung(), "it sleeps until the first one is due");
    fixture.send(2, "T", 0, "d");
    assert!(fixture.rung(), "the other level was empty");
    fixture.shared.on_progress();
    assert!(!fixture.rung(), "nothing hangs on the disk");
    fixture.pass(1000);
    fixture.shared.on_progress();
    assert!(fixture.rung(), "the delivered ones are to become durable");
    fixture.clock.advance(Duration::from_secs(9));
    assert_eq!(fixture.bodies("T", 0), ["a", "b", "c"]);
}

#[test]
fn under_sync_flush_nothing_is_delivered_before_it_is_durable() {
    let mut fixture = Fixture::new(FlushMode::Sync, BrokerRole::AsyncMaster, &[1_000, 5_000]);
    fixture.settle();
    fixture.send(1, "T", 0, "x");
    fixture.pass(2000);
    assert_eq!(
        fixture.settle(),
        None,
        "it waits for the disk, not for a time"
    );
    let next = |fixture: &Fixture| {
        let queue = fixture.shared.store.find_queue("T", 0);
        queue.map_or(0, |queue| queue.next_offset())
    };
    assert_eq!(next(&fixture), 0);
    fixture.shared.store.flush().unwrap();
    fixture.shared.on_progress();
    assert!(fixture.rung());
    fixture.settle();
    assert_eq!(next(&fixture), 1);
    assert!(
        fixture.bodies("T", 0).is_empty(),
        "not durable, so not to be seen"
    );
    assert_eq!(fixture.shared.schedule.table(0).offsets, BTreeMap::new());
    fixture.shared.store.flush().unwrap();
    fixture.shared.on_progress();
    assert!(fixture.rung());
    fixture.settle();
    assert_eq!(fixture.bodies("T", 0), ["x"]);
    let settled = fixture.shared.schedule.table(0).offsets;
    assert_eq!(settled, BTreeMap::from([(1, 1)]));
}

#[test]
fn a_slave_delivers_nothing() {
    let mut fixture = Fixture::new(FlushMode::Async, BrokerRole::Slave, &[1_000]);
    fixture.send(1, "T", 0, "x");
    fixture.pass(5000);
    assert_eq!(fixture.settle(), None);
    assert!(fixture.bodies("T", 0).is_empty());
    fixture.config.store.broker_role = BrokerRole::AsyncMaster;
    fixture.restart();
    fixture.settle();
    assert_eq!(fixture.bodies("T", 0), ["x"]);
}

#[test]
fn what_cannot_be_delivered_does_not_hold_up_the_rest() {
    let mut fixture = Fixture::asynchronous();
    fixture.send(1, "T", 0, "before");
    fixture.send(1, "no/topic", 0, "x");
    fixture.send(1, "T", -1, "x");
    fixture.send(1, crate::broker::names::HALF_TOPIC, 0, "x");
    // Whether a topic exists is not asked, as with Apache: its queue is there when it comes back.
    fixture.send(1, "Deleted", 9, "kept");
    fixture.send(1, "T", 0, "after");
    fixture.pass(1000);
    assert_eq!(fixture.bodies("T", 0), ["before", "after"]);
    assert_eq!(fixture.bodies("Deleted", 9), ["kept"]);
    assert!(
        fixture
            .bodies(crate::broker::names::HALF_TOPIC, 0)
            .is_empty()
    );
    assert_eq!(fixture.settle(), None);
}

#[test]
fn a_full_disk_delays_delivery_and_loses_nothing() {
    let mut fixture = Fixture::asynchronous();
    let long = "x".repeat(20_000);
    for _ in 0..3 {
        fixture.send(1, "T", 0, &long);
    }
    fixture.disk.set_capacity(Some(0));
    fixture.clock.advance(Duration::from_secs(1));
    let retry_ms = fixture.settle();
    assert!(
        retry_ms.is_some_and(|ms| (1..=100).contains(&ms)),
        "{retry_ms:?}"
    );
    assert!(fixture.bodies("T", 0).len() < 3);
    fixture.disk.set_capacity(None);
    fixture.shared.store.run_allocation();
    fixture.pass(100);
    assert_eq!(fixture.bodies("T", 0).len(), 3);
}

#[test]
fn a_damaged_record_is_passed_over() {
    let mut properties = waiting_properties(b"", 1, "T", 0).unwrap();
    assert!(DueMessage::read(b"").is_err());
    assert!(DueMessage::read(&[0; 200]).is_err());
    properties.truncate(4);
    let fixture = Fixture::asynchronous();
    fixture.send(1, "T", 0, "body");
    let queue = fixture.shared.store.find_queue(SCHEDULE_TOPIC, 0).unwrap();
    let at = queue.entry(0).unwrap().offset;
    let record = fixture.shared.store.message_at(at).unwrap();
    let mut bytes = record.as_ref().to_vec();
    assert!(DueMessage::read(&bytes).is_ok());
    let body = bytes.windows(4).position(|part| part == b"body").unwrap();
    bytes[body] ^= 1;
    assert!(DueMessage::read(&bytes).unwrap_err().contains("check sum"));
}

#[test]
fn after_a_clean_stop_nothing_is_delivered_twice_or_lost() {
    for flush in [FlushMode::Async, FlushMode::Sync] {
        let mut fixture = Fixture::new(
            flush,
            BrokerRole::AsyncMaster,
            &[1_000, 5_000, TWO_HOURS_MS],
        );
        let mut sent = Vec::new();
        for round in 0..20 {
            for level in 1..=2 {
                let body = format!("{round} {level}");
                fixture.send(level, "T", 0, &body);
                sent.push(body);
            }
            fixture.shared.store.flush().unwrap();
            fixture.pass(500);
            if round % 3 == 0 {
                fixture.restart();
            }
        }
        fixture.pass(5000);
        fixture.shared.store.flush().unwrap();
        fixture.settle();
        fixture.restart();
        let mut found = fixture.bodies("T", 0);
        found.sort_unstable();
        sent.sort_unstable();
        assert_eq!(found, sent);
    }
}

#[test]
fn a_changed_configuration_of_levels_holds_from_the_next_start() {
    let mut fixture = Fixture::asynchronous();
    fixture.send(3, "T", 0, "two hours");
    fixture.send(2, "T", 0, "five seconds");
    fixture.restart_with(&[1_000, 5_000, 60_000]);
    fixture.settle();
    // Due later than the level's minute allows.
    assert_eq!(fixture.bodies("T", 0), ["two hours"]);
    fixture.send(3, "T", 0, "again");
    // A level that is gone keeps its messages and its offset until it comes back.
    fixture.restart_with(&[1_000]);
    fixture.pass(3_600_000);
    assert_eq!(fixture.bodies("T", 0), ["two hours"]);
    assert_eq!(
        fixture.shared.schedule.table(0).offsets,
        BTreeMap::from([(3, 1)])
    );
    fixture.restart_with(&[1_000, 5_000, 60_000]);
    fixture.settle();
    let mut found = fixture.bodies("T", 0);
    found.sort_unstable();
    assert_eq!(found, ["again", "five seconds", "two hours"]);
}

/// Random sends, passing time, flushes, notes of the offsets and losses of power. What was durable
/// is delivered at least once, never early, and never twice without a crash between.
#[test]
fn no_crash_loses_a_durable_message() {
    for seed in 1..25_u64 {
        run_model(seed);
    }
}

fn run_model(seed: u64) {
    let mut dice = Dice::new(seed);
    let flush = [FlushMode::Async, FlushMode::Sync][dice.below(2) as usize];
    let mut fixture = Fixture::new(flush, BrokerRole::AsyncMaster, &[1_000, 5_000, 10_000]);
    // Of each message its due time and whether it is durable.
    let mut sent: BTreeMap<String, (i64, bool)> = BTreeMap::new();
    let mut crashed = false;
    for step in 0..300 {
        match dice.below(12) {
            0..=4 => {
                let level = dice.below(3) as i32 + 1;
                let body = format!("{step}");
                let delay_ms = fixture.shared.schedule.level(level).unwrap().delay_ms;
                fixture.send(level, "T", 0, &body);
                sent.insert(body, (fixture.now_ms() + delay_ms, false));
            }
            5..=7 => fixture.pass(dice.below(900)),
            8 => {
                fixture.shared.store.flush().unwrap();
                fixture.settle();
                sent.values_mut().for_each(|(_, durable)| *durable = true);
            }
            9 => fixture.persist_delays(),
            10 => {
                let torn = dice.below(2) == 0;
                let seed = dice.below(1 << 30);
                let mode = [
                    Crash::Everything,
                    Crash::Random { seed, torn },
                    Crash::Synced,
                ][dice.below(3) as usize];
                fixture.crash(mode);
                crashed = true;
                if mode != Crash::Everything {
                    sent.retain(|_, (_, durable)| *durable);
                }
                sent.values_mut().for_each(|(_, durable)| *durable = true);
            }
            _ => {
                fixture.restart();
                sent.values_mut().for_each(|(_, durable)| *durable = true);
            }
        }
        let now_ms = fixture.now_ms();
        for body in fixture.bodies("T", 0) {
            if let Some((due_ms, _)) = sent.get(&body) {
                assert!(*due_ms <= now_ms, "seed {seed}: {body} came early");
            }
        }
    }
    fixture.pass(11_000);
    // Once for what waits, once for what was delivered.
    for _ in 0..2 {
        fixture.shared.store.flush().unwrap();
        fixture.settle();
    }
    let found = fixture.bodies("T", 0);
    for body in sent.keys() {
        let times = found.iter().filter(|one| *one == body).count();
        assert!(times >= 1, "seed {seed}: {body} was lost");
        assert!(
            times == 1 || crashed,
            "seed {seed}: {body} came {times} times"
        );
    }
}
