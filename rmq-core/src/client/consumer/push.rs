//! The consumer that messages are pushed to.

use std::sync::Arc;
use std::time::Duration;

use super::core::{ConsumeStatus, Core, Listener, Mode};
use super::delivery::{Deliveries, Delivery};
use super::options::{ConsumerOptions, Subscription};
use crate::base::{Error, ErrorKind, Result};
use crate::client::completions::CompletionQueue;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::message::user::ReceivedMessage;

/// Gives the messages of its subscriptions to a listener. Shares a group with other members,
/// Java clients among them. Usable from any thread; dropping it closes it without waiting.
#[derive(Debug)]
pub struct PushConsumer {
    core: Arc<Core>,
}

impl PushConsumer {
    /// Starts a consumer whose listener is called on many threads at a time, with messages of any
    /// queue in any order. Returns when the brokers that can be reached know of it; others are
    /// looked for as long as it lives. `Invalid`: an option is not usable, or there is no
    /// subscription.
    ///
    /// A message that the listener does not consume comes again later, and becomes a dead letter
    /// in the end; every message comes at least once, some more than once.
    pub fn start(
        options: ConsumerOptions,
        subscriptions: Vec<Subscription>,
        listener: impl Fn(&[ReceivedMessage]) -> ConsumeStatus + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = Listener::Messages(Box::new(listener));
        Self::begin(options, subscriptions, Mode::Concurrent(listener))
    }

    /// Starts a consumer whose listener is given the messages of each queue one after the other,
    /// in their order. What it does not consume holds its queue up.
    pub fn start_orderly(
        options: ConsumerOptions,
        subscriptions: Vec<Subscription>,
        listener: impl Fn(&[ReceivedMessage]) -> ConsumeStatus + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = Listener::Messages(Box::new(listener));
        Self::begin(options, subscriptions, Mode::Orderly(listener))
    }

    /// As [`start`](Self::start), but the listener is given handles, at most `consume_batch_max`,
    /// and may return before it has answered for them, or leave that to other threads. What is not
    /// answered for counts against the limits of its queue.
    pub fn start_with_handles(
        options: ConsumerOptions,
        subscriptions: Vec<Subscription>,
        listener: impl Fn(Vec<Delivery>) + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = Listener::Handles(Box::new(listener));
        Self::begin(options, subscriptions, Mode::Concurrent(listener))
    }

    /// As [`start_orderly`](Self::start_orderly) with handles: the next messages of a queue are
    /// given out when those before them, at most `consume_batch_max`, are answered for. Until then
    /// the queue is not let go of.
    pub fn start_orderly_with_handles(
        options: ConsumerOptions,
        subscriptions: Vec<Subscription>,
        listener: impl Fn(Vec<Delivery>) + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = Listener::Handles(Box::new(listener));
        Self::begin(options, subscriptions, Mode::Orderly(listener))
    }

    /// Starts a consumer whose messages wait until the program polls for them, in handles that are
    /// answered for one by one. Nothing of the program is called. Otherwise as
    /// [`start`](Self::start).
    pub fn start_queued(
        options: ConsumerOptions,
        subscriptions: Vec<Subscription>,
    ) -> Result<(Self, Deliveries)> {
        let queue = CompletionQueue::new();
        let mode = Mode::Concurrent(Listener::Queue(queue.clone()));
        Self::begin(options, subscriptions, mode).map(|own| (own, Deliveries::new(queue)))
    }

    /// As [`start_queued`](Self::start_queued), in order: of each queue, at most
    /// `consume_batch_max` messages are given out at a time, and the next ones when those are
    /// answered for. A program that does not poll keeps its queues from the other members.
    pub fn start_queued_orderly(
        options: ConsumerOptions,
        subscriptions: Vec<Subscription>,
    ) -> Result<(Self, Deliveries)> {
        let queue = CompletionQueue::new();
        let mode = Mode::Orderly(Listener::Queue(queue.clone()));
        Self::begin(options, subscriptions, mode).map(|own| (own, Deliveries::new(queue)))
    }

    fn begin(
        options: ConsumerOptions,
        subscriptions: Vec<Subscription>,
        mode: Mode,
    ) -> Result<Self> {
        if subscriptions.is_empty() {
            let context = "the consumer subscribes to no topic";
            return Err(Error::new(ErrorKind::Invalid, "start consumer", context));
        }
        let core = Core::start(options, mode)?;
        for subscription in subscriptions {
            core.subscribe(subscription.data);
        }
        if !core.options.is_broadcast() {
            core.subscribe(SubscriptionData::from_tags(&core.retry_topic(), None)?);
        }
        core.begin();
        Ok(Self { core })
    }

    /// The id that brokers know this consumer by.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.core.instance.client_id
    }

    /// The queues that it pulls from now.
    #[must_use]
    pub fn queues(&self) -> Vec<MessageQueue> {
        self.core.own_queues()
    }

    /// What it pops of now; the number -1 means all queues of a broker.
    #[must_use]
    pub fn popped_queues(&self) -> Vec<MessageQueue> {
        let pops = self.core.pops.lock();
        let unwrap = |queue| self.core.instance.unwrap_queue(queue);
        pops.keys().map(unwrap).collect()
    }

    /// Takes a topic more, or another choice of one.
    pub fn subscribe(&self, subscription: Subscription) -> Result<()> {
        self.core.check()?;
        self.core.subscribe(subscription.data);
        self.core.subscriptions_changed();
        Ok(())
    }

    /// Takes no more of a topic.
    pub fn unsubscribe(&self, topic: &str) -> Result<()> {
        self.core.check()?;
        self.core.unsubscribe(topic);
        self.core.subscriptions_changed();
        Ok(())
    }

    /// Calls the listener no more until `resume`. What it works on now is finished.
    pub fn suspend(&self) {
        self.core.set_suspended(true);
    }

    /// Goes on after `suspend`.
    pub fn resume(&self) {
        self.core.set_suspended(false);
    }

    /// Closes: the listener is not called again and `poll` ends, calls of the listener that run may
    /// end and handles may be answered for within `deadline`, offsets are committed and brokers are
    /// told, so that others take the queues over. A second call does nothing; from the listener it
    /// does not wait. `Timeout`: the listener did not return, handles were not answered for, or
    /// brokers did not take the offsets: some messages will come again.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.core.close(deadline)
    }
}

impl Drop for PushConsumer {
    fn drop(&mut self) {
        if self.core.instance.runtime.process.is_current()
            && let Err(error) = self.close(Duration::ZERO)
        {
            tracing::debug!(%error, "a consumer did not end well");
        }
    }
}
