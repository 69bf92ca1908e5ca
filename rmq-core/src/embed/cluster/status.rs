//! How members do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::member::Member;
use super::options::Role;
use crate::broker::ReplicationStatus;
use crate::ha::SlaveState;
use crate::protocol::json::{self, Flavour, Json};

/// How a member does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemberStatus {
    /// Its name in the cluster.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Where clients reach it.
    pub address: SocketAddr,
    /// The folder that it stores in.
    pub folder: PathBuf,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// How a broker's replication does; `None` for nameservers, for members that do not run, and
    /// for a moment while they start or end.
    pub replication: Option<Replication>,
}

/// How replication does at one broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replication {
    /// The log offset of the end of its log.
    pub log_end: i64,
    /// The slaves that are connected to a master.
    pub slaves: Vec<SlaveLag>,
    /// What a slave does; `None` for a master.
    pub state: Option<SlaveState>,
}

/// A connected slave, as its master sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlaveLag {
    /// Its name in the cluster.
    pub member: String,
    /// Bytes of the log that it has not acknowledged.
    pub gap_bytes: i64,
    /// Whether it keeps up.
    pub in_sync: bool,
}

/// How one of `members` does.
pub(super) fn of(member: &Member, members: &[Arc<Member>]) -> MemberStatus {
    MemberStatus {
        name: member.name.clone(),
        role: member.role.clone(),
        address: member.address,
        folder: member.folder.clone(),
        running: member.is_running(),
        paused: member.paused.load(Ordering::SeqCst),
        replication: replication(member, members),
    }
}

fn replication(member: &Member, members: &[Arc<Member>]) -> Option<Replication> {
    let (log_end, status) = member.replication()?;
    let (mut slaves, mut state) = (Vec::new(), None);
    match status {
        ReplicationStatus::Slave(status) => state = Some(status.state),
        ReplicationStatus::Master(status) => {
            for line in status.slaves {
                let ip = line.address.ip();
                let member = members.iter().find(|member| member.ip() == ip);
                slaves.push(SlaveLag {
                    member: member.map_or_else(|| ip.to_string(), |one| one.name.clone()),
                    gap_bytes: line.gap_bytes,
                    in_sync: line.in_sync,
                });
            }
        }
    }
    Some(Replication {
        log_end,
        slaves,
        state,
    })
}

/// How members do, as JSON.
pub(super) fn to_json(members: &[MemberStatus]) -> String {
    let members = Json::Array(members.iter().map(member_json).collect());
    json::to_text(&members, Flavour::Standard)
}

fn member_json(member: &MemberStatus) -> Json {
    let text = |text: &str| Json::String(text.to_owned());
    let role = match member.role {
        Role::Nameserver(_) => "NAMESERVER",
        Role::Broker { id: 0, .. } => "MASTER",
        Role::Broker { .. } => "SLAVE",
    };
    let mut pairs = vec![
        (text("name"), text(&member.name)),
        (text("role"), text(role)),
        (text("address"), text(&member.address.to_string())),
        (text("folder"), text(&member.folder.to_string_lossy())),
        (text("running"), Json::Bool(member.running)),
        (text("paused"), Json::Bool(member.paused)),
    ];
    if let Some(replication) = &member.replication {
        pairs.push((text("logEnd"), Json::Int(replication.log_end)));
        let slaves = replication.slaves.iter().map(|slave| {
            Json::Object(vec![
                (text("name"), text(&slave.member)),
                (text("gapBytes"), Json::Int(slave.gap_bytes)),
                (text("inSync"), Json::Bool(slave.in_sync)),
            ])
        });
        pairs.push((text("slaves"), Json::Array(slaves.collect())));
    }
    Json::Object(pairs)
}
