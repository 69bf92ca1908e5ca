//! Transactions: half messages that were sent, and questions how they ended.

use std::sync::Arc;

use napi_derive::napi;
use rmq_core::embed::{Producer, SendResult, TransactionCheck, TransactionState};

use crate::failure::Failure;
use crate::message::{NativeReceived, NativeSendResult};

/// 0 commit, 1 roll back, anything else: not known.
fn state(number: u32) -> TransactionState {
    match number {
        0 => TransactionState::Commit,
        1 => TransactionState::Rollback,
        _ => TransactionState::Unknown,
    }
}

/// A half message that was sent.
#[napi]
pub struct NativeHalf {
    producer: Arc<Producer>,
    topic: String,
    sent: SendResult,
}

impl NativeHalf {
    pub(crate) fn new(producer: Arc<Producer>, topic: String, sent: SendResult) -> Self {
        Self {
            producer,
            topic,
            sent,
        }
    }
}

#[napi]
impl NativeHalf {
    /// How it was sent.
    #[napi(getter)]
    pub fn result(&self) -> NativeSendResult {
        self.sent.clone().into()
    }

    /// Tells the broker how the transaction ended: 0 commit, 1 roll back, 2 not known.
    #[napi]
    pub fn end(&self, outcome: u32) -> Option<Failure> {
        let told = self
            .producer
            .end_transaction(&self.topic, &self.sent, state(outcome));
        told.err().map(Failure::from)
    }
}

/// A question how a transaction ended.
#[napi]
pub struct NativeCheck {
    check: Option<TransactionCheck>,
}

impl NativeCheck {
    pub(crate) fn new(check: TransactionCheck) -> Self {
        Self { check: Some(check) }
    }
}

#[napi]
impl NativeCheck {
    /// The half message.
    #[napi(getter)]
    pub fn message(&self) -> Option<NativeReceived> {
        let check = self.check.as_ref()?;
        Some(NativeReceived::plain(check.message()))
    }

    /// Answers: 0 commit, 1 roll back, 2 not known. Only the first answer counts.
    #[napi]
    pub fn answer(&mut self, outcome: u32) {
        if let Some(check) = self.check.take() {
            check.answer(state(outcome));
        }
    }
}
