//! The thread `rmq-broker-transaction`: gives the engine its requests and its time, and does what
//! it hands out.

use std::sync::Arc;

use super::End;
use super::book::{Progress, Rules};
use super::engine::{Engine, Output, Settings};
use super::load::Stored;
use crate::base::thread;
use crate::broker::control::Task;
use crate::broker::names;
use crate::broker::overload;
use crate::broker::reply::{Refusal, encode_answer, success};
use crate::broker::shared::Shared;
use crate::net::ConnectionId;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::request::transaction::{
    EndTransactionRequest, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK,
};

/// Requests that share one append.
const BATCH_MAX: usize = 256;

/// Pause after a defect showed itself, and of a slave, which has nothing to do, ms.
const PAUSE_MS: u64 = 10_000;

const HOUR_MS: i64 = 3_600_000;

/// The state of the thread.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    /// `None` on a slave, and after a defect until the state was read again.
    engine: Option<Engine>,
    /// Whose turn it is to be asked.
    turn: usize,
}

impl Worker {
    /// The worker of a broker.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            engine: None,
            turn: 0,
        }
    }

    /// Works until it is told to end.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let finish = shared.transactions.inbox.serve(|ends| {
            let step = thread::catch(|| self.step(ends));
            Some(step.unwrap_or_else(|what| {
                tracing::error!(what, "ending transactions panicked");
                // What the log says is true; what is in memory may not be any more.
                self.engine = None;
                PAUSE_MS
            }))
        });
        if finish && let Some(engine) = &mut self.engine {
            let outputs = engine.close();
            self.perform(outputs, &mut []);
        }
    }

    fn settings(&self) -> Settings {
        let config = self.shared.config();
        Settings {
            rules: Rules {
                timeout_ms: config.transaction_timeout_ms,
                check_max: config.transaction_check_max,
                reserved_ms: i64::from(config.store.reserved_hours) * HOUR_MS,
            },
            check_interval_ms: config.transaction_check_interval_ms,
            list_max_bytes: config.transaction_list_bytes,
            broker_name: config.broker_name.clone(),
            store_host: self.shared.store_host(),
        }
    }

    /// Does what there is to do; returns how long there will be nothing more, ms.
    fn step(&mut self, ends: Vec<End>) -> u64 {
        if self.shared.members.is_slave() {
            self.engine = None;
            self.refuse(&ends);
            return PAUSE_MS;
        }
        let settings = self.settings();
        if self.engine.is_none() {
            self.engine = Some(self.load(&settings));
        }
        for batch in self.requests(ends).chunks_mut(BATCH_MAX) {
            self.end(batch, &settings);
        }
        let now = self.shared.clock.now();
        let inbox = &self.shared.transactions.inbox;
        inbox.await_store(true);
        let Some(engine) = &mut self.engine else {
            return PAUSE_MS;
        };
        let outputs = engine.tick(&settings, now);
        let (awaits, sleep_ms) = (engine.awaits_store(), engine.sleep_ms(now));
        if !awaits {
            inbox.await_store(false);
        }
        self.perform(outputs, &mut []);
        sleep_ms
    }

    fn load(&self, settings: &Settings) -> Engine {
        let shared = &self.shared;
        let stored = |topic: &str| shared.offsets.query(topic, names::TRANSACTION_GROUP, 0);
        let stored = Stored {
            half: stored(names::HALF_TOPIC),
            over: stored(names::OP_HALF_TOPIC),
        };
        let store = Arc::clone(&shared.store);
        let interval_ms = settings.check_interval_ms;
        Engine::load(store, stored, interval_ms, self.shared.clock.now())
    }

    /// The requests to be served; those that waited too long are refused.
    fn requests(&self, ends: Vec<End>) -> Vec<Option<(ConnectionId, Command)>> {
        let max_ms = overload::transaction_wait_max_ms(&self.shared.config());
        let now_ms = self.shared.clock.monotonic_ms();
        let queued = ends.len() + self.shared.transactions.inbox.len();
        let mut requests = Vec::with_capacity(ends.len());
        for end in ends {
            match overload::check(max_ms, now_ms.saturating_sub(end.since_ms), queued) {
                Ok(()) => requests.push(Some((end.conn, end.command))),
                Err(refusal) => self.answer(end.conn, &end.command, Err(refusal)),
            }
        }
        requests
    }

    /// A slave ends nothing.
    fn refuse(&self, ends: &[End]) {
        for end in ends {
            let remark = "a slave ends no transaction";
            let refusal = Refusal::new(ResponseCode::SLAVE_NOT_AVAILABLE, remark);
            self.answer(end.conn, &end.command, Err(refusal));
        }
    }

    fn answer(&self, conn: ConnectionId, command: &Command, result: Result<(), Refusal>) {
        let answer = result.map(|()| Some(success(command)));
        if let Some(bytes) = encode_answer(command, answer) {
            self.shared.send(conn, bytes);
        }
    }

    /// Ends transactions with one append.
    fn end(&mut self, batch: &mut [Option<(ConnectionId, Command)>], settings: &Settings) {
        let mut headers = Vec::with_capacity(batch.len());
        let mut asking = Vec::with_capacity(batch.len());
        for (conn, command) in batch.iter_mut().filter_map(Option::take) {
            match command.header::<EndTransactionRequest>() {
                Ok(header) if is_end(&header) => {
                    headers.push(header);
                    asking.push((conn, command));
                }
                // A producer that does not know yet gets no answer, as from Apache's broker.
                Ok(_) => {}
                Err(error) => self.answer(conn, &command, Err(error.into())),
            }
        }
        let now = self.shared.clock.now();
        let Some(engine) = &mut self.engine else {
            return;
        };
        let outputs = engine.end(&headers, settings, now);
        self.perform(outputs, &mut asking);
    }

    fn perform(&mut self, outputs: Vec<Output>, asking: &mut [(ConnectionId, Command)]) {
        for output in outputs {
            match output {
                Output::Answer(index, result) => {
                    if let Some((conn, command)) = asking.get(index) {
                        self.answer(*conn, command, result);
                    }
                }
                Output::Ask { group, question } => self.ask(&group, &question),
                Output::Arrived(queue) => self.shared.arrived(&queue),
                Output::Stored {
                    queue,
                    count,
                    bytes,
                } => {
                    let (stats, topic) = (&self.shared.stats, queue.topic());
                    stats.stored(topic, count, bytes, self.shared.clock.monotonic_ms());
                }
                Output::GivenUp => self.note_given_up(),
                Output::Progress(progress) => self.note_progress(progress),
            }
        }
    }

    fn ask(&mut self, group: &str, question: &Command) {
        self.turn = self.turn.wrapping_add(1);
        let picked = self.shared.producers.lock().pick(group, self.turn);
        let Some(conn) = picked else {
            tracing::warn!(
                group,
                "no producer is there to be asked about its transaction"
            );
            return;
        };
        let mut bytes = Vec::with_capacity(512 + question.body.len());
        question.encode(&mut bytes);
        self.shared.send(conn, bytes);
    }

    fn note_given_up(&self) {
        let topics = &self.shared.topics;
        if topics.get(names::TRANS_CHECK_MAX_TIME_TOPIC).is_none() {
            // A full queue of tasks: the next one that is given up tries again.
            let _ = self.shared.control.try_push(Task::GivenUp);
        }
    }

    fn note_progress(&self, progress: Progress) {
        for (topic, offset) in [
            (names::HALF_TOPIC, progress.half),
            (names::OP_HALF_TOPIC, progress.over),
        ] {
            let offsets = &self.shared.offsets;
            offsets.commit(topic, names::TRANSACTION_GROUP, 0, offset);
        }
    }
}

fn is_end(header: &EndTransactionRequest) -> bool {
    matches!(
        header.commit_or_rollback,
        TRANSACTION_COMMIT | TRANSACTION_ROLLBACK
    )
}
