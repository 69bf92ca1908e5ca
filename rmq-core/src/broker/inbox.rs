//! What the threads that append for the broker itself wait at: for something to do, for time to
//! pass, for more of the log to be safe.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use crate::base::queue::{Popped, PushError, Queue};

/// The inbox of one thread; the others share it.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    /// What was handed over; `None` only has the thread look up from its sleep.
    queue: Queue<Option<T>>,
    /// Whether the thread waits for more of the log to be safe or durable.
    awaits_store: AtomicBool,
    /// Whether the end is an orderly one.
    finish: AtomicBool,
}

impl<T> Inbox<T> {
    /// Room for so many items. A thread that only looks needs room for one word.
    #[must_use]
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queue: Queue::new(capacity),
            awaits_store: AtomicBool::new(false),
            finish: AtomicBool::new(false),
        }
    }

    /// Gives the thread something to do; it comes back when there is no room, or the thread ends.
    pub(crate) fn hand_over(&self, item: T) -> Result<(), T> {
        match self
            .queue
            .try_push(Some(item))
            .map_err(PushError::into_item)
        {
            Err(Some(item)) => Err(item),
            _ => Ok(()),
        }
    }

    /// Has the thread look at everything again.
    pub(crate) fn look(&self) {
        // Full: it will look anyway.
        let _ = self.queue.try_push(None);
    }

    /// Whether the thread waits for more of the log. To be called by it before it asks how much is
    /// safe: what becomes safe after that leaves word.
    pub(crate) fn await_store(&self, awaits: bool) {
        self.awaits_store.store(awaits, Ordering::SeqCst);
        // With the one in `on_progress`: either this thread sees the progress, or the other one
        // sees that this thread waits.
        fence(Ordering::SeqCst);
    }

    /// Tells that more of the log is safe or durable, or that the store's health changed.
    pub(crate) fn on_progress(&self) {
        fence(Ordering::SeqCst);
        if self.awaits_store.swap(false, Ordering::SeqCst) {
            self.look();
        }
    }

    /// How much waits, words to look included.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Ends the thread: with `finish` after everything that it did is durable and noted, else as a
    /// crash would.
    pub(crate) fn close(&self, finish: bool) {
        self.finish.store(finish, Ordering::Release);
        self.queue.close();
    }

    /// The thread's work, from its start to its end: `step` is given what was handed over, and
    /// returns after how many ms it is to be called without any news (`None`: never). Returns
    /// whether the end is an orderly one.
    pub(crate) fn serve(&self, mut step: impl FnMut(Vec<T>) -> Option<u64>) -> bool {
        let mut sleep_ms = Some(0);
        while let Some(items) = self.wait(sleep_ms) {
            sleep_ms = step(items);
        }
        self.finish.load(Ordering::Acquire)
    }

    /// Waits for news, at most so many ms. `None` when the thread is to end.
    pub(super) fn wait(&self, ms: Option<u64>) -> Option<Vec<T>> {
        let first = match ms.map(Duration::from_millis) {
            Some(timeout) => match self.queue.pop_timeout(timeout) {
                Popped::Item(item) => item,
                Popped::TimedOut => return Some(Vec::new()),
                Popped::Closed => return None,
            },
            None => self.queue.pop()?,
        };
        let mut items = vec![first];
        self.queue.drain_into(&mut items);
        Some(items.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::base::thread;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn items_come_in_order_and_words_to_look_are_none() {
        let inbox = Inbox::new(4);
        inbox.hand_over('a').unwrap();
        inbox.look();
        inbox.hand_over('b').unwrap();
        assert_eq!((inbox.len(), inbox.is_empty()), (3, false));
        assert_eq!(inbox.wait(None), Some(vec!['a', 'b']));
        assert_eq!(inbox.wait(Some(0)), Some(Vec::new()));
        inbox.look();
        assert_eq!(inbox.wait(None), Some(Vec::new()));
    }

    #[test]
    fn what_has_no_room_comes_back_and_is_looked_at_anyway() {
        let inbox = Inbox::new(1);
        inbox.hand_over('a').unwrap();
        assert_eq!(inbox.hand_over('b'), Err('b'));
        inbox.look();
        inbox.look();
        assert_eq!(inbox.wait(None), Some(vec!['a']));
        assert!(inbox.is_empty());
    }

    #[test]
    fn progress_wakes_only_a_thread_that_waits_for_it_and_once() {
        let inbox = Inbox::<Infallible>::new(1);
        inbox.on_progress();
        assert!(inbox.is_empty());
        inbox.await_store(true);
        inbox.await_store(false);
        inbox.on_progress();
        assert!(inbox.is_empty());
        inbox.await_store(true);
        inbox.on_progress();
        assert_eq!(inbox.len(), 1);
        assert_eq!(inbox.wait(Some(0)), Some(Vec::new()));
        inbox.on_progress();
        assert!(inbox.is_empty());
    }

    #[test]
    fn what_was_handed_over_before_the_end_is_served() {
        for finish in [true, false] {
            let inbox = Inbox::new(4);
            inbox.hand_over(1).unwrap();
            inbox.close(finish);
            assert_eq!(inbox.hand_over(2), Err(2));
            inbox.look();
            let mut served = Vec::new();
            let orderly = inbox.serve(|items| {
                served.extend(items);
                None
            });
            assert_eq!((served, orderly), (vec![1], finish));
        }
    }

    #[test]
    fn a_step_comes_first_and_again_after_its_time() {
        let inbox = Inbox::<Infallible>::new(1);
        let mut steps = 0;
        inbox.serve(|_| {
            steps += 1;
            match steps {
                1 => Some(0),
                2 => Some(1),
                _ => {
                    inbox.close(true);
                    None
                }
            }
        });
        assert_eq!(steps, 3);
    }

    /// The other thread moves a mark and says so; the one that waits would sleep for ever if it
    /// missed one word. The mark itself orders nothing.
    #[test]
    fn no_progress_is_missed() {
        const END: u64 = 20_000;
        let inbox = Arc::new(Inbox::<Infallible>::new(1));
        let mark = Arc::new(AtomicU64::new(0));
        let seen = Arc::new(AtomicU64::new(0));
        let (their_inbox, their_mark, their_seen) =
            (Arc::clone(&inbox), Arc::clone(&mark), Arc::clone(&seen));
        let waiting = thread::spawn("rmq-test-inbox", move || {
            their_inbox.serve(|_| {
                their_inbox.await_store(true);
                let now = their_mark.load(Ordering::Relaxed);
                their_seen.store(now, Ordering::Release);
                if now == END {
                    their_inbox.close(true);
                }
                None
            });
        })
        .unwrap();
        for now in 1..=END {
            mark.store(now, Ordering::Relaxed);
            inbox.on_progress();
            // Now and then the other one is let go to sleep.
            while now % 2 == 0 && seen.load(Ordering::Acquire) < now {
                assert!(!waiting.is_finished() || now == END);
                std::thread::yield_now();
            }
        }
        waiting.join_deadline(LONG).unwrap();
    }

    #[test]
    fn no_item_of_many_threads_is_missed() {
        const EACH: u64 = 5_000;
        let inbox = Arc::new(Inbox::new(16));
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let inbox = Arc::clone(&inbox);
                thread::spawn("rmq-test-sender", move || {
                    for number in 0..EACH {
                        while inbox.hand_over(number).is_err() {
                            inbox.look();
                            std::thread::yield_now();
                        }
                    }
                })
                .unwrap()
            })
            .collect();
        let (mut count, mut sum) = (0, 0);
        inbox.serve(|items| {
            count += items.len() as u64;
            sum += items.iter().sum::<u64>();
            if count == 3 * EACH {
                inbox.close(true);
            }
            None
        });
        assert_eq!(sum, 3 * (0..EACH).sum::<u64>());
        for sender in senders {
            sender.join_deadline(LONG).unwrap();
        }
    }
}
