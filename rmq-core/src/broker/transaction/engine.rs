//! Ends transactions: reads half messages, appends what becomes of them, and says whom to tell. It
//! has no thread, no socket and no clock of its own.
//!
//! A message is delivered and its half message listed as over with one append. What a kill or a
//! loss of power leaves of that is a start of it: the message without the list at most, never the
//! list alone. The next start looks for that (`load`).

use std::net::SocketAddr;
use std::sync::Arc;

use super::book::{Book, Ending, Progress, Rules};
use super::check::Check;
use super::ended::Outcome;
use super::message::{self, Half, OverLists, unlimited};
use crate::base::clock::Now;
use crate::broker::names;
use crate::broker::reply::Refusal;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::message::record::StageOptions;
use crate::protocol::request::transaction::{
    EndTransactionRequest, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK,
};
use crate::store::{AppendBatch, AppendError, Appended, LogSlice, Queue, Store};

/// Pause before a list that could not be stored is tried again, ms.
const RETRY_MS: u64 = 1_000;

/// What the configuration says about transactions.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The limits of checks.
    pub(crate) rules: Rules,
    /// Pause between checks, ms.
    pub(crate) check_interval_ms: u64,
    /// Bytes after which a list of half messages that are over is full.
    pub(crate) list_max_bytes: usize,
    /// The broker's name.
    pub(crate) broker_name: String,
    /// The address that clients reach it by.
    pub(crate) store_host: SocketAddr,
}

/// What is to be done outside.
#[derive(Debug)]
pub(crate) enum Output {
    /// The answer to the request of this index.
    Answer(usize, Result<(), Refusal>),
    /// A question to one of a group of producers.
    Ask {
        /// The group.
        group: String,
        /// The question, one-way.
        question: Command,
    },
    /// The queue got a message, which consumers may see once the log is safe up to there.
    Arrived(Arc<Queue>),
    /// So many messages, of so many bytes in all, were stored.
    Stored {
        /// Where.
        queue: Arc<Queue>,
        /// Messages.
        count: u64,
        /// Their bytes in the log.
        bytes: u64,
    },
    /// A half message was given up: the topic for that is needed.
    GivenUp,
    /// How far the two queues need not be read again.
    Progress(Progress),
}

/// Progress that is noted once the log is durable up to an offset.
#[derive(Clone, Copy, Debug)]
struct Unpublished {
    log_end: i64,
    progress: Progress,
}

/// The transactions of a broker.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) store: Arc<Store>,
    pub(super) half_queue: Arc<Queue>,
    pub(super) over_queue: Arc<Queue>,
    pub(super) book: Book,
    pub(super) stage: StageOptions,
    /// Half messages that are over and not listed yet.
    pub(super) owed: Vec<i64>,
    owed_at_ms: u64,
    check: Option<Check>,
    check_at_ms: u64,
    published: Progress,
    unpublished: Option<Unpublished>,
    pub(super) outputs: Vec<Output>,
}

/// Half messages that are over and were not listed with their end.
pub(super) struct Owed {
    offsets: Vec<i64>,
    /// The first of the lists that has any of them.
    first: Option<usize>,
}

/// Which record of a batch a delivered message is, and its queue.
type Delivery = (usize, Arc<Queue>);

/// An end that is in a batch.
struct Staged {
    request: usize,
    ending: Ending,
    /// Its message; `None` for a roll-back.
    message: Option<Delivery>,
    /// Which of the lists has it.
    list: usize,
}

impl Engine {
    /// An engine that knows of no transaction.
    pub(super) fn new(store: Arc<Store>, check_at_ms: u64) -> Self {
        Self {
            half_queue: store.queue(names::HALF_TOPIC, 0),
            over_queue: store.queue(names::OP_HALF_TOPIC, 0),
            book: Book::new(Progress::default()),
            stage: unlimited(store.options().stage_options()),
            store,
            owed: Vec::new(),
            owed_at_ms: 0,
            check: None,
            check_at_ms,
            published: Progress::default(),
            unpublished: None,
            outputs: Vec::new(),
        }
    }

    /// Begins at `progress`, behind which nothing is known yet; `published` is what is noted.
    pub(super) fn start_at(&mut self, progress: Progress, published: Progress) {
        self.book = Book::new(progress);
        self.published = published;
    }

    /// How long there is nothing to do but for requests and news of the store, ms.
    #[must_use]
    pub(crate) fn sleep_ms(&self, now: Now) -> u64 {
        if self.check.is_some() {
            return 0;
        }
        let owed_at_ms = match self.owed.is_empty() {
            true => u64::MAX,
            false => self.owed_at_ms,
        };
        let at_ms = self.check_at_ms.min(owed_at_ms);
        at_ms.saturating_sub(now.monotonic_ms)
    }

    /// Whether anything hangs on how far the log is safe and durable.
    #[must_use]
    pub(crate) fn awaits_store(&self) -> bool {
        self.unpublished.is_some()
    }

    /// Ends transactions as producers ask for. Each request is answered.
    pub(crate) fn end(
        &mut self,
        requests: &[EndTransactionRequest],
        settings: &Settings,
        now: Now,
    ) -> Vec<Output> {
        let records: Vec<Option<LogSlice>> = requests
            .iter()
            .map(|request| self.record_at(request.commit_log_offset))
            .collect();
        let mut lists = OverLists::default();
        let mut batch = self.new_batch();
        let mut staged = Vec::with_capacity(requests.len());
        for (index, (request, record)) in requests.iter().zip(&records).enumerate() {
            match self.stage_end(request, record.as_deref(), settings, now, &mut batch) {
                Ok(Some((ending, message))) => {
                    let mut list = 0;
                    for offset in ending.offsets() {
                        list = lists.add(offset, settings.list_max_bytes);
                    }
                    staged.push(Staged {
                        request: index,
                        ending,
                        message,
                        list,
                    });
                }
                Ok(None) => self.outputs.push(Output::Answer(index, Ok(()))),
                Err(refusal) => self.outputs.push(Output::Answer(index, Err(refusal))),
            }
        }
        let owed = self.take_owed(&mut lists, settings);
        let first_list = self.append(&mut batch, &lists, owed, settings, now);
        for end in &staged {
            let answer = self.settle_end(end, &batch, first_list);
            self.outputs.push(Output::Answer(end.request, answer));
        }
        self.finish()
    }

    /// Does what time and the store's progress ask for, up to a step of a check.
    pub(crate) fn tick(&mut self, settings: &Settings, now: Now) -> Vec<Output> {
        if self.check.is_none() && now.monotonic_ms >= self.check_at_ms {
            self.check = Some(Check {
                at: self.first_open(),
                end: self.half_queue.max_offset(),
            });
        }
        if let Some(check) = self.check {
            self.check = self.check_step(check, settings, now);
            if self.check.is_none() {
                self.check_at_ms = now.monotonic_ms + settings.check_interval_ms.max(1);
            }
        } else if !self.owed.is_empty() && now.monotonic_ms >= self.owed_at_ms {
            let mut lists = OverLists::default();
            let owed = self.take_owed(&mut lists, settings);
            let mut batch = self.new_batch();
            self.append(&mut batch, &lists, owed, settings, now);
        }
        self.finish()
    }

    /// Makes everything durable, so that the next start need not look at it again.
    pub(crate) fn close(&mut self) -> Vec<Output> {
        if let Err(error) = self.store.flush() {
            tracing::warn!(%error, "transactions that ended last are looked at by the next start");
        }
        self.finish()
    }

    /// The first half message that is not over and that the log still has.
    fn first_open(&mut self) -> i64 {
        self.book.lost(0, self.half_queue.min_offset());
        self.book.advance().half
    }

    pub(super) fn new_batch<'a>(&self) -> AppendBatch<'a> {
        let mut batch = AppendBatch::new(self.stage);
        batch.stop_at_failure();
        batch
    }

    /// The record that begins at this offset of the log, whether consumers may see it or not.
    pub(super) fn record_at(&self, offset: i64) -> Option<LogSlice> {
        let size = self.store.log_slice(offset, 4)?;
        let size = i32::from_be_bytes(*size.first_chunk::<4>()?);
        let size = usize::try_from(size).ok()?;
        let record = self.store.log_slice(offset, size)?;
        (record.len() == size).then_some(record)
    }

    /// Checks a request as Apache's broker does and stages what it asks for. `None`: that was done
    /// before.
    fn stage_end<'r>(
        &mut self,
        request: &EndTransactionRequest,
        record: Option<&'r [u8]>,
        settings: &Settings,
        now: Now,
        batch: &mut AppendBatch<'r>,
    ) -> Result<Option<(Ending, Option<Delivery>)>, Refusal> {
        let refuse = |remark: &str| Refusal::new(ResponseCode::SYSTEM_ERROR, remark);
        let half = record
            .and_then(Half::read)
            .filter(|half| half.physical_offset() == request.commit_log_offset)
            .ok_or_else(|| refuse("Find prepared transaction message failed"))?;
        let facts = &half.facts;
        if !request.from_transaction_check && settings.rules.is_late(facts, now.wall_ms) {
            let remark =
                "the producer's time to end the transaction by itself is over; it is asked";
            return Err(Refusal::new(ResponseCode::ILLEGAL_OPERATION, remark));
        }
        if half.producer_group != Some(request.producer_group.as_str()) {
            return Err(refuse("The producer group wrong"));
        }
        if facts.offset != request.tran_state_table_offset {
            return Err(refuse("The transaction state table offset wrong"));
        }
        let outcome = match request.commit_or_rollback {
            TRANSACTION_COMMIT => Outcome::Committed,
            TRANSACTION_ROLLBACK => Outcome::RolledBack,
            _ => return Err(refuse("a transaction ends with a commit or a roll-back")),
        };
        match self.book.current(facts) {
            Ok(_) => {}
            Err(before) if before == outcome => return Ok(None),
            Err(before) => return Err(refuse(&already(before))),
        }
        let message = match outcome {
            Outcome::Committed => Some(self.stage_message(&half, batch)?),
            _ => None,
        };
        let ending = self.book.end(facts, outcome).map_err(|_| refuse(OVER))?;
        Ok(Some((ending, message)))
    }

    /// Stages the message that a commit delivers.
    fn stage_message<'r>(
        &self,
        half: &Half<'r>,
        batch: &mut AppendBatch<'r>,
    ) -> Result<Delivery, Refusal> {
        let Some(destination) = half.destination() else {
            let remark = "the half message does not say where it goes";
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        let (topic, queue_id) = destination;
        let queue = self.store.queue(topic, queue_id);
        let properties = half.delivered_properties();
        let record = half.delivered(destination, &properties);
        let index = batch.len();
        message::check_fits(&record, &self.stage, self.store.max_record_bytes())
            .and_then(|()| {
                batch.push_with_body(&record, half.body(), Arc::clone(&queue), half.tags_code())
            })
            .map_err(|error| refusal_of(&error.into()))?;
        Ok((index, queue))
    }

    /// Adds what is owed to the lists.
    pub(super) fn take_owed(&mut self, lists: &mut OverLists, settings: &Settings) -> Owed {
        let offsets = std::mem::take(&mut self.owed);
        let add = |offset: &i64| lists.add(*offset, settings.list_max_bytes);
        let first = offsets.iter().map(add).min();
        Owed { offsets, first }
    }

    /// Appends the batch and, in the same go, the lists. Returns which record of the batch the
    /// first of the lists is.
    pub(super) fn append<'r>(
        &mut self,
        batch: &mut AppendBatch<'r>,
        lists: &'r OverLists,
        owed: Owed,
        settings: &Settings,
        now: Now,
    ) -> usize {
        let first_list = batch.len();
        let tags_code = message::over_tags_code();
        for (body, _) in lists.iter() {
            let record = message::over_record(body, settings.store_host, now.wall_ms);
            let queue = Arc::clone(&self.over_queue);
            if let Err(error) = batch.push_with_body(&record, body, queue, tags_code) {
                tracing::error!(%error, "a list of half messages cannot be stored");
            }
        }
        if batch.is_empty() {
            return first_list;
        }
        self.store.append(batch);
        for (number, (_, last_half)) in lists.iter().enumerate() {
            match batch.results().get(first_list + number) {
                Some(Ok(appended)) => self.book.listed(appended.queue_offset, last_half),
                // Some of what is owed may be listed by now; twice does no harm.
                _ if owed.first.is_some_and(|first| number >= first) => {
                    self.owed.clone_from(&owed.offsets);
                }
                _ => {}
            }
        }
        self.owed_at_ms = now.monotonic_ms + RETRY_MS;
        first_list
    }

    /// Takes note of what became of a staged end; returns its answer.
    fn settle_end(
        &mut self,
        end: &Staged,
        batch: &AppendBatch<'_>,
        first_list: usize,
    ) -> Result<(), Refusal> {
        let result = |index: usize| match batch.results().get(index) {
            Some(result) => result.clone(),
            None => Err(AppendError::Store(crate::base::ErrorKind::Invalid)),
        };
        let listed = result(first_list + end.list);
        let stored = match &end.message {
            None => listed.as_ref().map(|_| None).map_err(Clone::clone),
            Some((index, queue)) => result(*index).map(|appended| Some((appended, queue))),
        };
        match stored {
            Err(error) => {
                self.book.take_back(&end.ending);
                return Err(refusal_of(&error));
            }
            Ok(None) => {}
            Ok(Some((appended, queue))) => {
                self.stored(&appended, queue);
                if listed.is_err() {
                    self.owed.extend(end.ending.offsets());
                }
            }
        }
        Ok(())
    }

    /// A message for consumers was stored.
    pub(super) fn stored(&mut self, appended: &Appended, queue: &Arc<Queue>) {
        let bytes = appended.len as u64;
        self.outputs.push(Output::Stored {
            queue: Arc::clone(queue),
            count: 1,
            bytes,
        });
        self.outputs.push(Output::Arrived(Arc::clone(queue)));
    }

    /// Hands out everything that is to be done.
    fn finish(&mut self) -> Vec<Output> {
        self.publish();
        std::mem::take(&mut self.outputs)
    }

    /// Progress is noted only when all that it rests on is durable: a start that believes it must
    /// not find less in the log than it says.
    fn publish(&mut self) {
        let (kept, appended) = {
            let marks = self.store.watermarks();
            (marks.safe().min(marks.flushed()), marks.appended())
        };
        if let Some(due) = self.unpublished.take_if(|one| one.log_end <= kept) {
            self.published = due.progress;
            self.outputs.push(Output::Progress(due.progress));
        }
        let progress = self.book.advance();
        if self.unpublished.is_some() || progress == self.published {
            return;
        }
        if appended <= kept {
            self.published = progress;
            self.outputs.push(Output::Progress(progress));
        } else {
            self.unpublished = Some(Unpublished {
                log_end: appended,
                progress,
            });
        }
    }
}

/// Why a transaction cannot end a second time.
const OVER: &str = "the transaction has ended already";

fn already(before: Outcome) -> String {
    match before {
        Outcome::Committed => format!("{OVER}: it was committed"),
        Outcome::RolledBack => format!("{OVER}: it was rolled back"),
        Outcome::Gone => OVER.to_owned(),
    }
}

/// What a producer is told whose end could not be stored.
fn refusal_of(error: &AppendError) -> Refusal {
    let code = match error {
        AppendError::TooLarge | AppendError::Illegal(_) => ResponseCode::MESSAGE_ILLEGAL,
        AppendError::Store(_) => ResponseCode::SERVICE_NOT_AVAILABLE,
    };
    Refusal::new(code, format!("the transaction stays open: {error}"))
}
