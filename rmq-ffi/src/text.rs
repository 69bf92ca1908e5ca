//! Texts that functions give, JSON above all.

use std::ffi::{CString, c_char};

use crate::boundary::guard;
use crate::handle::{self, Kind, Object, c_text};

/// A text that a function gave. It does not change, so every thread may read it; who got it frees
/// it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_text;

pub(crate) struct Text(CString);

impl Object for Text {
    type C = rmq_text;
    const KIND: Kind = Kind::Text;
    const NAME: &'static str = "rmq_text";
}

/// A handle for a text.
pub(crate) fn issue(text: impl Into<String>) -> *mut rmq_text {
    handle::issue(Text(c_text(text)))
}

/// The bytes of a text.
///
/// @param text A text, or NULL.
/// @return UTF-8 with a NUL at the end that lives until the text is freed, not to be freed; NULL if
/// `text` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_text_data(text: *const rmq_text) -> *const c_char {
    guard(std::ptr::null(), || {
        let text = handle::get::<Text>(text).ok();
        text.map_or(std::ptr::null(), |text| text.0.as_ptr())
    })
}

/// How many bytes a text has, without the NUL.
///
/// @param text A text, or NULL.
/// @return The length; 0 if `text` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_text_len(text: *const rmq_text) -> usize {
    guard(0, || {
        let text = handle::get::<Text>(text).ok();
        text.map_or(0, |text| text.0.as_bytes().len())
    })
}

/// Frees a text.
///
/// @param text A text; NULL, or one that was freed, is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_text_free(text: *mut rmq_text) {
    guard((), || drop(handle::take::<Text>(text)));
}
