//! The line no panic crosses: unwinding into C is undefined behaviour.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the body of an exported function; a panic in it becomes `on_panic`.
///
/// The panic itself is reported by the hook of the process before it is caught here, so nothing is
/// swallowed. Values that the body was changing when it panicked must not be used again: an
/// exported function that owns a handle marks it failed before it returns `on_panic`.
pub(crate) fn guard<T>(on_panic: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(on_panic)
}

#[cfg(test)]
mod tests {
    use super::guard;

    #[test]
    fn value_passes_through() {
        assert_eq!(guard(-1, || 7), 7);
    }

    #[test]
    fn panic_becomes_the_fallback() {
        assert_eq!(guard(-1, || panic!("on purpose")), -1);
    }
}
