//! Whole clusters in this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use napi_derive::napi;
use rmq_core::embed::cluster::{MemberStatus, Role};
use rmq_core::embed::{Cluster, ClusterOptions, Error, ErrorKind, Result};

use crate::hub::Hub;
use crate::server::{millis, properties};

/// A running cluster.
#[napi]
pub struct NativeCluster {
    inner: Arc<Cluster>,
}

/// How a member does.
#[napi(object)]
pub struct NativeMember {
    /// Its name in the cluster.
    pub name: String,
    /// "namesrv", "master" or "slave".
    pub role: String,
    /// Where clients reach it.
    pub address: String,
    /// The folder that it stores in.
    pub folder: String,
    /// Whether it runs.
    pub running: bool,
    /// Whether it is paused.
    pub paused: bool,
}

impl From<MemberStatus> for NativeMember {
    fn from(status: MemberStatus) -> Self {
        let role = match status.role {
            Role::Nameserver(_) => "namesrv",
            Role::Broker { id: 0, .. } => "master",
            Role::Broker { .. } => "slave",
        };
        Self {
            name: status.name,
            role: role.to_owned(),
            address: status.address.to_string(),
            folder: status.folder.display().to_string(),
            running: status.running,
            paused: status.paused,
        }
    }
}

/// Starts a cluster; the keys are those of ClusterOptions::from_keys.
#[napi]
pub fn start_cluster(hub: &Hub, id: u32, keys: HashMap<String, String>) {
    hub.sender().run(id, move || {
        let options = ClusterOptions::from_keys(&properties(keys))?;
        let inner = Arc::new(Cluster::start(options)?);
        Ok(NativeCluster { inner })
    });
}

#[napi]
impl NativeCluster {
    /// The nameservers as clients take them.
    #[napi(getter)]
    pub fn nameservers(&self) -> String {
        self.inner.nameserver_addresses()
    }

    /// How every member does.
    #[napi]
    pub fn members(&self) -> Vec<NativeMember> {
        let members = self.inner.members().into_iter();
        members.map(NativeMember::from).collect()
    }

    /// Does something to one member: kill, start, restart, close, wipe, pause, resume.
    #[napi]
    pub fn act(&self, hub: &Hub, id: u32, action: String, member: String, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |cluster| {
            act(cluster, &action, &member, timeout_ms)
        });
    }

    /// Does something to all of it: reset, heal, ready, replicated, close.
    #[napi]
    pub fn act_on_all(&self, hub: &Hub, id: u32, action: String, timeout_ms: f64) {
        let timeout = millis(timeout_ms);
        hub.run_on(id, &self.inner, move |cluster| match action.as_str() {
            "reset" => cluster.reset(),
            "heal" => {
                cluster.heal();
                Ok(())
            }
            "ready" => cluster.await_ready(timeout),
            "replicated" => cluster.await_replicated(timeout),
            "close" => cluster.close(timeout),
            _ => Err(unknown(&action)),
        });
    }

    /// Ends it as a crash would, and removes temporary storage, before this returns: for the end
    /// of the process.
    #[napi]
    pub fn kill_now(&self) {
        for member in self.inner.members() {
            // One that is not there needs no end.
            let _ = self.inner.kill(member.name);
        }
        let _ = self.inner.close(Duration::ZERO);
    }

    /// Divides the network.
    #[napi]
    pub fn partition(&self, hub: &Hub, id: u32, groups: Vec<Vec<String>>) {
        hub.run_on(id, &self.inner, move |cluster| {
            let names: Vec<Vec<&str>> = groups
                .iter()
                .map(|group| group.iter().map(String::as_str).collect())
                .collect();
            let groups: Vec<&[&str]> = names.iter().map(Vec::as_slice).collect();
            cluster.partition(&groups)
        });
    }

    /// Keeps what one member sends from another.
    #[napi]
    pub fn cut(&self, hub: &Hub, id: u32, from: String, to: String) {
        hub.run_on(id, &self.inner, move |cluster| cluster.cut(from, to));
    }

    /// Moves the clock of every member.
    #[napi]
    pub fn advance(&self, hub: &Hub, id: u32, by_ms: f64) {
        hub.run_on(id, &self.inner, move |cluster| {
            cluster.advance(millis(by_ms))
        });
    }
}

fn unknown(action: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "cluster",
        format!("there is no action {action}"),
    )
}

fn act(cluster: &Cluster, action: &str, member: &str, timeout_ms: f64) -> Result<()> {
    let timeout = millis(timeout_ms);
    match action {
        "kill" => cluster.kill(member),
        "start" => cluster.start_member(member),
        "restart" => cluster.restart(member, timeout),
        "close" => cluster.close_member(member, timeout),
        "wipe" => cluster.wipe(member),
        "pause" => cluster.pause(member),
        "resume" => cluster.resume(member),
        _ => Err(unknown(action)),
    }
}
