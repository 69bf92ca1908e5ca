//! Messages: the stored record, its properties, ids, flags, batches and compression.

pub mod properties;
pub mod record;
pub mod sysflag;
