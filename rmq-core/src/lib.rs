//! rmq: a drop-in RocketMQ in one library: nameserver, broker and client.
//!
//! Modules are layers; a module uses only modules of a lower layer. `docs/ARCHITECTURE.md` has the
//! table and `tests/tidy.rs` enforces it.

#![deny(unsafe_code)]

pub mod base;
pub mod broker;
pub mod client;
pub mod config;
pub mod embed;
pub mod ha;
pub mod namesrv;
pub mod net;
pub mod protocol;
pub mod route;
pub mod store;
