//! L5: the nameserver.
