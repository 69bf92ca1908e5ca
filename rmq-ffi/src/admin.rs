//! Administration: topics, groups, offsets, and every other command by its name.

use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::argument;
use crate::boundary::{Out, call_waiting, guard};
use crate::config::{self, rmq_config};
use crate::error::{Fault, rmq_error};
use crate::handle::{self, Kind, Object};
use crate::status::{RMQ_E_CLOSED, RMQ_E_NOT_FOUND, rmq_status};
use crate::text::{self, rmq_text};
use rmq_core::embed::{
    Admin, MessageQueue, SubscriptionGroupConfig, TopicConfig, admin_invoke, admin_options,
};

/// Longest text of arguments, bytes.
const ARGS_BYTES_MAX: usize = 1 << 20;

/// Looks at a cluster and changes it. Any thread may use it at any time; it is freed by
/// `rmq_admin_free`.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_admin;

struct Operator {
    inner: Admin,
    closed: AtomicBool,
}

impl Object for Operator {
    type C = rmq_admin;
    const KIND: Kind = Kind::Admin;
    const NAME: &'static str = "rmq_admin";
}

/// Does something with an admin client that was not closed.
///
/// # Safety
/// As for `call_waiting`.
unsafe fn with(
    admin: *const rmq_admin,
    error: *mut *mut rmq_error,
    act: impl FnOnce(&Admin) -> Result<(), Fault>,
) -> rmq_status {
    let body = || {
        let operator = handle::get::<Operator>(admin)?;
        if operator.closed.load(Ordering::SeqCst) {
            return Err(Fault::new(RMQ_E_CLOSED, "the rmq_admin is closed"));
        }
        act(&operator.inner)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Hands a text out, if it is wanted.
///
/// # Safety
/// `out` is NULL or can be written.
unsafe fn store(out: *mut *mut rmq_text, json: String) {
    if let Ok(out) = Out::new(out, "out") {
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(text::issue(json)) };
    }
}

/// A text as a string of JSON.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Starts an admin client. Nothing is asked of the network yet. Its functions wait for at most a
/// few times "mqClientApiTimeout" (3,000 ms unless said) for each server that they ask.
///
/// @param config Keys named as the fields of Apache's Java client, of which "namesrvAddr" is
/// needed; others are "namespace", "clientIP", "instanceName", "unitName", "mqClientApiTimeout".
/// Only read.
/// @param out Where to store the admin client; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value, no nameserver),
/// `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK` and what the host's system refuses.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_start(
    config: *const rmq_config,
    out: *mut *mut rmq_admin,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let operator = Operator {
            inner: Admin::start(admin_options(&config::keys(config)?)?)?,
            closed: AtomicBool::new(false),
        };
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(operator)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Runs a command of `mqadmin` by its name; docs/ADMIN.md lists the commands.
///
/// @param admin An admin client.
/// @param command A NUL-terminated name, for example "topicStatus".
/// @param args_json A JSON object of the command's arguments by their long names, for example
/// {"topic":"T"}, NUL-terminated, of at most 1,048,576 bytes; NULL or "" for none.
/// @param out Where to store the answer, JSON, which the caller frees; NULL if it is not wanted.
/// Written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`; `RMQ_E_INVALID` for a command or arguments that do not exist;
/// `RMQ_E_NOT_FOUND` for what is not there; `RMQ_E_BROKER` with the code of a server that refused;
/// `RMQ_E_UNREACHABLE`, `RMQ_E_TIMEOUT`, `RMQ_E_LIMIT`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_invoke(
    admin: *mut rmq_admin,
    command: *const c_char,
    args_json: *const c_char,
    out: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let command = unsafe { argument::name(command, "command") }?;
        let arguments = match args_json.is_null() {
            true => String::new(),
            // SAFETY: the same.
            false => unsafe { argument::text(args_json, "args_json", ARGS_BYTES_MAX) }?,
        };
        let answer = admin_invoke(admin, &command, &arguments)?;
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, answer) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// Creates or changes a topic on every master.
///
/// @param admin An admin client.
/// @param topic A NUL-terminated name.
/// @param queue_nums Queues on each broker, read and written.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_create_topic(
    admin: *mut rmq_admin,
    topic: *const c_char,
    queue_nums: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let topic = unsafe { argument::name(topic, "topic") }?;
        if queue_nums < 1 {
            return Err(Fault::invalid(format!("queue_nums is {queue_nums}")));
        }
        Ok(admin.create_topic(&TopicConfig {
            read_queue_nums: queue_nums,
            write_queue_nums: queue_nums,
            ..TopicConfig::new(topic)
        })?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// Deletes a topic with its messages, on every master and in every nameserver.
///
/// @param admin An admin client.
/// @param topic A NUL-terminated name.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_delete_topic(
    admin: *mut rmq_admin,
    topic: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let topic = unsafe { argument::name(topic, "topic") }?;
        Ok(admin.delete_topic(&topic)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// Creates a consumer group with the default settings on every master, or gives it those.
///
/// @param admin An admin client.
/// @param group A NUL-terminated name.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_create_group(
    admin: *mut rmq_admin,
    group: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let group = unsafe { argument::name(group, "group") }?;
        Ok(admin.create_group(&SubscriptionGroupConfig::new(group))?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// Deletes a consumer group with its offsets, on every master.
///
/// @param admin An admin client.
/// @param group A NUL-terminated name.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_delete_group(
    admin: *mut rmq_admin,
    group: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let group = unsafe { argument::name(group, "group") }?;
        Ok(admin.delete_group(&group)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// Asks for an offset of a queue.
///
/// # Safety
/// As for `with`; `topic` and `broker_name` as for `argument::name`; `out` is NULL or can be
/// written.
unsafe fn offset(
    admin: *const rmq_admin,
    (topic, broker_name, queue_id): (*const c_char, *const c_char, i32),
    out: *mut i64,
    error: *mut *mut rmq_error,
    ask: impl FnOnce(&Admin, &MessageQueue) -> Result<i64, Fault>,
) -> rmq_status {
    let act = |admin: &Admin| {
        let out = Out::new(out, "offset")?;
        let queue = MessageQueue {
            // SAFETY: the caller vouches for its text.
            topic: unsafe { argument::name(topic, "topic") }?,
            // SAFETY: the same.
            broker_name: unsafe { argument::name(broker_name, "broker_name") }?,
            queue_id,
        };
        let found = ask(admin, &queue)?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(found) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// The first offset that a queue still has.
///
/// @param admin An admin client.
/// @param topic A NUL-terminated name.
/// @param broker_name The queue's broker, NUL-terminated.
/// @param queue_id The queue's number there.
/// @param offset Where to store the offset; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_min_offset(
    admin: *mut rmq_admin,
    topic: *const c_char,
    broker_name: *const c_char,
    queue_id: i32,
    offset: *mut i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let queue = (topic, broker_name, queue_id);
    let ask = |admin: &Admin, queue: &MessageQueue| Ok(admin.min_offset(queue)?);
    // SAFETY: the caller vouches for all of it.
    unsafe { self::offset(admin, queue, offset, error, ask) }
}

/// The offset that the next message of a queue will have.
///
/// @param admin An admin client.
/// @param topic A NUL-terminated name.
/// @param broker_name The queue's broker, NUL-terminated.
/// @param queue_id The queue's number there.
/// @param offset Where to store the offset; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_max_offset(
    admin: *mut rmq_admin,
    topic: *const c_char,
    broker_name: *const c_char,
    queue_id: i32,
    offset: *mut i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let queue = (topic, broker_name, queue_id);
    let ask = |admin: &Admin, queue: &MessageQueue| Ok(admin.max_offset(queue)?);
    // SAFETY: the caller vouches for all of it.
    unsafe { self::offset(admin, queue, offset, error, ask) }
}

/// The offset of the first message of a queue that was stored at a time or later; of a time after
/// the last message the end of the queue.
///
/// @param admin An admin client.
/// @param topic A NUL-terminated name.
/// @param broker_name The queue's broker, NUL-terminated.
/// @param queue_id The queue's number there.
/// @param timestamp_ms The time, ms since the epoch.
/// @param offset Where to store the offset; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_offset_at(
    admin: *mut rmq_admin,
    topic: *const c_char,
    broker_name: *const c_char,
    queue_id: i32,
    timestamp_ms: i64,
    offset: *mut i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let queue = (topic, broker_name, queue_id);
    let ask = |admin: &Admin, queue: &MessageQueue| Ok(admin.offset_at(queue, timestamp_ms)?);
    // SAFETY: the caller vouches for all of it.
    unsafe { self::offset(admin, queue, offset, error, ask) }
}

/// The offset that a consumer group committed in a queue.
///
/// @param admin An admin client.
/// @param group A NUL-terminated name.
/// @param topic A NUL-terminated name.
/// @param broker_name The queue's broker, NUL-terminated.
/// @param queue_id The queue's number there.
/// @param offset Where to store the offset; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`; `RMQ_E_NOT_FOUND` also when the group has committed none.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_committed_offset(
    admin: *mut rmq_admin,
    group: *const c_char,
    topic: *const c_char,
    broker_name: *const c_char,
    queue_id: i32,
    offset: *mut i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let queue = (topic, broker_name, queue_id);
    let ask = |admin: &Admin, queue: &MessageQueue| {
        // SAFETY: the caller vouches for its text.
        let group = unsafe { argument::name(group, "group") }?;
        let found = admin.committed_offset(&group, queue)?;
        let none = || Fault::new(RMQ_E_NOT_FOUND, format!("{group} has committed no offset"));
        found.ok_or_else(none)
    };
    // SAFETY: the caller vouches for all of it.
    unsafe { self::offset(admin, queue, offset, error, ask) }
}

/// Commits an offset for a consumer group, whose consumers go on from there when they start.
///
/// @param admin An admin client.
/// @param group A NUL-terminated name.
/// @param topic A NUL-terminated name.
/// @param broker_name The queue's broker, NUL-terminated.
/// @param queue_id The queue's number there.
/// @param offset The offset.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_commit_offset(
    admin: *mut rmq_admin,
    group: *const c_char,
    topic: *const c_char,
    broker_name: *const c_char,
    queue_id: i32,
    offset: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let mut committed = 0;
    let queue = (topic, broker_name, queue_id);
    let ask = |admin: &Admin, queue: &MessageQueue| {
        // SAFETY: the caller vouches for its text.
        let group = unsafe { argument::name(group, "group") }?;
        admin.commit_offset(&group, queue, offset)?;
        Ok(offset)
    };
    // SAFETY: the caller vouches for all of it but the place, which is a local variable.
    unsafe { self::offset(admin, queue, &raw mut committed, error, ask) }
}

/// Has the consumers of a group go on with what was stored at a time or later.
///
/// @param admin An admin client.
/// @param group A NUL-terminated name.
/// @param topic A NUL-terminated name.
/// @param timestamp_ms The time, ms since the epoch; -1 for the end.
/// @param out Where to store the new offsets by queue, JSON, which the caller frees; NULL if they
/// are not wanted. Written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_reset_offsets(
    admin: *mut rmq_admin,
    group: *const c_char,
    topic: *const c_char,
    timestamp_ms: i64,
    out: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let group = quoted(&unsafe { argument::name(group, "group") }?);
        // SAFETY: the same.
        let topic = quoted(&unsafe { argument::name(topic, "topic") }?);
        let arguments =
            format!("{{\"group\":{group},\"topic\":{topic},\"timestamp\":{timestamp_ms}}}");
        let answer = admin_invoke(admin, "resetOffsetByTime", &arguments)?;
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, answer) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// How far a consumer group has come: the command "consumerProgress".
///
/// @param admin An admin client.
/// @param group A NUL-terminated name.
/// @param topic A NUL-terminated name; NULL for all topics of the group.
/// @param out Where to store the answer, JSON, which the caller frees; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_consumer_progress(
    admin: *mut rmq_admin,
    group: *const c_char,
    topic: *const c_char,
    out: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let group = quoted(&unsafe { argument::name(group, "group") }?);
        let topic = match topic.is_null() {
            true => "null".to_owned(),
            // SAFETY: the same.
            false => quoted(&unsafe { argument::name(topic, "topic") }?),
        };
        let arguments = format!("{{\"group\":{group},\"topic\":{topic}}}");
        let answer = admin_invoke(admin, "consumerProgress", &arguments)?;
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, answer) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// Where a topic is: the command "topicRoute".
///
/// @param admin An admin client.
/// @param topic A NUL-terminated name.
/// @param out Where to store the answer, JSON, which the caller frees; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_route(
    admin: *mut rmq_admin,
    topic: *const c_char,
    out: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        // SAFETY: the caller vouches for its text.
        let topic = quoted(&unsafe { argument::name(topic, "topic") }?);
        let answer = admin_invoke(admin, "topicRoute", &format!("{{\"topic\":{topic}}}"))?;
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, answer) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// The brokers and clusters that are registered: the command "clusterList".
///
/// @param admin An admin client.
/// @param out Where to store the answer, JSON, which the caller frees; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_admin_invoke`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_cluster_list(
    admin: *mut rmq_admin,
    out: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let act = |admin: &Admin| {
        let answer = admin_invoke(admin, "clusterList", "")?;
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, answer) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { with(admin, error, act) }
}

/// Closes an admin client: its connections end. A second call does nothing and succeeds. The handle
/// stays valid until it is freed.
///
/// @param admin An admin client.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_admin_close(
    admin: *mut rmq_admin,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let operator = handle::get::<Operator>(admin)?;
        operator.closed.store(true, Ordering::SeqCst);
        operator.inner.close();
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Frees an admin client; one that was not closed is closed. Calls of other threads that are under
/// way end as if it was still there.
///
/// @param admin An admin client; NULL, or one that was freed, is left alone. In a forked child
/// nothing is done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_admin_free(admin: *mut rmq_admin) {
    guard((), || handle::release::<Operator>(admin));
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_are_quoted() {
        assert_eq!(
            super::quoted("a\"b\\c\n\u{e9}"),
            "\"a\\\"b\\\\c\\u000a\u{e9}\""
        );
    }
}
