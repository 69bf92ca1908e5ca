//! Outcomes of asynchronous sends, for a program with an event loop of its own.

use std::ffi::{c_int, c_void};

use crate::argument;
use crate::boundary::{Out, call, call_waiting, guard};
use crate::error::{Fault, rmq_error};
use crate::handle::{self, Kind, Object};
use crate::message::rmq_message;
use crate::producer::{rmq_producer, send_then};
use crate::send_result::{Sent, rmq_send_result};
use crate::status::rmq_status;
use rmq_core::embed::{CompletionQueue, Error, SendResult};

/// Collects the outcomes of asynchronous sends until the program asks for them. Any thread may use
/// it at any time, with any number of producers; it is freed by `rmq_completion_queue_free`.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_completion_queue;

/// The outcome of one asynchronous send. Exactly one of `result` and `error` is not NULL, and the
/// caller frees it.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
pub struct rmq_completion {
    /// What was given with the send.
    pub user_data: *mut c_void,
    /// What became of the message, or NULL.
    pub result: *mut rmq_send_result,
    /// What went wrong, or NULL.
    pub error: *mut rmq_error,
}

struct Done {
    user_data: *mut c_void,
    outcome: Result<SendResult, Error>,
}

// SAFETY: the pointer is only handed back, as the terms of `rmq_producer_send_queued` say.
unsafe impl Send for Done {}

/// User data on the way to the thread that knows the outcome.
struct Token(*mut c_void);

// SAFETY: the same.
unsafe impl Send for Token {}

impl Token {
    fn take(self) -> *mut c_void {
        self.0
    }
}

impl From<Done> for rmq_completion {
    fn from(done: Done) -> Self {
        let (result, error) = match done.outcome {
            Ok(result) => (handle::issue(Sent::from(result)), std::ptr::null_mut()),
            Err(error) => (std::ptr::null_mut(), handle::issue(Fault::from(error))),
        };
        Self {
            user_data: done.user_data,
            result,
            error,
        }
    }
}

struct Queue(CompletionQueue<Done>);

impl Object for Queue {
    type C = rmq_completion_queue;
    const KIND: Kind = Kind::CompletionQueue;
    const NAME: &'static str = "rmq_completion_queue";
}

/// Makes an empty queue.
///
/// @return A queue to be freed with `rmq_completion_queue_free`; NULL only after a defect of rmq.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_completion_queue_new() -> *mut rmq_completion_queue {
    guard(std::ptr::null_mut(), || {
        handle::issue(Queue(CompletionQueue::new()))
    })
}

/// Sends a message without waiting; the outcome goes to a queue. The producer's "rmq.maxInFlight"
/// bounds what is under way, but not what waits in the queue.
///
/// @param producer A producer.
/// @param message A message, which stays the caller's and may be freed at once.
/// @param timeout_ms How long it may take, retries included; -1 for the producer's
/// "sendMsgTimeout".
/// @param queue After `RMQ_OK` it gets exactly one outcome, also when the producer is closed or
/// freed meanwhile; after anything else none.
/// @param user_data Handed back with the outcome as it is.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_producer_send_async`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_send_queued(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    queue: *mut rmq_completion_queue,
    user_data: *mut c_void,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let queue = handle::get::<Queue>(queue)?.0.clone();
        let token = Token(user_data);
        let done = move |outcome| {
            let user_data = token.take();
            // A queue that was freed meanwhile takes nothing.
            drop(queue.push(Done { user_data, outcome }));
        };
        send_then(producer, message, timeout_ms, done)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Takes outcomes out of a queue, in their order; waits for the first one.
///
/// @param queue A queue.
/// @param completions Where to store them; has room for `max`.
/// @param max 1 or more.
/// @param timeout_ms How long to wait for the first one: 0 does not wait, -1 waits for as long as
/// it takes.
/// @param count Where to store how many there are: 0 if none came in time, or
/// `rmq_completion_queue_wake` was called. Written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_CLOSED` if the queue is freed meanwhile; `RMQ_E_INVALID`,
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_completion_queue_poll(
    queue: *mut rmq_completion_queue,
    completions: *mut rmq_completion,
    max: usize,
    timeout_ms: i64,
    count: *mut usize,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let count = Out::new(count, "count")?;
        argument::array(completions, max, "completions")?;
        let queue = handle::get::<Queue>(queue)?;
        let polled = queue.0.poll(max, argument::timeout(timeout_ms)?)?;
        // SAFETY: the caller vouches for `max` places and for `count`.
        unsafe { argument::store(polled, completions, count) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// A descriptor that is readable while `rmq_completion_queue_poll` would not wait: to be watched
/// only (poll, epoll, a library for events), never to be read, written or closed.
///
/// @param queue A queue.
/// @return The descriptor, which lives until the queue is freed; -1 if `queue` is NULL, was freed
/// or belongs to the parent of this process, or the process has no descriptor left.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_completion_queue_fd(queue: *const rmq_completion_queue) -> c_int {
    guard(-1, || {
        let queue = handle::get::<Queue>(queue).ok();
        queue.and_then(|queue| queue.0.fd().ok()).unwrap_or(-1)
    })
}

/// Has one `rmq_completion_queue_poll` return: one that waits, or else the next one.
///
/// @param queue A queue; NULL, or one that was freed, is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_completion_queue_wake(queue: *mut rmq_completion_queue) {
    guard((), || {
        if let Ok(queue) = handle::get::<Queue>(queue) {
            queue.0.wake();
        }
    });
}

/// Frees a queue. Outcomes that wait in it, and those that come later, are dropped, with their user
/// data. Who waits in `rmq_completion_queue_poll` is answered `RMQ_E_CLOSED`.
///
/// @param queue A queue; NULL, or one that was freed, is left alone. In a forked child nothing is
/// done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_completion_queue_free(queue: *mut rmq_completion_queue) {
    guard((), || {
        if let Some(queue) = handle::take::<Queue>(queue) {
            drop(queue.0.close());
        }
    });
}
