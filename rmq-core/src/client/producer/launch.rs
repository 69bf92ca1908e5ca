//! From a call of the program to a send on its way: hooks, limits, holding messages for others.

use std::sync::Arc;
use std::time::Duration;

use super::accumulate::{Held, Key, Together};
use super::core::Core;
use super::options::{SendOptions, Target};
use super::prepare::{self, Outgoing};
use super::sending::{Done, OP, REPLY, Sending};
use super::{Producer, SendResult};
use crate::base::{Error, ErrorKind, Result};
use crate::client::hooks::SendWatch;
use crate::client::wait::Slot;
use crate::protocol::message::properties::names;
use crate::protocol::message::user::Message;

/// How much longer than it may take a held message is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// Counts a callback as over, also when it panics.
pub(super) struct Leaving(pub(super) Arc<Core>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.pending.leave();
    }
}

/// Tries `attempt` in slices of at most `every` until it answers something, `timeout` is over, or
/// `go_on` says no.
pub(super) fn in_slices<T>(
    timeout: Duration,
    every: Duration,
    go_on: &mut dyn FnMut() -> bool,
    mut attempt: impl FnMut(Duration) -> Option<T>,
) -> Option<T> {
    let mut left = timeout;
    loop {
        let slice = left.min(every);
        if let Some(found) = attempt(slice) {
            return Some(found);
        }
        left -= slice;
        if left.is_zero() || !go_on() {
            return None;
        }
    }
}

impl Producer {
    /// Gives a message the topic that brokers know, and the name of the namespace.
    fn wrap(&self, message: &mut Message) {
        let namespace = &self.core.instance.namespace;
        // The topic of replies is the cluster's.
        if namespace.name().is_empty() || message.property(names::MSG_TYPE) == Some(REPLY) {
            return;
        }
        message.topic = namespace.wrap(&message.topic).into_owned();
        message.set_property(names::INSTANCE_ID, namespace.name());
    }

    pub(super) fn ready(
        &self,
        mut message: Message,
        options: &SendOptions,
    ) -> Result<(Outgoing, SendWatch)> {
        let mut watch = SendWatch::default();
        watch.begin(&self.core.options.hooks, &mut message);
        self.wrap(&mut message);
        let new_id = || self.core.unique_id();
        let made = prepare::single(message, &options.target, &self.core.options, new_id);
        watched(made, watch)
    }

    pub(super) fn ready_batch(&self, mut messages: Vec<Message>) -> Result<(Outgoing, SendWatch)> {
        let mut watch = SendWatch::default();
        for message in &mut messages {
            watch.begin(&self.core.options.hooks, message);
            self.wrap(message);
        }
        let new_id = || self.core.unique_id();
        watched(prepare::batch(messages, &self.core.options, new_id), watch)
    }

    fn timeout(&self, options: &SendOptions) -> Duration {
        let own = Duration::from_millis(self.core.options.send_timeout_ms);
        options.timeout.unwrap_or(own)
    }

    /// Sends and waits.
    pub(super) fn wait(
        &self,
        outgoing: Outgoing,
        options: SendOptions,
        every: Duration,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<SendResult> {
        let (core, timeout) = (&self.core, self.timeout(&options));
        let (until, bytes) = (core.now().saturating_add(timeout), outgoing.body.len());
        let enter = |slice| core.enter(usize::MAX, bytes, slice).is_ok().then_some(());
        if in_slices(timeout, every, go_on, enter).is_none() {
            return Err(core.full());
        }
        let (slot, leaving) = (Slot::new(), Leaving(Arc::clone(core)));
        let filled = slot.clone();
        let done: Done = Box::new(move |outcome| {
            // Who waits may send again at once, and is not to find himself under way.
            drop(leaving);
            filled.put(outcome);
        });
        let target = core.wrapped(options.target);
        if core.held.is_some() && !outgoing.batch {
            core.hold(outgoing, (target, timeout), done);
            let longest = Duration::from_millis(core.options.batch_hold_ms) + timeout + GRACE;
            let outcome = in_slices(longest, every, go_on, |slice| slot.take(slice));
            return outcome.unwrap_or_else(|| {
                let context = format!("not acknowledged within {timeout:?}");
                Err(Error::new(ErrorKind::Timeout, OP, context))
            });
        }
        let sending = Sending::new(core, outgoing, (target, timeout), bytes, done);
        core.begun(&sending);
        Arc::clone(&sending).begin();
        let left = until.saturating_sub(core.now());
        if let Some(outcome) = in_slices(left, every, go_on, |slice| slot.take(slice)) {
            return outcome;
        }
        sending.finish(Err(sending.timed_out()));
        // Whoever ended the send has put its outcome there, or is about to.
        slot.take(Duration::MAX)
            .unwrap_or_else(|| Err(sending.timed_out()))
    }

    /// Sends and has `done` called.
    pub(super) fn launch(
        &self,
        outgoing: Outgoing,
        options: SendOptions,
        watch: SendWatch,
        done: Done,
    ) -> Result<()> {
        let core = &self.core;
        let most = core.options.max_in_flight;
        if let Err(error) = core.enter(most, outgoing.body.len(), Duration::ZERO) {
            watch.end(Err(&error));
            return Err(error);
        }
        let leaving = Leaving(Arc::clone(core));
        let finished: Done = Box::new(move |outcome| {
            let runtime = Arc::clone(&leaving.0.instance.runtime);
            runtime.call_back(move || {
                let _leaving = leaving;
                done(watch.told(outcome));
            });
        });
        let timeout = self.timeout(&options);
        let how = (core.wrapped(options.target), timeout);
        match core.held.is_some() && !outgoing.batch {
            true => core.hold(outgoing, how, finished),
            false => core.go(outgoing, how, finished),
        }
        Ok(())
    }

    pub(super) fn launch_oneway(&self, outgoing: Outgoing, options: SendOptions) -> Result<()> {
        let (core, bytes) = (&self.core, outgoing.body.len());
        core.enter(core.options.max_in_flight, bytes, Duration::ZERO)?;
        let leaving = Leaving(Arc::clone(core));
        let done: Done = Box::new(move |_| drop(leaving));
        let timeout = self.timeout(&options);
        let how = (core.wrapped(options.target), timeout);
        let sending = Sending::new(core, outgoing, how, bytes, done);
        core.begun(&sending);
        sending.begin_oneway();
        Ok(())
    }
}

fn watched(made: Result<Outgoing>, watch: SendWatch) -> Result<(Outgoing, SendWatch)> {
    match made {
        Ok(outgoing) => Ok((outgoing, watch)),
        Err(error) => {
            watch.end(Err(&error));
            Err(error)
        }
    }
}

impl Core {
    pub(super) fn now(&self) -> Duration {
        self.instance.runtime.now()
    }

    pub(super) fn unique_id(&self) -> String {
        self.instance.runtime.unique_id().as_str().to_owned()
    }

    fn wrapped(&self, target: Target) -> Target {
        match target {
            Target::Queue(queue) => Target::Queue(self.instance.wrap_queue(&queue)),
            other => other,
        }
    }

    fn full(&self) -> Error {
        let most = self.options.max_in_flight_bytes;
        let context = format!("more than {most} bytes would be under way");
        Error::new(ErrorKind::Busy, OP, context)
    }

    /// Counts one send more, unless there are `most`, and takes room for its bytes.
    pub(super) fn enter(&self, most: usize, bytes: usize, patience: Duration) -> Result<()> {
        if !self.pending.enter(most) {
            let context = format!("{most} sends are under way");
            return Err(Error::new(ErrorKind::Busy, OP, context));
        }
        if self
            .room
            .take(bytes, self.options.max_in_flight_bytes, patience)
        {
            return Ok(());
        }
        self.pending.leave();
        Err(self.full())
    }

    /// Sends; `done` is called in time.
    pub(super) fn go(self: &Arc<Self>, outgoing: Outgoing, how: (Target, Duration), done: Done) {
        let bytes = outgoing.body.len();
        self.go_as(outgoing, how, bytes, done);
    }

    fn go_as(
        self: &Arc<Self>,
        outgoing: Outgoing,
        (target, timeout): (Target, Duration),
        bytes: usize,
        done: Done,
    ) {
        let sending = Sending::new(self, outgoing, (target, timeout), bytes, done);
        self.begun(&sending);
        self.end_in_time(&sending, timeout);
        sending.begin();
    }

    /// Sees to it that a send ends in time even while its route is being asked for.
    fn end_in_time(&self, sending: &Arc<Sending>, timeout: Duration) {
        if self.instance.knows(sending.topic()) {
            return;
        }
        let sending = Arc::downgrade(sending);
        self.instance.runtime.work.run_after(timeout, move || {
            if let Some(sending) = sending.upgrade() {
                sending.finish(Err(sending.timed_out()));
            }
        });
    }

    /// Sends a message with others, or alone if it has to.
    fn hold(self: &Arc<Self>, outgoing: Outgoing, how: (Target, Duration), done: Done) {
        let Some(held) = &self.held else {
            return self.go(outgoing, how, done);
        };
        let (target, timeout) = how;
        let key = Key {
            topic: outgoing.topic.clone(),
            target: target.clone(),
            tags: outgoing.tags.clone(),
            waits: outgoing.waits,
            timeout,
        };
        let turn = self.turn.lock();
        let now = self.now();
        let offered = held.lock().offer(key, Held { outgoing, done }, now);
        for batch in offered.send {
            self.send_together(batch);
        }
        if let Some(Held { outgoing, done }) = offered.alone {
            self.go(outgoing, (target, timeout), done);
        }
        drop(turn);
        if let Some(due) = offered.due {
            let core = self.own();
            let wait = due.saturating_sub(now);
            self.instance.runtime.work.run_after(wait, move || {
                if let Some(core) = core.upgrade() {
                    core.send_due();
                }
            });
        }
        // Closed meanwhile, perhaps after what was held was taken.
        if self.check().is_err() {
            self.send_held();
        }
    }

    fn send_due(self: &Arc<Self>) {
        if let Some(held) = &self.held {
            let _turn = self.turn.lock();
            let batches = held.lock().due(self.now());
            batches
                .into_iter()
                .for_each(|batch| self.send_together(batch));
        }
    }

    /// Sends everything that is held.
    pub(super) fn send_held(&self) {
        if let (Some(held), Some(core)) = (&self.held, self.own().upgrade()) {
            let _turn = self.turn.lock();
            let batches = held.lock().take();
            batches
                .into_iter()
                .for_each(|batch| core.send_together(batch));
        }
    }

    fn send_together(self: &Arc<Self>, batch: Together<Done>) {
        let Together {
            key,
            messages,
            body_bytes,
            ..
        } = batch;
        let (mut parts, mut waiting) = (Vec::new(), Vec::new());
        for Held { outgoing, done } in messages {
            waiting.push((outgoing.msg_id.clone(), done));
            parts.push(outgoing);
        }
        let core = Arc::clone(self);
        let done: Done = Box::new(move |outcome| {
            if let Some(held) = &core.held {
                held.lock().over(body_bytes);
            }
            answer_each(outcome, waiting);
        });
        let joined = match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            Some(last) => {
                parts.push(last);
                prepare::join(parts, &self.options)
            }
            None => return,
        };
        match joined {
            Ok(joined) => self.go_as(joined, (key.target, key.timeout), body_bytes, done),
            Err(error) => {
                self.room.give(body_bytes);
                done(Err(error));
            }
        }
    }
}

/// Tells everybody in a batch what became of his message.
fn answer_each(outcome: Result<SendResult>, waiting: Vec<(String, Done)>) {
    let count = waiting.len();
    let outcome = outcome.map(|sent| {
        let ids: Vec<String> = sent.offset_msg_id.split(',').map(str::to_owned).collect();
        (sent, ids)
    });
    for (i, (msg_id, done)) in waiting.into_iter().enumerate() {
        done(match &outcome {
            // Where batches are kept as one message, all have its place.
            Ok((sent, ids)) if ids.len() != count => Ok(SendResult {
                msg_id,
                ..sent.clone()
            }),
            Ok((sent, ids)) => Ok(SendResult {
                msg_id,
                offset_msg_id: ids[i].clone(),
                queue_offset: sent.queue_offset + i as i64,
                ..sent.clone()
            }),
            Err(error) => Err(Error::new(error.kind(), error.op(), error.context())),
        });
    }
}
