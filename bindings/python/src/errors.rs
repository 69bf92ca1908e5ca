//! Errors of the library as exceptions of Python.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use rmq_core::embed::{Error, ErrorKind};

/// `rmq._errors.make`, which has the classes.
static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The name of a kind, the same in every language.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Io => "RMQ_E_IO",
        ErrorKind::DiskFull => "RMQ_E_DISK_FULL",
        ErrorKind::ReadOnly => "RMQ_E_READ_ONLY",
        ErrorKind::Corrupt => "RMQ_E_CORRUPT",
        ErrorKind::Limit => "RMQ_E_LIMIT",
        ErrorKind::Invalid => "RMQ_E_INVALID",
        ErrorKind::NotFound => "RMQ_E_NOT_FOUND",
        ErrorKind::AddressInUse => "RMQ_E_ADDRESS_IN_USE",
        ErrorKind::Permission => "RMQ_E_PERMISSION",
        ErrorKind::Locked => "RMQ_E_LOCKED",
        ErrorKind::Unreachable => "RMQ_E_UNREACHABLE",
        ErrorKind::Timeout => "RMQ_E_TIMEOUT",
        ErrorKind::Busy => "RMQ_E_BUSY",
        ErrorKind::Closed => "RMQ_E_CLOSED",
        ErrorKind::Forked => "RMQ_E_FORKED",
        ErrorKind::Remote(_) => "RMQ_E_BROKER",
        // Kinds that this package does not know yet are told as defects until it does.
        _ => "RMQ_E_INTERNAL",
    }
}

/// The exception for an error.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let kind = error.kind();
    let broker_code = match kind {
        ErrorKind::Remote(code) => Some(code),
        _ => None,
    };
    let make = MAKE.get_or_try_init(py, || {
        let module = py.import("rmq._errors")?;
        Ok::<_, PyErr>(module.getattr("make")?.unbind())
    });
    let arguments = (
        code(kind),
        error.to_string(),
        broker_code,
        kind.retriable(),
        kind.fatal(),
    );
    match make.and_then(|make| make.bind(py).call1(arguments)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(failed) => failed,
    }
}

/// What came of a call, with the exception for its error.
pub(crate) fn told<T>(py: Python<'_>, outcome: Result<T, Error>) -> PyResult<T> {
    outcome.map_err(|error| raise(py, &error))
}
