//! Finding messages: by key (12), by offset (33), and sending one back for a retry (36).

use super::headers;

/// Ext key of QUERY_MESSAGE: `true` asks for the unique id instead of a user's key.
pub const UNIQUE_KEY_QUERY: &str = "_UNIQUE_KEY_QUERY";

/// The index type of QUERY_MESSAGE that asks for a tag; any other, or none, asks for a key.
pub const INDEX_TYPE_TAG: &str = "T";

headers! {
    /// QUERY_MESSAGE (12); see `UNIQUE_KEY_QUERY`.
    QueryMessageRequest {
        topic: String => "topic",
        key: String => "key",
        max_num: i32 => "maxNum",
        begin_timestamp_ms: i64 => "beginTimestamp",
        end_timestamp_ms: i64 => "endTimestamp",
        index_type: Option<String> => "indexType",
        last_key: Option<String> => "lastKey",
    }

    /// The answer to 12; the body holds the records.
    QueryMessageResponse {
        index_last_update_timestamp_ms: i64 => "indexLastUpdateTimestamp",
        index_last_update_physical_offset: i64 => "indexLastUpdatePhyoffset",
    }

    /// VIEW_MESSAGE_BY_ID (33); the answer's body holds the record.
    ViewMessageRequest {
        physical_offset: i64 => "offset",
        topic: Option<String> => "topic",
    }

    /// CONSUMER_SEND_MSG_BACK (36).
    SendMessageBackRequest {
        physical_offset: i64 => "offset",
        group: String => "group",
        delay_level: i32 => "delayLevel",
        origin_msg_id: Option<String> => "originMsgId",
        origin_topic: Option<String> => "originTopic",
        unit_mode: bool => "unitMode" = false,
        max_reconsume_times: Option<i32> => "maxReconsumeTimes",
    }

    /// RECALL_MESSAGE (370).
    RecallMessageRequest {
        producer_group: Option<String> => "producerGroup",
        topic: String => "topic",
        recall_handle: String => "recallHandle",
    }

    /// The answer to 370.
    RecallMessageResponse {
        msg_id: String => "msgId",
    }

    /// QUERY_CONSUME_QUEUE (321).
    QueryConsumeQueueRequest {
        topic: Option<String> => "topic",
        queue_id: i32 => "queueId" = 0,
        index: i64 => "index" = 0,
        count: i32 => "count" = 0,
        consumer_group: Option<String> => "consumerGroup",
    }
}
