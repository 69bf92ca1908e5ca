//! What a cluster is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::base::{Error, ErrorKind, Result};
use crate::config::{BrokerRole, FlushDiskType};

/// The name by which partitions call everybody outside: whoever connects from 127.0.0.1.
pub const CLIENTS: &str = "clients";

/// Addresses that one cluster has room for.
const MEMBERS_MAX: usize = 250;

/// Keys as Apache names them, with their values.
pub type Keys = BTreeMap<String, String>;

/// The four ways to deploy RocketMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deployment {
    /// One master.
    #[default]
    SingleMaster,
    /// This many masters without slaves.
    Masters(usize),
    /// Masters that answer senders without waiting for their slaves.
    AsyncSlaves {
        /// Masters.
        masters: usize,
        /// Slaves of each.
        slaves_each: usize,
    },
    /// Masters that answer senders when a slave has the message too.
    SyncDoubleWrite {
        /// Masters.
        masters: usize,
        /// Slaves of each.
        slaves_each: usize,
    },
}

impl Deployment {
    /// Masters.
    #[must_use]
    pub fn masters(self) -> usize {
        match self {
            Self::SingleMaster => 1,
            Self::Masters(masters)
            | Self::AsyncSlaves { masters, .. }
            | Self::SyncDoubleWrite { masters, .. } => masters,
        }
    }

    /// Slaves of each master.
    #[must_use]
    pub fn slaves_each(self) -> usize {
        match self {
            Self::SingleMaster | Self::Masters(_) => 0,
            Self::AsyncSlaves { slaves_each, .. } | Self::SyncDoubleWrite { slaves_each, .. } => {
                slaves_each
            }
        }
    }

    pub(super) fn role(self, broker_id: i64) -> BrokerRole {
        match self {
            _ if broker_id > 0 => BrokerRole::Slave,
            Self::SyncDoubleWrite { .. } => BrokerRole::SyncMaster,
            _ => BrokerRole::AsyncMaster,
        }
    }
}

/// Where the members store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClusterStorage {
    /// A new folder in the system's temporary one, removed with the cluster.
    #[default]
    Temporary,
    /// The same in memory ([`Storage::in_memory`](crate::embed::Storage::in_memory)): nothing
    /// waits for a disk, and nothing wears one out.
    Memory,
    /// A folder in this one for each member. It is made if need be and never removed: a cluster
    /// that is started there again finds what the last one stored.
    Directory(PathBuf),
}

/// What the members' time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterClock {
    /// The system's.
    #[default]
    System,
    /// The system's until [`Cluster::advance`](super::Cluster::advance) moves it forward.
    Manual,
}

/// What a cluster is started from. The default is one master and one nameserver, asynchronous
/// flush, temporary storage.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Masters and slaves.
    pub deployment: Deployment,
    /// Nameservers, at least one.
    pub nameservers: usize,
    /// When a message counts as stored, on every broker.
    pub flush: FlushDiskType,
    /// The name of the cluster.
    pub cluster_name: String,
    /// Whether a send to an unknown topic makes it.
    pub auto_create_topics: bool,
    /// Keys of every broker. Where they say nothing, brokers are as small as embedded ones are,
    /// slaves can be read (`slaveReadEnable`), and files are not deleted before their time because
    /// the host's disk fills up (`cleanFileForciblyEnable=false`). Keys that the cluster
    /// decides itself are refused: names, ids, roles, addresses, ports, nameservers, folders, and
    /// what has a field of its own here.
    pub settings: Keys,
    /// Keys of single members by name; for a broker they win over `settings`.
    pub member_settings: BTreeMap<String, Keys>,
    /// Where the members store.
    pub storage: ClusterStorage,
    /// What the members' time is.
    pub clock: ClusterClock,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            deployment: Deployment::default(),
            nameservers: 1,
            flush: FlushDiskType::AsyncFlush,
            cluster_name: "DefaultCluster".to_owned(),
            auto_create_topics: true,
            settings: Keys::new(),
            member_settings: BTreeMap::new(),
            storage: ClusterStorage::default(),
            clock: ClusterClock::default(),
        }
    }
}

impl ClusterOptions {
    /// The default with this deployment.
    #[must_use]
    pub fn new(deployment: Deployment) -> Self {
        Self {
            deployment,
            ..Self::default()
        }
    }

    /// The same with a key of every broker set.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), value.into());
        self
    }

    /// The members that these options ask for, nameservers first, a master before its slaves.
    pub(super) fn members(&self) -> Result<Vec<Role>> {
        let (masters, slaves_each) = (self.deployment.masters(), self.deployment.slaves_each());
        if self.nameservers == 0 || masters == 0 {
            return Err(invalid("at least one nameserver and one master are needed"));
        }
        let brokers = masters.saturating_mul(slaves_each.saturating_add(1));
        if self.nameservers.saturating_add(brokers) > MEMBERS_MAX {
            return Err(invalid(format!("more than {MEMBERS_MAX} members")));
        }
        let nameservers = (0..self.nameservers).map(Role::Nameserver);
        let ids = 0..=i64::try_from(slaves_each).unwrap_or(i64::MAX);
        let brokers = (0..masters).flat_map(|master| {
            let ids = ids.clone();
            ids.map(move |id| Role::Broker {
                name: broker_name(master),
                id,
            })
        });
        let members: Vec<Role> = nameservers.chain(brokers).collect();
        for name in self.member_settings.keys() {
            if !members.iter().any(|role| role.member_name() == *name) {
                return Err(invalid(format!("member_settings: there is no {name}")));
            }
        }
        Ok(members)
    }
}

pub(super) fn invalid(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, "start cluster", context)
}

/// What a member does in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A nameserver with its number, from 0.
    Nameserver(usize),
    /// A broker.
    Broker {
        /// The name that a master and its slaves share, for example `broker-a`.
        name: String,
        /// 0 for the master, from 1 for slaves.
        id: i64,
    },
}

impl Role {
    /// The member's name in its cluster: `namesrv-0`, `broker-a`, `broker-a-s`, `broker-a-s2`.
    #[must_use]
    pub fn member_name(&self) -> String {
        match self {
            Self::Nameserver(number) => format!("namesrv-{number}"),
            Self::Broker { name, id } => match id {
                0 => name.clone(),
                1 => format!("{name}-s"),
                id => format!("{name}-s{id}"),
            },
        }
    }
}

/// A member's name: text such as `"broker-a-s"`, or a broker's name and id such as
/// `("broker-a", 1)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberName(pub(super) String);

impl From<&str> for MemberName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl From<&String> for MemberName {
    fn from(name: &String) -> Self {
        Self(name.clone())
    }
}

impl From<String> for MemberName {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl From<(&str, i64)> for MemberName {
    fn from((name, id): (&str, i64)) -> Self {
        let name = name.to_owned();
        Self(Role::Broker { name, id }.member_name())
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `broker-a` to `broker-z`, then `broker-aa` and so on.
fn broker_name(number: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = number;
    loop {
        letters.push(b'a' + (rest % 26) as u8);
        match rest / 26 {
            0 => break,
            more => rest = more - 1,
        }
    }
    letters.reverse();
    format!("broker-{}", String::from_utf8_lossy(&letters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_as_in_apaches_configuration_files() {
        let mut options = ClusterOptions::new(Deployment::AsyncSlaves {
            masters: 2,
            slaves_each: 2,
        });
        options.nameservers = 2;
        let names: Vec<String> = options
            .members()
            .unwrap()
            .iter()
            .map(Role::member_name)
            .collect();
        assert_eq!(
            names,
            [
                "namesrv-0",
                "namesrv-1",
                "broker-a",
                "broker-a-s",
                "broker-a-s2",
                "broker-b",
                "broker-b-s",
                "broker-b-s2",
            ]
        );
        assert_eq!(MemberName::from(("broker-a", 0)).0, "broker-a");
        assert_eq!(MemberName::from(("broker-a", 1)).0, "broker-a-s");
        assert_eq!(MemberName::from(("broker-b", 2)).0, "broker-b-s2");
    }

    #[test]
    fn letters_go_on_after_z() {
        let names: Vec<String> = [0, 25, 26, 51, 52, 701, 702].map(broker_name).into();
        let letters: Vec<&str> = names.iter().map(|name| &name["broker-".len()..]).collect();
        assert_eq!(letters, ["a", "z", "aa", "az", "ba", "zz", "aaa"]);
    }

    #[test]
    fn what_cannot_be_a_cluster_is_refused() {
        let none = ClusterOptions::new(Deployment::Masters(0));
        assert!(none.members().is_err());
        let headless = ClusterOptions {
            nameservers: 0,
            ..ClusterOptions::default()
        };
        assert!(headless.members().is_err());
        assert_eq!(
            ClusterOptions::new(Deployment::Masters(249))
                .members()
                .unwrap()
                .len(),
            250
        );
        for masters in [250, usize::MAX] {
            let many = Deployment::SyncDoubleWrite {
                masters,
                slaves_each: 1,
            };
            assert!(ClusterOptions::new(many).members().is_err());
        }
        let mut stranger = ClusterOptions::default();
        stranger
            .member_settings
            .insert("broker-b".to_owned(), Keys::new());
        let error = stranger.members().unwrap_err();
        assert!(error.to_string().contains("broker-b"), "{error}");
    }
}
