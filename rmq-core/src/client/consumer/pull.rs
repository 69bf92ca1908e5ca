//! The consumer that asks for messages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::core::{Assigned, Core, Mode};
use super::options::{ConsumerOptions, Subscription};
use crate::base::{Error, ErrorKind, Result};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::message::user::ReceivedMessage;

const OP: &str = "pull consumer";

/// Hands out messages when it is asked to; they are fetched ahead. Its queues are either divided
/// among its group (`subscribe`) or given by the program (`assign`). Usable from any thread;
/// dropping it closes it without waiting.
#[derive(Debug)]
pub struct PullConsumer {
    core: Arc<Core>,
    /// One `poll` is to return.
    woken: AtomicBool,
}

impl PullConsumer {
    /// Starts a consumer that has no queue yet. `Invalid`: an option is not usable.
    pub fn start(options: ConsumerOptions) -> Result<Self> {
        let core = Core::start(options, Mode::Poll)?;
        core.begin();
        let woken = AtomicBool::new(false);
        Ok(Self { core, woken })
    }

    /// The id that brokers know this consumer by.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.core.instance.client_id
    }

    /// Takes this member's share of a topic, besides what it subscribed to before. `Invalid`: its
    /// queues are assigned by the program.
    pub fn subscribe(&self, subscription: Subscription) -> Result<()> {
        self.core.check()?;
        if self.core.manual.load(Ordering::SeqCst) {
            let context = "a consumer with assigned queues cannot subscribe";
            return Err(Error::new(ErrorKind::Invalid, OP, context));
        }
        self.core.subscribe(subscription.data);
        self.core.subscriptions_changed();
        Ok(())
    }

    /// Takes no more of a topic that was subscribed to. What was fetched of it and not handed out
    /// is forgotten, and goes to who has the queues next.
    pub fn unsubscribe(&self, topic: &str) -> Result<()> {
        self.core.check()?;
        self.core.unsubscribe(topic);
        self.core.subscriptions_changed();
        Ok(())
    }

    /// Takes these queues and no others, from where the group stands. What was fetched from queues
    /// that it keeps stays. On an error those queues that could be begun are there. Blocks for
    /// as long as brokers take to say where the group stands.
    pub fn assign(&self, queues: &[MessageQueue]) -> Result<()> {
        self.core.check()?;
        let _one_at_a_time = self.core.balancing.lock();
        self.core.manual.store(true, Ordering::SeqCst);
        let wrapped = queues.iter().map(|q| self.core.instance.wrap_queue(q));
        let queues: Vec<MessageQueue> = wrapped.collect();
        let topics: BTreeSet<&str> = queues.iter().map(|queue| queue.topic.as_str()).collect();
        let mut news = false;
        for topic in topics {
            if self.core.subscription(topic).is_none() {
                self.core
                    .subscribe(SubscriptionData::from_tags(topic, None)?);
                news = true;
            }
        }
        if news {
            self.core.announce();
        }
        for queue in self.core.assigned() {
            if !queues.contains(&queue.queue) {
                self.core.release(&queue);
            }
        }
        let mut outcome = Ok(());
        for queue in &queues {
            if self.core.queues.lock().contains_key(queue) {
                continue;
            }
            match self.core.start_offset(queue) {
                Ok(offset) => self.core.begin_queue(queue.clone(), offset),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    /// The queues that it has now.
    #[must_use]
    pub fn assignment(&self) -> Vec<MessageQueue> {
        self.core.own_queues()
    }

    /// The queues of a topic that can be read. Blocks while nameservers are asked.
    pub fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        self.core.check()?;
        let instance = &self.core.instance;
        let topic = instance.namespace.wrap(topic);
        let queues = instance.route_now(&topic)?.readable(&topic);
        Ok(queues.iter().map(|q| instance.unwrap_queue(q)).collect())
    }

    /// The next messages of any queue, at most `max`; waits for the first at most for `timeout`
    /// and answers none when none came. They count as consumed from now on. `Closed`: also while
    /// it waits.
    pub fn poll(&self, max: usize, timeout: Duration) -> Result<Vec<ReceivedMessage>> {
        let runtime = &self.core.instance.runtime;
        let until = runtime.now().saturating_add(timeout);
        loop {
            self.core.check()?;
            let seen = self.core.arrivals();
            if self.woken.swap(false, Ordering::SeqCst) {
                return Ok(Vec::new());
            }
            let messages = self.take(max);
            let left = until.saturating_sub(runtime.now());
            if !messages.is_empty() || left.is_zero() || max == 0 {
                return Ok(messages);
            }
            self.core.await_arrival(seen, left);
        }
    }

    /// Has one `poll` return with nothing: one that waits, or else the next one.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        self.core.arrived();
    }

    /// Has `tell` called once, on a thread of the runtime, as soon as `poll` may have something to
    /// hand out or say: now, if that is so already. It must not block. For event loops, which
    /// cannot wait in `poll`.
    pub fn when_ready(&self, tell: impl FnOnce() + Send + 'static) {
        let seen = self.core.arrivals();
        let waits = |queue: &Arc<Assigned>| {
            !queue.paused.load(Ordering::SeqCst) && queue.state.lock().has_waiting()
        };
        let ready = self.core.is_closed() || self.core.assigned().iter().any(waits);
        if ready {
            return tell();
        }
        self.core.on_arrival(Box::new(tell));
        // Something came, or the end did, before it was there to be told.
        if self.core.arrivals() != seen || self.core.is_closed() {
            self.core.arrived();
        }
    }

    fn take(&self, max: usize) -> Vec<ReceivedMessage> {
        let mut taken = Vec::new();
        let mut queues = self.core.assigned();
        // Each queue is the first one in its turn, so that none waits for the others for ever.
        let turn = self.core.next_turn() % queues.len().max(1);
        queues.rotate_left(turn);
        for queue in queues {
            if queue.paused.load(Ordering::SeqCst) {
                continue;
            }
            let mut state = queue.state.lock();
            let messages = state.take(max - taken.len());
            state.done(messages.iter().map(|message| message.queue_offset));
            taken.extend(messages);
        }
        self.core.restore_topics(&mut taken);
        taken
    }

    fn find(&self, queue: &MessageQueue) -> Result<Arc<Assigned>> {
        self.core.check()?;
        let wrapped = self.core.instance.wrap_queue(queue);
        let found = self.core.queues.lock().get(&wrapped).cloned();
        found.ok_or_else(|| {
            let context = format!("the consumer does not have {queue:?} now");
            Error::new(ErrorKind::Invalid, OP, context)
        })
    }

    /// Goes on at `offset` of a queue; what was fetched of it is forgotten. `Invalid`: the consumer
    /// does not have the queue.
    pub fn seek(&self, queue: &MessageQueue, offset: i64) -> Result<()> {
        if offset < 0 {
            return Err(Error::new(ErrorKind::Invalid, OP, "an offset below zero"));
        }
        let queue = self.find(queue)?;
        self.core.seek(&queue, offset);
        Ok(())
    }

    /// Goes on with the first message that a queue has.
    pub fn seek_to_begin(&self, queue: &MessageQueue) -> Result<()> {
        self.find(queue)?;
        let wrapped = self.core.instance.wrap_queue(queue);
        self.seek(queue, self.core.min_offset(&wrapped)?)
    }

    /// Goes on with what comes to a queue from now on.
    pub fn seek_to_end(&self, queue: &MessageQueue) -> Result<()> {
        self.find(queue)?;
        let wrapped = self.core.instance.wrap_queue(queue);
        self.seek(queue, self.core.max_offset(&wrapped)?)
    }

    /// Goes on with what was stored at a time, ms since the epoch, or later. Blocks.
    pub fn seek_to_time(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<()> {
        self.seek(queue, self.offset_at(queue, timestamp_ms)?)
    }

    /// Hands out nothing of these queues until they are resumed.
    pub fn pause(&self, queues: &[MessageQueue]) -> Result<()> {
        self.set_paused(queues, true)
    }

    /// Goes on after `pause`.
    pub fn resume(&self, queues: &[MessageQueue]) -> Result<()> {
        self.set_paused(queues, false)?;
        self.core.arrived();
        Ok(())
    }

    fn set_paused(&self, queues: &[MessageQueue], paused: bool) -> Result<()> {
        for queue in queues {
            self.find(queue)?.paused.store(paused, Ordering::SeqCst);
        }
        Ok(())
    }

    /// The offset of the next message that `poll` hands out of a queue.
    pub fn position(&self, queue: &MessageQueue) -> Result<i64> {
        Ok(self.find(queue)?.state.lock().position())
    }

    /// What the group committed for a queue. Blocks.
    pub fn committed(&self, queue: &MessageQueue) -> Result<Option<i64>> {
        self.core.check()?;
        self.core.committed(&self.core.instance.wrap_queue(queue))
    }

    /// The first offset of what was stored at a time, ms since the epoch, or later. Blocks.
    pub fn offset_at(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<i64> {
        self.core.check()?;
        let wrapped = self.core.instance.wrap_queue(queue);
        self.core.offset_at(&wrapped, timestamp_ms)
    }

    /// Commits what was handed out and waits until the brokers have it.
    pub fn commit(&self, timeout: Duration) -> Result<()> {
        self.core.check()?;
        self.core.commit_now(timeout)
    }

    /// Commits what was handed out; `done` runs on a thread for callbacks when the brokers have
    /// answered. Does not block.
    pub fn commit_async(&self, done: impl FnOnce(Result<()>) + Send + 'static) -> Result<()> {
        self.core.check()?;
        self.core.commit_later(done);
        Ok(())
    }

    /// Commits these offsets, whatever was handed out, and waits until the brokers have them.
    /// `Invalid`: the consumer does not have one of the queues, or an offset is below zero;
    /// nothing was committed then. A consumer that commits by itself goes on from what it hands
    /// out.
    pub fn commit_offsets(&self, offsets: &[(MessageQueue, i64)], timeout: Duration) -> Result<()> {
        let found = offsets.iter().map(|(queue, offset)| match offset {
            0.. => Ok((self.find(queue)?, *offset)),
            _ => Err(Error::new(ErrorKind::Invalid, OP, "an offset below zero")),
        });
        let found: Vec<_> = found.collect::<Result<_>>()?;
        for (queue, offset) in &found {
            *queue.committed.lock() = Some(*offset);
        }
        self.core.commit_and_wait(found, timeout)
    }

    /// Closes; who waits in `poll` is told. Offsets are committed if the consumer does that by
    /// itself. A second call does nothing. `Timeout`: brokers did not take the offsets in time.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.core.close(deadline)
    }
}

impl Drop for PullConsumer {
    fn drop(&mut self) {
        if self.core.instance.runtime.process.is_current()
            && let Err(error) = self.close(Duration::ZERO)
        {
            tracing::debug!(%error, "a consumer did not end well");
        }
    }
}
