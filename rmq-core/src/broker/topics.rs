//! The broker's topics: the table behind routes and sends, kept in `config/topics.json`.
//!
//! Reads are lock-light and happen on every request; changes write the file before they return and
//! therefore belong to the control thread.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::base::clock::SharedClock;
use crate::base::{Error, ErrorKind, Result};
use crate::broker::names;
use crate::config::broker::BrokerConfig;
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::topic::{TopicConfig, TopicFile, TopicTable};
use crate::store::MetadataFile;

/// Read permission bit of a topic or broker.
pub(crate) const PERM_READ: i32 = 4;
/// Write permission bit.
pub(crate) const PERM_WRITE: i32 = 2;
/// The topic's settings may be inherited by topics created by sending.
pub(crate) const PERM_INHERIT: i32 = 1;

/// What changed, for those who registered an interest.
type OnChange = Box<dyn Fn(&TopicConfig) + Send + Sync>;

/// The topics of a broker.
pub(crate) struct Topics {
    table: RwLock<HashMap<String, Arc<TopicConfig>>>,
    data_version: Mutex<DataVersion>,
    /// Moves with every change, so that reactors know when their own copies are stale.
    generation: AtomicU64,
    file: MetadataFile,
    /// What is in the file but for the version; held while that is written.
    rows: Mutex<TopicFile>,
    clock: SharedClock,
    auto_create: bool,
    topics_max: AtomicUsize,
    /// While changes are gathered: those that are not written yet.
    gathered: Mutex<Option<BTreeMap<String, Arc<TopicConfig>>>>,
    /// The topics that this broker has from the start.
    system: HashSet<String>,
    on_change: Mutex<Option<OnChange>>,
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics")
            .field("topics", &self.table.read().len())
            .finish_non_exhaustive()
    }
}

impl Topics {
    /// Loads the table and adds the topics that every broker has.
    pub(crate) fn open(
        file: MetadataFile,
        config: &BrokerConfig,
        clock: SharedClock,
    ) -> Result<Self> {
        let stored = file.load(TopicTable::decode)?.unwrap_or_default();
        let mut table: HashMap<String, Arc<TopicConfig>> = system_topics(config)
            .into_iter()
            .map(|t| (t.topic_name.clone(), Arc::new(t)))
            .collect();
        let system = table.keys().cloned().collect();
        for (name, topic) in stored.topics {
            // Settings of the configuration file win for the topics that it speaks of.
            if name != names::AUTO_CREATE_TOPIC || !table.contains_key(&name) {
                table.insert(name, Arc::new(topic));
            }
        }
        let mut rows = TopicFile::default();
        for (name, topic) in &table {
            rows.put(name, Some(topic));
        }
        Ok(Self {
            rows: Mutex::new(rows),
            table: RwLock::new(table),
            data_version: Mutex::new(stored.data_version),
            generation: AtomicU64::new(1),
            file,
            clock,
            auto_create: config.auto_create_topic,
            topics_max: AtomicUsize::new(config.topics_max),
            gathered: Mutex::new(None),
            system,
            on_change: Mutex::new(None),
        })
    }

    /// Takes over what a changed configuration says.
    pub(crate) fn configure(&self, config: &BrokerConfig) {
        self.topics_max.store(config.topics_max, Ordering::Relaxed);
    }

    /// Has `on_change` called, on the changing thread, after each stored change of a topic.
    pub(crate) fn on_change(&self, on_change: impl Fn(&TopicConfig) + Send + Sync + 'static) {
        *self.on_change.lock() = Some(Box::new(on_change));
    }

    /// The topic's settings.
    #[must_use]
    pub(crate) fn get(&self, topic: &str) -> Option<Arc<TopicConfig>> {
        self.table.read().get(topic).cloned()
    }

    /// The topic's settings as the gathered changes leave them.
    #[must_use]
    pub(crate) fn latest(&self, topic: &str) -> Option<Arc<TopicConfig>> {
        let gathered = self.gathered.lock();
        let changed = gathered.as_ref().and_then(|changes| changes.get(topic));
        changed.cloned().or_else(|| self.get(topic))
    }

    /// From now on changes by `put` and its like are gathered: they are in force, and on disk, when
    /// `commit` returns. One write then serves them all. Control thread only.
    pub(crate) fn gather(&self) {
        *self.gathered.lock() = Some(BTreeMap::new());
    }

    /// Writes what was gathered. None of it is in force when this fails.
    pub(crate) fn commit(&self) -> Result<()> {
        let gathered = self.gathered.lock().take().unwrap_or_default();
        if gathered.is_empty() {
            return Ok(());
        }
        self.write(gathered.into_values().collect())
    }

    /// Moves with every change.
    #[must_use]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The version that nameservers and slaves compare.
    #[must_use]
    pub(crate) fn data_version(&self) -> DataVersion {
        *self.data_version.lock()
    }

    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.table.read().len()
    }

    /// The whole table with its version.
    #[must_use]
    pub(crate) fn snapshot(&self) -> TopicTable {
        let data_version = self.data_version();
        let table = self.table.read();
        let topics: BTreeMap<String, TopicConfig> = table
            .iter()
            .map(|(name, topic)| (name.clone(), (**topic).clone()))
            .collect();
        TopicTable {
            data_version,
            topics,
        }
    }

    /// Creates a topic that somebody sends to, in the image of `default_topic`. `None` when that
    /// may not be inherited from.
    pub(crate) fn create_by_send(
        &self,
        topic: &str,
        default_topic: &str,
        client_queue_nums: i32,
        sys_flag: i32,
    ) -> Result<Option<Arc<TopicConfig>>> {
        if let Some(existing) = self.latest(topic) {
            return Ok(Some(existing));
        }
        let Some(parent) = self.latest(default_topic) else {
            return Ok(None);
        };
        let closed = default_topic == names::AUTO_CREATE_TOPIC && !self.auto_create;
        if closed || parent.perm & PERM_INHERIT == 0 {
            return Ok(None);
        }
        let queues = client_queue_nums.min(parent.write_queue_nums).max(0);
        self.put(TopicConfig {
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm: parent.perm & !PERM_INHERIT,
            topic_sys_flag: sys_flag,
            topic_filter_type: parent.topic_filter_type,
            ..TopicConfig::new(topic)
        })
        .map(Some)
    }

    /// Creates a retry or dead letter topic unless it exists; only its order flag follows later.
    pub(crate) fn create_for_group(
        &self,
        topic: &str,
        queues: i32,
        order: bool,
        sys_flag: i32,
    ) -> Result<Arc<TopicConfig>> {
        if let Some(existing) = self.latest(topic) {
            if existing.order == order {
                return Ok(existing);
            }
            return self.put(TopicConfig {
                order,
                ..(*existing).clone()
            });
        }
        self.put(TopicConfig {
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm: PERM_READ | PERM_WRITE,
            topic_sys_flag: sys_flag,
            order,
            ..TopicConfig::new(topic)
        })
    }

    /// Creates or replaces a topic, on disk before in memory, unless changes are gathered.
    pub(crate) fn put(&self, topic: TopicConfig) -> Result<Arc<TopicConfig>> {
        Ok(self.put_all(vec![topic])?.remove(0))
    }

    /// Creates or replaces several topics with one write.
    pub(crate) fn put_all(&self, topics: Vec<TopicConfig>) -> Result<Vec<Arc<TopicConfig>>> {
        let topics: Vec<Arc<TopicConfig>> = topics.into_iter().map(Arc::new).collect();
        let mut gathered = self.gathered.lock();
        self.check_count(&topics, gathered.as_ref())?;
        if let Some(gathered) = &mut *gathered {
            let named = |topic: &Arc<TopicConfig>| (topic.topic_name.clone(), Arc::clone(topic));
            gathered.extend(topics.iter().map(named));
            return Ok(topics);
        }
        drop(gathered);
        self.write(topics.clone())?;
        Ok(topics)
    }

    /// Refuses more topics than there may be.
    fn check_count(
        &self,
        topics: &[Arc<TopicConfig>],
        gathered: Option<&BTreeMap<String, Arc<TopicConfig>>>,
    ) -> Result<()> {
        let known = self.table.read();
        let is_new = |name: &&str| !known.contains_key(*name);
        let wanted = topics.iter().map(|topic| topic.topic_name.as_str());
        let before = gathered
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        let new: HashSet<&str> = wanted.clone().chain(before).filter(is_new).collect();
        let most = self.topics_max.load(Ordering::Relaxed);
        if known.len() + new.len() > most && wanted.clone().any(|name| new.contains(name)) {
            let context = format!("the broker may have {most} topics (rmq.maxTopics)");
            return Err(Error::new(ErrorKind::Limit, "create topic", context));
        }
        Ok(())
    }

    /// Creates or replaces topics, on disk before in memory.
    fn write(&self, topics: Vec<Arc<TopicConfig>>) -> Result<()> {
        let rows = topics.iter();
        self.change(rows.map(|topic| (&*topic.topic_name, Some(&**topic))))?;
        let mut table = self.table.write();
        for topic in &topics {
            table.insert(topic.topic_name.clone(), Arc::clone(topic));
        }
        drop(table);
        self.generation.fetch_add(1, Ordering::AcqRel);
        if let Some(on_change) = &*self.on_change.lock() {
            topics.iter().for_each(|topic| on_change(topic));
        }
        Ok(())
    }

    /// Removes a topic. Returns whether it existed.
    pub(crate) fn remove(&self, topic: &str) -> Result<bool> {
        if self.get(topic).is_none() {
            return Ok(false);
        }
        self.change([(topic, None)].into_iter())?;
        self.table.write().remove(topic);
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(true)
    }

    /// Whether the topic belongs to RocketMQ or to this broker itself, and is never deleted.
    #[must_use]
    pub(crate) fn is_system(&self, topic: &str) -> bool {
        self.system.contains(topic) || names::is_system_topic(topic)
    }

    /// The topics that belong to RocketMQ or to this broker itself, whether they exist or not.
    #[must_use]
    pub(crate) fn system_names(&self) -> BTreeSet<String> {
        let fixed = names::SYSTEM_TOPICS.iter().map(|name| (*name).to_owned());
        self.system.iter().cloned().chain(fixed).collect()
    }

    /// For a slave: takes over its master's table under the master's version, on disk before in
    /// memory; this broker's own system topics stay. Returns the topics that are gone.
    pub(crate) fn replace(
        &self,
        data_version: DataVersion,
        theirs: BTreeMap<String, TopicConfig>,
    ) -> Result<Vec<String>> {
        let own = self.snapshot().topics;
        let mut topics: BTreeMap<String, TopicConfig> = own
            .iter()
            .filter(|(name, _)| self.system.contains(*name))
            .map(|(name, topic)| (name.clone(), topic.clone()))
            .collect();
        for (name, mut topic) in theirs {
            if names::can_be_stored(&name) {
                topic.topic_name.clone_from(&name);
                topics.insert(name, topic);
            } else {
                tracing::warn!(name, "the master has a topic whose name is not taken over");
            }
        }
        let gone = own.into_keys().filter(|name| !topics.contains_key(name));
        let gone = gone.collect();
        let table = TopicTable {
            data_version,
            topics,
        };
        let rows = TopicFile::new(&table);
        let mut known_rows = self.rows.lock();
        self.file.save(&rows.encode(&data_version))?;
        *known_rows = rows;
        drop(known_rows);
        let shared = |(name, topic)| (name, Arc::new(topic));
        *self.table.write() = table.topics.into_iter().map(shared).collect();
        self.generation.fetch_add(1, Ordering::AcqRel);
        // Last: whoever sees the version finds its topics.
        *self.data_version.lock() = data_version;
        Ok(gone)
    }

    /// For a slave whose master is gone: adds topics that it found in the log only, under the
    /// version that the table has, so that the master's is still taken when it comes back.
    pub(crate) fn add_found(&self, topics: Vec<TopicConfig>) -> Result<()> {
        let is_new = |topic: &&TopicConfig| self.get(&topic.topic_name).is_none();
        let rows = topics.iter().filter(is_new);
        let rows = rows.map(|topic| (&*topic.topic_name, Some(topic)));
        self.save(rows, &self.data_version())?;
        let mut known = self.table.write();
        for topic in topics {
            let name = topic.topic_name.clone();
            known.entry(name).or_insert_with(|| Arc::new(topic));
        }
        drop(known);
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Writes the table with these topics, or without them, under a new version.
    fn change<'a>(
        &self,
        topics: impl Iterator<Item = (&'a str, Option<&'a TopicConfig>)>,
    ) -> Result<()> {
        let mut data_version = self.data_version();
        data_version.advance(self.clock.wall_ms());
        self.save(topics, &data_version)?;
        *self.data_version.lock() = data_version;
        Ok(())
    }

    /// Writes the file with these topics, or without them.
    fn save<'a>(
        &self,
        topics: impl Iterator<Item = (&'a str, Option<&'a TopicConfig>)>,
        data_version: &DataVersion,
    ) -> Result<()> {
        let mut rows = self.rows.lock();
        let before: Vec<_> = topics
            .map(|(name, topic)| (name, rows.put(name, topic)))
            .collect();
        let saved = self.file.save(&rows.encode(data_version));
        if saved.is_err() {
            for (name, row) in before.into_iter().rev() {
                rows.set(name, row);
            }
        }
        saved
    }

    /// Moves the version on, so that nameservers and slaves look at the table again.
    pub(crate) fn advance_version(&self) -> Result<()> {
        self.change(std::iter::empty())
    }

    /// Writes the table as it is, for a clean stop.
    pub(crate) fn persist(&self) -> Result<()> {
        self.save(std::iter::empty(), &self.data_version())
    }
}

/// The topics that a broker has from the start.
fn system_topics(config: &BrokerConfig) -> Vec<TopicConfig> {
    let sized = |name: &str, queues: i32| TopicConfig {
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..TopicConfig::new(name)
    };
    let with_perm = |topic: TopicConfig, perm: i32| TopicConfig { perm, ..topic };
    let shared = |enabled: bool| {
        if enabled {
            PERM_INHERIT | PERM_READ | PERM_WRITE
        } else {
            PERM_INHERIT
        }
    };
    let cluster = &config.cluster_name;
    let broker = &config.broker_name;
    let default_queues = config.default_topic_queues.cast_signed();
    let mut topics = vec![
        sized(names::SELF_TEST_TOPIC, 1),
        sized(names::BENCHMARK_TOPIC, 1024),
        with_perm(sized(cluster, 16), shared(config.cluster_topic)),
        with_perm(sized(broker, 1), shared(config.broker_topic)),
        sized(names::OFFSET_MOVED_TOPIC, 1),
        sized(names::SCHEDULE_TOPIC, 18),
        sized(&format!("{cluster}_REPLY_TOPIC"), 1),
        sized(&names::revive_topic(cluster), config.revive_queues),
        with_perm(
            sized(&format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}"), 1),
            PERM_INHERIT,
        ),
        sized(names::HALF_TOPIC, 1),
        sized(names::OP_HALF_TOPIC, 1),
        sized(names::TIMER_TOPIC, 1),
    ];
    if config.auto_create_topic {
        let inherited = PERM_INHERIT | PERM_READ | PERM_WRITE;
        topics.push(with_perm(
            sized(names::AUTO_CREATE_TOPIC, default_queues),
            inherited,
        ));
    }
    if config.trace_topic_enable {
        topics.push(sized(&config.trace_topic_name, 1));
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::store::disk::{CountdownDisk, MemDisk, Plan};

    const PATH: &str = "/store/config/topics.json";

    fn open(disk: &CountdownDisk) -> Topics {
        let config = BrokerConfig::embedded_defaults("/store");
        let file = MetadataFile::new(disk.shared(), PATH);
        Topics::open(file, &config, ManualClock::new(5)).unwrap()
    }

    fn queues(topics: &Topics, name: &str) -> Option<i32> {
        topics.get(name).map(|topic| topic.write_queue_nums)
    }

    #[test]
    fn the_file_is_always_the_whole_table() {
        let disk = CountdownDisk::new(MemDisk::new(ManualClock::new(5)).shared(), Plan::NEVER);
        let topics = open(&disk);
        let is_whole = |topics: &Topics| {
            let file = crate::store::Disk::read(&disk, PATH.as_ref()).unwrap();
            assert_eq!(
                String::from_utf8(file).unwrap(),
                String::from_utf8(topics.snapshot().encode_file()).unwrap()
            );
        };
        topics.persist().unwrap();
        is_whole(&topics);
        topics.put(TopicConfig::new("b")).unwrap();
        is_whole(&topics);
        topics.gather();
        topics.put(TopicConfig::new("a")).unwrap();
        topics.put(TopicConfig::new("c")).unwrap();
        topics.commit().unwrap();
        is_whole(&topics);
        assert!(topics.remove("b").unwrap());
        topics.add_found(vec![TopicConfig::new("found")]).unwrap();
        is_whole(&topics);
        let theirs = BTreeMap::from([("theirs".to_owned(), TopicConfig::new("theirs"))]);
        let gone = topics.replace(DataVersion::default(), theirs).unwrap();
        assert_eq!(gone, ["a", "c", "found"]);
        is_whole(&topics);
        topics.put(TopicConfig::new("last")).unwrap();
        is_whole(&topics);
        let again = open(&disk);
        assert_eq!(again.snapshot(), topics.snapshot());
    }

    #[test]
    fn what_could_not_be_written_is_not_there_and_not_in_the_next_file() {
        let disk = CountdownDisk::new(MemDisk::new(ManualClock::new(5)).shared(), Plan::NEVER);
        let topics = open(&disk);
        topics.put(TopicConfig::new("kept")).unwrap();
        let version = topics.data_version();
        disk.set_plan(Plan::gone_after(2));
        let changed = TopicConfig {
            write_queue_nums: 99,
            ..TopicConfig::new("kept")
        };
        topics
            .put_all(vec![TopicConfig::new("new"), changed])
            .unwrap_err();
        topics.remove("kept").unwrap_err();
        disk.set_plan(Plan::NEVER);
        assert_eq!(topics.data_version(), version);
        for topics in [open(&disk), topics] {
            topics.put(TopicConfig::new("next")).unwrap();
            let again = open(&disk);
            for topics in [&topics, &again] {
                assert_eq!(queues(topics, "new"), None);
                assert_ne!(queues(topics, "kept"), Some(99));
                assert!(queues(topics, "kept").is_some() && queues(topics, "next").is_some());
            }
        }
    }
}
