//! Producers.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use rmq_core::embed::{
    self, Error, Producer, SendOptions, Target, TransactionState as State, producer_options,
};

use crate::arguments::{self, Keys};
use crate::errors;
use crate::job;
use crate::mailbox::{Completions, Ticket, outcome};
use crate::message::{Message, MessageQueue};
use crate::received;
use crate::send_result::{self, SendResult};
use crate::transaction::{self, TransactionState};

/// A producer.
#[pyclass(frozen, module = "rmq._rmq")]
pub(crate) struct NativeProducer {
    inner: Arc<Producer>,
}

fn options(
    message: &Message,
    queue: Option<&MessageQueue>,
    sharding_key: Option<String>,
    timeout: Option<f64>,
) -> PyResult<SendOptions> {
    let target = match (queue, sharding_key.or_else(|| message.sharding.clone())) {
        (Some(queue), _) => Target::Queue(queue.native()),
        (None, Some(key)) => Target::ShardingKey(key),
        (None, None) => Target::Any,
    };
    let timeout = arguments::optional_duration(timeout)?;
    Ok(SendOptions { target, timeout })
}

/// Waits with `call`, which asks its argument now and then whether to go on. A signal's handler
/// that raises ends the wait, and what it raised is raised.
fn interruptible<T: Send>(
    py: Python<'_>,
    call: impl FnOnce(&mut dyn FnMut() -> bool) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let _waiting = job::Waiting::begin()?;
    let (done, raised) = py.detach(|| {
        let mut raised = None;
        let mut go_on = || match Python::attach(|py| py.check_signals()) {
            Ok(()) => true,
            Err(error) => {
                raised = Some(error);
                false
            }
        };
        let done = call(&mut go_on);
        (done, raised)
    });
    match raised {
        Some(raised) => Err(raised),
        None => errors::told(py, done),
    }
}

impl NativeProducer {
    fn send_message(
        &self,
        py: Python<'_>,
        message: embed::Message,
        options: SendOptions,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let Some(ticket) = ticket else {
            let sent = interruptible(py, |go_on| {
                self.inner.send_while(message, options, job::SLICE, go_on)
            });
            return send_result::object(py, sent?);
        };
        let sink = ticket.sink();
        let done = move |sent| sink(outcome(sent, send_result::object));
        let begun = py.detach(|| self.inner.send_async(message, options, done));
        errors::told(py, begun)?;
        Ok(py.None())
    }
}

#[pymethods]
impl NativeProducer {
    /// Starts one with the keys of Java's client over those of a file; `checks` takes the
    /// questions how transactions ended.
    #[staticmethod]
    #[pyo3(signature = (keys, file=None, checks=None))]
    fn start(
        py: Python<'_>,
        keys: Keys,
        file: Option<&str>,
        checks: Option<&Completions>,
    ) -> PyResult<Self> {
        let mailbox = checks.map(|checks| checks.mailbox.clone());
        let start = || {
            let options = producer_options(&arguments::properties(&keys, file)?)?;
            let Some(mailbox) = mailbox else {
                return Producer::start(options);
            };
            let ask = move |check| mailbox.put(0, outcome(Ok(check), transaction::object));
            Producer::start_with_check_queue(options, ask)
        };
        let inner = Arc::new(errors::told(py, py.detach(start))?);
        Ok(Self { inner })
    }

    /// The id that brokers know this producer by.
    #[getter]
    fn client_id(&self) -> &str {
        self.inner.client_id()
    }

    /// Sends one message.
    #[pyo3(signature = (message, queue=None, sharding_key=None, timeout=None, ticket=None))]
    fn send(
        &self,
        py: Python<'_>,
        message: &Message,
        queue: Option<&MessageQueue>,
        sharding_key: Option<String>,
        timeout: Option<f64>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let options = options(message, queue, sharding_key, timeout)?;
        self.send_message(py, message.inner.clone(), options, ticket)
    }

    /// Sends one message that nobody acknowledges.
    #[pyo3(signature = (message, queue=None, sharding_key=None))]
    fn send_oneway(
        &self,
        py: Python<'_>,
        message: &Message,
        queue: Option<&MessageQueue>,
        sharding_key: Option<String>,
    ) -> PyResult<()> {
        let options = options(message, queue, sharding_key, None)?;
        let message = message.inner.clone();
        errors::told(py, py.detach(|| self.inner.send_oneway(message, options)))
    }

    /// Sends several messages of one topic as one request.
    #[pyo3(signature = (messages, timeout=None, ticket=None))]
    fn send_batch(
        &self,
        py: Python<'_>,
        messages: Vec<Py<Message>>,
        timeout: Option<f64>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let messages = messages.iter().map(|message| message.get().inner.clone());
        let messages: Vec<embed::Message> = messages.collect();
        let options = SendOptions {
            target: Target::Any,
            timeout: arguments::optional_duration(timeout)?,
        };
        let Some(ticket) = ticket else {
            let sent = interruptible(py, |go_on| {
                let producer = &self.inner;
                producer.send_batch_while(messages, options, job::SLICE, go_on)
            });
            return send_result::object(py, sent?);
        };
        let sink = ticket.sink();
        let done = move |sent| sink(outcome(sent, send_result::object));
        let begun = py.detach(|| self.inner.send_batch_async(messages, options, done));
        errors::told(py, begun)?;
        Ok(py.None())
    }

    /// Sends the half message of a transaction.
    #[pyo3(signature = (message, queue=None, sharding_key=None, timeout=None, ticket=None))]
    fn send_half(
        &self,
        py: Python<'_>,
        message: &Message,
        queue: Option<&MessageQueue>,
        sharding_key: Option<String>,
        timeout: Option<f64>,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let options = options(message, queue, sharding_key, timeout)?;
        let half = self.inner.half(message.inner.clone());
        self.send_message(py, half, options, ticket)
    }

    /// Tells the broker how a transaction ended.
    #[pyo3(signature = (topic, sent, state, ticket=None))]
    fn end_transaction(
        &self,
        py: Python<'_>,
        topic: &str,
        sent: &SendResult,
        state: TransactionState,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let (producer, topic) = (Arc::clone(&self.inner), topic.to_owned());
        let (sent, state) = (sent.inner.clone(), State::from(state));
        let work = move || producer.end_transaction(&topic, &sent, state);
        if ticket.is_none() {
            errors::told(py, py.detach(work))?;
            return Ok(py.None());
        }
        job::run(py, ticket, work, job::nothing)
    }

    /// Sends a message and waits for the one that its consumer answers with.
    #[pyo3(signature = (message, timeout, ticket=None))]
    fn request(
        &self,
        py: Python<'_>,
        message: &Message,
        timeout: f64,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let (producer, message) = (&self.inner, message.inner.clone());
        let timeout = arguments::duration(timeout)?;
        let Some(ticket) = ticket else {
            let reply = interruptible(py, |go_on| {
                producer.request_while(message, timeout, job::SLICE, go_on)
            });
            return received::object(py, reply?);
        };
        let sink = ticket.sink();
        let done = move |reply| sink(outcome(reply, received::object));
        let begun = py.detach(|| producer.request_async(message, timeout, done));
        errors::told(py, begun)?;
        Ok(py.None())
    }

    /// Takes back a message that waits for its time.
    #[pyo3(signature = (topic, recall_handle, ticket=None))]
    fn recall(
        &self,
        py: Python<'_>,
        topic: String,
        recall_handle: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let producer = Arc::clone(&self.inner);
        let work = move || producer.recall(&topic, &recall_handle);
        job::run(py, ticket, work, job::object)
    }

    /// The queues that a topic's messages can be sent to.
    #[pyo3(signature = (topic, ticket=None))]
    fn queues(
        &self,
        py: Python<'_>,
        topic: String,
        ticket: Option<&Ticket>,
    ) -> PyResult<Py<PyAny>> {
        let producer = Arc::clone(&self.inner);
        job::run(py, ticket, move || producer.queues(&topic), queues)
    }

    /// Waits until nothing is under way.
    #[pyo3(signature = (timeout, ticket=None))]
    fn flush(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let (producer, timeout) = (Arc::clone(&self.inner), arguments::duration(timeout)?);
        job::run(py, ticket, move || producer.flush(timeout), job::nothing)
    }

    /// Closes within `timeout` seconds.
    #[pyo3(signature = (timeout, ticket=None))]
    fn close(&self, py: Python<'_>, timeout: f64, ticket: Option<&Ticket>) -> PyResult<Py<PyAny>> {
        let producer = Arc::clone(&self.inner);
        let timeout: Duration = arguments::duration(timeout)?;
        job::run(py, ticket, move || producer.close(timeout), job::nothing)
    }
}

/// Queues as a list of Python's.
pub(crate) fn queues(py: Python<'_>, queues: Vec<embed::MessageQueue>) -> PyResult<Py<PyAny>> {
    let queues: Vec<MessageQueue> = queues.into_iter().map(MessageQueue::from).collect();
    job::object(py, queues)
}
