//! Where groups pop next. It runs ahead of the committed offsets, which follow when the check
//! points of what was popped are in the log.

use std::collections::HashMap;

use crate::broker::offsets::ConsumerOffsets;

/// A group's place in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The topic.
    pub(crate) topic: String,
    /// The group.
    pub(crate) group: String,
    /// The queue.
    pub(crate) queue_id: i32,
}

impl Place {
    /// The place of a group in a queue.
    #[must_use]
    pub(crate) fn new(topic: &str, group: &str, queue_id: i32) -> Self {
        Self {
            topic: topic.to_owned(),
            group: group.to_owned(),
            queue_id,
        }
    }

    fn committed(&self, offsets: &ConsumerOffsets) -> Option<i64> {
        offsets.query(&self.topic, &self.group, self.queue_id)
    }
}

#[derive(Clone, Copy, Debug)]
struct Position {
    next: i64,
    /// What was committed when `next` was ahead of it.
    base: Option<i64>,
}

/// The positions that are ahead of the committed offsets.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    ahead: HashMap<Place, Position>,
}

impl Positions {
    /// Where the group pops next, if it ever did or pulled. A commit by anybody else, such as a
    /// reset, counts from then on.
    #[must_use]
    pub(crate) fn get(&mut self, offsets: &ConsumerOffsets, place: &Place) -> Option<i64> {
        let committed = place.committed(offsets);
        let Some(position) = self.ahead.get(place) else {
            return committed;
        };
        if position.base == committed {
            return Some(position.next);
        }
        self.ahead.remove(place);
        committed
    }

    /// Moves the position.
    pub(crate) fn set(&mut self, offsets: &ConsumerOffsets, place: &Place, next: i64) {
        let position = Position {
            next,
            base: place.committed(offsets),
        };
        self.ahead.insert(place.clone(), position);
    }

    /// Takes the position back to `offset`, if it is not before that.
    pub(crate) fn back_to(&mut self, place: &Place, offset: i64) {
        if let Some(position) = self.ahead.get_mut(place) {
            position.next = position.next.min(offset);
        }
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub(crate) fn has_moves(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Commits all, but for those that somebody else has set meanwhile.
    pub(crate) fn commit(&mut self, offsets: &ConsumerOffsets) {
        for (place, position) in self.ahead.drain() {
            if position.base == place.committed(offsets) {
                offsets.commit(&place.topic, &place.group, place.queue_id, position.next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_follow_and_a_reset_by_somebody_else_wins() {
        let (offsets, mut positions) = (ConsumerOffsets::default(), Positions::default());
        let place = Place::new("T", "g", 0);
        assert_eq!(positions.get(&offsets, &place), None);
        positions.set(&offsets, &place, 5);
        positions.set(&offsets, &place, 9);
        assert_eq!(offsets.query("T", "g", 0), None);
        assert_eq!(positions.get(&offsets, &place), Some(9));
        positions.commit(&offsets);
        assert_eq!(offsets.query("T", "g", 0), Some(9));
        assert!(!positions.has_moves());
        positions.set(&offsets, &place, 20);
        offsets.commit("T", "g", 0, 2);
        positions.commit(&offsets);
        assert_eq!(offsets.query("T", "g", 0), Some(2));
        positions.set(&offsets, &place, 20);
        offsets.commit("T", "g", 0, 3);
        assert_eq!(positions.get(&offsets, &place), Some(3));
        assert!(!positions.has_moves());
    }

    #[test]
    fn what_could_not_be_written_is_popped_again() {
        let (offsets, mut positions) = (ConsumerOffsets::default(), Positions::default());
        let place = Place::new("T", "g", 0);
        positions.set(&offsets, &place, 5);
        positions.back_to(&place, 3);
        positions.back_to(&place, 4);
        positions.commit(&offsets);
        assert_eq!(positions.get(&offsets, &place), Some(3));
    }
}
