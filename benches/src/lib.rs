//! Measuring RocketMQ servers, rmq's and Apache's alike, over plain TCP.

pub mod compare;
pub mod load;
pub mod null;
pub mod peer;
pub mod replicate;
