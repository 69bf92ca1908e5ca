//! L5: the client side of the protocol.

pub mod raw;
