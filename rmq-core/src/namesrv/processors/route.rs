//! Routes: 105.

use std::sync::Arc;

use bytes::Bytes;

use super::super::cache::Stamp;
use super::super::kv::ORDER_NAMESPACE;
use super::{Answer, Context, Failure, header, success};
use crate::config::NamesrvConfig;
use crate::protocol::body::mapping::TopicQueueMappingInfo;
use crate::protocol::body::route::{BrokerData, QueueData, TopicRouteData};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::json::Flavour;
use crate::protocol::request::namesrv::{GetRouteInfoRequest, ZONE_MODE, ZONE_NAME};
use crate::protocol::version;
use crate::route::{BrokerView, Queues, TopicRoute};

pub(super) fn get(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: GetRouteInfoRequest = header(request)?;
    let config = context.state.settings.get();
    if !context.state.is_ready(&config, context.now) {
        return Err(Failure::new(
            ResponseCode::SYSTEM_ERROR,
            "name server not ready",
        ));
    }
    // Clients from 4.9.4 on read standard JSON; older ones read what fastjson writes.
    let standard =
        request.version >= version::V4_9_4 || wanted.accept_standard_json_only == Some(true);
    let flavour = if standard {
        Flavour::Standard
    } else {
        Flavour::Fastjson
    };
    let topic = wanted.topic.as_str();
    let zone = zone_of(request);
    let body = match zone {
        None => cached(context, &config, topic, flavour),
        Some(zone) => in_zone(context, &config, topic, zone),
    };
    let body = body.ok_or_else(|| {
        let remark = format!("No topic route info in name server for the topic: {topic}");
        Failure(ResponseCode::TOPIC_NOT_EXIST, remark)
    })?;
    Ok(Some(success(request).with_body(body)))
}

/// The zone that the client wants brokers of, if it wants one.
fn zone_of(request: &Command) -> Option<&str> {
    let wanted = request.ext.is_true(ZONE_MODE);
    request
        .ext
        .get(ZONE_NAME)
        .filter(|zone| wanted && !zone.trim().is_empty())
}

/// The encoded route, from the cache as long as nothing changed.
fn cached(
    context: &Context<'_>,
    config: &NamesrvConfig,
    topic: &str,
    flavour: Flavour,
) -> Option<Bytes> {
    let state = context.state;
    // Stamps are taken before what they stand for, so that a change in between only costs one
    // more encoding.
    let settings = state.settings.stamp();
    let order = if config.order_message_enable {
        state.kv.stamp()
    } else {
        0
    };
    let stamp = |route| Stamp {
        route,
        order,
        settings,
    };
    let now = state.table.read().route_stamp(topic)?;
    if let Some(body) = state.routes.get(topic, flavour, stamp(now)) {
        return Some(body);
    }
    let (now, route) = {
        let table = state.table.read();
        (
            table.route_stamp(topic)?,
            table.route(topic, config.support_acting_master)?,
        )
    };
    let data = route_data(route, order_of(context, config, topic));
    let body = Bytes::from(data.encode_as(flavour));
    state.routes.put(
        topic,
        flavour,
        stamp(now),
        body.clone(),
        config.cached_routes_max,
    );
    Some(body)
}

/// The route through one zone's brokers, always in fastjson's dialect, as Apache writes it.
fn in_zone(
    context: &Context<'_>,
    config: &NamesrvConfig,
    topic: &str,
    zone: &str,
) -> Option<Bytes> {
    let mut route = context
        .state
        .table
        .read()
        .route(topic, config.support_acting_master)?;
    route.keep_zone(zone);
    let data = route_data(route, order_of(context, config, topic));
    Some(Bytes::from(data.encode()))
}

fn order_of(context: &Context<'_>, config: &NamesrvConfig, topic: &str) -> Option<String> {
    let kv = &context.state.kv;
    config
        .order_message_enable
        .then(|| kv.get(ORDER_NAMESPACE, topic))
        .flatten()
}

fn route_data(route: TopicRoute, order_topic_conf: Option<String>) -> TopicRouteData {
    let queue = |(name, queues): (Arc<str>, Queues)| QueueData {
        broker_name: name.to_string(),
        perm: queues.perm,
        read_queue_nums: queues.read,
        topic_sys_flag: queues.sys_flag,
        write_queue_nums: queues.write,
    };
    let mappings = (!route.mappings.is_empty()).then(|| {
        let by_name = |(name, info): (Arc<str>, Arc<TopicQueueMappingInfo>)| {
            (name.to_string(), (*info).clone())
        };
        route.mappings.into_iter().map(by_name).collect()
    });
    TopicRouteData {
        brokers: route.brokers.into_iter().map(broker_data).collect(),
        filter_server_table: route
            .filter_servers
            .into_iter()
            .map(|(address, servers)| (address.to_string(), servers))
            .collect(),
        order_topic_conf,
        queues: route.queues.into_iter().map(queue).collect(),
        topic_queue_mapping_by_broker: mappings,
    }
}

/// A broker as bodies show it.
pub(super) fn broker_data(broker: BrokerView) -> BrokerData {
    BrokerData {
        broker_addrs: broker
            .addresses
            .iter()
            .map(|(id, a)| (*id, a.to_string()))
            .collect(),
        broker_name: broker.name.to_string(),
        cluster: broker.cluster.to_string(),
        enable_acting_master: broker.acting_master,
        zone_name: broker.zone,
    }
}
