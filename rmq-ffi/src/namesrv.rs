//! Nameservers in the process of the host.

use std::ffi::{CString, c_char};

use crate::argument;
use crate::boundary::{Out, call_waiting, guard};
use crate::config::{self, rmq_config};
use crate::error::rmq_error;
use crate::handle::{self, Kind, Object, c_text};
use crate::status::rmq_status;
use rmq_core::embed::{NameServer, nameserver_config};

/// A running nameserver. Any thread may use it at any time; it is freed by `rmq_namesrv_free`.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_namesrv;

struct Server {
    inner: NameServer,
    address: CString,
}

impl Object for Server {
    type C = rmq_namesrv;
    const KIND: Kind = Kind::NameServer;
    const NAME: &'static str = "rmq_namesrv";
}

/// Starts a nameserver on threads of its own. It accepts requests when this returns.
///
/// Without keys it listens on a free port of 127.0.0.1 and has no files.
///
/// @param config Keys of Apache's namesrv.conf; NULL for the defaults. Only read.
/// @param out Where to store the nameserver; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value), `RMQ_E_ADDRESS_IN_USE`,
/// `RMQ_E_PERMISSION`, `RMQ_E_IO` and what else the host's system refuses.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_namesrv_start(
    config: *const rmq_config,
    out: *mut *mut rmq_namesrv,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let inner = NameServer::start(nameserver_config(&config::keys(config)?)?)?;
        let address = c_text(inner.address().to_string());
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(Server { inner, address })) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Where a nameserver listens, as brokers and clients take it, for example "127.0.0.1:9876".
///
/// @param namesrv A nameserver, closed or not.
/// @return A NUL-terminated text that lives until the nameserver is freed, not to be freed; NULL if
/// `namesrv` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_namesrv_address(namesrv: *const rmq_namesrv) -> *const c_char {
    guard(std::ptr::null(), || {
        let server = handle::get::<Server>(namesrv).ok();
        server.map_or(std::ptr::null(), |server| server.address.as_ptr())
    })
}

/// The port that a nameserver listens on.
///
/// @param namesrv A nameserver, closed or not.
/// @return The port; 0 if `namesrv` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_namesrv_port(namesrv: *const rmq_namesrv) -> u16 {
    guard(0, || {
        let server = handle::get::<Server>(namesrv).ok();
        server.map_or(0, |server| server.inner.port())
    })
}

/// Stops a nameserver in order: its threads end and its port is free. A second call does nothing
/// and succeeds. The handle stays valid until it is freed.
///
/// @param namesrv A nameserver.
/// @param timeout_ms How long the end may take; -1 for as long as it takes. What has not ended
/// then is stopped hard.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_TIMEOUT`, `RMQ_E_INVALID` for a timeout below -1, `RMQ_E_HANDLE`,
/// `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_namesrv_close(
    namesrv: *mut rmq_namesrv,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let server = handle::get::<Server>(namesrv)?;
        Ok(server.inner.close(argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Frees a nameserver; one that was not closed is stopped as a crash would. Calls of other threads
/// that are under way end as if it was still there.
///
/// @param namesrv A nameserver; NULL, or one that was freed, is left alone. In a forked child
/// nothing is done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_namesrv_free(namesrv: *mut rmq_namesrv) {
    guard((), || handle::release::<Server>(namesrv));
}
