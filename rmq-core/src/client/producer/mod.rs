//! Sends messages.

mod accumulate;
mod core;
mod latency;
mod launch;
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
use self::transaction::Checker;
use crate::base::{Error, ErrorKind, Result};
use crate::client::instance::{Instance, Member};
use crate::client::trace::Tracer;
use crate::client::{names, raw};
use crate::protocol::body::message_queue::MessageQueue;
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
/// same); `Busy` when too much is under way; `Remote` with the code of a broker that refused it;
/// `Closed`; `Forked`.
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
        options.check()?;
        let queue_nums = Some(options.new_topic_queue_nums);
        let instance = Arc::new(Instance::new(options.client.clone(), queue_nums)?);
        options.group = instance.namespace.wrap(&options.group).into_owned();
        names::check_group(&options.group)?;
        let group = instance.namespace.unwrap(&options.group);
        let tracer = Tracer::start(&options.client, &instance.runtime, &group, "PRODUCE")?;
        let core = Core::new(options, Arc::clone(&instance), checker, tracer);
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
        let (outgoing, watch) = self.ready(message, &options)?;
        watch.told(self.wait(outgoing, options, every, go_on))
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
        let (outgoing, watch) = self.ready_batch(messages)?;
        watch.told(self.wait(outgoing, options, every, go_on))
    }

    /// Sends a message without waiting. After `Ok`, `done` is called exactly once, from a thread
    /// of the runtime, also when the producer is closed meanwhile; it may call anything of the
    /// client. After an error it is never called: besides the errors of every send that are known
    /// at once this is `Busy`, when `max_in_flight` sends or `max_in_flight_bytes` are under way.
    /// Never blocks.
    pub fn send_async(
        &self,
        message: Message,
        options: SendOptions,
        done: impl FnOnce(Result<SendResult>) + Send + 'static,
    ) -> Result<()> {
        self.core.check()?;
        let (outgoing, watch) = self.ready(message, &options)?;
        self.launch(outgoing, options, watch, Box::new(done))
    }

    /// [`send_batch`](Self::send_batch) without waiting, as [`send_async`](Self::send_async).
    pub fn send_batch_async(
        &self,
        messages: Vec<Message>,
        options: SendOptions,
        done: impl FnOnce(Result<SendResult>) + Send + 'static,
    ) -> Result<()> {
        self.core.check()?;
        let (outgoing, watch) = self.ready_batch(messages)?;
        self.launch(outgoing, options, watch, Box::new(done))
    }

    /// Sends a message that nobody acknowledges: it is lost without notice if anything goes wrong
    /// after it was accepted. Never blocks. Errors as for [`send_async`](Self::send_async).
    pub fn send_oneway(&self, message: Message, options: SendOptions) -> Result<()> {
        self.core.check()?;
        let (outgoing, watch) = self.ready(message, &options)?;
        let launched = self.launch_oneway(outgoing, options);
        watch.end(launched.as_ref().map(|()| None));
        launched
    }

    /// Sends at once what is held, and waits until nothing is under way, callbacks included.
    /// Traces that wait are sent too, but not waited for. `Timeout`: something still is under way.
    pub fn flush(&self, timeout: Duration) -> Result<()> {
        self.core.instance.runtime.process.check("flush producer")?;
        self.core.send_held();
        if let Some(tracer) = &self.core.tracer {
            tracer.flush(Duration::ZERO);
        }
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
