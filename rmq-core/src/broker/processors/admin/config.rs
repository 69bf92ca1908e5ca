//! The broker's own configuration.

use std::sync::Arc;

use crate::base::{Error, ErrorKind};
use crate::broker::control::Context;
use crate::broker::reply::{Answer, Refusal, success};
use crate::broker::settings;
use crate::broker::shared::Shared;
use crate::config::{KeyChange, Properties, ServerSettings};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::admin::GetBrokerConfigResponse;

pub(super) fn get(shared: &Arc<Shared>, request: &Command) -> Answer {
    let header = GetBrokerConfigResponse {
        version: shared.config_file.version().to_text(),
    };
    let text = shared.config().to_properties().to_body();
    let answer = success(request).with_header(&header);
    Ok(Some(answer.with_body(text.into_bytes())))
}

/// Changes keys; the remark of the answer tells what became of each.
pub(super) fn update(context: &Context<'_>, request: &Command) -> Answer {
    let refuse = |error: Error| match error.kind() {
        ErrorKind::Permission => Refusal::new(ResponseCode::NO_PERMISSION, error.context()),
        ErrorKind::Invalid => Refusal::new(ResponseCode::SYSTEM_ERROR, error.context()),
        _ => Refusal::from(error),
    };
    let update = Properties::parse_body(&request.body).map_err(refuse)?;
    if update.is_empty() {
        return Ok(Some(success(request)));
    }
    let changes = settings::change(context.shared, &update).map_err(refuse)?;
    let summary = KeyChange::summary(&changes);
    tracing::info!(peer = %context.peer, %summary, "configuration changed");
    let mut answer = success(request);
    answer.remark = Some(summary);
    Ok(Some(answer))
}
