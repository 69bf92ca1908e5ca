//! Transactions: a half message, the program's own work, and how it ended.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Weak};

use super::core::Core;
use super::launch::Leaving;
use super::{Producer, SendOptions, SendResult};
use crate::base::{Error, ErrorKind, Result};
use crate::client::raw::SendStatus;
use crate::client::trace::{DEFAULT_REGION, Event, Traced};
use crate::net::{PushedRequest, endpoint};
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::message::id::OffsetMsgId;
use crate::protocol::message::properties::names;
use crate::protocol::message::record::CheckLevel;
use crate::protocol::message::user::{Message, ReceivedMessage, ReceivedMessages};
use crate::protocol::request::push::CheckTransactionStateRequest;
use crate::protocol::request::transaction::{
    EndTransactionRequest, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK, TRANSACTION_UNKNOWN,
};

const OP: &str = "transaction";

/// How a transaction ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionState {
    /// The message is delivered.
    Commit,
    /// The message is forgotten.
    Rollback,
    /// Not known yet: the broker asks later.
    #[default]
    Unknown,
}

impl TransactionState {
    fn code(self) -> i32 {
        match self {
            Self::Commit => TRANSACTION_COMMIT,
            Self::Rollback => TRANSACTION_ROLLBACK,
            Self::Unknown => TRANSACTION_UNKNOWN,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Commit => "COMMIT_MESSAGE",
            Self::Rollback => "ROLLBACK_MESSAGE",
            Self::Unknown => "UNKNOW",
        }
    }
}

/// Is given the questions of brokers how transactions ended.
pub(crate) type Checker = Box<dyn Fn(TransactionCheck) + Send + Sync>;

/// A broker's question how the transaction of a half message ended. It may be answered from any
/// thread; dropped without an answer, the broker asks again later.
pub struct TransactionCheck {
    message: ReceivedMessage,
    header: EndTransactionRequest,
    /// Where the answer goes.
    address: Arc<str>,
    core: Weak<Core>,
}

impl TransactionCheck {
    /// The half message.
    #[must_use]
    pub fn message(&self) -> &ReceivedMessage {
        &self.message
    }

    /// Tells the broker. Never blocks; what does not reach the broker is asked again.
    pub fn answer(mut self, state: TransactionState) {
        self.header.commit_or_rollback = state.code();
        let traced = Traced::of(&self.message.message, self.header.msg_id.clone());
        let answer = Command::request(RequestCode::END_TRANSACTION, &self.header);
        let Some(core) = self.core.upgrade() else {
            return;
        };
        core.trace_end(&self.header, traced, state, endpoint(&self.address));
        let answer = core.instance.marked(answer);
        if let Err(error) = core.instance.runtime.net.oneway(&self.address, answer) {
            tracing::warn!(%error, "the broker will ask again how a transaction ended");
        }
    }
}

impl fmt::Debug for TransactionCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionCheck")
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// Sends a half message, runs `execute`, and tells the broker what it answered. The message is
    /// delivered if that is `Commit`. If it is `Unknown`, panics, or never reaches the broker,
    /// the broker asks the checker of a producer of this group; see
    /// [`start_with_checker`](Self::start_with_checker).
    ///
    /// Errors are those of a send; `execute` did not run then. A half message that was stored, but
    /// less safely than asked for, is rolled back without running it.
    pub fn send_in_transaction(
        &self,
        message: Message,
        options: SendOptions,
        execute: impl FnOnce(&SendResult) -> TransactionState,
    ) -> Result<(SendResult, TransactionState)> {
        let topic = message.topic.clone();
        let sent = self.send_with(self.half(message), options)?;
        let state = match sent.status {
            SendStatus::Ok => guarded(|| execute(&sent)),
            _ => TransactionState::Rollback,
        };
        if let Err(error) = self.end_transaction(&topic, &sent, state) {
            tracing::warn!(%error, "the broker will ask how a transaction ended");
        }
        Ok((sent, state))
    }

    /// The half message of a transaction, for programs that send it themselves, do their work and
    /// then call [`end_transaction`](Self::end_transaction).
    #[must_use]
    pub fn half(&self, mut message: Message) -> Message {
        // Brokers deliver committed messages at once.
        message.properties.remove(names::DELAY);
        message
            .set_property(names::TRANSACTION_PREPARED, "true")
            .set_property(names::PRODUCER_GROUP, self.core.options.group.clone());
        message
    }

    /// Tells the broker how the transaction of a half message that was sent has ended. Does not
    /// wait for an answer; after an error, and if it is lost, the broker asks the checker. What
    /// was stored less safely than asked for (`sent.status` is not `Ok`) is to be rolled back.
    pub fn end_transaction(
        &self,
        topic: &str,
        sent: &SendResult,
        state: TransactionState,
    ) -> Result<()> {
        self.core.check()?;
        self.core.end_transaction(topic, sent, state)
    }
}

pub(super) fn guarded(decide: impl FnOnce() -> TransactionState) -> TransactionState {
    panic::catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| {
        tracing::error!("a transaction's callback panicked");
        TransactionState::Unknown
    })
}

impl Core {
    fn trace_end(
        &self,
        header: &EndTransactionRequest,
        traced: Traced,
        state: TransactionState,
        broker: &str,
    ) {
        let Some(tracer) = self.tracer.as_ref().filter(|t| t.wants(&traced.topic)) else {
            return;
        };
        let event = Event::TransactionEnded {
            broker: broker.to_owned(),
            transaction_id: header.transaction_id.clone().unwrap_or_default(),
            state: state.name(),
            from_check: header.from_transaction_check,
        };
        tracer.note(DEFAULT_REGION, traced, event);
    }

    fn end_transaction(
        &self,
        topic: &str,
        sent: &SendResult,
        state: TransactionState,
    ) -> Result<()> {
        let place = OffsetMsgId::parse(&sent.offset_msg_id)
            .map_err(|error| Error::new(ErrorKind::Corrupt, OP, error.to_string()))?;
        let broker_name = &sent.queue.broker_name;
        let transaction_id = sent.transaction_id.as_ref().unwrap_or(&sent.msg_id);
        let header = EndTransactionRequest {
            topic: Some(self.instance.namespace.wrap(topic).into_owned()),
            producer_group: self.options.group.clone(),
            tran_state_table_offset: sent.queue_offset,
            commit_log_offset: place.physical_offset,
            commit_or_rollback: state.code(),
            from_transaction_check: false,
            msg_id: sent.msg_id.clone(),
            transaction_id: Some(transaction_id.clone()),
            broker_name: Some(broker_name.clone()),
        };
        let request = Command::request(RequestCode::END_TRANSACTION, &header);
        let master = self.instance.master(broker_name)?;
        let traced = Traced {
            topic: topic.to_owned(),
            msg_id: sent.msg_id.clone(),
            ..Traced::default()
        };
        self.trace_end(&header, traced, state, &master);
        self.instance.oneway(&master, request)
    }

    /// A broker asks how a transaction ended. The checker runs on a thread of its own.
    pub(crate) fn check_transaction(self: &Arc<Self>, request: PushedRequest) {
        if self.checker.is_none() {
            tracing::debug!("a transaction cannot be checked: there is no checker");
            return;
        }
        // What is refused here is asked again.
        if !self.pending.enter(self.options.max_in_flight) {
            return;
        }
        let core = Arc::clone(self);
        self.instance.runtime.call_back(move || {
            let leaving = Leaving(core);
            if let Err(error) = leaving.0.ask_checker(&request) {
                tracing::warn!(%error, "a transaction was not checked");
            }
        });
    }

    fn ask_checker(&self, request: &PushedRequest) -> Result<()> {
        let asked: CheckTransactionStateRequest = request.command.header()?;
        let body = request.command.body.clone();
        let max = self.options.max_message_bytes.saturating_mul(2);
        let mut messages = ReceivedMessages::new(body, CheckLevel::Bounds, max);
        let mut message = messages
            .next()
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, OP, "the half message is missing"))??;
        let Some(checker) = &self.checker else {
            return Ok(());
        };
        let header = EndTransactionRequest {
            topic: Some(message.message.topic.clone()),
            producer_group: self.options.group.clone(),
            tran_state_table_offset: asked.tran_state_table_offset,
            commit_log_offset: asked.commit_log_offset,
            commit_or_rollback: TRANSACTION_UNKNOWN,
            from_transaction_check: true,
            msg_id: message.msg_id(),
            transaction_id: asked.transaction_id,
            broker_name: asked.broker_name,
        };
        self.instance.unwrap_topic(&mut message.message);
        let check = TransactionCheck {
            message,
            header,
            address: Arc::clone(&request.addr),
            core: self.own(),
        };
        checker(check);
        Ok(())
    }
}
