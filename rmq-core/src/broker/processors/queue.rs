//! Questions about one queue or one message: offsets, times, a record by its log offset.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::offset::{
    GetEarliestStoreTimeRequest, GetEarliestStoreTimeResponse, GetMaxOffsetRequest,
    GetMinOffsetRequest, OffsetResponse, SearchOffsetRequest,
};
use crate::protocol::request::query::ViewMessageRequest;

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

pub(super) fn view_message(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: ViewMessageRequest = request.header()?;
    match shared.store.message_at(header.physical_offset) {
        Some(record) => Ok(Some(
            success(request).with_body(Bytes::copy_from_slice(record.as_ref())),
        )),
        None => {
            let remark = format!(
                "can not find message by the offset, {}",
                header.physical_offset
            );
            Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark))
        }
    }
}
