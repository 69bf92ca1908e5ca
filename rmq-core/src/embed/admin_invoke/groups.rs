//! Consumer groups and the clients of groups.

use super::{Call, Entry, invalid, text, tree_of, unreadable};
use crate::base::Result;
use crate::client::SubscriptionGroupConfig;
use crate::protocol::body::connection::ConsumerConnection;
use crate::protocol::body::group::GroupRetryPolicy;
use crate::protocol::body::request_mode::{GroupRequestMode, MessageRequestMode};
use crate::protocol::code::RequestCode;
use crate::protocol::command::Command as Request;
use crate::protocol::json::Json;
use crate::protocol::request::group::{
    GetConsumerConnectionListRequest, GetProducerConnectionListRequest,
    GetSubscriptionGroupConfigRequest,
};
use crate::protocol::request::push::GetConsumerRunningInfoRequest;

pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "updateSubGroup",
        takes: "group [consumeEnable] [consumeFromMinEnable] [consumeBroadcastEnable] \
                [consumeMessageOrderly] [retryQueueNums] [retryMaxTimes] [groupRetryPolicy] \
                [brokerId] [whichBrokerWhenConsumeSlowly] [notifyConsumerIdsChanged] \
                [attributes] [brokerAddr] [clusterName]",
        answers: "`null`; creates the group, or changes it: what is not said has its default",
        run: update,
    },
    Entry {
        name: "deleteSubGroup",
        takes: "group [removeOffset] [brokerAddr] [clusterName]",
        answers: "`null`; offsets stay unless `removeOffset` is true",
        run: delete,
    },
    Entry {
        name: "getConsumerConfig",
        takes: "group [brokerAddr] [clusterName]",
        answers: "by broker: the settings of the group",
        run: config,
    },
    Entry {
        name: "setConsumeMode",
        takes: "topic group mode [popShareQueueNum] [brokerAddr] [clusterName]",
        answers: "`null`; `mode` is `PULL` or `POP`",
        run: set_mode,
    },
    Entry {
        name: "consumerConnection",
        takes: "group [brokerAddr]",
        answers: "`connectionSet`: the clients; `subscriptionTable`: what they take, by topic",
        run: consumers,
    },
    Entry {
        name: "consumerStatus",
        takes: "group [clientId] [brokerAddr]",
        answers: "by client: what it tells of itself; `mqTable`: its queues",
        run: running,
    },
    Entry {
        name: "producerConnection",
        takes: "group [topic]",
        answers: "`connectionSet`: the clients",
        run: producers,
    },
    Entry {
        name: "producer",
        takes: "[brokerAddr]",
        answers: "by broker: `data`: the clients by producer group",
        run: all_producers,
    },
];

fn update(call: &Call<'_>) -> Result<Json> {
    let arguments = &call.arguments;
    let mut group = SubscriptionGroupConfig::new(arguments.needed("group")?);
    let flags = [
        ("consumeEnable", &mut group.consume_enable),
        ("consumeFromMinEnable", &mut group.consume_from_min_enable),
        (
            "consumeBroadcastEnable",
            &mut group.consume_broadcast_enable,
        ),
        ("consumeMessageOrderly", &mut group.consume_message_orderly),
        (
            "notifyConsumerIdsChanged",
            &mut group.notify_consumer_ids_changed_enable,
        ),
    ];
    for (name, place) in flags {
        *place = arguments.flag(name)?.unwrap_or(*place);
    }
    let numbers = [
        ("retryQueueNums", &mut group.retry_queue_nums),
        ("retryMaxTimes", &mut group.retry_max_times),
    ];
    for (name, place) in numbers {
        *place = arguments.int(name)?.unwrap_or(*place);
    }
    let ids = [
        ("brokerId", &mut group.broker_id),
        (
            "whichBrokerWhenConsumeSlowly",
            &mut group.which_broker_when_consume_slowly,
        ),
    ];
    for (name, place) in ids {
        *place = arguments.integer(name)?.unwrap_or(*place);
    }
    if let Some(policy) = arguments.get("groupRetryPolicy") {
        group.group_retry_policy = retry_policy(policy)?;
    }
    group.attributes = arguments.attributes()?.into_iter().collect();
    call.admin.create_group_at(&call.brokers()?, &group)?;
    Ok(Json::Null)
}

/// An object, or the text of one.
fn retry_policy(policy: &Json) -> Result<GroupRetryPolicy> {
    let read = match policy.as_str() {
        Some(text) => crate::protocol::json::from_text(text),
        None => policy.to(),
    };
    read.map_err(|error| invalid(format!("groupRetryPolicy: {error}")))
}

fn delete(call: &Call<'_>) -> Result<Json> {
    let group = call.arguments.needed("group")?;
    let offsets_too = call.arguments.flag("removeOffset")?.unwrap_or(false);
    call.admin
        .delete_group_at(&call.brokers()?, &group, offsets_too)?;
    Ok(Json::Null)
}

fn config(call: &Call<'_>) -> Result<Json> {
    let group = call.arguments.needed("group")?;
    let header = GetSubscriptionGroupConfigRequest { group };
    call.each(&call.brokers()?, |address| {
        call.body(address, RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG, &header)
    })
}

fn set_mode(call: &Call<'_>) -> Result<Json> {
    let mode = call.arguments.needed("mode")?;
    let mode = MessageRequestMode::from_name(&mode)
        .ok_or_else(|| invalid("the mode is neither PULL nor POP"))?;
    let body = GroupRequestMode {
        consumer_group: call.arguments.needed("group")?,
        mode,
        pop_share_queue_num: call.arguments.int("popShareQueueNum")?.unwrap_or(0),
        topic: call.arguments.needed("topic")?,
    };
    for broker in call.brokers()? {
        let request = Request::bare_request(RequestCode::SET_MESSAGE_REQUEST_MODE);
        call.admin.ask(&broker, request.with_body(body.encode()))?;
    }
    Ok(Json::Null)
}

/// The clients of a group, and the broker that knows them.
fn connections(call: &Call<'_>, group: &str) -> Result<(String, ConsumerConnection)> {
    let header = GetConsumerConnectionListRequest {
        consumer_group: group.to_owned(),
    };
    let mut outcome = Err(invalid("there is no broker"));
    for broker in call.brokers()? {
        let answer = call.ask(&broker, RequestCode::GET_CONSUMER_CONNECTION_LIST, &header);
        outcome = answer.and_then(|answer| {
            let read = ConsumerConnection::decode(&answer.body);
            Ok((broker.clone(), read.map_err(|e| unreadable(&broker, e))?))
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

fn consumers(call: &Call<'_>) -> Result<Json> {
    let (_, found) = connections(call, &call.arguments.needed("group")?)?;
    tree_of(&found)
}

fn running(call: &Call<'_>) -> Result<Json> {
    let group = call.arguments.needed("group")?;
    let (broker, found) = connections(call, &group)?;
    let ids = match call.arguments.text("clientId")? {
        Some(id) => vec![id],
        None => found
            .connections
            .into_iter()
            .map(|one| one.client_id)
            .collect(),
    };
    let told = ids.into_iter().map(|client_id| {
        let header = GetConsumerRunningInfoRequest {
            consumer_group: group.clone(),
            client_id: client_id.clone(),
            jstack_enable: false,
        };
        let info = call.body(&broker, RequestCode::GET_CONSUMER_RUNNING_INFO, &header)?;
        Ok((text(client_id), info))
    });
    Ok(Json::Object(told.collect::<Result<_>>()?))
}

fn producers(call: &Call<'_>) -> Result<Json> {
    let header = GetProducerConnectionListRequest {
        producer_group: call.arguments.needed("group")?,
    };
    let brokers = match call.arguments.text("topic")? {
        Some(topic) => call.admin.masters_of(&topic)?,
        None => call.admin.masters()?,
    };
    call.first(&brokers, |address| {
        call.body(address, RequestCode::GET_PRODUCER_CONNECTION_LIST, &header)
    })
}

fn all_producers(call: &Call<'_>) -> Result<Json> {
    call.each_body(RequestCode::GET_ALL_PRODUCER_INFO)
}
