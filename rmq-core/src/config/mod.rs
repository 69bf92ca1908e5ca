//! L2: configuration keys, files and typed snapshots.
//!
//! Every key is one row of a table ([`table`]), in the module of its group: [`server`] (sockets,
//! both servers), [`namesrv`], [`broker`], [`store`], [`auth`], [`controller`]. From the rows come
//! parsing, defaults, limits, hot reload, the answers to config requests and
//! `docs/configuration.md`. A row that has a field of a snapshot has an effect; one without is
//! known, typed and accepted, so that Apache's files load without a warning.
//!
//! This layer reads no files: callers hand in text ([`Properties::parse`]) and what the process
//! knows about itself ([`Environment`]).

pub mod address;
pub mod auth;
pub mod broker;
pub mod controller;
pub mod docs;
pub mod environment;
pub mod namesrv;
pub mod properties;
pub mod server;
pub mod snapshot;
pub mod store;
pub mod table;
pub mod value;

pub use broker::BrokerConfig;
pub use environment::Environment;
pub use namesrv::NamesrvConfig;
pub use properties::Properties;
pub use server::{ClientConfig, ServerConfig};
pub use snapshot::{KeyChange, Outcome, ServerSettings, Warning};
pub use store::{BrokerRole, FlushDiskType, StoreConfig};
