//! Which process this is, without asking the kernel each time.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The id of the calling process, as `std::process::id` tells it.
///
/// Every call of the library asks, to know its parent's handles in a forked child, and some ask
/// several times, so that the system call would be felt. The id is kept in a page that the kernel
/// empties for a child (MADV_WIPEONFORK, Linux 4.14); where there is none the kernel is asked.
#[must_use]
pub fn id() -> u32 {
    let Some(known) = page() else {
        return std::process::id();
    };
    match known.load(Ordering::Relaxed) {
        0 => {
            let id = std::process::id();
            known.store(id, Ordering::Relaxed);
            id
        }
        id => id,
    }
}

/// The page, made when it is first asked for and never given back.
fn page() -> Option<&'static AtomicU32> {
    /// Stands for a page that could not be had.
    static NONE: AtomicU32 = AtomicU32::new(0);
    static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

    let none = (&raw const NONE).cast_mut();
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let made = wiped_page().map_or(none, NonNull::as_ptr);
        // No lock: a fork could come while it is held. Whoever comes second leaves its page
        // unused.
        page =
            match PAGE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => made,
                Err(first) => first,
            };
    }
    if page == none {
        return None;
    }
    // SAFETY: it is the start of a page that holds zeros or an id, and that nobody unmaps.
    unsafe { page.as_ref() }
}

/// A page of zeros that a forked child finds full of zeros again.
fn wiped_page() -> Option<NonNull<AtomicU32>> {
    const BYTES: usize = size_of::<AtomicU32>();
    // SAFETY: a mapping of its own at an address of the kernel's choice touches nothing else.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the range is the mapping just made, which nobody else knows of.
    if unsafe { libc::madvise(page, BYTES, libc::MADV_WIPEONFORK) } != 0 {
        // SAFETY: as above.
        unsafe { libc::munmap(page, BYTES) };
        return None;
    }
    NonNull::new(page.cast())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::base::thread;

    #[test]
    fn it_is_the_id_of_this_process_however_often_and_by_whom_it_is_asked() {
        let (tell, told) = mpsc::channel();
        for _ in 0..4 {
            let tell = tell.clone();
            let ask = move || tell.send([id(), id()]).unwrap();
            thread::spawn("rmq-test-id", ask).unwrap();
        }
        drop(tell);
        assert_eq!(
            told.iter().collect::<Vec<_>>(),
            [[std::process::id(); 2]; 4]
        );
    }

    #[test]
    fn a_page_can_be_had_here() {
        assert!(page().is_some());
    }
}
