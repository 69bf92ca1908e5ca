//! Sends: decode, check, stage, append the lot under one lock, answer or park.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::detour::Detour;
use super::{DataHandler, note};
use crate::base::ErrorKind;
use crate::broker::names;
use crate::broker::pending::{Deadlines, Verdict};
use crate::broker::reply::Refusal;
use crate::broker::schedule::DelayLevel;
use crate::broker::shared::Shared;
use crate::broker::stats::Counted;
use crate::broker::topics::PERM_WRITE;
use crate::config::BrokerRole;
use crate::config::broker::BrokerConfig;
use crate::net::{ConnectionId, Io};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::filter::tag;
use crate::protocol::frame::{self, FrameRef, Serialize};
use crate::protocol::header::{Head, peek_head};
use crate::protocol::message::batch::Batch;
use crate::protocol::message::id::{self, UniqueIds};
use crate::protocol::message::properties::{self, PropertiesBuilder, Scanned, names as property};
use crate::protocol::message::record::NewRecord;
use crate::protocol::request::Reply;
use crate::protocol::request::query::RecallMessageResponse;
use crate::protocol::request::send::{SendRequest, SendResponse, fast};
use crate::store::{AppendBatch, AppendError, Queue};

/// What a reply needs of a staged request.
pub(super) struct StagedSend {
    pub(super) head: Head,
    pub(super) serialize: Serialize,
    /// Where its records go.
    pub(super) queue: Arc<Queue>,
    /// The queue that the sender is told of; a delayed or half message goes to another one.
    pub(super) queue_id: i32,
    pub(super) delay: Option<DelayLevel>,
    /// When it waits for a time: with what it can be recalled, if it can.
    pub(super) timed: Option<Recallable>,
    /// The first of its records in the batch, and how many.
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) wait: bool,
    /// Its UNIQ_KEY in `SendStage::ids`.
    pub(super) unique_id: std::ops::Range<usize>,
    /// What its sender is told.
    pub(super) answered: Answered,
}

/// With what a message that waits for a time can be recalled, if it can.
pub(super) struct Recallable(pub(super) Option<String>);

/// What a sender is told of what is stored.
pub(super) enum Answered {
    /// Where the message is.
    Sent,
    /// That one that was sent back is stored.
    SentBack,
    /// That the message of this unique id is taken back.
    Recalled(String),
}

/// Buffers of the send path, kept from turn to turn.
pub(super) struct SendStage {
    batch: Option<AppendBatch<'static>>,
    pub(super) staged: Vec<StagedSend>,
    ids: Vec<u8>,
    message_id: Vec<u8>,
    /// The properties that every record of this broker gets.
    broker_properties: Vec<u8>,
    unique_ids: UniqueIds,
    unique_id_counter: u16,
    trace_on: bool,
    region: String,
}

impl SendStage {
    pub(super) fn new(shared: &Shared, config: &BrokerConfig, index: usize) -> Self {
        let mut stage = Self {
            batch: None,
            staged: Vec::new(),
            ids: Vec::new(),
            message_id: Vec::new(),
            broker_properties: Vec::new(),
            unique_ids: UniqueIds::new(
                shared.store_host().ip(),
                std::process::id(),
                // Stands for the class loader's hash in Java's ids: something that two reactors
                // and two brokers of one process do not share.
                (std::ptr::from_ref(shared).addr() as u32).wrapping_add(index as u32),
            ),
            unique_id_counter: 0,
            trace_on: true,
            region: String::new(),
        };
        stage.configure(shared, config);
        stage
    }

    pub(super) fn configure(&mut self, _shared: &Shared, config: &BrokerConfig) {
        // The next batch takes the store's limits as they are now.
        self.batch = None;
        self.trace_on = config.trace_on;
        self.region.clone_from(&config.region_id);
        self.broker_properties.clear();
        let pairs = [
            (property::MSG_REGION, self.region.as_str()),
            (
                property::TRACE_ON,
                if self.trace_on { "true" } else { "false" },
            ),
            (property::CLUSTER, config.cluster_name.as_str()),
        ];
        for (name, value) in pairs {
            push_property(&mut self.broker_properties, name, value);
        }
    }
}

fn push_property(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(properties::NAME_VALUE_SEPARATOR);
    out.extend_from_slice(value.as_bytes());
    out.push(properties::PROPERTY_SEPARATOR);
}

/// Why a send is not staged.
pub(super) enum NotStaged {
    Refused(Refusal),
    /// It waits for the control thread.
    Deferred,
}

impl From<Refusal> for NotStaged {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl DataHandler {
    pub(super) fn handle_sends(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        frames: &[FrameRef<'_>],
    ) {
        if let Some(refusal) = self.shared.refuse_sends() {
            for frame in frames {
                self.refuse_frame(io, conn, frame, &refusal);
            }
            return;
        }
        let mut batch = match self.stage.batch.take() {
            Some(batch) => batch.recycle(),
            None => self.shared.store.new_batch(),
        };
        for frame in frames {
            self.stage_frame(io, conn, peer, frame, &mut batch);
        }
        if !batch.is_empty() {
            self.shared.store.append(&mut batch);
            self.reply_to_staged(io, conn, &batch);
        }
        self.stage.staged.clear();
        self.stage.ids.clear();
        self.stage.batch = Some(batch.recycle());
    }

    /// Refuses a send that is not looked at.
    pub(super) fn refuse_frame(
        &self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        frame: &FrameRef<'_>,
        refusal: &Refusal,
    ) {
        if let Some(head) = peek_head(*frame) {
            self.shared.stats.totals.put_failed.fetch_add(1, Relaxed);
            Self::refuse(io, conn, &head, frame.serialize, refusal.clone());
        }
    }

    fn stage_frame<'f>(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        peer: SocketAddr,
        frame: &FrameRef<'f>,
        batch: &mut AppendBatch<'f>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let fast = fast::decode(*frame, &mut scratch);
        let (head, outcome) = match fast {
            Some((head, request)) => (
                head,
                self.stage_send(conn, peer, &head, &request, frame, batch),
            ),
            None => match Command::decode(*frame) {
                Ok(command) => {
                    let head = command.head();
                    let outcome = match SendRequest::decode(head.request_code(), &command.ext) {
                        Ok(request) => self.stage_send(conn, peer, &head, &request, frame, batch),
                        Err(error) => {
                            Err(Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string()).into())
                        }
                    };
                    (head, outcome)
                }
                Err(error) => {
                    io.reject(conn, error.to_string(), frame.header);
                    self.scratch = scratch;
                    return;
                }
            },
        };
        self.scratch = scratch;
        if let Err(NotStaged::Refused(refusal)) = outcome {
            self.shared.stats.totals.put_failed.fetch_add(1, Relaxed);
            Self::refuse(io, conn, &head, frame.serialize, refusal);
        }
    }

    /// The checks of a send in Apache's order, then staging.
    fn stage_send<'f>(
        &mut self,
        conn: ConnectionId,
        peer: SocketAddr,
        head: &Head,
        request: &SendRequest<'_>,
        frame: &FrameRef<'f>,
        batch: &mut AppendBatch<'f>,
    ) -> Result<(), NotStaged> {
        let accept_ms = self.config.accept_sends_after_ms;
        if accept_ms > 0 && self.shared.clock.wall_ms() < accept_ms {
            let remark = format!("broker unable to service, until {accept_ms}");
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark).into());
        }
        let topic_name = request.topic;
        self.wait_for_topic(conn, topic_name, frame)?;
        let Some(topic) = self.topics.get(&self.shared, topic_name) else {
            return self.ask_for_topic(conn, request, frame);
        };
        if topic.config.order && self.config.broker_permission.cast_signed() & PERM_WRITE == 0 {
            let ip = self.shared.store_host().ip();
            let remark = format!("the broker[{ip}] sending message is forbidden");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark).into());
        }
        if names::is_send_forbidden(topic_name) {
            let remark = format!("Sending message to topic[{topic_name}] is forbidden.");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark).into());
        }
        if request.queue_id >= topic.queue_limit() {
            let remark = format!(
                "request queueId[{}] is illegal, topic[{topic_name}] has {} write and {} read \
                 queues. Producer: {peer}",
                request.queue_id, topic.config.write_queue_nums, topic.config.read_queue_nums
            );
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark).into());
        }
        let queue_id = match request.queue_id {
            chosen if chosen >= 0 => chosen,
            _ => self.shared.stats.next_queue(topic.config.write_queue_nums),
        };
        let queue = topic.queue(&self.shared, queue_id);
        let origin = Origin {
            peer,
            store_host: self.shared.store_host(),
            queue,
        };
        if request.batch {
            return self.stage_batch(head, request, frame, batch, origin);
        }
        let Some(dead) = self.dead_letter(conn, head, request, frame)? else {
            return self.stage_single(head, request, frame, batch, origin);
        };
        let origin = Origin {
            queue: Arc::clone(&dead.queue),
            ..origin
        };
        self.stage_single(head, &dead.request(request), frame, batch, origin)
    }

    fn stage_single<'f>(
        &mut self,
        head: &Head,
        request: &SendRequest<'_>,
        frame: &FrameRef<'f>,
        batch: &mut AppendBatch<'f>,
        origin: Origin,
    ) -> Result<(), NotStaged> {
        if frame.body.is_empty() {
            let remark = "the message is illegal: it has no body";
            return Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark).into());
        }
        let given = request.properties.unwrap_or_default().as_bytes();
        let cleaned;
        let mut text = given;
        let mut found = properties::scan(text);
        if found.has(Scanned::PopCk) {
            let mut without = Vec::with_capacity(text.len());
            properties::remove(text, property::POP_CK, &mut without);
            cleaned = without;
            text = &cleaned;
            found = properties::scan(text);
        }
        let detour = self.detour(request, origin.queue.id(), text, &found)?;
        let ids_from = self.stage.ids.len();
        let mut extra: &[u8] = &self.stage.broker_properties;
        let with_id;
        match found.get(Scanned::UniqKey) {
            Some(unique_id) if !unique_id.is_empty() => self.stage.ids.extend_from_slice(unique_id),
            _ => {
                self.stage.unique_id_counter = self.stage.unique_id_counter.wrapping_add(1);
                let (now_ms, counter) = (self.shared.clock.wall_ms(), self.stage.unique_id_counter);
                let unique_id = self.stage.unique_ids.id(now_ms, counter);
                let mut own = self.stage.broker_properties.clone();
                push_property(&mut own, property::UNIQ_KEY, unique_id.as_str());
                self.stage.ids.extend_from_slice(unique_id.as_bytes());
                with_id = own;
                extra = &with_id;
            }
        }
        let record = origin.record(request, frame.body, text, extra);
        let tags_code = tag::tags_code(found.get(Scanned::Tags).unwrap_or_default());
        let first = batch.len();
        let pushed = match &detour {
            None => {
                let queue = Arc::clone(&origin.queue);
                batch.push_with_body(&record, frame.body, queue, tags_code)
            }
            Some(detour) => {
                let unique_id = &self.stage.ids[ids_from..];
                detour.push(&record, frame.body, unique_id, tags_code, batch)
            }
        };
        if let Err(error) = pushed {
            self.stage.ids.truncate(ids_from);
            return Err(refusal_of(&self.config, &error.into()).into());
        }
        let out_ms = detour.as_ref().and_then(Detour::out_ms);
        let timed =
            out_ms.map(|ms| self.recallable(request.topic, ms, &self.stage.ids[ids_from..]));
        self.stage.staged.push(StagedSend {
            head: *head,
            serialize: frame.serialize,
            queue_id: origin.queue.id(),
            delay: detour.as_ref().and_then(Detour::level),
            timed,
            queue: detour.map_or(origin.queue, Detour::into_queue),
            first,
            count: 1,
            wait: found.waits_for_store(),
            unique_id: ids_from..self.stage.ids.len(),
            answered: Answered::Sent,
        });
        Ok(())
    }

    /// A batch body: every message becomes an ordinary record; all or none are staged.
    fn stage_batch<'f>(
        &mut self,
        head: &Head,
        request: &SendRequest<'_>,
        frame: &FrameRef<'f>,
        batch: &mut AppendBatch<'f>,
        origin: Origin,
    ) -> Result<(), NotStaged> {
        let illegal = |remark: &str| Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark);
        if request.topic.starts_with(names::RETRY_PREFIX) {
            return Err(illegal("batch request does not support retry group").into());
        }
        if frame.body.len() > self.config.store.max_message_bytes {
            return Err(refusal_of(&self.config, &AppendError::TooLarge).into());
        }
        let common = request.properties.unwrap_or_default().as_bytes();
        let found = properties::scan(common);
        refuse_in_batch(&found)?;
        let mut extra = PropertiesBuilder::from_text(common).into_bytes();
        let ids_from = self.stage.ids.len();
        let first = batch.len();
        let undo = |stage: &mut SendStage, batch: &mut AppendBatch<'f>| {
            batch.truncate(first);
            stage.ids.truncate(ids_from);
        };
        // The list of the whole batch's ids in the header is not one message's own id.
        let mut without_id = Vec::with_capacity(extra.len());
        if properties::remove(&extra, property::UNIQ_KEY, &mut without_id) {
            extra = without_id;
        }
        extra.extend_from_slice(&self.stage.broker_properties);
        for message in Batch::new(frame.body) {
            let message = match message {
                Ok(message) => message,
                Err(error) => {
                    undo(&mut self.stage, batch);
                    return Err(illegal(&format!("the batch body is malformed: {error}")).into());
                }
            };
            let own = properties::scan(message.properties);
            let record = NewRecord {
                flag: message.flag,
                ..origin.record(request, message.body, message.properties, &extra)
            };
            let staged = refuse_in_batch(&own).and_then(|()| {
                let tags_code = tag::tags_code(own.get(Scanned::Tags).unwrap_or_default());
                batch
                    .push_with_body(&record, message.body, Arc::clone(&origin.queue), tags_code)
                    .map_err(|error| refusal_of(&self.config, &error.into()))
            });
            if let Err(refusal) = staged {
                undo(&mut self.stage, batch);
                return Err(refusal.into());
            }
            if self.stage.ids.len() > ids_from {
                self.stage.ids.push(b',');
            }
            self.stage
                .ids
                .extend_from_slice(own.get(Scanned::UniqKey).unwrap_or_default());
        }
        let count = batch.len() - first;
        if count == 0 {
            return Err(illegal("the batch holds no message").into());
        }
        self.stage.staged.push(StagedSend {
            head: *head,
            serialize: frame.serialize,
            queue_id: origin.queue.id(),
            delay: None,
            timed: None,
            queue: origin.queue,
            first,
            count,
            wait: found.waits_for_store(),
            unique_id: ids_from..self.stage.ids.len(),
            answered: Answered::Sent,
        });
        Ok(())
    }

    /// Until when a sender waits whose message is appended now.
    fn deadlines(&self) -> Deadlines {
        let (now_ms, store) = (self.now_ms(), &self.config.store);
        Deadlines {
            flush_ms: now_ms + store.sync_flush_timeout_ms,
            slave_ms: match store.broker_role {
                BrokerRole::SyncMaster => now_ms + store.slave_timeout_ms,
                BrokerRole::AsyncMaster | BrokerRole::Slave => u64::MAX,
            },
        }
    }

    pub(super) fn reply_to_staged(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        batch: &AppendBatch<'_>,
    ) {
        let marks = self.shared.marks();
        let deadlines = self.deadlines();
        let staged = std::mem::take(&mut self.stage.staged);
        let mut parked = false;
        for send in &staged {
            let results = &batch.results()[send.first..send.first + send.count];
            let failure = results.iter().find_map(|result| result.as_ref().err());
            if let Some(error) = failure {
                self.shared.stats.totals.put_failed.fetch_add(1, Relaxed);
                let refusal = refusal_of(&self.config, error);
                Self::refuse(io, conn, &send.head, send.serialize, refusal);
                continue;
            }
            let Some(Ok(last)) = results.last() else {
                continue;
            };
            if let Some(level) = send.delay {
                self.shared.schedule.appended(level);
            }
            if send.timed.is_some() {
                self.shared.timer.appended();
            }
            let end = last.end();
            let seen_now = end <= marks.visible;
            if seen_now && self.shared.announce(&send.queue, Some(self.index)) {
                note(&mut self.awake, &send.queue);
            }
            let verdict = match send.wait {
                true => marks.verdict(end),
                false => Some(Verdict::Kept),
            };
            let (stage, store_host) = (&mut self.stage, self.shared.store_host());
            let awaited = !send.head.is_oneway();
            if let Some(verdict) = verdict
                && awaited
                && let Some(mut out) = io.out(conn)
            {
                encode_reply(stage, store_host, (send, verdict), batch, out.buffer());
            }
            if seen_now && (verdict.is_some() || !awaited) {
                continue;
            }
            // Parked with its reply, or, when nobody waits for one, for the news alone.
            let reply = verdict.is_none() && awaited;
            self.pending
                .push(end, deadlines, conn, Arc::clone(&send.queue), |out| {
                    if reply {
                        encode_reply(stage, store_host, (send, Verdict::Kept), batch, out);
                    }
                });
            parked = true;
        }
        self.count_stored(&staged, batch);
        self.stage.staged = staged;
        if parked {
            self.shared.set_parked(self.index, true);
            // The watermark may have moved between the append and the bit.
            self.settle_pending(io);
        }
    }

    /// Counts what was stored, each run of messages of one topic at once.
    fn count_stored(&mut self, staged: &[StagedSend], batch: &AppendBatch<'_>) {
        for run in staged.chunk_by(|one, next| one.queue.topic() == next.queue.topic()) {
            let mut counted = Counted::default();
            for send in run {
                let results = &batch.results()[send.first..send.first + send.count];
                if results.iter().all(Result::is_ok) {
                    let lens = results.iter().flatten().map(|one| one.len as u64);
                    counted.bytes += lens.sum::<u64>();
                    counted.messages += send.count as u64;
                    counted.events += 1;
                }
            }
            let shared = &self.shared;
            match self.topics.get(shared, run[0].queue.topic()) {
                _ if counted.events == 0 => {}
                Some(topic) => topic.count_stored(shared, counted),
                // Deleted meanwhile: the broker's own totals have it.
                None => shared
                    .stats
                    .stored_elsewhere(counted.messages, counted.bytes),
            }
        }
    }
}

/// Where a message comes from and goes to.
struct Origin {
    peer: SocketAddr,
    store_host: SocketAddr,
    queue: Arc<Queue>,
}

impl Origin {
    fn record<'r>(
        &self,
        request: &'r SendRequest<'_>,
        body: &'r [u8],
        properties: &'r [u8],
        extra_properties: &'r [u8],
    ) -> NewRecord<'r> {
        NewRecord {
            topic: request.topic,
            queue_id: self.queue.id(),
            flag: request.flag,
            sys_flag: request.sys_flag,
            born_timestamp_ms: request.born_timestamp_ms,
            born_host: self.peer,
            store_host: self.store_host,
            reconsume_times: request.reconsume_times,
            prepared_transaction_offset: 0,
            body,
            properties,
            extra_properties,
        }
    }
}

/// The messages of a batch cannot be delayed, and have no transaction.
fn refuse_in_batch(found: &properties::Scan<'_>) -> Result<(), Refusal> {
    let illegal = |why| Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, why));
    if found.delay_level().unwrap_or(1) > 0 {
        return illegal("the message is illegal: a batch cannot be delayed");
    }
    if found.is_prepared() {
        return illegal("the message is illegal: a batch cannot be part of a transaction");
    }
    if found.has_timer() {
        return illegal("the message is illegal: a batch cannot be timed");
    }
    Ok(())
}

fn refusal_of(config: &BrokerConfig, error: &AppendError) -> Refusal {
    match error {
        AppendError::TooLarge | AppendError::Illegal(_) => Refusal::new(
            ResponseCode::MESSAGE_ILLEGAL,
            format!(
                "the message is illegal ({error}): a body may have {} bytes, properties 32767",
                config.store.max_message_bytes
            ),
        ),
        AppendError::Store(ErrorKind::DiskFull) => Refusal::new(
            ResponseCode::SERVICE_NOT_AVAILABLE,
            "service not available now: no space or no descriptors for the log; it comes back by \
             itself when there are",
        ),
        AppendError::Store(ErrorKind::ReadOnly) => Refusal::new(
            ResponseCode::SERVICE_NOT_AVAILABLE,
            "service not available now: the store is read-only after a failed write or sync",
        ),
        AppendError::Store(_) => Refusal::new(
            ResponseCode::SERVICE_NOT_AVAILABLE,
            format!("service not available now: {error}"),
        ),
    }
}

fn encode_reply(
    stage: &mut SendStage,
    store_host: SocketAddr,
    (send, verdict): (&StagedSend, Verdict),
    batch: &AppendBatch<'_>,
    out: &mut Vec<u8>,
) {
    match &send.answered {
        Answered::Sent => {}
        Answered::SentBack => {
            let (opaque, stored) = (send.head.opaque, ResponseCode::SUCCESS);
            return Command::response(opaque, send.serialize, stored, None).encode(out);
        }
        Answered::Recalled(unique_id) => {
            let (opaque, stored) = (send.head.opaque, ResponseCode::SUCCESS);
            let msg_id = unique_id.clone();
            let mut answer = Command::response(opaque, send.serialize, stored, None)
                .with_header(&RecallMessageResponse { msg_id });
            answer.ext.insert(property::MSG_REGION, &*stage.region);
            return answer.encode(out);
        }
    }
    let results = &batch.results()[send.first..send.first + send.count];
    stage.message_id.clear();
    let mut first_offset = None;
    for appended in results.iter().flatten() {
        first_offset.get_or_insert(appended.queue_offset);
        if !stage.message_id.is_empty() {
            stage.message_id.push(b',');
        }
        id::push_offset_msg_id(store_host, appended.physical_offset, &mut stage.message_id);
    }
    let unique_id = std::str::from_utf8(&stage.ids[send.unique_id.clone()]).unwrap_or_default();
    let response = SendResponse {
        msg_id: std::str::from_utf8(&stage.message_id).unwrap_or_default(),
        queue_id: send.queue_id,
        queue_offset: first_offset.unwrap_or_default(),
        transaction_id: Some(unique_id),
        batch_uniq_id: None,
        recall_handle: send.timed.as_ref().and_then(|timed| timed.0.as_deref()),
        region: Some(&stage.region),
        trace_on: Some(stage.trace_on),
    };
    let reply = Reply {
        code: code_of(verdict),
        ..Reply::success(send.serialize, send.head.opaque)
    };
    fast::encode_response(out, &reply, &response);
}

fn code_of(verdict: Verdict) -> ResponseCode {
    match verdict {
        Verdict::Kept => ResponseCode::SUCCESS,
        Verdict::SlaveNotAvailable => ResponseCode::SLAVE_NOT_AVAILABLE,
        Verdict::FlushSlaveTimeout => ResponseCode::FLUSH_SLAVE_TIMEOUT,
        Verdict::FlushDiskTimeout => ResponseCode::FLUSH_DISK_TIMEOUT,
    }
}

/// Writes a parked reply: the success that it was encoded as, or what the sender is told instead.
pub(super) fn finish_reply(reply: &[u8], verdict: Verdict, out: &mut Vec<u8>) {
    if verdict == Verdict::Kept {
        out.extend_from_slice(reply);
        return;
    }
    if let Ok(Some((frame, _))) = frame::next_frame(reply, frame::LIMIT_DEFAULT)
        && let Ok(mut command) = Command::decode(frame)
    {
        // Who sent a message back would send it again, and has it stored all the same; who recalls
        // one likewise.
        if command.ext.get("queueId").is_none() {
            return out.extend_from_slice(reply);
        }
        command.code = code_of(verdict).value();
        command.encode(out);
    }
}
