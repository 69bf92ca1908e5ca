//! How far the timer is: `config/timercheck`, and what a slave is told of it.

use crate::protocol::body::data_version::DataVersion;

/// Bytes that a slave is told.
pub const CHECKPOINT_BYTES: usize = 56;
/// Masters of older versions leave the version out.
const CHECKPOINT_BYTES_MIN: usize = 32;
/// Bytes of the file.
const FILE_BYTES: usize = 4096;

/// How far the timer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerCheckpoint {
    /// Messages of slots before this time were delivered for good, ms since the epoch.
    pub read_ms: i64,
    /// The timer log is complete up to here for `queue_offset`.
    pub log_position: i64,
    /// Messages of the wheel's topic below are in the timer log, or were delivered.
    pub queue_offset: i64,
    /// The same at the master.
    pub master_queue_offset: i64,
    /// Moves with every change.
    pub version: DataVersion,
}

impl TimerCheckpoint {
    /// What a slave is told.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let numbers = [
            self.read_ms,
            self.log_position,
            self.queue_offset,
            self.master_queue_offset,
            self.version.state_version,
            self.version.timestamp_ms,
            self.version.counter,
        ];
        numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    /// The content of the file.
    #[must_use]
    pub fn encode_file(&self) -> Vec<u8> {
        let mut bytes = self.encode();
        bytes.resize(FILE_BYTES, 0);
        bytes
    }

    /// Reads either; `None` when it is too short.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < CHECKPOINT_BYTES_MIN {
            return None;
        }
        let (numbers, _) = bytes.as_chunks::<8>();
        let number = |index: usize| numbers.get(index).map_or(0, |n| i64::from_be_bytes(*n));
        Some(Self {
            read_ms: number(0),
            log_position: number(1),
            queue_offset: number(2),
            master_queue_offset: number(3),
            version: DataVersion {
                state_version: number(4),
                timestamp_ms: number(5),
                counter: number(6),
            },
        })
    }
}
