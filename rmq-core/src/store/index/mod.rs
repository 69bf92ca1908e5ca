//! The index by message key: files in Apache's format that follow the log.
//!
//! Appending does not know of it. One thread reads what was appended, hashes the keys, and puts
//! them into the current file, whose last entries and used slots it keeps in memory. At times the
//! file is made durable: entries, then the header that counts them, then the slots that lead to
//! them, then the time in the checkpoint. So a file is whole, or it is newer than the checkpoint;
//! files that are newer at an unclean start are removed, as Apache's broker does it. What is not
//! in a file is indexed again from the log, so nothing is missing in the end.

mod build;
mod files;
mod keys;
mod layout;
mod open;
mod query;
mod slots;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::{Mutex, RwLock};

pub(super) use build::index_thread;
pub use keys::KeyKind;
pub use query::{KeyMatches, KeyQuery};

use super::bell::Bell;
use super::disk::Disk;
use super::options::IndexOptions;
use crate::base::error::{Error, ErrorKind, Result};
use build::Builder;
use files::{Current, Sealed};
use layout::{Header, Shape};

/// The index of a store.
#[derive(Debug)]
pub(super) struct Index {
    options: IndexOptions,
    shape: Shape,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Only changed by who holds `builder`, except that retention takes sealed files away.
    files: RwLock<Files>,
    builder: Mutex<Builder>,
    /// Everything before this log offset is in the index.
    indexed: AtomicI64,
    /// A write or sync failed: nothing more is indexed until the store is opened again.
    failed: AtomicBool,
    pub(super) bell: Bell,
}

/// The files, oldest first.
#[derive(Debug, Default)]
struct Files {
    sealed: Vec<Arc<Sealed>>,
    current: Option<Current>,
}

impl Files {
    /// The header of the newest file.
    fn last_header(&self) -> Option<&Header> {
        let sealed = self.sealed.last().map(|file| &file.header);
        self.current.as_ref().map(Current::header).or(sealed)
    }

    fn last_name(&self) -> Option<&str> {
        let sealed = self.sealed.last().map(|file| file.name.as_str());
        self.current.as_ref().map(Current::name).or(sealed)
    }
}

impl Index {
    /// Tells that something was appended. Cheap when the thread is at work.
    pub(super) fn appended(&self) {
        if self.options.build {
            self.bell.ring();
        }
    }

    /// Store timestamp of the last record in the files, ms; 0 without one.
    pub(super) fn end_ms(&self) -> i64 {
        self.files
            .read()
            .last_header()
            .map_or(0, |last| last.end_ms)
    }

    /// Everything before this log offset is in the index.
    pub(super) fn indexed(&self) -> i64 {
        self.indexed.load(Ordering::Acquire)
    }

    fn error(&self, op: &'static str) -> impl Fn(std::io::Error) -> Error {
        let dir = self.dir.display().to_string();
        move |e| Error::io(op, dir.clone(), e)
    }

    fn check_failed(&self) -> Result<()> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let context = format!("{}: after an earlier failure", self.dir.display());
        Err(Error::new(ErrorKind::ReadOnly, "store.index", context))
    }

    /// Deletes the files whose records are all before the start of the log, except the newest.
    pub(super) fn expire(&self, log_min: i64) -> Result<()> {
        let error = self.error("store.index.expire");
        let mut files = self.files.write();
        let last = files.sealed.len() + usize::from(files.current.is_some());
        let mut gone = 0;
        for file in files.sealed.iter().take(last.saturating_sub(1)) {
            if file.header.end_offset >= log_min {
                break;
            }
            match self.disk.remove(&file.path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(error(e)),
                _ => {}
            }
            tracing::info!(path = %file.path.display(), "deleted an index file");
            gone += 1;
        }
        if gone > 0 {
            files.sealed.drain(..gone);
            self.disk.sync_dir(&self.dir).map_err(error)?;
        }
        Ok(())
    }
}
