//! What operators and their tools ask, one file for each family.

mod group;
mod stats;

pub(crate) use group::create_by_pull;

use super::{replication, topic, unsupported};
use crate::broker::control::Context;
use crate::broker::reply::Answer;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;

/// Answers an administrative request; runs on the control thread.
pub(super) fn process(context: &Context<'_>, request: &Command) -> Answer {
    let shared = context.shared;
    match request.request_code() {
        RequestCode::UPDATE_AND_CREATE_TOPIC => topic::create(shared, request),
        RequestCode::DELETE_TOPIC_IN_BROKER => topic::delete(shared, request),
        RequestCode::GET_TOPIC_CONFIG => topic::get(shared, request),
        RequestCode::GET_ALL_TOPIC_CONFIG => topic::all(shared, request),
        RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => group::create(shared, request),
        RequestCode::DELETE_SUBSCRIPTIONGROUP => group::delete(shared, request),
        RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => group::get(shared, request),
        RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => group::all(shared, request),
        RequestCode::GET_ALL_CONSUMER_OFFSET => group::all_offsets(shared, request),
        RequestCode::GET_BROKER_RUNTIME_INFO => stats::runtime_info(shared, request),
        RequestCode::GET_BROKER_CONFIG => stats::broker_config(shared, request),
        RequestCode::GET_TOPIC_STATS_INFO => stats::topic_stats(shared, request),
        RequestCode::GET_CONSUME_STATS => stats::consume_stats(shared, request),
        RequestCode::GET_CONSUMER_CONNECTION_LIST => stats::consumer_connections(shared, request),
        RequestCode::GET_PRODUCER_CONNECTION_LIST => stats::producer_connections(shared, request),
        RequestCode::QUERY_TOPIC_CONSUME_BY_WHO => group::consumed_by(shared, request),
        RequestCode::GET_ALL_DELAY_OFFSET => replication::delay_offsets(shared, request),
        RequestCode::GET_ALL_MESSAGE_REQUEST_MODE => replication::request_modes(shared, request),
        RequestCode::GET_TIMER_CHECK_POINT | RequestCode::GET_TIMER_METRICS => {
            replication::no_timer()
        }
        RequestCode::GET_BROKER_HA_STATUS => replication::ha_status(shared, request),
        RequestCode::EXCHANGE_BROKER_HA_INFO => replication::exchange_ha_info(shared, request),
        RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE => {
            replication::min_broker_id_changed(shared, request)
        }
        _ => unsupported(request.code),
    }
}
