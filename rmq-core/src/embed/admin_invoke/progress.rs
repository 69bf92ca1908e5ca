//! How far groups have come, and moving them.

use super::{Call, Entry, invalid, object, text, tree_of, unreadable};
use crate::base::Result;
use crate::protocol::body::consume_stats::ConsumeStats;
use crate::protocol::code::RequestCode;
use crate::protocol::json::Json;
use crate::protocol::request::group::{
    CloneGroupOffsetRequest, GetBrokerConsumeStatsRequest, GetConsumeStatsRequest,
};
use crate::protocol::request::push::ResetOffsetRequest;
use crate::protocol::request::query::QueryConsumeQueueRequest;

/// The end of a queue, as a time.
const END: i64 = -1;

pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "consumerProgress",
        takes: "group [topic] [brokerAddr] [clusterName]",
        answers: "`offsetTable`: for each queue `brokerOffset`, `consumerOffset`, `pullOffset`, \
                  `lastTimestamp`; `diffTotal`: messages not yet consumed; `consumeTps`",
        run: progress,
    },
    Entry {
        name: "brokerConsumeStats",
        takes: "[order] [brokerAddr] [clusterName]",
        answers: "by broker: the offsets of all its groups",
        run: of_brokers,
    },
    Entry {
        name: "resetOffsetByTime",
        takes: "group topic timestamp [queueId] [offset] [force] [brokerAddr]",
        answers: "the new offsets by queue. `timestamp` is ms since the epoch, `now`, or -1 for \
                  the end; `offset` with a `queueId` counts instead of it",
        run: reset,
    },
    Entry {
        name: "skipAccumulatedMessage",
        takes: "group topic [force]",
        answers: "the new offsets by queue: their ends",
        run: skip,
    },
    Entry {
        name: "cloneGroupOffset",
        takes: "srcGroup destGroup topic [offline]",
        answers: "`null`",
        run: clone,
    },
    Entry {
        name: "queryCq",
        takes: "topic queueId index [count] [consumer] [brokerAddr]",
        answers: "by broker: `queueData`: `physicOffset`, `physicSize`, `tagsCode` of `count` \
                  (10 unless said) entries from `index` on",
        run: queue,
    },
];

fn progress(call: &Call<'_>) -> Result<Json> {
    let group = call.arguments.needed("group")?;
    let topic = call.arguments.text("topic")?;
    let brokers = match &topic {
        Some(topic) if call.arguments.get("clusterName").is_none() => call.brokers_of(topic)?,
        _ => call.brokers()?,
    };
    let header = GetConsumeStatsRequest {
        consumer_group: group.clone(),
        topic,
        topic_list: None,
    };
    let mut stats = ConsumeStats::default();
    for broker in brokers {
        let answer = call.ask(&broker, RequestCode::GET_CONSUME_STATS, &header)?;
        let part = ConsumeStats::decode(&answer.body).map_err(|e| unreadable(&broker, e))?;
        stats.consume_tps += part.consume_tps;
        stats.offsets.extend(part.offsets);
    }
    let behind = stats
        .offsets
        .iter()
        .map(|(_, at)| at.broker_offset - at.consumer_offset);
    let behind = Json::Int(behind.sum());
    let Json::Object(mut members) = tree_of(&stats)? else {
        return Ok(object([("group", text(group)), ("diffTotal", behind)]));
    };
    members.push((text("diffTotal"), behind));
    members.push((text("group"), text(group)));
    Ok(Json::Object(members))
}

fn of_brokers(call: &Call<'_>) -> Result<Json> {
    let header = GetBrokerConsumeStatsRequest {
        is_order: call.arguments.flag("order")?.unwrap_or(false),
    };
    call.each(&call.brokers()?, |address| {
        call.body(address, RequestCode::GET_BROKER_CONSUME_STATS, &header)
    })
}

fn reset(call: &Call<'_>) -> Result<Json> {
    let timestamp_ms = call.arguments.time_ms("timestamp")?.unwrap_or(END);
    let (queue_id, offset) = (
        call.arguments.int("queueId")?,
        call.arguments.integer("offset")?,
    );
    if offset.is_some() && queue_id.is_none() {
        return Err(invalid("an offset needs a queueId"));
    }
    move_to(call, timestamp_ms, queue_id, offset)
}

fn skip(call: &Call<'_>) -> Result<Json> {
    move_to(call, END, None, None)
}

fn move_to(
    call: &Call<'_>,
    timestamp_ms: i64,
    queue_id: Option<i32>,
    offset: Option<i64>,
) -> Result<Json> {
    let topic = call.arguments.needed("topic")?;
    let header = ResetOffsetRequest {
        topic: topic.clone(),
        group: call.arguments.needed("group")?,
        queue_id: queue_id.unwrap_or(-1),
        offset,
        timestamp_ms,
        is_force: call.arguments.flag("force")?.unwrap_or(true),
    };
    let mut rows = Vec::new();
    for broker in call.brokers_of(&topic)? {
        let code = RequestCode::INVOKE_BROKER_TO_RESET_OFFSET;
        let body = call.body(&broker, code, &header)?;
        if let Some(offsets) = body.get("offsetTable").and_then(Json::as_object) {
            rows.extend(offsets.iter().cloned());
        }
    }
    Ok(super::tree::table(rows))
}

fn clone(call: &Call<'_>) -> Result<Json> {
    let topic = call.arguments.needed("topic")?;
    let header = CloneGroupOffsetRequest {
        source_group: call.arguments.needed("srcGroup")?,
        target_group: call.arguments.needed("destGroup")?,
        topic: Some(topic.clone()),
        offline: call.arguments.flag("offline")?.unwrap_or(false),
    };
    for broker in call.admin.masters_of(&topic)? {
        call.ask(&broker, RequestCode::CLONE_GROUP_OFFSET, &header)?;
    }
    Ok(Json::Null)
}

fn queue(call: &Call<'_>) -> Result<Json> {
    let topic = call.arguments.needed("topic")?;
    let header = QueryConsumeQueueRequest {
        topic: Some(topic.clone()),
        queue_id: call.arguments.int("queueId")?.unwrap_or(0),
        index: call.arguments.integer("index")?.unwrap_or(0),
        count: call.arguments.int("count")?.unwrap_or(10),
        consumer_group: call.arguments.text("consumer")?,
    };
    call.each(&call.brokers_of(&topic)?, |address| {
        let answer = call.ask(address, RequestCode::QUERY_CONSUME_QUEUE, &header)?;
        // Of what is not in the queue Apache's brokers say nothing.
        match answer.body.is_empty() {
            true => Ok(Json::Null),
            false => Json::parse(&answer.body).map_err(|e| unreadable(address, e)),
        }
    })
}
