//! Errors of the library as exceptions of Python.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use rmq_core::embed::Error;

/// `rmq._errors.make`, which has the classes.
static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception for an error.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let kind = error.kind();
    let make = MAKE.get_or_try_init(py, || {
        let module = py.import("rmq._errors")?;
        Ok::<_, PyErr>(module.getattr("make")?.unbind())
    });
    let arguments = (
        kind.name(),
        error.to_string(),
        kind.broker_code(),
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
