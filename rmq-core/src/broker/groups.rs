//! The broker's subscription groups, kept in `config/subscriptionGroup.json`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::base::clock::SharedClock;
use crate::base::{Error, ErrorKind, Result};
use crate::broker::names;
use crate::config::BrokerConfig;
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
    "CID_RMQ_SYS_TRANS",
];

/// The subscription groups of a broker.
pub(crate) struct Groups {
    table: RwLock<HashMap<String, Arc<SubscriptionGroupConfig>>>,
    forbidden: RwLock<BTreeMap<String, BTreeMap<String, i32>>>,
    data_version: Mutex<DataVersion>,
    file: MetadataFile,
    clock: SharedClock,
    auto_create: bool,
    groups_max: usize,
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
            auto_create: config.auto_create_group,
            groups_max: config.groups_max,
        })
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

    fn may_create(&self, group: &str) -> bool {
        let system = group.starts_with("CID_RMQ_SYS_") || SYSTEM_GROUPS.contains(&group);
        (self.auto_create || system) && names::check_group(group).is_ok()
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
        /// Apache's index of the read bit in the forbidden table.
        const READ_BIT: i32 = 1 << 2;
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
        let group = Arc::new(group);
        let known = self.table.read();
        if known.len() >= self.groups_max && !known.contains_key(&group.group_name) {
            let context = format!(
                "the broker may have {} groups (rmq.maxGroups)",
                self.groups_max
            );
            return Err(Error::new(ErrorKind::Limit, "create group", context));
        }
        drop(known);
        self.change(|table| {
            table
                .groups
                .insert(group.group_name.clone(), (*group).clone());
        })?;
        self.table
            .write()
            .insert(group.group_name.clone(), Arc::clone(&group));
        Ok(group)
    }

    /// Removes a group. Returns whether it existed.
    pub(crate) fn remove(&self, group: &str) -> Result<bool> {
        if self.get(group).is_none() {
            return Ok(false);
        }
        self.change(|table| {
            table.groups.remove(group);
        })?;
        self.table.write().remove(group);
        Ok(true)
    }

    fn change(&self, edit: impl FnOnce(&mut GroupTable)) -> Result<()> {
        let mut table = self.snapshot();
        edit(&mut table);
        table.data_version.advance(self.clock.wall_ms());
        self.file.save(&table.encode_file())?;
        *self.data_version.lock() = table.data_version;
        Ok(())
    }

    /// Writes the table as it is, for a clean stop.
    pub(crate) fn persist(&self) -> Result<()> {
        self.file.save(&self.snapshot().encode_file())
    }
}
