//! Lists of topics, and what administrators do to topics.

use std::hash::Hash;
use std::sync::Arc;

use super::entry::{PERM_READ, PERM_WRITE, Queues, TopicEntry};
use super::table::RouteTable;

const FLAG_UNIT: i32 = 1;
const FLAG_UNIT_SUB: i32 = 2;

/// Which topics of units a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitTopics {
    /// Topics of a unit.
    Unit,
    /// Topics that units subscribe to.
    Subscribed,
    /// Topics that units subscribe to and that are of none.
    SubscribedOnly,
}

impl<C: Copy + Eq + Hash> RouteTable<C> {
    /// All topics, in no order.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<str>> {
        self.topics.keys().cloned().collect()
    }

    /// The topics that have queues in `cluster`, in no order.
    #[must_use]
    pub fn topics_of_cluster(&self, cluster: &str) -> Vec<Arc<str>> {
        let names = self.clusters.get(cluster).into_iter().flatten();
        let groups = names.filter_map(|name| self.groups.get(name));
        let mut topics: Vec<Arc<str>> = groups.flat_map(|g| g.topics.iter().cloned()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// The topics of units, in no order.
    #[must_use]
    pub fn unit_topics(&self, which: UnitTopics) -> Vec<Arc<str>> {
        let wanted = |entry: &TopicEntry| {
            let flag = entry
                .queues
                .values()
                .next()
                .map_or(0, |queues| queues.sys_flag);
            let (unit, subscribed) = (flag & FLAG_UNIT != 0, flag & FLAG_UNIT_SUB != 0);
            match which {
                UnitTopics::Unit => unit,
                UnitTopics::Subscribed => subscribed,
                UnitTopics::SubscribedOnly => subscribed && !unit,
            }
        };
        let topics = self.topics.iter().filter(|(_, entry)| wanted(entry));
        topics.map(|(topic, _)| topic.clone()).collect()
    }

    /// The topics that every nameserver knows (clusters and brokers are topics too), and the
    /// address of a broker that can be asked for more.
    #[must_use]
    pub fn system_topics(&self) -> (Vec<Arc<str>>, Option<Arc<str>>) {
        let mut topics = Vec::new();
        for (cluster, names) in &self.clusters {
            topics.push(cluster.clone());
            topics.extend(names.iter().cloned());
        }
        let some = self.groups.iter().min_by(|a, b| a.0.cmp(b.0));
        let address = some.and_then(|(_, group)| group.addresses.values().next().cloned());
        (topics, address)
    }

    /// Takes the write permission from all topics of a broker; returns how many it has.
    pub fn wipe_write_permission(&mut self, name: &str) -> i32 {
        self.change_permissions(name, |perm| perm & !PERM_WRITE)
    }

    /// Lets all topics of a broker be read and written; returns how many it has.
    pub fn add_write_permission(&mut self, name: &str) -> i32 {
        self.change_permissions(name, |_| PERM_READ | PERM_WRITE)
    }

    /// Forgets a topic: everywhere, or at the brokers of one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let Some((topic, entry)) = self.topics.get_key_value(topic) else {
            return;
        };
        let topic = topic.clone();
        let in_cluster = |name: &&Arc<str>| match cluster {
            Some(cluster) => self
                .clusters
                .get(cluster)
                .is_some_and(|names| names.contains(*name)),
            None => true,
        };
        let names: Vec<Arc<str>> = entry.queues.keys().filter(in_cluster).cloned().collect();
        for name in names {
            self.remove_queues(&topic, &name);
        }
    }

    /// Sets a topic's queues at some brokers. Changes nothing and returns false when one of them is
    /// unknown, there is none, or the table has `topics_max` others.
    pub fn register_topic(
        &mut self,
        topic: &str,
        queues: &[(String, Queues)],
        topics_max: usize,
    ) -> bool {
        let known = self
            .topics
            .get_key_value(topic)
            .map(|(topic, _)| topic.clone());
        let full = known.is_none() && self.topics.len() >= topics_max;
        let mut shared = Vec::with_capacity(queues.len());
        for (name, queues) in queues {
            let Some((name, _)) = self.groups.get_key_value(name.as_str()) else {
                return false;
            };
            shared.push((name.clone(), *queues));
        }
        if full || shared.is_empty() {
            return false;
        }
        let topic = known.unwrap_or_else(|| topic.into());
        let stamp = self.next_stamp();
        let entry = self.topics.entry(topic.clone()).or_default();
        entry.changed = stamp;
        for (name, queues) in shared {
            if let Some(group) = self.groups.get_mut(&name) {
                group.topics.insert(topic.clone());
            }
            entry.queues.insert(name, queues);
        }
        true
    }
}
