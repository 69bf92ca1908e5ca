//! L5: the client side of the protocol.

mod admin;
mod completions;
pub mod consumer;
pub mod hooks;
mod instance;
mod lookup;
mod names;
mod options;
pub mod producer;
pub mod raw;
mod routes;
mod runtime;
mod scheduler;
mod trace;
mod wait;

pub use admin::Admin;
pub use completions::CompletionQueue;
pub use consumer::{
    Allocation, ConsumeStatus, ConsumerOptions, Deliveries, Delivery, MachineRooms, PullConsumer,
    PushConsumer, RoomPrefix, StartFrom, Subscription,
};
pub use hooks::{AfterConsume, AfterSend, ConsumeHook, Hooks, SendHook};
pub use options::ClientOptions;
pub use producer::{
    Producer, ProducerOptions, SendOptions, SendResult, Target, TransactionCheck, TransactionState,
    reply_to,
};
pub use raw::SendStatus;

pub use crate::protocol::body::group::SubscriptionGroupConfig;
pub use crate::protocol::body::heartbeat::MessageModel;
pub use crate::protocol::body::message_queue::MessageQueue;
pub use crate::protocol::body::topic::TopicConfig;
pub use crate::protocol::message::sysflag::Compression;
pub use crate::protocol::message::user::{Message, ReceivedMessage};
