//! Brokers: state, configuration, figures, cleaning up.

use super::nameservers::{changed_key, properties};
use super::{Call, Entry, object, text};
use crate::base::{ErrorKind, Result};
use crate::protocol::body::broker_stats::BrokerStatsData;
use crate::protocol::body::group_list::GroupList;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command as Request;
use crate::protocol::json::Json;
use crate::protocol::request::NoHeader;
use crate::protocol::request::admin::ViewBrokerStatsDataRequest;
use crate::protocol::request::topic::QueryTopicConsumeByWhoRequest;

/// Topics that groups have of their own.
const GROUP_PREFIXES: [&str; 2] = ["%RETRY%", "%DLQ%"];

pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "brokerStatus",
        takes: "[brokerAddr] [clusterName]",
        answers: "by broker: its figures, as texts",
        run: status,
    },
    Entry {
        name: "getBrokerConfig",
        takes: "[brokerAddr] [clusterName]",
        answers: "by broker: its keys and values",
        run: get_config,
    },
    Entry {
        name: "updateBrokerConfig",
        takes: "key value [brokerAddr] [clusterName]",
        answers: "by broker: what became of the key, or `null`",
        run: update_config,
    },
    Entry {
        name: "haStatus",
        takes: "[brokerAddr] [clusterName]",
        answers: "by broker: `haConnectionInfo` of a master's slaves, `haClientRuntimeInfo` of a \
                  slave's stream",
        run: ha_status,
    },
    Entry {
        name: "statsAll",
        takes: "[topic]",
        answers: "for each topic `inTps` and `inMsg24Hour`, and for each of its `groups` `outTps` \
                  and `outMsg24Hour`",
        run: stats,
    },
    Entry {
        name: "cleanExpiredCQ",
        takes: "[brokerAddr] [clusterName]",
        answers: "`null`; deletes consume queues of messages that are gone",
        run: clean_queues,
    },
    Entry {
        name: "cleanUnusedTopic",
        takes: "[brokerAddr] [clusterName]",
        answers: "`null`; deletes files of topics that are gone",
        run: clean_topics,
    },
    Entry {
        name: "deleteExpiredCommitLog",
        takes: "[brokerAddr] [clusterName]",
        answers: "`null`; deletes files of the log that are old enough, now",
        run: clean_log,
    },
];

fn status(call: &Call<'_>) -> Result<Json> {
    call.each(&call.brokers()?, |address| {
        let code = RequestCode::GET_BROKER_RUNTIME_INFO;
        let body = call.body(address, code, &NoHeader)?;
        Ok(body.get("table").cloned().unwrap_or_default())
    })
}

fn get_config(call: &Call<'_>) -> Result<Json> {
    call.each(&call.brokers()?, |address| {
        let answer = call.ask(address, RequestCode::GET_BROKER_CONFIG, &NoHeader)?;
        properties(address, &answer.body)
    })
}

fn update_config(call: &Call<'_>) -> Result<Json> {
    let body = changed_key(call)?;
    call.each(&call.brokers()?, |address| {
        let request = Request::bare_request(RequestCode::UPDATE_BROKER_CONFIG);
        let answer = call.admin.ask(address, request.with_body(body.clone()))?;
        Ok(answer.remark.map_or(Json::Null, text))
    })
}

fn ha_status(call: &Call<'_>) -> Result<Json> {
    call.each_body(RequestCode::GET_BROKER_HA_STATUS)
}

fn do_all(call: &Call<'_>, code: RequestCode) -> Result<Json> {
    for broker in call.brokers()? {
        call.ask(&broker, code, &NoHeader)?;
    }
    Ok(Json::Null)
}

fn clean_queues(call: &Call<'_>) -> Result<Json> {
    do_all(call, RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE)
}

fn clean_topics(call: &Call<'_>) -> Result<Json> {
    do_all(call, RequestCode::CLEAN_UNUSED_TOPIC)
}

fn clean_log(call: &Call<'_>) -> Result<Json> {
    do_all(call, RequestCode::DELETE_EXPIRED_COMMITLOG)
}

fn stats(call: &Call<'_>) -> Result<Json> {
    let topics: Vec<String> = match call.arguments.text("topic")? {
        Some(topic) => vec![topic],
        None => {
            let topics = call.admin.topics()?.into_iter();
            let is_own = |topic: &String| !GROUP_PREFIXES.iter().any(|p| topic.starts_with(p));
            topics
                .filter(is_own)
                .map(|topic| call.admin.outer(&topic))
                .collect()
        }
    };
    let rows = topics.iter().map(|topic| topic_stats(call, topic));
    Ok(Json::Array(rows.collect::<Result<_>>()?))
}

fn topic_stats(call: &Call<'_>, topic: &str) -> Result<Json> {
    let brokers = call.admin.masters_of(topic)?;
    let header = QueryTopicConsumeByWhoRequest {
        topic: topic.to_owned(),
    };
    let mut names = std::collections::BTreeSet::new();
    for broker in &brokers {
        let answer = call.ask(broker, RequestCode::QUERY_TOPIC_CONSUME_BY_WHO, &header)?;
        let list = GroupList::decode(&answer.body).map_err(|e| super::unreadable(broker, e))?;
        names.extend(list.groups);
    }
    let (in_tps, in_sum) = counter(call, &brokers, "TOPIC_PUT_NUMS", topic)?;
    let mut groups = Vec::new();
    for group in names {
        let key = format!("{topic}@{group}");
        let (out_tps, out_sum) = counter(call, &brokers, "GROUP_GET_NUMS", &key)?;
        groups.push(object([
            ("group", text(group)),
            ("outTps", Json::Float(out_tps)),
            ("outMsg24Hour", Json::Int(out_sum)),
        ]));
    }
    Ok(object([
        ("topic", text(topic)),
        ("inTps", Json::Float(in_tps)),
        ("inMsg24Hour", Json::Int(in_sum)),
        ("groups", Json::Array(groups)),
    ]))
}

/// Events a second over the last minute, and events of the last 24 hours. A broker that has counted
/// nothing yet says that there is no such counter.
fn counter(call: &Call<'_>, brokers: &[String], name: &str, key: &str) -> Result<(f64, i64)> {
    let header = ViewBrokerStatsDataRequest {
        stats_name: name.to_owned(),
        stats_key: key.to_owned(),
    };
    let (mut tps, mut sum) = (0.0, 0);
    for broker in brokers {
        let answer = match call.ask(broker, RequestCode::VIEW_BROKER_STATS_DATA, &header) {
            Err(error) if matches!(error.kind(), ErrorKind::Remote(_)) => continue,
            other => other?,
        };
        let data = BrokerStatsData::decode(&answer.body);
        let data = data.map_err(|e| super::unreadable(broker, e))?;
        tps += data.stats_minute.tps;
        // The longest span that has been read at all.
        let spans = [
            data.stats_day.sum,
            data.stats_hour.sum,
            data.stats_minute.sum,
        ];
        sum += spans.into_iter().find(|sum| *sum != 0).unwrap_or(0);
    }
    Ok((tps, sum))
}
