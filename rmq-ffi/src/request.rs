//! Request-reply, recalls, and the queues of a topic.

use std::ffi::{c_char, c_void};

use crate::argument;
use crate::boundary::{Out, call, call_waiting, guard, in_new_callback};
use crate::error::{Fault, rmq_error};
use crate::handle;
use crate::message::{copy, held, rmq_message};
use crate::producer::{Sender, rmq_producer};
use crate::queues::{Queues, rmq_queues};
use crate::received::{Received, rmq_received};
use crate::status::rmq_status;
use crate::text::{self, rmq_text};
use rmq_core::embed::{Error, Message, ReceivedMessage, reply_to};

/// Sends a message and waits for the message that a consumer answers with; see
/// `rmq_message_new_reply`.
///
/// @param producer A producer.
/// @param message A message, which stays the caller's. Its queue and sharding key do not count.
/// @param timeout_ms How long sending and answer may take together; -1 for as long as it takes.
/// @param out Where to store the reply, which the caller frees; NULL if it is not wanted. Written
/// on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_TIMEOUT` when nobody answered in time; else as `rmq_producer_send`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_request(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    out: *mut *mut rmq_received,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let timeout = argument::timeout(timeout_ms)?;
        let reply = sender.inner.request(copy(message)?.message, timeout)?;
        if let Ok(out) = Out::new(out, "out") {
            // SAFETY: the caller vouches for the place.
            unsafe { out.set(handle::issue(Received::from(reply))) };
        }
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Takes the outcome of an asynchronous request. It is called exactly once for each request that
/// was accepted, on a thread of the library; functions that may wait answer `RMQ_E_WOULD_DEADLOCK`
/// to it.
///
/// @param user_data What was given with the callback.
/// @param reply The answer, or NULL; valid during the call, not to be freed.
/// @param error What went wrong, or NULL; valid during the call, not to be freed. Exactly one of
/// the two is NULL.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_reply_cb = Option<
    extern "C" fn(user_data: *mut c_void, reply: *const rmq_received, error: *const rmq_error),
>;

/// The host's callback with its data, on the way to the thread that calls it.
struct Completion {
    callback: extern "C" fn(*mut c_void, *const rmq_received, *const rmq_error),
    user_data: *mut c_void,
}

// SAFETY: the terms of `rmq_producer_request_async` say that it is called on another thread.
unsafe impl Send for Completion {}

impl Completion {
    fn run(self, outcome: Result<ReceivedMessage, Error>) {
        let (reply, error) = match outcome {
            Ok(reply) => (handle::issue(Received::from(reply)), std::ptr::null_mut()),
            Err(error) => (std::ptr::null_mut(), handle::issue(Fault::from(error))),
        };
        in_new_callback(|| (self.callback)(self.user_data, reply, error));
        drop(handle::take::<Received>(reply));
        drop(handle::take::<Fault>(error));
    }
}

/// Sends a message and has a callback called with the message that a consumer answers with. Never
/// waits.
///
/// @param producer A producer.
/// @param message A message, which stays the caller's and may be freed at once.
/// @param timeout_ms How long sending and answer may take together; -1 for as long as it takes.
/// @param callback After `RMQ_OK` called exactly once, also when the producer is closed or freed
/// meanwhile; after anything else never.
/// @param user_data Handed to the callback as it is.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_producer_send_async`.
///
/// # Safety
/// As the parameters say; `callback` may be called on any thread.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_request_async(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    callback: rmq_reply_cb,
    user_data: *mut c_void,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let callback = callback.ok_or_else(|| Fault::invalid("callback is NULL"))?;
        let timeout = argument::timeout(timeout_ms)?;
        let completion = Completion {
            callback,
            user_data,
        };
        let message = copy(message)?.message;
        let done = move |outcome| completion.run(outcome);
        Ok(sender.inner.request_async(message, timeout, done)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Keeps a message beyond the call of a callback that was given it. Bytes are shared, not copied.
/// Nobody asks what becomes of the copy.
///
/// @param message A message, or NULL.
/// @return The same message as one that the caller frees with `rmq_received_free`; NULL if
/// `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_copy(message: *const rmq_received) -> *mut rmq_received {
    guard(std::ptr::null_mut(), || {
        let received = handle::get::<Received>(message).ok();
        received.map_or(std::ptr::null_mut(), |received| {
            handle::issue(Received::from(received.message().clone()))
        })
    })
}

/// Makes the message that answers a request. Any producer of the cluster sends it, with any of the
/// functions that send.
///
/// @param request A message that was received and waits for an answer.
/// @param body The body: any bytes, NUL among them; copied. NULL if `body_len` is 0.
/// @param body_len Bytes of the body.
/// @param out Where to store the message, which the caller frees; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (the message waits for no answer), `RMQ_E_LIMIT`,
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_new_reply(
    request: *const rmq_received,
    body: *const c_void,
    body_len: usize,
    out: *mut *mut rmq_message,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let make = || {
        let out = Out::new(out, "out")?;
        let request = handle::get::<Received>(request)?;
        // SAFETY: the caller vouches for its bytes.
        let body = unsafe { argument::bytes(body, body_len, "body") }?;
        let reply: Message = reply_to(request.message(), body)?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(held(reply)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, make) }
}

/// Takes back a message that was sent with a time and is not delivered yet. A success says that the
/// broker has noted it; what is due meanwhile may still come.
///
/// @param producer A producer.
/// @param topic The topic of the message: a NUL-terminated name of 1 to 4,096 bytes.
/// @param recall_handle What `rmq_send_result_recall_handle` told: 1 to 4,096 bytes.
/// @param msg_id Where to store the id of the message, which the caller frees; NULL if it is not
/// wanted. Written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_INVALID` for what is no handle of a message of this topic;
/// `RMQ_E_BROKER` when the broker does not recall, or the time is over; else as
/// `rmq_producer_send`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_recall(
    producer: *mut rmq_producer,
    topic: *const c_char,
    recall_handle: *const c_char,
    msg_id: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        // SAFETY: the caller vouches for its text.
        let topic = unsafe { argument::name(topic, "topic") }?;
        // SAFETY: the same.
        let recall_handle = unsafe { argument::name(recall_handle, "recall_handle") }?;
        let recalled = sender.inner.recall(&topic, &recall_handle)?;
        if let Ok(msg_id) = Out::new(msg_id, "msg_id") {
            // SAFETY: the caller vouches for the place.
            unsafe { msg_id.set(text::issue(recalled)) };
        }
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The queues that messages of a topic can be sent to, in the order that sharding keys choose from.
///
/// @param producer A producer.
/// @param topic A NUL-terminated name of 1 to 4,096 bytes.
/// @param out Where to store the queues, which the caller frees; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_NOT_FOUND` when no nameserver knows the topic; else as
/// `rmq_producer_send`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_queues(
    producer: *mut rmq_producer,
    topic: *const c_char,
    out: *mut *mut rmq_queues,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let out = Out::new(out, "out")?;
        // SAFETY: the caller vouches for its text.
        let topic = unsafe { argument::name(topic, "topic") }?;
        let queues = Queues::from(sender.inner.queues(&topic)?);
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(queues)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}
