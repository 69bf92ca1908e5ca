//! The table itself and the parts of it that several operations share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::entry::{Group, Live, LiveKey, TopicEntry};
use crate::protocol::body::mapping::TopicQueueMappingInfo;

/// Brokers, their topics and who of them is alive. `C` names the connection a broker registered on.
#[derive(Debug)]
pub struct RouteTable<C> {
    pub(super) topics: HashMap<Arc<str>, TopicEntry>,
    pub(super) groups: HashMap<Arc<str>, Group>,
    pub(super) clusters: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(super) live: HashMap<LiveKey, Live<C>>,
    pub(super) connections: HashMap<C, BTreeSet<LiveKey>>,
    /// Static topics' mappings: topic, then the broker named in the mapping.
    pub(super) mappings: HashMap<Arc<str>, BTreeMap<Arc<str>, Mapping>>,
    pub(super) stamp: u64,
}

/// A static topic's mapping at one broker, as it was registered.
pub(super) type Mapping = Arc<TopicQueueMappingInfo>;

impl<C> Default for RouteTable<C> {
    fn default() -> Self {
        Self {
            topics: HashMap::new(),
            groups: HashMap::new(),
            clusters: BTreeMap::new(),
            live: HashMap::new(),
            connections: HashMap::new(),
            mappings: HashMap::new(),
            stamp: 0,
        }
    }
}

impl<C: Copy + Eq + Hash> RouteTable<C> {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The number of live broker addresses.
    #[must_use]
    pub fn broker_count(&self) -> usize {
        self.live.len()
    }

    /// A number that grows with every change that a route, list or cluster answer can show.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    pub(super) fn next_stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Removes one broker's queues of `topic`, and the topic with its last.
    pub(super) fn remove_queues(&mut self, topic: &Arc<str>, broker_name: &str) -> bool {
        let stamp = self.next_stamp();
        let Some(entry) = self.topics.get_mut(topic) else {
            return false;
        };
        let removed = entry.queues.remove(broker_name).is_some();
        entry.changed = stamp;
        if entry.queues.is_empty() {
            self.topics.remove(topic);
        }
        if let Some(mappings) = self.mappings.get_mut(topic) {
            mappings.remove(broker_name);
            if mappings.is_empty() {
                self.mappings.remove(topic);
            }
        }
        if let Some(group) = self.groups.get_mut(broker_name) {
            group.topics.remove(topic);
        }
        removed
    }

    /// Changes the permission of all of a broker's topics; returns how many it has.
    pub(super) fn change_permissions(&mut self, name: &str, change: impl Fn(i32) -> i32) -> i32 {
        let stamp = self.next_stamp();
        let Some(group) = self.groups.get(name) else {
            return 0;
        };
        let mut count = 0;
        for topic in &group.topics {
            let Some(entry) = self.topics.get_mut(topic) else {
                continue;
            };
            let Some(queues) = entry.queues.get_mut(name) else {
                continue;
            };
            count += 1;
            let perm = change(queues.perm);
            if perm != queues.perm {
                queues.perm = perm;
                entry.changed = stamp;
            }
        }
        count
    }

    /// Takes `name` from the live entry, and the entry away with its last name.
    pub(super) fn release(&mut self, key: &LiveKey, name: &str) {
        let Some(live) = self.live.get_mut(key) else {
            return;
        };
        live.names.remove(name);
        if live.names.is_empty() {
            self.remove_live(key);
        }
    }

    /// Removes a live entry and its place under its connection.
    pub(super) fn remove_live(&mut self, key: &LiveKey) -> Option<Live<C>> {
        let live = self.live.remove(key)?;
        if let Some(keys) = self.connections.get_mut(&live.connection) {
            keys.remove(key);
            if keys.is_empty() {
                self.connections.remove(&live.connection);
            }
        }
        Some(live)
    }

    /// Checks what holds after every call; for tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        for (cluster, names) in &self.clusters {
            assert!(!names.is_empty(), "cluster {cluster} is empty");
            for name in names {
                assert!(
                    self.groups.contains_key(name),
                    "{cluster} names {name}, which is gone"
                );
            }
        }
        for (name, group) in &self.groups {
            assert!(!group.addresses.is_empty(), "{name} has no address");
            assert!(
                self.clusters
                    .get(&group.cluster)
                    .is_some_and(|names| names.contains(name))
            );
            for address in group.addresses.values() {
                let is_live = |key: &&LiveKey| key.address == *address;
                let live: Vec<_> = self.live.keys().filter(is_live).collect();
                let named = live.iter().any(|key| self.live[*key].names.contains(name));
                assert!(named, "{name} {address} is not alive");
            }
            for topic in &group.topics {
                assert!(
                    self.topics[topic].queues.contains_key(name),
                    "{name} {topic}"
                );
            }
        }
        for (topic, entry) in &self.topics {
            assert!(!entry.queues.is_empty(), "{topic} has no queue");
            for name in entry.queues.keys() {
                assert!(
                    self.groups[name].topics.contains(topic),
                    "{topic} at {name}"
                );
            }
            assert!(entry.changed <= self.stamp);
        }
        for (key, live) in &self.live {
            assert!(!live.names.is_empty(), "{key:?} has no name");
            for name in &live.names {
                let listed = self.groups[name]
                    .addresses
                    .values()
                    .any(|a| *a == key.address);
                assert!(listed, "{name} {key:?} is alive and not listed");
            }
            assert!(self.connections[&live.connection].contains(key));
        }
        for (connection, keys) in &self.connections {
            assert!(!keys.is_empty());
            for key in keys {
                assert!(self.live[key].connection == *connection);
            }
        }
        for (topic, brokers) in &self.mappings {
            assert!(!brokers.is_empty(), "{topic}");
            assert!(
                brokers.keys().all(|name| self.groups.contains_key(name)),
                "{topic}"
            );
        }
    }
}
