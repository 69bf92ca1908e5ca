//! Consumers that ask for messages.

use std::collections::HashMap;
use std::sync::Arc;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use rmq_core::embed::{Error, ErrorKind, MessageQueue, PullConsumer, Result, consumer_options};

use crate::hub::Hub;
use crate::message::{NativeQueue, NativeReceived};
use crate::push::NativeSubscription;
use crate::server::{millis, properties};

/// A running consumer.
#[napi]
pub struct NativePullConsumer {
    inner: Arc<PullConsumer>,
}

/// Starts a consumer that has no queue yet.
#[napi]
pub fn start_pull_consumer(hub: &Hub, id: u32, keys: HashMap<String, String>) {
    hub.sender().run(id, move || {
        let inner = PullConsumer::start(consumer_options(&properties(keys))?)?;
        Ok(NativePullConsumer {
            inner: Arc::new(inner),
        })
    });
}

fn given(queues: Vec<NativeQueue>) -> Vec<MessageQueue> {
    queues.into_iter().map(MessageQueue::from).collect()
}

fn shown(queues: Vec<MessageQueue>) -> Vec<NativeQueue> {
    queues.into_iter().map(NativeQueue::from).collect()
}

/// An offset that JavaScript gave.
pub(crate) fn offset(given: &BigInt) -> Result<i64> {
    match given.get_i64() {
        (offset, true) => Ok(offset),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            "offset",
            "it has more than 64 bits",
        )),
    }
}

#[napi]
impl NativePullConsumer {
    /// The id that brokers know it by.
    #[napi(getter)]
    pub fn client_id(&self) -> String {
        self.inner.client_id().to_owned()
    }

    /// Takes this member's share of a topic.
    #[napi]
    pub fn subscribe(&self, hub: &Hub, id: u32, subscription: NativeSubscription) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.subscribe(subscription.read()?)
        });
    }

    /// Takes these queues and no others.
    #[napi]
    pub fn assign(&self, hub: &Hub, id: u32, queues: Vec<NativeQueue>) {
        hub.run_on(id, &self.inner, move |inner| inner.assign(&given(queues)));
    }

    /// The queues that it has now.
    #[napi]
    pub fn assignment(&self) -> Vec<NativeQueue> {
        shown(self.inner.assignment())
    }

    /// The queues of a topic that can be read.
    #[napi]
    pub fn queues(&self, hub: &Hub, id: u32, topic: String) {
        hub.run_on(id, &self.inner, move |inner| {
            Ok(shown(inner.queues(&topic)?))
        });
    }

    /// The next messages.
    #[napi]
    pub fn poll(&self, hub: &Hub, id: u32, max: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |inner| {
            let messages = inner.poll(max as usize, millis(timeout_ms))?;
            Ok(messages
                .iter()
                .map(NativeReceived::plain)
                .collect::<Vec<_>>())
        });
    }

    /// Goes on at an offset, or at the beginning or the end.
    #[napi]
    pub fn seek(&self, hub: &Hub, id: u32, queue: NativeQueue, to: BigInt, place: String) {
        hub.run_on(id, &self.inner, move |inner| {
            let queue = MessageQueue::from(queue);
            match place.as_str() {
                "begin" => inner.seek_to_begin(&queue),
                "end" => inner.seek_to_end(&queue),
                _ => inner.seek(&queue, offset(&to)?),
            }
        });
    }

    /// Hands out nothing of these queues, or does again.
    #[napi]
    pub fn set_paused(&self, hub: &Hub, id: u32, queues: Vec<NativeQueue>, paused: bool) {
        hub.run_on(id, &self.inner, move |inner| match paused {
            true => inner.pause(&given(queues)),
            false => inner.resume(&given(queues)),
        });
    }

    /// The offset of the next message that `poll` hands out of a queue.
    #[napi]
    pub fn position(&self, hub: &Hub, id: u32, queue: NativeQueue) {
        hub.run_on(id, &self.inner, move |inner| {
            Ok(BigInt::from(inner.position(&queue.into())?))
        });
    }

    /// What the group committed for a queue.
    #[napi]
    pub fn committed(&self, hub: &Hub, id: u32, queue: NativeQueue) {
        hub.run_on(id, &self.inner, move |inner| {
            Ok(inner.committed(&queue.into())?.map(BigInt::from))
        });
    }

    /// The first offset of what was stored at a time, ms since the epoch, or later.
    #[napi]
    pub fn offset_at(&self, hub: &Hub, id: u32, queue: NativeQueue, timestamp_ms: f64) {
        hub.run_on(id, &self.inner, move |inner| {
            let offset = inner.offset_at(&queue.into(), timestamp_ms as i64)?;
            Ok(BigInt::from(offset))
        });
    }

    /// Commits what was handed out.
    #[napi]
    pub fn commit(&self, hub: &Hub, id: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.commit(millis(timeout_ms))
        });
    }

    /// Closes it.
    #[napi]
    pub fn close(&self, hub: &Hub, id: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.close(millis(timeout_ms))
        });
    }
}
