//! Finding and reaching the master.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use mio::net::TcpStream;

use super::SlaveOptions;
use crate::net::connect::{outcome, source};
use crate::net::sys;

/// The addresses that `host:port` stands for, as far as they can be reached from `bind`. Looks the
/// host up, which may take seconds.
pub(super) fn resolve(address: &str, options: &SlaveOptions) -> io::Result<Vec<SocketAddr>> {
    let usable = |found: &SocketAddr| {
        options
            .bind
            .is_none_or(|bind| bind.is_ipv4() == found.is_ipv4())
    };
    let found: Vec<_> = address.to_socket_addrs()?.filter(usable).collect();
    match found.is_empty() {
        true => Err(io::Error::other("no address that can be reached")),
        false => Ok(found),
    }
}

/// A connection that is being made.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) stream: TcpStream,
    remote: SocketAddr,
    begun: bool,
}

impl Attempt {
    pub(super) fn new(remote: SocketAddr, options: &SlaveOptions) -> io::Result<Self> {
        Ok(Self {
            stream: sys::socket(remote, options.bind)?,
            remote,
            begun: false,
        })
    }

    /// The local address once the connection is there, `None` while it is not.
    pub(super) fn advance(&mut self, options: &SlaveOptions) -> io::Result<Option<SocketAddr>> {
        let local = source(options.bind, self.remote.ip());
        if options.fence.parts(local, self.remote.ip()) {
            return Ok(None);
        }
        if !self.begun {
            self.begun = true;
            sys::connect(&self.stream, self.remote)?;
        }
        outcome(&self.stream)
    }
}
