//! Error objects: what went wrong, for programs and for people.

use std::ffi::{CStr, CString, c_char};

use crate::boundary::guard;
use crate::handle::{self, Kind, Object, c_text};
use crate::status::{
    RMQ_E_CLOSED, RMQ_E_FORKED, RMQ_E_HANDLE, RMQ_E_INTERNAL, RMQ_E_INVALID, RMQ_E_LIMIT, of_kind,
    rmq_status,
};
use rmq_core::embed::Error;

/// What went wrong. It does not change, so every thread may read it; who got it frees it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_error;

/// A failed call.
#[derive(Debug)]
pub(crate) struct Fault {
    status: rmq_status,
    broker_code: i32,
    message: CString,
    retriable: bool,
    fatal: bool,
}

impl Object for Fault {
    type C = rmq_error;
    const KIND: Kind = Kind::Error;
    const NAME: &'static str = "rmq_error";
}

impl Fault {
    pub(crate) fn new(status: rmq_status, message: impl Into<String>) -> Self {
        let fatal = [RMQ_E_HANDLE, RMQ_E_CLOSED, RMQ_E_FORKED, RMQ_E_INTERNAL];
        Self {
            status,
            broker_code: -1,
            message: c_text(message),
            retriable: false,
            fatal: fatal.contains(&status),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RMQ_E_INVALID, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(RMQ_E_LIMIT, message)
    }

    pub(crate) fn status(&self) -> rmq_status {
        self.status
    }

    #[cfg(test)]
    pub(crate) fn message(&self) -> &str {
        self.message.to_str().unwrap()
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        Self {
            status: of_kind(kind),
            broker_code: kind.broker_code().unwrap_or(-1),
            message: c_text(error.to_string()),
            retriable: kind.retriable(),
            fatal: kind.fatal(),
        }
    }
}

/// What `read` tells of an error, or `otherwise` when the handle is none.
fn told<T>(error: *const rmq_error, otherwise: T, read: impl FnOnce(&Fault) -> T) -> T {
    guard(None, || Some(read(&*handle::get::<Fault>(error).ok()?))).unwrap_or(otherwise)
}

/// The status that came with an error.
///
/// @param error An error, or NULL.
/// @return The status; `RMQ_E_HANDLE` if `error` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_error_status(error: *const rmq_error) -> rmq_status {
    told(error, RMQ_E_HANDLE, Fault::status)
}

/// RocketMQ's response code, if the status is `RMQ_E_BROKER`.
///
/// @param error An error, or NULL.
/// @return The code, or -1.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_error_broker_code(error: *const rmq_error) -> i32 {
    told(error, -1, |fault| fault.broker_code)
}

/// What went wrong, as a sentence for a person.
///
/// @param error An error, or NULL.
/// @return NUL-terminated UTF-8 that lives until the error is freed; never NULL. Do not free it.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_error_message(error: *const rmq_error) -> *const c_char {
    const NONE: &CStr = c"no error";
    // The text does not move while the table holds its owner.
    told(error, NONE.as_ptr(), |fault| fault.message.as_ptr())
}

/// Whether the same call may succeed later without anything being changed.
///
/// @param error An error, or NULL.
/// @return False if `error` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_error_is_retriable(error: *const rmq_error) -> bool {
    told(error, false, |fault| fault.retriable)
}

/// Whether the handle that the call was made with is of no further use.
///
/// @param error An error, or NULL.
/// @return False if `error` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_error_is_fatal(error: *const rmq_error) -> bool {
    told(error, false, |fault| fault.fatal)
}

/// Frees an error and its message.
///
/// @param error An error; NULL, or one that was freed, is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_error_free(error: *mut rmq_error) {
    guard((), || drop(handle::take::<Fault>(error)));
}
