//! What the broker's threads share.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use crate::base::clock::SharedClock;
use crate::base::queue::{self, PushError};
use crate::broker::arrivals::Arrivals;
use crate::broker::assignment::Routes;
use crate::broker::calls::{ClientCalls, Unanswered};
use crate::broker::clients::{Consumers, Producers};
use crate::broker::cold::ColdReader;
use crate::broker::control::Task;
use crate::broker::filters::ConsumerFilters;
use crate::broker::groups::Groups;
use crate::broker::handler::HeldPull;
use crate::broker::hold::{Held, waiter_bit};
use crate::broker::locks::QueueLocks;
use crate::broker::members::{Master, Members};
use crate::broker::metadata::Files;
use crate::broker::offsets::ConsumerOffsets;
use crate::broker::pending::Marks;
use crate::broker::pop::{POP_WAITER, Pops};
use crate::broker::replication::Replication as Streams;
use crate::broker::reply::Refusal;
use crate::broker::resets::Resets;
use crate::broker::role;
use crate::broker::schedule::Schedule;
use crate::broker::settings::ConfigFile;
use crate::broker::stats::Stats;
use crate::broker::timer::Timer;
use crate::broker::topics::Topics;
use crate::broker::transaction::Transactions;
use crate::config::broker::BrokerConfig;
use crate::net::{ConnectionId, ReactorHandle};
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::store::{Queue, ReadOutcome, Replication, Store};

/// Something that one thread leaves for a reactor.
#[derive(Debug)]
pub(crate) enum Mail {
    /// A queue that this reactor's held pulls wait at has something new to see.
    Visible(Arc<Queue>),
    /// The master of this slave has come back: consumers had better ask it.
    MasterReturned,
    /// What a pull takes of messages that were not in memory.
    Read {
        /// The pull.
        held: Box<Held<HeldPull>>,
        /// What was read for it.
        outcome: ReadOutcome,
    },
    /// The topic that sends of this reactor wait for was made, or will not be.
    TopicMade {
        /// The topic.
        topic: String,
        /// Why not.
        outcome: Result<(), Refusal>,
    },
    /// A frame to be handled again, after the control thread did what it needed.
    Frame {
        /// The connection that it came from.
        conn: ConnectionId,
        /// The whole frame.
        bytes: Vec<u8>,
    },
}

/// Changes of topics that nameservers are to hear of.
#[derive(Debug, Default)]
pub(crate) struct TopicChanges {
    /// More than settings of single topics.
    pub(crate) all: bool,
    /// Topics that were made or changed.
    pub(crate) topics: BTreeSet<String>,
}

/// A request to register; `done` is run by the registration thread when every nameserver was asked.
pub(crate) struct RegisterNow {
    /// What waits for it.
    pub(crate) done: Box<dyn FnOnce() + Send>,
    /// Whether nameservers are to be told of all topics.
    pub(crate) all: bool,
}

impl std::fmt::Debug for RegisterNow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisterNow").finish_non_exhaustive()
    }
}

/// Requests to register that wait at a time; one registration serves them all.
const REGISTRATION_QUEUE_CAPACITY: usize = 4096;

/// The state of one broker. Every field may be used from any thread.
pub(crate) struct Shared {
    /// The configuration as it is now; replaced as a whole.
    pub(crate) config: RwLock<Arc<BrokerConfig>>,
    /// Where changes of it are written.
    pub(crate) config_file: ConfigFile,
    /// Moves when `config` is replaced.
    pub(crate) config_generation: AtomicU64,
    /// Time.
    pub(crate) clock: SharedClock,
    /// Messages.
    pub(crate) store: Arc<Store>,
    /// Topics.
    pub(crate) topics: Topics,
    /// Subscription groups.
    pub(crate) groups: Groups,
    /// What groups filter by.
    pub(crate) filters: ConsumerFilters,
    /// Committed offsets.
    pub(crate) offsets: ConsumerOffsets,
    /// Offsets that operators set and no pull was told of yet.
    pub(crate) resets: Resets,
    /// Files of services that run on masters only.
    pub(crate) files: Files,
    /// Connected consumers.
    pub(crate) consumers: RwLock<Consumers>,
    /// Moves whenever a subscription changes.
    pub(crate) subscription_revision: Arc<AtomicU64>,
    /// Connected producers.
    pub(crate) producers: Mutex<Producers>,
    /// Locks of ordered consumption.
    pub(crate) locks: Mutex<QueueLocks>,
    /// Requests to clients that wait for their answer.
    pub(crate) calls: ClientCalls,
    /// The other brokers of this name.
    pub(crate) members: Members,
    /// Transactions that are to end.
    pub(crate) transactions: Transactions,
    /// Routes for the queues that consumers are assigned.
    pub(crate) routes: Routes,
    /// Pops and what belongs to them.
    pub(crate) pops: Pops,
    /// The log's way to slaves or from the master, once it runs.
    streams: OnceLock<Streams>,
    ha_address: OnceLock<SocketAddr>,
    /// Counters.
    pub(crate) stats: Stats,
    /// Delayed messages.
    pub(crate) schedule: Schedule,
    /// Timed messages.
    pub(crate) timer: Timer,
    /// Reads of what is not in memory.
    pub(crate) cold: ColdReader,
    /// Work for the control thread.
    pub(crate) control: queue::Queue<Task>,
    /// Asks the registration thread to register now.
    pub(crate) registration: queue::Queue<RegisterNow>,
    /// Rings when a slave's thread has something to do; closed, it ends that thread.
    pub(crate) slave_bell: queue::Queue<()>,
    /// Whether a message of a topic came from the master that is not known here.
    unknown_topic: AtomicBool,
    /// Whether topics changed that no registration was asked for yet.
    topics_changed: AtomicBool,
    /// What changed since the nameservers were last told.
    topic_changes: Mutex<TopicChanges>,
    /// Whether the control thread has answers that wait for a write of the topics.
    pub(crate) answers_held: AtomicBool,
    store_ip: IpAddr,
    store_port: AtomicU16,
    mailboxes: Vec<Mutex<Vec<Mail>>>,
    reactors: OnceLock<Vec<ReactorHandle>>,
    /// One bit for each reactor that has parked replies.
    parked: AtomicU32,
    arrivals: Arrivals<Queue>,
}

/// What a broker is made of, before its reactors exist.
pub(crate) struct SharedParts {
    /// See `Shared::config`.
    pub(crate) config: BrokerConfig,
    /// See `Shared::config_file`.
    pub(crate) config_file: ConfigFile,
    /// See `Shared::clock`.
    pub(crate) clock: SharedClock,
    /// See `Shared::store`.
    pub(crate) store: Arc<Store>,
    /// See `Shared::topics`.
    pub(crate) topics: Topics,
    /// See `Shared::groups`.
    pub(crate) groups: Groups,
    /// See `Shared::filters`.
    pub(crate) filters: ConsumerFilters,
    /// See `Shared::offsets`.
    pub(crate) offsets: ConsumerOffsets,
    /// See `Shared::schedule`.
    pub(crate) schedule: Schedule,
    /// See `Shared::pops`.
    pub(crate) pops: Pops,
    /// See `Shared::files`.
    pub(crate) files: Files,
    /// See `Shared::cold`.
    pub(crate) cold: ColdReader,
    /// The address that clients are given; its port may be set later.
    pub(crate) store_host: SocketAddr,
    /// How many reactors there will be.
    pub(crate) reactors: usize,
}

/// Most requests that wait for the control thread; Apache's clientManagerThreadPoolQueueCapacity
/// is a million, which only hides that nobody keeps up.
const CONTROL_QUEUE_CAPACITY: usize = 100_000;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("store_host", &self.store_host())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Puts the parts together.
    #[must_use]
    pub(crate) fn new(parts: SharedParts) -> Self {
        let consumers = Consumers::default();
        let locks = QueueLocks::new(parts.config.queue_lock_expired_ms);
        let members = Members::new(&parts.config);
        let transactions = Transactions::new(parts.config.end_transaction_queue);
        Self {
            config_generation: AtomicU64::new(1),
            config_file: parts.config_file,
            config: RwLock::new(Arc::new(parts.config)),
            stats: Stats::new(parts.clock.wall_ms(), parts.clock.monotonic_ms()),
            clock: parts.clock,
            timer: Timer::new(&parts.files, parts.store.watermarks().appended()),
            store: parts.store,
            topics: parts.topics,
            groups: parts.groups,
            filters: parts.filters,
            offsets: parts.offsets,
            resets: Resets::default(),
            subscription_revision: consumers.revision(),
            consumers: RwLock::new(consumers),
            producers: Mutex::default(),
            locks: Mutex::new(locks),
            calls: ClientCalls::default(),
            schedule: parts.schedule,
            files: parts.files,
            members,
            transactions,
            routes: Routes::default(),
            pops: parts.pops,
            streams: OnceLock::new(),
            ha_address: OnceLock::new(),
            cold: parts.cold,
            store_ip: parts.store_host.ip(),
            store_port: AtomicU16::new(parts.store_host.port()),
            control: queue::Queue::new(CONTROL_QUEUE_CAPACITY),
            registration: queue::Queue::new(REGISTRATION_QUEUE_CAPACITY),
            slave_bell: queue::Queue::new(1),
            // A store that was not closed in order may have some.
            unknown_topic: AtomicBool::new(true),
            topics_changed: AtomicBool::new(false),
            topic_changes: Mutex::default(),
            answers_held: AtomicBool::new(false),
            mailboxes: (0..parts.reactors).map(|_| Mutex::default()).collect(),
            reactors: OnceLock::new(),
            parked: AtomicU32::new(0),
            arrivals: Arrivals::default(),
        }
    }

    /// The configuration as it is now.
    #[must_use]
    pub(crate) fn config(&self) -> Arc<BrokerConfig> {
        Arc::clone(&self.config.read())
    }

    /// Whether this broker takes messages and delivers delayed ones.
    #[must_use]
    pub(crate) fn is_master(&self) -> bool {
        !self.members.is_slave()
    }

    /// The log's way to slaves or from the master, once it runs.
    #[must_use]
    pub(crate) fn streams(&self) -> Option<&Streams> {
        self.streams.get()
    }

    /// Makes the streams known, once they run, and the address that they are advertised under.
    pub(crate) fn set_streams(&self, streams: Streams, ha_address: SocketAddr) {
        // A second call would be a defect of the start; the first one stays.
        let _ = self.streams.set(streams);
        let _ = self.ha_address.set(ha_address);
    }

    /// Where slaves replicate from, once it is known.
    #[must_use]
    pub(crate) fn ha_address(&self) -> Option<SocketAddr> {
        self.ha_address.get().copied()
    }

    /// Whether a slave is connected to its master.
    fn is_connected(&self) -> bool {
        self.streams().is_some_and(Streams::is_connected)
    }

    /// Whether a slave can send consumers back to its master: the stream from it is connected, or
    /// a nameserver knows it. Always false on a master.
    #[must_use]
    pub(crate) fn is_master_alive(&self) -> bool {
        self.members.is_slave() && (self.members.is_master_listed() || self.is_connected())
    }

    /// Whether a slave's master is known to be the one that its log comes from: the stream from it
    /// is connected, and its log continues the slave's.
    #[must_use]
    pub(crate) fn is_master_proven(&self) -> bool {
        self.streams().is_some_and(Streams::is_streaming)
    }

    /// How long until a slave is to look for its master, other than by the period of registration.
    #[must_use]
    pub(crate) fn look_up_in_ms(&self, now_ms: u64) -> Option<u64> {
        self.members.look_up_in_ms(self.is_connected(), now_ms)
    }

    /// Why this broker takes no messages: it is a slave, or a master with too few slaves in sync.
    #[must_use]
    pub(crate) fn refuse_sends(&self) -> Option<Refusal> {
        if self.members.is_slave() {
            return self.refuse_on_slave(RequestCode::SEND_MESSAGE.value());
        }
        self.streams()?.refuse_sends()
    }

    /// Why this broker, being a slave, does not serve the request; `None` when it does.
    #[must_use]
    pub(crate) fn refuse_on_slave(&self, code: i32) -> Option<Refusal> {
        if !self.members.is_slave() {
            return None;
        }
        // Most requests are served: the master's name is looked up for the others only.
        role::refuse_on_slave(code, None)?;
        let master = self.members.master();
        role::refuse_on_slave(code, master.as_ref().map(|master| &*master.address))
    }

    /// The address that clients are given and that records carry.
    #[must_use]
    pub(crate) fn store_host(&self) -> SocketAddr {
        SocketAddr::new(self.store_ip, self.store_port.load(Ordering::Relaxed))
    }

    /// Sets the port that the system picked.
    pub(crate) fn set_store_port(&self, port: u16) {
        self.store_port.store(port, Ordering::Relaxed);
    }

    /// Makes the reactors known, once they run.
    pub(crate) fn set_reactors(&self, reactors: Vec<ReactorHandle>) {
        debug_assert_eq!(reactors.len(), self.mailboxes.len());
        // A second call would be a defect of the start; the first one stays.
        let _ = self.reactors.set(reactors);
    }

    /// How many reactors there are, at least one.
    #[must_use]
    pub(crate) fn reactor_count(&self) -> usize {
        self.mailboxes.len().max(1)
    }

    /// The reactor of this index, once it runs.
    #[must_use]
    pub(crate) fn reactor(&self, index: usize) -> Option<&ReactorHandle> {
        self.reactors.get()?.get(index)
    }

    /// Sends bytes to a connection, whichever reactor it belongs to.
    pub(crate) fn send(&self, conn: ConnectionId, bytes: Vec<u8>) {
        if let Some(reactor) = self.reactor(usize::from(conn.reactor())) {
            reactor.send(conn, bytes.into());
        }
    }

    /// Sends a request to a client and runs `then` with its answer, on any thread and within
    /// `timeout_ms` or little more. False, and nothing is done, when too many wait already.
    pub(crate) fn call(
        &self,
        conn: ConnectionId,
        mut request: Command,
        timeout_ms: u64,
        then: impl FnOnce(Result<Command, Unanswered>) + Send + 'static,
    ) -> bool {
        let deadline_ms = self.clock.monotonic_ms() + timeout_ms;
        let Some(opaque) = self.calls.begin(conn, deadline_ms, then) else {
            return false;
        };
        request.opaque = opaque;
        let mut bytes = Vec::with_capacity(512 + request.body.len());
        request.encode(&mut bytes);
        self.send(conn, bytes);
        true
    }

    /// Closes a connection, whichever reactor it belongs to.
    pub(crate) fn close(&self, conn: ConnectionId) {
        if let Some(reactor) = self.reactor(usize::from(conn.reactor())) {
            reactor.close(conn);
        }
    }

    /// Leaves mail for a reactor and wakes it.
    pub(crate) fn post(&self, reactor: usize, mail: Mail) {
        let Some(mailbox) = self.mailboxes.get(reactor) else {
            return;
        };
        mailbox.lock().push(mail);
        if let Some(handle) = self.reactor(reactor) {
            handle.wake();
        }
    }

    /// Leaves word for all reactors that the master of this slave is there again.
    pub(crate) fn master_returned(&self) {
        for index in 0..self.mailboxes.len() {
            self.post(index, Mail::MasterReturned);
        }
    }

    /// Takes a reactor's mail.
    pub(crate) fn take_mail(&self, reactor: usize) -> Vec<Mail> {
        self.mailboxes
            .get(reactor)
            .map(|mailbox| std::mem::take(&mut *mailbox.lock()))
            .unwrap_or_default()
    }

    /// Tells every reactor other than `own` whose held pulls wait at the queue. Returns whether
    /// `own` has such pulls.
    pub(crate) fn announce(&self, queue: &Arc<Queue>, own: Option<usize>) -> bool {
        // The append came before this load and the waiter sets its bit before it looks again:
        // sequential consistency makes one of the two see the other.
        std::sync::atomic::fence(Ordering::SeqCst);
        let waiters = queue.waiters.load(Ordering::SeqCst);
        if waiters == 0 {
            return false;
        }
        if waiters & POP_WAITER != 0 {
            // One word is enough until the thread asks for another.
            queue.waiters.fetch_and(!POP_WAITER, Ordering::SeqCst);
            self.pops.arrived(queue);
        }
        for index in 0..self.mailboxes.len() {
            if Some(index) != own && waiters & waiter_bit(index) != 0 {
                self.post(index, Mail::Visible(Arc::clone(queue)));
            }
        }
        own.is_some_and(|own| waiters & waiter_bit(own) != 0)
    }

    /// How far the store is, for replies and held pulls.
    #[must_use]
    pub(crate) fn marks(&self) -> Marks {
        let marks = self.store.watermarks();
        let replication = marks.replication();
        // The promise first: what is promised is visible, now or a moment later.
        let promised = marks.promised();
        Marks {
            promised,
            visible: marks.safe(),
            local: marks.local(),
            replicated: match replication {
                Replication::NotAwaited => i64::MAX,
                Replication::InSync | Replication::Unavailable => marks.replicated(),
            },
            unavailable: replication == Replication::Unavailable,
        }
    }

    /// Notes whether a reactor has parked replies.
    pub(crate) fn set_parked(&self, reactor: usize, parked: bool) {
        if parked {
            self.parked.fetch_or(waiter_bit(reactor), Ordering::SeqCst);
        } else {
            self.parked
                .fetch_and(!waiter_bit(reactor), Ordering::SeqCst);
        }
    }

    /// Tells held pulls that a queue got something, once it is visible; the thread that replicates
    /// calls it on a slave, the thread of transactions on a master.
    pub(crate) fn arrived(&self, queue: &Arc<Queue>) {
        if self.members.is_slave()
            && self.topics.get(queue.topic()).is_none()
            && !self.unknown_topic.swap(true, Ordering::AcqRel)
        {
            self.ring_slave();
        }
        let marks = self.store.watermarks();
        let end = marks.appended();
        if end <= marks.safe() {
            self.announce(queue, None);
            return;
        }
        self.arrivals.push(end, queue);
        // It may have become visible before it was put there.
        self.announce_arrivals();
    }

    /// Has this slave follow another master than before.
    pub(crate) fn follow(&self, master: &Master) {
        if let Some(streams) = self.streams() {
            streams.follow(&master.ha_address);
        }
        self.ring_slave();
    }

    /// Wakes the thread of a slave that keeps in step with the master.
    pub(crate) fn ring_slave(&self) {
        // A bell that rings already is enough.
        let _ = self.slave_bell.try_push(());
    }

    /// Whether messages of a topic came that was not known then; the next one is news again.
    pub(crate) fn take_unknown_topic(&self) -> bool {
        self.unknown_topic.swap(false, Ordering::AcqRel)
    }

    fn announce_arrivals(&self) {
        for queue in self.arrivals.take(self.store.watermarks().safe()) {
            self.announce(&queue, None);
        }
    }

    /// Wakes the reactors that have parked replies, and tells of what came from the master; a
    /// thread of the store or of replication calls it.
    pub(crate) fn on_progress(&self) {
        self.schedule.inbox.on_progress();
        self.timer.inbox.on_progress();
        self.announce_arrivals();
        self.transactions.inbox.on_progress();
        self.pops.inbox.on_progress();
        let parked = self.parked.load(Ordering::SeqCst);
        for (index, reactor) in self.reactors.get().into_iter().flatten().enumerate() {
            if parked & waiter_bit(index) != 0 {
                reactor.wake();
            }
        }
    }

    /// Takes note that the nameservers are to be told of all topics.
    pub(crate) fn topics_changed(&self) {
        self.topic_changes.lock().all = true;
        self.topics_changed.store(true, Ordering::Release);
    }

    /// Takes note that the nameservers are to be told of this topic.
    pub(crate) fn topic_changed(&self, topic: &str) {
        self.topic_changes.lock().topics.insert(topic.to_owned());
        self.topics_changed.store(true, Ordering::Release);
    }

    /// What the nameservers are to be told of, which they will be.
    pub(crate) fn take_topic_changes(&self) -> TopicChanges {
        std::mem::take(&mut *self.topic_changes.lock())
    }

    /// Runs `then` after the registration thread told every nameserver of changed topics, on that
    /// thread, or here and at once when none changed. Who created a topic may ask for its route
    /// next, so his answer waits for that; the control thread, and so everybody else, does not.
    pub(crate) fn after_registration(&self, then: impl FnOnce() + Send + 'static) {
        if !self.topics_changed.swap(false, Ordering::AcqRel) {
            return then();
        }
        let done = Box::new(then);
        if let Err(PushError::Full(now) | PushError::Closed(now)) =
            self.registration.try_push(RegisterNow { done, all: false })
        {
            // Those before it in a full queue have the topics registered all the same.
            (now.done)();
        }
    }
}
