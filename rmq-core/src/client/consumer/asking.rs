//! What pulls and pops have in common: how brokers are asked for messages, and when again.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use crate::base::{ErrorKind, Result};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;

/// After this a queue of which enough is held is looked at again.
pub(super) const FULL: Duration = Duration::from_millis(50);
/// After this a request that failed is repeated.
pub(super) const FAILED: Duration = Duration::from_millis(1_000);
/// After this a broker that has too much to do is asked again.
const BUSY: Duration = Duration::from_millis(20);
/// After this a broker that did not know the subscription, and was told of it, is asked again.
const TOLD: Duration = Duration::from_millis(200);
/// How much longer than a broker may hold a request its answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    /// Does something later on a work thread, unless the consumer is gone by then.
    pub(super) fn later(
        self: &Arc<Self>,
        delay: Duration,
        act: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) {
        let core = Arc::downgrade(self);
        self.instance.runtime.work.run_after(delay, move || {
            if let Some(core) = core.upgrade() {
                act(&core);
            }
        });
    }

    /// Asks a broker for messages, which may hold the request until it has some.
    pub(super) fn ask(
        self: &Arc<Self>,
        address: &str,
        request: Command,
        answered: impl FnOnce(&Arc<Self>, Result<Command>) + Send + 'static,
    ) {
        let timeout = Duration::from_millis(self.options.pull_hold_ms) + PATIENCE;
        let core = Arc::downgrade(self);
        self.instance
            .call_async(address, request, timeout, move |answer| {
                let Some(core) = core.upgrade() else { return };
                // Messages are read, and perhaps inflated, off the event loop.
                let instance = Arc::clone(&core.instance);
                let read = move || answered(&core, answer);
                instance.runtime.work.run(read);
            });
    }

    /// How long to wait after an answer that says nothing of messages before the queue's broker is
    /// asked again.
    pub(super) fn after_refusal(&self, queue: &MessageQueue, answer: Result<Command>) -> Duration {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, ?queue, "a request for messages failed");
                // A broker that held it until it died is gone; another may be there by now.
                return match error.kind() {
                    ErrorKind::Timeout => Duration::ZERO,
                    _ => FAILED,
                };
            }
        };
        match answer.response_code() {
            ResponseCode::SUBSCRIPTION_NOT_EXIST | ResponseCode::SUBSCRIPTION_NOT_LATEST => {
                self.instance.greet();
                TOLD
            }
            ResponseCode::FLOW_CONTROL => BUSY,
            code => {
                let remark = answer.remark.unwrap_or_default();
                tracing::warn!(%code, remark, ?queue, "a request for messages was refused");
                FAILED
            }
        }
    }
}
