//! A disk that fails on purpose.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile, DiskLock, Entry, Metadata, Usage};
use crate::store::mmap::{Region, RegionWriter};

/// When and how a [`CountdownDisk`] fails. Only operations that change something count: creating,
/// writing, allocating, syncing, renaming, linking, removing. Mapped writes are not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Operations that succeed first.
    pub succeed: u64,
    /// Operations that fail after these; all others succeed again.
    pub fail: u64,
    /// The operating system's number of the error, for example `libc::EIO`.
    pub errno: i32,
}

impl Plan {
    /// Nothing fails.
    pub const NEVER: Self = Self {
        succeed: u64::MAX,
        fail: 0,
        errno: 0,
    };

    /// After `succeed` operations everything fails with EIO, as if the disk were gone.
    #[must_use]
    pub const fn gone_after(succeed: u64) -> Self {
        Self {
            succeed,
            fail: u64::MAX,
            errno: libc::EIO,
        }
    }
}

#[derive(Debug)]
struct Countdown {
    plan: Plan,
    passed: u64,
}

/// Passes everything on to another disk and fails as planned. Clones share the count.
#[derive(Clone, Debug)]
pub struct CountdownDisk {
    inner: Arc<dyn Disk>,
    countdown: Arc<Mutex<Countdown>>,
}

#[derive(Debug)]
struct CountdownFile {
    inner: Arc<dyn DiskFile>,
    countdown: Arc<Mutex<Countdown>>,
}

fn pass(countdown: &Mutex<Countdown>) -> io::Result<()> {
    let mut countdown = countdown.lock();
    let number = countdown.passed;
    countdown.passed += 1;
    let Plan {
        succeed,
        fail,
        errno,
    } = countdown.plan;
    if number >= succeed && number - succeed < fail {
        return Err(io::Error::from_raw_os_error(errno));
    }
    Ok(())
}

impl CountdownDisk {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, plan: Plan) -> Self {
        let countdown = Arc::new(Mutex::new(Countdown { plan, passed: 0 }));
        Self { inner, countdown }
    }

    /// The same as a shared [`Disk`].
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// Starts counting anew with another plan.
    pub fn set_plan(&self, plan: Plan) {
        *self.countdown.lock() = Countdown { plan, passed: 0 };
    }

    /// Operations counted since the plan was set, failed ones too.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.countdown.lock().passed
    }

    fn wrap(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let countdown = Arc::clone(&self.countdown);
        Arc::new(CountdownFile { inner, countdown })
    }
}

impl Disk for CountdownDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.inner.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        pass(&self.countdown)?;
        Ok(self.wrap(self.inner.create(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.remove_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.sync_dir(path)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.sync_all(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn usage(&self, path: &Path) -> io::Result<Usage> {
        self.inner.usage(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.inner.lock(path)
    }
}

impl DiskFile for CountdownFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.write_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.set_len(len)
    }

    fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.zero(from, to)
    }

    fn zero_in_place(&self, from: u64, to: u64) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.zero_in_place(from, to)
    }

    fn sync_data(&self) -> io::Result<()> {
        pass(&self.countdown)?;
        self.inner.sync_data()
    }

    fn map(&self, len: usize) -> io::Result<Arc<Region>> {
        self.inner.map(len)
    }

    fn map_append(&self, len: usize, start: usize) -> io::Result<(Arc<Region>, RegionWriter)> {
        self.inner.map_append(len, start)
    }
}
