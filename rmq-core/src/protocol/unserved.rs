//! Requests of RocketMQ that rmq's servers do not serve, and why: for who asks and for the
//! documentation.

use super::code::RequestCode;

/// Why no server of rmq serves the request; `None` for those that one serves and for numbers that
/// nobody knows.
#[must_use]
pub fn reason(code: RequestCode) -> Option<&'static str> {
    Some(match code {
        RequestCode::QUERY_BROKER_OFFSET
        | RequestCode::GET_TOPIC_CONFIG_LIST
        | RequestCode::GET_TOPIC_NAME_LIST
        | RequestCode::TRIGGER_DELETE_FILES
        | RequestCode::GET_CLIENT_CONFIG
        | RequestCode::SUSPEND_CONSUMER
        | RequestCode::RESUME_CONSUMER
        | RequestCode::RESET_CONSUMER_OFFSET_IN_CONSUMER
        | RequestCode::RESET_CONSUMER_OFFSET_IN_BROKER
        | RequestCode::ADJUST_CONSUMER_THREAD_POOL
        | RequestCode::WHO_CONSUME_THE_MESSAGE
        | RequestCode::REGISTER_FILTER_SERVER
        | RequestCode::REGISTER_MESSAGE_FILTER_CLASS => "RocketMQ itself serves it no more",
        RequestCode::CHECK_TRANSACTION_STATE
        | RequestCode::NOTIFY_CONSUMER_IDS_CHANGED
        | RequestCode::RESET_CONSUMER_CLIENT_OFFSET
        | RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT
        | RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT
        | RequestCode::NOTIFY_UNSUBSCRIBE_LITE => "it is a question to clients",
        RequestCode::CHECK_ROCKSDB_CQ_WRITE_PROGRESS
        | RequestCode::EXPORT_ROCKSDB_CONFIG_TO_JSON
        | RequestCode::POP_ROLLBACK => "rmq keeps nothing in RocksDB",
        RequestCode::SWITCH_TIMER_ENGINE => "rmq has one engine for timed messages",
        RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC => "rmq has no static topics",
        RequestCode::ADD_BROKER | RequestCode::REMOVE_BROKER => "rmq has no broker container",
        RequestCode::RESET_MASTER_FLUSH_OFFSET => {
            "a slave of rmq takes what is flushed from its master alone"
        }
        RequestCode::UPDATE_COLD_DATA_FLOW_CTR_CONFIG
        | RequestCode::REMOVE_COLD_DATA_FLOW_CTR_CONFIG
        | RequestCode::GET_COLD_DATA_FLOW_CTR_INFO => {
            "rmq reads cold data on a thread of its own and limits no group"
        }
        RequestCode::SET_COMMITLOG_READ_MODE => "rmq leaves read-ahead to the system",
        _ => return reason_of_family(code),
    })
}

/// Those of a service that rmq does not have.
fn reason_of_family(code: RequestCode) -> Option<&'static str> {
    let families = [
        (
            RequestCode::CONTROLLER_ALTER_SYNC_STATE_SET
                ..=RequestCode::RAFT_BROKER_HEART_BEAT_EVENT_REQUEST,
            "rmq has no controller",
        ),
        (
            RequestCode::AUTH_CREATE_USER..=RequestCode::AUTH_LIST_ACL,
            "rmq keeps no users and no access lists",
        ),
        (
            RequestCode::POP_LITE_MESSAGE..=RequestCode::TRIGGER_LITE_DISPATCH,
            "rmq has no lite topics",
        ),
    ];
    let found = families.iter().find(|(codes, _)| codes.contains(&code));
    found.map(|(_, reason)| *reason)
}

/// The sentence that a request is refused with which a server does not serve.
#[must_use]
pub fn remark(code: RequestCode) -> String {
    let number = code.value();
    match reason(code) {
        Some(reason) => format!(" request type {number} not supported: {reason}"),
        None => format!(" request type {number} not supported"),
    }
}
