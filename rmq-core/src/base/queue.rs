//! The one queue between threads: bounded, many producers, closable.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A bounded first-in-first-out queue; share it behind an `Arc`.
///
/// Any thread may push and pop; it is meant for many producers and one consumer, which may take
/// everything that waits in one go. After `close` nothing more goes in; what is inside comes out.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    not_empty: Condvar,
    not_full: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
    waiting_pop: usize,
    waiting_push: usize,
}

/// Why an item was not taken; the item comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum PushError<T> {
    /// As many items as the capacity are waiting.
    Full(T),
    /// The queue was closed.
    Closed(T),
}

impl<T> PushError<T> {
    /// The item that was not taken.
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

/// What `pop` brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped<T> {
    /// The oldest item.
    Item(T),
    /// Nothing arrived in time.
    TimedOut,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Queue<T> {
    /// A queue of at most `capacity` items (at least one).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            closed: false,
            waiting_pop: 0,
            waiting_push: 0,
        };
        Self {
            state: Mutex::new(state),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
            capacity: capacity.max(1),
        }
    }

    /// Adds `item`, waiting for room as long as it takes. Fails only when the queue is closed.
    pub fn push(&self, item: T) -> Result<(), PushError<T>> {
        let mut state = self.state.lock();
        while !state.closed && state.items.len() >= self.capacity {
            state.waiting_push += 1;
            self.not_full.wait(&mut state);
            state.waiting_push -= 1;
        }
        self.finish_push(state, item)
    }

    /// Adds `item`, waiting at most `timeout` for room.
    pub fn push_timeout(&self, item: T, timeout: Duration) -> Result<(), PushError<T>> {
        let mut state = self.state.lock();
        if !state.closed && state.items.len() >= self.capacity {
            let capacity = self.capacity;
            let full = |state: &mut State<T>| !state.closed && state.items.len() >= capacity;
            state.waiting_push += 1;
            self.not_full.wait_while_for(&mut state, full, timeout);
            state.waiting_push -= 1;
        }
        self.finish_push(state, item)
    }

    /// Adds `item` if there is room now; never waits.
    pub fn try_push(&self, item: T) -> Result<(), PushError<T>> {
        self.finish_push(self.state.lock(), item)
    }

    fn finish_push(
        &self,
        mut state: parking_lot::MutexGuard<'_, State<T>>,
        item: T,
    ) -> Result<(), PushError<T>> {
        if state.closed {
            return Err(PushError::Closed(item));
        }
        if state.items.len() >= self.capacity {
            return Err(PushError::Full(item));
        }
        state.items.push_back(item);
        let wake = state.waiting_pop > 0;
        drop(state);
        if wake {
            self.not_empty.notify_one();
        }
        Ok(())
    }

    /// Takes the oldest item, waiting as long as it takes; `None` once closed and empty.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.state.lock();
        while state.items.is_empty() && !state.closed {
            state.waiting_pop += 1;
            self.not_empty.wait(&mut state);
            state.waiting_pop -= 1;
        }
        self.finish_pop(state)
    }

    /// Takes the oldest item, waiting at most `timeout` for one.
    pub fn pop_timeout(&self, timeout: Duration) -> Popped<T> {
        let mut state = self.state.lock();
        if state.items.is_empty() && !state.closed {
            let empty = |state: &mut State<T>| state.items.is_empty() && !state.closed;
            state.waiting_pop += 1;
            self.not_empty.wait_while_for(&mut state, empty, timeout);
            state.waiting_pop -= 1;
        }
        let closed = state.closed;
        match self.finish_pop(state) {
            Some(item) => Popped::Item(item),
            None if closed => Popped::Closed,
            None => Popped::TimedOut,
        }
    }

    /// Takes the oldest item if there is one; never waits.
    pub fn try_pop(&self) -> Option<T> {
        self.finish_pop(self.state.lock())
    }

    fn finish_pop(&self, mut state: parking_lot::MutexGuard<'_, State<T>>) -> Option<T> {
        let item = state.items.pop_front()?;
        let wake = state.waiting_push > 0;
        drop(state);
        if wake {
            self.not_full.notify_one();
        }
        Some(item)
    }

    /// Moves everything that waits to the end of `into`, oldest first; returns how many.
    pub fn drain_into(&self, into: &mut Vec<T>) -> usize {
        let mut state = self.state.lock();
        let count = state.items.len();
        into.extend(state.items.drain(..));
        let wake = state.waiting_push > 0 && count > 0;
        drop(state);
        if wake {
            self.not_full.notify_all();
        }
        count
    }

    /// Takes nothing more from now on and wakes everyone who waits. Items inside stay poppable.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.not_empty.notify_all();
        self.not_full.notify_all();
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most items that can wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Queue")
            .field("len", &state.items.len())
            .field("capacity", &self.capacity)
            .field("closed", &state.closed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::thread;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(5);

    #[test]
    fn holds_the_capacity_and_not_one_more() {
        let queue = Queue::new(2);
        queue.try_push(1).unwrap();
        queue.try_push(2).unwrap();
        assert_eq!(queue.try_push(3), Err(PushError::Full(3)));
        assert_eq!(queue.push_timeout(3, SHORT), Err(PushError::Full(3)));
        assert_eq!(queue.try_pop(), Some(1));
        queue.try_push(3).unwrap();
        let mut rest = Vec::new();
        assert_eq!(queue.drain_into(&mut rest), 2);
        assert_eq!(rest, [2, 3]);
        assert_eq!(queue.pop_timeout(SHORT), Popped::TimedOut);
    }

    #[test]
    fn close_refuses_new_items_and_hands_out_the_old() {
        let queue = Queue::new(4);
        queue.try_push('a').unwrap();
        queue.close();
        assert_eq!(queue.try_push('b'), Err(PushError::Closed('b')));
        assert_eq!(queue.push('b').unwrap_err().into_item(), 'b');
        assert_eq!(queue.pop(), Some('a'));
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.pop_timeout(LONG), Popped::Closed);
    }

    #[test]
    fn close_wakes_blocked_producers_and_consumers() {
        let full = Arc::new(Queue::new(1));
        full.try_push(0).unwrap();
        let empty = Arc::new(Queue::<i32>::new(1));
        let (producer_queue, consumer_queue) = (Arc::clone(&full), Arc::clone(&empty));
        let producer = thread::spawn("rmq-test-push", move || {
            assert!(producer_queue.push(1).is_err())
        })
        .unwrap();
        let consumer = thread::spawn("rmq-test-pop", move || {
            assert_eq!(consumer_queue.pop(), None)
        })
        .unwrap();
        full.close();
        empty.close();
        producer.join_deadline(LONG).unwrap();
        consumer.join_deadline(LONG).unwrap();
    }

    #[test]
    fn many_producers_one_consumer_loses_nothing_and_keeps_each_ones_order() {
        const EACH: usize = 5_000;
        let queue = Arc::new(Queue::new(7));
        let producers: Vec<_> = (0..4)
            .map(|producer| {
                let queue = Arc::clone(&queue);
                thread::spawn(format!("rmq-test-{producer}"), move || {
                    for i in 0..EACH {
                        queue.push((producer, i)).unwrap();
                    }
                })
                .unwrap()
            })
            .collect();
        let mut next = [0; 4];
        for _ in 0..4 * EACH {
            let Popped::Item((producer, i)) = queue.pop_timeout(LONG) else {
                panic!("starved")
            };
            assert_eq!(next[producer], i);
            next[producer] += 1;
        }
        assert_eq!(next, [EACH; 4]);
        for producer in producers {
            producer.join_deadline(LONG).unwrap();
        }
    }
}
