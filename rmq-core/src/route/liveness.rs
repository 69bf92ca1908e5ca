//! Who leaves the table: unregistration, closed connections, silence.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::entry::{Group, LiveKey, MASTER, MinIdChange, PERM_WRITE};
use super::table::RouteTable;
use crate::protocol::body::data_version::DataVersion;

impl<C: Copy + Eq + Hash> RouteTable<C> {
    /// Removes a broker that says that it goes. One that is not there changes nothing.
    pub fn unregister(&mut self, cluster: &str, address: &str, name: &str) -> Option<MinIdChange> {
        let key = LiveKey {
            cluster: cluster.into(),
            address: address.into(),
        };
        let named = self.live.get(&key)?.names.contains(name);
        named.then(|| self.leave(&key, &Arc::from(name))).flatten()
    }

    /// Removes the brokers whose last registration came on this connection.
    pub fn connection_closed(&mut self, connection: C) -> Vec<MinIdChange> {
        let keys = self
            .connections
            .get(&connection)
            .cloned()
            .unwrap_or_default();
        keys.iter().flat_map(|key| self.drop_live(key)).collect()
    }

    /// Removes the brokers that were silent for longer than their time; returns cluster and address
    /// of each with its connection, and what their groups are to be told.
    pub fn expire(&mut self, now: Duration) -> (Vec<Expired<C>>, Vec<MinIdChange>) {
        let silent: Vec<LiveKey> = self
            .live
            .iter()
            .filter(|(_, live)| live.is_expired(now))
            .map(|(key, _)| key.clone())
            .collect();
        let mut expired = Vec::with_capacity(silent.len());
        let mut changes = Vec::new();
        for key in &silent {
            let Some(live) = self.live.get(key) else {
                continue;
            };
            expired.push(Expired {
                cluster: key.cluster.to_string(),
                address: key.address.to_string(),
                timeout: live.timeout,
                connection: live.connection,
            });
            changes.extend(self.drop_live(key));
        }
        (expired, changes)
    }

    /// Whether a broker registered on this connection last.
    #[must_use]
    pub fn has_connection(&self, connection: C) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Whether a broker was silent for longer than its time.
    #[must_use]
    pub fn has_expired(&self, now: Duration) -> bool {
        self.live.values().any(|live| live.is_expired(now))
    }

    /// Notes a sign of life; returns whether the broker is known.
    pub fn heartbeat(&mut self, cluster: &str, address: &str, now: Duration) -> bool {
        let key = LiveKey {
            cluster: cluster.into(),
            address: address.into(),
        };
        self.live
            .get_mut(&key)
            .map(|live| live.seen = now)
            .is_some()
    }

    /// The version of a broker's topics as the table has them.
    #[must_use]
    pub fn version(&self, cluster: &str, address: &str) -> Option<DataVersion> {
        let key = LiveKey {
            cluster: cluster.into(),
            address: address.into(),
        };
        self.live.get(&key).map(|live| live.version)
    }

    fn drop_live(&mut self, key: &LiveKey) -> Vec<MinIdChange> {
        let names = self
            .live
            .get(key)
            .map(|live| live.names.clone())
            .unwrap_or_default();
        names
            .iter()
            .filter_map(|name| self.leave(key, name))
            .collect()
    }

    /// Takes one address of one group away, with everything that goes with it.
    fn leave(&mut self, key: &LiveKey, name: &Arc<str>) -> Option<MinIdChange> {
        let min_before = self.groups.get(name).and_then(Group::min_id);
        self.withdraw(key, name);
        let group = self.groups.get(name)?;
        if group.acting_master {
            if !group.addresses.contains_key(&MASTER) {
                self.change_permissions(name, |perm| perm & !PERM_WRITE);
            }
            if self.groups[name].min_id() != min_before {
                return self.min_id_change(name, Some(key.address.to_string()), None);
            }
        }
        None
    }

    /// Takes `name` from the live entry, and the address from the group unless it is alive there in
    /// another cluster; then whatever has become empty.
    pub(super) fn withdraw(&mut self, key: &LiveKey, name: &Arc<str>) {
        self.release(key, name);
        self.settle_cluster(&key.cluster, name);
        let elsewhere = self.clusters.iter().any(|(cluster, names)| {
            let other = LiveKey {
                cluster: cluster.clone(),
                address: key.address.clone(),
            };
            names.contains(name)
                && self
                    .live
                    .get(&other)
                    .is_some_and(|live| live.names.contains(name))
        });
        if elsewhere {
            return;
        }
        let stamp = self.next_stamp();
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        group.addresses.retain(|_, address| *address != key.address);
        group.changed = stamp;
        if group.addresses.is_empty() {
            self.remove_group(name);
        }
    }

    /// Takes an address that another one replaced from the live entries of `name`.
    pub(super) fn release_everywhere(&mut self, address: &Arc<str>, name: &Arc<str>) {
        let clusters: Vec<Arc<str>> = self.clusters.keys().cloned().collect();
        for cluster in clusters {
            self.release(
                &LiveKey {
                    cluster,
                    address: address.clone(),
                },
                name,
            );
        }
    }

    /// Takes `name` out of the clusters in which none of its addresses is alive any more.
    pub(super) fn settle(&mut self, name: &Arc<str>) {
        let in_cluster = |names: &&BTreeSet<Arc<str>>| names.contains(name);
        if self.clusters.values().filter(in_cluster).count() > 1 {
            let clusters: Vec<Arc<str>> = self.clusters.keys().cloned().collect();
            for cluster in &clusters {
                self.settle_cluster(cluster, name);
            }
        }
    }

    /// Takes `name` out of `cluster` when none of its addresses is alive there and some are
    /// elsewhere.
    fn settle_cluster(&mut self, cluster: &Arc<str>, name: &Arc<str>) {
        let Some(group) = self.groups.get(name) else {
            return;
        };
        if !self
            .clusters
            .get(cluster)
            .is_some_and(|names| names.contains(name))
        {
            return;
        }
        let alive_in = |cluster: &Arc<str>| {
            group.addresses.values().any(|address| {
                let key = LiveKey {
                    cluster: cluster.clone(),
                    address: address.clone(),
                };
                self.live
                    .get(&key)
                    .is_some_and(|live| live.names.contains(name))
            })
        };
        if alive_in(cluster) {
            return;
        }
        let other = self
            .clusters
            .iter()
            .find(|(other, names)| *other != cluster && names.contains(name) && alive_in(other));
        let Some(other) = other.map(|(other, _)| other.clone()) else {
            return;
        };
        let stamp = self.next_stamp();
        self.leave_cluster(cluster, name);
        if let Some(group) = self.groups.get_mut(name) {
            group.changed = stamp;
            if group.cluster == *cluster {
                group.cluster = other;
            }
        }
    }

    fn leave_cluster(&mut self, cluster: &Arc<str>, name: &Arc<str>) {
        if let Some(names) = self.clusters.get_mut(cluster) {
            names.remove(name);
            if names.is_empty() {
                self.clusters.remove(cluster);
            }
        }
    }

    fn remove_group(&mut self, name: &Arc<str>) {
        let topics: Vec<Arc<str>> = self
            .groups
            .get(name)
            .map(|g| g.topics.iter().cloned().collect())
            .unwrap_or_default();
        for topic in topics {
            self.remove_queues(&topic, name);
        }
        self.groups.remove(name);
        let clusters: Vec<Arc<str>> = self.clusters.keys().cloned().collect();
        for cluster in clusters {
            self.leave_cluster(&cluster, name);
        }
    }
}

/// A broker that was silent for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired<C> {
    /// Its cluster.
    pub cluster: String,
    /// Its address.
    pub address: String,
    /// The silence that it was allowed.
    pub timeout: Duration,
    /// The connection of its last registration.
    pub connection: C,
}
