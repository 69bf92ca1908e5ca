//! What threads of Rust have to tell Python, without touching it.

use std::time::Duration;

use pyo3::prelude::*;
use rmq_core::embed::{CompletionQueue, Error};

use crate::arguments;
use crate::errors;
use crate::job;

/// What came of an operation; turned into an object of Python by who takes it. It holds nothing of
/// Python, so that it may be dropped anywhere.
pub(crate) type Outcome = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;

/// An outcome of a call of the library.
pub(crate) fn outcome<T: Send + 'static>(
    result: Result<T, Error>,
    convert: impl for<'py> FnOnce(Python<'py>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> Outcome {
    Box::new(move |py| match result {
        Ok(value) => convert(py, value),
        Err(error) => Err(errors::raise(py, &error)),
    })
}

/// Outcomes that wait to be taken, each with its token. Putting never blocks and never touches
/// Python.
#[derive(Clone)]
pub(crate) struct Mailbox(CompletionQueue<(u64, Outcome)>);

impl Mailbox {
    /// Puts an outcome there and wakes who waits; one that is closed drops it.
    pub(crate) fn put(&self, token: u64, outcome: Outcome) {
        drop(self.0.push((token, outcome)));
    }
}

/// Where operations that nobody waits for put what came of them.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct Completions {
    pub(crate) mailbox: Mailbox,
}

/// What `wait` and `take` answer: token, whether the value is an exception, value.
type Taken = Vec<(u64, bool, Py<PyAny>)>;

fn opened(py: Python<'_>, taken: Vec<(u64, Outcome)>) -> Taken {
    let open = |(token, outcome): (u64, Outcome)| match outcome(py) {
        Ok(value) => (token, false, value),
        Err(error) => (token, true, error.into_value(py).into_any()),
    };
    taken.into_iter().map(open).collect()
}

#[pymethods]
impl Completions {
    #[new]
    fn new() -> Self {
        Self {
            mailbox: Mailbox(CompletionQueue::new()),
        }
    }

    /// The descriptor that is readable while something waits.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        errors::told(py, self.mailbox.0.fd())
    }

    /// A ticket for one operation, whose outcome comes under this token.
    fn ticket(&self, token: u64) -> Ticket {
        Ticket {
            mailbox: self.mailbox.clone(),
            token,
        }
    }

    /// What waits, at most `max`, without waiting; None once closed.
    #[pyo3(signature = (max=1024))]
    fn take(&self, py: Python<'_>, max: usize) -> Option<Taken> {
        let taken = self.mailbox.0.poll(max, Duration::ZERO).ok()?;
        Some(opened(py, taken))
    }

    /// As `take`, but waits for the first at most for `timeout` seconds. Signals are not looked at:
    /// this is for threads of their own.
    #[pyo3(signature = (timeout, max=1024))]
    fn wait(&self, py: Python<'_>, timeout: f64, max: usize) -> PyResult<Option<Taken>> {
        let timeout = arguments::duration(timeout)?;
        let look = |slice| match self.mailbox.0.poll(max, slice) {
            Ok(taken) if taken.is_empty() => None,
            other => Some(other.ok()),
        };
        let taken = job::in_slices(py, timeout, timeout, look)?;
        Ok(match taken {
            Some(Some(taken)) => Some(opened(py, taken)),
            Some(None) => None,
            None => Some(Vec::new()),
        })
    }

    /// Takes nothing more; who waits is told.
    fn close(&self) {
        drop(self.mailbox.0.close());
    }
}

/// The right to put one outcome into a `Completions`.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct Ticket {
    mailbox: Mailbox,
    token: u64,
}

impl Ticket {
    /// What puts an outcome there, on any thread.
    pub(crate) fn sink(&self) -> impl FnOnce(Outcome) + Send + 'static {
        let (mailbox, token) = (self.mailbox.clone(), self.token);
        move |outcome| mailbox.put(token, outcome)
    }
}
