//! Among the brokers of one name: what slaves ask their master for, and what nameservers tell.

use std::sync::Arc;

use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::shared::{RegisterNow, Shared};
use crate::protocol::body::offset::DelayOffsetTable;
use crate::protocol::body::request_mode::RequestModeTable;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::ha::{ExchangeHaInfo, NotifyMinBrokerIdChangeRequest};

/// How far delayed messages were delivered: here, or on a slave as its file has it.
pub(super) fn delay_offsets(shared: &Arc<Shared>, request: &Command) -> Answer {
    let table = match shared.is_master() {
        true => shared.schedule.table(shared.clock.wall_ms()),
        false => {
            let file = &shared.files.delay_offset;
            file.load(DelayOffsetTable::decode)?.unwrap_or_default()
        }
    };
    Ok(Some(success(request).with_body(table.encode_wire())))
}

/// How groups get their messages, as the file has it.
pub(super) fn request_modes(shared: &Arc<Shared>, request: &Command) -> Answer {
    let table = shared.files.request_mode.load(RequestModeTable::decode)?;
    let body = table.unwrap_or_default().encode();
    Ok(Some(success(request).with_body(body)))
}

/// How far the timer is: here, or on a slave as its file has it.
pub(super) fn timer_checkpoint(shared: &Arc<Shared>, request: &Command) -> Answer {
    refuse_without_timer(shared)?;
    let checkpoint = match shared.is_master() {
        true => shared.timer.checkpoint(),
        false => shared.files.load_timer_checkpoint(),
    };
    Ok(Some(success(request).with_body(checkpoint.encode())))
}

/// How many timed messages wait, by topic: likewise.
pub(super) fn timer_metrics(shared: &Arc<Shared>, request: &Command) -> Answer {
    refuse_without_timer(shared)?;
    let metrics = match shared.is_master() {
        true => shared.timer.metrics(),
        false => shared.files.load_timer_metrics(),
    };
    Ok(Some(success(request).with_body(metrics.encode())))
}

/// A slave skips the error.
fn refuse_without_timer(shared: &Arc<Shared>) -> Result<(), Refusal> {
    if shared.config().store.timer_enable {
        return Ok(());
    }
    let remark = "this broker keeps no timer: timerWheelEnable is false";
    Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark))
}

/// A nameserver's word that another broker has the lowest id now. It comes unasked and from
/// anywhere, so a slave asks the nameservers that it knows.
pub(super) fn min_broker_id_changed(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header: NotifyMinBrokerIdChangeRequest = request.header()?;
    let own = &shared.config().broker_name;
    if header.broker_name.is_some_and(|name| name != *own) {
        return Ok(Some(success(request)));
    }
    let address = header.min_broker_addr;
    tracing::info!(
        id = header.min_broker_id,
        address,
        "the lowest broker id changed"
    );
    if let Some(id) = header.min_broker_id {
        shared.members.set_min_id(id);
    }
    if shared.members.is_slave() {
        let done = Box::new(|| {});
        // A full queue means that they are asked at once anyway.
        let _ = shared
            .registration
            .try_push(RegisterNow { done, all: true });
    }
    Ok(Some(success(request)))
}

/// How replication goes.
pub(super) fn ha_status(shared: &Arc<Shared>, request: &Command) -> Answer {
    let Some(streams) = shared.streams() else {
        let remark = "replication is starting";
        return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
    };
    let log_end = shared.store.watermarks().appended();
    let status = streams.status().to_status(log_end);
    Ok(Some(success(request).with_body(status.encode())))
}

/// Tells a slave where this master is replicated from. What the request itself says of a master is
/// not taken: a slave follows the nameservers that it is configured with.
pub(super) fn exchange_ha_info(shared: &Arc<Shared>, request: &Command) -> Answer {
    let asked: ExchangeHaInfo = request.header()?;
    let mut told = ExchangeHaInfo {
        master_ha_address: None,
        master_flush_offset: None,
        master_address: None,
    };
    if shared.is_master() && asked.master_ha_address.is_none() {
        told = ExchangeHaInfo {
            master_ha_address: shared.ha_address().map(|address| address.to_string()),
            master_flush_offset: Some(shared.store.watermarks().flushed()),
            master_address: Some(shared.store_host().to_string()),
        };
    }
    Ok(Some(success(request).with_header(&told)))
}
