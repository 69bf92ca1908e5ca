//! Messages that a consumer could not consume: sent back to be tried again later, and put among
//! the dead letters after so many tries.

use std::sync::Arc;

use super::DataHandler;
use super::send::{Answered, NotStaged, StagedSend};
use crate::broker::control::{GroupTopic, Task};
use crate::broker::names;
use crate::broker::processors;
use crate::broker::reply::{Refusal, success};
use crate::broker::topics::PERM_WRITE;
use crate::net::{ConnectionId, Io};
use crate::protocol::body::group::SubscriptionGroupConfig;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::filter::tag;
use crate::protocol::frame::FrameRef;
use crate::protocol::header::Head;
use crate::protocol::message::id;
use crate::protocol::message::properties::{
    self, PropertiesBuilder, PropertyError, names as property,
};
use crate::protocol::message::record::{CheckLevel, Checked, NewRecord, RecordRef};
use crate::protocol::message::sysflag::topic as topic_flag;
use crate::protocol::request::query::SendMessageBackRequest;
use crate::protocol::request::send::SendRequest;
use crate::protocol::version;
use crate::store::{LogSlice, Queue};

/// Delay level of a first retry; each further one is a level higher.
const FIRST_RETRY_LEVEL: i32 = 3;

/// Queues of a group's dead letter topic.
const DEAD_LETTER_QUEUES: i32 = 1;

/// Where a message goes that is sent back.
struct Back<'a> {
    /// Who sends it back.
    group: &'a str,
    topic: String,
    queue_id: i32,
    /// The level that it waits in before; 0 for none.
    level: i32,
}

/// A retry that a client sent and that is one too many.
pub(super) struct DeadLetter {
    topic: String,
    properties: String,
    pub(super) queue: Arc<Queue>,
}

impl DeadLetter {
    /// The send as it would be to the dead letter topic.
    pub(super) fn request<'r>(&'r self, request: &SendRequest<'r>) -> SendRequest<'r> {
        SendRequest {
            topic: &self.topic,
            queue_id: self.queue.id(),
            properties: Some(&self.properties),
            ..*request
        }
    }
}

impl DataHandler {
    /// CONSUMER_SEND_MSG_BACK. The message is read from the log; when that would wait for the disk,
    /// the frame comes back after the pages were read.
    pub(super) fn handle_send_back(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        frame: &FrameRef<'_>,
    ) {
        let Some(command) = super::decode(io, conn, frame) else {
            return;
        };
        if let Err(NotStaged::Refused(refusal)) = self.send_back(io, conn, &command, frame) {
            self.answer(io, conn, &command, Err(refusal));
        }
    }

    fn send_back(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        command: &Command,
        frame: &FrameRef<'_>,
    ) -> Result<(), NotStaged> {
        if let Some(refusal) = self.shared.refuse_sends() {
            return Err(refusal.into());
        }
        let request: SendMessageBackRequest = command.header().map_err(Refusal::from)?;
        let head = command.head();
        let group = self.group_or_defer(conn, &request.group, frame)?;
        if self.config.broker_permission.cast_signed() & PERM_WRITE == 0 {
            let ip = self.shared.store_host().ip();
            let remark = format!("the broker[{ip}] sending message is forbidden");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark).into());
        }
        if group.retry_queue_nums <= 0 {
            self.answer(io, conn, command, Ok(Some(success(command))));
            return Ok(());
        }
        let retry = GroupTopic {
            name: names::retry_topic(&request.group),
            queues: group.retry_queue_nums,
            sys_flag: if request.unit_mode {
                topic_flag::UNIT_SUB
            } else {
                0
            },
        };
        if self.group_topic_or_defer(conn, &retry, frame)? & PERM_WRITE == 0 {
            let remark = format!("the topic[{}] sending message is forbidden", retry.name);
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark).into());
        }
        let slice = self.message_or_defer(conn, request.physical_offset, frame)?;
        let record = record_of(&slice).ok_or_else(|| gone(request.physical_offset))?;
        let most = most_tries(&head, request.max_reconsume_times, &group);
        let back = if record.reconsume_times() >= most || request.delay_level < 0 {
            let dead = dead_letters(&request.group);
            self.group_topic_or_defer(conn, &dead, frame)?;
            Back {
                group: &request.group,
                topic: dead.name,
                queue_id: 0,
                level: 0,
            }
        } else {
            Back {
                group: &request.group,
                topic: retry.name,
                queue_id: self.shared.stats.next_queue(group.retry_queue_nums),
                level: match request.delay_level {
                    0 => FIRST_RETRY_LEVEL.saturating_add(record.reconsume_times()),
                    chosen => chosen,
                },
            }
        };
        self.append_back(io, conn, (&head, frame), &record, &back)
    }

    fn append_back(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnectionId,
        (head, frame): (&Head, &FrameRef<'_>),
        record: &RecordRef<'_>,
        back: &Back<'_>,
    ) -> Result<(), NotStaged> {
        let failed = |error: &dyn std::fmt::Display| {
            let remark = format!("the message could not be sent back: {error}");
            Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
        };
        let text = properties_back(record, back.level).map_err(|error| failed(&error))?;
        let again = NewRecord {
            topic: &back.topic,
            queue_id: back.queue_id,
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp_ms: record.born_timestamp_ms(),
            born_host: record.born_host(),
            store_host: self.shared.store_host(),
            reconsume_times: record.reconsume_times().saturating_add(1),
            prepared_transaction_offset: 0,
            body: record.body(),
            properties: &text,
            extra_properties: &[],
        };
        let waiting = self
            .waiting_in(back.level, &back.topic, back.queue_id, &text)
            .map_err(|error| failed(&error))?;
        let delay = waiting.as_ref().map(|waiting| waiting.level);
        let mut batch = self.shared.store.new_batch();
        let (queue, pushed) = match waiting {
            Some(waiting) => {
                let pushed = waiting.push(&again, record.body(), &mut batch);
                (waiting.queue, pushed)
            }
            None => {
                let queue = self.shared.store.queue(&back.topic, back.queue_id);
                let tags_code = tag::tags_code(record.tags().unwrap_or_default());
                let pushed =
                    batch.push_with_body(&again, record.body(), Arc::clone(&queue), tags_code);
                (queue, pushed)
            }
        };
        pushed.map_err(|error| failed(&error))?;
        self.shared.store.append(&mut batch);
        match batch.results().first() {
            Some(Err(error)) => return Err(failed(error).into()),
            Some(Ok(one)) => {
                let (items, now_ms) = (&self.shared.stats.items, self.now_ms());
                let origin = properties::find_str(&text, property::RETRY_TOPIC);
                let (origin, bytes) = (origin.unwrap_or(&back.topic), one.len as u64);
                items.sent_back(origin, back.group, bytes, now_ms);
            }
            None => {}
        }
        self.stage.staged.push(StagedSend {
            head: *head,
            serialize: frame.serialize,
            queue,
            queue_id: back.queue_id,
            delay,
            timed: None,
            first: 0,
            count: 1,
            // Apache does not; but the consumer is about to forget the message.
            wait: true,
            unique_id: 0..0,
            answered: Answered::SentBack,
        });
        self.reply_to_staged(io, conn, &batch);
        self.stage.staged.clear();
        Ok(())
    }

    /// Of a send to a retry topic: what becomes of it when the message was tried often enough.
    /// `None` when it is to be tried again, or is no retry.
    pub(super) fn dead_letter(
        &mut self,
        conn: ConnectionId,
        head: &Head,
        request: &SendRequest<'_>,
        frame: &FrameRef<'_>,
    ) -> Result<Option<DeadLetter>, NotStaged> {
        let Some(name) = request.topic.strip_prefix(names::RETRY_PREFIX) else {
            return Ok(None);
        };
        let group = self.group_or_defer(conn, name, frame)?;
        let most = most_tries(head, request.max_reconsume_times, &group);
        // Who locks queues consumes in order, and tries again by himself before he sends a retry.
        let orderly = || self.shared.locks.lock().is_locked(name, self.now_ms());
        if request.reconsume_times <= most && !orderly() {
            return Ok(None);
        }
        let dead = dead_letters(name);
        self.group_topic_or_defer(conn, &dead, frame)?;
        let mut text =
            PropertiesBuilder::from_text(request.properties.unwrap_or_default().as_bytes());
        let properties = text
            .set(property::DELAY, "-1")
            .ok()
            .and_then(|text| String::from_utf8(text.as_bytes().to_vec()).ok());
        Ok(Some(DeadLetter {
            queue: self.shared.store.queue(&dead.name, 0),
            topic: dead.name,
            properties: properties.unwrap_or_default(),
        }))
    }

    /// The group; where it does not exist yet but may, it is made and the frame comes back.
    fn group_or_defer(
        &self,
        conn: ConnectionId,
        name: &str,
        frame: &FrameRef<'_>,
    ) -> Result<Arc<SubscriptionGroupConfig>, NotStaged> {
        if let Some(group) = self.shared.groups.get(name) {
            return Ok(group);
        }
        if !self.shared.groups.would_create(name) {
            let remark = format!("subscription group not exist, {name}");
            let code = ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST;
            return Err(Refusal::new(code, remark).into());
        }
        self.defer(Task::CreateGroup {
            conn,
            frame: processors::bytes_of(frame),
            group: name.to_owned(),
        })
    }

    /// The permission of a group's retry or dead letter topic; where it does not exist, it is made
    /// and the frame comes back.
    fn group_topic_or_defer(
        &mut self,
        conn: ConnectionId,
        topic: &GroupTopic,
        frame: &FrameRef<'_>,
    ) -> Result<i32, NotStaged> {
        if let Some(known) = self.topics.get(&self.shared, &topic.name) {
            return Ok(known.config.perm);
        }
        names::check_topic(&topic.name)
            .map_err(|remark| Refusal::new(ResponseCode::SYSTEM_ERROR, remark))?;
        self.defer(Task::CreateGroupTopic {
            conn,
            frame: processors::bytes_of(frame),
            topic: topic.clone(),
        })
    }

    fn defer<T>(&self, task: Task) -> Result<T, NotStaged> {
        self.shared.control.try_push(task).map_err(|_| {
            let busy = "[OVERLOAD]system busy, start flow control for a while";
            Refusal::new(ResponseCode::SYSTEM_BUSY, busy)
        })?;
        Err(NotStaged::Deferred)
    }

    /// The record at an offset of the log. When it is not in memory, the helper for cold reads
    /// brings it there and the frame comes back.
    fn message_or_defer(
        &self,
        conn: ConnectionId,
        offset: i64,
        frame: &FrameRef<'_>,
    ) -> Result<LogSlice, NotStaged> {
        let slice = self.shared.store.message_at(offset);
        let slice = slice.ok_or_else(|| gone(offset))?;
        if slice.is_resident() {
            return Ok(slice);
        }
        let bytes = processors::bytes_of(frame);
        match self.shared.cold.fetch(&self.shared, slice, conn, bytes) {
            None => Err(NotStaged::Deferred),
            // The helper has too much to do; the sender waits instead.
            Some(slice) => Ok(slice),
        }
    }
}

fn gone(offset: i64) -> Refusal {
    let remark = format!("look message by offset failed, {offset}");
    Refusal::new(ResponseCode::SYSTEM_ERROR, remark)
}

fn record_of(slice: &LogSlice) -> Option<RecordRef<'_>> {
    match RecordRef::check(slice.as_ref(), CheckLevel::BodyCrc) {
        Ok(Checked::Record(record)) => Some(record),
        _ => None,
    }
}

fn dead_letters(group: &str) -> GroupTopic {
    GroupTopic {
        name: format!("{}{group}", names::DLQ_PREFIX),
        queues: DEAD_LETTER_QUEUES,
        sys_flag: 0,
    }
}

/// How often a message may be tried again: as the client says, if it is new enough to say it.
fn most_tries(head: &Head, asked: Option<i32>, group: &SubscriptionGroupConfig) -> i32 {
    match asked {
        Some(most) if head.version >= version::V3_4_9 => most,
        _ => group.retry_max_times,
    }
}

/// The properties of a message that is sent back: where it came from is kept from the first time.
fn properties_back(record: &RecordRef<'_>, level: i32) -> Result<Vec<u8>, PropertyError> {
    let stored = record.properties_bytes();
    let mut kept = Vec::with_capacity(stored.len() + 128);
    let replaced = [property::WAIT, property::DELAY, property::CRC32];
    properties::remove_all(stored, &replaced, &mut kept);
    let mut text = PropertiesBuilder::from_text(&kept);
    if text.get(property::RETRY_TOPIC).is_none() {
        text.push_bytes(property::RETRY_TOPIC.as_bytes(), record.topic_bytes())?;
    }
    let origin = text.get(property::ORIGIN_MESSAGE_ID);
    if origin.is_none_or(|id| id.iter().all(u8::is_ascii_whitespace)) {
        let mut own = Vec::with_capacity(id::MAX_ID_LEN);
        id::push_offset_msg_id(record.store_host(), record.physical_offset(), &mut own);
        text.remove(property::ORIGIN_MESSAGE_ID);
        text.push_bytes(property::ORIGIN_MESSAGE_ID.as_bytes(), &own)?;
    }
    text.push(property::WAIT, "false")?;
    text.push(property::DELAY, &level.to_string())?;
    Ok(text.into_bytes())
}
