//! Brokers in the process of the host.

use std::ffi::{CString, c_char};

use crate::argument;
use crate::boundary::{Out, call_waiting, guard};
use crate::config::{self, rmq_config};
use crate::error::rmq_error;
use crate::handle::{self, Kind, Object, c_text};
use crate::status::rmq_status;
use crate::text::{self, rmq_text};
use rmq_core::embed::{Broker, Storage, broker_config};

/// A running broker. Any thread may use it at any time; it is freed by `rmq_broker_free`.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_broker;

struct Server {
    inner: Broker,
    name: CString,
    address: CString,
    /// Goes after the broker that stores there.
    _storage: Option<Storage>,
}

impl Object for Server {
    type C = rmq_broker;
    const KIND: Kind = Kind::Broker;
    const NAME: &'static str = "rmq_broker";
}

/// Starts a broker on threads of its own: it recovers its store, listens, and registers with the
/// nameservers that it is told of. It accepts requests when this returns.
///
/// Without keys it listens on free ports of 127.0.0.1, knows no nameserver and stores in a
/// temporary folder that is removed when the handle is freed. Files are small; none is deleted
/// before its time because the disk is full.
///
/// @param config Keys of Apache's broker.conf, above all "namesrvAddr" and "storePathRootDir"; NULL
/// for the defaults. Only read.
/// @param out Where to store the broker; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (an unknown key, a wrong value), `RMQ_E_ADDRESS_IN_USE`,
/// `RMQ_E_LOCKED` (another broker has the store), `RMQ_E_CORRUPT`, `RMQ_E_PERMISSION`,
/// `RMQ_E_DISK_FULL`, `RMQ_E_IO` and what else the host's system refuses.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_broker_start(
    config: *const rmq_config,
    out: *mut *mut rmq_broker,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let out = Out::new(out, "out")?;
        let keys = config::keys(config)?;
        let storage = match keys.contains("storePathRootDir") {
            true => None,
            false => Some(Storage::temporary()?),
        };
        let folder = storage
            .as_ref()
            .map(|storage| storage.path().display().to_string());
        let inner = Broker::start(broker_config(&keys, &folder.unwrap_or_default())?)?;
        let server = Server {
            name: c_text(inner.name()),
            address: c_text(inner.address().to_string()),
            inner,
            _storage: storage,
        };
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(server)) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// The name of a broker, which its master and its slaves share.
///
/// @param broker A broker, closed or not.
/// @return A NUL-terminated text that lives until the broker is freed, not to be freed; NULL if
/// `broker` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_broker_name(broker: *const rmq_broker) -> *const c_char {
    guard(std::ptr::null(), || {
        let server = handle::get::<Server>(broker).ok();
        server.map_or(std::ptr::null(), |server| server.name.as_ptr())
    })
}

/// Where a broker listens, as nameservers and clients are told, for example "127.0.0.1:10911".
///
/// @param broker A broker, closed or not.
/// @return A NUL-terminated text that lives until the broker is freed, not to be freed; NULL if
/// `broker` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_broker_address(broker: *const rmq_broker) -> *const c_char {
    guard(std::ptr::null(), || {
        let server = handle::get::<Server>(broker).ok();
        server.map_or(std::ptr::null(), |server| server.address.as_ptr())
    })
}

/// The port that a broker listens on.
///
/// @param broker A broker, closed or not.
/// @return The port; 0 if `broker` is NULL, was freed, or belongs to the parent of this process.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_broker_port(broker: *const rmq_broker) -> u16 {
    guard(0, || {
        let server = handle::get::<Server>(broker).ok();
        server.map_or(0, |server| server.inner.address().port())
    })
}

/// A broker's figures: how much was stored and read, how fast, how full the disk is.
///
/// @param broker A broker, closed or not.
/// @param out Where to store a JSON object of texts, with the names of `mqadmin brokerStatus`
/// ("putMessageTimesTotal", "putTps", "commitLogMaxOffset" and so on), which the caller frees;
/// written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_broker_stats_json(
    broker: *const rmq_broker,
    out: *mut *mut rmq_text,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let server = handle::get::<Server>(broker)?;
        let out = Out::new(out, "out")?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(text::issue(server.inner.stats_json())) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Stops a broker in order: nothing that was received is lost, nameservers are told, its threads
/// end and its ports are free. A second call does nothing
/// and succeeds. The handle stays valid until it is freed.
///
/// @param broker A broker.
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
pub unsafe extern "C" fn rmq_broker_close(
    broker: *mut rmq_broker,
    timeout_ms: i64,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let server = handle::get::<Server>(broker)?;
        Ok(server.inner.close(argument::timeout(timeout_ms)?)?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Stops a broker as a crash would: nothing is flushed, written or unregistered. What it
/// acknowledged under SYNC_FLUSH is found by the next start on the same folder. A broker that does
/// not run is left alone.
///
/// @param broker A broker.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`, `RMQ_E_WOULD_DEADLOCK`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_broker_kill(
    broker: *mut rmq_broker,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        handle::get::<Server>(broker)?.inner.kill();
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Frees a broker; one that was not closed is stopped as a crash would. Calls of other threads
/// that are under way end as if it was still there.
///
/// @param broker A broker; NULL, or one that was freed, is left alone. In a forked child
/// nothing is done to what belongs to the parent.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_broker_free(broker: *mut rmq_broker) {
    guard((), || handle::release::<Server>(broker));
}
