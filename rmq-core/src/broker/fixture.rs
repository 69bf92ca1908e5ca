//! What the tests of the threads that append share: a broker without threads, over a disk in memory
//! and under a clock that is moved by hand. Everything happens when the test says so.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::{ManualClock, SharedClock};
use crate::broker::cold::ColdReader;
use crate::broker::filters::ConsumerFilters;
use crate::broker::groups::Groups;
use crate::broker::inbox::Inbox;
use crate::broker::metadata::Files;
use crate::broker::offsets::ConsumerOffsets;
use crate::broker::pop::Pops;
use crate::broker::schedule::Schedule;
use crate::broker::settings::ConfigFile;
use crate::broker::shared::{Shared, SharedParts};
use crate::broker::topics::Topics;
use crate::config::BrokerConfig;
use crate::protocol::body::offset::{ConsumerOffsetTable, DelayOffsetTable};
use crate::protocol::body::pop::OrderInfoTable;
use crate::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};
use crate::store::disk::{Crash, MemDisk};
use crate::store::{
    FlushMode, IndexOptions, LogSlice, MetadataFile, ReadLimits, Store, StoreOptions,
};

const LONG: Duration = Duration::from_secs(20);

/// The state of a thread, without the thread.
pub(crate) trait Stepped {
    /// Of a broker that starts.
    fn start(shared: &Arc<Shared>) -> Self;
    /// Does a part of what is to be done; returns how long there is nothing more to do, ms.
    fn step(&mut self) -> Option<u64>;
    /// What the thread does at an orderly end.
    fn finish(&mut self);
}

/// A broker with one of its threads.
pub(crate) struct Fixture<W> {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) disk: MemDisk,
    /// Of the next start.
    pub(crate) options: StoreOptions,
    /// Of the next start.
    pub(crate) config: BrokerConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) worker: W,
}

/// The address of the broker.
pub(crate) fn host() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10911))
}

/// A store of small files that does nothing by itself.
pub(crate) fn small_store(flush: FlushMode) -> StoreOptions {
    StoreOptions {
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
    }
}

/// Opens what is on the disk as a broker does at its start.
fn open(
    disk: &MemDisk,
    clock: &Arc<ManualClock>,
    options: &StoreOptions,
    config: &BrokerConfig,
) -> Arc<Shared> {
    let clock: SharedClock = Arc::clone(clock) as _;
    let store = Store::open(options.clone(), disk.shared(), Arc::clone(&clock)).unwrap();
    let file = |name: &str| MetadataFile::new(disk.shared(), format!("/store/config/{name}"));
    let delays = file("delayOffset.json").load(DelayOffsetTable::decode);
    let offsets = ConsumerOffsets::default();
    let stored = file("consumerOffset.json").load(ConsumerOffsetTable::decode);
    offsets.load(stored.unwrap().unwrap_or_default().offsets);
    offsets.cut(|topic, queue_id| Some(store.find_queue(topic, queue_id)?.next_offset()));
    Arc::new(Shared::new(SharedParts {
        topics: Topics::open(file("topics.json"), config, Arc::clone(&clock)).unwrap(),
        groups: Groups::open(file("groups.json"), config, Arc::clone(&clock)).unwrap(),
        filters: ConsumerFilters::open(file("consumerFilter.json"), config, clock.wall_ms()),
        offsets,
        files: Files::new(&disk.shared(), Path::new("/store")),
        pops: Pops::new(OrderInfoTable::default()),
        schedule: Schedule::new(
            options.delay_levels_ms.clone(),
            delays.unwrap().unwrap_or_default(),
        ),
        cold: ColdReader::start().unwrap(),
        config_file: ConfigFile::of(config, &disk.shared()).unwrap(),
        store,
        clock,
        store_host: host(),
        reactors: 1,
        config: config.clone(),
    }))
}

impl<W: Stepped> Fixture<W> {
    /// A broker on an empty disk, the clock at `start_ms`.
    pub(crate) fn open(start_ms: i64, options: StoreOptions, config: BrokerConfig) -> Self {
        let clock = ManualClock::new(start_ms);
        let disk = MemDisk::new(Arc::clone(&clock) as _);
        let shared = open(&disk, &clock, &options, &config);
        let worker = W::start(&shared);
        Self {
            clock,
            disk,
            options,
            config,
            shared,
            worker,
        }
    }

    /// Stops as if the power went, and starts again on what is left.
    pub(crate) fn crash(&mut self, mode: Crash) {
        let disk = self.disk.crash(mode);
        self.shared.store.kill();
        self.reopen(disk);
    }

    /// Stops in an orderly way and starts again.
    pub(crate) fn restart(&mut self) {
        self.worker.finish();
        self.persist_delays();
        self.shared.store.close(LONG).unwrap();
        self.reopen(self.disk.clone());
    }

    fn reopen(&mut self, disk: MemDisk) {
        self.shared.cold.close(LONG).unwrap();
        self.shared = open(&disk, &self.clock, &self.options, &self.config);
        self.worker = W::start(&self.shared);
        self.disk = disk;
    }

    /// Works until there is nothing to do; returns how long.
    pub(crate) fn settle(&mut self) -> Option<u64> {
        for _ in 0..100_000 {
            match self.worker.step() {
                Some(0) => {}
                sleep_ms => return sleep_ms,
            }
        }
        panic!("the thread does not come to rest");
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
        self.settle();
    }
}

impl<W> Fixture<W> {
    pub(crate) fn now_ms(&self) -> i64 {
        self.shared.clock.wall_ms()
    }

    /// Writes delayOffset.json as the control thread does.
    pub(crate) fn persist_delays(&self) {
        let table = self.shared.schedule.table(self.now_ms());
        let file = MetadataFile::new(self.disk.shared(), "/store/config/delayOffset.json");
        file.save(&table.encode_file()).unwrap();
    }

    /// Writes the file of offsets as the control thread does: not before the log.
    pub(crate) fn persist_offsets(&self) {
        let table = ConsumerOffsetTable {
            offsets: self.shared.offsets.snapshot(),
            ..ConsumerOffsetTable::default()
        };
        if self.shared.store.watermarks().flushed() < self.shared.pops.log_end() {
            self.shared.store.flush().unwrap();
        }
        let file = MetadataFile::new(self.disk.shared(), "/store/config/consumerOffset.json");
        file.save(&table.encode_file()).unwrap();
    }

    /// Stores a message as a send does; one that is put off goes to the schedule topic.
    pub(crate) fn store_record(&self, record: &NewRecord<'_>, delay_ms: Option<i64>) {
        let store = &self.shared.store;
        let queue = store.queue(record.topic, record.queue_id);
        let mut batch = store.new_batch();
        match delay_ms {
            Some(delay_ms) => batch.push_delayed(record, record.body, queue, delay_ms),
            None => batch.push_with_body(record, record.body, queue, 0),
        }
        .unwrap();
        store.append(&mut batch);
        batch.results()[0].as_ref().unwrap();
    }

    /// Everything that consumers may see of a queue.
    pub(crate) fn records(&self, topic: &str, queue_id: i32) -> Vec<LogSlice> {
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

    /// Bodies in a queue, in order.
    pub(crate) fn bodies(&self, topic: &str, queue_id: i32) -> Vec<String> {
        let body = |record: &LogSlice| {
            let record = record_of(record.as_ref());
            String::from_utf8(record.body().to_vec()).unwrap()
        };
        self.records(topic, queue_id).iter().map(body).collect()
    }
}

impl<W> Drop for Fixture<W> {
    fn drop(&mut self) {
        let _ = self.shared.cold.close(LONG);
    }
}

/// A message with these properties, as one that waits for its time.
pub(crate) fn record<'a>(
    (topic, queue_id): (&'a str, i32),
    body: &'a str,
    properties: &'a [u8],
) -> NewRecord<'a> {
    NewRecord {
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
    }
}

/// The record that these bytes are.
pub(crate) fn record_of(bytes: &[u8]) -> RecordRef<'_> {
    match RecordRef::check(bytes, CheckLevel::AllCrc).unwrap() {
        Checked::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

/// Whether a thread was told to look; it is not any more after that.
pub(crate) fn rung<T>(inbox: &Inbox<T>) -> bool {
    let rung = !inbox.is_empty();
    inbox.wait(Some(0));
    rung
}

/// Dice that fall the same way again for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}
