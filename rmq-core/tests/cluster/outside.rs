//! What a test does to a cluster from outside: sends, reads, looks up routes.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{ErrorKind, Result};
use rmq_core::client::raw::{self, SendReceipt, SendStatus};
use rmq_core::embed::Cluster;
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::code::ResponseCode;

use crate::peer;

/// No test waits longer for what has to happen.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// Long enough for what must not happen to happen.
pub(crate) const QUIET: Duration = Duration::from_millis(100);

pub(crate) const TOPIC: &str = "Topic";

/// A client from 127.0.0.1.
pub(crate) struct Outside {
    pub(crate) client: Client,
}

impl Outside {
    pub(crate) fn new() -> Self {
        Self::at(None)
    }

    /// One that no partition of a cluster is about.
    pub(crate) fn observer() -> Self {
        Self::at(Some(IpAddr::from([127, 0, 0, 3])))
    }

    fn at(bind: Option<IpAddr>) -> Self {
        let config = ClientConfig {
            bind,
            ..ClientConfig::default()
        };
        Self {
            client: Client::start(config, SystemClock::shared()).unwrap(),
        }
    }

    /// Sends to queue 0 of the topic.
    pub(crate) fn try_send(
        &self,
        cluster: &Cluster,
        member: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<SendReceipt> {
        let address = cluster.address(member).unwrap().to_string();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let header = peer::message(TOPIC, 0);
        raw::send(&self.client, &address, &header, body, timeout)
    }

    pub(crate) fn send(&self, cluster: &Cluster, member: &str, body: &str) {
        let receipt = self.try_send(cluster, member, body, LONG).unwrap();
        assert_eq!(receipt.status, SendStatus::Ok, "{member}");
    }

    /// Everything that queue 0 of the topic holds at a member; nothing when it has no such topic.
    pub(crate) fn read(&self, cluster: &Cluster, member: &str) -> Vec<String> {
        let address = cluster.address(member).unwrap().to_string();
        match peer::read_queue(&self.client, &address, TOPIC, 0) {
            Ok(messages) => messages
                .into_iter()
                .map(|one| String::from_utf8(one.body).unwrap())
                .collect(),
            Err(error) => {
                let unknown = ErrorKind::Remote(ResponseCode::TOPIC_NOT_EXIST.value());
                assert_eq!(error.kind(), unknown, "{error}");
                Vec::new()
            }
        }
    }

    /// The brokers that a nameserver names for the topic, by name and id.
    pub(crate) fn route(&self, cluster: &Cluster, nameserver: &str) -> Vec<(String, i64)> {
        let address = cluster.address(nameserver).unwrap().to_string();
        let Ok(route) = raw::route(&self.client, &address, TOPIC, LONG) else {
            return Vec::new();
        };
        let brokers = route.brokers.iter();
        let mut found: Vec<(String, i64)> = brokers
            .flat_map(|one| {
                let ids = one.broker_addrs.keys();
                ids.map(|id| (one.broker_name.clone(), *id))
            })
            .collect();
        found.sort();
        found
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !condition() {
        assert!(clock.monotonic() < LONG, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
