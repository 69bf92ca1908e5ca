//! Queues of topics, and lists of them.

use std::ffi::{CString, c_char};

use crate::argument;
use crate::boundary::guard;
use crate::error::Fault;
use crate::handle::{self, Kind, Object, c_text};
use rmq_core::embed::MessageQueue;

/// Most queues that are taken at a time.
const QUEUES_MAX: usize = 1 << 20;

/// One queue of a topic.
#[allow(non_camel_case_types, reason = "the name in C")]
#[repr(C)]
pub struct rmq_queue {
    /// NUL-terminated.
    pub topic: *const c_char,
    /// The broker's name, NUL-terminated.
    pub broker_name: *const c_char,
    /// Its number there, from 0.
    pub queue_id: i32,
}

/// A list of queues. It does not change, so every thread may read it; who got it frees it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_queues;

pub(crate) struct Queues {
    /// What `seen` leads to.
    _texts: Vec<(CString, CString)>,
    seen: Vec<rmq_queue>,
}

// SAFETY: its pointers lead to its own texts, which nobody changes.
unsafe impl Send for Queues {}
// SAFETY: the same.
unsafe impl Sync for Queues {}

impl Object for Queues {
    type C = rmq_queues;
    const KIND: Kind = Kind::Queues;
    const NAME: &'static str = "rmq_queues";
}

impl From<Vec<MessageQueue>> for Queues {
    fn from(queues: Vec<MessageQueue>) -> Self {
        let ids: Vec<i32> = queues.iter().map(|queue| queue.queue_id).collect();
        let texts = queues.into_iter();
        let texts: Vec<_> = texts
            .map(|queue| (c_text(queue.topic), c_text(queue.broker_name)))
            .collect();
        // The bytes of a text stay where they are when the text moves.
        let seen = texts.iter().zip(ids);
        let seen = seen.map(|((topic, broker_name), queue_id)| rmq_queue {
            topic: topic.as_ptr(),
            broker_name: broker_name.as_ptr(),
            queue_id,
        });
        Self {
            seen: seen.collect(),
            _texts: texts,
        }
    }
}

/// A queue as the program names it.
///
/// # Safety
/// `queue` is NULL, or can be read, as the texts in it can be.
pub(crate) unsafe fn queue(queue: *const rmq_queue) -> Result<MessageQueue, Fault> {
    // SAFETY: the caller vouches for it.
    let queue = unsafe { queue.as_ref() }.ok_or_else(|| Fault::invalid("queue is NULL"))?;
    Ok(MessageQueue {
        // SAFETY: the caller vouches for its texts.
        topic: unsafe { argument::name(queue.topic, "topic") }?,
        // SAFETY: the same.
        broker_name: unsafe { argument::name(queue.broker_name, "broker_name") }?,
        queue_id: queue.queue_id,
    })
}

/// Queues as the program names them.
///
/// # Safety
/// `queues` is NULL, or `count` of them can be read, as the texts in them can be.
pub(crate) unsafe fn queues(
    queues: *const rmq_queue,
    count: usize,
) -> Result<Vec<MessageQueue>, Fault> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if queues.is_null() {
        return Err(Fault::invalid("queues is NULL"));
    }
    if count > QUEUES_MAX {
        return Err(Fault::limit(format!("more than {QUEUES_MAX} queues")));
    }
    let each = (0..count).map(|index| {
        // SAFETY: the caller vouches for `count` queues.
        unsafe { queue(queues.add(index)) }
    });
    each.collect()
}

/// How many queues there are.
///
/// @param queues Queues, or NULL.
/// @return The number; 0 if `queues` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_queues_count(queues: *const rmq_queues) -> usize {
    guard(0, || {
        handle::get::<Queues>(queues).map_or(0, |queues| queues.seen.len())
    })
}

/// The broker of a queue.
///
/// @param queues Queues, or NULL.
/// @param index From 0 to less than `rmq_queues_count`.
/// @return NUL-terminated text that lives until the queues are freed, not to be freed; NULL if
/// there is none of that index, or `queues` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_queues_broker_name(queues: *const rmq_queues, index: usize) -> *const c_char {
    guard(std::ptr::null(), || {
        let queues = handle::get::<Queues>(queues).ok();
        let name = queues.and_then(|queues| queues.seen.get(index).map(|queue| queue.broker_name));
        name.unwrap_or(std::ptr::null())
    })
}

/// The number of a queue at its broker.
///
/// @param queues Queues, or NULL.
/// @param index From 0 to less than `rmq_queues_count`.
/// @return The number; -1 if there is none of that index, or `queues` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_queues_queue_id(queues: *const rmq_queues, index: usize) -> i32 {
    guard(-1, || {
        let queues = handle::get::<Queues>(queues).ok();
        queues
            .and_then(|queues| queues.seen.get(index).map(|queue| queue.queue_id))
            .unwrap_or(-1)
    })
}

/// The queues one after the other, as functions of pull consumers take them.
///
/// @param queues Queues, or NULL.
/// @return `rmq_queues_count` queues that live until the list is freed, not to be freed; NULL if
/// there is none, or `queues` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_queues_data(queues: *const rmq_queues) -> *const rmq_queue {
    guard(std::ptr::null(), || {
        let queues = handle::get::<Queues>(queues).ok();
        queues.map_or(std::ptr::null(), |queues| match queues.seen.is_empty() {
            true => std::ptr::null(),
            false => queues.seen.as_ptr(),
        })
    })
}

/// Frees queues and their texts.
///
/// @param queues Queues that a function stored; NULL, or some that were freed, are left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_queues_free(queues: *mut rmq_queues) {
    guard((), || drop(handle::take::<Queues>(queues)));
}
