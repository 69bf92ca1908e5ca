//! The data plane: one `DataHandler` for each reactor thread.
//!
//! Sends, pulls and offset commits are answered here, on the thread that read them. Everything else
//! is handed to the control thread.

mod delayed;
mod detour;
mod making;
mod pull;
mod retry;
mod select;
mod send;
mod timed;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

use bytes::Bytes;

use crate::base::queue::PushError;
use crate::base::thread;
use crate::broker::control::Task;
use crate::broker::filters::SelectorCache;
use crate::broker::hold::HoldTable;
use crate::broker::overload;
use crate::broker::pending::{PendingReplies, Settled};
use crate::broker::pop;
use crate::broker::processors;
use crate::broker::reply::{Answer, Refusal, encode_answer};
use crate::broker::shared::{Mail, Shared};
use crate::broker::topic_cache::TopicCache;
use crate::config::broker::BrokerConfig;
use crate::net::{CloseReason, ConnectionId, Handler, Io, Peer};
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command;
use crate::protocol::frame::{FrameRef, Serialize};
use crate::protocol::header::{Head, peek_head};
use crate::protocol::request::Scratch;
use crate::protocol::request::pop::PopMessageRequest;
use crate::store::Queue;

use making::TopicsInMaking;
pub(crate) use pull::HeldPull;
use send::SendStage;

/// The data plane of one reactor.
pub(crate) struct DataHandler {
    shared: Arc<Shared>,
    index: usize,
    config: Arc<BrokerConfig>,
    config_generation: u64,
    topics: TopicCache,
    scratch: Scratch,
    stage: SendStage,
    making: TopicsInMaking,
    pending: PendingReplies<Queue>,
    held: HoldTable<HeldPull>,
    selectors: SelectorCache,
    /// Queues that got something during this turn and that own held pulls wait at.
    awake: Vec<Arc<Queue>>,
}

impl DataHandler {
    /// The data plane of the reactor of this index.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Self {
        let config = shared.config();
        Self {
            index,
            stage: SendStage::new(&shared, &config, index),
            making: TopicsInMaking::new(waiting_bytes_max(&shared, &config)),
            held: HoldTable::new(index, held_max(&shared, &config)),
            config,
            config_generation: 0,
            shared,
            topics: TopicCache::default(),
            scratch: Scratch::default(),
            pending: PendingReplies::default(),
            selectors: SelectorCache::default(),
            awake: Vec::new(),
        }
    }

    fn refresh_config(&mut self) {
        let generation = self.shared.config_generation.load(Acquire);
        if generation != self.config_generation {
            self.config_generation = generation;
            self.config = self.shared.config();
            self.stage.configure(&self.shared, &self.config);
            self.selectors.clear();
            self.held.set_limit(held_max(&self.shared, &self.config));
            let waiting_max = waiting_bytes_max(&self.shared, &self.config);
            self.making.set_limit(waiting_max);
        }
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.monotonic_ms()
    }

    /// Handles the frames of one connection in order; runs of sends share one append.
    fn handle_frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]) {
        let Some(peer) = io.peer(conn).map(|peer| peer.remote) else {
            return;
        };
        let mut at = 0;
        while at < frames.len() {
            let sends = frames[at..]
                .iter()
                .take_while(|frame| is_send(frame))
                .count();
            if sends > 0 {
                self.handle_sends(io, conn, peer, &frames[at..at + sends]);
                at += sends;
                continue;
            }
            self.handle_other(io, conn, peer, &frames[at]);
            at += 1;
        }
    }

    fn handle_other(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        frame: &FrameRef<'_>,
    ) {
        let Some(head) = peek_head(*frame) else {
            self.handle_general(io, conn, peer, frame);
            return;
        };
        match head.request_code() {
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE if !head.is_response() => {
                self.handle_pull(io, conn, peer, &head, frame);
            }
            RequestCode::CONSUMER_SEND_MSG_BACK if !head.is_response() => {
                self.handle_send_back(io, conn, frame);
            }
            RequestCode::RECALL_MESSAGE if !head.is_response() => {
                self.handle_recall(io, conn, peer, frame);
            }
            _ => self.handle_general(io, conn, peer, frame),
        }
    }

    /// A request that needs the general decoder: answered here when it touches memory only.
    fn handle_general(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        frame: &FrameRef<'_>,
    ) {
        let Some(command) = decode(io, conn, frame) else {
            return;
        };
        if command.is_response() {
            self.shared.calls.complete(conn, command);
            return;
        }
        if let Some(refusal) = self.shared.refuse_on_slave(command.code) {
            self.answer(io, conn, &command, Err(refusal));
            return;
        }
        if processors::is_data_plane(command.code) {
            let answer = processors::process_data(&self.shared, &command);
            self.answer(io, conn, &command, answer);
            return;
        }
        let refused = if pop::is_pop(command.code) {
            match self.group_of_pop(&command) {
                Some(group) => {
                    let frame = processors::bytes_of(frame);
                    let task = Task::CreateGroup { conn, frame, group };
                    self.shared.control.try_push(task).err().map(|_| command)
                }
                None => self.shared.pops.hand_over(conn, peer, command),
            }
        } else if command.request_code() == RequestCode::END_TRANSACTION {
            let now_ms = self.now_ms();
            self.shared.transactions.end(conn, command, now_ms).err()
        } else if processors::is_cold(command.code) {
            self.shared.cold.answer(&self.shared, conn, command)
        } else {
            let task = Task::Request {
                conn,
                peer,
                command,
                since_ms: self.now_ms(),
            };
            match self
                .shared
                .control
                .try_push(task)
                .map_err(PushError::into_item)
            {
                Err(Task::Request { command, .. }) => Some(command),
                _ => None,
            }
        };
        if let Some(command) = refused {
            self.answer(io, conn, &command, Err(overload::full()));
        }
    }

    /// The group of a pop, if it is to be made first.
    fn group_of_pop(&self, command: &Command) -> Option<String> {
        if command.request_code() != RequestCode::POP_MESSAGE {
            return None;
        }
        let header: PopMessageRequest = command.header().ok()?;
        let group = header.consumer_group;
        self.shared.groups.would_create(&group).then_some(group)
    }

    fn answer(&self, io: &mut Io<'_>, conn: ConnectionId, request: &Command, answer: Answer) {
        if let Some(bytes) = encode_answer(request, answer)
            && let Some(mut out) = io.out(conn)
        {
            out.push(Bytes::from(bytes));
        }
    }

    /// Refuses a request whose head alone is known.
    fn refuse(
        io: &mut Io<'_>,
        conn: ConnectionId,
        head: &Head,
        serialize: Serialize,
        refusal: Refusal,
    ) {
        if head.is_oneway() {
            return;
        }
        if let Some(mut out) = io.out(conn) {
            let remark = Some(refusal.remark);
            Command::response(head.opaque, serialize, refusal.code, remark).encode(out.buffer());
        }
    }

    /// Answers parked replies whose time has come, and tells held pulls of what can be seen now.
    fn settle_pending(&mut self, io: &mut Io<'_>) {
        if self.pending.is_empty() {
            return;
        }
        let (marks, now_ms) = (self.shared.marks(), self.now_ms());
        let shared = &self.shared;
        let (index, awake) = (self.index, &mut self.awake);
        self.pending
            .settle(&marks, now_ms, |waiting, settled| match settled {
                Settled::Reply(reply, verdict) => {
                    if let Some(mut out) = io.out(waiting.conn) {
                        send::finish_reply(reply, verdict, out.buffer());
                    }
                }
                Settled::Visible => {
                    if shared.announce(&waiting.queue, Some(index)) {
                        note(awake, &waiting.queue);
                    }
                }
            });
        if self.pending.is_empty() {
            self.shared.set_parked(self.index, false);
        }
    }

    fn take_mail(&mut self, io: &mut Io<'_>) {
        for mail in self.shared.take_mail(self.index) {
            match mail {
                Mail::Visible(queue) => note(&mut self.awake, &queue),
                Mail::MasterReturned => self.answer_all_held(io),
                Mail::Read { held, outcome } => {
                    self.answer_pull(io, held.conn, &held.queue, &held.payload, outcome);
                }
                Mail::TopicMade { topic, outcome } => self.topic_made(io, &topic, outcome),
                Mail::Frame { conn, bytes } => {
                    if let Some(frame) = processors::frame_of(&bytes) {
                        self.guarded(io, conn, |this, io| this.handle_frames(io, conn, &[frame]));
                    }
                }
            }
        }
    }

    /// Runs `work`; a panic in it costs the connection whose request it was, and nothing else.
    fn guarded(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        work: impl FnOnce(&mut Self, &mut Io<'_>),
    ) {
        if let Err(what) = thread::catch(|| work(self, io)) {
            tracing::error!(
                what,
                ?conn,
                "a request handler panicked; its connection is closed"
            );
            self.stage = SendStage::new(&self.shared, &self.config, self.index);
            io.close(conn);
        }
    }

    /// Settles what the turn left: appended queues wake held pulls.
    fn end_turn(&mut self, io: &mut Io<'_>) {
        while let Some(queue) = self.awake.pop() {
            self.wake_held(io, &queue);
        }
    }
}

impl std::fmt::Debug for DataHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataHandler")
            .field("index", &self.index)
            .field("held", &self.held.len())
            .field("pending", &self.pending.len())
            .field("making", &self.making.len())
            .finish_non_exhaustive()
    }
}

/// This reactor's part of the pulls that may be held.
fn held_max(shared: &Shared, config: &BrokerConfig) -> usize {
    config.held_pulls_max.div_ceil(shared.reactor_count())
}

/// This reactor's part of the bytes of sends that may wait for their topics.
fn waiting_bytes_max(shared: &Shared, config: &BrokerConfig) -> usize {
    config
        .waiting_send_bytes_max
        .div_ceil(shared.reactor_count())
}

/// Adds a queue to a short list without doubles.
fn note(queues: &mut Vec<Arc<Queue>>, queue: &Arc<Queue>) {
    if !queues.iter().any(|one| Arc::ptr_eq(one, queue)) {
        queues.push(Arc::clone(queue));
    }
}

fn is_send(frame: &FrameRef<'_>) -> bool {
    peek_head(*frame).is_some_and(|head| {
        !head.is_response()
            && matches!(
                head.request_code(),
                RequestCode::SEND_MESSAGE
                    | RequestCode::SEND_MESSAGE_V2
                    | RequestCode::SEND_BATCH_MESSAGE
            )
    })
}

impl Handler for DataHandler {
    fn opened(&mut self, _io: &mut Io<'_>, _conn: ConnectionId, _peer: &Peer) {}

    fn frames(&mut self, io: &mut Io<'_>, conn: ConnectionId, frames: &[FrameRef<'_>]) {
        self.refresh_config();
        self.guarded(io, conn, |this, io| this.handle_frames(io, conn, frames));
        self.end_turn(io);
    }

    fn closed(&mut self, _io: &mut Io<'_>, conn: ConnectionId, _reason: &CloseReason) {
        self.held.close(conn);
        // A full queue of tasks cannot keep this out for long: it blocks only while the control
        // thread works through it, and losing it would leave a ghost in its group.
        let _ = self.shared.control.push(Task::Closed(conn));
    }

    fn woken(&mut self, io: &mut Io<'_>) {
        self.refresh_config();
        self.take_mail(io);
        self.settle_pending(io);
        self.end_turn(io);
    }

    fn tick(&mut self, io: &mut Io<'_>, now: Duration) -> Option<Duration> {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.settle_pending(io);
        for held in self.held.take_expired(now_ms) {
            self.answer_expired(io, held);
        }
        self.end_turn(io);
        let next = [
            self.pending.next_deadline_ms(),
            self.held.next_deadline_ms(),
        ];
        next.into_iter().flatten().min().map(Duration::from_millis)
    }

    /// Parked replies, sends that wait for their topics and requests at other threads are still to
    /// be answered; a held pull is answered by the end of its connection.
    fn drained(&mut self, _io: &mut Io<'_>) -> bool {
        let shared = &self.shared;
        let handed_over = !shared.control.is_empty()
            || shared.answers_held.load(Acquire)
            || !shared.transactions.inbox.is_empty()
            || !shared.pops.inbox.is_empty()
            || !shared.cold.is_empty();
        self.pending.is_empty() && self.making.is_empty() && !handed_over
    }
}

/// The command in a frame; a frame without one is rejected.
fn decode(io: &mut Io<'_>, conn: ConnectionId, frame: &FrameRef<'_>) -> Option<Command> {
    Command::decode(*frame)
        .inspect_err(|error| io.reject(conn, error.to_string(), frame.header))
        .ok()
}
