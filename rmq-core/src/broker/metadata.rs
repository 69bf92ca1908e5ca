//! The small files of services that run on masters only, which a slave keeps for the day when it
//! is a master.

use std::path::Path;
use std::sync::Arc;

use crate::base::Result;
use crate::protocol::json::{self, Json};
use crate::store::{Disk, MetadataFile};

/// Bytes of a timer checkpoint: four offsets and times, and a data version of three numbers.
const CHECKPOINT_BYTES: usize = 56;
/// Masters of RocketMQ 4 leave the version out.
const CHECKPOINT_BYTES_MIN: usize = 32;

/// The files, below `config` in the store's folder.
#[derive(Debug)]
pub(crate) struct Files {
    /// How far delayed messages were delivered.
    pub(crate) delay_offset: MetadataFile,
    /// How groups get their messages.
    pub(crate) request_mode: MetadataFile,
    /// What ordered groups of pop work on.
    pub(crate) order_info: MetadataFile,
    timer_checkpoint: MetadataFile,
    timer_metrics: MetadataFile,
}

impl Files {
    /// The files of the store in `root`; none is made yet.
    #[must_use]
    pub(crate) fn new(disk: &Arc<dyn Disk>, root: &Path) -> Self {
        let path = |name: &str| root.join("config").join(name);
        let file = |name: &str| MetadataFile::new(Arc::clone(disk), path(name));
        Self {
            delay_offset: file("delayOffset.json"),
            request_mode: file("messageRequestMode.json"),
            order_info: file("consumerOrderInfo.json"),
            timer_checkpoint: file("timercheck").without_backup(),
            timer_metrics: file("timermetrics"),
        }
    }

    /// Takes of a master's timer checkpoint what concerns its slaves: until when it has delivered,
    /// and how far it has read; the places in its timer log are its own.
    pub(crate) fn take_timer_checkpoint(&self, theirs: &[u8]) -> Result<()> {
        if theirs.len() < CHECKPOINT_BYTES_MIN {
            tracing::debug!(bytes = theirs.len(), "no timer checkpoint");
            return Ok(());
        }
        let own = self.timer_checkpoint.load(|bytes| Some(bytes.to_vec()));
        let mut checkpoint = own.ok().flatten().unwrap_or_default();
        checkpoint.resize(CHECKPOINT_BYTES, 0);
        let len = theirs.len().min(CHECKPOINT_BYTES);
        // lastReadTimeMs, then masterTimerQueueOffset and the data version.
        for range in [0..8, 24..len] {
            checkpoint[range.clone()].copy_from_slice(&theirs[range]);
        }
        self.timer_checkpoint.save(&checkpoint)
    }

    /// Takes a master's counts of waiting timer messages.
    pub(crate) fn take_timer_metrics(&self, theirs: &[u8]) -> Result<()> {
        match json::from_slice::<Json>(theirs) {
            Ok(_) => self.timer_metrics.save(theirs),
            Err(error) => {
                tracing::debug!(%error, "no timer metrics");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use crate::store::disk::MemDisk;

    #[test]
    fn a_timer_checkpoint_keeps_the_slaves_own_places() {
        let disk = MemDisk::new(ManualClock::new(0));
        let files = Files::new(&disk.shared(), Path::new("/store"));
        let read = || {
            let bytes = files.timer_checkpoint.load(|bytes| Some(bytes.to_vec()));
            let bytes = bytes.unwrap().unwrap();
            let numbers = bytes.chunks(8);
            numbers
                .map(|chunk| i64::from_be_bytes(chunk.try_into().unwrap()))
                .collect::<Vec<_>>()
        };
        let bytes =
            |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
        files.take_timer_checkpoint(b"short").unwrap();
        files
            .take_timer_checkpoint(&bytes(&[1, 2, 3, 4, 5, 6, 7]))
            .unwrap();
        assert_eq!(read(), [1, 0, 0, 4, 5, 6, 7]);
        let own = bytes(&[1, 20, 30, 4, 5, 6, 7]);
        files.timer_checkpoint.save(&own).unwrap();
        files.take_timer_checkpoint(&bytes(&[8, 2, 3, 9])).unwrap();
        assert_eq!(read(), [8, 20, 30, 9, 5, 6, 7]);
    }
}
