//! The native half of the Python package `rmq`; `python/rmq` holds the other.

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
    module.add("__version__", VERSION)
}
