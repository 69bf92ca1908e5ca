//! Clients and their groups: HEART_BEAT (34, all in its body), UNREGISTER_CLIENT (35),
//! GET_CONSUMER_LIST_BY_GROUP (38).

use super::headers;

headers! {
    /// The answer to HEART_BEAT (34).
    HeartbeatResponse {
        supports_v2: Option<bool> => "IS_SUPPORT_HEART_BEAT_V2",
        subscription_changed: Option<bool> => "IS_SUB_CHANGE",
    }

    /// UNREGISTER_CLIENT (35).
    UnregisterClientRequest {
        client_id: String => "clientID",
        producer_group: Option<String> => "producerGroup",
        consumer_group: Option<String> => "consumerGroup",
    }

    /// GET_CONSUMER_LIST_BY_GROUP (38); the answer is a body.
    GetConsumerListRequest {
        consumer_group: String => "consumerGroup",
    }
}
