//! Lists of topics and what is done to one: 206, 224, 304, 311 to 313, 216, 217.

use std::sync::Arc;

use super::{Answer, Context, Failure, check_name, header, success, unreadable};
use crate::protocol::body::route::TopicRouteData;
use crate::protocol::body::topic_list::TopicList;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::namesrv::{
    DeleteTopicInNamesrvRequest, GetTopicsByClusterRequest, RegisterTopicRequest,
};
use crate::route::{Queues, UnitTopics};

fn require(enabled: bool) -> Result<(), Failure> {
    if enabled {
        Ok(())
    } else {
        Err(Failure::new(ResponseCode::SYSTEM_ERROR, "disable"))
    }
}

/// Encodes a list, outside the table's lock.
fn answer(request: &Command, topics: Vec<Arc<str>>, broker: Option<Arc<str>>) -> Answer {
    let list = TopicList {
        broker_addr: broker.map(|address| address.to_string()),
        topics: topics.iter().map(ToString::to_string).collect(),
    };
    Ok(Some(success(request).with_body(list.encode())))
}

pub(super) fn all(context: &Context<'_>, request: &Command) -> Answer {
    require(context.state.settings.get().enable_all_topic_list)?;
    let topics = context.state.table.read().topics();
    answer(request, topics, None)
}

pub(super) fn by_cluster(context: &Context<'_>, request: &Command) -> Answer {
    require(context.state.settings.get().enable_topic_list)?;
    let wanted: GetTopicsByClusterRequest = header(request)?;
    let topics = context
        .state
        .table
        .read()
        .topics_of_cluster(&wanted.cluster);
    answer(request, topics, None)
}

pub(super) fn system(context: &Context<'_>, request: &Command) -> Answer {
    let (topics, broker) = context.state.table.read().system_topics();
    answer(request, topics, broker)
}

pub(super) fn of_units(context: &Context<'_>, request: &Command) -> Answer {
    require(context.state.settings.get().enable_topic_list)?;
    let which = match request.request_code() {
        RequestCode::GET_UNIT_TOPIC_LIST => UnitTopics::Unit,
        RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST => UnitTopics::Subscribed,
        _ => UnitTopics::SubscribedOnly,
    };
    let topics = context.state.table.read().unit_topics(which);
    answer(request, topics, None)
}

pub(super) fn delete(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: DeleteTopicInNamesrvRequest = header(request)?;
    let cluster = wanted
        .cluster_name
        .as_deref()
        .filter(|cluster| !cluster.is_empty());
    let topic = wanted.topic.as_str();
    tracing::info!(%topic, ?cluster, peer = ?context.peer, "topic deleted from the route table");
    context.state.table.write().delete_topic(topic, cluster);
    Ok(Some(success(request)))
}

pub(super) fn register(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: RegisterTopicRequest = header(request)?;
    check_name("topic", &wanted.topic)?;
    let route = TopicRouteData::decode(&request.body).map_err(unreadable)?;
    let queues: Vec<(String, Queues)> = route
        .queues
        .into_iter()
        .map(|data| {
            let queues = Queues {
                read: data.read_queue_nums,
                write: data.write_queue_nums,
                perm: data.perm,
                sys_flag: data.topic_sys_flag,
            };
            (data.broker_name, queues)
        })
        .collect();
    let topics_max = context.state.settings.get().topics_max;
    let taken = context
        .state
        .table
        .write()
        .register_topic(&wanted.topic, &queues, topics_max);
    if !taken && !queues.is_empty() {
        tracing::warn!(topic = %wanted.topic, "a topic's registration names unknown brokers");
    }
    Ok(Some(success(request)))
}
