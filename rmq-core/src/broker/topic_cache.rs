//! A reactor's own copy of the topics it met: settings and queue handles, found without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::broker::shared::Shared;
use crate::protocol::body::topic::TopicConfig;
use crate::store::Queue;

/// A topic as sends and pulls need it.
#[derive(Debug)]
pub(crate) struct CachedTopic {
    /// The settings when the copy was made.
    pub(crate) config: Arc<TopicConfig>,
    queues: Vec<Option<Arc<Queue>>>,
}

impl CachedTopic {
    /// How many queue numbers are valid: the larger of the two counts, as Apache checks it.
    #[must_use]
    pub(crate) fn queue_limit(&self) -> i32 {
        self.config
            .write_queue_nums
            .max(self.config.read_queue_nums)
    }

    /// The queue; `queue_id` must be below `queue_limit` and not negative.
    pub(crate) fn queue(&mut self, shared: &Shared, queue_id: i32) -> Arc<Queue> {
        let index = usize::try_from(queue_id).unwrap_or_default();
        if self.queues.len() <= index {
            self.queues.resize(index + 1, None);
        }
        let slot = &mut self.queues[index];
        let name = &self.config.topic_name;
        Arc::clone(slot.get_or_insert_with(|| shared.store.queue(name, queue_id)))
    }
}

/// The topics that one reactor met since the table last changed.
#[derive(Debug, Default)]
pub(crate) struct TopicCache {
    topics: HashMap<String, CachedTopic>,
    generation: u64,
}

impl TopicCache {
    /// The topic, if it exists.
    pub(crate) fn get(&mut self, shared: &Shared, topic: &str) -> Option<&mut CachedTopic> {
        let generation = shared.topics.generation();
        if generation != self.generation {
            self.topics.clear();
            self.generation = generation;
        }
        if !self.topics.contains_key(topic) {
            let config = shared.topics.get(topic)?;
            self.topics.insert(
                topic.to_owned(),
                CachedTopic {
                    config,
                    queues: Vec::new(),
                },
            );
        }
        self.topics.get_mut(topic)
    }
}
