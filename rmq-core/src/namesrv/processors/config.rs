//! The nameserver's own configuration: 318, 319.

use super::super::saver::Changed;
use super::{Answer, Context, Failure, after_saving, success};
use crate::base::{Error, ErrorKind};
use crate::config::{KeyChange, Properties, ServerSettings};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;

pub(super) fn update(context: &Context<'_>, request: &Command) -> Answer {
    let refuse = |error: Error| match error.kind() {
        ErrorKind::Permission => Failure::new(ResponseCode::NO_PERMISSION, error.context()),
        _ => Failure::new(ResponseCode::SYSTEM_ERROR, error.context()),
    };
    let update = Properties::parse_body(&request.body).map_err(refuse)?;
    if update.is_empty() {
        return Ok(Some(success(request)));
    }
    let changes = context.state.settings.update(&update).map_err(refuse)?;
    let summary = KeyChange::summary(&changes);
    tracing::info!(peer = ?context.peer, %summary, "configuration changed");
    let mut answer = success(request);
    answer.remark = Some(summary);
    after_saving(context, request, Changed::Settings, answer)
}

pub(super) fn get(context: &Context<'_>, request: &Command) -> Answer {
    let text = context.state.settings.get().to_properties().to_body();
    Ok(Some(success(request).with_body(text)))
}
