//! Messages that a program is given.

use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

use crate::argument;
use crate::boundary::guard;
use crate::handle::{self, Kind, Object, c_text};
use rmq_core::embed::{Delivery, ReceivedMessage};

/// A message that came from a broker. It does not change, so every thread may read it.
#[allow(non_camel_case_types, reason = "the name in C")]
pub struct rmq_received;

/// A message with its texts as C reads them, made when they are asked for.
pub(crate) struct Received {
    source: Source,
    texts: OnceLock<Texts>,
}

enum Source {
    Plain(ReceivedMessage),
    /// It is to be answered for.
    Delivery(Delivery),
}

struct Texts {
    topic: CString,
    msg_id: CString,
    offset_msg_id: CString,
    broker_name: Option<CString>,
    born_host: CString,
    store_host: CString,
    properties: Vec<(CString, CString)>,
}

impl Object for Received {
    type C = rmq_received;
    const KIND: Kind = Kind::Received;
    const NAME: &'static str = "rmq_received";
}

impl From<ReceivedMessage> for Received {
    fn from(message: ReceivedMessage) -> Self {
        Self {
            source: Source::Plain(message),
            texts: OnceLock::new(),
        }
    }
}

impl From<Delivery> for Received {
    fn from(delivery: Delivery) -> Self {
        Self {
            source: Source::Delivery(delivery),
            texts: OnceLock::new(),
        }
    }
}

impl Received {
    pub(crate) fn message(&self) -> &ReceivedMessage {
        match &self.source {
            Source::Plain(message) => message,
            Source::Delivery(delivery) => delivery.message(),
        }
    }

    /// What it is answered for by, if it is to be answered for.
    pub(crate) fn delivery(&self) -> Option<&Delivery> {
        match &self.source {
            Source::Plain(_) => None,
            Source::Delivery(delivery) => Some(delivery),
        }
    }

    fn texts(&self) -> &Texts {
        self.texts.get_or_init(|| {
            let properties = self.message().message.properties.iter();
            let pairs = properties.map(|(name, value)| (c_text(name), c_text(value)));
            Texts {
                topic: c_text(self.message().message.topic.as_str()),
                msg_id: c_text(self.message().msg_id()),
                offset_msg_id: c_text(self.message().offset_msg_id().as_str()),
                broker_name: self.delivery().and_then(Delivery::broker_name).map(c_text),
                born_host: c_text(self.message().born_host.to_string()),
                store_host: c_text(self.message().store_host.to_string()),
                properties: pairs.collect(),
            }
        })
    }

    fn property(&self, name: &str) -> *const c_char {
        let properties = self.texts().properties.iter();
        let mut named = properties.filter(|(known, _)| known.as_bytes() == name.as_bytes());
        let value = named.next().map(|(_, value)| value.as_ptr());
        value.unwrap_or(std::ptr::null())
    }
}

fn told<T>(message: *const rmq_received, otherwise: T, read: impl FnOnce(&Received) -> T) -> T {
    guard(None, || {
        Some(read(&*handle::get::<Received>(message).ok()?))
    })
    .unwrap_or(otherwise)
}

/// The topic of a message.
///
/// @param message A message, or NULL.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if
/// `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_topic(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        received.texts().topic.as_ptr()
    })
}

/// The body of a message: any bytes, NUL among them.
///
/// @param message A message, or NULL.
/// @return The first byte, which lives as long as the message, not to be freed; NULL if `message`
/// is NULL or was freed. A body of no bytes has an address that must not be read.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_body(message: *const rmq_received) -> *const c_void {
    told(message, std::ptr::null(), |received| {
        received.message().message.body.as_ptr().cast()
    })
}

/// How many bytes the body of a message has.
///
/// @param message A message, or NULL.
/// @return The length; 0 if `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_body_len(message: *const rmq_received) -> usize {
    told(message, 0, |received| received.message().message.body.len())
}

/// The unique id of a message: what `rmq_send_result_msg_id` told its sender.
///
/// @param message A message, or NULL.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if
/// `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_msg_id(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        received.texts().msg_id.as_ptr()
    })
}

/// The id that says where a message is stored.
///
/// @param message A message, or NULL.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if
/// `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_offset_msg_id(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        received.texts().offset_msg_id.as_ptr()
    })
}

/// The tag of a message.
///
/// @param message A message, or NULL.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
/// none, or `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_tag(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        received.property("TAGS")
    })
}

/// The keys of a message, with spaces between them.
///
/// @param message A message, or NULL.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
/// none, or `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_keys(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        received.property("KEYS")
    })
}

/// A property of a message.
///
/// @param message A message, or NULL.
/// @param name A NUL-terminated name of 1 to 4,096 bytes.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
/// no such property, or `name` is none, or `message` is NULL or was freed.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_received_property(
    message: *const rmq_received,
    name: *const c_char,
) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        // SAFETY: the caller vouches for its text.
        let name = unsafe { argument::name(name, "name") };
        name.map_or(std::ptr::null(), |name| received.property(&name))
    })
}

/// How many properties a message has.
///
/// @param message A message, or NULL.
/// @return The number; 0 if `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_property_count(message: *const rmq_received) -> usize {
    told(message, 0, |received| received.texts().properties.len())
}

/// The name of a property of a message.
///
/// @param message A message, or NULL.
/// @param index From 0 to less than `rmq_received_property_count`.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if there is
/// no property of that index, or `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_property_name(
    message: *const rmq_received,
    index: usize,
) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        let pair = received.texts().properties.get(index);
        pair.map_or(std::ptr::null(), |(name, _)| name.as_ptr())
    })
}

/// The queue that a message is in.
///
/// @param message A message, or NULL.
/// @return The value; -1 if `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_queue_id(message: *const rmq_received) -> i32 {
    told(message, -1, |received| received.message().queue_id)
}

/// The offset of a message in its queue.
///
/// @param message A message, or NULL.
/// @return The value; -1 if `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_queue_offset(message: *const rmq_received) -> i64 {
    told(message, -1, |received| received.message().queue_offset)
}

/// When a message was made, ms since the epoch.
///
/// @param message A message, or NULL.
/// @return The value; -1 if `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_born_timestamp_ms(message: *const rmq_received) -> i64 {
    told(message, -1, |received| received.message().born_timestamp_ms)
}

/// When a message was stored, ms since the epoch.
///
/// @param message A message, or NULL.
/// @return The value; -1 if `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_store_timestamp_ms(message: *const rmq_received) -> i64 {
    told(message, -1, |received| {
        received.message().store_timestamp_ms
    })
}

/// How often a message has come before and was not consumed.
///
/// @param message A message, or NULL.
/// @return The value; -1 if `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_reconsume_times(message: *const rmq_received) -> i32 {
    told(message, -1, |received| received.message().reconsume_times)
}

/// The name of the broker that pushed a message to a consumer.
///
/// @param message A message, or NULL.
/// @return NUL-terminated text that lives as long as the message, not to be freed; NULL if the
/// message came otherwise, or `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_broker_name(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        let name = received.texts().broker_name.as_ref();
        name.map_or(std::ptr::null(), |name| name.as_ptr())
    })
}

/// The address of the client that made a message.
///
/// @param message A message, or NULL.
/// @return NUL-terminated "ip:port" that lives as long as the message, not to be freed; NULL if
/// `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_born_host(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        received.texts().born_host.as_ptr()
    })
}

/// The address of the broker that stored a message.
///
/// @param message A message, or NULL.
/// @return NUL-terminated "ip:port" that lives as long as the message, not to be freed; NULL if
/// `message` is NULL or was freed.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_store_host(message: *const rmq_received) -> *const c_char {
    told(message, std::ptr::null(), |received| {
        received.texts().store_host.as_ptr()
    })
}

/// Frees a message that a function stored for the caller. What a callback is given is not to be
/// freed by it, unless it says so. A message of a push consumer that was not answered for comes
/// again later.
///
/// @param message A message; NULL, or one that was freed, is left alone.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub extern "C" fn rmq_received_free(message: *mut rmq_received) {
    guard((), || drop(handle::take::<Received>(message)));
}
