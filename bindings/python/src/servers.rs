//! A nameserver and a broker in this process.

use std::collections::BTreeSet;
use std::sync::Arc;

use pyo3::prelude::*;
use rmq_core::embed::{
    Broker, Error, NameServer, ServerSettings, Storage, Warning, broker_config, nameserver_config,
    standalone_broker_config, standalone_nameserver_config,
};

use crate::arguments::{self, Keys};
use crate::errors;
use crate::job;
use crate::mailbox::Ticket;

/// Keys with their values, what is odd about those given, and the seconds a clean stop may take.
type Items = (Vec<(String, String)>, Vec<String>, u32);

fn items(config: &impl ServerSettings, warnings: &[Warning], important_only: bool) -> Items {
    let mut important = BTreeSet::new();
    config.visit(&mut |group| {
        let rows = group.rows().iter().filter(|row| row.important);
        important.extend(rows.map(|row| row.key));
    });
    let all = config.to_properties();
    let wanted = |key: &str| !important_only || important.contains(key);
    let items = all.iter().filter(|(key, _)| wanted(key));
    let items = items.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let warnings = warnings.iter().map(Warning::to_string);
    let stop_s = all
        .get("shutdownWaitTimeSeconds")
        .and_then(|s| s.parse().ok());
    (items.collect(), warnings.collect(), stop_s.unwrap_or(0))
}

/// The configuration of a command: `keys` over those of a file over Apache's defaults.
#[pyfunction]
#[pyo3(signature = (broker, keys, file=None, important_only=false))]
pub(crate) fn standalone_items(
    py: Python<'_>,
    broker: bool,
    keys: Keys,
    file: Option<&str>,
    important_only: bool,
) -> PyResult<Items> {
    let read = || {
        let keys = arguments::properties(&keys, file)?;
        Ok(match broker {
            true => {
                let (config, warnings) = standalone_broker_config(&keys)?;
                items(&config, &warnings, important_only)
            }
            false => {
                let (config, warnings) = standalone_nameserver_config(&keys)?;
                items(&config, &warnings, important_only)
            }
        })
    };
    errors::told(py, read())
}

/// A nameserver.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativeNameServer {
    inner: Arc<NameServer>,
}

#[pymethods]
impl NativeNameServer {
    /// Starts one with Apache's keys over those of a file, over the defaults of embedded servers,
    /// or as a command does.
    #[staticmethod]
    #[pyo3(signature = (keys, file=None, ticket=None, standalone=false))]
    fn start(
        py: Python<'_>,
        keys: Keys,
        file: Option<String>,
        ticket: Option<&Ticket>,
        standalone: bool,
    ) -> PyResult<Py<PyAny>> {
        let work = move || {
            let keys = arguments::properties(&keys, file.as_deref())?;
            NameServer::start(match standalone {
                true => standalone_nameserver_config(&keys)?.0,
                false => nameserver_config(&keys)?,
            })
        };
        let convert = |py: Python<'_>, inner| {
            let inner = Arc::new(inner);
            job::object(py, Self { inner })
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

fn start_broker(
    keys: &Keys,
    file: Option<&str>,
    store: Option<String>,
    standalone: bool,
) -> Result<Running, Error> {
    let keys = arguments::properties(keys, file)?;
    if standalone {
        return Ok(Running {
            broker: Broker::start(standalone_broker_config(&keys)?.0)?,
            _storage: None,
        });
    }
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
    #[pyo3(signature = (keys, file=None, store=None, ticket=None, standalone=false))]
    fn start(
        py: Python<'_>,
        keys: Keys,
        file: Option<String>,
        store: Option<String>,
        ticket: Option<&Ticket>,
        standalone: bool,
    ) -> PyResult<Py<PyAny>> {
        let work = move || start_broker(&keys, file.as_deref(), store, standalone);
        let convert = |py: Python<'_>, inner| {
            let inner = Arc::new(inner);
            job::object(py, Self { inner })
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
