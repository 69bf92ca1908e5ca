//! L3: the message store on disk.
//!
//! A [`Store`] keeps all messages in one commit log and, per queue, where each of its messages lies
//! there. Appending takes one lock and waits for no disk; what is durable is told by
//! [`Watermarks`], and a queue shows consumers only what is safe by them. Files are Apache
//! RocketMQ's, so either broker opens what the other wrote.

mod bell;
pub mod checkpoint;
mod commitlog;
mod consume_queue;
mod core;
pub mod disk;
mod dispatch;
mod health;
mod index;
mod lifecycle;
mod local_time;
pub mod metadata;
pub mod mmap;
mod options;
mod read;
mod recover;
mod replica;
pub mod retention;
pub mod segments;
mod snapshot;
pub mod timer;
mod watermarks;

pub use self::core::QueueHook;
pub use commitlog::{AppendBatch, AppendError, Appended};
pub use consume_queue::{ENTRY_BYTES, Entry, Queue};
pub use disk::{Disk, RealDisk, Usage};
pub use health::Health;
pub use index::{KeyKind, KeyMatches, KeyQuery};
pub use lifecycle::Store;
pub(crate) use local_time::day as local_day;
pub use metadata::MetadataFile;
pub use mmap::LogSlice;
pub use options::{
    FlushMode, IndexOptions, ReadOptions, RetentionOptions, StoreOptions, default_delay_levels_ms,
    physical_memory_bytes,
};
pub use read::{Patience, ReadLimits, ReadOutcome, ReadStatus, RecordFilter, Wanted};
pub use watermarks::{Replication, Watermarks};
