//! A disk in memory that knows what would survive a loss of power.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile, DiskLock, Entry, LOCK_TEXT, Metadata, PAGE_BYTES, Usage};
use crate::base::clock::SharedClock;
use crate::base::thread::ProcessMark;
use crate::store::mmap::{Region, RegionWriter};

/// A disk in memory. Clones share it.
///
/// It keeps two states: what programs see, and what has been made durable by `sync_data`,
/// `sync_dir` and `sync_all`. [`MemDisk::crash`] gives the disk that a machine finds after power
/// came back.
#[derive(Clone, Debug)]
pub struct MemDisk {
    shared: Arc<Mutex<State>>,
    clock: SharedClock,
}

/// What survives a crash besides what was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    Synced,
    /// Everything, as when only the process dies.
    Everything,
    /// Of each page and each directory that was not synced, a random choice.
    Random {
        /// Decides the choices.
        seed: u64,
        /// Pages may survive in part, in units of 512 bytes.
        torn: bool,
    },
}

#[derive(Debug, Default)]
struct State {
    live: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    locked: BTreeMap<PathBuf, ()>,
    capacity: Option<u64>,
    used_ratio: Option<f64>,
}

#[derive(Clone, Debug)]
enum Node {
    Dir,
    File(Arc<Mutex<Content>>),
}

#[derive(Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// A mapping that is being appended to: its published bytes are newer than `live`.
    mapped: Option<Arc<Region>>,
    modified_ms: i64,
    /// Bytes from the start that have blocks; what is behind is sparse.
    reserved: usize,
}

impl Content {
    /// Brings what was written through the mapping into `live`.
    fn refresh(&mut self) {
        if let Some(region) = &self.mapped {
            let bytes = region.bytes();
            let len = bytes.len().min(self.live.len());
            self.live[..len].copy_from_slice(&bytes[..len]);
            // Nobody writes through it any more: from now on the file is written as others are.
            if Arc::strong_count(region) == 1 {
                self.mapped = None;
            }
        }
    }

    fn sync(&mut self) {
        self.refresh();
        self.durable.clone_from(&self.live);
    }
}

/// A small generator of random numbers (xorshift*), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn coin(&mut self) -> bool {
        self.next() >> 63 == 0
    }
}

impl MemDisk {
    /// An empty disk with the root directory only. `clock` gives files their time.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        let root = || BTreeMap::from([(PathBuf::from("/"), Node::Dir)]);
        let state = State {
            live: root(),
            durable: root(),
            ..State::default()
        };
        Self {
            shared: Arc::new(Mutex::new(state)),
            clock,
        }
    }

    /// The same as a shared [`Disk`].
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// Limits the bytes of all files, without what is sparse; `None` takes the limit away.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.lock().capacity = bytes;
    }

    /// Makes `usage` report this ratio; `None` makes it report the truth again.
    pub fn set_used_ratio(&self, ratio: Option<f64>) {
        self.shared.lock().used_ratio = ratio;
    }

    /// The disk after a loss of power at this moment. This one stays as it is.
    ///
    /// What a writer of a mapping has not published yet does not survive in any mode.
    #[must_use]
    pub fn crash(&self, mode: Crash) -> Self {
        let seed = match mode {
            Crash::Random { seed, .. } => seed,
            Crash::Synced | Crash::Everything => 1,
        };
        let mut random = Random(seed | 1);
        for _ in 0..8 {
            random.next();
        }
        let state = self.shared.lock();
        let names = surviving_names(&state, mode, &mut random);
        let mut files = BTreeMap::new();
        for (path, node) in names {
            let survives = path
                .parent()
                .is_none_or(|parent| matches!(files.get(parent), Some(Node::Dir)));
            if !survives {
                continue;
            }
            let node = match node {
                Node::Dir => Node::Dir,
                Node::File(content) => {
                    let mut content = content.lock();
                    content.refresh();
                    let bytes = surviving_bytes(&content, mode, &mut random);
                    Node::File(Arc::new(Mutex::new(Content {
                        durable: bytes.clone(),
                        reserved: content.reserved.min(bytes.len()),
                        live: bytes,
                        mapped: None,
                        modified_ms: content.modified_ms,
                    })))
                }
            };
            files.insert(path, node);
        }
        let state = State {
            durable: files.clone(),
            live: files,
            locked: BTreeMap::new(),
            capacity: state.capacity,
            used_ratio: state.used_ratio,
        };
        Self {
            shared: Arc::new(Mutex::new(state)),
            clock: self.clock.clone(),
        }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        match self.shared.lock().live.get(path) {
            Some(Node::File(content)) => Ok(Arc::clone(content)),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn handle(&self, content: Arc<Mutex<Content>>) -> Arc<dyn DiskFile> {
        let disk = self.clone();
        Arc::new(MemFile { content, disk })
    }

    fn used_bytes(state: &State) -> u64 {
        let len = |node: &Node| match node {
            Node::Dir => 0,
            Node::File(content) => content.lock().reserved as u64,
        };
        state.live.values().map(len).sum()
    }

    /// Fails when `more` bytes would not fit.
    fn check_room(&self, more: u64) -> io::Result<()> {
        let state = self.shared.lock();
        match state.capacity {
            Some(capacity) if Self::used_bytes(&state) + more > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

/// The names after a crash; parents come before what is in them.
fn surviving_names(state: &State, mode: Crash, random: &mut Random) -> BTreeMap<PathBuf, Node> {
    let mut from_live: BTreeMap<PathBuf, bool> = BTreeMap::new();
    let mut keep_live = |path: &Path| match mode {
        Crash::Synced => false,
        Crash::Everything => true,
        // The changes of one directory survive together: journals keep their order.
        Crash::Random { .. } => {
            let parent = path.parent().unwrap_or(path).to_owned();
            *from_live.entry(parent).or_insert_with(|| random.coin())
        }
    };
    let mut names = BTreeMap::new();
    for (path, node) in &state.durable {
        if !keep_live(path) {
            names.insert(path.clone(), node.clone());
        }
    }
    for (path, node) in &state.live {
        if keep_live(path) {
            names.insert(path.clone(), node.clone());
        }
    }
    names
}

fn surviving_bytes(content: &Content, mode: Crash, random: &mut Random) -> Vec<u8> {
    let (keep, torn) = match mode {
        Crash::Synced => return content.durable.clone(),
        Crash::Everything => return content.live.clone(),
        Crash::Random { torn, .. } => (&content.live, torn),
    };
    let len = if random.coin() {
        content.live.len()
    } else {
        content.durable.len()
    };
    let mut bytes = content.durable.clone();
    bytes.resize(len, 0);
    let unit = if torn { 512 } else { PAGE_BYTES };
    for start in (0..len).step_by(unit) {
        let end = (start + unit).min(len).min(keep.len());
        if start < end && bytes[start..end] != keep[start..end] && random.coin() {
            bytes[start..end].copy_from_slice(&keep[start..end]);
        }
    }
    bytes
}

impl Disk for MemDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        let ancestors: Vec<&Path> = path.ancestors().collect();
        for dir in ancestors.into_iter().rev() {
            match state.live.entry(dir.to_owned()) {
                MapEntry::Occupied(there) => {
                    if matches!(there.get(), Node::File(_)) {
                        return Err(io::ErrorKind::NotADirectory.into());
                    }
                }
                MapEntry::Vacant(free) => {
                    free.insert(Node::Dir);
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.shared.lock();
        if !matches!(state.live.get(path), Some(Node::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut entries = Vec::new();
        for (child, node) in &state.live {
            let name = child.file_name().and_then(|name| name.to_str());
            let (Some(name), true) = (name, child.parent() == Some(path)) else {
                continue;
            };
            let (is_dir, len) = match node {
                Node::Dir => (true, 0),
                Node::File(content) => (false, content.lock().live.len() as u64),
            };
            let name = name.to_owned();
            entries.push(Entry { name, is_dir, len });
        }
        entries.sort();
        Ok(entries)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.handle(self.file(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.shared.lock();
        let parent = path.parent().unwrap_or(path);
        if !matches!(state.live.get(parent), Some(Node::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let content = match state.live.get(path) {
            Some(Node::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::File(content)) => {
                let mut content_now = content.lock();
                content_now.live.clear();
                content_now.reserved = 0;
                drop(content_now);
                Arc::clone(content)
            }
            None => {
                let content = Arc::new(Mutex::new(Content::default()));
                let node = Node::File(Arc::clone(&content));
                state.live.insert(path.to_owned(), node);
                content
            }
        };
        content.lock().modified_ms = self.clock.wall_ms();
        drop(state);
        Ok(self.handle(content))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        match state.live.get(path) {
            Some(Node::File(_)) => {
                state.live.remove(path);
                Ok(())
            }
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        if !matches!(state.live.get(path), Some(Node::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.live.retain(|child, _| !child.starts_with(path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        match state.live.remove(from) {
            Some(node @ Node::File(_)) => {
                state.live.insert(to.to_owned(), node);
                Ok(())
            }
            Some(node @ Node::Dir) => {
                state.live.insert(from.to_owned(), node);
                Err(io::ErrorKind::IsADirectory.into())
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.live.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match state.live.get(from) {
            Some(Node::File(content)) => {
                let node = Node::File(Arc::clone(content));
                state.live.insert(to.to_owned(), node);
                Ok(())
            }
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        if !matches!(state.live.get(path), Some(Node::Dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let live: Vec<(PathBuf, Node)> = state
            .live
            .iter()
            .filter(|(child, _)| child.parent() == Some(path))
            .map(|(child, node)| (child.clone(), node.clone()))
            .collect();
        let State {
            durable, live: now, ..
        } = &mut *state;
        durable.retain(|child, _| child.parent() != Some(path) || now.contains_key(child));
        durable.extend(live);
        Ok(())
    }

    fn sync_all(&self, _path: &Path) -> io::Result<()> {
        let mut state = self.shared.lock();
        for node in state.live.values() {
            if let Node::File(content) = node {
                content.lock().sync();
            }
        }
        state.durable = state.live.clone();
        Ok(())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match self.shared.lock().live.get(path) {
            Some(Node::Dir) => Ok(Metadata {
                len: 0,
                is_dir: true,
                modified_ms: 0,
            }),
            Some(Node::File(content)) => {
                let content = content.lock();
                Ok(Metadata {
                    len: content.live.len() as u64,
                    is_dir: false,
                    modified_ms: content.modified_ms,
                })
            }
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn usage(&self, path: &Path) -> io::Result<Usage> {
        self.metadata(path)?;
        let state = self.shared.lock();
        let used = Self::used_bytes(&state);
        let total = state.capacity.unwrap_or(u64::MAX / 2);
        let free = total.saturating_sub(used);
        let mut usage = Usage::from_counts(total, free, free);
        if let Some(ratio) = state.used_ratio {
            usage.used_ratio = ratio;
        }
        Ok(usage)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        if !self.exists(path)? {
            self.create(path)?;
        }
        let file = self.open(path)?;
        match self.shared.lock().locked.entry(path.to_owned()) {
            MapEntry::Occupied(_) => return Err(io::ErrorKind::WouldBlock.into()),
            MapEntry::Vacant(free) => free.insert(()),
        };
        let lock = MemLock {
            disk: self.clone(),
            path: path.to_owned(),
            process: ProcessMark::current(),
        };
        file.write_at(LOCK_TEXT, 0)?;
        Ok(Box::new(lock))
    }
}

#[derive(Debug)]
struct MemLock {
    disk: MemDisk,
    path: PathBuf,
    process: ProcessMark,
}

impl DiskLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        if self.process.is_current() {
            self.disk.shared.lock().locked.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct MemFile {
    content: Arc<Mutex<Content>>,
    disk: MemDisk,
}

impl MemFile {
    /// Gives the first `len` bytes blocks and makes the file so long if it is shorter.
    fn grow(&self, len: u64) -> io::Result<usize> {
        let have = self.content.lock().reserved as u64;
        if len > have {
            self.disk.check_room(len - have)?;
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut content = self.content.lock();
        content.reserved = content.reserved.max(len);
        if content.live.len() < len {
            content.live.resize(len, 0);
        }
        content.modified_ms = self.disk.clock.wall_ms();
        Ok(len)
    }
}

impl DiskFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut content = self.content.lock();
        content.refresh();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = content.live.get(start..).unwrap_or_default();
        let len = from.len().min(buffer.len());
        buffer[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
        let end = self.grow(end.ok_or(io::ErrorKind::InvalidInput)?)?;
        let mut content = self.content.lock();
        content.refresh();
        content.live[end - bytes.len()..end].copy_from_slice(bytes);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.grow(len).map(drop)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // Sparse bytes take no room.
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut content = self.content.lock();
        content.live.resize(len, 0);
        content.reserved = content.reserved.min(len);
        content.modified_ms = self.disk.clock.wall_ms();
        Ok(())
    }

    fn zero(&self, from: u64, to: u64) -> io::Result<()> {
        let mut content = self.content.lock();
        let len = content.live.len();
        let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(len);
        let (from, to) = (clamp(from), clamp(to));
        if from < to {
            content.live[from..to].fill(0);
        }
        Ok(())
    }

    fn zero_in_place(&self, from: u64, to: u64) -> io::Result<()> {
        self.zero(from, to)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.content.lock();
        content.refresh();
        if content.live != content.durable && content.mapped.is_some() {
            content.modified_ms = self.disk.clock.wall_ms();
        }
        content.sync();
        Ok(())
    }

    fn map(&self, len: usize) -> io::Result<Arc<Region>> {
        let mut content = self.content.lock();
        content.refresh();
        if content.live.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Region::anonymous(len, &content.live, len)?.0)
    }

    fn map_append(&self, len: usize, start: usize) -> io::Result<(Arc<Region>, RegionWriter)> {
        let mut content = self.content.lock();
        content.refresh();
        if content.live.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (region, writer) = Region::anonymous(len, &content.live, start)?;
        content.mapped = Some(Arc::clone(&region));
        Ok((region, writer))
    }
}
