//! L2: configuration keys, files and typed snapshots.
