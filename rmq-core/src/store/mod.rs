//! L3: the message store on disk.

pub mod checkpoint;
pub mod disk;
pub mod metadata;
pub mod mmap;

pub use disk::{Disk, RealDisk};
pub use metadata::MetadataFile;
pub use mmap::LogSlice;
