//! A queue between the threads of the library and one that waits for what they bring.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::base::thread::ProcessMark;
use crate::base::{Error, ErrorKind, Result};
use crate::net::sys::Flag;

const OP: &str = "completion queue";

/// Carries what happened (messages, outcomes of sends, anything the program likes) to a thread that
/// asks for it, or to an event loop: `fd` is readable while there is something. Clones are the same
/// queue; any thread may use it. It has no limit of its own: a consumer's flow control bounds what
/// waits of its messages, and a producer's `max_in_flight` should be used to bound outcomes.
pub struct CompletionQueue<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    news: Condvar,
    process: ProcessMark,
}

struct State<T> {
    waiting: VecDeque<T>,
    /// One `poll` is to return.
    woken: bool,
    closed: bool,
    /// Made when it is first asked for.
    flag: Option<Flag>,
    raised: bool,
}

impl<T> State<T> {
    /// Makes the descriptor say whether `poll` would return at once.
    fn show(&mut self) {
        let raised = !self.waiting.is_empty() || self.woken || self.closed;
        if let Some(flag) = &self.flag
            && raised != self.raised
        {
            if raised {
                flag.raise();
            } else {
                flag.lower();
            }
            self.raised = raised;
        }
    }
}

impl<T> CompletionQueue<T> {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                woken: false,
                closed: false,
                flag: None,
                raised: false,
            }),
            news: Condvar::new(),
            process: ProcessMark::current(),
        }))
    }

    /// Adds one; a queue that is closed gives it back. Never blocks.
    pub fn push(&self, item: T) -> std::result::Result<(), T> {
        let mut state = self.0.state.lock();
        if state.closed {
            return Err(item);
        }
        state.waiting.push_back(item);
        state.show();
        drop(state);
        self.0.news.notify_one();
        Ok(())
    }

    /// Adds several; a queue that is closed gives them back.
    pub(crate) fn push_all(&self, items: Vec<T>) -> std::result::Result<(), Vec<T>> {
        let mut state = self.0.state.lock();
        if state.closed {
            return Err(items);
        }
        state.waiting.extend(items);
        state.show();
        drop(state);
        self.0.news.notify_all();
        Ok(())
    }

    /// The next ones in the order that they came in, at most `max`; waits for the first at most for
    /// `timeout`, and answers none when none came or `wake` was called. `Closed`: also while it
    /// waits. `Forked`: the queue is that of the parent of this process.
    pub fn poll(&self, max: usize, timeout: Duration) -> Result<Vec<T>> {
        self.0.process.check(OP)?;
        let mut state = self.0.state.lock();
        if max > 0 {
            let nothing =
                |state: &mut State<T>| state.waiting.is_empty() && !state.woken && !state.closed;
            self.0.news.wait_while_for(&mut state, nothing, timeout);
        }
        if state.closed {
            return Err(Error::new(ErrorKind::Closed, OP, "the queue is closed"));
        }
        state.woken = false;
        let most = max.min(state.waiting.len());
        let taken = state.waiting.drain(..most).collect();
        if state.waiting.is_empty() && state.waiting.capacity() > 1_024 {
            // A burst does not keep its memory.
            state.waiting = VecDeque::new();
        }
        state.show();
        let more = !state.waiting.is_empty();
        drop(state);
        if more {
            self.0.news.notify_one();
        }
        Ok(taken)
    }

    /// A descriptor that is readable while `poll` would not wait: something is there, `wake` was
    /// called, or the queue was closed. To be watched only (poll, epoll, libuv, asyncio), by level
    /// or by edge; it is the queue's, which closes it with its last clone. An error: the process
    /// has no descriptor left.
    pub fn fd(&self) -> Result<RawFd> {
        self.0.process.check(OP)?;
        let mut state = self.0.state.lock();
        let fd = match &state.flag {
            Some(flag) => flag.fd(),
            None => {
                let flag = Flag::new().map_err(|error| Error::io(OP, "eventfd", error))?;
                state.flag.insert(flag).fd()
            }
        };
        state.show();
        Ok(fd)
    }

    /// Has one `poll` return: one that waits, or else the next one. In a forked child it does
    /// nothing.
    pub fn wake(&self) {
        if !self.0.process.is_current() {
            return;
        }
        let mut state = self.0.state.lock();
        state.woken = true;
        state.show();
        drop(state);
        self.0.news.notify_one();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0.process.is_current() {
            true => self.0.state.lock().waiting.len(),
            false => 0,
        }
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the queue: every `poll` answers `Closed`, nothing is taken any more. What waited is
    /// given back; a second call gives back nothing. In a forked child it does nothing.
    pub fn close(&self) -> Vec<T> {
        if !self.0.process.is_current() {
            return Vec::new();
        }
        let mut state = self.0.state.lock();
        state.closed = true;
        state.show();
        let waited = std::mem::take(&mut state.waiting);
        drop(state);
        self.0.news.notify_all();
        waited.into()
    }

    /// Takes out what is not wanted any more.
    pub(crate) fn remove_if(&self, mut unwanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut state = self.0.state.lock();
        let (out, kept) = std::mem::take(&mut state.waiting)
            .into_iter()
            .partition(|item| unwanted(item));
        state.waiting = kept;
        state.show();
        drop(state);
        Vec::from(out as VecDeque<T>)
    }
}

impl<T> Default for CompletionQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for CompletionQueue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for CompletionQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionQueue")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::base::thread;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn the_end_gives_back_what_waited_and_ends_who_waits() {
        let queue = CompletionQueue::new();
        let (tell, told) = mpsc::channel();
        let waiting = queue.clone();
        let waiter = thread::spawn("waits".to_owned(), move || {
            tell.send(waiting.poll(1, Duration::MAX)).unwrap();
            tell.send(waiting.poll(1, Duration::MAX)).unwrap();
        });
        queue.wake();
        assert!(told.recv_timeout(LONG).unwrap().unwrap().is_empty());
        queue.close();
        let error = told.recv_timeout(LONG).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        waiter.unwrap().join_deadline(LONG).unwrap();
        assert_eq!(queue.push(1), Err(1));

        let queue = CompletionQueue::new();
        queue.push(1).unwrap();
        assert_eq!((queue.close(), queue.close()), (vec![1], vec![]));
    }

    #[test]
    fn many_threads_bring_and_take_each_item_once() {
        let queue = CompletionQueue::new();
        let (tell, told) = mpsc::channel();
        for number in 0..3 {
            let (queue, tell) = (queue.clone(), tell.clone());
            let take = move || {
                while let Ok(items) = queue.poll(7, Duration::MAX) {
                    items.into_iter().for_each(|item| tell.send(item).unwrap());
                }
            };
            thread::spawn(format!("takes-{number}"), take).unwrap();
        }
        for item in 0..10_000 {
            queue.push(item).unwrap();
        }
        let mut seen: Vec<i32> = (0..10_000)
            .map(|_| told.recv_timeout(LONG).unwrap())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..10_000).collect::<Vec<_>>());
        queue.close();
    }
}
