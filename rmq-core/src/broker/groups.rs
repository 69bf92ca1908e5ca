//! The broker's subscription groups, kept in `config/subscriptionGroup.json`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::base::clock::SharedClock;
use crate::base::{Error, ErrorKind, Result};
use crate::broker::names;
use crate::config::{BrokerConfig, BrokerRole};
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::group::{GroupTable, SubscriptionGroupConfig};
use crate::store::MetadataFile;

/// Groups that every broker knows: those of RocketMQ's own tools and services.
const SYSTEM_GROUPS: [&str; 8] = [
    "TOOLS_CONSUMER",
    "FILTERSRV_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    names::TRANSACTION_GROUP,
];

/// The bit of the forbidden table that keeps a group from reading a topic.
const READ_BIT: i32 = 1 << 2;

/// The subscription groups of a broker.
pub(crate) struct Groups {
    table: RwLock<HashMap<String, Arc<SubscriptionGroupConfig>>>,
    forbidden: RwLock<BTreeMap<String, BTreeMap<String, i32>>>,
    data_version: Mutex<DataVersion>,
    file: MetadataFile,
    clock: SharedClock,
    auto_create: AtomicBool,
    /// The table is a copy of the master's: nothing is created here.
    is_copy: bool,
    groups_max: AtomicUsize,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups")
            .field("groups", &self.table.read().len())
            .finish_non_exhaustive()
    }
}

impl Groups {
    /// Loads the table and adds the groups that every broker has.
    pub(crate) fn open(
        file: MetadataFile,
        config: &BrokerConfig,
        clock: SharedClock,
    ) -> Result<Self> {
        let stored = file.load(GroupTable::decode)?.unwrap_or_default();
        let mut table: HashMap<String, Arc<SubscriptionGroupConfig>> = HashMap::new();
        for name in SYSTEM_GROUPS {
            table.insert(
                name.to_owned(),
                Arc::new(SubscriptionGroupConfig::new(name)),
            );
        }
        table.extend(
            stored
                .groups
                .into_iter()
                .map(|(name, group)| (name, Arc::new(group))),
        );
        Ok(Self {
            table: RwLock::new(table),
            forbidden: RwLock::new(stored.forbidden),
            data_version: Mutex::new(stored.data_version),
            file,
            clock,
            auto_create: AtomicBool::new(config.auto_create_group),
            is_copy: config.store.broker_role == BrokerRole::Slave,
            groups_max: AtomicUsize::new(config.groups_max),
        })
    }

    /// Takes over what a changed configuration says.
    pub(crate) fn configure(&self, config: &BrokerConfig) {
        self.auto_create
            .store(config.auto_create_group, Ordering::Relaxed);
        self.groups_max.store(config.groups_max, Ordering::Relaxed);
    }

    /// The group's settings.
    #[must_use]
    pub(crate) fn get(&self, group: &str) -> Option<Arc<SubscriptionGroupConfig>> {
        self.table.read().get(group).cloned()
    }

    /// Whether `get_or_create` would create the group, and so write a file.
    #[must_use]
    pub(crate) fn would_create(&self, group: &str) -> bool {
        self.get(group).is_none() && self.may_create(group)
    }

    /// The settings to serve a group with: its own, or on a slave the default ones, as long as the
    /// group has not come from the master yet.
    #[must_use]
    pub(crate) fn get_or_stand_in(&self, group: &str) -> Option<Arc<SubscriptionGroupConfig>> {
        self.get(group).or_else(|| {
            let stands_in = self.is_copy && names::check_group(group).is_ok();
            stands_in.then(|| Arc::new(SubscriptionGroupConfig::new(group)))
        })
    }

    fn may_create(&self, group: &str) -> bool {
        if self.is_copy {
            return false;
        }
        let system = group.starts_with("CID_RMQ_SYS_") || SYSTEM_GROUPS.contains(&group);
        (self.auto_create.load(Ordering::Relaxed) || system) && names::check_group(group).is_ok()
    }

    /// The group's settings; creates it where that is allowed. Writes a file: control thread only.
    pub(crate) fn get_or_create(
        &self,
        group: &str,
    ) -> Result<Option<Arc<SubscriptionGroupConfig>>> {
        if let Some(existing) = self.get(group) {
            return Ok(Some(existing));
        }
        if !self.may_create(group) {
            return Ok(None);
        }
        self.put(SubscriptionGroupConfig::new(group)).map(Some)
    }

    /// Whether the group may not read the topic, by an operator's word.
    #[must_use]
    pub(crate) fn is_read_forbidden(&self, group: &str, topic: &str) -> bool {
        let forbidden = self.forbidden.read();
        forbidden
            .get(group)
            .and_then(|topics| topics.get(topic))
            .is_some_and(|bits| bits & READ_BIT != 0)
    }

    /// The whole table with its version.
    #[must_use]
    pub(crate) fn snapshot(&self) -> GroupTable {
        let data_version = *self.data_version.lock();
        let forbidden = self.forbidden.read().clone();
        let table = self.table.read();
        let groups = table
            .iter()
            .map(|(name, group)| (name.clone(), (**group).clone()))
            .collect();
        GroupTable {
            data_version,
            forbidden,
            groups,
        }
    }

    /// Creates or replaces a group, on disk before in memory.
    pub(crate) fn put(
        &self,
        group: SubscriptionGroupConfig,
    ) -> Result<Arc<SubscriptionGroupConfig>> {
        Ok(self.put_all(vec![group])?.remove(0))
    }

    /// Creates or replaces several groups with one write.
    pub(crate) fn put_all(
        &self,
        groups: Vec<SubscriptionGroupConfig>,
    ) -> Result<Vec<Arc<SubscriptionGroupConfig>>> {
        let groups: Vec<Arc<SubscriptionGroupConfig>> = groups.into_iter().map(Arc::new).collect();
        let known = self.table.read();
        let new = groups
            .iter()
            .filter(|group| !known.contains_key(&group.group_name))
            .count();
        let most = self.groups_max.load(Ordering::Relaxed);
        if new > 0 && known.len() + new > most {
            let context = format!("the broker may have {most} groups (rmq.maxGroups)");
            return Err(Error::new(ErrorKind::Limit, "create group", context));
        }
        drop(known);
        self.change(|table| {
            for group in &groups {
                table
                    .groups
                    .insert(group.group_name.clone(), (**group).clone());
            }
        })?;
        let mut table = self.table.write();
        for group in &groups {
            table.insert(group.group_name.clone(), Arc::clone(group));
        }
        Ok(groups)
    }

    /// Lets a group read a topic, or not.
    pub(crate) fn set_readable(&self, group: &str, topic: &str, readable: bool) -> Result<()> {
        self.change(|table| {
            let topics = table.forbidden.entry(group.to_owned()).or_default();
            let bits = topics.get(topic).copied().unwrap_or(0);
            let bits = if readable {
                bits & !READ_BIT
            } else {
                bits | READ_BIT
            };
            match bits {
                0 => topics.remove(topic),
                bits => topics.insert(topic.to_owned(), bits),
            };
            table.forbidden.retain(|_, topics| !topics.is_empty());
        })
    }

    /// Removes a group. Returns whether it existed.
    pub(crate) fn remove(&self, group: &str) -> Result<bool> {
        if self.get(group).is_none() {
            return Ok(false);
        }
        self.change(|table| {
            table.groups.remove(group);
            table.forbidden.remove(group);
        })?;
        self.table.write().remove(group);
        Ok(true)
    }

    /// The version that slaves compare.
    #[must_use]
    pub(crate) fn data_version(&self) -> DataVersion {
        *self.data_version.lock()
    }

    /// For a slave: takes over its master's table under the master's version, on disk before in
    /// memory; the groups that every broker has stay.
    pub(crate) fn replace(&self, mut theirs: GroupTable) -> Result<()> {
        theirs
            .groups
            .retain(|name, _| names::check_group(name).is_ok());
        for (name, group) in &mut theirs.groups {
            group.group_name.clone_from(name);
        }
        for name in SYSTEM_GROUPS {
            let group = || SubscriptionGroupConfig::new(name);
            theirs.groups.entry(name.to_owned()).or_insert_with(group);
        }
        self.file.save(&theirs.encode_file())?;
        *self.data_version.lock() = theirs.data_version;
        *self.forbidden.write() = theirs.forbidden;
        let shared = |(name, group)| (name, Arc::new(group));
        *self.table.write() = theirs.groups.into_iter().map(shared).collect();
        Ok(())
    }

    fn change(&self, edit: impl FnOnce(&mut GroupTable)) -> Result<()> {
        let mut table = self.snapshot();
        edit(&mut table);
        table.data_version.advance(self.clock.wall_ms());
        self.file.save(&table.encode_file())?;
        *self.data_version.lock() = table.data_version;
        *self.forbidden.write() = table.forbidden;
        Ok(())
    }

    /// Writes the table as it is, for a clean stop.
    pub(crate) fn persist(&self) -> Result<()> {
        self.file.save(&self.snapshot().encode_file())
    }
}
