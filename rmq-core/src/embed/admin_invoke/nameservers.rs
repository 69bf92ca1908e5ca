//! What nameservers know: brokers, routes, key-value configuration.

use super::{Call, Entry, text, tree_of, unreadable};
use crate::base::{ErrorKind, Result};
use crate::config::Properties;
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command as Request;
use crate::protocol::json::Json;
use crate::protocol::request::NoHeader;
use crate::protocol::request::kv::{
    DeleteKvConfigRequest, GetKvConfigRequest, GetKvConfigResponse, PutKvConfigRequest,
};
use crate::protocol::request::namesrv::{
    AddWritePermRequest, AddWritePermResponse, WipeWritePermRequest, WipeWritePermResponse,
};

/// The namespace of the orders of topics.
const ORDER_NAMESPACE: &str = "ORDER_TOPIC_CONFIG";

pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "clusterList",
        takes: "[clusterName]",
        answers: "`brokerAddrTable`: brokers with their addresses by id; `clusterAddrTable`: \
                  names of brokers by cluster",
        run: cluster_list,
    },
    Entry {
        name: "wipeWritePerm",
        takes: "brokerName",
        answers: "by nameserver: of how many topics the broker is written no more",
        run: wipe_write_perm,
    },
    Entry {
        name: "addWritePerm",
        takes: "brokerName",
        answers: "by nameserver: of how many topics the broker is written again",
        run: add_write_perm,
    },
    Entry {
        name: "updateKvConfig",
        takes: "namespace key value",
        answers: "`null`",
        run: update_kv_config,
    },
    Entry {
        name: "deleteKvConfig",
        takes: "namespace key",
        answers: "`null`",
        run: delete_kv_config,
    },
    Entry {
        name: "updateOrderConf",
        takes: "topic method [orderConf]",
        answers: "`null`; of the method `get` the order (`broker:queues;broker:queues`); the \
                  others are `put` and `delete`",
        run: update_order_conf,
    },
    Entry {
        name: "getNamesrvConfig",
        takes: "",
        answers: "by nameserver: its keys and values",
        run: get_config,
    },
    Entry {
        name: "updateNamesrvConfig",
        takes: "key value",
        answers: "`null`",
        run: update_config,
    },
];

fn cluster_list(call: &Call<'_>) -> Result<Json> {
    let mut info = call.admin.cluster()?;
    if let Some(wanted) = call.arguments.text("clusterName")? {
        info.clusters.retain(|cluster, _| *cluster == wanted);
        info.brokers.retain(|_, broker| broker.cluster == wanted);
    }
    tree_of(&info)
}

fn wipe_write_perm(call: &Call<'_>) -> Result<Json> {
    let broker_name = call.arguments.needed("brokerName")?;
    let header = WipeWritePermRequest { broker_name };
    call.each(call.admin.nameservers(), |address| {
        let answer = call.ask(address, RequestCode::WIPE_WRITE_PERM_OF_BROKER, &header)?;
        let answer: WipeWritePermResponse = answer.header().map_err(|e| unreadable(address, e))?;
        Ok(Json::Int(answer.wipe_topic_count.into()))
    })
}

fn add_write_perm(call: &Call<'_>) -> Result<Json> {
    let broker_name = call.arguments.needed("brokerName")?;
    let header = AddWritePermRequest { broker_name };
    call.each(call.admin.nameservers(), |address| {
        let answer = call.ask(address, RequestCode::ADD_WRITE_PERM_OF_BROKER, &header)?;
        let answer: AddWritePermResponse = answer.header().map_err(|e| unreadable(address, e))?;
        Ok(Json::Int(answer.add_topic_count.into()))
    })
}

fn put(call: &Call<'_>, namespace: &str, key: String, value: String) -> Result<Json> {
    let header = PutKvConfigRequest {
        namespace: namespace.to_owned(),
        key,
        value,
    };
    for address in call.admin.nameservers() {
        call.ask(address, RequestCode::PUT_KV_CONFIG, &header)?;
    }
    Ok(Json::Null)
}

fn delete(call: &Call<'_>, namespace: &str, key: String) -> Result<Json> {
    let header = DeleteKvConfigRequest {
        namespace: namespace.to_owned(),
        key,
    };
    for address in call.admin.nameservers() {
        call.ask(address, RequestCode::DELETE_KV_CONFIG, &header)?;
    }
    Ok(Json::Null)
}

fn update_kv_config(call: &Call<'_>) -> Result<Json> {
    let arguments = &call.arguments;
    let namespace = arguments.needed("namespace")?;
    put(
        call,
        &namespace,
        arguments.needed("key")?,
        arguments.needed("value")?,
    )
}

fn delete_kv_config(call: &Call<'_>) -> Result<Json> {
    let arguments = &call.arguments;
    delete(
        call,
        &arguments.needed("namespace")?,
        arguments.needed("key")?,
    )
}

fn update_order_conf(call: &Call<'_>) -> Result<Json> {
    let topic = call.arguments.needed("topic")?;
    match call.arguments.needed("method")?.as_str() {
        "put" => put(
            call,
            ORDER_NAMESPACE,
            topic,
            call.arguments.needed("orderConf")?,
        ),
        "delete" => delete(call, ORDER_NAMESPACE, topic),
        "get" => {
            let header = GetKvConfigRequest {
                namespace: ORDER_NAMESPACE.to_owned(),
                key: topic,
            };
            let answer = call
                .admin
                .ask_nameserver(RequestCode::GET_KV_CONFIG, &header);
            let answer = match answer {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Json::Null),
                other => other?,
            };
            let answer: GetKvConfigResponse = answer
                .header()
                .map_err(|e| unreadable("the nameserver", e))?;
            Ok(answer.value.map_or(Json::Null, text))
        }
        other => {
            let shown: String = other.chars().take(64).collect();
            Err(super::invalid(format!(
                "the method is \"{}\", not put, get or delete",
                shown.escape_debug()
            )))
        }
    }
}

/// The keys and values of a properties text.
pub(super) fn properties(address: &str, body: &[u8]) -> Result<Json> {
    let keys = Properties::parse(address, body)?;
    let members = keys.iter().map(|(key, value)| (text(key), text(value)));
    Ok(Json::Object(members.collect()))
}

/// One changed key as the body of an update.
pub(super) fn changed_key(call: &Call<'_>) -> Result<Vec<u8>> {
    let mut keys = Properties::new("arguments");
    keys.set(
        call.arguments.needed("key")?,
        call.arguments.needed("value")?,
    );
    Ok(keys.to_body().into_bytes())
}

fn get_config(call: &Call<'_>) -> Result<Json> {
    call.each(call.admin.nameservers(), |address| {
        let answer = call.ask(address, RequestCode::GET_NAMESRV_CONFIG, &NoHeader)?;
        properties(address, &answer.body)
    })
}

fn update_config(call: &Call<'_>) -> Result<Json> {
    let body = changed_key(call)?;
    for address in call.admin.nameservers() {
        let request = Request::bare_request(RequestCode::UPDATE_NAMESRV_CONFIG);
        call.admin.ask(address, request.with_body(body.clone()))?;
    }
    Ok(Json::Null)
}
