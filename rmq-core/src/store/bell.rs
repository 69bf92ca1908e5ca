//! How a thread of the store is woken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Wakes one waiting thread. Ringing twice before it wakes is ringing once.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    stopped: AtomicBool,
    lock: Mutex<()>,
    condvar: Condvar,
}

impl Bell {
    /// Wakes the thread, or lets its next wait end at once. Cheap when it was rung already.
    pub(super) fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            drop(self.lock.lock());
            self.condvar.notify_all();
        }
    }

    /// Makes every wait, now and later, end at once.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Whether `stop` was called.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Waits until the bell is rung or `timeout` is over. False when the thread should end.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let mut guard = self.lock.lock();
        let quiet = |_: &mut ()| !self.rung.load(Ordering::SeqCst) && !self.is_stopped();
        self.condvar.wait_while_for(&mut guard, quiet, timeout);
        self.rung.store(false, Ordering::SeqCst);
        !self.is_stopped()
    }

    /// Waits for `timeout` without hearing the bell. False when the thread should end.
    pub(super) fn pause(&self, timeout: Duration) -> bool {
        let mut guard = self.lock.lock();
        self.condvar
            .wait_while_for(&mut guard, |()| !self.is_stopped(), timeout);
        !self.is_stopped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_ring_before_the_wait_is_heard_once() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::from_secs(20)));
        assert!(bell.wait(Duration::from_millis(1)));
    }

    #[test]
    fn stop_ends_waits_and_pauses() {
        let bell = Arc::new(Bell::default());
        let waiting = Arc::clone(&bell);
        let thread = crate::base::thread::spawn("rmq-test-bell", move || {
            while waiting.wait(Duration::from_secs(20)) {}
            assert!(!waiting.pause(Duration::from_secs(20)));
        });
        bell.ring();
        bell.stop();
        thread
            .unwrap()
            .join_deadline(Duration::from_secs(20))
            .unwrap();
    }
}
