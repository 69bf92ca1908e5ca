//! Calls that block, waited for in slices or not at all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rmq_core::embed::{Error, spawn_thread};

use crate::arguments;
use crate::errors;
use crate::mailbox::{Ticket, outcome};

/// Longest wait without a look at signals.
pub(crate) const SLICE: Duration = Duration::from_millis(100);

/// Set when the interpreter is about to end: nobody begins or goes on to wait.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Threads of Python that wait here without the GIL.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Counts a thread that waits without the GIL. Coming back to an interpreter that has ended would
/// end the thread in the midst of native code, so the end waits for those that are counted.
pub(crate) struct Waiting(());

impl Waiting {
    /// `RuntimeError`: the interpreter is about to end.
    pub(crate) fn begin() -> PyResult<Self> {
        WAITING.fetch_add(1, Ordering::SeqCst);
        let waiting = Self(());
        Self::go_on()?;
        Ok(waiting)
    }

    fn go_on() -> PyResult<()> {
        match ENDING.load(Ordering::SeqCst) {
            true => Err(PyRuntimeError::new_err("the interpreter is about to end")),
            false => Ok(()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Has every wait end, and waits for that at most for `timeout` seconds; false when some still
/// wait. With `timeout` None, waits are allowed again: the child of a fork begins anew.
#[pyfunction]
#[pyo3(signature = (timeout=None))]
pub(crate) fn end_waits(py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
    const STEP: Duration = Duration::from_millis(5);
    let Some(timeout) = arguments::optional_duration(timeout)? else {
        ENDING.store(false, Ordering::SeqCst);
        WAITING.store(0, Ordering::SeqCst);
        return Ok(true);
    };
    ENDING.store(true, Ordering::SeqCst);
    let mut left = timeout;
    while WAITING.load(Ordering::SeqCst) > 0 && !left.is_zero() {
        py.detach(|| std::thread::sleep(STEP));
        left = left.saturating_sub(STEP);
    }
    Ok(WAITING.load(Ordering::SeqCst) == 0)
}

/// Waits with `look` at most for `timeout`, without the GIL, and looks at signals after each
/// `slice`.
pub(crate) fn in_slices<T: Send>(
    py: Python<'_>,
    timeout: Duration,
    slice: Duration,
    mut look: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    let _waiting = Waiting::begin()?;
    let mut left = timeout;
    loop {
        let slice = left.min(slice);
        if let Some(found) = py.detach(|| look(slice)) {
            return Ok(Some(found));
        }
        py.check_signals()?;
        Waiting::go_on()?;
        left -= slice;
        if left.is_zero() {
            return Ok(None);
        }
    }
}

/// Where a thread leaves what came of its work.
struct Slot<T> {
    value: Mutex<Option<T>>,
    filled: Condvar,
}

/// Does blocking `work` on a thread of its own. With a ticket the call returns `None` at once, and
/// the outcome goes where the ticket says. Without one the caller waits; when a signal's handler
/// raises meanwhile, the work goes on and nobody hears of its outcome.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    ticket: Option<&Ticket>,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    convert: impl for<'py> FnOnce(Python<'py>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    const NAME: &str = "rmq-py-call";
    if let Some(ticket) = ticket {
        let sink = ticket.sink();
        let spawned = spawn_thread(NAME, move || sink(outcome(work(), convert)));
        errors::told(py, spawned.map(drop))?;
        return Ok(py.None());
    }
    let slot = Arc::new(Slot {
        value: Mutex::new(None),
        filled: Condvar::new(),
    });
    let filled = Arc::clone(&slot);
    let spawned = spawn_thread(NAME, move || {
        let done = work();
        *filled.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        filled.filled.notify_all();
    });
    errors::told(py, spawned.map(drop))?;
    let done = in_slices(py, Duration::MAX, SLICE, |slice| {
        let value = slot.value.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |value: &mut Option<_>| value.is_none();
        let waited = slot.filled.wait_timeout_while(value, slice, empty);
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    })?;
    match done {
        Some(done) => convert(py, errors::told(py, done)?),
        None => Ok(py.None()),
    }
}

/// For work whose answer is an object of Python's as it is.
pub(crate) fn object<T: for<'py> IntoPyObject<'py>>(
    py: Python<'_>,
    value: T,
) -> PyResult<Py<PyAny>> {
    value.into_py_any(py)
}

/// For work that answers nothing.
pub(crate) fn nothing(py: Python<'_>, (): ()) -> PyResult<Py<PyAny>> {
    Ok(py.None())
}
