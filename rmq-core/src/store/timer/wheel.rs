//! The timer wheel: for each tick of two weeks, where the chain of its units begins and ends.
//!
//! The file is sparse and is not mapped: slots that changed are kept in memory until the timer log
//! that they lead into is durable, so that the file never leads to units that do not exist.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::store::disk::{Disk, DiskFile};
use crate::store::metadata::create_dirs_durably;

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 32;

/// Slots of the file: seven days of seconds, twice.
pub const SLOTS: i64 = 7 * 24 * 3600 * 2;

/// Bytes read at a time when all slots are looked at.
const SCAN_BYTES: usize = SLOT_BYTES * 2048;

/// One slot of the wheel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// The tick that it stands for: its time divided by the length of a tick.
    pub tick: i64,
    /// Position of its oldest unit.
    pub first: i64,
    /// Position of its newest unit; -1 when it has none.
    pub last: i64,
    /// Messages that wait in it: those that are taken back count against those that are not.
    pub num: i32,
    /// Not used; kept as it is.
    pub magic: i32,
}

impl Slot {
    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[0..8].copy_from_slice(&self.tick.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.last.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.num.to_be_bytes());
        bytes[28..32].copy_from_slice(&self.magic.to_be_bytes());
        bytes
    }

    /// Reads a slot; one that was never used has the tick 0.
    #[must_use]
    pub fn decode(bytes: &[u8; SLOT_BYTES]) -> Self {
        let long = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            i64::from_be_bytes(eight)
        };
        let both = long(24);
        Self {
            tick: long(0),
            first: long(8),
            last: long(16),
            num: (both >> 32) as i32,
            magic: both as i32,
        }
    }
}

/// The file. Not synchronised.
#[derive(Debug)]
pub struct Wheel {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// How many slots the file has.
    slots: i64,
    file: Option<Arc<dyn DiskFile>>,
    /// Slots that are newer than the file, by their number.
    dirty: BTreeMap<i64, Slot>,
}

impl Wheel {
    /// Opens the file, if there is one; it is made with the first slot that is written. Says
    /// whether there was one that can be used.
    pub fn open(disk: Arc<dyn Disk>, path: PathBuf, slots: i64) -> io::Result<(Self, bool)> {
        let mut wheel = Self {
            disk,
            path,
            slots,
            file: None,
            dirty: BTreeMap::new(),
        };
        if !wheel.disk.exists(&wheel.path)? {
            return Ok((wheel, false));
        }
        let file = wheel.disk.open(&wheel.path)?;
        if file.len()? != wheel.bytes() {
            let path = wheel.path.display();
            tracing::warn!(%path, "a timer wheel of another size is made anew");
            file.set_len(0)?;
            file.set_len(wheel.bytes())?;
            wheel.file = Some(file);
            return Ok((wheel, false));
        }
        wheel.file = Some(file);
        Ok((wheel, true))
    }

    fn number(&self, tick: i64) -> i64 {
        tick.rem_euclid(self.slots)
    }

    fn bytes(&self) -> u64 {
        self.slots.unsigned_abs() * SLOT_BYTES as u64
    }

    /// What lies where the slot of `tick` is: it may be that of another tick.
    pub fn raw(&self, tick: i64) -> io::Result<Slot> {
        let number = self.number(tick);
        if let Some(slot) = self.dirty.get(&number) {
            return Ok(*slot);
        }
        let mut bytes = [0; SLOT_BYTES];
        if let Some(file) = &self.file {
            file.read_exact_at(&mut bytes, number.unsigned_abs() * SLOT_BYTES as u64)?;
        }
        Ok(Slot::decode(&bytes))
    }

    /// Replaces a slot, in memory.
    pub fn put(&mut self, slot: Slot) {
        let number = self.number(slot.tick);
        self.dirty.insert(number, slot);
    }

    /// How many slots are to be written.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// Writes what changed and makes it durable. The timer log has to be durable before.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let dir = self.path.parent().unwrap_or(std::path::Path::new("."));
                create_dirs_durably(&*self.disk, &[dir])?;
                let file = self.disk.create(&self.path)?;
                file.set_len(self.bytes())?;
                self.disk.sync_dir(dir)?;
                self.file = Some(Arc::clone(&file));
                file
            }
        };
        for (number, slot) in &self.dirty {
            file.write_at(&slot.encode(), number.unsigned_abs() * SLOT_BYTES as u64)?;
        }
        file.sync_data()?;
        self.dirty.clear();
        Ok(())
    }

    /// Shows every slot of the file that has units and stands for `from` or a later tick.
    pub fn scan(&self, from: i64, visit: &mut dyn FnMut(Slot)) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut chunk = vec![0; SCAN_BYTES];
        let mut number = 0;
        while number < self.slots {
            let at = number.unsigned_abs() * SLOT_BYTES as u64;
            let got = file.read_at(&mut chunk, at)?;
            let (slots, _) = chunk[..got].as_chunks::<SLOT_BYTES>();
            if slots.is_empty() {
                break;
            }
            for bytes in slots {
                let slot = Slot::decode(bytes);
                let is_own = slot.tick > 0 && self.number(slot.tick) == number;
                if is_own && slot.tick >= from && slot.last >= 0 {
                    visit(slot);
                }
                number += 1;
            }
        }
        Ok(())
    }
}
