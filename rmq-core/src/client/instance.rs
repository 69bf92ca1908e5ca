//! One handle's view of its cluster: nameservers, routes, brokers, heartbeats.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::lookup::Lookup;
use super::names;
use super::options::ClientOptions;
use super::routes::{RouteTable, TopicRoute};
use super::runtime::Runtime;
use super::wait::{Pending, Slot};
use crate::base::{Error, ErrorKind, Result};
use crate::net::{PushedRequest, lane_address};
use crate::protocol::body::heartbeat::{ConsumerData, HeartbeatData, ProducerData};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::user::Message;
use crate::protocol::names::Namespace;
use crate::protocol::request::heartbeat::UnregisterClientRequest;

/// Routes are looked at this often for whether they are to be asked for again.
const ROUTE_TICK: Duration = Duration::from_millis(500);
/// Whether a request says its namespace, and the namespace.
const NAMESPACED_FIELD: &str = "nsd";
const NAMESPACE_FIELD: &str = "ns";

/// The producer or consumer that an instance belongs to.
pub(crate) trait Member: Send + Sync {
    /// The groups that brokers are told of.
    fn groups(&self) -> (Vec<ProducerData>, Vec<ConsumerData>);

    /// A broker asks for something. Called by the event loop: must not block.
    fn asked(&self, request: PushedRequest);

    /// A route is another than before. Called by the event loop: must not block.
    fn routes_changed(&self) {}
}

/// What has things done again and again until it is over.
pub(crate) trait Repeats: Send + Sync + 'static {
    fn runtime(&self) -> &Runtime;
    fn is_over(&self) -> bool;
}

pub(crate) type RouteDone = Box<dyn FnOnce(Result<Arc<TopicRoute>>) + Send>;

/// One handle's view of its cluster.
pub(crate) struct Instance {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) client_id: String,
    pub(crate) options: ClientOptions,
    pub(crate) namespace: Namespace,
    /// Queues of a topic that does not exist yet; `None` when it must exist.
    pub(crate) new_topic_queue_nums: Option<i32>,
    pub(crate) nameservers: Vec<String>,
    /// Index of the nameserver that is asked first.
    pub(crate) nameserver: AtomicUsize,
    pub(crate) routes: Mutex<RouteTable>,
    /// Who waits for a route that is being asked for.
    pub(crate) waiting: Mutex<HashMap<String, Vec<RouteDone>>>,
    /// Brokers know clients by their connections, so each handle has its own.
    lane: u32,
    member: OnceLock<Weak<dyn Member>>,
    /// Brokers that know of this client.
    greeted: Mutex<BTreeSet<String>>,
    /// Held to send a heartbeat and to close: none goes out behind the farewell, or brokers would
    /// count the client as a member of its group until they miss it.
    greeting: Mutex<()>,
    closed: AtomicBool,
}

impl Instance {
    pub(crate) fn new(options: ClientOptions, new_topic_queue_nums: Option<i32>) -> Result<Self> {
        let nameservers = options.nameserver_list()?;
        if !options.namespace.is_empty() {
            names::check_namespace(&options.namespace)?;
        }
        let runtime = Runtime::shared()?;
        let lane = runtime.new_lane();
        let refresh_interval = Duration::from_millis(options.route_poll_interval_ms.max(1));
        let routes = RouteTable::new(refresh_interval, options.max_routes);
        Ok(Self {
            client_id: client_id(&options, &runtime, lane),
            namespace: Namespace::new(&options.namespace),
            options,
            new_topic_queue_nums,
            nameservers,
            nameserver: AtomicUsize::new(0),
            routes: Mutex::new(routes),
            waiting: Mutex::default(),
            lane,
            member: OnceLock::new(),
            greeted: Mutex::default(),
            greeting: Mutex::new(()),
            closed: AtomicBool::new(false),
            runtime,
        })
    }

    /// Begins heartbeats and the refreshing of routes, for `member`.
    pub(crate) fn start(self: &Arc<Self>, member: Weak<dyn Member>) {
        // An instance is started once, by the one who made it.
        let _ = self.member.set(member);
        self.runtime.add_lane(self.lane, Arc::downgrade(self));
        let heartbeat = Duration::from_millis(self.options.heartbeat_interval_ms.max(1));
        repeat(self, heartbeat, Self::greet);
        repeat(self, ROUTE_TICK, Self::refresh_routes);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.options.request_timeout_ms.max(1))
    }

    /// A queue as brokers know it.
    pub(crate) fn wrap_queue(&self, queue: &MessageQueue) -> MessageQueue {
        MessageQueue {
            topic: self.namespace.wrap(&queue.topic).into_owned(),
            ..queue.clone()
        }
    }

    /// A queue as the program knows it.
    pub(crate) fn unwrap_queue(&self, queue: &MessageQueue) -> MessageQueue {
        MessageQueue {
            topic: self.namespace.unwrap(&queue.topic).into_owned(),
            ..queue.clone()
        }
    }

    /// Gives a message of a broker the topic that the program knows.
    pub(crate) fn unwrap_topic(&self, message: &mut Message) {
        if let Cow::Owned(topic) = self.namespace.unwrap(&message.topic) {
            message.topic = topic;
        }
    }

    pub(crate) fn asked(&self, request: PushedRequest) {
        if let Some(member) = self.member.get().and_then(Weak::upgrade) {
            member.asked(request);
        }
    }

    /// Whether `marked` adds anything to requests.
    pub(crate) fn marks(&self) -> bool {
        !self.options.namespace_v2.is_empty()
    }

    /// A request as this handle's cluster is to see it: every one passes here.
    pub(crate) fn marked(&self, mut request: Command) -> Command {
        if self.marks() {
            let namespace = &self.options.namespace_v2;
            request.ext.insert(NAMESPACED_FIELD, "true");
            request.ext.insert(NAMESPACE_FIELD, namespace.as_str());
        }
        request
    }

    /// Sends a request to a broker over this handle's connection; see `net::Client::call_async`.
    pub(crate) fn call_async(
        &self,
        broker: &str,
        request: Command,
        timeout: Duration,
        done: impl FnOnce(Result<Command>) + Send + 'static,
    ) {
        let address = lane_address(broker, self.lane);
        self.runtime
            .net
            .call_async(&address, self.marked(request), timeout, done);
    }

    /// As `call_async` for a request that writes itself, marked; see
    /// `net::Client::call_written_async`.
    pub(crate) fn call_written_async(
        &self,
        broker: &str,
        about: (RequestCode, usize),
        write: impl FnOnce(i32, &mut Vec<u8>),
        timeout: Duration,
        done: impl FnOnce(Result<Command>) + Send + 'static,
    ) {
        let address = lane_address(broker, self.lane);
        let net = &self.runtime.net;
        net.call_written_async(&address, about, write, timeout, done);
    }

    /// Sends a one-way request to a broker over this handle's connection.
    pub(crate) fn oneway(&self, broker: &str, request: Command) -> Result<()> {
        let address = lane_address(broker, self.lane);
        self.runtime.net.oneway(&address, self.marked(request))
    }

    /// Sends a request to a broker over this handle's connection and waits for the answer.
    pub(crate) fn call(&self, broker: &str, request: Command) -> Result<Command> {
        let address = lane_address(broker, self.lane);
        let (request, timeout) = (self.marked(request), self.request_timeout());
        self.runtime.net.call(&address, request, timeout)
    }

    /// The address of a broker's member of this id, with that id; else the master's, else that of
    /// any slave.
    pub(crate) fn broker(&self, broker_name: &str, id: i64) -> Result<(String, i64)> {
        let routes = self.routes.lock();
        let found = routes.broker(broker_name, id);
        let owned = |(address, id): (&str, i64)| (address.to_owned(), id);
        found.map(owned).ok_or_else(|| {
            let context = format!("the broker {broker_name} is not known");
            Error::new(ErrorKind::NotFound, "find broker", context)
        })
    }

    /// The address of a broker's master.
    pub(crate) fn master(&self, broker_name: &str) -> Result<String> {
        let routes = self.routes.lock();
        routes
            .master(broker_name)
            .map(str::to_owned)
            .ok_or_else(|| {
                let context = format!("no master of the broker {broker_name} is known");
                Error::new(ErrorKind::NotFound, "find broker", context)
            })
    }

    /// The route of a topic: at once if it is known, else when a nameserver has answered. `done`
    /// runs on this thread or on the event loop and must not block.
    pub(crate) fn route(self: &Arc<Self>, topic: &str, done: RouteDone) {
        {
            let mut waiting = self.waiting.lock();
            // Behind those that wait, also when the route has just come: sends keep their order.
            if let Some(waiting) = waiting.get_mut(topic) {
                return waiting.push(done);
            }
            let known = self.routes.lock().get(topic, self.runtime.now());
            if let Some(route) = known {
                drop(waiting);
                return done(Ok(route));
            }
            waiting.insert(topic.to_owned(), vec![done]);
        }
        Lookup::begin(self, topic);
    }

    /// The route of a topic; waits for a nameserver if it is not known.
    pub(crate) fn route_now(self: &Arc<Self>, topic: &str) -> Result<Arc<TopicRoute>> {
        let slot = Slot::new();
        let filled = slot.clone();
        self.route(topic, Box::new(move |route| filled.put(route)));
        // Each nameserver is asked at most once.
        let servers = u32::try_from(self.nameservers.len()).unwrap_or(u32::MAX);
        let patience = self.request_timeout().saturating_mul(servers);
        slot.take(patience).unwrap_or_else(|| {
            let context = format!("no nameserver said where {topic} is within {patience:?}");
            Err(Error::new(ErrorKind::Timeout, "get route", context))
        })
    }

    /// Whether the route of a topic is there.
    pub(crate) fn knows(&self, topic: &str) -> bool {
        self.routes.lock().get(topic, self.runtime.now()).is_some()
    }

    /// What is known of a topic seems wrong: it is asked for again soon.
    pub(crate) fn doubt(&self, topic: &str) {
        self.routes.lock().doubt(topic, self.runtime.now());
    }

    fn refresh_routes(self: &Arc<Self>) {
        let due = self.routes.lock().due(self.runtime.now());
        for topic in due {
            Lookup::begin(self, &topic);
        }
    }

    /// What a lookup brought.
    pub(crate) fn route_arrived(self: &Arc<Self>, topic: &str, found: Result<TopicRoute>) {
        let now = self.runtime.now();
        let outcome = match found {
            Ok(route) => {
                let changed = self.routes.lock().put(topic, route, now);
                if changed {
                    self.greet_where(&|known, address| !known.contains(address), None);
                    if let Some(member) = self.member.get().and_then(Weak::upgrade) {
                        member.routes_changed();
                    }
                }
                Ok(self.routes.lock().get(topic, now))
            }
            Err(error) => {
                if error.kind() == ErrorKind::NotFound {
                    self.routes.lock().remove(topic);
                }
                Err(error)
            }
        };
        while let Some(waiting) = self.take_waiting(topic) {
            for done in waiting {
                done(match &outcome {
                    Ok(Some(route)) => Ok(Arc::clone(route)),
                    Ok(None) => Err(Error::new(ErrorKind::NotFound, "get route", topic)),
                    Err(error) => Err(Error::new(error.kind(), error.op(), error.context())),
                });
            }
        }
    }

    /// Who waits for a route; those that come before they are told wait too. None when nobody does,
    /// and then nobody waits any more.
    fn take_waiting(&self, topic: &str) -> Option<Vec<RouteDone>> {
        let mut waiting = self.waiting.lock();
        let taken = std::mem::take(waiting.get_mut(topic)?);
        if taken.is_empty() {
            waiting.remove(topic);
            return None;
        }
        Some(taken)
    }

    /// Tells every broker that this client lives.
    pub(crate) fn greet(self: &Arc<Self>) {
        self.greet_where(&|_, _| true, None);
    }

    /// Tells every broker of this client and waits for the answers. Blocks.
    pub(crate) fn greet_now(self: &Arc<Self>) {
        let pending = Arc::new(Pending::default());
        self.greet_where(&|_, _| true, Some(&pending));
        pending.wait_none(self.request_timeout());
    }

    /// Tells every broker of this client and waits for the answers of some: of them, what follows
    /// finds the client as it is now. Blocks.
    pub(crate) fn greet_and_await(self: &Arc<Self>, awaited: &BTreeSet<String>) {
        let pending = Arc::new(Pending::default());
        self.greet_where(&|_, address| !awaited.contains(address), None);
        self.greet_where(&|_, address| awaited.contains(address), Some(&pending));
        pending.wait_none(self.request_timeout());
    }

    fn greet_where(
        self: &Arc<Self>,
        wanted: &dyn Fn(&BTreeSet<String>, &String) -> bool,
        pending: Option<&Arc<Pending>>,
    ) {
        let Some(member) = self.member.get().and_then(Weak::upgrade) else {
            return;
        };
        let (producers, consumers) = member.groups();
        if producers.is_empty() && consumers.is_empty() {
            return;
        }
        // Slaves serve consumers only.
        let addresses = self.routes.lock().addresses(consumers.is_empty());
        let data = HeartbeatData {
            client_id: self.client_id.clone(),
            producers,
            consumers,
            ..HeartbeatData::default()
        };
        let known = self.greeted.lock().clone();
        for address in addresses.iter().filter(|address| wanted(&known, address)) {
            let request = Command::bare_request(RequestCode::HEART_BEAT).with_body(data.encode());
            let _before_the_farewell = self.greeting.lock();
            if self.is_closed() {
                return;
            }
            self.greeted.lock().insert(address.clone());
            let (instance, broker) = (Arc::downgrade(self), address.clone());
            let answered = pending.cloned();
            if let Some(pending) = pending {
                pending.enter(usize::MAX);
            }
            self.call_async(address, request, self.request_timeout(), move |answer| {
                if let Some(instance) = instance.upgrade() {
                    instance.greeted_by(&broker, answer);
                }
                if let Some(answered) = answered {
                    answered.leave();
                }
            });
        }
    }

    fn greeted_by(&self, broker: &str, answer: Result<Command>) {
        let wrong = match answer {
            Ok(answer) if answer.response_code() == ResponseCode::SUCCESS => return,
            Ok(answer) => answer.remark.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        tracing::debug!(%broker, wrong, "a heartbeat was not taken");
        self.greeted.lock().remove(broker);
    }

    /// Takes leave of every broker and ends the connections of this handle, within `deadline`. A
    /// broker that does not answer notices by itself. A second call does nothing.
    pub(crate) fn close(self: &Arc<Self>, deadline: Duration) {
        let was_closed = {
            let _behind_heartbeats = self.greeting.lock();
            self.closed.swap(true, Ordering::SeqCst)
        };
        if was_closed {
            return;
        }
        let addresses = std::mem::take(&mut *self.greeted.lock());
        let pending = Arc::new(Pending::default());
        for address in &addresses {
            for request in self.farewells() {
                pending.enter(usize::MAX);
                let answered = Arc::clone(&pending);
                self.call_async(address, request, deadline, move |_| answered.leave());
            }
        }
        if !self.on_runtime_thread() {
            pending.wait_none(deadline);
        }
        self.runtime.remove_lane(self.lane);
        self.runtime.net.disconnect_lane(self.lane);
    }

    fn farewells(&self) -> Vec<Command> {
        let Some(member) = self.member.get().and_then(Weak::upgrade) else {
            return Vec::new();
        };
        let (producers, consumers) = member.groups();
        let producers = producers.into_iter().map(|p| (Some(p.group_name), None));
        let consumers = consumers.into_iter().map(|c| (None, Some(c.group_name)));
        let of = |(producer_group, consumer_group)| UnregisterClientRequest {
            client_id: self.client_id.clone(),
            producer_group,
            consumer_group,
        };
        let all = producers.chain(consumers).map(of);
        all.map(|header| Command::request(RequestCode::UNREGISTER_CLIENT, &header))
            .collect()
    }

    /// Whether the calling thread runs a callback of the program: to wait for callbacks there
    /// would be to wait for itself.
    pub(crate) fn on_runtime_thread(&self) -> bool {
        self.runtime.callbacks.is_current() || self.runtime.work.is_current()
    }
}

impl Repeats for Instance {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    fn is_over(&self) -> bool {
        self.is_closed()
    }
}

/// Has `act` done now and every `interval`, until its owner is over or gone.
pub(crate) fn repeat<T: Repeats>(owner: &Arc<T>, interval: Duration, act: fn(&Arc<T>)) {
    fn again<T: Repeats>(owner: &Weak<T>, interval: Duration, act: fn(&Arc<T>)) {
        let Some(owner) = owner.upgrade().filter(|owner| !owner.is_over()) else {
            return;
        };
        act(&owner);
        let weak = Arc::downgrade(&owner);
        let next = move || again(&weak, interval, act);
        owner.runtime().work.run_after(interval, next);
    }
    again(&Arc::downgrade(owner), interval, act);
}

/// `address@instance`, and `@unit` if there is one, as brokers show it.
fn client_id(options: &ClientOptions, runtime: &Runtime, lane: u32) -> String {
    let ip = match &options.client_ip {
        Some(ip) => ip.clone(),
        None => runtime.host_ip.to_string(),
    };
    let instance = match &options.instance_name {
        Some(name) => name.clone(),
        None => format!("{}#{lane}#{}", std::process::id(), runtime.clock.wall_ms()),
    };
    match options.unit_name.as_deref() {
        Some(unit) if !unit.is_empty() => format!("{ip}@{instance}@{unit}"),
        _ => format!("{ip}@{instance}"),
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("client_id", &self.client_id)
            .field("nameservers", &self.nameservers)
            .finish_non_exhaustive()
    }
}
