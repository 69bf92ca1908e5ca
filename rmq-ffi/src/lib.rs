//! librmq: the C interface of rmq, a thin skin over `rmq_core::embed`.
//!
//! `include/rmq.h` is made from this crate; a test holds the two together. Nothing but the
//! functions of that header is exported.
//!
//! A host that links the static library `librmq.a` can link no other static library made by
//! Rust: each carries its own copy of the standard library.

#![allow(
    missing_debug_implementations,
    reason = "a type that C sees is never looked into"
)]

mod admin;
mod argument;
mod boundary;
mod broker;
mod cluster;
mod completion_queue;
mod config;
mod consumer;
mod delivery;
mod error;
mod handle;
mod log;
mod message;
mod namesrv;
mod producer;
mod pull_consumer;
mod queues;
mod received;
mod request;
mod send_result;
mod status;
mod text;
mod transaction;
mod version;

pub use admin::*;
pub use broker::*;
pub use cluster::*;
pub use completion_queue::*;
pub use config::*;
pub use consumer::*;
pub use delivery::*;
pub use error::*;
pub use log::*;
pub use message::*;
pub use namesrv::*;
pub use producer::*;
pub use pull_consumer::*;
pub use queues::*;
pub use received::*;
pub use request::*;
pub use send_result::*;
pub use status::*;
pub use text::*;
pub use transaction::*;
pub use version::*;
