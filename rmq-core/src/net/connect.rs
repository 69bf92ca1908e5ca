//! Outbound connections: begun, held back while a fence stands between, established.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpStream;

use super::connection::Stage;
use super::reactor::Core;
use super::{CloseReason, Peer, sys};
use crate::base::slots::Key;

impl Core {
    /// Begins an outbound connection.
    pub(crate) fn connect(&mut self, addr: SocketAddr) -> io::Result<Key> {
        if self.closing {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "shutting down"));
        }
        if !self.census.enter(self.limits().max_connections) {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "too many connections",
            ));
        }
        let inserted = self.begin(addr);
        if inserted.is_err() {
            self.census.leave();
        }
        inserted
    }

    fn begin(&mut self, addr: SocketAddr) -> io::Result<Key> {
        let peer = Peer {
            remote: addr,
            local: SocketAddr::new(source(self.role.bind, addr.ip()), 0),
            listener: 0,
        };
        let deadline = self.now + self.limits().connect_timeout;
        let stream = sys::socket(addr, self.role.bind)?;
        let begun = !self.role.fence.parts(peer.local.ip(), addr.ip());
        if begun {
            sys::connect(&stream, addr)?;
        }
        let key = self.insert(stream, peer, Stage::Connecting { deadline, begun })?;
        self.arm(deadline);
        Ok(key)
    }

    /// Completes or fails an outbound connection; true when it is open now. Called on each of its
    /// events, and when the fence has changed.
    pub(crate) fn connected(&mut self, key: Key) -> bool {
        let Some(conn) = self.connections.get_mut(key) else {
            return false;
        };
        let Stage::Connecting { begun, .. } = &mut conn.stage else {
            return false;
        };
        let (local, remote) = (conn.peer.local.ip(), conn.peer.remote);
        if conn.doomed.is_some() || self.role.fence.parts(local, remote.ip()) {
            return false;
        }
        let outcome = match *begun {
            true => outcome(&conn.stream),
            false => {
                *begun = true;
                sys::connect(&conn.stream, remote).and_then(|()| outcome(&conn.stream))
            }
        };
        let local = match outcome {
            Ok(Some(local)) => local,
            Ok(None) => return false,
            Err(e) => {
                self.doom(key, CloseReason::ConnectFailed(e));
                return false;
            }
        };
        conn.peer.local = local;
        conn.stage = Stage::Open;
        conn.active_at = self.now;
        self.arm(self.now + self.limits().idle_timeout);
        true
    }

    /// After a change of the fence: has everything tried again that it may have held back.
    /// Readiness is told only once, so it was remembered. Connections that are being made are left
    /// to the caller, which tells the handler about them.
    pub(crate) fn retry_all(&mut self) {
        let keys: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(conn) = self.connections.get(key) else {
                continue;
            };
            let closing = matches!(conn.stage, Stage::Closing { .. });
            let (reads, writes) = (
                conn.readable || conn.backlog,
                closing || !conn.out.is_empty(),
            );
            if reads {
                self.schedule(key);
            }
            if writes {
                self.touch(key);
            }
        }
    }
}

/// The address that a connection will come from, as far as it is known before.
pub(crate) fn source(bind: Option<IpAddr>, remote: IpAddr) -> IpAddr {
    match (bind, remote) {
        (Some(bind), _) => bind,
        // The kernel's choice for any address of 127.0.0.0/8.
        (None, IpAddr::V4(v4)) if v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        (None, IpAddr::V6(v6)) if v6.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        (None, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (None, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The local address once established, `None` while it is not decided.
pub(crate) fn outcome(stream: &TcpStream) -> io::Result<Option<SocketAddr>> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(remote) => {
            let local = stream.local_addr()?;
            // A connect to a free port of this host can meet itself: the kernel picks that very
            // port as the source, and the two ends are one socket.
            if local == remote {
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
            }
            stream.set_nodelay(true)?;
            Ok(Some(local))
        }
        Err(e)
            if e.kind() == io::ErrorKind::NotConnected
                || e.raw_os_error() == Some(libc::EINPROGRESS) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
