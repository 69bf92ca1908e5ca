//! What a store is opened with.

use std::path::PathBuf;

use crate::protocol::message::record::{DEFAULT_MAX_BODY_BYTES, RecordLimits, StageOptions};

/// When appended records are made durable before senders are answered and consumers see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushMode {
    /// In the background; what was appended counts at once.
    #[default]
    Async,
    /// Before it counts.
    Sync,
}

/// Settings of a [`Store`](super::Store). Defaults are those of Apache's broker.
///
/// `transientStorePoolEnable` has no counterpart: a store with it behaves as one without.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Directory of everything but the commit log.
    pub root: PathBuf,
    /// Directory of the commit log.
    pub commitlog_dir: PathBuf,
    /// Length of a commit log file in bytes. A log that is there keeps the length it has.
    pub segment_bytes: usize,
    /// Length of a consume queue file in bytes; rounded up to whole entries.
    pub consume_queue_file_bytes: usize,
    /// When records count as stored.
    pub flush: FlushMode,
    /// Pause between background flushes of the commit log, ms.
    pub flush_interval_ms: u64,
    /// Background flushes wait for this many dirty pages of 4096 bytes.
    pub flush_least_pages: u32,
    /// After this time a background flush does not wait for dirty pages, ms.
    pub flush_thorough_interval_ms: u64,
    /// Pause between writes of consume queues, ms.
    pub queue_flush_interval_ms: u64,
    /// Writes of a consume queue wait for this many dirty pages of 4096 bytes.
    pub queue_flush_least_pages: u32,
    /// After this time consume queues are made durable and a checkpoint is written, ms.
    pub queue_flush_thorough_interval_ms: u64,
    /// A checkpoint is written earlier when the log grew by this many bytes, so that recovery has
    /// at most about that much to read.
    pub checkpoint_log_bytes: u64,
    /// Largest body in bytes.
    pub max_message_bytes: usize,
    /// End every record with a check sum of it in a property, and verify it when recovering.
    pub append_prop_crc: bool,
    /// Verify bodies when recovering.
    pub check_crc_on_recover: bool,
    /// Delay of each level from 1 on, ms. Entries of the schedule topic carry the time they are
    /// due, and recovery computes it again.
    pub delay_levels_ms: Vec<i64>,
    /// Limits of reading.
    pub read: ReadOptions,
    /// When files are deleted.
    pub retention: RetentionOptions,
    /// The index by message key.
    pub index: IndexOptions,
    /// Pages that are made ready ahead of the write position, in bytes; 0 turns it off.
    pub populate_ahead_bytes: usize,
    /// Open consume queue files at most.
    pub max_open_queue_files: usize,
    /// Entries of a busy queue that stay in memory after they were written.
    pub recent_entries: usize,
    /// Senders wait for slaves, as those of a SYNC_MASTER do.
    pub await_slaves: bool,
    /// Run the threads. Tests that want to decide every step turn them off.
    pub background: bool,
}

/// Limits of [`Store::read`](super::Store::read).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Messages in one answer when they are in memory.
    pub max_count_in_memory: usize,
    /// Bytes in one answer when they are in memory.
    pub max_bytes_in_memory: usize,
    /// Messages in one answer when they are on disk.
    pub max_count_on_disk: usize,
    /// Bytes in one answer when they are on disk.
    pub max_bytes_on_disk: usize,
    /// Bytes of queue entries looked at in one answer, at least; 20 each.
    pub max_filter_bytes: usize,
    /// How far from the end of the log a record counts as in memory, bytes.
    pub memory_bytes: u64,
}

/// How messages are indexed by their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// Whether new messages are indexed. Files that are there are read in any case.
    pub build: bool,
    /// Hash slots of a file. Files of another length are made anew.
    pub hash_slots: u32,
    /// Entries of a file, one of which is not used.
    pub max_entries: u32,
    /// Messages are also found by their tag.
    pub tags: bool,
    /// Opening waits until the whole log is indexed; otherwise that is done in the background.
    pub complete_at_open: bool,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            build: true,
            hash_slots: 5_000_000,
            max_entries: 20_000_000,
            tags: true,
            complete_at_open: false,
        }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_count_in_memory: 32,
            max_bytes_in_memory: 256 * 1024,
            max_count_on_disk: 8,
            max_bytes_on_disk: 64 * 1024,
            max_filter_bytes: 16_000,
            memory_bytes: physical_memory_bytes() / 100 * 40,
        }
    }
}

/// Memory of the machine in bytes; a guess of 8 GiB where it cannot be known.
#[must_use]
pub fn physical_memory_bytes() -> u64 {
    use nix::unistd::{SysconfVar, sysconf};
    const UNKNOWN: u64 = 8 << 30;
    let read = |var| {
        sysconf(var)
            .ok()
            .flatten()
            .and_then(|value| u64::try_from(value).ok())
    };
    match (read(SysconfVar::_PHYS_PAGES), read(SysconfVar::PAGE_SIZE)) {
        (Some(pages), Some(page)) => pages.saturating_mul(page),
        _ => UNKNOWN,
    }
}

/// When commit log files are deleted and when the disk counts as full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionOptions {
    /// Hours of the local day in which expired files are deleted.
    pub delete_hours: Vec<u8>,
    /// Age at which a file expires, ms.
    pub file_reserved_ms: i64,
    /// Used percent of the disk above which expired files are deleted at any hour.
    pub disk_max_used_percent: u8,
    /// Used percent above which files are deleted whether expired or not.
    pub clean_forcibly_percent: u8,
    /// Used percent above which nothing is appended any more.
    pub warning_level_percent: u8,
    /// Whether files may be deleted before they expire.
    pub clean_forcibly: bool,
    /// Pause between looking, ms.
    pub interval_ms: u64,
    /// Pause between two deletions of commit log files, ms.
    pub delete_pause_ms: u64,
    /// Pause between two queues of which files were deleted, ms.
    pub queue_delete_pause_ms: u64,
    /// Files deleted in one pass at most.
    pub delete_batch_max: usize,
    /// Pause before a failed deletion is tried again, ms.
    pub retry_interval_ms: u64,
}

impl Default for RetentionOptions {
    fn default() -> Self {
        Self {
            delete_hours: vec![4],
            file_reserved_ms: 72 * 60 * 60 * 1000,
            disk_max_used_percent: 75,
            clean_forcibly_percent: 85,
            warning_level_percent: 90,
            clean_forcibly: true,
            interval_ms: 10_000,
            delete_pause_ms: 100,
            queue_delete_pause_ms: 100,
            delete_batch_max: 10,
            retry_interval_ms: 120_000,
        }
    }
}

impl StoreOptions {
    /// Defaults for a store in `root`, its log in `root/commitlog`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            commitlog_dir: root.join("commitlog"),
            root,
            segment_bytes: 1 << 30,
            consume_queue_file_bytes: 6_000_000,
            flush: FlushMode::Async,
            flush_interval_ms: 500,
            flush_least_pages: 4,
            flush_thorough_interval_ms: 10_000,
            queue_flush_interval_ms: 1000,
            queue_flush_least_pages: 2,
            queue_flush_thorough_interval_ms: 60_000,
            checkpoint_log_bytes: 1 << 30,
            max_message_bytes: DEFAULT_MAX_BODY_BYTES,
            append_prop_crc: false,
            check_crc_on_recover: true,
            delay_levels_ms: default_delay_levels_ms(),
            read: ReadOptions::default(),
            retention: RetentionOptions::default(),
            index: IndexOptions::default(),
            populate_ahead_bytes: 8 << 20,
            max_open_queue_files: 512,
            recent_entries: 1024,
            await_slaves: false,
            background: true,
        }
    }

    /// How records are staged for this store.
    #[must_use]
    pub fn stage_options(&self) -> StageOptions {
        StageOptions {
            limits: RecordLimits::new(self.max_message_bytes),
            append_crc: self.append_prop_crc,
            ..StageOptions::default()
        }
    }
}

/// Apache's default delay levels, ms: 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h.
#[must_use]
pub fn default_delay_levels_ms() -> Vec<i64> {
    const SECONDS: [i64; 18] = [
        1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
    ];
    SECONDS.iter().map(|s| s * 1000).collect()
}
