//! Dividing the queues among the members of the group, and what follows when one comes or goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::core::{Assigned, Core, OP};
use super::options::StartFrom;
use crate::base::{Error, ErrorKind, Result};
use crate::client::names;
use crate::protocol::body::consumer_list::ConsumerList;
use crate::protocol::body::lock::{LockRequest, LockResponse};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::heartbeat::GetConsumerListRequest;
use crate::protocol::request::offset::{
    Boundary, GetMaxOffsetRequest, GetMinOffsetRequest, OffsetResponse, QueryConsumerOffsetRequest,
    SearchOffsetRequest,
};

/// After this a division that did not come out is tried again.
const AGAIN: Duration = Duration::from_millis(500);

impl Core {
    /// Has the queues divided anew after `delay`, unless that is planned for an earlier time.
    pub(crate) fn rebalance_soon(&self, delay: Duration) {
        let Some(core) = self.own() else { return };
        let at = self.instance.runtime.now().saturating_add(delay);
        {
            let mut planned = self.balance_at.lock();
            if planned.is_some_and(|planned| planned <= at) {
                return;
            }
            *planned = Some(at);
        }
        let core = Arc::downgrade(&core);
        self.instance.runtime.work.run_after(delay, move || {
            let Some(core) = core.upgrade() else { return };
            let due = core.balance_at.lock().take_if(|planned| *planned <= at);
            if due.is_some() {
                core.rebalance();
            }
        });
    }

    /// Divides the queues of every topic. Blocks.
    pub(crate) fn rebalance(self: &Arc<Self>) {
        let _one_at_a_time = self.balancing.lock();
        if self.is_closed() || self.manual.load(Ordering::SeqCst) {
            return;
        }
        let subscribed: BTreeSet<String> = self
            .subscriptions()
            .into_iter()
            .map(|data| data.topic)
            .collect();
        let (mut complete, mut failed) = (true, false);
        for topic in &subscribed {
            let outcome = match self.asks_brokers() {
                true => self.follow_broker(topic),
                false => self.share(topic).map(|share| self.apply(topic, &share)),
            };
            match outcome {
                Ok(done) => complete &= done,
                // Retry topics come to be with the first heartbeat that reaches a broker.
                Err(error) => {
                    tracing::debug!(%error, topic, "queues were not divided");
                    failed = true;
                }
            }
        }
        for queue in self.assigned() {
            if !subscribed.contains(&queue.queue.topic) {
                complete &= self.release(&queue);
            }
        }
        self.stop_pops(|queue| !subscribed.contains(&queue.topic));
        if !failed {
            self.balance_failures.store(0, Ordering::Relaxed);
        }
        if !complete {
            self.rebalance_soon(AGAIN);
        } else if failed {
            // A topic may never come to be: it is asked for less and less often.
            let failures = self.balance_failures.fetch_add(1, Ordering::Relaxed);
            self.rebalance_soon(AGAIN.saturating_mul(1 << failures.min(5)));
        }
    }

    /// The queues of a topic that are this member's.
    pub(crate) fn share(self: &Arc<Self>, topic: &str) -> Result<Vec<MessageQueue>> {
        let route = self.instance.route_now(topic)?;
        let mut queues = route.readable(topic);
        queues.sort();
        if self.options.is_broadcast() {
            return Ok(queues);
        }
        let members = self.members(&route.broker_names())?;
        let own = &self.instance.client_id;
        if !members.contains(own) {
            // The others divide the queues without this one.
            self.instance.greet_now();
            self.rebalance_soon(AGAIN);
        }
        let share = self.options.allocation.allocate(own, &queues, &members)?;
        // The queues of a configuration are of any topic, as the program names it.
        let share = share.iter().map(|queue| self.instance.wrap_queue(queue));
        Ok(share.filter(|queue| queue.topic == topic).collect())
    }

    /// The members of the group, in order, from the first broker that answers.
    fn members(&self, brokers: &[String]) -> Result<Vec<String>> {
        let header = GetConsumerListRequest {
            consumer_group: self.options.group.clone(),
        };
        let mut outcome = Err(Error::new(ErrorKind::NotFound, OP, "no broker is known"));
        for broker in brokers {
            let request = Command::request(RequestCode::GET_CONSUMER_LIST_BY_GROUP, &header);
            outcome = self.instance.broker(broker, 0).and_then(|(address, _)| {
                let answer = successful(self.instance.call(&address, request)?)?;
                let list = ConsumerList::decode(&answer.body);
                list.map_err(|e| Error::new(ErrorKind::Corrupt, OP, e.to_string()))
            });
            if outcome.is_ok() {
                break;
            }
        }
        let mut ids = outcome?.ids;
        ids.sort();
        Ok(ids)
    }

    /// Makes `share` what the consumer has of a topic; false when that did not come out yet.
    pub(crate) fn apply(self: &Arc<Self>, topic: &str, share: &[MessageQueue]) -> bool {
        let (mut complete, mut changed) = (true, false);
        for queue in self.assigned() {
            if queue.queue.topic == topic && !share.contains(&queue.queue) {
                let released = self.release(&queue);
                complete &= released;
                changed |= released;
            }
        }
        let kept = self.assigned();
        for queue in kept.iter().filter(|queue| share.contains(&queue.queue)) {
            if queue.leaving.swap(false, Ordering::SeqCst) {
                self.dispatch(queue);
            }
        }
        let have: BTreeSet<&MessageQueue> = kept.iter().map(|queue| &queue.queue).collect();
        let new: Vec<_> = share
            .iter()
            .filter(|queue| !have.contains(queue))
            .cloned()
            .collect();
        let begun = self.usable(&new);
        complete &= begun.len() == new.len();
        if changed || !begun.is_empty() {
            let brokers = begun.iter().map(|(queue, _)| &queue.broker_name);
            let found = brokers.filter_map(|name| self.instance.broker(name, 0).ok());
            self.raise_version(topic, &found.map(|(address, _)| address).collect());
        }
        for (queue, offset) in begun {
            self.begin_queue(queue, offset);
        }
        complete
    }

    /// Those of some queues that can be taken over now, and where to begin with each. Blocks.
    fn usable(&self, queues: &[MessageQueue]) -> Vec<(MessageQueue, i64)> {
        // Of the others, another member has not let go.
        let usable = match self.is_locking() {
            true => self.lock(queues),
            false => queues.iter().cloned().collect(),
        };
        let begin = |queue: MessageQueue| match self.start_offset(&queue) {
            Ok(offset) => Some((queue, offset)),
            Err(error) => {
                tracing::debug!(%error, ?queue, "a queue's offset is not known");
                None
            }
        };
        let wanted = queues.iter().filter(|queue| usable.contains(queue));
        wanted.cloned().filter_map(begin).collect()
    }

    /// Begins to take from a queue.
    pub(crate) fn begin_queue(self: &Arc<Self>, queue: MessageQueue, offset: i64) {
        let assigned = Arc::new(Assigned::new(queue.clone(), offset));
        assigned.locked(self.instance.runtime.now());
        self.queues.lock().insert(queue, Arc::clone(&assigned));
        tracing::debug!(queue = ?assigned.queue, offset, "took a queue over");
        self.pull(assigned, 0);
    }

    /// Lets go of a queue; false when that must wait for the listener.
    pub(crate) fn release(&self, queue: &Arc<Assigned>) -> bool {
        if self.is_locking() {
            // Nobody else may begin while the listener works on it here.
            queue.leaving.store(true, Ordering::SeqCst);
            if queue.consuming.swap(true, Ordering::SeqCst) {
                return false;
            }
        }
        queue.dropped.store(true, Ordering::SeqCst);
        self.forget_handles(queue);
        self.queues.lock().remove(&queue.queue);
        if self.commits_itself() {
            self.commit(queue);
        }
        if self.is_locking() {
            self.unlock(std::slice::from_ref(&queue.queue));
        }
        tracing::debug!(queue = ?queue.queue, "let go of a queue");
        true
    }

    fn lock_request(&self, queues: &[MessageQueue]) -> Vec<(String, LockRequest)> {
        let mut by_broker: BTreeMap<&str, Vec<MessageQueue>> = BTreeMap::new();
        for queue in queues {
            by_broker
                .entry(&queue.broker_name)
                .or_default()
                .push(queue.clone());
        }
        let requests = by_broker.into_iter().filter_map(|(broker, queues)| {
            let request = LockRequest {
                client_id: self.instance.client_id.clone(),
                consumer_group: self.options.group.clone(),
                queues,
                only_this_broker: false,
            };
            Some((self.instance.master(broker).ok()?, request))
        });
        requests.collect()
    }

    /// Asks brokers for locks; which queues are locked now. Blocks.
    fn lock(&self, queues: &[MessageQueue]) -> BTreeSet<MessageQueue> {
        let mut locked = BTreeSet::new();
        for (master, request) in self.lock_request(queues) {
            let request =
                Command::bare_request(RequestCode::LOCK_BATCH_MQ).with_body(request.encode());
            let answer = self.instance.call(&master, request).and_then(successful);
            match answer.map(|answer| LockResponse::decode(&answer.body)) {
                Ok(Ok(answer)) => locked.extend(answer.queues),
                Ok(Err(error)) => tracing::warn!(%error, "an answer to locks cannot be read"),
                Err(error) => tracing::debug!(%error, "queues were not locked"),
            }
        }
        locked
    }

    pub(crate) fn unlock(&self, queues: &[MessageQueue]) {
        for (master, request) in self.lock_request(queues) {
            let request =
                Command::bare_request(RequestCode::UNLOCK_BATCH_MQ).with_body(request.encode());
            if let Err(error) = self.instance.oneway(&master, request) {
                tracing::debug!(%error, "queues were not unlocked");
            }
        }
    }

    /// Keeps the locks of the queues that are consumed in order. Blocks.
    pub(crate) fn renew_locks(self: &Arc<Self>) {
        let assigned = self.assigned();
        let queues: Vec<_> = assigned.iter().map(|queue| queue.queue.clone()).collect();
        let locked = self.lock(&queues);
        let now = self.instance.runtime.now();
        for queue in assigned {
            if locked.contains(&queue.queue) {
                queue.locked(now);
            }
        }
    }

    fn ask_offset(&self, broker: &str, request: Command) -> Result<Option<i64>> {
        let (address, _) = self.instance.broker(broker, 0)?;
        let answer = self.instance.call(&address, request)?;
        if answer.response_code() == ResponseCode::QUERY_NOT_FOUND {
            return Ok(None);
        }
        let offset: OffsetResponse = successful(answer)?.header()?;
        Ok(Some(offset.offset))
    }

    /// What the group committed for a queue. Blocks.
    pub(crate) fn committed(&self, queue: &MessageQueue) -> Result<Option<i64>> {
        if self.options.is_broadcast() {
            return Ok(self.local_offsets.get(queue));
        }
        let header = QueryConsumerOffsetRequest {
            consumer_group: self.options.group.clone(),
            topic: queue.topic.clone(),
            queue_id: queue.queue_id,
            set_zero_if_not_found: None,
        };
        let request = Command::request(RequestCode::QUERY_CONSUMER_OFFSET, &header);
        self.ask_offset(&queue.broker_name, request)
    }

    /// Where to begin with a queue. Blocks.
    pub(crate) fn start_offset(&self, queue: &MessageQueue) -> Result<i64> {
        if let Some(offset) = self.committed(queue)? {
            return Ok(offset);
        }
        match self.options.start_from {
            // What is to be consumed again is never passed over.
            StartFrom::Last if queue.topic.starts_with(names::RETRY_PREFIX) => Ok(0),
            StartFrom::Last => self.max_offset(queue),
            StartFrom::First => self.min_offset(queue),
            StartFrom::Timestamp(timestamp_ms) => self.offset_at(queue, timestamp_ms),
        }
    }

    pub(crate) fn max_offset(&self, queue: &MessageQueue) -> Result<i64> {
        let header = GetMaxOffsetRequest {
            topic: queue.topic.clone(),
            queue_id: queue.queue_id,
            committed: true,
        };
        let request = Command::request(RequestCode::GET_MAX_OFFSET, &header);
        self.ask_offset(&queue.broker_name, request)
            .map(Option::unwrap_or_default)
    }

    pub(crate) fn min_offset(&self, queue: &MessageQueue) -> Result<i64> {
        let header = GetMinOffsetRequest {
            topic: queue.topic.clone(),
            queue_id: queue.queue_id,
        };
        let request = Command::request(RequestCode::GET_MIN_OFFSET, &header);
        self.ask_offset(&queue.broker_name, request)
            .map(Option::unwrap_or_default)
    }

    pub(crate) fn offset_at(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<i64> {
        let header = SearchOffsetRequest {
            topic: queue.topic.clone(),
            queue_id: queue.queue_id,
            timestamp_ms,
            boundary: Boundary::Lower,
        };
        let request = Command::request(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &header);
        self.ask_offset(&queue.broker_name, request)
            .map(Option::unwrap_or_default)
    }
}

/// The answer, if it is a success.
pub(crate) fn successful(answer: Command) -> Result<Command> {
    match answer.response_code() {
        ResponseCode::SUCCESS => Ok(answer),
        code => {
            let remark = answer.remark.as_deref().unwrap_or("no remark");
            let context = format!("a broker answered {code}: {remark}");
            Err(Error::new(ErrorKind::Remote(code.value()), OP, context))
        }
    }
}
