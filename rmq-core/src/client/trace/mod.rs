//! Message traces: what became of each message, told to a topic that RocketMQ's tools read. What
//! cannot be told in time is lost, and no send or consumption waits for it.

mod batch;
mod record;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use self::batch::{Added, Batcher, TraceBatch};
use super::consumer::ConsumeStatus;
use super::options::ClientOptions;
use super::producer::{Producer, ProducerOptions, SendOptions};
use super::runtime::Runtime;
use crate::base::Result;
use crate::protocol::message::properties::names;
use crate::protocol::message::user::{Message, ReceivedMessage};

pub(crate) use record::{DEFAULT_REGION, Event, Kind, Record, Traced};

/// Trace messages under way at a time; what comes on top is lost.
const IN_FLIGHT: usize = 256;
/// How long a trace message may take, ms.
const SEND_TIMEOUT_MS: u64 = 5_000;
/// So many characters of a group are part of the name of the group that traces are sent by.
const GROUP_CHARS: usize = 200;

/// Tells what became of the messages of one producer or consumer.
pub(crate) struct Tracer {
    /// One of its own, so that traces do not get in the way of messages.
    producer: Producer,
    runtime: Arc<Runtime>,
    topic: String,
    /// The group as the program knows it.
    group: String,
    batcher: Mutex<Batcher>,
    lost: AtomicU64,
}

impl Tracer {
    /// A tracer for a member of `group`, if the options want one. `role` tells the traces of
    /// producers and consumers of one group apart.
    pub(crate) fn start(
        options: &ClientOptions,
        runtime: &Arc<Runtime>,
        group: &str,
        role: &str,
    ) -> Result<Option<Arc<Self>>> {
        if !options.trace {
            return Ok(None);
        }
        let instance_name = options.instance_name.as_ref();
        let client = ClientOptions {
            trace: false,
            namespace: String::new(),
            instance_name: instance_name.map(|name| format!("{name}_trace")),
            ..options.clone()
        };
        let shown: String = group.chars().take(GROUP_CHARS).collect();
        let producer = Producer::start(ProducerOptions {
            client,
            group: format!("_INNER_TRACE_PRODUCER-{shown}-{role}"),
            send_timeout_ms: SEND_TIMEOUT_MS,
            compress_over_bytes: 0,
            max_in_flight: IN_FLIGHT,
            ..ProducerOptions::default()
        })?;
        Ok(Some(Arc::new(Self {
            producer,
            runtime: Arc::clone(runtime),
            topic: options.trace_topic.clone(),
            group: group.to_owned(),
            batcher: Mutex::new(Batcher::new(options.trace_batch_max)),
            lost: AtomicU64::new(0),
        })))
    }

    /// Whether what happens to messages of this topic is told of.
    pub(crate) fn wants(&self, topic: &str) -> bool {
        topic != self.topic
    }

    /// Notes what happened to a message. Never blocks.
    pub(crate) fn note(self: &Arc<Self>, region: &str, message: Traced, event: Event) {
        let record = Record {
            time_ms: self.runtime.clock.wall_ms(),
            region: region.to_owned(),
            group: self.group.clone(),
            message,
            event,
        };
        let added = self.batcher.lock().add(&record, self.runtime.now());
        match added {
            Added::Waits => {}
            Added::Send(batch) => self.send(batch),
            Added::LookAfter(wait) => {
                let tracer = Arc::downgrade(self);
                self.runtime.work.run_after(wait, move || {
                    if let Some(tracer) = tracer.upgrade() {
                        let batch = tracer.batcher.lock().due(tracer.runtime.now());
                        batch.into_iter().for_each(|batch| tracer.send(batch));
                    }
                });
            }
        }
    }

    fn send(self: &Arc<Self>, batch: TraceBatch) {
        let count = batch.count as u64;
        let mut message = Message::new(self.topic.as_str(), batch.text);
        message.set_keys(batch.keys.iter().map(String::as_str));
        let tracer = Arc::downgrade(self);
        let done = move |outcome: Result<_>| {
            if let (Err(error), Some(tracer)) = (outcome, tracer.upgrade()) {
                tracing::debug!(%error, "a trace was not taken");
                tracer.lost.fetch_add(count, Ordering::Relaxed);
            }
        };
        let sent = self
            .producer
            .send_async(message, SendOptions::default(), done);
        if let Err(error) = sent {
            let lost = self.lost.fetch_add(count, Ordering::Relaxed) + count;
            tracing::debug!(%error, lost, "a trace was lost");
        }
    }

    /// Sends what waits, and waits at most so long for it to be taken.
    pub(crate) fn flush(self: &Arc<Self>, timeout: Duration) {
        let batch = self.batcher.lock().take();
        batch.into_iter().for_each(|batch| self.send(batch));
        if let Err(error) = self.producer.flush(timeout) {
            tracing::debug!(%error, "traces are left");
        }
    }

    /// Ends it; what is not taken within `deadline` is lost.
    pub(crate) fn close(self: &Arc<Self>, deadline: Duration) {
        if !deadline.is_zero() {
            self.flush(deadline);
        }
        if let Err(error) = self.producer.close(Duration::ZERO) {
            tracing::debug!(%error, "the traces did not end well");
        }
    }

    /// Notes that messages are given to a listener; the answer is told what it made of them.
    pub(crate) fn consuming(self: &Arc<Self>, messages: &[ReceivedMessage]) -> ConsumeTrace {
        let request_id = self.runtime.unique_id().as_str().to_owned();
        let wanted = |received: &&ReceivedMessage| {
            let message = &received.message;
            self.wants(&message.topic) && message.property(names::TRACE_ON) != Some("false")
        };
        let traced = messages.iter().filter(wanted).map(|received| {
            let message = &received.message;
            let region = message.property(names::MSG_REGION);
            let region = region.unwrap_or(DEFAULT_REGION).to_owned();
            let event = Event::Consuming {
                request_id: request_id.clone(),
                times: received.reconsume_times,
            };
            let traced = Traced::of(message, received.msg_id());
            self.note(&region, traced.clone(), event);
            (region, traced)
        });
        ConsumeTrace {
            messages: traced.collect(),
            began: self.runtime.now(),
            tracer: Arc::clone(self),
            request_id,
        }
    }
}

impl Traced {
    /// What traces name of a message.
    pub(crate) fn of(message: &Message, msg_id: String) -> Self {
        let property = |name: &str| message.property(name).map(str::to_owned);
        Self {
            topic: message.topic.clone(),
            msg_id,
            tags: property(names::TAGS),
            keys: property(names::KEYS),
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer")
            .field("topic", &self.topic)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

/// Messages that a listener works on.
pub(crate) struct ConsumeTrace {
    tracer: Arc<Tracer>,
    request_id: String,
    began: Duration,
    messages: Vec<(String, Traced)>,
}

impl ConsumeTrace {
    /// The listener is done with the messages.
    pub(crate) fn end(self, status: ConsumeStatus) {
        /// The kinds of outcomes of which a listener has two.
        const SUCCESS: i32 = 0;
        const FAILED: i32 = 4;
        let count = self.messages.len().max(1) as u128;
        let took = self.tracer.runtime.now().saturating_sub(self.began);
        let took_ms = u64::try_from(took.as_millis() / count).unwrap_or(u64::MAX);
        let success = status == ConsumeStatus::Success;
        for (region, message) in self.messages {
            let event = Event::Consumed {
                request_id: self.request_id.clone(),
                took_ms,
                success,
                code: if success { SUCCESS } else { FAILED },
            };
            self.tracer.note(&region, message, event);
        }
    }
}
