//! The table of live handles.
//!
//! A handle of C is a pointer in type only: its value is a number that is looked up here and never
//! followed. A number is given out once in the life of a process, and holds the process and the
//! type that it is good for. So a handle that was freed, twice or a thousand times, one of another
//! type, and one that a forked child inherited are all told apart from a live one.

use std::any::Any;
use std::collections::HashMap;
use std::ffi::CString;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::boundary::in_callback;
use crate::error::Fault;
use crate::status::{RMQ_E_FORKED, RMQ_E_HANDLE};
use rmq_core::embed::process_id;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a handle is a number of 64 bits");

/// A number is, from the top: the process (Linux has process ids below 2^22), the type, a count.
const PROCESS_SHIFT: u32 = 42;
const KIND_SHIFT: u32 = 37;
const KIND_MASK: u64 = 0x1f;
const COUNT_MASK: u64 = (1 << KIND_SHIFT) - 1;

/// The types of handles, at most 31.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Error = 1,
    Config,
    NameServer,
    Broker,
    Cluster,
    Message,
    SendResult,
    Producer,
    Text,
    Received,
    Queues,
    Admin,
    PushConsumer,
    PullConsumer,
    CompletionQueue,
    #[cfg(test)]
    One,
    #[cfg(test)]
    Other,
}

/// What a handle can stand for.
pub(crate) trait Object: Any + Send + Sync {
    /// The type that C sees.
    type C;
    /// What tells its handles from those of other types.
    const KIND: Kind;
    /// Its name in C.
    const NAME: &'static str;
}

type Shared = Arc<dyn Any + Send + Sync>;

struct Table {
    process: u32,
    next: AtomicU64,
    live: RwLock<HashMap<u64, Shared>>,
    /// What a callback freed: the last one out of a server waits for its threads, of which the
    /// callback's may be one.
    buried: RwLock<Vec<Shared>>,
}

/// The table of this process. A forked child gets one of its own; its parent's stays untouched,
/// because a thread that the child does not have may have held its lock.
fn table() -> &'static Table {
    static TABLE: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());
    let process = process_id();
    let mut known = TABLE.load(Ordering::Acquire);
    loop {
        // SAFETY: what the pointer was ever set to is never freed.
        if let Some(table) = unsafe { known.as_ref() }
            && table.process == process
        {
            return table;
        }
        let fresh = Box::into_raw(Box::new(Table {
            process,
            next: AtomicU64::new(1),
            live: RwLock::default(),
            buried: RwLock::default(),
        }));
        match TABLE.compare_exchange(known, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => known = fresh,
            Err(other) => {
                // SAFETY: nobody has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                known = other;
            }
        }
    }
}

fn process_of(number: u64) -> u64 {
    number >> PROCESS_SHIFT
}

fn kind_of(number: u64) -> u64 {
    number >> KIND_SHIFT & KIND_MASK
}

/// A handle for an object, which lives until the handle is taken.
pub(crate) fn issue<T: Object>(object: T) -> *mut T::C {
    let table = table();
    let count = table.next.fetch_add(1, Ordering::Relaxed) & COUNT_MASK;
    let number = u64::from(table.process) << PROCESS_SHIFT | (T::KIND as u64) << KIND_SHIFT | count;
    let mut live = table.live.write().unwrap_or_else(PoisonError::into_inner);
    live.insert(number, Arc::new(object));
    ptr::without_provenance_mut(number as usize)
}

/// The object of a live handle.
pub(crate) fn get<T: Object>(handle: *const T::C) -> Result<Arc<T>, Fault> {
    let number = handle.addr() as u64;
    let table = table();
    if handle.is_null() {
        return Err(Fault::new(RMQ_E_HANDLE, format!("the {} is NULL", T::NAME)));
    }
    if kind_of(number) == T::KIND as u64 && process_of(number) != u64::from(table.process) {
        let why = format!("the {} belongs to the parent of this process", T::NAME);
        return Err(Fault::new(RMQ_E_FORKED, why));
    }
    let live = table.live.read().unwrap_or_else(PoisonError::into_inner);
    let found = live.get(&number).cloned();
    drop(live);
    found
        .and_then(|object| object.downcast().ok())
        .ok_or_else(|| Fault::new(RMQ_E_HANDLE, format!("this is no live {}", T::NAME)))
}

/// Ends a handle; the object is dropped when the last call that uses it has ended. `None` when the
/// handle is not a live one of this process, which is never an error.
pub(crate) fn take<T: Object>(handle: *const T::C) -> Option<Arc<T>> {
    let number = handle.addr() as u64;
    if kind_of(number) != T::KIND as u64 {
        return None;
    }
    let table = table();
    let mut live = table.live.write().unwrap_or_else(PoisonError::into_inner);
    let object = live.remove(&number);
    if live.is_empty() {
        // Nothing is left after the last handle.
        *live = HashMap::new();
    }
    drop(live);
    object.and_then(|object| object.downcast().ok())
}

/// Takes a handle whose object may wait for threads when it goes.
pub(crate) fn release<T: Object>(handle: *const T::C) {
    let Some(object) = take::<T>(handle) else {
        return;
    };
    if in_callback() {
        let mut buried = table()
            .buried
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        buried.push(object);
    } else {
        drop(object);
        end_buried();
    }
}

/// Drops what callbacks released.
pub(crate) fn end_buried() {
    let mut buried = table()
        .buried
        .write()
        .unwrap_or_else(PoisonError::into_inner);
    let ended = std::mem::take(&mut *buried);
    drop(buried);
    drop(ended);
}

/// Text as C reads it. A NUL inside, which no text of the library has, would end it.
pub(crate) fn c_text(text: impl Into<String>) -> CString {
    let mut bytes = text.into().into_bytes();
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(u8);
    struct Other;

    impl Object for One {
        type C = u8;
        const KIND: Kind = Kind::One;
        const NAME: &'static str = "one";
    }

    impl Object for Other {
        type C = u16;
        const KIND: Kind = Kind::Other;
        const NAME: &'static str = "other";
    }

    #[test]
    fn a_handle_lives_until_it_is_taken() {
        let handle = issue(One(7));
        assert_eq!(get::<One>(handle).unwrap().0, 7);
        let held = take::<One>(handle).unwrap();
        assert!(take::<One>(handle).is_none());
        assert_eq!(get::<One>(handle).err().unwrap().status(), RMQ_E_HANDLE);
        assert_eq!(held.0, 7);
    }

    #[test]
    fn handles_of_other_types_and_processes_are_refused() {
        let handle = issue(One(1));
        assert_eq!(
            get::<Other>(handle.cast()).err().unwrap().status(),
            RMQ_E_HANDLE
        );
        assert!(take::<Other>(handle.cast()).is_none());
        let foreign = handle.addr() ^ 1 << PROCESS_SHIFT;
        let foreign: *mut u8 = ptr::without_provenance_mut(foreign);
        assert_eq!(get::<One>(foreign).err().unwrap().status(), RMQ_E_FORKED);
        assert!(take::<One>(foreign).is_none());
        for wild in [0, 1, 7, usize::MAX, usize::MAX >> 1] {
            let wild: *mut u8 = ptr::without_provenance_mut(wild);
            assert!(get::<One>(wild).is_err() && take::<One>(wild).is_none());
        }
        assert!(take::<One>(handle).is_some());
    }
}
