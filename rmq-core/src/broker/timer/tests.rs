//! The thread's steps over a store in memory, under a clock that is moved by hand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::due::{Due, DueLimits, due, timed_properties};
use super::worker::Worker;
use crate::base::clock::{ManualClock, SharedClock};
use crate::broker::cold::ColdReader;
use crate::broker::filters::ConsumerFilters;
use crate::broker::groups::Groups;
use crate::broker::metadata::Files;
use crate::broker::names::TIMER_TOPIC;
use crate::broker::offsets::ConsumerOffsets;
use crate::broker::pop::Pops;
use crate::broker::schedule::Schedule;
use crate::broker::settings::ConfigFile;
use crate::broker::shared::{Shared, SharedParts};
use crate::broker::topics::Topics;
use crate::config::{BrokerConfig, BrokerRole};
use crate::protocol::body::offset::DelayOffsetTable;
use crate::protocol::body::pop::OrderInfoTable;
use crate::protocol::message::properties::{self, find_str, names};
use crate::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};
use crate::store::disk::{Crash, MemDisk};
use crate::store::{
    FlushMode, IndexOptions, LogSlice, MetadataFile, ReadLimits, Store, StoreOptions,
};

mod model;
mod scenarios;

const START_MS: i64 = 1_795_357_533_250;
const HOUR_MS: u64 = 3_600_000;
/// Two hours, twice.
const TEST_SLOTS: i64 = 2 * 7200;

/// A broker without threads: everything happens when the test says so.
struct Fixture {
    clock: Arc<ManualClock>,
    disk: MemDisk,
    flush: FlushMode,
    config: BrokerConfig,
    shared: Arc<Shared>,
    worker: Worker,
}

fn host() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10911))
}

fn open(
    disk: &MemDisk,
    clock: &Arc<ManualClock>,
    flush: FlushMode,
    config: &BrokerConfig,
) -> Arc<Shared> {
    let options = StoreOptions {
        flush,
        segment_bytes: 64 * 1024,
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
    Arc::new(Shared::new(SharedParts {
        topics: Topics::open(file("topics.json"), config, Arc::clone(&clock)).unwrap(),
        groups: Groups::open(file("groups.json"), config, Arc::clone(&clock)).unwrap(),
        filters: ConsumerFilters::open(file("consumerFilter.json"), config, clock.wall_ms()),
        offsets: ConsumerOffsets::default(),
        files: Files::new(&disk.shared(), Path::new("/store")),
        schedule: Schedule::new(vec![1000], DelayOffsetTable::default()),
        pops: Pops::new(OrderInfoTable::default()),
        cold: ColdReader::start().unwrap(),
        config_file: ConfigFile::of(config, &disk.shared()).unwrap(),
        store,
        clock,
        store_host: host(),
        reactors: 1,
        config: config.clone(),
    }))
}

impl Fixture {
    fn new(flush: FlushMode, edit: impl FnOnce(&mut BrokerConfig)) -> Self {
        let clock = ManualClock::new(START_MS);
        let disk = MemDisk::new(Arc::clone(&clock) as _);
        let mut config = BrokerConfig::embedded_defaults("/store");
        config.store.timer_log_file_bytes = 52 * 9 + 30;
        edit(&mut config);
        let shared = open(&disk, &clock, flush, &config);
        let worker = Worker::new(Arc::clone(&shared)).with_slots(TEST_SLOTS);
        Self {
            clock,
            disk,
            flush,
            config,
            shared,
            worker,
        }
    }

    fn asynchronous() -> Self {
        Self::new(FlushMode::Async, |_| {})
    }

    /// Stops as if the power went, and starts again on what is left.
    fn crash(&mut self, mode: Crash) {
        let disk = self.disk.crash(mode);
        self.shared.store.kill();
        self.reopen(disk);
    }

    /// Stops in an orderly way and starts again.
    fn restart(&mut self) {
        self.worker.finish();
        self.shared.store.close(Duration::from_secs(20)).unwrap();
        self.reopen(self.disk.clone());
    }

    fn reopen(&mut self, disk: MemDisk) {
        self.shared.cold.close(Duration::from_secs(20)).unwrap();
        self.shared = open(&disk, &self.clock, self.flush, &self.config);
        self.worker = Worker::new(Arc::clone(&self.shared)).with_slots(TEST_SLOTS);
        self.disk = disk;
    }

    fn now_ms(&self) -> i64 {
        self.shared.clock.wall_ms()
    }

    /// Stores a message that waits `delay_ms`, as a send does. The body is its unique id.
    fn send(&self, delay_ms: i64, topic: &str, id: &str) -> i64 {
        let text = format!("TIMER_DELAY_MS\u{1}{delay_ms}\u{2}UNIQ_KEY\u{1}{id}\u{2}TAGS\u{1}t");
        self.send_with(topic, id, &text).unwrap()
    }

    /// Stores what takes back the message of this id, whose slot begins at `out_ms`.
    fn recall(&self, out_ms: i64, topic: &str, key: &str) {
        let deliver_ms = out_ms + 1;
        let text = format!("TIMER_DELIVER_MS\u{1}{deliver_ms}\u{2}TIMER_DEL_UNIQKEY\u{1}{key}");
        // Too late is too late.
        let _ = self.send_with(topic, "0", &text);
    }

    /// Stores a message; returns the begin of its slot, `None` when the time is refused.
    fn send_with(&self, topic: &str, body: &str, text: &str) -> Option<i64> {
        let limits = DueLimits {
            max_delay_ms: i64::from(self.config.store.timer_max_delay_secs) * 1000,
            tick_ms: self.config.store.timer_tick_ms.cast_signed(),
        };
        let found = properties::scan(text.as_bytes());
        let Some(Ok(Due::After(out_ms))) = due(&found, &limits, self.now_ms()) else {
            return None;
        };
        let properties = timed_properties(text.as_bytes(), out_ms, topic, 1).unwrap();
        self.append(TIMER_TOPIC, 0, body, &properties);
        self.shared.timer.appended();
        Some(out_ms)
    }

    fn append(&self, topic: &str, queue_id: i32, body: &str, properties: &[u8]) {
        let record = NewRecord {
            topic,
            queue_id,
            flag: 7,
            sys_flag: 0,
            born_timestamp_ms: 5,
            born_host: SocketAddr::from(([10, 0, 0, 1], 99)),
            store_host: host(),
            reconsume_times: 2,
            prepared_transaction_offset: 0,
            body: body.as_bytes(),
            properties,
            extra_properties: b"MSG_REGION\x01r\x02",
        };
        let queue = self.shared.store.queue(topic, queue_id);
        let mut batch = self.shared.store.new_batch();
        batch
            .push_with_body(&record, record.body, queue, 0)
            .unwrap();
        self.shared.store.append(&mut batch);
        batch.results()[0].as_ref().unwrap();
    }

    /// Works until there is nothing to do; returns how long.
    fn settle(&mut self) -> Option<u64> {
        for _ in 0..100_000 {
            match self.worker.step() {
                Some(0) => {}
                sleep_ms => return sleep_ms,
            }
        }
        panic!("the worker does not come to rest");
    }

    fn pass(&mut self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
        self.settle();
    }

    fn records(&self, topic: &str, queue_id: i32) -> Vec<LogSlice> {
        let Some(queue) = self.shared.store.find_queue(topic, queue_id) else {
            return Vec::new();
        };
        let mut records = Vec::new();
        let mut at = queue.min_offset();
        while at < queue.max_offset() {
            let limits = ReadLimits::default();
            let read = self.shared.store.read(&queue, at, limits, &mut |_| true);
            records.extend(read.records);
            assert!(read.next_offset > at);
            at = read.next_offset;
        }
        records
    }

    /// Bodies in queue 1 of a topic, in order.
    fn bodies(&self, topic: &str) -> Vec<String> {
        let body = |record: &LogSlice| {
            let record = record_of(record.as_ref());
            String::from_utf8(record.body().to_vec()).unwrap()
        };
        self.records(topic, 1).iter().map(body).collect()
    }

    fn count(&self, topic: &str) -> i64 {
        let metrics = self.shared.timer.metrics();
        metrics.counts.get(topic).map_or(0, |metric| metric.count)
    }

    fn rung(&self) -> bool {
        let inbox = &self.shared.timer.inbox;
        let rung = !inbox.is_empty();
        inbox.wait(Some(0));
        rung
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.shared.cold.close(Duration::from_secs(20));
    }
}

fn record_of(bytes: &[u8]) -> RecordRef<'_> {
    match RecordRef::check(bytes, CheckLevel::AllCrc).unwrap() {
        Checked::Record(record) => record,
        other => panic!("{other:?}"),
    }
}
