//! What a slave takes of its master besides the log: topics, groups, offsets and the small files
//! of services that run on masters only.
//!
//! One thread asks the master, every few seconds; each table is written to its file before it is
//! used. A master whose log does not continue this one's is not listened to: it may have lost its
//! disk, and what it says of topics, groups and offsets would take away from the last copy. Filters
//! of consumers (`consumerFilter.json`) are not asked for: RocketMQ has no request for them, and
//! the heartbeats that consumers send to slaves as well bring them.

mod offsets;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use crate::base::queue::Popped;
use crate::base::{Error, ErrorKind, Result};
use crate::broker::metadata::Files;
use crate::broker::names;
use crate::broker::shared::Shared;
use crate::net::Client;
use crate::protocol::body::data_version::DataVersion;
use crate::protocol::body::group::GroupTable;
use crate::protocol::body::kv_table::KvTable;
use crate::protocol::body::offset::{ConsumerOffsetTable, DelayOffsetTable};
use crate::protocol::body::request_mode::RequestModeTable;
use crate::protocol::body::timer::TimerMetrics;
use crate::protocol::body::topic::{TopicAndMappingTable, TopicConfig};
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::store::timer::TimerCheckpoint;

use offsets::OffsetMerge;
use schedule::{Absent, Schedule};

const OP: &str = "ask the master";

/// How often the thread looks whether there is something to do.
const LOOK: Duration = Duration::from_millis(500);

/// Time for a stream to be made, before the slave goes by its log alone.
const PROOF_PATIENCE_MS: u64 = 3_000;

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where a broker's log begins and ends, in its runtime information.
const MIN_OFFSET: &str = "commitLogMinOffset";
const MAX_OFFSET: &str = "commitLogMaxOffset";

/// Topics with queues are looked through every so many rounds, and after each change of topics.
const ROUNDS_BETWEEN_SWEEPS: u32 = 20;

/// The versions of a table: the last one that was taken.
#[derive(Debug, Default)]
struct Taken {
    last: Option<DataVersion>,
    /// One that was refused because it is older than what is here; told once.
    refused: Option<DataVersion>,
}

impl Taken {
    /// Whether a table of version `theirs` replaces one of version `own`: it is another one than
    /// was taken last, and not older.
    fn is_wanted(&mut self, what: &str, own: DataVersion, theirs: DataVersion) -> bool {
        if self.last == Some(theirs) {
            return false;
        }
        if theirs.is_older_than(&own) {
            if self.refused.replace(theirs) != Some(theirs) {
                tracing::warn!(
                    what,
                    ?own,
                    ?theirs,
                    "what the master has is older than what is here, and is not taken"
                );
            }
            return false;
        }
        true
    }

    fn took(&mut self, version: DataVersion) {
        self.last = Some(version);
        self.refused = None;
    }
}

/// The thread's state.
pub(crate) struct SlaveSync {
    shared: Arc<Shared>,
    client: Arc<Client>,
    schedule: Schedule,
    topics: Taken,
    groups: Taken,
    offsets: OffsetMerge,
    absent: Absent,
    /// How far the master has delivered delayed messages, and what this log must have first.
    delays: Option<(i64, Bytes)>,
    /// The same of its timer.
    timer: Option<(i64, TimerCheckpoint)>,
    rounds: u32,
    failing: bool,
    was_alive: bool,
    /// Whether the master's log was known to continue this one's, at the last look.
    was_proven: bool,
    /// When that changed.
    proof_changed_ms: u64,
    /// Messages came of a topic that is not known here, and the master was not asked since.
    unknown_topic: bool,
}

impl std::fmt::Debug for SlaveSync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlaveSync")
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

impl SlaveSync {
    /// The thread of a slave; its bell wakes it, and ends it when closed.
    #[must_use]
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>) -> Self {
        let proof_changed_ms = shared.clock.monotonic_ms();
        Self {
            shared,
            client,
            schedule: Schedule::default(),
            topics: Taken::default(),
            groups: Taken::default(),
            offsets: OffsetMerge::default(),
            absent: Absent::default(),
            delays: None,
            timer: None,
            rounds: 0,
            failing: false,
            was_alive: true,
            was_proven: false,
            proof_changed_ms,
            unknown_topic: false,
        }
    }

    /// Works until the bell is closed.
    pub(crate) fn run(mut self) {
        while self.shared.slave_bell.pop_timeout(LOOK) != Popped::Closed {
            self.step();
        }
    }

    /// Does what is to be done now.
    fn step(&mut self) {
        let alive = self.shared.is_master_alive();
        if alive && !self.was_alive {
            self.shared.master_returned();
        }
        self.was_alive = alive;
        if self.shared.take_unknown_topic() {
            self.unknown_topic = true;
            self.schedule.hurry();
        }
        let began_ms = self.shared.clock.monotonic_ms();
        let proven = self.shared.is_master_proven();
        if proven != self.was_proven {
            self.was_proven = proven;
            self.proof_changed_ms = began_ms;
            self.absent = Absent::default();
            self.schedule.at_once();
        }
        let hears = proven || began_ms < self.proof_changed_ms.saturating_add(PROOF_PATIENCE_MS);
        let own = self.shared.store_host().to_string();
        let master = self.shared.members.master().map(|master| master.address);
        let master = master.filter(|address| alive && *address != own);
        let mut in_step = master.is_some() && hears && !self.failing;
        if let Some(master) = &master
            && self.schedule.is_due(master, began_ms)
        {
            if proven {
                in_step = self.round(master);
                // Known now, or deleted at the master.
                self.unknown_topic &= !in_step;
            } else {
                self.prepare(master);
            }
            let ended_ms = self.shared.clock.monotonic_ms();
            self.schedule.done(master, began_ms, ended_ms);
        }
        if !in_step && std::mem::take(&mut self.unknown_topic) {
            self.find_topics();
        }
    }

    /// Topics that only the log knows, because the master was lost before it could tell of them:
    /// what was acknowledged in them is to be read all the same.
    fn find_topics(&mut self) {
        let (store, topics) = (&self.shared.store, &self.shared.topics);
        let found = store.topics().into_iter().filter(|topic| {
            let is_known = topics.get(topic).is_some() || topics.is_system(topic);
            !is_known && !self.absent.is_missed(topic) && names::can_be_stored(topic)
        });
        let found: Vec<TopicConfig> = found
            .map(|topic| {
                let last = store.queues_of(&topic).last().map_or(0, |queue| queue.id());
                TopicConfig {
                    read_queue_nums: last + 1,
                    write_queue_nums: last + 1,
                    ..TopicConfig::new(&*topic)
                }
            })
            .collect();
        if found.is_empty() {
            return;
        }
        for topic in &found {
            let (topic, queues) = (&topic.topic_name, topic.read_queue_nums);
            tracing::warn!(
                topic,
                queues,
                "only the log knows this topic: it can be read"
            );
        }
        if let Err(error) = topics.add_found(found) {
            tracing::error!(%error, "topics that were found could not be written");
        }
        // Whatever the master says next is taken, also when it is what it said last.
        self.topics = Taken::default();
    }

    /// Asks only what the stream needs to begin.
    fn prepare(&mut self, master: &str) {
        if let Err(error) = self.find_first_offset(master) {
            tracing::debug!(master, %error, "where its log begins is not known");
        }
    }

    /// Asks for everything; returns whether all of it is the master's now.
    fn round(&mut self, master: &str) -> bool {
        let outcome = self.sync(master);
        let in_step = outcome.is_ok();
        match outcome {
            Ok(()) => {
                let now_ms = self.shared.clock.wall_ms();
                let stats = &self.shared.stats;
                stats.metadata_taken_ms.store(now_ms, Ordering::Relaxed);
                if std::mem::take(&mut self.failing) || self.rounds == 0 {
                    tracing::info!(master, "topics, groups and offsets are the master's");
                }
                self.rounds = self.rounds.wrapping_add(1);
            }
            Err(error) if error.kind() == ErrorKind::Closed => {}
            Err(error) if self.failing => tracing::debug!(master, %error, "still not in step"),
            Err(error) => {
                self.failing = true;
                tracing::warn!(master, %error, "not in step with the master, tried again");
            }
        }
        in_step
    }

    /// Takes everything; what fails by itself does not keep the rest from being taken.
    fn sync(&mut self, master: &str) -> Result<()> {
        type Step = fn(&mut SlaveSync, &str) -> Result<()>;
        let steps: [Step; 7] = [
            Self::sync_topics,
            Self::sync_groups,
            Self::sync_offsets,
            Self::sync_delay_offsets,
            Self::sync_request_modes,
            Self::sync_timer_checkpoint,
            Self::sync_timer_metrics,
        ];
        let mut first = Ok(());
        for step in steps {
            match step(self, master) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Remote(_) | ErrorKind::Corrupt) => {
                    first = first.and(Err(error));
                }
                // Nobody answers, or the disk is at its end: the rest would fail likewise.
                Err(error) => return Err(error),
            }
        }
        first
    }

    /// The body of the master's answer; `None` when it does not know the request.
    fn ask(&self, master: &str, code: RequestCode) -> Result<Option<Bytes>> {
        if self.shared.slave_bell.is_closed() {
            return Err(Error::new(ErrorKind::Closed, OP, "the broker stops"));
        }
        let reply = self
            .client
            .call(master, Command::bare_request(code), TIMEOUT)?;
        // It may have been killed and come back without its disk since this round began.
        if code != RequestCode::GET_BROKER_RUNTIME_INFO && !self.shared.is_master_proven() {
            let context = format!("{master}: its log does not continue this one, or not yet");
            return Err(Error::new(ErrorKind::Unreachable, OP, context));
        }
        match reply.response_code() {
            ResponseCode::SUCCESS => Ok(Some(reply.body)),
            ResponseCode::REQUEST_CODE_NOT_SUPPORTED => Ok(None),
            other => {
                let remark = reply.remark.as_deref().unwrap_or("no remark");
                let context = format!("{master} answered {other} to {code}: {remark}");
                Err(Error::new(ErrorKind::Remote(reply.code), OP, context))
            }
        }
    }

    /// Tells an empty log where the master's begins.
    fn find_first_offset(&mut self, master: &str) -> Result<()> {
        let store = &self.shared.store;
        if store.min_offset() != store.watermarks().appended() {
            return Ok(());
        }
        let info = self.runtime_info(master)?;
        if let (Some(offset), Some(streams)) = (number(&info, MIN_OFFSET), self.shared.streams()) {
            streams.set_first_offset(offset);
        }
        Ok(())
    }

    fn runtime_info(&self, master: &str) -> Result<KvTable> {
        match self.ask(master, RequestCode::GET_BROKER_RUNTIME_INFO)? {
            Some(body) => KvTable::decode(&body).map_err(|error| malformed(master, error)),
            None => Ok(KvTable::default()),
        }
    }

    fn sync_topics(&mut self, master: &str) -> Result<()> {
        // What the log held when the master was asked is older than its answer.
        let log_end = self.shared.store.watermarks().appended();
        let Some(body) = self.ask(master, RequestCode::GET_ALL_TOPIC_CONFIG)? else {
            return Ok(());
        };
        let table = TopicAndMappingTable::decode(&body).map_err(|e| malformed(master, e))?;
        if table.topics.is_empty() {
            // Every broker has some: this is no answer to act on.
            return Err(malformed(master, "a broker without any topic"));
        }
        let (own, theirs) = (self.shared.topics.data_version(), table.data_version);
        let mut sweep =
            self.absent.is_waiting() || self.rounds.is_multiple_of(ROUNDS_BETWEEN_SWEEPS);
        if self.topics.is_wanted("topics", own, theirs) {
            let gone = self.shared.topics.replace(theirs, table.topics)?;
            for topic in &gone {
                tracing::info!(topic, "the master has deleted a topic");
                self.shared.offsets.remove_topic(topic);
            }
            self.topics.took(theirs);
            sweep = true;
        }
        // Only a table that was taken says what the master no longer has.
        if sweep && self.topics.last == Some(theirs) {
            self.sweep(log_end)?;
        }
        Ok(())
    }

    /// Deletes the queues of topics that the master does not have any more.
    fn sweep(&mut self, log_end: i64) -> Result<()> {
        let (store, topics) = (&self.shared.store, &self.shared.topics);
        let is_missing = |topic: &str| topics.get(topic).is_none() && !topics.is_system(topic);
        let with_queues = store.topics();
        let missing: BTreeSet<String> = with_queues
            .iter()
            .filter(|topic| is_missing(topic))
            .map(|topic| topic.to_string())
            .collect();
        for topic in self.absent.take(missing) {
            // Messages that came after the question may be of a topic that was made again.
            let queues = store.queues_of(&topic);
            let ends = queues.iter().map(|queue| (queue.id(), queue.next_offset()));
            let ends: BTreeMap<i32, i64> = ends.collect();
            let is_old = queues.iter().all(|queue| {
                let last = queue.entry(queue.next_offset() - 1);
                last.is_none_or(|entry| entry.end() <= log_end)
            });
            if is_old {
                tracing::info!(topic, "the queues of a topic are deleted as at the master");
                store.delete_topic_at(&topic, &ends)?;
            }
        }
        Ok(())
    }

    fn sync_groups(&mut self, master: &str) -> Result<()> {
        let code = RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG;
        let Some(body) = self.ask(master, code)? else {
            return Ok(());
        };
        let table = GroupTable::decode(&body).map_err(|e| malformed(master, e))?;
        let (own, theirs) = (self.shared.groups.data_version(), table.data_version);
        if self.groups.is_wanted("groups", own, theirs) {
            self.shared.groups.replace(table)?;
            self.groups.took(theirs);
        }
        Ok(())
    }

    fn sync_offsets(&mut self, master: &str) -> Result<()> {
        let Some(body) = self.ask(master, RequestCode::GET_ALL_CONSUMER_OFFSET)? else {
            return Ok(());
        };
        let table = ConsumerOffsetTable::decode(&body).map_err(|e| malformed(master, e))?;
        let theirs = table.data_version;
        let offsets = &self.shared.offsets;
        let own = offsets.data_version(self.shared.clock.wall_ms());
        let before = offsets.version();
        let changes = self.offsets.take(&offsets.snapshot(), own, table);
        let mut made = 0;
        for (row, queue_id, offset) in changes {
            let Some((topic, group)) = row.split_once('@') else {
                continue;
            };
            match offset {
                Some(offset) => offsets.commit(topic, group, queue_id, offset),
                None => offsets.remove(topic, group, queue_id),
            }
            made += 1;
        }
        // A commit of a consumer meanwhile makes one change more: it moves the version on.
        let newer = if own.is_older_than(&theirs) {
            theirs
        } else {
            own
        };
        offsets.adopt(newer, before + made);
        Ok(())
    }

    /// What the master has delivered lies in its log: this copy of the log must have it before it
    /// may say so, or the messages were lost with the master.
    fn sync_delay_offsets(&mut self, master: &str) -> Result<()> {
        if self.delays.is_none() {
            self.delays = self.ask_delay_offsets(master)?;
        }
        let log_end = self.shared.store.watermarks().appended();
        if let Some((_, body)) = self.delays.take_if(|(needed, _)| *needed <= log_end) {
            self.files().delay_offset.save(&body)?;
        }
        Ok(())
    }

    /// The master's delay offsets, if they are news, and the log that they need.
    fn ask_delay_offsets(&self, master: &str) -> Result<Option<(i64, Bytes)>> {
        let Some(body) = self.ask(master, RequestCode::GET_ALL_DELAY_OFFSET)? else {
            return Ok(None);
        };
        let table = DelayOffsetTable::decode(&body).map_err(|e| malformed(master, e))?;
        let file = &self.files().delay_offset;
        let own = file.load(DelayOffsetTable::decode).ok().flatten();
        let own = own.unwrap_or_default();
        let theirs = table.data_version;
        // Masters of RocketMQ 4 give no version.
        let is_older = theirs != DataVersion::default() && theirs.is_older_than(&own.data_version);
        if table.offsets == own.offsets || is_older {
            return Ok(None);
        }
        let log_end = number(&self.runtime_info(master)?, MAX_OFFSET);
        Ok(Some((log_end.unwrap_or(0), body)))
    }

    fn sync_request_modes(&mut self, master: &str) -> Result<()> {
        let Some(body) = self.ask(master, RequestCode::GET_ALL_MESSAGE_REQUEST_MODE)? else {
            return Ok(());
        };
        let table = RequestModeTable::decode(&body).map_err(|e| malformed(master, e))?;
        let file = &self.files().request_mode;
        let own = file.load(RequestModeTable::decode).ok().flatten();
        if own.unwrap_or_default() == table {
            return Ok(());
        }
        file.save(&body)
    }

    /// The master's timer is told of likewise: what it has delivered has to be in this log first.
    fn sync_timer_checkpoint(&mut self, master: &str) -> Result<()> {
        if self.timer.is_none() {
            self.timer = self.ask_timer_checkpoint(master)?;
        }
        let log_end = self.shared.store.watermarks().appended();
        if let Some((_, theirs)) = self.timer.take_if(|(needed, _)| *needed <= log_end) {
            self.files().take_timer_checkpoint(&theirs)?;
        }
        Ok(())
    }

    /// The master's timer checkpoint, if it is news, and the log that it needs.
    fn ask_timer_checkpoint(&self, master: &str) -> Result<Option<(i64, TimerCheckpoint)>> {
        let code = RequestCode::GET_TIMER_CHECK_POINT;
        let Some(body) = self.ask_timer(master, code)? else {
            return Ok(None);
        };
        let Some(theirs) = TimerCheckpoint::decode(&body) else {
            return Err(malformed(master, "a timer checkpoint is too short"));
        };
        let own = self.files().load_timer_checkpoint();
        let is_known = (own.read_ms, own.master_queue_offset, own.version)
            == (theirs.read_ms, theirs.master_queue_offset, theirs.version);
        if is_known || theirs.version.is_older_than(&own.version) {
            return Ok(None);
        }
        let log_end = number(&self.runtime_info(master)?, MAX_OFFSET);
        Ok(Some((log_end.unwrap_or(0), theirs)))
    }

    fn sync_timer_metrics(&mut self, master: &str) -> Result<()> {
        let Some(body) = self.ask_timer(master, RequestCode::GET_TIMER_METRICS)? else {
            return Ok(());
        };
        let theirs = TimerMetrics::decode(&body).map_err(|e| malformed(master, e))?;
        let own = self.files().load_timer_metrics();
        if theirs == own || theirs.data_version.is_older_than(&own.data_version) {
            return Ok(());
        }
        self.files().save_timer_metrics(&theirs)
    }

    /// What the master says of its timer; `None` when it has none, which it says with an error.
    fn ask_timer(&self, master: &str, code: RequestCode) -> Result<Option<Bytes>> {
        match self.ask(master, code) {
            Err(error) if matches!(error.kind(), ErrorKind::Remote(_)) => Ok(None),
            answer => answer,
        }
    }

    fn files(&self) -> &Files {
        &self.shared.files
    }
}

fn number(table: &KvTable, key: &str) -> Option<i64> {
    table.table.get(key)?.parse().ok()
}

fn malformed(master: &str, error: impl std::fmt::Display) -> Error {
    let context = format!("the answer of {master}: {error}");
    Error::new(ErrorKind::Corrupt, OP, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(timestamp_ms: i64) -> DataVersion {
        DataVersion {
            timestamp_ms,
            ..DataVersion::default()
        }
    }

    #[test]
    fn a_table_is_taken_once_and_never_an_older_one() {
        let mut taken = Taken::default();
        // The first answer counts even when the versions are equal: the tables may differ.
        assert!(taken.is_wanted("x", version(0), version(0)));
        taken.took(version(0));
        assert!(!taken.is_wanted("x", version(0), version(0)));
        assert!(taken.is_wanted("x", version(0), version(5)));
        taken.took(version(5));
        assert!(!taken.is_wanted("x", version(5), version(4)));
        assert!(!taken.is_wanted("x", version(5), version(5)));
        // Of a store that was ahead of its new master.
        let mut taken = Taken::default();
        assert!(!taken.is_wanted("x", version(9), version(8)));
        assert!(taken.is_wanted("x", version(9), version(10)));
    }
}
