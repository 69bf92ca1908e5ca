//! Configurations: Apache's keys with their values.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use crate::argument;
use crate::boundary::{Out, call, guard};
use crate::error::{Fault, rmq_error};
use crate::handle::{self, Kind, Object};
use crate::status::{RMQ_E_HANDLE, RMQ_E_NOT_FOUND, rmq_status};
use rmq_core::embed::{Error, Properties};

/// Longest value, bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most keys of one configuration.
const KEYS_MAX: usize = 4096;
/// Longest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Keys and values, as in Apache's properties files. Any thread may use it at any time.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_config;

struct Config(Mutex<Properties>);

impl Object for Config {
    type C = rmq_config;
    const KIND: Kind = Kind::Config;
    const NAME: &'static str = "rmq_config";
}

/// A copy of the keys; NULL stands for none.
pub(crate) fn keys(config: *const rmq_config) -> Result<Properties, Fault> {
    if config.is_null() {
        return Ok(Properties::new("configuration"));
    }
    let config = handle::get::<Config>(config)?;
    let keys = config.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(keys.clone())
}

fn set_all<'a>(
    config: *mut rmq_config,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), Fault> {
    let config = handle::get::<Config>(config)?;
    let mut keys = config.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut changed = keys.clone();
    changed.extend(pairs);
    if changed.len() > KEYS_MAX {
        return Err(Fault::limit(format!("more than {KEYS_MAX} keys")));
    }
    *keys = changed;
    Ok(())
}

/// Makes a configuration without keys. Everything has a default, so none is needed for a start.
///
/// @return A configuration to be freed with `rmq_config_free`; NULL only after a defect of rmq.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_config_new() -> *mut rmq_config {
    guard(std::ptr::null_mut(), || {
        handle::issue(Config(Mutex::new(Properties::new("configuration"))))
    })
}

/// Sets a key. Whether a server has such a key, and whether the value is allowed, is told when the
/// server is started: an unknown key is an error there that names the one which may be meant.
///
/// @param config A configuration.
/// @param key A NUL-terminated text of 1 to 4,096 bytes, for example "brokerName"; copied.
/// @param value A NUL-terminated text of at most 65,536 bytes; copied.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_HANDLE`, `RMQ_E_INVALID`, `RMQ_E_LIMIT` or `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_config_set(
    config: *mut rmq_config,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        // SAFETY: the caller vouches for its texts.
        let key = unsafe { argument::name(key, "key") }?;
        // SAFETY: the same.
        let value = unsafe { argument::text(value, "value", VALUE_BYTES_MAX) }?;
        set_all(config, [(key.as_str(), value.as_str())].into_iter())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Reads a file in the format of Java's properties, such as Apache's broker.conf. Its keys are set
/// over those that are there; nothing is set when it cannot be read.
///
/// @param config A configuration.
/// @param path A NUL-terminated path of 1 to 4,096 bytes, UTF-8.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND`, `RMQ_E_PERMISSION`, `RMQ_E_IO`, or as `rmq_config_set`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_config_load(
    config: *mut rmq_config,
    path: *const c_char,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        // SAFETY: the caller vouches for its text.
        let path = unsafe { argument::name(path, "path") }?;
        let failed = |e| Fault::from(Error::io("read configuration", path.as_str(), e));
        let bytes = std::fs::metadata(&path).map_err(failed)?.len();
        if bytes > FILE_BYTES_MAX {
            let why = format!("{path} is longer than {FILE_BYTES_MAX} bytes");
            return Err(Fault::limit(why));
        }
        let content = std::fs::read(&path).map_err(failed)?;
        let file = Properties::parse(path.as_str(), &content)?;
        set_all(config, file.iter())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Whether a key is set, and the length of its value.
///
/// @param config A configuration.
/// @param key A NUL-terminated text of 1 to 4,096 bytes.
/// @param buffer NULL, or where to write the value with a NUL behind it, cut to `buffer_len`.
/// @param buffer_len Bytes that `buffer` has room for, the NUL included.
/// @param value_len Where to store the length of the whole value in bytes, without a NUL.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_NOT_FOUND` if the key is not set, or as `rmq_config_set`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_config_get(
    config: *const rmq_config,
    key: *const c_char,
    buffer: *mut c_char,
    buffer_len: usize,
    value_len: *mut usize,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let value_len = Out::new(value_len, "value_len")?;
        if config.is_null() {
            return Err(Fault::new(RMQ_E_HANDLE, "the rmq_config is NULL"));
        }
        // SAFETY: the caller vouches for its text.
        let key = unsafe { argument::name(key, "key") }?;
        let keys = keys(config)?;
        let value = keys.get(&key);
        let value = value.ok_or_else(|| Fault::new(RMQ_E_NOT_FOUND, format!("no key {key}")))?;
        if !buffer.is_null() && buffer_len > 0 {
            let fits = value.len().min(buffer_len - 1);
            // SAFETY: the caller vouches for `buffer_len` bytes, of which these are some.
            unsafe {
                buffer.cast::<u8>().copy_from(value.as_ptr(), fits);
                buffer.add(fits).write(0);
            }
        }
        // SAFETY: the caller vouches for the place.
        unsafe { value_len.set(value.len()) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}

/// Frees a configuration. What was started from it keeps its own copy.
///
/// @param config A configuration; NULL, or one that was freed, is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_config_free(config: *mut rmq_config) {
    guard((), || drop(handle::take::<Config>(config)));
}
