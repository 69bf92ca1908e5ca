//! librmq: the C interface of rmq, a thin skin over `rmq_core::embed`.
//!
//! `include/rmq.h` is made from this crate; a test holds the two together. Nothing but the
//! functions of that header is exported.
//!
//! A host that links the static library `librmq.a` can link no other static library made by
//! Rust: each carries its own copy of the standard library.

mod boundary;
mod version;

pub use version::{rmq_abi_version, rmq_version};
