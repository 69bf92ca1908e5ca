//! L4: replication (not built yet).
