//! Requests of the broker to its clients, over the connections that they opened, and what is to
//! happen when they answer.

use std::collections::HashMap;
use std::fmt;

use parking_lot::Mutex;

use crate::net::ConnectionId;
use crate::protocol::command::Command;

/// Why a client gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Not in time.
    TimedOut,
    /// Its connection was closed.
    Closed,
}

/// Calls that wait at a time; each holds what it was made for.
const CALLS_MAX: usize = 10_000;

/// What is done with the answer; it runs once, on any thread of the broker, and must not block.
type Then = Box<dyn FnOnce(Result<Command, Unanswered>) + Send>;

struct Call {
    deadline_ms: u64,
    then: Then,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("deadline_ms", &self.deadline_ms)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    last_opaque: i32,
    waiting: HashMap<(ConnectionId, i32), Call>,
}

/// The calls that wait for their answer. Times are monotonic milliseconds.
#[derive(Debug, Default)]
pub(crate) struct ClientCalls {
    state: Mutex<State>,
}

impl ClientCalls {
    /// Takes note of a call; returns the opaque for its request, or `None` when too many wait.
    pub(crate) fn begin(
        &self,
        conn: ConnectionId,
        deadline_ms: u64,
        then: impl FnOnce(Result<Command, Unanswered>) + Send + 'static,
    ) -> Option<i32> {
        let mut state = self.state.lock();
        if state.waiting.len() >= CALLS_MAX {
            return None;
        }
        state.last_opaque = state.last_opaque.wrapping_add(1);
        let opaque = state.last_opaque;
        let call = Call {
            deadline_ms,
            then: Box::new(then),
        };
        state.waiting.insert((conn, opaque), call);
        Some(opaque)
    }

    /// Takes an answer. One that nobody waits for, or no longer, is dropped.
    pub(crate) fn complete(&self, conn: ConnectionId, answer: Command) {
        let call = self.state.lock().waiting.remove(&(conn, answer.opaque));
        if let Some(call) = call {
            (call.then)(Ok(answer));
        }
    }

    /// Fails the calls over a closed connection.
    pub(crate) fn close(&self, closed: ConnectionId) {
        self.fail(Unanswered::Closed, |conn, _| conn == closed);
    }

    /// Fails the calls whose time is over.
    pub(crate) fn expire(&self, now_ms: u64) {
        self.fail(Unanswered::TimedOut, |_, call| call.deadline_ms <= now_ms);
    }

    fn fail(&self, why: Unanswered, which: impl Fn(ConnectionId, &Call) -> bool) {
        let failed: Vec<Call> = {
            let mut state = self.state.lock();
            if state.waiting.is_empty() {
                return;
            }
            let failed = state
                .waiting
                .extract_if(|(conn, _), call| which(*conn, call));
            failed.map(|(_, call)| call).collect()
        };
        for call in failed {
            (call.then)(Err(why));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::slots::Key;
    use crate::protocol::code::ResponseCode;
    use crate::protocol::frame::Serialize;

    fn conn(slot: u32) -> ConnectionId {
        let generation = 1;
        ConnectionId::new(0, Key { slot, generation })
    }

    type Seen = Arc<Mutex<Vec<(u32, Result<i32, Unanswered>)>>>;

    fn begin(calls: &ClientCalls, slot: u32, deadline_ms: u64, seen: &Seen) -> i32 {
        let seen = Arc::clone(seen);
        let then = move |answer: Result<Command, Unanswered>| {
            seen.lock().push((slot, answer.map(|answer| answer.opaque)));
        };
        calls.begin(conn(slot), deadline_ms, then).unwrap()
    }

    fn answer(opaque: i32) -> Command {
        Command::response(opaque, Serialize::Json, ResponseCode::SUCCESS, None)
    }

    #[test]
    fn an_answer_reaches_its_call_once_and_only_from_the_client_that_was_asked() {
        let (calls, seen) = (ClientCalls::default(), Seen::default());
        let first = begin(&calls, 1, 10, &seen);
        let second = begin(&calls, 2, 10, &seen);
        assert_ne!(first, second);
        calls.complete(conn(2), answer(first));
        assert!(seen.lock().is_empty());
        calls.complete(conn(1), answer(first));
        calls.complete(conn(1), answer(first));
        calls.complete(conn(9), answer(77));
        assert_eq!(*seen.lock(), [(1, Ok(first))]);
    }

    #[test]
    fn only_so_many_calls_wait() {
        let calls = ClientCalls::default();
        for _ in 0..CALLS_MAX {
            assert!(calls.begin(conn(1), 10, |_| ()).is_some());
        }
        assert!(calls.begin(conn(1), 10, |_| ()).is_none());
        calls.expire(10);
        assert!(calls.begin(conn(1), 10, |_| ()).is_some());
    }

    #[test]
    fn calls_end_with_their_time_or_their_connection() {
        let (calls, seen) = (ClientCalls::default(), Seen::default());
        begin(&calls, 1, 10, &seen);
        let late = begin(&calls, 2, 20, &seen);
        begin(&calls, 3, 30, &seen);
        calls.expire(9);
        assert!(seen.lock().is_empty());
        calls.expire(20);
        seen.lock().sort_unstable_by_key(|(slot, _)| *slot);
        let timed_out = Err(Unanswered::TimedOut);
        assert_eq!(*seen.lock(), [(1, timed_out), (2, timed_out)]);
        calls.complete(conn(2), answer(late));
        calls.close(conn(3));
        assert_eq!(seen.lock()[2..], [(3, Err(Unanswered::Closed))]);
        assert!(calls.state.lock().waiting.is_empty());
    }
}
