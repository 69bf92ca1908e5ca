//! Waiting until a cluster is one.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::clock::SystemClock;
use crate::base::{Error, ErrorKind, Result};
use crate::net::{Client, ClientConfig};
use crate::protocol::body::cluster::ClusterInfo;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest wait for one answer.
const ANSWER: Duration = Duration::from_millis(500);

/// A broker that has to be known.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) broker: String,
    pub(super) id: i64,
    pub(super) address: SocketAddr,
}

/// Waits until each of the nameservers (name, address) knows each of the brokers.
pub(super) fn await_registered(
    nameservers: &[(String, SocketAddr)],
    brokers: &[Expected],
    deadline: Duration,
) -> Result<()> {
    let clock = SystemClock::shared();
    let until = clock.monotonic() + deadline;
    let client = Client::start(ClientConfig::default(), clock.clone())?;
    for (name, address) in nameservers {
        loop {
            let missing = missing(&client, *address, brokers);
            let Some(missing) = missing else { break };
            if clock.monotonic() >= until {
                let context = format!("{name} at {address} {missing} after {deadline:?}");
                return Err(Error::new(ErrorKind::Timeout, "await cluster", context));
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// What a nameserver lacks, or does.
fn missing(client: &Client, nameserver: SocketAddr, brokers: &[Expected]) -> Option<String> {
    let request = Command::bare_request(RequestCode::GET_BROKER_CLUSTER_INFO);
    let reply = match client.call(&nameserver.to_string(), request, ANSWER) {
        Ok(reply) if reply.response_code() == ResponseCode::SUCCESS => reply,
        Ok(reply) => return Some(format!("answers {}", reply.response_code())),
        Err(error) => return Some(format!("does not answer ({error})")),
    };
    let info = match ClusterInfo::decode(&reply.body) {
        Ok(info) => info,
        Err(error) => return Some(format!("answers what cannot be read ({error})")),
    };
    let knows = |expected: &&Expected| {
        let broker = info.brokers.get(&expected.broker);
        let address = broker.and_then(|broker| broker.broker_addrs.get(&expected.id));
        address.is_some_and(|address| *address == expected.address.to_string())
    };
    let unknown = brokers.iter().find(|expected| !knows(expected))?;
    Some(format!(
        "does not know {} with id {} at {}",
        unknown.broker, unknown.id, unknown.address
    ))
}
