//! What a server asks of a client, over the connection that the client opened; 307 and 309 also
//! come to a broker from tools and are passed on.

use super::headers;

headers! {
    /// CHECK_TRANSACTION_STATE (39), one-way; the body is the half message.
    CheckTransactionStateRequest {
        topic: Option<String> => "topic",
        tran_state_table_offset: i64 => "tranStateTableOffset",
        commit_log_offset: i64 => "commitLogOffset",
        msg_id: Option<String> => "msgId",
        transaction_id: Option<String> => "transactionId",
        offset_msg_id: Option<String> => "offsetMsgId",
        broker_name: Option<String> => "bname",
    }

    /// NOTIFY_CONSUMER_IDS_CHANGED (40), one-way.
    NotifyConsumerIdsChangedRequest {
        consumer_group: String => "consumerGroup",
    }

    /// RESET_CONSUMER_CLIENT_OFFSET (220), one-way, and INVOKE_BROKER_TO_RESET_OFFSET (222).
    ResetOffsetRequest {
        topic: String => "topic",
        group: String => "group",
        queue_id: i32 => "queueId" = -1,
        offset: Option<i64> => "offset",
        timestamp_ms: i64 => "timestamp" = 0,
        is_force: bool => "isForce" = false,
    }

    /// GET_CONSUMER_STATUS_FROM_CLIENT (221) and INVOKE_BROKER_TO_GET_CONSUMER_STATUS (223).
    GetConsumerStatusRequest {
        topic: String => "topic",
        group: String => "group",
        client_addr: Option<String> => "clientAddr",
    }

    /// GET_CONSUMER_RUNNING_INFO (307).
    GetConsumerRunningInfoRequest {
        consumer_group: String => "consumerGroup",
        client_id: String => "clientId",
        jstack_enable: bool => "jstackEnable" = false,
    }

    /// CONSUME_MESSAGE_DIRECTLY (309); the body is the record.
    ConsumeMessageDirectlyRequest {
        consumer_group: String => "consumerGroup",
        client_id: Option<String> => "clientId",
        msg_id: Option<String> => "msgId",
        broker_name: Option<String> => "brokerName",
        topic: Option<String> => "topic",
        topic_sys_flag: Option<i32> => "topicSysFlag",
        group_sys_flag: Option<i32> => "groupSysFlag",
    }

    /// PUSH_REPLY_MESSAGE_TO_CLIENT (326); the body is the reply.
    PushReplyMessageRequest {
        producer_group: String => "producerGroup",
        topic: String => "topic",
        default_topic: String => "defaultTopic",
        default_topic_queue_nums: i32 => "defaultTopicQueueNums",
        queue_id: i32 => "queueId",
        sys_flag: i32 => "sysFlag",
        born_timestamp_ms: i64 => "bornTimestamp",
        flag: i32 => "flag",
        properties: Option<String> => "properties",
        reconsume_times: Option<i32> => "reconsumeTimes",
        unit_mode: bool => "unitMode" = false,
        born_host: String => "bornHost",
        store_host: String => "storeHost",
        store_timestamp_ms: i64 => "storeTimestamp",
    }
}
