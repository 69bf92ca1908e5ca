//! A broker's own state: configuration and statistics.

use super::headers;

headers! {
    /// The answer to GET_BROKER_CONFIG (26); the body is a properties text.
    GetBrokerConfigResponse {
        version: String => "version",
    }

    /// VIEW_BROKER_STATS_DATA (315).
    ViewBrokerStatsDataRequest {
        stats_name: String => "statsName",
        stats_key: String => "statsKey",
    }

    /// CHECK_ROCKSDB_CQ_WRITE_PROGRESS (354).
    CheckRocksdbProgressRequest {
        topic: String => "topic",
        check_store_time_ms: i64 => "checkStoreTime" = 0,
    }

    /// EXPORT_ROCKSDB_CONFIG_TO_JSON (355); types are separated by semicolons.
    ExportRocksdbConfigRequest {
        config_type: String => "configType",
    }

    /// SET_COMMITLOG_READ_MODE (2004): 0 normal, 1 random.
    SetCommitLogReadModeRequest {
        read_ahead_mode: i32 => "READ_AHEAD_MODE",
    }
}
