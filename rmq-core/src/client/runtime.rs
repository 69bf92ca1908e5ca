//! What all handles of the process share: one event loop and a few threads, which begin with the
//! first handle and end with the last.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::instance::Instance;
use super::scheduler::Scheduler;
use crate::base::Result;
use crate::base::clock::{SharedClock, SystemClock};
use crate::base::thread::ProcessMark;
use crate::config::address;
use crate::net::{Client, ClientConfig, Limits, PushedRequest, lane_of};
use crate::protocol::message::id::{IdText, UniqueIds};

/// Threads for what the client does by itself: routes, heartbeats, rebalance.
const WORK_THREADS: usize = 4;
/// Threads that completions of asynchronous calls run on.
const CALLBACK_THREADS: usize = 2;
/// Bytes that may wait to be written to one server for one handle.
const UNSENT_BYTES: usize = 64 << 20;

static SHARED: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());

/// The threads that all handles share.
pub(crate) struct Runtime {
    // Ends first, so that what it completes still finds the others.
    pub(crate) net: Client,
    pub(crate) work: Scheduler,
    pub(crate) callbacks: Scheduler,
    pub(crate) clock: SharedClock,
    pub(crate) process: ProcessMark,
    pub(crate) host_ip: IpAddr,
    ids: UniqueIds,
    next_id: AtomicU16,
    lanes: Mutex<HashMap<u32, Weak<Instance>>>,
    next_lane: AtomicU32,
}

impl Runtime {
    /// The runtime of this process, started if there is none.
    pub(crate) fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock();
        if let Some(runtime) = shared.upgrade() {
            if runtime.process.is_current() {
                return Ok(runtime);
            }
            // The parent's: its threads are not here, so there is nothing to end.
            std::mem::forget(runtime);
        }
        let runtime = Self::start()?;
        *shared = Arc::downgrade(&runtime);
        Ok(runtime)
    }

    fn start() -> Result<Arc<Self>> {
        let clock = SystemClock::shared();
        let config = ClientConfig {
            name: "clients".to_owned(),
            limits: Limits {
                outbox_soft_bytes: UNSENT_BYTES,
                ..Limits::default()
            },
            ..ClientConfig::default()
        };
        let net = Client::start(config, Arc::clone(&clock))?;
        let work = Scheduler::new("clients-work", WORK_THREADS, Arc::clone(&clock));
        let callbacks = Scheduler::new("clients-cb", CALLBACK_THREADS, Arc::clone(&clock));
        work.start()?;
        callbacks.start()?;
        net.on_turn(callbacks.rouser());
        let host_ip = address::interfaces().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |found| {
            address::choose(&found).address
        });
        // Two runtimes of one process follow each other; the time tells their ids apart.
        let salt = clock.wall_ms() as u32;
        let runtime = Arc::new(Self {
            net,
            work,
            callbacks,
            process: ProcessMark::current(),
            host_ip,
            ids: UniqueIds::new(host_ip, std::process::id(), salt),
            next_id: AtomicU16::new(0),
            lanes: Mutex::default(),
            next_lane: AtomicU32::new(1),
            clock,
        });
        let weak = Arc::downgrade(&runtime);
        runtime.net.on_request(move |request| {
            if let Some(runtime) = weak.upgrade() {
                runtime.asked(request);
            }
        });
        Ok(runtime)
    }

    /// Gives a request of a server to the handle whose connection it came by.
    fn asked(&self, request: PushedRequest) {
        let lane = lane_of(&request.addr);
        let instance = lane.and_then(|lane| self.lanes.lock().get(&lane)?.upgrade());
        match instance {
            Some(instance) => instance.asked(request),
            None => tracing::debug!(code = request.command.code, "a request for no handle"),
        }
    }

    /// Has `job`, which tells the program something, run on a thread for callbacks.
    pub(crate) fn call_back(&self, job: impl FnOnce() + Send + 'static) {
        match self.net.is_current() {
            true => self.callbacks.queue(job),
            false => self.callbacks.run(job),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// A message id that no other client makes.
    pub(crate) fn unique_id(&self) -> IdText {
        let counter = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.ids.id(self.clock.wall_ms(), counter)
    }

    pub(crate) fn new_lane(&self) -> u32 {
        self.next_lane.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add_lane(&self, lane: u32, instance: Weak<Instance>) {
        self.lanes.lock().insert(lane, instance);
    }

    pub(crate) fn remove_lane(&self, lane: u32) {
        self.lanes.lock().remove(&lane);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("net", &self.net)
            .field("handles", &self.lanes.lock().len())
            .finish_non_exhaustive()
    }
}
