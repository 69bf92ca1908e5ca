//! What brokers ask of a consumer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::consuming::caught;
use super::core::{Assigned, ConsumeStatus, Core, Listener, Mode};
use super::delivery::Delivery;
use crate::base::{Error, ErrorKind, Result};
use crate::net::PushedRequest;
use crate::protocol::body::consumer_status::ConsumerStatus;
use crate::protocol::body::reset_offset::ResetOffset;
use crate::protocol::body::running_info::{
    ConsumeDirectlyResult, ConsumerRunningInfo, PopQueueInfo, QueueInfo,
};
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::record::CheckLevel;
use crate::protocol::message::user::{ReceivedMessage, ReceivedMessages};
use crate::protocol::request::push::{
    GetConsumerStatusRequest, NotifyConsumerIdsChangedRequest, ResetOffsetRequest,
};
use crate::protocol::version;

impl Core {
    /// Takes a request of a broker. Runs on the event loop; what blocks is done elsewhere.
    pub(crate) fn serve(self: &Arc<Self>, request: PushedRequest) {
        let outcome = match request.command.request_code() {
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => self.members_changed(&request.command),
            RequestCode::RESET_CONSUMER_CLIENT_OFFSET => self.reset_offsets(&request.command),
            RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => self.tell_status(&request),
            RequestCode::GET_CONSUMER_RUNNING_INFO => self.tell_running_info(&request),
            RequestCode::CONSUME_MESSAGE_DIRECTLY => return self.consume_directly(request),
            code => {
                tracing::debug!(%code, "a request that consumers do not serve");
                let remark = format!("this client does not serve {code}");
                answer(
                    &request,
                    ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
                    Some(remark),
                );
                Ok(())
            }
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "a broker's request was not served");
            answer(
                &request,
                ResponseCode::SYSTEM_ERROR,
                Some(error.to_string()),
            );
        }
    }

    fn members_changed(&self, command: &Command) -> Result<()> {
        let header: NotifyConsumerIdsChangedRequest = command.header()?;
        if header.consumer_group == self.options.group {
            self.rebalance_soon(Duration::ZERO);
        }
        Ok(())
    }

    /// An operator sets queues of the group to other places.
    fn reset_offsets(self: &Arc<Self>, command: &Command) -> Result<()> {
        let header: ResetOffsetRequest = command.header()?;
        let reset = ResetOffset::decode(&command.body)
            .map_err(|error| Error::new(ErrorKind::Corrupt, "reset offsets", error.to_string()))?;
        if header.group != self.options.group {
            return Ok(());
        }
        for queue in self.assigned() {
            let offset = reset
                .offsets
                .iter()
                .find(|(reset, _)| *reset == queue.queue);
            if let Some((_, offset)) = offset {
                tracing::info!(queue = ?queue.queue, offset, "offset reset by a broker");
                self.seek(&queue, *offset);
                *queue.committed.lock() = None;
                self.commit(&queue);
            }
        }
        Ok(())
    }

    fn tell_status(&self, request: &PushedRequest) -> Result<()> {
        let header: GetConsumerStatusRequest = request.command.header()?;
        let queues = self.assigned().into_iter();
        let queues = queues.filter(|queue| queue.queue.topic == header.topic);
        let status = ConsumerStatus {
            queues: queues
                .map(|queue| (queue.queue.clone(), queue.state.lock().position()))
                .collect(),
            ..ConsumerStatus::default()
        };
        let reply = Command::response_to(&request.command, ResponseCode::SUCCESS, None);
        request.answer(reply.with_body(status.encode()));
        Ok(())
    }

    fn tell_running_info(&self, request: &PushedRequest) -> Result<()> {
        let now = self.instance.runtime.now();
        let info_of = |queue: &Arc<Assigned>| {
            let state = queue.state.lock();
            let (messages, bytes) = state.held();
            let info = QueueInfo {
                cached_msg_count: messages,
                cached_msg_size_mib: bytes >> 20,
                commit_offset: state.position(),
                dropped: queue.is_dropped(),
                locked: self.is_locking() && queue.is_locked(now),
            };
            (queue.queue.clone(), info)
        };
        let consume_type = match self.mode {
            Mode::Poll => "CONSUME_ACTIVELY",
            _ => "CONSUME_PASSIVELY",
        };
        let facts = [
            ("PROP_NAMESERVER_ADDR", self.instance.nameservers.join(";")),
            ("PROP_CONSUME_TYPE", consume_type.to_owned()),
            ("PROP_CONSUMEORDERLY", self.is_orderly().to_string()),
            (
                "PROP_THREADPOOL_CORE_SIZE",
                self.options.consume_threads.to_string(),
            ),
            ("PROP_CONSUMER_START_TIMESTAMP", self.started_ms.to_string()),
            (
                "PROP_CLIENT_VERSION",
                version::describe(version::CURRENT).into_owned(),
            ),
        ];
        let pops = self.pops.lock().clone().into_iter().map(|(queue, pops)| {
            let info = PopQueueInfo {
                wait_ack_count: pops.waiting(),
                dropped: pops.is_dropped(),
                last_pop_timestamp: pops.last_pop_ms(),
            };
            (queue, info)
        });
        let info = ConsumerRunningInfo {
            queues: self.assigned().iter().map(info_of).collect(),
            pops: pops.collect(),
            properties: facts.map(|(name, value)| (name.to_owned(), value)).into(),
            subscriptions: self.subscriptions(),
        };
        let reply = Command::response_to(&request.command, ResponseCode::SUCCESS, None);
        request.answer(reply.with_body(info.encode()));
        Ok(())
    }

    /// An operator has the listener consume one message.
    fn consume_directly(self: &Arc<Self>, request: PushedRequest) {
        let core = Arc::clone(self);
        self.consume.run(move || core.consume_one(request));
    }

    fn consume_one(self: Arc<Self>, request: PushedRequest) {
        let message = match self.sent_directly(&request.command) {
            Ok(message) => message,
            Err(error) => {
                let remark = Some(error.to_string());
                return answer(&request, ResponseCode::SYSTEM_ERROR, remark);
            }
        };
        let began = self.instance.runtime.now();
        let core = Arc::downgrade(&self);
        let tell = move |status: Option<ConsumeStatus>| {
            if let Some(core) = core.upgrade() {
                let took = core.instance.runtime.now().saturating_sub(began);
                let result = core.consumed_directly(status, took);
                let reply = Command::response_to(&request.command, ResponseCode::SUCCESS, None);
                request.answer(reply.with_body(result.encode()));
            }
        };
        match &self.mode {
            Mode::Concurrent(Listener::Messages(listen))
            | Mode::Orderly(Listener::Messages(listen)) => {
                tell(caught(|| listen(&[message])));
            }
            _ => {
                let tell = move |status| tell(Some(status));
                self.hand_out(vec![Delivery::sent_directly(message, tell)]);
            }
        }
    }

    /// The message that an operator would have consumed.
    fn sent_directly(&self, command: &Command) -> Result<ReceivedMessage> {
        const OP: &str = "consume directly";
        if matches!(self.mode, Mode::Poll) {
            let context = "the consumer has no listener";
            return Err(Error::new(ErrorKind::Invalid, OP, context));
        }
        let max = self.options.max_message_bytes;
        let body = command.body.clone();
        let mut messages = ReceivedMessages::new(body, CheckLevel::Bounds, max);
        let message = messages
            .next()
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, OP, "the message is missing"))??;
        let mut messages = [message];
        self.restore_topics(&mut messages);
        let [message] = messages;
        Ok(message)
    }

    /// `status` is none when the listener panicked.
    fn consumed_directly(
        &self,
        status: Option<ConsumeStatus>,
        took: Duration,
    ) -> ConsumeDirectlyResult {
        let (result, remark) = match status {
            Some(ConsumeStatus::Success) => ("CR_SUCCESS", None),
            Some(_) => ("CR_LATER", None),
            None => ("CR_THROW_EXCEPTION", Some("the listener panicked")),
        };
        ConsumeDirectlyResult {
            auto_commit: true,
            consume_result: result.to_owned(),
            order: self.is_orderly(),
            remark: remark.map(str::to_owned),
            spent_time_mills: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Stops or goes on giving messages to the listener.
    pub(crate) fn set_suspended(self: &Arc<Self>, suspended: bool) {
        self.suspended.store(suspended, Ordering::SeqCst);
        if !suspended && self.handles().is_some() {
            for queue in self.assigned() {
                self.dispatch(&queue);
            }
        }
    }
}

fn answer(request: &PushedRequest, code: ResponseCode, remark: Option<String>) {
    if !request.command.is_oneway() {
        request.answer(Command::response_to(&request.command, code, remark));
    }
}
