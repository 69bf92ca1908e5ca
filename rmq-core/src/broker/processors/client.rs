//! Clients coming, living and going: heartbeats, unregistration, who is in a group.

use std::sync::Arc;

use crate::broker::clients::{Heartbeat, Member};
use crate::broker::control::{Context, notify_changes};
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::broker::{filters, names};
use crate::protocol::body::client_config::CheckClientRequest;
use crate::protocol::body::consumer_list::ConsumerList;
use crate::protocol::body::heartbeat::{ConsumerData, HeartbeatData};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::message::sysflag::topic as topic_flag;
use crate::protocol::request::heartbeat::{
    GetConsumerListRequest, HeartbeatResponse, UnregisterClientRequest,
};

pub(super) fn heartbeat(context: &Context<'_>, request: &Command) -> Answer {
    let data = HeartbeatData::decode(&request.body)?;
    let member = member_of(context, request, &data.client_id);
    check_room(context.shared)?;
    let mut subscriptions_changed = false;
    for consumer in &data.consumers {
        subscriptions_changed |= register_consumer(context.shared, &data, consumer, &member)?;
    }
    let mut producers = context.shared.producers.lock();
    for producer in &data.producers {
        producers.register(&producer.group_name, member.clone());
    }
    drop(producers);
    // The plain form always asks for subscriptions again; V2 only when they are not the known ones.
    let changed = data.heartbeat_fingerprint == 0 || subscriptions_changed;
    let header = HeartbeatResponse {
        supports_v2: Some(true),
        subscription_changed: Some(changed),
    };
    Ok(Some(success(request).with_header(&header)))
}

/// Refuses heartbeats beyond the limit of registered clients.
fn check_room(shared: &Shared) -> Result<(), Refusal> {
    let most = shared.config().clients_max;
    let registered =
        shared.consumers.read().member_count() + shared.producers.lock().member_count();
    if registered < most {
        return Ok(());
    }
    let remark =
        format!("{registered} clients are registered; {most} are allowed (rmq.maxClients)");
    Err(Refusal::new(ResponseCode::SYSTEM_BUSY, remark))
}

fn member_of(context: &Context<'_>, request: &Command, client_id: &str) -> Member {
    Member {
        conn: context.conn,
        address: context.peer.to_string(),
        client_id: client_id.to_owned(),
        language: request.language,
        version: request.version,
        seen_ms: context.shared.clock.monotonic_ms(),
    }
}

/// Returns whether the group's subscriptions are to be sent in full.
fn register_consumer(
    shared: &Arc<Shared>,
    data: &HeartbeatData,
    consumer: &ConsumerData,
    member: &Member,
) -> Result<bool, Refusal> {
    let name = &consumer.group_name;
    let group = match shared.members.is_slave() {
        true => shared.groups.get_or_stand_in(name),
        false => shared.groups.get_or_create(name)?,
    };
    let Some(group) = group else {
        return Ok(false);
    };
    let is_order = |topic: &str| shared.topics.get(topic).is_some_and(|topic| topic.order);
    let order = consumer
        .subscriptions
        .iter()
        .any(|one| is_order(&one.topic));
    let sys_flag = if consumer.unit_mode {
        topic_flag::UNIT_SUB
    } else {
        0
    };
    // The retry topic of a slave comes from its master.
    if !shared.members.is_slave() {
        let retry = names::retry_topic(name);
        shared
            .topics
            .create_for_group(&retry, group.retry_queue_nums, order, sys_flag)?;
    }

    let fingerprint = data.heartbeat_fingerprint;
    let heartbeat = match fingerprint != 0 && data.without_sub {
        true => Heartbeat::WithoutSubscriptions,
        false => Heartbeat::Full,
    };
    if heartbeat == Heartbeat::Full {
        // Before the subscription, so that whoever finds that finds its filter.
        let (limits, now_ms) = (filters::limits(&shared.config()), shared.clock.wall_ms());
        let subscriptions = &consumer.subscriptions;
        shared
            .filters
            .register(name, subscriptions, &limits, now_ms);
    }
    let mut consumers = shared.consumers.write();
    let known = consumers.fingerprint(name);
    let change = consumers.register(consumer, member.clone(), heartbeat, fingerprint);
    drop(consumers);
    if group.notify_consumer_ids_changed_enable {
        notify_changes(shared, change.as_slice());
    }
    Ok(match heartbeat {
        Heartbeat::Full => known.is_some_and(|known| known != fingerprint),
        // A broker that was restarted does not know what the client left out.
        Heartbeat::WithoutSubscriptions => known != Some(fingerprint),
    })
}

pub(super) fn unregister(context: &Context<'_>, request: &Command) -> Answer {
    let header: UnregisterClientRequest = request.header()?;
    let shared = context.shared;
    if let Some(group) = header.producer_group.filter(|group| !group.is_empty()) {
        shared.producers.lock().unregister(&group, context.conn);
    }
    if let Some(name) = header.consumer_group.filter(|group| !group.is_empty()) {
        let change = shared.consumers.write().unregister(&name, context.conn);
        let group = shared.groups.get(&name);
        if group.is_none_or(|group| group.notify_consumer_ids_changed_enable) {
            notify_changes(shared, change.as_slice());
        }
    }
    Ok(Some(success(request)))
}

pub(super) fn check_config(shared: &Shared, request: &Command) -> Answer {
    let body = CheckClientRequest::decode(&request.body)?;
    let subscription = body.subscription.filter(|one| !one.is_tag_type());
    let Some(subscription) = subscription else {
        return Ok(Some(success(request)));
    };
    let kind = &subscription.expression_type;
    let config = shared.config();
    if !config.property_filter {
        let remark = format!("The broker does not support consumer to filter message by {kind}");
        return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
    }
    filters::compile(kind, &subscription.sub_string, &filters::limits(&config)).map_err(
        |error| Refusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, error.to_string()),
    )?;
    Ok(Some(success(request)))
}

pub(super) fn consumer_list(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetConsumerListRequest = request.header()?;
    let consumers = shared.consumers.read();
    let Some(group) = consumers.group(&header.consumer_group) else {
        let remark = format!("no consumer for this group, {}", header.consumer_group);
        return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
    };
    let mut ids: Vec<String> = group
        .members()
        .map(|member| member.client_id.clone())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(
        success(request).with_body(ConsumerList { ids }.encode()),
    ))
}
