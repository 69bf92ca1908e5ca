//! The hash slots of the file that is being filled, in memory as far as they were used.
//!
//! Slots are hit at random, so a page of them is read when it is first needed and written only when
//! the file is made durable.

use std::io;

use super::layout::{SLOT_LEN, Shape};
use crate::store::disk::DiskFile;

const PAGE_SLOTS: usize = 1024;
const PAGE_LEN: usize = PAGE_SLOTS * SLOT_LEN;
/// Neighbouring pages are written together up to this length.
const WRITE_LEN: usize = 256 << 10;

#[derive(Debug)]
struct Page {
    bytes: Box<[u8; PAGE_LEN]>,
    dirty: bool,
}

#[derive(Debug)]
pub(super) struct Slots {
    shape: Shape,
    pages: Vec<Option<Page>>,
    loaded: usize,
}

fn place(slot: i32) -> (usize, usize) {
    let slot = slot.unsigned_abs() as usize;
    (slot / PAGE_SLOTS, slot % PAGE_SLOTS * SLOT_LEN)
}

fn number_at(bytes: &[u8], at: usize) -> i32 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| i32::from_be_bytes(*field))
}

impl Slots {
    /// Of a file of this shape; nothing is read yet.
    pub(super) fn new(shape: Shape) -> Self {
        let slots = shape.slots().unsigned_abs() as usize;
        let mut pages = Vec::new();
        pages.resize_with(slots.div_ceil(PAGE_SLOTS), || None);
        Self {
            shape,
            pages,
            loaded: 0,
        }
    }

    /// Position of a page in the file, and its length: the last one may be short.
    fn extent(&self, page: usize) -> (u64, usize) {
        let first = page * PAGE_SLOTS;
        let slots = (self.shape.slots().unsigned_abs() as usize - first).min(PAGE_SLOTS);
        let at = self.shape.slot_at(i32::try_from(first).unwrap_or(i32::MAX));
        (at, slots * SLOT_LEN)
    }

    /// Number of the newest entry of a slot.
    pub(super) fn get(&self, file: &dyn DiskFile, slot: i32) -> io::Result<i32> {
        let (page, at) = place(slot);
        if let Some(Some(page)) = self.pages.get(page) {
            return Ok(number_at(&*page.bytes, at));
        }
        let mut bytes = [0; SLOT_LEN];
        file.read_at(&mut bytes, self.shape.slot_at(slot))?;
        Ok(i32::from_be_bytes(bytes))
    }

    /// Sets a slot, in memory; returns what it was.
    pub(super) fn replace(
        &mut self,
        file: &dyn DiskFile,
        slot: i32,
        number: i32,
    ) -> io::Result<i32> {
        let (index, at) = place(slot);
        let (position, len) = self.extent(index);
        let page = &mut self.pages[index];
        let page = match page {
            Some(page) => page,
            None => {
                let mut bytes = Box::new([0; PAGE_LEN]);
                file.read_at(&mut bytes[..len], position)?;
                self.loaded += 1;
                page.insert(Page {
                    bytes,
                    dirty: false,
                })
            }
        };
        let before = number_at(&*page.bytes, at);
        page.bytes[at..at + SLOT_LEN].copy_from_slice(&number.to_be_bytes());
        page.dirty = true;
        Ok(before)
    }

    /// Pages in memory.
    pub(super) fn loaded(&self) -> usize {
        self.loaded
    }

    /// Writes what was set since the last [`clean`](Self::clean) to the file.
    pub(super) fn write(&self, file: &dyn DiskFile) -> io::Result<()> {
        let mut run: Vec<u8> = Vec::new();
        let mut run_at = 0;
        for (index, page) in self.pages.iter().enumerate() {
            let Some(page) = page.as_ref().filter(|page| page.dirty) else {
                continue;
            };
            let (at, len) = self.extent(index);
            if run_at + run.len() as u64 != at || run.len() >= WRITE_LEN {
                if !run.is_empty() {
                    file.write_at(&run, run_at)?;
                }
                run.clear();
                run_at = at;
            }
            run.extend_from_slice(&page.bytes[..len]);
        }
        if !run.is_empty() {
            file.write_at(&run, run_at)?;
        }
        Ok(())
    }

    /// Takes note that everything was written; with `forget` the memory is given back.
    pub(super) fn clean(&mut self, forget: bool) {
        for page in &mut self.pages {
            match page {
                Some(_) if forget => *page = None,
                Some(page) => page.dirty = false,
                None => {}
            }
        }
        if forget {
            self.loaded = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::base::clock::ManualClock;
    use crate::store::disk::{Disk as _, MemDisk};

    #[test]
    fn slots_are_read_once_and_written_when_asked_for() {
        let disk = MemDisk::new(ManualClock::new(0));
        let shape = Shape::new(2500, 10);
        let file: Arc<dyn DiskFile> = disk.create(Path::new("/f")).unwrap();
        file.set_len(shape.file_len()).unwrap();
        file.write_at(&7i32.to_be_bytes(), shape.slot_at(2499))
            .unwrap();
        file.write_at(&[9; 4], shape.entry_at(0)).unwrap();
        let mut slots = Slots::new(shape);
        assert_eq!(slots.get(&*file, 2499).unwrap(), 7);
        assert_eq!(slots.loaded(), 0);
        for (slot, before) in [(0, 0), (2499, 7), (2499, 3), (1024, 0), (1023, 0)] {
            assert_eq!(slots.replace(&*file, slot, 3).unwrap(), before, "{slot}");
            assert_eq!(slots.get(&*file, slot).unwrap(), 3);
        }
        assert_eq!(slots.loaded(), 3);
        slots.write(&*file).unwrap();
        for forget in [false, true] {
            slots.clean(forget);
            for slot in [0, 1023, 1024, 2499] {
                assert_eq!(slots.get(&*file, slot).unwrap(), 3, "{slot}");
            }
            assert_eq!(slots.get(&*file, 1).unwrap(), 0);
        }
        assert_eq!(slots.loaded(), 0);
        // What lies behind the last slot is not touched.
        let mut behind = [0; 4];
        file.read_exact_at(&mut behind, shape.entry_at(0)).unwrap();
        assert_eq!(behind, [9; 4]);
    }
}
