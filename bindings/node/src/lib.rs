//! The native half of the Node package `rmq`; `index.js` holds the other.

use napi_derive::napi;
use rmq_core::embed::version::VERSION;

/// The version of the native library.
#[napi]
#[must_use]
pub fn version() -> &'static str {
    VERSION
}
