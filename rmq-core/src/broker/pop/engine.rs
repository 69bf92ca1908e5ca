//! What the pop thread knows, and what all its parts use: appends to the revive topic, answers that
//! wait until they are safe, offsets.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Request;
use super::log::{self, ReviveRecord};
use super::points::{Input, Points};
use super::polling::Polling;
use super::positions::{Place, Positions};
use crate::base::clock::Now;
use crate::broker::filters::SelectorCache;
use crate::broker::names;
use crate::broker::reply::{Refusal, encode_answer};
use crate::broker::shared::Shared;
use crate::config::BrokerConfig;
use crate::net::ConnectionId;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::message::record::{RecordLimits, StageOptions};
use crate::store::{AppendBatch, Entry, Queue};

/// Records of a revive queue read at a time.
const READ_MAX: usize = 256;

/// An answer that depends on records that are to be appended.
struct Reply {
    request: Request,
    /// Which of the records.
    records: Range<usize>,
    response: Command,
}

/// A record to append, and where its group pops again if that fails.
struct Outgoing {
    record: ReviveRecord,
    back: Option<(Place, i64)>,
}

/// An answer that waits until the log is safe.
struct Parked {
    log_end: i64,
    conn: ConnectionId,
    bytes: Vec<u8>,
}

/// Retries that consumers may not see yet.
pub(super) struct News {
    pub(super) log_end: i64,
    /// The topic that is popped.
    pub(super) topic: String,
    pub(super) group: String,
}

/// The state of the pop thread.
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
    pub(super) config: Arc<BrokerConfig>,
    pub(super) revive_topic: String,
    revive_queues: Vec<Arc<Queue>>,
    pub(super) points: Points,
    pub(super) positions: Positions,
    pub(super) polling: Polling<Request>,
    pub(super) selectors: SelectorCache,
    /// When an ordered group may get more of a queue, ms since the epoch.
    pub(super) unlocks: BTreeSet<(i64, Place)>,
    /// Places whose group has too much of the queue, and the topic that it pops.
    pub(super) throttled: BTreeSet<(Place, String)>,
    pub(super) news: VecDeque<News>,
    pub(super) now: Now,
    /// Answers to send.
    pub(super) sent: Vec<(ConnectionId, Vec<u8>)>,
    records: Vec<Outgoing>,
    replies: Vec<Reply>,
    parked: VecDeque<Parked>,
    published: Vec<(i64, i64)>,
    /// Of each revive queue: the check points in this range are not in the committed offsets.
    unknown: Vec<Range<i64>>,
    stage: StageOptions,
    entries: Vec<Entry>,
    random: u64,
    pops: u64,
}

impl Engine {
    /// Begins where the committed offsets say, and reads what the revive topic has behind them.
    pub(super) fn load(shared: &Arc<Shared>, now: Now) -> Self {
        let config = shared.config();
        let revive_topic = names::revive_topic(&config.cluster_name);
        let stored = |group, queue_id| shared.offsets.query(&revive_topic, group, queue_id);
        let known = shared.store.queues_of(&revive_topic);
        let most = known.iter().map(|queue| queue.id() + 1).max().unwrap_or(0);
        let count = config.revive_queues.max(most);
        let revive_queues: Vec<Arc<Queue>> = (0..count)
            .map(|queue_id| shared.store.queue(&revive_topic, queue_id))
            .collect();
        let start = |queue: &Arc<Queue>| {
            let settled = stored(names::REVIVE_GROUP, queue.id());
            let next = settled.map_or(0, |settled| settled + 1);
            next.max(queue.min_offset())
        };
        let starts: Vec<i64> = revive_queues.iter().map(start).collect();
        let unknown = revive_queues.iter().zip(&starts).map(|(queue, start)| {
            let from = stored(names::POP_POSITION_GROUP, queue.id()).unwrap_or(*start);
            from..queue.next_offset()
        });
        let stage = StageOptions {
            // What was taken once is not refused because a limit was lowered meanwhile.
            limits: RecordLimits::new(usize::MAX),
            ..shared.store.options().stage_options()
        };
        let mut engine = Self {
            points: Points::new(starts.iter().copied()),
            positions: Positions::default(),
            polling: Polling::default(),
            selectors: SelectorCache::default(),
            unlocks: BTreeSet::new(),
            throttled: BTreeSet::new(),
            news: VecDeque::new(),
            now,
            sent: Vec::new(),
            records: Vec::new(),
            replies: Vec::new(),
            parked: VecDeque::new(),
            published: vec![(-1, -1); revive_queues.len()],
            unknown: unknown.collect(),
            stage,
            entries: Vec::with_capacity(READ_MAX),
            random: now.wall_ms.unsigned_abs() | 1,
            pops: 0,
            shared: Arc::clone(shared),
            config,
            revive_topic,
            revive_queues,
        };
        engine.fold();
        let open = engine.points.len();
        tracing::info!(open, "check points of pop are read");
        engine
    }

    /// A number without a meaning.
    pub(super) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// The revive queue of the next pop: each in turn.
    pub(super) fn next_revive_queue(&mut self) -> i32 {
        self.pops += 1;
        let queues = self.config.revive_queues.max(1).unsigned_abs();
        i32::try_from(self.pops % u64::from(queues)).unwrap_or(0)
    }

    /// Whether acknowledgements may go to this revive queue.
    pub(super) fn has_revive_queue(&self, queue_id: i32) -> bool {
        usize::try_from(queue_id).is_ok_and(|queue| queue < self.revive_queues.len())
    }

    pub(super) fn revive_queue(&self, queue_id: i32) -> Option<&Arc<Queue>> {
        self.revive_queues.get(usize::try_from(queue_id).ok()?)
    }

    pub(super) fn stage_options(&self) -> StageOptions {
        self.stage
    }

    /// Adds a record to the next append. When that fails, `back` is where its group pops again.
    pub(super) fn write(&mut self, record: ReviveRecord, back: Option<(Place, i64)>) {
        self.records.push(Outgoing { record, back });
    }

    /// The place of the next record.
    pub(super) fn mark(&self) -> usize {
        self.records.len()
    }

    /// Answers when the records written since `mark` are safe.
    pub(super) fn reply(&mut self, request: Request, mark: usize, response: Command) {
        self.replies.push(Reply {
            request,
            records: mark..self.records.len(),
            response,
        });
    }

    /// Answers now.
    pub(super) fn answer(&mut self, request: &Request, answer: Result<Command, Refusal>) {
        if let Some(bytes) = encode_answer(&request.command, answer.map(Some)) {
            self.sent.push((request.conn, bytes));
        }
    }

    /// Appends what was written, with one take of the lock.
    pub(super) fn flush(&mut self) {
        let records = std::mem::take(&mut self.records);
        let replies = std::mem::take(&mut self.replies);
        let ends = self.append(&records);
        for (outgoing, end) in records.iter().zip(&ends) {
            if let (None, Some((place, offset))) = (end, &outgoing.back) {
                self.positions.back_to(place, *offset);
            }
        }
        for reply in replies {
            let ends = &ends[reply.records];
            if ends.iter().any(Option::is_none) {
                let remark = "the check point or acknowledgement could not be stored";
                let refusal = Refusal::new(ResponseCode::SYSTEM_ERROR, remark);
                self.answer(&reply.request, Err(refusal));
                continue;
            }
            let log_end = ends.iter().flatten().max().copied().unwrap_or(0);
            let conn = reply.request.conn;
            if let Some(bytes) = encode_answer(&reply.request.command, Ok(Some(reply.response))) {
                self.parked.push_back(Parked {
                    log_end,
                    conn,
                    bytes,
                });
            }
        }
    }

    /// The log's end behind each record, `None` for those that are not stored.
    fn append(&self, records: &[Outgoing]) -> Vec<Option<i64>> {
        let mut batch = AppendBatch::new(self.stage);
        let host = self.shared.store_host();
        let mut staged = Vec::with_capacity(records.len());
        for Outgoing { record, .. } in records {
            let queue = self.revive_queue(record.queue_id).cloned();
            let new = record.record(&self.revive_topic, host);
            let pushed = queue.map(|queue| batch.push(&new, queue, record.tags_code()));
            staged.push(matches!(pushed, Some(Ok(()))));
        }
        if batch.is_empty() {
            return vec![None; records.len()];
        }
        self.shared.store.append(&mut batch);
        let mut results = batch.results().iter();
        let mut end = |staged: bool| {
            let result = staged.then(|| results.next()).flatten()?;
            let failed = |error: &_| tracing::warn!(%error, "cannot write to the revive topic");
            result.as_ref().inspect_err(|e| failed(e)).ok()
        };
        let ends = staged.into_iter().map(|staged| Some(end(staged)?.end()));
        ends.collect()
    }

    /// Reads what is new in the revive queues. Returns whether there may be more.
    pub(super) fn fold(&mut self) -> bool {
        let mut more = false;
        for index in 0..self.points.queues() {
            let queue = Arc::clone(&self.revive_queues[index]);
            loop {
                self.points.skip_to(index, queue.min_offset());
                let next = self.points.next(index);
                let count = usize::try_from(queue.max_offset() - next).unwrap_or(0);
                if count == 0 {
                    break;
                }
                self.entries.clear();
                let mut entries = std::mem::take(&mut self.entries);
                let read = queue.entries(next, count.min(READ_MAX), &mut entries);
                if let Err(error) = &read {
                    tracing::error!(%error, "cannot read the revive topic");
                }
                entries.iter().for_each(|entry| self.fold_one(index, entry));
                let is_stuck = entries.is_empty();
                self.entries = entries;
                if is_stuck {
                    more = true;
                    break;
                }
            }
        }
        more
    }

    fn fold_one(&mut self, index: usize, entry: &Entry) {
        let record = self.shared.store.message_at(entry.offset);
        let input = record.map_or(Input::Other, |record| log::read(record.as_ref()));
        if self.unknown[index].contains(&self.points.next(index))
            && let Input::Point { point, .. } = &input
            && let Some(last) = point.offset_at(point.len().saturating_sub(1))
        {
            // The committed offset may be from before this pop.
            let place = Place::new(&point.topic, &point.group, point.queue_id);
            let offsets = &self.shared.offsets;
            let known = self.positions.get(offsets, &place);
            if known.is_none_or(|known| known <= last) {
                self.positions.set(offsets, &place, last + 1);
            }
        }
        self.points.handle(index, input);
    }

    /// Sends answers whose records are safe; gives back whom retries are there for.
    pub(super) fn settle(&mut self) -> Vec<News> {
        let safe = self.shared.store.watermarks().safe();
        while let Some(parked) = self.parked.pop_front_if(|parked| parked.log_end <= safe) {
            self.sent.push((parked.conn, parked.bytes));
        }
        let mut visible = Vec::new();
        while let Some(news) = self.news.pop_front_if(|news| news.log_end <= safe) {
            visible.push(news);
        }
        visible
    }

    /// Whether something waits for more of the log to be safe.
    pub(super) fn awaits_store(&self) -> bool {
        let appended = self.shared.store.watermarks().appended();
        let safe = self.shared.store.watermarks().safe();
        let unread = || {
            let queues = self.revive_queues.iter().enumerate();
            let mut unread = queues.map(|(at, queue)| queue.next_offset() > self.points.next(at));
            safe < appended && unread.any(|unread| unread)
        };
        !self.parked.is_empty() || !self.news.is_empty() || unread()
    }

    /// Commits where groups pop next and how far the revive topic need not be read again, after
    /// what these stand for was appended. The file of offsets waits until that is durable.
    pub(super) fn publish(&mut self) {
        let revived: Vec<(i64, i64)> = self
            .revive_queues
            .iter()
            .enumerate()
            .map(|(index, queue)| (self.points.settled(index), queue.next_offset()))
            .collect();
        if revived == self.published && !self.positions.has_moves() {
            return;
        }
        let log_end = self.shared.store.watermarks().appended();
        // Before the commits: who writes them to the file sees it.
        self.shared.pops.log_end.store(log_end, Ordering::SeqCst);
        let offsets = &self.shared.offsets;
        // In this order: a file written in between may make a start look at a check point twice.
        self.positions.commit(offsets);
        let before = std::mem::replace(&mut self.published, revived);
        let queues = (0..).zip(self.published.iter().zip(&before));
        for (queue_id, ((settled, next), before)) in queues {
            if *next > 0 && (*settled, *next) != *before {
                let topic = &self.revive_topic;
                offsets.commit(topic, names::POP_POSITION_GROUP, queue_id, *next);
                offsets.commit(topic, names::REVIVE_GROUP, queue_id, *settled);
            }
        }
    }

    /// Commits everything, so that the next start goes on from here.
    pub(super) fn finish(&mut self) {
        self.flush();
        self.fold();
        self.settle();
        self.publish();
    }
}
