//! Sends messages.

mod core;
mod latency;
mod options;
mod prepare;
mod recall;
mod request;
mod retry;
mod select;
mod sending;
mod transaction;

use std::sync::{Arc, Weak};
use std::time::Duration;

use self::core::Core;
use self::prepare::Outgoing;
use self::sending::{Done, OP, REPLY, Sending};
use self::transaction::Checker;
use crate::base::{Error, ErrorKind, Result};
use crate::client::instance::{Instance, Member};
use crate::client::wait::Slot;
use crate::client::{names, raw};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::message::properties::names as property;
use crate::protocol::message::user::{Message, ReceivedMessage};

pub use options::{ProducerOptions, SendOptions, Target};
pub use request::reply_to;
pub use transaction::{TransactionCheck, TransactionState};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendResult {
    /// How safely it is stored.
    pub status: raw::SendStatus,
    /// Its unique id; of a batch, all of them joined by commas.
    pub msg_id: String,
    /// The id that says where it is stored; of a batch, all of them joined by commas.
    pub offset_msg_id: String,
    /// The queue it is in.
    pub queue: MessageQueue,
    /// Its offset there; of a batch, that of the first message.
    pub queue_offset: i64,
    /// The transaction's id, of a half message.
    pub transaction_id: Option<String>,
    /// With it a timed message can be recalled.
    pub recall_handle: Option<String>,
}

/// Sends messages to a cluster. Usable from any thread; all producers and consumers of a process
/// share one event loop and a few threads. Dropping it gives up what is under way.
///
/// Errors of every send: `Invalid` and `Limit` for a message that no broker would take, before
/// anything is sent; `NotFound` when no nameserver knows the topic and it cannot be made;
/// `Unreachable` and `Timeout` when no broker acknowledged it in time (it may be stored all the
/// same); `Remote` with the code of a broker that refused it; `Closed`; `Forked`.
#[derive(Debug)]
pub struct Producer {
    core: Arc<Core>,
}

impl Producer {
    /// Starts a producer. Nothing is asked of the network yet. `Invalid`: an option is not usable.
    pub fn start(options: ProducerOptions) -> Result<Self> {
        Self::begin(options, None)
    }

    /// Starts a producer whose group answers for its transactions: `checker` is called, on a thread
    /// of the runtime, when a broker asks how the transaction of a half message ended.
    pub fn start_with_checker(
        options: ProducerOptions,
        checker: impl Fn(&ReceivedMessage) -> TransactionState + Send + Sync + 'static,
    ) -> Result<Self> {
        let answering = move |check: TransactionCheck| {
            let state = transaction::guarded(|| checker(check.message()));
            check.answer(state);
        };
        Self::begin(options, Some(Box::new(answering)))
    }

    /// As [`start_with_checker`](Self::start_with_checker), for programs that answer later and
    /// from any thread: `checker` is given the question and must not wait.
    pub fn start_with_check_queue(
        options: ProducerOptions,
        checker: impl Fn(TransactionCheck) + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::begin(options, Some(Box::new(checker)))
    }

    fn begin(mut options: ProducerOptions, checker: Option<Checker>) -> Result<Self> {
        if options.new_topic_queue_nums < 1 {
            let context = "new_topic_queue_nums is less than 1";
            return Err(Error::new(ErrorKind::Invalid, "producer options", context));
        }
        let queue_nums = Some(options.new_topic_queue_nums);
        let instance = Arc::new(Instance::new(options.client.clone(), queue_nums)?);
        options.group = instance.namespace.wrap(&options.group).into_owned();
        names::check_group(&options.group)?;
        let core = Core::new(options, Arc::clone(&instance), checker);
        let member: Weak<dyn Member> = Arc::downgrade(&core) as Weak<dyn Member>;
        instance.start(member);
        Ok(Self { core })
    }

    /// The id that brokers know this producer by.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.core.instance.client_id
    }

    /// Sends a message and waits until it is acknowledged.
    pub fn send(&self, message: Message) -> Result<SendResult> {
        self.send_with(message, SendOptions::default())
    }

    /// As [`send`](Self::send), to a certain queue or within a certain time.
    pub fn send_with(&self, message: Message, options: SendOptions) -> Result<SendResult> {
        self.send_while(message, options, Duration::MAX, &mut || true)
    }

    /// As [`send_with`](Self::send_with), for callers that have to look up while they wait:
    /// `go_on` is asked every `every`, and when it answers false the send is given up with
    /// `Timeout`. The message may be stored all the same.
    pub fn send_while(
        &self,
        message: Message,
        options: SendOptions,
        every: Duration,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<SendResult> {
        self.core.check()?;
        let outgoing = self.ready(message, &options)?;
        self.wait(outgoing, options, every, go_on)
    }

    /// Sends several messages of one topic as one request: all are stored, or none.
    pub fn send_batch(&self, messages: Vec<Message>, options: SendOptions) -> Result<SendResult> {
        self.send_batch_while(messages, options, Duration::MAX, &mut || true)
    }

    /// [`send_batch`](Self::send_batch), waiting as [`send_while`](Self::send_while) does.
    pub fn send_batch_while(
        &self,
        messages: Vec<Message>,
        options: SendOptions,
        every: Duration,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<SendResult> {
        self.core.check()?;
        let outgoing = self.ready_batch(messages)?;
        self.wait(outgoing, options, every, go_on)
    }

    /// Sends a message without waiting. After `Ok`, `done` is called exactly once, from a thread
    /// of the runtime, also when the producer is closed meanwhile; it may call anything of the
    /// client. After an error it is never called: besides the errors of every send that are known
    /// at once this is `Busy`, when `max_in_flight` sends are under way. Never blocks.
    pub fn send_async(
        &self,
        message: Message,
        options: SendOptions,
        done: impl FnOnce(Result<SendResult>) + Send + 'static,
    ) -> Result<()> {
        self.core.check()?;
        let outgoing = self.ready(message, &options)?;
        self.launch(outgoing, options, Box::new(done))
    }

    /// [`send_batch`](Self::send_batch) without waiting, as [`send_async`](Self::send_async).
    pub fn send_batch_async(
        &self,
        messages: Vec<Message>,
        options: SendOptions,
        done: impl FnOnce(Result<SendResult>) + Send + 'static,
    ) -> Result<()> {
        self.core.check()?;
        let outgoing = self.ready_batch(messages)?;
        self.launch(outgoing, options, Box::new(done))
    }

    /// Sends a message that nobody acknowledges: it is lost without notice if anything goes wrong
    /// after it was accepted. Never blocks. Errors as for [`send_async`](Self::send_async).
    pub fn send_oneway(&self, message: Message, options: SendOptions) -> Result<()> {
        self.core.check()?;
        let outgoing = self.ready(message, &options)?;
        self.enter(self.core.options.max_in_flight)?;
        let core = Arc::clone(&self.core);
        let done: Done = Box::new(move |_| core.pending.leave());
        let sending = self.sending(outgoing, options, done);
        self.core.begun(&sending);
        sending.begin_oneway();
        Ok(())
    }

    /// Waits until nothing is under way, callbacks included. `Timeout`: something still is.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.core.instance.runtime.process.check("flush producer")?;
        if self.core.pending.wait_none(timeout) {
            return Ok(());
        }
        let context = "messages are still under way";
        Err(Error::new(ErrorKind::Timeout, "flush producer", context))
    }

    /// Closes: new sends fail at once; those under way may end within `deadline`, then they fail
    /// with `Closed`; brokers are told. When it returns, no callback runs or will run. May be
    /// called again and from several threads; from a callback of this client it does not wait.
    /// `Timeout`: a callback did not return.
    pub fn close(&self, deadline: Duration) -> Result<()> {
        self.core.close(deadline)
    }

    /// The queues that a topic's messages can be sent to, in the order that sharding keys choose
    /// from. Errors as for sends.
    pub fn queues(&self, topic: &str) -> Result<Vec<MessageQueue>> {
        self.core.check()?;
        names::check_send_topic(topic)?;
        let instance = &self.core.instance;
        let route = instance.route_now(&instance.namespace.wrap(topic))?;
        let queues = route.writable.iter();
        Ok(queues.map(|queue| instance.unwrap_queue(queue)).collect())
    }

    /// Gives a message the topic that brokers know, and the name of the namespace.
    fn wrap(&self, message: &mut Message) {
        let namespace = &self.core.instance.namespace;
        // The topic of replies is the cluster's.
        if namespace.name().is_empty() || message.property(property::MSG_TYPE) == Some(REPLY) {
            return;
        }
        message.topic = namespace.wrap(&message.topic).into_owned();
        message.set_property(property::INSTANCE_ID, namespace.name());
    }

    fn ready(&self, mut message: Message, options: &SendOptions) -> Result<Outgoing> {
        self.wrap(&mut message);
        let runtime = &self.core.instance.runtime;
        let new_id = || runtime.unique_id().as_str().to_owned();
        prepare::single(message, &options.target, &self.core.options, new_id)
    }

    fn ready_batch(&self, mut messages: Vec<Message>) -> Result<Outgoing> {
        for message in &mut messages {
            self.wrap(message);
        }
        let runtime = &self.core.instance.runtime;
        let new_id = || runtime.unique_id().as_str().to_owned();
        prepare::batch(messages, &self.core.options, new_id)
    }

    fn timeout(&self, options: &SendOptions) -> Duration {
        let own = Duration::from_millis(self.core.options.send_timeout_ms);
        options.timeout.unwrap_or(own)
    }

    fn enter(&self, most: usize) -> Result<()> {
        if self.core.pending.enter(most) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Busy,
            OP,
            format!("{most} sends are under way"),
        ))
    }

    fn sending(&self, outgoing: Outgoing, options: SendOptions, done: Done) -> Arc<Sending> {
        let timeout = self.timeout(&options);
        let target = match options.target {
            Target::Queue(queue) => Target::Queue(self.core.instance.wrap_queue(&queue)),
            other => other,
        };
        Sending::new(&self.core, outgoing, target, timeout, done)
    }

    /// Sends and waits.
    fn wait(
        &self,
        outgoing: Outgoing,
        options: SendOptions,
        every: Duration,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<SendResult> {
        self.enter(usize::MAX)?;
        let timeout = self.timeout(&options);
        let (slot, core) = (Slot::new(), Arc::clone(&self.core));
        let filled = slot.clone();
        let done = move |outcome| {
            filled.put(outcome);
            core.pending.leave();
        };
        let sending = self.sending(outgoing, options, Box::new(done));
        self.core.begun(&sending);
        Arc::clone(&sending).begin();
        let mut left = timeout;
        loop {
            let slice = left.min(every);
            if let Some(outcome) = slot.take(slice) {
                return outcome;
            }
            left -= slice;
            if left.is_zero() || !go_on() {
                break;
            }
        }
        sending.finish(Err(sending.timed_out()));
        // Whoever ended the send has put its outcome there, or is about to.
        slot.take(Duration::MAX)
            .unwrap_or_else(|| Err(sending.timed_out()))
    }

    /// Sends and has `done` called.
    fn launch(&self, outgoing: Outgoing, options: SendOptions, done: Done) -> Result<()> {
        self.enter(self.core.options.max_in_flight)?;
        let core = Arc::clone(&self.core);
        let finished = move |outcome| {
            let runtime = Arc::clone(&core.instance.runtime);
            runtime.callbacks.run(move || {
                let _leaving = Leaving(core);
                done(outcome);
            });
        };
        let timeout = self.timeout(&options);
        let sending = self.sending(outgoing, options, Box::new(finished));
        self.core.begun(&sending);
        self.end_in_time(&sending, timeout);
        sending.begin();
        Ok(())
    }

    /// Sees to it that a send ends in time even while its route is being asked for.
    fn end_in_time(&self, sending: &Arc<Sending>, timeout: Duration) {
        if self.core.instance.knows(sending.topic()) {
            return;
        }
        let sending = Arc::downgrade(sending);
        self.core.instance.runtime.work.run_after(timeout, move || {
            if let Some(sending) = sending.upgrade() {
                sending.finish(Err(sending.timed_out()));
            }
        });
    }
}

/// Counts a callback as over, also when it panics.
struct Leaving(Arc<Core>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.pending.leave();
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if self.core.instance.runtime.process.is_current()
            && let Err(error) = self.close(Duration::ZERO)
        {
            tracing::warn!(%error, "a producer did not end");
        }
    }
}
