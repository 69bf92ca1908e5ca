//! Popping: the broker hands out messages one by one, and each is acknowledged by itself. One pop
//! of a queue is under way at a time, the next as soon as there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::asking::{FAILED, FULL};
use super::consuming::{Running, TRIES};
use super::core::{ConsumeStatus, Core, Listener, Mode};
use super::options::StartFrom;
use super::pop::{PopQueue, Verdict, note_check_points, verdict};
use crate::base::Result;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::message::properties::names;
use crate::protocol::message::user::ReceivedMessage;
use crate::protocol::request::pop::extra::ExtraInfo;
use crate::protocol::request::pop::{
    AckMessageRequest, ChangeInvisibleTimeRequest, PopMessageRequest, PopMessageResponse,
};

/// After this messages of a suspended consumer are looked at again.
const RESTING: Duration = Duration::from_millis(100);
/// After this an acknowledgement that no broker took is tried again.
const ACK_AGAIN: Duration = Duration::from_millis(1_000);

/// Messages of one pop that are this consumer's until they are answered for, or for good.
pub(crate) struct Claim {
    pub(crate) queue: Arc<PopQueue>,
    count: AtomicUsize,
    /// From then on they are no longer this consumer's.
    until: Duration,
}

impl Claim {
    fn new(queue: &Arc<PopQueue>, count: usize, until: Duration) -> Self {
        queue.found(count);
        Self {
            queue: Arc::clone(queue),
            count: AtomicUsize::new(count),
            until,
        }
    }

    /// Whether the messages come again, whatever is said of them.
    pub(crate) fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }

    /// Makes room for others.
    pub(crate) fn release(&self) {
        self.queue.settled(self.count.swap(0, Ordering::SeqCst));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release();
    }
}

impl Core {
    fn pop_later(self: &Arc<Self>, queue: Arc<PopQueue>, delay: Duration) {
        self.later(delay, move |core| core.pop(queue));
    }

    /// Begins to pop of a queue.
    pub(crate) fn begin_pop(self: &Arc<Self>, queue: MessageQueue) {
        tracing::debug!(?queue, "pops");
        let pops = Arc::new(PopQueue::new(queue.clone()));
        self.pops.lock().insert(queue, Arc::clone(&pops));
        self.pop(pops);
    }

    /// Pops as soon as there is room. Goes on by itself until the queue is taken away.
    fn pop(self: &Arc<Self>, queue: Arc<PopQueue>) {
        if queue.is_dropped() || self.is_closed() {
            return;
        }
        if self.suspended.load(Ordering::SeqCst) {
            return self.pop_later(queue, RESTING);
        }
        if queue.waiting() > self.options.max_popped_per_queue {
            return self.pop_later(queue, FULL);
        }
        let Some(subscription) = self.subscription(&queue.queue.topic) else {
            return self.pop_later(queue, FAILED);
        };
        let Ok(address) = self.instance.master(&queue.queue.broker_name) else {
            return self.pop_later(queue, FAILED);
        };
        let request = self.pop_request(&queue, &subscription);
        self.ask(&address, request, move |core, answer| {
            core.popped(queue, &subscription, answer);
        });
    }

    fn pop_request(&self, queue: &PopQueue, subscription: &SubscriptionData) -> Command {
        let now_ms = self.instance.runtime.clock.wall_ms();
        queue.asked(now_ms);
        let of = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let header = PopMessageRequest {
            consumer_group: self.options.group.clone(),
            topic: queue.queue.topic.clone(),
            queue_id: queue.queue.queue_id,
            max_msg_nums: self.options.pop_batch_max,
            invisible_time_ms: of(self.options.pop_invisible_ms),
            poll_time_ms: of(self.options.pull_hold_ms),
            born_time_ms: now_ms,
            init_mode: i32::from(self.options.start_from != StartFrom::First),
            exp_type: Some(subscription.expression_type.clone()),
            exp: Some(subscription.sub_string.clone()),
            order: false,
            attempt_id: None,
        };
        let mut request = Command::request(RequestCode::POP_MESSAGE, &header);
        request.ext.insert("bname", queue.queue.broker_name.clone());
        request
    }

    fn popped(
        self: &Arc<Self>,
        queue: Arc<PopQueue>,
        subscription: &SubscriptionData,
        answer: Result<Command>,
    ) {
        if self.is_closed() {
            return;
        }
        let delay = match answer {
            Ok(answer) if answer.response_code() == ResponseCode::SUCCESS => {
                self.take_popped(&queue, subscription, &answer)
            }
            Ok(answer) if is_empty(answer.response_code()) => Duration::ZERO,
            refused => self.after_refusal(&queue.queue, refused),
        };
        match delay {
            Duration::ZERO => self.pop(queue),
            delay => self.pop_later(queue, delay),
        }
    }

    /// Hands on what a pop brought, also of a queue that was taken away meanwhile: the messages are
    /// this consumer's. How long to wait for the next pop.
    fn take_popped(
        self: &Arc<Self>,
        queue: &Arc<PopQueue>,
        subscription: &SubscriptionData,
        answer: &Command,
    ) -> Duration {
        let header: PopMessageResponse = match answer.header() {
            Ok(header) => header,
            Err(error) => {
                tracing::warn!(%error, queue = ?queue.queue, "a pop's answer cannot be read");
                return FAILED;
            }
        };
        let mut messages = Vec::new();
        let broken = self.read(&answer.body, 0, &mut messages);
        note_check_points(&header, &queue.queue, &mut messages);
        let invisible_ms = u64::try_from(header.invisible_time_ms).unwrap_or(0);
        let until = self.instance.runtime.now() + Duration::from_millis(invisible_ms);
        // Two tags may share a hash, which is all that the broker has looked at.
        let (wanted, others): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|received| subscription.matches_tag(received.message.tag()));
        for message in &others {
            self.acknowledge(queue, message, until);
        }
        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() {
            let messages: Vec<_> = wanted
                .by_ref()
                .take(self.options.consume_batch_max)
                .collect();
            let claim = Claim::new(queue, messages.len(), until);
            let core = Arc::clone(self);
            self.consume
                .run(move || core.consume_popped(claim, messages));
        }
        match broken {
            true => FAILED,
            false => Duration::ZERO,
        }
    }

    fn consume_popped(self: &Arc<Self>, claim: Claim, mut messages: Vec<ReceivedMessage>) {
        let Mode::Concurrent(listener) = &self.mode else {
            return;
        };
        let running = Running::new(&self.running);
        // What this consumer lost by now comes again by itself.
        if self.is_closed() || self.instance.runtime.now() >= claim.until {
            return;
        }
        if self.suspended.load(Ordering::SeqCst) {
            drop(running);
            let core = Arc::downgrade(self);
            return self.consume.run_after(RESTING, move || {
                if let Some(core) = core.upgrade() {
                    core.consume_popped(claim, messages);
                }
            });
        }
        self.restore_topics(&mut messages);
        match listener {
            Listener::Messages(listen) => {
                let status = self.listened(|| listen(&messages), &messages);
                for message in &messages {
                    self.settle_popped(&claim, message, status);
                }
            }
            Listener::Handles(_) | Listener::Queue(_) => {
                // Each has a claim of its own before the common one ends.
                let each = messages.into_iter();
                let each = each.map(|message| (Claim::new(&claim.queue, 1, claim.until), message));
                self.hand_over_popped(each.collect());
            }
        }
    }

    /// Tells the broker what has become of a message. Blocks only to give it up.
    pub(crate) fn settle_popped(
        self: &Arc<Self>,
        claim: &Claim,
        message: &ReceivedMessage,
        status: ConsumeStatus,
    ) {
        let Claim { queue, until, .. } = claim;
        if self.instance.runtime.now() >= *until {
            return tracing::debug!(queue = ?queue.queue, "consumed too late: it comes again");
        }
        match self.verdict(message, status) {
            Verdict::Acknowledge => self.acknowledge(queue, message, *until),
            Verdict::Again(delay) => self.change_invisible(queue, message, delay, *until),
            Verdict::GiveUp => self.give_up(queue, message, *until),
        }
    }

    pub(crate) fn verdict(&self, message: &ReceivedMessage, status: ConsumeStatus) -> Verdict {
        let max = self.options.max_reconsume_times.unwrap_or(TRIES);
        let delays_ms = &self.options.pop_retry_delays_ms;
        verdict(status, message.reconsume_times, max, delays_ms)
    }

    /// Makes a dead letter of a message. Blocks.
    fn give_up(self: &Arc<Self>, queue: &PopQueue, message: &ReceivedMessage, until: Duration) {
        // Below zero: to the dead letters.
        match self.send_back(&queue.queue.broker_name, message, -1, 0) {
            Ok(()) => self.acknowledge(queue, message, until),
            Err(error) => {
                tracing::debug!(%error, "a message did not become a dead letter; it comes again");
            }
        }
    }

    fn acknowledge(self: &Arc<Self>, queue: &PopQueue, message: &ReceivedMessage, until: Duration) {
        let Some((extra_info, info)) = check_point(message) else {
            return;
        };
        let header = AckMessageRequest {
            consumer_group: self.options.group.clone(),
            topic: info.retry.topic(&queue.queue.topic, &self.options.group),
            queue_id: info.queue_id,
            extra_info,
            offset: info.queue_offset.unwrap_or(message.queue_offset),
        };
        let request = Command::request(RequestCode::ACK_MESSAGE, &header);
        self.tell_broker(&queue.queue.broker_name, request, until);
    }

    fn change_invisible(
        self: &Arc<Self>,
        queue: &PopQueue,
        message: &ReceivedMessage,
        delay: Duration,
        until: Duration,
    ) {
        let Some((extra_info, info)) = check_point(message) else {
            return;
        };
        let header = ChangeInvisibleTimeRequest {
            consumer_group: self.options.group.clone(),
            topic: info.retry.topic(&queue.queue.topic, &self.options.group),
            queue_id: info.queue_id,
            extra_info,
            offset: info.queue_offset.unwrap_or(message.queue_offset),
            invisible_time_ms: i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
            suspend: None,
        };
        let request = Command::request(RequestCode::CHANGE_MESSAGE_INVISIBLETIME, &header);
        self.tell_broker(&queue.queue.broker_name, request, until);
    }

    /// Sends what is said of a message, again and again while it counts. `close` waits for it.
    fn tell_broker(self: &Arc<Self>, broker: &str, mut request: Command, until: Duration) {
        request.ext.insert("bname", broker.to_owned());
        let (core, broker) = (Arc::clone(self), broker.to_owned());
        self.running.enter(usize::MAX);
        let asked = request.clone();
        let done = move |answer: Result<Command>| {
            let error = match answer {
                Ok(answer) if answer.response_code() == ResponseCode::SUCCESS => None,
                Ok(answer) => {
                    let remark = answer.remark.as_deref().unwrap_or_default();
                    tracing::debug!(remark, code = answer.code, "a message cannot be settled");
                    None
                }
                Err(error) => Some(error),
            };
            let again_at = core.instance.runtime.now() + ACK_AGAIN;
            if let Some(error) = error {
                tracing::debug!(%error, "nobody heard what became of a message");
                if again_at < until && !core.is_closed() {
                    core.later(ACK_AGAIN, move |core| {
                        core.tell_broker(&broker, asked, until);
                    });
                }
            }
            core.running.leave();
        };
        match self
            .instance
            .master(request.ext.get("bname").unwrap_or_default())
        {
            Ok(address) => {
                let timeout = self.instance.request_timeout();
                self.instance.call_async(&address, request, timeout, done);
            }
            Err(error) => done(Err(error)),
        }
    }
}

/// Whether a broker held a pop to its end and found nothing.
fn is_empty(code: ResponseCode) -> bool {
    matches!(
        code,
        ResponseCode::POLLING_TIMEOUT | ResponseCode::PULL_NOT_FOUND
    )
}

/// What a message is acknowledged with.
fn check_point(message: &ReceivedMessage) -> Option<(String, ExtraInfo)> {
    let text = message.message.property(names::POP_CK)?;
    let info = ExtraInfo::parse(text);
    if info.is_none() {
        tracing::warn!(
            text,
            "a check point cannot be read; the message comes again"
        );
    }
    Some((text.to_owned(), info?))
}
