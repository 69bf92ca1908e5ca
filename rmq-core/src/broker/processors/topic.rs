//! Topics: creation by sending and by request, deletion, queries.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::control::{GroupTopic, NewTopic};
use crate::broker::names;
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::topic::{TopicConfig, TopicConfigList, TopicFilterType};
use crate::protocol::body::topic_list::TopicList;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::message::sysflag::topic as topic_flag;
use crate::protocol::request::pop::extra::RetryKind;
use crate::protocol::request::topic::{
    CreateTopicRequest, DeleteTopicRequest, GetTopicConfigRequest,
};

/// Creates what a send asks for, or says why not.
pub(crate) fn create_by_send(shared: &Arc<Shared>, wanted: &NewTopic) -> Result<(), Refusal> {
    let retry = wanted.topic.starts_with(names::RETRY_PREFIX);
    let sys_flag = match (wanted.unit_mode, retry) {
        (false, _) => 0,
        (true, true) => topic_flag::UNIT_SUB,
        (true, false) => topic_flag::UNIT,
    };
    let topics = &shared.topics;
    let (topic, parent) = (&wanted.topic, &wanted.default_topic);
    if topics
        .create_by_send(topic, parent, wanted.queue_nums, sys_flag)?
        .is_some()
    {
        return Ok(());
    }
    if retry {
        topics.create_for_group(topic, 1, false, sys_flag)?;
        return Ok(());
    }
    let remark = format!("topic[{topic}] not exist, apply first please!");
    Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark))
}

/// Creates a retry or dead letter topic.
pub(crate) fn create_for_group(shared: &Arc<Shared>, wanted: &GroupTopic) -> Result<(), Refusal> {
    let topics = &shared.topics;
    topics.create_for_group(&wanted.name, wanted.queues, false, wanted.sys_flag)?;
    Ok(())
}

fn invalid(remark: impl Into<String>) -> Refusal {
    Refusal::new(ResponseCode::INVALID_PARAMETER, remark)
}

/// Names that no request may create, change or delete.
fn check_changeable(shared: &Shared, topic: &str) -> Result<(), Refusal> {
    let config = shared.config();
    let own = [&config.cluster_name, &config.broker_name];
    if names::is_system_topic(topic) || own.iter().any(|name| *name == topic) {
        return Err(invalid(format!(
            "The topic[{topic}] is conflict with system topic."
        )));
    }
    Ok(())
}

pub(super) fn create(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: CreateTopicRequest = request.header()?;
    let topic = &header.topic;
    let Some(filter_type) = TopicFilterType::from_name(&header.topic_filter_type) else {
        let remark = format!(
            "the topicFilterType {} is unknown",
            header.topic_filter_type
        );
        return Err(invalid(remark));
    };
    let changes = header.attributes.unwrap_or_default();
    let changes = changes
        .split(',')
        .map(str::trim)
        .filter(|change| !change.is_empty())
        .map(|change| change.split_once('=').unwrap_or((change, "")));
    let wanted = TopicConfig {
        read_queue_nums: header.read_queue_nums,
        write_queue_nums: header.write_queue_nums,
        perm: header.perm,
        topic_filter_type: filter_type,
        topic_sys_flag: header.topic_sys_flag.unwrap_or(0),
        order: header.order,
        ..TopicConfig::new(topic)
    };
    let wanted = checked(shared, wanted, changes)?;
    shared.topics.put(wanted)?;
    Ok(Some(success(request)))
}

/// Creates or changes several topics, or none of them if one may not be so.
pub(super) fn create_list(shared: &Arc<Shared>, request: &Command) -> Answer {
    let list = TopicConfigList::decode(&request.body)?;
    let topics = list
        .topics
        .into_iter()
        .map(|mut topic| {
            let changes = std::mem::take(&mut topic.attributes);
            let changes = changes.iter().map(|(key, value)| (&**key, &**value));
            checked(shared, topic, changes)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if !topics.is_empty() {
        shared.topics.put_all(topics)?;
    }
    Ok(Some(success(request)))
}

/// The topic as it is to be, if it may be so: `changes` are made to the attributes that it has.
fn checked<'a>(
    shared: &Shared,
    wanted: TopicConfig,
    changes: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<TopicConfig, Refusal> {
    let topic = &wanted.topic_name;
    names::check_topic(topic).map_err(invalid)?;
    check_changeable(shared, topic)?;
    let config = shared.config();
    let most = config.queues_max.cast_signed();
    let counts = [wanted.read_queue_nums, wanted.write_queue_nums];
    if counts.iter().any(|count| !(0..=most).contains(count)) {
        let remark = format!(
            "the queue counts of topic[{topic}] must be 0 to {most} (rmq.maxQueuesPerTopic)"
        );
        return Err(invalid(remark));
    }
    if !(0..=7).contains(&wanted.perm) {
        return Err(invalid(format!(
            "the perm of topic[{topic}] must be 0 to 7"
        )));
    }
    let existing = shared.topics.latest(topic);
    let mut attributes = existing
        .map(|old| old.attributes.clone())
        .unwrap_or_default();
    for (key, value) in changes {
        change_attribute(&mut attributes, key.trim(), value.trim())?;
    }
    let kind = attributes.get("message.type");
    if !config.mixed_message_types && kind.is_some_and(|kind| kind == "MIXED") {
        return Err(invalid("MIXED message type is not supported."));
    }
    Ok(TopicConfig {
        attributes,
        ..wanted
    })
}

/// Sets the attribute `+key`, or removes `-key`.
fn change_attribute(
    attributes: &mut BTreeMap<String, String>,
    change: &str,
    value: &str,
) -> Result<(), Refusal> {
    match (change.strip_prefix('+'), change.strip_prefix('-')) {
        (Some(key), _) if !key.is_empty() && !value.is_empty() => {
            attributes.insert(key.to_owned(), value.to_owned());
        }
        (_, Some(key)) => drop(attributes.remove(key)),
        _ => {
            let remark = format!("the attribute change {change} is neither +key=value nor -key");
            return Err(invalid(remark));
        }
    }
    Ok(())
}

/// The topics that belong to RocketMQ or to this broker.
pub(super) fn system(shared: &Arc<Shared>, request: &Command) -> Answer {
    let list = TopicList {
        broker_addr: None,
        topics: shared.topics.system_names(),
    };
    Ok(Some(success(request).with_body(list.encode())))
}

pub(super) fn delete(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: DeleteTopicRequest = request.header()?;
    let topic = &header.topic;
    if topic.trim().is_empty() {
        return Err(invalid("The specified topic is blank."));
    }
    check_changeable(shared, topic)?;
    // An unknown name must not reach the store's directories.
    names::check_topic(topic).map_err(invalid)?;
    if shared.config().clear_pop_retries {
        for group in shared.offsets.groups_of(topic) {
            for kind in [RetryKind::V1, RetryKind::V2] {
                remove(shared, &kind.topic(topic, &group))?;
            }
        }
    }
    remove(shared, topic)?;
    Ok(Some(success(request)))
}

fn remove(shared: &Shared, topic: &str) -> Result<(), Refusal> {
    if shared.topics.remove(topic)? {
        shared.offsets.remove_topic(topic);
        shared.store.delete_topic(topic)?;
        shared.stats.items.remove_topic(topic);
        shared.resets.remove_topic(topic);
        shared.timer.topic_deleted(topic);
        shared.topics_changed();
    }
    Ok(())
}

pub(super) fn get(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetTopicConfigRequest = request.header()?;
    match shared.topics.get(&header.topic) {
        Some(topic) => Ok(Some(success(request).with_body(topic.encode()))),
        None => {
            let remark = format!("No topic in this broker. topic: {}", header.topic);
            Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark))
        }
    }
}

pub(super) fn all(shared: &Arc<Shared>, request: &Command) -> Answer {
    Ok(Some(
        success(request).with_body(shared.topics.snapshot().encode_wire()),
    ))
}
