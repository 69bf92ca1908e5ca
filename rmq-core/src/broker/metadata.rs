//! The small files of services that run on masters only, which a slave keeps for the day when it
//! is a master.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::Result;
use crate::protocol::body::timer::TimerMetrics;
use crate::store::timer::TimerCheckpoint;
use crate::store::{Disk, MetadataFile};

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
    disk: Arc<dyn Disk>,
    root: PathBuf,
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
            disk: Arc::clone(disk),
            root: root.to_owned(),
        }
    }

    /// The store's folder.
    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The disk that it is on.
    #[must_use]
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// How far the timer is; one that cannot be read is taken as one that did not begin.
    #[must_use]
    pub(crate) fn load_timer_checkpoint(&self) -> TimerCheckpoint {
        let loaded = self.timer_checkpoint.load(TimerCheckpoint::decode);
        loaded.ok().flatten().unwrap_or_default()
    }

    /// Writes how far the timer is.
    pub(crate) fn save_timer_checkpoint(&self, checkpoint: &TimerCheckpoint) -> Result<()> {
        self.timer_checkpoint.save(&checkpoint.encode_file())
    }

    /// How many timed messages wait; what cannot be read is counted anew.
    #[must_use]
    pub(crate) fn load_timer_metrics(&self) -> TimerMetrics {
        let loaded = self.timer_metrics.load(TimerMetrics::decode);
        loaded.ok().flatten().unwrap_or_default()
    }

    /// Writes how many timed messages wait.
    pub(crate) fn save_timer_metrics(&self, metrics: &TimerMetrics) -> Result<()> {
        self.timer_metrics.save(&metrics.encode())
    }

    /// Takes of a master's timer checkpoint what concerns its slaves: until when it has delivered,
    /// and how far it has read; the places in its timer log are its own.
    pub(crate) fn take_timer_checkpoint(&self, theirs: &TimerCheckpoint) -> Result<()> {
        let own = self.load_timer_checkpoint();
        self.save_timer_checkpoint(&TimerCheckpoint {
            log_position: own.log_position,
            queue_offset: own.queue_offset,
            ..*theirs
        })
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
        let bytes =
            |numbers: &[i64]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
        let take = |numbers: &[i64]| {
            let theirs = TimerCheckpoint::decode(&bytes(numbers)).unwrap();
            files.take_timer_checkpoint(&theirs).unwrap();
        };
        let read = || files.load_timer_checkpoint().encode();
        assert_eq!(TimerCheckpoint::decode(b"short"), None);
        take(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(read(), bytes(&[1, 0, 0, 4, 5, 6, 7]));
        let own = TimerCheckpoint::decode(&bytes(&[1, 20, 30, 4, 5, 6, 7])).unwrap();
        files.save_timer_checkpoint(&own).unwrap();
        take(&[8, 2, 3, 9]);
        assert_eq!(read(), bytes(&[8, 20, 30, 9, 0, 0, 0]));
        let file = disk.read(Path::new("/store/config/timercheck")).unwrap();
        assert_eq!((file.len(), &file[..56]), (4096, &read()[..]));
    }
}
