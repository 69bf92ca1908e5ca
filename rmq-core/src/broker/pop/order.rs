//! What ordered groups work on: the messages of the last pop of each queue. Until all of them are
//! acknowledged or visible again, the group gets nothing more of the queue.

use std::collections::BTreeMap;

use crate::protocol::body::pop::{OrderInfo, OrderInfoTable};
use crate::protocol::request::pop::extra;

/// Most messages of one ordered pop: their bits are those of an `i64`.
const BITS: usize = 63;

/// A row that nobody popped of for so long is dropped, ms.
const KEEP_MS: i64 = 24 * 3_600_000;

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    /// The group goes on at this offset.
    Next(i64),
    /// It is of a pop that is over.
    Stale,
    /// No message of the pop has the offset.
    Unknown,
}

/// An ordered pop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderedPop<'a> {
    /// The try of the client.
    pub(crate) attempt_id: Option<&'a str>,
    /// When, ms since the epoch.
    pub(crate) now_ms: i64,
    /// How long the messages are invisible, ms.
    pub(crate) invisible_ms: i64,
    /// Their queue offsets, ascending.
    pub(crate) offsets: &'a [i64],
}

/// The state of all ordered groups.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    table: BTreeMap<String, BTreeMap<i32, OrderInfo>>,
    changes: u64,
}

fn row(topic: &str, group: &str) -> String {
    format!("{topic}@{group}")
}

fn offset_at(info: &OrderInfo, index: usize) -> i64 {
    match (index, info.offsets.first(), info.offsets.get(index)) {
        (0, Some(first), _) => *first,
        (_, Some(first), Some(distance)) => first + distance,
        _ => -1,
    }
}

fn is_acked(info: &OrderInfo, index: usize) -> bool {
    info.acked >> index.min(BITS) & 1 == 1
}

/// When a message is visible again, ms since the epoch.
fn visible_ms(info: &OrderInfo, index: usize, invisible_ms: i64) -> i64 {
    let own = info.visible_ms.as_ref();
    own.and_then(|times| times.get(&offset_at(info, index)).copied())
        .unwrap_or(info.pop_time_ms + info.invisible_time_ms.unwrap_or(invisible_ms))
}

impl Orders {
    /// The state as it was stored.
    #[must_use]
    pub(crate) fn new(stored: OrderInfoTable) -> Self {
        Self {
            table: stored.table,
            changes: 0,
        }
    }

    fn get(&self, topic: &str, group: &str, queue_id: i32) -> Option<&OrderInfo> {
        self.table.get(&row(topic, group))?.get(&queue_id)
    }

    fn get_mut(&mut self, topic: &str, group: &str, queue_id: i32) -> Option<&mut OrderInfo> {
        self.changes += 1;
        self.table.get_mut(&row(topic, group))?.get_mut(&queue_id)
    }

    /// Until when the group gets nothing of the queue, ms since the epoch. A client that tries the
    /// same pop again is let in.
    #[must_use]
    pub(crate) fn blocked_until(
        &self,
        (topic, group, queue_id): (&str, &str, i32),
        attempt_id: Option<&str>,
        invisible_ms: i64,
        now_ms: i64,
    ) -> Option<i64> {
        let info = self.get(topic, group, queue_id)?;
        if info.attempt_id.is_some() && info.attempt_id.as_deref() == attempt_id {
            return None;
        }
        (0..info.offsets.len())
            .filter(|index| !is_acked(info, *index))
            .map(|index| visible_ms(info, index, invisible_ms))
            .find(|visible| now_ms < *visible)
    }

    /// Takes note of a pop, and adds to `counts` how often its messages came before.
    pub(crate) fn popped(
        &mut self,
        (topic, group, queue_id): (&str, &str, i32),
        pop: &OrderedPop<'_>,
        counts: &mut String,
    ) {
        let Some(first) = pop.offsets.first().copied() else {
            return;
        };
        self.changes += 1;
        let queues = self.table.entry(row(topic, group)).or_default();
        let before = queues.get(&queue_id);
        let distance = |(index, offset): (usize, &i64)| match index {
            0 => first,
            _ => offset - first,
        };
        let info = OrderInfo {
            attempt_id: pop.attempt_id.map(str::to_owned),
            acked: 0,
            invisible_time_ms: Some(pop.invisible_ms),
            last_consume_ms: pop.now_ms,
            offsets: pop.offsets.iter().enumerate().map(distance).collect(),
            counts: before.map(|before| came_again(before, pop)),
            visible_ms: None,
            pop_time_ms: pop.now_ms,
        };
        let mut least = None;
        for (offset, count) in info.counts.iter().flatten() {
            extra::add_message_count(counts, topic, queue_id, *offset, *count);
            least = Some(least.map_or(*count, |least: i32| least.min(*count)));
        }
        let all = info.counts.as_ref().map_or(0, BTreeMap::len) == info.offsets.len();
        let least = least.filter(|_| all).unwrap_or(0);
        extra::add_queue_count(counts, topic, queue_id, least);
        queues.insert(queue_id, info);
    }

    /// Takes an acknowledgement of one message; `committed` is where the group is. Without a note
    /// of the pop, which a crash may have lost, only the next message counts: RocketMQ would then
    /// pass over the ones before.
    pub(crate) fn acknowledge(
        &mut self,
        (topic, group, queue_id): (&str, &str, i32),
        offset: i64,
        pop_time_ms: i64,
        committed: i64,
    ) -> Acked {
        let Some(info) = self.get_mut(topic, group, queue_id) else {
            return match offset == committed {
                true => Acked::Next(offset + 1),
                false => Acked::Stale,
            };
        };
        if info.offsets.is_empty() {
            return Acked::Unknown;
        }
        if info.pop_time_ms != pop_time_ms {
            return Acked::Stale;
        }
        let Some(index) =
            (0..info.offsets.len().min(BITS)).find(|index| offset_at(info, *index) == offset)
        else {
            return Acked::Unknown;
        };
        info.acked |= 1 << index;
        let left = (0..info.offsets.len()).find(|index| !is_acked(info, *index));
        Acked::Next(match left {
            Some(index) => offset_at(info, index),
            None => offset_at(info, info.offsets.len() - 1) + 1,
        })
    }

    /// Sets when a message is visible again; false when the pop is over.
    pub(crate) fn set_visible(
        &mut self,
        (topic, group, queue_id): (&str, &str, i32),
        offset: i64,
        pop_time_ms: i64,
        visible_ms: i64,
    ) -> bool {
        let Some(info) = self.get_mut(topic, group, queue_id) else {
            return false;
        };
        if info.pop_time_ms != pop_time_ms {
            return false;
        }
        let times = info.visible_ms.get_or_insert_default();
        times.insert(offset, visible_ms);
        true
    }

    /// Lets the group go on if somebody has set its offset, `committed`, away from the messages
    /// that it works on.
    pub(crate) fn clear_if_moved(
        &mut self,
        (topic, group, queue_id): (&str, &str, i32),
        committed: i64,
    ) {
        let Some(queues) = self.table.get_mut(&row(topic, group)) else {
            return;
        };
        let is_moved = |info: &OrderInfo| {
            let last = offset_at(info, info.offsets.len().saturating_sub(1));
            !(offset_at(info, 0)..=last + 1).contains(&committed)
        };
        if queues.get(&queue_id).is_some_and(is_moved) {
            queues.remove(&queue_id);
            self.changes += 1;
        }
    }

    /// Moves with every change.
    #[must_use]
    pub(crate) fn version(&self) -> u64 {
        self.changes
    }

    /// Drops what is old or no longer `exists` (topic, group), and gives the rest for the file.
    pub(crate) fn snapshot(
        &mut self,
        now_ms: i64,
        exists: impl Fn(&str, &str) -> bool,
    ) -> OrderInfoTable {
        self.table.retain(|row, queues| {
            queues.retain(|_, info| now_ms - info.last_consume_ms <= KEEP_MS);
            let known = row.split_once('@').is_some_and(|(t, g)| exists(t, g));
            known && !queues.is_empty()
        });
        OrderInfoTable {
            table: self.table.clone(),
        }
    }
}

/// How often each message of a pop was in the one before it.
fn came_again(before: &OrderInfo, pop: &OrderedPop<'_>) -> BTreeMap<i64, i32> {
    let counts = before.counts.as_ref();
    if before.attempt_id.is_some() && before.attempt_id.as_deref() == pop.attempt_id {
        return counts.cloned().unwrap_or_default();
    }
    let known: Vec<i64> = (0..before.offsets.len())
        .map(|index| offset_at(before, index))
        .collect();
    let again = pop.offsets.iter().filter(|offset| known.contains(offset));
    let count = |offset: &i64| counts.and_then(|counts| counts.get(offset)).unwrap_or(&0) + 1;
    again.map(|offset| (*offset, count(offset))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: (&str, &str, i32) = ("T", "g", 0);

    fn pop(orders: &mut Orders, offsets: &[i64], now_ms: i64) -> String {
        let mut counts = String::new();
        let pop = OrderedPop {
            attempt_id: None,
            now_ms,
            invisible_ms: 100,
            offsets,
        };
        orders.popped(AT, &pop, &mut counts);
        counts
    }

    fn blocked(orders: &Orders, now_ms: i64) -> Option<i64> {
        orders.blocked_until(AT, None, 100, now_ms)
    }

    #[test]
    fn a_queue_is_blocked_until_all_is_acknowledged_or_visible_again() {
        let mut orders = Orders::default();
        assert_eq!(blocked(&orders, 0), None);
        assert_eq!(pop(&mut orders, &[3, 4, 6], 1_000), "0 0 0");
        assert_eq!(blocked(&orders, 1_099), Some(1_100));
        assert_eq!(blocked(&orders, 1_100), None);
        assert_eq!(orders.acknowledge(AT, 4, 1_000, 3), Acked::Next(3));
        assert_eq!(orders.acknowledge(AT, 3, 1_000, 3), Acked::Next(6));
        assert_eq!(blocked(&orders, 1_050), Some(1_100));
        assert_eq!(orders.acknowledge(AT, 6, 1_000, 6), Acked::Next(7));
        assert_eq!(blocked(&orders, 1_050), None);
        assert_eq!(orders.acknowledge(AT, 5, 1_000, 7), Acked::Unknown);
        assert_eq!(orders.acknowledge(AT, 6, 999, 7), Acked::Stale);
    }

    #[test]
    fn what_comes_again_is_counted() {
        let mut orders = Orders::default();
        pop(&mut orders, &[3, 4], 1_000);
        assert_eq!(orders.acknowledge(AT, 3, 1_000, 3), Acked::Next(4));
        let counts = pop(&mut orders, &[4, 5], 2_000);
        assert_eq!(counts, "0 qo0%4 1;0 0 0");
        let counts = pop(&mut orders, &[4, 5], 3_000);
        assert_eq!(counts, "0 qo0%4 2;0 qo0%5 1;0 0 1");
    }

    #[test]
    fn the_same_try_is_let_in_and_counts_nothing() {
        let mut orders = Orders::default();
        let mut counts = String::new();
        let attempt = OrderedPop {
            attempt_id: Some("a"),
            now_ms: 10,
            invisible_ms: 100,
            offsets: &[1],
        };
        orders.popped(AT, &attempt, &mut counts);
        assert_eq!(orders.blocked_until(AT, Some("a"), 100, 20), None);
        assert_eq!(orders.blocked_until(AT, Some("b"), 100, 20), Some(110));
        counts.clear();
        orders.popped(AT, &attempt, &mut counts);
        assert_eq!(counts, "0 0 0");
    }

    #[test]
    fn the_time_of_one_message_can_be_changed() {
        let mut orders = Orders::default();
        pop(&mut orders, &[3, 4], 1_000);
        assert!(!orders.set_visible(AT, 3, 999, 5_000));
        assert!(orders.set_visible(AT, 3, 1_000, 5_000));
        assert_eq!(blocked(&orders, 1_200), Some(5_000));
        orders.clear_if_moved(AT, 5);
        assert_eq!(blocked(&orders, 1_200), Some(5_000));
        orders.clear_if_moved(AT, 6);
        assert_eq!(blocked(&orders, 1_200), None);
        // Only the next message counts without a note of the pop.
        assert_eq!(orders.acknowledge(AT, 4, 1_000, 3), Acked::Stale);
        assert_eq!(orders.acknowledge(AT, 3, 1_000, 3), Acked::Next(4));
    }

    #[test]
    fn rows_without_a_topic_or_of_long_ago_are_not_kept() {
        let mut orders = Orders::default();
        pop(&mut orders, &[3], 1_000);
        let version = orders.version();
        assert_eq!(orders.snapshot(2_000, |_, _| true).table.len(), 1);
        let copy = Orders::new(orders.snapshot(2_000, |_, _| true));
        assert_eq!(blocked(&copy, 1_050), Some(1_100));
        assert!(orders.snapshot(2_000, |t, _| t != "T").table.is_empty());
        pop(&mut orders, &[3], 1_000);
        assert!(orders.version() > version);
        assert!(
            orders
                .snapshot(1_001 + KEEP_MS, |_, _| true)
                .table
                .is_empty()
        );
    }
}
