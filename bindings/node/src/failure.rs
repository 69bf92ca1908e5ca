//! Errors as JavaScript gets them.

use std::error::Error as _;

use napi_derive::napi;
use rmq_core::embed::{Error, ErrorKind};

/// What went wrong; the other half makes an RmqError of it.
#[napi(object)]
#[derive(Debug)]
pub struct Failure {
    /// For example "RMQ_E_TIMEOUT".
    pub code: String,
    /// A sentence for a person.
    pub message: String,
    /// RocketMQ's response code, if a server refused.
    pub broker_code: Option<i32>,
    /// Whether the same call may succeed later without anything being changed.
    pub retriable: bool,
    /// Whether the handle is of no further use.
    pub fatal: bool,
    /// What it came from, nearest first.
    pub causes: Vec<String>,
}

impl Failure {
    pub(crate) fn internal(message: &str) -> Self {
        Self::from(Error::new(ErrorKind::Internal, "node", message))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = error.kind();
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        Self {
            code: kind.name().to_owned(),
            message: error.to_string(),
            broker_code: kind.broker_code(),
            retriable: kind.retriable(),
            fatal: kind.fatal(),
            causes,
        }
    }
}
