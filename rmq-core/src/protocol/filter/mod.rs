//! Which messages a subscription takes.

pub mod bloom;
pub mod sql;
pub mod tag;
