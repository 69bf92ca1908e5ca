//! Whether a handle was answered for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Nobody answered yet.
const OPEN: u8 = 0;
/// The program did, or the handle was taken back.
const GIVEN: u8 = 1;
/// It took the program too long.
const LATE: u8 = 2;

/// What became of a handle, decided once; clones are of the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer(Arc<AtomicU8>);

impl Answer {
    fn decide(&self, what: u8) -> bool {
        let order = Ordering::SeqCst;
        self.0.compare_exchange(OPEN, what, order, order).is_ok()
    }

    /// True for the first who answers in time.
    pub(crate) fn give(&self) -> bool {
        self.decide(GIVEN)
    }

    /// Nobody is to answer any more. False when somebody did, or it was said before.
    pub(crate) fn miss(&self) -> bool {
        self.decide(LATE)
    }

    pub(crate) fn is_late(&self) -> bool {
        self.0.load(Ordering::SeqCst) == LATE
    }
}
