//! A broker's configuration in the terms of its store.

use std::path::PathBuf;

use crate::config::{BrokerConfig, BrokerRole, FlushDiskType};
use crate::store::{
    FlushMode, IndexOptions, ReadOptions, RetentionOptions, StoreOptions, physical_memory_bytes,
};

const HOUR_MS: i64 = 3_600_000;

/// The store options that a configuration asks for.
#[must_use]
pub(crate) fn of(config: &BrokerConfig) -> StoreOptions {
    let store = &config.store;
    StoreOptions {
        commitlog_dir: PathBuf::from(store.commitlog_path()),
        segment_bytes: to_usize(store.segment_bytes),
        consume_queue_file_bytes: to_usize(store.consume_queue_file_bytes),
        flush: match store.flush_disk_type {
            FlushDiskType::SyncFlush => FlushMode::Sync,
            FlushDiskType::AsyncFlush => FlushMode::Async,
        },
        flush_interval_ms: store.flush_interval_ms,
        flush_least_pages: store.flush_pages_min,
        flush_thorough_interval_ms: store.flush_thorough_interval_ms,
        queue_flush_interval_ms: store.consume_queue_flush_interval_ms,
        queue_flush_least_pages: store.consume_queue_flush_pages_min,
        queue_flush_thorough_interval_ms: store.consume_queue_flush_thorough_interval_ms,
        max_message_bytes: store.max_message_bytes,
        append_prop_crc: store.append_property_crc,
        check_crc_on_recover: store.check_crc_on_recover,
        delay_levels_ms: store
            .delay_levels
            .delays_ms()
            .iter()
            .map(|ms| ms.cast_signed())
            .collect(),
        await_slaves: store.broker_role == BrokerRole::SyncMaster,
        read: read(config),
        retention: retention(config),
        index: IndexOptions {
            build: store.index_enable && store.index_file_write,
            hash_slots: store.index_slots_max,
            max_entries: store.index_entries_max,
            tags: store.index_tags,
            complete_at_open: store.index_safe,
        },
        ..StoreOptions::new(&store.root_dir)
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn read(config: &BrokerConfig) -> ReadOptions {
    let store = &config.store;
    ReadOptions {
        max_count_in_memory: store.transfer_memory_count_max as usize,
        max_bytes_in_memory: store.transfer_memory_bytes_max,
        max_count_on_disk: store.transfer_disk_count_max as usize,
        max_bytes_on_disk: store.transfer_disk_bytes_max,
        max_filter_bytes: store.filter_scan_bytes_max,
        memory_bytes: physical_memory_bytes() / 100 * u64::from(config.memory_percent()),
    }
}

fn retention(config: &BrokerConfig) -> RetentionOptions {
    let store = &config.store;
    let percent = |value: u32| u8::try_from(value).unwrap_or(100);
    RetentionOptions {
        delete_hours: store.delete_when.hours().to_vec(),
        file_reserved_ms: i64::from(store.reserved_hours) * HOUR_MS,
        disk_max_used_percent: percent(store.disk_max_used_percent),
        clean_forcibly_percent: percent(store.disk_force_clean_percent),
        warning_level_percent: percent(store.disk_full_percent),
        clean_forcibly: store.clean_forcibly,
        interval_ms: store.clean_interval_ms,
        delete_pause_ms: store.delete_commitlog_interval_ms,
        queue_delete_pause_ms: store.delete_consume_queue_interval_ms,
        delete_batch_max: store.delete_files_max as usize,
        ..RetentionOptions::default()
    }
}
