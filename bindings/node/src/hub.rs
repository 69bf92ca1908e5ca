//! Where what happened on rmq's threads waits for JavaScript's thread.
//!
//! There is one hub for each JavaScript environment (the main thread, each worker). A promise for
//! each call would cost a handle of the event loop each; the hub has one, which does not keep the
//! loop alive, and wakes JavaScript once for whatever has come until it looks.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{Array, Env, Function, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use napi_derive::napi;
use rmq_core::embed;

use crate::failure::Failure;
use crate::work;

/// Does not keep the event loop alive.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;
/// Puts a value into an array of JavaScript's.
type Put = Box<dyn FnOnce(&mut Array<'_>, u32) -> Result<()> + Send>;

struct Event {
    id: u32,
    outcome: std::result::Result<Put, Failure>,
}

#[derive(Default)]
struct Ready {
    events: Vec<Event>,
    /// The environment has ended: nobody looks any more.
    closed: bool,
}

struct Shared {
    ready: Mutex<Ready>,
    wake: Wake,
}

/// The way back to one JavaScript environment; clones are the same.
#[derive(Clone)]
pub(crate) struct Sender(Arc<Shared>);

impl Sender {
    fn post(&self, id: u32, outcome: std::result::Result<Put, Failure>) {
        let mut ready = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.closed {
            return;
        }
        let first = ready.events.is_empty();
        ready.events.push(Event { id, outcome });
        drop(ready);
        if first {
            self.0
                .wake
                .call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether somebody looks.
    pub(crate) fn is_open(&self) -> bool {
        !self
            .0
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed
    }

    /// Ends the call `id`, or has an event of the listener `id`.
    pub(crate) fn send<T: ToNapiValue + Send + 'static>(&self, id: u32, outcome: embed::Result<T>) {
        let outcome = match outcome {
            Ok(value) => {
                Ok(Box::new(move |array: &mut Array<'_>, index| array.set(index, value)) as Put)
            }
            Err(error) => Err(Failure::from(error)),
        };
        self.post(id, outcome);
    }

    /// Ends the call `id` with an error of this half.
    pub(crate) fn fail(&self, id: u32, failure: Failure) {
        self.post(id, Err(failure));
    }

    /// Runs what may wait on a thread of its own and ends the call `id` with what it answers.
    pub(crate) fn run<T: ToNapiValue + Send + 'static>(
        &self,
        id: u32,
        body: impl FnOnce() -> embed::Result<T> + Send + 'static,
    ) {
        let ending = Ending {
            sender: self.clone(),
            id,
            over: false,
        };
        work::run(Box::new(move || {
            let outcome = body();
            ending.end(outcome);
        }));
    }
}

/// Ends a call also when its body panicked or never ran.
struct Ending {
    sender: Sender,
    id: u32,
    over: bool,
}

impl Ending {
    fn end<T: ToNapiValue + Send + 'static>(mut self, outcome: embed::Result<T>) {
        self.over = true;
        self.sender.send(self.id, outcome);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.over {
            let failure = Failure::internal("the call did not come to an end");
            self.sender.post(self.id, Err(failure));
        }
    }
}

/// The events of one JavaScript environment.
#[napi]
pub struct Hub {
    sender: Sender,
}

#[napi]
impl Hub {
    /// `wake` is called, on JavaScript's thread, when there is something to drain.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Function<'_, (), ()>) -> Result<Self> {
        let wake = wake
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build()?;
        let sender = Sender(Arc::new(Shared {
            ready: Mutex::default(),
            wake,
        }));
        env.add_env_cleanup_hook(sender.clone(), |sender| {
            let mut ready = sender
                .0
                .ready
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            ready.closed = true;
            let left = std::mem::take(&mut ready.events);
            drop(ready);
            // What is in there may be a server, whose end takes a moment.
            drop(left);
        })?;
        Ok(Self { sender })
    }

    /// What happened: for each event its number, its failure or undefined, its value.
    #[napi(ts_return_type = "Array<any>")]
    pub fn drain<'env>(&self, env: &'env Env) -> Result<Array<'env>> {
        let mut ready = self
            .sender
            .0
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let events = std::mem::take(&mut ready.events);
        drop(ready);
        let mut array = env.create_array(0)?;
        let mut index = 0;
        for event in events {
            array.set(index, event.id)?;
            match event.outcome {
                Ok(put) => put(&mut array, index + 2)?,
                Err(failure) => array.set(index + 1, failure)?,
            }
            index += 3;
        }
        Ok(array)
    }

    pub(crate) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Does what may wait to `inner`, on a thread of its own, and ends the call `id` with what it
    /// answers.
    pub(crate) fn run_on<S, T>(
        &self,
        id: u32,
        inner: &Arc<S>,
        body: impl FnOnce(&S) -> embed::Result<T> + Send + 'static,
    ) where
        S: Send + Sync + 'static,
        T: ToNapiValue + Send + 'static,
    {
        let inner = Arc::clone(inner);
        self.sender.run(id, move || body(&inner));
    }
}
