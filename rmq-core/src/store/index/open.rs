//! Which index files are taken over when a store is opened.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use parking_lot::{Mutex, RwLock};

use super::build::Builder;
use super::files::{Current, Sealed, is_file_name};
use super::layout::{Header, Shape};
use super::{Files, Index};
use crate::base::error::{Error, Result};
use crate::store::bell::Bell;
use crate::store::checkpoint::Checkpoint;
use crate::store::disk::{Disk, Entry};
use crate::store::metadata::create_dirs_durably;
use crate::store::options::StoreOptions;

const OP: &str = "store.index.open";

/// By what a file is judged.
#[derive(Clone, Copy, Debug)]
struct Judge {
    shape: Shape,
    log_end: i64,
    /// Newer files may not be whole; `None` after a clean stop.
    durable_ms: Option<i64>,
}

impl Judge {
    /// Why a file is not taken over, if so; `previous` is the one before it.
    fn refuse(&self, header: &Header, previous: Option<&Header>) -> Option<&'static str> {
        if header.is_empty() {
            Some("it is empty")
        } else if header.count > self.shape.entries() || header.begin_offset < 0 {
            Some("its header cannot be")
        } else if header.end_offset >= self.log_end {
            Some("the log does not go that far")
        } else if self.durable_ms.is_some_and(|time| header.end_ms > time) {
            Some("it is newer than the checkpoint")
        } else if previous.is_some_and(|before| before.end_offset > header.begin_offset) {
            Some("it overlaps the one before it")
        } else {
            None
        }
    }
}

fn read_header(disk: &dyn Disk, path: &Path) -> io::Result<Header> {
    Header::read(&*disk.open(path)?)
}

impl Index {
    /// Takes over the files that belong to a log that ends at `log_end`; the first that does not,
    /// and those after it, are removed. What they held is indexed again from the log.
    pub(in crate::store) fn open(
        options: &StoreOptions,
        disk: &Arc<dyn Disk>,
        checkpoint: &Checkpoint,
        aborted: bool,
        log_end: i64,
    ) -> Result<Self> {
        let dir = options.root.join("index");
        let error = |e| Error::io(OP, dir.display().to_string(), e);
        if options.index.build {
            create_dirs_durably(&**disk, &[&dir]).map_err(error)?;
        }
        let shape = Shape::new(options.index.hash_slots, options.index.max_entries);
        let judge = Judge {
            shape,
            log_end,
            durable_ms: aborted.then_some(checkpoint.index_timestamp_ms),
        };
        let entries = match disk.list(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other.map_err(error)?,
        };
        let sealed = take_over(&**disk, &dir, &entries, judge).map_err(error)?;
        let files = open_last(&**disk, sealed, shape).map_err(error)?;
        Ok(Self {
            options: options.index,
            shape,
            disk: Arc::clone(disk),
            dir,
            files: RwLock::new(files),
            builder: Mutex::new(Builder::default()),
            indexed: AtomicI64::new(0),
            failed: AtomicBool::new(false),
            bell: Bell::default(),
        })
    }

    /// Removes all files: the log is another one.
    pub(super) fn remove_all(&self) -> io::Result<()> {
        let mut files = self.files.write();
        let gone = std::mem::take(&mut *files);
        let paths = gone.sealed.iter().map(|file| file.path.as_path());
        for path in paths.chain(gone.current.as_ref().map(Current::path)) {
            self.disk.remove(path)?;
        }
        self.disk.sync_dir(&self.dir)
    }
}

fn take_over(
    disk: &dyn Disk,
    dir: &Path,
    entries: &[Entry],
    judge: Judge,
) -> io::Result<Vec<Sealed>> {
    let mut taken: Vec<Sealed> = Vec::new();
    let mut refused = false;
    for entry in entries {
        let path = dir.join(&entry.name);
        if entry.is_dir || !is_file_name(&entry.name) {
            tracing::warn!(path = %path.display(), "not an index file");
            continue;
        }
        let mut reason = Some("one before it was removed");
        if !refused {
            reason = Some("it has another length than maxHashSlotNum and maxIndexNum make");
            if entry.len == judge.shape.file_len() {
                let header = read_header(disk, &path)?;
                reason = judge.refuse(&header, taken.last().map(|file| &file.header));
                if reason.is_none() {
                    let name = entry.name.clone();
                    taken.push(Sealed { name, path, header });
                    continue;
                }
            }
        }
        let reason = reason.unwrap_or_default();
        tracing::warn!(path = %path.display(), reason, "removed an index file");
        disk.remove(&path)?;
        refused = true;
    }
    if refused {
        // Before a file is made in its place: the two must not meet after a loss of power.
        disk.sync_dir(dir)?;
    }
    Ok(taken)
}

/// The last file is gone on with unless it is full.
fn open_last(disk: &dyn Disk, mut sealed: Vec<Sealed>, shape: Shape) -> io::Result<Files> {
    let is_open = |file: &mut Sealed| file.header.count < shape.entries();
    let current = match sealed.pop_if(is_open) {
        Some(last) => Some(Current::open(disk, last, shape)?),
        None => None,
    };
    Ok(Files {
        sealed: sealed.into_iter().map(Arc::new).collect(),
        current,
    })
}
