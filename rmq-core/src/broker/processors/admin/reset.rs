//! Offsets of a group moved to a time, an offset or the end: INVOKE_BROKER_TO_RESET_OFFSET.
//!
//! With `useServerSideResetOffset` the broker moves them, whether consumers are connected or not,
//! and tells the next pull; otherwise connected consumers are asked to go on from elsewhere.

use std::sync::Arc;

use super::stats::named;
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::reset_offset::{QueueOffset, ResetOffset, ResetOffsetList};
use crate::protocol::body::topic::TopicConfig;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::language::Language;
use crate::protocol::request::offset::Boundary;
use crate::protocol::request::push::ResetOffsetRequest;
use crate::store::Queue;

/// May wait for the disk: offsets are looked up by time.
pub(crate) fn reset(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: ResetOffsetRequest = request.header()?;
    let (name, group) = (&header.topic, &header.group);
    let Some(topic) = shared.topics.get(name) else {
        let remark = format!("Topic {name} does not exist");
        return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
    };
    let body = match shared.config().server_side_reset {
        true => {
            if shared.groups.get(group).is_none() {
                let remark = format!("Group {group} does not exist");
                let code = ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST;
                return Err(Refusal::new(code, remark));
            }
            reset_here(shared, &header, &topic)?
        }
        false => reset_by_clients(shared, &header, &topic)?,
    };
    tracing::info!(topic = name, group, offsets = ?body.offsets, "offsets were reset");
    Ok(Some(success(request).with_body(body.encode())))
}

/// The offset of a time; negative times stand for the end.
fn offset_at(shared: &Shared, queue: &Queue, time_ms: i64) -> Result<i64, Refusal> {
    let offset = match time_ms {
        ..0 => queue.max_offset(),
        _ => shared
            .store
            .offset_by_timestamp(queue, time_ms, Boundary::Lower)?,
    };
    Ok(offset.max(0))
}

fn failed(remark: String) -> Refusal {
    Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
}

fn reset_here(
    shared: &Arc<Shared>,
    header: &ResetOffsetRequest,
    topic: &TopicConfig,
) -> Result<ResetOffset, Refusal> {
    let (name, group) = (&header.topic, &header.group);
    let queues = match header.queue_id {
        ..0 => 0..topic.read_queue_nums,
        one if one < topic.read_queue_nums => one..one + 1,
        one => {
            let remark = format!(
                "queue {one} does not exist: topic {name} has {} to read",
                topic.read_queue_nums
            );
            return Err(failed(remark));
        }
    };
    let given = header.offset.filter(|offset| *offset != -1);
    let mut offsets = Vec::new();
    for queue_id in queues {
        let queue = shared.store.queue(name, queue_id);
        let offset = match given.filter(|_| header.queue_id >= 0) {
            Some(given) => {
                let (min, max) = (queue.min_offset(), queue.max_offset());
                if !(min..=max + 1).contains(&given) {
                    let remark =
                        format!("Target offset {given} not in consume queue range [{min}-{max}]");
                    return Err(failed(remark));
                }
                given
            }
            None => offset_at(shared, &queue, header.timestamp_ms)?,
        };
        offsets.push((queue, offset));
    }
    if offsets.is_empty() {
        return Err(failed("No queues to reset.".to_owned()));
    }
    let mut body = ResetOffset::default();
    for (queue, offset) in offsets {
        // What consumers commit counts for nothing from here on, until a pull was told.
        shared.resets.set(name, group, queue.id(), offset);
        shared.offsets.commit(name, group, queue.id(), offset);
        shared.announce(&queue, None);
        body.offsets.push((named(shared, &queue), offset));
    }
    Ok(body)
}

fn reset_by_clients(
    shared: &Arc<Shared>,
    header: &ResetOffsetRequest,
    topic: &TopicConfig,
) -> Result<ResetOffset, Refusal> {
    let (name, group) = (&header.topic, &header.group);
    let mut body = ResetOffset::default();
    for queue_id in 0..topic.write_queue_nums {
        let Some(committed) = shared.offsets.query(name, group, queue_id) else {
            let remark = format!("the consumer group <{group}> has no offset in {name}");
            return Err(failed(remark));
        };
        let queue = shared.store.queue(name, queue_id);
        let offset = offset_at(shared, &queue, header.timestamp_ms)?;
        let offset = match header.is_force {
            true => offset,
            false => offset.min(committed),
        };
        body.offsets.push((named(shared, &queue), offset));
    }
    let consumers = shared.consumers.read();
    let Some(members) = consumers.group(group) else {
        let remark = format!("Consumer not online, so can not reset offset, Group: {group}");
        return Err(Refusal::new(ResponseCode::CONSUMER_NOT_ONLINE, remark));
    };
    for member in members.members() {
        let bytes = match member.language {
            Language::CPP => in_list(&body).encode(),
            _ => body.encode(),
        };
        let told = ResetOffsetRequest {
            topic: name.clone(),
            group: group.clone(),
            queue_id: -1,
            offset: None,
            timestamp_ms: header.timestamp_ms,
            is_force: header.is_force,
        };
        let push = Command::request(RequestCode::RESET_CONSUMER_CLIENT_OFFSET, &told)
            .with_body(bytes)
            .oneway();
        let mut frame = Vec::with_capacity(256 + push.body.len());
        push.encode(&mut frame);
        shared.send(member.conn, frame);
    }
    Ok(body)
}

/// The same for clients that cannot read objects as keys.
fn in_list(body: &ResetOffset) -> ResetOffsetList {
    let offsets = body.offsets.iter().map(|(queue, offset)| QueueOffset {
        broker_name: queue.broker_name.clone(),
        offset: *offset,
        queue_id: queue.queue_id,
        topic: queue.topic.clone(),
    });
    ResetOffsetList {
        offsets: offsets.collect(),
    }
}
