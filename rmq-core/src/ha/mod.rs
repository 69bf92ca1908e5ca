//! L4: replication, in the protocol of Apache RocketMQ's brokers.
//!
//! A slave connects to its master's HA port and reports the log offset that it holds; the master
//! streams the bytes of its log from there on. There is no greeting and no authentication.

mod acks;
mod master;
mod rate;
mod slave;
pub mod wire;

pub use acks::InSync;
pub use master::{Master, MasterOptions, MasterStatus, SlaveLine};
pub use slave::{Slave, SlaveOptions, SlaveState, SlaveStatus};
