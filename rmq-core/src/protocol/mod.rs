//! L1: bytes to types and back; pure.

pub mod body;
pub mod code;
pub mod command;
pub mod ext;
pub mod filter;
pub mod frame;
pub mod header;
pub mod json;
pub mod language;
pub mod message;
pub mod names;
pub mod request;
pub mod unserved;
pub mod version;

pub use code::{RequestCode, ResponseCode};
pub use command::{Command, DecodeError};
pub use ext::ExtFields;
pub use frame::{FrameError, FrameRef, Serialize};
pub use header::Head;
pub use language::Language;
