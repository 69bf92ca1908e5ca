//! Reading the log front to back, trusting nothing.

use std::sync::Arc;

use crate::base::error::Result;
use crate::protocol::message::record::{BLANK_LEN, CheckLevel, Checked, RecordRef};
use crate::store::segments::{Segment, Segments};

/// Bytes that the system is asked to read ahead of a scan.
const READ_AHEAD_BYTES: usize = 32 << 20;

/// Where a scan ended.
#[derive(Debug)]
pub(in crate::store) struct ScanEnd {
    /// Log offset behind the last good record; a blank that fills its file counts as good.
    pub(in crate::store) end: i64,
    /// Records seen.
    pub(in crate::store) records: u64,
    /// Store timestamp of the last record, ms; 0 without one.
    pub(in crate::store) last_store_ms: i64,
    /// Why it ended there; `None` when there was simply nothing more.
    pub(in crate::store) error: Option<String>,
}

/// Reads the records of the existing files in `bases` from log offset `from` on, in order, until
/// the first one that is not whole. Each segment that ends regularly is kept in `segments`;
/// returns the end and the base of the segment in which it lies, which is not kept.
pub(in crate::store) fn scan(
    segments: &Segments,
    bases: &[i64],
    from: i64,
    level: CheckLevel,
    visit: &mut dyn FnMut(&RecordRef<'_>) -> Result<()>,
) -> Result<ScanEnd> {
    let mut end = ScanEnd {
        end: from,
        records: 0,
        last_store_ms: 0,
        error: None,
    };
    let len = segments.segment_bytes() as i64;
    for &base in bases.iter().filter(|&&base| base + len > from) {
        let segment = segments.open_whole(base)?;
        end.end = end.end.max(base);
        if !scan_segment(&segment, &mut end, level, visit)? {
            return Ok(end);
        }
    }
    Ok(end)
}

/// Reads one segment from `end.end` on. True when it is full and the log may go on behind it.
fn scan_segment(
    segment: &Arc<Segment>,
    end: &mut ScanEnd,
    level: CheckLevel,
    visit: &mut dyn FnMut(&RecordRef<'_>) -> Result<()>,
) -> Result<bool> {
    let region = segment.region();
    let bytes = region.bytes();
    let mut at = usize::try_from(end.end - segment.base()).unwrap_or(0);
    let mut read_ahead = 0;
    loop {
        if at + READ_AHEAD_BYTES / 2 > read_ahead {
            region.expect_scan(read_ahead..at + READ_AHEAD_BYTES);
            read_ahead = at + READ_AHEAD_BYTES;
        }
        let rest = &bytes[at.min(bytes.len())..];
        // No record and no blank fits: the next file goes on.
        if rest.len() < BLANK_LEN {
            end.end = segment.end();
            break;
        }
        match RecordRef::check(rest, level) {
            Ok(Checked::Record(record)) => {
                let offset = segment.base() + at as i64;
                if record.physical_offset() != offset {
                    let says = record.physical_offset();
                    end.error = Some(format!("the record at {offset} says it is at {says}"));
                    return Ok(false);
                }
                if is_torn(&record, at) {
                    end.error = Some(format!("the record at {offset} was not written whole"));
                    return Ok(false);
                }
                visit(&record)?;
                at += record.len();
                end.end = segment.base() + at as i64;
                end.records += 1;
                end.last_store_ms = record.store_timestamp_ms();
            }
            Ok(Checked::Blank { len }) if len == rest.len() => {
                end.end = segment.end();
                break;
            }
            Ok(Checked::Blank { len }) => {
                end.error = Some(format!(
                    "a blank of {len} bytes where {} are left",
                    rest.len()
                ));
                return Ok(false);
            }
            Ok(Checked::End) => return Ok(false),
            Err(error) => {
                end.error = Some(error.to_string());
                return Ok(false);
            }
        }
    }
    region.expect_nothing();
    Ok(true)
}

/// Smallest unit in which a disk loses what it was not made to keep.
const SECTOR_BYTES: usize = 512;

/// Whether a sector of the record `at` that place of its file never reached the disk. The check sum
/// covers the body only, and what is lost of a new file reads as zeros, which are nowhere in topics
/// and properties.
fn is_torn(record: &RecordRef<'_>, at: usize) -> bool {
    let properties = record.properties_bytes();
    let properties_at = at + record.len() - properties.len();
    let topic = record.topic_bytes();
    let topic_at = properties_at - 2 - topic.len();
    has_lost_sector(topic, topic_at) || has_lost_sector(properties, properties_at)
}

/// Whether all of `bytes` that lie in one sector are zeros; they begin `at` that place of the file.
fn has_lost_sector(bytes: &[u8], at: usize) -> bool {
    let (first, rest) = bytes.split_at((SECTOR_BYTES - at % SECTOR_BYTES).min(bytes.len()));
    std::iter::once(first)
        .chain(rest.chunks(SECTOR_BYTES))
        .any(|part| !part.is_empty() && part.iter().all(|&byte| byte == 0))
}

/// The record at log offset `offset`, if it is whole and where it says.
pub(in crate::store) fn record_at(
    segment: &Segment,
    offset: i64,
    level: CheckLevel,
) -> Option<RecordRef<'_>> {
    let start = usize::try_from(offset - segment.base()).ok()?;
    let bytes = segment.region().bytes().get(start..)?;
    match RecordRef::check(bytes, level) {
        Ok(Checked::Record(record)) if record.physical_offset() == offset => Some(record),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sector_of_zeros_is_noticed_and_a_zero_is_not() {
        let mut bytes = vec![b'x'; 1_500];
        bytes[1_499] = 0;
        assert!(!has_lost_sector(&bytes, 100));
        assert!(
            has_lost_sector(&bytes, 2_048 - 1_499),
            "the last byte alone"
        );
        assert!(!has_lost_sector(&[], 100) && !has_lost_sector(&[], 512));
        bytes[412..924].fill(0);
        assert!(has_lost_sector(&bytes, 100));
        bytes[700] = b'x';
        assert!(!has_lost_sector(&bytes, 100));
        bytes[..412].fill(0);
        assert!(has_lost_sector(&bytes, 100));
    }
}
