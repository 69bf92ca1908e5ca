//! What the route table holds.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::body::data_version::DataVersion;

/// Permission bit: the topic may be written to.
pub(crate) const PERM_WRITE: i32 = 2;
/// Permission bit: the topic may be read from.
pub(crate) const PERM_READ: i32 = 4;

/// The id of the master of a group.
pub(crate) const MASTER: i64 = 0;

/// A broker's queues of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Queues that may be read from.
    pub read: i32,
    /// Queues that may be written to.
    pub write: i32,
    /// 4 to read, 2 to write.
    pub perm: i32,
    /// 1 unit, 2 unit subscription.
    pub sys_flag: i32,
}

/// One topic: its queues by broker name.
#[derive(Debug, Default)]
pub(crate) struct TopicEntry {
    pub(crate) queues: BTreeMap<Arc<str>, Queues>,
    /// Stamp of the last change.
    pub(crate) changed: u64,
}

/// One broker name: a master and its slaves.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) cluster: Arc<str>,
    pub(crate) addresses: BTreeMap<i64, Arc<str>>,
    pub(crate) acting_master: bool,
    pub(crate) zone: Option<String>,
    /// Topics that have queues here.
    pub(crate) topics: HashSet<Arc<str>>,
    /// Stamp of the last change of addresses, zone or acting master.
    pub(crate) changed: u64,
}

impl Group {
    pub(crate) fn min_id(&self) -> Option<i64> {
        self.addresses.keys().next().copied()
    }
}

/// A cluster's name and a broker's address: what a live broker is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LiveKey {
    pub(crate) cluster: Arc<str>,
    pub(crate) address: Arc<str>,
}

/// A broker that registered and was not silent for too long since.
#[derive(Debug)]
pub(crate) struct Live<C> {
    pub(crate) seen: Duration,
    pub(crate) timeout: Duration,
    pub(crate) version: DataVersion,
    pub(crate) connection: C,
    pub(crate) ha_address: String,
    pub(crate) filter_servers: Vec<String>,
    /// The names it registered under: one, unless its owner renamed it.
    pub(crate) names: BTreeSet<Arc<str>>,
}

impl<C> Live<C> {
    pub(crate) fn is_expired(&self, now: Duration) -> bool {
        self.seen.saturating_add(self.timeout) < now
    }
}

/// The lowest id of a group changed: what its members are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinIdChange {
    /// The group.
    pub broker_name: String,
    /// Its lowest id now.
    pub min_id: i64,
    /// The address with that id.
    pub min_address: String,
    /// The address that went, if one did.
    pub offline_address: Option<String>,
    /// The replication address of the broker that came, if one did.
    pub ha_address: Option<String>,
    /// The addresses to tell.
    pub tell: Vec<String>,
}
