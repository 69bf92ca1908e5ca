//! How far groups have consumed, who consumes what, and offsets that operators move.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::stats::{named, time_before};
use crate::broker::names;
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::consume_stats::{ConsumeStats, ConsumeStatsList, OffsetWrapper};
use crate::protocol::body::consume_time::{ConsumeTimeSpans, QueueTimeSpan};
use crate::protocol::body::group::GroupSubscription;
use crate::protocol::body::group_list::GroupList;
use crate::protocol::body::offset::CorrectionOffsets;
use crate::protocol::body::topic::TopicConfig;
use crate::protocol::body::topic_list::TopicList;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::group::{
    CloneGroupOffsetRequest, GetBrokerConsumeStatsRequest, GetConsumeStatsRequest,
    QueryCorrectionOffsetRequest, QuerySubscriptionByConsumerRequest, QueryTopicsByConsumerRequest,
};
use crate::protocol::request::topic::{QueryConsumeTimeSpanRequest, QueryTopicConsumeByWhoRequest};

/// Whether the group is connected and does not subscribe to the topic: what it committed there is
/// of the past.
fn has_given_up(shared: &Shared, group: &str, topic: &str) -> bool {
    shared.consumers.read().group(group).is_some_and(|members| {
        let subscriptions = members.subscriptions();
        !subscriptions.is_empty() && !subscriptions.contains_key(topic)
    })
}

/// How far a group is in one topic.
fn progress(shared: &Shared, group: &str, topic: &TopicConfig) -> ConsumeStats {
    let name = &topic.topic_name;
    let now_ms = shared.clock.monotonic_ms();
    let mut stats = ConsumeStats {
        consume_tps: shared.stats.items.got_rate(name, group, now_ms),
        ..ConsumeStats::default()
    };
    for queue_id in 0..topic.read_queue_nums {
        let queue = shared.store.queue(name, queue_id);
        let committed = shared.offsets.query(name, group, queue_id);
        let consumer_offset = committed.unwrap_or(0).max(0);
        let row = OffsetWrapper {
            broker_offset: queue.max_offset().max(0),
            consumer_offset,
            pull_offset: consumer_offset,
            last_timestamp: time_before(shared, &queue, consumer_offset).max(0),
        };
        stats.offsets.push((named(shared, &queue), row));
    }
    stats
}

pub(super) fn of_group(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetConsumeStatsRequest = request.header()?;
    let group = &header.consumer_group;
    let listed = header.topic_list.unwrap_or_default();
    let mut topics: BTreeSet<String> = listed
        .split(';')
        .filter(|topic| !topic.is_empty())
        .map(str::to_owned)
        .collect();
    // Topics by name are taken as they are; others only if the group has not given them up.
    if topics.is_empty() {
        topics = match header.topic.filter(|topic| !topic.trim().is_empty()) {
            Some(topic) => BTreeSet::from([topic]),
            None => shared.offsets.topics_of(group).into_iter().collect(),
        };
        topics.retain(|topic| !has_given_up(shared, group, topic));
    }
    let mut stats = ConsumeStats::default();
    for topic in topics.iter().filter_map(|topic| shared.topics.get(topic)) {
        let of_topic = progress(shared, group, &topic);
        stats.consume_tps += of_topic.consume_tps;
        stats.offsets.extend(of_topic.offsets);
    }
    Ok(Some(success(request).with_body(stats.encode())))
}

/// How far every group is in each of its topics.
pub(super) fn of_broker(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetBrokerConsumeStatsRequest = request.header()?;
    let mut list = ConsumeStatsList {
        broker_addr: shared.store_host().to_string(),
        ..ConsumeStatsList::default()
    };
    for group in shared.groups.snapshot().groups.into_keys() {
        let mut of_group = Vec::new();
        for name in shared.offsets.topics_of(&group) {
            let Some(topic) = shared.topics.get(&name) else {
                continue;
            };
            let unordered = header.is_order && !topic.order;
            if unordered || has_given_up(shared, &group, &name) {
                continue;
            }
            let stats = progress(shared, &group, &topic);
            for (_, row) in &stats.offsets {
                list.total_diff += row.broker_offset - row.consumer_offset;
                list.total_inflight_diff += row.pull_offset - row.consumer_offset;
            }
            of_group.push(stats);
        }
        list.stats.push(BTreeMap::from([(group, of_group)]));
    }
    Ok(Some(success(request).with_body(list.encode())))
}

/// The groups that consume a topic: those connected and those that committed offsets.
pub(super) fn groups_of_topic(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryTopicConsumeByWhoRequest = request.header()?;
    let online = shared.consumers.read().groups_of_topic(&header.topic);
    let committed = shared.offsets.groups_of(&header.topic);
    let groups: BTreeSet<String> = online.into_iter().chain(committed).collect();
    let list = GroupList {
        groups: groups.into_iter().collect(),
    };
    Ok(Some(success(request).with_body(list.encode())))
}

/// The topics in which a group committed offsets.
pub(super) fn topics_of_group(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryTopicsByConsumerRequest = request.header()?;
    let list = TopicList {
        broker_addr: Some(shared.store_host().to_string()),
        topics: shared
            .offsets
            .topics_of(&header.group)
            .into_iter()
            .collect(),
    };
    Ok(Some(success(request).with_body(list.encode())))
}

/// What a connected group takes of a topic.
pub(super) fn subscription(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QuerySubscriptionByConsumerRequest = request.header()?;
    let topic = header.topic.unwrap_or_default();
    let consumers = shared.consumers.read();
    let subscription = consumers
        .group(&header.group)
        .and_then(|members| members.subscriptions().get(&topic));
    let body = GroupSubscription {
        subscription: subscription.map(|one| (**one).clone()),
        group: header.group,
        topic,
    };
    Ok(Some(success(request).with_body(body.encode())))
}

/// From when the messages of a topic are, and until when a group has consumed them.
pub(super) fn time_spans(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryConsumeTimeSpanRequest = request.header()?;
    let name = &header.topic;
    let Some(topic) = shared.topics.get(name) else {
        let remark = format!("topic[{name}] not exist");
        return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
    };
    let now_ms = shared.clock.wall_ms();
    let mut body = ConsumeTimeSpans::default();
    for queue_id in 0..topic.write_queue_nums {
        let queue = shared.store.queue(name, queue_id);
        let stored_at = |offset| shared.store.store_time_ms(&queue, offset);
        let end = queue.max_offset();
        let min_timestamp = shared.store.earliest_time_ms(&queue).unwrap_or(-1);
        let consumed = shared.offsets.query(name, &header.group, queue_id);
        let consumed = consumed.unwrap_or(-1);
        let next = stored_at(consumed.max(queue.min_offset())).filter(|_| consumed < end);
        body.spans.push(QueueTimeSpan {
            consume_timestamp: match consumed {
                1.. => stored_at(consumed - 1).unwrap_or(-1),
                _ => min_timestamp,
            },
            delay_time: next.map_or(0, |stored_ms| now_ms - stored_ms),
            max_timestamp: stored_at(end - 1).unwrap_or(-1),
            message_queue: named(shared, &queue),
            min_timestamp,
        });
    }
    Ok(Some(success(request).with_body(body.encode())))
}

/// Where the slowest group of a topic is in each queue, some groups left out.
pub(super) fn correction(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: QueryCorrectionOffsetRequest = request.header()?;
    let topic = &header.topic;
    let left_out = header.filter_groups.unwrap_or_default();
    let left_out: BTreeSet<&str> = left_out.split(',').collect();
    let groups = shared.offsets.groups_of(topic);
    let mut offsets: BTreeMap<i32, i64> = BTreeMap::new();
    for group in groups
        .iter()
        .filter(|group| !left_out.contains(group.as_str()))
    {
        for (queue_id, offset) in shared.offsets.of_group(topic, group) {
            let queue = shared.store.find_queue(topic, queue_id);
            // What is deleted already needs no correction.
            if queue.is_some_and(|queue| offset >= queue.min_offset()) {
                let least = offsets.entry(queue_id).or_insert(offset);
                *least = offset.min(*least);
            }
        }
    }
    for (queue_id, compared) in shared.offsets.of_group(topic, &header.compare_group) {
        if let Some(least) = offsets.get_mut(&queue_id)
            && *least > compared
        {
            *least = i64::MAX;
        }
    }
    let body = CorrectionOffsets { offsets };
    Ok(Some(success(request).with_body(body.encode())))
}

/// Gives a group the offsets of another.
pub(super) fn clone_offsets(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: CloneGroupOffsetRequest = request.header()?;
    let (source, target) = (&header.source_group, &header.target_group);
    names::check_group(target)
        .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
    let topics = match header.topic.filter(|topic| !topic.trim().is_empty()) {
        Some(topic) => vec![topic],
        None => shared.offsets.topics_of(source),
    };
    for topic in topics {
        let gone = shared.topics.get(&topic).is_none();
        if gone || (!header.offline && has_given_up(shared, source, &topic)) {
            continue;
        }
        for (queue_id, offset) in shared.offsets.of_group(&topic, source) {
            shared.offsets.commit(&topic, target, queue_id, offset);
        }
    }
    Ok(Some(success(request)))
}
