//! Queue locks of ordered consumption: one client of a group owns a queue until its lock expires.

use std::collections::HashMap;

/// A message queue as clients name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueueName {
    /// The topic.
    pub(crate) topic: String,
    /// The broker that clients believe to hold it.
    pub(crate) broker: String,
    /// The queue's number.
    pub(crate) queue_id: i32,
}

#[derive(Debug)]
struct Lock {
    client_id: String,
    renewed_ms: u64,
}

impl Lock {
    fn live(&self, now_ms: u64, live_ms: u64) -> bool {
        now_ms.saturating_sub(self.renewed_ms) <= live_ms
    }
}

/// Every lock of a broker. Times are monotonic milliseconds.
#[derive(Debug)]
pub(crate) struct QueueLocks {
    live_ms: u64,
    groups: HashMap<String, HashMap<QueueName, Lock>>,
}

impl QueueLocks {
    /// No locks; each that comes lives for `live_ms` unless it is renewed.
    #[must_use]
    pub(crate) fn new(live_ms: u64) -> Self {
        Self {
            live_ms,
            groups: HashMap::new(),
        }
    }

    /// Sets how long locks live without renewal.
    pub(crate) fn configure(&mut self, live_ms: u64) {
        self.live_ms = live_ms;
    }

    /// Takes or renews the locks of `client_id`; returns those of `queues` that it owns now.
    pub(crate) fn lock(
        &mut self,
        group: &str,
        queues: Vec<QueueName>,
        client_id: &str,
        now_ms: u64,
    ) -> Vec<QueueName> {
        let locks = self.groups.entry(group.to_owned()).or_default();
        let mut owned = Vec::with_capacity(queues.len());
        for queue in queues {
            match locks.get_mut(&queue) {
                Some(lock) if lock.client_id == client_id => lock.renewed_ms = now_ms,
                Some(lock) if lock.live(now_ms, self.live_ms) => continue,
                _ => {
                    let lock = Lock {
                        client_id: client_id.to_owned(),
                        renewed_ms: now_ms,
                    };
                    locks.insert(queue.clone(), lock);
                }
            }
            owned.push(queue);
        }
        owned
    }

    /// Gives up the locks among `queues` that `client_id` owns; others' stay.
    pub(crate) fn unlock(&mut self, group: &str, queues: &[QueueName], client_id: &str) {
        let Some(locks) = self.groups.get_mut(group) else {
            return;
        };
        for queue in queues {
            if locks
                .get(queue)
                .is_some_and(|lock| lock.client_id == client_id)
            {
                locks.remove(queue);
            }
        }
        if locks.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Whether a member of the group owns a queue now.
    #[must_use]
    pub(crate) fn is_locked(&self, group: &str, now_ms: u64) -> bool {
        let live = |lock: &Lock| lock.live(now_ms, self.live_ms);
        self.groups
            .get(group)
            .is_some_and(|locks| locks.values().any(live))
    }

    /// Forgets what expired, so that clients that come and go leave nothing behind.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        for locks in self.groups.values_mut() {
            locks.retain(|_, lock| lock.live(now_ms, self.live_ms));
        }
        self.groups.retain(|_, locks| !locks.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK_LIVE_MS: u64 = 60_000;

    fn queue(queue_id: i32) -> QueueName {
        QueueName {
            topic: "T".into(),
            broker: "b".into(),
            queue_id,
        }
    }

    #[test]
    fn a_lock_is_exclusive_until_it_expires() {
        let mut locks = QueueLocks::new(LOCK_LIVE_MS);
        assert_eq!(
            locks.lock("g", vec![queue(0), queue(1)], "a", 0),
            vec![queue(0), queue(1)]
        );
        assert_eq!(
            locks.lock("g", vec![queue(0), queue(2)], "b", 10),
            vec![queue(2)]
        );
        assert_eq!(locks.lock("g", vec![queue(0)], "b", LOCK_LIVE_MS), vec![]);
        assert!(locks.is_locked("g", LOCK_LIVE_MS) && !locks.is_locked("h", 0));
        assert_eq!(
            locks.lock("g", vec![queue(0)], "b", LOCK_LIVE_MS + 1),
            vec![queue(0)]
        );
        assert_eq!(
            locks.lock("g", vec![queue(0)], "a", LOCK_LIVE_MS + 2),
            vec![]
        );
    }

    #[test]
    fn renewal_extends_and_groups_are_apart() {
        let mut locks = QueueLocks::new(LOCK_LIVE_MS);
        locks.lock("g", vec![queue(0)], "a", 0);
        locks.lock("g", vec![queue(0)], "a", 50_000);
        assert_eq!(locks.lock("g", vec![queue(0)], "b", 100_000), vec![]);
        assert_eq!(
            locks.lock("h", vec![queue(0)], "b", 100_000),
            vec![queue(0)]
        );
    }

    #[test]
    fn only_the_owner_unlocks() {
        let mut locks = QueueLocks::new(LOCK_LIVE_MS);
        locks.lock("g", vec![queue(0)], "a", 0);
        locks.unlock("g", &[queue(0)], "b");
        assert_eq!(locks.lock("g", vec![queue(0)], "b", 1), vec![]);
        locks.unlock("g", &[queue(0)], "a");
        assert_eq!(locks.lock("g", vec![queue(0)], "b", 1), vec![queue(0)]);
    }

    #[test]
    fn expired_locks_are_forgotten() {
        let mut locks = QueueLocks::new(LOCK_LIVE_MS);
        locks.lock("g", vec![queue(0)], "a", 0);
        assert!(!locks.is_locked("g", LOCK_LIVE_MS + 1));
        locks.expire(LOCK_LIVE_MS);
        assert!(!locks.groups.is_empty());
        locks.expire(LOCK_LIVE_MS + 1);
        assert!(locks.groups.is_empty());
    }

    #[test]
    fn a_dead_owner_keeps_its_queue_until_its_lock_expires_and_a_stopped_one_hands_it_over() {
        let mut locks = QueueLocks::new(LOCK_LIVE_MS);
        locks.lock("g", vec![queue(0)], "dead", 1_000);
        locks.lock("g", vec![queue(1)], "stopped", 1_000);
        for now_ms in (2_000..=61_000).step_by(1_000) {
            assert_eq!(locks.lock("g", vec![queue(0)], "heir", now_ms), vec![]);
            // Looking for what expired does not shorten it.
            locks.expire(now_ms);
        }
        assert_eq!(
            locks.lock("g", vec![queue(0)], "heir", 61_001),
            vec![queue(0)]
        );
        assert_eq!(locks.lock("g", vec![queue(0)], "dead", 61_002), vec![]);
        let mut locks = QueueLocks::new(LOCK_LIVE_MS);
        locks.lock("g", vec![queue(1)], "stopped", 1_000);
        locks.unlock("g", &[queue(1)], "stopped");
        assert_eq!(
            locks.lock("g", vec![queue(1)], "heir", 1_001),
            vec![queue(1)]
        );
    }

    #[test]
    fn a_changed_life_counts_for_locks_that_are_held() {
        let mut locks = QueueLocks::new(LOCK_LIVE_MS);
        locks.lock("g", vec![queue(0)], "a", 0);
        assert_eq!(locks.lock("g", vec![queue(0)], "b", 6_000), vec![]);
        locks.configure(5_000);
        assert!(!locks.is_locked("g", 6_000));
        assert_eq!(locks.lock("g", vec![queue(0)], "b", 6_000), vec![queue(0)]);
        // A clock that seems to stand still or go back expires nothing.
        assert_eq!(locks.lock("g", vec![queue(0)], "a", 0), vec![]);
    }
}
