//! L0: what every layer needs and that knows nothing of RocketMQ.

pub mod clock;
pub mod error;

pub use error::{Error, ErrorKind, Result};
