//! rmq and Apache RocketMQ by turns on one machine, with the same generator and the same rows.

pub mod disk;
pub mod machine;
pub mod rows;
pub mod server;
pub mod table;
