//! The load generator: one thread, a few connections, a window of requests in flight on each.
//!
//! A closed loop answers each response with the next request and so finds the most that a server
//! does. An open loop sends at a fixed rate, whatever comes back, and counts latency from the time
//! a request was due: a server that stalls is charged for all that waited meanwhile.

mod connection;
mod drive;
pub mod frames;
mod report;
mod work;

use std::net::SocketAddr;
use std::time::Duration;

use rmq_core::base::error::Result;
use rmq_core::protocol::frame::Serialize;

pub use drive::run;
pub use report::{Latency, Report};

use crate::peer::Peer;

/// What every request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A send of one message or of a batch.
    Send(frames::SendKind),
    /// A pull of up to so many messages, round and round over what the queues hold.
    Pull(u32),
}

/// A measurement.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Brokers; connections are dealt out to them in turn.
    pub brokers: Vec<SocketAddr>,
    /// What every request is.
    pub operation: Operation,
    /// How headers are written.
    pub serialize: Serialize,
    /// The topic.
    pub topic: String,
    /// Its queues, used in turn.
    pub queues: u32,
    /// Bytes of a message's body.
    pub body: usize,
    /// Connections.
    pub connections: usize,
    /// Requests in flight on each connection; in an open loop, the most that may be.
    pub window: usize,
    /// Requests a second of the open loop; none for the closed one.
    pub rate: Option<f64>,
    /// Time before anything counts.
    pub warm_up: Duration,
    /// Time that counts.
    pub measure: Duration,
    /// Ends the measurement after so many requests, if that comes first.
    pub count: Option<u64>,
    /// How long answers to the last requests are waited for.
    pub drain: Duration,
}

impl Plan {
    /// Four connections with 64 requests in flight on each, for ten seconds after two.
    #[must_use]
    pub fn new(brokers: Vec<SocketAddr>, operation: Operation) -> Self {
        Self {
            brokers,
            operation,
            serialize: Serialize::Rocketmq,
            topic: "rmq-load".to_owned(),
            queues: 8,
            body: 128,
            connections: 4,
            window: 64,
            rate: None,
            warm_up: Duration::from_secs(2),
            measure: Duration::from_secs(10),
            count: None,
            drain: Duration::from_secs(10),
        }
    }

    /// Creates the topic on every broker.
    ///
    /// # Errors
    /// When a broker is not there or refuses.
    pub fn create_topic(&self) -> Result<()> {
        for &broker in &self.brokers {
            Peer::connect(broker)?.create_topic(&self.topic, self.queues)?;
        }
        Ok(())
    }
}
