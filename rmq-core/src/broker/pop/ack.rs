//! Acknowledgements, and changes of the time for which a message is invisible. Both are records of
//! the revive queue that the check point is in; ordered groups have none and move their offset.

use std::sync::Arc;

use super::Request;
use super::engine::Engine;
use super::log::ReviveRecord;
use super::order::Acked;
use crate::broker::reply::Refusal;
use crate::protocol::body::pop::{BatchAck, BatchAckBody, PopAck, PopCheckPoint};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::pop::extra::{ExtraInfo, ORDER_REVIVE_QUEUE, RetryKind};
use crate::protocol::request::pop::{
    AckMessageRequest, ChangeInvisibleTimeRequest, ChangeInvisibleTimeResponse,
};
use crate::store::Queue;

/// A message that an ordered group is done with.
struct OrderedAck<'a> {
    topic: &'a str,
    group: &'a str,
    queue_id: i32,
    offset: i64,
    pop_time_ms: i64,
}

fn illegal(remark: impl Into<String>) -> Refusal {
    Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark)
}

impl Engine {
    /// ACK_MESSAGE.
    pub(super) fn ack(&mut self, request: Request) {
        let mark = self.mark();
        match self.acknowledge(&request) {
            Ok(()) => self.succeed(request, mark),
            Err(refusal) => self.answer(&request, Err(refusal)),
        }
    }

    fn succeed(&mut self, request: Request, mark: usize) {
        let response = Command::response_to(&request.command, ResponseCode::SUCCESS, None);
        self.reply(request, mark, response);
    }

    /// The queue of a message that is handed back.
    fn queue_of(
        &self,
        request: &Request,
        topic: &str,
        queue_id: i32,
    ) -> Result<Arc<Queue>, Refusal> {
        let Some(config) = self.shared.topics.get(topic) else {
            let remark = format!("topic[{topic}] not exist, apply first please!");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if !(0..config.read_queue_nums).contains(&queue_id) {
            return Err(illegal(format!(
                "queueId[{queue_id}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{}] \
                 consumer:[{}]",
                config.read_queue_nums, request.peer
            )));
        }
        Ok(self.shared.store.queue(topic, queue_id))
    }

    fn extra_info(&self, text: &str) -> Result<ExtraInfo, Refusal> {
        let info = ExtraInfo::parse(text)
            .ok_or_else(|| illegal(format!("extraInfo[{text}] is illegal")))?;
        let queue_id = info.revive_queue_id;
        if queue_id != ORDER_REVIVE_QUEUE && !self.has_revive_queue(queue_id) {
            return Err(illegal(format!("reviveQid[{queue_id}] is illegal")));
        }
        Ok(info)
    }

    fn acknowledge(&mut self, request: &Request) -> Result<(), Refusal> {
        let header: AckMessageRequest = request.command.header()?;
        let queue = self.queue_of(request, &header.topic, header.queue_id)?;
        let (min, max) = (queue.min_offset(), queue.max_offset());
        let offset = header.offset;
        if !(min..=max).contains(&offset) {
            let remark = format!(
                "offset is illegal, key:{}@{}, commit:{offset}, store:{min}~{max}",
                header.topic, header.queue_id
            );
            return Err(Refusal::new(ResponseCode::NO_MESSAGE, remark));
        }
        let info = self.extra_info(&header.extra_info)?;
        if info.revive_queue_id == ORDER_REVIVE_QUEUE {
            return self.acknowledge_in_order(&OrderedAck {
                topic: &header.topic,
                group: &header.consumer_group,
                queue_id: header.queue_id,
                offset,
                pop_time_ms: info.pop_time_ms,
            });
        }
        let ack = PopAck {
            offset,
            offsets: None,
            broker_name: info.broker_name,
            group: header.consumer_group,
            pop_time_ms: info.pop_time_ms,
            queue_id: header.queue_id,
            start_offset: info.start_offset,
            topic: header.topic,
        };
        let record = ReviveRecord::ack(&ack, info.revive_queue_id, self.now.wall_ms);
        self.write(record, None);
        Ok(())
    }

    /// BATCH_ACK_MESSAGE.
    pub(super) fn batch_ack(&mut self, request: Request) {
        let body = BatchAckBody::decode(&request.command.body).unwrap_or_default();
        if body.acks.is_empty() {
            let remark = "no message is acknowledged";
            return self.answer(
                &request,
                Err(Refusal::new(ResponseCode::NO_MESSAGE, remark)),
            );
        }
        let mark = self.mark();
        for ack in &body.acks {
            if let Err(refusal) = self.acknowledge_all(ack, &body.broker_name) {
                return self.answer(&request, Err(refusal));
            }
        }
        self.succeed(request, mark);
    }

    fn acknowledge_all(&mut self, ack: &BatchAck, broker_name: &str) -> Result<(), Refusal> {
        let is_ordered = ack.revive_queue_id == ORDER_REVIVE_QUEUE;
        if !is_ordered && !self.has_revive_queue(ack.revive_queue_id) {
            let remark = format!("reviveQid[{}] is illegal", ack.revive_queue_id);
            return Err(illegal(remark));
        }
        let kind = RetryKind::from_flag(&ack.retry)
            .ok_or_else(|| illegal(format!("retry[{}] is illegal", ack.retry)))?;
        let topic = kind.topic(&ack.topic, &ack.group);
        let Some(queue) = self.shared.store.find_queue(&topic, ack.queue_id) else {
            return Ok(());
        };
        let range = queue.min_offset()..=queue.max_offset();
        let offsets = ack
            .offsets()
            .ok_or_else(|| illegal("the bits of the offsets are illegal"))?;
        let offsets: Vec<i64> = offsets
            .into_iter()
            .filter(|one| range.contains(one))
            .collect();
        if is_ordered {
            for offset in offsets {
                self.acknowledge_in_order(&OrderedAck {
                    topic: &topic,
                    group: &ack.group,
                    queue_id: ack.queue_id,
                    offset,
                    pop_time_ms: ack.pop_time_ms,
                })?;
            }
            return Ok(());
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let record = PopAck {
            offset: -1,
            offsets: Some(offsets),
            broker_name: broker_name.to_owned(),
            group: ack.group.clone(),
            pop_time_ms: ack.pop_time_ms,
            queue_id: ack.queue_id,
            start_offset: ack.start_offset,
            topic,
        };
        let record = ReviveRecord::ack(&record, ack.revive_queue_id, self.now.wall_ms);
        self.write(record, None);
        Ok(())
    }

    fn acknowledge_in_order(&mut self, ack: &OrderedAck<'_>) -> Result<(), Refusal> {
        let OrderedAck {
            topic,
            group,
            queue_id,
            offset,
            pop_time_ms,
        } = *ack;
        let offsets = &self.shared.offsets;
        let committed = offsets.query(topic, group, queue_id).unwrap_or(-1);
        if offset < committed {
            return Ok(());
        }
        let at = (topic, group, queue_id);
        let mut orders = self.shared.pops.orders.lock();
        let acked = orders.acknowledge(at, offset, pop_time_ms, committed);
        let until = orders.blocked_until(at, None, 0, self.now.wall_ms);
        drop(orders);
        match acked {
            // A reset that the group was not told of yet has the last word.
            Acked::Next(_) if self.shared.resets.has(topic, group, queue_id) => {}
            Acked::Next(next) => offsets.commit(topic, group, queue_id, next),
            Acked::Stale => return Ok(()),
            Acked::Unknown => {
                return Err(illegal(format!(
                    "offset is illegal, key:{topic}@{group}@{queue_id}, old:{committed}, \
                     commit:{offset}"
                )));
            }
        }
        if until.is_none() {
            self.wake_all(topic, Some(queue_id), Some(group));
        }
        Ok(())
    }

    /// CHANGE_MESSAGE_INVISIBLETIME: a check point of its own takes the message over.
    pub(super) fn change_invisible_time(&mut self, request: Request) {
        let mark = self.mark();
        match self.change(&request) {
            Ok(header) => {
                let response = Command::response_to(&request.command, ResponseCode::SUCCESS, None);
                self.reply(request, mark, response.with_header(&header));
            }
            Err(Refusal { code, remark }) => {
                // Clients read the whole header of every answer.
                let header = ChangeInvisibleTimeResponse::empty();
                let answer = Command::response_to(&request.command, code, Some(remark));
                self.answer(&request, Ok(answer.with_header(&header)));
            }
        }
    }

    fn change(&mut self, request: &Request) -> Result<ChangeInvisibleTimeResponse, Refusal> {
        let header: ChangeInvisibleTimeRequest = request.command.header()?;
        let queue = self.queue_of(request, &header.topic, header.queue_id)?;
        if !(queue.min_offset()..queue.max_offset()).contains(&header.offset) {
            let remark = format!("there is no message at offset {}", header.offset);
            return Err(Refusal::new(ResponseCode::NO_MESSAGE, remark));
        }
        let info = self.extra_info(&header.extra_info)?;
        if info.revive_queue_id == ORDER_REVIVE_QUEUE {
            return Ok(self.change_in_order(&header, &info));
        }
        // Later than the pop, so that the two check points of one offset differ.
        let now_ms = self.now.wall_ms.max(info.pop_time_ms + 1);
        let point = PopCheckPoint {
            broker_name: info.broker_name.clone(),
            group: header.consumer_group.clone(),
            diffs: vec![0],
            invisible_time_ms: header.invisible_time_ms,
            count: 1,
            pop_time_ms: now_ms,
            queue_id: header.queue_id,
            start_offset: header.offset,
            suspend: header.suspend.unwrap_or(false),
            topic: header.topic.clone(),
            ..PopCheckPoint::default()
        };
        let ack = PopAck {
            offset: header.offset,
            offsets: None,
            broker_name: info.broker_name,
            group: header.consumer_group,
            pop_time_ms: info.pop_time_ms,
            queue_id: header.queue_id,
            start_offset: info.start_offset,
            topic: header.topic,
        };
        // In this order: a crash in between makes the message come at the earlier of both times.
        let revive_queue_id = info.revive_queue_id;
        self.write(ReviveRecord::point(&point, revive_queue_id, now_ms), None);
        self.write(ReviveRecord::ack(&ack, revive_queue_id, now_ms), None);
        Ok(ChangeInvisibleTimeResponse {
            pop_time_ms: now_ms,
            invisible_time_ms: header.invisible_time_ms,
            revive_queue_id,
        })
    }

    fn change_in_order(
        &mut self,
        header: &ChangeInvisibleTimeRequest,
        info: &ExtraInfo,
    ) -> ChangeInvisibleTimeResponse {
        let (topic, group) = (&header.topic, &header.consumer_group);
        let at = (topic.as_str(), group.as_str(), header.queue_id);
        let committed = self.shared.offsets.query(topic, group, header.queue_id);
        if committed.is_some_and(|committed| header.offset < committed) {
            return ChangeInvisibleTimeResponse::empty();
        }
        let visible_ms = self.now.wall_ms.saturating_add(header.invisible_time_ms);
        let mut orders = self.shared.pops.orders.lock();
        orders.set_visible(at, header.offset, info.pop_time_ms, visible_ms);
        let until = orders.blocked_until(at, None, 0, self.now.wall_ms);
        drop(orders);
        match until {
            Some(until_ms) => {
                let place = super::positions::Place::new(topic, group, header.queue_id);
                self.unlocks.insert((until_ms, place));
            }
            None => self.wake_all(topic, Some(header.queue_id), Some(group)),
        }
        ChangeInvisibleTimeResponse {
            pop_time_ms: info.pop_time_ms,
            invisible_time_ms: visible_ms - info.pop_time_ms,
            revive_queue_id: info.revive_queue_id,
        }
    }
}
