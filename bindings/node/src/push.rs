//! Consumers whose messages wait until JavaScript takes them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use napi_derive::napi;
use rmq_core::embed::{
    Deliveries, Delivery, PushConsumer, Result, Subscription, consumer_options, spawn_thread,
};

use crate::failure::Failure;
use crate::hub::{Hub, Sender};
use crate::message::{NativeQueue, NativeReceived};
use crate::server::{millis, properties};

/// How long the taker waits at a time; it is woken when there is something.
const WAIT: Duration = Duration::from_secs(3_600);

/// What a consumer takes of a topic.
#[napi(object)]
pub struct NativeSubscription {
    /// The topic.
    pub topic: String,
    /// Tags, or a condition in SQL92.
    pub expression: String,
    /// Whether it is SQL92.
    pub sql: bool,
}

impl NativeSubscription {
    pub(crate) fn read(&self) -> Result<Subscription> {
        match self.sql {
            true => Subscription::sql(&self.topic, &self.expression),
            false => Subscription::tags(&self.topic, &self.expression),
        }
    }
}

/// Messages that JavaScript has and has not answered for.
#[derive(Default)]
struct Held {
    by_token: Mutex<HashMap<u32, Delivery>>,
    last: AtomicU32,
}

impl Held {
    fn keep(&self, delivery: Delivery) -> NativeReceived {
        let mut held = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        let mut token = self.last.fetch_add(1, Ordering::Relaxed);
        while held.contains_key(&token) {
            token = self.last.fetch_add(1, Ordering::Relaxed);
        }
        let shown = NativeReceived::new(delivery.message(), delivery.broker_name(), token);
        held.insert(token, delivery);
        shown
    }

    fn take(&self, token: u32) -> Option<Delivery> {
        let mut held = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&token)
    }
}

/// Somebody in JavaScript who waits for messages.
struct Wanted {
    sender: Sender,
    id: u32,
    max: usize,
}

/// A running consumer.
#[napi]
pub struct NativePushConsumer {
    inner: Arc<PushConsumer>,
    deliveries: Deliveries,
    held: Arc<Held>,
    wanted: mpsc::Sender<Wanted>,
}

/// Starts a consumer.
#[napi]
pub fn start_push_consumer(
    hub: &Hub,
    id: u32,
    keys: HashMap<String, String>,
    subscriptions: Vec<NativeSubscription>,
    orderly: bool,
) {
    hub.sender()
        .run(id, move || start(keys, &subscriptions, orderly));
}

fn start(
    keys: HashMap<String, String>,
    subscriptions: &[NativeSubscription],
    orderly: bool,
) -> Result<NativePushConsumer> {
    let options = consumer_options(&properties(keys))?;
    let subscriptions = subscriptions.iter().map(NativeSubscription::read);
    let subscriptions = subscriptions.collect::<Result<Vec<_>>>()?;
    let (inner, deliveries) = match orderly {
        true => PushConsumer::start_queued_orderly(options, subscriptions)?,
        false => PushConsumer::start_queued(options, subscriptions)?,
    };
    let (wanted, wishes) = mpsc::channel::<Wanted>();
    let held = Arc::new(Held::default());
    let (taken_from, keeper) = (deliveries.clone(), Arc::clone(&held));
    // It ends when the consumer is closed and forgotten; nobody waits for it.
    spawn_thread("rmq-node-take", move || {
        for wish in wishes {
            let taken = taken_from.poll(wish.max, WAIT);
            let taken = taken.map(|all| keep(&keeper, all));
            wish.sender.send(wish.id, taken);
        }
    })?;
    Ok(NativePushConsumer {
        inner: Arc::new(inner),
        deliveries,
        held,
        wanted,
    })
}

fn keep(held: &Held, deliveries: Vec<Delivery>) -> Vec<NativeReceived> {
    let kept = deliveries.into_iter().map(|one| held.keep(one));
    kept.collect()
}

#[napi]
impl NativePushConsumer {
    /// The id that brokers know it by.
    #[napi(getter)]
    pub fn client_id(&self) -> String {
        self.inner.client_id().to_owned()
    }

    /// Messages that are there, at most so many. Does not wait.
    #[napi]
    pub fn take(&self, max: u32) -> Vec<NativeReceived> {
        let taken = self.deliveries.poll(max as usize, Duration::ZERO);
        keep(&self.held, taken.unwrap_or_default())
    }

    /// Waits for messages, at most so many; none when it was woken.
    #[napi]
    pub fn next(&self, hub: &Hub, id: u32, max: u32) {
        let wish = Wanted {
            sender: hub.sender(),
            id,
            max: max as usize,
        };
        if let Err(unsent) = self.wanted.send(wish) {
            let failure = Failure::internal("the taker of messages is gone");
            unsent.0.sender.fail(id, failure);
        }
    }

    /// Has who waits in `next` return.
    #[napi]
    pub fn wake(&self) {
        self.deliveries.wake();
    }

    /// Answers for a message: without a level it is done with, else it comes again. False if it was
    /// answered for before, or it is too late.
    #[napi]
    pub fn answer(&self, token: u32, later: Option<i32>) -> bool {
        let Some(delivery) = self.held.take(token) else {
            return false;
        };
        match later {
            None => delivery.ack(),
            Some(level) => delivery.later(level),
        }
    }

    /// The queues that it has now.
    #[napi]
    pub fn queues(&self) -> Vec<NativeQueue> {
        let queues = self.inner.queues().into_iter();
        queues.map(NativeQueue::from).collect()
    }

    /// Takes a topic more, or another choice of one.
    #[napi]
    pub fn subscribe(&self, hub: &Hub, id: u32, subscription: NativeSubscription) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.subscribe(subscription.read()?)
        });
    }

    /// Takes no more of a topic.
    #[napi]
    pub fn unsubscribe(&self, hub: &Hub, id: u32, topic: String) {
        hub.run_on(id, &self.inner, move |inner| inner.unsubscribe(&topic));
    }

    /// Gives out nothing until `resume`.
    #[napi]
    pub fn suspend(&self) {
        self.inner.suspend();
    }

    /// Goes on after `suspend`.
    #[napi]
    pub fn resume(&self) {
        self.inner.resume();
    }

    /// Closes it.
    #[napi]
    pub fn close(&self, hub: &Hub, id: u32, timeout_ms: f64) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.close(millis(timeout_ms))
        });
    }
}
