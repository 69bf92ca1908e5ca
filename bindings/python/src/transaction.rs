//! How transactions end.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use rmq_core::embed;

use crate::received::ReceivedMessage;

/// How a transaction ended.
#[pyclass(frozen, eq, hash, from_py_object, module = "rmq")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::upper_case_acronyms, reason = "names of Python's enumerations")]
pub(crate) enum TransactionState {
    /// The message is delivered.
    COMMIT,
    /// The message is forgotten.
    ROLLBACK,
    /// Not known yet: the broker asks later.
    UNKNOWN,
}

impl From<TransactionState> for embed::TransactionState {
    fn from(state: TransactionState) -> Self {
        match state {
            TransactionState::COMMIT => Self::Commit,
            TransactionState::ROLLBACK => Self::Rollback,
            TransactionState::UNKNOWN => Self::Unknown,
        }
    }
}

/// A broker's question how the transaction of a half message ended.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct TransactionCheck {
    check: Mutex<Option<embed::TransactionCheck>>,
    message: Py<ReceivedMessage>,
}

/// A question as an object of Python's.
pub(crate) fn object(py: Python<'_>, check: embed::TransactionCheck) -> PyResult<Py<PyAny>> {
    let message = ReceivedMessage::from(check.message().clone());
    let check = TransactionCheck {
        message: Py::new(py, message)?,
        check: Mutex::new(Some(check)),
    };
    Ok(Py::new(py, check)?.into_any())
}

#[pymethods]
impl TransactionCheck {
    /// The half message.
    #[getter]
    fn message(&self, py: Python<'_>) -> Py<ReceivedMessage> {
        self.message.clone_ref(py)
    }

    /// Tells the broker; only the first answer counts. Does not wait.
    fn answer(&self, py: Python<'_>, state: TransactionState) {
        let check = self.check.lock();
        let check = check.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(check) = check {
            py.detach(|| check.answer(state.into()));
        }
    }
}
