//! The addresses a client talks to: which has a connection, which is being tried, which rests.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::ConnectionId;
use super::calls::Permit;
use crate::base::backoff::{Backoff, BackoffConfig};
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::slots::{Key, Slots};
use crate::base::thread;

/// Addresses remembered; beyond it, those that are down and rested are forgotten.
const REMEMBERED: usize = 1024;
/// The most addresses at a time.
const ADDRESSES: u32 = 1 << 20;
/// Host names being looked up at a time.
const LOOKUPS: usize = 8;

/// Between `host:port` and what tells several connections to it apart.
const LANE_MARK: char = '#';

/// The address of a server over a connection of its own: calls to one lane share a connection,
/// calls to another have another.
#[must_use]
pub fn lane_address(address: &str, lane: u32) -> String {
    format!("{address}{LANE_MARK}{lane}")
}

/// The lane of an address, if it has one.
#[must_use]
pub fn lane_of(address: &str) -> Option<u32> {
    address.rsplit_once(LANE_MARK)?.1.parse().ok()
}

/// The part of an address that is connected to.
pub(crate) fn endpoint(name: &str) -> &str {
    name.split_once(LANE_MARK)
        .map_or(name, |(endpoint, _)| endpoint)
}

/// Where an address is on its way to a connection.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Nothing is under way; not tried again before `Address::retry_at`.
    Down,
    /// Its host name is being looked up.
    Resolving,
    /// A connection is being established; `Address::targets` are to be tried after it.
    Connecting,
    /// The connection is there.
    Open(ConnectionId),
}

/// A frame that waits for its connection.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The call it belongs to; `None` for a one-way request.
    pub(crate) opaque: Option<i32>,
    pub(crate) frame: Vec<u8>,
}

/// One address, as `host:port` or `host:port#lane`.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) name: Arc<str>,
    pub(crate) phase: Phase,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) waiting_bytes: usize,
    /// Socket addresses of the name that were not tried yet, last first.
    pub(crate) targets: Vec<SocketAddr>,
    /// Whether something useful came over the present connection.
    pub(crate) proven: bool,
    /// Why it is down.
    pub(crate) failure: String,
    backoff: Backoff,
    retry_at: Duration,
}

impl Address {
    /// Whether the address is resting after failures.
    pub(crate) fn rests(&self, now: Duration) -> bool {
        matches!(self.phase, Phase::Down) && now < self.retry_at
    }

    /// The peer has shown that it works: the next failure is a first one again.
    pub(crate) fn prove(&mut self) {
        if !self.proven {
            self.proven = true;
            self.backoff.reset();
        }
    }

    /// The attempt or the connection failed; what waited is returned, to be failed.
    pub(crate) fn fail(&mut self, now: Duration, why: String) -> Vec<Waiting> {
        // A connection that worked may be tried again at once.
        self.retry_at = if self.proven {
            now
        } else {
            now + self.backoff.fail()
        };
        self.proven = false;
        self.phase = Phase::Down;
        self.failure = why;
        self.targets.clear();
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Keeps a frame until there is a connection.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        self.waiting_bytes += waiting.frame.len();
        self.waiting.push(waiting);
    }

    /// The connection is there; what waited is returned, to be written.
    pub(crate) fn open(&mut self, conn: ConnectionId) -> Vec<Waiting> {
        self.phase = Phase::Open(conn);
        self.targets.clear();
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// The error of a call that this address cannot take.
    pub(crate) fn unreachable(&self, op: &'static str) -> Error {
        Error::new(
            ErrorKind::Unreachable,
            op,
            format!("{}: {}", endpoint(&self.name), self.failure),
        )
    }
}

/// All addresses of a client.
#[derive(Debug)]
pub(crate) struct Directory {
    addresses: Slots<Address>,
    by_name: HashMap<Arc<str>, Key>,
    by_conn: HashMap<ConnectionId, Key>,
    backoff: BackoffConfig,
    lookups: Arc<AtomicUsize>,
}

impl Directory {
    pub(crate) fn new(backoff: BackoffConfig) -> Self {
        Self {
            addresses: Slots::new(ADDRESSES),
            by_name: HashMap::new(),
            by_conn: HashMap::new(),
            backoff,
            lookups: Arc::default(),
        }
    }

    /// The entry for `name`, made if need be; `None` when there are too many.
    pub(crate) fn find_or_add(&mut self, name: &Arc<str>, now: Duration) -> Option<Key> {
        if let Some(key) = self.by_name.get(name) {
            return Some(*key);
        }
        if self.by_name.len() >= REMEMBERED {
            self.forget_idle(now);
        }
        let address = Address {
            name: Arc::clone(name),
            phase: Phase::Down,
            waiting: Vec::new(),
            waiting_bytes: 0,
            targets: Vec::new(),
            proven: false,
            failure: String::new(),
            backoff: Backoff::new(self.backoff),
            retry_at: Duration::ZERO,
        };
        let key = self.addresses.insert(address).ok()?;
        self.by_name.insert(Arc::clone(name), key);
        Some(key)
    }

    fn forget_idle(&mut self, now: Duration) {
        let idle = |a: &Address| matches!(a.phase, Phase::Down) && now >= a.retry_at;
        let keys: Vec<Key> = self
            .addresses
            .iter()
            .filter(|(_, a)| idle(a))
            .map(|(key, _)| key)
            .collect();
        for key in keys {
            if let Some(address) = self.addresses.remove(key) {
                self.by_name.remove(&address.name);
            }
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Address> {
        self.addresses.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Address> {
        self.addresses.get_mut(key)
    }

    /// The connections of a lane.
    pub(crate) fn of_lane(&self, lane: u32) -> Vec<ConnectionId> {
        let of_lane = self
            .iter()
            .filter(|address| lane_of(&address.name) == Some(lane));
        let open = of_lane.filter_map(|address| match address.phase {
            Phase::Open(conn) => Some(conn),
            _ => None,
        });
        open.collect()
    }

    /// The address that a connection belongs to.
    pub(crate) fn of(&self, conn: ConnectionId) -> Option<Key> {
        self.by_conn.get(&conn).copied()
    }

    pub(crate) fn bind(&mut self, conn: ConnectionId, key: Key) {
        self.by_conn.insert(conn, key);
    }

    pub(crate) fn unbind(&mut self, conn: ConnectionId) -> Option<Key> {
        self.by_conn.remove(&conn)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter().map(|(_, address)| address)
    }

    /// Takes everything that waits for a connection anywhere.
    pub(crate) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.addresses
            .iter_mut()
            .flat_map(|(_, address)| {
                address.waiting_bytes = 0;
                std::mem::take(&mut address.waiting)
            })
            .collect()
    }

    /// Looks `name` up on a thread of its own, which ends by calling `done`.
    pub(crate) fn look_up(
        &self,
        client: &str,
        name: &Arc<str>,
        done: impl FnOnce(Result<Vec<SocketAddr>>) + Send + 'static,
    ) -> Result<()> {
        const OP: &str = "net.resolve";
        let permit = Permit::take(&self.lookups, LOOKUPS);
        let permit =
            permit.ok_or_else(|| Error::new(ErrorKind::Busy, OP, "too many look-ups under way"))?;
        let name = endpoint(name).to_owned();
        thread::spawn(format!("rmq-{client}-dns"), move || {
            let found = name
                .to_socket_addrs()
                .map_err(|e| Error::io(OP, &name, e))
                .map(distinct);
            drop(permit);
            done(found);
        })?;
        Ok(())
    }
}

fn distinct(addrs: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut distinct = Vec::new();
    for addr in addrs {
        if !distinct.contains(&addr) {
            distinct.push(addr);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> Directory {
        let backoff = BackoffConfig {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(1),
            jitter_percent: 0,
        };
        Directory::new(backoff)
    }

    #[test]
    fn failures_make_an_address_rest_until_it_is_proven() {
        let mut directory = directory();
        let now = Duration::from_secs(10);
        let key = directory.find_or_add(&"host:1".into(), now).unwrap();
        let conn = ConnectionId::new(0, key);
        let address = directory.get_mut(key).unwrap();
        assert!(!address.rests(now));
        address.wait(Waiting {
            opaque: Some(1),
            frame: vec![0; 10],
        });
        assert_eq!(address.fail(now, "refused".into()).len(), 1);
        assert!(address.rests(now + Duration::from_millis(99)));
        assert!(!address.rests(now + Duration::from_millis(100)));
        address.fail(now, "refused".into());
        assert!(address.rests(now + Duration::from_millis(199)));
        // Accepted and dropped at once is a failure too.
        address.open(conn);
        address.fail(now, "closed".into());
        assert!(address.rests(now + Duration::from_millis(399)));
        address.open(conn);
        address.prove();
        address.fail(now, "closed".into());
        assert!(!address.rests(now));
        address.fail(now, "refused".into());
        assert!(!address.rests(now + Duration::from_millis(100)));
    }

    #[test]
    fn lanes_of_one_server_are_addresses_of_their_own() {
        let mut directory = directory();
        let one = lane_address("host:1", 1);
        assert_eq!((endpoint(&one), lane_of(&one)), ("host:1", Some(1)));
        assert_eq!((endpoint("host:1"), lane_of("host:1")), ("host:1", None));
        let mut conns = Vec::new();
        for lane in [1, 2, 12] {
            let name = lane_address("host:1", lane).into();
            let key = directory.find_or_add(&name, Duration::ZERO).unwrap();
            conns.push(ConnectionId::new(0, key));
            directory.get_mut(key).unwrap().phase = Phase::Open(conns[conns.len() - 1]);
        }
        assert_eq!(directory.of_lane(2), conns[1..2]);
        assert_eq!(directory.of_lane(3), []);
    }

    #[test]
    fn idle_addresses_are_forgotten_beyond_the_bound() {
        let mut directory = directory();
        let now = Duration::from_secs(1);
        let used = directory.find_or_add(&"used:1".into(), now).unwrap();
        directory.get_mut(used).unwrap().phase = Phase::Connecting;
        for i in 0..3 * REMEMBERED {
            directory
                .find_or_add(&format!("host:{i}").into(), now)
                .unwrap();
        }
        assert!(directory.by_name.len() <= REMEMBERED);
        assert_eq!(directory.find_or_add(&"used:1".into(), now), Some(used));
    }
}
