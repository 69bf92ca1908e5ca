//! Which messages a pull takes: by tags, by an expression, by the expression for their origin.

use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;

use super::DataHandler;
use super::pull::{HeldPull, PullRefusal};
use crate::broker::filters::{self, Budget, Selection};
use crate::broker::hold::Held;
use crate::broker::names;
use crate::broker::shared::Shared;
use crate::net::Io;
use crate::protocol::code::ResponseCode;
use crate::protocol::filter::tag::{self, SubscriptionData};
use crate::protocol::request::pull::PullRequest;
use crate::store::{Patience, Queue, ReadOutcome, ReadStatus, RecordFilter, Wanted};

const PARSE_FAILED: &str = "parse the consumer's subscription failed";

/// The subscription in a pull; an expression is not looked at yet.
pub(super) fn subscription_in(
    request: &PullRequest<'_>,
) -> Result<Arc<SubscriptionData>, PullRefusal> {
    let refused = || PullRefusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, PARSE_FAILED);
    let (topic, text) = (request.topic, request.subscription);
    let subscription = match request.expression_type {
        Some(kind) if !tag::is_tag_type(Some(kind)) => {
            let text = text.filter(|text| !text.is_empty()).ok_or_else(refused)?;
            SubscriptionData::from_expression(topic, text, kind)
        }
        _ => SubscriptionData::from_tags(topic, text).map_err(|_| refused())?,
    };
    Ok(Arc::new(subscription))
}

impl DataHandler {
    /// How a pull of `group` by this subscription chooses beyond the tags; `version` is the one of
    /// the subscription that the group's heartbeats must have brought, if the pull did not.
    pub(super) fn selection_of(
        &mut self,
        group: &str,
        subscription: &SubscriptionData,
        version: Option<i64>,
    ) -> Result<Selection, PullRefusal> {
        if subscription.is_tag_type() {
            return Ok(Selection::ByTags);
        }
        let topic = &subscription.topic;
        let known = match version {
            Some(version) => Some(self.registered(topic, group, version)?),
            None => None,
        };
        let kind = &subscription.expression_type;
        if !self.config.property_filter {
            let remark =
                format!("The broker does not support consumer to filter message by {kind}");
            return Err(PullRefusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        let selector = match known {
            Some(filter) => Arc::clone(filter.selector()),
            None => {
                let limits = filters::limits(&self.config);
                let compiled = self.selectors.get(kind, &subscription.sub_string, &limits);
                compiled.map_err(|error| {
                    let remark = format!("{PARSE_FAILED}: {error}");
                    PullRefusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, remark)
                })?
            }
        };
        if subscription.class_filter_mode {
            return Ok(Selection::ByTags);
        }
        if self.config.filter_retries && topic.starts_with(names::RETRY_PREFIX) {
            return Ok(Selection::by_origin(topic));
        }
        Ok(Selection::By(selector))
    }

    /// The filter that the group's heartbeats brought.
    fn registered(
        &self,
        topic: &str,
        group: &str,
        version: i64,
    ) -> Result<Arc<filters::GroupFilter>, PullRefusal> {
        let Some(filter) = self.shared.filters.get(topic, group) else {
            let remark =
                "The broker's consumer filter data is not exist!Your expression may be wrong!";
            return Err(PullRefusal::new(
                ResponseCode::FILTER_DATA_NOT_EXIST,
                remark,
            ));
        };
        if filter.version() < version {
            let remark = "the consumer's consumer filter data not latest";
            return Err(PullRefusal::new(
                ResponseCode::FILTER_DATA_NOT_LATEST,
                remark,
            ));
        }
        Ok(filter)
    }

    /// Gives a held pull the subscription that its group has now: it may have changed since.
    pub(super) fn renew(&mut self, pull: &mut HeldPull) {
        let revision = self.shared.subscription_revision.load(Acquire);
        if pull.brought || pull.revision == revision {
            return;
        }
        pull.revision = revision;
        let group = Arc::clone(&pull.group);
        let (group, topic) = (&group.group_name, &pull.subscription.topic);
        let now = {
            let consumers = self.shared.consumers.read();
            let members = consumers.group(group);
            members.and_then(|members| members.subscriptions().get(topic).cloned())
        };
        // A group that is gone has nobody who waits for the answer.
        let Some(now) = now.filter(|now| !Arc::ptr_eq(now, &pull.subscription)) else {
            return;
        };
        if let Ok(selection) = self.selection_of(group, &now, Some(now.sub_version)) {
            pull.selection = selection;
            pull.subscription = now;
        }
    }

    /// Answers a pull with what was read for it, or has it read by the helper thread when its
    /// expression is about messages that are not in memory.
    pub(super) fn answer_read(
        &mut self,
        io: &mut Io<'_>,
        held: Held<HeldPull>,
        outcome: ReadOutcome,
    ) {
        if !(outcome.cold && outcome.records.is_empty()) {
            self.answer_pull(io, held.conn, &held.queue, &held.payload, outcome);
            return;
        }
        if let Some(held) = self.shared.cold.select(&self.shared, held) {
            // The helper is overloaded: who asks for cold messages waits, and others with him.
            let outcome = held
                .payload
                .read(&self.shared, &held.queue, Patience::Waits);
            self.answer_pull(io, held.conn, &held.queue, &held.payload, outcome);
        }
    }
}

/// What a pull finds whose group is to go on from `offset`.
fn reset_to(queue: &Queue, offset: i64) -> ReadOutcome {
    ReadOutcome {
        status: ReadStatus::OffsetReset,
        next_offset: offset,
        min_offset: queue.min_offset(),
        max_offset: queue.max_offset(),
        records: Vec::new(),
        bytes: 0,
        cold: false,
        suggests_slave: false,
        scanned: 0,
    }
}

impl HeldPull {
    /// Reads what the pull takes.
    pub(crate) fn read(
        &self,
        shared: &Shared,
        queue: &Arc<Queue>,
        patience: Patience,
    ) -> ReadOutcome {
        let group = &self.group.group_name;
        if let Some(offset) = shared.resets.take(queue.topic(), group, queue.id()) {
            return reset_to(queue, offset);
        }
        let (store, limits) = (&shared.store, self.limits);
        let mut budget = Budget::new(self.steps_max);
        let mut any_tag = |_| true;
        match &self.selection {
            Selection::ByTags => store.read(queue, self.offset, limits, &mut |tags_code| {
                self.subscription.matches_code(tags_code)
            }),
            Selection::By(selector) => {
                let mut judge =
                    |record: &[u8]| budget.judge(selector, filters::properties_of(record));
                let matches = &mut judge;
                let by_record = RecordFilter { matches, patience };
                store.read_matching(queue, self.offset, limits, &mut any_tag, by_record)
            }
            Selection::ByOrigin(group) => {
                let mut judge = |record: &[u8]| {
                    let properties = filters::properties_of(record);
                    let origin = filters::origin(properties).unwrap_or_default();
                    match shared.filters.get(origin, group) {
                        Some(filter) => budget.judge(filter.selector(), properties),
                        None => Wanted::Yes,
                    }
                };
                let matches = &mut judge;
                let by_record = RecordFilter { matches, patience };
                store.read_matching(queue, self.offset, limits, &mut any_tag, by_record)
            }
        }
    }
}
