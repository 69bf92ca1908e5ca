//! Start and end of a nameserver.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use super::handler::NamesrvHandler;
use super::state::State;
use crate::base::clock::{SharedClock, SystemClock};
use crate::base::thread::ProcessMark;
use crate::base::{Error, ErrorKind, Result};
use crate::config::{NamesrvConfig, ServerConfig};
use crate::net::{self, Fence, Limits, Server};
use crate::store::disk::{Disk, RealDisk};

/// What a nameserver has of the host that it runs on: the parts that tests replace.
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

/// A running nameserver. Dropping it ends it as [`Namesrv::kill`] does.
#[derive(Debug)]
pub struct Namesrv {
    server: Server,
    state: Arc<State>,
    address: SocketAddr,
    process: ProcessMark,
}

impl Namesrv {
    /// Reads what it has stored, binds its port and starts its threads. Requests are answered when
    /// this returns.
    ///
    /// # Errors
    /// [`ErrorKind::AddressInUse`], [`ErrorKind::Permission`] or [`ErrorKind::Io`] when the port
    /// cannot be bound; [`ErrorKind::Corrupt`] when the key-value configuration and its backup
    /// cannot be read; nothing is left running.
    pub fn start(config: NamesrvConfig, host: Host) -> Result<Self> {
        let listener = listen_address(&config.server)?;
        let reactors = reactor_count(&config.server);
        let net_config = net::ServerConfig {
            name: "namesrv".to_owned(),
            reactors,
            listeners: vec![(listener, 0)],
            limits: Limits::of_server(&config.server),
            fence: host.fence.clone(),
            clock: host.clock.clone(),
        };
        let state = Arc::new(State::open(config, host)?);
        let server = Server::start(net_config, |index, reactor| {
            state.add_reactor(reactor);
            Box::new(NamesrvHandler::new(index, Arc::clone(&state)))
        })?;
        let address = server.local_addr(0).unwrap_or(listener);
        state.settings.note_port(address.port());
        tracing::info!(%address, reactors, "the nameserver listens");
        Ok(Self {
            server,
            state,
            address,
            process: ProcessMark::current(),
        })
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address that it listens on, as it was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The configuration in use.
    #[must_use]
    pub fn config(&self) -> Arc<NamesrvConfig> {
        self.state.settings.get()
    }

    /// The number of connections open.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.server.connection_count()
    }

    /// Ends in order: answers what was read, writes its files, closes its connections. May be
    /// called again.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when a thread did not end in time, [`ErrorKind::Forked`] in a child
    /// process.
    pub fn shutdown(&self, deadline: Duration) -> Result<()> {
        self.process.check("namesrv.shutdown")?;
        let result = self.server.shutdown(deadline);
        self.state.end(deadline).and(result)
    }

    /// Ends at once, as the death of the process would: nothing more is answered or written.
    ///
    /// # Errors
    /// As [`Namesrv::shutdown`].
    pub fn kill(&self) -> Result<()> {
        self.process.check("namesrv.kill")?;
        let result = self.server.kill();
        self.state.kill().and(result)
    }
}

/// The socket address to bind.
fn listen_address(config: &ServerConfig) -> Result<SocketAddr> {
    let (host, port) = (config.bind_address.as_str(), config.listen_port);
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let refuse = || format!("bindAddress={host} is no address of this host");
    let mut found = (bare, port)
        .to_socket_addrs()
        .map_err(|source| Error::new(ErrorKind::Invalid, "listen", refuse()).with_source(source))?;
    found
        .next()
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "listen", refuse()))
}

/// As many reactors as asked for, or one for each processor.
fn reactor_count(config: &ServerConfig) -> u16 {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let count = if config.reactor_threads == 0 {
        cores()
    } else {
        config.reactor_threads
    };
    u16::try_from(count.clamp(1, 256)).unwrap_or(1)
}
