//! What a program has done around every send and every consumption, for tracing and metrics.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use super::consumer::ConsumeStatus;
use super::producer::SendResult;
use super::trace::{ConsumeTrace, Tracer};
use crate::base::Error;
use crate::protocol::message::user::{Message, ReceivedMessage};

/// Is told once how a send ended: `Ok(None)` when a one-way message was handed to the network.
pub type AfterSend = Box<dyn FnOnce(Result<Option<&SendResult>, &Error>) + Send>;

/// Runs before each message is sent, on the thread that sends it. What it answers runs when the
/// send is over, on that thread or one of the runtime, and must not block. A closure of this shape
/// is a hook too. A panic is reported and goes no further.
pub trait SendHook: Send + Sync {
    /// A message is about to be sent; properties may be added, for example the context of a trace.
    fn before_send(&self, message: &mut Message) -> Option<AfterSend>;
}

impl<F> SendHook for F
where
    F: Fn(&mut Message) -> Option<AfterSend> + Send + Sync,
{
    fn before_send(&self, message: &mut Message) -> Option<AfterSend> {
        self(message)
    }
}

/// Is told once what became of messages that were consumed.
pub type AfterConsume = Box<dyn FnOnce(ConsumeStatus) + Send>;

/// Runs before messages are given to the listener, on its thread. What it answers runs after the
/// listener. A closure of this shape is a hook too. A panic is reported and goes no further.
pub trait ConsumeHook: Send + Sync {
    /// These messages are about to be consumed by this group.
    fn before_consume(&self, group: &str, messages: &[ReceivedMessage]) -> Option<AfterConsume>;
}

impl<F> ConsumeHook for F
where
    F: Fn(&str, &[ReceivedMessage]) -> Option<AfterConsume> + Send + Sync,
{
    fn before_consume(&self, group: &str, messages: &[ReceivedMessage]) -> Option<AfterConsume> {
        self(group, messages)
    }
}

/// Hooks that run one after the other. Two lists are equal if they hold the same hooks.
pub struct Hooks<H: ?Sized>(Vec<Arc<H>>);

impl<H: ?Sized> Hooks<H> {
    /// Adds a hook.
    pub fn add(&mut self, hook: Arc<H>) {
        self.0.push(hook);
    }
}

impl<H: ?Sized> Default for Hooks<H> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<H: ?Sized> Clone for Hooks<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<H: ?Sized> PartialEq for Hooks<H> {
    fn eq(&self, other: &Self) -> bool {
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.all(|(a, b)| Arc::ptr_eq(a, b))
    }
}

impl<H: ?Sized> Eq for Hooks<H> {}

impl<H: ?Sized> fmt::Debug for Hooks<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hooks", self.0.len())
    }
}

/// Runs a piece of the program; nothing comes of one that panics.
fn guarded<T>(hook: impl FnOnce() -> Option<T>) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|_| {
        tracing::error!("a hook of the client panicked");
        None
    })
}

/// Those who wait for the end of one send.
#[derive(Default)]
pub(crate) struct SendWatch(Vec<AfterSend>);

impl SendWatch {
    pub(crate) fn begin(&mut self, hooks: &Hooks<dyn SendHook>, message: &mut Message) {
        let begun = hooks.0.iter();
        self.0
            .extend(begun.filter_map(|hook| guarded(|| hook.before_send(message))));
    }

    pub(crate) fn end(self, outcome: Result<Option<&SendResult>, &Error>) {
        for after in self.0 {
            guarded(|| {
                after(outcome);
                Some(())
            });
        }
    }

    /// Tells of an outcome and hands it on.
    pub(crate) fn told(self, outcome: Result<SendResult, Error>) -> Result<SendResult, Error> {
        self.end(outcome.as_ref().map(Some));
        outcome
    }
}

/// Those who wait for the end of one consumption, the traces among them. Dropped without an end,
/// the messages were not consumed.
pub(crate) struct ConsumeWatch {
    hooks: Vec<AfterConsume>,
    trace: Option<ConsumeTrace>,
}

impl ConsumeWatch {
    pub(crate) fn begin(
        hooks: &Hooks<dyn ConsumeHook>,
        tracer: Option<&Arc<Tracer>>,
        group: &str,
        messages: &[ReceivedMessage],
    ) -> Self {
        let begun = hooks.0.iter();
        let begun = begun.filter_map(|hook| guarded(|| hook.before_consume(group, messages)));
        Self {
            hooks: begun.collect(),
            trace: tracer.map(|tracer| tracer.consuming(messages)),
        }
    }

    pub(crate) fn end(self, status: ConsumeStatus) {
        if let Some(trace) = self.trace {
            trace.end(status);
        }
        for after in self.hooks {
            guarded(|| {
                after(status);
                Some(())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::base::ErrorKind;

    #[test]
    fn every_hook_is_told_once_also_after_one_that_panics() {
        let failures = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&failures);
        let mut hooks: Hooks<dyn SendHook> = Hooks::default();
        hooks.add(Arc::new(|_: &mut Message| -> Option<AfterSend> {
            panic!("on purpose")
        }));
        hooks.add(Arc::new(|_: &mut Message| -> Option<AfterSend> {
            Some(Box::new(|_| panic!("on purpose")))
        }));
        hooks.add(Arc::new(
            move |message: &mut Message| -> Option<AfterSend> {
                message.set_property("traceparent", "00-1");
                let count = Arc::clone(&count);
                Some(Box::new(move |outcome| {
                    count.fetch_add(usize::from(outcome.is_err()), Ordering::SeqCst);
                }))
            },
        ));
        let mut message = Message::new("T", "b");
        let mut watch = SendWatch::default();
        watch.begin(&hooks, &mut message);
        assert_eq!(message.property("traceparent"), Some("00-1"));
        let error = Error::new(ErrorKind::Timeout, "test", "");
        assert!(watch.told(Err(error)).is_err());
        assert_eq!(failures.load(Ordering::SeqCst), 1);
        assert_eq!(hooks, hooks.clone());
        assert_ne!(hooks, Hooks::default());
        assert_eq!(format!("{hooks:?}"), "3 hooks");
    }
}
