//! Brokers of one name among each other, and what nameservers and controllers tell them.

use super::headers;

headers! {
    /// NOTIFY_MIN_BROKER_ID_CHANGE (905), one-way.
    NotifyMinBrokerIdChangeRequest {
        min_broker_id: Option<i64> => "minBrokerId",
        broker_name: Option<String> => "brokerName",
        min_broker_addr: Option<String> => "minBrokerAddr",
        offline_broker_addr: Option<String> => "offlineBrokerAddr",
        ha_broker_addr: Option<String> => "haBrokerAddr",
    }

    /// EXCHANGE_BROKER_HA_INFO (906), both ways.
    ExchangeHaInfo {
        master_ha_address: Option<String> => "masterHaAddress",
        master_flush_offset: Option<i64> => "masterFlushOffset",
        master_address: Option<String> => "masterAddress",
    }

    /// RESET_MASTER_FLUSH_OFFSET (908).
    ResetMasterFlushOffsetRequest {
        master_flush_offset: i64 => "masterFlushOffset",
    }

    /// NOTIFY_BROKER_ROLE_CHANGED (1008); the body is a `SyncStateSet`.
    NotifyBrokerRoleChangedRequest {
        master_address: Option<String> => "masterAddress",
        master_epoch: Option<i32> => "masterEpoch",
        sync_state_set_epoch: Option<i32> => "syncStateSetEpoch",
        master_broker_id: Option<i64> => "masterBrokerId",
    }
}
