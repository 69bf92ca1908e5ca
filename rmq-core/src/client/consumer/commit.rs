//! Committing offsets, and the end of a consumer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::core::{Assigned, Core};
use crate::base::{Error, ErrorKind, Result};
use crate::client::wait::Pending;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::request::offset::UpdateConsumerOffsetRequest;

impl Core {
    fn commit_request(&self, queue: &Assigned, offset: i64) -> Command {
        let header = UpdateConsumerOffsetRequest {
            consumer_group: self.options.group.clone(),
            topic: queue.queue.topic.clone(),
            queue_id: Some(queue.queue.queue_id),
            commit_offset: Some(offset),
        };
        Command::request(RequestCode::UPDATE_CONSUMER_OFFSET, &header)
    }

    /// The position of a queue, if it was not committed yet; it counts as committed now.
    fn uncommitted(queue: &Assigned) -> Option<i64> {
        let position = queue.state.lock().position();
        let mut committed = queue.committed.lock();
        if *committed == Some(position) {
            return None;
        }
        *committed = Some(position);
        Some(position)
    }

    /// Commits the position of a queue without waiting for an answer.
    pub(crate) fn commit(&self, queue: &Assigned) {
        let Some(position) = Self::uncommitted(queue) else {
            return;
        };
        if self.options.is_broadcast() {
            self.local_offsets.set(&queue.queue, position);
            return;
        }
        let request = self.commit_request(queue, position);
        let sent = self
            .instance
            .broker(&queue.queue.broker_name, 0)
            .and_then(|(address, _)| self.instance.oneway(&address, request));
        if let Err(error) = sent {
            tracing::debug!(%error, queue = ?queue.queue, "an offset was not committed");
            *queue.committed.lock() = None;
        }
    }

    /// Commits what has changed, unless the program does that.
    pub(crate) fn commit_changed(&self) {
        for queue in self.assigned() {
            self.commit(&queue);
        }
        self.local_offsets.save();
    }

    /// Commits every position and waits for the brokers. The first failure is returned.
    pub(crate) fn commit_now(&self, timeout: Duration) -> Result<()> {
        let (pending, failed) = (Arc::new(Pending::default()), super::Failed::default());
        for queue in self.assigned() {
            let Some(position) = Self::uncommitted(&queue) else {
                continue;
            };
            if self.options.is_broadcast() {
                self.local_offsets.set(&queue.queue, position);
                continue;
            }
            let request = self.commit_request(&queue, position);
            let address = match self.instance.broker(&queue.queue.broker_name, 0) {
                Ok((address, _)) => address,
                Err(error) => {
                    *queue.committed.lock() = None;
                    failed.put(error);
                    continue;
                }
            };
            pending.enter(usize::MAX);
            let (answered, told) = (Arc::clone(&pending), failed.clone());
            self.instance
                .call_async(&address, request, timeout, move |answer| {
                    if let Err(error) = answer.and_then(super::rebalance::successful) {
                        *queue.committed.lock() = None;
                        told.put(error);
                    }
                    answered.leave();
                });
        }
        self.local_offsets.save();
        if !pending.wait_none(timeout) {
            let context = "brokers did not take all offsets in time";
            failed.put(Error::new(ErrorKind::Timeout, "commit offsets", context));
        }
        failed.into_result()
    }

    /// See `PushConsumer::close`.
    pub(crate) fn close(&self, deadline: Duration) -> Result<()> {
        let commit = self.commits_itself();
        let runtime = &self.instance.runtime;
        runtime.process.check("close consumer")?;
        let until = runtime.now().saturating_add(deadline);
        let left = || until.saturating_sub(runtime.now());
        if !self.set_closed() {
            return Ok(());
        }
        self.arrived();
        self.end_handles();
        let inside = self.consume.is_current() || self.instance.on_runtime_thread();
        // Calls that run hand out the last handles; what is answered may have to be sent back.
        let quiet = inside || self.running.wait_none(deadline);
        let answered = inside || self.handed.wait_none(left());
        let quiet = quiet && (inside || self.running.wait_none(left()));
        let committed = match commit && !inside {
            true => self.commit_now(left().max(Duration::from_millis(100))),
            false => Ok(()),
        };
        if inside && commit {
            self.commit_changed();
        }
        self.stop_pops(|_| true);
        let queues = std::mem::take(&mut *self.queues.lock());
        for queue in queues.values() {
            queue.dropped.store(true, Ordering::SeqCst);
        }
        if self.is_locking() {
            let queues: Vec<_> = queues.into_keys().collect();
            self.unlock(&queues);
        }
        if let Some(tracer) = &self.tracer {
            tracer.close(if inside { Duration::ZERO } else { left() });
        }
        self.instance.close(left().max(Duration::from_millis(100)));
        if quiet {
            self.consume.stop();
        } else {
            let context = "the listener still runs";
            return Err(Error::new(ErrorKind::Timeout, "close consumer", context));
        }
        if !answered {
            let context = "not every delivery was answered";
            return Err(Error::new(ErrorKind::Timeout, "close consumer", context));
        }
        committed
    }
}
