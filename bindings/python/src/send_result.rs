//! What became of a message that was sent.

use pyo3::prelude::*;
use rmq_core::embed;

use crate::message::MessageQueue;

/// How safely a message is stored.
#[pyclass(frozen, eq, hash, module = "rmq")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(non_camel_case_types, reason = "names of Python's enumerations")]
pub(crate) enum SendStatus {
    /// As safely as the broker promises.
    OK,
    /// Not flushed in time.
    FLUSH_DISK_TIMEOUT,
    /// Not replicated in time.
    FLUSH_SLAVE_TIMEOUT,
    /// There is no slave to replicate to.
    SLAVE_NOT_AVAILABLE,
}

impl From<embed::SendStatus> for SendStatus {
    fn from(status: embed::SendStatus) -> Self {
        match status {
            embed::SendStatus::Ok => Self::OK,
            embed::SendStatus::FlushDiskTimeout => Self::FLUSH_DISK_TIMEOUT,
            embed::SendStatus::FlushSlaveTimeout => Self::FLUSH_SLAVE_TIMEOUT,
            embed::SendStatus::SlaveNotAvailable => Self::SLAVE_NOT_AVAILABLE,
        }
    }
}

/// What became of a message.
#[pyclass(frozen, module = "rmq")]
pub(crate) struct SendResult {
    pub(crate) inner: embed::SendResult,
}

/// A result as an object of Python's.
pub(crate) fn object(py: Python<'_>, inner: embed::SendResult) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, SendResult { inner })?.into_any())
}

#[pymethods]
impl SendResult {
    /// How safely it is stored.
    #[getter]
    fn status(&self) -> SendStatus {
        self.inner.status.into()
    }

    /// Its unique id; of a batch, all of them joined by commas.
    #[getter]
    fn msg_id(&self) -> &str {
        &self.inner.msg_id
    }

    /// The id that says where it is stored; of a batch, all of them joined by commas.
    #[getter]
    fn offset_msg_id(&self) -> &str {
        &self.inner.offset_msg_id
    }

    /// The queue it is in.
    #[getter]
    fn queue(&self) -> MessageQueue {
        self.inner.queue.clone().into()
    }

    /// Its offset there; of a batch, that of the first message.
    #[getter]
    fn queue_offset(&self) -> i64 {
        self.inner.queue_offset
    }

    /// The transaction's id, of a half message.
    #[getter]
    fn transaction_id(&self) -> Option<&str> {
        self.inner.transaction_id.as_deref()
    }

    /// With it a timed message can be recalled.
    #[getter]
    fn recall_handle(&self) -> Option<&str> {
        self.inner.recall_handle.as_deref()
    }

    fn __repr__(&self) -> String {
        let embed::SendResult {
            status,
            msg_id,
            queue,
            queue_offset,
            ..
        } = &self.inner;
        format!(
            "SendResult(status={status:?}, msg_id={msg_id:?}, broker_name={:?}, queue_id={}, \
             queue_offset={queue_offset})",
            queue.broker_name, queue.queue_id
        )
    }
}
