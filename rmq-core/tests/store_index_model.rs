//! The index by message key against a simple model: any sequence of appends, indexing, checkpoints,
//! deaths, crashes and openings leaves what the model says.

#![allow(clippy::unwrap_used, reason = "test code")]

mod store_support;

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use rmq_core::base::clock::ManualClock;
use rmq_core::protocol::message::record::{CheckLevel, Checked, RecordRef};
use rmq_core::store::disk::{Crash, MemDisk};
use rmq_core::store::{FlushMode, IndexOptions, KeyKind, KeyQuery, Store, StoreOptions};
use store_support::*;

const TOPICS: [&str; 2] = ["A", "B"];
const ENTRIES: usize = 12;
const SLOTS: u32 = 5;

#[derive(Clone, Debug)]
enum Op {
    Append {
        topic: usize,
        keys: Vec<u8>,
        tag: u8,
    },
    Wait {
        seconds: u8,
    },
    Index,
    Flush,
    Checkpoint,
    Query {
        topic: usize,
        key: u8,
        max: usize,
        from: i64,
        to: i64,
    },
    Close,
    Kill,
    Crash {
        seed: u64,
        kind: u8,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let topic = 0..2usize;
    prop_oneof![
        9 => (topic.clone(), vec(0..6u8, 0..5), 0..3u8)
            .prop_map(|(topic, keys, tag)| Op::Append { topic, keys, tag }),
        4 => (0..5u8).prop_map(|seconds| Op::Wait { seconds }),
        4 => Just(Op::Index),
        2 => Just(Op::Flush),
        2 => Just(Op::Checkpoint),
        8 => (topic, 0..9u8, 0..9usize, 0..60i64, 0..60i64).prop_map(
            |(topic, key, max, from, to)| Op::Query { topic, key, max, from, to }
        ),
        1 => Just(Op::Close),
        1 => Just(Op::Kill),
        1 => (any::<u64>(), 0..4u8).prop_map(|(seed, kind)| Op::Crash { seed, kind }),
    ]
}

/// One key of one record. Tags are keys from 6 on.
#[derive(Clone, Copy, Debug)]
struct Key {
    topic: usize,
    key: u8,
    offset: i64,
    second: i64,
    /// How many keys there are before it.
    order: usize,
}

struct Model {
    clock: Arc<ManualClock>,
    disk: MemDisk,
    store: Arc<Store>,
    second: i64,
    /// All keys of the log, in order.
    keys: Vec<Key>,
    /// Where each record ends and how many keys there are up to there.
    ends: Vec<(i64, usize)>,
    /// Keys that are indexed.
    indexed: usize,
}

/// Of a file's hash slots the one that a key falls into.
fn slot(topic: usize, key: u8) -> u32 {
    let kind = if key < 6 { "#" } else { "#T#" };
    let text = format!("{}{kind}k{key}", TOPICS[topic]);
    let hash = text
        .bytes()
        .fold(0i32, |hash, b| hash.wrapping_mul(31).wrapping_add(b.into()));
    hash.unsigned_abs() % SLOTS
}

fn small() -> StoreOptions {
    StoreOptions {
        index: IndexOptions {
            hash_slots: SLOTS,
            max_entries: ENTRIES as u32,
            ..IndexOptions::default()
        },
        ..options(FlushMode::Sync)
    }
}

impl Model {
    fn new() -> Self {
        let clock = clock();
        let disk = mem(&clock);
        let store = open(small(), &disk, &clock);
        Self {
            clock,
            disk,
            store,
            second: 0,
            keys: Vec::new(),
            ends: Vec::new(),
            indexed: 0,
        }
    }

    fn reopen(&mut self) {
        self.store = open(small(), &self.disk, &self.clock);
        let end = self.store.watermarks().appended();
        let left = self.ends.partition_point(|&(at, _)| at <= end);
        self.ends.truncate(left);
        self.keys.truncate(self.ends.last().map_or(0, |end| end.1));
        self.index();
    }

    fn index(&mut self) {
        self.store.run_index().unwrap();
        self.indexed = self.keys.len();
        assert_eq!(self.store.indexed(), self.store.watermarks().appended());
    }

    fn append(&mut self, topic: usize, keys: &[u8], tag: u8) {
        let words: Vec<String> = keys.iter().map(|key| format!("k{key}")).collect();
        let mut properties = format!("KEYS\u{1}{}\u{2}", words.join(" "));
        if tag > 0 {
            properties.push_str(&format!("TAGS\u{1}k{}\u{2}", 5 + tag));
        }
        let mut batch = self.store.new_batch();
        let queue = self.store.queue(TOPICS[topic], 0);
        let record = record(TOPICS[topic], 0, b"body", &properties);
        batch.push(&record, queue, 0).unwrap();
        self.store.append(&mut batch);
        let appended = batch.results()[0].clone().unwrap();
        let tag = (tag > 0).then_some(5 + tag);
        for key in keys.iter().copied().chain(tag) {
            self.keys.push(Key {
                topic,
                key,
                offset: appended.physical_offset,
                second: self.second,
                order: self.keys.len(),
            });
        }
        self.ends.push((appended.end(), self.keys.len()));
    }

    /// What a query finds: files from the newest on, each from its newest key on.
    fn expected(&self, topic: usize, key: u8, max: usize, from: i64, to: i64) -> Vec<i64> {
        let safe = self.store.watermarks().safe();
        let mut found: Vec<i64> = Vec::new();
        let files: Vec<&[Key]> = self.keys[..self.indexed].chunks(ENTRIES - 1).collect();
        for (number, file) in files.iter().enumerate().rev() {
            let (begin, end) = (file[0].second, file[file.len() - 1].second);
            if from <= end && to >= begin {
                let same_slot = |one: &&Key| slot(one.topic, one.key) == slot(topic, key);
                for one in file.iter().rev().filter(same_slot) {
                    let first = one.order % (ENTRIES - 1) == 0;
                    let mut second = one.second;
                    // The first of a file is placed by the end of the file before it.
                    if first && number > 0 {
                        second += second - files[number - 1][ENTRIES - 2].second;
                    }
                    let wanted = (one.topic, one.key) == (topic, key)
                        && (from..=to).contains(&second)
                        && one.offset < safe;
                    if wanted && found.last() != Some(&one.offset) && found.len() < max {
                        found.push(one.offset);
                    }
                    // Behind it there is usually nothing newer.
                    if second < from {
                        break;
                    }
                }
            }
            if begin < from {
                break;
            }
        }
        found.reverse();
        found
    }

    fn query(&self, topic: usize, key: u8, max: usize, from: i64, to: i64) {
        let ms = |second: i64| START_MS + second * 1000;
        let found = self.store.query_by_key(&KeyQuery {
            topic: TOPICS[topic],
            key: &format!("k{key}"),
            kind: if key < 6 { KeyKind::Key } else { KeyKind::Tag },
            max_count: max,
            max_bytes: usize::MAX,
            begin_ms: ms(from),
            end_ms: ms(to),
        });
        let offset = |bytes: &[u8]| match RecordRef::check(bytes, CheckLevel::AllCrc) {
            Ok(Checked::Record(record)) => record.physical_offset(),
            other => panic!("{other:?}"),
        };
        let found: Vec<i64> = found.records.iter().map(|bytes| offset(bytes)).collect();
        let want = self.expected(topic, key, max, from, to);
        assert_eq!(found, want, "{topic} {key} {max} {from} {to}");
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Append {
                topic,
                ref keys,
                tag,
            } => self.append(topic, keys, tag),
            Op::Wait { seconds } => {
                self.second += i64::from(seconds);
                self.clock.advance(Duration::from_secs(u64::from(seconds)));
            }
            Op::Index => self.index(),
            Op::Flush => self.store.flush().unwrap(),
            Op::Checkpoint => self.store.checkpoint().unwrap(),
            Op::Query {
                topic,
                key,
                max,
                from,
                to,
            } => self.query(topic, key, max, from, to),
            Op::Close => {
                self.store.close(LONG).unwrap();
                self.reopen();
            }
            Op::Kill => {
                self.store.kill();
                self.reopen();
            }
            Op::Crash { seed, kind } => {
                let mode = match kind {
                    0 => Crash::Synced,
                    1 => Crash::Everything,
                    _ => Crash::Random {
                        seed,
                        torn: kind == 3,
                    },
                };
                self.store.kill();
                self.disk = self.disk.crash(mode);
                self.reopen();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_index_is_the_models(ops in vec(op(), 1..90)) {
        let mut model = Model::new();
        for op in &ops {
            model.run(op);
        }
        model.index();
        for topic in 0..2 {
            for key in 0..9 {
                model.query(topic, key, 1000, 0, 1000);
            }
        }
    }
}
