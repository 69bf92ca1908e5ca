//! Messages that are held for a moment, so that those of one kind travel as one request.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::Target;
use super::prepare::Outgoing;

/// Most messages of one batch.
const COUNT: usize = 1_024;

/// Messages with the same key can travel together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) topic: String,
    pub(crate) target: Target,
    pub(crate) tags: Option<String>,
    /// Whether the broker is to answer only after flush and replication.
    pub(crate) waits: bool,
    pub(crate) timeout: Duration,
}

impl Key {
    /// Whether messages of the two are to stay in the order they were sent in.
    fn is_ordered_with(&self, other: &Self) -> bool {
        self.target != Target::Any && (&self.topic, &self.target) == (&other.topic, &other.target)
    }
}

/// A message and who is told of its end.
#[derive(Debug)]
pub(crate) struct Held<T> {
    pub(crate) outgoing: Outgoing,
    pub(crate) done: T,
}

/// Messages that are to travel together.
#[derive(Debug)]
pub(crate) struct Together<T> {
    pub(crate) key: Key,
    pub(crate) messages: Vec<Held<T>>,
    /// The bodies' bytes, which count as held until [`Accumulator::over`].
    pub(crate) body_bytes: usize,
    encoded_bytes: usize,
    due: Duration,
}

/// How much is held how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A message waits at most this long.
    pub(crate) hold: Duration,
    /// A batch with this many bytes of bodies goes at once.
    pub(crate) batch_bytes: usize,
    /// Bodies' bytes in all batches that are held or under way.
    pub(crate) total_bytes: usize,
    /// Most bytes of a batch as it travels.
    pub(crate) encoded_bytes: usize,
}

/// What is to be done after a message was offered, in this order.
#[derive(Debug)]
pub(crate) struct Offered<T> {
    /// These go now.
    pub(crate) send: Vec<Together<T>>,
    /// The message itself, if it is not held.
    pub(crate) alone: Option<Held<T>>,
    /// When a batch that began with it is due.
    pub(crate) due: Option<Duration>,
}

/// The messages that are held.
#[derive(Debug)]
pub(crate) struct Accumulator<T> {
    limits: Limits,
    batches: BTreeMap<Key, Together<T>>,
    /// Held and under way.
    bytes: usize,
}

impl<T> Accumulator<T> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            batches: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Takes a message, unless it has to go alone.
    pub(crate) fn offer(&mut self, key: Key, held: Held<T>, now: Duration) -> Offered<T> {
        let limits = self.limits;
        let (body, encoded) = (held.outgoing.body.len(), held.outgoing.batched_bytes());
        let mut offered = Offered {
            send: self.others_in_order(&key),
            alone: None,
            due: None,
        };
        let alone = held.outgoing.alone
            || body > limits.batch_bytes
            || encoded > limits.encoded_bytes
            || self.bytes.saturating_add(body) > limits.total_bytes;
        if alone {
            offered.send.extend(self.batches.remove(&key));
            offered.alone = Some(held);
            return offered;
        }
        let is_full = |batch: &Together<T>| batch.encoded_bytes + encoded > limits.encoded_bytes;
        if self.batches.get(&key).is_some_and(is_full) {
            offered.send.extend(self.batches.remove(&key));
        }
        self.bytes += body;
        let batch = self.batches.entry(key.clone()).or_insert_with(|| {
            let due = now.saturating_add(limits.hold);
            offered.due = Some(due);
            Together {
                key: key.clone(),
                messages: Vec::new(),
                body_bytes: 0,
                encoded_bytes: 0,
                due,
            }
        });
        batch.messages.push(held);
        batch.body_bytes += body;
        batch.encoded_bytes += encoded;
        if batch.body_bytes >= limits.batch_bytes || batch.messages.len() >= COUNT {
            offered.send.extend(self.batches.remove(&key));
            offered.due = None;
        }
        offered
    }

    /// Batches of other keys that messages of this one must not overtake.
    fn others_in_order(&mut self, key: &Key) -> Vec<Together<T>> {
        let held = self.batches.keys();
        let others = held.filter(|other| *other != key && key.is_ordered_with(other));
        let others: Vec<Key> = others.cloned().collect();
        let taken = others.iter().filter_map(|key| self.batches.remove(key));
        taken.collect()
    }

    /// The batches that have waited long enough.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Together<T>> {
        let due = self.batches.iter().filter(|(_, batch)| now >= batch.due);
        let due: Vec<Key> = due.map(|(key, _)| key.clone()).collect();
        let taken = due.iter().filter_map(|key| self.batches.remove(key));
        taken.collect()
    }

    /// Everything that is held.
    pub(crate) fn take(&mut self) -> Vec<Together<T>> {
        std::mem::take(&mut self.batches).into_values().collect()
    }

    /// Bodies of so many bytes are not under way any more.
    pub(crate) fn over(&mut self, body_bytes: usize) {
        self.bytes = self.bytes.saturating_sub(body_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::producer::{ProducerOptions, prepare};
    use crate::protocol::message::user::Message;

    const MS: Duration = Duration::from_millis(1);

    fn accumulator() -> Accumulator<u32> {
        Accumulator::new(Limits {
            hold: 10 * MS,
            batch_bytes: 100,
            total_bytes: 250,
            encoded_bytes: 400,
        })
    }

    fn key(target: &Target, tags: Option<&str>) -> Key {
        Key {
            topic: "T".to_owned(),
            target: target.clone(),
            tags: tags.map(str::to_owned),
            waits: true,
            timeout: Duration::from_secs(3),
        }
    }

    fn held(number: u32, bytes: usize) -> Held<u32> {
        let options = ProducerOptions::default();
        let message = Message::new("T", vec![b'x'; bytes]);
        let outgoing = prepare::single(message, &Target::Any, &options, || "ID".to_owned());
        Held {
            outgoing: outgoing.unwrap(),
            done: number,
        }
    }

    fn numbers(batches: &[Together<u32>]) -> Vec<Vec<u32>> {
        let of = |batch: &Together<u32>| batch.messages.iter().map(|held| held.done).collect();
        batches.iter().map(of).collect()
    }

    #[test]
    fn batches_end_by_time_and_by_size() {
        let mut held_back = accumulator();
        let any = key(&Target::Any, None);
        let offered = held_back.offer(any.clone(), held(1, 40), MS);
        assert_eq!((offered.due, offered.send.len()), (Some(11 * MS), 0));
        let offered = held_back.offer(any.clone(), held(2, 40), 5 * MS);
        assert!(offered.due.is_none() && offered.alone.is_none());
        assert!(held_back.due(10 * MS).is_empty());
        let due = held_back.due(11 * MS);
        assert_eq!(numbers(&due), [[1, 2]]);
        assert_eq!(due[0].body_bytes, 80);
        assert!(held_back.due(100 * MS).is_empty());
        held_back.over(80);

        held_back.offer(any.clone(), held(3, 60), MS);
        let offered = held_back.offer(any.clone(), held(4, 40), MS);
        assert_eq!(numbers(&offered.send), [[3, 4]]);
        held_back.over(100);
        // As many as travel together, though their bodies are small.
        for number in 0..12 {
            let offered = held_back.offer(any.clone(), held(number, 1), MS);
            if let [full] = &offered.send[..] {
                assert!(full.encoded_bytes <= 400 && offered.due.is_some());
                return;
            }
        }
        panic!("a batch never got too long");
    }

    #[test]
    fn what_is_large_goes_alone_after_what_came_before_it() {
        let mut held_back = accumulator();
        let any = key(&Target::Any, None);
        held_back.offer(any.clone(), held(1, 10), MS);
        let offered = held_back.offer(any.clone(), held(2, 101), MS);
        assert_eq!(numbers(&offered.send), [[1]]);
        assert_eq!(offered.alone.unwrap().done, 2);
        let mut lonely = held(3, 1);
        lonely.outgoing.alone = true;
        assert!(held_back.offer(any, lonely, MS).alone.is_some());
    }

    #[test]
    fn what_is_under_way_counts_until_it_is_over() {
        let mut held_back = accumulator();
        let any = key(&Target::Any, None);
        for number in 0..2 {
            let offered = held_back.offer(any.clone(), held(number, 100), MS);
            assert_eq!(numbers(&offered.send), [[number]]);
        }
        let offered = held_back.offer(any.clone(), held(2, 51), MS);
        assert_eq!(offered.alone.unwrap().done, 2);
        held_back.over(100);
        assert!(held_back.offer(any, held(3, 51), MS).alone.is_none());
        assert_eq!(numbers(&held_back.take()), [[3]]);
    }

    #[test]
    fn kinds_are_held_apart_and_keys_stay_in_order() {
        let mut held_back = accumulator();
        for (number, tags) in [(1, None), (2, Some("a"))] {
            let offered = held_back.offer(key(&Target::Any, tags), held(number, 1), MS);
            assert!(offered.send.is_empty());
        }
        let user = Target::ShardingKey("u".to_owned());
        assert!(
            held_back
                .offer(key(&user, None), held(3, 1), MS)
                .send
                .is_empty()
        );
        // Another tag is another batch, which must not overtake the first.
        let offered = held_back.offer(key(&user, Some("a")), held(4, 1), MS);
        assert_eq!(numbers(&offered.send), [[3]]);
        let mut large = key(&user, Some("b"));
        large.waits = false;
        let offered = held_back.offer(large, held(5, 101), MS);
        assert_eq!(numbers(&offered.send), [[4]]);
        assert!(offered.alone.is_some());
        assert_eq!(held_back.take().len(), 2);
    }
}
