//! Which queues the consumers of a group get when the broker divides them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use crate::broker::topics::PERM_READ;
use crate::net::Client;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::body::route::TopicRouteData;

/// Topics whose routes are kept; then it begins anew.
const KEPT_MAX: usize = 100_000;

/// How queues are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Each consumer gets a run of queues.
    Average,
    /// The queues go round.
    Circle,
}

impl Strategy {
    /// The strategy of this name, if brokers know it.
    #[must_use]
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "AVG" => Some(Self::Average),
            "AVG_BY_CIRCLE" => Some(Self::Circle),
            _ => None,
        }
    }

    /// What `client` gets of `queues`, both sorted as every consumer sorts them.
    #[must_use]
    pub(crate) fn allocate(
        self,
        client: &str,
        queues: &[MessageQueue],
        clients: &[String],
    ) -> Vec<MessageQueue> {
        let Some(index) = clients.iter().position(|one| one == client) else {
            return Vec::new();
        };
        let (count, rest) = (queues.len() / clients.len(), queues.len() % clients.len());
        match self {
            Self::Average => {
                let own = count + usize::from(index < rest);
                let from = index * count + index.min(rest);
                queues[from..from + own].to_vec()
            }
            Self::Circle => {
                let own = queues.iter().skip(index).step_by(clients.len());
                own.cloned().collect()
            }
        }
    }

    /// What `client` pops of: all queues of each broker, or its own and those of the next `share`
    /// consumers.
    #[must_use]
    pub(crate) fn allocate_pop(
        self,
        client: &str,
        queues: &[MessageQueue],
        clients: &[String],
        share: i32,
    ) -> Vec<MessageQueue> {
        let share = usize::try_from(share).unwrap_or(0);
        if share == 0 || share >= clients.len().saturating_sub(1) {
            let any = |queue: &MessageQueue| MessageQueue {
                queue_id: -1,
                ..queue.clone()
            };
            let mut all: Vec<MessageQueue> = queues.iter().map(any).collect();
            all.dedup();
            return all;
        }
        let Some(index) = clients.iter().position(|one| one == client) else {
            return Vec::new();
        };
        if clients.len() > queues.len() {
            let own = queues.get(index % queues.len().max(1));
            return own.cloned().into_iter().collect();
        }
        (index..=index + share)
            .map(|at| &clients[at % clients.len()])
            .flat_map(|one| self.allocate(one, queues, clients))
            .collect()
    }
}

/// The queues of a route that consumers may read, sorted.
#[must_use]
pub(crate) fn queues_of(topic: &str, route: &TopicRouteData) -> Vec<MessageQueue> {
    let readable = route.queues.iter().filter(|one| one.perm & PERM_READ != 0);
    let mut queues: Vec<MessageQueue> = readable
        .flat_map(|one| {
            (0..one.read_queue_nums).map(|queue_id| MessageQueue {
                broker_name: one.broker_name.clone(),
                queue_id,
                topic: topic.to_owned(),
            })
        })
        .collect();
    queues.sort_unstable();
    queues.dedup();
    queues
}

/// Readable queues of a topic; `None` when no nameserver knows it.
pub(crate) type Queues = Option<Arc<Vec<MessageQueue>>>;

/// The routes that the broker asked nameservers for.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    client: OnceLock<Weak<Client>>,
    known: Mutex<HashMap<String, (u64, Queues)>>,
}

impl Routes {
    /// Makes the client known that nameservers are asked with.
    pub(crate) fn ask_with(&self, client: &Arc<Client>) {
        // A second call would be a defect of the start; the first one stays.
        let _ = self.client.set(Arc::downgrade(client));
    }

    /// The client that nameservers are asked with.
    #[must_use]
    pub(crate) fn client(&self) -> Option<Arc<Client>> {
        self.client.get()?.upgrade()
    }

    /// What is known of a topic since `since_ms`, monotonic.
    #[must_use]
    pub(crate) fn get(&self, topic: &str, since_ms: u64) -> Option<Queues> {
        let known = self.known.lock();
        let (at_ms, queues) = known.get(topic)?;
        (*at_ms >= since_ms).then(|| queues.clone())
    }

    /// Takes note of an answer.
    pub(crate) fn put(&self, topic: &str, now_ms: u64, queues: Queues) {
        let mut known = self.known.lock();
        if known.len() >= KEPT_MAX {
            known.clear();
        }
        known.insert(topic.to_owned(), (now_ms, queues));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::body::route::QueueData;

    fn queues(brokers: &[(&str, i32)]) -> Vec<MessageQueue> {
        let queues = brokers.iter().map(|(broker, count)| QueueData {
            broker_name: (*broker).to_owned(),
            perm: 6,
            read_queue_nums: *count,
            ..QueueData::default()
        });
        let route = TopicRouteData {
            queues: queues.collect(),
            ..TopicRouteData::default()
        };
        queues_of("T", &route)
    }

    fn clients(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("c{n}")).collect()
    }

    fn ids(queues: &[MessageQueue]) -> Vec<i32> {
        queues.iter().map(|queue| queue.queue_id).collect()
    }

    #[test]
    fn every_queue_goes_to_one_consumer() {
        for strategy in [Strategy::Average, Strategy::Circle] {
            for (count, members) in [(8, 3), (2, 5), (4, 4), (0, 2), (7, 1)] {
                let (all, clients) = (queues(&[("b", count)]), clients(members));
                let mut given: Vec<MessageQueue> = clients
                    .iter()
                    .flat_map(|client| strategy.allocate(client, &all, &clients))
                    .collect();
                given.sort_unstable();
                assert_eq!(given, all, "{strategy:?} {count} {members}");
            }
        }
        let (all, clients) = (queues(&[("b", 8)]), clients(3));
        let given = |strategy: Strategy, who| ids(&strategy.allocate(who, &all, &clients));
        assert_eq!(given(Strategy::Average, "c0"), [0, 1, 2]);
        assert_eq!(given(Strategy::Average, "c2"), [6, 7]);
        assert_eq!(given(Strategy::Circle, "c1"), [1, 4, 7]);
        assert!(given(Strategy::Average, "stranger").is_empty());
        assert_eq!(Strategy::from_name("AVG"), Some(Strategy::Average));
        assert_eq!(Strategy::from_name("other"), None);
    }

    #[test]
    fn pop_gives_whole_brokers_or_shares_of_neighbours() {
        let all = queues(&[("a", 2), ("b", 2)]);
        let four = clients(4);
        let given = |share, clients: &[String], who: &str| {
            Strategy::Average.allocate_pop(who, &all, clients, share)
        };
        let brokers = given(-1, &four, "c0");
        assert_eq!(ids(&brokers), [-1, -1]);
        assert_eq!(brokers[1].broker_name, "b");
        assert_eq!(given(3, &four, "c0"), brokers);
        let two = given(1, &four, "c3");
        assert_eq!(ids(&two), [1, 0]);
        let many = clients(9);
        assert_eq!(ids(&given(2, &many, "c5")), [1]);
        assert!(given(1, &four, "stranger").is_empty());
    }

    #[test]
    fn routes_are_known_for_a_while() {
        let routes = Routes::default();
        assert_eq!(routes.get("T", 0), None);
        routes.put("T", 5, None);
        assert_eq!(routes.get("T", 5), Some(None));
        assert_eq!(routes.get("T", 6), None);
    }
}
