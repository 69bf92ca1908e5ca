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
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::pull::{FLAG_SUBSCRIPTION, PullRequest};
use rmq_core::protocol::request::send::SendRequest;

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
        let header = SendRequest {
            producer_group: "p",
            topic: TOPIC,
            default_topic: "TBW102",
            default_topic_queue_nums: 1,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp_ms: 1,
            flag: 0,
            properties: None,
            reconsume_times: 0,
            unit_mode: false,
            batch: false,
            max_reconsume_times: None,
            broker_name: None,
        };
        let address = cluster.address(member).unwrap().to_string();
        let body = Bytes::copy_from_slice(body.as_bytes());
        raw::send(&self.client, &address, &header, body, timeout)
    }

    pub(crate) fn send(&self, cluster: &Cluster, member: &str, body: &str) {
        let receipt = self.try_send(cluster, member, body, LONG).unwrap();
        assert_eq!(receipt.status, SendStatus::Ok, "{member}");
    }

    /// Everything that queue 0 of the topic holds at a member; nothing when it has no such topic.
    pub(crate) fn read(&self, cluster: &Cluster, member: &str) -> Vec<String> {
        let address = cluster.address(member).unwrap().to_string();
        let mut bodies = Vec::new();
        let mut offset = 0;
        loop {
            let reply = match raw::pull(&self.client, &address, &pull_from(offset), LONG) {
                Ok(reply) => reply,
                Err(error) => {
                    let unknown = ErrorKind::Remote(ResponseCode::TOPIC_NOT_EXIST.value());
                    assert_eq!(error.kind(), unknown, "{error}");
                    return bodies;
                }
            };
            if reply.code != ResponseCode::SUCCESS {
                return bodies;
            }
            for record in Records::new(&reply.records, CheckLevel::BodyCrc) {
                let record = record.unwrap();
                bodies.push(String::from_utf8(record.body().to_vec()).unwrap());
            }
            offset = reply.header.next_begin_offset;
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

fn pull_from(offset: i64) -> PullRequest<'static> {
    PullRequest {
        consumer_group: "c",
        topic: TOPIC,
        queue_id: 0,
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: FLAG_SUBSCRIPTION,
        commit_offset: 0,
        suspend_timeout_ms: 0,
        subscription: Some("*"),
        sub_version: 0,
        expression_type: None,
        max_msg_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
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
