//! Routes of topics.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use super::entry::{Group, LiveKey, MASTER, PERM_WRITE, Queues};
use super::table::RouteTable;
use crate::protocol::body::mapping::TopicQueueMappingInfo;

/// Prefix of the topics by which the brokers of a group find each other.
const MEMBER_TOPIC_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

/// One broker name as answers show it. Names are shared with the table, so a copy is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerView {
    /// The cluster.
    pub cluster: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// Addresses by broker id.
    pub addresses: BTreeMap<i64, Arc<str>>,
    /// The zone.
    pub zone: Option<String>,
    /// Whether the lowest slave may act as master.
    pub acting_master: bool,
}

/// Where the queues of a topic are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRoute {
    /// The brokers that have queues of it, by name.
    pub brokers: Vec<BrokerView>,
    /// Their queues, by name.
    pub queues: Vec<(Arc<str>, Queues)>,
    /// Filter servers by broker address.
    pub filter_servers: BTreeMap<Arc<str>, Vec<String>>,
    /// A static topic's mappings by broker name.
    pub mappings: BTreeMap<Arc<str>, Arc<TopicQueueMappingInfo>>,
}

impl TopicRoute {
    /// Keeps the brokers of one zone, and those whose master is gone, which any zone may read from.
    pub fn keep_zone(&mut self, zone: &str) {
        let keeps = |broker: &BrokerView| {
            let same = broker
                .zone
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(zone));
            same || !broker.addresses.contains_key(&MASTER)
        };
        let (kept, removed): (Vec<_>, Vec<_>) = self.brokers.drain(..).partition(keeps);
        self.brokers = kept;
        for broker in removed {
            self.queues.retain(|(name, _)| *name != broker.name);
            for address in broker.addresses.values() {
                self.filter_servers.remove(address);
            }
        }
    }
}

impl<C: Copy + Eq + Hash> RouteTable<C> {
    /// A number that changes whenever the route of `topic` does; `None` without a route.
    #[must_use]
    pub fn route_stamp(&self, topic: &str) -> Option<u64> {
        let entry = self.topics.get(topic)?;
        let groups = entry.queues.keys().filter_map(|name| self.groups.get(name));
        Some(
            groups
                .map(|group| group.changed)
                .fold(entry.changed, u64::max),
        )
    }

    /// The route of `topic`. With `acting_master`, the lowest slave of a group without a master is
    /// shown as its master where the group allows it and the queues are read-only.
    #[must_use]
    pub fn route(&self, topic: &str, acting_master: bool) -> Option<TopicRoute> {
        let entry = self.topics.get(topic)?;
        let mut route = TopicRoute {
            brokers: Vec::with_capacity(entry.queues.len()),
            queues: entry
                .queues
                .iter()
                .map(|(name, queues)| (name.clone(), *queues))
                .collect(),
            filter_servers: BTreeMap::new(),
            mappings: self.mappings.get(topic).cloned().unwrap_or_default(),
        };
        let acting_master = acting_master && !topic.starts_with(MEMBER_TOPIC_PREFIX);
        for (name, queues) in &entry.queues {
            let Some(group) = self.groups.get(name) else {
                continue;
            };
            self.add_filter_servers(group, &mut route.filter_servers);
            let mut broker = view(name, group);
            let masterless = !broker.addresses.contains_key(&MASTER);
            if acting_master
                && masterless
                && group.acting_master
                && queues.perm & PERM_WRITE == 0
                && let Some((_, address)) = broker.addresses.pop_first()
            {
                broker.addresses.insert(MASTER, address);
            }
            route.brokers.push(broker);
        }
        (!route.brokers.is_empty()).then_some(route)
    }

    fn add_filter_servers(&self, group: &Group, found: &mut BTreeMap<Arc<str>, Vec<String>>) {
        for address in group.addresses.values() {
            let key = LiveKey {
                cluster: group.cluster.clone(),
                address: address.clone(),
            };
            if let Some(live) = self
                .live
                .get(&key)
                .filter(|live| !live.filter_servers.is_empty())
            {
                found.insert(address.clone(), live.filter_servers.clone());
            }
        }
    }

    /// The addresses of one broker name by id; empty when it is unknown.
    #[must_use]
    pub fn members(&self, name: &str) -> BTreeMap<i64, Arc<str>> {
        self.groups
            .get(name)
            .map(|group| group.addresses.clone())
            .unwrap_or_default()
    }

    /// All brokers, by name.
    #[must_use]
    pub fn brokers(&self) -> Vec<BrokerView> {
        let mut brokers: Vec<_> = self
            .groups
            .iter()
            .map(|(name, group)| view(name, group))
            .collect();
        brokers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        brokers
    }

    /// The broker names of each cluster.
    #[must_use]
    pub fn clusters(&self) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
        let names = |(cluster, names): (&Arc<str>, &std::collections::BTreeSet<Arc<str>>)| {
            (cluster.clone(), names.iter().cloned().collect())
        };
        self.clusters.iter().map(names).collect()
    }
}

fn view(name: &Arc<str>, group: &Group) -> BrokerView {
    BrokerView {
        cluster: group.cluster.clone(),
        name: name.clone(),
        addresses: group.addresses.clone(),
        zone: group.zone.clone(),
        acting_master: group.acting_master,
    }
}
