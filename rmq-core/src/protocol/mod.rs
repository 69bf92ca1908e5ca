//! L1: bytes to types and back; pure.

pub mod message;
