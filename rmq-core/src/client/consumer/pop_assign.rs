//! Queues that the broker divides, and whether they are pulled from or popped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, Mode, OP};
use super::rebalance::successful;
use crate::base::{Error, ErrorKind, Result};
use crate::client::names;
use crate::protocol::body::assignment::{Assignments, QueryAssignment, QueueAssignment};
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::body::request_mode::MessageRequestMode;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::filter::tag::SubscriptionData;
use crate::protocol::request::pop::extra::RetryKind;

impl Core {
    /// Whether brokers divide the queues. What is consumed in order, and a broadcast, is pulled by
    /// queues that the members divide themselves.
    pub(crate) fn asks_brokers(&self) -> bool {
        let concurrent = matches!(self.mode, Mode::Concurrent(_));
        self.options.broker_rebalance && concurrent && !self.options.is_broadcast()
    }

    /// Takes what a broker says is this member's of a topic; false when that did not come out yet.
    pub(crate) fn follow_broker(self: &Arc<Self>, topic: &str) -> Result<bool> {
        let Some(assigned) = self.query_assignment(topic)? else {
            // A broker of before pop: the members divide the queues.
            self.apply_pops(topic, &[]);
            let share = self.share(topic)?;
            return Ok(self.apply(topic, &share));
        };
        let (pops, pulls): (Vec<_>, Vec<_>) = assigned
            .into_iter()
            .partition(|one| one.mode == MessageRequestMode::Pop);
        let of = |queues: Vec<QueueAssignment>| -> Vec<MessageQueue> {
            let queues = queues.into_iter().map(|one| one.message_queue);
            queues.filter(|queue| queue.topic == topic).collect()
        };
        let (pops, pulls) = (of(pops), of(pulls));
        self.follow_retries(topic, &pops, &pulls);
        let complete = self.apply(topic, &pulls);
        self.apply_pops(topic, &pops);
        Ok(complete)
    }

    /// What was popped and failed comes again by a topic of its own, which who pulls must pull too.
    fn follow_retries(
        self: &Arc<Self>,
        topic: &str,
        pops: &[MessageQueue],
        pulls: &[MessageQueue],
    ) {
        if topic.starts_with(names::RETRY_PREFIX) || pops.is_empty() == pulls.is_empty() {
            return;
        }
        let retries = RetryKind::V1.topic(topic, &self.options.group);
        let follows = self.subscription(&retries).is_some();
        if pops.is_empty() && !follows {
            match SubscriptionData::from_tags(&retries, None) {
                Ok(data) => self.subscribe(data),
                Err(error) => return tracing::warn!(%error, retries, "no such topic can be"),
            }
        } else if !pops.is_empty() && follows {
            self.unsubscribe(&retries);
        } else {
            return;
        }
        self.instance.greet();
        self.rebalance_soon(Duration::ZERO);
    }

    /// Asks the brokers of a topic one after the other; `None` when they cannot divide queues.
    fn query_assignment(self: &Arc<Self>, topic: &str) -> Result<Option<Vec<QueueAssignment>>> {
        let query = QueryAssignment {
            client_id: self.instance.client_id.clone(),
            consumer_group: self.options.group.clone(),
            message_model: self.options.message_model,
            strategy_name: self.options.allocation.name(),
            topic: topic.to_owned(),
        };
        let mut outcome = Err(Error::new(ErrorKind::NotFound, OP, "no broker is known"));
        for broker in self.instance.route_now(topic)?.broker_names() {
            let request =
                Command::bare_request(RequestCode::QUERY_ASSIGNMENT).with_body(query.encode());
            let answer = self
                .instance
                .broker(&broker, 0)
                .and_then(|(address, _)| self.instance.call(&address, request));
            outcome = match answer {
                Ok(answer)
                    if answer.response_code() == ResponseCode::REQUEST_CODE_NOT_SUPPORTED =>
                {
                    return Ok(None);
                }
                answer => answer.and_then(successful).and_then(|answer| {
                    let body = Assignments::decode(&answer.body)
                        .map_err(|error| Error::new(ErrorKind::Corrupt, OP, error.to_string()))?;
                    body.queues.ok_or_else(|| {
                        // It does not know this member, or not yet.
                        let context = format!("{broker} cannot say whose {topic} is");
                        Error::new(ErrorKind::NotFound, OP, context)
                    })
                }),
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome.map(Some)
    }

    /// Makes `share` what the consumer pops of a topic.
    pub(crate) fn apply_pops(self: &Arc<Self>, topic: &str, share: &[MessageQueue]) {
        let gone = |queue: &MessageQueue| queue.topic == topic && !share.contains(queue);
        let before = self.pops.lock().len();
        self.stop_pops(gone);
        let have: BTreeSet<MessageQueue> = self.pops.lock().keys().cloned().collect();
        let mut new = share
            .iter()
            .filter(|queue| !have.contains(queue))
            .peekable();
        if have.len() != before || new.peek().is_some() {
            self.raise_version(topic, &BTreeSet::new());
        }
        new.for_each(|queue| self.begin_pop(queue.clone()));
    }

    /// Pops no more of some queues.
    pub(crate) fn stop_pops(&self, which: impl Fn(&MessageQueue) -> bool) {
        self.pops.lock().retain(|queue, pops| {
            let gone = which(queue);
            if gone {
                pops.let_go();
            }
            !gone
        });
    }
}
