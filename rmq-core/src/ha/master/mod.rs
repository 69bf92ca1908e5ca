//! A master's end of replication.

mod accept;
mod outgoing;
mod session;
mod shared;
mod thread;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Poll, Token, Waker};

use crate::base::clock::SharedClock;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::thread::{JoinHandle, ProcessMark};
use crate::ha::acks::{InSync, Rules};
use crate::net::{Fence, FenceWatch};
use crate::store::Store;
use shared::Shared;

/// How long threads are waited for when a master is killed or dropped.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
const WAKER: Token = Token(0);

/// Settings of a [`Master`]. Times in ms.
#[derive(Clone, Debug)]
pub struct MasterOptions {
    /// Where slaves connect to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Bytes of a frame at most. Slaves of Apache's take up to 4 MiB.
    pub batch_bytes: usize,
    /// Longest silence of this side.
    pub heartbeat_ms: u64,
    /// Silence of a slave after which its connection is closed.
    pub housekeeping_ms: u64,
    /// Longest lag of a slave in sync.
    pub ack_timeout_ms: u64,
    /// Most bytes that a slave in sync lacks.
    pub max_gap_bytes: i64,
    /// Bytes that each slave is sent in a second at most.
    pub bytes_per_second: Option<u64>,
    /// What senders wait for; `None` when they do not wait for slaves.
    pub in_sync: Option<InSync>,
    /// Who cannot reach this master.
    pub fence: Fence,
    /// Slaves at a time.
    pub max_slaves: usize,
    /// Connections at a time that have not reported yet; one more takes the place of the oldest.
    pub max_unreported: usize,
}

impl Default for MasterOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 10912)),
            batch_bytes: 32 << 10,
            heartbeat_ms: 5_000,
            housekeeping_ms: 20_000,
            ack_timeout_ms: 3_000,
            max_gap_bytes: 256 << 20,
            bytes_per_second: None,
            in_sync: None,
            fence: Fence::default(),
            max_slaves: 64,
            max_unreported: 64,
        }
    }
}

impl MasterOptions {
    fn rules(&self) -> Rules {
        Rules {
            ack_timeout_ms: self.ack_timeout_ms,
            max_gap_bytes: self.max_gap_bytes,
            in_sync: self.in_sync,
        }
    }
}

/// The state of replication at a master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MasterStatus {
    /// End of the log.
    pub end: i64,
    /// Slaves in sync.
    pub in_sync: usize,
    /// Connected slaves.
    pub slaves: Vec<SlaveLine>,
}

/// One connected slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlaveLine {
    /// Its end of the connection.
    pub address: SocketAddr,
    /// It holds the log up to here.
    pub ack: i64,
    /// Bytes that it lacks.
    pub gap_bytes: i64,
    /// Time since it had all of the log, ms. `None`: never since it connected.
    pub lag_ms: Option<u64>,
    /// Whether it keeps up.
    pub in_sync: bool,
    /// Bytes that it was sent in the last second.
    pub bytes_per_second: u64,
    /// Log offset of the next byte that it will be sent.
    pub transfer_from: i64,
}

/// Serves slaves. All methods may be called from any thread.
///
/// Dropping it is like [`kill`](Self::kill); in a forked child it does nothing.
pub struct Master {
    shared: Arc<Shared>,
    address: SocketAddr,
    waker: Arc<Waker>,
    thread: JoinHandle,
    process: ProcessMark,
    _fence: FenceWatch,
}

impl Master {
    /// Listens for slaves of `store`. `AddressInUse`, `Permission`, `Io`: it cannot.
    pub fn start(options: MasterOptions, store: Arc<Store>, clock: SharedClock) -> Result<Self> {
        let fail = |e| Error::io("ha.master", "cannot make an event loop", e);
        let poll = Poll::new().map_err(fail)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(fail)?);
        let shared = Arc::new(Shared::new(options, store, clock));
        let acceptor = accept::Acceptor::bind(Arc::clone(&shared), poll)?;
        let address = acceptor.address();
        if shared.options.in_sync.is_some() {
            shared.store.await_replication(false);
        }
        let lines = Arc::clone(&shared.lines);
        shared.store.on_append(Box::new(move || lines.grown()));
        let (lines, own) = (Arc::clone(&shared.lines), Arc::clone(&waker));
        let fence = shared.options.fence.on_change(Box::new(move || {
            let _ = own.wake();
            lines.wake_all();
        }));
        let thread = crate::base::thread::spawn("rmq-ha-accept", move || acceptor.run())?;
        Ok(Self {
            shared,
            address,
            waker,
            thread,
            process: ProcessMark::current(),
            _fence: fence,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Copies of the log that keep up, this one included. Cheap.
    #[must_use]
    pub fn in_sync_replicas(&self) -> usize {
        self.shared.in_sync() + 1
    }

    /// How its slaves are doing.
    #[must_use]
    pub fn status(&self) -> MasterStatus {
        let shared = &self.shared;
        let (end, now_ms) = (shared.end(), shared.now_ms());
        let lines = shared.lines.all();
        let slaves = shared.with_acks(|acks| {
            let line = |line: Arc<shared::Line>| {
                let progress = acks.progress(line.id, end, now_ms)?;
                Some(SlaveLine {
                    address: line.remote,
                    ack: progress.ack,
                    gap_bytes: progress.gap_bytes,
                    lag_ms: progress.lag_ms,
                    in_sync: progress.in_sync,
                    bytes_per_second: line.meter.lock().per_second(now_ms),
                    transfer_from: line.next.load(Ordering::Relaxed),
                })
            };
            lines.into_iter().filter_map(line).collect()
        });
        MasterStatus {
            end,
            in_sync: shared.in_sync(),
            slaves,
        }
    }

    /// Stops serving, after the slaves in sync had up to half of `deadline` to get what they lack;
    /// nothing should be appended any more. A second call does nothing.
    ///
    /// `Timeout`: a thread did not end in time.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.process.check("ha.master.close")?;
        let begun = self.shared.clock.monotonic();
        self.shared.drain(begun + deadline / 2);
        let passed = self.shared.clock.monotonic() - begun;
        self.stop(deadline.saturating_sub(passed))
    }

    /// Stops serving at once.
    pub fn kill(&self) {
        if self.process.is_current()
            && let Err(error) = self.stop(KILL_DEADLINE)
        {
            tracing::error!(%error, "a thread of replication does not end");
        }
    }

    fn stop(&self, deadline: Duration) -> Result<()> {
        let clock = &self.shared.clock;
        let until = clock.monotonic() + deadline;
        self.shared.stopped.store(true, Ordering::SeqCst);
        let woken = self.waker.wake();
        woken.map_err(|e| Error::io("ha.master.close", "wake", e))?;
        self.thread.join_deadline(deadline)?;
        // No more are started now.
        self.shared.lines.wake_all();
        let threads = std::mem::take(&mut *self.shared.threads.lock());
        let mut ended = Ok(());
        for thread in threads {
            let left = until.saturating_sub(clock.monotonic());
            let joined = thread.join_deadline(left);
            if let Err(error) = joined {
                if error.kind() == ErrorKind::Timeout {
                    self.shared.threads.lock().push(thread);
                }
                ended = Err(error);
            }
        }
        ended
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.kill();
    }
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Master")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
