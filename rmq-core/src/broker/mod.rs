//! L5: the broker.
//!
//! `handler` is the data plane, one for each reactor; `control` with `processors` is the control
//! plane, one thread; `shared` is what both see.

mod arrivals;
mod assignment;
mod calls;
mod clients;
mod cold;
mod control;
mod filters;
#[cfg(test)]
mod fixture;
mod groups;
mod handler;
mod hold;
mod inbox;
mod interfaces;
mod locks;
mod members;
mod metadata;
mod names;
mod offsets;
mod options;
mod overload;
mod pending;
mod pop;
mod processors;
mod redirect;
mod registration;
mod relay;
mod replication;
mod reply;
mod resets;
mod role;
mod schedule;
mod server;
mod settings;
mod shared;
mod slave_sync;
mod stats;
mod timer;
mod topic_cache;
mod topics;
mod transaction;

pub use replication::ReplicationStatus;
pub use server::{Broker, Host};
