//! Mapped files: the only place of the store that touches raw memory.
//!
//! A [`Region`] is a mapping that is written front to back by one [`RegionWriter`] and read by
//! anyone, but only up to what the writer has published. The published length only grows, so a
//! slice once handed out stays valid and unchanged as long as its region lives.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};

/// A mapping whose first bytes, up to the published length, are readable and never change.
pub struct Region {
    map: MmapRaw,
    /// Readable bytes. Only the writer raises it, with `Release`, after the bytes are there.
    published: AtomicUsize,
    /// Not backed by a file.
    anonymous: bool,
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("capacity", &self.capacity())
            .field("published", &self.published())
            .finish()
    }
}

/// The sole right to write to a region behind its published length.
#[derive(Debug)]
pub struct RegionWriter {
    region: Arc<Region>,
}

impl Region {
    /// Maps the first `len` bytes of `file` for reading; all of them are published.
    pub fn map_file(file: &File, len: usize) -> io::Result<Arc<Self>> {
        check_len(file, len)?;
        let map = MmapOptions::new().len(len).map_raw_read_only(file)?;
        Ok(Arc::new(Self::new(map, len, false)))
    }

    /// Maps the first `len` bytes of `file` for appending from `start` on.
    pub fn map_file_for_append(
        file: &File,
        len: usize,
        start: usize,
    ) -> io::Result<(Arc<Self>, RegionWriter)> {
        check_len(file, len)?;
        let map = MmapOptions::new().len(len).map_raw(file)?;
        Ok(Self::with_writer(map, start.min(len), false))
    }

    /// Memory of `len` bytes that begins with `content`, the first `start` bytes published.
    pub fn anonymous(
        len: usize,
        content: &[u8],
        start: usize,
    ) -> io::Result<(Arc<Self>, RegionWriter)> {
        let mut map = MmapOptions::new().len(len.max(1)).map_anon()?;
        let filled = content.len().min(len);
        map[..filled].copy_from_slice(&content[..filled]);
        Ok(Self::with_writer(MmapRaw::from(map), start.min(len), true))
    }

    fn new(map: MmapRaw, published: usize, anonymous: bool) -> Self {
        Self {
            map,
            published: AtomicUsize::new(published),
            anonymous,
        }
    }

    fn with_writer(map: MmapRaw, published: usize, anonymous: bool) -> (Arc<Self>, RegionWriter) {
        let region = Arc::new(Self::new(map, published, anonymous));
        let writer = RegionWriter {
            region: Arc::clone(&region),
        };
        (region, writer)
    }

    /// Bytes of the mapping.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.map.len()
    }

    /// Bytes that are readable.
    #[must_use]
    pub fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// All that is readable.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let len = self.published();
        // SAFETY: the mapping is at least `len` long and lives as long as `self`; bytes below the
        // published length are initialized and are never written again (`RegionWriter` writes only
        // behind it, and there is one writer at most).
        unsafe { std::slice::from_raw_parts(self.map.as_ptr(), len) }
    }

    /// The bytes `start..start + len`, if all of them are readable.
    #[must_use]
    pub fn get(&self, start: usize, len: usize) -> Option<&[u8]> {
        self.bytes().get(start..start.checked_add(len)?)
    }

    /// A reference-counted slice of the readable bytes.
    #[must_use]
    pub fn slice(self: &Arc<Self>, start: usize, len: usize) -> Option<LogSlice> {
        self.get(start, len)?;
        Some(LogSlice {
            region: Arc::clone(self),
            start,
            len,
        })
    }

    /// The part of `range` that is mapped, widened to whole pages, with the page size.
    fn pages(&self, range: Range<usize>) -> Option<(Range<usize>, usize)> {
        let page = page_bytes();
        let end = range.end.min(self.capacity());
        let start = range.start / page * page;
        (start < end).then_some((start..end, page))
    }

    /// Whether every page of `range` is in memory, so that reading it does not wait for a disk.
    /// Unknown counts as yes.
    #[must_use]
    pub fn is_resident(&self, range: Range<usize>) -> bool {
        if self.anonymous {
            return true;
        }
        let Some((range, page)) = self.pages(range) else {
            return true;
        };
        let mut states = [0u8; 256];
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(states.len() * page);
            let count = len.div_ceil(page);
            // SAFETY: `at` is a multiple of the page size inside the mapping, `len` stays inside
            // it, and `states` has one byte for each of the `count` pages.
            let result = unsafe {
                let start = self.map.as_mut_ptr().add(at).cast();
                libc::mincore(start, len, states.as_mut_ptr().cast())
            };
            if result != 0 {
                return true;
            }
            if states[..count].iter().any(|state| state & 1 == 0) {
                return false;
            }
            at += len;
        }
        true
    }

    /// Makes the pages of `range` present and writable ahead of their use. Contents stay. False
    /// when the system cannot.
    pub fn populate_write(&self, range: Range<usize>) -> bool {
        self.advise(populate_write(), range)
    }

    /// Reads the pages of `range` into memory, waiting for the disk. False when the system cannot.
    pub fn populate_read(&self, range: Range<usize>) -> bool {
        self.advise(populate_read(), range)
    }

    /// Lets go of the pages of `range`: they no longer count as this process's memory and stay in
    /// the system's cache, from where the next access maps them again. Contents stay.
    pub fn release(&self, range: Range<usize>) {
        let Some((range, _)) = self.pages(range).filter(|_| !self.anonymous) else {
            return;
        };
        let len = range.end - range.start;
        // SAFETY: the mapping is shared and of a file, so what is dropped are page table entries;
        // the bytes are kept by the page cache, dirty ones too.
        let released = unsafe {
            self.map
                .unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, len)
        };
        if let Err(error) = released {
            tracing::debug!(%error, "pages could not be released");
        }
    }

    /// Tells the system that `range` is about to be read front to back.
    pub fn expect_scan(&self, range: Range<usize>) {
        self.advise(Some(Advice::Sequential), range.clone());
        self.advise(Some(Advice::WillNeed), range);
    }

    /// Takes back [`expect_scan`](Self::expect_scan).
    pub fn expect_nothing(&self) {
        self.advise(Some(Advice::Normal), 0..self.capacity());
    }

    fn advise(&self, advice: Option<Advice>, range: Range<usize>) -> bool {
        match (advice, self.pages(range)) {
            (Some(advice), Some((range, _))) => {
                let len = range.end - range.start;
                self.map.advise_range(advice, range.start, len).is_ok()
            }
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }
}

#[cfg(target_os = "linux")]
fn populate_write() -> Option<Advice> {
    Some(Advice::PopulateWrite)
}

#[cfg(not(target_os = "linux"))]
fn populate_write() -> Option<Advice> {
    None
}

#[cfg(target_os = "linux")]
fn populate_read() -> Option<Advice> {
    Some(Advice::PopulateRead)
}

#[cfg(not(target_os = "linux"))]
fn populate_read() -> Option<Advice> {
    Some(Advice::WillNeed)
}

fn check_len(file: &File, len: usize) -> io::Result<()> {
    // Touching a mapped page behind the end of the file would be a SIGBUS.
    if file.metadata()?.len() < len as u64 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn page_bytes() -> usize {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    let known = PAGE.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // SAFETY: sysconf only reads; it has no preconditions.
    let asked = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(asked).unwrap_or(0).max(1024);
    PAGE.store(page, Ordering::Relaxed);
    page
}

impl RegionWriter {
    /// The region written to.
    #[must_use]
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Where the next byte goes.
    #[must_use]
    pub fn position(&self) -> usize {
        // Only this writer changes it.
        self.region.published.load(Ordering::Relaxed)
    }

    /// Bytes left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.region.capacity() - self.position()
    }

    /// The next `len` bytes, not readable yet by anyone else. `None` when there is no room.
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        let position = self.position();
        if len > self.region.capacity() - position {
            return None;
        }
        // SAFETY: `position + len` is inside the mapping, which was mapped writable because a
        // writer exists for it. Nobody reads behind the published length and no second writer can
        // be made, so for the life of `&mut self` this is the only reference to these bytes. All
        // bytes of a mapping are initialized.
        Some(unsafe {
            let start = self.region.map.as_mut_ptr().add(position);
            std::slice::from_raw_parts_mut(start, len)
        })
    }

    /// Makes the next `len` bytes readable. They keep their value from then on.
    ///
    /// # Panics
    /// When fewer bytes are left.
    pub fn publish(&mut self, len: usize) {
        assert!(len <= self.remaining(), "published behind the end");
        let position = self.position() + len;
        self.region.published.store(position, Ordering::Release);
    }
}

/// Bytes of the log, without a copy. The mapping stays as long as one of its slices does.
#[derive(Clone)]
pub struct LogSlice {
    region: Arc<Region>,
    start: usize,
    len: usize,
}

impl LogSlice {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same bytes as [`Bytes`], still without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// Whether reading it does not wait for a disk.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        self.region.is_resident(self.start..self.start + self.len)
    }

    /// Reads it into memory, waiting for the disk once instead of at each page.
    pub fn populate(&self) {
        self.region.populate_read(self.start..self.start + self.len);
    }
}

impl AsRef<[u8]> for LogSlice {
    fn as_ref(&self) -> &[u8] {
        self.region.get(self.start, self.len).unwrap_or_default()
    }
}

impl Deref for LogSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl From<LogSlice> for Bytes {
    fn from(slice: LogSlice) -> Self {
        slice.into_bytes()
    }
}

impl fmt::Debug for LogSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogSlice({} bytes at {})", self.len, self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_published_bytes_are_readable() {
        let (region, mut writer) = Region::anonymous(100, b"old", 3).unwrap();
        assert_eq!(region.bytes(), b"old");
        writer.reserve(3).unwrap().copy_from_slice(b"new");
        assert_eq!(region.bytes(), b"old");
        assert!(region.slice(1, 3).is_none());
        writer.publish(3);
        let slice = region.slice(2, 4).unwrap();
        assert_eq!(&*slice, b"dnew");
        assert!(region.get(usize::MAX, 2).is_none());
        assert!(writer.reserve(94).is_some() && writer.reserve(95).is_none());
        drop((region, writer));
        assert_eq!(slice.into_bytes(), b"dnew".as_slice());
    }

    #[test]
    fn released_pages_keep_their_contents() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100_000).unwrap();
        let (mapped, writer) = Region::map_file_for_append(&file, 100_000, 0).unwrap();
        let (anonymous, other) = Region::anonymous(100_000, &[], 0).unwrap();
        for (region, mut writer) in [(mapped, writer), (anonymous, other)] {
            writer.reserve(50_000).unwrap().fill(7);
            writer.publish(50_000);
            region.release(0..50_000);
            assert!(region.bytes()[..50_000].iter().all(|&b| b == 7));
            region.release(90_000..200_000);
        }
    }

    #[test]
    fn a_real_file_is_shared_with_its_mapping_and_never_mapped_beyond_its_end() {
        let mut file = tempfile::tempfile().unwrap();
        assert!(Region::map_file(&file, 1).is_err());
        file.set_len(10_000).unwrap();
        assert!(Region::map_file_for_append(&file, 10_001, 0).is_err());
        let (region, mut writer) = Region::map_file_for_append(&file, 10_000, 0).unwrap();
        region.populate_write(0..10_000);
        writer.reserve(5).unwrap().copy_from_slice(b"hello");
        writer.publish(5);
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert!(text.starts_with("hello\0"));
        assert!(region.is_resident(0..10_000));
        assert!(region.is_resident(20_000..30_000));
        let read = Region::map_file(&file, 10_000).unwrap();
        assert_eq!(read.bytes().len(), 10_000);
        assert_eq!(read.get(0, 5).unwrap(), b"hello");
    }
}
