//! What operators and their tools ask, one file for each family.

mod clean;
mod config;
mod group;
mod progress;
mod relay;
mod reset;
mod stats;

pub(crate) use group::create_by_pull;
pub(crate) use relay::consume_directly;
pub(crate) use reset::reset;
pub(crate) use stats::figures;

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
        RequestCode::UPDATE_AND_CREATE_TOPIC_LIST => topic::create_list(shared, request),
        RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER => topic::system(shared, request),
        RequestCode::DELETE_TOPIC_IN_BROKER => topic::delete(shared, request),
        RequestCode::GET_TOPIC_CONFIG => topic::get(shared, request),
        RequestCode::GET_ALL_TOPIC_CONFIG => topic::all(shared, request),
        RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => group::create(shared, request),
        RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => {
            group::create_list(shared, request)
        }
        RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN => group::forbidden(shared, request),
        RequestCode::DELETE_SUBSCRIPTIONGROUP => group::delete(shared, request),
        RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG => group::get(shared, request),
        RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => group::all(shared, request),
        RequestCode::GET_ALL_CONSUMER_OFFSET => group::all_offsets(shared, request),
        RequestCode::GET_BROKER_RUNTIME_INFO => stats::runtime_info(shared, request),
        RequestCode::UPDATE_BROKER_CONFIG => config::update(context, request),
        RequestCode::GET_BROKER_CONFIG => config::get(shared, request),
        RequestCode::VIEW_BROKER_STATS_DATA => stats::counted(shared, request),
        RequestCode::GET_TOPIC_STATS_INFO => stats::topic_stats(shared, request),
        RequestCode::GET_CONSUME_STATS => progress::of_group(shared, request),
        RequestCode::GET_CONSUMER_CONNECTION_LIST => stats::consumer_connections(shared, request),
        RequestCode::GET_PRODUCER_CONNECTION_LIST => stats::producer_connections(shared, request),
        RequestCode::GET_ALL_PRODUCER_INFO => stats::all_producers(shared, request),
        RequestCode::GET_CONSUMER_RUNNING_INFO => {
            relay::running_info(shared, context.conn, request)
        }
        RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => {
            relay::status(shared, context.conn, request)
        }
        RequestCode::GET_BROKER_CONSUME_STATS => progress::of_broker(shared, request),
        RequestCode::QUERY_TOPIC_CONSUME_BY_WHO => progress::groups_of_topic(shared, request),
        RequestCode::QUERY_TOPICS_BY_CONSUMER => progress::topics_of_group(shared, request),
        RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER => progress::subscription(shared, request),
        RequestCode::QUERY_CONSUME_TIME_SPAN => progress::time_spans(shared, request),
        RequestCode::QUERY_CORRECTION_OFFSET => progress::correction(shared, request),
        RequestCode::CLONE_GROUP_OFFSET => progress::clone_offsets(shared, request),
        RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE => clean::expired_queues(shared, request),
        RequestCode::DELETE_EXPIRED_COMMITLOG => clean::expired_log(shared, request),
        RequestCode::CLEAN_UNUSED_TOPIC => clean::unused_topics(shared, request),
        RequestCode::SET_MESSAGE_REQUEST_MODE => group::set_request_mode(shared, request),
        RequestCode::GET_ALL_DELAY_OFFSET => replication::delay_offsets(shared, request),
        RequestCode::GET_ALL_MESSAGE_REQUEST_MODE => replication::request_modes(shared, request),
        RequestCode::GET_TIMER_CHECK_POINT => replication::timer_checkpoint(shared, request),
        RequestCode::GET_TIMER_METRICS => replication::timer_metrics(shared, request),
        RequestCode::GET_BROKER_HA_STATUS => replication::ha_status(shared, request),
        RequestCode::EXCHANGE_BROKER_HA_INFO => replication::exchange_ha_info(shared, request),
        RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE => {
            replication::min_broker_id_changed(shared, request)
        }
        _ => unsupported(request.code),
    }
}
