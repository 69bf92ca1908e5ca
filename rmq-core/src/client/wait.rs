//! A place where a blocked caller finds what another thread puts there.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

#[derive(Debug)]
struct Place<T> {
    value: Mutex<Option<T>>,
    filled: Condvar,
}

/// One value from one thread to another; clones are the same slot.
#[derive(Debug)]
pub(crate) struct Slot<T>(Arc<Place<T>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Place {
            value: Mutex::new(None),
            filled: Condvar::new(),
        }))
    }

    /// Puts the value there and wakes who waits.
    pub(crate) fn put(&self, value: T) {
        *self.0.value.lock() = Some(value);
        self.0.filled.notify_all();
    }

    /// Waits for the value; `None` when it did not come within `timeout`.
    pub(crate) fn take(&self, timeout: Duration) -> Option<T> {
        let mut value = self.0.value.lock();
        let empty = |value: &mut Option<T>| value.is_none();
        self.0.filled.wait_while_for(&mut value, empty, timeout);
        value.take()
    }
}

/// Counts what is under way, so that somebody can wait for none.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    count: Mutex<usize>,
    none: Condvar,
}

impl Pending {
    /// Counts one more, unless there are `most`.
    pub(crate) fn enter(&self, most: usize) -> bool {
        let mut count = self.count.lock();
        let admitted = *count < most;
        *count += usize::from(admitted);
        admitted
    }

    /// One is over.
    pub(crate) fn leave(&self) {
        let mut count = self.count.lock();
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.none.notify_all();
        }
    }

    /// Waits until none is under way; false when some still are after `timeout`.
    pub(crate) fn wait_none(&self, timeout: Duration) -> bool {
        let mut count = self.count.lock();
        let some = |count: &mut usize| *count > 0;
        self.none.wait_while_for(&mut count, some, timeout);
        *count == 0
    }
}
