//! Changes of the configuration while the broker runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::base::{Error, Result};
use crate::broker::options;
use crate::broker::shared::{RegisterNow, Shared};
use crate::config::{BrokerConfig, KeyChange, Outcome, Properties, ServerSettings};
use crate::protocol::body::data_version::DataVersion;
use crate::store::{Disk, MetadataFile};

/// The file that the configuration came from, if there is one, and the version of what is in use.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    file: Option<MetadataFile>,
    version: Mutex<DataVersion>,
}

impl ConfigFile {
    /// The file that `config` names.
    pub(crate) fn of(config: &BrokerConfig, disk: &Arc<dyn Disk>) -> Result<Self> {
        let file = match &config.config_path {
            Some(path) => {
                // With its folder, in which it is replaced.
                let path = std::path::absolute(path)
                    .map_err(|error| Error::io("start broker", path.as_str(), error))?;
                Some(MetadataFile::new(Arc::clone(disk), path))
            }
            None => None,
        };
        Ok(Self {
            file,
            version: Mutex::default(),
        })
    }

    /// Moves on with every change.
    #[must_use]
    pub(crate) fn version(&self) -> DataVersion {
        *self.version.lock()
    }

    /// Writes changed keys into the file, whose other lines and comments stay as they are.
    fn write(&self, changes: &[(String, String)]) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let origin = file.path().display().to_string();
        let content = file.load(|bytes| Properties::parse(origin.as_str(), bytes))?;
        let mut content = content.unwrap_or_default();
        content.extend(changes.iter().cloned());
        file.save(content.to_text().as_bytes())
    }
}

/// Changes the configuration: all keys of `update` that there are, or none of them. First the file
/// is written, then the change takes effect. Control thread only.
pub(crate) fn change(shared: &Arc<Shared>, update: &Properties) -> Result<Vec<KeyChange>> {
    let before = shared.config();
    let (after, changes) = before.reload(update)?;
    let written: Vec<(String, String)> = changes
        .iter()
        .filter(|change| !matches!(change.outcome, Outcome::Unknown | Outcome::Unchanged))
        .map(|change| {
            let value = update.get(&change.key).unwrap_or_default();
            (change.key.clone(), value.to_owned())
        })
        .collect();
    if written.is_empty() {
        return Ok(changes);
    }
    shared.config_file.write(&written)?;
    shared
        .config_file
        .version
        .lock()
        .advance(shared.clock.wall_ms());
    apply(shared, &before, after)?;
    Ok(changes)
}

fn apply(shared: &Arc<Shared>, before: &BrokerConfig, after: BrokerConfig) -> Result<()> {
    shared.topics.configure(&after);
    shared.groups.configure(&after);
    shared.locks.lock().configure(after.queue_lock_expired_ms);
    shared.store.tune(options::of(&after));
    let permission = before.broker_permission != after.broker_permission;
    let nameservers = before.namesrv_addr != after.namesrv_addr;
    *shared.config.write() = Arc::new(after);
    // Reactors look at their next turn.
    shared.config_generation.fetch_add(1, Ordering::AcqRel);
    if permission {
        // What nameservers are told of each topic is another.
        shared.topics.advance_version()?;
        shared.topics_changed();
    }
    if nameservers {
        let done = Box::new(|| {});
        // A full queue means that a registration is near anyway.
        let _ = shared
            .registration
            .try_push(RegisterNow { done, all: true });
    }
    Ok(())
}
