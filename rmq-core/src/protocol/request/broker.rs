//! What a broker tells a nameserver: that it is there (103, 322, 904) and that it goes (104).

use super::headers;

headers! {
    /// REGISTER_BROKER (103); the body is a `RegisterBrokerBody`.
    RegisterBrokerRequest {
        broker_name: String => "brokerName",
        broker_addr: String => "brokerAddr",
        cluster_name: String => "clusterName",
        ha_server_addr: String => "haServerAddr",
        broker_id: i64 => "brokerId",
        heartbeat_timeout_ms: Option<i64> => "heartbeatTimeoutMillis",
        enable_acting_master: Option<bool> => "enableActingMaster",
        compressed: bool => "compressed" = false,
        body_crc32: i32 => "bodyCrc32" = 0,
    }

    /// The answer to 103; the body is a table of ordered topics.
    RegisterBrokerResponse {
        ha_server_addr: Option<String> => "haServerAddr",
        master_addr: Option<String> => "masterAddr",
    }

    /// UNREGISTER_BROKER (104).
    UnregisterBrokerRequest {
        broker_name: String => "brokerName",
        broker_addr: String => "brokerAddr",
        cluster_name: String => "clusterName",
        broker_id: i64 => "brokerId",
    }

    /// QUERY_DATA_VERSION (322); the body is a `DataVersion`.
    QueryDataVersionRequest {
        broker_name: String => "brokerName",
        broker_addr: String => "brokerAddr",
        cluster_name: String => "clusterName",
        broker_id: i64 => "brokerId",
    }

    /// The answer to 322; the body is the nameserver's `DataVersion`.
    QueryDataVersionResponse {
        changed: bool => "changed",
    }

    /// BROKER_HEARTBEAT (904), to nameservers and controllers.
    BrokerHeartbeatRequest {
        cluster_name: String => "clusterName",
        broker_addr: String => "brokerAddr",
        broker_name: String => "brokerName",
        broker_id: Option<i64> => "brokerId",
        epoch: Option<i32> => "epoch",
        max_offset: Option<i64> => "maxOffset",
        confirm_offset: Option<i64> => "confirmOffset",
        heartbeat_timeout_ms: Option<i64> => "heartbeatTimeoutMills",
        election_priority: Option<i32> => "electionPriority",
    }
}
