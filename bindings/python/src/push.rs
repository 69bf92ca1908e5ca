//! Consumers that messages are pushed to. They wait in a queue, and threads or event loops of
//! Python take them there.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use rmq_core::embed::{Deliveries, Error, PushConsumer, Subscription, consumer_options};

use crate::arguments::{self, Keys};
use crate::delivery::{self, Delivery};
use crate::errors;
use crate::job;
use crate::mailbox::Ticket;
use crate::message::MessageQueue;

/// A push consumer.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativePushConsumer {
    inner: Arc<PushConsumer>,
    deliveries: Deliveries,
}

/// Topic, expression, whether that is SQL92.
pub(crate) type Wanted = (String, String, bool);

pub(crate) fn subscription((topic, expression, is_sql): &Wanted) -> Result<Subscription, Error> {
    match is_sql {
        true => Subscription::sql(topic, expression),
        false => Subscription::tags(topic, expression),
    }
}

#[pymethods]
impl NativePushConsumer {
    /// Starts one with the keys of Java's client over those of a file.
    #[staticmethod]
    #[pyo3(signature = (keys, file, wanted, orderly, ticket=None))]
    fn start(
        py: Python<'_>,
        keys: Keys,
        file: Option<String>,
        wanted: Vec<Wanted>,
        orderly: bool,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let work = move || {
            let options = consumer_options(&arguments::properties(&keys, file.as_deref())?)?;
            let wanted = wanted.iter().map(subscription);
            let wanted = wanted.collect::<Result<Vec<Subscription>, Error>>()?;
            match orderly {
                true => PushConsumer::start_queued_orderly(options, wanted),
                false => PushConsumer::start_queued(options, wanted),
            }
        };
        let convert = |py: Python<'_>, (inner, deliveries)| {
            let inner = Arc::new(inner);
            job::object(py, Self { inner, deliveries })
        };
        job::run(py, ticket, work, convert)
    }

    /// The id that brokers know this consumer by.
    #[getter]
    fn client_id(&self) -> &str {
        self.inner.client_id()
    }

    /// The queues that it has now.
    fn queues(&self) -> Vec<MessageQueue> {
        let queues = self.inner.queues();
        queues.into_iter().map(MessageQueue::from).collect()
    }

    /// The descriptor that is readable while something waits.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        errors::told(py, self.deliveries.fd())
    }

    /// What waits, at most `max`, without waiting.
    fn take(&self, py: Python<'_>, max: usize) -> PyResult<Vec<Py<Delivery>>> {
        let taken = self.deliveries.poll(max, Duration::ZERO);
        delivery::list(py, errors::told(py, taken)?)
    }

    /// A share of what waits among `takers`, at most `max`; waits for the first at most for
    /// `timeout` seconds.
    #[pyo3(signature = (timeout, max=1, takers=1))]
    fn poll(
        &self,
        py: Python<'_>,
        timeout: f64,
        max: usize,
        takers: usize,
    ) -> PyResult<Vec<Py<Delivery>>> {
        let timeout = arguments::duration(timeout)?;
        let most = (self.deliveries.len() / takers.max(1)).clamp(1, max.max(1));
        // Mostly something waits, and the GIL need not change hands.
        let waiting = errors::told(py, self.deliveries.poll(most, Duration::ZERO))?;
        if !waiting.is_empty() {
            return delivery::list(py, waiting);
        }
        let look = |slice| match self.deliveries.poll(most, slice) {
            Ok(taken) if taken.is_empty() => None,
            other => Some(other),
        };
        match job::in_slices(py, timeout, job::SLICE, look)? {
            Some(taken) => delivery::list(py, errors::told(py, taken)?),
            None => Ok(Vec::new()),
        }
    }

    /// Takes a topic more, or another choice of one.
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

    /// Takes no more of a topic.
    #[pyo3(signature = (topic, ticket=None))]
    fn unsubscribe(
        &self,
        py: Python<'_>,
        topic: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let consumer = Arc::clone(&self.inner);
        let work = move || consumer.unsubscribe(&topic);
        job::run(py, ticket, work, job::nothing)
    }

    /// Takes nothing until `resume`.
    fn suspend(&self) {
        self.inner.suspend();
    }

    /// Goes on after `suspend`.
    fn resume(&self) {
        self.inner.resume();
    }

    /// Closes within `timeout` seconds.
    #[pyo3(signature = (timeout, ticket=None))]
    fn close(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let (consumer, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        job::run(py, ticket, move || consumer.close(timeout), job::nothing)
    }
}
