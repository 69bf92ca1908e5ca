//! Topics: creation by sending and by request, deletion, queries.

use std::sync::Arc;

use crate::broker::control::{GroupTopic, NewTopic};
use crate::broker::names;
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::topic::{TopicConfig, TopicFilterType};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::message::sysflag::topic as topic_flag;
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
    names::check_topic(topic).map_err(invalid)?;
    check_changeable(shared, topic)?;
    let most = shared.config().queues_max.cast_signed();
    let counts = [header.read_queue_nums, header.write_queue_nums];
    if counts.iter().any(|count| !(0..=most).contains(count)) {
        let remark = format!(
            "the queue counts of topic[{topic}] must be 0 to {most} (rmq.maxQueuesPerTopic)"
        );
        return Err(invalid(remark));
    }
    if !(0..=7).contains(&header.perm) {
        return Err(invalid(format!(
            "the perm of topic[{topic}] must be 0 to 7"
        )));
    }
    let Some(filter_type) = TopicFilterType::from_name(&header.topic_filter_type) else {
        let remark = format!(
            "the topicFilterType {} is unknown",
            header.topic_filter_type
        );
        return Err(invalid(remark));
    };
    let existing = shared.topics.get(topic);
    let mut attributes = existing
        .map(|old| old.attributes.clone())
        .unwrap_or_default();
    if let Some(changes) = &header.attributes {
        change_attributes(&mut attributes, changes)?;
    }
    shared.topics.put(TopicConfig {
        read_queue_nums: header.read_queue_nums,
        write_queue_nums: header.write_queue_nums,
        perm: header.perm,
        topic_filter_type: filter_type,
        topic_sys_flag: header.topic_sys_flag.unwrap_or(0),
        order: header.order,
        attributes,
        ..TopicConfig::new(topic)
    })?;
    Ok(Some(success(request)))
}

/// Applies "+key=value,-key" to the attributes of a topic.
fn change_attributes(
    attributes: &mut std::collections::BTreeMap<String, String>,
    changes: &str,
) -> Result<(), Refusal> {
    for change in changes
        .split(',')
        .map(str::trim)
        .filter(|change| !change.is_empty())
    {
        if let Some(added) = change.strip_prefix('+') {
            let (key, value) = added.split_once('=').ok_or_else(|| {
                invalid(format!(
                    "the attribute {change} is not of the form +key=value"
                ))
            })?;
            attributes.insert(key.trim().to_owned(), value.trim().to_owned());
        } else if let Some(key) = change.strip_prefix('-') {
            attributes.remove(key.trim());
        } else {
            let remark = format!("the attribute change {change} begins with neither + nor -");
            return Err(invalid(remark));
        }
    }
    Ok(())
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
    if shared.topics.remove(topic)? {
        shared.offsets.remove_topic(topic);
        shared.store.delete_topic(topic)?;
        shared.topics_changed();
    }
    Ok(Some(success(request)))
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
