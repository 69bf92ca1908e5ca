//! Topics.

use std::collections::BTreeSet;

use super::{Call, Entry, text, tree_of, unreadable};
use crate::base::Result;
use crate::client::TopicConfig;
use crate::protocol::code::RequestCode;
use crate::protocol::json::Json;
use crate::protocol::request::namesrv::GetTopicsByClusterRequest;
use crate::protocol::request::topic::GetTopicConfigRequest;

/// Queues of a topic when nothing is said, as `mqadmin` has it.
const QUEUE_NUMS: i32 = 8;
/// Readable and writeable.
const PERM: i32 = 6;
/// Flags of a topic.
const UNIT: i32 = 1;
const UNIT_SUBSCRIPTION: i32 = 2;

pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "updateTopic",
        takes: "topic [readQueueNums] [writeQueueNums] [perm] [order] [unit] [hasUnitSub] \
                [attributes] [brokerAddr] [clusterName]",
        answers: "`null`; creates the topic, or changes it. 8 queues and `perm` 6 unless said",
        run: update,
    },
    Entry {
        name: "updateTopicPerm",
        takes: "topic perm [brokerAddr] [clusterName]",
        answers: "`null`; 2 writes, 4 reads, 6 both",
        run: update_perm,
    },
    Entry {
        name: "deleteTopic",
        takes: "topic [clusterName]",
        answers: "`null`; the messages go with it",
        run: delete,
    },
    Entry {
        name: "topicList",
        takes: "[clusterName]",
        answers: "`topicList`: names",
        run: list,
    },
    Entry {
        name: "topicRoute",
        takes: "topic",
        answers: "`brokerDatas`: brokers with their addresses by id; `queueDatas`: queues and \
                  permissions on each",
        run: route,
    },
    Entry {
        name: "topicClusterList",
        takes: "topic",
        answers: "names of clusters that have the topic",
        run: clusters,
    },
    Entry {
        name: "topicStatus",
        takes: "topic",
        answers: "`offsetTable`: for each queue `minOffset`, `maxOffset`, `lastUpdateTimestamp`",
        run: status,
    },
];

fn update(call: &Call<'_>) -> Result<Json> {
    let arguments = &call.arguments;
    let flag =
        |name, bit| -> Result<i32> { Ok(i32::from(arguments.flag(name)?.unwrap_or(false)) * bit) };
    let topic = TopicConfig {
        read_queue_nums: arguments.int("readQueueNums")?.unwrap_or(QUEUE_NUMS),
        write_queue_nums: arguments.int("writeQueueNums")?.unwrap_or(QUEUE_NUMS),
        perm: arguments.int("perm")?.unwrap_or(PERM),
        order: arguments.flag("order")?.unwrap_or(false),
        topic_sys_flag: flag("unit", UNIT)? | flag("hasUnitSub", UNIT_SUBSCRIPTION)?,
        ..TopicConfig::new(arguments.needed("topic")?)
    };
    let attributes = arguments.attributes()?.into_iter();
    let attributes = attributes.map(|(name, value)| match name.starts_with('+') {
        true => format!("{name}={value}"),
        false => name,
    });
    let attributes: Vec<String> = attributes.collect();
    call.admin
        .create_topic_at(&call.brokers()?, &topic, &attributes)?;
    Ok(Json::Null)
}

fn update_perm(call: &Call<'_>) -> Result<Json> {
    let name = call.arguments.needed("topic")?;
    let perm = call.arguments.int("perm")?.unwrap_or(PERM);
    let brokers = match call.arguments.get("clusterName") {
        Some(_) => call.brokers()?,
        None => call.brokers_of(&name)?,
    };
    let header = GetTopicConfigRequest { topic: name };
    for broker in brokers {
        let answer = call.ask(&broker, RequestCode::GET_TOPIC_CONFIG, &header)?;
        let topic = TopicConfig::decode(&answer.body).map_err(|e| unreadable(&broker, e))?;
        let topic = TopicConfig { perm, ..topic };
        call.admin.create_topic_at(&[broker], &topic, &[])?;
    }
    Ok(Json::Null)
}

fn delete(call: &Call<'_>) -> Result<Json> {
    let topic = call.arguments.needed("topic")?;
    call.admin.delete_topic_at(&call.brokers()?, &topic)?;
    Ok(Json::Null)
}

fn list(call: &Call<'_>) -> Result<Json> {
    let code = RequestCode::GET_TOPICS_BY_CLUSTER;
    let names = match call.arguments.text("clusterName")? {
        None => Json::Array(call.admin.topics()?.into_iter().map(text).collect()),
        Some(cluster) => {
            let header = GetTopicsByClusterRequest { cluster };
            let answer = call.admin.ask_nameserver(code, &header)?;
            return Json::parse(&answer.body).map_err(|e| unreadable("the nameserver", e));
        }
    };
    Ok(super::object([("topicList", names)]))
}

fn route(call: &Call<'_>) -> Result<Json> {
    tree_of(&call.admin.route(&call.arguments.needed("topic")?)?)
}

fn clusters(call: &Call<'_>) -> Result<Json> {
    let route = call.admin.route(&call.arguments.needed("topic")?)?;
    let names = route.brokers.into_iter().map(|broker| broker.cluster);
    let names: BTreeSet<String> = names.collect();
    Ok(Json::Array(names.into_iter().map(text).collect()))
}

fn status(call: &Call<'_>) -> Result<Json> {
    let stats = call.admin.topic_offsets(&call.arguments.needed("topic")?)?;
    tree_of(&stats)
}
