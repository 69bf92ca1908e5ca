//! The key-value configuration: namespaces of keys, kept in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::base::{Error, Result};
use crate::protocol::json::{self, Flavour};
use crate::store::MetadataFile;
use crate::store::disk::Disk;

/// Namespace of the order configuration of topics.
pub(super) const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";

type Tables = BTreeMap<String, BTreeMap<String, String>>;

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    #[serde(rename = "configTable", default)]
    tables: Tables,
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// All namespaces.
#[derive(Debug)]
pub(super) struct KvTable {
    tables: RwLock<Tables>,
    /// Grows with every change.
    stamp: AtomicU64,
    file: Option<MetadataFile>,
}

impl KvTable {
    /// Reads the file at `path`, if there is one; without a path nothing is kept.
    pub(super) fn open(path: Option<&str>, disk: Arc<dyn Disk>) -> Result<Self> {
        let file = stored_at(path, disk)?;
        let content = match &file {
            Some(file) => file.load(json::from_slice::<Content>)?,
            None => None,
        };
        let tables = content.unwrap_or_default().tables;
        Ok(Self {
            tables: RwLock::new(tables),
            stamp: AtomicU64::new(1),
            file,
        })
    }

    /// Whether changes are written to a file.
    pub(super) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// A number that grows with every change.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Acquire)
    }

    /// Sets an item, unless it is new and there are `items_max`.
    pub(super) fn put(
        &self,
        namespace: String,
        key: String,
        value: String,
        items_max: usize,
    ) -> Result<(), Full> {
        let mut tables = self.tables.write();
        let known = tables
            .get(&namespace)
            .is_some_and(|table| table.contains_key(&key));
        if !known && tables.values().map(BTreeMap::len).sum::<usize>() >= items_max {
            return Err(Full);
        }
        tables.entry(namespace).or_default().insert(key, value);
        self.stamp.fetch_add(1, Ordering::Release);
        Ok(())
    }

    pub(super) fn get(&self, namespace: &str, key: &str) -> Option<String> {
        self.tables.read().get(namespace)?.get(key).cloned()
    }

    /// Removes an item; its namespace stays, as Apache keeps it. Returns whether it was there.
    pub(super) fn delete(&self, namespace: &str, key: &str) -> bool {
        let mut tables = self.tables.write();
        let removed = tables
            .get_mut(namespace)
            .and_then(|table| table.remove(key))
            .is_some();
        self.stamp.fetch_add(1, Ordering::Release);
        removed
    }

    /// All items of a namespace; `None` when there never was one.
    pub(super) fn list(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        self.tables.read().get(namespace).cloned()
    }

    /// Writes everything to the file.
    pub(super) fn save(&self) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let content = Content {
            tables: self.tables.read().clone(),
        };
        file.save(&json::to_vec(&content, Flavour::Fastjson))
    }
}

/// The file at `path`, if there is one to be; made absolute, so that its folder is known.
pub(super) fn stored_at(path: Option<&str>, disk: Arc<dyn Disk>) -> Result<Option<MetadataFile>> {
    let Some(path) = path else { return Ok(None) };
    let absolute: PathBuf =
        std::path::absolute(path).map_err(|source| Error::io("namesrv.open", path, source))?;
    Ok(Some(MetadataFile::new(disk, absolute)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::store::disk::{Crash, MemDisk};

    #[test]
    fn items_are_kept_over_a_power_cut() {
        let disk = MemDisk::new(ManualClock::new(0));
        let table = KvTable::open(Some("/n/kvConfig.json"), disk.shared()).unwrap();
        table
            .put("ORDER_TOPIC_CONFIG".into(), "T".into(), "a:8;b:8".into(), 2)
            .unwrap();
        table.put("x".into(), "k".into(), "1".into(), 2).unwrap();
        assert_eq!(table.put("x".into(), "l".into(), "1".into(), 2), Err(Full));
        table.put("x".into(), "k".into(), "2".into(), 2).unwrap();
        table.save().unwrap();
        assert!(table.delete("x", "k"));
        assert!(!table.delete("x", "k"));
        let after = disk.crash(Crash::Synced);
        let table = KvTable::open(Some("/n/kvConfig.json"), after.shared()).unwrap();
        assert_eq!(table.get(ORDER_NAMESPACE, "T").as_deref(), Some("a:8;b:8"));
        assert_eq!(table.get("x", "k").as_deref(), Some("2"));
        assert_eq!(table.list("none"), None);
    }

    #[test]
    fn without_a_file_nothing_is_kept_and_all_works() {
        let disk = MemDisk::new(ManualClock::new(0));
        let table = KvTable::open(None, disk.shared()).unwrap();
        let before = table.stamp();
        table.put("n".into(), "k".into(), "v".into(), 9).unwrap();
        assert!(table.stamp() > before && !table.is_kept());
        table.save().unwrap();
        table.delete("n", "k");
        assert_eq!(table.list("n"), Some(BTreeMap::new()));
    }

    #[test]
    fn what_apache_wrote_is_read() {
        let disk = MemDisk::new(ManualClock::new(0));
        let file = MetadataFile::new(disk.shared(), "/n/kvConfig.json");
        file.save(br#"{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"a:4"}}}"#)
            .unwrap();
        let table = KvTable::open(Some("/n/kvConfig.json"), disk.shared()).unwrap();
        assert_eq!(table.get(ORDER_NAMESPACE, "T").as_deref(), Some("a:4"));
        assert_eq!(table.list(ORDER_NAMESPACE).unwrap().len(), 1);
    }
}
