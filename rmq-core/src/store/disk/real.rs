//! The operating system's files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::{Disk, DiskFile, DiskLock, Entry, LOCK_TEXT, Metadata, Usage};
use crate::base::thread::ProcessMark;
use crate::store::mmap::{Region, RegionWriter};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl RealDisk {
    /// The same behind an `Arc`.
    #[must_use]
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(Self)
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

fn modified_ms(metadata: &fs::Metadata) -> i64 {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // Follow links: an operator may have moved a directory to another disk.
            let metadata = match fs::metadata(entry.path()) {
                Ok(metadata) => metadata,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            let is_dir = metadata.is_dir();
            let len = if is_dir { 0 } else { metadata.len() };
            entries.push(Entry { name, is_dir, len });
        }
        entries.sort();
        Ok(entries)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile { file }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(RealFile { file }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        sync_file_system(&File::open(path)?)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = fs::metadata(path)?;
        Ok(Metadata {
            len: metadata.len(),
            is_dir: metadata.is_dir(),
            modified_ms: modified_ms(&metadata),
        })
    }

    fn usage(&self, path: &Path) -> io::Result<Usage> {
        let stat = nix::sys::statvfs::statvfs(path)?;
        let unit = stat.fragment_size();
        Ok(Usage::from_counts(
            stat.blocks().saturating_mul(unit),
            stat.blocks_free().saturating_mul(unit),
            stat.blocks_available().saturating_mul(unit),
        ))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        set_lock(&file, true)?;
        let lock = RealLock {
            file,
            path: path.to_owned(),
            process: ProcessMark::current(),
        };
        lock.file.write_all_at(LOCK_TEXT, 0)?;
        Ok(Box::new(lock))
    }
}

#[cfg(target_os = "linux")]
fn sync_file_system(any: &File) -> io::Result<()> {
    Ok(nix::unistd::syncfs(any)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_any: &File) -> io::Result<()> {
    // Only Linux can sync one file system and say whether it worked.
    Err(io::ErrorKind::Unsupported.into())
}

/// Locks byte 0 as Apache's broker does, so that the two exclude each other. The lock belongs to
/// the open file, not to the process: two stores in one process exclude each other too.
#[cfg(target_os = "linux")]
fn set_lock(file: &File, locked: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, fcntl};
    let kind = if locked { libc::F_WRLCK } else { libc::F_UNLCK };
    let range = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range)) {
        Ok(_) => Ok(()),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Err(io::ErrorKind::WouldBlock.into()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn set_lock(file: &File, locked: bool) -> io::Result<()> {
    if !locked {
        return file.unlock();
    }
    file.try_lock().map_err(|e| match e {
        fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        fs::TryLockError::Error(e) => e,
    })
}

#[derive(Debug)]
struct RealLock {
    file: File,
    path: PathBuf,
    process: ProcessMark,
}

impl DiskLock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // The lock is shared with forked children, so only its owner lets go, and it has to do so
        // explicitly: a child may still hold the open file.
        if self.process.is_current()
            && let Err(e) = set_lock(&self.file, false)
        {
            tracing::warn!(path = %self.path.display(), error = %e, "unlock failed");
        }
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        allocate(&self.file, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        zero(&self.file, from, to, false)
    }

    fn zero_in_place(&self, from: u64, to: u64) -> io::Result<()> {
        zero(&self.file, from, to, true)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self, len: usize) -> io::Result<Arc<Region>> {
        Region::map_file(&self.file, len)
    }

    fn map_append(&self, len: usize, start: usize) -> io::Result<(Arc<Region>, RegionWriter)> {
        Region::map_file_for_append(&self.file, len, start)
    }
}

fn zero(file: &File, from: u64, to: u64, keep_blocks: bool) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
    match zero_range(file, from, to, keep_blocks) {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => write_zeros(file, from, to),
        other => other,
    }
}

fn write_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = [0; 64 * 1024];
    let mut at = from;
    while at < to {
        let len = (to - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..len as usize], at)?;
        at += len;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    let len = i64::try_from(len).map_err(io::Error::other)?;
    loop {
        match nix::fcntl::posix_fallocate(file, 0, len) {
            Err(nix::Error::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    let have = file.metadata()?.len();
    // What is there already may be sparse, so each page of it is rewritten with what it holds.
    let mut page = [0; super::PAGE_BYTES];
    let mut at = 0;
    while at < have.min(len) {
        let part = &mut page[..(have.min(len) - at).min(super::PAGE_BYTES as u64) as usize];
        file.read_exact_at(part, at)?;
        file.write_all_at(part, at)?;
        at += part.len() as u64;
    }
    write_zeros(file, have.min(len), len)
}

#[cfg(target_os = "linux")]
fn zero_range(file: &File, from: u64, to: u64, keep_blocks: bool) -> io::Result<()> {
    use nix::fcntl::{FallocateFlags, fallocate};
    let start = i64::try_from(from).map_err(io::Error::other)?;
    let len = i64::try_from(to - from).map_err(io::Error::other)?;
    let how = if keep_blocks {
        FallocateFlags::FALLOC_FL_ZERO_RANGE
    } else {
        FallocateFlags::FALLOC_FL_PUNCH_HOLE
    };
    loop {
        match fallocate(file, how | FallocateFlags::FALLOC_FL_KEEP_SIZE, start, len) {
            Ok(()) => return Ok(()),
            Err(nix::Error::EINTR) => {}
            Err(nix::Error::EOPNOTSUPP | nix::Error::ENOSYS | nix::Error::ENODEV) => {
                return Err(io::ErrorKind::Unsupported.into());
            }
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn zero_range(_file: &File, _from: u64, _to: u64, _keep_blocks: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
