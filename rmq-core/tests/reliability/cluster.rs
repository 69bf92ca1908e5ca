//! A deployment on hosts of its own: each broker on one, two nameservers, the official clients, and
//! an observer that nothing is ever cut off from.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::hosts::Network;
use crate::log_files;
use crate::process::{Home, Process};

/// The masters' hosts, then their slaves'.
const BROKER_HOSTS: usize = 4;
const CLIENT_HOSTS: Range<usize> = 6..9;
const OBSERVER: usize = 9;
const HOSTS: usize = 10;

const SMALL_FILES: &str = "\nmappedFileSizeCommitLog=4194304\n";

/// One broker name: a master, and perhaps a slave of it.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    /// Files below `conf/`.
    pub(crate) master: &'static str,
    pub(crate) slave: Option<&'static str>,
}

#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) name: &'static str,
    pub(crate) pairs: &'static [Pair],
    /// Hosts of the two nameservers.
    pub(crate) nameservers: [usize; 2],
    /// Whether a master answers SEND_OK only for what its slave has.
    pub(crate) double_write: bool,
}

impl Deployment {
    pub(crate) fn has_slaves(&self) -> bool {
        self.pairs.iter().any(|pair| pair.slave.is_some())
    }
}

pub(crate) const ONE_MASTER: Deployment = Deployment {
    name: "one master",
    pairs: &[Pair {
        name: "broker-a",
        master: "broker.conf",
        slave: None,
    }],
    nameservers: [4, 5],
    double_write: false,
};

/// As its files say, the nameservers are on the brokers' hosts.
pub(crate) const MASTERS_THAT_FLUSH: Deployment = Deployment {
    name: "2m-noslave-syncflush",
    pairs: &[
        Pair {
            name: "broker-a",
            master: "2m-noslave-syncflush/broker-a.conf",
            slave: None,
        },
        Pair {
            name: "broker-b",
            master: "2m-noslave-syncflush/broker-b.conf",
            slave: None,
        },
    ],
    nameservers: [0, 1],
    double_write: false,
};

pub(crate) const ASYNC_REPLICATION: Deployment = Deployment {
    name: "2m-2s-async",
    pairs: &[
        Pair {
            name: "broker-a",
            master: "2m-2s-async/broker-a.properties",
            slave: Some("2m-2s-async/broker-a-s.properties"),
        },
        Pair {
            name: "broker-b",
            master: "2m-2s-async/broker-b.properties",
            slave: Some("2m-2s-async/broker-b-s.properties"),
        },
    ],
    nameservers: [4, 5],
    double_write: false,
};

pub(crate) const DOUBLE_WRITE: Deployment = Deployment {
    name: "2m-2s-sync",
    pairs: &[
        Pair {
            name: "broker-a",
            master: "2m-2s-sync/broker-a.properties",
            slave: Some("2m-2s-sync/broker-a-s.properties"),
        },
        Pair {
            name: "broker-b",
            master: "2m-2s-sync/broker-b.properties",
            slave: Some("2m-2s-sync/broker-b-s.properties"),
        },
    ],
    nameservers: [4, 5],
    double_write: true,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    Slave,
}

/// A server's host: its disk and the process on it.
struct Site {
    home: Home,
    process: Option<Process>,
}

impl Site {
    fn new() -> Self {
        Self {
            home: Home::new(),
            process: None,
        }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a server runs on this host")
    }
}

pub(crate) struct Cluster {
    pub(crate) network: Network,
    pub(crate) deployment: &'static Deployment,
    /// By host.
    brokers: Vec<Site>,
    nameservers: [Site; 2],
    /// For each pair the hosts of its master and its slave; they change when a slave takes over.
    hosts: Vec<(usize, usize)>,
}

impl Cluster {
    /// Everything started; `None` where there can be no hosts.
    pub(crate) fn start(deployment: &'static Deployment) -> Option<Self> {
        let mut cluster = Self {
            network: Network::new(HOSTS)?,
            deployment,
            brokers: (0..BROKER_HOSTS).map(|_| Site::new()).collect(),
            nameservers: [Site::new(), Site::new()],
            hosts: (0..deployment.pairs.len())
                .map(|pair| (pair, pair + 2))
                .collect(),
        };
        for nameserver in 0..2 {
            cluster.start_nameserver(nameserver);
        }
        for pair in 0..cluster.pairs() {
            cluster.start_broker(pair, Role::Master);
        }
        if deployment.has_slaves() {
            for pair in 0..cluster.pairs() {
                cluster.start_broker(pair, Role::Slave);
            }
        }
        Some(cluster)
    }

    pub(crate) fn pairs(&self) -> usize {
        self.deployment.pairs.len()
    }

    pub(crate) fn host(&self, pair: usize, role: Role) -> usize {
        match role {
            Role::Master => self.hosts[pair].0,
            Role::Slave => self.hosts[pair].1,
        }
    }

    pub(crate) fn address(&self, pair: usize, role: Role) -> String {
        format!("{}:10911", Network::address(self.host(pair, role)))
    }

    pub(crate) fn nameserver_addresses(&self) -> [String; 2] {
        let address = |host| format!("{}:9876", Network::address(host));
        self.deployment.nameservers.map(address)
    }

    pub(crate) fn observer(&self) -> &crate::hosts::Host {
        self.network.host(OBSERVER)
    }

    pub(crate) fn client_host(&self, client: usize) -> usize {
        let host = CLIENT_HOSTS.start + client;
        assert!(CLIENT_HOSTS.contains(&host), "no host for client {client}");
        host
    }

    /// The hosts with servers on them.
    pub(crate) fn server_hosts(&self) -> Vec<usize> {
        let mut hosts = self.deployment.nameservers.to_vec();
        for &(master, slave) in &self.hosts {
            hosts.push(master);
            if self.deployment.has_slaves() {
                hosts.push(slave);
            }
        }
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// The hosts with servers or clients on them.
    pub(crate) fn all_hosts(&self) -> Vec<usize> {
        let mut hosts = self.server_hosts();
        hosts.extend(CLIENT_HOSTS);
        hosts
    }

    pub(crate) fn start_nameserver(&mut self, number: usize) {
        let host = self.network.host(self.deployment.nameservers[number]);
        let site = &mut self.nameservers[number];
        let launch = site.home.namesrv().inside(host.name());
        site.process = Some(launch.start());
    }

    pub(crate) fn kill_nameserver(&mut self, number: usize) {
        self.nameservers[number].process().kill();
    }

    /// `mqbroker -c FILE -n ADDRESSES`, as the documentation says; the files of its log are small,
    /// so that a run needs little disk and losses fall on their ends too.
    pub(crate) fn start_broker(&mut self, pair: usize, role: Role) {
        let number = self.host(pair, role);
        let files = &self.deployment.pairs[pair];
        let file = match role {
            Role::Master => files.master,
            Role::Slave => files.slave.expect("this deployment has slaves"),
        };
        let addresses = self.nameserver_addresses().join(";");
        let host = self.network.host(number);
        let site = &mut self.brokers[number];
        let text = fs::read_to_string(shipped(file)).unwrap() + SMALL_FILES;
        let file = site.home.write("broker.conf", &text);
        let launch = site.home.broker().config(&file);
        let launch = launch.arg("-n").arg(addresses).inside(host.name());
        site.process = Some(launch.start());
    }

    pub(crate) fn kill_broker(&mut self, pair: usize, role: Role) {
        let host = self.host(pair, role);
        self.brokers[host].process().kill();
    }

    pub(crate) fn stop_broker(&mut self, pair: usize, role: Role) {
        let host = self.host(pair, role);
        self.brokers[host].process().stop();
    }

    pub(crate) fn signal_broker(&mut self, pair: usize, role: Role, signal: Signal) {
        let host = self.host(pair, role);
        self.brokers[host].process().signal(signal);
    }

    /// The host falls silent at once and its disk is gone. Returns where the log on it ended, which
    /// nobody else could know.
    pub(crate) fn lose_host(&mut self, pair: usize, role: Role) -> u64 {
        let host = self.host(pair, role);
        self.network.unplug(host);
        self.kill_broker(pair, role);
        let end = log_files::end(&self.log(pair, role));
        fs::remove_dir_all(self.brokers[host].home.join("store")).unwrap();
        end
    }

    /// A new host with an empty disk in the place of the lost one.
    pub(crate) fn replace_host(&mut self, pair: usize, role: Role) {
        self.network.plug(self.host(pair, role));
    }

    /// The slave becomes the master, and its former master's host is the slave's from now on.
    /// Returns where the log ends that it takes over.
    pub(crate) fn take_over(&mut self, pair: usize) -> u64 {
        self.stop_broker(pair, Role::Slave);
        let end = log_files::end(&self.log(pair, Role::Slave));
        let (master, slave) = self.hosts[pair];
        self.hosts[pair] = (slave, master);
        self.start_broker(pair, Role::Master);
        end
    }

    /// The folder of a broker's commit log.
    pub(crate) fn log(&self, pair: usize, role: Role) -> PathBuf {
        let host = self.host(pair, role);
        self.brokers[host].home.join("store/commitlog")
    }
}

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conf")
        .join(file)
}
