//! Where groups pop next. It runs ahead of the committed offsets, which follow when the check
//! points of what was popped are durable: a loss of power then repeats and loses nothing.

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
    /// Whether it moved since it was last taken to be committed.
    moved: bool,
}

/// Offsets on their way into the table.
pub(crate) type Moves = Vec<(Place, i64)>;

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
            moved: true,
        };
        self.ahead.insert(place.clone(), position);
    }

    /// Takes the position back to `offset`, if it is not before that.
    pub(crate) fn back_to(&mut self, place: &Place, offset: i64) {
        if let Some(position) = self.ahead.get_mut(place) {
            position.next = position.next.min(offset);
            position.moved = true;
        }
    }

    /// Whether anything moved since the last `take`.
    #[must_use]
    pub(crate) fn has_moves(&self) -> bool {
        self.ahead.values().any(|position| position.moved)
    }

    /// Takes what is to be committed when what was popped so far is durable.
    #[must_use]
    pub(crate) fn take(&mut self) -> Moves {
        let moved = self.ahead.iter_mut().filter(|(_, one)| one.moved);
        moved
            .map(|(place, position)| {
                position.moved = false;
                (place.clone(), position.next)
            })
            .collect()
    }

    /// Commits them, but for those that somebody else has set meanwhile.
    pub(crate) fn commit(&mut self, offsets: &ConsumerOffsets, moves: Moves) {
        for (place, next) in moves {
            let Some(position) = self.ahead.get_mut(&place) else {
                continue;
            };
            if position.base != place.committed(offsets) {
                continue;
            }
            offsets.commit(&place.topic, &place.group, place.queue_id, next);
            position.base = Some(next);
            if !position.moved {
                self.ahead.remove(&place);
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
        let moves = positions.take();
        positions.set(&offsets, &place, 9);
        assert_eq!(offsets.query("T", "g", 0), None);
        positions.commit(&offsets, moves);
        assert_eq!(offsets.query("T", "g", 0), Some(5));
        assert_eq!(positions.get(&offsets, &place), Some(9));
        assert!(positions.has_moves());
        let moves = positions.take();
        offsets.commit("T", "g", 0, 2);
        positions.commit(&offsets, moves);
        assert_eq!(offsets.query("T", "g", 0), Some(2));
        assert_eq!(positions.get(&offsets, &place), Some(2));
        assert!(!positions.has_moves());
    }

    #[test]
    fn what_is_committed_is_not_kept_here() {
        let (offsets, mut positions) = (ConsumerOffsets::default(), Positions::default());
        let place = Place::new("T", "g", 0);
        positions.set(&offsets, &place, 5);
        positions.back_to(&place, 3);
        positions.back_to(&place, 4);
        let moves = positions.take();
        positions.commit(&offsets, moves);
        assert!(positions.ahead.is_empty());
        assert_eq!(positions.get(&offsets, &place), Some(3));
    }
}
