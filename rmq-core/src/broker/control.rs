//! The control thread: everything that is not sending, pulling or committing, in arrival order.

mod creations;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::queue::Popped;
use crate::base::thread;
use crate::broker::clients::GroupChange;
use crate::broker::names;
use crate::broker::overload;
use crate::broker::processors;
use crate::broker::reply::{Answer, Refusal, encode_answer, guarded};
use crate::broker::shared::{Mail, Shared};
use crate::broker::stats::SAMPLE_INTERVAL_MS;
use crate::net::ConnectionId;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::json::Flavour;
use crate::protocol::request::push::NotifyConsumerIdsChangedRequest;
use crate::store::{self, MetadataFile};

/// Work for the control thread.
#[derive(Debug)]
pub(crate) enum Task {
    /// A request to be answered.
    Request {
        /// Where it came from.
        conn: ConnectionId,
        /// The client's address.
        peer: SocketAddr,
        /// The request.
        command: Command,
        /// Since when it waits: monotonic clock, ms.
        since_ms: u64,
    },
    /// A topic that does not exist yet and that sends wait for.
    CreateTopic {
        /// The reactor where they wait.
        reactor: usize,
        /// What to create.
        topic: NewTopic,
    },
    /// A retry or dead letter topic that a request needs; the frame goes back to its reactor
    /// afterwards.
    CreateGroupTopic {
        /// Where it came from.
        conn: ConnectionId,
        /// The whole frame.
        frame: Vec<u8>,
        /// What to create.
        topic: GroupTopic,
    },
    /// A request of a group that does not exist yet; the frame goes back to its reactor afterwards.
    CreateGroup {
        /// Where it came from.
        conn: ConnectionId,
        /// The whole frame.
        frame: Vec<u8>,
        /// The group.
        group: String,
    },
    /// A retry or dead letter topic that nobody waits for is to exist.
    MakeGroupTopic(GroupTopic),
    /// A half message was given up: the topic for that is to exist.
    GivenUp,
    /// A connection that is gone.
    Closed(ConnectionId),
}

/// What a send says about the topic that it would like.
#[derive(Debug)]
pub(crate) struct NewTopic {
    /// The topic.
    pub(crate) topic: String,
    /// The topic to inherit from.
    pub(crate) default_topic: String,
    /// How many queues the client asks for at most.
    pub(crate) queue_nums: i32,
    /// Whether it is used in unit mode.
    pub(crate) unit_mode: bool,
}

/// A retry or dead letter topic.
#[derive(Clone, Debug)]
pub(crate) struct GroupTopic {
    /// The topic.
    pub(crate) name: String,
    /// Its queues.
    pub(crate) queues: i32,
    /// Bits of `sysflag::topic`.
    pub(crate) sys_flag: i32,
}

/// How often silent clients are looked for.
const EXPIRE_INTERVAL_MS: u64 = 10_000;

/// Where a request came from, and what processors need to answer it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// The broker.
    pub(crate) shared: &'a Arc<Shared>,
    /// The connection of the request.
    pub(crate) conn: ConnectionId,
    /// The client's address.
    pub(crate) peer: SocketAddr,
}

/// The files that the control thread writes at intervals.
#[derive(Debug)]
pub(crate) struct ControlFiles {
    /// Committed offsets: `consumerOffset.json`.
    pub(crate) offsets: MetadataFile,
    /// How far delayed messages were delivered: `delayOffset.json`.
    pub(crate) delays: MetadataFile,
}

/// The state of the control thread.
#[derive(Debug)]
pub(crate) struct Control {
    shared: Arc<Shared>,
    files: ControlFiles,
    persisted_offsets: u64,
    persisted_delays: u64,
    persisted_orders: u64,
    next_sample_ms: u64,
    next_persist_ms: u64,
    next_delays_ms: u64,
    next_expire_ms: u64,
}

impl Control {
    /// The control plane of a broker whose tables live in `files`.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>, files: ControlFiles) -> Self {
        let persisted_offsets = shared.offsets.version();
        let persisted_delays = shared.schedule.version();
        Self {
            shared,
            files,
            persisted_offsets,
            persisted_delays,
            persisted_orders: 0,
            next_sample_ms: 0,
            next_persist_ms: 0,
            next_delays_ms: 0,
            next_expire_ms: 0,
        }
    }

    /// Works until the queue of tasks is closed; then writes what is to be written.
    pub(crate) fn run(mut self, persist_at_end: impl Fn() -> bool) {
        loop {
            let wait_ms = self.run_timers();
            match self
                .shared
                .control
                .pop_timeout(Duration::from_millis(wait_ms))
            {
                Popped::Item(task) => self.handle_from(task),
                Popped::TimedOut => {}
                Popped::Closed => break,
            }
        }
        if persist_at_end() {
            self.persist_offsets();
            self.persist_delays();
            self.persist_orders();
            self.persist_filters();
        }
    }

    fn handle(&self, task: Task) {
        let outcome = thread::catch(|| match task {
            Task::Request {
                conn,
                peer,
                command,
                since_ms,
            } => self.request(conn, peer, &command, since_ms),
            Task::CreateGroup { conn, frame, group } => {
                self.create_group_first(conn, frame, &group);
            }
            Task::MakeGroupTopic(topic) => self.make_group_topic(&topic),
            // `handle_from` takes these.
            Task::CreateTopic { .. } | Task::CreateGroupTopic { .. } => {}
            Task::GivenUp => self.create_topic_of_given_up(),
            Task::Closed(conn) => self.closed(conn),
        });
        if let Err(what) = outcome {
            tracing::error!(what, "a task of the control thread panicked");
        }
    }

    /// Refuses a request that waited too long.
    fn check_wait(&self, command: &Command, since_ms: u64) -> Result<(), Refusal> {
        let max_ms = overload::control_wait_max_ms(&self.shared.config(), command.request_code());
        let waited_ms = self.shared.clock.monotonic_ms().saturating_sub(since_ms);
        overload::check(max_ms, waited_ms, self.shared.control.len())
    }

    /// The answer to a request.
    fn answer(
        &self,
        conn: ConnectionId,
        peer: SocketAddr,
        command: &Command,
        since_ms: u64,
    ) -> Answer {
        self.check_wait(command, since_ms)?;
        let context = Context {
            shared: &self.shared,
            conn,
            peer,
        };
        guarded(command, || processors::process(&context, command))
    }

    fn request(&self, conn: ConnectionId, peer: SocketAddr, command: &Command, since_ms: u64) {
        let answer = self.answer(conn, peer, command, since_ms);
        let bytes = encode_answer(command, answer);
        let shared = Arc::clone(&self.shared);
        self.shared.after_registration(move || {
            if let Some(bytes) = bytes {
                shared.send(conn, bytes);
            }
        });
    }

    /// Creates the group that a request needs and gives it back to its reactor, or refuses it.
    fn create_group_first(&self, conn: ConnectionId, frame: Vec<u8>, group: &str) {
        if let Err(refusal) = processors::admin::create_by_pull(&self.shared, group) {
            let Some(request) = processors::decode_frame(&frame) else {
                return;
            };
            if let Some(bytes) = encode_answer(&request, Err(refusal)) {
                self.shared.send(conn, bytes);
            }
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.shared.after_registration(move || {
            let reactor = usize::from(conn.reactor());
            shared.post(reactor, Mail::Frame { conn, bytes: frame });
        });
    }

    fn make_group_topic(&self, topic: &GroupTopic) {
        let GroupTopic {
            name,
            queues,
            sys_flag,
        } = topic;
        if self.shared.topics.get(name).is_none()
            && let Err(error) = self
                .shared
                .topics
                .create_for_group(name, *queues, false, *sys_flag)
        {
            tracing::error!(%error, name, "a topic of retries could not be made");
        }
        self.shared.after_registration(|| {});
    }

    fn create_topic_of_given_up(&self) {
        let topic = names::TRANS_CHECK_MAX_TIME_TOPIC;
        if let Err(error) = self.shared.topics.create_for_group(topic, 1, false, 0) {
            tracing::error!(%error, topic, "a topic of the system could not be made");
        }
        self.shared.after_registration(|| {});
    }

    fn closed(&self, conn: ConnectionId) {
        self.shared.pops.closed(conn);
        self.shared.producers.lock().close(conn);
        self.shared.calls.close(conn);
        let changes = self.shared.consumers.write().close(conn);
        notify_changes(&self.shared, &changes);
    }

    /// Runs what is due; returns how long there is nothing to do.
    fn run_timers(&mut self) -> u64 {
        let now_ms = self.shared.clock.monotonic_ms();
        if now_ms >= self.next_sample_ms {
            let stats = &self.shared.stats;
            stats.sample(now_ms);
            stats.items.sample(now_ms);
            stats.note_day(store::local_day(self.shared.clock.wall_ms()));
            self.shared.calls.expire(now_ms);
            self.next_sample_ms = now_ms + SAMPLE_INTERVAL_MS;
        }
        if now_ms >= self.next_persist_ms {
            self.persist_offsets();
            let interval_ms = self.shared.config().flush_offsets_interval_ms;
            self.next_persist_ms = now_ms + interval_ms.max(1);
        }
        if now_ms >= self.next_delays_ms {
            self.persist_delays();
            let interval_ms = self.shared.config().store.flush_delays_interval_ms;
            self.next_delays_ms = now_ms + interval_ms.max(1);
        }
        if now_ms >= self.next_expire_ms {
            self.expire(now_ms);
            self.persist_filters();
            self.persist_orders();
            self.next_expire_ms = now_ms + EXPIRE_INTERVAL_MS;
        }
        let next_ms = self
            .next_sample_ms
            .min(self.next_persist_ms)
            .min(self.next_delays_ms)
            .min(self.next_expire_ms);
        next_ms.saturating_sub(now_ms).max(1)
    }

    fn expire(&self, now_ms: u64) {
        let expiry_ms = self.shared.config().channel_expired_ms;
        let (changes, gone) = self.shared.consumers.write().expire(now_ms, expiry_ms);
        notify_changes(&self.shared, &changes);
        let silent = self.shared.producers.lock().expire(now_ms, expiry_ms);
        for conn in gone.into_iter().chain(silent) {
            tracing::info!(?conn, "closing a client that stopped to heartbeat");
            self.shared.close(conn);
        }
        self.shared.locks.lock().expire(now_ms);
    }

    fn persist_orders(&mut self) {
        let shared = &self.shared;
        let (version, table) = {
            let mut orders = shared.pops.orders.lock();
            if orders.version() == self.persisted_orders {
                return;
            }
            let exists = |topic: &str, group: &str| {
                shared.topics.get(topic).is_some() && shared.groups.get(group).is_some()
            };
            let now_ms = shared.clock.wall_ms();
            (orders.version(), orders.snapshot(now_ms, exists))
        };
        let bytes = table.encode_as(Flavour::Pretty);
        match shared.files.order_info.save(&bytes) {
            Ok(()) => self.persisted_orders = version,
            Err(error) => tracing::error!(%error, "ordered groups of pop could not be written"),
        }
    }

    fn persist_offsets(&mut self) {
        let version = self.shared.offsets.version();
        if version == self.persisted_offsets {
            return;
        }
        let bytes = processors::offset::encode_file(&self.shared);
        // What was popped must not be passed over by a start that does not find its check point.
        let store = &self.shared.store;
        if store.watermarks().flushed() < self.shared.pops.log_end()
            && let Err(error) = store.flush()
        {
            tracing::error!(%error, "consumer offsets are not written before the log");
            return;
        }
        match self.files.offsets.save(&bytes) {
            Ok(()) => self.persisted_offsets = version,
            Err(error) => tracing::error!(%error, "consumer offsets could not be written"),
        }
    }

    fn persist_filters(&self) {
        let (keep_ms, now_ms) = (
            self.shared.config().filter_keep_ms,
            self.shared.clock.wall_ms(),
        );
        if let Err(error) = self.shared.filters.persist(keep_ms, now_ms) {
            tracing::error!(%error, "consumer filters could not be written");
        }
    }

    fn persist_delays(&mut self) {
        let version = self.shared.schedule.version();
        if version == self.persisted_delays {
            return;
        }
        let table = self.shared.schedule.table(self.shared.clock.wall_ms());
        match self.files.delays.save(&table.encode_file()) {
            Ok(()) => self.persisted_delays = version,
            Err(error) => tracing::error!(%error, "delay offsets could not be written"),
        }
    }
}

/// Tells the members of changed groups to look at their group again, and takes note of groups that
/// have none any more.
pub(crate) fn notify_changes(shared: &Shared, changes: &[GroupChange]) {
    for gone in changes.iter().filter(|change| change.members.is_empty()) {
        shared
            .filters
            .unregister(&gone.group, shared.clock.wall_ms());
    }
    if !shared.config().notify_consumers {
        return;
    }
    for change in changes {
        let header = NotifyConsumerIdsChangedRequest {
            consumer_group: change.group.clone(),
        };
        let request = Command::request(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED, &header).oneway();
        for member in &change.members {
            let mut bytes = Vec::with_capacity(256);
            request.encode(&mut bytes);
            shared.send(*member, bytes);
        }
    }
}
