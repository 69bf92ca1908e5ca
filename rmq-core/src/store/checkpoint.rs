//! The checkpoint and abort files, in Apache's formats.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile, DiskLock, PAGE_BYTES};
use crate::base::error::{Error, ErrorKind, Result};

/// What the checkpoint file says. Timestamps are ms since the epoch, offsets are of the commit log.
///
/// ```text
///  0 i64 log timestamp       16 i64 index timestamp           32 i64 confirmed offset
///  8 i64 queue timestamp     24 i64 master flushed offset
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Store timestamp of the last record that is durable in the commit log.
    pub log_timestamp_ms: i64,
    /// Store timestamp up to which consume queues are durable; never ahead of what they hold.
    pub queue_timestamp_ms: i64,
    /// Store timestamp up to which index files are durable.
    pub index_timestamp_ms: i64,
    /// How far the master had flushed, on a slave.
    pub master_flushed_offset: i64,
    /// How far the log is confirmed.
    pub confirmed_offset: i64,
}

const LOG_AT: usize = 0;
const QUEUE_AT: usize = LOG_AT + 8;
const INDEX_AT: usize = QUEUE_AT + 8;
const MASTER_FLUSHED_AT: usize = INDEX_AT + 8;
const CONFIRMED_AT: usize = MASTER_FLUSHED_AT + 8;
const CHECKPOINT_LEN: usize = CONFIRMED_AT + 8;

/// Time that a checkpoint is held back by when recovery looks for its start, ms.
const SLACK_MS: i64 = 3000;

impl Checkpoint {
    /// Records stored up to this time are known to be in log and consume queues, ms.
    #[must_use]
    pub fn min_timestamp_ms(&self) -> i64 {
        let min = self.log_timestamp_ms.min(self.queue_timestamp_ms);
        min.saturating_sub(SLACK_MS).max(0)
    }

    /// The fields as they are stored.
    #[must_use]
    pub fn encode(&self) -> [u8; CHECKPOINT_LEN] {
        let mut bytes = [0; CHECKPOINT_LEN];
        for (at, value) in [
            (LOG_AT, self.log_timestamp_ms),
            (QUEUE_AT, self.queue_timestamp_ms),
            (INDEX_AT, self.index_timestamp_ms),
            (MASTER_FLUSHED_AT, self.master_flushed_offset),
            (CONFIRMED_AT, self.confirmed_offset),
        ] {
            bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    /// Reads the stored fields; what is missing is 0.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let field = |at: usize| {
            let field = bytes
                .get(at..at + 8)
                .and_then(|field| field.try_into().ok());
            field.map_or(0, i64::from_be_bytes)
        };
        Self {
            log_timestamp_ms: field(LOG_AT),
            queue_timestamp_ms: field(QUEUE_AT),
            index_timestamp_ms: field(INDEX_AT),
            master_flushed_offset: field(MASTER_FLUSHED_AT),
            confirmed_offset: field(CONFIRMED_AT),
        }
    }
}

/// The open checkpoint file.
#[derive(Debug)]
pub struct CheckpointFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
}

impl CheckpointFile {
    /// Opens or creates `root/checkpoint`; returns what it says.
    pub fn open(disk: &dyn Disk, root: &Path) -> Result<(Self, Checkpoint)> {
        const OP: &str = "store.checkpoint";
        let path = root.join("checkpoint");
        let wrap = |e: io::Error| Error::io(OP, path.display().to_string(), e);
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => disk.create(&path).map_err(wrap)?,
            Err(e) => return Err(wrap(e)),
        };
        let mut bytes = [0; CHECKPOINT_LEN];
        let got = file.read_at(&mut bytes, 0).map_err(wrap)?;
        let checkpoint = Checkpoint::decode(&bytes[..got]);
        // Written at once in full length, so that later writes never need a block.
        if file.len().map_err(wrap)? < PAGE_BYTES as u64 {
            let mut page = [0; PAGE_BYTES];
            page[..CHECKPOINT_LEN].copy_from_slice(&checkpoint.encode());
            file.write_at(&page, 0).map_err(wrap)?;
        }
        Ok((Self { file, path }, checkpoint))
    }

    /// Writes `checkpoint` and makes it durable.
    pub fn store(&self, checkpoint: &Checkpoint) -> Result<()> {
        self.file
            .write_at(&checkpoint.encode(), 0)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| Error::io("store.checkpoint", self.path.display().to_string(), e))
    }
}

/// The file whose presence says that the store was not closed.
#[derive(Debug)]
pub struct AbortFile {
    path: PathBuf,
    root: PathBuf,
}

impl AbortFile {
    /// The abort file of the store in `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            path: root.join("abort"),
            root: root.to_owned(),
        }
    }

    /// Whether the store was not closed.
    pub fn is_there(&self, disk: &dyn Disk) -> Result<bool> {
        disk.exists(&self.path).map_err(|e| self.error(e))
    }

    /// Writes it durably, holding the number of this process.
    pub fn create(&self, disk: &dyn Disk) -> Result<()> {
        let pid = std::process::id().to_string();
        let create = || -> io::Result<()> {
            let file = disk.create(&self.path)?;
            file.write_at(pid.as_bytes(), 0)?;
            // Only that it is there has to survive, not what it says.
            disk.sync_dir(&self.root)
        };
        create().map_err(|e| self.error(e))
    }

    /// Takes it away durably.
    pub fn remove(&self, disk: &dyn Disk) -> Result<()> {
        match disk.remove(&self.path) {
            Ok(()) => disk.sync_dir(&self.root).map_err(|e| self.error(e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(self.error(e)),
        }
    }

    fn error(&self, e: io::Error) -> Error {
        Error::io("store.abort", self.path.display().to_string(), e)
    }
}

/// Takes the lock file of the store in `root`.
pub fn lock(disk: &dyn Disk, root: &Path) -> Result<Box<dyn DiskLock>> {
    let path = root.join("lock");
    disk.lock(&path).map_err(|e| {
        let text = path.display().to_string();
        if e.kind() == io::ErrorKind::WouldBlock {
            let context = format!("{text} is held by another broker");
            Error::new(ErrorKind::Locked, "store.lock", context)
        } else {
            Error::io("store.lock", text, e)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::disk::MemDisk;
    use super::*;
    use crate::base::clock::ManualClock;

    const EXAMPLE: Checkpoint = Checkpoint {
        log_timestamp_ms: 1_795_357_533_837,
        queue_timestamp_ms: 1_795_357_533_000,
        index_timestamp_ms: 3,
        master_flushed_offset: 4,
        confirmed_offset: 5,
    };

    #[test]
    fn fields_lie_as_apache_has_them() {
        let bytes = EXAMPLE.encode();
        assert_eq!(&bytes[..8], &1_795_357_533_837i64.to_be_bytes());
        assert_eq!(&bytes[8..16], &1_795_357_533_000i64.to_be_bytes());
        assert_eq!(bytes[23] + bytes[31] + bytes[39], 3 + 4 + 5);
        assert_eq!(Checkpoint::decode(&bytes), EXAMPLE);
        assert_eq!(Checkpoint::decode(&bytes[..9]).queue_timestamp_ms, 0);
        assert_eq!(EXAMPLE.min_timestamp_ms(), 1_795_357_530_000);
        assert_eq!(Checkpoint::default().min_timestamp_ms(), 0);
    }

    #[test]
    fn the_file_is_a_page_long_and_survives_power_loss_once_stored() {
        let disk = MemDisk::new(ManualClock::new(7));
        let root = Path::new("/s");
        disk.create_dir(root).unwrap();
        let (file, first) = CheckpointFile::open(&disk, root).unwrap();
        assert_eq!(first, Checkpoint::default());
        file.store(&EXAMPLE).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.sync_dir(root).unwrap();
        let disk = disk.crash(super::super::disk::Crash::Synced);
        assert_eq!(disk.metadata(&root.join("checkpoint")).unwrap().len, 4096);
        let (_, again) = CheckpointFile::open(&disk, root).unwrap();
        assert_eq!(again, EXAMPLE);
    }

    #[test]
    fn abort_comes_and_goes_durably() {
        let disk = MemDisk::new(ManualClock::new(7));
        let root = Path::new("/s");
        disk.create_dir(root).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let abort = AbortFile::new(root);
        assert!(!abort.is_there(&disk).unwrap());
        abort.create(&disk).unwrap();
        let pid = std::process::id().to_string();
        assert_eq!(disk.read(&root.join("abort")).unwrap(), pid.as_bytes());
        let disk = disk.crash(super::super::disk::Crash::Synced);
        assert!(abort.is_there(&disk).unwrap());
        abort.remove(&disk).unwrap();
        abort.remove(&disk).unwrap();
        let disk = disk.crash(super::super::disk::Crash::Synced);
        assert!(!abort.is_there(&disk).unwrap());
    }

    #[test]
    fn the_lock_excludes_a_second_store() {
        let disk = MemDisk::new(ManualClock::new(7));
        disk.create_dir(Path::new("/s")).unwrap();
        let held = lock(&disk, Path::new("/s")).unwrap();
        let refused = lock(&disk, Path::new("/s")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Locked);
        drop(held);
        lock(&disk, Path::new("/s")).unwrap();
    }
}
