//! Held pulls of one reactor: requests that found nothing and wait for a message or their deadline.
//!
//! The table belongs to its reactor's thread; nothing in it is locked. Other threads only see the
//! queue's waiter bits, which say whose reactors are to be woken.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::net::ConnectionId;
use crate::store::Queue;

/// Something held for a connection at a queue until a deadline (monotonic milliseconds).
#[derive(Debug)]
pub(crate) struct Held<P> {
    /// The connection that waits for the answer.
    pub(crate) conn: ConnectionId,
    /// The queue it waits at.
    pub(crate) queue: Arc<Queue>,
    /// When it is answered at the latest.
    pub(crate) deadline_ms: u64,
    /// What to do then.
    pub(crate) payload: P,
}

/// The held requests of one reactor.
#[derive(Debug)]
pub(crate) struct HoldTable<P> {
    waiter_bit: u32,
    limit: usize,
    next_id: u64,
    held: HashMap<u64, Held<P>>,
    by_queue: HashMap<usize, Vec<u64>>,
    by_conn: HashMap<ConnectionId, Vec<u64>>,
    deadlines: BTreeSet<(u64, u64)>,
}

/// The bit that stands for a reactor in `Queue::waiters`.
#[must_use]
pub(crate) fn waiter_bit(reactor: usize) -> u32 {
    // The highest bit is the pop thread's.
    1 << (reactor % 31)
}

fn key(queue: &Arc<Queue>) -> usize {
    Arc::as_ptr(queue) as usize
}

fn forget(ids: Option<&mut Vec<u64>>, id: u64) -> bool {
    let Some(ids) = ids else { return false };
    ids.retain(|one| *one != id);
    ids.is_empty()
}

impl<P> HoldTable<P> {
    /// A table for the reactor of this index that holds at most `limit` requests.
    #[must_use]
    pub(crate) fn new(reactor: usize, limit: usize) -> Self {
        Self {
            waiter_bit: waiter_bit(reactor),
            limit,
            next_id: 0,
            held: HashMap::new(),
            by_queue: HashMap::new(),
            by_conn: HashMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// Sets how many may be held; more than that stay until they end.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// How many are held.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Holds a request, or gives it back when the table is full. The caller must look at the queue
    /// once more afterwards: a message that came before the waiter bit was set wakes nobody.
    pub(crate) fn hold(&mut self, held: Held<P>) -> Result<u64, Held<P>> {
        if self.held.len() >= self.limit {
            return Err(held);
        }
        let id = self.next_id;
        self.next_id += 1;
        held.queue
            .waiters
            .fetch_or(self.waiter_bit, Ordering::SeqCst);
        self.by_queue.entry(key(&held.queue)).or_default().push(id);
        self.by_conn.entry(held.conn).or_default().push(id);
        self.deadlines.insert((held.deadline_ms, id));
        self.held.insert(id, held);
        Ok(id)
    }

    /// Takes out one request.
    pub(crate) fn take(&mut self, id: u64) -> Option<Held<P>> {
        let held = self.held.remove(&id)?;
        let at = key(&held.queue);
        if forget(self.by_queue.get_mut(&at), id) {
            self.by_queue.remove(&at);
            held.queue
                .waiters
                .fetch_and(!self.waiter_bit, Ordering::SeqCst);
        }
        if forget(self.by_conn.get_mut(&held.conn), id) {
            self.by_conn.remove(&held.conn);
        }
        self.deadlines.remove(&(held.deadline_ms, id));
        Some(held)
    }

    /// Takes out all that wait at a queue.
    pub(crate) fn take_queue(&mut self, queue: &Arc<Queue>) -> Vec<Held<P>> {
        let ids = self.by_queue.get(&key(queue)).cloned().unwrap_or_default();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }

    /// Takes out everything.
    pub(crate) fn take_all(&mut self) -> Vec<Held<P>> {
        self.take_expired(u64::MAX)
    }

    /// Takes out all whose deadline has come.
    pub(crate) fn take_expired(&mut self, now_ms: u64) -> Vec<Held<P>> {
        let mut expired = Vec::new();
        while let Some(&(deadline_ms, id)) = self.deadlines.first() {
            if deadline_ms > now_ms {
                break;
            }
            expired.extend(self.take(id));
        }
        expired
    }

    /// Forgets everything that a closed connection waited for.
    pub(crate) fn close(&mut self, conn: ConnectionId) {
        for id in self.by_conn.get(&conn).cloned().unwrap_or_default() {
            self.take(id);
        }
    }

    /// When the next deadline comes.
    #[must_use]
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ms, _)| *deadline_ms)
    }
}
