//! L6: the one facade that the C library, the bindings and the commands use.
//!
//! Servers run on threads of their own in the caller's process: nothing is printed, no signal is
//! handled, and after `close` (or a drop, which is a kill) no thread and no descriptor is left.

mod admin_invoke;
mod broker;
mod client_keys;
pub mod cluster;
mod consumer_keys;
mod log;
mod namesrv;
mod settings;
mod storage;
pub mod version;

pub use admin_invoke::admin_invoke;
pub use broker::Broker;
pub use client_keys::{admin_options, producer_options};
pub use cluster::{Cluster, ClusterOptions, Deployment};
pub use consumer_keys::consumer_options;
pub use log::{LogEvent, LogSink, install_log, log_level_changed};
pub use namesrv::NameServer;
pub use settings::{
    broker_config, nameserver_config, standalone_broker_config, standalone_nameserver_config,
};
pub use storage::Storage;

pub use crate::client::{
    Admin, AfterConsume, AfterSend, Allocation, ClientOptions, CompletionQueue, Compression,
    ConsumeHook, ConsumeStatus, ConsumerOptions, Deliveries, Delivery, Hooks, MachineRooms,
    Message, MessageModel, MessageQueue, Producer, ProducerOptions, PullConsumer, PushConsumer,
    ReceivedMessage, RoomPrefix, SendHook, SendOptions, SendResult, SendStatus, StartFrom,
    Subscription, SubscriptionGroupConfig, Target, TopicConfig, TransactionCheck, TransactionState,
    reply_to,
};

pub use crate::base::process::id as process_id;
pub use crate::base::thread::spawn as spawn_thread;
pub use crate::base::{Error, ErrorKind, Result};
pub use crate::config::{
    BrokerConfig, FlushDiskType, NamesrvConfig, Properties, ServerSettings, Warning,
};
