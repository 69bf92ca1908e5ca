//! Brokers and tools to a controller: 1001 to 1006 and 1011 to 1013.

use super::headers;

headers! {
    /// CONTROLLER_ALTER_SYNC_STATE_SET (1001); the body is a `SyncStateSet`.
    AlterSyncStateSetRequest {
        broker_name: Option<String> => "brokerName",
        master_broker_id: Option<i64> => "masterBrokerId",
        master_epoch: Option<i32> => "masterEpoch",
        invoke_time_ms: i64 => "invokeTime" = 0,
    }

    /// The answer to 1001.
    AlterSyncStateSetResponse {
        new_sync_state_set_epoch: i32 => "newSyncStateSetEpoch" = 0,
    }

    /// CONTROLLER_ELECT_MASTER (1002).
    ElectMasterRequest {
        cluster_name: String => "clusterName" = String::new(),
        broker_name: String => "brokerName" = String::new(),
        broker_id: i64 => "brokerId" = -1,
        designate_elect: bool => "designateElect" = false,
        invoke_time_ms: i64 => "invokeTime" = 0,
    }

    /// The answer to 1002.
    ElectMasterResponse {
        master_broker_id: Option<i64> => "masterBrokerId",
        master_address: Option<String> => "masterAddress",
        master_epoch: Option<i32> => "masterEpoch",
        sync_state_set_epoch: Option<i32> => "syncStateSetEpoch",
    }

    /// CONTROLLER_REGISTER_BROKER (1003).
    RegisterToControllerRequest {
        cluster_name: Option<String> => "clusterName",
        broker_name: Option<String> => "brokerName",
        broker_id: Option<i64> => "brokerId",
        broker_address: Option<String> => "brokerAddress",
        invoke_time_ms: i64 => "invokeTime" = 0,
    }

    /// The answer to 1003.
    RegisterToControllerResponse {
        cluster_name: Option<String> => "clusterName",
        broker_name: Option<String> => "brokerName",
        master_broker_id: Option<i64> => "masterBrokerId",
        master_address: Option<String> => "masterAddress",
        master_epoch: Option<i32> => "masterEpoch",
        sync_state_set_epoch: Option<i32> => "syncStateSetEpoch",
    }

    /// CONTROLLER_GET_REPLICA_INFO (1004).
    GetReplicaInfoRequest {
        broker_name: Option<String> => "brokerName",
    }

    /// The answer to 1004.
    GetReplicaInfoResponse {
        master_broker_id: Option<i64> => "masterBrokerId",
        master_address: Option<String> => "masterAddress",
        master_epoch: Option<i32> => "masterEpoch",
    }

    /// The answer to CONTROLLER_GET_METADATA_INFO (1005).
    GetMetadataResponse {
        group: Option<String> => "group",
        controller_leader_id: Option<String> => "controllerLeaderId",
        controller_leader_address: Option<String> => "controllerLeaderAddress",
        is_leader: bool => "isLeader" = false,
        peers: Option<String> => "peers",
    }

    /// CLEAN_BROKER_DATA (1011).
    CleanBrokerDataRequest {
        cluster_name: Option<String> => "clusterName",
        broker_name: String => "brokerName",
        broker_controller_ids_to_clean: Option<String> => "brokerControllerIdsToClean",
        is_clean_living_broker: bool => "isCleanLivingBroker" = false,
        invoke_time_ms: i64 => "invokeTime" = 0,
    }

    /// CONTROLLER_GET_NEXT_BROKER_ID (1012).
    GetNextBrokerIdRequest {
        cluster_name: Option<String> => "clusterName",
        broker_name: Option<String> => "brokerName",
    }

    /// The answer to 1012.
    GetNextBrokerIdResponse {
        cluster_name: Option<String> => "clusterName",
        broker_name: Option<String> => "brokerName",
        next_broker_id: Option<i64> => "nextBrokerId",
    }

    /// CONTROLLER_APPLY_BROKER_ID (1013); the check code is `address;timestamp`.
    ApplyBrokerIdRequest {
        cluster_name: Option<String> => "clusterName",
        broker_name: Option<String> => "brokerName",
        applied_broker_id: Option<i64> => "appliedBrokerId",
        register_check_code: Option<String> => "registerCheckCode",
    }

    /// The answer to 1013.
    ApplyBrokerIdResponse {
        cluster_name: Option<String> => "clusterName",
        broker_name: Option<String> => "brokerName",
    }
}
