//! Transactions: a half message, the program's own work, and how it ended.

use std::ffi::c_void;

use crate::boundary::{Out, call, call_waiting, in_new_callback};
use crate::config::{self, rmq_config};
use crate::error::{Fault, rmq_error};
use crate::handle;
use crate::log::rmq_destroy_cb;
use crate::message::{copy, rmq_message};
use crate::producer::{Sender, options, rmq_producer, store};
use crate::received::{Received, rmq_received};
use crate::send_result::{Sent, rmq_send_result};
use crate::status::rmq_status;
use rmq_core::embed::{Producer, ReceivedMessage, TransactionState, producer_options};

/// Not known yet: the broker asks again later.
pub const RMQ_TRANSACTION_UNKNOWN: i32 = 0;
/// The message is delivered.
pub const RMQ_TRANSACTION_COMMIT: i32 = 1;
/// The message is forgotten.
pub const RMQ_TRANSACTION_ROLLBACK: i32 = 2;

/// Says how the transaction of a half message ended, when a broker asks. It is called on a thread
/// of the library, and must not wait: functions that may wait answer `RMQ_E_WOULD_DEADLOCK` to it.
///
/// A program that has to look first answers `RMQ_TRANSACTION_UNKNOWN`, finds out on a thread of its
/// own, and has the answer ready when it is asked again: after the broker's
/// "transactionCheckInterval" (30 s unless set), up to "transactionCheckMax" times (15), after
/// which the message is given up. Who kept the result of `rmq_producer_send_half` need not wait for
/// that: `rmq_producer_end_transaction` tells the broker at any time.
///
/// @param user_data What was given with the callback.
/// @param message The half message, with the same id and keys each time; valid during the call, not
/// to be freed.
/// @return One of the `RMQ_TRANSACTION_` numbers; any other counts as unknown.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_transaction_check_cb =
    Option<extern "C" fn(user_data: *mut c_void, message: *const rmq_received) -> i32>;

/// Does the program's own part of a transaction. It is called on the thread that called
/// `rmq_producer_send_in_transaction`, before that returns, and may call anything.
///
/// @param user_data What was given with the callback.
/// @param sent What became of the half message; valid during the call, not to be freed.
/// @return One of the `RMQ_TRANSACTION_` numbers; any other counts as unknown.
#[allow(non_camel_case_types, reason = "the name in C")]
pub type rmq_transaction_execute_cb =
    Option<extern "C" fn(user_data: *mut c_void, sent: *const rmq_send_result) -> i32>;

fn state_of(number: i32) -> TransactionState {
    match number {
        RMQ_TRANSACTION_COMMIT => TransactionState::Commit,
        RMQ_TRANSACTION_ROLLBACK => TransactionState::Rollback,
        _ => TransactionState::Unknown,
    }
}

fn number_of(state: TransactionState) -> i32 {
    match state {
        TransactionState::Commit => RMQ_TRANSACTION_COMMIT,
        TransactionState::Rollback => RMQ_TRANSACTION_ROLLBACK,
        TransactionState::Unknown => RMQ_TRANSACTION_UNKNOWN,
    }
}

/// The host's checker with its data.
struct Checker {
    check: rmq_transaction_check_cb,
    user_data: *mut c_void,
    destroy: rmq_destroy_cb,
}

// SAFETY: the terms of `rmq_producer_start_with_checker` say that it is called on other threads.
unsafe impl Send for Checker {}
// SAFETY: the same, and on several at once.
unsafe impl Sync for Checker {}

impl Checker {
    fn ask(&self, message: &ReceivedMessage) -> TransactionState {
        let Some(check) = self.check else {
            return TransactionState::Unknown;
        };
        let message = handle::issue(Received::from(message.clone()));
        let mut answer = RMQ_TRANSACTION_UNKNOWN;
        in_new_callback(|| answer = check(self.user_data, message));
        drop(handle::take::<Received>(message));
        state_of(answer)
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            in_new_callback(|| destroy(self.user_data));
        }
    }
}

/// Starts a producer whose group answers for its transactions.
///
/// @param config As for `rmq_producer_start`. Only read.
/// @param check Is asked how a transaction ended when a broker does not know; it may be called on
/// several threads at once.
/// @param user_data Handed to the callback as it is.
/// @param destroy NULL, or what is called once, on any thread, when `check` will not be called any
/// more: after the producer was freed and the last call of `check` has ended. It is called also
/// when this call fails.
/// @param out Where to store the producer; written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_producer_start`; `RMQ_E_INVALID` if `check` is NULL.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_start_with_checker(
    config: *const rmq_config,
    check: rmq_transaction_check_cb,
    user_data: *mut c_void,
    destroy: rmq_destroy_cb,
    out: *mut *mut rmq_producer,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let checker = Checker {
        check,
        user_data,
        destroy,
    };
    let body = || {
        let out = Out::new(out, "out")?;
        if checker.check.is_none() {
            return Err(Fault::invalid("check is NULL"));
        }
        let options = producer_options(&config::keys(config)?)?;
        let inner = Producer::start_with_checker(options, move |message| checker.ask(message))?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(Sender::new(inner))) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Sends a half message, has `execute` do the program's part, and tells the broker what that
/// answered: the message is delivered after a commit. When it is unknown, or the broker does not
/// hear of it, the broker asks the checker of a producer of this group.
///
/// A half message that was stored, but less safely than asked for, is rolled back without
/// executing. A delay of the message does not count.
///
/// @param producer A producer, best one with a checker.
/// @param message A message, which stays the caller's.
/// @param timeout_ms How long the sending may take; -1 for the producer's "sendMsgTimeout".
/// @param execute Called once if the half message was stored, else not at all.
/// @param user_data Handed to the callback as it is.
/// @param state Where to store how the transaction ended, a `RMQ_TRANSACTION_` number; NULL if it
/// is not wanted. Written on success only.
/// @param out Where to store the result of the sending, which the caller frees; NULL if it is not
/// wanted. Written on success only.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK` whatever `execute` answered; else as `rmq_producer_send`, and `execute` was not
/// called.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_send_in_transaction(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    execute: rmq_transaction_execute_cb,
    user_data: *mut c_void,
    state: *mut i32,
    out: *mut *mut rmq_send_result,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let execute = execute.ok_or_else(|| Fault::invalid("execute is NULL"))?;
        let (message, options) = options(copy(message)?, timeout_ms)?;
        let act = |sent: &rmq_core::embed::SendResult| {
            let sent = handle::issue(Sent::from(sent.clone()));
            let answer = execute(user_data, sent);
            drop(handle::take::<Sent>(sent));
            state_of(answer)
        };
        let (sent, ended) = sender.inner.send_in_transaction(message, options, act)?;
        if let Ok(place) = Out::new(state, "state") {
            // SAFETY: the caller vouches for the place.
            unsafe { place.set(number_of(ended)) };
        }
        // SAFETY: the caller vouches for the place.
        unsafe { store(out, sent) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Sends a half message, for programs that do their part and then call
/// `rmq_producer_end_transaction`. Until then, or a broker's question, nobody receives it.
///
/// @param producer A producer, best one with a checker.
/// @param message A message, which stays the caller's.
/// @param timeout_ms How long the sending may take; -1 for the producer's "sendMsgTimeout".
/// @param out Where to store the result, which the caller frees; written on success only. Other
/// than `RMQ_SEND_OK` it was stored less safely than asked for and is to be rolled back.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return As `rmq_producer_send`; `RMQ_E_INVALID` if `out` is NULL.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_send_half(
    producer: *mut rmq_producer,
    message: *const rmq_message,
    timeout_ms: i64,
    out: *mut *mut rmq_send_result,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let out = Out::new(out, "out")?;
        let (message, options) = options(copy(message)?, timeout_ms)?;
        let message = sender.inner.half(message);
        let sent = sender.inner.send_with(message, options)?;
        // SAFETY: the caller vouches for the place.
        unsafe { out.set(handle::issue(Sent::from(sent))) };
        Ok(())
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call_waiting(error, body) }
}

/// Tells the broker how the transaction of a half message ended. Never waits: if the broker does
/// not hear of it, it asks the checker.
///
/// @param producer A producer of the group that sent the half message.
/// @param sent What `rmq_producer_send_half` stored, which stays the caller's.
/// @param state One of the `RMQ_TRANSACTION_` numbers.
/// @param error NULL, or where to store an error (NULL after success) that the caller frees.
/// @return `RMQ_OK`, `RMQ_E_INVALID` (another number), `RMQ_E_NOT_FOUND` (the broker is not known),
/// `RMQ_E_BUSY`, `RMQ_E_CLOSED`, `RMQ_E_HANDLE`, `RMQ_E_FORKED`.
///
/// # Safety
/// As the parameters say.
// SAFETY: the name is in this library's own namespace, so it clashes with no other symbol.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmq_producer_end_transaction(
    producer: *mut rmq_producer,
    sent: *const rmq_send_result,
    state: i32,
    error: *mut *mut rmq_error,
) -> rmq_status {
    let body = || {
        let sender = handle::get::<Sender>(producer)?;
        let sent = handle::get::<Sent>(sent)?;
        if !(RMQ_TRANSACTION_UNKNOWN..=RMQ_TRANSACTION_ROLLBACK).contains(&state) {
            return Err(Fault::invalid(format!("state is {state}")));
        }
        let topic = &sent.given.queue.topic;
        Ok(sender
            .inner
            .end_transaction(topic, &sent.given, state_of(state))?)
    };
    // SAFETY: the caller vouches for `error`.
    unsafe { call(error, body) }
}
