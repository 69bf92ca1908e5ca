//! Commit logs as files, looked at from outside: where they end, and whether two are the same.

#![allow(
    dead_code,
    reason = "each test crate uses its own part of the support modules"
)]

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rmq_core::protocol::message::record::{MAGIC_BLANK, MAGIC_V1, MAGIC_V2};

const CHUNK: usize = 1 << 20;

/// The files of a log with the offsets at which they start, in order.
fn files(log: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(log) else {
        return Vec::new();
    };
    let mut files: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let start = path.file_name()?.to_str()?.parse().ok()?;
            Some((start, path))
        })
        .collect();
    files.sort();
    files
}

/// One past the last byte of the last record, and 0 for a log without any.
pub(crate) fn end(log: &Path) -> u64 {
    // The last file may be empty as yet.
    let ends = files(log).into_iter().rev().map(|(start, path)| {
        let used = used(&path);
        (used > 0).then_some(start + used)
    });
    ends.flatten().next().unwrap_or(0)
}

/// Bytes of a file that records and fillers take.
fn used(path: &Path) -> u64 {
    let length = fs::metadata(path).unwrap().len();
    let mut file = BufReader::with_capacity(CHUNK, File::open(path).unwrap());
    let mut at = 0;
    while at + 8 <= length {
        let mut head = [0; 8];
        file.read_exact(&mut head).unwrap();
        let [size, magic] =
            [&head[..4], &head[4..]].map(|half| u32::from_be_bytes(half.try_into().unwrap()));
        let known = [MAGIC_V1, MAGIC_V2, MAGIC_BLANK].contains(&magic);
        if size < 8 || !known || at + u64::from(size) > length {
            break;
        }
        at += u64::from(size);
        file.seek_relative(i64::from(size) - 8).unwrap();
    }
    at
}

/// Compares two logs from the first offset that both have up to `end`. Returns the bytes that were
/// compared, or the offset of the first difference.
pub(crate) fn compare(one: &Path, other: &Path, end: u64) -> Result<u64, String> {
    let start = |log| files(log).first().map_or(end, |(start, _)| *start);
    let begin = start(one).max(start(other));
    let mut at = begin;
    while at < end {
        let most = usize::try_from(end - at).map_or(CHUNK, |rest| rest.min(CHUNK));
        let mut bytes = [slice(one, at, most), slice(other, at, most)];
        let length = bytes[0].len().min(bytes[1].len());
        if length == 0 {
            return Err(format!("a log ends at {at}, not at {end}"));
        }
        bytes.iter_mut().for_each(|bytes| bytes.truncate(length));
        if bytes[0] != bytes[1] {
            let differ = |(_, (a, b)): &(usize, (&u8, &u8))| a != b;
            let pairs = bytes[0].iter().zip(&bytes[1]).enumerate();
            let (first, _) = pairs.into_iter().find(differ).unwrap();
            return Err(format!("the logs differ at {}", at + first as u64));
        }
        at += length as u64;
    }
    Ok(end - begin)
}

/// At most that many bytes of a log, of one file.
fn slice(log: &Path, at: u64, most: usize) -> Vec<u8> {
    let files = files(log);
    let Some((start, path)) = files.iter().rev().find(|(start, _)| *start <= at) else {
        return Vec::new();
    };
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(at - start)).unwrap();
    let mut bytes = Vec::with_capacity(most);
    file.take(most as u64).read_to_end(&mut bytes).unwrap();
    bytes
}
