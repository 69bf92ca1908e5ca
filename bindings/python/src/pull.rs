//! Consumers that ask for messages.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rmq_core::embed::{self, PullConsumer, consumer_options};

use crate::arguments::{self, Keys};
use crate::errors;
use crate::job;
use crate::mailbox::{Ticket, outcome};
use crate::message::MessageQueue;
use crate::producer::queues;
use crate::push::{Wanted, subscription};
use crate::received;

/// A pull consumer.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativePullConsumer {
    inner: Arc<PullConsumer>,
}

fn natives(queues: &[Py<MessageQueue>]) -> Vec<embed::MessageQueue> {
    queues.iter().map(|queue| queue.get().native()).collect()
}

#[pymethods]
impl NativePullConsumer {
    /// Starts one with the keys of Java's client over those of a file.
    #[staticmethod]
    #[pyo3(signature = (keys, file=None, wanted=Vec::new(), ticket=None))]
    fn start(
        py: Python<'_>,
        keys: Keys,
        file: Option<String>,
        wanted: Vec<Wanted>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let work = move || {
            let options = consumer_options(&arguments::properties(&keys, file.as_deref())?)?;
            let consumer = PullConsumer::start(options)?;
            for wanted in &wanted {
                consumer.subscribe(subscription(wanted)?)?;
            }
            Ok(consumer)
        };
        let convert = |py: Python<'_>, inner| {
            let inner = Arc::new(inner);
            job::object(py, Self { inner })
        };
        job::run(py, ticket, work, convert)
    }

    /// The id that brokers know this consumer by.
    #[getter]
    fn client_id(&self) -> &str {
        self.inner.client_id()
    }

    /// Takes this member's share of a topic.
    #[pyo3(signature = (wanted, ticket=None))]
    fn subscribe(
        &self,
        py: Python<'_>,
        wanted: Wanted,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let consumer = Arc::clone(&self.inner);
        let work = move || consumer.subscribe(subscription(&wanted)?);
        job::run(py, ticket, work, job::nothing)
    }

    /// Takes these queues and no others.
    #[pyo3(signature = (queues, ticket=None))]
    fn assign(
        &self,
        py: Python<'_>,
        queues: Vec<Py<MessageQueue>>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let (consumer, queues) = (Arc::clone(&self.inner), natives(&queues));
        job::run(py, ticket, move || consumer.assign(&queues), job::nothing)
    }

    /// The queues that it has now.
    fn assignment(&self) -> Vec<MessageQueue> {
        let queues = self.inner.assignment();
        queues.into_iter().map(MessageQueue::from).collect()
    }

    /// The queues of a topic that can be read.
    #[pyo3(signature = (topic, ticket=None))]
    fn queues(
        &self,
        py: Python<'_>,
        topic: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let consumer = Arc::clone(&self.inner);
        job::run(py, ticket, move || consumer.queues(&topic), queues)
    }

    /// The next messages, at most `max`; waits for the first at most for `timeout` seconds.
    fn poll(&self, py: Python<'_>, max: usize, timeout: f64) -> PyResult<Py<PyAny>> {
        let timeout = arguments::duration(timeout)?;
        let waiting = errors::told(py, self.inner.poll(max, Duration::ZERO))?;
        if !waiting.is_empty() || timeout.is_zero() {
            return received::list(py, waiting);
        }
        let look = |slice| match self.inner.poll(max, slice) {
            Ok(taken) if taken.is_empty() => None,
            other => Some(other),
        };
        let taken = job::in_slices(py, timeout, job::SLICE, look)?;
        received::list(py, errors::told(py, taken.unwrap_or(Ok(Vec::new())))?)
    }

    /// Has the ticket's place told when `poll` may have something.
    fn when_ready(&self, ticket: &Ticket) {
        let sink = ticket.sink();
        self.inner
            .when_ready(move || sink(outcome(Ok(()), job::nothing)));
    }

    /// Goes on at an offset of a queue, or at its "begin" or "end".
    #[pyo3(signature = (queue, to, ticket=None))]
    fn seek(
        &self,
        py: Python<'_>,
        queue: &MessageQueue,
        to: &Bound<'_, PyAny>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let (consumer, queue) = (Arc::clone(&self.inner), queue.native());
        if let Ok(offset) = to.extract::<i64>() {
            let work = move || consumer.seek(&queue, offset);
            return job::run(py, ticket, work, job::nothing);
        }
        let begin = match to.extract::<&str>()? {
            "begin" => true,
            "end" => false,
            _ => {
                return Err(PyValueError::new_err(
                    "seek to an offset, \"begin\" or \"end\"",
                ));
            }
        };
        let work = move || match begin {
            true => consumer.seek_to_begin(&queue),
            false => consumer.seek_to_end(&queue),
        };
        job::run(py, ticket, work, job::nothing)
    }

    /// Hands out nothing of these queues until they are resumed.
    fn pause(&self, py: Python<'_>, queues: Vec<Py<MessageQueue>>) -> PyResult<()> {
        errors::told(py, self.inner.pause(&natives(&queues)))
    }

    /// Goes on after `pause`.
    fn resume(&self, py: Python<'_>, queues: Vec<Py<MessageQueue>>) -> PyResult<()> {
        errors::told(py, self.inner.resume(&natives(&queues)))
    }

    /// The offset of the next message that is handed out of a queue.
    fn position(&self, py: Python<'_>, queue: &MessageQueue) -> PyResult<i64> {
        errors::told(py, self.inner.position(&queue.native()))
    }

    /// What the group committed for a queue.
    #[pyo3(signature = (queue, ticket=None))]
    fn committed(
        &self,
        py: Python<'_>,
        queue: &MessageQueue,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let (consumer, queue) = (Arc::clone(&self.inner), queue.native());
        let work = move || consumer.committed(&queue);
        job::run(py, ticket, work, job::object)
    }

    /// The first offset of what was stored at a time or later.
    #[pyo3(signature = (queue, timestamp_ms, ticket=None))]
    fn offset_at(
        &self,
        py: Python<'_>,
        queue: &MessageQueue,
        timestamp_ms: i64,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let (consumer, queue) = (Arc::clone(&self.inner), queue.native());
        let work = move || consumer.offset_at(&queue, timestamp_ms);
        job::run(py, ticket, work, job::object)
    }

    /// Commits what was handed out.
    #[pyo3(signature = (timeout, ticket=None))]
    fn commit(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let (consumer, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        job::run(py, ticket, move || consumer.commit(timeout), job::nothing)
    }

    /// Closes within `timeout` seconds.
    #[pyo3(signature = (timeout, ticket=None))]
    fn close(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let (consumer, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        job::run(py, ticket, move || consumer.close(timeout), job::nothing)
    }
}
