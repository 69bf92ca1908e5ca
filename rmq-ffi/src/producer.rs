//! Producers.

use std::ffi::{CString, c_char, c_void};

use crate::argument;
use crate::boundary::{Out, call, call_waiting, guard, in_new_callback};
use crate::config::{self, rmq_config};
use crate::error::{Fault, rmq_error};
use crate::handle::{self, Kind, Object, c_text};
use crate::message::{Outgoing, copy, rmq_message};
use crate::send_result::{Sent, rmq_send_result};
use crate::status::rmq_status;
use rmq_core::embed::{Error, Message, Producer, SendOptions, SendResult, producer_options};

/// Most messages of one batch.
const BATCH_MAX: usize = 65_536;

/// Sends messages to a cluster. Any thread may use it at any time; it is freed by
/// `rmq_producer_free`. All producers of a process share one event loop and a few threads, which
/// end with the last of them.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_producer;

pub(crate) struct Sender {
    pub(crate) inner: Producer,
    client_id: CString,
}

impl Object for Sender {
    type C = rmq_producer;
    const KIND: Kind = Kind::Producer;
    const NAME: &'static str = "rmq_producer";
}

impl Sender {
    pub(crate) fn new(inner: Producer) -> Self {
        let client_id = c_text(inner.client_id());
        Self { inner, client_id }
    }
}

/// Takes the outcome of an asynchronous send. It is called exactly once for each send that was
/// accepted, on a thread of the library. It may send more with the asynchronous functions;
/// functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it. A slow one delays those of other
/// sends.
///
/// @param user_data What was given with the callback.
/// @param result What became of the message, or NULL; valid during the call, not to be freed.
/// @param error What went wrong, or NULL; valid during the call, not to be freed. Exactly one of
/// the two is NULL.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_send_cb = Option<
    extern "C" fn(user_data: *mut c_void, result: *const rmq_send_result, error: *const rmq_error),
>;

/// The host's callback with its data, on the way to the thread that calls it.
struct Completion {
    callback: extern "C" fn(*mut c_void, *const rmq_send_result, *const rmq_error),
    user_data: *mut c_void,
}

// SAFETY: the terms of `rmq_producer_send_async` say that it is called on another thread.
unsafe impl Send for Completion {}

impl Completion {
    fn run(self, outcome: Result<SendResult, Error>) {
        let (result, error) = match outcome {
            Ok(result) => (handle::issue(Sent::from(result)), std::ptr::null_mut()),
            Err(error) => (std::ptr::null_mut(), handle::issue(Fault::from(error))),
        };
        in_new_callback(|| (self.callback)(self.user_data, result, error));
        drop(handle::take::<Sent>(result));
        drop(handle::take::<Fault>(error));
    }
}

/// A message with its options.
pub(crate) fn options(
    outgoing: Outgoing,
    timeout_ms: i64,
) -> Result<(Message, SendOptions), Fault> {
    let timeout = argument::timeout(timeout_ms)?;
    let options = SendOptions {
        target: outgoing.target,
        timeout: (timeout_ms >= 0).then_some(timeout),
    };
    Ok((outgoing.message, options))
}

/// Starts a producer. Nothing is asked of the network yet.
///
/// @param config Keys named as the fields of Apache's Java client, of which "namesrvAddr" is
/// needed; others are "producerGroup", "sendMsgTimeout", "retryTimesWhenSendFailed",
/// "retryAnotherBrokerWhenNotStoreOK", "compressMsgBodyOverHowmuch", "compressType",
/// "compressLevel", "maxMessageSize", "defaultTopicQueueNums", "sendLatencyFaultEnable",
/// "autoBatch", "batchMaxDelayMs", "batchMaxBytes", "totalBatchMaxBytes",
/// "backPressureForAsyncSendNum" (the asynchronous sends under way at a time, also
/// "rmq.maxInFlight"), "backPressureForAsyncSendSize", and those of every client: "clientIP",
/// "instanceName", "unitName", "namespace", "pollNameServerInterval", "heartbeatBrokerInterval",
/// "mqClientApiTimeout", "enableTrace", "traceTopic", "traceMsgBatchNum". Only read.
/// @param out Where to store the producer; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no nameserver),
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the host's system refuses.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_start(
    config: *const rmq_config,
    out: *mut *mut rmq_producer,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let inner = Producer::start(producer_options(&config::keys(config)?)?)?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(Sender::new(inner))) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The id that brokers know a producer by.
///
/// @param producer A producer, closed or not.
/// @return A NUL-terminated text that lives until the producer is freed, not to be freed; NULL if
/// `producer` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_producer_client_id(producer: *const rmq_producer) -> *const c_char {
    guard(std::ptr::null(), || {
        let sender = handle::get::<Sender>(producer).ok();
        sender.map_or(std::ptr::null(), |sender| sender.client_id.as_ptr())
    })
}

/// Sends a message and waits until it is acknowledged.
///
/// @param producer A producer.
/// @param message A message, which stays the caller's.
/// @param timeout_ms How long it may take, retries included; -1 for the producer's
/// "sendMsgTimeout".
/// @param out Where to store the result, which the caller frees; NULL if it is not wanted. Written
/// on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_INVALID` and `RMQ_E_LIMIT` for a message that no broker would take;
/// `RMQ_E_NOT_FOUND` when no nameserver knows the topic and it cannot be made; `RMQ_E_UNREACHABLE`
/// and `RMQ_E_TIMEOUT` when no broker acknowledged it in time, though it may be stored;
/// `RMQ_E_BROKER` with the code of a broker that refused it; `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_send(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    out: *mut *mut rmq_send_result,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let (message, options) = options(copy(message)?, timeout_ms)?;
        let sent = sender.inner.send_with(message, options)?;
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, sent) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Hands a result out, if it is wanted.
///
/// # Safety
/// `out` is NULL or can be written.
pub(crate) unsafe fn store(out: *mut *mut rmq_send_result, sent: SendResult) {
    if let Ok(out) = Out::new(out, "out") {
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(Sent::from(sent))) };
    }
}

/// Sends several messages of one topic as one request: all are stored, or none.
///
/// @param producer A producer.
/// @param messages `count` messages, which stay the caller's. Their queues and sharding keys do not
/// count.
/// @param count From 1 to 65,536.
/// @param timeout_ms How long it may take, retries included; -1 for the producer's
/// "sendMsgTimeout".
/// @param out Where to store the result, which the caller frees; NULL if it is not wanted. Written
/// on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_producer_send`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_send_batch(
    producer: *mut rmq_producer,
    messages: *const *const rmq_message,
    count: usize,
    timeout_ms: i64,
    out: *mut *mut rmq_send_result,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        if messages.is_null() || count == 0 {
            return Err(Fault::invalid("there are no messages"));
        }
        if count > BATCH_MAX {
            return Err(Fault::limit(format!("more than {BATCH_MAX} messages")));
        }
        // SAFETY: the caller vouches for `count` messages.
        let messages = unsafe { std::slice::from_raw_parts(messages, count) };
        let batch = messages.iter().map(|one| Ok(copy(*one)?.message));
        let batch = batch.collect::<Result<Vec<Message>, Fault>>()?;
        let (_, options) = options(Outgoing::default(), timeout_ms)?;
        let sent = sender.inner.send_batch(batch, options)?;
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, sent) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Sends a message without waiting for anything.
///
/// @param producer A producer.
/// @param message A message, which stays the caller's and may be freed at once.
/// @param timeout_ms How long it may take, retries included; -1 for the producer's
/// "sendMsgTimeout".
/// @param callback After `RMQ_OK` called exactly once, maybe before this returns, also when the
/// producer is closed or freed meanwhile; after anything else never.
/// @param user_data Handed to the callback as it is.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`: the send was accepted; `RMQ_E_BUSY`: "rmq.maxInFlight" sends are under way;
/// `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say; `callback` may be called on any thread.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_send_async(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    callback: rmq_send_cb,
    user_data: *mut c_void,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let callback = callback.ok_or_else(|| Fault::invalid("callback is NULL"))?;
        let completion = Completion {
            callback,
            user_data,
        };
        let done = move |outcome| completion.run(outcome);
        send_then(producer, message, timeout_ms, done)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Sends without waiting, for who is told by `done`.
pub(crate) fn send_then(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    done: impl FnOnce(Result<SendResult, Error>) + Send + 'static,
) -> Result<(), Fault> {
    let sender = handle::get::<Sender>(producer)?;
    let (message, options) = options(copy(message)?, timeout_ms)?;
    Ok(sender.inner.send_async(message, options, done)?)
}

/// Sends a message that nobody acknowledges: it is lost without notice if anything goes wrong after
/// it was accepted. Never waits.
///
/// @param producer A producer.
/// @param message A message, which stays the caller's and may be freed at once.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_producer_send_async`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_send_oneway(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let (message, options) = options(copy(message)?, -1)?;
        Ok(sender.inner.send_oneway(message, options)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Waits until nothing is under way, callbacks included.
///
/// @param producer A producer.
/// @param timeout_ms How long to wait; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_flush(
    producer: *mut rmq_producer,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        Ok(sender.inner.flush(argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Closes a producer: new sends fail at once, those under way may end within the timeout and fail
/// with `RMQ_E_CLOSED` after it, and brokers are told. When it returns no callback runs or will
/// run. A second call does nothing and succeeds. The handle stays valid until it is freed.
///
/// @param producer A producer.
/// @param timeout_ms How long the end may take; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT` (a callback did not return), `RMQ_E_INVALID`, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_close(
    producer: *mut rmq_producer,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        Ok(sender.inner.close(argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Frees a producer; one that was not closed is closed without waiting for what is under way. Calls
/// of other threads that are under way end as if it was still there.
///
/// @param producer A producer; NULL, or one that was freed, is left alone. In a forked child
/// nothing is done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_producer_free(producer: *mut rmq_producer) {
    guard((), || handle::release::<Sender>(producer));
}
