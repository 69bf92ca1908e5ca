//! The key-value configuration: 100, 101, 102, 219.

use std::collections::BTreeMap;

use super::super::kv::Full;
use super::super::saver::Changed;
use super::{Answer, Context, Failure, after_saving, check_name, header, success};
use crate::protocol::body::kv_table::KvTable;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::kv::{
    DeleteKvConfigRequest, GetKvConfigRequest, GetKvConfigResponse, GetKvListRequest,
    PutKvConfigRequest,
};

pub(super) fn put(context: &Context<'_>, request: &Command) -> Answer {
    let item: PutKvConfigRequest = header(request)?;
    check_name("namespace", &item.namespace)?;
    check_name("key", &item.key)?;
    let config = context.state.settings.get();
    if item.value.len() > config.kv_value_bytes_max {
        let most = config.kv_value_bytes_max;
        let remark = format!("the value is longer than {most} bytes (rmq.maxKvValueBytes)");
        return Err(Failure::new(ResponseCode::SYSTEM_ERROR, remark));
    }
    let (namespace, key) = (&item.namespace, &item.key);
    tracing::info!(%namespace, %key, peer = ?context.peer, "put into the configuration");
    let kv = &context.state.kv;
    kv.put(item.namespace, item.key, item.value, config.kv_items_max)
        .map_err(|Full| {
            let most = config.kv_items_max;
            let remark = format!("there are {most} items already (rmq.maxKvItems)");
            Failure::new(ResponseCode::SYSTEM_ERROR, remark)
        })?;
    after_saving(context, request, Changed::Kv, success(request))
}

pub(super) fn get(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: GetKvConfigRequest = header(request)?;
    let value = context.state.kv.get(&wanted.namespace, &wanted.key);
    if value.is_none() {
        let GetKvConfigRequest { namespace, key } = wanted;
        let remark = format!("No config item, Namespace: {namespace} Key: {key}");
        return Err(Failure(ResponseCode::QUERY_NOT_FOUND, remark));
    }
    Ok(Some(
        success(request).with_header(&GetKvConfigResponse { value }),
    ))
}

pub(super) fn delete(context: &Context<'_>, request: &Command) -> Answer {
    let item: DeleteKvConfigRequest = header(request)?;
    let (namespace, key) = (&item.namespace, &item.key);
    if !context.state.kv.delete(namespace, key) {
        return Ok(Some(success(request)));
    }
    tracing::info!(%namespace, %key, peer = ?context.peer, "deleted from the configuration");
    after_saving(context, request, Changed::Kv, success(request))
}

pub(super) fn list(context: &Context<'_>, request: &Command) -> Answer {
    let wanted: GetKvListRequest = header(request)?;
    match context.state.kv.list(&wanted.namespace) {
        Some(table) => Ok(Some(success(request).with_body(table_body(table)))),
        None => {
            let remark = format!("No config item, Namespace: {}", wanted.namespace);
            Err(Failure(ResponseCode::QUERY_NOT_FOUND, remark))
        }
    }
}

/// A namespace as bodies show it.
pub(super) fn table_body(table: BTreeMap<String, String>) -> Vec<u8> {
    KvTable { table }.encode()
}
