//! One nameserver or broker of a cluster: its configuration and, while it runs, the server.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::options::{ClusterOptions, Keys, Role, invalid};
use crate::base::clock::SharedClock;
use crate::base::{Error, ErrorKind, Result};
use crate::broker::{self, Broker, ReplicationStatus};
use crate::config::broker::EMBEDDED_KEYS;
use crate::config::{BrokerConfig, Environment, NamesrvConfig, Properties, ServerSettings};
use crate::namesrv::{self, Namesrv};
use crate::net::Fence;
use crate::protocol::body::data_version::DataVersion;

/// Keys that the cluster sets itself.
const OWN_KEYS: [&str; 17] = [
    "autoCreateTopicEnable",
    "bindAddress",
    "brokerClusterName",
    "brokerConfigPath",
    "brokerId",
    "brokerIP1",
    "brokerIP2",
    "brokerName",
    "brokerRole",
    "configStorePath",
    "flushDiskType",
    "haListenPort",
    "kvConfigPath",
    "listenPort",
    "namesrvAddr",
    "storePathCommitLog",
    "storePathRootDir",
];

/// What a broker is given besides the embedded defaults where nobody says otherwise: it can be read
/// everywhere, and no message goes because the disk of this host is rather full.
const BROKER_DEFAULTS: [(&str, &str); 2] = [
    ("slaveReadEnable", "true"),
    ("cleanFileForciblyEnable", "false"),
];
const NAMESERVER_DEFAULTS: [(&str, &str); 1] = [("rmq.reactorThreads", "1")];

#[derive(Debug)]
enum Config {
    Nameserver(Box<NamesrvConfig>),
    Broker(Box<BrokerConfig>),
}

/// A running server.
#[derive(Debug)]
enum Server {
    Nameserver(Namesrv),
    Broker(Broker),
}

/// How far a broker is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) log_end: i64,
    pub(super) topics: DataVersion,
}

/// A member, running or not. Its lock is held while it starts and stops.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) address: SocketAddr,
    pub(super) folder: PathBuf,
    config: Config,
    clock: SharedClock,
    server: Mutex<Option<Server>>,
    /// Told without waiting for a start or an end that is under way.
    running: AtomicBool,
    pub(super) paused: AtomicBool,
}

impl Member {
    /// A member that does not run yet. Its configuration is checked.
    pub(super) fn new(
        role: Role,
        address: SocketAddr,
        folder: PathBuf,
        nameservers: &[String],
        options: &ClusterOptions,
        clock: SharedClock,
    ) -> Result<Self> {
        let name = role.member_name();
        let config = match &role {
            Role::Nameserver(_) => Config::Nameserver(Box::new(load(
                &name,
                &NAMESERVER_DEFAULTS,
                options,
                &nameserver_keys(address, &folder),
            )?)),
            Role::Broker { name: broker, id } => Config::Broker(Box::new(load(
                &name,
                &[&EMBEDDED_KEYS[..], &BROKER_DEFAULTS].concat(),
                options,
                &broker_keys(broker, *id, address, &folder, nameservers, options),
            )?)),
        };
        Ok(Self {
            name,
            role,
            address,
            folder,
            config,
            clock,
            server: Mutex::new(None),
            running: AtomicBool::new(false),
            paused: AtomicBool::new(false),
        })
    }

    pub(super) fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    pub(super) fn is_broker(&self) -> bool {
        matches!(self.role, Role::Broker { .. })
    }

    /// The broker's name and id if it is a slave.
    pub(super) fn slave_of(&self) -> Option<(&str, i64)> {
        match &self.role {
            Role::Broker { name, id } if *id > 0 => Some((name, *id)),
            _ => None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// How its replication does; `None` for a nameserver, while it does not run, and while it
    /// starts or ends.
    pub(super) fn replication(&self) -> Option<(i64, ReplicationStatus)> {
        match &*self.server.try_lock()? {
            Some(Server::Broker(broker)) => Some((broker.log_end(), broker.replication()?)),
            _ => None,
        }
    }

    /// How far its log and its topics are; `None` as for `replication`.
    pub(super) fn progress(&self) -> Option<Progress> {
        match &*self.server.try_lock()? {
            Some(Server::Broker(broker)) => Some(Progress {
                log_end: broker.log_end(),
                topics: broker.topics_version(),
            }),
            _ => None,
        }
    }

    /// Starts it unless `closed` says that the cluster is no more.
    pub(super) fn start(&self, fence: &Fence, closed: &AtomicBool) -> Result<()> {
        let mut server = self.server.lock();
        if closed.load(Ordering::SeqCst) {
            let context = format!("{}: the cluster is closed", self.name);
            return Err(Error::new(ErrorKind::Closed, "start member", context));
        }
        if server.is_some() {
            let context = format!("{} runs already", self.name);
            return Err(Error::new(ErrorKind::Invalid, "start member", context));
        }
        make_folder(&self.folder)?;
        let (fence, bind) = (fence.clone(), Some(self.ip()));
        let clock = Arc::clone(&self.clock);
        let started = match &self.config {
            Config::Nameserver(config) => {
                let host = namesrv::Host {
                    clock,
                    fence,
                    bind,
                    ..namesrv::Host::default()
                };
                Namesrv::start((**config).clone(), host).map(Server::Nameserver)
            }
            Config::Broker(config) => {
                let host = broker::Host {
                    clock,
                    fence,
                    bind,
                    ..broker::Host::default()
                };
                Broker::start((**config).clone(), host).map(Server::Broker)
            }
        };
        *server = Some(started.map_err(|error| {
            Error::new(error.kind(), "start member", self.name.as_str()).with_source(error)
        })?);
        self.running.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Ends it as a crash would, if it runs.
    pub(super) fn kill(&self) {
        self.kill_server(&mut self.server.lock());
    }

    fn kill_server(&self, server: &mut Option<Server>) {
        self.running.store(false, Ordering::SeqCst);
        match server.take() {
            Some(Server::Broker(broker)) => broker.kill(),
            Some(Server::Nameserver(nameserver)) => {
                if let Err(error) = nameserver.kill() {
                    tracing::warn!(member = self.name, %error, "a nameserver did not end");
                }
            }
            None => {}
        }
    }

    /// Ends it in order, if it runs.
    pub(super) fn close(&self, deadline: Duration) -> Result<()> {
        let mut server = self.server.lock();
        self.running.store(false, Ordering::SeqCst);
        match server.take() {
            Some(Server::Broker(broker)) => broker.close(deadline),
            Some(Server::Nameserver(nameserver)) => nameserver.shutdown(deadline),
            None => Ok(()),
        }
    }

    /// Kills it and removes all that it stored.
    pub(super) fn wipe(&self) -> Result<()> {
        let mut server = self.server.lock();
        self.kill_server(&mut server);
        match std::fs::remove_dir_all(&self.folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(
                "wipe member",
                self.folder.display().to_string(),
                e,
            )),
            _ => Ok(()),
        }
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Error::io("start member", folder.display().to_string(), e))
}

fn load<C: ServerSettings>(
    member: &str,
    defaults: &[(&str, &str)],
    options: &ClusterOptions,
    own: &[(&str, String)],
) -> Result<C> {
    let mut base = Properties::new("cluster defaults");
    base.extend(defaults.iter().copied());
    let is_nameserver = member.starts_with("namesrv-");
    let none = Keys::new();
    let shared = if is_nameserver {
        &none
    } else {
        &options.settings
    };
    let single = options.member_settings.get(member).unwrap_or(&none);
    let shared = given("settings", shared)?;
    let single = given(&format!("member_settings of {member}"), single)?;
    let mut fixed = Properties::new("cluster");
    fixed.extend(own.iter().map(|(key, value)| (*key, value.as_str())));
    let layers = [&base, &shared, &single, &fixed];
    let (config, warnings) = C::load(&Environment::of_process(), &layers)?;
    // In a file an unknown key may be Apache's or tomorrow's; here it is a slip.
    match warnings.first() {
        Some(warning) => Err(invalid(warning.to_string())),
        None => Ok(config),
    }
}

fn given(origin: &str, keys: &Keys) -> Result<Properties> {
    if let Some(own) = keys.keys().find(|key| OWN_KEYS.contains(&key.as_str())) {
        return Err(invalid(format!("{origin}: {own} is set by the cluster")));
    }
    let mut properties = Properties::new(origin);
    properties.extend(
        keys.iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    );
    Ok(properties)
}

fn nameserver_keys(address: SocketAddr, folder: &Path) -> Vec<(&'static str, String)> {
    let file = |name: &str| folder.join(name).display().to_string();
    vec![
        ("bindAddress", address.ip().to_string()),
        ("listenPort", address.port().to_string()),
        ("kvConfigPath", file("kvConfig.json")),
        ("configStorePath", file("namesrv.properties")),
    ]
}

fn broker_keys(
    broker: &str,
    id: i64,
    address: SocketAddr,
    folder: &Path,
    nameservers: &[String],
    options: &ClusterOptions,
) -> Vec<(&'static str, String)> {
    let ip = address.ip().to_string();
    vec![
        (
            "autoCreateTopicEnable",
            options.auto_create_topics.to_string(),
        ),
        ("bindAddress", ip.clone()),
        ("brokerClusterName", options.cluster_name.clone()),
        ("brokerId", id.to_string()),
        ("brokerIP1", ip.clone()),
        ("brokerIP2", ip),
        ("brokerName", broker.to_owned()),
        ("brokerRole", options.deployment.role(id).word().to_owned()),
        ("flushDiskType", options.flush.word().to_owned()),
        ("listenPort", address.port().to_string()),
        ("namesrvAddr", nameservers.join(";")),
        ("storePathRootDir", folder.display().to_string()),
    ]
}
