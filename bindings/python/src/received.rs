//! Messages that came from a broker.

use std::collections::BTreeMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use rmq_core::embed;

use crate::errors;
use crate::job;
use crate::message::{self, Message};
use crate::view;

/// A message from a broker. It does not change.
#[pyclass(frozen, subclass, module = "rmq")]
pub(crate) struct ReceivedMessage {
    source: Source,
}

/// Where a message lies.
enum Source {
    Own(Box<embed::ReceivedMessage>),
    /// In a handle that is to be answered for.
    Delivery(Arc<embed::Delivery>),
}

impl From<embed::ReceivedMessage> for ReceivedMessage {
    fn from(message: embed::ReceivedMessage) -> Self {
        let source = Source::Own(Box::new(message));
        Self { source }
    }
}

impl From<Arc<embed::Delivery>> for ReceivedMessage {
    fn from(delivery: Arc<embed::Delivery>) -> Self {
        let source = Source::Delivery(delivery);
        Self { source }
    }
}

impl ReceivedMessage {
    fn inner(&self) -> &embed::ReceivedMessage {
        match &self.source {
            Source::Own(message) => message,
            Source::Delivery(delivery) => delivery.message(),
        }
    }
}

#[pymethods]
impl ReceivedMessage {
    /// The topic it was sent to.
    #[getter]
    fn topic(&self) -> &str {
        &self.inner().message.topic
    }

    /// The body, copied into an object of Python's.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner().message.body)
    }

    /// The body as it lies in the receive buffer; the view keeps it alive.
    #[getter]
    fn body_view<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        view::view(py, &self.inner().message.body)
    }

    /// The tag.
    #[getter]
    fn tags(&self) -> Option<&str> {
        self.inner().message.tag()
    }

    /// The keys that the message is found by.
    #[getter]
    fn keys(&self) -> Vec<&str> {
        self.inner().message.keys().collect()
    }

    /// The properties, the well-known ones among them; a copy.
    #[getter]
    fn properties(&self) -> BTreeMap<String, String> {
        self.inner().message.properties.clone()
    }

    /// A number for the program's own use.
    #[getter]
    fn flag(&self) -> i32 {
        self.inner().message.flag
    }

    /// The id that the sender gave it.
    #[getter]
    fn msg_id(&self) -> String {
        self.inner().msg_id()
    }

    /// The id that says where it is stored.
    #[getter]
    fn offset_msg_id(&self) -> String {
        self.inner().offset_msg_id().as_str().to_owned()
    }

    /// The number of its queue.
    #[getter]
    fn queue_id(&self) -> i32 {
        self.inner().queue_id
    }

    /// Its offset in the queue.
    #[getter]
    fn queue_offset(&self) -> i64 {
        self.inner().queue_offset
    }

    /// When it was made, ms since the epoch.
    #[getter]
    fn born_timestamp_ms(&self) -> i64 {
        self.inner().born_timestamp_ms
    }

    /// Where it was made: address and port.
    #[getter]
    fn born_host(&self) -> String {
        self.inner().born_host.to_string()
    }

    /// When it was stored, ms since the epoch.
    #[getter]
    fn store_timestamp_ms(&self) -> i64 {
        self.inner().store_timestamp_ms
    }

    /// The broker that stored it: address and port.
    #[getter]
    fn store_host(&self) -> String {
        self.inner().store_host.to_string()
    }

    /// How often it was consumed before.
    #[getter]
    fn reconsume_times(&self) -> i32 {
        self.inner().reconsume_times
    }

    /// The message that answers this one, if its sender waits for an answer (`Producer.request`);
    /// any producer sends it. `InvalidError`: nobody waits.
    fn reply(&self, py: Python<'_>, body: &Bound<'_, PyAny>) -> PyResult<Message> {
        let body = message::body(body)?;
        let inner = errors::told(py, embed::reply_to(self.inner(), body))?;
        Ok(Message {
            inner,
            sharding: None,
        })
    }

    fn __repr__(&self) -> String {
        let (message, bytes) = (self.inner(), self.inner().message.body.len());
        format!(
            "ReceivedMessage(topic={:?}, msg_id={:?}, queue_id={}, queue_offset={}, {bytes} bytes)",
            message.message.topic,
            message.msg_id(),
            message.queue_id,
            message.queue_offset
        )
    }
}

/// A message as an object of Python's.
pub(crate) fn object(py: Python<'_>, message: embed::ReceivedMessage) -> PyResult<Py<PyAny>> {
    job::object(py, ReceivedMessage::from(message))
}

/// Messages as a list of Python's.
pub(crate) fn list(py: Python<'_>, messages: Vec<embed::ReceivedMessage>) -> PyResult<Py<PyAny>> {
    let messages = messages.into_iter().map(ReceivedMessage::from);
    job::object(py, messages.collect::<Vec<ReceivedMessage>>())
}
