//! The one error type of the library.

use std::error::Error as StdError;
use std::fmt;
use std::io;

/// What went wrong, in terms a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused a read, write, sync or map.
    Io,
    /// No space is left on the device.
    DiskFull,
    /// The store stopped taking writes after an earlier failure; reopen it.
    ReadOnly,
    /// Stored or received bytes do not decode.
    Corrupt,
    /// A limit of the configuration or of the protocol was exceeded.
    Limit,
    /// An argument or configuration value is not usable.
    Invalid,
    /// The thing asked for does not exist.
    NotFound,
    /// The address is already bound by another socket.
    AddressInUse,
    /// The file or address is not accessible to this user.
    Permission,
    /// Another process holds the store.
    Locked,
    /// The peer could not be reached, or the connection broke.
    Unreachable,
    /// No answer within the time allowed.
    Timeout,
    /// The queue or window is full, or descriptors have run out; try later.
    Busy,
    /// The handle was closed.
    Closed,
    /// The handle belongs to the parent of this forked process.
    Forked,
    /// The peer answered with this response code.
    Remote(i32),
    /// A defect in rmq itself, for example a panic that was caught.
    Internal,
}

impl ErrorKind {
    /// The name that the C library and the packages for other languages give it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Io => "RMQ_E_IO",
            Self::DiskFull => "RMQ_E_DISK_FULL",
            Self::ReadOnly => "RMQ_E_READ_ONLY",
            Self::Corrupt => "RMQ_E_CORRUPT",
            Self::Limit => "RMQ_E_LIMIT",
            Self::Invalid => "RMQ_E_INVALID",
            Self::NotFound => "RMQ_E_NOT_FOUND",
            Self::AddressInUse => "RMQ_E_ADDRESS_IN_USE",
            Self::Permission => "RMQ_E_PERMISSION",
            Self::Locked => "RMQ_E_LOCKED",
            Self::Unreachable => "RMQ_E_UNREACHABLE",
            Self::Timeout => "RMQ_E_TIMEOUT",
            Self::Busy => "RMQ_E_BUSY",
            Self::Closed => "RMQ_E_CLOSED",
            Self::Forked => "RMQ_E_FORKED",
            Self::Remote(_) => "RMQ_E_BROKER",
            Self::Internal => "RMQ_E_INTERNAL",
        }
    }

    /// The response code of a peer that refused.
    #[must_use]
    pub fn broker_code(self) -> Option<i32> {
        match self {
            Self::Remote(code) => Some(code),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anything being changed.
    #[must_use]
    pub fn retriable(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::Timeout | Self::Busy | Self::DiskFull
        )
    }

    /// Whether the handle that returned it is of no further use.
    #[must_use]
    pub fn fatal(self) -> bool {
        matches!(
            self,
            Self::ReadOnly | Self::Closed | Self::Forked | Self::Internal
        )
    }
}

/// An error: its kind, the operation that failed, and a sentence for a person.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    op: &'static str,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result type of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` in `op`; `context` names what was being worked on.
    pub fn new(kind: ErrorKind, op: &'static str, context: impl Into<String>) -> Self {
        Self {
            kind,
            op,
            context: context.into(),
            source: None,
        }
    }

    /// Wraps an operating-system error, deriving the kind from it.
    pub fn io(op: &'static str, context: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::Permission
            }
            io::ErrorKind::AddrInUse => ErrorKind::AddressInUse,
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            // Descriptors come free again.
            _ if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                ErrorKind::Busy
            }
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable => ErrorKind::Unreachable,
            _ => ErrorKind::Io,
        };
        Self {
            kind,
            op,
            context: context.into(),
            source: Some(Box::new(source)),
        }
    }

    /// Attaches the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The kind, for matching.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// What was being worked on.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op, self.context)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|e| e as &(dyn StdError + 'static))
    }
}
