//! The native half of the Node package `rmq`; the TypeScript sources in `ts` are the other.
//!
//! It is small and flat. Whatever may wait is started with a number, runs on a thread of rmq, and
//! ends as an event with that number in the [`hub`] of its JavaScript environment, where the
//! other half turns it into a promise. Nothing here blocks JavaScript's thread or libuv's pool.

// An addon has no Rust users: what it exports is for JavaScript, which a test build leaves out.
#![allow(unreachable_pub, missing_debug_implementations)]
#![cfg_attr(test, allow(dead_code))]

mod admin;
mod cluster;
mod failure;
mod hub;
mod log;
mod message;
mod producer;
mod pull;
mod push;
mod server;
mod transaction;
mod work;

use napi_derive::napi;
use rmq_core::embed::version::VERSION;

/// The version of the native library.
#[napi]
#[must_use]
pub fn version() -> &'static str {
    VERSION
}
