//! What the threads of a master share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering, fence};

use mio::Waker;
use parking_lot::{Condvar, Mutex, RwLock};

use super::MasterOptions;
use crate::base::clock::SharedClock;
use crate::base::thread::JoinHandle;
use crate::ha::acks::{Acks, Change};
use crate::ha::rate::Meter;
use crate::net::suspect::RateLimit;
use crate::store::Store;

/// A slave that is being served.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: u64,
    pub(super) remote: SocketAddr,
    /// Log offset of the next byte to send.
    pub(super) next: AtomicI64,
    pub(super) meter: Mutex<Meter>,
    waker: Waker,
    /// It has all there is and waits for more.
    asleep: AtomicBool,
}

impl Line {
    pub(super) fn new(id: u64, remote: SocketAddr, next: i64, waker: Waker) -> Self {
        Self {
            id,
            remote,
            next: AtomicI64::new(next),
            meter: Mutex::default(),
            waker,
            asleep: AtomicBool::new(false),
        }
    }

    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake a thread that serves a slave");
        }
    }
}

/// The slaves that are being served. Apart from what is shared, so that the hook of the store does
/// not keep the store.
#[derive(Debug, Default)]
pub(super) struct Lines {
    list: RwLock<Vec<Arc<Line>>>,
    asleep: AtomicUsize,
}

impl Lines {
    pub(super) fn add(&self, line: Arc<Line>) {
        self.list.write().push(line);
    }

    pub(super) fn remove(&self, line: &Line) {
        self.list.write().retain(|other| other.id != line.id);
        self.rise(line);
    }

    pub(super) fn all(&self) -> Vec<Arc<Line>> {
        self.list.read().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.list.read().len()
    }

    pub(super) fn wake_all(&self) {
        for line in self.list.read().iter() {
            line.wake();
        }
    }

    /// The log has grown. Costs no system call while those who serve slaves are busy.
    pub(super) fn grown(&self) {
        // Either this sees that one is asleep, or that one, falling asleep, sees the new end.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) == 0 {
            return;
        }
        for line in self.list.read().iter() {
            if self.rise(line) {
                line.wake();
            }
        }
    }

    /// The thread of `line` is about to wait for more; it must look for more once more after this.
    pub(super) fn lie_down(&self, line: &Line) {
        if !line.asleep.swap(true, Ordering::SeqCst) {
            self.asleep.fetch_add(1, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
    }

    /// It does not wait any more. Whether it did.
    pub(super) fn rise(&self, line: &Line) -> bool {
        let was_asleep = line.asleep.swap(false, Ordering::SeqCst);
        if was_asleep {
            self.asleep.fetch_sub(1, Ordering::SeqCst);
        }
        was_asleep
    }
}

/// What the threads of a master share.
pub(super) struct Shared {
    pub(super) options: MasterOptions,
    pub(super) store: Arc<Store>,
    pub(super) clock: SharedClock,
    pub(super) lines: Arc<Lines>,
    /// The threads that serve slaves, ended ones too until they are cleared away.
    pub(super) threads: Mutex<Vec<JoinHandle>>,
    pub(super) stopped: AtomicBool,
    next_id: AtomicU64,
    acks: Mutex<Acks>,
    /// Tells that an acknowledgement came.
    acked: Condvar,
    in_sync: AtomicUsize,
    warnings: Mutex<RateLimit>,
}

impl Shared {
    pub(super) fn new(options: MasterOptions, store: Arc<Store>, clock: SharedClock) -> Self {
        let acks = Acks::new(options.rules());
        Self {
            options,
            store,
            clock,
            lines: Arc::default(),
            threads: Mutex::default(),
            stopped: AtomicBool::new(false),
            next_id: AtomicU64::new(1),
            acks: Mutex::new(acks),
            acked: Condvar::new(),
            in_sync: AtomicUsize::new(0),
            warnings: Mutex::new(RateLimit::new(std::time::Duration::from_secs(1))),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    /// End of the log.
    pub(super) fn end(&self) -> i64 {
        self.store.watermarks().appended()
    }

    /// Slaves in sync.
    pub(super) fn in_sync(&self) -> usize {
        self.in_sync.load(Ordering::Relaxed)
    }

    /// Lets something happen to the acknowledgements, and the store know what follows.
    pub(super) fn settle(&self, event: impl FnOnce(&mut Acks, i64, u64) -> Change) {
        let replicated = {
            let mut acks = self.acks.lock();
            // Under the lock, so that neither goes back.
            let (end, now_ms) = (self.end(), self.now_ms());
            let change = event(&mut acks, end, now_ms);
            self.in_sync.store(acks.in_sync(), Ordering::Relaxed);
            if let Some(enough) = change.enough {
                // Under the lock, so that the last one told is the true one.
                self.store.await_replication(enough);
                self.tell(enough, acks.in_sync());
            }
            change.replicated
        };
        self.acked.notify_all();
        if let Some(replicated) = replicated {
            self.store.set_replicated(replicated);
        }
    }

    fn tell(&self, enough: bool, in_sync: usize) {
        if enough {
            tracing::info!(in_sync, "enough slaves are in sync: senders wait for them");
        } else if !self.is_stopped() {
            tracing::warn!(
                in_sync,
                "too few slaves are in sync: senders are told that no slave is available"
            );
        }
    }

    /// Reads the acknowledgements.
    pub(super) fn with_acks<T>(&self, read: impl FnOnce(&Acks) -> T) -> T {
        read(&self.acks.lock())
    }

    /// Waits until the slaves in sync have all of the log, at most until `until`, monotonic.
    pub(super) fn drain(&self, until: std::time::Duration) {
        let end = self.end();
        let mut acks = self.acks.lock();
        while acks.any_behind(end) {
            let left = until.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return;
            }
            self.acked.wait_for(&mut acks, left);
        }
    }

    /// Says why a connection is closed, once a second at most.
    pub(super) fn warn(&self, peer: SocketAddr, why: &dyn std::fmt::Display) {
        if let Some(suppressed) = self.warnings.lock().pass(self.clock.monotonic()) {
            tracing::warn!(%peer, suppressed, "replication connection closed: {why}");
        }
    }
}
