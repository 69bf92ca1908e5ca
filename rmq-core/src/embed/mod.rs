//! L6: the one facade for the C ABI, the bindings and the commands.
//! L6: the one facade that the C library, the bindings and the commands use.

pub mod version;
