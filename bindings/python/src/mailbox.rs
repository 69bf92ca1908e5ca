//! What threads of Rust have to tell Python, without touching it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rmq_core::embed::Error;

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

#[derive(Default)]
struct Inside {
    waiting: VecDeque<(u64, Outcome)>,
    closed: bool,
}

/// Outcomes that wait to be taken. Putting never blocks and never touches Python.
pub(crate) struct Mailbox {
    inside: Mutex<Inside>,
    filled: Condvar,
    /// Readable while something waits: this end is polled, the other one written.
    signal: Option<(UnixStream, UnixStream)>,
}

impl Mailbox {
    fn new(with_descriptor: bool) -> std::io::Result<Self> {
        let pair = || {
            let (polled, written) = UnixStream::pair()?;
            polled.set_nonblocking(true)?;
            written.set_nonblocking(true)?;
            Ok::<_, std::io::Error>((polled, written))
        };
        Ok(Self {
            inside: Mutex::default(),
            filled: Condvar::new(),
            signal: with_descriptor.then(pair).transpose()?,
        })
    }

    /// Puts an outcome there and wakes who waits.
    pub(crate) fn put(&self, token: u64, outcome: Outcome) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.closed {
            return;
        }
        inside.waiting.push_back((token, outcome));
        if inside.waiting.len() == 1 {
            self.wake();
        }
    }

    fn wake(&self) {
        self.filled.notify_all();
        if let Some((_, written)) = &self.signal {
            // A full pipe is readable, which is all that is wanted.
            let _ = (&*written).write(&[0]);
        }
    }

    /// What waits, at most `max`; waits for the first at most for `timeout`. `None`: closed.
    fn take(&self, max: usize, timeout: Duration) -> Option<Vec<(u64, Outcome)>> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |inside: &mut Inside| inside.waiting.is_empty() && !inside.closed;
        let waited = self.filled.wait_timeout_while(inside, timeout, empty);
        let mut inside = waited.unwrap_or_else(PoisonError::into_inner).0;
        if inside.closed {
            return None;
        }
        let count = inside.waiting.len().min(max);
        let taken = inside.waiting.drain(..count).collect();
        if inside.waiting.is_empty() {
            self.quiet();
        }
        Some(taken)
    }

    fn quiet(&self) {
        let Some((polled, _)) = &self.signal else {
            return;
        };
        let mut bytes = [0; 64];
        loop {
            match (&*polled).read(&mut bytes) {
                Ok(64) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    fn close(&self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.closed = true;
        let left = std::mem::take(&mut inside.waiting);
        self.wake();
        drop(inside);
        drop(left);
    }
}

/// Where operations that nobody waits for put what came of them.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct Completions {
    pub(crate) mailbox: Arc<Mailbox>,
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
    #[pyo3(signature = (with_descriptor=false))]
    fn new(with_descriptor: bool) -> PyResult<Self> {
        let mailbox = Arc::new(Mailbox::new(with_descriptor)?);
        Ok(Self { mailbox })
    }

    /// The descriptor that is readable while something waits.
    fn fileno(&self) -> PyResult<i32> {
        let signal = self.mailbox.signal.as_ref();
        let signal = signal.ok_or_else(|| PyValueError::new_err("made without a descriptor"))?;
        Ok(signal.0.as_raw_fd())
    }

    /// A ticket for one operation, whose outcome comes under this token.
    fn ticket(&self, token: u64) -> Ticket {
        Ticket {
            mailbox: Arc::clone(&self.mailbox),
            token,
        }
    }

    /// What waits, at most `max`, without waiting; None once closed.
    #[pyo3(signature = (max=1024))]
    fn take(&self, py: Python<'_>, max: usize) -> Option<Taken> {
        let taken = self.mailbox.take(max, Duration::ZERO)?;
        Some(opened(py, taken))
    }

    /// As `take`, but waits for the first at most for `timeout` seconds. Signals are not looked at:
    /// this is for threads of their own.
    #[pyo3(signature = (timeout, max=1024))]
    fn wait(&self, py: Python<'_>, timeout: f64, max: usize) -> PyResult<Option<Taken>> {
        let timeout = arguments::duration(timeout)?;
        let taken = job::in_slices(py, timeout, timeout, |slice| {
            match self.mailbox.take(max, slice) {
                Some(taken) if taken.is_empty() => None,
                other => Some(other),
            }
        })?;
        Ok(match taken {
            Some(Some(taken)) => Some(opened(py, taken)),
            Some(None) => None,
            None => Some(Vec::new()),
        })
    }

    /// Takes nothing more; who waits is told.
    fn close(&self) {
        self.mailbox.close();
    }
}

/// The right to put one outcome into a `Completions`.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct Ticket {
    mailbox: Arc<Mailbox>,
    token: u64,
}

impl Ticket {
    /// What puts an outcome there, on any thread.
    pub(crate) fn sink(&self) -> impl FnOnce(Outcome) + Send + 'static {
        let (mailbox, token) = (Arc::clone(&self.mailbox), self.token);
        move |outcome| mailbox.put(token, outcome)
    }
}
