//! What a slave takes of its master's committed offsets.
//!
//! Consumers commit at the master; while it is away they commit at the slave. Neither must undo
//! what the other was told: an offset that the master changed since it was last asked is taken,
//! also when it went backwards (a reset); what the master left as it was stays as it is here.

use std::collections::BTreeMap;

use crate::broker::offsets::QueueOffsets;
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::offset::ConsumerOffsetTable;

/// One offset to set or, when `None`, to forget: row (`topic@group`), queue, offset.
pub(super) type Change = (String, i32, Option<i64>);

type Table = BTreeMap<String, QueueOffsets>;

/// What the master said last.
#[derive(Debug, Default)]
pub(super) struct OffsetMerge {
    last: Option<ConsumerOffsetTable>,
}

impl OffsetMerge {
    /// Takes the master's table; returns what to change in `own`, which has the version
    /// `own_version`.
    pub(super) fn take(
        &mut self,
        own: &Table,
        own_version: DataVersion,
        theirs: ConsumerOffsetTable,
    ) -> Vec<Change> {
        let changes = match &self.last {
            // A master that was restored from older files has forgotten, not changed its mind.
            Some(last) if theirs.data_version.is_older_than(&last.data_version) => {
                changes_to(own, &theirs.offsets, i64::max)
            }
            Some(last) => since(&last.offsets, own, &theirs.offsets),
            None if theirs.data_version.is_older_than(&own_version) => {
                changes_to(own, &theirs.offsets, i64::max)
            }
            None => changes_to(own, &theirs.offsets, |_, theirs| theirs),
        };
        self.last = Some(theirs);
        changes
    }
}

fn find(table: &Table, row: &str, queue: i32) -> Option<i64> {
    table.get(row)?.get(&queue).copied()
}

fn entries(table: &Table) -> impl Iterator<Item = (&String, i32, i64)> {
    table
        .iter()
        .flat_map(|(row, queues)| queues.iter().map(move |(queue, at)| (row, *queue, *at)))
}

/// What makes `own` have, for each entry of `theirs`, what `choose` says of both.
fn changes_to(own: &Table, theirs: &Table, choose: fn(i64, i64) -> i64) -> Vec<Change> {
    entries(theirs)
        .filter_map(|(row, queue, their_offset)| {
            let own_offset = find(own, row, queue);
            let wanted = own_offset.map_or(their_offset, |offset| choose(offset, their_offset));
            (own_offset != Some(wanted)).then(|| (row.clone(), queue, Some(wanted)))
        })
        .collect()
}

/// What the master changed since it said `last`.
fn since(last: &Table, own: &Table, theirs: &Table) -> Vec<Change> {
    let changed = entries(theirs).filter_map(|(row, queue, offset)| {
        let is_news = find(last, row, queue) != Some(offset);
        let differs = find(own, row, queue) != Some(offset);
        (is_news && differs).then(|| (row.clone(), queue, Some(offset)))
    });
    let removed = entries(last).filter_map(|(row, queue, _)| {
        let gone = find(theirs, row, queue).is_none() && find(own, row, queue).is_some();
        gone.then(|| (row.clone(), queue, None))
    });
    changed.chain(removed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, i32, i64)]) -> Table {
        let mut table = Table::new();
        for (row, queue, offset) in entries {
            table
                .entry((*row).to_owned())
                .or_default()
                .insert(*queue, *offset);
        }
        table
    }

    fn version(timestamp_ms: i64) -> DataVersion {
        DataVersion {
            timestamp_ms,
            ..DataVersion::default()
        }
    }

    fn theirs(timestamp_ms: i64, entries: &[(&str, i32, i64)]) -> ConsumerOffsetTable {
        ConsumerOffsetTable {
            data_version: version(timestamp_ms),
            offsets: table(entries),
        }
    }

    fn apply(own: &mut Table, changes: Vec<Change>) {
        for (row, queue, offset) in changes {
            match offset {
                Some(offset) => drop(own.entry(row).or_default().insert(queue, offset)),
                None => drop(own.get_mut(&row).unwrap().remove(&queue)),
            }
        }
        own.retain(|_, queues| !queues.is_empty());
    }

    #[test]
    fn a_newer_master_is_taken_as_it_is_at_the_first_time() {
        for their_ms in [5, 9] {
            let mut own = table(&[("T@g", 0, 50), ("T@own", 0, 7)]);
            let mut merge = OffsetMerge::default();
            let first = theirs(their_ms, &[("T@g", 0, 40), ("T@new", 1, 3)]);
            let changes = merge.take(&own, version(5), first);
            apply(&mut own, changes);
            let expected = [("T@g", 0, 40), ("T@new", 1, 3), ("T@own", 0, 7)];
            assert_eq!(own, table(&expected), "{their_ms}");
        }
    }

    #[test]
    fn an_older_master_takes_nobody_back() {
        let mut own = table(&[("T@g", 0, 50), ("T@h", 0, 5)]);
        let mut merge = OffsetMerge::default();
        let first = theirs(4, &[("T@g", 0, 40), ("T@h", 0, 6)]);
        let changes = merge.take(&own, version(5), first);
        apply(&mut own, changes);
        assert_eq!(own, table(&[("T@g", 0, 50), ("T@h", 0, 6)]));
    }

    #[test]
    fn what_the_master_changed_is_taken_and_the_rest_stays() {
        let mut own = Table::new();
        let mut merge = OffsetMerge::default();
        let first = theirs(5, &[("T@g", 0, 10), ("T@h", 0, 10), ("T@reset", 0, 90)]);
        let changes = merge.take(&own, version(0), first);
        apply(&mut own, changes);
        // While the master was away one group committed here.
        own.get_mut("T@h").unwrap().insert(0, 60);
        let second = theirs(6, &[("T@g", 0, 20), ("T@h", 0, 10), ("T@reset", 0, 1)]);
        let changes = merge.take(&own, version(7), second);
        apply(&mut own, changes);
        let expected = [("T@g", 0, 20), ("T@h", 0, 60), ("T@reset", 0, 1)];
        assert_eq!(own, table(&expected));
        // The version of an Apache master stands still for hundreds of commits.
        let third = theirs(6, &[("T@g", 0, 21), ("T@h", 0, 70), ("T@reset", 0, 1)]);
        let changes = merge.take(&own, version(7), third);
        assert_eq!(changes.len(), 2);
        apply(&mut own, changes);
        assert_eq!(own["T@h"][&0], 70);
    }

    #[test]
    fn a_master_that_came_back_with_older_offsets_takes_nobody_back() {
        let mut own = Table::new();
        let mut merge = OffsetMerge::default();
        let changes = merge.take(&own, version(0), theirs(9, &[("T@g", 0, 100)]));
        apply(&mut own, changes);
        let changes = merge.take(&own, version(9), theirs(8, &[("T@g", 0, 80)]));
        assert_eq!(changes, []);
        // From there on its changes count again.
        let changes = merge.take(&own, version(9), theirs(10, &[("T@g", 0, 85)]));
        apply(&mut own, changes);
        assert_eq!(own["T@g"][&0], 85);
    }

    #[test]
    fn what_the_master_removed_is_removed() {
        let mut own = table(&[("T@own", 0, 1)]);
        let mut merge = OffsetMerge::default();
        let first = theirs(1, &[("T@g", 0, 1), ("T@g", 1, 1), ("U@g", 0, 1)]);
        let changes = merge.take(&own, version(0), first);
        apply(&mut own, changes);
        let changes = merge.take(&own, version(1), theirs(2, &[("T@g", 1, 1)]));
        apply(&mut own, changes);
        assert_eq!(own, table(&[("T@g", 1, 1), ("T@own", 0, 1)]));
    }
}
