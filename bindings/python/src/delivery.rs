//! Messages that are to be answered for.

use std::sync::Arc;

use pyo3::prelude::*;
use rmq_core::embed;

use crate::message::MessageQueue;
use crate::received::ReceivedMessage;

/// A message that a consumer was given, until it answers for it. Any thread may do that; one that
/// is let go of without an answer comes again later. As a context manager it is acknowledged at
/// the end of its block, and comes again later if the block raises.
#[pyclass(frozen, extends = ReceivedMessage, module = "rmq")]
pub(crate) struct Delivery {
    inner: Arc<embed::Delivery>,
}

/// Deliveries as a list of Python's.
pub(crate) fn list(
    py: Python<'_>,
    deliveries: Vec<embed::Delivery>,
) -> PyResult<Vec<Py<Delivery>>> {
    let objects = deliveries.into_iter().map(|delivery| {
        let inner = Arc::new(delivery);
        let message = ReceivedMessage::from(Arc::clone(&inner));
        Py::new(
            py,
            PyClassInitializer::from(message).add_subclass(Delivery { inner }),
        )
    });
    objects.collect()
}

#[pymethods]
impl Delivery {
    /// The name of the broker that it came from; None if an operator sent it.
    #[getter]
    fn broker_name(&self) -> Option<&str> {
        self.inner.broker_name()
    }

    /// The queue that it came from; None if an operator sent it.
    #[getter]
    fn queue(&self) -> Option<MessageQueue> {
        let message = self.inner.message();
        let queue = embed::MessageQueue {
            broker_name: self.inner.broker_name()?.to_owned(),
            queue_id: message.queue_id,
            topic: message.message.topic.clone(),
        };
        Some(queue.into())
    }

    /// The message is done with. False if it was answered for before, or it is too late. Does not
    /// wait.
    fn ack(&self) -> bool {
        self.inner.ack()
    }

    /// The message is to come again: the later the more often it came before, or after the time
    /// of a delay level of the broker; below 0 it becomes a dead letter. In order the queue rests
    /// a moment and begins with it again. False as for `ack`. Does not wait.
    #[pyo3(signature = (delay_level=0))]
    fn later(&self, delay_level: i32) -> bool {
        self.inner.later(delay_level)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) {
        match kind.is_none() {
            true => self.inner.ack(),
            false => self.inner.later(0),
        };
    }
}
