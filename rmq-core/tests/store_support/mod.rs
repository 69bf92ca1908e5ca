//! A small store in memory and what the store's tests do with one.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rmq_core::base::clock::ManualClock;
use rmq_core::protocol::filter::tag;
use rmq_core::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};
use rmq_core::store::disk::{Disk, MemDisk};
use rmq_core::store::{
    AppendError, Appended, FlushMode, IndexOptions, ReadLimits, Store, StoreOptions,
};

pub(crate) const ROOT: &str = "/store";
pub(crate) const LONG: Duration = Duration::from_secs(60);
pub(crate) const START_MS: i64 = 1_795_357_533_000;

pub(crate) fn clock() -> Arc<ManualClock> {
    ManualClock::new(START_MS)
}

/// Small files, no threads.
pub(crate) fn options(flush: FlushMode) -> StoreOptions {
    StoreOptions {
        flush,
        segment_bytes: 8 * 1024,
        consume_queue_file_bytes: 20 * 16,
        max_open_queue_files: 3,
        recent_entries: 4,
        populate_ahead_bytes: 0,
        background: false,
        index: IndexOptions {
            hash_slots: 32,
            max_entries: 128,
            ..IndexOptions::default()
        },
        ..StoreOptions::new(ROOT)
    }
}

pub(crate) fn mem(clock: &Arc<ManualClock>) -> MemDisk {
    MemDisk::new(Arc::clone(clock) as _)
}

pub(crate) fn open(
    options: StoreOptions,
    disk: &dyn AsDisk,
    clock: &Arc<ManualClock>,
) -> Arc<Store> {
    Store::open(options, disk.disk(), Arc::clone(clock) as _).unwrap()
}

pub(crate) trait AsDisk {
    fn disk(&self) -> Arc<dyn Disk>;
}

impl AsDisk for MemDisk {
    fn disk(&self) -> Arc<dyn Disk> {
        self.shared()
    }
}

impl AsDisk for Arc<dyn Disk> {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(self)
    }
}

pub(crate) fn host() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10911))
}

pub(crate) fn record<'a>(
    topic: &'a str,
    queue_id: i32,
    body: &'a [u8],
    tags: &'a str,
) -> NewRecord<'a> {
    NewRecord {
        topic,
        queue_id,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: START_MS,
        born_host: host(),
        store_host: host(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties: tags.as_bytes(),
        extra_properties: b"",
    }
}

/// Appends one message.
pub(crate) fn put(
    store: &Store,
    topic: &str,
    queue_id: i32,
    body: &[u8],
) -> Result<Appended, AppendError> {
    let mut batch = store.new_batch();
    let queue = store.queue(topic, queue_id);
    batch
        .push(
            &record(topic, queue_id, body, "TAGS\u{1}t\u{2}"),
            queue,
            tag::tags_code(b"t"),
        )
        .unwrap();
    store.append(&mut batch);
    batch.results()[0].clone()
}

/// The bodies of a queue from `offset` on, by reading it to its end.
pub(crate) fn bodies(store: &Store, topic: &str, queue_id: i32, offset: i64) -> Vec<Vec<u8>> {
    let Some(queue) = store.find_queue(topic, queue_id) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut at = offset;
    loop {
        let outcome = store.read(&queue, at, ReadLimits::default(), &mut |_| true);
        if outcome.records.is_empty() {
            return found;
        }
        for (index, bytes) in outcome.records.iter().enumerate() {
            let Ok(Checked::Record(record)) = RecordRef::check(bytes, CheckLevel::AllCrc) else {
                panic!("no record at {at}");
            };
            assert_eq!(record.queue_offset(), at + index as i64);
            assert_eq!(record.topic(), topic);
            assert_eq!(record.queue_id(), queue_id);
            assert_eq!(record.len(), bytes.len());
            found.push(record.body().to_vec());
        }
        at = outcome.next_offset;
    }
}

/// All files below `dir` with their content.
pub(crate) fn files(disk: &dyn Disk, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in disk.list(dir).unwrap_or_default() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            found.extend(files(disk, &path));
        } else {
            found.insert(path.clone(), disk.read(&path).unwrap());
        }
    }
    found
}

pub(crate) fn queue_files(disk: &dyn Disk) -> BTreeMap<PathBuf, Vec<u8>> {
    files(disk, &Path::new(ROOT).join("consumequeue"))
}

/// The consume queue files that a store makes which has nothing but the log of `disk`.
pub(crate) fn rebuilt_queue_files(
    disk: &MemDisk,
    clock: &Arc<ManualClock>,
    options: StoreOptions,
) -> BTreeMap<PathBuf, Vec<u8>> {
    let copy = disk.crash(rmq_core::store::disk::Crash::Everything);
    let root = Path::new(ROOT);
    let _ = copy.remove_dir(&root.join("consumequeue"));
    for name in ["queueSnapshot", "queueSnapshot.bak", "checkpoint", "abort"] {
        let _ = copy.remove(&root.join(name));
    }
    let store = open(options, &copy, clock);
    store.close(LONG).unwrap();
    queue_files(&copy)
}

/// The consume queue files of `disk` are what the log alone gives.
pub(crate) fn assert_queues_equal_rescan(disk: &MemDisk, clock: &Arc<ManualClock>) {
    assert_queues_equal_rescan_with(disk, clock, options(FlushMode::Async));
}

/// The same for a store with these options.
pub(crate) fn assert_queues_equal_rescan_with(
    disk: &MemDisk,
    clock: &Arc<ManualClock>,
    options: StoreOptions,
) {
    let (found, want) = (queue_files(disk), rebuilt_queue_files(disk, clock, options));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&want));
    for (name, want) in &want {
        let found = &found[name];
        assert_eq!(found.len(), want.len(), "{}", name.display());
        for (index, (found, want)) in found.chunks(20).zip(want.chunks(20)).enumerate() {
            assert_eq!(found, want, "{} entry {index}", name.display());
        }
    }
}
