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

/// So many bytes may be under way at a time.
#[derive(Debug, Default)]
pub(crate) struct Room {
    used: Mutex<usize>,
    freed: Condvar,
}

impl Room {
    /// Takes room for `bytes`, of `most`; waits for it at most so long. What is larger than `most`
    /// is let in when nothing else is.
    pub(crate) fn take(&self, bytes: usize, most: usize, timeout: Duration) -> bool {
        let mut used = self.used.lock();
        let full = |used: &mut usize| *used > 0 && used.saturating_add(bytes) > most;
        if !timeout.is_zero() {
            self.freed.wait_while_for(&mut used, full, timeout);
        }
        let admitted = !full(&mut used);
        if admitted {
            *used = used.saturating_add(bytes);
        }
        admitted
    }

    /// Gives room back.
    pub(crate) fn give(&self, bytes: usize) {
        let mut used = self.used.lock();
        *used = used.saturating_sub(bytes);
        self.freed.notify_all();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_for_so_many_bytes_or_for_one() {
        const NONE: Duration = Duration::ZERO;
        let room = Room::default();
        assert!(room.take(7, 10, NONE) && room.take(3, 10, NONE));
        assert!(!room.take(1, 10, NONE) && !room.take(1, 10, Duration::from_millis(1)));
        room.give(3);
        assert!(room.take(3, 10, NONE));
        room.give(10);
        assert!(room.take(99, 10, NONE), "alone anything fits");
        assert!(!room.take(0, 10, NONE));
        room.give(99);
        assert!(room.take(10, 10, Duration::MAX));
    }
}
