//! L4: replication, in the protocol of Apache RocketMQ's brokers.
//!
//! A slave connects to its master's HA port and reports the log offset that it holds; the master
//! streams the bytes of its log from there on. There is no greeting and no authentication.

pub mod acks;
pub mod wire;
