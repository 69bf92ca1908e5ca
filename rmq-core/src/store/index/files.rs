//! Index files: full ones, which are only read, and the one that is being filled.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::Put;
use super::layout::{ENTRY_LEN, Entry, HEADER_LEN, Header, Shape};
use super::slots::Slots;
use crate::store::disk::{Disk, DiskFile};
use crate::store::local_time;

/// Bytes of entries that are read at once: those of one key often lie close together.
const BLOCK_LEN: u64 = 8192;

const NAME_LEN: usize = 17;

/// Whether a name is that of an index file: the local time of its making to the millisecond.
pub(super) fn is_file_name(name: &str) -> bool {
    name.len() == NAME_LEN && name.bytes().all(|b| b.is_ascii_digit())
}

/// The name of a file that is made now, behind the name before it whatever the clock says: names
/// tell the order of the files.
pub(super) fn name_after(last: Option<&str>, now_ms: i64) -> String {
    let now = local_time::digits(now_ms);
    let least = last
        .and_then(|name| name.parse::<u64>().ok())
        .map_or(0, |last| last + 1);
    match now.parse::<u64>() {
        Ok(time) if time >= least => now,
        _ => format!("{least:017}"),
    }
}

/// A file that takes no more entries.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) header: Header,
}

/// The file that is being filled.
#[derive(Debug)]
pub(super) struct Current {
    name: String,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    shape: Shape,
    header: Header,
    slots: Slots,
    /// Entries that are not in the file yet, the last ones.
    tail: Vec<u8>,
    /// Number of the first of them.
    tail_first: i32,
    /// Entries before are durable, and so are header and slots as they were then.
    durable: i32,
}

impl Current {
    /// Makes a file, with its name durable, that follows one with the header `previous`.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        name: String,
        shape: Shape,
        previous: Option<&Header>,
    ) -> io::Result<Self> {
        let path = dir.join(&name);
        let make = || -> io::Result<Arc<dyn DiskFile>> {
            let file = disk.create(&path)?;
            file.set_len(shape.file_len())?;
            disk.sync_dir(dir)?;
            Ok(file)
        };
        let file = make().inspect_err(|_| {
            // What is left of it is empty, and the next start removes it.
            let _ = disk.remove(&path);
        })?;
        let header = Header::after(previous);
        Ok(Self::new(name, path, file, shape, header))
    }

    /// Goes on with a file that is there.
    pub(super) fn open(disk: &dyn Disk, sealed: Sealed, shape: Shape) -> io::Result<Self> {
        let file = disk.open(&sealed.path)?;
        Ok(Self::new(
            sealed.name,
            sealed.path,
            file,
            shape,
            sealed.header,
        ))
    }

    fn new(
        name: String,
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        shape: Shape,
        header: Header,
    ) -> Self {
        Self {
            name,
            path,
            file,
            shape,
            header,
            slots: Slots::new(shape),
            tail: Vec::new(),
            tail_first: header.count,
            durable: header.count,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn is_full(&self) -> bool {
        self.header.count >= self.shape.entries()
    }

    /// Whether there is something that is not durable.
    pub(super) fn is_dirty(&self) -> bool {
        self.durable < self.header.count
    }

    /// Bytes of entries in memory.
    pub(super) fn tail_len(&self) -> usize {
        self.tail.len()
    }

    /// Adds a key, in memory. Not to a full file.
    pub(super) fn put(&mut self, put: &Put) -> io::Result<()> {
        let header = &mut self.header;
        let number = header.count;
        let slot = self.shape.slot_of(put.hash);
        let newest = self.slots.replace(&*self.file, slot, number)?;
        let before = if header.has(newest) { newest } else { 0 };
        let seconds = match header.begin_ms {
            ..=0 => 0,
            begin => put.store_ms.saturating_sub(begin).max(0) / 1000,
        };
        let entry = Entry {
            hash: put.hash,
            offset: put.offset,
            seconds: i32::try_from(seconds).unwrap_or(i32::MAX),
            before,
        };
        self.tail.extend_from_slice(&entry.encode());
        if header.is_empty() {
            header.begin_offset = put.offset;
            header.begin_ms = put.store_ms;
        }
        if before == 0 {
            header.used_slots += 1;
        }
        header.count += 1;
        header.end_offset = put.offset;
        header.end_ms = put.store_ms;
        Ok(())
    }

    /// Writes the entries in memory to the file. The header does not count them yet.
    pub(super) fn write_tail(&self) -> io::Result<()> {
        match self.tail.is_empty() {
            true => Ok(()),
            false => self
                .file
                .write_at(&self.tail, self.shape.entry_at(self.tail_first)),
        }
    }

    /// Takes note that they were written.
    pub(super) fn tail_written(&mut self) {
        self.tail.clear();
        self.tail_first = self.header.count;
    }

    /// Makes entries durable and then the header that counts them. The slots do not lead to them
    /// yet: a file whose header is newer than its slots is told by its time, see `flush_index`.
    pub(super) fn write_counted(&self) -> io::Result<()> {
        self.write_tail()?;
        self.file.sync_data()?;
        self.file.write_at(&self.header.encode(), 0)?;
        self.file.sync_data()
    }

    /// Makes the slots durable.
    pub(super) fn write_slots(&self) -> io::Result<()> {
        self.slots.write(&*self.file)?;
        self.file.sync_data()
    }

    /// Takes note that everything is durable.
    pub(super) fn all_written(&mut self) {
        self.tail_written();
        // Little was added: reading a page again later costs less than keeping all of them.
        let added = (self.header.count - self.durable).unsigned_abs() as usize;
        self.slots.clean(added < self.slots.loaded());
        self.durable = self.header.count;
    }

    pub(super) fn into_sealed(self) -> Sealed {
        Sealed {
            name: self.name,
            path: self.path,
            header: self.header,
        }
    }

    /// A reader of what is there now.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            memory: Some(self),
            file: Arc::clone(&self.file),
            shape: self.shape,
            header: self.header,
            block: Vec::new(),
            block_at: 0,
        }
    }
}

impl Sealed {
    /// Opens the file for reading.
    pub(super) fn reader(&self, disk: &dyn Disk, shape: Shape) -> io::Result<Reader<'static>> {
        Ok(Reader {
            memory: None,
            file: disk.open(&self.path)?,
            shape,
            header: self.header,
            block: Vec::new(),
            block_at: 0,
        })
    }
}

/// Reads slots and entries of one file.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The file being filled: some of it is in memory only.
    memory: Option<&'a Current>,
    file: Arc<dyn DiskFile>,
    shape: Shape,
    header: Header,
    block: Vec<u8>,
    block_at: u64,
}

impl Reader<'_> {
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Number of the newest entry that may have this hash; 0 for none.
    pub(super) fn newest(&self, hash: i32) -> io::Result<i32> {
        let slot = self.shape.slot_of(hash);
        let number = match self.memory {
            Some(current) => current.slots.get(&*self.file, slot)?,
            None => {
                let mut bytes = [0; 4];
                self.file
                    .read_exact_at(&mut bytes, self.shape.slot_at(slot))?;
                i32::from_be_bytes(bytes)
            }
        };
        Ok(if self.header.has(number) { number } else { 0 })
    }

    /// An entry that is there.
    pub(super) fn entry(&mut self, number: i32) -> io::Result<Entry> {
        if let Some(current) = self.memory
            && let Ok(index) = usize::try_from(number - current.tail_first)
        {
            let bytes = current.tail.get(index * ENTRY_LEN..).unwrap_or_default();
            return Ok(Entry::decode(bytes));
        }
        let at = self.shape.entry_at(number);
        let inside = |from: u64, len: usize| {
            let skip = usize::try_from(at.checked_sub(from)?).ok()?;
            (skip + ENTRY_LEN <= len).then_some(skip)
        };
        if inside(self.block_at, self.block.len()).is_none() {
            // Entries of a key are read from the newest to the oldest.
            let end = at + ENTRY_LEN as u64;
            self.block_at = end.saturating_sub(BLOCK_LEN).max(HEADER_LEN as u64);
            self.block
                .resize(usize::try_from(end - self.block_at).unwrap_or(0), 0);
            self.file.read_exact_at(&mut self.block, self.block_at)?;
        }
        let skip = inside(self.block_at, self.block.len());
        let bytes = skip.and_then(|skip| self.block.get(skip..));
        Ok(Entry::decode(bytes.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_grow_even_when_the_clock_does_not() {
        let first = name_after(None, 1_795_357_533_837);
        assert!(is_file_name(&first), "{first}");
        assert!(
            first.starts_with("2026") && first.ends_with("33837"),
            "{first}"
        );
        let same = name_after(Some(&first), 1_795_357_533_837);
        assert_eq!(same, format!("{:017}", first.parse::<u64>().unwrap() + 1));
        let back = name_after(Some(&same), 0);
        assert!(same < back && is_file_name(&back), "{back}");
        for wrong in ["", "2026", "2026112219000000x", "202611221900000000"] {
            assert!(!is_file_name(wrong), "{wrong}");
        }
    }
}
