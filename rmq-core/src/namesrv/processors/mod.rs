//! What each request does, one file a family.

mod broker;
mod config;
mod kv;
mod route;
mod topic;

use std::net::SocketAddr;
use std::time::Duration;

use super::saver::{Changed, Waiting};
use super::state::State;
use crate::net::{ConnectionId, ReactorHandle};
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::json::JsonError;
use crate::protocol::request::{Header, HeaderError};
use crate::protocol::unserved;

/// Longest name of a cluster, broker, address, namespace or key.
const NAME_BYTES_MAX: usize = 255;

/// What a request is served with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) state: &'a State,
    pub(super) connection: ConnectionId,
    pub(super) peer: Option<SocketAddr>,
    pub(super) reactor: &'a ReactorHandle,
    pub(super) now: Duration,
}

/// Why a request fails: the code and a sentence for a person.
#[derive(Debug)]
struct Failure(ResponseCode, String);

impl Failure {
    fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self(code, remark.into())
    }
}

impl From<HeaderError> for Failure {
    fn from(error: HeaderError) -> Self {
        Self(ResponseCode::SYSTEM_ERROR, error.to_string())
    }
}

/// An answer now, or none because it comes when a file is written.
type Answer = Result<Option<Command>, Failure>;

/// Serves one request. `None`: the answer comes later.
pub(super) fn process(context: &Context<'_>, request: &Command) -> Option<Command> {
    let answer = match request.request_code() {
        RequestCode::GET_ROUTEINFO_BY_TOPIC => route::get(context, request),
        RequestCode::REGISTER_BROKER => broker::register(context, request),
        RequestCode::UNREGISTER_BROKER => broker::unregister(context, request),
        RequestCode::QUERY_DATA_VERSION => broker::query_data_version(context, request),
        RequestCode::BROKER_HEARTBEAT => broker::heartbeat(context, request),
        RequestCode::GET_BROKER_MEMBER_GROUP => broker::members(context, request),
        RequestCode::GET_BROKER_CLUSTER_INFO => broker::cluster_info(context, request),
        RequestCode::WIPE_WRITE_PERM_OF_BROKER => broker::wipe_write_perm(context, request),
        RequestCode::ADD_WRITE_PERM_OF_BROKER => broker::add_write_perm(context, request),
        RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => topic::all(context, request),
        RequestCode::GET_TOPICS_BY_CLUSTER => topic::by_cluster(context, request),
        RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS => topic::system(context, request),
        RequestCode::GET_UNIT_TOPIC_LIST
        | RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST
        | RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST => topic::of_units(context, request),
        RequestCode::DELETE_TOPIC_IN_NAMESRV => topic::delete(context, request),
        RequestCode::REGISTER_TOPIC_IN_NAMESRV => topic::register(context, request),
        RequestCode::PUT_KV_CONFIG => kv::put(context, request),
        RequestCode::GET_KV_CONFIG => kv::get(context, request),
        RequestCode::DELETE_KV_CONFIG => kv::delete(context, request),
        RequestCode::GET_KVLIST_BY_NAMESPACE => kv::list(context, request),
        RequestCode::UPDATE_NAMESRV_CONFIG => config::update(context, request),
        RequestCode::GET_NAMESRV_CONFIG => config::get(context, request),
        code => {
            let remark = unserved::remark(code);
            Err(Failure(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, remark))
        }
    };
    answer.unwrap_or_else(|Failure(code, remark)| {
        tracing::debug!(request = request.code, code = code.value(), %remark, "request failed");
        Some(Command::response_to(request, code, Some(remark)))
    })
}

fn unreadable(error: JsonError) -> Failure {
    Failure(
        ResponseCode::SYSTEM_ERROR,
        format!("the body cannot be read: {error}"),
    )
}

fn success(request: &Command) -> Command {
    Command::response_to(request, ResponseCode::SUCCESS, None)
}

fn header<H: Header>(request: &Command) -> Result<H, Failure> {
    Ok(request.header::<H>()?)
}

/// Refuses names that are empty, long, or not text.
fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        let remark = format!("the {what} must be a name of 1 to {NAME_BYTES_MAX} bytes");
        return Err(Failure(ResponseCode::SYSTEM_ERROR, remark));
    }
    Ok(())
}

/// Answers `answer` when the file that was changed is written; at once if there is none.
fn after_saving(
    context: &Context<'_>,
    request: &Command,
    changed: Changed,
    answer: Command,
) -> Answer {
    let kept = match changed {
        Changed::Kv => context.state.kv.is_kept(),
        Changed::Settings => context.state.settings.is_kept(),
    };
    if !kept {
        return Ok(Some(answer));
    }
    let waiting = Waiting {
        changed,
        answer,
        oneway: request.is_oneway(),
        connection: context.connection,
        reactor: context.reactor.clone(),
    };
    let submitted = context.state.saver.submit(waiting);
    submitted.map_err(|e| Failure::new(ResponseCode::SYSTEM_ERROR, e.to_string()))?;
    Ok(None)
}
