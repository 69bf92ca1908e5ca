//! Figures: the broker's runtime information, topic and consumer progress, connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::broker::clients::Member;
use crate::broker::names::{SCHEDULE_TOPIC, TIMER_TOPIC};
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::Shared;
use crate::protocol::body::connection::{
    Connection, ConsumerConnection, ProducerConnection, ProducerInfo, ProducerTable,
};
use crate::protocol::body::kv_table::KvTable;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::body::topic_stats::{TopicOffset, TopicStatsTable};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::admin::ViewBrokerStatsDataRequest;
use crate::protocol::request::group::{
    GetConsumerConnectionListRequest, GetProducerConnectionListRequest,
};
use crate::protocol::request::topic::GetTopicStatsInfoRequest;
use crate::protocol::version;
use crate::store::{Queue, Replication};

pub(super) fn runtime_info(shared: &Arc<Shared>, request: &Command) -> Answer {
    let table = figures(shared);
    Ok(Some(success(request).with_body(KvTable { table }.encode())))
}

/// The rows of the runtime information.
pub(crate) fn figures(shared: &Shared) -> BTreeMap<String, String> {
    let mut table = BTreeMap::new();
    counters(shared, &mut table);
    storage(shared, &mut table);
    replication(shared, &mut table);
    let config = shared.config();
    let mut put = |key: &str, value: String| table.insert(key.to_owned(), value);
    put("brokerActive", shared.is_master().to_string());
    put(
        "brokerVersionDesc",
        version::describe(version::CURRENT).into_owned(),
    );
    put("brokerVersion", version::CURRENT.to_string());
    put(
        "startAcceptSendRequestTimeStamp",
        config.accept_sends_after_ms.to_string(),
    );
    // Requests of clients are handled as they are read: none waits in a queue or for a lock of
    // pages. Tools print these rows and expect numbers.
    for kind in ["send", "pull", "litePull", "query", "ack"] {
        put(&format!("{kind}ThreadPoolQueueSize"), "0".to_owned());
        put(
            &format!("{kind}ThreadPoolQueueHeadWaitTimeMills"),
            "0".to_owned(),
        );
    }
    for (row, none) in [
        ("pageCacheLockTimeMills", "0"),
        ("remainTransientStoreBufferNumbs", "0"),
    ] {
        put(row, none.to_owned());
    }
    for (row, value) in timer_rows(shared) {
        put(row, value.to_string());
    }
    put("controlThreadQueueSize", shared.control.len().to_string());
    table
}

/// How far the timer is behind, in seconds and in messages that it has not looked at, and how many
/// messages wait on its wheel.
fn timer_rows(shared: &Shared) -> [(&'static str, i64); 3] {
    let (timer, now_ms) = (&shared.timer, shared.clock.wall_ms());
    let tick_ms = shared.config().store.timer_tick_ms.cast_signed();
    let first_ms = timer.first_ms(tick_ms).unwrap_or(now_ms);
    let queue = shared.store.find_queue(TIMER_TOPIC, 0);
    let end = queue.map_or(0, |queue| queue.next_offset());
    let unseen = if shared.is_master() {
        end - timer.next_offset()
    } else {
        0
    };
    [
        ("timerReadBehind", (now_ms - first_ms).max(0) / 1000),
        ("timerOffsetBehind", unseen.max(0)),
        ("timerCongestNum", timer.waiting()),
    ]
}

fn counters(shared: &Shared, table: &mut BTreeMap<String, String>) {
    let totals = &shared.stats.totals;
    let mut put = |key: &str, value: String| table.insert(key.to_owned(), value);
    let messages = totals.put_messages.load(Relaxed);
    let bytes = totals.put_bytes.load(Relaxed);
    let average = if messages == 0 {
        0.0
    } else {
        bytes as f64 / messages as f64
    };
    put("putMessageTimesTotal", messages.to_string());
    put("putMessageSizeTotal", bytes.to_string());
    put(
        "putMessageFailedTimes",
        totals.put_failed.load(Relaxed).to_string(),
    );
    put("putMessageAverageSize", format!("{average:?}"));
    let (items, mornings) = (&shared.stats.items, shared.stats.mornings());
    for (row, count) in [
        ("msgPutTotalYesterdayMorning", mornings.yesterday.put),
        ("msgPutTotalTodayMorning", mornings.today.put),
        ("msgPutTotalTodayNow", items.user_put.messages()),
        ("msgGetTotalYesterdayMorning", mornings.yesterday.got),
        ("msgGetTotalTodayMorning", mornings.today.got),
        ("msgGetTotalTodayNow", items.user_got.messages()),
    ] {
        put(row, count.to_string());
    }
    let rates = shared.stats.rates(shared.clock.monotonic_ms());
    put("putTps", rates.put.to_string());
    put("getFoundTps", rates.found.to_string());
    put("getMissTps", rates.missed.to_string());
    put("getTransferredTps", rates.transferred.to_string());
    for (row, rate) in [
        ("timerEnqueueTps", rates.timer_enqueued),
        ("timerDequeueTps", rates.timer_dequeued),
    ] {
        // That of ten seconds; a float there.
        put(row, format!("{:?}", rate.0[0] as f32));
    }
    let total = std::array::from_fn(|at| rates.found.0[at] + rates.missed.0[at]);
    put(
        "getTotalTps",
        crate::broker::stats::Rates(total).to_string(),
    );
    let boot_ms = shared.stats.boot_ms;
    put("bootTimestamp", boot_ms.to_string());
    put(
        "runtime",
        uptime(shared.clock.wall_ms().saturating_sub(boot_ms)),
    );
}

/// An uptime as Apache words it.
fn uptime(ms: i64) -> String {
    let (seconds, minutes) = (ms / 1000, ms / 60_000);
    let (hours, days) = (ms / 3_600_000, ms / 86_400_000);
    format!(
        "[ {days} days, {} hours, {} minutes, {} seconds ]",
        hours % 24,
        minutes % 60,
        seconds % 60
    )
}

fn storage(shared: &Shared, table: &mut BTreeMap<String, String>) {
    let marks = shared.store.watermarks();
    let usage = shared.store.disk_usage();
    let mut put = |key: &str, value: String| table.insert(key.to_owned(), value);
    put("commitLogMinOffset", shared.store.min_offset().to_string());
    put("commitLogMaxOffset", marks.appended().to_string());
    put(
        "remainHowManyDataToFlush",
        (marks.appended() - marks.flushed()).to_string(),
    );
    put("remainHowManyDataToCommit", "0".into());
    put("dispatchBehindBytes", "0".into());
    put("commitLogDiskRatio", format!("{:?}", usage.used_ratio));
    put("consumeQueueDiskRatio", format!("{:?}", usage.used_ratio));
    put(
        "commitLogDirCapacity",
        format!(
            "Total : {}, Free : {}.",
            crate::base::units::format_size(usage.total_bytes),
            crate::base::units::format_size(usage.free_bytes)
        ),
    );
    for (level, offset) in shared.schedule.table(0).offsets {
        let queue = shared.store.find_queue(SCHEDULE_TOPIC, level - 1);
        let end = queue.map_or(0, |queue| queue.max_offset());
        put(
            &format!("scheduleMessageOffset_{level}"),
            format!("{offset},{end}"),
        );
    }
    let earliest_ms = shared.store.earliest_store_time_ms().unwrap_or(-1);
    put("earliestMessageTimeStamp", earliest_ms.to_string());
}

/// How far slaves are behind, or how a slave stands with its master.
fn replication(shared: &Shared, table: &mut BTreeMap<String, String>) {
    if let Some(streams) = shared.streams() {
        table.extend(streams.status().to_rows());
    }
    let members = &shared.members;
    let mut put = |key: &str, value: String| table.insert(key.to_owned(), value);
    put("rmq.minBrokerId", members.min_id().to_string());
    if !members.is_slave() {
        let awaited = match shared.store.watermarks().replication() {
            Replication::NotAwaited => "not awaited",
            Replication::InSync => "in sync",
            Replication::Unavailable => "no slave available",
        };
        put("rmq.replication", awaited.to_owned());
        return;
    }
    if let Some(master) = members.master() {
        put("rmq.masterAddress", master.address);
    }
    put("rmq.masterAlive", shared.is_master_alive().to_string());
    put(
        "rmq.metadataTimestamp",
        shared.stats.metadata_taken_ms.load(Relaxed).to_string(),
    );
}

pub(super) fn named(shared: &Shared, queue: &Queue) -> MessageQueue {
    MessageQueue {
        topic: queue.topic().to_owned(),
        broker_name: shared.config().broker_name.clone(),
        queue_id: queue.id(),
    }
}

/// The store time of the message at `offset - 1`, 0 when there is none.
pub(super) fn time_before(shared: &Shared, queue: &Arc<Queue>, offset: i64) -> i64 {
    shared.store.store_time_ms(queue, offset - 1).unwrap_or(0)
}

pub(super) fn topic_stats(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetTopicStatsInfoRequest = request.header()?;
    let Some(topic) = shared.topics.get(&header.topic) else {
        let remark = format!("topic[{}] not exist", header.topic);
        return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
    };
    let queues = topic.write_queue_nums.max(topic.read_queue_nums);
    let mut offsets = Vec::new();
    for queue_id in 0..queues {
        let queue = shared.store.queue(&topic.topic_name, queue_id);
        let (min, max) = (queue.min_offset().max(0), queue.max_offset().max(0));
        let updated = if max > 0 {
            time_before(shared, &queue, max)
        } else {
            0
        };
        let row = TopicOffset {
            min_offset: min,
            max_offset: max,
            last_update_timestamp: updated,
        };
        offsets.push((named(shared, &queue), row));
    }
    let body = TopicStatsTable {
        offsets,
        topic_put_tps: shared
            .stats
            .items
            .put_rate(&topic.topic_name, shared.clock.monotonic_ms()),
    };
    Ok(Some(success(request).with_body(body.encode())))
}

/// Counters over the last minute, hour and day.
pub(super) fn counted(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: ViewBrokerStatsDataRequest = request.header()?;
    let (name, key) = (&*header.stats_name, &*header.stats_key);
    let (config, now_ms) = (shared.config(), shared.clock.monotonic_ms());
    let items = &shared.stats.items;
    match items.find((name, key), &config.cluster_name, now_ms) {
        Some(data) => Ok(Some(success(request).with_body(data.encode()))),
        None => {
            let remark = format!("The stats <{name}> <{key}> not exist");
            Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark))
        }
    }
}

fn connection(member: &Member) -> Connection {
    Connection {
        client_id: member.client_id.clone(),
        client_addr: member.address.clone(),
        language: member.language,
        version: member.version,
    }
}

pub(super) fn consumer_connections(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetConsumerConnectionListRequest = request.header()?;
    let consumers = shared.consumers.read();
    let Some(group) = consumers.group(&header.consumer_group) else {
        let remark = format!("the consumer group[{}] not online", header.consumer_group);
        return Err(Refusal::new(ResponseCode::CONSUMER_NOT_ONLINE, remark));
    };
    let body = ConsumerConnection {
        connections: group.members().map(connection).collect(),
        subscriptions: group
            .subscriptions()
            .iter()
            .map(|(topic, subscription)| (topic.clone(), (**subscription).clone()))
            .collect(),
        consume_type: group.consume_type,
        message_model: group.message_model,
        consume_from_where: group.from_where,
    };
    Ok(Some(success(request).with_body(body.encode())))
}

pub(super) fn producer_connections(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: GetProducerConnectionListRequest = request.header()?;
    let producers = shared.producers.lock();
    let members = producers.members(&header.producer_group);
    if members.is_empty() {
        let remark = format!("the producer group[{}] not exist", header.producer_group);
        return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
    }
    let connections = members.into_iter().map(connection).collect();
    Ok(Some(
        success(request).with_body(ProducerConnection { connections }.encode()),
    ))
}

/// Every producer group with its clients.
pub(super) fn all_producers(shared: &Arc<Shared>, request: &Command) -> Answer {
    let (now_ms, wall_ms) = (shared.clock.monotonic_ms(), shared.clock.wall_ms());
    let info = |member: &Member| ProducerInfo {
        client_id: member.client_id.clone(),
        language: member.language,
        last_update_timestamp_ms: wall_ms
            .saturating_sub_unsigned(now_ms.saturating_sub(member.seen_ms)),
        // As Java shows an address that has no name.
        remote_ip: format!("/{}", member.address),
        version: member.version,
    };
    let producers = shared.producers.lock();
    let groups = producers
        .groups()
        .map(|(group, members)| (group.to_owned(), members.map(info).collect()));
    let table = ProducerTable {
        groups: groups.collect(),
    };
    Ok(Some(success(request).with_body(table.encode())))
}
