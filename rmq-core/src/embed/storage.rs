//! Temporary directories of embedded servers.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::clock::{Clock, SystemClock};
use crate::base::thread::ProcessMark;
use crate::base::{Error, Result};

/// Where Linux keeps files in memory.
const MEMORY_FOLDER: &str = "/dev/shm";

/// A directory of this process that goes away with the last handle to it.
///
/// A server that is killed and started again on the same `Storage` finds what it wrote.
#[derive(Debug)]
pub struct Storage {
    path: PathBuf,
    process: ProcessMark,
}

impl Storage {
    /// Makes a new directory below the system's temporary folder.
    pub fn temporary() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// Makes a new directory in memory: below `/dev/shm`, a file system that holds no disk. What is
    /// stored there counts against the memory of the host, and often against a limit of the
    /// container's. `NotFound`: this system has none.
    pub fn in_memory() -> Result<Self> {
        Self::below(Path::new(MEMORY_FOLDER))
    }

    fn below(folder: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let now_ms = SystemClock::new().wall_ms();
        let name = format!("rmq-{}-{now_ms}-{number}", std::process::id());
        let path = folder.join(name);
        std::fs::create_dir(&path).map_err(|error| {
            Error::io("create temporary store", path.display().to_string(), error)
        })?;
        Ok(Self {
            path,
            process: ProcessMark::current(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // A forked child must not remove what its parent works on.
        if self.process.is_current() {
            // What cannot be removed now is left to the system's own cleaning.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
