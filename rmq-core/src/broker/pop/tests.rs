//! The engine over a store in memory, under a clock that is moved by hand: random consumers, and
//! losses of power at any moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Request;
use super::engine::Engine;
use crate::base::slots::Key;
use crate::broker::control::Task;
use crate::broker::fixture::{self, Dice, Stepped, host, record, small_store};
use crate::broker::names;
use crate::broker::shared::Shared;
use crate::config::BrokerConfig;
use crate::net::ConnectionId;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::properties::names as property;
use crate::protocol::message::record::{CheckLevel, NewRecord, Records};
use crate::protocol::request::EncodeHeader;
use crate::protocol::request::pop::extra::{ExtraInfo, RetryKind};
use crate::protocol::request::pop::{
    AckMessageRequest, ChangeInvisibleTimeRequest, PopMessageRequest, PopMessageResponse,
};
use crate::store::FlushMode;
use crate::store::disk::Crash;

const START_MS: i64 = 1_795_357_533_000;
const TOPIC: &str = "T";
const GROUP: &str = "g";
const INVISIBLE_MS: i64 = 5_000;

/// A message as a consumer has it.
#[derive(Clone, Debug)]
struct Popped {
    body: String,
    info: ExtraInfo,
}

type Fixture = fixture::Fixture<Engine>;

impl Stepped for Engine {
    fn start(shared: &Arc<Shared>) -> Self {
        shared.topics.create_for_group(TOPIC, 2, false, 0).unwrap();
        shared.groups.get_or_create(GROUP).unwrap();
        Self::load(shared, shared.clock.now())
    }

    fn step(&mut self) -> Option<u64> {
        Some(step(self, Vec::new()))
    }

    fn finish(&mut self) {
        Engine::finish(self);
    }
}

/// A step, and what the control thread does then.
fn step(engine: &mut Engine, requests: Vec<Request>) -> u64 {
    let shared = Arc::clone(&engine.shared);
    let sleep_ms = engine.step(requests, shared.clock.now());
    let mut tasks = Vec::new();
    shared.control.drain_into(&mut tasks);
    for task in tasks {
        let Task::MakeGroupTopic(topic) = task else {
            panic!("an unexpected task: {task:?}");
        };
        let topics = &shared.topics;
        topics
            .create_for_group(&topic.name, topic.queues, false, 0)
            .unwrap();
    }
    sleep_ms
}

impl Fixture {
    fn new(flush: FlushMode) -> Self {
        let config = BrokerConfig::embedded_defaults("/store");
        let mut options = small_store(flush);
        options.segment_bytes = 256 * 1024;
        Self::open(START_MS, options, config)
    }

    fn send(&self, queue_id: i32, body: &str) {
        let fresh = NewRecord {
            reconsume_times: 0,
            ..record((TOPIC, queue_id), body, b"")
        };
        self.store_record(&fresh, None);
    }

    fn flush(&mut self) {
        self.shared.store.flush().unwrap();
        self.settle();
    }

    /// The answer to a request, which waits for the disk where it has to.
    fn ask(&mut self, code: RequestCode, header: &impl EncodeHeader) -> Command {
        let key = Key {
            slot: 0,
            generation: 0,
        };
        let request = Request {
            conn: ConnectionId::new(0, key),
            peer: host(),
            command: Arc::new(Command::request(code, header)),
        };
        if step(&mut self.worker, vec![request]) == 0 {
            self.settle();
        }
        if self.worker.sent.is_empty() {
            self.flush();
        }
        let (_, bytes) = self.worker.sent.pop().unwrap();
        assert!(self.worker.sent.is_empty());
        crate::broker::processors::decode_frame(&bytes).unwrap()
    }

    fn pop(&mut self, max: i32) -> Vec<Popped> {
        let header = PopMessageRequest {
            consumer_group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            queue_id: -1,
            max_msg_nums: max,
            invisible_time_ms: INVISIBLE_MS,
            poll_time_ms: 0,
            born_time_ms: 0,
            init_mode: 0,
            exp_type: None,
            exp: None,
            order: false,
            attempt_id: None,
        };
        messages(&self.ask(RequestCode::POP_MESSAGE, &header))
    }

    fn ack(&mut self, message: &Popped) {
        let header = AckMessageRequest {
            consumer_group: GROUP.to_owned(),
            topic: message.info.retry.topic(TOPIC, GROUP),
            queue_id: message.info.queue_id,
            extra_info: message.info.to_text(),
            offset: message.info.queue_offset.unwrap(),
        };
        let reply = self.ask(RequestCode::ACK_MESSAGE, &header);
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
    }

    fn change(&mut self, message: &Popped, invisible_ms: i64) {
        let header = ChangeInvisibleTimeRequest {
            consumer_group: GROUP.to_owned(),
            topic: message.info.retry.topic(TOPIC, GROUP),
            queue_id: message.info.queue_id,
            extra_info: message.info.to_text(),
            offset: message.info.queue_offset.unwrap(),
            invisible_time_ms: invisible_ms,
            suspend: Some(false),
        };
        let code = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
        let reply = self.ask(code, &header);
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
    }
}

fn messages(reply: &Command) -> Vec<Popped> {
    let header: PopMessageResponse = reply.header().unwrap();
    let starts = header.start_offset_info.unwrap_or_default();
    let start_of = |queue_id: i32| -> i64 {
        let prefix = format!("0 {queue_id} ");
        let line = starts.split(';').find_map(|one| one.strip_prefix(&prefix));
        line.unwrap().parse().unwrap()
    };
    Records::new(&reply.body, CheckLevel::BodyCrc)
        .map(|record| {
            let record = record.unwrap();
            let text = record.property(property::POP_CK);
            let info = match text.map(|text| std::str::from_utf8(text).unwrap()) {
                Some(text) => ExtraInfo::parse(text).unwrap(),
                None => ExtraInfo {
                    start_offset: start_of(record.queue_id()),
                    pop_time_ms: header.pop_time_ms,
                    invisible_time_ms: header.invisible_time_ms,
                    revive_queue_id: header.revive_queue_id,
                    retry: RetryKind::Normal,
                    broker_name: String::new(),
                    queue_id: record.queue_id(),
                    queue_offset: Some(record.queue_offset()),
                },
            };
            Popped {
                body: String::from_utf8(record.body().to_vec()).unwrap(),
                info,
            }
        })
        .collect()
}

/// What the test knows of a message.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Its record is on the disk.
    durable: bool,
    acked: bool,
    /// So is its acknowledgement.
    ack_durable: bool,
    /// A loss of power may have taken its acknowledgement, or not.
    maybe_acked: bool,
    /// A loss of power may have taken the note that it was revived: it is revived once more.
    maybe_doubled: bool,
    /// It may come from this time on.
    visible_ms: i64,
    /// So is the check point that says so.
    visible_durable: bool,
}

/// Random pops, acknowledgements, changes of times, passing time, flushes, and losses of power.
#[test]
fn what_was_acknowledged_never_comes_again_and_all_else_does_in_its_time() {
    for seed in 1..20_u64 {
        run_model(seed);
    }
}

fn note_popped(known: &mut BTreeMap<String, Known>, body: &str, now_ms: i64, seed: u64) {
    let one = known.get_mut(body).unwrap();
    let doubled = one.maybe_doubled;
    assert!(
        doubled || !one.acked,
        "seed {seed}: {body} was acknowledged"
    );
    assert!(
        doubled || one.visible_ms <= now_ms,
        "seed {seed}: {body} came early"
    );
    one.visible_ms = now_ms + INVISIBLE_MS;
    one.visible_durable = false;
}

fn run_model(seed: u64) {
    let mut dice = Dice::new(seed);
    let flush = [FlushMode::Async, FlushMode::Sync][dice.below(2) as usize];
    let mut fixture = Fixture::new(flush);
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut held: Vec<Popped> = Vec::new();
    for step in 0..250 {
        let now_ms = fixture.now_ms();
        match dice.below(14) {
            0..=3 => {
                let body = format!("m{step}");
                fixture.send(dice.below(2) as i32, &body);
                known.insert(body, Known::default());
            }
            4..=5 => {
                for message in fixture.pop(1 + dice.below(6) as i32) {
                    // A loss of power may leave what was not durable.
                    if known.contains_key(&message.body) {
                        note_popped(&mut known, &message.body, now_ms, seed);
                        held.push(message);
                    }
                }
            }
            6..=7 if !held.is_empty() => {
                let message = held.swap_remove(dice.below(held.len() as u64) as usize);
                let one = known.get_mut(&message.body).unwrap();
                // Later its check point is over, and the acknowledgement means nothing.
                if now_ms < one.visible_ms {
                    fixture.ack(&message);
                    one.acked = true;
                }
            }
            8 if !held.is_empty() => {
                let message = held.swap_remove(dice.below(held.len() as u64) as usize);
                let one = known.get_mut(&message.body).unwrap();
                if now_ms < one.visible_ms {
                    let invisible_ms = dice.below(9_000) as i64;
                    fixture.change(&message, invisible_ms);
                    // A change within the millisecond of the pop counts from the next one.
                    one.visible_ms = now_ms + invisible_ms;
                    one.visible_durable = false;
                }
            }
            9..=10 => fixture.pass(dice.below(2_500)),
            11 => {
                fixture.flush();
                all_durable(&mut known);
            }
            12 => {
                fixture.persist_offsets();
                if fixture.shared.store.watermarks().flushed()
                    >= fixture.shared.store.watermarks().appended()
                {
                    all_durable(&mut known);
                }
            }
            13 => {
                let mode = crash_mode(&mut dice);
                lose_power(&mut fixture, &mut known, mode);
                held.clear();
            }
            _ => {}
        }
        held.retain(|message| {
            let one = known.get(&message.body);
            one.is_some_and(|one| fixture.now_ms() < one.visible_ms)
        });
    }
    drain(&mut fixture, &mut known, seed);
}

fn crash_mode(dice: &mut Dice) -> Crash {
    let torn = dice.below(2) == 0;
    let seed = dice.below(1 << 30);
    [
        Crash::Everything,
        Crash::Random { seed, torn },
        Crash::Synced,
    ][dice.below(3) as usize]
}

fn all_durable(known: &mut BTreeMap<String, Known>) {
    for one in known.values_mut() {
        one.durable = true;
        one.ack_durable = one.acked;
        one.visible_durable = true;
    }
}

fn lose_power(fixture: &mut Fixture, known: &mut BTreeMap<String, Known>, mode: Crash) {
    if fixture.options.flush == FlushMode::Sync {
        // Every answer waited for the disk.
        fixture.flush();
        all_durable(known);
    }
    fixture.crash(mode);
    if mode != Crash::Everything {
        let now_ms = fixture.now_ms();
        known.retain(|_, one| one.durable);
        for one in known.values_mut() {
            // What the disk did not have may be there or not.
            let was_popped = one.visible_ms > 0;
            let was_due = !one.visible_durable || one.visible_ms <= now_ms;
            one.maybe_doubled |= was_popped && was_due;
            one.maybe_acked |= one.acked && !one.ack_durable;
            one.acked &= one.ack_durable;
            if !one.visible_durable {
                one.visible_ms = 0;
            }
        }
    }
    all_durable(known);
}

/// Everything that is not acknowledged comes, and then nothing more.
fn drain(fixture: &mut Fixture, known: &mut BTreeMap<String, Known>, seed: u64) {
    fixture.flush();
    for _ in 0..40 {
        fixture.pass(1_000);
        fixture.flush();
        let now_ms = fixture.now_ms();
        for message in fixture.pop(32) {
            fixture.ack(&message);
            if known.contains_key(&message.body) {
                note_popped(known, &message.body, now_ms, seed);
                known.get_mut(&message.body).unwrap().acked = true;
            }
        }
    }
    let lost: Vec<_> = known
        .iter()
        .filter(|(_, one)| !one.acked && !one.maybe_acked)
        .collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    assert_eq!(fixture.worker.points.len(), 0, "seed {seed}");
    let topic = names::revive_topic(&fixture.shared.config().cluster_name);
    for queue in fixture.shared.store.queues_of(&topic) {
        let settled = fixture
            .shared
            .offsets
            .query(&topic, names::REVIVE_GROUP, queue.id());
        let last = queue.next_offset() - 1;
        assert_eq!(settled.unwrap_or(-1), last, "seed {seed}");
    }
}
