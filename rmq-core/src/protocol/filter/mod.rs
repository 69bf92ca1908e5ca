//! Which messages a subscription takes.

pub mod tag;
