//! Pull consumers: the program asks for messages, and commits.

use std::ffi::{CString, c_char};
use std::time::Duration;

use crate::argument;
use crate::boundary::{Out, call, call_waiting, guard};
use crate::config::{self, rmq_config};
use crate::consumer::subscription;
use crate::error::rmq_error;
use crate::handle::{self, Kind, Object, c_text};
use crate::queues::{self, Queues, rmq_queue, rmq_queues};
use crate::received::{Received, rmq_received};
use crate::status::rmq_status;
use rmq_core::embed::{PullConsumer, consumer_options};

/// Hands out messages when it is asked to; they are fetched ahead. Its queues are either divided
/// among its group (`rmq_pull_consumer_subscribe`) or given by the program
/// (`rmq_pull_consumer_assign`). Any thread may use it at any time; it is freed by
/// `rmq_pull_consumer_free`.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_pull_consumer;

struct Consumer {
    inner: PullConsumer,
    client_id: CString,
}

impl Object for Consumer {
    type C = rmq_pull_consumer;
    const KIND: Kind = Kind::PullConsumer;
    const NAME: &'static str = "rmq_pull_consumer";
}

/// Starts a consumer that has no queue yet.
///
/// @param config Keys as for `rmq_push_consumer_new`, "autoCommit" and "autoCommitIntervalMillis"
/// among them. Only read.
/// @param out Where to store the consumer; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no nameserver, no group),
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the host's system refuses.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_start(
    config: *const rmq_config,
    out: *mut *mut rmq_pull_consumer,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let inner = PullConsumer::start(consumer_options(&config::keys(config)?)?)?;
        let client_id = c_text(inner.client_id());
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(Consumer { inner, client_id })) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The id that brokers know a consumer by.
///
/// @param consumer A consumer, closed or not.
/// @return A NUL-terminated text that lives until the consumer is freed, not to be freed; NULL if
/// `consumer` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_pull_consumer_client_id(consumer: *const rmq_pull_consumer) -> *const c_char {
    guard(std::ptr::null(), || {
        let consumer = handle::get::<Consumer>(consumer).ok();
        consumer.map_or(std::ptr::null(), |consumer| consumer.client_id.as_ptr())
    })
}

/// Takes this member's share of a topic, besides what it subscribed to before.
///
/// @param consumer A consumer that has no assigned queues.
/// @param topic A NUL-terminated name; copied.
/// @param expression A NUL-terminated text of at most 65,536 bytes: tags with `||` between them or
/// `*`, or a condition in SQL92; copied.
/// @param kind `RMQ_EXPRESSION_TAG` or `RMQ_EXPRESSION_SQL92`.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_subscribe(
    consumer: *mut rmq_pull_consumer,
    topic: *const c_char,
    expression: *const c_char,
    kind: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its texts.
        let subscription = unsafe { subscription(topic, expression, kind) }?;
        Ok(consumer.inner.subscribe(subscription)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Takes these queues and no others, from where the group stands.
///
/// @param consumer A consumer without subscriptions.
/// @param queues `count` queues, whose texts are copied; NULL if `count` is 0.
/// @param count How many; 0 gives all back.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
/// `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`). On a failure those queues
/// that could be begun are there.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_assign(
    consumer: *mut rmq_pull_consumer,
    queues: *const rmq_queue,
    count: usize,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queues.
        let queues = unsafe { queues::queues(queues, count) }?;
        Ok(consumer.inner.assign(&queues)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The queues of a topic that can be read; nameservers are asked.
///
/// @param consumer A consumer.
/// @param topic A NUL-terminated name.
/// @param out Where to store the list, which the caller frees; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
/// `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_queues(
    consumer: *const rmq_pull_consumer,
    topic: *const c_char,
    out: *mut *mut rmq_queues,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its text.
        let topic = unsafe { argument::name(topic, "topic") }?;
        let queues = Queues::from(consumer.inner.queues(&topic)?);
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(queues)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The queues that a consumer has now.
///
/// @param consumer A consumer.
/// @param out Where to store the list, which the caller frees; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_assignment(
    consumer: *const rmq_pull_consumer,
    out: *mut *mut rmq_queues,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let consumer = handle::get::<Consumer>(consumer)?;
        let queues = Queues::from(consumer.inner.assignment());
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(queues)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Takes the next messages of any queue; waits for the first one. They count as consumed from now
/// on. Each is freed by the caller; nothing is to be answered for them.
///
/// @param consumer A consumer.
/// @param messages Where to store them; has room for `max`.
/// @param max 1 or more.
/// @param timeout_ms How long to wait for the first one: 0 does not wait, -1 waits for as long as
/// it takes.
/// @param count Where to store how many there are, 0 if none came in time; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_CLOSED`, also if it is closed or freed meanwhile; `RMQ_E_INVALID`,
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_poll(
    consumer: *mut rmq_pull_consumer,
    messages: *mut *mut rmq_received,
    max: usize,
    timeout_ms: i64,
    count: *mut usize,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let count = Out::new(count, "count")?;
        argument::array(messages, max, "messages")?;
        let timeout = argument::timeout(timeout_ms)?;
        let consumer = handle::get::<Consumer>(consumer)?;
        let polled = consumer.inner.poll(max, timeout)?.into_iter();
        let polled: Vec<_> = polled
            .map(|one| handle::issue(Received::from(one)))
            .collect();
        // SAFETY: the caller vouches for `max` places and for `count`.
        unsafe { argument::store(polled, messages, count) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Goes on at an offset of a queue; what was fetched of it is forgotten.
///
/// @param consumer A consumer.
/// @param queue A queue that the consumer has; its texts are only read.
/// @param offset From 0.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have the queue), `RMQ_E_CLOSED`,
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_seek(
    consumer: *mut rmq_pull_consumer,
    queue: *const rmq_queue,
    offset: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queue.
        let queue = unsafe { queues::queue(queue) }?;
        Ok(consumer.inner.seek(&queue, offset)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Goes on with the first message that a queue has; its broker is asked.
///
/// @param consumer A consumer.
/// @param queue A queue that the consumer has; its texts are only read.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
/// `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_seek_to_begin(
    consumer: *mut rmq_pull_consumer,
    queue: *const rmq_queue,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queue.
        let queue = unsafe { queues::queue(queue) }?;
        Ok(consumer.inner.seek_to_begin(&queue)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Goes on with what comes to a queue from now on; its broker is asked.
///
/// @param consumer A consumer.
/// @param queue A queue that the consumer has; its texts are only read.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
/// `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_seek_to_end(
    consumer: *mut rmq_pull_consumer,
    queue: *const rmq_queue,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queue.
        let queue = unsafe { queues::queue(queue) }?;
        Ok(consumer.inner.seek_to_end(&queue)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Takes nothing out of queues until they are resumed.
///
/// @param consumer A consumer.
/// @param queues `count` queues that the consumer has; NULL if `count` is 0.
/// @param count How many.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have one of them),
/// `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_pause(
    consumer: *mut rmq_pull_consumer,
    queues: *const rmq_queue,
    count: usize,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queues.
        let queues = unsafe { queues::queues(queues, count) }?;
        Ok(consumer.inner.pause(&queues)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Goes on with queues after `rmq_pull_consumer_pause`.
///
/// @param consumer A consumer.
/// @param queues `count` queues that the consumer has; NULL if `count` is 0.
/// @param count How many.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have one of them),
/// `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_resume(
    consumer: *mut rmq_pull_consumer,
    queues: *const rmq_queue,
    count: usize,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queues.
        let queues = unsafe { queues::queues(queues, count) }?;
        Ok(consumer.inner.resume(&queues)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// The offset of the next message that a poll takes out of a queue.
///
/// @param consumer A consumer.
/// @param queue A queue that the consumer has; its texts are only read.
/// @param out Where to store the offset; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (also: the consumer does not have the queue), `RMQ_E_CLOSED`,
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_position(
    consumer: *const rmq_pull_consumer,
    queue: *const rmq_queue,
    out: *mut i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queue.
        let queue = unsafe { queues::queue(queue) }?;
        let offset = consumer.inner.position(&queue)?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(offset) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// What the group committed for a queue; its broker is asked.
///
/// @param consumer A consumer.
/// @param queue Any queue; its texts are only read.
/// @param out Where to store the offset, -1 if there is none; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
/// `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_committed(
    consumer: *const rmq_pull_consumer,
    queue: *const rmq_queue,
    out: *mut i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queue.
        let queue = unsafe { queues::queue(queue) }?;
        let offset = consumer.inner.committed(&queue)?.unwrap_or(-1);
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(offset) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The first offset of what was stored at a time or later; the broker is asked.
///
/// @param consumer A consumer.
/// @param queue Any queue; its texts are only read.
/// @param timestamp_ms Milliseconds since the epoch.
/// @param out Where to store the offset; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
/// `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_offset_at(
    consumer: *const rmq_pull_consumer,
    queue: *const rmq_queue,
    timestamp_ms: i64,
    out: *mut i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its queue.
        let queue = unsafe { queues::queue(queue) }?;
        let offset = consumer.inner.offset_at(&queue, timestamp_ms)?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(offset) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Commits what was polled, and waits until the brokers have it.
///
/// @param consumer A consumer.
/// @param timeout_ms How long it may take; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`, and what goes wrong at brokers (`RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`,
/// `RMQ_E_BROKER`, `RMQ_E_NOT_FOUND`).
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_commit(
    consumer: *mut rmq_pull_consumer,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        Ok(consumer.inner.commit(argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Closes a consumer: who waits in `rmq_pull_consumer_poll` is told, and offsets are committed
/// unless "autoCommit" is false. A second call does nothing and succeeds. The handle stays valid
/// until it is freed.
///
/// @param consumer A consumer.
/// @param timeout_ms How long the end may take; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_TIMEOUT`: brokers did not take the offsets; `RMQ_E_INVALID`,
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_pull_consumer_close(
    consumer: *mut rmq_pull_consumer,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        Ok(consumer.inner.close(argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Frees a consumer; one that was not closed is closed. Who waits in `rmq_pull_consumer_poll` is
/// answered `RMQ_E_CLOSED`. Messages that it gave out are freed by themselves.
///
/// @param consumer A consumer; NULL, or one that was freed, is left alone. In a forked child
/// nothing is done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_pull_consumer_free(consumer: *mut rmq_pull_consumer) {
    guard((), || {
        if let Ok(held) = handle::get::<Consumer>(consumer) {
            // Calls that wait hold on to it, and have to end.
            drop(held.inner.close(Duration::ZERO));
        }
        handle::release::<Consumer>(consumer);
    });
}
