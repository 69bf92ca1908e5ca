//! Push consumers: messages come to a callback, or wait to be polled.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::argument;
use crate::boundary::{Out, call, call_waiting, guard, in_new_callback};
use crate::config::{self, rmq_config};
use crate::error::{Fault, rmq_error};
use crate::handle::{self, Kind, Object, c_text};
use crate::log::rmq_destroy_cb;
use crate::received::{Received, rmq_received};
use crate::status::{RMQ_E_BUSY, RMQ_E_CLOSED, rmq_status};
use rmq_core::embed::{
    ConsumerOptions, Deliveries, Delivery, PushConsumer, Subscription, consumer_options, process_id,
};

/// Longest expression of a subscription, bytes.
const EXPRESSION_BYTES_MAX: usize = 64 * 1024;

/// The messages are done with.
pub const RMQ_CONSUME_OK: i32 = 0;
/// The messages are to come again later.
pub const RMQ_CONSUME_LATER: i32 = 1;
/// The messages are the program's from now on: it answers for each and frees it.
pub const RMQ_CONSUME_ASYNC: i32 = 2;

/// Messages of all queues are given out at the same time, in any order.
pub const RMQ_CONSUME_CONCURRENTLY: i32 = 0;
/// Messages of a queue are given out one after the other, in their order.
pub const RMQ_CONSUME_ORDERLY: i32 = 1;

/// An expression of tags: `A || B`, or `*`.
pub const RMQ_EXPRESSION_TAG: i32 = 0;
/// A condition in SQL92 on the properties of a message.
pub const RMQ_EXPRESSION_SQL92: i32 = 1;

/// Takes the messages of its subscriptions, as a member of a group. Any thread may use it at any
/// time; it is freed by `rmq_push_consumer_free`.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_push_consumer;

/// Takes messages of one queue. It is called on threads of the consumer, several at a time unless
/// there is one queue in order. Functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it.
///
/// @param user_data What was given with the callback.
/// @param messages `count` messages in their order; the array is valid during the call. It may
/// answer for some of them by `rmq_received_ack` and `rmq_received_later`.
/// @param count From 1 to "consumeMessageBatchMaxSize".
/// @return `RMQ_CONSUME_OK` or `RMQ_CONSUME_LATER` answers for those that were not answered for,
/// and the messages are freed. With `RMQ_CONSUME_ASYNC` they are the program's, which answers for
/// them on any thread, at any time, and frees each with `rmq_received_free`. Any other number is
/// `RMQ_CONSUME_LATER`.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_consume_cb = Option<
    extern "C" fn(user_data: *mut c_void, messages: *const *mut rmq_received, count: usize) -> i32,
>;

struct Callback {
    process: u32,
    function: rmq_consume_cb,
    user_data: *mut c_void,
    destroy: rmq_destroy_cb,
}

// SAFETY: the terms of `rmq_push_consumer_on_message` say that it is called on other threads.
unsafe impl Send for Callback {}
// SAFETY: the same, and on several at once.
unsafe impl Sync for Callback {}

impl Callback {
    fn run(&self, deliveries: Vec<Delivery>) {
        let Some(function) = self.function else {
            return;
        };
        let messages: Vec<_> = deliveries
            .into_iter()
            .map(|delivery| handle::issue(Received::from(delivery)))
            .collect();
        let mut answer = RMQ_CONSUME_LATER;
        in_new_callback(|| answer = function(self.user_data, messages.as_ptr(), messages.len()));
        if answer == RMQ_CONSUME_ASYNC {
            return;
        }
        for message in messages {
            // One that is dropped without an answer comes again later.
            if let Some(received) = handle::take::<Received>(message)
                && answer == RMQ_CONSUME_OK
                && let Some(delivery) = received.delivery()
            {
                delivery.ack();
            }
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy
            && self.process == process_id()
        {
            in_new_callback(|| destroy(self.user_data));
        }
    }
}

#[derive(Clone)]
struct Setup {
    options: ConsumerOptions,
    subscriptions: BTreeMap<String, Subscription>,
    callback: Option<Arc<Callback>>,
}

struct Running {
    inner: PushConsumer,
    /// Without a callback.
    deliveries: Option<Deliveries>,
}

enum Stage {
    New(Box<Setup>),
    Starting,
    Started(Arc<Running>),
    /// With what had been started.
    Closed(Option<Arc<Running>>),
}

struct Consumer {
    stage: Mutex<Stage>,
    client_id: OnceLock<CString>,
}

impl Object for Consumer {
    type C = rmq_push_consumer;
    const KIND: Kind = Kind::PushConsumer;
    const NAME: &'static str = "rmq_push_consumer";
}

fn closed() -> Fault {
    Fault::new(RMQ_E_CLOSED, "the consumer is closed")
}

impl Consumer {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<Arc<Running>> {
        match &*self.lock() {
            Stage::Started(running) => Some(Arc::clone(running)),
            Stage::Closed(running) => running.clone(),
            Stage::New(_) | Stage::Starting => None,
        }
    }

    fn started(&self) -> Result<Arc<Running>, Fault> {
        match &*self.lock() {
            Stage::Started(running) => Ok(Arc::clone(running)),
            Stage::New(_) => Err(Fault::invalid("the consumer was not started")),
            Stage::Starting => Err(Fault::new(RMQ_E_BUSY, "the consumer is being started")),
            Stage::Closed(_) => Err(closed()),
        }
    }

    fn start(&self, orderly: bool) -> Result<(), Fault> {
        let setup = {
            let mut stage = self.lock();
            match std::mem::replace(&mut *stage, Stage::Starting) {
                Stage::New(setup) => setup,
                other => {
                    let closed_before = matches!(other, Stage::Closed(_));
                    *stage = other;
                    return Err(match closed_before {
                        true => closed(),
                        false => Fault::invalid("the consumer was started before"),
                    });
                }
            }
        };
        let outcome = begin(Setup::clone(&setup), orderly);
        let mut stage = self.lock();
        let ended = matches!(*stage, Stage::Closed(_));
        match outcome {
            Ok(running) if !ended => {
                // It is set here alone.
                let _ = self.client_id.set(c_text(running.inner.client_id()));
                *stage = Stage::Started(Arc::new(running));
                Ok(())
            }
            Err(fault) => {
                if !ended {
                    *stage = Stage::New(setup);
                }
                Err(fault)
            }
            Ok(running) => {
                drop(stage);
                drop(running);
                Err(closed())
            }
        }
    }

    fn close(&self, timeout: Duration) -> Result<(), Fault> {
        let mut stage = self.lock();
        let running = match &*stage {
            Stage::Started(running) => Some(Arc::clone(running)),
            Stage::Closed(running) => running.clone(),
            Stage::New(_) | Stage::Starting => None,
        };
        let before = std::mem::replace(&mut *stage, Stage::Closed(running.clone()));
        drop(stage);
        drop(before);
        match running {
            Some(running) => Ok(running.inner.close(timeout)?),
            None => Ok(()),
        }
    }
}

fn begin(setup: Setup, orderly: bool) -> Result<Running, Fault> {
    let subscriptions: Vec<_> = setup.subscriptions.into_values().collect();
    let options = setup.options;
    let (inner, deliveries) = match (setup.callback, orderly) {
        (Some(callback), false) => {
            let listener = move |deliveries| callback.run(deliveries);
            (
                PushConsumer::start_with_handles(options, subscriptions, listener)?,
                None,
            )
        }
        (Some(callback), true) => {
            let listener = move |deliveries| callback.run(deliveries);
            (
                PushConsumer::start_orderly_with_handles(options, subscriptions, listener)?,
                None,
            )
        }
        (None, false) => {
            let (inner, deliveries) = PushConsumer::start_queued(options, subscriptions)?;
            (inner, Some(deliveries))
        }
        (None, true) => {
            let (inner, deliveries) = PushConsumer::start_queued_orderly(options, subscriptions)?;
            (inner, Some(deliveries))
        }
    };
    Ok(Running { inner, deliveries })
}

/// What a consumer takes of a topic, as the program says it.
///
/// # Safety
/// The texts are NULL or NUL-terminated.
pub(crate) unsafe fn subscription(
    topic: *const c_char,
    expression: *const c_char,
    kind: i32,
) -> Result<Subscription, Fault> {
    // SAFETY: the caller vouches for its texts.
    let topic = unsafe { argument::name(topic, "topic") }?;
    // SAFETY: the same.
    let expression = unsafe { argument::text(expression, "expression", EXPRESSION_BYTES_MAX) }?;
    match kind {
        RMQ_EXPRESSION_TAG => Ok(Subscription::tags(&topic, &expression)?),
        RMQ_EXPRESSION_SQL92 => Ok(Subscription::sql(&topic, &expression)?),
        _ => Err(Fault::invalid(format!("kind is {kind}"))),
    }
}

/// Makes a push consumer that has no subscription and does nothing yet.
///
/// @param config Keys named as the fields of Apache's Java client, of which "namesrvAddr" and
/// "consumerGroup" are needed; others are "messageModel", "consumeFromWhere", "consumeTimestamp",
/// "allocateMessageQueueStrategy", "consumeThreadMax", "consumeMessageBatchMaxSize",
/// "pullBatchSize", "pullThresholdForQueue", "pullThresholdSizeForQueue",
/// "consumeConcurrentlyMaxSpan", "maxReconsumeTimes", "suspendCurrentQueueTimeMillis" and those of
/// every client. docs/C_API.md has all of them. Only read.
/// @param out Where to store the consumer; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value), `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_new(
    config: *const rmq_config,
    out: *mut *mut rmq_push_consumer,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let setup = Setup {
            options: consumer_options(&config::keys(config)?)?,
            subscriptions: BTreeMap::new(),
            callback: None,
        };
        let consumer = Consumer {
            stage: Mutex::new(Stage::New(Box::new(setup))),
            client_id: OnceLock::new(),
        };
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(consumer)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Subscribes to a topic, or changes what is taken of it; before the start or after it. After the
/// start it may wait for nameservers and brokers.
///
/// @param consumer A consumer.
/// @param topic A NUL-terminated name; copied.
/// @param expression A NUL-terminated text of at most 65,536 bytes: tags with `||` between them or
/// `*`, or a condition in SQL92; copied.
/// @param kind `RMQ_EXPRESSION_TAG` or `RMQ_EXPRESSION_SQL92`, for which brokers must have
/// "enablePropertyFilter".
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_subscribe(
    consumer: *mut rmq_push_consumer,
    topic: *const c_char,
    expression: *const c_char,
    kind: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its texts.
        let subscription = unsafe { subscription(topic, expression, kind) }?;
        if let Stage::New(setup) = &mut *consumer.lock() {
            let topic = subscription.topic().to_owned();
            setup.subscriptions.insert(topic, subscription);
            return Ok(());
        }
        Ok(consumer.started()?.inner.subscribe(subscription)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Takes no more of a topic; what was pulled of it is given back to the group.
///
/// @param consumer A consumer.
/// @param topic A NUL-terminated name; one that is not subscribed to is left alone.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_push_consumer_subscribe`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_unsubscribe(
    consumer: *mut rmq_push_consumer,
    topic: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        // SAFETY: the caller vouches for its text.
        let topic = unsafe { argument::name(topic, "topic") }?;
        if let Stage::New(setup) = &mut *consumer.lock() {
            setup.subscriptions.remove(&topic);
            return Ok(());
        }
        Ok(consumer.started()?.inner.unsubscribe(&topic)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Has messages given to a callback, on threads of the consumer ("consumeThreadMax" at most).
/// Without one they wait for `rmq_push_consumer_poll`. To be said before the start; of two
/// callbacks the later counts.
///
/// @param consumer A consumer that was not started.
/// @param callback What takes messages.
/// @param user_data Handed to the callback as it is.
/// @param destroy NULL, or what is called once with `user_data` when `callback` will not be called
/// any more: after the consumer was freed and the last call has ended, at the next
/// `rmq_push_consumer_on_message`, or when this call fails.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (also: it was started), `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_on_message(
    consumer: *mut rmq_push_consumer,
    callback: rmq_consume_cb,
    user_data: *mut c_void,
    destroy: rmq_destroy_cb,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let fresh = Callback {
            process: process_id(),
            function: callback,
            user_data,
            destroy,
        };
        let consumer = handle::get::<Consumer>(consumer)?;
        if callback.is_none() {
            return Err(Fault::invalid("callback is NULL"));
        }
        let before = match &mut *consumer.lock() {
            Stage::New(setup) => setup.callback.replace(Arc::new(fresh)),
            Stage::Closed(_) => return Err(closed()),
            _ => return Err(Fault::invalid("the consumer was started before")),
        };
        drop(before);
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Starts a consumer. Returns when the brokers that can be reached know of it; others are looked
/// for as long as it lives.
///
/// @param consumer A consumer that was not started.
/// @param mode `RMQ_CONSUME_CONCURRENTLY`, or `RMQ_CONSUME_ORDERLY`: of each queue the next
/// messages are given out when those before them are answered for.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_INVALID` (no subscription, no nameserver, no group, or it was started
/// before); `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the
/// host's system refuses.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_start(
    consumer: *mut rmq_push_consumer,
    mode: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        let orderly = match mode {
            RMQ_CONSUME_CONCURRENTLY => false,
            RMQ_CONSUME_ORDERLY => true,
            _ => return Err(Fault::invalid(format!("mode is {mode}"))),
        };
        consumer.start(orderly)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Takes messages of a consumer that has no callback; waits for the first one. Each is to be
/// answered for with `rmq_received_ack` or `rmq_received_later`, on any thread, and freed; one
/// that is freed without an answer comes again later. Messages that are not answered for count
/// against the limits of their queues ("pullThresholdForQueue" and others), so a slow program
/// stops the flow.
///
/// @param consumer A consumer that was started.
/// @param messages Where to store them; has room for `max`.
/// @param max 1 or more.
/// @param timeout_ms How long to wait for the first one: 0 does not wait, -1 waits for as long as
/// it takes.
/// @param count Where to store how many there are: 0 if none came in time, or
/// `rmq_push_consumer_wake` was called. Written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_CLOSED`, also if it is closed or freed meanwhile; `RMQ_E_INVALID`
/// (also: it has a callback, or was not started), `RMQ_E_HANDLE`, `RMQ_E_FORKED`,
/// `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_poll(
    consumer: *mut rmq_push_consumer,
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
        let running = handle::get::<Consumer>(consumer)?.started()?;
        let deliveries = running.deliveries.as_ref();
        let deliveries = deliveries.ok_or_else(|| Fault::invalid("the consumer has a callback"))?;
        let polled = deliveries.poll(max, timeout)?.into_iter();
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

/// A descriptor that is readable while `rmq_push_consumer_poll` would not wait: to be watched only
/// (poll, epoll, a library for events), never to be read, written or closed.
///
/// @param consumer A consumer that was started without a callback.
/// @return The descriptor, which lives until the consumer is freed; -1 for any other consumer, or
/// if the process has no descriptor left.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_push_consumer_fd(consumer: *const rmq_push_consumer) -> c_int {
    guard(-1, || {
        let running = handle::get::<Consumer>(consumer).ok();
        let running = running.and_then(|consumer| consumer.running());
        let fd = running.and_then(|running| running.deliveries.as_ref()?.fd().ok());
        fd.unwrap_or(-1)
    })
}

/// Has one `rmq_push_consumer_poll` return: one that waits, or else the next one.
///
/// @param consumer A consumer; NULL, one that was freed or has a callback is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_push_consumer_wake(consumer: *mut rmq_push_consumer) {
    guard((), || {
        let running = handle::get::<Consumer>(consumer).ok();
        let running = running.and_then(|consumer| consumer.running());
        if let Some(deliveries) = running.as_ref().and_then(|r| r.deliveries.as_ref()) {
            deliveries.wake();
        }
    });
}

/// Gives out no more messages until `rmq_push_consumer_resume`; those that wait for a poll can
/// still be taken.
///
/// @param consumer A consumer that was started.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (it was not started), `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_suspend(
    consumer: *mut rmq_push_consumer,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        handle::get::<Consumer>(consumer)?
            .started()?
            .inner
            .suspend();
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Goes on after `rmq_push_consumer_suspend`.
///
/// @param consumer A consumer that was started.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (it was not started), `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_resume(
    consumer: *mut rmq_push_consumer,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        handle::get::<Consumer>(consumer)?.started()?.inner.resume();
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// The id that brokers know a consumer by.
///
/// @param consumer A consumer that was started, closed or not.
/// @return A NUL-terminated text that lives until the consumer is freed, not to be freed; NULL for
/// any other consumer.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_push_consumer_client_id(consumer: *const rmq_push_consumer) -> *const c_char {
    guard(std::ptr::null(), || {
        let consumer = handle::get::<Consumer>(consumer).ok();
        let id = consumer.and_then(|consumer| Some(consumer.client_id.get()?.as_ptr()));
        id.unwrap_or(std::ptr::null())
    })
}

/// Closes a consumer: `rmq_push_consumer_poll` ends, the callback is not called again, calls of it
/// that run may end and messages that were given out may be answered for within the timeout,
/// offsets are committed and brokers are told, so that others take the queues over. A second call
/// does nothing and succeeds. The handle stays valid until it is freed. Messages that were given
/// out stay readable, and answers for them are without effect from now on.
///
/// @param consumer A consumer, started or not.
/// @param timeout_ms How long the end may take; -1 for as long as it takes.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_TIMEOUT`: the callback did not return, messages were not answered for,
/// or brokers did not take the offsets, so that some messages come again; `RMQ_E_INVALID`,
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_push_consumer_close(
    consumer: *mut rmq_push_consumer,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let consumer = handle::get::<Consumer>(consumer)?;
        consumer.close(argument::timeout(timeout_ms)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Frees a consumer; one that was not closed is closed without waiting for answers. Who waits in
/// `rmq_push_consumer_poll` is answered `RMQ_E_CLOSED`. Messages that it gave out are freed by
/// themselves.
///
/// @param consumer A consumer; NULL, or one that was freed, is left alone. In a forked child
/// nothing is done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_push_consumer_free(consumer: *mut rmq_push_consumer) {
    guard((), || {
        if let Ok(held) = handle::get::<Consumer>(consumer) {
            // Calls that wait hold on to it, and have to end.
            drop(held.close(Duration::ZERO));
        }
        handle::release::<Consumer>(consumer);
    });
}
