//! The numbers that functions answer with. They are never changed and never used again.

use std::ffi::{CStr, c_char};

use crate::boundary::guard;
use rmq_core::embed::ErrorKind;

/// How a call went: `RMQ_OK` or one of the `RMQ_E_` numbers. Later libraries may add numbers.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_status = i32;

/// The call did what it says.
pub const RMQ_OK: rmq_status = 0;
/// An argument or a configuration value is not usable.
pub const RMQ_E_INVALID: rmq_status = 1;
/// A handle is NULL, was freed, or is one of another type.
pub const RMQ_E_HANDLE: rmq_status = 2;
/// The handle was closed.
pub const RMQ_E_CLOSED: rmq_status = 3;
/// The handle belongs to the parent of this forked process.
pub const RMQ_E_FORKED: rmq_status = 4;
/// No answer, or no end, within the time allowed.
pub const RMQ_E_TIMEOUT: rmq_status = 5;
/// A queue or window is full, or descriptors have run out; try later.
pub const RMQ_E_BUSY: rmq_status = 6;
/// A limit of the configuration, of the protocol or of this interface was exceeded.
pub const RMQ_E_LIMIT: rmq_status = 7;
/// The thing asked for does not exist.
pub const RMQ_E_NOT_FOUND: rmq_status = 8;
/// The operating system refused a read, write, sync or map.
pub const RMQ_E_IO: rmq_status = 9;
/// No space is left on the device.
pub const RMQ_E_DISK_FULL: rmq_status = 10;
/// The store stopped taking writes after an earlier failure; start the broker again.
pub const RMQ_E_READ_ONLY: rmq_status = 11;
/// Stored or received bytes do not decode.
pub const RMQ_E_CORRUPT: rmq_status = 12;
/// The address is already bound by another socket.
pub const RMQ_E_ADDRESS_IN_USE: rmq_status = 13;
/// The file or address is not accessible to this user.
pub const RMQ_E_PERMISSION: rmq_status = 14;
/// Another process or handle holds the store.
pub const RMQ_E_LOCKED: rmq_status = 15;
/// The peer could not be reached, or the connection broke.
pub const RMQ_E_UNREACHABLE: rmq_status = 16;
/// The peer refused; `rmq_error_broker_code` has RocketMQ's response code.
pub const RMQ_E_BROKER: rmq_status = 17;
/// A defect in rmq itself, for example a panic that was caught.
pub const RMQ_E_INTERNAL: rmq_status = 18;
/// A callback called a function that may wait for that callback.
pub const RMQ_E_WOULD_DEADLOCK: rmq_status = 19;

pub(crate) fn of_kind(kind: ErrorKind) -> rmq_status {
    match kind {
        ErrorKind::Io => RMQ_E_IO,
        ErrorKind::DiskFull => RMQ_E_DISK_FULL,
        ErrorKind::ReadOnly => RMQ_E_READ_ONLY,
        ErrorKind::Corrupt => RMQ_E_CORRUPT,
        ErrorKind::Limit => RMQ_E_LIMIT,
        ErrorKind::Invalid => RMQ_E_INVALID,
        ErrorKind::NotFound => RMQ_E_NOT_FOUND,
        ErrorKind::AddressInUse => RMQ_E_ADDRESS_IN_USE,
        ErrorKind::Permission => RMQ_E_PERMISSION,
        ErrorKind::Locked => RMQ_E_LOCKED,
        ErrorKind::Unreachable => RMQ_E_UNREACHABLE,
        ErrorKind::Timeout => RMQ_E_TIMEOUT,
        ErrorKind::Busy => RMQ_E_BUSY,
        ErrorKind::Closed => RMQ_E_CLOSED,
        ErrorKind::Forked => RMQ_E_FORKED,
        ErrorKind::Remote(_) => RMQ_E_BROKER,
        // Kinds that this interface does not know yet are told as defects until it does.
        _ => RMQ_E_INTERNAL,
    }
}

fn name_of(status: rmq_status) -> &'static CStr {
    match status {
        RMQ_OK => c"RMQ_OK",
        RMQ_E_INVALID => c"RMQ_E_INVALID",
        RMQ_E_HANDLE => c"RMQ_E_HANDLE",
        RMQ_E_CLOSED => c"RMQ_E_CLOSED",
        RMQ_E_FORKED => c"RMQ_E_FORKED",
        RMQ_E_TIMEOUT => c"RMQ_E_TIMEOUT",
        RMQ_E_BUSY => c"RMQ_E_BUSY",
        RMQ_E_LIMIT => c"RMQ_E_LIMIT",
        RMQ_E_NOT_FOUND => c"RMQ_E_NOT_FOUND",
        RMQ_E_IO => c"RMQ_E_IO",
        RMQ_E_DISK_FULL => c"RMQ_E_DISK_FULL",
        RMQ_E_READ_ONLY => c"RMQ_E_READ_ONLY",
        RMQ_E_CORRUPT => c"RMQ_E_CORRUPT",
        RMQ_E_ADDRESS_IN_USE => c"RMQ_E_ADDRESS_IN_USE",
        RMQ_E_PERMISSION => c"RMQ_E_PERMISSION",
        RMQ_E_LOCKED => c"RMQ_E_LOCKED",
        RMQ_E_UNREACHABLE => c"RMQ_E_UNREACHABLE",
        RMQ_E_BROKER => c"RMQ_E_BROKER",
        RMQ_E_INTERNAL => c"RMQ_E_INTERNAL",
        RMQ_E_WOULD_DEADLOCK => c"RMQ_E_WOULD_DEADLOCK",
        _ => c"unknown",
    }
}

/// The name of a status, for example "RMQ_E_TIMEOUT"; "unknown" for a number that is none.
///
/// @return A NUL-terminated string that lives as long as the library is loaded; never NULL. Do not
/// free it.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_status_name(status: rmq_status) -> *const c_char {
    guard(c"unknown".as_ptr(), || name_of(status).as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_have_the_names_of_their_kinds() {
        use ErrorKind as K;
        for kind in [
            K::Io,
            K::DiskFull,
            K::ReadOnly,
            K::Corrupt,
            K::Limit,
            K::Invalid,
            K::NotFound,
            K::AddressInUse,
            K::Permission,
            K::Locked,
            K::Unreachable,
            K::Timeout,
            K::Busy,
            K::Closed,
            K::Forked,
            K::Remote(1),
            K::Internal,
        ] {
            assert_eq!(name_of(of_kind(kind)).to_str(), Ok(kind.name()));
        }
    }
}
