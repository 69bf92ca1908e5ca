//! The check points that are not over: what the revive queues say, folded.
//!
//! All of it follows from the records of the revive queues, in their order: a check point opens, an
//! acknowledgement closes messages of it, and reviving a message writes an acknowledgement too. So
//! the state after a crash is what reading from the settled offset makes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::positions::Place;
use crate::protocol::body::pop::{PopAck, PopCheckPoint};

/// Tells check points apart, as RocketMQ does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    topic: String,
    group: String,
    queue_id: i32,
    start_offset: i64,
    pop_time_ms: i64,
}

impl Key {
    fn of_point(point: &PopCheckPoint) -> Self {
        Self {
            topic: point.topic.clone(),
            group: point.group.clone(),
            queue_id: point.queue_id,
            start_offset: point.start_offset,
            pop_time_ms: point.pop_time_ms,
        }
    }

    fn of_ack(ack: &PopAck) -> Self {
        Self {
            topic: ack.topic.clone(),
            group: ack.group.clone(),
            queue_id: ack.queue_id,
            start_offset: ack.start_offset,
            pop_time_ms: ack.pop_time_ms,
        }
    }
}

/// A record of a revive queue.
#[derive(Debug)]
pub(crate) enum Input {
    /// Messages were popped. Those that are not acknowledged at `due_ms` come again.
    Point {
        /// Which.
        point: PopCheckPoint,
        /// When, ms since the epoch.
        due_ms: i64,
    },
    /// Messages were acknowledged or revived.
    Ack(PopAck),
    /// Nothing that is understood.
    Other,
}

/// A check point with messages to revive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The revive queue.
    pub(crate) queue: usize,
    /// Its place there.
    pub(crate) at: i64,
    /// The check point.
    pub(crate) point: PopCheckPoint,
    /// Queue offsets of the messages that are not acknowledged.
    pub(crate) offsets: Vec<i64>,
}

#[derive(Debug)]
struct Open {
    point: PopCheckPoint,
    /// A bit for each message that is over.
    over: u32,
    /// `None` while it is being revived.
    due_ms: Option<i64>,
}

impl Open {
    fn is_over(&self) -> bool {
        self.left() == 0
    }

    /// How many messages are not over.
    fn left(&self) -> usize {
        self.point
            .len()
            .saturating_sub(self.over.count_ones() as usize)
    }

    fn place(&self) -> Place {
        let point = &self.point;
        Place::new(&point.topic, &point.group, point.queue_id)
    }
}

/// One revive queue.
#[derive(Debug, Default)]
struct Row {
    /// The next record to read.
    next: i64,
    open: BTreeMap<i64, Open>,
    places: HashMap<Key, i64>,
}

/// The check points of a broker.
#[derive(Debug, Default)]
pub(crate) struct Points {
    rows: Vec<Row>,
    /// When each comes due, with its revive queue and its place there.
    due: BTreeSet<(i64, usize, i64)>,
    /// How many messages are popped and not over.
    in_flight: HashMap<Place, usize>,
}

impl Points {
    /// Revive queues that are read from these offsets on.
    #[must_use]
    pub(crate) fn new(starts: impl IntoIterator<Item = i64>) -> Self {
        let row = |next| Row {
            next,
            ..Row::default()
        };
        Self {
            rows: starts.into_iter().map(row).collect(),
            due: BTreeSet::new(),
            in_flight: HashMap::new(),
        }
    }

    /// How many messages of a queue a group has popped that are neither acknowledged nor revived.
    #[must_use]
    pub(crate) fn in_flight(&self, place: &Place) -> usize {
        self.in_flight.get(place).copied().unwrap_or(0)
    }

    /// Messages of a check point are over.
    fn end_flight(&mut self, place: &Place, messages: usize) {
        if let Some(count) = self.in_flight.get_mut(place) {
            *count = count.saturating_sub(messages);
            if *count == 0 {
                self.in_flight.remove(place);
            }
        }
    }

    /// How many revive queues there are.
    #[must_use]
    pub(crate) fn queues(&self) -> usize {
        self.rows.len()
    }

    /// The next record to read of a revive queue.
    #[must_use]
    pub(crate) fn next(&self, queue: usize) -> i64 {
        self.rows.get(queue).map_or(0, |row| row.next)
    }

    /// Goes on at another record, where those before are gone.
    pub(crate) fn skip_to(&mut self, queue: usize, offset: i64) {
        if let Some(row) = self.rows.get_mut(queue) {
            row.next = row.next.max(offset);
        }
    }

    /// How many check points are open.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.rows.iter().map(|row| row.open.len()).sum()
    }

    /// Takes the next record of a revive queue.
    pub(crate) fn handle(&mut self, queue: usize, input: Input) {
        let Some(row) = self.rows.get_mut(queue) else {
            return;
        };
        let at = row.next;
        row.next += 1;
        match input {
            Input::Point { point, due_ms } => self.open(queue, at, point, due_ms),
            Input::Ack(ack) => self.acknowledge(queue, &ack),
            Input::Other => {}
        }
    }

    fn open(&mut self, queue: usize, at: i64, point: PopCheckPoint, due_ms: i64) {
        let key = Key::of_point(&point);
        let open = Open {
            over: point.bits.cast_unsigned(),
            due_ms: Some(due_ms),
            point,
        };
        // One that says the same messages of the same pop again takes the place of the first.
        if let Some(before) = self.rows[queue].places.get(&key).copied() {
            self.close(queue, before);
        }
        if open.is_over() {
            return;
        }
        self.due.insert((due_ms, queue, at));
        *self.in_flight.entry(open.place()).or_default() += open.left();
        let row = &mut self.rows[queue];
        row.places.insert(key, at);
        row.open.insert(at, open);
    }

    fn acknowledge(&mut self, queue: usize, ack: &PopAck) {
        let row = &mut self.rows[queue];
        let Some(at) = row.places.get(&Key::of_ack(ack)).copied() else {
            return;
        };
        let Some(open) = row.open.get_mut(&at) else {
            return;
        };
        let before = open.left();
        for offset in ack.offsets() {
            if let Some(index) = open.point.index_of(*offset) {
                open.over |= 1 << index;
            }
        }
        let (place, ended) = (open.place(), before - open.left());
        let is_over = open.is_over();
        self.end_flight(&place, ended);
        if is_over {
            self.close(queue, at);
        }
    }

    fn close(&mut self, queue: usize, at: i64) {
        let row = &mut self.rows[queue];
        let Some(open) = row.open.remove(&at) else {
            return;
        };
        row.places.remove(&Key::of_point(&open.point));
        self.end_flight(&open.place(), open.left());
        if let Some(due_ms) = open.due_ms {
            self.due.remove(&(due_ms, queue, at));
        }
    }

    /// When the first check point comes due, ms since the epoch.
    #[must_use]
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|(due_ms, ..)| *due_ms)
    }

    /// Takes up to `max` check points that are due. They stay open until acknowledgements of their
    /// messages are read, or until `again` says otherwise.
    pub(crate) fn take_due(&mut self, now_ms: i64, max: usize) -> Vec<Due> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some(&(due_ms, queue, at)) = self.due.first().filter(|(due, ..)| *due <= now_ms)
            else {
                break;
            };
            self.due.remove(&(due_ms, queue, at));
            let Some(open) = self.rows[queue].open.get_mut(&at) else {
                continue;
            };
            open.due_ms = None;
            let left = (0..open.point.len()).filter(|index| open.over >> index & 1 == 0);
            taken.push(Due {
                queue,
                at,
                offsets: left.filter_map(|one| open.point.offset_at(one)).collect(),
                point: open.point.clone(),
            });
        }
        taken
    }

    /// Has a check point that was taken come due again.
    pub(crate) fn again(&mut self, queue: usize, at: i64, due_ms: i64) {
        let row = self.rows.get_mut(queue);
        if let Some(open) = row.and_then(|row| row.open.get_mut(&at)) {
            open.due_ms = Some(due_ms);
            self.due.insert((due_ms, queue, at));
        }
    }

    /// The last record of a revive queue of which, and before which, nothing needs to be read
    /// again; -1 for none. This is the offset that RocketMQ commits for the queue.
    #[must_use]
    pub(crate) fn settled(&self, queue: usize) -> i64 {
        let Some(row) = self.rows.get(queue) else {
            return -1;
        };
        row.open.keys().next().copied().unwrap_or(row.next) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start: i64, count: i32, pop_ms: i64) -> PopCheckPoint {
        PopCheckPoint {
            group: "g".to_owned(),
            topic: "T".to_owned(),
            start_offset: start,
            pop_time_ms: pop_ms,
            invisible_time_ms: 100,
            count,
            ..PopCheckPoint::default()
        }
    }

    fn opened(point: PopCheckPoint) -> Input {
        let due_ms = point.revive_time_ms();
        Input::Point { point, due_ms }
    }

    fn ack(start: i64, pop_ms: i64, offsets: &[i64]) -> Input {
        Input::Ack(PopAck {
            group: "g".to_owned(),
            topic: "T".to_owned(),
            start_offset: start,
            pop_time_ms: pop_ms,
            offset: -1,
            offsets: Some(offsets.to_vec()),
            ..PopAck::default()
        })
    }

    #[test]
    fn what_is_not_acknowledged_comes_due_and_nothing_before_its_time() {
        let mut points = Points::new([0, 0]);
        points.handle(0, opened(point(0, 3, 1_000)));
        points.handle(0, ack(0, 1_000, &[1]));
        assert_eq!(points.next_due_ms(), Some(1_100));
        assert!(points.take_due(1_099, 10).is_empty());
        let due = points.take_due(1_100, 10);
        assert_eq!(due[0].offsets, [0, 2]);
        assert!(points.take_due(9_999, 10).is_empty(), "taken once");
        assert_eq!(points.settled(0), -1, "it is open until that is written");
        points.handle(0, ack(0, 1_000, &[0, 2]));
        assert_eq!((points.settled(0), points.len()), (2, 0));
        assert_eq!(points.settled(1), -1);
    }

    #[test]
    fn the_oldest_open_one_holds_what_is_settled() {
        let mut points = Points::new([7]);
        points.handle(0, opened(point(0, 1, 1)));
        points.handle(0, opened(point(1, 1, 2)));
        points.handle(0, ack(1, 2, &[1]));
        assert_eq!(points.settled(0), 6);
        points.handle(0, Input::Other);
        points.handle(0, ack(0, 1, &[0]));
        assert_eq!((points.settled(0), points.next(0)), (11, 12));
        assert_eq!(points.next_due_ms(), None);
    }

    #[test]
    fn one_that_failed_comes_due_again_unless_it_was_acknowledged() {
        let mut points = Points::new([0]);
        points.handle(0, opened(point(0, 2, 0)));
        let due = points.take_due(100, 1).remove(0);
        points.again(due.queue, due.at, 500);
        assert_eq!(points.next_due_ms(), Some(500));
        points.handle(0, ack(0, 0, &[0, 1, 77]));
        assert_eq!(points.next_due_ms(), None);
        points.again(due.queue, due.at, 600);
        assert_eq!(points.next_due_ms(), None);
    }

    #[test]
    fn acknowledgements_of_what_is_unknown_change_nothing() {
        let mut points = Points::new([0]);
        points.handle(0, ack(0, 0, &[0]));
        points.handle(5, ack(0, 0, &[0]));
        points.handle(0, opened(point(0, 0, 0)));
        points.handle(0, opened(point(0, 1, 0)));
        points.handle(0, opened(point(0, 1, 0)));
        assert_eq!((points.len(), points.settled(0)), (1, 2));
        assert_eq!(points.in_flight(&Place::new("T", "g", 0)), 1);
        points.skip_to(0, 3);
        assert_eq!(points.next(0), 4);
        points.handle(0, ack(0, 0, &[0]));
        assert_eq!((points.len(), points.settled(0)), (0, 4));
        assert!(points.in_flight.is_empty());
    }

    #[test]
    fn what_is_in_flight_is_counted_until_it_is_over() {
        let mut points = Points::new([0, 0]);
        let place = Place::new("T", "g", 0);
        points.handle(0, opened(point(0, 3, 1)));
        points.handle(1, opened(point(3, 4, 1)));
        assert_eq!(points.in_flight(&place), 7);
        assert_eq!(points.in_flight(&Place::new("T", "g", 1)), 0);
        points.handle(1, ack(3, 1, &[3, 5, 77]));
        points.handle(1, ack(3, 1, &[3]));
        assert_eq!(points.in_flight(&place), 5);
        // Being revived it still counts, until that is written.
        points.take_due(i64::MAX, 10);
        points.handle(0, ack(0, 1, &[0, 1, 2]));
        assert_eq!(points.in_flight(&place), 2);
        points.handle(1, ack(3, 1, &[4, 6]));
        assert!(points.in_flight.is_empty());
    }
}
