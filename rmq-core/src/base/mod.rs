//! L0: what every layer needs and that knows nothing of RocketMQ.

pub mod backoff;
pub mod clock;
pub mod crc;
pub mod error;
pub mod fault;
pub mod process;
pub mod queue;
pub mod slots;
pub mod thread;
pub mod units;

pub use error::{Error, ErrorKind, Result};
