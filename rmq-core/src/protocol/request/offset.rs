//! Offsets: a group's own (14, 15) and a queue's borders (29 to 32).

use super::{FieldValue, headers};
use std::borrow::Cow;

/// Which of several messages of one timestamp is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// The first.
    #[default]
    Lower,
    /// The last.
    Upper,
}

impl FieldValue for Boundary {
    const EXPECTED: &'static str = "LOWER or UPPER";

    /// Never fails: what is not `upper` in any letter case is lower, as in Java.
    fn parse(text: &str) -> Option<Self> {
        Some(if text.eq_ignore_ascii_case("upper") {
            Self::Upper
        } else {
            Self::Lower
        })
    }

    fn show(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Lower => "LOWER",
            Self::Upper => "UPPER",
        })
    }
}

headers! {
    /// QUERY_CONSUMER_OFFSET (14); answered by `OffsetResponse`.
    QueryConsumerOffsetRequest {
        consumer_group: String => "consumerGroup",
        topic: String => "topic",
        queue_id: i32 => "queueId",
        set_zero_if_not_found: Option<bool> => "setZeroIfNotFound",
    }

    /// UPDATE_CONSUMER_OFFSET (15). The broker refuses an absent queue or offset itself, with
    /// INVALID_PARAMETER.
    UpdateConsumerOffsetRequest {
        consumer_group: String => "consumerGroup",
        topic: String => "topic",
        queue_id: Option<i32> => "queueId",
        commit_offset: Option<i64> => "commitOffset",
    }

    /// SEARCH_OFFSET_BY_TIMESTAMP (29); answered by `OffsetResponse`.
    SearchOffsetRequest {
        topic: String => "topic",
        queue_id: i32 => "queueId",
        timestamp_ms: i64 => "timestamp",
        boundary: Boundary => "boundaryType" = Boundary::Lower,
    }

    /// GET_MAX_OFFSET (30); answered by `OffsetResponse`.
    GetMaxOffsetRequest {
        topic: String => "topic",
        queue_id: i32 => "queueId",
        committed: bool => "committed" = true,
    }

    /// GET_MIN_OFFSET (31); answered by `OffsetResponse`.
    GetMinOffsetRequest {
        topic: String => "topic",
        queue_id: i32 => "queueId",
    }

    /// The answer to 14, 29, 30 and 31.
    OffsetResponse {
        offset: i64 => "offset",
    }

    /// GET_EARLIEST_MSG_STORETIME (32).
    GetEarliestStoreTimeRequest {
        topic: String => "topic",
        queue_id: i32 => "queueId",
    }

    /// The answer to 32.
    GetEarliestStoreTimeResponse {
        timestamp_ms: i64 => "timestamp",
    }
}
