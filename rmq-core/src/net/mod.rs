//! L3: event loops, connections, calls.
