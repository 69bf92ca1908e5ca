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
            code: code(kind).to_owned(),
            message: error.to_string(),
            broker_code: match kind {
                ErrorKind::Remote(code) => Some(code),
                _ => None,
            },
            retriable: kind.retriable(),
            fatal: kind.fatal(),
            causes,
        }
    }
}

/// The names are those of the C library.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Io => "RMQ_E_IO",
        ErrorKind::DiskFull => "RMQ_E_DISK_FULL",
        ErrorKind::ReadOnly => "RMQ_E_READ_ONLY",
        ErrorKind::Corrupt => "RMQ_E_CORRUPT",
        ErrorKind::Limit => "RMQ_E_LIMIT",
        ErrorKind::Invalid => "RMQ_E_INVALID",
        ErrorKind::NotFound => "RMQ_E_NOT_FOUND",
        ErrorKind::AddressInUse => "RMQ_E_ADDRESS_IN_USE",
        ErrorKind::Permission => "RMQ_E_PERMISSION",
        ErrorKind::Locked => "RMQ_E_LOCKED",
        ErrorKind::Unreachable => "RMQ_E_UNREACHABLE",
        ErrorKind::Timeout => "RMQ_E_TIMEOUT",
        ErrorKind::Busy => "RMQ_E_BUSY",
        ErrorKind::Closed => "RMQ_E_CLOSED",
        ErrorKind::Forked => "RMQ_E_FORKED",
        ErrorKind::Remote(_) => "RMQ_E_BROKER",
        _ => "RMQ_E_INTERNAL",
    }
}
