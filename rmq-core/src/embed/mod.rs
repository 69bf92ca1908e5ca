//! L6: the one facade for the C ABI, the bindings and the commands.
