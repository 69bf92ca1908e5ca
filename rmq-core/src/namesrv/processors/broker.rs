//! Brokers: 103, 104, 322, 904, 901, 106, 205, 327.

use std::time::Duration;

use super::super::kv::ORDER_NAMESPACE;
use super::kv::table_body;
use super::route::broker_data;
use super::{Answer, Context, Failure, check_name, header, success, unreadable};
use crate::base::crc::crc32;
use crate::net::ConnectionId;
use crate::protocol::body::cluster::{BrokerMemberGroup, BrokerMemberGroupResponse, ClusterInfo};
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::register::RegisterBrokerBody;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::broker::{
    BrokerHeartbeatRequest, QueryDataVersionRequest, QueryDataVersionResponse,
    RegisterBrokerRequest, RegisterBrokerResponse, UnregisterBrokerRequest,
};
use crate::protocol::request::namesrv::{
    AddWritePermRequest, AddWritePermResponse, GetBrokerMemberGroupRequest, WipeWritePermRequest,
    WipeWritePermResponse, ZONE_NAME,
};
use crate::route::{Queues, Refusal, Registered, Registration, Rules, Topic};

/// Longest name of a topic.
const TOPIC_BYTES_MAX: usize = 255;

pub(super) fn register(context: &Context<'_>, request: &Command) -> Answer {
    let broker: RegisterBrokerRequest = header(request)?;
    if broker.body_crc32 != 0 && broker.body_crc32 != crc32(&request.body) {
        return Err(Failure::new(ResponseCode::SYSTEM_ERROR, "crc32 not match"));
    }
    check_name("cluster", &broker.cluster_name)?;
    check_name("broker name", &broker.broker_name)?;
    check_name("broker address", &broker.broker_addr)?;
    let state = context.state;
    let config = state.settings.get();
    let (name, address) = (broker.broker_name.clone(), broker.broker_addr.clone());
    let registration = registration(context, request, broker)?;
    let rules = Rules {
        delete_absent_topics: config.delete_topic_with_registration,
        topics_max: config.topics_max,
        brokers_max: config.brokers_max,
    };
    let registered = state
        .table
        .write()
        .register(registration, &rules, context.now);
    let registered = match registered {
        Ok(registered) => registered,
        Err(refusal) => return refused(request, refusal, &name, &address),
    };
    let Registered {
        master,
        min_id,
        new,
        topics_dropped,
    } = registered;
    if new {
        tracing::info!(%name, %address, peer = ?context.peer, "new broker registered");
    }
    if topics_dropped > 0 {
        let most = config.topics_max;
        tracing::warn!(%name, topics_dropped, "the table has {most} topics (rmq.maxTopics)");
    }
    state.tell(min_id);
    let (master_addr, ha_server_addr) =
        master.map_or((None, None), |m| (Some(m.address), Some(m.ha_address)));
    let header = RegisterBrokerResponse {
        ha_server_addr,
        master_addr,
    };
    let mut answer = success(request).with_header(&header);
    if config.return_order_config_to_broker
        && let Some(table) = state.kv.list(ORDER_NAMESPACE)
    {
        answer = answer.with_body(table_body(table));
    }
    Ok(Some(answer))
}

fn refused(request: &Command, refusal: Refusal, name: &str, address: &str) -> Answer {
    tracing::warn!(%name, %address, ?refusal, "registration refused");
    match refusal {
        // As Apache answers: the newcomer learns nothing, and is not listed.
        Refusal::Stale => {
            let header = RegisterBrokerResponse {
                ha_server_addr: None,
                master_addr: None,
            };
            Ok(Some(success(request).with_header(&header)))
        }
        Refusal::Incomplete => Err(Failure::new(
            ResponseCode::SYSTEM_ERROR,
            "register broker failed",
        )),
        Refusal::Full => {
            let remark = "the name server has as many brokers as it may have (rmq.maxBrokers)";
            Err(Failure::new(ResponseCode::SYSTEM_ERROR, remark))
        }
    }
}

/// Reads the body into what the table takes.
fn registration(
    context: &Context<'_>,
    request: &Command,
    broker: RegisterBrokerRequest,
) -> Result<Registration<ConnectionId>, Failure> {
    let inflated_max = context.state.settings.get().inflated_bytes_max;
    let body = RegisterBrokerBody::decode_request(
        &request.body,
        broker.compressed,
        request.version,
        inflated_max,
    )
    .map_err(|error| Failure::new(ResponseCode::SYSTEM_ERROR, error.to_string()))?;
    let table = body.topics;
    let topics = table.topics.into_iter().filter_map(|(key, config)| {
        let named = !config.topic_name.is_empty();
        let name = if named { config.topic_name } else { key };
        let fits = !name.is_empty() && name.len() <= TOPIC_BYTES_MAX;
        let queues = Queues {
            read: config.read_queue_nums,
            write: config.write_queue_nums,
            perm: config.perm,
            sys_flag: config.topic_sys_flag,
        };
        (fits && !name.contains(char::is_control)).then_some(Topic { name, queues })
    });
    let timeout = broker
        .heartbeat_timeout_ms
        .and_then(|ms| u64::try_from(ms).ok());
    Ok(Registration {
        topics: topics.collect(),
        cluster: broker.cluster_name,
        broker_name: broker.broker_name,
        broker_id: broker.broker_id,
        address: broker.broker_addr,
        ha_address: broker.ha_server_addr,
        zone: request.ext.get(ZONE_NAME).map(str::to_owned),
        timeout: timeout.map(Duration::from_millis),
        acting_master: broker.enable_acting_master,
        version: table.data_version,
        mappings: table.mappings.into_iter().collect(),
        filter_servers: Some(body.filter_servers),
        connection: context.connection,
    })
}

pub(super) fn unregister(context: &Context<'_>, request: &Command) -> Answer {
    let broker: UnregisterBrokerRequest = header(request)?;
    let UnregisterBrokerRequest {
        cluster_name,
        broker_addr,
        broker_name,
        ..
    } = &broker;
    tracing::info!(name = %broker_name, address = %broker_addr, "broker unregistered");
    let change = context
        .state
        .table
        .write()
        .unregister(cluster_name, broker_addr, broker_name);
    context.state.tell(change);
    Ok(Some(success(request)))
}

pub(super) fn query_data_version(context: &Context<'_>, request: &Command) -> Answer {
    let broker: QueryDataVersionRequest = header(request)?;
    let theirs = match request.body.is_empty() {
        true => None,
        false => Some(DataVersion::decode(&request.body).map_err(unreadable)?),
    };
    let ours = {
        let (cluster, address) = (&broker.cluster_name, &broker.broker_addr);
        let mut table = context.state.table.write();
        table.heartbeat(cluster, address, context.now);
        table.version(cluster, address)
    };
    let changed = ours.is_none() || ours != theirs;
    let mut answer = success(request).with_header(&QueryDataVersionResponse { changed });
    if let Some(ours) = ours {
        answer = answer.with_body(ours.encode());
    }
    Ok(Some(answer))
}

pub(super) fn heartbeat(context: &Context<'_>, request: &Command) -> Answer {
    let broker: BrokerHeartbeatRequest = header(request)?;
    let (cluster, address) = (&broker.cluster_name, &broker.broker_addr);
    context
        .state
        .table
        .write()
        .heartbeat(cluster, address, context.now);
    Ok(Some(success(request)))
}

pub(super) fn members(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: GetBrokerMemberGroupRequest = header(request)?;
    let members = context.state.table.read().members(&wanted.broker_name);
    let group = BrokerMemberGroup {
        broker_addrs: members.iter().map(|(id, a)| (*id, a.to_string())).collect(),
        broker_name: wanted.broker_name,
        cluster: wanted.cluster_name,
    };
    let body = BrokerMemberGroupResponse { group: Some(group) };
    Ok(Some(success(request).with_body(body.encode())))
}

pub(super) fn cluster_info(context: &Context<'_>, request: &Command) -> Answer {
    let (brokers, clusters) = {
        let table = context.state.table.read();
        (table.brokers(), table.clusters())
    };
    let body = ClusterInfo {
        brokers: brokers
            .into_iter()
            .map(|broker| (broker.name.to_string(), broker_data(broker)))
            .collect(),
        clusters: clusters
            .into_iter()
            .map(|(cluster, names)| {
                (
                    cluster.to_string(),
                    names.iter().map(ToString::to_string).collect(),
                )
            })
            .collect(),
    };
    // Always fastjson's dialect: that is what every reader of this answer expects.
    Ok(Some(success(request).with_body(body.encode())))
}

pub(super) fn wipe_write_perm(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: WipeWritePermRequest = header(request)?;
    let count = context
        .state
        .table
        .write()
        .wipe_write_permission(&wanted.broker_name);
    let name = &wanted.broker_name;
    tracing::info!(%name, count, peer = ?context.peer, "write permission taken from topics");
    let header = WipeWritePermResponse {
        wipe_topic_count: count,
    };
    Ok(Some(success(request).with_header(&header)))
}

pub(super) fn add_write_perm(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: AddWritePermRequest = header(request)?;
    let count = context
        .state
        .table
        .write()
        .add_write_permission(&wanted.broker_name);
    let name = &wanted.broker_name;
    tracing::info!(%name, count, peer = ?context.peer, "write permission given to topics");
    let header = AddWritePermResponse {
        add_topic_count: count,
    };
    Ok(Some(success(request).with_header(&header)))
}
