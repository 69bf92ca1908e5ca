//! What came from the master and is not visible yet: on a slave that shows consumers only what is
//! on its disk, the news for held pulls waits for the flush.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

/// Queues that got something, each with the log offset that must be visible first. `Q` is a queue.
#[derive(Debug)]
pub(crate) struct Arrivals<Q> {
    waiting: Mutex<VecDeque<(i64, Arc<Q>)>>,
}

impl<Q> Default for Arrivals<Q> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<Q> Arrivals<Q> {
    /// Takes note that a queue got something that lies before `end`. Offsets do not go back.
    pub(crate) fn push(&self, end: i64, queue: &Arc<Q>) {
        let mut waiting = self.waiting.lock();
        match waiting.back_mut() {
            Some((last_end, last)) if Arc::ptr_eq(last, queue) => *last_end = end,
            _ => waiting.push_back((end, Arc::clone(queue))),
        }
    }

    /// Takes out the queues whose news is visible.
    pub(crate) fn take(&self, visible: i64) -> Vec<Arc<Q>> {
        let mut waiting = self.waiting.lock();
        let count = waiting.partition_point(|(end, _)| *end <= visible);
        waiting.drain(..count).map(|(_, queue)| queue).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_come_out_when_they_are_visible_and_once_for_a_run() {
        let arrivals = Arrivals::default();
        let (a, b) = (Arc::new('a'), Arc::new('b'));
        for (end, queue) in [(10, &a), (20, &a), (30, &b), (40, &a)] {
            arrivals.push(end, queue);
        }
        assert!(arrivals.take(19).is_empty());
        let names = |queues: Vec<Arc<char>>| queues.iter().map(|q| **q).collect::<String>();
        assert_eq!(names(arrivals.take(30)), "ab");
        assert_eq!(names(arrivals.take(100)), "a");
        assert!(arrivals.take(100).is_empty());
    }
}
