//! All queues of a store, by topic and number.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::{Queue, QueueFiles};
use crate::base::error::{Error, ErrorKind, Result};
use crate::store::watermarks::Watermarks;

/// Longest topic that can be a directory, bytes.
const MAX_TOPIC_BYTES: usize = 255;

/// The queues of a store.
#[derive(Debug)]
pub(crate) struct QueueTable {
    files: Arc<QueueFiles>,
    marks: Arc<Watermarks>,
    topics: RwLock<Topics>,
    /// Queues with entries in memory.
    active: Mutex<Vec<Arc<Queue>>>,
}

type Topics = HashMap<Arc<str>, BTreeMap<i32, Arc<Queue>>>;

/// Whether `topic` can be the name of a directory without leaving its place.
#[must_use]
pub(crate) fn is_safe_topic(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= MAX_TOPIC_BYTES
        && topic != "."
        && topic != ".."
        && !topic.bytes().any(|b| b == b'/' || b == b'\\' || b < b' ')
}

impl QueueTable {
    pub(in crate::store) fn new(files: Arc<QueueFiles>, marks: Arc<Watermarks>) -> Self {
        Self {
            files,
            marks,
            topics: RwLock::new(HashMap::new()),
            active: Mutex::new(Vec::new()),
        }
    }

    /// What the queues share to reach their files.
    pub(in crate::store) fn files(&self) -> &Arc<QueueFiles> {
        &self.files
    }

    /// The queue, if it exists.
    #[must_use]
    pub(crate) fn find(&self, topic: &str, queue_id: i32) -> Option<Arc<Queue>> {
        self.topics.read().get(topic)?.get(&queue_id).cloned()
    }

    /// The same, but a queue that cannot be is one to which nothing can be appended.
    #[must_use]
    pub(crate) fn find_or_refuse(&self, topic: &str, queue_id: i32) -> Arc<Queue> {
        self.find_or_create(topic, queue_id).unwrap_or_else(|_| {
            let (files, marks) = (Arc::clone(&self.files), Arc::clone(&self.marks));
            let queue = Queue::new(Arc::from(topic), queue_id, files, marks);
            queue.set_deleted();
            Arc::new(queue)
        })
    }

    /// The queue, made where it is missing. Its directory comes with its first message.
    ///
    /// `Invalid`: the topic cannot be the name of a directory, or the number is negative.
    pub(crate) fn find_or_create(&self, topic: &str, queue_id: i32) -> Result<Arc<Queue>> {
        if let Some(queue) = self.find(topic, queue_id) {
            return Ok(queue);
        }
        if !is_safe_topic(topic) || queue_id < 0 {
            let context = format!("{topic:?} queue {queue_id}");
            return Err(Error::new(ErrorKind::Invalid, "store.queue", context));
        }
        let mut topics = self.topics.write();
        let name = match topics.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(topic),
        };
        let queues = topics.entry(Arc::clone(&name)).or_default();
        let queue = queues.entry(queue_id).or_insert_with(|| {
            let files = Arc::clone(&self.files);
            Arc::new(Queue::new(name, queue_id, files, Arc::clone(&self.marks)))
        });
        Ok(Arc::clone(queue))
    }

    /// Puts queues on the list of those with entries in memory.
    pub(in crate::store) fn activate(&self, queues: impl IntoIterator<Item = Arc<Queue>>) {
        self.active.lock().extend(queues);
    }

    /// Takes that list.
    pub(in crate::store) fn take_active(&self) -> Vec<Arc<Queue>> {
        std::mem::take(&mut *self.active.lock())
    }

    /// All queues, by topic and number.
    #[must_use]
    pub(crate) fn all(&self) -> Vec<Arc<Queue>> {
        let topics = self.topics.read();
        let mut all: Vec<Arc<Queue>> = topics
            .values()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect();
        drop(topics);
        all.sort_by(|a, b| (a.topic(), a.id()).cmp(&(b.topic(), b.id())));
        all
    }

    /// The queues of one topic, by number.
    #[must_use]
    pub(crate) fn of_topic(&self, topic: &str) -> Vec<Arc<Queue>> {
        let topics = self.topics.read();
        topics
            .get(topic)
            .map(|queues| queues.values().cloned().collect())
            .unwrap_or_default()
    }

    /// The topics that have queues.
    #[must_use]
    pub(crate) fn topics(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.topics.read().keys().cloned().collect();
        names.sort();
        names
    }

    /// Takes the queues of `topic` out of the table.
    pub(in crate::store) fn take_topic(&self, topic: &str) -> Vec<Arc<Queue>> {
        let queues = self.topics.write().remove(topic).unwrap_or_default();
        queues.into_values().collect()
    }

    /// Makes a queue for every directory `TOPIC/NUMBER` there is.
    pub(in crate::store) fn load_dirs(&self) -> Result<()> {
        let (disk, root) = (self.files.disk(), self.files.root());
        let list = |dir: &std::path::Path| match disk.list(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|e| Error::io("store.queues", dir.display().to_string(), e)),
        };
        for topic in list(root)?.into_iter().filter(|entry| entry.is_dir) {
            for number in list(&root.join(&topic.name))? {
                match number.name.parse::<i32>() {
                    Ok(queue_id) if number.is_dir && queue_id >= 0 => {
                        self.find_or_create(&topic.name, queue_id)?;
                    }
                    _ => tracing::warn!(topic = topic.name, name = number.name, "not a queue"),
                }
            }
        }
        Ok(())
    }
}
