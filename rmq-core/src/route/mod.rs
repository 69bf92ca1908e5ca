//! L4: the route table of a nameserver, pure: who is there, and which topics have queues where.
//!
//! No socket, clock or lock: callers pass the time and the connection a request came on, whose type
//! is theirs. Everything here holds after every call: a cluster has brokers, a broker has an
//! address, an address is alive, and a topic's queues are on brokers that are there.

mod entry;
mod liveness;
mod pick;
mod register;
mod table;
#[cfg(test)]
mod tests;
mod topics;

pub use entry::{MinIdChange, Queues};
pub use liveness::Expired;
pub use pick::{BrokerView, TopicRoute};
pub use register::{Master, Refusal, Registered, Registration, Rules, Topic};
pub use table::RouteTable;
pub use topics::UnitTopics;
