//! One send on its way: route, queue, broker, answer, and again if need be. Nothing here blocks.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::core::Core;
use super::options::Target;
use super::prepare::Outgoing;
use super::retry::Tries;
use super::{SendResult, select};
use crate::base::{Error, ErrorKind, Result};
use crate::client::names::AUTO_CREATE_TOPIC;
use crate::client::raw::{self, SendReceipt, SendStatus};
use crate::client::routes::TopicRoute;
use crate::client::trace::{DEFAULT_REGION, Event, Tracer};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::header::Head;
use crate::protocol::request::send::{SendRequest, fast};

pub(crate) const OP: &str = "send message";

/// The kind of message that answers a request.
pub(crate) const REPLY: &str = "reply";

pub(crate) type Done = Box<dyn FnOnce(Result<SendResult>) + Send>;

/// One send on its way.
pub(crate) struct Sending {
    core: Arc<Core>,
    /// Its name among the sends of its producer.
    number: u64,
    outgoing: Outgoing,
    target: Target,
    timeout: Duration,
    /// Room that it takes until it is over.
    bytes: usize,
    began: Duration,
    tries: Mutex<Tries>,
    /// Taken by whoever ends the send.
    done: Mutex<Option<Done>>,
}

impl Sending {
    pub(crate) fn new(
        core: &Arc<Core>,
        outgoing: Outgoing,
        (target, timeout): (Target, Duration),
        bytes: usize,
        done: Done,
    ) -> Arc<Self> {
        let times = match target {
            Target::Any => core.options.retry_times.saturating_add(1),
            // Another queue would break the order that was asked for.
            Target::Queue(_) | Target::ShardingKey(_) => 1,
        };
        let began = core.instance.runtime.now();
        let deadline = began.saturating_add(timeout);
        let tries = Tries::new(times, deadline, core.options.retry_not_stored_ok);
        Arc::new(Self {
            number: core.next_number(),
            core: Arc::clone(core),
            outgoing,
            target,
            timeout,
            bytes,
            began,
            tries: Mutex::new(tries),
            done: Mutex::new(Some(done)),
        })
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn topic(&self) -> &str {
        &self.outgoing.topic
    }

    /// Ends the send, unless it has ended.
    pub(crate) fn finish(&self, outcome: Result<SendResult>) {
        let done = self.done.lock().take();
        if let Some(done) = done {
            self.core.ended(self.number);
            self.core.room.give(self.bytes);
            done(outcome);
        }
    }

    fn is_over(&self) -> bool {
        self.done.lock().is_none()
    }

    pub(crate) fn timed_out(&self) -> Error {
        let (topic, timeout) = (&self.outgoing.topic, self.timeout);
        let context = format!("to the topic {topic}: not acknowledged within {timeout:?}");
        Error::new(ErrorKind::Timeout, OP, context)
    }

    /// Begins.
    pub(crate) fn begin(self: Arc<Self>) {
        let sending = Arc::clone(&self);
        let routed = move |route| match route {
            Ok(route) => sending.attempt(&route),
            Err(error) => sending.finish(Err(error)),
        };
        let instance = &self.core.instance;
        instance.route(self.topic(), Box::new(routed));
    }

    fn choose(&self, route: &TopicRoute, now: Duration) -> Option<MessageQueue> {
        let queues = &route.writable;
        match &self.target {
            Target::Queue(queue) => Some(queue.clone()),
            Target::ShardingKey(key) => select::by_key(queues, key).cloned(),
            Target::Any => {
                let tries = self.tries.lock();
                let is_well = |broker: &str| self.core.is_well(broker, now);
                let start = self.core.next_turn();
                select::next(queues, start, &tries.failed, is_well).cloned()
            }
        }
    }

    fn attempt(self: Arc<Self>, route: &Arc<TopicRoute>) {
        if self.is_over() {
            return;
        }
        let now = self.core.instance.runtime.now();
        let Some(time_left) = self.tries.lock().time_left(now) else {
            return self.finish(Err(self.timed_out()));
        };
        let Some(queue) = self.choose(route, now) else {
            let context = format!(
                "no queue of the topic {} can be written",
                self.outgoing.topic
            );
            return self.finish(Err(Error::new(ErrorKind::NotFound, OP, context)));
        };
        let instance = Arc::clone(&self.core.instance);
        let address = match instance.master(&queue.broker_name) {
            Ok(address) => address,
            Err(error) => return self.answered(route, (&queue, ""), now, Err(error)),
        };
        let (sending, route) = (Arc::clone(&self), Arc::clone(route));
        let to = Arc::new((queue, address));
        let (code, body) = (self.code(), &self.outgoing.body);
        let write = |opaque, frame: &mut Vec<u8>| {
            let header = self.header(&to.0);
            if instance.marks() {
                let mut request = instance.marked(header.command(code));
                request.opaque = opaque;
                request.encode_head(frame, body.len());
            } else {
                let bare = Command::bare_request(code);
                let head = Head {
                    opaque,
                    ..bare.head()
                };
                fast::encode_request_head(frame, bare.serialize, &head, &header, body.len());
            }
            frame.extend_from_slice(body);
        };
        let asked = Arc::clone(&to);
        let done = move |answer: Result<Command>| {
            let (queue, address) = &*asked;
            let receipt = answer.and_then(|answer| raw::receipt(address, &answer));
            sending.answered(&route, (queue, address), now, receipt);
        };
        instance.call_written_async(&to.1, (code, body.len()), write, time_left, done);
    }

    /// What the request says that takes the message to a queue.
    fn header<'a>(&'a self, queue: &'a MessageQueue) -> SendRequest<'a> {
        let out = &self.outgoing;
        SendRequest {
            producer_group: &self.core.options.group,
            topic: &out.topic,
            default_topic: AUTO_CREATE_TOPIC,
            default_topic_queue_nums: self.core.options.new_topic_queue_nums,
            queue_id: queue.queue_id,
            sys_flag: out.sys_flag,
            born_timestamp_ms: self.core.instance.runtime.clock.wall_ms(),
            flag: out.flag,
            properties: Some(&out.properties),
            reconsume_times: 0,
            unit_mode: false,
            batch: out.batch,
            max_reconsume_times: None,
            broker_name: Some(&queue.broker_name),
        }
    }

    fn code(&self) -> RequestCode {
        match (self.outgoing.batch, self.outgoing.reply) {
            (true, _) => RequestCode::SEND_BATCH_MESSAGE,
            (_, true) => RequestCode::SEND_REPLY_MESSAGE_V2,
            _ => RequestCode::SEND_MESSAGE_V2,
        }
    }

    fn answered(
        self: Arc<Self>,
        route: &Arc<TopicRoute>,
        (queue, address): (&MessageQueue, &str),
        began: Duration,
        receipt: Result<SendReceipt>,
    ) {
        let now = self.core.instance.runtime.now();
        let latency = receipt.is_ok().then(|| now.saturating_sub(began));
        self.core.sent(&queue.broker_name, latency, now);
        let again = self.tries.lock().again(&queue.broker_name, &receipt, now);
        if let Err(error) = &receipt {
            tracing::debug!(%error, again, "a send failed");
            self.core.instance.doubt(&self.outgoing.topic);
        }
        if again {
            return self.attempt(route);
        }
        if let (Some(tracer), Ok(receipt)) = (&self.core.tracer, &receipt) {
            self.trace(tracer, address, receipt, now);
        }
        let result = receipt.map(|receipt| self.result(queue, receipt));
        self.finish(result);
    }

    fn trace(&self, tracer: &Arc<Tracer>, broker: &str, receipt: &SendReceipt, now: Duration) {
        if !receipt.trace_on {
            return;
        }
        let took = now.saturating_sub(self.began).as_millis();
        let mut offset_ids = receipt.msg_id.split(',');
        for (traced, body_bytes) in &self.outgoing.traced {
            let mut traced = traced.clone();
            traced.topic = self
                .core
                .instance
                .namespace
                .unwrap(&traced.topic)
                .into_owned();
            let event = Event::Sent {
                kind: self.outgoing.kind,
                broker: broker.to_owned(),
                body_bytes: *body_bytes,
                took_ms: u64::try_from(took).unwrap_or(u64::MAX),
                offset_msg_id: offset_ids.next().unwrap_or_default().to_owned(),
                success: receipt.status == SendStatus::Ok,
            };
            let region = receipt.region.as_deref().unwrap_or(DEFAULT_REGION);
            tracer.note(region, traced, event);
        }
    }

    fn result(&self, queue: &MessageQueue, receipt: SendReceipt) -> SendResult {
        SendResult {
            status: receipt.status,
            msg_id: self.outgoing.msg_id.clone(),
            offset_msg_id: receipt.msg_id,
            queue: MessageQueue {
                // The broker may have chosen another.
                queue_id: receipt.queue_id,
                ..self.core.instance.unwrap_queue(queue)
            },
            queue_offset: receipt.queue_offset,
            transaction_id: receipt.transaction_id,
            recall_handle: receipt.recall_handle,
        }
    }

    /// Sends without waiting for an answer; what fails is lost.
    pub(crate) fn begin_oneway(self: Arc<Self>) {
        let (instance, topic) = (Arc::clone(&self.core.instance), self.outgoing.topic.clone());
        let routed = move |route: Result<Arc<TopicRoute>>| {
            let outcome = route.and_then(|route| self.send_oneway(&route));
            if let Err(error) = outcome {
                tracing::debug!(%error, "a one-way message was lost");
            }
            self.finish(Err(Error::new(ErrorKind::Closed, OP, "one-way")));
        };
        instance.route(&topic, Box::new(routed));
    }

    fn send_oneway(&self, route: &TopicRoute) -> Result<()> {
        let instance = &self.core.instance;
        let queue = self.choose(route, instance.runtime.now()).ok_or_else(|| {
            let context = format!(
                "no queue of the topic {} can be written",
                self.outgoing.topic
            );
            Error::new(ErrorKind::NotFound, OP, context)
        })?;
        let address = instance.master(&queue.broker_name)?;
        let request = self.header(&queue).command(self.code());
        instance.oneway(&address, request.with_body(self.outgoing.body.clone()))
    }
}
