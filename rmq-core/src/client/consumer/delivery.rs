//! Messages handed out as handles, each of which is answered for by itself.

use std::fmt;
use std::os::fd::RawFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::answer::Answer;
use super::core::{Assigned, ConsumeStatus, Core, Listener, Mode};
use super::pop::Verdict;
use super::popping::Claim;
use crate::base::Result;
use crate::base::thread::ProcessMark;
use crate::client::completions::CompletionQueue;
use crate::client::hooks::ConsumeWatch;
use crate::protocol::message::user::ReceivedMessage;

/// A message that somebody works on. It is answered for once, from any thread, by `ack` or `later`;
/// dropping it without an answer is `later`. An answer is without effect when it comes too late
/// (see [`is_late`](Self::is_late)), the consumer was closed, or another member has the queue by
/// now: then the message comes again. Never blocks.
pub struct Delivery {
    message: ReceivedMessage,
    origin: Origin,
    answer: Answer,
    /// Told of the answer.
    watch: Mutex<Option<ConsumeWatch>>,
    process: ProcessMark,
}

enum Origin {
    Queue {
        core: Weak<Core>,
        queue: Arc<Assigned>,
        /// In order: those that were handed out with it.
        batch: Option<Arc<Batch>>,
    },
    Popped {
        core: Weak<Core>,
        claim: Arc<Claim>,
    },
    /// An operator wants to know.
    Directly(Mutex<Option<Tell>>),
}

type Tell = Box<dyn FnOnce(ConsumeStatus) + Send>;

/// Messages of a queue that is consumed in order, which goes on when all are answered.
struct Batch {
    unanswered: AtomicUsize,
    again: Mutex<Vec<ReceivedMessage>>,
}

impl Delivery {
    pub(crate) fn sent_directly(
        message: ReceivedMessage,
        tell: impl FnOnce(ConsumeStatus) + Send + 'static,
    ) -> Self {
        Self::new(message, Origin::Directly(Mutex::new(Some(Box::new(tell)))))
    }

    fn new(message: ReceivedMessage, origin: Origin) -> Self {
        Self {
            message,
            origin,
            answer: Answer::default(),
            watch: Mutex::default(),
            process: ProcessMark::current(),
        }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &ReceivedMessage {
        &self.message
    }

    /// The name of the broker that it came from; none when an operator sent it.
    #[must_use]
    pub fn broker_name(&self) -> Option<&str> {
        match &self.origin {
            Origin::Queue { queue, .. } => Some(&queue.queue.broker_name),
            Origin::Popped { claim, .. } => Some(&claim.queue.queue.broker_name),
            Origin::Directly(_) => None,
        }
    }

    /// Whether it can no longer be answered for, because that took longer than
    /// `consume_timeout_ms` or, of a popped message, `pop_invisible_ms`. It comes again then.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.answer.is_late()
    }

    /// The message is done with. False when it was answered for before, or it is too late.
    pub fn ack(&self) -> bool {
        self.answer(ConsumeStatus::Success)
    }

    /// The message is to come again after a delay level of the broker; at 0 the later the more
    /// often it came before; below 0 it is given up and becomes a dead letter. In order: it is next
    /// again after `suspend_queue_ms`, whatever the level. False as for `ack`.
    pub fn later(&self, delay_level: i32) -> bool {
        self.answer(match delay_level {
            0 => ConsumeStatus::Later,
            level => ConsumeStatus::LaterAtLevel(level),
        })
    }

    /// Somebody works on it from now on.
    fn begin(&self) {
        if let Origin::Queue { core, queue, .. } = &self.origin
            && let Some(core) = core.upgrade()
        {
            let now = core.instance.runtime.now();
            queue.state.lock().begin(self.message.queue_offset, now);
        }
    }

    fn answer(&self, status: ConsumeStatus) -> bool {
        if !self.process.is_current() {
            return false;
        }
        self.look_at_time();
        let given = self.answer.give();
        // Hooks are told what the program says, also when that comes too late.
        let watch = (given || self.is_late()).then(|| self.watch.lock().take());
        if let Some(watch) = watch.flatten() {
            watch.end(status);
        }
        if !given {
            return false;
        }
        if let Origin::Directly(tell) = &self.origin {
            let tell = tell.lock().take();
            if let Some(tell) = tell {
                tell(status);
            }
        }
        self.end(Some(status));
        true
    }

    /// A popped message is this consumer's for a time only.
    fn look_at_time(&self) {
        if let Origin::Popped { core, claim } = &self.origin
            && let Some(core) = core.upgrade()
            && claim.is_over(core.instance.runtime.now())
            && self.answer.miss()
        {
            self.end(None);
        }
    }

    /// Nobody answers for it: as if it had not been handed out.
    fn abandon(self) {
        if self.process.is_current() && self.answer.give() {
            self.end(None);
        }
    }

    fn end(&self, status: Option<ConsumeStatus>) {
        match &self.origin {
            Origin::Queue { core, queue, batch } => {
                if let Some(core) = core.upgrade() {
                    core.answered(queue, &self.message, batch.as_deref(), status);
                }
            }
            Origin::Popped { core, claim } => {
                if let Some(core) = core.upgrade() {
                    core.popped_answered(claim, &self.message, status);
                }
            }
            Origin::Directly(_) => {}
        }
    }

    fn is_of(&self, queue: &Arc<Assigned>) -> bool {
        matches!(&self.origin, Origin::Queue { queue: own, .. } if Arc::ptr_eq(own, queue))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.answer(ConsumeStatus::Later);
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// The messages of a push consumer that a program takes when it likes. Any thread may use it;
/// clones are the same. What waits is bounded by the limits of the consumer for each queue.
#[derive(Clone, Debug)]
pub struct Deliveries {
    queue: CompletionQueue<Delivery>,
}

impl Deliveries {
    pub(crate) fn new(queue: CompletionQueue<Delivery>) -> Self {
        Self { queue }
    }

    /// The next messages, at most `max`; waits for the first at most for `timeout`, and answers
    /// none when none came or `wake` was called. `Closed`: the consumer is closed, also while it
    /// waits. `Forked`: the consumer is that of the parent of this process.
    pub fn poll(&self, max: usize, timeout: Duration) -> Result<Vec<Delivery>> {
        let deliveries = self.queue.poll(max, timeout)?;
        deliveries.iter().for_each(Delivery::begin);
        Ok(deliveries)
    }

    /// A descriptor that is readable while `poll` would not wait: messages are there, `wake` was
    /// called, or the consumer was closed. To be watched only, never read or closed; it lives as
    /// long as the last clone.
    pub fn fd(&self) -> Result<RawFd> {
        self.queue.fd()
    }

    /// Has one `poll` return: one that waits, or else the next one.
    pub fn wake(&self) {
        self.queue.wake();
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl Core {
    /// Makes handles of messages that were taken out of a queue, and gives them away.
    pub(crate) fn hand_over(
        self: &Arc<Self>,
        queue: &Arc<Assigned>,
        messages: Vec<ReceivedMessage>,
    ) {
        let batch = self.is_orderly().then(|| {
            Arc::new(Batch {
                unanswered: AtomicUsize::new(messages.len()),
                again: Mutex::default(),
            })
        });
        let deliveries = messages.into_iter().map(|message| {
            self.handed.enter(usize::MAX);
            let origin = Origin::Queue {
                core: Arc::downgrade(self),
                queue: Arc::clone(queue),
                batch: batch.clone(),
            };
            self.handle(message, origin)
        });
        let deliveries: Vec<_> = deliveries.collect();
        {
            let mut state = queue.state.lock();
            for delivery in &deliveries {
                state.is_handed(delivery.message.queue_offset, delivery.answer.clone());
            }
        }
        self.hand_out(deliveries);
    }

    /// Makes handles of popped messages, and gives them away.
    pub(crate) fn hand_over_popped(self: &Arc<Self>, popped: Vec<(Claim, ReceivedMessage)>) {
        let deliveries = popped.into_iter().map(|(claim, message)| {
            self.handed.enter(usize::MAX);
            let origin = Origin::Popped {
                core: Arc::downgrade(self),
                claim: Arc::new(claim),
            };
            self.handle(message, origin)
        });
        self.hand_out(deliveries.collect());
    }

    fn handle(&self, message: ReceivedMessage, origin: Origin) -> Delivery {
        let watch = self.watch(std::slice::from_ref(&message));
        let delivery = Delivery::new(message, origin);
        *delivery.watch.lock() = Some(watch);
        delivery
    }

    /// The handle of a popped message was answered for; without a status it never was handed out,
    /// and comes again when its time is over.
    fn popped_answered(
        self: &Arc<Self>,
        claim: &Arc<Claim>,
        message: &ReceivedMessage,
        status: Option<ConsumeStatus>,
    ) {
        match status {
            Some(status) if self.verdict(message, status) == Verdict::GiveUp => {
                let (claim, message) = (Arc::clone(claim), message.clone());
                self.run_counted(move |core| core.settle_popped(&claim, &message, status));
            }
            Some(status) => self.settle_popped(claim, message, status),
            None => {}
        }
        claim.release();
        self.handed.leave();
    }

    pub(crate) fn hand_out(&self, deliveries: Vec<Delivery>) {
        match &self.mode {
            Mode::Concurrent(Listener::Handles(listen))
            | Mode::Orderly(Listener::Handles(listen)) => {
                // What it did not take elsewhere is dropped, and so comes again.
                if panic::catch_unwind(AssertUnwindSafe(|| listen(deliveries))).is_err() {
                    tracing::error!("the listener of a consumer panicked");
                }
            }
            _ => {
                let refused = match self.handles() {
                    Some(queue) => queue.push_all(deliveries).err(),
                    None => Some(deliveries),
                };
                let refused = refused.unwrap_or_default();
                refused.into_iter().for_each(Delivery::abandon);
            }
        }
    }

    /// A handle was answered for; without a status it never was handed out.
    fn answered(
        self: &Arc<Self>,
        queue: &Arc<Assigned>,
        message: &ReceivedMessage,
        batch: Option<&Batch>,
        status: Option<ConsumeStatus>,
    ) {
        let again = match status {
            _ if queue.is_dropped() => false,
            None => false,
            Some(ConsumeStatus::Success) => {
                queue.state.lock().done([message.queue_offset]);
                false
            }
            Some(_) => true,
        };
        match (batch, status) {
            (Some(batch), _) => self.answered_in_order(queue, again.then_some(message), batch),
            (None, Some(status)) if again => {
                // The broker is asked, which blocks.
                let (queue, messages) = (Arc::clone(queue), vec![message.clone()]);
                self.run_counted(move |core| core.settle(&queue, messages, status));
            }
            _ => {}
        }
        self.handed.leave();
    }

    fn answered_in_order(
        self: &Arc<Self>,
        queue: &Arc<Assigned>,
        again: Option<&ReceivedMessage>,
        batch: &Batch,
    ) {
        if let Some(message) = again {
            batch.again.lock().push(message.clone());
        }
        if batch.unanswered.fetch_sub(1, Ordering::SeqCst) == 1 {
            let again = std::mem::take(&mut *batch.again.lock());
            let queue = Arc::clone(queue);
            self.run_counted(move |core| core.settle_in_order(queue, again));
        }
    }

    /// Runs a job on the threads of the listener; `close` waits for it.
    fn run_counted(self: &Arc<Self>, job: impl FnOnce(&Arc<Self>) + Send + 'static) {
        self.running.enter(usize::MAX);
        let counted = Counted(Arc::clone(self));
        self.consume.run(move || job(&counted.0));
    }

    /// Takes back the handles of a queue that the program did not take.
    pub(crate) fn forget_handles(&self, queue: &Arc<Assigned>) {
        if let Some(handles) = self.handles() {
            let unwanted = handles.remove_if(|delivery| delivery.is_of(queue));
            unwanted.into_iter().for_each(Delivery::abandon);
        }
    }

    /// Takes back all handles that the program did not take, and gives out no more.
    pub(crate) fn end_handles(&self) {
        if let Some(handles) = self.handles() {
            handles.close().into_iter().for_each(Delivery::abandon);
        }
    }
}

/// Counts a job as over, also when it never ran.
struct Counted(Arc<Core>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.running.leave();
    }
}
