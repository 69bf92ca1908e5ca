//! Pulls: check, read below the watermark, answer with slices, or hold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use bytes::Bytes;

use super::{DataHandler, select};
use crate::broker::cold::ColdRead;
use crate::broker::control::Task;
use crate::broker::filters::Selection;
use crate::broker::hold::Held;
use crate::broker::processors;
use crate::broker::redirect::{self, Direction, Place};
use crate::broker::reply::Refusal;
use crate::broker::role;
use crate::broker::shared::Shared;
use crate::broker::topics::PERM_READ;
use crate::net::{ConnectionId, Io};
use crate::protocol::body::group::SubscriptionGroupConfig;
use crate::protocol::body::heartbeat::MessageModel;
use crate::protocol::body::topic::TopicConfig;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::frame::{FrameRef, Serialize};
use crate::protocol::header::Head;
use crate::protocol::request::Reply;
use crate::protocol::request::pull::{self as request_of, PullRequest, PullResponse, fast};
use crate::store::{LogSlice, Patience, Queue, ReadLimits, ReadOutcome, ReadStatus};

/// Records up to this size are copied into the reply; larger ones leave as slices of the mapping.
/// Below it, describing a record to the kernel costs more than moving it.
const COPY_MAX_BYTES: usize = 4096;

/// No pull is held longer, whatever its client asks for.
const HOLD_MAX_MS: u64 = 300_000;

/// Why a pull is refused, as the response header's `forbiddenType` says it.
mod forbidden {
    pub(super) const BROKER: i32 = 1;
    pub(super) const GROUP: i32 = 2;
    pub(super) const TOPIC: i32 = 3;
    pub(super) const BROADCASTING: i32 = 4;
    pub(super) const SUBSCRIPTION: i32 = 5;
}

/// A refused pull; some refusals carry a `forbiddenType`.
pub(super) struct PullRefusal {
    refusal: Refusal,
    forbidden_type: Option<i32>,
}

impl PullRefusal {
    pub(super) fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self {
            refusal: Refusal::new(code, remark),
            forbidden_type: None,
        }
    }

    fn forbidden(forbidden_type: i32, remark: impl Into<String>) -> Self {
        let refusal = Refusal::new(ResponseCode::NO_PERMISSION, remark);
        Self {
            refusal,
            forbidden_type: Some(forbidden_type),
        }
    }
}

/// What a pull reads with, once it is checked; also what is kept of a held one.
#[derive(Debug)]
pub(crate) struct HeldPull {
    opaque: i32,
    serialize: Serialize,
    pub(super) group: Arc<SubscriptionGroupConfig>,
    topic: Arc<TopicConfig>,
    pub(super) subscription: Arc<SubscriptionData>,
    pub(super) selection: Selection,
    /// Whether the pull brought its subscription.
    pub(super) brought: bool,
    /// The state of all subscriptions when this one was looked up.
    pub(super) revision: u64,
    /// Most steps of evaluation for one read.
    pub(super) steps_max: usize,
    pub(super) offset: i64,
    pub(super) limits: ReadLimits,
}

impl DataHandler {
    pub(super) fn handle_pull(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        head: &Head,
        frame: &FrameRef<'_>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        if let Some((_, request)) = fast::decode(*frame, &mut scratch) {
            self.pull(io, conn, peer, (head, frame), &request);
        } else {
            match Command::decode(*frame) {
                Ok(command) => match PullRequest::decode(&command.ext) {
                    Ok(request) => self.pull(io, conn, peer, (head, frame), &request),
                    Err(error) => {
                        let refusal = Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string());
                        Self::refuse(io, conn, head, frame.serialize, refusal);
                    }
                },
                Err(error) => {
                    io.reject(conn, error.to_string(), frame.header);
                }
            }
        }
        self.scratch = scratch;
    }

    fn pull(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        (head, frame): (&Head, &FrameRef<'_>),
        request: &PullRequest<'_>,
    ) {
        let serialize = frame.serialize;
        let group = request.consumer_group;
        if self.shared.groups.would_create(group) {
            let (frame, group) = (processors::bytes_of(frame), group.to_owned());
            if self
                .shared
                .control
                .try_push(Task::CreateGroup { conn, frame, group })
                .is_ok()
            {
                return;
            }
        }
        if self.shared.members.is_slave() && !self.config.slave_read_enable {
            let remark = format!("{}: slaveReadEnable of this slave is false", role::REJECTED);
            let refused = PullRefusal::new(ResponseCode::SYSTEM_BUSY, remark);
            Self::refuse_pull(io, conn, (head, serialize), refused);
            return;
        }
        let (queue, pull) = match self.check_pull(peer, (head, serialize), request) {
            Ok(checked) => checked,
            Err(refused) => {
                Self::refuse_pull(io, conn, (head, serialize), refused);
                return;
            }
        };
        if request.has(request_of::FLAG_COMMIT_OFFSET) && request.commit_offset >= 0 {
            let (topic, group, queue_id) = (request.topic, group, request.queue_id);
            if !self.shared.resets.has(topic, group, queue_id) {
                let offsets = &self.shared.offsets;
                offsets.commit(topic, group, queue_id, request.commit_offset);
            }
        }
        let outcome = pull.read(&self.shared, &queue, Patience::Hurries);
        let direction = self.direct(&pull, &outcome);
        let mut held = Held {
            conn,
            queue,
            deadline_ms: 0,
            payload: pull,
        };
        if direction.code != ResponseCode::PULL_NOT_FOUND || !request.has(request_of::FLAG_SUSPEND)
        {
            self.answer_read(io, held, outcome);
            return;
        }
        let asked_ms = u64::try_from(request.suspend_timeout_ms).unwrap_or(0);
        let hold_ms = match self.config.long_polling {
            true => asked_ms.min(HOLD_MAX_MS),
            false => self.config.short_polling_ms,
        };
        held.deadline_ms = self.now_ms() + hold_ms;
        self.hold(io, held);
    }

    fn hold(&mut self, io: &mut Io<'_>, held: Held<HeldPull>) {
        let (queue, group) = (Arc::clone(&held.queue), Arc::clone(&held.payload.group));
        let offset = held.payload.offset;
        let was_reset = |shared: &Shared| {
            let group = &group.group_name;
            shared.resets.has(queue.topic(), group, queue.id())
        };
        match self.held.hold(held) {
            // What came between the read and the waiter bit woke nobody.
            Ok(_) if queue.max_offset() > offset || was_reset(&self.shared) => {
                self.wake_held(io, &queue);
            }
            Ok(_) => {}
            Err(held) => self.answer_expired(io, held),
        }
    }

    /// The checks of a pull in Apache's order.
    fn check_pull(
        &mut self,
        peer: SocketAddr,
        (head, serialize): (&Head, Serialize),
        request: &PullRequest<'_>,
    ) -> Result<(Arc<Queue>, HeldPull), PullRefusal> {
        let ip = self.shared.store_host().ip();
        if self.config.broker_permission.cast_signed() & PERM_READ == 0 {
            let remark = format!("the broker[{ip}] pulling message is forbidden");
            return Err(PullRefusal::forbidden(forbidden::BROKER, remark));
        }
        let lite = head.request_code() == RequestCode::LITE_PULL_MESSAGE;
        if lite && !self.config.lite_pull_enable {
            let remark = format!("the broker[{ip}] for lite pull consumer is forbidden");
            return Err(PullRefusal::forbidden(forbidden::BROKER, remark));
        }
        let group = self.group_of(request.consumer_group)?;
        let topic_name = request.topic;
        let Some(topic) = self.topics.get(&self.shared, topic_name) else {
            let remark = format!("topic[{topic_name}] not exist, apply first please!");
            return Err(PullRefusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if topic.config.perm & PERM_READ == 0 {
            let remark = format!("the topic[{topic_name}] pulling message is forbidden");
            return Err(PullRefusal::forbidden(forbidden::TOPIC, remark));
        }
        let read_queues = topic.config.read_queue_nums;
        if !(0..read_queues).contains(&request.queue_id) {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{topic_name}] topicConfig.readQueueNums:\
                 [{read_queues}] consumer:[{peer}]",
                request.queue_id
            );
            return Err(PullRefusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let queue = topic.queue(&self.shared, request.queue_id);
        let topic = Arc::clone(&topic.config);
        let revision = self.shared.subscription_revision.load(Acquire);
        let subscription = self.subscription_of(&group, request)?;
        let brought = request.has(request_of::FLAG_SUBSCRIPTION);
        let version = (!brought).then_some(request.sub_version);
        let selection = self.selection_of(request.consumer_group, &subscription, version)?;
        let positive = |number: i32| usize::try_from(number).ok().filter(|number| *number > 0);
        let limits = ReadLimits {
            max_count: positive(request.max_msg_nums)
                .unwrap_or(0)
                .min(self.config.store.pull_count_max as usize),
            max_bytes: request
                .max_msg_bytes
                .and_then(positive)
                .unwrap_or(usize::MAX),
        };
        let offset = request.queue_offset;
        let opaque = head.opaque;
        let pull = HeldPull {
            opaque,
            serialize,
            group,
            topic,
            subscription,
            selection,
            brought,
            revision,
            steps_max: self.config.filter_steps_max,
            offset,
            limits,
        };
        Ok((queue, pull))
    }

    fn group_of(&self, name: &str) -> Result<Arc<SubscriptionGroupConfig>, PullRefusal> {
        let Some(group) = self.shared.groups.get_or_stand_in(name) else {
            let remark = format!("subscription group [{name}] does not exist");
            return Err(PullRefusal::new(
                ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
                remark,
            ));
        };
        if !group.consume_enable {
            let remark = format!("subscription group no permission, {name}");
            return Err(PullRefusal::forbidden(forbidden::GROUP, remark));
        }
        Ok(group)
    }

    /// The subscription that the request brings, or that the group's heartbeats brought.
    fn subscription_of(
        &self,
        group: &SubscriptionGroupConfig,
        request: &PullRequest<'_>,
    ) -> Result<Arc<SubscriptionData>, PullRefusal> {
        let (name, topic) = (request.consumer_group, request.topic);
        if request.has(request_of::FLAG_SUBSCRIPTION) {
            return select::subscription_in(request);
        }
        let consumers = self.shared.consumers.read();
        let Some(members) = consumers.group(name) else {
            let remark = "the consumer's group info not exist";
            return Err(PullRefusal::new(
                ResponseCode::SUBSCRIPTION_NOT_EXIST,
                remark,
            ));
        };
        let broadcasting = members.message_model == MessageModel::Broadcasting;
        if broadcasting && !group.consume_broadcast_enable {
            let remark = format!("the consumer group[{name}] can not consume by broadcast way");
            return Err(PullRefusal::forbidden(forbidden::BROADCASTING, remark));
        }
        if self.shared.groups.is_read_forbidden(name, topic) {
            let remark = format!("the consumer group[{name}] is forbidden for topic[{topic}]");
            return Err(PullRefusal::forbidden(forbidden::SUBSCRIPTION, remark));
        }
        let Some(subscription) = members.subscriptions().get(topic) else {
            let remark = "the consumer's subscription not exist";
            return Err(PullRefusal::new(
                ResponseCode::SUBSCRIPTION_NOT_EXIST,
                remark,
            ));
        };
        if subscription.sub_version < request.sub_version {
            let remark = "the consumer's subscription not latest";
            return Err(PullRefusal::new(
                ResponseCode::SUBSCRIPTION_NOT_LATEST,
                remark,
            ));
        }
        Ok(Arc::clone(subscription))
    }

    pub(super) fn answer_pull(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        queue: &Queue,
        pull: &HeldPull,
        outcome: ReadOutcome,
    ) {
        let stats = &self.shared.stats;
        let direction = self.direct(pull, &outcome);
        let code = direction.code;
        let lens = outcome.records.iter().map(|record| record.as_ref().len());
        let body_len = lens.sum();
        if code == ResponseCode::SUCCESS {
            let counted = (outcome.records.len() as u64, body_len as u64);
            let group = &pull.group.group_name;
            stats.handed_out(queue.topic(), group, counted, self.now_ms());
        } else {
            stats.totals.get_missed.fetch_add(1, Relaxed);
        }
        if code == ResponseCode::PULL_OFFSET_MOVED {
            tracing::info!(
                topic = queue.topic(),
                queue_id = queue.id(),
                group = pull.group.group_name,
                requested = pull.offset,
                next = direction.next_offset,
                "a consumer asked for an offset that the queue does not have"
            );
        }
        let reply = Reply {
            serialize: pull.serialize,
            opaque: pull.opaque,
            code,
            remark: Some(outcome.status.name()),
        };
        let response = PullResponse {
            suggest_which_broker_id: direction.broker_id,
            next_begin_offset: direction.next_offset,
            min_offset: outcome.min_offset,
            max_offset: outcome.max_offset,
            topic_sys_flag: Some(pull.topic.topic_sys_flag),
            group_sys_flag: Some(pull.group.group_sys_flag),
            ..PullResponse::default()
        };
        if outcome.cold {
            let mut frame = Vec::with_capacity(512);
            fast::encode_response_head(&mut frame, &reply, &response, body_len);
            let read = ColdRead {
                conn,
                frame,
                records: outcome.records,
            };
            if let Some(frame) = self.shared.cold.read(io.reactor(), read)
                && let Some(mut out) = io.out(conn)
            {
                out.push(Bytes::from(frame));
            }
            return;
        }
        let Some(mut out) = io.out(conn) else { return };
        fast::encode_response_head(out.buffer(), &reply, &response, body_len);
        for record in outcome.records {
            if record.as_ref().len() <= COPY_MAX_BYTES {
                out.buffer().extend_from_slice(record.as_ref());
            } else {
                out.push(Bytes::from_owner::<LogSlice>(record));
            }
        }
    }

    /// Where the consumer is sent next.
    fn direct(&self, pull: &HeldPull, outcome: &ReadOutcome) -> Direction {
        let members = &self.shared.members;
        let place = Place {
            slave_read: self.config.slave_read_enable,
            is_slave: members.is_slave(),
            master_alive: self.shared.is_master_alive(),
            offset_check: self.config.store.offset_check_in_slave,
        };
        redirect::direct(place, &pull.group, pull.offset, outcome)
    }

    fn refuse_pull(
        io: &mut Io<'_>,
        conn: ConnectionId,
        (head, serialize): (&Head, Serialize),
        refused: PullRefusal,
    ) {
        let Some(mut out) = io.out(conn) else { return };
        let Refusal { code, remark } = refused.refusal;
        // Clients read the whole header of every answer to a pull.
        let header = PullResponse {
            forbidden_type: refused.forbidden_type,
            ..PullResponse::default()
        };
        let response = Command::response(head.opaque, serialize, code, Some(remark));
        response.with_header(&header).encode(out.buffer());
    }

    /// Reads again for everything that waits at the queue; what finds nothing goes on waiting.
    pub(super) fn wake_held(&mut self, io: &mut Io<'_>, queue: &Arc<Queue>) {
        for mut held in self.held.take_queue(queue) {
            self.renew(&mut held.payload);
            let outcome = held.payload.read(&self.shared, queue, Patience::Hurries);
            let direction = self.direct(&held.payload, &outcome);
            let seen_all = outcome.next_offset >= outcome.max_offset;
            match outcome.status {
                ReadStatus::NoMatchedMessage if seen_all && !direction.to_master => {
                    // Nothing for this consumer among the new messages: it waits behind them.
                    held.payload.offset = outcome.next_offset;
                    self.hold(io, held);
                }
                _ if direction.code == ResponseCode::PULL_NOT_FOUND => {
                    if let Err(held) = self.held.hold(held) {
                        self.answer_expired(io, held);
                    }
                }
                _ => self.answer_read(io, held, outcome),
            }
        }
    }

    /// Answers everything held, on a slave whose master has come back: it goes there.
    pub(super) fn answer_all_held(&mut self, io: &mut Io<'_>) {
        for held in self.held.take_all() {
            self.answer_expired(io, held);
        }
    }

    /// Answers a held pull whose time is over with whatever there is now.
    pub(super) fn answer_expired(&mut self, io: &mut Io<'_>, mut held: Held<HeldPull>) {
        self.renew(&mut held.payload);
        let outcome = held
            .payload
            .read(&self.shared, &held.queue, Patience::Hurries);
        self.answer_read(io, held, outcome);
    }
}
