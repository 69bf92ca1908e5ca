//! The file system as a dependency: a real one, one in memory that can lose power, one that fails.
//!
//! Paths are used as given. Every method may block and may be called from any thread.

mod countdown;
mod mem;
mod real;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use countdown::{CountdownDisk, Plan};
pub use mem::{Crash, MemDisk};
pub use real::RealDisk;

use super::mmap::{Region, RegionWriter};

/// Size of a page of the operating system as RocketMQ counts pages.
pub const PAGE_BYTES: usize = 4096;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The last component of the path. Names that are no UTF-8 are not listed.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Length in bytes; 0 for a directory.
    pub len: u64,
}

/// What is known of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// When the content changed last, ms since the epoch.
    pub modified_ms: i64,
}

/// How full the file system under a path is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Used part of what this user can use at all, 0.0 to 1.0, rounded up to whole percents as
    /// RocketMQ does.
    pub used_ratio: f64,
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Bytes of the file system.
    pub total_bytes: u64,
}

impl Usage {
    /// Computes the ratio from the counts that statvfs gives, all in bytes.
    #[must_use]
    pub fn from_counts(total_bytes: u64, unused_bytes: u64, free_bytes: u64) -> Self {
        let used = total_bytes.saturating_sub(unused_bytes);
        let entire = used.saturating_add(free_bytes).max(1);
        let percent = (u128::from(used) * 100).div_ceil(u128::from(entire));
        Self {
            used_ratio: percent as f64 / 100.0,
            free_bytes,
            total_bytes,
        }
    }
}

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates `path` and its missing parents. Not durable before `sync_dir` of each parent.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all below it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, `to`, which must be free. Fails where the file system knows no
    /// such names.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in the directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes everything on the file system of `path` durable, names and contents.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
    /// What is known of `path`.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// How full the file system of `path` is.
    fn usage(&self, path: &Path) -> io::Result<Usage>;
    /// Takes the lock file, writing its four bytes. `WouldBlock` when somebody else has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// Whether there is something at `path`.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut content = vec![0; len];
        let got = file.read_at(&mut content, 0)?;
        content.truncate(got);
        Ok(content)
    }
}

/// An open file. Offsets and lengths are bytes.
#[expect(clippy::len_without_is_empty, reason = "files are not collections")]
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Current length.
    fn len(&self) -> io::Result<u64>;
    /// Fills as much of `buffer` as the file has from `offset`; returns how much.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the file at least `len` long with every block reserved, so that writing through a
    /// mapping cannot fail for want of space.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Sets the length; a longer file reads as zeros there and has no blocks.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes `from..to`, inside the file, read as zeros and gives back its blocks where the file
    /// system can.
    fn zero(&self, from: u64, to: u64) -> io::Result<()>;
    /// Makes `from..to`, inside the file, read as zeros and keeps its blocks.
    fn zero_in_place(&self, from: u64, to: u64) -> io::Result<()>;
    /// Makes the content durable, also what was written through a mapping.
    fn sync_data(&self) -> io::Result<()>;
    /// Maps the first `len` bytes for reading. The file must not be shortened while it is mapped.
    fn map(&self, len: usize) -> io::Result<Arc<Region>>;
    /// Maps the first `len` bytes to be written from `start` on; what is before is readable. The
    /// file must not be shortened while it is mapped, nor mapped so a second time.
    fn map_append(&self, len: usize, start: usize) -> io::Result<(Arc<Region>, RegionWriter)>;

    /// Fills the whole of `buffer`, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if self.read_at(buffer, offset)? == buffer.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// A held lock; dropping it lets go.
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// What the lock file holds, as in Apache's stores.
const LOCK_TEXT: &[u8] = b"lock";

#[cfg(test)]
mod tests;
