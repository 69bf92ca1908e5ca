//! L5: the nameserver: the route table behind sockets.
//!
//! Each reactor thread has a handler; they share a `State`. Requests are answered on the reactor
//! that read them, except those that change a file: a thread of its own writes it and then answers.

mod cache;
mod handler;
mod kv;
mod processors;
mod saver;
mod server;
mod settings;
mod state;

pub use server::{Host, Namesrv};
