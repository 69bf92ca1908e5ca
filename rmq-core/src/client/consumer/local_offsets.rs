//! The offsets of a broadcast, which no broker keeps.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::options::ConsumerOptions;
use crate::base::{Error, ErrorKind, Result};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::body::reset_offset::ResetOffset;

const FILE: &str = "offsets.json";

#[derive(Debug, Default)]
struct Table {
    offsets: BTreeMap<MessageQueue, i64>,
    changed: bool,
}

/// Offsets by queue, in a file if there is a folder for it: `folder/client/group/offsets.json`,
/// laid out as Java clients do.
#[derive(Debug, Default)]
pub(crate) struct LocalOffsets {
    file: Option<PathBuf>,
    table: Mutex<Table>,
}

impl LocalOffsets {
    /// What was saved before, if anything.
    pub(crate) fn load(options: &ConsumerOptions, client_id: &str) -> Result<Self> {
        const OP: &str = "load offsets";
        let Some(dir) = options
            .offset_dir
            .as_ref()
            .filter(|_| options.is_broadcast())
        else {
            return Ok(Self::default());
        };
        if client_id.contains(['/', '\0']) || client_id.starts_with('.') {
            let context = format!("the client id {client_id:?} cannot be a folder");
            return Err(Error::new(ErrorKind::Invalid, OP, context));
        }
        let file = dir.join(client_id).join(&options.group).join(FILE);
        let shown = || file.display().to_string();
        let offsets = match fs::read(&file) {
            Ok(bytes) => {
                ResetOffset::decode(&bytes)
                    .map_err(|error| {
                        Error::new(ErrorKind::Corrupt, OP, shown()).with_source(error)
                    })?
                    .offsets
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io(OP, shown(), error)),
        };
        let table = Table {
            offsets: offsets.into_iter().collect(),
            changed: false,
        };
        Ok(Self {
            file: Some(file),
            table: Mutex::new(table),
        })
    }

    pub(crate) fn get(&self, queue: &MessageQueue) -> Option<i64> {
        self.table.lock().offsets.get(queue).copied()
    }

    pub(crate) fn set(&self, queue: &MessageQueue, offset: i64) {
        let mut table = self.table.lock();
        table.changed |= table.offsets.insert(queue.clone(), offset) != Some(offset);
    }

    /// Writes the file if something has changed; what fails is tried again with the next change.
    pub(crate) fn save(&self) {
        let Some(file) = &self.file else { return };
        let body = {
            let mut table = self.table.lock();
            if !std::mem::take(&mut table.changed) {
                return;
            }
            let offsets = table
                .offsets
                .iter()
                .map(|(queue, offset)| (queue.clone(), *offset));
            let body = ResetOffset {
                offsets: offsets.collect(),
            };
            body.encode()
        };
        if let Err(error) = replace(file, &body) {
            tracing::warn!(%error, file = %file.display(), "offsets were not saved");
            self.table.lock().changed = true;
        }
    }
}

/// Replaces a file so that it is whole at any time.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = file.with_extension("json.tmp");
    let mut out = fs::File::create(&new)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&new, file)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::body::heartbeat::MessageModel;

    #[test]
    fn offsets_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = ConsumerOptions::new("g", "n:1");
        options.message_model = MessageModel::Broadcasting;
        options.offset_dir = Some(dir.path().to_owned());
        let queue = MessageQueue {
            topic: "T".to_owned(),
            broker_name: "a".to_owned(),
            queue_id: 3,
        };
        let offsets = LocalOffsets::load(&options, "1.2.3.4@x").unwrap();
        assert_eq!(offsets.get(&queue), None);
        offsets.set(&queue, 7);
        offsets.save();
        let again = LocalOffsets::load(&options, "1.2.3.4@x").unwrap();
        assert_eq!(again.get(&queue), Some(7));
        assert!(LocalOffsets::load(&options, "../x").is_err());
        fs::write(dir.path().join("1.2.3.4@x/g/offsets.json"), "{").unwrap();
        let error = LocalOffsets::load(&options, "1.2.3.4@x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}
