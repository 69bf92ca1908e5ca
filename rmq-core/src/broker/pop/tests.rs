//! The engine over a store in memory, under a clock that is moved by hand: random consumers, and
//! losses of power at any moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Engine, Now};
use super::{Pops, Request};
use crate::base::clock::{Clock, ManualClock, SharedClock};
use crate::base::slots::Key;
use crate::broker::cold::ColdReader;
use crate::broker::control::Task;
use crate::broker::filters::ConsumerFilters;
use crate::broker::groups::Groups;
use crate::broker::metadata::Files;
use crate::broker::names;
use crate::broker::offsets::ConsumerOffsets;
use crate::broker::schedule::Schedule;
use crate::broker::settings::ConfigFile;
use crate::broker::shared::{Shared, SharedParts};
use crate::broker::topics::Topics;
use crate::config::BrokerConfig;
use crate::net::ConnectionId;
use crate::protocol::body::offset::{ConsumerOffsetTable, DelayOffsetTable};
use crate::protocol::body::pop::OrderInfoTable;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::properties::names as property;
use crate::protocol::message::record::{CheckLevel, NewRecord, Records};
use crate::protocol::request::EncodeHeader;
use crate::protocol::request::pop::extra::{ExtraInfo, RetryKind};
use crate::protocol::request::pop::{
    AckMessageRequest, ChangeInvisibleTimeRequest, PopMessageRequest, PopMessageResponse,
};
use crate::store::disk::{Crash, MemDisk};
use crate::store::{FlushMode, IndexOptions, MetadataFile, Store, StoreOptions};

const START_MS: i64 = 1_795_357_533_000;
const TOPIC: &str = "T";
const GROUP: &str = "g";
const INVISIBLE_MS: i64 = 5_000;
const OFFSETS: &str = "/store/config/consumerOffset.json";

/// A broker without threads: everything happens when the test says so.
struct Fixture {
    clock: Arc<ManualClock>,
    disk: MemDisk,
    flush: FlushMode,
    shared: Arc<Shared>,
    engine: Engine,
}

/// A message as a consumer has it.
#[derive(Clone, Debug)]
struct Popped {
    body: String,
    info: ExtraInfo,
}

fn host() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10911))
}

fn open(disk: &MemDisk, clock: &Arc<ManualClock>, flush: FlushMode) -> Arc<Shared> {
    let config = BrokerConfig::embedded_defaults("/store");
    let options = StoreOptions {
        flush,
        segment_bytes: 256 * 1024,
        consume_queue_file_bytes: 20 * 64,
        populate_ahead_bytes: 0,
        background: false,
        index: IndexOptions {
            build: false,
            ..IndexOptions::default()
        },
        ..StoreOptions::new("/store")
    };
    let clock: SharedClock = Arc::clone(clock) as _;
    let store = Store::open(options, disk.shared(), Arc::clone(&clock)).unwrap();
    let file = |name: &str| MetadataFile::new(disk.shared(), format!("/store/config/{name}"));
    let offsets = ConsumerOffsets::default();
    let stored = MetadataFile::new(disk.shared(), OFFSETS)
        .load(ConsumerOffsetTable::decode)
        .unwrap();
    offsets.load(stored.unwrap_or_default().offsets);
    // As a broker does at its start.
    offsets.cut(|topic, queue_id| Some(store.find_queue(topic, queue_id)?.next_offset()));
    let shared = Shared::new(SharedParts {
        topics: Topics::open(file("topics.json"), &config, Arc::clone(&clock)).unwrap(),
        groups: Groups::open(file("groups.json"), &config, Arc::clone(&clock)).unwrap(),
        filters: ConsumerFilters::open(file("consumerFilter.json"), &config, clock.wall_ms()),
        offsets,
        files: Files::new(&disk.shared(), Path::new("/store")),
        pops: Pops::new(OrderInfoTable::default()),
        schedule: Schedule::new(vec![1_000], DelayOffsetTable::default()),
        cold: ColdReader::start().unwrap(),
        config_file: ConfigFile::of(&config, &disk.shared()).unwrap(),
        store,
        clock,
        store_host: host(),
        reactors: 1,
        config,
    });
    shared.topics.create_for_group(TOPIC, 2, false, 0).unwrap();
    shared.groups.get_or_create(GROUP).unwrap();
    Arc::new(shared)
}

fn now(clock: &ManualClock) -> Now {
    Now {
        wall_ms: clock.wall_ms(),
        monotonic_ms: clock.monotonic_ms(),
    }
}

impl Fixture {
    fn new(flush: FlushMode) -> Self {
        let clock = ManualClock::new(START_MS);
        let disk = MemDisk::new(Arc::clone(&clock) as _);
        let shared = open(&disk, &clock, flush);
        let engine = Engine::load(&shared, now(&clock));
        Self {
            clock,
            disk,
            flush,
            shared,
            engine,
        }
    }

    /// Stops as if the power went, and starts again on what is left.
    fn crash(&mut self, mode: Crash) {
        let disk = self.disk.crash(mode);
        self.shared.store.kill();
        self.shared.cold.close(Duration::from_secs(20)).unwrap();
        self.shared = open(&disk, &self.clock, self.flush);
        self.engine = Engine::load(&self.shared, now(&self.clock));
        self.disk = disk;
    }

    /// Writes the file of offsets as the control thread does: not before the log.
    fn persist(&self) {
        let table = ConsumerOffsetTable {
            offsets: self.shared.offsets.snapshot(),
            ..ConsumerOffsetTable::default()
        };
        if self.shared.store.watermarks().flushed() < self.shared.pops.log_end() {
            self.shared.store.flush().unwrap();
        }
        let file = MetadataFile::new(self.disk.shared(), OFFSETS);
        file.save(&table.encode_file()).unwrap();
    }

    fn send(&self, queue_id: i32, body: &str) {
        let record = NewRecord {
            topic: TOPIC,
            queue_id,
            flag: 0,
            sys_flag: 0,
            born_timestamp_ms: 5,
            born_host: host(),
            store_host: host(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: body.as_bytes(),
            properties: b"",
            extra_properties: b"",
        };
        let queue = self.shared.store.queue(TOPIC, queue_id);
        let mut batch = self.shared.store.new_batch();
        batch.push(&record, queue, 0).unwrap();
        self.shared.store.append(&mut batch);
        assert!(batch.results()[0].is_ok());
    }

    fn flush(&mut self) {
        self.shared.store.flush().unwrap();
        self.step(Vec::new());
    }

    fn pass(&mut self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
        self.step(Vec::new());
    }

    /// Gives the engine its time until it has nothing more to do now.
    fn step(&mut self, mut requests: Vec<Request>) {
        for _ in 0..100 {
            let sleep_ms = self
                .engine
                .step(std::mem::take(&mut requests), now(&self.clock));
            let mut tasks = Vec::new();
            self.shared.control.drain_into(&mut tasks);
            for task in tasks {
                let Task::MakeGroupTopic(topic) = task else {
                    panic!("an unexpected task: {task:?}");
                };
                let topics = &self.shared.topics;
                topics
                    .create_for_group(&topic.name, topic.queues, false, 0)
                    .unwrap();
            }
            if sleep_ms > 0 {
                return;
            }
        }
        panic!("the engine never rests");
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
        self.step(vec![request]);
        if self.engine.sent.is_empty() {
            self.flush();
        }
        let (_, bytes) = self.engine.sent.pop().unwrap();
        assert!(self.engine.sent.is_empty());
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

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.shared.cold.close(Duration::from_secs(20));
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

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
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
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let flush = [FlushMode::Async, FlushMode::Sync][dice.below(2) as usize];
    let mut fixture = Fixture::new(flush);
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    let mut held: Vec<Popped> = Vec::new();
    for step in 0..250 {
        let now_ms = fixture.clock.wall_ms();
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
                fixture.persist();
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
            one.is_some_and(|one| fixture.clock.wall_ms() < one.visible_ms)
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
    if fixture.flush == FlushMode::Sync {
        // Every answer waited for the disk.
        fixture.flush();
        all_durable(known);
    }
    fixture.crash(mode);
    if mode != Crash::Everything {
        let now_ms = fixture.clock.wall_ms();
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
        let now_ms = fixture.clock.wall_ms();
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
    assert_eq!(fixture.engine.points.len(), 0, "seed {seed}");
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
