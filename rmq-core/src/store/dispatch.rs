//! What a record in the log means for the queues.

use super::commitlog::is_queued;
use super::consume_queue::Entry;
use crate::protocol::filter::tag;
use crate::protocol::message::properties::names;
use crate::protocol::message::record::RecordRef;
use crate::protocol::message::sysflag;

/// Topic whose entries carry the time a message is due instead of a hash.
const SCHEDULE_TOPIC: &[u8] = b"SCHEDULE_TOPIC_XXXX";

/// The entry that a record has in its queue. `None`: it has none, as half messages and roll-backs.
pub(super) fn entry_of(record: &RecordRef<'_>, delay_levels_ms: &[i64]) -> Option<Entry> {
    if !is_queued(sysflag::transaction(record.sys_flag())) || record.queue_offset() < 0 {
        return None;
    }
    Some(Entry {
        offset: record.physical_offset(),
        size: i32::try_from(record.len()).unwrap_or(i32::MAX),
        tags_code: tags_code(record, delay_levels_ms),
    })
}

fn tags_code(record: &RecordRef<'_>, delay_levels_ms: &[i64]) -> i64 {
    if record.topic_bytes() == SCHEDULE_TOPIC
        && let Some(level) = record.property(names::DELAY)
        && let Some(level) = std::str::from_utf8(level).ok().and_then(|l| l.parse().ok())
        && let Some(delay_ms) = delay_of(delay_levels_ms, level)
    {
        return record.store_timestamp_ms().saturating_add(delay_ms);
    }
    record.tags().map_or(0, tag::tags_code)
}

/// The delay of a level, which counts from 1; levels above the highest are the highest.
pub(super) fn delay_of(delays_ms: &[i64], level: i32) -> Option<i64> {
    let index = usize::try_from(level).ok()?.checked_sub(1)?;
    delays_ms
        .get(index.min(delays_ms.len().saturating_sub(1)))
        .copied()
}
