//! A nameserver in this process.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Result;
use crate::config::NamesrvConfig;
use crate::namesrv::{Host, Namesrv};

/// A running nameserver. Usable from any thread; dropping it kills it.
#[derive(Debug)]
pub struct NameServer {
    inner: Namesrv,
}

impl NameServer {
    /// Starts one; it accepts requests when this returns. `NamesrvConfig::embedded_defaults` gives
    /// loopback and a free port.
    pub fn start(config: NamesrvConfig) -> Result<Self> {
        Ok(Self {
            inner: Namesrv::start(config, Host::default())?,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port()
    }

    /// Stops it cleanly within `deadline`. A second call does nothing.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.inner.shutdown(deadline)
    }

    /// Stops it as a crash would.
    pub fn kill(&self) {
        if let Err(error) = self.inner.kill() {
            tracing::warn!(%error, "a reactor outlived its nameserver");
        }
    }
}
