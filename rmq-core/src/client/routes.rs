//! Where topics are: what nameservers said, kept as long as it is used.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::body::route::TopicRouteData;

const READ: i32 = 4;
const WRITE: i32 = 2;
const MASTER: i64 = 0;
/// Topics that nobody used for this long are forgotten.
const KEEP: Duration = Duration::from_secs(600);
/// A route that was found wrong is asked for again after this, not at once.
const DOUBT: Duration = Duration::from_secs(1);

/// The queues of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicRoute {
    data: TopicRouteData,
    /// Queues that messages are sent to, in the order that all clients have them in.
    pub(crate) writable: Vec<MessageQueue>,
}

impl TopicRoute {
    pub(crate) fn new(topic: &str, mut data: TopicRouteData) -> Self {
        data.queues
            .sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
        data.brokers
            .sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
        let writable = match data.order_topic_conf.as_deref() {
            Some(order) if !order.is_empty() => ordered(topic, order),
            _ => {
                let has_master = |name: &str| {
                    let mut brokers = data.brokers.iter();
                    brokers.any(|b| b.broker_name == name && b.broker_addrs.contains_key(&MASTER))
                };
                let open = data.queues.iter();
                let open = open.filter(|q| q.perm & WRITE != 0 && has_master(&q.broker_name));
                open.flat_map(|q| queues(topic, &q.broker_name, q.write_queue_nums))
                    .collect()
            }
        };
        Self { data, writable }
    }

    /// The route of a topic that does not exist yet, made from that of the topic it inherits from.
    pub(crate) fn inherited(topic: &str, mut data: TopicRouteData, queue_nums: i32) -> Self {
        for queues in &mut data.queues {
            let nums = queue_nums.min(queues.read_queue_nums);
            queues.read_queue_nums = nums;
            queues.write_queue_nums = nums;
        }
        Self::new(topic, data)
    }

    /// Queues that messages are read from.
    pub(crate) fn readable(&self, topic: &str) -> Vec<MessageQueue> {
        let open = self.data.queues.iter().filter(|q| q.perm & READ != 0);
        open.flat_map(|q| queues(topic, &q.broker_name, q.read_queue_nums))
            .collect()
    }

    /// The brokers that have the topic.
    pub(crate) fn broker_names(&self) -> Vec<String> {
        let brokers = self.data.brokers.iter();
        brokers.map(|broker| broker.broker_name.clone()).collect()
    }
}

fn queues(topic: &str, broker: &str, nums: i32) -> impl Iterator<Item = MessageQueue> {
    (0..nums).map(move |queue_id| MessageQueue {
        topic: topic.to_owned(),
        broker_name: broker.to_owned(),
        queue_id,
    })
}

/// The queues of an ordered topic: `broker:count;broker:count`. What cannot be read is left out.
fn ordered(topic: &str, order: &str) -> Vec<MessageQueue> {
    let parts = order.split(';').filter_map(|part| {
        let (broker, count) = part.split_once(':')?;
        Some((broker, count.trim().parse().ok()?))
    });
    parts
        .flat_map(|(broker, count)| queues(topic, broker, count))
        .collect()
}

#[derive(Debug)]
struct Entry {
    route: Arc<TopicRoute>,
    /// When it is asked for again.
    refresh_at: Duration,
    used_at: Duration,
}

/// The routes that a client knows, and the brokers in them.
#[derive(Debug)]
pub(crate) struct RouteTable {
    topics: HashMap<String, Entry>,
    /// Addresses by broker id, by broker name.
    brokers: BTreeMap<String, BTreeMap<i64, String>>,
    refresh_interval: Duration,
    max_topics: usize,
}

impl RouteTable {
    pub(crate) fn new(refresh_interval: Duration, max_topics: usize) -> Self {
        Self {
            topics: HashMap::new(),
            brokers: BTreeMap::new(),
            refresh_interval,
            max_topics: max_topics.max(1),
        }
    }

    /// The route of a topic, which is in use now.
    pub(crate) fn get(&mut self, topic: &str, now: Duration) -> Option<Arc<TopicRoute>> {
        let entry = self.topics.get_mut(topic)?;
        entry.used_at = now;
        Some(Arc::clone(&entry.route))
    }

    /// Takes a route; says whether it or the brokers are others than before.
    pub(crate) fn put(&mut self, topic: &str, route: TopicRoute, now: Duration) -> bool {
        let refresh_at = now + self.refresh_interval;
        if let Some(entry) = self.topics.get_mut(topic) {
            entry.refresh_at = refresh_at;
            if *entry.route == route {
                return false;
            }
            entry.route = Arc::new(route);
        } else {
            self.make_room();
            let entry = Entry {
                route: Arc::new(route),
                refresh_at,
                used_at: now,
            };
            self.topics.insert(topic.to_owned(), entry);
        }
        self.collect_brokers();
        true
    }

    fn make_room(&mut self) {
        while self.topics.len() >= self.max_topics {
            let oldest = self.topics.iter().min_by_key(|(_, entry)| entry.used_at);
            let Some(topic) = oldest.map(|(topic, _)| topic.clone()) else {
                return;
            };
            self.topics.remove(&topic);
        }
    }

    fn collect_brokers(&mut self) {
        let routes = self.topics.values().map(|entry| &entry.route.data);
        self.brokers = routes
            .flat_map(|data| &data.brokers)
            .map(|broker| (broker.broker_name.clone(), broker.broker_addrs.clone()))
            .collect();
    }

    /// A topic is gone.
    pub(crate) fn remove(&mut self, topic: &str) {
        if self.topics.remove(topic).is_some() {
            self.collect_brokers();
        }
    }

    /// What was said of a topic seems wrong: it is to be asked for again soon.
    pub(crate) fn doubt(&mut self, topic: &str, now: Duration) {
        if let Some(entry) = self.topics.get_mut(topic) {
            entry.refresh_at = entry.refresh_at.min(now + DOUBT);
        }
    }

    /// The topics to ask for again now; those that nobody uses are forgotten. Each is due again
    /// only after the interval, so that a nameserver that is gone is not asked all the time.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<String> {
        let before = self.topics.len();
        self.topics
            .retain(|_, entry| now.saturating_sub(entry.used_at) < KEEP);
        if self.topics.len() < before {
            self.collect_brokers();
        }
        let mut due = Vec::new();
        for (topic, entry) in &mut self.topics {
            if entry.refresh_at <= now {
                entry.refresh_at = now + self.refresh_interval;
                due.push(topic.clone());
            }
        }
        due
    }

    /// The address of a broker's master.
    pub(crate) fn master(&self, broker: &str) -> Option<&str> {
        self.brokers.get(broker)?.get(&MASTER).map(String::as_str)
    }

    /// The address of a broker's member of this id, with that id; else the master's, else that of
    /// any slave.
    pub(crate) fn broker(&self, name: &str, id: i64) -> Option<(&str, i64)> {
        let members = self.brokers.get(name)?;
        let exact = members.get_key_value(&id);
        let (id, address) = exact.or_else(|| members.first_key_value())?;
        Some((address, *id))
    }

    /// Every address, or those of masters.
    pub(crate) fn addresses(&self, masters_only: bool) -> BTreeSet<String> {
        let all = self.brokers.values().flatten();
        all.filter(|(id, _)| !masters_only || **id == MASTER)
            .map(|(_, address)| address.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::body::route::{BrokerData, QueueData};

    const S: Duration = Duration::from_secs(1);

    fn data(brokers: &[(&str, i32, &[i64])]) -> TopicRouteData {
        let mut data = TopicRouteData::default();
        for (name, perm, ids) in brokers {
            data.brokers.push(BrokerData {
                broker_name: (*name).to_owned(),
                broker_addrs: ids.iter().map(|id| (*id, format!("{name}:{id}"))).collect(),
                ..BrokerData::default()
            });
            data.queues.push(QueueData {
                broker_name: (*name).to_owned(),
                perm: *perm,
                read_queue_nums: 3,
                write_queue_nums: 2,
                ..QueueData::default()
            });
        }
        data
    }

    fn shown(queues: &[MessageQueue]) -> String {
        let shown: Vec<String> = queues
            .iter()
            .map(|q| format!("{}{}", q.broker_name, q.queue_id))
            .collect();
        shown.join(" ")
    }

    #[test]
    fn queues_need_permission_and_writing_needs_a_master() {
        let route = TopicRoute::new(
            "T",
            data(&[
                ("c", 6, &[0, 1]),
                ("b", 6, &[1]),
                ("a", 4, &[0]),
                ("d", 2, &[0]),
            ]),
        );
        assert_eq!(shown(&route.writable), "c0 c1 d0 d1");
        let mut ordered = data(&[("a", 6, &[0])]);
        ordered.order_topic_conf = Some("b:2;a:1;x".to_owned());
        assert_eq!(shown(&TopicRoute::new("T", ordered).writable), "b0 b1 a0");
        assert_eq!(shown(&route.readable("T")), "a0 a1 a2 b0 b1 b2 c0 c1 c2");
        assert_eq!(route.broker_names(), ["a", "b", "c", "d"]);
        let inherited = TopicRoute::inherited("T", data(&[("a", 6, &[0])]), 1);
        assert_eq!(shown(&inherited.writable), "a0");
    }

    #[test]
    fn routes_are_refreshed_while_used_and_then_forgotten() {
        let mut table = RouteTable::new(30 * S, 2);
        assert!(table.put("T", TopicRoute::new("T", data(&[("a", 6, &[0, 1])])), S));
        assert!(!table.put("T", TopicRoute::new("T", data(&[("a", 6, &[0, 1])])), 2 * S));
        assert!(table.due(31 * S).is_empty());
        table.doubt("T", 5 * S);
        assert!(table.due(5 * S).is_empty());
        assert_eq!(table.due(6 * S), ["T"]);
        assert!(
            table.due(7 * S).is_empty(),
            "asked again though nobody answered yet"
        );
        assert_eq!(table.due(36 * S), ["T"]);
        assert_eq!(table.master("a"), Some("a:0"));
        assert_eq!(table.broker("a", 1), Some(("a:1", 1)));
        assert_eq!(table.broker("a", 2), Some(("a:0", 0)));
        assert_eq!(table.broker("b", 0), None);
        assert_eq!(table.addresses(false).len(), 2);
        assert_eq!(table.addresses(true).len(), 1);
        table.get("T", 40 * S);
        assert_eq!(table.due(600 * S), ["T"]);
        assert!(table.due(640 * S).is_empty());
        assert!(table.get("T", 640 * S).is_none());
        assert!(table.addresses(false).is_empty());
    }

    #[test]
    fn the_topic_used_longest_ago_makes_room() {
        let mut table = RouteTable::new(30 * S, 2);
        for (topic, at) in [("a", 1), ("b", 2)] {
            table.put(
                topic,
                TopicRoute::new(topic, data(&[(topic, 6, &[0])])),
                at * S,
            );
        }
        table.get("a", 3 * S);
        table.put("c", TopicRoute::new("c", data(&[("c", 6, &[0])])), 4 * S);
        assert!(table.get("b", 5 * S).is_none());
        assert!(table.get("a", 5 * S).is_some());
        assert_eq!(table.master("b"), None);
        table.remove("a");
        assert_eq!(table.master("a"), None);
    }
}
