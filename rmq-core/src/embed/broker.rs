//! A broker in this process.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Result;
use crate::broker;
use crate::config::BrokerConfig;
use crate::protocol::json::{self, Flavour};

/// A running broker. Usable from any thread; dropping it kills it, as a crash would.
#[derive(Debug)]
pub struct Broker {
    inner: broker::Broker,
}

impl Broker {
    /// Starts one on the directory that the configuration names: recovers the store, listens, and
    /// registers. It accepts requests when this returns. `BrokerConfig::embedded_defaults` gives
    /// loopback, a free port and small files.
    pub fn start(config: BrokerConfig) -> Result<Self> {
        let inner = broker::Broker::start(config, broker::Host::default())?;
        Ok(Self { inner })
    }

    /// The address that clients are given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    /// The broker's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.inner.name()
    }

    /// Its figures as a JSON object of texts, with the names of `mqadmin brokerStatus`:
    /// `putMessageTimesTotal`, `putTps`, `commitLogMaxOffset` and so on.
    #[must_use]
    pub fn stats_json(&self) -> String {
        json::to_text(&self.inner.figures(), Flavour::Standard)
    }

    /// Stops it cleanly within `deadline`: nothing that was received is lost. A second call does
    /// nothing.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.inner.close(deadline)
    }

    /// Stops it as a crash would: nothing is flushed, written or unregistered. What was
    /// acknowledged under SYNC_FLUSH is found again by the next start on the same directory.
    pub fn kill(&self) {
        self.inner.kill();
    }
}
