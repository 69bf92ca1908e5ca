//! What functions are given.

use std::collections::BTreeMap;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rmq_core::embed::{Error, Properties};

/// Apache's keys with their values, as text.
pub(crate) type Keys = BTreeMap<String, String>;

/// A time in seconds. `ValueError`: below zero, or no number.
pub(crate) fn duration(seconds: f64) -> PyResult<Duration> {
    /// A hundred years: what is longer waits as long.
    const LONGEST_S: f64 = 100.0 * 365.0 * 86_400.0;
    if seconds.is_nan() || seconds < 0.0 {
        let why = format!("a time of {seconds} seconds");
        return Err(PyValueError::new_err(why));
    }
    Ok(Duration::from_secs_f64(seconds.min(LONGEST_S)))
}

/// As `duration`; `None` stays none.
pub(crate) fn optional_duration(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds.map(duration).transpose()
}

/// Keys, over those of a file in the format of Java's properties if there is one.
pub(crate) fn properties(keys: &Keys, file: Option<&str>) -> Result<Properties, Error> {
    let mut all = Properties::new("arguments");
    if let Some(path) = file {
        let content =
            std::fs::read(path).map_err(|error| Error::io("read configuration", path, error))?;
        let read = Properties::parse(path, &content)?;
        all.extend(read.iter());
    }
    all.extend(
        keys.iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    );
    Ok(all)
}
