//! The pulls of each queue: one under way at a time, the next as soon as there is room.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::asking::{FAILED, FULL};
use super::core::{Assigned, Core, Mode};
use super::process_queue::FlowLimits;
use crate::base::Result;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::message::record::CheckLevel;
use crate::protocol::message::user::{ReceiveError, ReceivedMessage, ReceivedMessages};
use crate::protocol::request::EncodeHeader;
use crate::protocol::request::pull::{
    FLAG_COMMIT_OFFSET, FLAG_LITE_PULL, FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest, PullResponse,
};

/// After this a queue that is not to be pulled from is looked at again.
const RESTING: Duration = Duration::from_millis(200);
const MASTER: i64 = 0;

impl Core {
    fn pull_later(self: &Arc<Self>, queue: Arc<Assigned>, epoch: u64, delay: Duration) {
        self.later(delay, move |core| core.pull(queue, epoch));
    }

    fn flow_limits(&self) -> FlowLimits {
        let queue_count = self.queues.lock().len();
        self.options.flow_limits(self.is_orderly(), queue_count)
    }

    /// Whether the pulls of this epoch of a queue go on.
    fn goes_on(&self, queue: &Assigned, epoch: u64) -> bool {
        !queue.is_dropped() && !self.is_closed() && queue.state.lock().next_pull().1 == epoch
    }

    /// Sets a queue to another place. A pull that the broker still holds is not waited for.
    pub(crate) fn seek(self: &Arc<Self>, queue: &Arc<Assigned>, offset: i64) {
        let epoch = {
            let mut state = queue.state.lock();
            state.seek(offset);
            state.next_pull().1
        };
        self.forget_handles(queue);
        self.pull(Arc::clone(queue), epoch);
    }

    /// Pulls from a queue as soon as there is room. Goes on by itself until the queue is dropped or
    /// set to another place, which begins an epoch.
    pub(crate) fn pull(self: &Arc<Self>, queue: Arc<Assigned>, epoch: u64) {
        if !self.goes_on(&queue, epoch) {
            return;
        }
        let now = self.instance.runtime.now();
        let rests = self.suspended.load(Ordering::SeqCst) || queue.paused.load(Ordering::SeqCst);
        if rests || (self.is_locking() && !queue.is_locked(now)) {
            return self.pull_later(queue, epoch, RESTING);
        }
        let limits = self.flow_limits();
        if queue.state.lock().is_full(&limits) {
            return self.pull_later(queue, epoch, FULL);
        }
        let Some(subscription) = self.subscription(&queue.queue.topic) else {
            return self.pull_later(queue, epoch, FAILED);
        };
        let wanted = queue.broker_id.load(Ordering::Relaxed);
        let (address, broker_id) = match self.instance.broker(&queue.queue.broker_name, wanted) {
            Ok(found) => found,
            Err(_) => return self.pull_later(queue, epoch, FAILED),
        };
        let request = self.pull_request(&queue, &subscription, broker_id);
        self.ask(&address, request, move |core, answer| {
            core.pulled(queue, &subscription, epoch, answer);
        });
    }

    fn pull_request(
        &self,
        queue: &Assigned,
        subscription: &SubscriptionData,
        broker_id: i64,
    ) -> Command {
        let (queue_offset, _) = queue.state.lock().next_pull();
        let mut sys_flag = FLAG_SUSPEND;
        let mut commit_offset = 0;
        // A slave keeps no offsets of its own.
        let commits = !self.options.is_broadcast() && broker_id == MASTER;
        if commits && let Some(position) = *queue.committed.lock() {
            commit_offset = position;
            sys_flag |= FLAG_COMMIT_OFFSET;
        }
        let lite = matches!(self.mode, Mode::Poll);
        let code = match lite {
            true => RequestCode::LITE_PULL_MESSAGE,
            false => RequestCode::PULL_MESSAGE,
        };
        if lite {
            sys_flag |= FLAG_LITE_PULL | FLAG_SUBSCRIPTION;
        }
        let header = PullRequest {
            consumer_group: &self.options.group,
            topic: &queue.queue.topic,
            queue_id: queue.queue.queue_id,
            queue_offset,
            max_msg_nums: self.options.pull_batch_max,
            sys_flag,
            commit_offset,
            suspend_timeout_ms: i64::try_from(self.options.pull_hold_ms).unwrap_or(i64::MAX),
            subscription: Some(&subscription.sub_string),
            sub_version: subscription.sub_version,
            expression_type: Some(&subscription.expression_type),
            max_msg_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        };
        let mut request = Command::bare_request(code);
        header.encode(&mut request.ext);
        request.ext.insert("bname", queue.queue.broker_name.clone());
        request
    }

    fn pulled(
        self: &Arc<Self>,
        queue: Arc<Assigned>,
        subscription: &SubscriptionData,
        epoch: u64,
        answer: Result<Command>,
    ) {
        if !self.goes_on(&queue, epoch) {
            return;
        }
        let delay = match answer {
            Ok(answer) if tells_of_queue(answer.response_code()) => {
                self.take_answer(&queue, subscription, epoch, &answer)
            }
            refused => self.after_refusal(&queue.queue, refused),
        };
        match delay {
            Duration::ZERO => self.pull(queue, epoch),
            delay => self.pull_later(queue, epoch, delay),
        }
    }

    /// Takes what a pull brought; how long to wait for the next one.
    fn take_answer(
        self: &Arc<Self>,
        queue: &Arc<Assigned>,
        subscription: &SubscriptionData,
        epoch: u64,
        answer: &Command,
    ) -> Duration {
        let header = match PullResponse::decode(&answer.ext) {
            Ok(header) => header,
            Err(error) => {
                tracing::warn!(%error, queue = ?queue.queue, "a pull's answer cannot be read");
                return FAILED;
            }
        };
        queue
            .broker_id
            .store(header.suggest_which_broker_id, Ordering::Relaxed);
        let mut next = header.next_begin_offset;
        let mut messages = Vec::new();
        let mut delay = Duration::ZERO;
        match answer.response_code() {
            ResponseCode::SUCCESS => {
                delay = Duration::from_millis(self.options.pull_interval_ms);
                let delta = header.offset_delta.unwrap_or(0);
                let broken = self.read(&answer.body, delta, &mut messages);
                if broken {
                    next = messages.last().map_or(next, |last| last.queue_offset + 1);
                    delay = FAILED;
                }
                messages.retain(|m| subscription.matches_tag(m.message.tag()));
            }
            ResponseCode::PULL_OFFSET_MOVED => {
                tracing::warn!(queue = ?queue.queue, to = next, "no such offset in the queue");
                self.seek(queue, next);
            }
            _ => {}
        }
        if queue.state.lock().put(epoch, messages, next) {
            self.dispatch(queue);
        }
        delay
    }

    /// Reads records; true when what follows the last of `messages` cannot be read.
    pub(crate) fn read(
        &self,
        body: &bytes::Bytes,
        delta: i64,
        messages: &mut Vec<ReceivedMessage>,
    ) -> bool {
        let max = self.options.max_message_bytes;
        for received in ReceivedMessages::new(body.clone(), CheckLevel::Bounds, max) {
            let unwrapped = match received {
                Ok(message) => match message.unwrap_batch() {
                    Ok(None) => vec![message],
                    Ok(Some(inner)) => inner,
                    Err(error) => {
                        tracing::error!(%error, "a batch cannot be read and is passed over");
                        continue;
                    }
                },
                Err(error @ ReceiveError::Body { .. }) => {
                    tracing::error!(%error, "a message cannot be read and is passed over");
                    continue;
                }
                Err(error) => {
                    tracing::error!(%error, "an answer cannot be read");
                    return true;
                }
            };
            messages.extend(unwrapped.into_iter().map(|mut message| {
                message.queue_offset += delta;
                message
            }));
        }
        false
    }
}

/// Whether the answer to a pull says where its queue stands, with messages or without.
fn tells_of_queue(code: ResponseCode) -> bool {
    matches!(
        code,
        ResponseCode::SUCCESS
            | ResponseCode::PULL_NOT_FOUND
            | ResponseCode::PULL_RETRY_IMMEDIATELY
            | ResponseCode::PULL_OFFSET_MOVED
    )
}
