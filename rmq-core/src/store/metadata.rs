//! Small files that hold tables of the broker (`config/*.json`): written so that a loss of power
//! at any point leaves one whole version, old or new.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::Disk;
use crate::base::error::{Error, ErrorKind, Result};

/// A file with its backup (`NAME.bak`) and, while it is being written, its successor (`NAME.tmp`).
///
/// Saving keeps the content before as the backup. Loading takes the backup where the file is
/// missing, empty or does not decode. Calls from several threads take turns.
#[derive(Debug)]
pub struct MetadataFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    backup: PathBuf,
    temporary: PathBuf,
    keep_backup: bool,
    /// Held while the files are used: whether the file is known to hold a whole version. Only such
    /// a version becomes the backup.
    whole: Mutex<bool>,
}

/// What a decoder gives: a value, or none, or why there is none.
pub trait Decoded {
    /// The value.
    type Value;
    /// The value, or in words why there is none.
    fn decoded(self) -> std::result::Result<Self::Value, String>;
}

impl<T> Decoded for Option<T> {
    type Value = T;

    fn decoded(self) -> std::result::Result<T, String> {
        self.ok_or_else(|| "it does not decode".to_owned())
    }
}

impl<T, E: std::fmt::Display> Decoded for std::result::Result<T, E> {
    type Value = T;

    fn decoded(self) -> std::result::Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

impl MetadataFile {
    /// The file at `path`; its directory is made when it is first saved.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let with_suffix = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            disk,
            backup: with_suffix(".bak"),
            temporary: with_suffix(".tmp"),
            path,
            keep_backup: true,
            whole: Mutex::new(false),
        }
    }

    /// The same without a backup, for content that can be made again.
    #[must_use]
    pub fn without_backup(mut self) -> Self {
        self.keep_backup = false;
        self
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and decodes the file, or else its backup; `None` when neither exists or both are
    /// empty.
    ///
    /// `Corrupt`: what is there does not decode, and the other one is of no use either.
    pub fn load<D: Decoded>(&self, decode: impl Fn(&[u8]) -> D) -> Result<Option<D::Value>> {
        const OP: &str = "store.metadata.load";
        let mut whole = self.whole.lock();
        let mut corrupt = None;
        for path in [&self.path, &self.backup] {
            let content = match self.disk.read(path) {
                Ok(content) => content,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io(OP, path.display().to_string(), e)),
            };
            if content.iter().all(|&b| b == 0 || b.is_ascii_whitespace()) {
                tracing::warn!(path = %path.display(), "the file is empty");
                continue;
            }
            match decode(&content).decoded() {
                Ok(value) => {
                    *whole = path == &self.path;
                    if !*whole {
                        tracing::warn!(path = %path.display(), "loaded the backup");
                    }
                    return Ok(Some(value));
                }
                Err(why) => {
                    tracing::warn!(path = %path.display(), why, "the file does not decode");
                    let context = format!("{}: {why}", path.display());
                    corrupt.get_or_insert(Error::new(ErrorKind::Corrupt, OP, context));
                }
            }
        }
        corrupt.map_or(Ok(None), Err)
    }

    /// Replaces the content durably; the content before becomes the backup.
    pub fn save(&self, content: &[u8]) -> Result<()> {
        let mut whole = self.whole.lock();
        self.replace(content, &mut whole)
            .map_err(|e| Error::io("store.metadata.save", self.path.display().to_string(), e))
    }

    fn replace(&self, content: &[u8], whole: &mut bool) -> io::Result<()> {
        let disk = &*self.disk;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        if !disk.exists(dir)? {
            create_dirs_durably(disk, &[dir])?;
        }
        if *whole {
            let old = disk.read(&self.path)?;
            if old == content {
                return Ok(());
            }
            if self.keep_backup {
                self.back_up(&old, dir)?;
            }
        }
        self.write_temporary(content)?;
        disk.rename(&self.temporary, &self.path)?;
        *whole = true;
        disk.sync_dir(dir)
    }

    /// Makes the file that is there its own backup, which costs no write however long it is; the
    /// file leaves that name when its successor takes it. Nobody writes to a backup, so that the
    /// two may be one file. In between there is no backup, but the file is whole.
    fn back_up(&self, old: &[u8], dir: &Path) -> io::Result<()> {
        let disk = &*self.disk;
        match disk.remove(&self.backup) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        if disk.link(&self.path, &self.backup).is_ok() {
            return Ok(());
        }
        // A file system without second names.
        self.write_temporary(old)?;
        disk.rename(&self.temporary, &self.backup)?;
        disk.sync_dir(dir)
    }

    fn write_temporary(&self, content: &[u8]) -> io::Result<()> {
        let file = self.disk.create(&self.temporary)?;
        file.write_at(content, 0)?;
        file.sync_data()
    }
}

/// Creates directories and what is missing above them, durably: all of them first, so that the
/// first sync covers most.
pub(super) fn create_dirs_durably(disk: &dyn Disk, dirs: &[&Path]) -> io::Result<()> {
    let mut parents: Vec<&Path> = Vec::new();
    for dir in dirs {
        for ancestor in dir.ancestors() {
            if ancestor.as_os_str().is_empty() || disk.exists(ancestor)? {
                break;
            }
            let parent = ancestor.parent().unwrap_or(ancestor);
            let here = parent.as_os_str().is_empty();
            parents.push(if here { Path::new(".") } else { parent });
        }
        disk.create_dir(dir)?;
    }
    parents.sort_unstable();
    parents.dedup();
    parents
        .into_iter()
        .try_for_each(|parent| disk.sync_dir(parent))
}

#[cfg(test)]
mod tests {
    use super::super::disk::{CountdownDisk, Crash, MemDisk, Plan};
    use super::*;
    use crate::base::clock::ManualClock;

    fn text(bytes: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(bytes).ok()?;
        let whole = text.starts_with('{') && text.ends_with('}');
        whole.then(|| text.to_owned())
    }

    fn file(disk: &MemDisk) -> MetadataFile {
        MetadataFile::new(disk.shared(), "/store/config/topics.json")
    }

    #[test]
    fn saves_load_back_and_keep_a_backup() {
        let disk = MemDisk::new(ManualClock::new(0));
        let file = file(&disk);
        assert_eq!(file.load(text).unwrap(), None);
        file.save(b"{1}").unwrap();
        file.save(b"{2}").unwrap();
        file.save(b"{2}").unwrap();
        assert_eq!(file.load(text).unwrap().unwrap(), "{2}");
        let backup = disk
            .read(Path::new("/store/config/topics.json.bak"))
            .unwrap();
        assert_eq!(backup, b"{1}");
    }

    #[test]
    fn the_backup_stands_in_for_a_missing_empty_or_broken_file() {
        for broken in [
            None,
            Some(&b""[..]),
            Some(b"\0\0\0"),
            Some(b"{tor"),
            Some(b"\xff"),
        ] {
            let disk = MemDisk::new(ManualClock::new(0));
            let file = file(&disk);
            file.save(b"{1}").unwrap();
            file.save(b"{2}").unwrap();
            let path = Path::new("/store/config/topics.json");
            match broken {
                None => disk.remove(path).unwrap(),
                Some(bytes) => disk.create(path).unwrap().write_at(bytes, 0).unwrap(),
            }
            let file = self::file(&disk);
            assert_eq!(file.load(text).unwrap().unwrap(), "{1}", "{broken:?}");
            // The broken content does not become the backup.
            file.save(b"{3}").unwrap();
            let backup = disk
                .read(Path::new("/store/config/topics.json.bak"))
                .unwrap();
            assert_eq!(backup, b"{1}", "{broken:?}");
        }
    }

    #[test]
    fn both_broken_is_an_error_and_both_empty_is_nothing() {
        let disk = MemDisk::new(ManualClock::new(0));
        let file = file(&disk);
        file.save(b"{1").unwrap();
        assert_eq!(file.load(text).unwrap_err().kind(), ErrorKind::Corrupt);
        let disk = MemDisk::new(ManualClock::new(0));
        disk.create_dir(Path::new("/store/config")).unwrap();
        disk.create(Path::new("/store/config/topics.json")).unwrap();
        assert_eq!(self::file(&disk).load(text).unwrap(), None);
    }

    /// Power is lost before every operation that saving does; a whole version is always there.
    #[test]
    fn a_power_cut_at_any_point_leaves_the_old_or_the_new_content() {
        let modes = [
            Crash::Synced,
            Crash::Everything,
            Crash::Random {
                seed: 1,
                torn: true,
            },
            Crash::Random {
                seed: 2,
                torn: true,
            },
            Crash::Random {
                seed: 3,
                torn: false,
            },
            Crash::Random {
                seed: 4,
                torn: true,
            },
        ];
        let mut cuts = 0;
        for cut in 0.. {
            let disk = MemDisk::new(ManualClock::new(0));
            let countdown = CountdownDisk::new(disk.shared(), Plan::NEVER);
            let file = MetadataFile::new(countdown.shared(), "/store/config/topics.json");
            let old = format!("{{{}}}", "old".repeat(3000));
            let new = format!("{{{}}}", "new, longer".repeat(3000));
            file.save(b"{first}").unwrap();
            file.save(old.as_bytes()).unwrap();
            countdown.set_plan(Plan::gone_after(cut));
            let saved = file.save(new.as_bytes());
            for mode in modes {
                let found = self::file(&disk.crash(mode)).load(text).unwrap().unwrap();
                if saved.is_ok() {
                    assert_eq!(found, new, "cut {cut}, {mode:?}");
                } else {
                    assert!(
                        found == old || found == new,
                        "cut {cut}, {mode:?}: {}",
                        found.len()
                    );
                }
            }
            if saved.is_ok() {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= 7, "{cuts}");
    }

    /// Only the second name fails, as where the file system knows none.
    #[test]
    fn without_second_names_the_backup_is_a_copy() {
        let disk = MemDisk::new(ManualClock::new(0));
        let countdown = CountdownDisk::new(disk.shared(), Plan::NEVER);
        let file = MetadataFile::new(countdown.shared(), "/store/config/topics.json");
        file.save(b"{1}").unwrap();
        let plan = Plan {
            succeed: 1,
            fail: 1,
            errno: libc::EPERM,
        };
        for (old, new) in [("{1}", "{2}"), ("{2}", "{3}")] {
            // Removing the backup comes first.
            countdown.set_plan(plan);
            file.save(new.as_bytes()).unwrap();
            assert_eq!(self::file(&disk).load(text).unwrap().unwrap(), new);
            let backup = Path::new("/store/config/topics.json.bak");
            assert_eq!(disk.read(backup).unwrap(), old.as_bytes());
        }
    }

    #[test]
    fn the_first_save_survives_a_power_cut_or_never_happened() {
        for cut in 0..20 {
            let disk = MemDisk::new(ManualClock::new(0));
            let countdown = CountdownDisk::new(disk.shared(), Plan::gone_after(cut));
            let saved =
                MetadataFile::new(countdown.shared(), "/store/config/topics.json").save(b"{first}");
            for seed in 0..8 {
                let disk = disk.crash(Crash::Random { seed, torn: true });
                let found = file(&disk).load(text).unwrap();
                assert!(found.is_none() || found.as_deref() == Some("{first}"));
                assert!(saved.is_err() || found.is_some(), "cut {cut}, seed {seed}");
            }
        }
    }
}
