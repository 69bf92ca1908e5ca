//! The store against a simple model: any sequence of appends, reads, flushes, deletions, crashes
//! and openings leaves what the model says.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use rmq_core::base::clock::ManualClock;
use rmq_core::protocol::message::record::{CheckLevel, Checked, RecordRef};
use rmq_core::store::disk::{Crash, MemDisk};
use rmq_core::store::{FlushMode, Health, ReadLimits, ReadStatus, Store, StoreOptions};
use store_support::*;

const TOPICS: [&str; 2] = ["A", "B"];

#[derive(Clone, Debug)]
enum Op {
    Append {
        lane: usize,
        lens: Vec<usize>,
    },
    Read {
        lane: usize,
        offset: i64,
        count: usize,
        bytes: usize,
    },
    Flush,
    WriteQueues,
    Checkpoint,
    Allocate,
    Retain,
    Delete {
        topic: usize,
    },
    Close,
    Kill,
    Crash {
        seed: u64,
        kind: u8,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let lane = 0..4usize;
    prop_oneof![
        8 => (lane.clone(), vec(0..400usize, 1..8))
            .prop_map(|(lane, lens)| Op::Append { lane, lens }),
        6 => (lane, -2..40i64, 0..40usize, 0..4000usize)
            .prop_map(|(lane, offset, count, bytes)| Op::Read { lane, offset, count, bytes }),
        3 => Just(Op::Flush),
        2 => Just(Op::WriteQueues),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Allocate),
        1 => Just(Op::Retain),
        1 => (0..2usize).prop_map(|topic| Op::Delete { topic }),
        1 => Just(Op::Close),
        1 => Just(Op::Kill),
        2 => (any::<u64>(), 0..4u8).prop_map(|(seed, kind)| Op::Crash { seed, kind }),
    ]
}

/// A message as the model knows it.
#[derive(Clone, Debug)]
struct Message {
    body: Vec<u8>,
    start: i64,
    end: i64,
}

struct Model {
    clock: Arc<ManualClock>,
    disk: MemDisk,
    store: Arc<Store>,
    flush: FlushMode,
    queues: BTreeMap<(&'static str, i32), Vec<Message>>,
    number: u32,
}

fn lane(lane: usize) -> (&'static str, i32) {
    (TOPICS[lane % 2], (lane / 2) as i32)
}

fn small(flush: FlushMode) -> StoreOptions {
    StoreOptions {
        segment_bytes: 4096,
        consume_queue_file_bytes: 20 * 10,
        ..options(flush)
    }
}

impl Model {
    fn new(flush: FlushMode) -> Self {
        let clock = clock();
        let disk = mem(&clock);
        let store = open(small(flush), &disk, &clock);
        Self {
            clock,
            disk,
            store,
            flush,
            queues: BTreeMap::new(),
            number: 0,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Append { lane, lens } => self.append(self::lane(*lane), lens),
            Op::Read {
                lane,
                offset,
                count,
                bytes,
            } => {
                let limits = ReadLimits {
                    max_count: *count,
                    max_bytes: *bytes,
                };
                self.read(self::lane(*lane), *offset, limits);
            }
            Op::Flush => self.store.flush().unwrap(),
            Op::WriteQueues => self.store.write_queues().unwrap(),
            Op::Checkpoint => self.store.checkpoint().unwrap(),
            Op::Allocate => self.store.run_allocation(),
            Op::Retain => {
                self.disk.set_used_ratio(Some(0.99));
                self.store.run_retention().unwrap();
                self.disk.set_used_ratio(None);
                self.store.run_retention().unwrap();
                assert_eq!(self.store.health(), Health::Writable);
            }
            Op::Delete { topic } => {
                self.store.delete_topic(TOPICS[*topic]).unwrap();
                self.queues.retain(|(name, _), _| *name != TOPICS[*topic]);
            }
            Op::Close => {
                self.store.close(LONG).unwrap();
                self.reopen(Crash::Everything, i64::MAX);
            }
            Op::Kill => {
                self.store.kill();
                self.reopen(Crash::Everything, i64::MAX);
            }
            Op::Crash { seed, kind } => {
                let flushed = self.store.watermarks().flushed();
                self.store.kill();
                let mode = match kind {
                    0 => Crash::Synced,
                    1 => Crash::Random {
                        seed: *seed,
                        torn: false,
                    },
                    _ => Crash::Random {
                        seed: *seed,
                        torn: true,
                    },
                };
                self.reopen(mode, flushed);
            }
        }
    }

    fn append(&mut self, (topic, queue_id): (&'static str, i32), lens: &[usize]) {
        let queue = self.store.queue(topic, queue_id);
        let mut bodies = Vec::new();
        for len in lens {
            self.number += 1;
            let mut body = self.number.to_be_bytes().to_vec();
            body.resize(4 + len, len.to_be_bytes()[7]);
            bodies.push(body);
        }
        let mut batch = self.store.new_batch();
        for body in &bodies {
            let record = record(topic, queue_id, body, "");
            batch.push(&record, Arc::clone(&queue), 0).unwrap();
        }
        self.store.append(&mut batch);
        let messages = self.queues.entry((topic, queue_id)).or_default();
        for (body, result) in bodies.iter().zip(batch.results()) {
            let appended = result.as_ref().unwrap();
            assert_eq!(appended.queue_offset, messages.len() as i64);
            messages.push(Message {
                body: body.clone(),
                start: appended.physical_offset,
                end: appended.end(),
            });
        }
    }

    /// First and last offset that a consumer may read.
    fn bounds(&self, lane: (&'static str, i32)) -> (i64, i64) {
        let Some(messages) = self.queues.get(&lane) else {
            return (0, 0);
        };
        let log_min = self.store.min_offset();
        let safe = match self.flush {
            FlushMode::Async => i64::MAX,
            FlushMode::Sync => self.store.watermarks().flushed(),
        };
        let min = messages.partition_point(|message| message.start < log_min);
        let max = messages.partition_point(|message| message.end <= safe);
        (min as i64, max as i64)
    }

    fn read(&self, lane: (&'static str, i32), offset: i64, limits: ReadLimits) {
        let (min, max) = self.bounds(lane);
        let queue = self.store.queue(lane.0, lane.1);
        assert_eq!(
            (queue.min_offset(), queue.max_offset()),
            (min, max),
            "{lane:?}"
        );
        let found = self.store.read(&queue, offset, limits, &mut |_| true);
        let want = match offset {
            _ if max == 0 => (ReadStatus::NoMessageInQueue, 0),
            _ if offset < min => (ReadStatus::OffsetTooSmall, min),
            _ if offset == max => (ReadStatus::OffsetOverflowOne, max),
            _ if offset > max => (ReadStatus::OffsetOverflowBadly, max),
            _ => (ReadStatus::Found, offset + found.records.len() as i64),
        };
        assert_eq!(
            (found.status, found.next_offset),
            want,
            "{lane:?} at {offset}"
        );
        if found.status != ReadStatus::Found {
            assert!(found.records.is_empty());
            return;
        }
        let messages = &self.queues[&lane][offset as usize..max as usize];
        let mut bytes = 0;
        for (index, record) in found.records.iter().enumerate() {
            let Ok(Checked::Record(parsed)) = RecordRef::check(record, CheckLevel::AllCrc) else {
                panic!("no record at {offset} + {index}");
            };
            assert_eq!(parsed.body(), messages[index].body);
            assert_eq!(parsed.physical_offset(), messages[index].start);
            bytes += record.len();
            assert!(index == 0 || bytes <= limits.max_bytes.max(100));
        }
        let count = found.records.len();
        assert!(count == 1 || count <= limits.max_count);
        if let Some(next) = messages.get(count) {
            let more = bytes + (next.end - next.start) as usize;
            assert!(count >= limits.max_count.min(32) || more > limits.max_bytes.max(100));
        }
    }

    /// Opens what is left and takes over what it has of messages that were not durable.
    fn reopen(&mut self, mode: Crash, flushed: i64) {
        self.disk = self.disk.crash(mode);
        self.store = open(small(self.flush), &self.disk, &self.clock);
        for (&(topic, queue_id), messages) in &mut self.queues {
            let durable = messages.partition_point(|message| message.end <= flushed);
            let have = self.store.queue(topic, queue_id).next_offset() as usize;
            let context = format!("{topic} {queue_id}, {mode:?}");
            assert!(
                have >= durable.min(messages.len()),
                "{context}: {have} of {durable}"
            );
            assert!(have <= messages.len(), "{context}: {have}");
            messages.truncate(have);
        }
        for index in 0..4 {
            let lane = lane(index);
            if !self.queues.contains_key(&lane) {
                assert_eq!(
                    self.store.queue(lane.0, lane.1).next_offset(),
                    0,
                    "{lane:?}"
                );
            }
        }
        self.check_all();
    }

    /// Everything that can be read is what the model has.
    fn check_all(&self) {
        for (&(topic, queue_id), messages) in &self.queues {
            let (min, max) = self.bounds((topic, queue_id));
            let found = bodies(&self.store, topic, queue_id, min);
            let want: Vec<&[u8]> = messages[min as usize..max as usize]
                .iter()
                .map(|m| &m.body[..])
                .collect();
            assert_eq!(found, want, "{topic} {queue_id}");
        }
    }
}

fn run(flush: FlushMode, ops: &[Op]) {
    let mut model = Model::new(flush);
    for op in ops {
        model.clock.advance(std::time::Duration::from_millis(3));
        model.apply(op);
    }
    model.store.flush().unwrap();
    model.check_all();
    let retained = model.store.min_offset() > 0;
    let deleted = ops.iter().any(|op| matches!(op, Op::Delete { .. }));
    model.store.close(LONG).unwrap();
    // A rebuild knows nothing of what the log has no more, nor of deletions.
    if !retained && !deleted {
        assert_queues_equal_rescan_with(&model.disk, &model.clock, small(flush));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn the_store_does_what_the_model_does(ops in vec(op(), 1..70), sync in any::<bool>()) {
        run(if sync { FlushMode::Sync } else { FlushMode::Async }, &ops);
    }
}
