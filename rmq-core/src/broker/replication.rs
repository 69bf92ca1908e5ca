//! The log's way between brokers: a master serves its slaves, a slave follows its master.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::base::Result;
use crate::broker::Host;
use crate::broker::reply::Refusal;
use crate::config::{BrokerConfig, BrokerRole, FlushDiskType};
use crate::ha::{
    InSync, Master, MasterOptions, MasterStatus, Slave, SlaveOptions, SlaveState, SlaveStatus,
};
use crate::protocol::body::ha_status::{HaClientStatus, HaConnectionStatus, HaStatus};
use crate::protocol::code::ResponseCode;
use crate::store::Store;

/// This broker's end of replication. Every method may be called from any thread.
#[derive(Debug)]
pub(crate) enum Replication {
    /// It serves slaves.
    Master {
        /// Serves them.
        stream: Master,
        /// Copies in sync below which messages are refused.
        min_replicas: usize,
    },
    /// It follows its master.
    Slave {
        /// Follows it.
        stream: Slave,
        /// Whether the configuration names its master.
        is_fixed: bool,
        /// The port that it would serve slaves at.
        port: u16,
    },
}

/// How a broker's end of replication does.
#[derive(Clone, Debug)]
pub enum ReplicationStatus {
    /// A master's slaves.
    Master(MasterStatus),
    /// A slave's master.
    Slave(SlaveStatus),
}

/// The replication port: as configured, or the one above the main port; any free one when the main
/// port is one.
fn listen_port(config: &BrokerConfig, main_port: u16) -> u16 {
    match (config.store.ha_listen_port, config.server.listen_port) {
        (0, 0) => 0,
        (0, _) => main_port.saturating_add(1),
        (given, _) => given,
    }
}

fn master_options(config: &BrokerConfig, host: &Host, listen: SocketAddr) -> MasterOptions {
    let store = &config.store;
    let in_sync = InSync {
        replicas: store.in_sync_replicas as usize,
        min: store.min_in_sync_replicas as usize,
        auto: store.auto_in_sync_replicas,
    };
    MasterOptions {
        listen,
        batch_bytes: store.ha_batch_bytes,
        heartbeat_ms: store.ha_heartbeat_ms,
        housekeeping_ms: store.ha_housekeeping_ms,
        ack_timeout_ms: store.slave_timeout_ms,
        max_gap_bytes: store.ha_max_gap_bytes.cast_signed(),
        bytes_per_second: store.ha_flow_control.then_some(store.ha_bytes_per_second),
        in_sync: (store.broker_role == BrokerRole::SyncMaster).then_some(in_sync),
        fence: host.fence.clone(),
        ..MasterOptions::default()
    }
}

fn slave_options(config: &BrokerConfig, host: &Host) -> SlaveOptions {
    let store = &config.store;
    SlaveOptions {
        ack_flushed: store.flush_disk_type == FlushDiskType::SyncFlush,
        heartbeat_ms: store.ha_heartbeat_ms,
        housekeeping_ms: store.ha_housekeeping_ms,
        bind: host.bind,
        fence: host.fence.clone(),
        ..SlaveOptions::default()
    }
}

impl Replication {
    /// Starts to serve slaves at `listen`, or to follow the master that `haMasterAddress` names; a
    /// slave without it waits for [`follow`](Self::follow).
    pub(crate) fn start(
        config: &BrokerConfig,
        store: &Arc<Store>,
        host: &Host,
        (listen, main_port): (IpAddr, u16),
    ) -> Result<Self> {
        let (store, clock) = (Arc::clone(store), Arc::clone(&host.clock));
        let port = listen_port(config, main_port);
        if config.store.broker_role == BrokerRole::Slave {
            let stream = Slave::start(slave_options(config, host), store, clock)?;
            let given = config.store.ha_master_address.clone();
            let is_fixed = given.is_some();
            stream.set_master(given);
            return Ok(Self::Slave {
                stream,
                is_fixed,
                port,
            });
        }
        let listen = SocketAddr::new(listen, port);
        let options = master_options(config, host, listen);
        Ok(Self::Master {
            stream: Master::start(options, store, clock)?,
            min_replicas: match config.store.broker_role {
                BrokerRole::SyncMaster => config.store.min_in_sync_replicas as usize,
                BrokerRole::AsyncMaster | BrokerRole::Slave => 0,
            },
        })
    }

    /// The port where slaves are served, or would be were this broker a master.
    #[must_use]
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Master { stream, .. } => stream.address().port(),
            Self::Slave { port, .. } => *port,
        }
    }

    /// Has a slave follow the master whose replication port is at `ha_address`, unless its
    /// configuration names one.
    pub(crate) fn follow(&self, ha_address: &str) {
        if let Self::Slave {
            stream,
            is_fixed: false,
            ..
        } = self
        {
            stream.set_master(Some(ha_address.to_owned()));
        }
    }

    /// Tells a slave without a log where its master's begins.
    pub(crate) fn set_first_offset(&self, offset: i64) {
        if let Self::Slave { stream, .. } = self {
            stream.set_first_offset(offset);
        }
    }

    /// Whether a slave is connected to its master.
    #[must_use]
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self, Self::Slave { stream, .. } if stream.is_connected())
    }

    /// Whether a slave is connected to a master whose log continues its own.
    #[must_use]
    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self, Self::Slave { stream, .. } if stream.is_streaming())
    }

    /// Why messages are refused although the store would take them: fewer copies keep up than
    /// minInSyncReplicas asks for.
    #[must_use]
    pub(crate) fn refuse_sends(&self) -> Option<Refusal> {
        let Self::Master {
            stream,
            min_replicas,
        } = self
        else {
            return None;
        };
        // One copy is this broker's own.
        if *min_replicas <= 1 || stream.in_sync_replicas() >= *min_replicas {
            return None;
        }
        let remark = "in-sync replicas not enough";
        Some(Refusal::new(ResponseCode::SYSTEM_ERROR, remark))
    }

    /// How it does.
    #[must_use]
    pub(crate) fn status(&self) -> ReplicationStatus {
        match self {
            Self::Master { stream, .. } => ReplicationStatus::Master(stream.status()),
            Self::Slave { stream, .. } => ReplicationStatus::Slave(stream.status()),
        }
    }

    /// Stops; a master gives slaves in sync the time to get what they lack.
    pub(crate) fn close(&self, deadline: Duration) -> Result<()> {
        match self {
            Self::Master { stream, .. } => stream.close(deadline),
            Self::Slave { stream, .. } => stream.close(deadline),
        }
    }

    /// Stops as a crash would.
    pub(crate) fn kill(&self) {
        match self {
            Self::Master { stream, .. } => stream.kill(),
            Self::Slave { stream, .. } => stream.kill(),
        }
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl ReplicationStatus {
    /// The answer to a question for the state of replication; `log_end` is the end of this
    /// broker's log.
    #[must_use]
    pub(crate) fn to_status(&self, log_end: i64) -> HaStatus {
        match self {
            Self::Master(status) => HaStatus {
                master: true,
                master_commit_log_max_offset: status.end,
                in_sync_slave_nums: i32::try_from(status.in_sync).unwrap_or(i32::MAX),
                connections: status
                    .slaves
                    .iter()
                    .map(|slave| HaConnectionStatus {
                        addr: slave.address.to_string(),
                        diff: slave.gap_bytes,
                        in_sync: slave.in_sync,
                        slave_ack_offset: slave.ack,
                        transfer_from_where: slave.transfer_from,
                        transferred_byte_in_second: to_i64(slave.bytes_per_second),
                    })
                    .collect(),
                ..HaStatus::default()
            },
            Self::Slave(status) => HaStatus {
                client: HaClientStatus {
                    last_read_timestamp: status.master_seen_ms,
                    last_write_timestamp: status.reported_ms,
                    master_addr: status.master.clone(),
                    master_flush_offset: 0,
                    max_offset: log_end,
                    transferred_byte_in_second: to_i64(status.bytes_per_second),
                },
                ..HaStatus::default()
            },
        }
    }

    /// Rows of the runtime information, for people and for what watches the lag. All but
    /// `slaveAckOffset` are rmq's own.
    #[must_use]
    pub(crate) fn to_rows(&self) -> Vec<(String, String)> {
        match self {
            Self::Master(status) => master_rows(status),
            Self::Slave(status) => slave_rows(status),
        }
    }
}

fn master_rows(status: &MasterStatus) -> Vec<(String, String)> {
    let row = |key: &str, value: i64| (key.to_owned(), value.to_string());
    let slaves = &status.slaves;
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let mut rows = vec![
        row("rmq.slaves", count(slaves.len())),
        row("rmq.slavesInSync", count(status.in_sync)),
    ];
    if let Some(ack) = slaves.iter().map(|slave| slave.ack).min() {
        let lag_bytes = slaves.iter().map(|slave| slave.gap_bytes).max();
        rows.push(row("slaveAckOffset", ack));
        rows.push(row("rmq.slaveLagBytes", lag_bytes.unwrap_or(0)));
        rows.push((
            "rmq.slaveLagMs".to_owned(),
            longest(slaves.iter().map(|s| s.lag_ms)),
        ));
    }
    for slave in slaves {
        let key = |what: &str| format!("rmq.slave[{}].{what}", slave.address);
        rows.push((key("ackOffset"), slave.ack.to_string()));
        rows.push((key("lagBytes"), slave.gap_bytes.to_string()));
        rows.push((key("lagMs"), longest([slave.lag_ms].into_iter())));
        rows.push((key("inSync"), slave.in_sync.to_string()));
    }
    rows
}

/// The longest lag, ms; -1 when one of them never had everything.
fn longest(lags: impl Iterator<Item = Option<u64>>) -> String {
    let longest: Option<Vec<u64>> = lags.collect();
    match longest {
        Some(lags) => lags.into_iter().max().unwrap_or(0).to_string(),
        None => "-1".to_owned(),
    }
}

fn slave_rows(status: &SlaveStatus) -> Vec<(String, String)> {
    let (state, why) = match &status.state {
        SlaveState::Waiting => ("waiting for a master", None),
        SlaveState::Connecting => ("connecting", None),
        SlaveState::Verifying => ("verifying", None),
        SlaveState::Streaming => ("streaming", None),
        SlaveState::Refused(why) => ("refused", Some(why)),
    };
    let row = |key: &str, value: String| (key.to_owned(), value);
    let mut rows = vec![
        row("rmq.replication", state.to_owned()),
        row(
            "rmq.replicationMaster",
            status.master.clone().unwrap_or_default(),
        ),
        row("rmq.replicatedOffset", status.received.to_string()),
        row("rmq.masterSeenTimestamp", status.master_seen_ms.to_string()),
    ];
    rows.extend(why.map(|why| row("rmq.replicationRefused", why.clone())));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ha::SlaveLine;

    fn line(port: u16, ack: i64, lag_ms: Option<u64>) -> SlaveLine {
        SlaveLine {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            ack,
            gap_bytes: 100 - ack,
            lag_ms,
            in_sync: ack == 100,
            bytes_per_second: 7,
            transfer_from: ack,
        }
    }

    fn find<'a>(rows: &'a [(String, String)], key: &str) -> Option<&'a str> {
        rows.iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_lag_of_a_master_is_that_of_its_slowest_slave() {
        let mut status = MasterStatus {
            end: 100,
            in_sync: 1,
            slaves: vec![line(1, 100, Some(0)), line(2, 60, Some(250))],
        };
        let rows = ReplicationStatus::Master(status.clone()).to_rows();
        assert_eq!(find(&rows, "slaveAckOffset"), Some("60"));
        assert_eq!(find(&rows, "rmq.slaveLagBytes"), Some("40"));
        assert_eq!(find(&rows, "rmq.slaveLagMs"), Some("250"));
        assert_eq!(find(&rows, "rmq.slave[127.0.0.1:1].lagMs"), Some("0"));
        status.slaves[1].lag_ms = None;
        let rows = ReplicationStatus::Master(status.clone()).to_rows();
        assert_eq!(find(&rows, "rmq.slaveLagMs"), Some("-1"));
        let body = ReplicationStatus::Master(status).to_status(0);
        assert_eq!((body.master, body.in_sync_slave_nums), (true, 1));
        assert_eq!(body.connections[1].diff, 40);
        let rows = ReplicationStatus::Master(MasterStatus::default()).to_rows();
        assert_eq!(find(&rows, "rmq.slaves"), Some("0"));
        assert_eq!(find(&rows, "slaveAckOffset"), None);
    }

    #[test]
    fn a_slave_says_why_it_does_not_follow() {
        let status = SlaveStatus {
            state: SlaveState::Refused("another log".to_owned()),
            master: Some("m:1".to_owned()),
            ..SlaveStatus::default()
        };
        let rows = ReplicationStatus::Slave(status.clone()).to_rows();
        assert_eq!(find(&rows, "rmq.replication"), Some("refused"));
        assert_eq!(find(&rows, "rmq.replicationRefused"), Some("another log"));
        let body = ReplicationStatus::Slave(status).to_status(55);
        assert_eq!((body.master, body.client.max_offset), (false, 55));
        assert_eq!(body.client.master_addr.as_deref(), Some("m:1"));
    }

    #[test]
    fn the_port_of_replication_is_above_the_main_one_unless_it_is_given() {
        let mut config = BrokerConfig::embedded_defaults("/store");
        assert_eq!(listen_port(&config, 40_000), 0);
        config.server.listen_port = 40_000;
        assert_eq!(listen_port(&config, 40_000), 40_001);
        config.store.ha_listen_port = 7;
        assert_eq!(listen_port(&config, 40_000), 7);
    }
}
