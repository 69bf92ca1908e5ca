//! What the disk itself can do: the ceiling of a synchronous flush.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::posix_fallocate;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::error::{Error, Result};

/// Bytes of one write: about a stored message of 128 bytes.
const WRITE_LEN: usize = 320;
const FILE_LEN: u64 = 256 * 1024 * 1024;

/// How often a second a small append to an allocated file in `dir` is made durable.
///
/// # Errors
/// When the file cannot be made, written or synced.
pub fn fdatasync_per_s(dir: &Path, how_long: Duration) -> Result<f64> {
    let io = |e| Error::io("fdatasync rate", dir.display().to_string(), e);
    let file: File = tempfile::tempfile_in(dir).map_err(io)?;
    let len = i64::try_from(FILE_LEN).unwrap_or(i64::MAX);
    posix_fallocate(&file, 0, len).map_err(|e| io(e.into()))?;
    file.sync_all().map_err(io)?;
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let block = [0x5A; WRITE_LEN];
    let mut count = 0_u32;
    let mut at = 0;
    loop {
        file.write_all_at(&block, at).map_err(io)?;
        file.sync_data().map_err(io)?;
        count += 1;
        at = (at + WRITE_LEN as u64) % (FILE_LEN - WRITE_LEN as u64);
        let took = clock.monotonic() - began;
        if took >= how_long {
            return Ok(f64::from(count) / took.as_secs_f64());
        }
    }
}

/// MiB a second that a new file in `dir` takes, the last sync included.
///
/// # Errors
/// When the file cannot be made, written or synced.
pub fn write_mib_per_s(dir: &Path, mib: u32) -> Result<f64> {
    let io = |e| Error::io("write rate", dir.display().to_string(), e);
    let file: File = tempfile::tempfile_in(dir).map_err(io)?;
    let block = vec![0x5A; 1 << 20];
    let clock = SystemClock::new();
    for number in 0..mib {
        file.write_all_at(&block, u64::from(number) << 20)
            .map_err(io)?;
    }
    file.sync_data().map_err(io)?;
    Ok(f64::from(mib) / clock.monotonic().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_syncs() {
        let dir = tempfile::tempdir().unwrap();
        assert!(fdatasync_per_s(dir.path(), Duration::from_millis(20)).unwrap() > 0.0);
        assert!(write_mib_per_s(dir.path(), 1).unwrap() > 0.0);
    }
}
