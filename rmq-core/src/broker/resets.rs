//! Offsets that operators gave to groups and that consumers have not taken up yet.
//!
//! A reset is told to the next pull of its queue, which ends it. Until then what consumers commit
//! there is of the past. Every method may be called from any thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Topic, then group, then queue.
type Table = HashMap<String, HashMap<String, BTreeMap<i32, i64>>>;

/// The resets of a broker.
#[derive(Debug, Default)]
pub(crate) struct Resets {
    /// How many there are; pulls look no further while it is 0.
    count: AtomicUsize,
    table: Mutex<Table>,
}

impl Resets {
    /// Has the next pull of the group go on from `offset`.
    pub(crate) fn set(&self, topic: &str, group: &str, queue_id: i32, offset: i64) {
        self.change(|table| {
            let groups = table.entry(topic.to_owned()).or_default();
            let queues = groups.entry(group.to_owned()).or_default();
            queues.insert(queue_id, offset);
        });
    }

    /// Whether there is one that no pull was told of.
    #[must_use]
    pub(crate) fn has(&self, topic: &str, group: &str, queue_id: i32) -> bool {
        let find = |table: &Table| table.get(topic)?.get(group)?.get(&queue_id).copied();
        !self.is_empty() && find(&self.table.lock()).is_some()
    }

    /// The offset that a pull is to go on from; it is told once.
    pub(crate) fn take(&self, topic: &str, group: &str, queue_id: i32) -> Option<i64> {
        if self.is_empty() {
            return None;
        }
        let mut taken = None;
        self.change(|table| {
            taken = table
                .get_mut(topic)
                .and_then(|groups| groups.get_mut(group)?.remove(&queue_id));
        });
        taken
    }

    /// Forgets those of a topic.
    pub(crate) fn remove_topic(&self, topic: &str) {
        if !self.is_empty() {
            self.change(|table| drop(table.remove(topic)));
        }
    }

    /// Forgets those of a group.
    pub(crate) fn remove_group(&self, group: &str) {
        if !self.is_empty() {
            self.change(|table| {
                for groups in table.values_mut() {
                    groups.remove(group);
                }
            });
        }
    }

    // Sequentially consistent: who sets a reset then looks for held pulls, and who holds a pull
    // then looks for a reset, so that one of the two sees the other.
    fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    fn change(&self, change: impl FnOnce(&mut Table)) {
        let mut table = self.table.lock();
        change(&mut table);
        table.retain(|_, groups| {
            groups.retain(|_, queues| !queues.is_empty());
            !groups.is_empty()
        });
        let groups = table.values().flat_map(HashMap::values);
        let count = groups.map(BTreeMap::len).sum();
        self.count.store(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_is_told_once_and_only_to_its_group_and_queue() {
        let resets = Resets::default();
        assert_eq!(resets.take("T", "g", 0), None);
        resets.set("T", "g", 0, 5);
        resets.set("T", "g", 1, 6);
        resets.set("T", "g", 0, 7);
        assert!(resets.has("T", "g", 0) && !resets.has("T", "g", 2));
        assert_eq!(resets.take("T", "h", 0), None);
        assert_eq!(resets.take("U", "g", 0), None);
        assert_eq!(resets.take("T", "g", 0), Some(7));
        assert_eq!(resets.take("T", "g", 0), None);
        assert_eq!(resets.take("T", "g", 1), Some(6));
        assert!(resets.is_empty() && resets.table.lock().is_empty());
    }

    #[test]
    fn what_is_deleted_takes_its_resets_along() {
        let resets = Resets::default();
        for (topic, group) in [("T", "g"), ("T", "h"), ("U", "g")] {
            resets.set(topic, group, 0, 1);
        }
        resets.remove_group("g");
        assert!(resets.has("T", "h", 0) && !resets.has("T", "g", 0) && !resets.has("U", "g", 0));
        resets.remove_topic("T");
        assert!(resets.is_empty());
    }
}
