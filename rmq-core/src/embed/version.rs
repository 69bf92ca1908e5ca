//! What this build of the library is.

/// The version of the library, for example `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
