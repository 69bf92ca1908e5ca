//! A broker: what is started in which order, and how it stops.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::Result;
use crate::base::clock::{Clock, SharedClock, SystemClock};
use crate::base::thread::{self, JoinHandle, ProcessMark};
use crate::broker::cold::ColdReader;
use crate::broker::control::{Control, ControlFiles};
use crate::broker::filters::ConsumerFilters;
use crate::broker::groups::Groups;
use crate::broker::handler::DataHandler;
use crate::broker::interfaces;
use crate::broker::metadata::Files;
use crate::broker::offsets::ConsumerOffsets;
use crate::broker::options;
use crate::broker::pop::{Pops, Worker as PopWorker};
use crate::broker::registration::Registration;
use crate::broker::replication::{Replication, ReplicationStatus};
use crate::broker::role;
use crate::broker::schedule::Schedule;
use crate::broker::schedule::deliverer::Deliverer;
use crate::broker::settings::ConfigFile;
use crate::broker::shared::{Shared, SharedParts};
use crate::broker::slave_sync::SlaveSync;
use crate::broker::timer;
use crate::broker::topics::Topics;
use crate::broker::transaction::Worker;
use crate::config::{BrokerConfig, BrokerRole};
use crate::net::{Client, ClientConfig, Fence, Limits, Server, ServerConfig, reactor_threads};
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::offset::{ConsumerOffsetTable, DelayOffsetTable};
use crate::protocol::body::pop::OrderInfoTable;
use crate::store::{Disk, MetadataFile, RealDisk, Store};

/// The listener that everybody uses.
const MAIN: u8 = 0;
/// The second listener, at the port below the main one's neighbour, for clients with
/// `vipChannelEnabled`.
const VIP: u8 = 1;

/// What a broker has of the host that it runs on: the parts that tests replace.
#[derive(Clone, Debug)]
pub struct Host {
    /// Where its files are.
    pub disk: Arc<dyn Disk>,
    /// Where its time comes from.
    pub clock: SharedClock,
    /// Who cannot reach it.
    pub fence: Fence,
    /// The source address of its outbound connections; `None` leaves it to the system.
    pub bind: Option<IpAddr>,
}

impl Default for Host {
    /// The host as it is.
    fn default() -> Self {
        Self {
            disk: RealDisk::shared(),
            clock: SystemClock::shared(),
            fence: Fence::default(),
            bind: None,
        }
    }
}

/// A running broker. Dropping it kills it; `close` stops it cleanly.
pub struct Broker {
    shared: Arc<Shared>,
    server: Server,
    client: Arc<Client>,
    registration: Arc<Registration>,
    persist_at_end: Arc<AtomicBool>,
    /// Those that append messages of their own: joined before the log is at its end.
    appenders: Vec<JoinHandle>,
    threads: Mutex<Vec<JoinHandle>>,
    stopped: AtomicBool,
    process: ProcessMark,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// The stored offsets of consumers. A slave's may be ahead of its log; those of a master that was
/// one, or whose log lost its end, must not be.
fn load_offsets(
    config: &BrokerConfig,
    store: &Store,
    file: &MetadataFile,
    clock: &dyn Clock,
) -> Result<ConsumerOffsets> {
    let stored = file.load(ConsumerOffsetTable::decode)?.unwrap_or_default();
    let offsets = ConsumerOffsets::default();
    offsets.load(stored.offsets);
    offsets.adopt(stored.data_version, offsets.version());
    if config.store.broker_role == BrokerRole::Slave {
        return Ok(offsets);
    }
    let end_of = |topic: &str, queue_id| Some(store.find_queue(topic, queue_id)?.next_offset());
    let cut = offsets.cut(end_of);
    if cut > 0 {
        tracing::warn!(cut, "offsets beyond the end of their queues are taken back");
        let table = ConsumerOffsetTable {
            data_version: offsets.data_version(clock.wall_ms()),
            offsets: offsets.snapshot(),
        };
        file.save(&table.encode_file())?;
    }
    Ok(offsets)
}

/// Has the broker told of what its store and its topics do.
fn attach_hooks(shared: &Arc<Shared>) {
    let progress = Arc::downgrade(shared);
    shared.store.on_progress(Box::new(move || {
        if let Some(shared) = progress.upgrade() {
            shared.on_progress();
        }
    }));
    let arrived = Arc::downgrade(shared);
    shared.store.on_arrival(Box::new(move |queue| {
        if let Some(shared) = arrived.upgrade() {
            shared.arrived(queue);
        }
    }));
    let changed = Arc::downgrade(shared);
    shared.topics.on_change(move |topic| {
        if let Some(shared) = changed.upgrade() {
            shared.topic_changed(&topic.topic_name);
        }
    });
}

impl Broker {
    /// Starts a broker: opens and recovers the store, loads the metadata, listens, registers.
    /// Returns when it accepts requests and every nameserver that answered knows it.
    pub fn start(config: BrokerConfig, host: Host) -> Result<Self> {
        role::check(&config)?;
        let address = interfaces::choose(&config)?;
        let root = Path::new(&config.store.root_dir).to_owned();
        let options = options::of(&config);
        let store = Store::open(options, Arc::clone(&host.disk), Arc::clone(&host.clock))?;
        match Self::start_on(config, address, &store, &root, &host) {
            Ok(broker) => Ok(broker),
            Err(error) => {
                // What was opened is closed again; the first error is the one to report.
                let _ = store.close(Duration::from_secs(5));
                Err(error)
            }
        }
    }

    fn start_on(
        config: BrokerConfig,
        address: interfaces::Choice,
        store: &Arc<Store>,
        root: &Path,
        host: &Host,
    ) -> Result<Self> {
        let clock = &host.clock;
        let config_file = |name: &str| root.join("config").join(name);
        let file = |name: &str| MetadataFile::new(Arc::clone(&host.disk), config_file(name));
        let offsets_file = file("consumerOffset.json");
        let offsets = load_offsets(&config, store, &offsets_file, &**clock)?;
        let delays_file = file("delayOffset.json");
        let delays = delays_file
            .load(DelayOffsetTable::decode)?
            .unwrap_or_default();
        let order_info = file("consumerOrderInfo.json").load(OrderInfoTable::decode)?;
        let order_info = order_info.unwrap_or_default();
        let groups_file = file("subscriptionGroup.json");
        let listen = interfaces::bind_address(&config)?;
        let main = SocketAddr::new(listen, config.server.listen_port);
        let mut listeners = vec![(main, MAIN)];
        if config.vip_port() > 0 {
            listeners.push((SocketAddr::new(listen, config.vip_port()), VIP));
        }
        let server_config = ServerConfig {
            name: format!("broker-{}", config.broker_name),
            reactors: reactor_threads(&config.server),
            listeners,
            limits: Limits::of_server(&config.server),
            fence: host.fence.clone(),
            clock: Arc::clone(clock),
        };
        let shared = Arc::new(Shared::new(SharedParts {
            topics: Topics::open(file("topics.json"), &config, Arc::clone(clock))?,
            groups: Groups::open(groups_file, &config, Arc::clone(clock))?,
            filters: ConsumerFilters::open(file("consumerFilter.json"), &config, clock.wall_ms()),
            offsets,
            pops: Pops::new(order_info),
            schedule: Schedule::new(store.options().delay_levels_ms.clone(), delays),
            files: Files::new(&host.disk, root),
            cold: ColdReader::start()?,
            config_file: ConfigFile::of(&config, &host.disk)?,
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            store_host: SocketAddr::new(address.main, config.server.listen_port),
            reactors: usize::from(server_config.reactors),
            config,
        }));
        shared.topics.persist()?;
        shared.groups.persist()?;
        let handlers = Arc::clone(&shared);
        let server = Server::start(server_config, move |index, _reactor| {
            Box::new(DataHandler::new(Arc::clone(&handlers), usize::from(index)))
        })?;
        let files = ControlFiles {
            offsets: offsets_file,
            delays: delays_file,
        };
        Self::finish(shared, server, &address, files, host)
    }

    /// Starts what needs the port: everything but the reactors themselves.
    fn finish(
        shared: Arc<Shared>,
        server: Server,
        address: &interfaces::Choice,
        files: ControlFiles,
        host: &Host,
    ) -> Result<Self> {
        let port = server.local_addr(MAIN).map_or(0, |bound| bound.port());
        shared.set_store_port(port);
        shared.set_reactors(server.reactors().to_vec());
        let config = shared.config();
        attach_hooks(&shared);
        let client_config = ClientConfig {
            bind: host.bind,
            fence: host.fence.clone(),
            ..ClientConfig::default()
        };
        let client = Arc::new(Client::start(client_config, Arc::clone(&host.clock))?);
        shared.routes.ask_with(&client);
        let listen = interfaces::bind_address(&config)?;
        let streams = Replication::start(&config, &shared.store, host, (listen, port))?;
        let ha_address = SocketAddr::new(address.ha, streams.port());
        shared.set_streams(streams, ha_address);
        let (main, ha) = (&address.main, ha_address);
        tracing::info!(%main, %ha, why = address.why, "addresses chosen");
        let second = server.local_addr(VIP).map_or(0, |bound| bound.port());
        let store = &config.store.root_dir;
        tracing::info!(
            name = config.broker_name,
            port,
            second,
            store,
            "the broker listens"
        );
        let registration = Arc::new(Registration::new(
            Arc::clone(&shared),
            Arc::clone(&client),
            ha_address.to_string(),
        ));
        let persist_at_end = Arc::new(AtomicBool::new(false));

        let control = Control::new(Arc::clone(&shared), files);
        let persist = Arc::clone(&persist_at_end);
        let control = thread::spawn("rmq-broker-control", move || {
            control.run(|| persist.load(Ordering::Acquire));
        })?;
        let schedule = start_schedule(&shared)?;
        let worker = timer::worker::Worker::new(Arc::clone(&shared));
        let timer = thread::spawn("rmq-broker-timer", move || worker.run())?;
        let worker = Worker::new(Arc::clone(&shared));
        let transactions = thread::spawn("rmq-broker-transaction", move || worker.run())?;
        let worker = PopWorker::new(Arc::clone(&shared));
        let pops = thread::spawn("rmq-broker-pop", move || worker.run())?;
        registration.register();
        let registering = Arc::clone(&registration);
        let register = thread::spawn("rmq-broker-register", move || registering.run())?;
        let mut threads = vec![control, register];
        if shared.members.is_slave() {
            let sync = SlaveSync::new(Arc::clone(&shared), Arc::clone(&client));
            threads.push(thread::spawn("rmq-broker-slave", move || sync.run())?);
        }
        Ok(Self {
            shared,
            server,
            client,
            registration,
            persist_at_end,
            appenders: vec![schedule, timer, transactions, pops],
            threads: Mutex::new(threads),
            stopped: AtomicBool::new(false),
            process: ProcessMark::current(),
        })
    }

    /// The address that clients are given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.store_host()
    }

    /// The broker's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.shared.config().broker_name.clone()
    }

    /// Its figures, as GET_BROKER_RUNTIME_INFO tells them.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<String, String> {
        super::processors::admin::figures(&self.shared)
    }

    /// How replication does.
    #[must_use]
    pub fn replication(&self) -> Option<ReplicationStatus> {
        self.shared.streams().map(Replication::status)
    }

    /// The version of the table of topics; a slave has its master's.
    #[must_use]
    pub fn topics_version(&self) -> DataVersion {
        self.shared.topics.data_version()
    }

    /// The log offset of the end of the log.
    #[must_use]
    pub fn log_end(&self) -> i64 {
        self.shared.store.watermarks().appended()
    }

    /// Stops cleanly: takes the registration back, answers what was received, writes everything,
    /// removes the abort file. A second call does nothing.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.process.check("close broker")?;
        if self.stopped.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.shared.registration.close();
        self.shared.slave_bell.close();
        self.registration.unregister();
        let mut first = self.server.shutdown(deadline).err();
        let mut keep = |outcome: Result<()>| {
            if let Err(error) = outcome {
                first.get_or_insert(error);
            }
        };
        // Before the control thread, which writes at its end how far delayed messages and
        // transactions came.
        self.shared.schedule.inbox.close(true);
        self.shared.timer.inbox.close(true);
        self.shared.transactions.inbox.close(true);
        self.shared.pops.inbox.close(true);
        for thread in &self.appenders {
            keep(thread.join_deadline(deadline));
        }
        // After the last append: slaves in sync get what they lack.
        if let Some(streams) = self.shared.streams() {
            keep(streams.close(deadline));
        }
        // Whoever waits for another server's answer hears at once that there will be none.
        keep(self.client.close(deadline));
        self.persist_at_end.store(true, Ordering::Release);
        self.shared.control.close();
        for thread in self.threads.lock().drain(..) {
            keep(thread.join_deadline(deadline));
        }
        keep(self.shared.cold.close(deadline));
        keep(self.shared.topics.persist());
        keep(self.shared.groups.persist());
        keep(self.shared.store.close(deadline));
        match first {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Stops as a crash would: nothing is flushed, written, answered or unregistered.
    pub fn kill(&self) {
        if !self.process.is_current() || self.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = self.server.kill() {
            tracing::warn!(%error, "a reactor outlived its broker");
        }
        self.shared.registration.close();
        self.shared.slave_bell.close();
        self.shared.control.close();
        self.shared.schedule.inbox.close(false);
        self.shared.timer.inbox.close(false);
        self.shared.transactions.inbox.close(false);
        self.shared.pops.inbox.close(false);
        if let Some(streams) = self.shared.streams() {
            streams.kill();
        }
        self.shared.store.kill();
        let deadline = Duration::from_secs(5);
        let mut outcomes = vec![self.client.kill()];
        for thread in self.threads.lock().iter().chain(&self.appenders) {
            outcomes.push(thread.join_deadline(deadline));
        }
        outcomes.push(self.shared.cold.close(deadline));
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a thread outlived its broker");
        }
    }
}

/// Starts the thread that delivers delayed messages.
fn start_schedule(shared: &Arc<Shared>) -> Result<JoinHandle> {
    let jumped = Arc::downgrade(shared);
    shared
        .clock
        .on_jump(Box::new(move || match jumped.upgrade() {
            Some(shared) => {
                shared.schedule.inbox.look();
                shared.timer.inbox.look();
                true
            }
            None => false,
        }));
    let deliverer = Deliverer::new(Arc::clone(shared));
    thread::spawn("rmq-broker-schedule", move || deliverer.run())
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
