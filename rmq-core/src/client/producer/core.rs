//! What the sends of one producer share.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::accumulate::Accumulator;
use super::latency::Latency;
use super::options::ProducerOptions;
use super::request::Requests;
use super::sending::{Done, OP, Sending};
use super::transaction::Checker;
use crate::base::{Error, ErrorKind, Result};
use crate::client::instance::{Instance, Member};
use crate::client::trace::Tracer;
use crate::client::wait::{Pending, Room};
use crate::net::PushedRequest;
use crate::protocol::body::heartbeat::{ConsumerData, ProducerData};
use crate::protocol::code::RequestCode;

pub(crate) struct Core {
    pub(crate) options: ProducerOptions,
    pub(crate) instance: Arc<Instance>,
    /// Sends and their callbacks that are not over.
    pub(crate) pending: Pending,
    /// Bytes of the bodies of sends that are not over.
    pub(crate) room: Room,
    /// Messages that wait for others to travel with, where that is wanted.
    pub(crate) held: Option<Mutex<Accumulator<Done>>>,
    /// Whoever takes held messages and sends them does both in one turn, so that none overtakes
    /// those that were taken before it.
    pub(crate) turn: Mutex<()>,
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// What asks the program how transactions ended.
    pub(crate) checker: Option<Checker>,
    pub(crate) requests: Requests,
    /// This one, for what outlives a call.
    own: Weak<Self>,
    sends: Mutex<HashMap<u64, Arc<Sending>>>,
    next_number: AtomicU64,
    next_turn: AtomicUsize,
    latency: Mutex<Latency>,
    closed: AtomicBool,
}

impl Core {
    pub(crate) fn new(
        options: ProducerOptions,
        instance: Arc<Instance>,
        checker: Option<Checker>,
        tracer: Option<Arc<Tracer>>,
    ) -> Arc<Self> {
        // Producers that begin together do not all begin with the same queue.
        let turn = instance.runtime.clock.wall_ms().unsigned_abs() as usize;
        let held = options
            .auto_batch
            .then(|| Mutex::new(Accumulator::new(options.held_limits())));
        Arc::new_cyclic(|own| Self {
            options,
            room: Room::default(),
            held,
            turn: Mutex::default(),
            tracer,
            instance,
            pending: Pending::default(),
            checker,
            requests: Requests::default(),
            own: Weak::clone(own),
            sends: Mutex::default(),
            next_number: AtomicU64::new(0),
            next_turn: AtomicUsize::new(turn),
            latency: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// This one, for what outlives a call.
    pub(crate) fn own(&self) -> Weak<Self> {
        Weak::clone(&self.own)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_turn(&self) -> usize {
        self.next_turn.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_well(&self, broker: &str, now: Duration) -> bool {
        !self.options.avoid_slow_brokers || self.latency.lock().is_well(broker, now)
    }

    pub(crate) fn sent(&self, broker: &str, latency: Option<Duration>, now: Duration) {
        if self.options.avoid_slow_brokers {
            self.latency.lock().sent(broker, latency, now);
        }
    }

    /// `Closed` or `Forked` when the producer is of no use any more.
    pub(crate) fn check(&self) -> Result<()> {
        self.instance.runtime.process.check(OP)?;
        match self.closed.load(Ordering::SeqCst) {
            true => Err(closed()),
            false => Ok(()),
        }
    }

    /// Notes a send, so that `close` can end it.
    pub(crate) fn begun(&self, sending: &Arc<Sending>) {
        self.sends
            .lock()
            .insert(sending.number(), Arc::clone(sending));
        if self.closed.load(Ordering::SeqCst) {
            sending.finish(Err(closed()));
        }
    }

    pub(crate) fn ended(&self, number: u64) {
        self.sends.lock().remove(&number);
    }

    /// See `Producer::close`.
    pub(crate) fn close(&self, deadline: Duration) -> Result<()> {
        /// How long callbacks may take that are told of the end.
        const CALLBACKS: Duration = Duration::from_secs(1);
        self.instance.runtime.process.check("close producer")?;
        let runtime = &self.instance.runtime;
        let until = runtime.now().saturating_add(deadline);
        let inside = self.instance.on_runtime_thread();
        self.send_held();
        let first = !self.closed.swap(true, Ordering::SeqCst);
        if !inside && first {
            self.pending.wait_none(deadline);
        }
        // What came in between.
        self.send_held();
        let left: Vec<Arc<Sending>> = self.sends.lock().drain().map(|(_, send)| send).collect();
        for sending in left {
            sending.finish(Err(closed()));
        }
        self.close_requests();
        if let Some(tracer) = &self.tracer {
            let left = until.saturating_sub(runtime.now());
            tracer.close(if inside { Duration::ZERO } else { left });
        }
        let quiet = inside || self.pending.wait_none(CALLBACKS);
        self.instance.close(until.saturating_sub(runtime.now()));
        if quiet {
            return Ok(());
        }
        let context = "a callback of the program still runs";
        Err(Error::new(ErrorKind::Timeout, "close producer", context))
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, OP, "the producer is closed")
}

impl Member for Core {
    fn groups(&self) -> (Vec<ProducerData>, Vec<ConsumerData>) {
        let group_name = self.options.group.clone();
        (vec![ProducerData { group_name }], Vec::new())
    }

    fn asked(&self, request: PushedRequest) {
        match request.command.request_code() {
            RequestCode::CHECK_TRANSACTION_STATE => {
                if let Some(core) = self.own.upgrade() {
                    core.check_transaction(request);
                }
            }
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => self.take_reply(&request),
            code => tracing::debug!(%code, "a request that producers do not serve"),
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("group", &self.options.group)
            .field("instance", &self.instance)
            .field("sends", &self.sends.lock().len())
            .finish_non_exhaustive()
    }
}
