//! Held requests: pops that found nothing, and notifications, wait for a message or their deadline.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::positions::Place;
use crate::net::ConnectionId;

/// A held request.
#[derive(Debug)]
pub(crate) struct Held<R> {
    /// The connection that waits for the answer.
    pub(crate) conn: ConnectionId,
    /// What it waits for; queue -1 means any of the topic, which is never one of retries.
    pub(crate) place: Place,
    /// When it is answered at the latest, monotonic ms.
    pub(crate) deadline_ms: u64,
    /// The request.
    pub(crate) request: R,
}

/// How many may be held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PollLimits {
    /// In all.
    pub(crate) all: usize,
    /// For one group and queue.
    pub(crate) of_place: usize,
    /// Groups and queues.
    pub(crate) places: usize,
}

/// All held requests. Those of one group and queue are answered in the order they came.
#[derive(Debug)]
pub(crate) struct Polling<R> {
    next_id: u64,
    held: HashMap<u64, Held<R>>,
    places: BTreeMap<Place, VecDeque<u64>>,
    deadlines: BTreeSet<(u64, u64)>,
}

impl<R> Default for Polling<R> {
    fn default() -> Self {
        Self {
            next_id: 0,
            held: HashMap::new(),
            places: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }
}

impl<R> Polling<R> {
    /// Holds a request; gives it back when there are too many.
    pub(crate) fn hold(&mut self, limits: PollLimits, held: Held<R>) -> Result<(), Held<R>> {
        let waiting = self.count(&held.place);
        let is_new = waiting == 0 && self.places.len() >= limits.places;
        if self.held.len() >= limits.all || waiting >= limits.of_place || is_new {
            return Err(held);
        }
        let id = self.next_id;
        self.next_id += 1;
        let place = self.places.entry(held.place.clone()).or_default();
        place.push_back(id);
        self.deadlines.insert((held.deadline_ms, id));
        self.held.insert(id, held);
        Ok(())
    }

    /// How many wait at a place.
    #[must_use]
    pub(crate) fn count(&self, place: &Place) -> usize {
        self.places.get(place).map_or(0, VecDeque::len)
    }

    /// The ids of the requests at a place, first come first.
    #[must_use]
    pub(crate) fn ids_at(&self, place: &Place) -> Vec<u64> {
        let ids = self.places.get(place).into_iter().flatten();
        ids.copied().collect()
    }

    /// A held request.
    #[must_use]
    pub(crate) fn get(&self, id: u64) -> Option<&Held<R>> {
        self.held.get(&id)
    }

    /// Takes one out.
    pub(crate) fn take(&mut self, id: u64) -> Option<Held<R>> {
        let held = self.held.remove(&id)?;
        self.deadlines.remove(&(held.deadline_ms, id));
        if let Some(ids) = self.places.get_mut(&held.place) {
            ids.retain(|one| *one != id);
            if ids.is_empty() {
                self.places.remove(&held.place);
            }
        }
        Some(held)
    }

    /// Takes out all whose deadline has come.
    pub(crate) fn take_expired(&mut self, now_ms: u64) -> Vec<Held<R>> {
        let mut expired = Vec::new();
        while let Some(&(deadline_ms, id)) = self.deadlines.first() {
            if deadline_ms > now_ms {
                break;
            }
            expired.extend(self.take(id));
        }
        expired
    }

    /// When the next deadline comes.
    #[must_use]
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }

    /// Forgets what a closed connection waited for.
    pub(crate) fn close(&mut self, conn: ConnectionId) {
        let of_conn = self.held.iter().filter(|(_, held)| held.conn == conn);
        let ids: Vec<u64> = of_conn.map(|(id, _)| *id).collect();
        for id in ids {
            self.take(id);
        }
    }

    /// The places of a topic that something new in a queue of it may be of use to; `group` is the
    /// only one, if it is given.
    #[must_use]
    pub(crate) fn places_of(
        &self,
        topic: &str,
        queue_id: Option<i32>,
        group: Option<&str>,
    ) -> Vec<Place> {
        let first = Place::new(topic, group.unwrap_or(""), i32::MIN);
        self.places
            .range(first..)
            .map(|(place, _)| place)
            .take_while(|place| place.topic == topic)
            .filter(|place| group.is_none_or(|group| place.group == group))
            .filter(|place| {
                place.queue_id < 0 || queue_id.is_none_or(|queue_id| place.queue_id == queue_id)
            })
            .cloned()
            .collect()
    }

    /// Whether any waits at a queue of a topic.
    #[must_use]
    pub(crate) fn is_watched(&self, topic: &str, queue_id: i32) -> bool {
        !self.places_of(topic, Some(queue_id), None).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PollLimits = PollLimits {
        all: 3,
        of_place: 2,
        places: 2,
    };

    fn conn() -> ConnectionId {
        let key = crate::base::slots::Key {
            slot: 1,
            generation: 1,
        };
        ConnectionId::new(0, key)
    }

    fn held(group: &str, queue_id: i32, deadline_ms: u64) -> Held<char> {
        Held {
            conn: conn(),
            place: Place::new("T", group, queue_id),
            deadline_ms,
            request: 'r',
        }
    }

    #[test]
    fn limits_are_for_all_for_a_place_and_for_places() {
        let mut polling = Polling::default();
        polling.hold(LIMITS, held("g", 0, 1)).unwrap();
        polling.hold(LIMITS, held("g", 0, 2)).unwrap();
        polling.hold(LIMITS, held("g", 0, 3)).unwrap_err();
        polling.hold(LIMITS, held("g", 1, 4)).unwrap();
        polling.hold(LIMITS, held("g", 1, 5)).unwrap_err();
        assert_eq!(polling.take_expired(1).len(), 1);
        polling.hold(LIMITS, held("h", 1, 6)).unwrap_err();
        assert_eq!(polling.count(&Place::new("T", "g", 0)), 1);
        assert_eq!(polling.next_deadline_ms(), Some(2));
        polling.close(conn());
        assert_eq!(polling.next_deadline_ms(), None);
        polling.hold(LIMITS, held("h", 1, 6)).unwrap();
    }

    #[test]
    fn news_are_of_use_to_who_waits_for_that_queue_or_for_any() {
        let mut polling = Polling::default();
        polling.hold(LIMITS, held("g", -1, 1)).unwrap();
        polling.hold(LIMITS, held("h", 1, 2)).unwrap();
        let groups = |places: Vec<Place>| -> String {
            places.iter().map(|place| place.group.as_str()).collect()
        };
        assert_eq!(groups(polling.places_of("T", Some(0), None)), "g");
        assert_eq!(groups(polling.places_of("T", Some(1), None)), "gh");
        assert_eq!(groups(polling.places_of("T", None, Some("h"))), "h");
        assert_eq!(groups(polling.places_of("S", None, None)), "");
        assert!(polling.is_watched("T", 7) && !polling.is_watched("U", 7));
        let ids = polling.ids_at(&Place::new("T", "h", 1));
        assert_eq!(polling.get(ids[0]).unwrap().deadline_ms, 2);
        assert!(polling.take(ids[0]).is_some() && polling.take(ids[0]).is_none());
    }
}
