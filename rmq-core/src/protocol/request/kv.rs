//! A nameserver's key-value configuration: 100, 101, 102 and 219.

use super::headers;

headers! {
    /// PUT_KV_CONFIG (100).
    PutKvConfigRequest {
        namespace: String => "namespace",
        key: String => "key",
        value: String => "value",
    }

    /// GET_KV_CONFIG (101).
    GetKvConfigRequest {
        namespace: String => "namespace",
        key: String => "key",
    }

    /// The answer to 101.
    GetKvConfigResponse {
        value: Option<String> => "value",
    }

    /// DELETE_KV_CONFIG (102).
    DeleteKvConfigRequest {
        namespace: String => "namespace",
        key: String => "key",
    }

    /// GET_KVLIST_BY_NAMESPACE (219); the answer is a body.
    GetKvListRequest {
        namespace: String => "namespace",
    }
}
