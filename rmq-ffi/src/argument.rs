//! Arguments as C hands them in.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use crate::boundary::Out;
use crate::error::Fault;

/// Longest key, member name or path that is read, bytes.
pub(crate) const NAME_BYTES_MAX: usize = 4096;

/// Most bytes of a body that are read: more than the protocol takes.
const BYTES_MAX: usize = i32::MAX as usize;

/// What a wait without a limit is: longer than any process waits.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A NUL-terminated text of at most `bytes_max` bytes.
///
/// # Safety
/// `text` is NULL, or can be read up to a NUL or for one byte more than `bytes_max`.
pub(crate) unsafe fn text(
    text: *const c_char,
    name: &str,
    bytes_max: usize,
) -> Result<String, Fault> {
    if text.is_null() {
        return Err(Fault::invalid(format!("{name} is NULL")));
    }
    let mut bytes = Vec::new();
    loop {
        // SAFETY: no byte before this one is a NUL, and it is within the bound.
        let byte = unsafe { text.add(bytes.len()).cast::<u8>().read() };
        if byte == 0 {
            break;
        }
        if bytes.len() == bytes_max {
            let why = format!("{name} is longer than {bytes_max} bytes");
            return Err(Fault::limit(why));
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| Fault::invalid(format!("{name} is not UTF-8")))
}

/// The same for names, which are not empty.
///
/// # Safety
/// As for `text`, with `NAME_BYTES_MAX`.
pub(crate) unsafe fn name(name: *const c_char, what: &str) -> Result<String, Fault> {
    // SAFETY: the caller vouches for it.
    let name = unsafe { text(name, what, NAME_BYTES_MAX) }?;
    match name.is_empty() {
        true => Err(Fault::invalid(format!("{what} is empty"))),
        false => Ok(name),
    }
}

/// A copy of bytes.
///
/// # Safety
/// `bytes` is NULL, or `len` bytes of it can be read.
pub(crate) unsafe fn bytes(bytes: *const c_void, len: usize, name: &str) -> Result<Vec<u8>, Fault> {
    if len == 0 {
        return Ok(Vec::new());
    }
    if bytes.is_null() {
        return Err(Fault::invalid(format!("{name} is NULL")));
    }
    if len > BYTES_MAX {
        return Err(Fault::limit(format!(
            "{name} is longer than {BYTES_MAX} bytes"
        )));
    }
    // SAFETY: the caller vouches for `len` bytes, and there are fewer than `isize::MAX`.
    Ok(unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) }.to_vec())
}

/// Refuses a place for results that is NULL or has no room.
pub(crate) fn array<T>(places: *mut T, max: usize, name: &str) -> Result<(), Fault> {
    match (places.is_null(), max) {
        (true, _) => Err(Fault::invalid(format!("{name} is NULL"))),
        (_, 0) => Err(Fault::invalid("max is 0")),
        _ => Ok(()),
    }
}

/// Hands results out.
///
/// # Safety
/// `places` has room for all of them, and `count` can be written.
pub(crate) unsafe fn store<T: Into<C>, C>(results: Vec<T>, places: *mut C, count: Out<usize>) {
    let len = results.len();
    for (index, result) in results.into_iter().enumerate() {
        // SAFETY: the caller vouches for the places.
        unsafe { places.add(index).write(result.into()) };
    }
    // SAFETY: the caller vouches for it.
    unsafe { count.set(len) };
}

/// How long to wait: -1 is for as long as it takes.
pub(crate) fn timeout(timeout_ms: i64) -> Result<Duration, Fault> {
    match u64::try_from(timeout_ms) {
        Ok(ms) => Ok(Duration::from_millis(ms).min(FOREVER)),
        Err(_) if timeout_ms == -1 => Ok(FOREVER),
        Err(_) => Err(Fault::invalid(format!("timeout_ms is {timeout_ms}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{RMQ_E_INVALID, RMQ_E_LIMIT};

    fn read(bytes: &[u8], bytes_max: usize) -> Result<String, i32> {
        // SAFETY: every test ends its bytes with a NUL.
        unsafe { text(bytes.as_ptr().cast(), "it", bytes_max) }.map_err(|fault| fault.status())
    }

    #[test]
    fn text_is_read_to_its_nul_and_its_limit() {
        assert_eq!(read(b"abc\0", 3), Ok("abc".to_owned()));
        assert_eq!(read(b"abcd\0", 3), Err(RMQ_E_LIMIT));
        assert_eq!(read(b"\0", 0), Ok(String::new()));
        assert_eq!(read(b"\xff\0", 3), Err(RMQ_E_INVALID));
        // SAFETY: NULL is allowed.
        let null = unsafe { name(std::ptr::null(), "it") };
        assert_eq!(null.err().map(|fault| fault.status()), Some(RMQ_E_INVALID));
    }

    #[test]
    fn waits_are_bounded() {
        assert_eq!(timeout(0).unwrap(), Duration::ZERO);
        assert_eq!(timeout(-1).unwrap(), FOREVER);
        assert_eq!(timeout(i64::MAX).unwrap(), FOREVER);
        assert!(timeout(-2).is_err() && timeout(i64::MIN).is_err());
    }
}
