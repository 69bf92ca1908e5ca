//! What the parts of one consumer share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::delivery::Delivery;
use super::local_offsets::LocalOffsets;
use super::options::{ConsumerOptions, StartFrom};
use super::pop::PopQueue;
use super::process_queue::ProcessQueue;
use crate::base::{Error, ErrorKind, Result};
use crate::client::completions::CompletionQueue;
use crate::client::hooks::ConsumeWatch;
use crate::client::instance::{Instance, Member, Repeats, repeat};
use crate::client::names;
use crate::client::runtime::Runtime;
use crate::client::scheduler::Scheduler;
use crate::client::trace::Tracer;
use crate::client::wait::Pending;
use crate::net::PushedRequest;
use crate::protocol::body::heartbeat::{ConsumeFromWhere, ConsumeType, ConsumerData, ProducerData};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::message::user::ReceivedMessage;

pub(crate) const OP: &str = "consume";
/// A lock on a queue is used for this long after it was granted; brokers keep it for a minute.
const LOCK_USED: Duration = Duration::from_secs(30);
/// Locks are renewed this often.
const LOCK_RENEWAL: Duration = Duration::from_secs(10);

/// What the listener made of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumeStatus {
    /// They are done with.
    Success,
    /// They are to come again later, the later the more often they came before. In order: the
    /// queue rests a moment and begins with them again.
    Later,
    /// They are to come again after this delay level of the broker; below 0, they are given up and
    /// become dead letters. In order this is `Later`.
    LaterAtLevel(i32),
}

type Listen = dyn Fn(&[ReceivedMessage]) -> ConsumeStatus + Send + Sync;

/// Who is given messages.
pub(crate) enum Listener {
    /// Answers for all of them when it returns.
    Messages(Box<Listen>),
    /// Answers for each when it likes.
    Handles(Box<dyn Fn(Vec<Delivery>) + Send + Sync>),
    /// The same, and takes them when it likes.
    Queue(CompletionQueue<Delivery>),
}

/// Is called once, on any thread.
pub(crate) type Tell = Box<dyn FnOnce() + Send>;

/// What happens to messages that were pulled.
pub(crate) enum Mode {
    /// A listener gets them on many threads.
    Concurrent(Listener),
    /// A listener gets those of each queue one after the other.
    Orderly(Listener),
    /// They wait until they are asked for.
    Poll,
}

/// A queue that the consumer has now.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) queue: MessageQueue,
    pub(crate) state: Mutex<ProcessQueue>,
    /// The queue was taken away; whoever still works on it stops.
    pub(crate) dropped: AtomicBool,
    /// The program wants no more of it for now.
    pub(crate) paused: AtomicBool,
    /// In order: somebody works on it, or is about to.
    pub(crate) consuming: AtomicBool,
    /// In order: another member is to have it, so whoever works on it begins nothing new.
    pub(crate) leaving: AtomicBool,
    /// In order: until when the broker's lock is used.
    pub(crate) locked_until: Mutex<Duration>,
    /// The broker of the name that is pulled from.
    pub(crate) broker_id: AtomicI64,
    /// What was committed last.
    pub(crate) committed: Mutex<Option<i64>>,
}

impl Assigned {
    pub(crate) fn new(queue: MessageQueue, offset: i64) -> Self {
        Self {
            queue,
            state: Mutex::new(ProcessQueue::new(offset)),
            dropped: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            consuming: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            locked_until: Mutex::new(Duration::ZERO),
            broker_id: AtomicI64::new(0),
            committed: Mutex::new(None),
        }
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn is_locked(&self, now: Duration) -> bool {
        now < *self.locked_until.lock()
    }

    pub(crate) fn locked(&self, now: Duration) {
        *self.locked_until.lock() = now + LOCK_USED;
    }
}

pub(crate) struct Core {
    pub(crate) options: ConsumerOptions,
    pub(crate) instance: Arc<Instance>,
    pub(crate) mode: Mode,
    pub(crate) queues: Mutex<BTreeMap<MessageQueue, Arc<Assigned>>>,
    /// What is popped of.
    pub(crate) pops: Mutex<BTreeMap<MessageQueue, Arc<PopQueue>>>,
    /// The threads that the listener runs on.
    pub(crate) consume: Scheduler,
    /// Calls of the listener that run now, and messages that are being sent back.
    pub(crate) running: Pending,
    /// Handles that are not answered.
    pub(crate) handed: Pending,
    pub(crate) tracer: Option<Arc<Tracer>>,
    pub(crate) suspended: AtomicBool,
    pub(crate) local_offsets: LocalOffsets,
    /// Whether queues are assigned by the program rather than divided among the group.
    pub(crate) manual: AtomicBool,
    pub(crate) started_ms: i64,
    /// One division of queues at a time.
    pub(crate) balancing: Mutex<()>,
    /// When queues are to be divided next, if that is planned.
    pub(crate) balance_at: Mutex<Option<Duration>>,
    /// Divisions in a row that did not come out.
    pub(crate) balance_failures: AtomicU32,
    subscriptions: Mutex<BTreeMap<String, SubscriptionData>>,
    /// A topic and the version of its subscription that brokers are being told.
    raising: Mutex<Option<(String, i64)>>,
    next_turn: AtomicUsize,
    /// Counts arrivals, for who polls.
    arrivals: Mutex<u64>,
    arrived: Condvar,
    /// Who is told of the next arrival.
    told_of_arrival: Mutex<Vec<Tell>>,
    closed: AtomicBool,
    /// This one, for what outlives a call.
    own: Weak<Self>,
}

impl Core {
    pub(crate) fn start(mut options: ConsumerOptions, mode: Mode) -> Result<Arc<Self>> {
        options.check()?;
        let instance = Arc::new(Instance::new(options.client.clone(), None)?);
        let runtime = Arc::clone(&instance.runtime);
        let tracer = match mode {
            // Nobody says what became of what was polled.
            Mode::Poll => None,
            _ => Tracer::start(&options.client, &runtime, &options.group, "CONSUME")?,
        };
        options.group = instance.namespace.wrap(&options.group).into_owned();
        let allocation = std::mem::take(&mut options.allocation);
        options.allocation = allocation.renamed(&|queue| instance.wrap_queue(queue));
        let clock = Arc::clone(&runtime.clock);
        let consume = Scheduler::new("consume", options.consume_threads, Arc::clone(&clock));
        if !matches!(mode, Mode::Poll) {
            consume.start()?;
        }
        let local_offsets = LocalOffsets::load(&options, &instance.client_id)?;
        let core = Arc::new_cyclic(|own| Self {
            options,
            instance: Arc::clone(&instance),
            mode,
            queues: Mutex::default(),
            pops: Mutex::default(),
            consume,
            running: Pending::default(),
            handed: Pending::default(),
            tracer,
            suspended: AtomicBool::new(false),
            local_offsets,
            manual: AtomicBool::new(false),
            started_ms: clock.wall_ms(),
            balancing: Mutex::new(()),
            balance_at: Mutex::new(None),
            balance_failures: AtomicU32::new(0),
            subscriptions: Mutex::default(),
            raising: Mutex::default(),
            next_turn: AtomicUsize::new(0),
            arrivals: Mutex::new(0),
            arrived: Condvar::new(),
            told_of_arrival: Mutex::default(),
            closed: AtomicBool::new(false),
            own: Weak::clone(own),
        });
        Ok(core)
    }

    /// Begins to work for the subscriptions that are there.
    pub(crate) fn begin(self: &Arc<Self>) {
        let member: Weak<dyn Member> = Arc::downgrade(self) as Weak<dyn Member>;
        self.instance.start(member);
        self.announce();
        let every = |ms: u64| Duration::from_millis(ms.max(1));
        repeat(self, every(self.options.rebalance_interval_ms), |core| {
            core.rebalance_soon(Duration::ZERO);
        });
        if self.commits_itself() {
            repeat(self, every(self.options.commit_interval_ms), |core| {
                core.commit_changed();
            });
        }
        if self.is_locking() {
            repeat(self, LOCK_RENEWAL, Self::renew_locks);
        }
        if let Some(often) = self.look_for_stuck() {
            repeat(self, often, Self::send_back_stuck);
        }
    }

    /// Tells the brokers of all subscribed topics of this consumer, and waits until they know.
    pub(crate) fn announce(self: &Arc<Self>) {
        let topics: Vec<String> = self.subscriptions.lock().keys().cloned().collect();
        for topic in topics {
            if let Err(error) = self.instance.route_now(&topic) {
                tracing::debug!(%error, topic, "the route is looked for again later");
            }
        }
        self.instance.greet_now();
    }

    /// Has brokers hear of other subscriptions, and queues divided by them. Blocks as `announce`.
    pub(crate) fn subscriptions_changed(self: &Arc<Self>) {
        self.announce();
        self.rebalance_soon(Duration::ZERO);
    }

    pub(crate) fn own(&self) -> Option<Arc<Self>> {
        self.own.upgrade()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// True for the first to close.
    pub(crate) fn set_closed(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.instance.runtime.process.check(OP)?;
        match self.is_closed() {
            true => Err(Error::new(ErrorKind::Closed, OP, "the consumer is closed")),
            false => Ok(()),
        }
    }

    /// Tells hooks and traces of messages that are about to be consumed.
    pub(crate) fn watch(&self, messages: &[ReceivedMessage]) -> ConsumeWatch {
        let group = self.instance.namespace.unwrap(&self.options.group);
        ConsumeWatch::begin(&self.options.hooks, self.tracer.as_ref(), &group, messages)
    }

    /// Where messages wait for a program that asks for handles.
    pub(crate) fn handles(&self) -> Option<&CompletionQueue<Delivery>> {
        match &self.mode {
            Mode::Concurrent(Listener::Queue(queue)) | Mode::Orderly(Listener::Queue(queue)) => {
                Some(queue)
            }
            _ => None,
        }
    }

    pub(crate) fn is_orderly(&self) -> bool {
        matches!(self.mode, Mode::Orderly(_))
    }

    /// Whether brokers see to it that one member alone has a queue.
    pub(crate) fn is_locking(&self) -> bool {
        self.is_orderly() && !self.options.is_broadcast()
    }

    /// Whether offsets are committed without the program's doing.
    pub(crate) fn commits_itself(&self) -> bool {
        self.options.auto_commit || !matches!(self.mode, Mode::Poll)
    }

    /// The topic that messages of this group come back by.
    pub(crate) fn retry_topic(&self) -> String {
        names::retry_topic(&self.options.group)
    }

    pub(crate) fn subscribe(&self, mut data: SubscriptionData) {
        data.topic = self.instance.namespace.wrap(&data.topic).into_owned();
        data.sub_version = self.instance.runtime.clock.wall_ms();
        self.subscriptions.lock().insert(data.topic.clone(), data);
    }

    pub(crate) fn unsubscribe(&self, topic: &str) {
        let topic = self.instance.namespace.wrap(topic);
        self.subscriptions.lock().remove(&*topic);
    }

    pub(crate) fn subscription(&self, topic: &str) -> Option<SubscriptionData> {
        self.subscriptions.lock().get(topic).cloned()
    }

    pub(crate) fn subscriptions(&self) -> Vec<SubscriptionData> {
        self.subscriptions.lock().values().cloned().collect()
    }

    /// Tells the brokers that this member has other queues of a topic than before: its subscription
    /// replaces what another member told them before. Waits for those at the addresses `awaited`,
    /// and has pulls ask for the new version when they know it. Blocks.
    pub(crate) fn raise_version(&self, topic: &str, awaited: &BTreeSet<String>) {
        let Some(subscription) = self.subscription(topic) else {
            return;
        };
        if matches!(self.mode, Mode::Poll) {
            return;
        }
        let now_ms = self.instance.runtime.clock.wall_ms();
        let version = now_ms.max(subscription.sub_version + 1);
        *self.raising.lock() = Some((topic.to_owned(), version));
        self.instance.greet_and_await(awaited);
        if let Some(subscription) = self.subscriptions.lock().get_mut(topic) {
            subscription.sub_version = subscription.sub_version.max(version);
        }
        *self.raising.lock() = None;
    }

    /// The subscriptions as brokers are told of them.
    fn told_subscriptions(&self) -> Vec<SubscriptionData> {
        let mut subscriptions = self.subscriptions();
        if let Some((topic, version)) = &*self.raising.lock() {
            let of_topic = subscriptions.iter_mut().filter(|data| data.topic == *topic);
            of_topic.for_each(|data| data.sub_version = data.sub_version.max(*version));
        }
        subscriptions
    }

    /// The queues it has, as the program knows them.
    pub(crate) fn own_queues(&self) -> Vec<MessageQueue> {
        let queues = self.queues.lock();
        let queues = queues.keys();
        queues
            .map(|queue| self.instance.unwrap_queue(queue))
            .collect()
    }

    pub(crate) fn assigned(&self) -> Vec<Arc<Assigned>> {
        self.queues.lock().values().cloned().collect()
    }

    pub(crate) fn next_turn(&self) -> usize {
        self.next_turn.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells who polls that there may be something.
    pub(crate) fn arrived(&self) {
        *self.arrivals.lock() += 1;
        self.arrived.notify_all();
        let told = std::mem::take(&mut *self.told_of_arrival.lock());
        told.into_iter().for_each(|tell| tell());
    }

    /// Has `tell` called once, with the next arrival; never blocks.
    pub(crate) fn on_arrival(&self, tell: Tell) {
        self.told_of_arrival.lock().push(tell);
    }

    /// What `await_arrival` is to be called with after a look that found nothing.
    pub(crate) fn arrivals(&self) -> u64 {
        *self.arrivals.lock()
    }

    /// Waits for an arrival after `seen`.
    pub(crate) fn await_arrival(&self, seen: u64, timeout: Duration) {
        let mut arrivals = self.arrivals.lock();
        let none = |arrivals: &mut u64| *arrivals == seen;
        self.arrived.wait_while_for(&mut arrivals, none, timeout);
    }
}

impl Repeats for Core {
    fn runtime(&self) -> &Runtime {
        &self.instance.runtime
    }

    fn is_over(&self) -> bool {
        self.is_closed()
    }
}

impl Member for Core {
    fn groups(&self) -> (Vec<ProducerData>, Vec<ConsumerData>) {
        let data = ConsumerData {
            group_name: self.options.group.clone(),
            consume_type: match self.mode {
                Mode::Poll => ConsumeType::Actively,
                _ => ConsumeType::Passively,
            },
            consume_from_where: match self.options.start_from {
                StartFrom::Last => ConsumeFromWhere::LastOffset,
                StartFrom::First => ConsumeFromWhere::FirstOffset,
                StartFrom::Timestamp(_) => ConsumeFromWhere::Timestamp,
            },
            message_model: self.options.message_model,
            subscriptions: self.told_subscriptions(),
            unit_mode: false,
        };
        (Vec::new(), vec![data])
    }

    fn asked(&self, request: PushedRequest) {
        if let Some(core) = self.own() {
            core.serve(request);
        }
    }

    fn routes_changed(&self) {
        self.rebalance_soon(Duration::ZERO);
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("group", &self.options.group)
            .field("instance", &self.instance)
            .field("queues", &self.queues.lock().len())
            .finish_non_exhaustive()
    }
}
