//! How replication goes, as a broker tells it (GET_BROKER_HA_STATUS).

use serde::{Deserialize, Serialize};

/// The state of a broker's replication: of a master's slaves, or of a slave's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaStatus {
    /// The slave's side; defaults on a master.
    #[serde(rename = "haClientRuntimeInfo")]
    pub client: HaClientStatus,
    /// The slaves of a master.
    #[serde(rename = "haConnectionInfo")]
    pub connections: Vec<HaConnectionStatus>,
    /// How many of them keep up.
    pub in_sync_slave_nums: i32,
    /// Whether it is a master.
    pub master: bool,
    /// End of a master's log.
    pub master_commit_log_max_offset: i64,
}

/// One slave, as its master sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaConnectionStatus {
    /// Where it connected from.
    pub addr: String,
    /// Bytes of the log that it lacks.
    pub diff: i64,
    /// Whether it keeps up.
    pub in_sync: bool,
    /// It has the log up to here.
    pub slave_ack_offset: i64,
    /// It is sent the log from here on.
    pub transfer_from_where: i64,
    /// Bytes a second sent to it.
    pub transferred_byte_in_second: i64,
}

/// A slave's stream from its master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HaClientStatus {
    /// When something came last, ms since the epoch.
    pub last_read_timestamp: i64,
    /// When something was reported last, ms since the epoch.
    pub last_write_timestamp: i64,
    /// Where it replicates from, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_addr: Option<String>,
    /// What the master had flushed when it told; 0 when it did not.
    pub master_flush_offset: i64,
    /// End of the slave's log.
    pub max_offset: i64,
    /// Bytes a second received.
    pub transferred_byte_in_second: i64,
}

super::body!(HaStatus);
