//! Popping, acknowledging and peeking: 200050 to 200055. JSON only, see `Command::encode`.

pub mod extra;

use super::headers;

headers! {
    /// POP_MESSAGE (200050); `queue_id` -1 means any, `init_mode` is 0 for min and 1 for max.
    PopMessageRequest {
        consumer_group: String => "consumerGroup",
        topic: String => "topic",
        queue_id: i32 => "queueId",
        max_msg_nums: i32 => "maxMsgNums",
        invisible_time_ms: i64 => "invisibleTime",
        poll_time_ms: i64 => "pollTime",
        born_time_ms: i64 => "bornTime",
        init_mode: i32 => "initMode",
        exp_type: Option<String> => "expType",
        exp: Option<String> => "exp",
        order: bool => "order" = false,
        attempt_id: Option<String> => "attemptId",
    }

    /// The answer to 200050; the body holds the records.
    PopMessageResponse {
        pop_time_ms: i64 => "popTime",
        invisible_time_ms: i64 => "invisibleTime",
        revive_queue_id: i32 => "reviveQid",
        rest_num: i64 => "restNum",
        start_offset_info: Option<String> => "startOffsetInfo",
        msg_offset_info: Option<String> => "msgOffsetInfo",
        order_count_info: Option<String> => "orderCountInfo",
    }

    /// ACK_MESSAGE (200051).
    AckMessageRequest {
        consumer_group: String => "consumerGroup",
        topic: String => "topic",
        queue_id: i32 => "queueId",
        extra_info: String => "extraInfo",
        offset: i64 => "offset",
    }

    /// CHANGE_MESSAGE_INVISIBLETIME (200053).
    ChangeInvisibleTimeRequest {
        consumer_group: String => "consumerGroup",
        topic: String => "topic",
        queue_id: i32 => "queueId",
        extra_info: String => "extraInfo",
        offset: i64 => "offset",
        invisible_time_ms: i64 => "invisibleTime",
        suspend: Option<bool> => "suspend",
    }

    /// The answer to 200053.
    ChangeInvisibleTimeResponse {
        pop_time_ms: i64 => "popTime",
        invisible_time_ms: i64 => "invisibleTime",
        revive_queue_id: i32 => "reviveQid",
    }

    /// NOTIFICATION (200054).
    NotificationRequest {
        consumer_group: String => "consumerGroup",
        topic: String => "topic",
        queue_id: i32 => "queueId",
        poll_time_ms: i64 => "pollTime",
        born_time_ms: i64 => "bornTime",
        order: bool => "order" = false,
        attempt_id: Option<String> => "attemptId",
    }

    /// The answer to 200054.
    NotificationResponse {
        has_msg: bool => "hasMsg",
        polling_full: bool => "pollingFull" = false,
    }

    /// PEEK_MESSAGE (200052); answered by `PopMessageResponse`.
    PeekMessageRequest {
        topic: String => "topic",
        queue_id: i32 => "queueId",
        max_msg_nums: i32 => "maxMsgNums",
        consumer_group: String => "consumerGroup",
    }

    /// POLLING_INFO (200055).
    PollingInfoRequest {
        consumer_group: String => "consumerGroup",
        topic: String => "topic",
        queue_id: i32 => "queueId",
    }

    /// The answer to 200055.
    PollingInfoResponse {
        polling_num: i32 => "pollingNum",
    }
}

impl PopMessageResponse {
    /// The header of an answer without messages, which consumers read like any other.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            pop_time_ms: 0,
            invisible_time_ms: 0,
            revive_queue_id: 0,
            rest_num: 0,
            start_offset_info: None,
            msg_offset_info: None,
            order_count_info: None,
        }
    }
}

impl ChangeInvisibleTimeResponse {
    /// The header of an answer that changed nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            pop_time_ms: 0,
            invisible_time_ms: 0,
            revive_queue_id: 0,
        }
    }
}
