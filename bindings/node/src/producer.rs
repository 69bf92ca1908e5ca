//! Sending messages.

use std::collections::HashMap;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Uint8ArraySlice};
use napi_derive::napi;
use rmq_core::embed::{Message, Producer, Result, SendOptions, Target, producer_options};

use crate::failure::Failure;
use crate::hub::{Hub, Sender};
use crate::message::{NativeMessage, NativeQueue, NativeReceived, NativeSendResult};
use crate::server::{millis, properties};
use crate::transaction::{NativeCheck, NativeHalf};

/// How one message is sent.
#[napi(object)]
pub struct NativeSendOptions {
    /// How long it may take.
    pub timeout_ms: Option<f64>,
    /// To the queue that all messages of this key go to.
    pub sharding_key: Option<String>,
    /// To this queue.
    pub queue: Option<NativeQueue>,
}

impl From<NativeSendOptions> for SendOptions {
    fn from(given: NativeSendOptions) -> Self {
        let target = match (given.queue, given.sharding_key) {
            (Some(queue), _) => Target::Queue(queue.into()),
            (None, Some(key)) => Target::ShardingKey(key),
            (None, None) => Target::Any,
        };
        Self {
            target,
            timeout: given.timeout_ms.map(millis),
        }
    }
}

/// A running producer.
#[napi]
pub struct NativeProducer {
    inner: Arc<Producer>,
}

/// Starts a producer. With a listener, questions how transactions ended come to it as events.
#[napi]
pub fn start_producer(hub: &Hub, id: u32, keys: HashMap<String, String>, checks: Option<u32>) {
    let sender = hub.sender();
    hub.sender().run(id, move || {
        let options = producer_options(&properties(keys))?;
        let inner = match checks {
            None => Producer::start(options)?,
            Some(listener) => Producer::start_with_check_queue(options, move |check| {
                sender.send(listener, Ok(NativeCheck::new(check)));
            })?,
        };
        Ok(NativeProducer {
            inner: Arc::new(inner),
        })
    });
}

fn end(sender: &Sender, id: u32, began: Result<()>) {
    if let Err(error) = began {
        sender.send::<()>(id, Err(error));
    }
}

#[napi]
impl NativeProducer {
    /// The id that brokers know it by.
    #[napi(getter)]
    pub fn client_id(&self) -> String {
        self.inner.client_id().to_owned()
    }

    /// Sends a message.
    #[napi]
    pub fn send(
        &self,
        hub: &Hub,
        id: u32,
        message: NativeMessage,
        body: Uint8ArraySlice<'_>,
        options: NativeSendOptions,
    ) {
        let sender = hub.sender();
        let done = sender.clone();
        let began = self
            .inner
            .send_async(message.with_body(&body), options.into(), move |sent| {
                done.send(id, sent.map(NativeSendResult::from));
            });
        end(&sender, id, began);
    }

    /// Sends several messages as one.
    #[napi]
    pub fn send_batch(
        &self,
        hub: &Hub,
        id: u32,
        messages: Vec<NativeMessage>,
        bodies: Vec<Buffer>,
        options: NativeSendOptions,
    ) {
        let sender = hub.sender();
        let done = sender.clone();
        let pairs = messages.into_iter().zip(bodies);
        let messages: Vec<Message> = pairs
            .map(|(message, body)| message.with_body(&body))
            .collect();
        let began = self
            .inner
            .send_batch_async(messages, options.into(), move |sent| {
                done.send(id, sent.map(NativeSendResult::from));
            });
        end(&sender, id, began);
    }

    /// Sends a message that nobody acknowledges.
    #[napi]
    pub fn send_oneway(
        &self,
        message: NativeMessage,
        body: Uint8ArraySlice<'_>,
        options: NativeSendOptions,
    ) -> Option<Failure> {
        let began = self
            .inner
            .send_oneway(message.with_body(&body), options.into());
        began.err().map(Failure::from)
    }

    /// Sends a message and waits for the one that answers it.
    #[napi]
    pub fn request(
        &self,
        hub: &Hub,
        id: u32,
        message: NativeMessage,
        body: Uint8ArraySlice<'_>,
        timeout_ms: f64,
    ) {
        let sender = hub.sender();
        let done = sender.clone();
        let message = message.with_body(&body);
        let began = self
            .inner
            .request_async(message, millis(timeout_ms), move |reply| {
                done.send(id, reply.map(|reply| NativeReceived::plain(&reply)));
            });
        end(&sender, id, began);
    }

    /// Takes a timed message back, with the handle of its result. Answers its id.
    #[napi]
    pub fn recall(&self, hub: &Hub, id: u32, topic: String, handle: String) {
        hub.run_on(id, &self.inner, move |producer| {
            producer.recall(&topic, &handle)
        });
    }

    /// Sends the half message of a transaction.
    #[napi]
    pub fn send_half(
        &self,
        hub: &Hub,
        id: u32,
        message: NativeMessage,
        body: Uint8ArraySlice<'_>,
        options: NativeSendOptions,
    ) {
        let sender = hub.sender();
        let (done, producer) = (sender.clone(), Arc::clone(&self.inner));
        let half = self.inner.half(message.with_body(&body));
        let topic = half.topic.clone();
        let began = self.inner.send_async(half, options.into(), move |sent| {
            let half = sent.map(|sent| NativeHalf::new(producer, topic, sent));
            done.send(id, half);
        });
        end(&sender, id, began);
    }

    /// The queues of a topic that can be sent to.
    #[napi]
    pub fn queues(&self, hub: &Hub, id: u32, topic: String) {
        hub.run_on(id, &self.inner, move |producer| {
            let queues = producer.queues(&topic)?.into_iter();
            Ok(queues.map(NativeQueue::from).collect::<Vec<_>>())
        });
    }

    /// Waits until nothing is under way.
    #[napi]
    pub fn flush(&self, hub: &Hub, id: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |producer| {
            producer.flush(millis(timeout_ms))
        });
    }

    /// Closes it.
    #[napi]
    pub fn close(&self, hub: &Hub, id: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |producer| {
            producer.close(millis(timeout_ms))
        });
    }
}
