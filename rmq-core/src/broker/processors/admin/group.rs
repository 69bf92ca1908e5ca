//! Subscription groups: creation, deletion, queries.

use std::sync::Arc;

use crate::broker::names;
use crate::broker::processors::offset;
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::group::{
    GroupForbidden, SubscriptionGroupConfig, SubscriptionGroupList,
};
use crate::protocol::body::request_mode::{GroupRequestMode, RequestModeTable};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::json::Flavour;
use crate::protocol::request::group::{
    DeleteSubscriptionGroupRequest, GetSubscriptionGroupConfigRequest, UpdateGroupForbiddenRequest,
};

/// Creates the group of a pull, or says why not.
pub(crate) fn create_by_pull(shared: &Arc<Shared>, group: &str) -> Result<(), Refusal> {
    if shared.groups.get_or_create(group)?.is_some() {
        return Ok(());
    }
    let remark = format!("subscription group [{group}] does not exist");
    Err(Refusal::new(
        ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
        remark,
    ))
}

pub(super) fn create(shared: &Arc<Shared>, request: &Command) -> Answer {
    let group = SubscriptionGroupConfig::decode(&request.body)?;
    names::check_group(&group.group_name)
        .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
    shared.groups.put(group)?;
    Ok(Some(success(request)))
}

/// Creates or changes several groups, or none of them if one has no good name.
pub(super) fn create_list(shared: &Arc<Shared>, request: &Command) -> Answer {
    let list = SubscriptionGroupList::decode(&request.body)?;
    for group in &list.groups {
        names::check_group(&group.group_name)
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
    }
    if !list.groups.is_empty() {
        shared.groups.put_all(list.groups)?;
    }
    Ok(Some(success(request)))
}

/// Lets a group read a topic or not, if the request says which, and tells what holds now.
pub(super) fn forbidden(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: UpdateGroupForbiddenRequest = request.header()?;
    let (group, topic) = (header.group, header.topic);
    if let Some(readable) = header.readable {
        names::check_group(&group)
            .and_then(|()| names::check_topic(&topic))
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        shared.groups.set_readable(&group, &topic, readable)?;
    }
    let body = GroupForbidden {
        readable: !shared.groups.is_read_forbidden(&group, &topic),
        group,
        topic,
    };
    Ok(Some(success(request).with_body(body.encode())))
}

/// Sets how a group gets its messages of a topic.
pub(super) fn set_request_mode(shared: &Arc<Shared>, request: &Command) -> Answer {
    let mode = GroupRequestMode::decode(&request.body)?;
    let (topic, group) = (&mode.topic, &mode.consumer_group);
    if topic.starts_with(names::RETRY_PREFIX) {
        let remark = "retry topic is not allowed to set mode";
        return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
    }
    if shared.topics.get(topic).is_none() {
        let remark = format!("topic[{topic}] not exist");
        return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
    }
    if shared.groups.get(group).is_none() {
        let remark = "subscription group does not exist";
        return Err(Refusal::new(
            ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
            remark,
        ));
    }
    let file = &shared.files.request_mode;
    let mut table = file.load(RequestModeTable::decode)?.unwrap_or_default();
    let groups = table.modes.entry(topic.clone()).or_default();
    groups.insert(group.clone(), mode.clone());
    file.save(&table.encode_as(Flavour::Pretty))?;
    Ok(Some(success(request)))
}

pub(super) fn delete(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: DeleteSubscriptionGroupRequest = request.header()?;
    shared.groups.remove(&header.group)?;
    shared.stats.items.remove_group(&header.group);
    shared.resets.remove_group(&header.group);
    if header.clean_offset {
        shared.offsets.remove_group(&header.group);
    }
    Ok(Some(success(request)))
}

pub(super) fn get(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetSubscriptionGroupConfigRequest = request.header()?;
    match shared.groups.get(&header.group) {
        Some(group) => Ok(Some(success(request).with_body(group.encode()))),
        None => {
            let remark = format!("No group in this broker. group: {}", header.group);
            Err(Refusal::new(
                ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
                remark,
            ))
        }
    }
}

pub(super) fn all(shared: &Arc<Shared>, request: &Command) -> Answer {
    Ok(Some(
        success(request).with_body(shared.groups.snapshot().encode_wire()),
    ))
}

pub(super) fn all_offsets(shared: &Arc<Shared>, request: &Command) -> Answer {
    let table = offset::table(shared);
    Ok(Some(success(request).with_body(table.encode_wire())))
}
