//! Consumer offsets: query, update, and their file.

use std::sync::Arc;

use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::offset::ConsumerOffsetTable;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::offset::{
    OffsetResponse, QueryConsumerOffsetRequest, UpdateConsumerOffsetRequest,
};

pub(super) fn query(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryConsumerOffsetRequest = request.header()?;
    let (topic, group) = (&header.topic, &header.consumer_group);
    let answer = |offset| {
        Ok(Some(
            success(request).with_header(&OffsetResponse { offset }),
        ))
    };
    if let Some(offset) = shared.offsets.query(topic, group, header.queue_id) {
        return answer(offset);
    }
    let not_found = |remark: &str| Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
    if header.set_zero_if_not_found == Some(false) {
        return not_found("Not found, do not set to zero, maybe this group boot first");
    }
    // A young queue is consumed from its beginning; an old one as the consumer decides.
    match shared.store.find_queue(topic, header.queue_id) {
        Some(queue) if queue.min_offset() <= 0 && shared.store.is_recent(&queue, 0) => answer(0),
        _ => not_found("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"),
    }
}

pub(super) fn update(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: UpdateConsumerOffsetRequest = request.header()?;
    let (topic, group) = (&header.topic, &header.consumer_group);
    if shared.groups.get_or_stand_in(group).is_none() {
        let remark = format!("Group {group} not exist!");
        return Err(Refusal::new(
            ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
            remark,
        ));
    }
    if shared.topics.get(topic).is_none() {
        let remark = format!("Topic {topic} not exist!");
        return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
    }
    let missing = |what: &str| {
        let remark = format!("{what} is null, topic is {topic}");
        Refusal::new(ResponseCode::INVALID_PARAMETER, remark)
    };
    let queue_id = header.queue_id.ok_or_else(|| missing("QueueId"))?;
    let offset = header.commit_offset.ok_or_else(|| missing("Offset"))?;
    if shared.resets.has(topic, group, queue_id) {
        let mut answer = success(request);
        answer.remark = Some("Offset has been previously reset".to_owned());
        return Ok(Some(answer));
    }
    shared.offsets.commit(topic, group, queue_id, offset);
    Ok(Some(success(request)))
}

/// The table as `consumerOffset.json` and request 43 have it.
pub(crate) fn table(shared: &Shared) -> ConsumerOffsetTable {
    // The version first: what is committed meanwhile is news of the next one.
    let data_version = shared.offsets.data_version(shared.clock.wall_ms());
    ConsumerOffsetTable {
        data_version,
        offsets: shared.offsets.snapshot(),
    }
}

/// The bytes of `consumerOffset.json`.
pub(crate) fn encode_file(shared: &Shared) -> Vec<u8> {
    table(shared).encode_file()
}
