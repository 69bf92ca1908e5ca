//! Messages that a program sends.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, PoisonError};

use crate::argument;
use crate::boundary::{Out, call, guard};
use crate::error::{Fault, rmq_error};
use crate::handle::{self, Kind, Object};
use crate::status::rmq_status;
use rmq_core::embed::{Message, MessageQueue, Target};

/// Longest value of a property, bytes; the protocol has room for less.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// A message that can be sent, once or many times. Any thread may use it at any time; who made it
/// frees it, also while it is being sent.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_message;

#[derive(Clone, Default)]
pub(crate) struct Outgoing {
    pub(crate) message: Message,
    pub(crate) target: Target,
}

struct Held(Mutex<Outgoing>);

impl Object for Held {
    type C = rmq_message;
    const KIND: Kind = Kind::Message;
    const NAME: &'static str = "rmq_message";
}

/// A handle for a message.
pub(crate) fn held(message: Message) -> *mut rmq_message {
    let outgoing = Outgoing {
        message,
        target: Target::Any,
    };
    handle::issue(Held(Mutex::new(outgoing)))
}

/// A copy of a message; the body is shared.
pub(crate) fn copy(message: *const rmq_message) -> Result<Outgoing, Fault> {
    let held = handle::get::<Held>(message)?;
    let outgoing = held.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(outgoing.clone())
}

/// Changes a message.
///
/// # Safety
/// As for `call`.
unsafe fn change(
    message: *mut rmq_message,
    error: *mut *mut rmq_error,
    act: impl FnOnce(&mut Outgoing) -> Result<(), Fault>,
) -> rmq_status {
    let body = || {
        let held = handle::get::<Held>(message)?;
        let mut outgoing = held.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut outgoing)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Makes a message.
///
/// @param topic A NUL-terminated name of 1 to 4,096 bytes, of which the protocol takes 127; copied.
/// @param body The body: any bytes, NUL among them; copied. NULL if `body_len` is 0.
/// @param body_len Bytes of the body.
/// @param out Where to store the message; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_new(
    topic: *const c_char,
    body: *const c_void,
    body_len: usize,
    out: *mut *mut rmq_message,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let make = || {
        let out = Out::new(out, "out")?;
        // SAFETY: the caller vouches for its text.
        let topic = unsafe { argument::name(topic, "topic") }?;
        // SAFETY: the caller vouches for its bytes.
        let body = unsafe { argument::bytes(body, body_len, "body") }?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(held(Message::new(topic, body))) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, make) }
}

/// Sets the tag, which consumers can choose by.
///
/// @param message A message.
/// @param tag A NUL-terminated text of 1 to 4,096 bytes; copied.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_tag(
    message: *mut rmq_message,
    tag: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        // SAFETY: the caller vouches for its text.
        let tag = unsafe { argument::name(tag, "tag") }?;
        outgoing.message.set_tag(tag);
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Sets the keys that the message can be looked for by.
///
/// @param message A message.
/// @param keys A NUL-terminated text of 1 to 4,096 bytes, with spaces between keys; copied.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_keys(
    message: *mut rmq_message,
    keys: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        // SAFETY: the caller vouches for its text.
        let keys = unsafe { argument::name(keys, "keys") }?;
        outgoing
            .message
            .set_keys(keys.split(' ').filter(|key| !key.is_empty()));
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Sets a property. Names that RocketMQ uses itself mean what they mean there.
///
/// @param message A message.
/// @param name A NUL-terminated name of 1 to 4,096 bytes; copied.
/// @param value A NUL-terminated text of at most 65,536 bytes; copied. The protocol takes 32,767
/// bytes of properties in all, which is told when the message is sent.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_property(
    message: *mut rmq_message,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        // SAFETY: the caller vouches for its texts.
        let name = unsafe { argument::name(name, "name") }?;
        // SAFETY: the same.
        let value = unsafe { argument::text(value, "value", VALUE_BYTES_MAX) }?;
        outgoing.message.set_property(&name, value);
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Has the broker deliver the message after the time of one of its delay levels.
///
/// @param message A message.
/// @param level From 1; the broker takes its highest for one above.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_delay_level(
    message: *mut rmq_message,
    level: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        if level < 1 {
            return Err(Fault::invalid(format!("level is {level}")));
        }
        outgoing.message.set_delay_level(level);
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Has the broker deliver the message this long after it was stored.
///
/// @param message A message.
/// @param delay_ms Milliseconds.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_delay_ms(
    message: *mut rmq_message,
    delay_ms: u64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        outgoing.message.set_delay_ms(delay_ms);
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Has the broker deliver the message at a time.
///
/// @param message A message.
/// @param deliver_at_ms Milliseconds since the epoch.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_deliver_at_ms(
    message: *mut rmq_message,
    deliver_at_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        outgoing.message.set_deliver_at_ms(deliver_at_ms);
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Sends the message to the queue that all messages of this key go to, while the topic keeps its
/// queues: they stay in order.
///
/// @param message A message.
/// @param key A NUL-terminated text of 1 to 4,096 bytes; copied.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_sharding_key(
    message: *mut rmq_message,
    key: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        // SAFETY: the caller vouches for its text.
        let key = unsafe { argument::name(key, "key") }?;
        outgoing.target = Target::ShardingKey(key);
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Sends the message to one queue.
///
/// @param message A message.
/// @param broker_name The NUL-terminated name of the broker, 1 to 4,096 bytes; copied.
/// @param queue_id The queue of the topic there, from 0.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_LIMIT`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_message_set_queue(
    message: *mut rmq_message,
    broker_name: *const c_char,
    queue_id: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |outgoing: &mut Outgoing| {
        // SAFETY: the caller vouches for its text.
        let broker_name = unsafe { argument::name(broker_name, "broker_name") }?;
        if queue_id < 0 {
            return Err(Fault::invalid(format!("queue_id is {queue_id}")));
        }
        outgoing.target = Target::Queue(MessageQueue {
            topic: outgoing.message.topic.clone(),
            broker_name,
            queue_id,
        });
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { change(message, error, act) }
}

/// Frees a message. Sends of it that are under way are not disturbed.
///
/// @param message A message; NULL, or one that was freed, is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_message_free(message: *mut rmq_message) {
    guard((), || drop(handle::take::<Held>(message)));
}
