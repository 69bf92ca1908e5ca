//! What clients and tools ask of a nameserver.

use super::headers;

/// Ext key of GET_ROUTEINFO_BY_TOPIC: `true` asks for the brokers of one zone only.
pub const ZONE_MODE: &str = "__ZONE_MODE";
/// Ext key of GET_ROUTEINFO_BY_TOPIC: the zone.
pub const ZONE_NAME: &str = "__ZONE_NAME";

headers! {
    /// GET_ROUTEINFO_BY_TOPIC (105); the answer is a body.
    GetRouteInfoRequest {
        topic: String => "topic",
        accept_standard_json_only: Option<bool> => "acceptStandardJsonOnly",
    }

    /// GET_TOPICS_BY_CLUSTER (224).
    GetTopicsByClusterRequest {
        cluster: String => "cluster",
    }

    /// DELETE_TOPIC_IN_NAMESRV (216).
    DeleteTopicInNamesrvRequest {
        topic: String => "topic",
        cluster_name: Option<String> => "clusterName",
    }

    /// REGISTER_TOPIC_IN_NAMESRV (217); the body is a route.
    RegisterTopicRequest {
        topic: String => "topic",
    }

    /// WIPE_WRITE_PERM_OF_BROKER (205).
    WipeWritePermRequest {
        broker_name: String => "brokerName",
    }

    /// The answer to 205.
    WipeWritePermResponse {
        wipe_topic_count: i32 => "wipeTopicCount",
    }

    /// ADD_WRITE_PERM_OF_BROKER (327).
    AddWritePermRequest {
        broker_name: String => "brokerName",
    }

    /// The answer to 327.
    AddWritePermResponse {
        add_topic_count: i32 => "addTopicCount",
    }

    /// GET_BROKER_MEMBER_GROUP (901).
    GetBrokerMemberGroupRequest {
        cluster_name: String => "clusterName",
        broker_name: String => "brokerName",
    }
}
