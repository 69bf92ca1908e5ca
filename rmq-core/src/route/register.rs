//! What a broker's registration does to the table.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::entry::{Group, Live, LiveKey, MASTER, MinIdChange, PERM_WRITE, Queues};
use super::table::RouteTable;
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::mapping::TopicQueueMappingInfo;

/// Silence after which a broker is dropped unless it asks for another time.
const TIMEOUT: Duration = Duration::from_secs(120);

/// One topic of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// The broker's queues of it.
    pub queues: Queues,
}

/// A broker's registration.
#[derive(Clone, Debug)]
pub struct Registration<C> {
    /// The cluster.
    pub cluster: String,
    /// The group.
    pub broker_name: String,
    /// 0 for the master, above 0 for slaves.
    pub broker_id: i64,
    /// The address that clients connect to.
    pub address: String,
    /// The address that slaves replicate from.
    pub ha_address: String,
    /// The zone, for routes by zone.
    pub zone: Option<String>,
    /// Silence after which it wants to be dropped.
    pub timeout: Option<Duration>,
    /// Whether its group's lowest slave may act as master; `None` from brokers too old to say.
    pub acting_master: Option<bool>,
    /// The version of its topics.
    pub version: DataVersion,
    /// Its topics.
    pub topics: Vec<Topic>,
    /// Mappings of static topics: topic and mapping, whose broker name counts.
    pub mappings: Vec<(String, TopicQueueMappingInfo)>,
    /// Filter servers; `None` leaves those of the last registration.
    pub filter_servers: Option<Vec<String>>,
    /// The connection that the registration came on.
    pub connection: C,
}

/// What the nameserver's configuration says about registrations.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Removes topics of the broker that the registration does not have.
    pub delete_absent_topics: bool,
    /// Most topics in the table.
    pub topics_max: usize,
    /// Most broker addresses in the table.
    pub brokers_max: usize,
}

/// The master of a slave that registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its address.
    pub address: String,
    /// The address to replicate from.
    pub ha_address: String,
}

/// What came of a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    /// The master to replicate from, for a slave.
    pub master: Option<Master>,
    /// Set when the group's lowest id went down.
    pub min_id: Option<MinIdChange>,
    /// Whether the address was not known.
    pub new: bool,
    /// Topics left out because the table is full.
    pub topics_dropped: usize,
}

/// Why a registration was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The id is held by another address whose state is newer; the broker is told nothing.
    Stale,
    /// A single topic from an id that did not register in full before.
    Incomplete,
    /// The table has as many brokers as it may have.
    Full,
}

impl<C: Copy + Eq + Hash> RouteTable<C> {
    /// Takes a registration.
    ///
    /// # Errors
    /// The reason why it is not taken. After [`Refusal::Stale`] the address is no longer listed
    /// under any id of the group; the other refusals change nothing.
    pub fn register(
        &mut self,
        registration: Registration<C>,
        rules: &Rules,
        now: Duration,
    ) -> Result<Registered, Refusal> {
        let key = LiveKey {
            cluster: self.shared_cluster(&registration.cluster),
            address: registration.address.as_str().into(),
        };
        let name = self.shared_name(&registration.broker_name);
        self.admit(&registration, &key, &name, rules)?;

        let first_of_group = !self.groups.contains_key(&name);
        let min_before = self.groups.get(&name).and_then(Group::min_id);
        let first = self.seat(&registration, &key, &name) || first_of_group;
        let id = registration.broker_id;
        let min_id = self.groups[&name].min_id().unwrap_or(id);
        let prime_slave = registration.acting_master.is_some() && id != MASTER && id == min_id;
        let known = self.live.get(&key);
        let changed = first || known.is_none_or(|live| live.version != registration.version);
        let new = known.is_none();
        let mut topics_dropped = 0;
        if id == MASTER || prime_slave {
            if rules.delete_absent_topics && registration.mappings.is_empty() {
                self.delete_absent(&registration, &name);
            }
            topics_dropped = self.take_topics(&registration, &name, prime_slave, changed, rules);
            if changed {
                self.take_mappings(&registration, &name);
            }
        }
        let master = self.master_of(&key.cluster, &name, id);
        let ha_address = registration.ha_address.clone();
        self.keep_alive(registration, key, name.clone(), now);
        self.settle(&name);
        let lower = min_before.is_some_and(|before| id < before);
        let min_id = if lower {
            self.min_id_change(&name, None, Some(ha_address))
        } else {
            None
        };
        Ok(Registered {
            master,
            min_id,
            new,
            topics_dropped,
        })
    }

    /// Refuses what must not be taken, in the order in which Apache looks.
    fn admit(
        &mut self,
        registration: &Registration<C>,
        key: &LiveKey,
        name: &Arc<str>,
        rules: &Rules,
    ) -> Result<(), Refusal> {
        let holder = self
            .groups
            .get(name)
            .and_then(|group| group.addresses.get(&registration.broker_id));
        if let Some(holder) = holder.filter(|holder| **holder != key.address) {
            let holder = LiveKey {
                cluster: key.cluster.clone(),
                address: holder.clone(),
            };
            let state = self
                .live
                .get(&holder)
                .map(|live| live.version.state_version);
            if state.is_some_and(|state| state > registration.version.state_version) {
                self.withdraw(key, name);
                return Err(Refusal::Stale);
            }
        } else if holder.is_none() && registration.topics.len() == 1 {
            return Err(Refusal::Incomplete);
        }
        if !self.live.contains_key(key) && self.live.len() >= rules.brokers_max {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Puts the address under its id, away from any other id of the group and in place of another
    /// address there. Returns whether the id was free.
    fn seat(&mut self, registration: &Registration<C>, key: &LiveKey, name: &Arc<str>) -> bool {
        self.clusters
            .entry(key.cluster.clone())
            .or_default()
            .insert(name.clone());
        let group = self.groups.entry(name.clone()).or_insert_with(|| Group {
            cluster: key.cluster.clone(),
            addresses: BTreeMap::new(),
            acting_master: false,
            zone: None,
            topics: HashSet::new(),
            changed: 0,
        });
        let id = registration.broker_id;
        let acting_master = registration.acting_master.unwrap_or(false);
        let mut changed = group.acting_master != acting_master || group.zone != registration.zone;
        group.acting_master = acting_master;
        group.zone.clone_from(&registration.zone);
        let addresses = group.addresses.len();
        group
            .addresses
            .retain(|other, address| *other == id || *address != key.address);
        changed |= group.addresses.len() != addresses;
        let replaced = group.addresses.insert(id, key.address.clone());
        changed |= replaced.as_ref() != Some(&key.address);
        if changed {
            self.stamp += 1;
            group.changed = self.stamp;
        }
        let free = replaced.is_none();
        if let Some(other) = replaced.filter(|other| *other != key.address) {
            self.release_everywhere(&other, name);
        }
        free
    }

    fn delete_absent(&mut self, registration: &Registration<C>, name: &Arc<str>) {
        let present: HashSet<&str> = registration
            .topics
            .iter()
            .map(|topic| topic.name.as_str())
            .collect();
        let absent: Vec<Arc<str>> = self.groups[name]
            .topics
            .iter()
            .filter(|topic| !present.contains(&***topic))
            .cloned()
            .collect();
        for topic in absent {
            self.remove_queues(&topic, name);
        }
    }

    fn take_topics(
        &mut self,
        registration: &Registration<C>,
        name: &Arc<str>,
        prime_slave: bool,
        changed: bool,
        rules: &Rules,
    ) -> usize {
        let stamp = self.stamp + 1;
        let read_only = prime_slave && self.groups[name].acting_master;
        let mut dropped = 0;
        for topic in &registration.topics {
            let known = self.topics.get_key_value(topic.name.as_str());
            let here = known.is_some_and(|(_, entry)| entry.queues.contains_key(name));
            if here && !changed {
                continue;
            }
            if known.is_none() && self.topics.len() >= rules.topics_max {
                dropped += 1;
                continue;
            }
            let shared: Arc<str> =
                known.map_or_else(|| topic.name.as_str().into(), |(shared, _)| shared.clone());
            let mut queues = topic.queues;
            if read_only {
                queues.perm &= !PERM_WRITE;
            }
            let entry = self.topics.entry(shared.clone()).or_default();
            if entry.queues.insert(name.clone(), queues) != Some(queues) {
                entry.changed = stamp;
                self.stamp = stamp;
            }
            if let Some(group) = self.groups.get_mut(name) {
                group.topics.insert(shared);
            }
        }
        dropped
    }

    fn take_mappings(&mut self, registration: &Registration<C>, name: &Arc<str>) {
        let stamp = self.stamp + 1;
        for (topic, mapping) in &registration.mappings {
            // A mapping is of a topic that is there, at the broker that sends it.
            let Some((topic, _)) = self.topics.get_key_value(topic.as_str()) else {
                continue;
            };
            let topic = topic.clone();
            if !mapping.bname.is_empty() && *mapping.bname != **name {
                continue;
            }
            let brokers = self.mappings.entry(topic.clone()).or_default();
            brokers.insert(name.clone(), Arc::new(mapping.clone()));
            if let Some(entry) = self.topics.get_mut(&topic) {
                entry.changed = stamp;
                self.stamp = stamp;
            }
        }
    }

    fn keep_alive(
        &mut self,
        registration: Registration<C>,
        key: LiveKey,
        name: Arc<str>,
        now: Duration,
    ) {
        let before = self.remove_live(&key);
        let mut names = before
            .as_ref()
            .map_or_else(BTreeSet::new, |live| live.names.clone());
        names.insert(name.clone());
        let kept = before.map(|live| live.filter_servers).unwrap_or_default();
        let filter_servers = registration.filter_servers.unwrap_or_else(|| kept.clone());
        if filter_servers != kept {
            let stamp = self.next_stamp();
            if let Some(group) = self.groups.get_mut(&name) {
                group.changed = stamp;
            }
        }
        let live = Live {
            seen: now,
            timeout: registration.timeout.unwrap_or(TIMEOUT),
            version: registration.version,
            connection: registration.connection,
            ha_address: registration.ha_address,
            filter_servers,
            names,
        };
        self.connections
            .entry(live.connection)
            .or_default()
            .insert(key.clone());
        self.live.insert(key, live);
    }

    fn master_of(&self, cluster: &Arc<str>, name: &str, id: i64) -> Option<Master> {
        let address = self.groups.get(name)?.addresses.get(&MASTER)?;
        if id == MASTER {
            return None;
        }
        let key = LiveKey {
            cluster: cluster.clone(),
            address: address.clone(),
        };
        let live = self.live.get(&key)?;
        Some(Master {
            address: address.to_string(),
            ha_address: live.ha_address.clone(),
        })
    }

    /// What the members of a group are told after its lowest id changed.
    pub(super) fn min_id_change(
        &self,
        name: &str,
        offline_address: Option<String>,
        ha_address: Option<String>,
    ) -> Option<MinIdChange> {
        let group = self.groups.get(name)?;
        let (min_id, min_address) = group.addresses.first_key_value()?;
        // Who stays hears of who went; who was there before hears of who came.
        let all = offline_address.is_some() || group.addresses.len() == 1;
        let tell = group
            .addresses
            .iter()
            .filter(|(id, _)| all || *id != min_id);
        Some(MinIdChange {
            broker_name: name.to_owned(),
            min_id: *min_id,
            min_address: min_address.to_string(),
            tell: tell.map(|(_, address)| address.to_string()).collect(),
            offline_address,
            ha_address,
        })
    }

    fn shared_cluster(&self, cluster: &str) -> Arc<str> {
        let known = self
            .clusters
            .get_key_value(cluster)
            .map(|(shared, _)| shared.clone());
        known.unwrap_or_else(|| cluster.into())
    }

    fn shared_name(&self, name: &str) -> Arc<str> {
        let known = self
            .groups
            .get_key_value(name)
            .map(|(shared, _)| shared.clone());
        known.unwrap_or_else(|| name.into())
    }
}
