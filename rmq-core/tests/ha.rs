//! Replication over real sockets between real stores.

#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "ha/diverged.rs"]
mod diverged;
#[path = "ha/fence.rs"]
mod fence;
#[path = "ha/hostile.rs"]
mod hostile;
#[path = "ha/replicate.rs"]
mod replicate;
#[path = "store_support/mod.rs"]
mod store_support;
#[path = "ha/support.rs"]
mod support;
#[path = "ha/sync.rs"]
mod sync;
