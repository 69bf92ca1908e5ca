//! Unmodified official clients and Apache's own servers and tools against rmq.
//!
//! `tests/interop/run.sh` runs these. `RMQ_INTEROP_SERVER=apache` puts Apache's servers in rmq's
//! place, which shows whether a failure is the suite's or rmq's.

#![allow(
    clippy::print_stdout,
    reason = "the tests pass on what the suites print"
)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/apache.rs"]
mod apache;
#[path = "interop/client.rs"]
mod client;
#[path = "interop/client_admin.rs"]
mod client_admin;
#[path = "interop/client_consumer.rs"]
mod client_consumer;
#[path = "interop/client_producer.rs"]
mod client_producer;
#[path = "support/log_files.rs"]
mod log_files;
#[path = "interop/metadata.rs"]
mod metadata;
#[path = "interop/mixed.rs"]
mod mixed;
#[path = "interop/nameservers.rs"]
mod nameservers;
#[path = "interop/ordered.rs"]
mod ordered;
#[path = "support/peer.rs"]
mod peer;
#[path = "interop/pop.rs"]
mod pop;
#[path = "support/popper.rs"]
mod popper;
#[path = "interop/python.rs"]
mod python;
#[path = "interop/replication.rs"]
mod replication;
#[path = "interop/store.rs"]
mod store;
#[path = "interop/suites.rs"]
mod suites;
