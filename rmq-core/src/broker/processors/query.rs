//! Finding messages: by key, by log offset, and what a queue holds. All of it may read what is not
//! in memory, so it runs on the helper thread for cold reads.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::consume_queue::{ConsumeQueueEntry, ConsumeQueuePart};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::json::{self, Flavour};
use crate::protocol::request::query::{
    INDEX_TYPE_TAG, QueryConsumeQueueRequest, QueryMessageRequest, QueryMessageResponse,
    UNIQUE_KEY_QUERY, ViewMessageRequest,
};
use crate::store::{KeyKind, KeyMatches, KeyQuery, Queue};

/// Bytes of records in one answer. Clients refuse frames from 16 MiB on; the head has to fit too.
const MAX_ANSWER_BYTES: usize = (16 << 20) - (64 << 10);

/// Entries of a queue in one answer.
const MAX_ENTRIES: usize = 65_536;

pub(super) fn by_key(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryMessageRequest = request.header()?;
    let config = shared.config();
    let store = &config.store;
    let wanted = match request.ext.is_true(UNIQUE_KEY_QUERY) {
        true => store.unique_query_count_max,
        false => u32::try_from(header.max_num).map_err(|_| {
            let remark = format!("maxNum must not be negative: {}", header.max_num);
            Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
        })?,
    };
    let by_tag = header.index_type.as_deref() == Some(INDEX_TYPE_TAG);
    let query = KeyQuery {
        topic: &header.topic,
        key: &header.key,
        kind: if by_tag { KeyKind::Tag } else { KeyKind::Key },
        max_count: wanted.min(store.query_count_max) as usize,
        max_bytes: MAX_ANSWER_BYTES,
        begin_ms: header.begin_timestamp_ms,
        end_ms: header.end_timestamp_ms,
    };
    let found = match store.index_file_read {
        true => shared.store.query_by_key(&query),
        false => KeyMatches::default(),
    };
    let response = QueryMessageResponse {
        index_last_update_timestamp_ms: found.last_update_ms,
        index_last_update_physical_offset: found.last_update_offset,
    };
    if found.records.is_empty() {
        let remark = "can not find message, maybe time range not correct";
        let code = ResponseCode::QUERY_NOT_FOUND;
        let answer = Command::response_to(request, code, Some(remark.to_owned()));
        return Ok(Some(answer.with_header(&response)));
    }
    let len = found.records.iter().map(|record| record.len()).sum();
    let mut body = Vec::with_capacity(len);
    for record in &found.records {
        body.extend_from_slice(record);
    }
    Ok(Some(
        success(request).with_header(&response).with_body(body),
    ))
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

pub(super) fn consume_queue(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryConsumeQueueRequest = request.header()?;
    let topic = header.topic.as_deref().unwrap_or_default();
    let (queue_id, index) = (header.queue_id, header.index);
    let Some(queue) = shared.store.find_queue(topic, queue_id) else {
        let remark = format!("{queue_id}@{topic} is not exist!");
        return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
    };
    let (min, max) = (queue.min_offset(), queue.max_offset());
    let mut part = ConsumeQueuePart {
        max_queue_index: max,
        min_queue_index: min,
        ..ConsumeQueuePart::default()
    };
    if let Some(group) = &header.consumer_group {
        part.subscription_data = subscription(shared, group, topic);
        let filter = shared.filters.get(topic, group);
        part.filter_data = Some(match (&part.subscription_data, filter) {
            (None, _) => format!("{group}@{topic} is not online!"),
            (Some(_), Some(filter)) => json::to_text(filter.data(), Flavour::Pretty),
            // It filters by tags.
            (Some(_), None) => "null".to_owned(),
        });
    }
    if !(min..=max).contains(&index) {
        let remark = format!("Index {index} of {queue_id}@{topic} is not exist!");
        let code = ResponseCode::SUCCESS;
        let answer = Command::response_to(request, code, Some(remark));
        return Ok(Some(answer.with_body(part.encode())));
    }
    let count = usize::try_from(header.count).unwrap_or(0).min(MAX_ENTRIES);
    part.queue_data = Some(entries(&queue, index, max, count)?);
    Ok(Some(success(request).with_body(part.encode())))
}

fn subscription(shared: &Shared, group: &str, topic: &str) -> Option<SubscriptionData> {
    let consumers = shared.consumers.read();
    let members = consumers.group(group)?;
    let subscription = members.subscriptions().get(topic)?;
    Some((**subscription).clone())
}

/// At most `count` entries from `index` on, none from `max` on.
fn entries(
    queue: &Queue,
    index: i64,
    max: i64,
    count: usize,
) -> Result<Vec<ConsumeQueueEntry>, Refusal> {
    let count = count.min(usize::try_from(max - index).unwrap_or(0));
    let mut found = Vec::new();
    while found.len() < count {
        let had = found.len();
        queue
            .entries(index + had as i64, count - had, &mut found)
            .map_err(|e| crate::base::Error::io("query consume queue", queue.topic(), e))?;
        if found.len() == had {
            break;
        }
    }
    let entry = |entry: &crate::store::Entry| ConsumeQueueEntry {
        physic_offset: entry.offset,
        physic_size: entry.size,
        tags_code: entry.tags_code,
        ..ConsumeQueueEntry::default()
    };
    Ok(found.iter().map(entry).collect())
}
