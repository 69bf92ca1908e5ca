//! Locks of ordered consumption: requests 41 and 42.

use std::sync::Arc;

use crate::broker::locks::QueueName;
use crate::broker::reply::{Answer, success};
use crate::broker::shared::Shared;
use crate::protocol::body::lock::{LockRequest, LockResponse};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::command::Command;

fn names(queues: Vec<MessageQueue>) -> Vec<QueueName> {
    queues
        .into_iter()
        .map(|one| QueueName {
            topic: one.topic,
            broker: one.broker_name,
            queue_id: one.queue_id,
        })
        .collect()
}

pub(super) fn lock(shared: &Arc<Shared>, request: &Command) -> Answer {
    let body = LockRequest::decode(&request.body)?;
    let now_ms = shared.clock.monotonic_ms();
    let queues = names(body.queues);
    let owned = shared
        .locks
        .lock()
        .lock(&body.consumer_group, queues, &body.client_id, now_ms);
    let queues = owned
        .into_iter()
        .map(|one| MessageQueue {
            topic: one.topic,
            broker_name: one.broker,
            queue_id: one.queue_id,
        })
        .collect();
    Ok(Some(
        success(request).with_body(LockResponse { queues }.encode()),
    ))
}

pub(super) fn unlock(shared: &Arc<Shared>, request: &Command) -> Answer {
    let body = LockRequest::decode(&request.body)?;
    let queues = names(body.queues);
    shared
        .locks
        .lock()
        .unlock(&body.consumer_group, &queues, &body.client_id);
    Ok(Some(success(request)))
}
