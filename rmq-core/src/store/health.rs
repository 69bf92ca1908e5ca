//! Whether a store takes messages.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::commitlog::AppendError;
use crate::base::error::ErrorKind;

/// Whether a store takes messages. Reading works in every state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Writable,
    /// There is no space, or there are no descriptors for another file; it will again by itself
    /// once there are.
    DiskFull,
    /// It does not until it is opened again; why.
    ReadOnly(String),
}

/// Reasons for not taking messages; each is set and taken back by its own cause.
#[derive(Clone, Copy, Debug)]
pub(super) enum Full {
    /// The disk is fuller than allowed.
    Ratio = 1 << 1,
    /// The next file of the log cannot be made.
    Log = 1 << 2,
    /// Consume queues cannot be written.
    Queues = 1 << 3,
}

/// Whether a failure to make or extend a file means that something has run out that will be there
/// again: space or descriptors.
pub(super) fn is_shortage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::DiskFull | ErrorKind::Busy)
}

const READ_ONLY: u32 = 1;
const FULL: u32 = Full::Ratio as u32 | Full::Log as u32 | Full::Queues as u32;
const CLOSED: u32 = 1 << 4;

#[derive(Debug, Default)]
pub(super) struct HealthState {
    bits: AtomicU32,
    reason: Mutex<String>,
}

impl HealthState {
    /// Why nothing is appended now, if so.
    pub(super) fn check(&self) -> Result<(), AppendError> {
        let bits = self.bits.load(Ordering::Acquire);
        if bits == 0 {
            return Ok(());
        }
        Err(AppendError::Store(if bits & CLOSED != 0 {
            ErrorKind::Closed
        } else if bits & READ_ONLY != 0 {
            ErrorKind::ReadOnly
        } else {
            ErrorKind::DiskFull
        }))
    }

    pub(super) fn get(&self) -> Health {
        let bits = self.bits.load(Ordering::Acquire);
        if bits & READ_ONLY != 0 {
            Health::ReadOnly(self.reason.lock().clone())
        } else if bits & FULL != 0 {
            Health::DiskFull
        } else {
            Health::Writable
        }
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.bits.load(Ordering::Acquire) & READ_ONLY != 0
    }

    pub(super) fn is_full(&self, cause: Full) -> bool {
        self.bits.load(Ordering::Acquire) & cause as u32 != 0
    }

    /// The first reason stays.
    pub(super) fn set_read_only(&self, reason: String) {
        let mut kept = self.reason.lock();
        if kept.is_empty() {
            tracing::error!(reason, "the store is read-only until it is opened again");
            *kept = reason;
        }
        self.bits.fetch_or(READ_ONLY, Ordering::AcqRel);
    }

    /// Sets or takes back one cause; true when that changed it.
    pub(super) fn set_full(&self, cause: Full, full: bool) -> bool {
        let bit = cause as u32;
        let before = if full {
            self.bits.fetch_or(bit, Ordering::AcqRel)
        } else {
            self.bits.fetch_and(!bit, Ordering::AcqRel)
        };
        let changed = (before & bit != 0) != full;
        if changed && full {
            tracing::error!(?cause, "no space or no descriptors: messages are refused");
        } else if changed {
            tracing::info!(?cause, "messages are taken again");
        }
        changed
    }

    pub(super) fn set_closed(&self) {
        self.bits.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.bits.load(Ordering::Acquire) & CLOSED != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_a_full_disk_are_apart_and_read_only_stays() {
        let health = HealthState::default();
        assert!(health.set_full(Full::Ratio, true) && health.set_full(Full::Log, true));
        assert!(!health.set_full(Full::Log, true));
        health.set_full(Full::Ratio, false);
        assert_eq!(health.get(), Health::DiskFull);
        assert_eq!(health.check(), Err(AppendError::Store(ErrorKind::DiskFull)));
        health.set_full(Full::Log, false);
        assert_eq!((health.get(), health.check()), (Health::Writable, Ok(())));
        health.set_read_only("first".into());
        health.set_read_only("second".into());
        assert_eq!(health.get(), Health::ReadOnly("first".into()));
        assert_eq!(health.check(), Err(AppendError::Store(ErrorKind::ReadOnly)));
        health.set_closed();
        assert_eq!(health.check(), Err(AppendError::Store(ErrorKind::Closed)));
    }
}
