//! A nameserver and a broker in this process.

use std::sync::Arc;

use pyo3::prelude::*;
use rmq_core::embed::{Broker, Error, NameServer, Storage, broker_config, nameserver_config};

use crate::arguments::{self, Keys};
use crate::job;
use crate::mailbox::Ticket;

/// A nameserver.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativeNameServer {
    inner: Arc<NameServer>,
}

#[pymethods]
impl NativeNameServer {
    /// Starts one with Apache's keys over those of a file.
    #[staticmethod]
    #[pyo3(signature = (keys, file=None, ticket=None))]
    fn start(
        py: Python<'_>,
        keys: Keys,
        file: Option<String>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let work = move || {
            let keys = arguments::properties(&keys, file.as_deref())?;
            NameServer::start(nameserver_config(&keys)?)
        };
        let convert = |py: Python<'_>, inner| {
            let inner = Arc::new(inner);
            Ok(Py::new(py, Self { inner })?.into_any())
        };
        job::run(py, ticket, work, convert)
    }

    /// Where it listens.
    #[getter]
    fn address(&self) -> String {
        self.inner.address().to_string()
    }

    /// Stops it cleanly within `timeout` seconds.
    #[pyo3(signature = (timeout, ticket=None))]
    fn close(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        job::run(py, ticket, move || inner.close(timeout), job::nothing)
    }

    /// Stops it as a crash would.
    fn kill(&self, py: Python<'_>) {
        py.detach(|| self.inner.kill());
    }
}

/// A broker, and the folder that goes away with it if it has no other.
struct Running {
    broker: Broker,
    // After the broker, which stores there.
    _storage: Option<Storage>,
}

/// A broker.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativeBroker {
    inner: Arc<Running>,
}

fn start_broker(keys: &Keys, file: Option<&str>, store: Option<String>) -> Result<Running, Error> {
    let keys = arguments::properties(keys, file)?;
    let temporary = |storage: Storage| {
        let path = storage.path().display().to_string();
        (Some(storage), path)
    };
    let (storage, folder) = match store {
        Some(path) if path == ":memory:" => temporary(Storage::in_memory()?),
        Some(path) => (None, path),
        None if keys.contains("storePathRootDir") => (None, String::new()),
        None => temporary(Storage::temporary()?),
    };
    Ok(Running {
        broker: Broker::start(broker_config(&keys, &folder)?)?,
        _storage: storage,
    })
}

#[pymethods]
impl NativeBroker {
    /// Starts one with Apache's keys over those of a file; `store` is a folder, or ":memory:".
    #[staticmethod]
    #[pyo3(signature = (keys, file=None, store=None, ticket=None))]
    fn start(
        py: Python<'_>,
        keys: Keys,
        file: Option<String>,
        store: Option<String>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let work = move || start_broker(&keys, file.as_deref(), store);
        let convert = |py: Python<'_>, inner| {
            let inner = Arc::new(inner);
            Ok(Py::new(py, Self { inner })?.into_any())
        };
        job::run(py, ticket, work, convert)
    }

    /// The address that clients are given.
    #[getter]
    fn address(&self) -> String {
        self.inner.broker.address().to_string()
    }

    /// The broker's name.
    #[getter]
    fn name(&self) -> String {
        self.inner.broker.name()
    }

    /// Stops it cleanly within `timeout` seconds.
    #[pyo3(signature = (timeout, ticket=None))]
    fn close(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        let work = move || inner.broker.close(timeout);
        job::run(py, ticket, work, job::nothing)
    }

    /// Stops it as a crash would.
    fn kill(&self, py: Python<'_>) {
        py.detach(|| self.inner.broker.kill());
    }
}
