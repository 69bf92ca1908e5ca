//! Committing offsets, and the end of a consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::core::{Assigned, Core};
use crate::base::{Error, ErrorKind, Result};
use crate::client::wait::Slot;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::request::offset::UpdateConsumerOffsetRequest;

type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// Offsets on their way.
struct Commits {
    left: AtomicUsize,
    failed: super::Failed,
    done: Mutex<Option<Done>>,
}

impl Commits {
    fn answered(&self, queue: &Assigned, outcome: Result<()>) {
        if let Err(error) = outcome {
            *queue.committed.lock() = None;
            self.failed.put(error);
        }
        self.one_less();
    }

    fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let done = self.done.lock().take();
            if let Some(done) = done {
                done(self.failed.clone().into_result());
            }
        }
    }
}

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
        self.commit_and_wait(self.positions(), timeout)
    }

    /// The positions that were not committed yet; they count as committed now.
    fn positions(&self) -> Vec<(Arc<Assigned>, i64)> {
        let queues = self.assigned().into_iter();
        let positions = queues.filter_map(|queue| Some((Self::uncommitted(&queue)?, queue)));
        positions
            .map(|(position, queue)| (queue, position))
            .collect()
    }

    /// Commits these offsets and waits for the brokers.
    pub(crate) fn commit_and_wait(
        &self,
        offsets: Vec<(Arc<Assigned>, i64)>,
        timeout: Duration,
    ) -> Result<()> {
        let slot = Slot::new();
        let filled = slot.clone();
        self.commit_each(offsets, timeout, move |outcome| filled.put(outcome));
        slot.take(timeout).unwrap_or_else(|| {
            let context = "brokers did not take all offsets in time";
            Err(Error::new(ErrorKind::Timeout, "commit offsets", context))
        })
    }

    /// Commits every position. `done` runs on a thread for callbacks when the brokers have
    /// answered.
    pub(crate) fn commit_later(&self, done: impl FnOnce(Result<()>) + Send + 'static) {
        let runtime = Arc::clone(&self.instance.runtime);
        let timeout = self.instance.request_timeout();
        self.commit_each(self.positions(), timeout, move |outcome| {
            runtime.call_back(move || done(outcome));
        });
    }

    /// `done` may run on the event loop, and must not block.
    fn commit_each(
        &self,
        offsets: Vec<(Arc<Assigned>, i64)>,
        timeout: Duration,
        done: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        let all = Arc::new(Commits {
            left: AtomicUsize::new(offsets.len() + 1),
            failed: super::Failed::default(),
            done: Mutex::new(Some(Box::new(done))),
        });
        for (queue, offset) in offsets {
            if self.options.is_broadcast() {
                self.local_offsets.set(&queue.queue, offset);
                all.answered(&queue, Ok(()));
                continue;
            }
            let request = self.commit_request(&queue, offset);
            match self.instance.broker(&queue.queue.broker_name, 0) {
                Ok((address, _)) => {
                    let all = Arc::clone(&all);
                    self.instance
                        .call_async(&address, request, timeout, move |answer| {
                            let taken = answer.and_then(super::rebalance::successful);
                            all.answered(&queue, taken.map(drop));
                        });
                }
                Err(error) => all.answered(&queue, Err(error)),
            }
        }
        self.local_offsets.save();
        all.one_less();
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
