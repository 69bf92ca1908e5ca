//! Waiting: pops and notifications that found nothing are held, and looked at again when there is
//! something new.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::engine::Engine;
use super::polling::{Held, PollLimits};
use super::positions::Place;
use super::{POP_WAITER, Request};
use crate::broker::reply::Refusal;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::pop::{
    NotificationRequest, NotificationResponse, PeekMessageRequest, PollingInfoRequest,
    PollingInfoResponse, PopMessageRequest, PopMessageResponse,
};
use crate::store::{Queue, ReadLimits, ReadStatus};

/// No request is held longer, whatever its client asks for.
const HOLD_MAX_MS: i64 = 300_000;

/// What a held request waits for.
struct Wait {
    place: Place,
    born_ms: i64,
    poll_ms: i64,
}

fn wait_of(command: &Command) -> Option<Wait> {
    if command.request_code() == RequestCode::POP_MESSAGE {
        let header: PopMessageRequest = command.header().ok()?;
        return Some(Wait {
            place: Place::new(&header.topic, &header.consumer_group, header.queue_id),
            born_ms: header.born_time_ms,
            poll_ms: header.poll_time_ms,
        });
    }
    let header: NotificationRequest = command.header().ok()?;
    Some(Wait {
        place: Place::new(&header.topic, &header.consumer_group, header.queue_id),
        born_ms: header.born_time_ms,
        poll_ms: header.poll_time_ms,
    })
}

impl Engine {
    /// Holds a request that found nothing, or says that it is not held.
    pub(super) fn hold(&mut self, request: Request) {
        let Some(wait) = wait_of(&request.command) else {
            return;
        };
        let now_ms = self.now.wall_ms;
        let born_ms = if wait.born_ms > 0 {
            wait.born_ms
        } else {
            now_ms
        };
        let left_ms = (born_ms + wait.poll_ms - now_ms).min(wait.poll_ms.min(HOLD_MAX_MS));
        let left_ms = u64::try_from(left_ms).unwrap_or(0);
        if left_ms == 0 {
            self.give_up(&request, false);
            return;
        }
        let limits = PollLimits {
            all: self.config.pop_polling_max,
            of_place: self.config.pop_polling_of_queue,
            places: self.config.pop_polling_places,
        };
        let place = wait.place;
        let queues = self.queues_of(&place);
        let held = Held {
            conn: request.conn,
            place: place.clone(),
            deadline_ms: self.now.monotonic_ms + left_ms,
            request,
        };
        if let Err(held) = self.polling.hold(limits, held) {
            self.give_up(&held.request, true);
            return;
        }
        self.shared.pops.holds.store(true, Ordering::Release);
        // A message that came between the look and the bit told nobody.
        let mut is_new = false;
        for queue in queues {
            queue.waiters.fetch_or(POP_WAITER, Ordering::SeqCst);
            let at = Place::new(queue.topic(), &place.group, queue.id());
            let next = self.positions.get(&self.shared.offsets, &at);
            is_new |= queue.max_offset() > next.unwrap_or(0);
        }
        if is_new {
            self.wake(&place);
        }
    }

    /// The queues of a topic that somebody who waits at `place` waits for.
    fn queues_of(&self, place: &Place) -> Vec<Arc<Queue>> {
        let Some(topic) = self.shared.topics.get(&place.topic) else {
            return Vec::new();
        };
        let ids = match place.queue_id {
            queue_id if queue_id >= 0 => queue_id..queue_id + 1,
            _ => 0..topic.read_queue_nums,
        };
        let store = &self.shared.store;
        ids.map(|queue_id| store.queue(&place.topic, queue_id))
            .collect()
    }

    /// Answers what is not held, or not any longer.
    fn give_up(&mut self, request: &Request, full: bool) {
        if request.command.request_code() == RequestCode::NOTIFICATION {
            self.notify(request, false, full);
            return;
        }
        let code = match full {
            true => ResponseCode::POLLING_FULL,
            false => ResponseCode::POLLING_TIMEOUT,
        };
        self.answer_empty(request, code);
    }

    /// A queue that somebody waits at has something new.
    pub(super) fn arrived(&mut self, queue: &Arc<Queue>) {
        if self.polling.is_watched(queue.topic(), queue.id()) {
            // Before the look: what comes after it tells again.
            queue.waiters.fetch_or(POP_WAITER, Ordering::SeqCst);
            self.wake_all(queue.topic(), Some(queue.id()), None);
        }
    }

    /// Looks again for those who wait at a topic: at one queue of it, or of one group.
    pub(super) fn wake_all(&mut self, topic: &str, queue_id: Option<i32>, group: Option<&str>) {
        for place in self.polling.places_of(topic, queue_id, group) {
            self.wake(&place);
        }
    }

    /// Looks again for those who wait at a place, until one finds nothing.
    fn wake(&mut self, place: &Place) {
        for id in self.polling.ids_at(place) {
            let Some(request) = self.polling.get(id).map(|held| held.request.clone()) else {
                continue;
            };
            if request.command.request_code() == RequestCode::NOTIFICATION {
                if self.has_message(&request) {
                    self.polling.take(id);
                    self.notify(&request, true, false);
                }
                continue;
            }
            match self.try_pop(&request) {
                Ok(false) => return,
                Ok(true) => {
                    self.polling.take(id);
                }
                Err(refusal) => {
                    self.polling.take(id);
                    self.refuse_pop(&request, refusal);
                }
            }
        }
    }

    /// Looks again for ordered groups whose messages are visible again.
    pub(super) fn unlock(&mut self) {
        while self
            .unlocks
            .first()
            .is_some_and(|(at_ms, _)| *at_ms <= self.now.wall_ms)
        {
            if let Some((_, place)) = self.unlocks.pop_first() {
                self.wake_all(&place.topic, Some(place.queue_id), Some(&place.group));
            }
        }
    }

    /// Answers what was held long enough.
    pub(super) fn expire(&mut self) {
        for held in self.polling.take_expired(self.now.monotonic_ms) {
            self.give_up(&held.request, false);
        }
    }

    /// NOTIFICATION.
    pub(super) fn notification(&mut self, request: Request) {
        let header: NotificationRequest = match request.command.header() {
            Ok(header) => header,
            Err(error) => return self.answer(&request, Err(error.into())),
        };
        let place = Place::new(&header.topic, &header.consumer_group, header.queue_id);
        if let Err(refusal) = self.check_place(&request, &place, "peeking") {
            return self.answer(&request, Err(refusal));
        }
        match self.has_message(&request) {
            true => self.notify(&request, true, false),
            false => self.hold(request),
        }
    }

    fn notify(&mut self, request: &Request, has_msg: bool, polling_full: bool) {
        let header = NotificationResponse {
            has_msg,
            polling_full,
        };
        let response = Command::response_to(&request.command, ResponseCode::SUCCESS, None);
        self.answer(request, Ok(response.with_header(&header)));
    }

    fn has_message(&mut self, request: &Request) -> bool {
        let Ok(header) = request.command.header::<NotificationRequest>() else {
            return false;
        };
        let place = Place::new(&header.topic, &header.consumer_group, header.queue_id);
        let mut queues = self.queues_of(&place);
        for retry in self.retry_topics(&place.topic, &place.group) {
            let ids = 0..retry.read_queue_nums;
            queues.extend(ids.map(|id| self.shared.store.queue(&retry.topic_name, id)));
        }
        queues.iter().any(|queue| {
            let at = (header.topic.as_str(), place.group.as_str(), queue.id());
            let attempt = header.attempt_id.as_deref();
            let orders = &self.shared.pops.orders;
            let now_ms = self.now.wall_ms;
            let is_blocked = || {
                orders
                    .lock()
                    .blocked_until(at, attempt, 0, now_ms)
                    .is_some()
            };
            if header.order && is_blocked() {
                return false;
            }
            let at = Place::new(queue.topic(), &place.group, queue.id());
            let next = self.positions.get(&self.shared.offsets, &at);
            queue.max_offset() > next.unwrap_or_else(|| queue.min_offset())
        })
    }

    /// PEEK_MESSAGE: what a pop would take; nothing changes.
    pub(super) fn peek(&mut self, request: &Request) {
        let answer = self.peeked(request);
        self.answer(request, answer);
    }

    fn peeked(&mut self, request: &Request) -> Result<Command, Refusal> {
        let header: PeekMessageRequest = request.command.header()?;
        let place = Place::new(&header.topic, &header.consumer_group, header.queue_id);
        self.check_place(request, &place, "peeking")?;
        let mut queues = self.queues_of(&place);
        for retry in self.retry_topics(&place.topic, &place.group) {
            let ids = 0..retry.read_queue_nums;
            queues.extend(ids.map(|id| self.shared.store.queue(&retry.topic_name, id)));
        }
        let most = usize::try_from(header.max_msg_nums).unwrap_or(0).min(32);
        let (mut body, mut count, mut rest) = (Vec::new(), 0, 0);
        for queue in queues {
            let at = Place::new(queue.topic(), &place.group, queue.id());
            let next = self.positions.get(&self.shared.offsets, &at);
            let next = next.unwrap_or(0).max(queue.min_offset());
            rest += (queue.max_offset() - next).max(0);
            if count >= most {
                continue;
            }
            let limits = ReadLimits {
                max_count: most - count,
                ..ReadLimits::default()
            };
            let outcome = self.shared.store.read(&queue, next, limits, &mut |_| true);
            count += outcome.records.len();
            for record in &outcome.records {
                body.extend_from_slice(record.as_ref());
            }
        }
        let (code, status) = match count {
            0 => (ResponseCode::PULL_NOT_FOUND, ReadStatus::NoMessageInQueue),
            _ => (ResponseCode::SUCCESS, ReadStatus::Found),
        };
        let response = PopMessageResponse {
            rest_num: rest,
            ..PopMessageResponse::empty()
        };
        let answer = Command::response_to(&request.command, code, Some(status.name().to_owned()));
        Ok(answer.with_header(&response).with_body(body))
    }

    /// POLLING_INFO.
    pub(super) fn polling_info(&mut self, request: &Request) {
        let answer = self.polling_count(request);
        self.answer(request, answer);
    }

    fn polling_count(&self, request: &Request) -> Result<Command, Refusal> {
        let header: PollingInfoRequest = request.command.header()?;
        let place = Place::new(&header.topic, &header.consumer_group, header.queue_id);
        self.check_place(request, &place, "peeking")?;
        let response = PollingInfoResponse {
            polling_num: i32::try_from(self.polling.count(&place)).unwrap_or(i32::MAX),
        };
        let answer = Command::response_to(&request.command, ResponseCode::SUCCESS, None);
        Ok(answer.with_header(&response))
    }
}
