//! Answering for the messages of push consumers.

use crate::boundary::call;
use crate::error::{Fault, rmq_error};
use crate::handle;
use crate::received::{Received, rmq_received};
use crate::status::{RMQ_E_TIMEOUT, rmq_status};
use rmq_core::embed::Delivery;

fn answer(message: *mut rmq_received, answer: impl FnOnce(&Delivery) -> bool) -> Result<(), Fault> {
    let received = handle::get::<Received>(message)?;
    let delivery = received.delivery();
    let delivery = delivery.ok_or_else(|| {
        Fault::invalid("the message did not come from a push consumer, so nobody asks for it")
    })?;
    match answer(delivery) || !delivery.is_late() {
        true => Ok(()),
        false => Err(Fault::new(
            RMQ_E_TIMEOUT,
            "the answer is too late: the message comes again",
        )),
    }
}

/// Says that a message of a push consumer is done with. The first answer for a message counts; all
/// are without effect when its consumer was closed, or lost the queue to another member of the
/// group, and the message comes again. So it does when it is not answered for within
/// "consumeTimeout" (minutes, from when the program took it; not in order and not of a broadcast)
/// or, popped, within "popInvisibleTime". Never waits.
///
/// @param message A message of a push consumer; it stays the caller's.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, also for a second answer; `RMQ_E_TIMEOUT` when it is too late;
/// `RMQ_E_INVALID` for a message that came otherwise; `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_received_ack(
    message: *mut rmq_received,
    error: *mut *mut rmq_error,
) -> rmq_status {
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, || answer(message, Delivery::ack)) }
}

/// Says that a message of a push consumer is to come again later. Otherwise as `rmq_received_ack`.
///
/// @param message A message of a push consumer; it stays the caller's.
/// @param delay_level After the time of this delay level of the broker; at 0 the later the more
/// often it came before; below 0 it is given up and becomes a dead letter. In order it is the next
/// one of its queue again after "suspendCurrentQueueTimeMillis", whatever the level.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_received_ack`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_received_later(
    message: *mut rmq_received,
    delay_level: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let later = |delivery: &Delivery| delivery.later(delay_level);
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, || answer(message, later)) }
}
