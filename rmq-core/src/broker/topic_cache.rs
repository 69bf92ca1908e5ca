//! A reactor's own copy of the topics it met: settings and queue handles, found without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::broker::names;
use crate::broker::shared::Shared;
use crate::broker::stats::{Counted, Item};
use crate::protocol::body::topic::TopicConfig;
use crate::store::Queue;

/// A topic as sends and pulls need it.
#[derive(Debug)]
pub(crate) struct CachedTopic {
    /// The settings when the copy was made.
    pub(crate) config: Arc<TopicConfig>,
    queues: Vec<Option<Arc<Queue>>>,
    /// Counts what is stored in it, once something was; and whether it is one of the system's.
    counter: Option<(Arc<Item>, bool)>,
}

impl CachedTopic {
    /// How many queue numbers are valid: the larger of the two counts, as Apache checks it.
    #[must_use]
    pub(crate) fn queue_limit(&self) -> i32 {
        self.config
            .write_queue_nums
            .max(self.config.read_queue_nums)
    }

    /// Counts messages that were stored in the topic.
    pub(crate) fn count_stored(&mut self, shared: &Shared, counted: Counted) {
        let name = &self.config.topic_name;
        let (item, is_system) = self.counter.get_or_insert_with(|| {
            let now_ms = shared.clock.monotonic_ms();
            let item = shared.stats.items.topic(name, now_ms);
            (item, names::is_system_topic(name))
        });
        shared.stats.stored_with(item, *is_system, counted);
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
                    counter: None,
                },
            );
        }
        self.topics.get_mut(topic)
    }
}
