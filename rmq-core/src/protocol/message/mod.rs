//! Messages: the stored record, its properties, ids, flags, batches and compression.

pub mod batch;
pub mod compress;
pub mod id;
pub mod properties;
pub mod recall;
pub mod record;
pub mod sysflag;
pub mod user;
