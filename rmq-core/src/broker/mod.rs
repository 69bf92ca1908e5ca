//! L5: the broker.
