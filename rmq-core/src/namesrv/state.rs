//! What the reactors of a nameserver share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::cache::RouteCache;
use super::kv::KvTable;
use super::saver::Saver;
use super::server::Host;
use super::settings::Settings;
use crate::base::Result;
use crate::base::backoff::BackoffConfig;
use crate::base::clock::SharedClock;
use crate::config::NamesrvConfig;
use crate::net::{Client, ClientConfig, ConnectionId, Fence, Limits, ReactorHandle};
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::request::ha::NotifyMinBrokerIdChangeRequest;
use crate::route::{Expired, MinIdChange, RouteTable};

/// The route table, the stored tables, and the threads that serve them.
#[derive(Debug)]
pub(super) struct State {
    pub(super) table: RwLock<RouteTable<ConnectionId>>,
    pub(super) kv: Arc<KvTable>,
    pub(super) settings: Arc<Settings>,
    pub(super) routes: RouteCache,
    pub(super) saver: Saver,
    clock: SharedClock,
    started: Duration,
    fence: Fence,
    bind: Option<IpAddr>,
    reactors: Mutex<Vec<ReactorHandle>>,
    /// Made when brokers are first to be told something.
    client: Mutex<Option<Arc<Client>>>,
}

impl State {
    /// Reads the stored tables.
    pub(super) fn open(config: NamesrvConfig, host: Host) -> Result<Self> {
        let Host {
            disk,
            clock,
            fence,
            bind,
        } = host;
        let kv = Arc::new(KvTable::open(
            config.kv_config_path.as_deref(),
            disk.clone(),
        )?);
        let settings = Arc::new(Settings::open(config, disk)?);
        Ok(Self {
            table: RwLock::new(RouteTable::new()),
            saver: Saver::new(kv.clone(), settings.clone()),
            kv,
            settings,
            routes: RouteCache::default(),
            started: clock.monotonic(),
            clock,
            fence,
            bind,
            reactors: Mutex::new(Vec::new()),
            client: Mutex::new(None),
        })
    }

    pub(super) fn add_reactor(&self, reactor: ReactorHandle) {
        self.reactors.lock().push(reactor);
    }

    /// Whether route requests are answered already.
    pub(super) fn is_ready(&self, config: &NamesrvConfig, now: Duration) -> bool {
        let wait = Duration::from_secs(config.wait_for_service_s.into());
        !config.need_wait_for_service || now >= self.started + wait
    }

    /// Removes the brokers that registered on a connection that is gone.
    pub(super) fn connection_closed(&self, connection: ConnectionId) {
        // Most connections are clients': they take no write lock.
        if !self.table.read().has_connection(connection) {
            return;
        }
        let changes = self.table.write().connection_closed(connection);
        tracing::info!(
            ?connection,
            "a broker's connection is gone: it is unregistered"
        );
        self.tell(changes);
    }

    /// Removes silent brokers and closes their connections.
    pub(super) fn expire(&self, now: Duration) {
        if !self.table.read().has_expired(now) {
            return;
        }
        let (expired, changes) = self.table.write().expire(now);
        for Expired {
            cluster,
            address,
            timeout,
            connection,
        } in expired
        {
            let silent_ms = timeout.as_millis();
            tracing::warn!(%cluster, %address, silent_ms, "a broker fell silent: it is removed");
            let reactors = self.reactors.lock();
            let owner = reactors
                .iter()
                .find(|each| each.index() == connection.reactor());
            if let Some(owner) = owner {
                owner.close(connection);
            }
        }
        self.tell(changes);
    }

    /// Tells the members of groups that their lowest id changed, when that is configured.
    pub(super) fn tell(&self, changes: impl IntoIterator<Item = MinIdChange>) {
        let config = self.settings.get();
        if !config.notify_min_broker_id_changed {
            return;
        }
        for change in changes {
            let request = NotifyMinBrokerIdChangeRequest {
                min_broker_id: Some(change.min_id),
                broker_name: Some(change.broker_name),
                min_broker_addr: Some(change.min_address),
                offline_broker_addr: change.offline_address,
                ha_broker_addr: change.ha_address,
            };
            let command = Command::request(RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE, &request);
            for address in &change.tell {
                let sent = self
                    .client(&config)
                    .and_then(|client| client.oneway(address, command.clone()));
                if let Err(error) = sent {
                    tracing::warn!(%address, %error, "a broker could not be told of its group");
                }
            }
        }
    }

    fn client(&self, config: &NamesrvConfig) -> Result<Arc<Client>> {
        let mut client = self.client.lock();
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let limits = Limits::of_client(&config.client, &config.server);
        let longest = Duration::from_secs(config.client.reconnect_interval_max_s.into());
        let started = Client::start(
            ClientConfig {
                name: "namesrv-client".to_owned(),
                limits,
                max_in_flight: config.client.in_flight_max,
                backoff: BackoffConfig {
                    max: longest,
                    ..BackoffConfig::default()
                },
                bind: self.bind,
                fence: self.fence.clone(),
            },
            self.clock.clone(),
        )?;
        Ok(client.insert(Arc::new(started)).clone())
    }

    /// Ends the threads after what they have to do is done.
    pub(super) fn end(&self, deadline: Duration) -> Result<()> {
        let client = self.client.lock().take();
        let closed = client.map_or(Ok(()), |client| client.close(deadline));
        self.saver.end(deadline).and(closed)
    }

    /// Ends the threads without waiting for files to be written.
    pub(super) fn kill(&self) -> Result<()> {
        self.client.lock().take();
        self.saver.kill()
    }
}
