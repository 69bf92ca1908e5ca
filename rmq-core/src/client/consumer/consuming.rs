//! Giving messages to the listener, and what follows from its answer.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::core::{Assigned, ConsumeStatus, Core, Listener, Mode, OP};
use crate::base::{Error, ErrorKind, Result};
use crate::client::wait::Pending;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::properties::names;
use crate::protocol::message::user::ReceivedMessage;
use crate::protocol::request::pop::extra::normal_topic;
use crate::protocol::request::query::SendMessageBackRequest;

/// After this, messages that could not be sent back are given to the listener again.
const HERE_AGAIN: Duration = Duration::from_secs(5);
/// After this, a queue that is not to be consumed is looked at again.
const RESTING: Duration = Duration::from_millis(100);
/// Tries of a message that is not consumed in order, unless told otherwise.
pub(crate) const TRIES: i32 = 16;

/// Counts a call of the listener, also when it panics.
pub(crate) struct Running<'a>(&'a Pending);

impl<'a> Running<'a> {
    pub(crate) fn new(pending: &'a Pending) -> Self {
        pending.enter(usize::MAX);
        Self(pending)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// What the listener answers; `None` when it panicked.
pub(crate) fn caught(listen: impl FnOnce() -> ConsumeStatus) -> Option<ConsumeStatus> {
    let status = panic::catch_unwind(AssertUnwindSafe(listen)).ok();
    if status.is_none() {
        tracing::error!("the listener of a consumer panicked; its messages come again");
    }
    status
}

pub(crate) fn guarded(listen: impl FnOnce() -> ConsumeStatus) -> ConsumeStatus {
    caught(listen).unwrap_or(ConsumeStatus::Later)
}

impl Core {
    /// Hands on what waits in a queue.
    pub(crate) fn dispatch(self: &Arc<Self>, queue: &Arc<Assigned>) {
        match &self.mode {
            Mode::Concurrent(Listener::Queue(_)) => {
                if !self.suspended.load(Ordering::SeqCst) {
                    let mut messages = queue.state.lock().take(usize::MAX);
                    if !messages.is_empty() {
                        self.restore_topics(&mut messages);
                        self.hand_over(queue, messages);
                    }
                }
            }
            Mode::Concurrent(_) => loop {
                let messages = queue.state.lock().take(self.options.consume_batch_max);
                if messages.is_empty() {
                    return;
                }
                let (core, queue) = (Arc::clone(self), Arc::clone(queue));
                self.consume.run(move || core.consume(&queue, messages));
            },
            Mode::Orderly(_) => {
                if !queue.consuming.swap(true, Ordering::SeqCst) {
                    self.consume_in_order_after(Arc::clone(queue), Duration::ZERO);
                }
            }
            Mode::Poll => self.arrived(),
        }
    }

    /// Messages carry the topic that they were sent to, also when they came back.
    pub(crate) fn restore_topics(&self, messages: &mut [ReceivedMessage]) {
        let retry_topic = self.retry_topic();
        for received in messages {
            let message = &mut received.message;
            if message.topic == retry_topic {
                if let Some(topic) = message.properties.get(names::RETRY_TOPIC) {
                    message.topic.clone_from(topic);
                }
            } else if message.topic.starts_with(&retry_topic) {
                // Popped before, and pulled now.
                message.topic = normal_topic(&message.topic, &self.options.group).to_owned();
            }
            self.instance.unwrap_topic(message);
        }
    }

    fn consume(self: &Arc<Self>, queue: &Arc<Assigned>, mut messages: Vec<ReceivedMessage>) {
        let Mode::Concurrent(listener) = &self.mode else {
            return;
        };
        let running = Running::new(&self.running);
        if queue.is_dropped() || self.is_closed() {
            return;
        }
        if self.suspended.load(Ordering::SeqCst) {
            drop(running);
            return self.consume_later(Arc::clone(queue), messages, RESTING);
        }
        let now = self.instance.runtime.now();
        {
            // What was sent back meanwhile, or sought away from, is not consumed here.
            let mut state = queue.state.lock();
            messages.retain(|message| state.begin(message.queue_offset, now));
        }
        if messages.is_empty() {
            return;
        }
        self.restore_topics(&mut messages);
        match listener {
            Listener::Messages(listen) => {
                let status = self.listened(|| listen(&messages), &messages);
                self.settle(queue, messages, status);
            }
            Listener::Handles(_) | Listener::Queue(_) => self.hand_over(queue, messages),
        }
    }

    pub(crate) fn listened(
        &self,
        listen: impl FnOnce() -> ConsumeStatus,
        messages: &[ReceivedMessage],
    ) -> ConsumeStatus {
        let watch = self.watch(messages);
        let status = guarded(listen);
        watch.end(status);
        status
    }

    /// Does what follows from the answer to messages that are not consumed in order. Blocks.
    pub(crate) fn settle(
        self: &Arc<Self>,
        queue: &Arc<Assigned>,
        mut messages: Vec<ReceivedMessage>,
        status: ConsumeStatus,
    ) {
        // Another member has them by now, or the broker delivers them again.
        if queue.is_dropped() {
            return;
        }
        {
            let state = queue.state.lock();
            messages.retain(|message| state.is_out(message.queue_offset));
        }
        let mut done: Vec<i64> = messages.iter().map(|m| m.queue_offset).collect();
        let level = match status {
            ConsumeStatus::Success => None,
            ConsumeStatus::Later => Some(0),
            ConsumeStatus::LaterAtLevel(level) => Some(level),
        };
        let mut failed = Vec::new();
        // Of a broadcast each member has its own; nothing goes back.
        if let Some(level) = level.filter(|_| !self.options.is_broadcast()) {
            for mut message in messages {
                let max = self.options.max_reconsume_times.unwrap_or(TRIES);
                if let Err(error) = self.send_back(&queue.queue.broker_name, &message, level, max) {
                    tracing::debug!(%error, "a message could not be sent back");
                    done.retain(|offset| *offset != message.queue_offset);
                    message.reconsume_times += 1;
                    failed.push(message);
                }
            }
        }
        if !queue.is_dropped() {
            queue.state.lock().done(done);
        }
        if !failed.is_empty() {
            self.consume_later(Arc::clone(queue), failed, HERE_AGAIN);
        }
    }

    fn consume_later(
        self: &Arc<Self>,
        queue: Arc<Assigned>,
        messages: Vec<ReceivedMessage>,
        delay: Duration,
    ) {
        let core = Arc::downgrade(self);
        self.consume.run_after(delay, move || {
            if let Some(core) = core.upgrade() {
                core.consume(&queue, messages);
            }
        });
    }

    /// Has the broker deliver a message again later, or give it up. Blocks.
    pub(crate) fn send_back(
        &self,
        broker: &str,
        message: &ReceivedMessage,
        delay_level: i32,
        max_reconsume_times: i32,
    ) -> Result<()> {
        let origin = Some(message);
        let (at, max) = (message.physical_offset, max_reconsume_times);
        self.send_back_from(broker, at, origin, delay_level, max)
    }

    /// The same for the message at an offset of the broker's log.
    pub(crate) fn send_back_from(
        &self,
        broker: &str,
        physical_offset: i64,
        origin: Option<&ReceivedMessage>,
        delay_level: i32,
        max_reconsume_times: i32,
    ) -> Result<()> {
        let wrap = |topic| self.instance.namespace.wrap(topic).into_owned();
        let header = SendMessageBackRequest {
            physical_offset,
            group: self.options.group.clone(),
            delay_level,
            origin_msg_id: origin.map(ReceivedMessage::msg_id),
            origin_topic: origin.map(|origin| wrap(&origin.message.topic)),
            unit_mode: false,
            max_reconsume_times: Some(max_reconsume_times),
        };
        let request = Command::request(RequestCode::CONSUMER_SEND_MSG_BACK, &header);
        let master = self.instance.master(broker)?;
        let answer = self.instance.call(&master, request)?;
        match answer.response_code() {
            ResponseCode::SUCCESS => Ok(()),
            code => {
                let remark = answer.remark.unwrap_or_default();
                let context = format!("{master} answered {code}: {remark}");
                Err(Error::new(ErrorKind::Remote(code.value()), OP, context))
            }
        }
    }

    fn consume_in_order_after(self: &Arc<Self>, queue: Arc<Assigned>, delay: Duration) {
        let core = Arc::downgrade(self);
        let go_on = move || {
            if let Some(core) = core.upgrade() {
                core.consume_in_order(queue);
            }
        };
        match delay {
            Duration::ZERO => self.consume.run(go_on),
            delay => self.consume.run_after(delay, go_on),
        }
    }

    /// One step of a queue that is consumed in order. `consuming` of the queue is set and stays so
    /// until there is nothing to do.
    fn consume_in_order(self: &Arc<Self>, queue: Arc<Assigned>) {
        let Mode::Orderly(listener) = &self.mode else {
            return;
        };
        let running = Running::new(&self.running);
        if queue.is_dropped() || self.is_closed() {
            queue.consuming.store(false, Ordering::SeqCst);
            return;
        }
        if queue.leaving.load(Ordering::SeqCst) {
            queue.consuming.store(false, Ordering::SeqCst);
            return self.rebalance_soon(Duration::ZERO);
        }
        let locked = !self.is_locking() || queue.is_locked(self.instance.runtime.now());
        if self.suspended.load(Ordering::SeqCst) || !locked {
            drop(running);
            return self.consume_in_order_after(queue, RESTING);
        }
        let mut messages = queue.state.lock().take(self.options.consume_batch_max);
        if messages.is_empty() {
            queue.consuming.store(false, Ordering::SeqCst);
            // What came in between found the queue in work.
            if queue.state.lock().has_waiting() {
                drop(running);
                self.dispatch(&queue);
            }
            return;
        }
        self.restore_topics(&mut messages);
        let Listener::Messages(listen) = listener else {
            // The answer to the last of them goes on.
            return self.hand_over(&queue, messages);
        };
        let again = match self.listened(|| listen(&messages), &messages) {
            ConsumeStatus::Success => {
                let done = messages.iter().map(|m| m.queue_offset);
                queue.state.lock().done(done);
                Vec::new()
            }
            _ => messages,
        };
        drop(running);
        self.settle_in_order(queue, again);
    }

    /// Goes on with a queue that is consumed in order, with what failed first. Blocks.
    pub(crate) fn settle_in_order(
        self: &Arc<Self>,
        queue: Arc<Assigned>,
        again: Vec<ReceivedMessage>,
    ) {
        let delay = match again.is_empty() {
            true => Duration::ZERO,
            false => Duration::from_millis(self.options.suspend_queue_ms.max(1)),
        };
        if !again.is_empty() {
            self.suspend_queue(&queue, again);
        }
        self.consume_in_order_after(queue, delay);
    }

    /// Messages consumed in order failed: they are next again, unless they failed too often.
    fn suspend_queue(&self, queue: &Assigned, messages: Vec<ReceivedMessage>) {
        let mut again = Vec::new();
        for mut message in messages {
            let max = self.options.max_reconsume_times.unwrap_or(i32::MAX);
            let given_up = message.reconsume_times >= max
                && !self.options.is_broadcast()
                // Below zero: to the dead letters.
                && self.send_back(&queue.queue.broker_name, &message, -1, max).is_ok();
            if given_up {
                queue.state.lock().done([message.queue_offset]);
            } else {
                message.reconsume_times = message.reconsume_times.saturating_add(1);
                again.push(message);
            }
        }
        queue.state.lock().give_back(again);
    }
}
