//! What every exported function does first and last: no panic crosses, a failure becomes a status
//! and, for who wants it, an error object.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Fault, rmq_error};
use crate::handle;
use crate::status::{RMQ_E_INTERNAL, RMQ_E_WOULD_DEADLOCK, RMQ_OK, rmq_status};

/// Runs the body of an exported function; a panic in it becomes `on_panic`.
///
/// The panic itself is reported by the hook of the process before it is caught here, so nothing is
/// swallowed. Values that the body was changing when it panicked must not be used again: an
/// exported function that owns a handle marks it failed before it returns `on_panic`.
pub(crate) fn guard<T>(on_panic: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(on_panic)
}

/// Runs the body of a function that answers with a status, and stores its error object.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn call(
    error: *mut *mut rmq_error,
    body: impl FnOnce() -> Result<(), Fault>,
) -> rmq_status {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&'static str>().copied();
        let text = text.or(panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a value that is not text");
        Err(Fault::new(RMQ_E_INTERNAL, format!("a panic: {text}")))
    });
    let (status, object) = match outcome {
        Ok(()) => (RMQ_OK, std::ptr::null_mut()),
        Err(fault) if error.is_null() => (fault.status(), std::ptr::null_mut()),
        Err(fault) => {
            let status = fault.status();
            let object = guard(std::ptr::null_mut(), || handle::issue(fault));
            (status, object)
        }
    };
    if !error.is_null() {
        // SAFETY: the caller of this function vouches for it.
        unsafe { error.write(object) };
    }
    status
}

/// The same for a function that may wait, which a callback of the library must not.
///
/// # Safety
/// As for `call`.
pub(crate) unsafe fn call_waiting(
    error: *mut *mut rmq_error,
    body: impl FnOnce() -> Result<(), Fault>,
) -> rmq_status {
    let body = || {
        if in_callback() {
            let why = "this function may wait, so no callback of the library may call it";
            return Err(Fault::new(RMQ_E_WOULD_DEADLOCK, why));
        }
        handle::end_buried();
        body()
    };
    // SAFETY: the caller of this function vouches for it.
    unsafe { call(error, body) }
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a callback of the host.
pub(crate) fn in_callback() -> bool {
    IN_CALLBACK.try_with(Cell::get).unwrap_or(false)
}

/// Runs a callback of the host unless this thread is inside one already.
pub(crate) fn run_callback(callback: impl FnOnce()) {
    if !in_callback() && IN_CALLBACK.try_with(|inside| inside.set(true)).is_ok() {
        callback();
        let _ = IN_CALLBACK.try_with(|inside| inside.set(false));
    }
}

/// Runs a callback that must not be left out.
pub(crate) fn in_new_callback(callback: impl FnOnce()) {
    let outer = IN_CALLBACK.try_with(|inside| inside.replace(true));
    callback();
    if let Ok(outer) = outer {
        let _ = IN_CALLBACK.try_with(|inside| inside.set(outer));
    }
}

/// A place of the caller's for a result, which is written on success only.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Refuses NULL.
    pub(crate) fn new(place: *mut T, name: &str) -> Result<Self, Fault> {
        match place.is_null() {
            true => Err(Fault::invalid(format!("{name} is NULL"))),
            false => Ok(Self(place)),
        }
    }

    /// Writes the result.
    ///
    /// # Safety
    /// The place can be written.
    pub(crate) unsafe fn set(self, value: T) {
        // SAFETY: it is not NULL, and the caller vouches for the rest.
        unsafe { self.0.write(value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_passes_through() {
        assert_eq!(guard(-1, || 7), 7);
    }

    #[test]
    fn panic_becomes_the_fallback() {
        assert_eq!(guard(-1, || panic!("on purpose")), -1);
    }

    #[test]
    fn a_panic_becomes_a_status_and_an_error() {
        let mut error = std::ptr::null_mut();
        // SAFETY: the place is a local variable.
        let status = unsafe { call(&raw mut error, || panic!("on purpose {}", 7)) };
        assert_eq!(status, RMQ_E_INTERNAL);
        let fault = handle::take::<Fault>(error).unwrap();
        assert_eq!(fault.message(), "a panic: on purpose 7");
        // SAFETY: NULL is allowed.
        let status = unsafe { call(std::ptr::null_mut(), || panic!("on purpose")) };
        assert_eq!(status, RMQ_E_INTERNAL);
    }

    #[test]
    fn a_callback_does_not_nest_and_may_not_wait() {
        let (mut ran, mut nested) = (false, false);
        run_callback(|| {
            ran = true;
            run_callback(|| nested = true);
            // SAFETY: NULL is allowed.
            let status = unsafe { call_waiting(std::ptr::null_mut(), || Ok(())) };
            assert_eq!(status, RMQ_E_WOULD_DEADLOCK);
        });
        assert!(ran && !nested && !in_callback());
    }
}
