//! Questions about one queue: offsets and times.

use std::sync::Arc;

use crate::broker::reply::{Answer, success};
use crate::broker::shared::Shared;
use crate::protocol::command::Command;
use crate::protocol::request::offset::{
    GetEarliestStoreTimeRequest, GetEarliestStoreTimeResponse, GetMaxOffsetRequest,
    GetMinOffsetRequest, OffsetResponse, SearchOffsetRequest,
};

fn answer_offset(request: &Command, offset: i64) -> Answer {
    Ok(Some(
        success(request).with_header(&OffsetResponse { offset }),
    ))
}

pub(super) fn max_offset(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetMaxOffsetRequest = request.header()?;
    let queue = shared.store.find_queue(&header.topic, header.queue_id);
    answer_offset(request, queue.map_or(0, |queue| queue.max_offset()))
}

pub(super) fn min_offset(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetMinOffsetRequest = request.header()?;
    // A queue that nothing was sent to yet begins and ends at 0: tools subtract one from the other.
    let queue = shared.store.find_queue(&header.topic, header.queue_id);
    answer_offset(request, queue.map_or(0, |queue| queue.min_offset()))
}

pub(super) fn search_by_timestamp(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: SearchOffsetRequest = request.header()?;
    let Some(queue) = shared.store.find_queue(&header.topic, header.queue_id) else {
        return answer_offset(request, 0);
    };
    let offset = shared
        .store
        .offset_by_timestamp(&queue, header.timestamp_ms, header.boundary)?;
    answer_offset(request, offset)
}

pub(super) fn earliest_time(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetEarliestStoreTimeRequest = request.header()?;
    let queue = shared.store.find_queue(&header.topic, header.queue_id);
    let timestamp_ms = queue
        .and_then(|queue| shared.store.earliest_time_ms(&queue))
        .unwrap_or(-1);
    let header = GetEarliestStoreTimeResponse { timestamp_ms };
    Ok(Some(success(request).with_header(&header)))
}
