//! The engine over a store in memory, under a clock that is moved by hand.

mod model;
mod scenarios;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::book::{Progress, Rules};
use super::engine::{Engine, Output, Settings};
use super::half_properties;
use super::load::Stored;
use super::message::prepared_offset;
use crate::base::clock::{Clock, ManualClock, Now};
use crate::broker::fixture::{host, small_store};
use crate::broker::names;
use crate::broker::reply::Refusal;
use crate::protocol::command::Command;
use crate::protocol::filter::tag;
use crate::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};
use crate::protocol::request::push::CheckTransactionStateRequest;
use crate::protocol::request::transaction::EndTransactionRequest;
use crate::store::disk::{Disk, MemDisk};
use crate::store::{FlushMode, LogSlice, Store, StoreOptions};

const START_MS: i64 = 1_795_357_533_000;
const LONG: Duration = Duration::from_secs(60);
const GROUP: &str = "producers";
const TOPIC: &str = "T";
const SEGMENT_BYTES: usize = 16 * 1024;

/// Where a half message was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: i64,
    physical: i64,
}

/// A broker without threads: everything happens when the test says so.
struct Fixture {
    clock: Arc<ManualClock>,
    disk: MemDisk,
    flush: FlushMode,
    store: Arc<Store>,
    engine: Engine,
    settings: Settings,
    /// What the broker would write to the file of offsets next.
    noted: Option<Progress>,
    /// What is in that file.
    persisted: Option<Progress>,
    questions: Vec<(CheckTransactionStateRequest, Vec<u8>)>,
    given_up: usize,
}

fn open_store(disk: &MemDisk, clock: &Arc<ManualClock>, flush: FlushMode) -> Arc<Store> {
    let options = StoreOptions {
        segment_bytes: SEGMENT_BYTES,
        consume_queue_file_bytes: 20 * 16,
        recent_entries: 4,
        ..small_store(flush)
    };
    Store::open(options, disk.shared(), Arc::clone(clock) as _).unwrap()
}

fn load(store: &Arc<Store>, persisted: Option<Progress>, settings: &Settings, now: Now) -> Engine {
    let stored = Stored {
        half: persisted.map(|progress| progress.half),
        over: persisted.map(|progress| progress.over),
    };
    Engine::load(Arc::clone(store), stored, settings.check_interval_ms, now)
}

impl Fixture {
    fn new(flush: FlushMode) -> Self {
        let clock = ManualClock::new(START_MS);
        let disk = MemDisk::new(Arc::clone(&clock) as _);
        let store = open_store(&disk, &clock, flush);
        let settings = Settings {
            rules: Rules {
                timeout_ms: 6_000,
                check_max: 4,
                reserved_ms: 72 * 3_600_000,
            },
            check_interval_ms: 30_000,
            list_max_bytes: 32,
            broker_name: "broker-a".to_owned(),
            store_host: host(),
        };
        let engine = load(&store, None, &settings, clock.now());
        Self {
            clock,
            disk,
            flush,
            store,
            engine,
            settings,
            noted: None,
            persisted: None,
            questions: Vec::new(),
            given_up: 0,
        }
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn advance(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    /// Stores a half message as a reactor does.
    fn send(&mut self, body: &[u8], properties: &str) -> Place {
        self.try_send(body, properties).unwrap()
    }

    fn try_send(&mut self, body: &[u8], properties: &str) -> Option<Place> {
        let queue_id = i32::from(body[0] % 2);
        let id = format!("id-{}", String::from_utf8_lossy(body));
        let text =
            format!("PGROUP\u{1}{GROUP}\u{2}UNIQ_KEY\u{1}{id}\u{2}TAGS\u{1}a\u{2}{properties}");
        let text = half_properties(text.as_bytes(), id.as_bytes(), TOPIC, queue_id).unwrap();
        self.put(names::HALF_TOPIC, 0, body, &text, 0, 0)
    }

    /// Stores any record.
    fn put(
        &mut self,
        topic: &str,
        queue_id: i32,
        body: &[u8],
        properties: &[u8],
        sys_flag: i32,
        prepared_transaction_offset: i64,
    ) -> Option<Place> {
        let record = NewRecord {
            topic,
            queue_id,
            flag: 7,
            sys_flag,
            born_timestamp_ms: self.clock.wall_ms(),
            born_host: SocketAddr::from(([10, 0, 0, 9], 4321)),
            store_host: host(),
            reconsume_times: 0,
            prepared_transaction_offset,
            body,
            properties,
            extra_properties: b"",
        };
        let mut batch = self.store.new_batch();
        let queue = self.store.queue(topic, queue_id);
        batch.push(&record, queue, tag::tags_code(b"a")).unwrap();
        self.store.append(&mut batch);
        let appended = batch.results()[0].as_ref().ok()?;
        Some(Place {
            offset: appended.queue_offset,
            physical: appended.physical_offset,
        })
    }

    fn take(&mut self, outputs: Vec<Output>) -> Vec<(usize, Result<(), Refusal>)> {
        let mut answers = Vec::new();
        for output in outputs {
            match output {
                Output::Answer(index, answer) => answers.push((index, answer)),
                Output::Ask { group, question } => {
                    assert_eq!(group, GROUP);
                    self.questions.push(question_of(&question));
                }
                Output::Arrived(queue) => assert!(queue.next_offset() > 0),
                Output::Stored { count, bytes, .. } => assert!(count == 1 && bytes > 90),
                Output::GivenUp => self.given_up += 1,
                Output::Progress(progress) => self.noted = Some(progress),
            }
        }
        answers
    }

    /// Ends transactions with one batch of requests.
    fn end_all(&mut self, requests: &[EndTransactionRequest]) -> Vec<Result<(), Refusal>> {
        let outputs = self.engine.end(requests, &self.settings, self.now());
        let mut answers = self.take(outputs);
        answers.sort_by_key(|(index, _)| *index);
        assert_eq!(answers.len(), requests.len());
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn end(&mut self, request: EndTransactionRequest) -> Result<(), Refusal> {
        self.end_all(&[request]).remove(0)
    }

    /// Lets the engine do what is due.
    fn tick(&mut self) {
        for _ in 0..1_000 {
            let outputs = self.engine.tick(&self.settings, self.now());
            self.take(outputs);
            if self.engine.sleep_ms(self.now()) > 0 {
                return;
            }
        }
        panic!("the engine does not come to rest");
    }

    fn flush(&mut self) {
        self.store.flush().unwrap();
        self.store.write_queues().unwrap();
        self.tick();
    }

    /// As the broker writes the file of offsets every few seconds.
    fn persist(&mut self) {
        self.persisted = self.noted.or(self.persisted);
    }

    /// Stops in an orderly way and starts again.
    fn restart(&mut self) {
        let outputs = self.engine.close();
        self.take(outputs);
        self.persist();
        self.store.close(LONG).unwrap();
        self.reopen(self.disk.clone());
    }

    /// Starts on what is left.
    fn reopen(&mut self, disk: MemDisk) {
        self.store.kill();
        self.disk = disk;
        self.store = open_store(&self.disk, &self.clock, self.flush);
        self.noted = None;
        self.questions.clear();
        let now = self.now();
        self.engine = load(&self.store, self.persisted, &self.settings, now);
        let half_end = self.store.queue(names::HALF_TOPIC, 0).next_offset();
        let persisted = self.persisted.map_or(0, |progress| progress.half);
        assert!(persisted <= half_end, "the file of offsets is ahead");
    }

    /// All records of the log.
    fn log(&self) -> Vec<LogSlice> {
        let mut found = Vec::new();
        let mut at = self.store.min_offset();
        let end = self.store.watermarks().appended();
        while at < end {
            if let Some(record) = self.engine.record_at(at)
                && read(&record).is_some()
            {
                at += record.len() as i64;
                found.push(record);
            } else {
                // A blank: on to the next file.
                at = (at / SEGMENT_BYTES as i64 + 1) * SEGMENT_BYTES as i64;
            }
        }
        found
    }

    /// Bodies of a topic, in the order of the log.
    fn bodies(&self, topic: &str) -> Vec<Vec<u8>> {
        let log = self.log();
        let of_topic = log
            .iter()
            .filter_map(|record| read(record))
            .filter(|record| record.topic_bytes() == topic.as_bytes());
        of_topic.map(|record| record.body().to_vec()).collect()
    }

    /// Starts again on a log that ends before the record `cut` records from its end.
    fn crash_with_log_cut(&mut self, cut: usize) {
        let flushed = self.store.watermarks().flushed();
        let log = self.log();
        let starts = log.iter().filter_map(|record| read(record));
        let mut starts: Vec<i64> = starts.map(|record| record.physical_offset()).collect();
        starts.retain(|start| *start >= flushed);
        let keep = starts.len().saturating_sub(cut);
        let end = starts.get(keep).copied();
        let disk = self.disk.crash(crate::store::disk::Crash::Everything);
        if let Some(end) = end {
            cut_log(&disk, end);
        }
        self.reopen(disk);
    }
}

/// Zeroes the log from `end` on.
fn cut_log(disk: &MemDisk, end: i64) {
    let dir = std::path::Path::new("/store/commitlog");
    for entry in disk.list(dir).unwrap() {
        let base: i64 = entry.name.parse().unwrap();
        let from = (end - base).clamp(0, SEGMENT_BYTES as i64).unsigned_abs();
        let file = disk.open(&dir.join(&entry.name)).unwrap();
        let zeros = vec![0; usize::try_from(entry.len - from).unwrap()];
        file.write_at(&zeros, from).unwrap();
    }
}

fn read(slice: &[u8]) -> Option<RecordRef<'_>> {
    match RecordRef::check(slice, CheckLevel::AllCrc) {
        Ok(Checked::Record(record)) => Some(record),
        _ => None,
    }
}

fn question_of(question: &Command) -> (CheckTransactionStateRequest, Vec<u8>) {
    assert!(question.is_oneway());
    (question.header().unwrap(), question.body.to_vec())
}

fn request(place: Place, commit_or_rollback: i32) -> EndTransactionRequest {
    EndTransactionRequest {
        topic: Some(TOPIC.to_owned()),
        producer_group: GROUP.to_owned(),
        tran_state_table_offset: place.offset,
        commit_log_offset: place.physical,
        commit_or_rollback,
        from_transaction_check: false,
        msg_id: String::new(),
        transaction_id: None,
        broker_name: None,
    }
}

fn answer(question: &CheckTransactionStateRequest, decision: i32) -> EndTransactionRequest {
    let place = Place {
        offset: question.tran_state_table_offset,
        physical: question.commit_log_offset,
    };
    EndTransactionRequest {
        from_transaction_check: true,
        ..request(place, decision)
    }
}

/// The half message that each delivered message of the topic ended.
fn prepared(log: &[LogSlice]) -> Vec<i64> {
    log.iter()
        .filter_map(|record| prepared_offset(&read(record)?))
        .collect()
}
