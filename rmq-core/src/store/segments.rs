//! The files of the commit log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::disk::{Disk, DiskFile};
use super::mmap::{LogSlice, Region, RegionWriter};
use crate::base::error::{Error, ErrorKind, Result};

/// The name of the file that begins at `offset`: 20 decimal digits.
#[must_use]
pub fn file_name(offset: i64) -> String {
    format!("{offset:020}")
}

/// The offset that a file name stands for. `None` for names that are not 20 digits.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<i64> {
    let digits = name.len() == 20 && name.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| name.parse().ok()).flatten()
}

/// One mapped file of the commit log.
#[derive(Debug)]
pub struct Segment {
    base: i64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    region: Arc<Region>,
}

impl Segment {
    /// Log offset of its first byte.
    #[must_use]
    pub fn base(&self) -> i64 {
        self.base
    }

    /// Log offset behind its last byte.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.base + self.region.capacity() as i64
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its memory.
    #[must_use]
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// The bytes at log offset `offset`, if they are all inside what is written.
    #[must_use]
    pub fn slice(&self, offset: i64, len: usize) -> Option<LogSlice> {
        let start = usize::try_from(offset.checked_sub(self.base)?).ok()?;
        self.region.slice(start, len)
    }

    /// Makes its content durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A segment that can be appended to.
#[derive(Debug)]
pub struct OpenSegment {
    /// The segment.
    pub segment: Arc<Segment>,
    /// The right to write it.
    pub writer: RegionWriter,
}

/// The segments of a log, in order and without gaps.
#[derive(Debug)]
pub struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: usize,
    list: RwLock<Vec<Arc<Segment>>>,
}

/// The shortest file that a configuration may ask for: a shorter one was cut off.
const LEAST_BYTES: usize = 64 << 10;

/// The files found in a log directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    /// Length of every file.
    pub segment_bytes: usize,
    /// Where they begin, ascending, without gaps.
    pub bases: Vec<i64>,
}

impl Listing {
    /// Looks into `dir`. An empty last file is removed: it was being made when the power went.
    ///
    /// `Corrupt`: a file is missing between two others, or the lengths differ.
    pub fn read(disk: &dyn Disk, dir: &Path, segment_bytes: usize) -> Result<Self> {
        const OP: &str = "store.commitlog.list";
        let entries = match disk.list(dir) {
            Ok(entries) => entries,
            Err(e) => return Err(Error::io(OP, dir.display().to_string(), e)),
        };
        let mut files: Vec<(i64, u64)> = Vec::new();
        for entry in entries {
            match parse_file_name(&entry.name) {
                Some(base) if !entry.is_dir => files.push((base, entry.len)),
                _ => tracing::warn!(dir = %dir.display(), name = entry.name, "not a log file"),
            }
        }
        while let Some(&(base, 0)) = files.last() {
            let path = dir.join(file_name(base));
            tracing::warn!(path = %path.display(), "removed an empty log file");
            disk.remove(&path)
                .map_err(|e| Error::io(OP, path.display().to_string(), e))?;
            files.pop();
        }
        let mut listing = Self {
            segment_bytes,
            bases: Vec::new(),
        };
        for (base, len) in files {
            listing.add(dir, base, len)?;
        }
        Ok(listing)
    }

    fn add(&mut self, dir: &Path, base: i64, len: u64) -> Result<()> {
        let corrupt = |what: String| {
            let path = dir.join(file_name(base));
            let context = format!("{}: {what}", path.display());
            Err(Error::new(
                ErrorKind::Corrupt,
                "store.commitlog.list",
                context,
            ))
        };
        let Some(&last) = self.bases.last() else {
            // A log keeps the length of file that it was made with.
            let least = self.segment_bytes.min(LEAST_BYTES);
            self.segment_bytes = match usize::try_from(len) {
                Ok(len) if i64::try_from(len).is_ok_and(|len| base % len == 0) && len >= least => {
                    len
                }
                _ => {
                    return corrupt(format!(
                        "{len} bytes are no file of a log that begins there"
                    ));
                }
            };
            self.bases.push(base);
            return Ok(());
        };
        let expected = last + self.segment_bytes as i64;
        if base != expected {
            let missing = file_name(expected);
            return corrupt(format!("the file before it is missing; expected {missing}"));
        }
        if len != self.segment_bytes as u64 {
            return corrupt(format!("{len} bytes instead of {}", self.segment_bytes));
        }
        self.bases.push(base);
        Ok(())
    }
}

impl Segments {
    /// No segments yet; files are `segment_bytes` long and lie in `dir`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, segment_bytes: usize) -> Self {
        Self {
            disk,
            dir,
            segment_bytes,
            list: RwLock::new(Vec::new()),
        }
    }

    /// Length of every file.
    #[must_use]
    pub fn segment_bytes(&self) -> usize {
        self.segment_bytes
    }

    /// The log offset at which the file holding `offset` begins.
    #[must_use]
    pub fn base_of(&self, offset: i64) -> i64 {
        offset - offset % self.segment_bytes as i64
    }

    fn path_of(&self, base: i64) -> PathBuf {
        self.dir.join(file_name(base))
    }

    fn error(&self, op: &'static str, base: i64) -> impl Fn(io::Error) -> Error {
        let path = self.path_of(base);
        move |e| Error::io(op, path.display().to_string(), e)
    }

    /// Maps an existing file for reading, all of it.
    pub fn open_whole(&self, base: i64) -> Result<Arc<Segment>> {
        let error = self.error("store.segment.open", base);
        let path = self.path_of(base);
        let file = self.disk.open(&path).map_err(&error)?;
        let region = file.map(self.segment_bytes).map_err(&error)?;
        Ok(Arc::new(Segment {
            base,
            path,
            file,
            region,
        }))
    }

    /// Maps an existing file to be appended to at `position`; zeroes what is behind it when
    /// `dirty`, durably.
    pub fn open_tail(&self, base: i64, position: usize, dirty: bool) -> Result<OpenSegment> {
        let error = self.error("store.segment.open", base);
        let path = self.path_of(base);
        let file = self.disk.open(&path).map_err(&error)?;
        let len = self.segment_bytes as u64;
        if dirty {
            file.zero_in_place(position as u64, len).map_err(&error)?;
        }
        file.allocate(len).map_err(&error)?;
        if dirty {
            file.sync_data().map_err(&error)?;
        }
        let (region, writer) = file
            .map_append(self.segment_bytes, position)
            .map_err(&error)?;
        let segment = Arc::new(Segment {
            base,
            path,
            file,
            region,
        });
        Ok(OpenSegment { segment, writer })
    }

    /// Makes a new file, durably, with all its blocks. A file that is there already is used when it
    /// was made ahead by an earlier run, which is when it has nothing but zeros; it is made anew.
    pub fn create(&self, base: i64) -> Result<OpenSegment> {
        let error = self.error("store.segment.create", base);
        let path = self.path_of(base);
        let len = self.segment_bytes as u64;
        let make = || -> io::Result<OpenSegment> {
            let file = self.disk.create(&path)?;
            // In full length first: a file of another length would stop Apache's broker.
            file.set_len(len)?;
            file.allocate(len)?;
            file.sync_data()?;
            self.disk.sync_dir(&self.dir)?;
            let (region, writer) = file.map_append(self.segment_bytes, 0)?;
            let segment = Segment {
                base,
                path: path.clone(),
                file,
                region,
            };
            Ok(OpenSegment {
                segment: Arc::new(segment),
                writer,
            })
        };
        make().map_err(|e| {
            // A file without its blocks must not stay: nothing would notice.
            if let Err(e) = self.disk.remove(&path)
                && e.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), error = %e, "cannot remove it again");
            }
            error(e)
        })
    }

    /// Removes the file that begins at `base`, durably.
    pub fn remove_file(&self, base: i64) -> Result<()> {
        let error = self.error("store.segment.remove", base);
        match self.disk.remove(&self.path_of(base)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(error(e)),
            _ => self.disk.sync_dir(&self.dir).map_err(error),
        }
    }

    /// Adds the next segment.
    pub fn push(&self, segment: Arc<Segment>) {
        self.list.write().push(segment);
    }

    /// All segments.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Segment>> {
        self.list.read().clone()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.read().len()
    }

    /// Log offset of the first byte there is. `None` when there are no segments.
    #[must_use]
    pub fn min_offset(&self) -> Option<i64> {
        self.list.read().first().map(|segment| segment.base())
    }

    /// The segment that holds the byte at `offset`.
    #[must_use]
    pub fn find(&self, offset: i64) -> Option<Arc<Segment>> {
        let list = self.list.read();
        let first = list.first()?.base();
        let index = usize::try_from(offset.checked_sub(first)?).ok()? / self.segment_bytes;
        list.get(index).cloned()
    }

    /// The bytes at log offset `offset`, if they lie in one file and inside what is written.
    #[must_use]
    pub fn slice(&self, offset: i64, len: usize) -> Option<LogSlice> {
        self.find(offset)?.slice(offset, len)
    }

    /// Takes the first segment out, if it begins at `base` and is not the last one. Its memory
    /// stays until nobody reads it any more.
    pub fn forget_first(&self, base: i64) -> bool {
        let mut list = self.list.write();
        if list.len() < 2 || list[0].base() != base {
            return false;
        }
        list.remove(0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::MemDisk;
    use super::*;
    use crate::base::clock::ManualClock;

    fn disk_with(files: &[(i64, u64)]) -> MemDisk {
        let disk = MemDisk::new(ManualClock::new(0));
        disk.create_dir(Path::new("/log")).unwrap();
        for &(base, len) in files {
            let path = Path::new("/log").join(file_name(base));
            disk.create(&path).unwrap().set_len(len).unwrap();
        }
        disk
    }

    fn listing(files: &[(i64, u64)]) -> Result<Listing> {
        Listing::read(&disk_with(files), Path::new("/log"), 300)
    }

    #[test]
    fn names_are_twenty_digits() {
        assert_eq!(file_name(1 << 30), "00000000001073741824");
        assert_eq!(parse_file_name("00000000001073741824"), Some(1 << 30));
        for wrong in [
            "",
            "1",
            "0000000000107374182x",
            "99999999999999999999",
            "+0000000000000000001",
        ] {
            assert_eq!(parse_file_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_log_keeps_its_length_of_file() {
        let found = listing(&[(500, 500), (1000, 500)]).unwrap();
        assert_eq!(
            found,
            Listing {
                segment_bytes: 500,
                bases: vec![500, 1000]
            }
        );
        let none = listing(&[]).unwrap();
        assert_eq!(
            none,
            Listing {
                segment_bytes: 300,
                bases: vec![]
            }
        );
        assert_eq!(listing(&[(0, 500), (500, 0)]).unwrap().bases, [0]);
    }

    #[test]
    fn holes_and_odd_lengths_are_named() {
        for (files, name) in [
            (&[(0, 500), (1000, 500)][..], "00000000000000000500"),
            (&[(0, 500), (500, 400)], "00000000000000000500"),
            (&[(0, 500), (500, 0), (1000, 500)], "00000000000000000500"),
            (&[(100, 500)], "00000000000000000100"),
            (&[(0, 7)], "00000000000000000000"),
        ] {
            let error = listing(files).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn segments_are_found_by_offset_and_only_what_is_written_is_read() {
        let disk = disk_with(&[]);
        let segments = Segments::new(disk.shared(), "/log".into(), 1000);
        let mut first = segments.create(3000).unwrap();
        let second = segments.create(4000).unwrap();
        segments.push(Arc::clone(&first.segment));
        segments.push(Arc::clone(&second.segment));
        first.writer.reserve(3).unwrap().copy_from_slice(b"abc");
        first.writer.publish(3);
        assert_eq!(&*segments.slice(3001, 2).unwrap(), b"bc");
        for (offset, len) in [
            (3001, 3),
            (2999, 1),
            (-1, 1),
            (4000, 1),
            (5000, 0),
            (i64::MIN, 1),
        ] {
            assert!(segments.slice(offset, len).is_none(), "{offset} {len}");
        }
        assert_eq!(segments.base_of(3999), 3000);
        let kept = segments.slice(3000, 3).unwrap();
        segments.remove_file(3000).unwrap();
        assert!(segments.forget_first(3000) && !segments.forget_first(4000));
        assert_eq!(&*kept, b"abc");
        assert!(segments.slice(3000, 3).is_none());
    }
}
