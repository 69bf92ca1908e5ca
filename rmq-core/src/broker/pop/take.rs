//! Pops: messages are read from where the group is, and a check point for each queue is written
//! before the answer leaves.

use std::sync::Arc;

use super::Request;
use super::engine::Engine;
use super::log::ReviveRecord;
use super::order::OrderedPop;
use super::positions::Place;
use crate::broker::filters::{self, Budget};
use crate::broker::names;
use crate::broker::reply::Refusal;
use crate::broker::topics::PERM_READ;
use crate::protocol::body::pop::{CHECK_POINT_MAX, PopCheckPoint};
use crate::protocol::body::topic::TopicConfig;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::filter::sql::Selector;
use crate::protocol::filter::tag::{self, SubscriptionData};
use crate::protocol::message::properties::{self, PropertiesBuilder, names as property};
use crate::protocol::message::record::{
    CheckLevel, Checked, NewRecord, Place as RecordPlace, RecordRef,
};
use crate::protocol::request::pop::extra::{self, ExtraInfo, ORDER_REVIVE_QUEUE, RetryKind};
use crate::protocol::request::pop::{PopMessageRequest, PopMessageResponse};
use crate::store::{LogSlice, Patience, Queue, ReadLimits, ReadOutcome, ReadStatus, RecordFilter};

/// A pop that comes so much after its client gave up waiting is not served, ms.
const LATE_MS: i64 = 500;

/// `initMode` of a group that begins with the first message.
const INIT_MIN: i32 = 0;

/// A checked pop.
pub(super) struct Ask {
    pub(super) header: PopMessageRequest,
    pub(super) topic: Arc<TopicConfig>,
    subscription: SubscriptionData,
    selector: Option<Arc<Selector>>,
    pop_time_ms: i64,
    revive_queue_id: i32,
}

/// What a pop has so far.
#[derive(Default)]
struct Taken {
    body: Vec<u8>,
    count: usize,
    rest: i64,
    starts: String,
    offsets: String,
    counts: String,
}

impl Engine {
    /// POP_MESSAGE.
    pub(super) fn pop(&mut self, request: Request) {
        match self.try_pop(&request) {
            Ok(true) => {}
            Ok(false) => self.hold(request),
            Err(refusal) => self.refuse_pop(&request, refusal),
        }
    }

    /// Consumers read the whole header of every answer.
    pub(super) fn refuse_pop(&mut self, request: &Request, refusal: Refusal) {
        let Refusal { code, remark } = refusal;
        let response = Command::response_to(&request.command, code, Some(remark));
        let response = response.with_header(&PopMessageResponse::empty());
        self.answer(request, Ok(response));
    }

    /// Answers a pop that found nothing and is not held any longer.
    pub(super) fn answer_empty(&mut self, request: &Request, code: ResponseCode) {
        let Ok(header) = request.command.header::<PopMessageRequest>() else {
            return;
        };
        let response = PopMessageResponse {
            pop_time_ms: self.now.wall_ms,
            invisible_time_ms: header.invisible_time_ms,
            revive_queue_id: if header.order { ORDER_REVIVE_QUEUE } else { 0 },
            rest_num: 0,
            start_offset_info: Some(String::new()),
            msg_offset_info: Some(String::new()),
            order_count_info: header.order.then(String::new),
        };
        let remark = ReadStatus::NoMessageInQueue.name().to_owned();
        let answer = Command::response_to(&request.command, code, Some(remark));
        self.answer(request, Ok(answer.with_header(&response)));
    }

    /// Answers the pop if there is something for it.
    pub(super) fn try_pop(&mut self, request: &Request) -> Result<bool, Refusal> {
        let ask = self.check_pop(request)?;
        let mark = self.mark();
        let taken = self.take(&ask);
        if taken.count == 0 {
            return Ok(false);
        }
        let header = PopMessageResponse {
            pop_time_ms: ask.pop_time_ms,
            invisible_time_ms: ask.header.invisible_time_ms,
            revive_queue_id: ask.revive_queue_id,
            rest_num: taken.rest,
            start_offset_info: Some(taken.starts),
            msg_offset_info: Some(taken.offsets),
            order_count_info: ask.header.order.then_some(taken.counts),
        };
        let remark = ReadStatus::Found.name().to_owned();
        let response = Command::response_to(&request.command, ResponseCode::SUCCESS, Some(remark));
        let response = response.with_header(&header).with_body(taken.body);
        self.reply(request.clone(), mark, response);
        Ok(true)
    }

    /// The checks of a pop in Apache's order.
    fn check_pop(&mut self, request: &Request) -> Result<Ask, Refusal> {
        let header: PopMessageRequest = request.command.header()?;
        let now_ms = self.now.wall_ms;
        let ip = self.shared.store_host().ip();
        let waited_ms = now_ms - header.born_time_ms - header.poll_time_ms;
        if header.born_time_ms > 0 && waited_ms > LATE_MS {
            let remark = format!("the broker[{ip}] pop message is timeout too much");
            return Err(Refusal::new(ResponseCode::POLLING_TIMEOUT, remark));
        }
        if header.max_msg_nums > 32 {
            let remark = format!("the broker[{ip}] pop message's num is greater than 32");
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let place = Place::new(&header.topic, &header.consumer_group, header.queue_id);
        let topic = self.check_place(request, &place, "pop")?;
        let subscription = subscription_of(&header)?;
        let selector = match subscription.is_tag_type() {
            true => None,
            false => {
                let (kind, text) = (&subscription.expression_type, &subscription.sub_string);
                let limits = filters::limits(&self.config);
                let compiled = self.selectors.get(kind, text, &limits);
                Some(compiled.map_err(|_| parse_failed())?)
            }
        };
        let revive_queue_id = match header.order {
            true => ORDER_REVIVE_QUEUE,
            false => self.next_revive_queue(),
        };
        Ok(Ask {
            header,
            topic,
            subscription,
            selector,
            pop_time_ms: now_ms,
            revive_queue_id,
        })
    }

    /// What pops, notifications and their like check of topic, queue and group.
    pub(super) fn check_place(
        &self,
        request: &Request,
        place: &Place,
        verb: &str,
    ) -> Result<Arc<TopicConfig>, Refusal> {
        let ip = self.shared.store_host().ip();
        let (name, group) = (&place.topic, &place.group);
        if self.config.broker_permission.cast_signed() & PERM_READ == 0 {
            let remark = format!("the broker[{ip}] {verb} message is forbidden");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        let Some(topic) = self.shared.topics.get(name) else {
            let remark = format!("topic[{name}] not exist, apply first please!");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if topic.perm & PERM_READ == 0 {
            let remark = format!("the topic[{name}] peeking message is forbidden");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if place.queue_id >= topic.read_queue_nums {
            let remark = format!(
                "queueId[{}] is illegal, topic:[{name}] topicConfig.readQueueNums:[{}] \
                 consumer:[{}]",
                place.queue_id, topic.read_queue_nums, request.peer
            );
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let Some(config) = self.shared.groups.get_or_stand_in(group) else {
            let remark = format!("subscription group [{group}] does not exist");
            let code = ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST;
            return Err(Refusal::new(code, remark));
        };
        if !config.consume_enable {
            let remark = format!("subscription group no permission, {group}");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        Ok(topic)
    }

    /// The retry topics of a group: of the newer name and the older one, as configured.
    pub(super) fn retry_topics(&self, topic: &str, group: &str) -> Vec<Arc<TopicConfig>> {
        let kinds: &[RetryKind] = match (self.config.pop_retry_v2, self.config.pop_reads_retry_v1) {
            (false, _) => &[RetryKind::V1],
            (true, false) => &[RetryKind::V2],
            (true, true) => &[RetryKind::V2, RetryKind::V1],
        };
        let names = kinds.iter().map(|kind| kind.topic(topic, group));
        names
            .filter_map(|name| self.shared.topics.get(&name))
            .collect()
    }

    fn take(&mut self, ask: &Ask) -> Taken {
        let mut taken = Taken::default();
        let random = self.random();
        let percent = u64::from(self.config.pop_retry_first_percent);
        let retries = match ask.header.order {
            true => Vec::new(),
            false => self.retry_topics(&ask.header.topic, &ask.header.consumer_group),
        };
        let retries_first = random % 100 < percent;
        if retries_first {
            self.take_of_topics(ask, &retries, random, &mut taken);
        }
        match ask.header.queue_id {
            queue_id if queue_id >= 0 => {
                self.take_of_queue(ask, &ask.header.topic, queue_id, &mut taken);
            }
            _ => self.take_of_topics(ask, &[Arc::clone(&ask.topic)], random, &mut taken),
        }
        if !retries_first {
            self.take_of_topics(ask, &retries, random, &mut taken);
        }
        taken
    }

    fn take_of_topics(
        &mut self,
        ask: &Ask,
        topics: &[Arc<TopicConfig>],
        random: u64,
        taken: &mut Taken,
    ) {
        for topic in topics {
            let queues = topic.read_queue_nums;
            let first = random % u64::from(queues.max(1).unsigned_abs());
            let first = i32::try_from(first).unwrap_or(0);
            for queue_id in (first..queues).chain(0..first) {
                self.take_of_queue(ask, &topic.topic_name, queue_id, taken);
            }
        }
    }

    fn take_of_queue(&mut self, ask: &Ask, topic: &str, queue_id: i32, taken: &mut Taken) {
        let place = Place::new(topic, &ask.header.consumer_group, queue_id);
        let queue = self.shared.store.queue(topic, queue_id);
        let offset = self.position(&queue, &place, ask.header.init_mode);
        if self.is_throttled(ask, &place) {
            taken.rest += (queue.max_offset() - offset).max(0);
            return;
        }
        if ask.header.order && self.is_blocked(ask, &place, offset) {
            return;
        }
        let most = usize::try_from(ask.header.max_msg_nums).unwrap_or(0);
        let most = most.min(CHECK_POINT_MAX);
        if taken.count >= most || offset == queue.max_offset() {
            taken.rest += (queue.max_offset() - offset).max(0);
            return;
        }
        let limits = ReadLimits {
            max_count: most - taken.count,
            ..ReadLimits::default()
        };
        let mut offset = offset;
        let mut outcome = self.read(ask, &queue, offset, limits);
        if matches!(
            outcome.status,
            ReadStatus::OffsetTooSmall
                | ReadStatus::OffsetOverflowBadly
                | ReadStatus::OffsetFoundNull
        ) {
            offset = outcome.next_offset;
            self.move_to(ask, &place, offset);
            outcome = self.read(ask, &queue, offset, limits);
        }
        taken.rest += (outcome.max_offset - outcome.next_offset).max(0);
        if !outcome.records.is_empty() {
            self.hand_out(ask, &place, offset, &outcome, taken);
        } else if outcome.next_offset > offset {
            self.move_to(ask, &place, outcome.next_offset);
        }
    }

    /// Whether the group has so much of the queue that it gets no more for now. An ordered group
    /// has no more than one pop's messages.
    fn is_throttled(&mut self, ask: &Ask, place: &Place) -> bool {
        if ask.header.order || !self.exceeds(place) {
            return false;
        }
        let topic = ask.header.topic.clone();
        self.throttled.insert((place.clone(), topic));
        true
    }

    fn exceeds(&self, place: &Place) -> bool {
        let config = &self.config;
        config.pop_in_flight_limited
            && self.points.in_flight(place) as u64 > config.pop_in_flight_max
    }

    /// Looks again for groups that got no more of a queue and have acknowledged enough of it.
    pub(super) fn unthrottle(&mut self) {
        if self.throttled.is_empty() {
            return;
        }
        let mut throttled = std::mem::take(&mut self.throttled);
        let freed: Vec<_> = throttled
            .extract_if(.., |(place, _)| !self.exceeds(place))
            .collect();
        self.throttled = throttled;
        for (place, topic) in freed {
            self.wake_all(&topic, None, Some(&place.group));
        }
    }

    /// Ordered groups move by acknowledgements, and so their offsets are committed at once.
    fn move_to(&mut self, ask: &Ask, place: &Place, next: i64) {
        let offsets = &self.shared.offsets;
        match ask.header.order {
            true => offsets.commit(&place.topic, &place.group, place.queue_id, next),
            false => self.positions.set(offsets, place, next),
        }
    }

    /// Where the group pops next; a new one begins as `init_mode` says.
    fn position(&mut self, queue: &Arc<Queue>, place: &Place, init_mode: i32) -> i64 {
        let offsets = &self.shared.offsets;
        let (topic, group) = (&place.topic, &place.group);
        if let Some(reset) = self.shared.resets.take(topic, group, place.queue_id) {
            self.positions.set(offsets, place, reset);
            return reset;
        }
        if let Some(known) = self.positions.get(offsets, place) {
            return known;
        }
        let store = &self.shared.store;
        let min = queue.min_offset();
        let from_start = init_mode == INIT_MIN || place.topic.starts_with(names::RETRY_PREFIX);
        let in_memory = || min <= 0 && store.is_recent(queue, 0);
        let start = match from_start {
            true => min,
            false if self.config.pop_init_by_memory && in_memory() => 0,
            // It begins with the last one.
            false => (queue.max_offset() - 1).max(0),
        };
        offsets.commit(&place.topic, &place.group, place.queue_id, start);
        start
    }

    fn is_blocked(&mut self, ask: &Ask, place: &Place, offset: i64) -> bool {
        let at = (place.topic.as_str(), place.group.as_str(), place.queue_id);
        let header = &ask.header;
        let attempt = header.attempt_id.as_deref();
        let mut orders = self.shared.pops.orders.lock();
        orders.clear_if_moved(at, offset);
        let invisible_ms = header.invisible_time_ms;
        let until = orders.blocked_until(at, attempt, invisible_ms, self.now.wall_ms);
        drop(orders);
        if let Some(until_ms) = until {
            self.unlocks.insert((until_ms, place.clone()));
        }
        until.is_some()
    }

    fn read(&self, ask: &Ask, queue: &Queue, offset: i64, limits: ReadLimits) -> ReadOutcome {
        let store = &self.shared.store;
        let Some(selector) = &ask.selector else {
            let mut by_tags = |code| ask.subscription.matches_code(code);
            return store.read(queue, offset, limits, &mut by_tags);
        };
        let mut budget = Budget::new(self.config.filter_steps_max);
        let mut judge = |record: &[u8]| budget.judge(selector, filters::properties_of(record));
        let by_record = RecordFilter {
            matches: &mut judge,
            // This thread may wait for the disk.
            patience: Patience::Waits,
        };
        store.read_matching(queue, offset, limits, &mut |_| true, by_record)
    }

    /// Puts messages into the answer, and takes note that the group has them.
    fn hand_out(
        &mut self,
        ask: &Ask,
        place: &Place,
        start: i64,
        outcome: &ReadOutcome,
        taken: &mut Taken,
    ) {
        let records: Vec<RecordRef<'_>> = outcome.records.iter().filter_map(record_of).collect();
        let offsets: Vec<i64> = records.iter().map(RecordRef::queue_offset).collect();
        if offsets.is_empty() {
            self.move_to(ask, place, outcome.next_offset);
            return;
        }
        let Place {
            topic, queue_id, ..
        } = place;
        let counted = (offsets.len() as u64, outcome.bytes as u64);
        let stats = &self.shared.stats;
        stats.handed_out(topic, &place.group, counted, self.now.monotonic_ms);
        if ask.header.order {
            let pop = OrderedPop {
                attempt_id: ask.header.attempt_id.as_deref(),
                now_ms: ask.pop_time_ms,
                invisible_ms: ask.header.invisible_time_ms,
                offsets: &offsets,
            };
            let at = (topic.as_str(), place.group.as_str(), *queue_id);
            let mut orders = self.shared.pops.orders.lock();
            orders.popped(at, &pop, &mut taken.counts);
            drop(orders);
            self.move_to(ask, place, start);
        } else {
            let point = self.point(ask, place, start, &offsets);
            let now_ms = self.now.wall_ms;
            let record = ReviveRecord::point(&point, ask.revive_queue_id, now_ms);
            self.write(record, Some((place.clone(), start)));
            self.move_to(ask, place, outcome.next_offset);
        }
        extra::add_start_offset(&mut taken.starts, topic, *queue_id, start);
        extra::add_offsets(&mut taken.offsets, topic, *queue_id, &offsets);
        taken.count += records.len();
        for record in &records {
            let as_stored = self.config.pop_shows_retry_topic || *topic == ask.header.topic;
            match as_stored {
                true => taken.body.extend_from_slice(record.bytes()),
                false => self.show_retry(ask, start, record, &mut taken.body),
            }
        }
    }

    fn point(&self, ask: &Ask, place: &Place, start: i64, offsets: &[i64]) -> PopCheckPoint {
        let distance = |offset: &i64| i32::try_from(offset - start).unwrap_or(i32::MAX);
        PopCheckPoint {
            broker_name: self.config.broker_name.clone(),
            group: place.group.clone(),
            diffs: offsets.iter().map(distance).collect(),
            invisible_time_ms: ask.header.invisible_time_ms,
            count: i32::try_from(offsets.len()).unwrap_or(0),
            pop_time_ms: ask.pop_time_ms,
            queue_id: place.queue_id,
            start_offset: start,
            topic: place.topic.clone(),
            ..PopCheckPoint::default()
        }
    }

    /// A message of a retry topic, as one of the topic that is popped.
    fn show_retry(&self, ask: &Ask, start: i64, record: &RecordRef<'_>, body: &mut Vec<u8>) {
        let info = ExtraInfo {
            start_offset: start,
            pop_time_ms: ask.pop_time_ms,
            invisible_time_ms: ask.header.invisible_time_ms,
            revive_queue_id: ask.revive_queue_id,
            retry: RetryKind::of_topic(&record.topic()),
            broker_name: self.config.broker_name.clone(),
            queue_id: record.queue_id(),
            queue_offset: Some(record.queue_offset()),
        };
        let mut text = Vec::new();
        properties::remove(record.properties_bytes(), property::CRC32, &mut text);
        let mut text = PropertiesBuilder::from_text(&text);
        if text.get(property::POP_CK).is_none()
            && let Err(error) = text.push(property::POP_CK, &info.to_text())
        {
            tracing::error!(%error, "a retried message comes without its check point");
        }
        let shown = NewRecord {
            topic: &ask.header.topic,
            queue_id: record.queue_id(),
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp_ms: record.born_timestamp_ms(),
            born_host: record.born_host(),
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times(),
            prepared_transaction_offset: record.prepared_transaction_offset(),
            body: record.body(),
            properties: text.as_bytes(),
            extra_properties: &[],
        };
        let at = RecordPlace {
            queue_offset: record.queue_offset(),
            physical_offset: record.physical_offset(),
            store_timestamp_ms: record.store_timestamp_ms(),
        };
        let mut options = self.stage_options();
        options.append_crc = false;
        if let Err(error) = shown.encode(&options, &at, body) {
            tracing::error!(%error, "a retried message cannot be shown");
        }
    }
}

fn parse_failed() -> Refusal {
    let remark = "parse the consumer's subscription failed";
    Refusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, remark)
}

fn subscription_of(header: &PopMessageRequest) -> Result<SubscriptionData, Refusal> {
    let text = header.exp.as_deref().filter(|text| !text.is_empty());
    let kind = header.exp_type.as_deref();
    match (text, kind) {
        (Some(text), Some(kind)) if !tag::is_tag_type(Some(kind)) => {
            Ok(SubscriptionData::from_expression(&header.topic, text, kind))
        }
        _ => SubscriptionData::from_tags(&header.topic, text).map_err(|_| parse_failed()),
    }
}

pub(super) fn record_of(slice: &LogSlice) -> Option<RecordRef<'_>> {
    match RecordRef::check(slice.as_ref(), CheckLevel::Bounds) {
        Ok(Checked::Record(record)) => Some(record),
        _ => None,
    }
}
