//! How a processor answers: a command, or a refusal with a code and a sentence.

use crate::base::{Error, thread};
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::json::JsonError;
use crate::protocol::request::HeaderError;

/// A request that is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The response code.
    pub(crate) code: ResponseCode,
    /// A sentence for the person at the other end.
    pub(crate) remark: String,
}

impl Refusal {
    /// A refusal with this code and sentence.
    pub(crate) fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self {
            code,
            remark: remark.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(ResponseCode::SYSTEM_ERROR, error.to_string())
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::new(ResponseCode::SYSTEM_ERROR, error.to_string())
    }
}

impl From<JsonError> for Refusal {
    fn from(error: JsonError) -> Self {
        let remark = format!("the body could not be read: {error}");
        Self::new(ResponseCode::SYSTEM_ERROR, remark)
    }
}

/// What a processor returns; no command means that nothing is to be sent now.
pub(crate) type Answer = Result<Option<Command>, Refusal>;

/// What `serve` answers to `request`; a panic costs no more than that answer.
pub(crate) fn guarded(request: &Command, serve: impl FnOnce() -> Answer) -> Answer {
    thread::catch(serve).unwrap_or_else(|what| {
        tracing::error!(code = request.code, what, "a request handler panicked");
        let remark = format!("internal error: {what}");
        Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark))
    })
}

/// Encodes the answer to `request` as a frame; `None` for one-way requests and for silence.
#[must_use]
pub(crate) fn encode_answer(request: &Command, answer: Answer) -> Option<Vec<u8>> {
    if request.is_oneway() {
        return None;
    }
    let command = match answer {
        Ok(command) => command?,
        Err(refusal) => Command::response_to(request, refusal.code, Some(refusal.remark)),
    };
    let mut out = Vec::with_capacity(256 + command.body.len());
    command.encode(&mut out);
    Some(out)
}

/// An empty success.
#[must_use]
pub(crate) fn success(request: &Command) -> Command {
    Command::response_to(request, ResponseCode::SUCCESS, None)
}
