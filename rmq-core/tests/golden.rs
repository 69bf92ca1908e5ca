//! Bytes made by Apache's own classes: read, and made again. See `golden/README.md`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "golden/allocations.rs"]
mod allocations;
#[path = "golden/bodies.rs"]
mod bodies;
#[path = "golden/data.rs"]
mod data;
#[path = "golden/filters.rs"]
mod filters;
#[path = "golden/frames.rs"]
mod frames;
#[path = "golden/headers.rs"]
mod headers;
#[path = "golden/index.rs"]
mod index;
#[path = "golden/records.rs"]
mod records;
#[path = "golden/small.rs"]
mod small;
