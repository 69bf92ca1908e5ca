//! Waiting until a cluster is one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::member::{Member, Progress};
use super::options::Role;
use crate::base::clock::SystemClock;
use crate::base::{Error, ErrorKind, Result};
use crate::broker::ReplicationStatus;
use crate::ha::SlaveState;
use crate::net::{Client, ClientConfig};
use crate::protocol::body::cluster::ClusterInfo;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);
/// The longest wait for one answer.
const ANSWER: Duration = Duration::from_millis(500);

/// Looks until nothing is missing any more. `Timeout` says what is.
pub(super) fn wait_until(
    deadline: Duration,
    mut missing: impl FnMut() -> Option<String>,
) -> Result<()> {
    let clock = SystemClock::shared();
    let until = clock.monotonic() + deadline;
    while let Some(missing) = missing() {
        if clock.monotonic() >= until {
            let context = format!("{missing} after {deadline:?}");
            return Err(Error::new(ErrorKind::Timeout, "await cluster", context));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// A member that runs and can be reached.
pub(super) fn is_there(member: &Member) -> bool {
    member.is_running() && !member.paused.load(Ordering::SeqCst)
}

/// What keeps these members from being a cluster: a nameserver that does not know a broker.
pub(super) fn unregistered(client: &Client, members: &[Arc<Member>]) -> Option<String> {
    let there = || members.iter().filter(|member| is_there(member));
    let nameservers = there().filter(|member| !member.is_broker());
    nameservers
        .map(|nameserver| unknown_at(client, &nameserver.name, nameserver.address, there()))
        .find_map(|unknown| unknown)
}

pub(super) fn client() -> Result<Client> {
    Client::start(ClientConfig::default(), SystemClock::shared())
}

/// What a nameserver lacks, or does.
fn unknown_at<'a>(
    client: &Client,
    name: &str,
    address: SocketAddr,
    mut members: impl Iterator<Item = &'a Arc<Member>>,
) -> Option<String> {
    let request = Command::bare_request(RequestCode::GET_BROKER_CLUSTER_INFO);
    let reply = match client.call(&address.to_string(), request, ANSWER) {
        Ok(reply) if reply.response_code() == ResponseCode::SUCCESS => reply,
        Ok(reply) => return Some(format!("{name} answers {}", reply.response_code())),
        Err(error) => return Some(format!("{name} does not answer ({error})")),
    };
    let info = match ClusterInfo::decode(&reply.body) {
        Ok(info) => info,
        Err(error) => return Some(format!("{name} answers what cannot be read ({error})")),
    };
    let is_unknown = |member: &&Arc<Member>| match &member.role {
        Role::Nameserver(_) => false,
        Role::Broker { name, id } => {
            let broker = info.brokers.get(name);
            let address = broker.and_then(|broker| broker.broker_addrs.get(id));
            address.is_none_or(|address| *address != member.address.to_string())
        }
    };
    let unknown = members.find(is_unknown)?;
    Some(format!("{name} does not know {}", unknown.name))
}

/// Every slave with its master, where both are there.
pub(super) fn pairs(members: &[Arc<Member>]) -> Vec<(&Arc<Member>, &Arc<Member>)> {
    let there = || members.iter().filter(|member| is_there(member));
    let master_of = |slave: &Arc<Member>| {
        let (broker, _) = slave.slave_of()?;
        there()
            .find(|member| matches!(&member.role, Role::Broker { name, id: 0 } if name == broker))
    };
    there()
        .filter_map(|slave| Some((master_of(slave)?, slave)))
        .collect()
}

/// Why a slave is not in sync with its master, if it is not.
pub(super) fn out_of_sync(master: &Member, slave: &Member) -> Option<String> {
    let name = &slave.name;
    match slave.replication() {
        Some((_, ReplicationStatus::Slave(status))) => match status.state {
            SlaveState::Streaming => {}
            SlaveState::Refused(why) => return Some(format!("{name} cannot follow: {why}")),
            state => return Some(format!("{name} does not follow its master ({state:?})")),
        },
        _ => return Some(format!("{name} does not follow its master")),
    }
    let in_sync = match master.replication() {
        Some((_, ReplicationStatus::Master(status))) => {
            let mut slaves = status.slaves.iter();
            slaves.any(|line| line.in_sync && line.address.ip() == slave.ip())
        }
        _ => false,
    };
    (!in_sync).then(|| format!("{name} is not in sync"))
}

/// What a slave lacks of what its master had.
pub(super) fn lacks(slave: &Member, wanted: &Progress) -> Option<String> {
    let name = &slave.name;
    match slave.progress() {
        None => Some(format!("{name} does not run")),
        Some(has) if has.log_end < wanted.log_end => {
            let bytes = wanted.log_end - has.log_end;
            Some(format!("{name} lacks {bytes} bytes"))
        }
        Some(has) if has.topics.is_older_than(&wanted.topics) => {
            Some(format!("{name} lacks topics"))
        }
        Some(_) => None,
    }
}
