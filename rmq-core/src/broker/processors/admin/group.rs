//! Subscription groups: creation, deletion, queries.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::broker::names;
use crate::broker::processors::offset;
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::group::SubscriptionGroupConfig;
use crate::protocol::body::group_list::GroupList;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::group::{
    DeleteSubscriptionGroupRequest, GetSubscriptionGroupConfigRequest,
};
use crate::protocol::request::topic::QueryTopicConsumeByWhoRequest;

/// Creates the group of a pull, or says why not.
pub(crate) fn create_by_pull(shared: &Arc<Shared>, group: &String) -> Result<(), Refusal> {
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

pub(super) fn delete(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: DeleteSubscriptionGroupRequest = request.header()?;
    shared.groups.remove(&header.group)?;
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

/// The groups that consume a topic: those connected and those that committed offsets.
pub(super) fn consumed_by(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryTopicConsumeByWhoRequest = request.header()?;
    let online = shared.consumers.read().groups_of_topic(&header.topic);
    let committed = shared.offsets.groups_of(&header.topic);
    let groups: BTreeSet<String> = online.into_iter().chain(committed).collect();
    let list = GroupList {
        groups: groups.into_iter().collect(),
    };
    Ok(Some(success(request).with_body(list.encode())))
}
