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
                if is_torn(&record, bytes, at) {
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

/// Whether `record`, which lies `at` that place of `file`, is the last one and a sector of it never
/// reached the disk. The check sum covers the body only, and what is lost of a new file reads as
/// zeros. A record that others follow is as it was sent, zeros in its properties included: a
/// sender must not be able to end the log.
fn is_torn(record: &RecordRef<'_>, file: &[u8], at: usize) -> bool {
    let end = at + record.len();
    let properties = record.properties_bytes().len();
    let from = end - properties - 2 - record.topic_bytes().len();
    // The length of no properties is zeros itself.
    let until = if properties == 0 { end - 2 } else { end };
    has_lost_sector(file, from, until)
        && matches!(
            RecordRef::check(&file[end..], CheckLevel::Bounds),
            Ok(Checked::End) | Err(_)
        )
}

/// Whether a sector of `file` that holds some of the bytes `from..end` has nothing but zeros.
fn has_lost_sector(file: &[u8], from: usize, end: usize) -> bool {
    let first = from / SECTOR_BYTES;
    file.chunks(SECTOR_BYTES)
        .take(end.div_ceil(SECTOR_BYTES))
        .skip(first)
        .any(|sector| sector.iter().all(|&byte| byte == 0))
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
    fn a_sector_of_zeros_is_noticed_and_zeros_in_others_are_not() {
        let mut file = vec![b'x'; 2_048];
        file[1_500..].fill(0);
        assert!(!has_lost_sector(&file, 100, 1_500));
        assert!(has_lost_sector(&file, 1_400, 1_537), "the last byte alone");
        file[600..1_024].fill(0);
        assert!(!has_lost_sector(&file, 100, 1_500));
        file[512..600].fill(0);
        assert!(has_lost_sector(&file, 100, 1_500));
        assert!(!has_lost_sector(&file, 1_024, 1_500));
        assert!(!has_lost_sector(&file, 0, 512));
    }
}
