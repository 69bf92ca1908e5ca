//! A slave's end of replication.

mod connect;
mod receiver;
mod thread;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::{Poll, Token, Waker};
use parking_lot::Mutex;

use crate::base::backoff::BackoffConfig;
use crate::base::clock::SharedClock;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::thread::{JoinHandle, ProcessMark};
use crate::ha::rate::Meter;
use crate::net::{Fence, FenceWatch};
use crate::store::Store;

/// How long the thread is waited for when a slave is killed or dropped.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
const WAKER: Token = Token(0);

/// Settings of a [`Slave`]. Times in ms.
#[derive(Clone, Debug)]
pub struct SlaveOptions {
    /// Report what is durable rather than what is in the log: the slave of a SYNC_FLUSH pair.
    pub ack_flushed: bool,
    /// Longest silence of this side.
    pub heartbeat_ms: u64,
    /// Silence of the master after which the connection is given up.
    pub housekeeping_ms: u64,
    /// Time that connecting to one address may take.
    pub connect_timeout_ms: u64,
    /// Pauses between connections.
    pub backoff: BackoffConfig,
    /// Pause after the logs turned out not to go together.
    pub refused_pause_ms: u64,
    /// Source address of connections; `None` leaves it to the system.
    pub bind: Option<IpAddr>,
    /// Who cannot be reached.
    pub fence: Fence,
}

impl Default for SlaveOptions {
    fn default() -> Self {
        Self {
            ack_flushed: false,
            heartbeat_ms: 5_000,
            housekeeping_ms: 20_000,
            connect_timeout_ms: 3_000,
            backoff: BackoffConfig {
                initial: Duration::from_millis(200),
                max: Duration::from_secs(5),
                jitter_percent: 20,
            },
            refused_pause_ms: 30_000,
            bind: None,
            fence: Fence::default(),
        }
    }
}

/// Where a slave stands with its master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SlaveState {
    /// It knows no master.
    #[default]
    Waiting,
    /// It is connecting, or rests before it does.
    Connecting,
    /// It compares the end of its log with the master's.
    Verifying,
    /// It follows the master's log.
    Streaming,
    /// It cannot follow this master, for the reason given; it asks again from time to time.
    Refused(String),
}

/// What a slave is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlaveStatus {
    /// Where it stands.
    pub state: SlaveState,
    /// The master's address as it was given.
    pub master: Option<String>,
    /// Log offset up to which bytes have come.
    pub received: i64,
    /// When the master was last heard, ms since the epoch; 0 before it ever was.
    pub master_seen_ms: i64,
    /// When the slave last reported, ms since the epoch; 0 before it ever did.
    pub reported_ms: i64,
    /// Bytes that came in the last second.
    pub bytes_per_second: u64,
    /// Whether it has stopped reading because its disk is full.
    pub disk_full: bool,
}

/// What the thread and its handle share.
struct Shared {
    options: SlaveOptions,
    store: Arc<Store>,
    clock: SharedClock,
    caller: Arc<Caller>,
    stopped: AtomicBool,
    orders: Mutex<Orders>,
    status: Mutex<SlaveStatus>,
    meter: Mutex<Meter>,
}

/// What the thread is told to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Orders {
    master: Option<String>,
    first_offset: Option<i64>,
    /// Counts changes of the master.
    number: u64,
}

/// Wakes the thread. Apart from what is shared, so that hooks of the store do not keep the store.
struct Caller {
    waker: Waker,
    called: AtomicBool,
    /// The thread wants to know when the store made progress.
    wants_progress: AtomicBool,
}

impl Caller {
    fn call(&self) {
        if !self.called.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake the thread of a slave");
        }
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn set_state(&self, state: SlaveState) {
        self.status.lock().state = state;
    }
}

/// Follows the log of a master. All methods may be called from any thread.
///
/// Dropping it is like [`kill`](Self::kill); in a forked child it does nothing.
pub struct Slave {
    shared: Arc<Shared>,
    thread: JoinHandle,
    process: ProcessMark,
    _fence: FenceWatch,
}

impl Slave {
    /// Starts following for `store`, which nobody else appends to. There is no master yet.
    pub fn start(options: SlaveOptions, store: Arc<Store>, clock: SharedClock) -> Result<Self> {
        let fail = |e| Error::io("ha.slave", "cannot make an event loop", e);
        let poll = Poll::new().map_err(fail)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(fail)?;
        let caller = Arc::new(Caller {
            waker,
            called: AtomicBool::new(false),
            wants_progress: AtomicBool::new(false),
        });
        let called = Arc::clone(&caller);
        store.on_progress(Box::new(move || {
            if called.wants_progress.swap(false, Ordering::SeqCst) {
                called.call();
            }
        }));
        let called = Arc::clone(&caller);
        let fence = options.fence.on_change(Box::new(move || called.call()));
        let shared = Arc::new(Shared {
            options,
            store,
            clock,
            caller,
            stopped: AtomicBool::new(false),
            orders: Mutex::default(),
            status: Mutex::default(),
            meter: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        let thread = crate::base::thread::spawn("rmq-ha-slave", move || {
            thread::Follower::new(own, poll).run();
        })?;
        Ok(Self {
            shared,
            thread,
            process: ProcessMark::current(),
            _fence: fence,
        })
    }

    /// Follow the master whose replication port is at this `host:port`, and no other any more.
    /// `None`: follow nobody. The same address again changes nothing.
    pub fn set_master(&self, address: Option<String>) {
        {
            let mut orders = self.shared.orders.lock();
            if orders.master == address {
                return;
            }
            orders.master.clone_from(&address);
            orders.first_offset = None;
            orders.number += 1;
            let mut status = self.shared.status.lock();
            status.master = address;
        }
        self.shared.caller.call();
    }

    /// Tells where the log of the current master begins. Only a slave that has nothing needs it,
    /// and only with a master of Apache's that has deleted the beginning of its log: such a master
    /// sends nothing to a slave that asks for the beginning.
    pub fn set_first_offset(&self, offset: i64) {
        {
            let mut orders = self.shared.orders.lock();
            let asked = orders.first_offset.replace(offset);
            let (first, end) = receiver::Log::bounds(&*self.shared.store);
            let report = |wanted| receiver::report_of_nothing(wanted, end);
            if first != end || report(asked) == report(Some(offset)) {
                return;
            }
            orders.number += 1;
        }
        self.shared.caller.call();
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> SlaveStatus {
        let mut status = self.shared.status.lock().clone();
        let now_ms = self.shared.clock.monotonic_ms();
        status.bytes_per_second = self.shared.meter.lock().per_second(now_ms);
        status
    }

    /// Whether there is a connection to the master.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let state = &self.shared.status.lock().state;
        matches!(state, SlaveState::Verifying | SlaveState::Streaming)
    }

    /// Whether it is connected to a master whose log was found to continue its own.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.shared.status.lock().state == SlaveState::Streaming
    }

    /// Stops following. What has been appended stays. A second call does nothing.
    ///
    /// `Timeout`: the thread did not end in time, for example because the look-up of a host name
    /// hangs.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.process.check("ha.slave.close")?;
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.caller.call();
        self.thread.join_deadline(deadline)
    }

    /// Stops at once. There is nothing that `close` does besides.
    pub fn kill(&self) {
        match self.close(KILL_DEADLINE) {
            Err(error) if error.kind() != ErrorKind::Forked => {
                tracing::error!(%error, "the thread of a slave does not end");
            }
            _ => {}
        }
    }
}

impl Drop for Slave {
    fn drop(&mut self) {
        if self.process.is_current() {
            self.kill();
        }
    }
}

impl fmt::Debug for Slave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slave")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
