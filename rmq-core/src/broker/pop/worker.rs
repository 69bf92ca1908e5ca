//! The thread `rmq-broker-pop`: gives the engine its requests and its time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Request;
use super::engine::Engine;
use crate::base::clock::Now;
use crate::base::thread;
use crate::broker::reply::{Refusal, encode_answer};
use crate::broker::shared::Shared;
use crate::protocol::code::{RequestCode, ResponseCode};

/// Requests that share one append.
const BATCH_MAX: usize = 64;

/// Pause after a defect showed itself, of a slave, and the longest of a master, ms.
const PAUSE_MS: u64 = 10_000;

/// How soon what could not be read is tried again, ms.
const STUCK_MS: u64 = 100;

/// The state of the thread.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// `None` on a slave, and after a defect until the state was read again.
    engine: Option<Engine>,
}

impl Worker {
    /// The worker of a broker.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            engine: None,
        }
    }

    /// Works until it is told to end.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let finish = shared.pops.inbox.serve(|requests| {
            let step = thread::catch(|| self.step(requests));
            Some(step.unwrap_or_else(|what| {
                tracing::error!(what, "the pop thread panicked");
                // What the log says is true; what is in memory may not be any more.
                self.engine = None;
                PAUSE_MS
            }))
        });
        if finish && let Some(engine) = &mut self.engine {
            engine.finish();
        }
    }

    /// Does what there is to do; returns how long there will be nothing more, ms.
    fn step(&mut self, mut requests: Vec<Request>) -> u64 {
        let now = self.shared.clock.now();
        if self.shared.members.is_slave() {
            self.engine = None;
            self.refuse(&requests);
            return PAUSE_MS;
        }
        let shared = &self.shared;
        let engine = self.engine.get_or_insert_with(|| Engine::load(shared, now));
        loop {
            let batch = requests.drain(..requests.len().min(BATCH_MAX)).collect();
            let sleep_ms = engine.step(batch, now);
            for (conn, bytes) in engine.sent.drain(..) {
                shared.send(conn, bytes);
            }
            if requests.is_empty() {
                return sleep_ms;
            }
        }
    }

    /// A slave pops nothing: what is invisible is known to its master only.
    fn refuse(&self, requests: &[Request]) {
        for request in requests {
            let remark = "a slave serves no pop; ask its master";
            let refusal = Refusal::new(ResponseCode::SLAVE_NOT_AVAILABLE, remark);
            if let Some(bytes) = encode_answer(&request.command, Err(refusal)) {
                self.shared.send(request.conn, bytes);
            }
        }
    }
}

impl Engine {
    /// Takes some requests and what other threads left; returns how long there will be nothing more
    /// to do, ms.
    pub(super) fn step(&mut self, requests: Vec<Request>, now: Now) -> u64 {
        self.now = now;
        self.refresh();
        let notes = self.shared.pops.take_notes();
        for conn in notes.closed {
            self.polling.close(conn);
        }
        for request in requests {
            self.handle(request);
        }
        self.flush();
        for queue in notes.arrived {
            self.arrived(&queue);
        }
        self.unlock();
        self.expire();
        self.flush();
        let pops = &Arc::clone(&self.shared).pops;
        pops.inbox.await_store(true);
        let is_stuck = self.fold();
        let has_more = self.revive();
        for news in self.settle() {
            self.wake_all(&news.topic, None, Some(&news.group));
        }
        self.unthrottle();
        self.flush();
        self.fold();
        self.settle();
        self.publish();
        if !self.awaits_store() {
            pops.inbox.await_store(false);
        }
        let waits = self.polling.next_deadline_ms().is_some();
        pops.holds.store(waits, Ordering::Release);
        match (has_more, is_stuck) {
            (true, _) => 0,
            (_, true) => STUCK_MS,
            _ => self.sleep_ms(),
        }
    }

    fn refresh(&mut self) {
        let config = self.shared.config();
        if !Arc::ptr_eq(&config, &self.config) {
            self.config = config;
            self.selectors.clear();
        }
    }

    fn handle(&mut self, request: Request) {
        match request.command.request_code() {
            RequestCode::POP_MESSAGE => self.pop(request),
            RequestCode::ACK_MESSAGE => self.ack(request),
            RequestCode::BATCH_ACK_MESSAGE => self.batch_ack(request),
            RequestCode::CHANGE_MESSAGE_INVISIBLETIME => self.change_invisible_time(request),
            RequestCode::NOTIFICATION => self.notification(request),
            RequestCode::PEEK_MESSAGE => self.peek(&request),
            _ => self.polling_info(&request),
        }
    }

    fn sleep_ms(&self) -> u64 {
        let until = |wall_ms: i64| u64::try_from(wall_ms - self.now.wall_ms).unwrap_or(0);
        let due = self.points.next_due_ms().map(until);
        let unlock = self.unlocks.first().map(|(wall_ms, _)| until(*wall_ms));
        let deadline = self.polling.next_deadline_ms();
        let deadline = deadline.map(|ms| ms.saturating_sub(self.now.monotonic_ms));
        let next = [due, unlock, deadline].into_iter().flatten().min();
        next.unwrap_or(PAUSE_MS).clamp(1, PAUSE_MS)
    }
}
