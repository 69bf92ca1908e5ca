//! Requests that waited too long for their thread: whoever sent them has given up or tries
//! elsewhere, and work on them keeps others waiting.
//!
//! Sends, pulls and commits do not wait for a thread. What a broker cannot keep up with stays in
//! the sockets.

use crate::broker::reply::Refusal;
use crate::config::broker::BrokerConfig;
use crate::protocol::code::{RequestCode, ResponseCode};

/// The longest wait of a request for the control thread, ms. `None`: as long as it takes.
#[must_use]
pub(crate) fn control_wait_max_ms(config: &BrokerConfig, code: RequestCode) -> Option<u64> {
    match code {
        _ if !config.fast_failure => None,
        RequestCode::HEART_BEAT => Some(config.heartbeat_wait_max_ms),
        // What clients need to come, to go and to share queues is not made harder by load.
        RequestCode::UNREGISTER_CLIENT
        | RequestCode::CHECK_CLIENT_CONFIG
        | RequestCode::GET_CONSUMER_LIST_BY_GROUP
        | RequestCode::QUERY_CONSUMER_OFFSET
        | RequestCode::UPDATE_CONSUMER_OFFSET
        | RequestCode::QUERY_ASSIGNMENT
        | RequestCode::SEND_REPLY_MESSAGE
        | RequestCode::SEND_REPLY_MESSAGE_V2 => None,
        _ => Some(config.admin_wait_max_ms),
    }
}

/// The longest wait of the end of a transaction, ms. `None`: as long as it takes.
#[must_use]
pub(crate) fn transaction_wait_max_ms(config: &BrokerConfig) -> Option<u64> {
    config
        .fast_failure
        .then_some(config.transaction_wait_max_ms)
}

/// Refuses a request that waited longer than `max_ms`; `queued` more are waiting.
pub(crate) fn check(max_ms: Option<u64>, waited_ms: u64, queued: usize) -> Result<(), Refusal> {
    if max_ms.is_none_or(|max_ms| waited_ms <= max_ms) {
        return Ok(());
    }
    let remark = format!(
        "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, period in queue: \
         {waited_ms}ms, size of queue: {queued}"
    );
    Err(Refusal::new(ResponseCode::SYSTEM_BUSY, remark))
}

/// Refuses a request whose queue is full.
#[must_use]
pub(crate) fn full() -> Refusal {
    let remark = "[OVERLOAD]system busy, start flow control for a while";
    Refusal::new(ResponseCode::SYSTEM_BUSY, remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_request_has_its_own_patience() {
        let mut config = BrokerConfig::embedded_defaults("/store");
        let admin = RequestCode::UPDATE_AND_CREATE_TOPIC;
        let max = |config: &BrokerConfig, code| control_wait_max_ms(config, code);
        assert_eq!(max(&config, RequestCode::HEART_BEAT), Some(31_000));
        assert_eq!(max(&config, admin), Some(5_000));
        assert_eq!(max(&config, RequestCode::UNREGISTER_CLIENT), None);
        assert_eq!(transaction_wait_max_ms(&config), Some(3_000));
        config.fast_failure = false;
        assert_eq!(max(&config, RequestCode::HEART_BEAT), None);
        assert_eq!(max(&config, admin), None);
        assert_eq!(transaction_wait_max_ms(&config), None);
    }

    #[test]
    fn a_wait_is_too_long_beyond_its_limit() {
        assert!(check(None, u64::MAX, 7).is_ok());
        assert!(check(Some(5_000), 5_000, 7).is_ok());
        let refusal = check(Some(5_000), 5_001, 7).unwrap_err();
        assert_eq!(refusal.code, ResponseCode::SYSTEM_BUSY);
        assert!(refusal.remark.starts_with("[TIMEOUT_CLEAN_QUEUE]"));
        assert!(
            refusal
                .remark
                .contains("period in queue: 5001ms, size of queue: 7")
        );
    }
}
