//! What became of a message that was sent.

use std::ffi::{CString, c_char};

use crate::boundary::guard;
use crate::handle::{self, Kind, Object, c_text};
use rmq_core::embed::{SendResult, SendStatus};

/// Stored as safely as the broker promises.
pub const RMQ_SEND_OK: i32 = 0;
/// Stored, but not flushed in time.
pub const RMQ_SEND_FLUSH_DISK_TIMEOUT: i32 = 1;
/// Stored, but not replicated in time.
pub const RMQ_SEND_FLUSH_SLAVE_TIMEOUT: i32 = 2;
/// Stored, but there is no slave to replicate to.
pub const RMQ_SEND_SLAVE_NOT_AVAILABLE: i32 = 3;

/// What became of a message. It does not change, so every thread may read it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_send_result;

pub(crate) struct Sent {
    status: i32,
    msg_id: CString,
    offset_msg_id: CString,
    broker_name: CString,
    queue_id: i32,
    queue_offset: i64,
    recall_handle: Option<CString>,
    /// As the producer gave it.
    pub(crate) given: SendResult,
}

impl Object for Sent {
    type C = rmq_send_result;
    const KIND: Kind = Kind::SendResult;
    const NAME: &'static str = "rmq_send_result";
}

impl From<SendResult> for Sent {
    fn from(result: SendResult) -> Self {
        Self {
            status: match result.status {
                SendStatus::Ok => RMQ_SEND_OK,
                SendStatus::FlushDiskTimeout => RMQ_SEND_FLUSH_DISK_TIMEOUT,
                SendStatus::FlushSlaveTimeout => RMQ_SEND_FLUSH_SLAVE_TIMEOUT,
                SendStatus::SlaveNotAvailable => RMQ_SEND_SLAVE_NOT_AVAILABLE,
            },
            msg_id: c_text(result.msg_id.as_str()),
            offset_msg_id: c_text(result.offset_msg_id.as_str()),
            broker_name: c_text(result.queue.broker_name.as_str()),
            queue_id: result.queue.queue_id,
            queue_offset: result.queue_offset,
            recall_handle: result.recall_handle.as_deref().map(c_text),
            given: result,
        }
    }
}

fn told<T>(result: *const rmq_send_result, otherwise: T, read: impl FnOnce(&Sent) -> T) -> T {
    guard(None, || Some(read(&*handle::get::<Sent>(result).ok()?))).unwrap_or(otherwise)
}

/// How safely the message is stored: one of the `RMQ_SEND_` numbers.
///
/// @param result A result, or NULL.
/// @return The value; -1 if `result` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_status(result: *const rmq_send_result) -> i32 {
    told(result, -1, |sent| sent.status)
}

/// The unique id of the message; of a batch, all of them with commas between them.
///
/// @param result A result, or NULL.
/// @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
/// `result` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_msg_id(result: *const rmq_send_result) -> *const c_char {
    told(result, std::ptr::null(), |sent| sent.msg_id.as_ptr())
}

/// The id that says where the message is stored; of a batch, all of them.
///
/// @param result A result, or NULL.
/// @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
/// `result` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_offset_msg_id(result: *const rmq_send_result) -> *const c_char {
    told(result, std::ptr::null(), |sent| sent.offset_msg_id.as_ptr())
}

/// The broker that has the message.
///
/// @param result A result, or NULL.
/// @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
/// `result` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_broker_name(result: *const rmq_send_result) -> *const c_char {
    told(result, std::ptr::null(), |sent| sent.broker_name.as_ptr())
}

/// The queue that the message is in.
///
/// @param result A result, or NULL.
/// @return The value; -1 if `result` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_queue_id(result: *const rmq_send_result) -> i32 {
    told(result, -1, |sent| sent.queue_id)
}

/// The offset of the message in its queue; of a batch, that of the first.
///
/// @param result A result, or NULL.
/// @return The value; -1 if `result` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_queue_offset(result: *const rmq_send_result) -> i64 {
    told(result, -1, |sent| sent.queue_offset)
}

/// With it a message with a delay can be recalled.
///
/// @param result A result, or NULL.
/// @return NUL-terminated text that lives until the result is freed, not to be freed; NULL if
/// there is none, or `result` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_recall_handle(result: *const rmq_send_result) -> *const c_char {
    told(result, std::ptr::null(), |sent| {
        let text = sent.recall_handle.as_ref();
        text.map_or(std::ptr::null(), |text| text.as_ptr())
    })
}

/// Frees a result and its texts.
///
/// @param result A result that a function stored; NULL, or one that was freed, is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_send_result_free(result: *mut rmq_send_result) {
    guard((), || drop(handle::take::<Sent>(result)));
}
