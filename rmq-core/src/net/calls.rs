//! The calls that wait for an answer: by correlation id, and by the time they give up.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::ConnectionId;
use crate::base::error::{Error, Result};
use crate::base::slots::Key;
use crate::base::thread;
use crate::protocol::command::Command;

/// What a call's outcome is given to.
pub(crate) type Complete = Box<dyn FnOnce(Result<Command>) + Send>;

/// A call's right to be in flight, given back when the call is over.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// One of at most `max`.
    pub(crate) fn take(in_flight: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let permit = |n: usize| (n < max).then_some(n + 1);
        in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, permit)
            .ok()?;
        Some(Self(Arc::clone(in_flight)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs a callback of the user; a panic in it is reported and goes no further.
pub(crate) fn guard(callback: impl FnOnce()) {
    if let Err(panic) = thread::catch(callback) {
        tracing::error!(panic, "a client's callback panicked");
    }
}

/// A call that waits for its answer.
pub(crate) struct Call {
    /// The request's code, for error texts.
    pub(crate) code: i32,
    /// Monotonic time at which it gives up.
    pub(crate) deadline: Duration,
    /// The time that was allowed, for error texts.
    pub(crate) timeout: Duration,
    pub(crate) complete: Complete,
    pub(crate) permit: Permit,
}

impl Call {
    /// Ends the call. The permit is given back first, so that the callback may call again.
    pub(crate) fn finish(self, outcome: Result<Command>) {
        drop(self.permit);
        let complete = self.complete;
        guard(|| complete(outcome));
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("code", &self.code)
            .field("deadline", &self.deadline)
            .finish()
    }
}

#[derive(Debug)]
struct Entry {
    call: Call,
    address: Key,
    conn: Option<ConnectionId>,
}

/// Every call in flight of one client.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    by_opaque: HashMap<i32, Entry>,
    by_deadline: BTreeSet<(Duration, i32)>,
}

impl Calls {
    /// Adds a call to `address`; `conn` once its request was written. A call of the same number,
    /// four billion calls ago and still waiting, is given back to be failed.
    pub(crate) fn insert(
        &mut self,
        opaque: i32,
        address: Key,
        conn: Option<ConnectionId>,
        call: Call,
    ) -> Option<Call> {
        self.by_deadline.insert((call.deadline, opaque));
        let old = self.by_opaque.insert(
            opaque,
            Entry {
                call,
                address,
                conn,
            },
        )?;
        let (new_deadline, old_deadline) =
            (self.by_opaque[&opaque].call.deadline, old.call.deadline);
        if new_deadline != old_deadline {
            self.by_deadline.remove(&(old_deadline, opaque));
        }
        Some(old.call)
    }

    pub(crate) fn contains(&self, opaque: i32) -> bool {
        self.by_opaque.contains_key(&opaque)
    }

    /// The request of a call that waited for a connection was written.
    pub(crate) fn sent(&mut self, opaque: i32, conn: ConnectionId) {
        if let Some(entry) = self.by_opaque.get_mut(&opaque) {
            entry.conn = Some(conn);
        }
    }

    /// The call that an answer from `conn` belongs to.
    pub(crate) fn answered(&mut self, opaque: i32, conn: ConnectionId) -> Option<Call> {
        if self.by_opaque.get(&opaque)?.conn != Some(conn) {
            return None;
        }
        self.take(opaque)
    }

    pub(crate) fn take(&mut self, opaque: i32) -> Option<Call> {
        let entry = self.by_opaque.remove(&opaque)?;
        self.by_deadline.remove(&(entry.call.deadline, opaque));
        Some(entry.call)
    }

    /// One call whose time is up, with the address it went to.
    pub(crate) fn take_expired(&mut self, now: Duration) -> Option<(Key, Call)> {
        let &(deadline, opaque) = self.by_deadline.first()?;
        if deadline > now {
            return None;
        }
        self.by_deadline.pop_first();
        self.by_opaque
            .remove(&opaque)
            .map(|entry| (entry.address, entry.call))
    }

    /// When the first call gives up.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Every call that waits for an answer on `conn`.
    pub(crate) fn take_of(&mut self, conn: ConnectionId) -> Vec<Call> {
        let of_conn = |(_, entry): &(&i32, &Entry)| entry.conn == Some(conn);
        let mut opaques: Vec<i32> = self
            .by_opaque
            .iter()
            .filter(of_conn)
            .map(|(opaque, _)| *opaque)
            .collect();
        opaques.sort_unstable();
        opaques
            .into_iter()
            .filter_map(|opaque| self.take(opaque))
            .collect()
    }

    /// Every call.
    pub(crate) fn take_all(&mut self) -> Vec<Call> {
        self.by_deadline.clear();
        self.by_opaque
            .drain()
            .map(|(_, entry)| entry.call)
            .collect()
    }
}

/// Fails calls with what `error` makes for each.
pub(crate) fn fail_all(calls: Vec<Call>, error: impl Fn(&Call) -> Error) {
    for call in calls {
        let error = error(&call);
        call.finish(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::ErrorKind;
    use parking_lot::Mutex;

    const A: Key = Key {
        slot: 0,
        generation: 0,
    };

    fn conn(slot: u32) -> ConnectionId {
        ConnectionId::new(
            0,
            Key {
                slot,
                generation: 0,
            },
        )
    }

    fn call(in_flight: &Arc<AtomicUsize>, deadline_ms: u64, log: &Arc<Mutex<Vec<u64>>>) -> Call {
        let log = Arc::clone(log);
        let deadline = Duration::from_millis(deadline_ms);
        Call {
            code: 1,
            deadline,
            timeout: deadline,
            complete: Box::new(move |_| log.lock().push(deadline_ms)),
            permit: Permit::take(in_flight, 100).unwrap(),
        }
    }

    #[test]
    fn permits_end_at_the_limit() {
        let in_flight = Arc::new(AtomicUsize::new(0));
        let first = Permit::take(&in_flight, 2).unwrap();
        let _second = Permit::take(&in_flight, 2).unwrap();
        assert!(Permit::take(&in_flight, 2).is_none());
        drop(first);
        assert!(Permit::take(&in_flight, 2).is_some());
    }

    #[test]
    fn calls_expire_in_order_and_are_found_by_answer_or_connection() {
        let (in_flight, log) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let mut calls = Calls::default();
        for (opaque, deadline, to) in [(1, 30, 1), (2, 10, 1), (3, 20, 2), (4, 20, 2), (5, 5, 1)] {
            let call = call(&in_flight, deadline, &log);
            assert!(calls.insert(opaque, A, Some(conn(to)), call).is_none());
        }
        assert_eq!(calls.next_deadline(), Some(Duration::from_millis(5)));
        assert!(
            calls.answered(3, conn(1)).is_none(),
            "an answer from the wrong connection"
        );
        calls.answered(3, conn(2)).unwrap();
        assert!(calls.answered(3, conn(2)).is_none(), "answered twice");
        let mut expired = Vec::new();
        while let Some((_, call)) = calls.take_expired(Duration::from_millis(20)) {
            expired.push(call.deadline.as_millis());
        }
        assert_eq!(expired, [5, 10, 20]);
        fail_all(calls.take_of(conn(1)), |_| {
            Error::new(ErrorKind::Unreachable, "test", "")
        });
        assert_eq!(*log.lock(), [30]);
        assert_eq!(in_flight.load(Ordering::Relaxed), 0);
        assert_eq!(calls.next_deadline(), None);
    }

    #[test]
    fn a_reused_number_gives_the_old_call_back() {
        let (in_flight, log) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let mut calls = Calls::default();
        calls.insert(7, A, None, call(&in_flight, 10, &log));
        let old = calls
            .insert(7, A, None, call(&in_flight, 20, &log))
            .unwrap();
        assert_eq!(old.deadline, Duration::from_millis(10));
        assert_eq!(calls.next_deadline(), Some(Duration::from_millis(20)));
        calls.sent(7, conn(3));
        assert!(calls.contains(7));
        assert!(calls.answered(7, conn(3)).is_some());
        assert_eq!(calls.next_deadline(), None);
    }
}
