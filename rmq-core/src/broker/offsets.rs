//! Where each consumer group stands in each queue.
//!
//! Reads and commits come from reactor threads many thousand times a second; the table is split so
//! that they share only a read lock and an atomic.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::protocol::body::data_version::DataVersion;

/// Marks a queue in a group's row that nobody committed yet.
const NONE: i64 = -1;

/// The offsets of one group in one topic, by queue.
#[derive(Debug, Default)]
struct Row {
    queues: RwLock<Vec<AtomicI64>>,
    /// The rest: a hostile number must not size an allocation.
    sparse: Mutex<BTreeMap<i32, i64>>,
}

/// Queue numbers below this live in the fast vector.
const DENSE_QUEUES: i32 = 4096;

impl Row {
    fn get(&self, queue_id: i32) -> Option<i64> {
        if !(0..DENSE_QUEUES).contains(&queue_id) {
            return self.sparse.lock().get(&queue_id).copied();
        }
        let queues = self.queues.read();
        let offset = queues
            .get(queue_id.unsigned_abs() as usize)?
            .load(Ordering::Acquire);
        (offset != NONE).then_some(offset)
    }

    fn set(&self, queue_id: i32, offset: i64) {
        if !(0..DENSE_QUEUES).contains(&queue_id) {
            self.sparse.lock().insert(queue_id, offset);
            return;
        }
        let index = queue_id.unsigned_abs() as usize;
        if let Some(cell) = self.queues.read().get(index) {
            cell.store(offset, Ordering::Release);
            return;
        }
        let mut queues = self.queues.write();
        while queues.len() <= index {
            queues.push(AtomicI64::new(NONE));
        }
        queues[index].store(offset, Ordering::Release);
    }

    fn forget(&self, queue_id: i32) {
        if !(0..DENSE_QUEUES).contains(&queue_id) {
            self.sparse.lock().remove(&queue_id);
        } else if let Some(cell) = self.queues.read().get(queue_id.unsigned_abs() as usize) {
            cell.store(NONE, Ordering::Release);
        }
    }

    fn snapshot(&self) -> BTreeMap<i32, i64> {
        let mut out = self.sparse.lock().clone();
        for (queue_id, cell) in (0..).zip(self.queues.read().iter()) {
            let offset = cell.load(Ordering::Acquire);
            if offset != NONE {
                out.insert(queue_id, offset);
            }
        }
        out
    }
}

/// Queue id to offset, as the file and the wire have it.
pub(crate) type QueueOffsets = BTreeMap<i32, i64>;

/// The consumer offsets of a broker. Every method may be called from any thread.
#[derive(Debug, Default)]
pub(crate) struct ConsumerOffsets {
    /// topic, then group: both are looked up by borrowed strings, without building a key.
    topics: RwLock<HashMap<String, HashMap<String, Arc<Row>>>>,
    version: AtomicU64,
    stamp: Mutex<Stamp>,
}

/// The version that others compare, and up to which change it stands for.
#[derive(Debug, Default)]
struct Stamp {
    data_version: DataVersion,
    changes: u64,
}

impl ConsumerOffsets {
    fn row(&self, topic: &str, group: &str) -> Option<Arc<Row>> {
        self.topics.read().get(topic)?.get(group).cloned()
    }

    /// Stores an offset; a smaller one than before is stored too, as the consumer decides.
    pub(crate) fn commit(&self, topic: &str, group: &str, queue_id: i32, offset: i64) {
        let row = match self.row(topic, group) {
            Some(row) => row,
            None => {
                let mut topics = self.topics.write();
                let groups = topics.entry(topic.to_owned()).or_default();
                groups.entry(group.to_owned()).or_default().clone()
            }
        };
        row.set(queue_id, offset);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The committed offset, if there is one.
    #[must_use]
    pub(crate) fn query(&self, topic: &str, group: &str, queue_id: i32) -> Option<i64> {
        self.row(topic, group)?.get(queue_id)
    }

    /// What a group committed in a topic.
    #[must_use]
    pub(crate) fn of_group(&self, topic: &str, group: &str) -> QueueOffsets {
        self.row(topic, group)
            .map(|row| row.snapshot())
            .unwrap_or_default()
    }

    /// Grows with every change; equal numbers mean that nothing changed between.
    #[must_use]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The version that slaves and the next start compare: moves on when something changed since
    /// it was last asked for, which happens every few seconds.
    pub(crate) fn data_version(&self, now_ms: i64) -> DataVersion {
        let mut stamp = self.stamp.lock();
        let changes = self.version();
        if stamp.changes != changes {
            stamp.changes = changes;
            stamp.data_version.advance(now_ms);
        }
        stamp.data_version
    }

    /// Takes over a version that stands for the table as it was after `changes` changes.
    pub(crate) fn adopt(&self, data_version: DataVersion, changes: u64) {
        *self.stamp.lock() = Stamp {
            data_version,
            changes,
        };
    }

    /// The whole table keyed "topic@group".
    #[must_use]
    pub(crate) fn snapshot(&self) -> BTreeMap<String, QueueOffsets> {
        let topics = self.topics.read();
        let mut out = BTreeMap::new();
        for (topic, groups) in topics.iter() {
            for (group, row) in groups {
                let offsets = row.snapshot();
                if !offsets.is_empty() {
                    out.insert(format!("{topic}@{group}"), offsets);
                }
            }
        }
        out
    }

    /// Forgets one offset.
    pub(crate) fn remove(&self, topic: &str, group: &str, queue_id: i32) {
        if let Some(row) = self.row(topic, group) {
            row.forget(queue_id);
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Takes over a stored table; keys without a `@` are left out.
    pub(crate) fn load(&self, table: BTreeMap<String, QueueOffsets>) {
        for (key, offsets) in table {
            let Some((topic, group)) = key.split_once('@') else {
                continue;
            };
            for (queue_id, offset) in offsets {
                self.commit(topic, group, queue_id, offset);
            }
        }
    }

    /// Takes offsets back to the ends of their queues, which `end_of` tells by topic and number;
    /// returns how many. Where a log has lost its end, consumers that stay beyond it would skip
    /// what is stored there next.
    pub(crate) fn cut(&self, end_of: impl Fn(&str, i32) -> Option<i64>) -> usize {
        let mut cut = 0;
        for (row, offsets) in self.snapshot() {
            let Some((topic, group)) = row.split_once('@') else {
                continue;
            };
            for (queue_id, offset) in offsets {
                if let Some(end) = end_of(topic, queue_id).filter(|end| *end < offset) {
                    self.commit(topic, group, queue_id, end);
                    cut += 1;
                }
            }
        }
        cut
    }

    /// Groups that committed in a topic.
    #[must_use]
    pub(crate) fn groups_of(&self, topic: &str) -> Vec<String> {
        let topics = self.topics.read();
        let mut groups: Vec<String> = topics
            .get(topic)
            .into_iter()
            .flat_map(|groups| groups.keys().cloned())
            .collect();
        groups.sort_unstable();
        groups
    }

    /// Topics in which a group committed.
    #[must_use]
    pub(crate) fn topics_of(&self, group: &str) -> Vec<String> {
        let topics = self.topics.read();
        let mut names: Vec<String> = topics
            .iter()
            .filter(|(_, groups)| groups.contains_key(group))
            .map(|(topic, _)| topic.clone())
            .collect();
        names.sort_unstable();
        names
    }

    /// Forgets a topic's offsets in every group.
    pub(crate) fn remove_topic(&self, topic: &str) {
        if self.topics.write().remove(topic).is_some() {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Forgets a group's offsets in every topic.
    pub(crate) fn remove_group(&self, group: &str) {
        let mut topics = self.topics.write();
        let mut removed = false;
        for groups in topics.values_mut() {
            removed |= groups.remove(group).is_some();
        }
        topics.retain(|_, groups| !groups.is_empty());
        if removed {
            self.version.fetch_add(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_query_and_snapshot_agree() {
        let offsets = ConsumerOffsets::default();
        assert_eq!(offsets.query("T", "g", 0), None);
        offsets.commit("T", "g", 3, 7);
        assert_eq!(offsets.query("T", "g", 3), Some(7));
        assert_eq!(offsets.query("T", "g", 0), None);
        assert_eq!(offsets.query("T", "g", -1), None);
        offsets.commit("T", "g", 3, 5);
        offsets.commit("T", "h", 0, 0);
        let table = offsets.snapshot();
        assert_eq!(table["T@g"], BTreeMap::from([(3, 5)]));
        assert_eq!(table["T@h"], BTreeMap::from([(0, 0)]));

        let copy = ConsumerOffsets::default();
        copy.load(table.clone());
        assert_eq!(copy.snapshot(), table);
        assert_eq!(copy.groups_of("T"), ["g", "h"]);
        assert_eq!(copy.topics_of("h"), ["T"]);
    }

    #[test]
    fn the_version_moves_once_for_all_changes_in_between() {
        let offsets = ConsumerOffsets::default();
        let stored = DataVersion {
            counter: 7,
            timestamp_ms: 1_000,
            ..DataVersion::default()
        };
        offsets.load(BTreeMap::from([("T@g".to_owned(), [(0, 1)].into())]));
        offsets.adopt(stored, offsets.version());
        assert_eq!(offsets.data_version(2_000), stored);
        offsets.commit("T", "g", 0, 2);
        offsets.commit("T", "g", 0, 3);
        let moved = offsets.data_version(3_000);
        assert_eq!((moved.counter, moved.timestamp_ms), (8, 3_000));
        assert_eq!(offsets.data_version(4_000), moved);
        offsets.remove("T", "g", 0);
        assert_eq!(offsets.query("T", "g", 0), None);
        assert!(moved.is_older_than(&offsets.data_version(5_000)));
    }

    #[test]
    fn offsets_beyond_their_queues_are_taken_back() {
        let offsets = ConsumerOffsets::default();
        for (topic, queue_id, offset) in [("T", 0, 9), ("T", 1, 5), ("U", 0, 9)] {
            offsets.commit(topic, "g", queue_id, offset);
        }
        let cut = offsets.cut(|topic, queue_id| (topic == "T").then_some(5 + i64::from(queue_id)));
        assert_eq!(cut, 1);
        let found = |topic, queue_id| offsets.query(topic, "g", queue_id);
        assert_eq!((found("T", 0), found("T", 1)), (Some(5), Some(5)));
        assert_eq!(found("U", 0), Some(9));
    }

    #[test]
    fn a_huge_queue_number_allocates_nothing_of_its_size() {
        let offsets = ConsumerOffsets::default();
        offsets.commit("T", "g", i32::MAX, 1);
        offsets.commit("T", "g", -5, 2);
        assert_eq!(offsets.query("T", "g", i32::MAX), Some(1));
        assert_eq!(offsets.query("T", "g", -5), Some(2));
    }

    #[test]
    fn removal_is_by_topic_or_group_and_moves_the_version() {
        let offsets = ConsumerOffsets::default();
        offsets.commit("T", "g", 0, 1);
        offsets.commit("U", "g", 0, 1);
        offsets.commit("U", "h", 0, 1);
        let before = offsets.version();
        offsets.remove_topic("T");
        assert_eq!(offsets.topics_of("g"), ["U"]);
        offsets.remove_group("g");
        assert_eq!(offsets.groups_of("U"), ["h"]);
        assert!(offsets.version() > before);
    }
}
