//! L5: the broker.
//!
//! `handler` is the data plane, one for each reactor; `control` with `processors` is the control
//! plane, one thread; `shared` is what both see.

mod clients;
mod cold;
mod control;
mod groups;
mod handler;
mod hold;
mod interfaces;
mod locks;
mod names;
mod offsets;
mod options;
mod pending;
mod processors;
mod registration;
mod reply;
mod schedule;
mod server;
mod shared;
mod stats;
mod topic_cache;
mod topics;

pub use server::{Broker, Host};
