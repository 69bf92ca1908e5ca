//! The configuration in use, and the file that changes are written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::kv::stored_at;
use crate::base::Result;
use crate::config::{KeyChange, NamesrvConfig, Outcome, Properties, ServerSettings};
use crate::store::MetadataFile;
use crate::store::disk::Disk;

/// The configuration, replaced as a whole by each change.
#[derive(Debug)]
pub(super) struct Settings {
    config: RwLock<Arc<NamesrvConfig>>,
    /// Grows with every change.
    stamp: AtomicU64,
    /// Changes that are not in the file yet. Held while one is made, so that they take turns.
    unsaved: Mutex<Vec<(String, String)>>,
    file: Option<MetadataFile>,
}

impl Settings {
    pub(super) fn open(config: NamesrvConfig, disk: Arc<dyn Disk>) -> Result<Self> {
        let file = stored_at(config.config_store_path.as_deref(), disk)?;
        Ok(Self {
            config: RwLock::new(Arc::new(config)),
            stamp: AtomicU64::new(1),
            unsaved: Mutex::new(Vec::new()),
            file,
        })
    }

    pub(super) fn get(&self) -> Arc<NamesrvConfig> {
        self.config.read().clone()
    }

    /// A number that grows with every change.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Acquire)
    }

    /// Whether changes are written to a file.
    pub(super) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Notes the port that was taken when any was asked for.
    pub(super) fn note_port(&self, port: u16) {
        let mut config = (*self.get()).clone();
        config.server.listen_port = port;
        *self.config.write() = Arc::new(config);
    }

    /// Applies a change to the configuration in use; the file is another step.
    pub(super) fn update(&self, update: &Properties) -> Result<Vec<KeyChange>> {
        let mut unsaved = self.unsaved.lock();
        let (config, changes) = self.get().reload(update)?;
        *self.config.write() = Arc::new(config);
        self.stamp.fetch_add(1, Ordering::Release);
        let known = changes
            .iter()
            .filter(|change| change.outcome != Outcome::Unknown);
        for change in known {
            let value = update.get(&change.key).unwrap_or_default();
            unsaved.push((change.key.clone(), value.to_owned()));
        }
        Ok(changes)
    }

    /// Writes the changes into the file, whose other lines stay as they are.
    pub(super) fn save(&self) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut unsaved = self.unsaved.lock();
        let origin = file.path().display().to_string();
        let content = file.load(|bytes| Properties::parse(origin.as_str(), bytes))?;
        let mut content = content.unwrap_or_default();
        content.extend(unsaved.iter().cloned());
        file.save(content.to_text().as_bytes())?;
        unsaved.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::config::Environment;
    use crate::store::disk::MemDisk;

    #[test]
    fn a_change_is_in_use_and_in_the_file() {
        let disk = MemDisk::new(ManualClock::new(0));
        let file = MetadataFile::new(disk.shared(), "/HOME/namesrv/namesrv.properties");
        file.save(b"# kept\norderMessageEnable = false\nlistenPort=1\n")
            .unwrap();
        let config = NamesrvConfig::defaults(&Environment::fixed());
        let settings = Settings::open(config, disk.shared()).unwrap();
        let before = settings.stamp();
        let update = Properties::parse_body(b"orderMessageEnable=true\nlistenPort=2\nfoo=1\n");
        settings.update(&update.unwrap()).unwrap();
        assert!(settings.stamp() > before);
        assert!(settings.get().order_message_enable);
        assert_eq!(settings.get().server.listen_port, 9876);
        settings.save().unwrap();
        let read = |path: &str| {
            let file = MetadataFile::new(disk.shared(), path);
            let text = file
                .load(|bytes| String::from_utf8(bytes.to_vec()))
                .unwrap();
            text.unwrap()
        };
        let expected = "# kept\norderMessageEnable=true\nlistenPort=2\n";
        assert_eq!(read("/HOME/namesrv/namesrv.properties"), expected);

        let wrong = Properties::parse_body(b"orderMessageEnable=maybe").unwrap();
        assert!(settings.update(&wrong).is_err());
        assert!(settings.get().order_message_enable);
    }
}
