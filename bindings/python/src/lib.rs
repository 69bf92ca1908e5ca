//! The native half of the Python package `rmq`; `python/rmq` holds the other.
//!
//! No thread of Rust ever touches Python: what it has to tell goes into a [`mailbox`], which
//! threads and event loops of Python empty. So a callback of a program runs on a thread that
//! Python made, and the interpreter may end at any moment.

mod admin;
mod arguments;
mod cluster;
mod delivery;
mod errors;
mod job;
mod logging;
mod mailbox;
mod message;
mod producer;
mod pull;
mod push;
mod received;
mod send_result;
mod servers;
mod transaction;
mod view;

use pyo3::prelude::*;
use rmq_core::embed::version::VERSION;

/// The version of the native library.
#[pyfunction]
fn version() -> &'static str {
    VERSION
}

/// The module `rmq._rmq`.
#[pymodule(gil_used = false)]
fn _rmq(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(version, module)?)?;
    module.add("__version__", VERSION)?;
    module.add_function(wrap_pyfunction!(job::end_waits, module)?)?;
    module.add_function(wrap_pyfunction!(logging::log_start, module)?)?;
    module.add_function(wrap_pyfunction!(logging::log_take, module)?)?;
    module.add_class::<admin::NativeAdmin>()?;
    module.add_class::<cluster::NativeCluster>()?;
    module.add_class::<delivery::Delivery>()?;
    module.add_class::<mailbox::Completions>()?;
    module.add_class::<mailbox::Ticket>()?;
    module.add_class::<message::Message>()?;
    module.add_class::<message::MessageQueue>()?;
    module.add_class::<producer::NativeProducer>()?;
    module.add_class::<pull::NativePullConsumer>()?;
    module.add_class::<push::NativePushConsumer>()?;
    module.add_class::<received::ReceivedMessage>()?;
    module.add_class::<send_result::SendResult>()?;
    module.add_class::<send_result::SendStatus>()?;
    module.add_class::<servers::NativeBroker>()?;
    module.add_class::<servers::NativeNameServer>()?;
    module.add_function(wrap_pyfunction!(servers::standalone_items, module)?)?;
    module.add_class::<transaction::TransactionCheck>()?;
    module.add_class::<transaction::TransactionState>()?;
    Ok(())
}
