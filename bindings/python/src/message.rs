//! Messages that a program sends, and the queues they go to.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMemoryView, PyString};
use rmq_core::embed;

use crate::arguments;
use crate::view;

/// Topic and body.
type Positional<'py> = (String, Bound<'py, PyBytes>);

/// A copy of what `given` holds: bytes, anything with a buffer of bytes, or text as UTF-8.
pub(crate) fn body(given: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = given.cast::<PyBytes>() {
        return Ok(Bytes::copy_from_slice(bytes.as_bytes()));
    }
    if let Ok(text) = given.cast::<PyString>() {
        return Ok(Bytes::copy_from_slice(text.to_cow()?.as_bytes()));
    }
    match PyBuffer::<u8>::get(given) {
        Ok(buffer) => Ok(Bytes::from(buffer.to_vec(given.py())?)),
        Err(_) => {
            let given = given.get_type().name()?;
            let why = format!("a body is bytes, a buffer of bytes or text, not {given}");
            Err(PyTypeError::new_err(why))
        }
    }
}

/// Milliseconds since the epoch, of a number of seconds or a datetime.
fn deliver_at_ms(given: &Bound<'_, PyAny>) -> PyResult<i64> {
    let seconds: f64 = match given.getattr("timestamp") {
        Ok(timestamp) => timestamp.call0()?.extract()?,
        Err(_) => given.extract()?,
    };
    if !seconds.is_finite() {
        return Err(PyValueError::new_err("deliver_at is no point in time"));
    }
    Ok((seconds * 1000.0).round() as i64)
}

/// Keys: one, or several in any iterable.
fn set_keys(message: &mut embed::Message, keys: &Bound<'_, PyAny>) -> PyResult<()> {
    let keys: Vec<String> = match keys.extract::<String>() {
        Ok(one) => vec![one],
        Err(_) => keys
            .try_iter()?
            .map(|key| key?.extract())
            .collect::<PyResult<_>>()?,
    };
    message.set_keys(keys.iter().map(String::as_str));
    Ok(())
}

/// A message to send. It does not change.
#[pyclass(frozen, module = "rmq")]
pub(crate) struct Message {
    pub(crate) inner: embed::Message,
    /// The key that chooses the queue.
    pub(crate) sharding: Option<String>,
}

#[pymethods]
impl Message {
    #[new]
    #[pyo3(signature = (topic, body=None, *, tags=None, keys=None, properties=None,
        sharding_key=None, delay_level=None, delay=None, deliver_at=None, flag=0))]
    #[expect(clippy::too_many_arguments, reason = "named arguments of Python")]
    fn new(
        topic: String,
        body: Option<Bound<'_, PyAny>>,
        tags: Option<String>,
        keys: Option<Bound<'_, PyAny>>,
        properties: Option<BTreeMap<String, String>>,
        sharding_key: Option<String>,
        delay_level: Option<i32>,
        delay: Option<f64>,
        deliver_at: Option<Bound<'_, PyAny>>,
        flag: i32,
    ) -> PyResult<Self> {
        let body = body.as_ref().map(self::body).transpose()?;
        let mut inner = embed::Message::new(topic, body.unwrap_or_default());
        inner.flag = flag;
        inner.properties = properties.unwrap_or_default();
        if let Some(tags) = tags {
            inner.set_tag(tags);
        }
        if let Some(keys) = keys {
            set_keys(&mut inner, &keys)?;
        }
        let given = [delay_level.is_some(), delay.is_some(), deliver_at.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            let why = "only one of delay_level, delay and deliver_at can be given";
            return Err(PyValueError::new_err(why));
        }
        if let Some(level) = delay_level {
            inner.set_delay_level(level);
        }
        if let Some(delay) = delay {
            let delay: Duration = arguments::duration(delay)?;
            inner.set_delay_ms(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(at) = deliver_at {
            inner.set_deliver_at_ms(deliver_at_ms(&at)?);
        }
        Ok(Self {
            inner,
            sharding: sharding_key,
        })
    }

    /// The topic.
    #[getter]
    fn topic(&self) -> &str {
        &self.inner.topic
    }

    /// The body, copied into an object of Python's.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.body)
    }

    /// The body as it lies in memory; the view keeps it alive.
    #[getter]
    fn body_view<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMemoryView>> {
        view::view(py, &self.inner.body)
    }

    /// The tag.
    #[getter]
    fn tags(&self) -> Option<&str> {
        self.inner.tag()
    }

    /// The keys that the message is found by.
    #[getter]
    fn keys(&self) -> Vec<&str> {
        self.inner.keys().collect()
    }

    /// The properties, the well-known ones among them; a copy.
    #[getter]
    fn properties(&self) -> BTreeMap<String, String> {
        self.inner.properties.clone()
    }

    /// The key whose messages all go to one queue.
    #[getter]
    fn sharding_key(&self) -> Option<&str> {
        self.sharding.as_deref()
    }

    /// The delay level; 0 without one.
    #[getter]
    fn delay_level(&self) -> i32 {
        self.inner.delay_level()
    }

    /// A number for the program's own use.
    #[getter]
    fn flag(&self) -> i32 {
        self.inner.flag
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let same = |other: &Self| self.inner == other.inner && self.sharding == other.sharding;
        other.cast::<Self>().is_ok_and(|other| same(other.get()))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.inner.topic, &self.inner.body).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        let bytes = self.inner.body.len();
        format!("Message(topic={:?}, {bytes} bytes)", self.inner.topic)
    }

    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Positional<'py>, Bound<'py, PyDict>)> {
        let named = PyDict::new(py);
        named.set_item("properties", self.properties())?;
        named.set_item("sharding_key", self.sharding.clone())?;
        named.set_item("flag", self.inner.flag)?;
        Ok(((self.inner.topic.clone(), self.body(py)), named))
    }
}

/// One queue of a topic on one broker.
#[pyclass(frozen, eq, ord, get_all, module = "rmq")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MessageQueue {
    /// The topic.
    topic: String,
    /// The broker's name.
    broker_name: String,
    /// The number of the queue at that broker.
    queue_id: i32,
}

impl MessageQueue {
    pub(crate) fn native(&self) -> embed::MessageQueue {
        embed::MessageQueue {
            broker_name: self.broker_name.clone(),
            queue_id: self.queue_id,
            topic: self.topic.clone(),
        }
    }
}

impl From<embed::MessageQueue> for MessageQueue {
    fn from(queue: embed::MessageQueue) -> Self {
        Self {
            topic: queue.topic,
            broker_name: queue.broker_name,
            queue_id: queue.queue_id,
        }
    }
}

#[pymethods]
impl MessageQueue {
    #[new]
    fn new(topic: String, broker_name: String, queue_id: i32) -> Self {
        Self {
            topic,
            broker_name,
            queue_id,
        }
    }

    fn __repr__(&self) -> String {
        let Self {
            topic,
            broker_name,
            queue_id,
        } = self;
        format!("MessageQueue(topic={topic:?}, broker_name={broker_name:?}, queue_id={queue_id})")
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs__(&self) -> (String, String, i32) {
        (self.topic.clone(), self.broker_name.clone(), self.queue_id)
    }
}
