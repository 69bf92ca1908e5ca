//! What this library is: its version, and the version of its binary interface.

use crate::boundary::guard;
use rmq_core::embed::version::VERSION;
use std::ffi::{CStr, c_char};

/// `VERSION` with the NUL that C wants, built when the library is.
const VERSION_Z: [u8; VERSION.len() + 1] = {
    let mut bytes = [0; VERSION.len() + 1];
    let mut i = 0;
    while i < VERSION.len() {
        bytes[i] = VERSION.as_bytes()[i];
        i += 1;
    }
    bytes
};

const VERSION_C: &CStr = match CStr::from_bytes_with_nul(&VERSION_Z) {
    Ok(version) => version,
    Err(_) => c"unknown",
};

/// Raised by one whenever a function is removed or changes its meaning.
const ABI_VERSION: u32 = 0;

/// The version of the library, for example "0.1.0".
///
/// @return A NUL-terminated string that lives as long as the library is loaded; never NULL. Do not
/// free it.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_version() -> *const c_char {
    guard(c"unknown".as_ptr(), || VERSION_C.as_ptr())
}

/// The version of the binary interface, which is the number in the name `librmq.so.N`.
///
/// A program compiled against one number may call any later library of that same number.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_abi_version() -> u32 {
    guard(u32::MAX, || ABI_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_that_of_the_core() {
        assert_eq!(VERSION_C.to_str(), Ok(VERSION));
        assert_eq!(rmq_version(), VERSION_C.as_ptr());
    }

    #[test]
    fn soname_carries_the_abi_version() {
        let build = include_str!("../build.rs");
        assert!(build.contains(&format!("librmq.so.{}\"", rmq_abi_version())));
    }
}
