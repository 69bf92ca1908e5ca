//! What a consumer is told.

use std::path::PathBuf;

use super::allocate::Allocation;
use super::process_queue::FlowLimits;
use crate::base::{Error, ErrorKind, Result};
use crate::client::hooks::{ConsumeHook, Hooks};
use crate::client::names;
use crate::client::options::ClientOptions;
use crate::protocol::body::heartbeat::MessageModel;
use crate::protocol::filter::tag::{SubscriptionData, TYPE_SQL92};

/// Where a group that has no offset begins. A queue whose first message its broker still has in
/// memory is begun there in any case, as with Java clients: what was sent to a new queue before
/// the group knew of it is not passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartFrom {
    /// With what is sent from now on.
    #[default]
    Last,
    /// With the first message there is.
    First,
    /// With what was stored from this time on, ms since the epoch.
    Timestamp(i64),
}

/// What a consumer takes of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub(crate) data: SubscriptionData,
}

impl Subscription {
    /// Messages with one of the tags: `A || B`, or `*` for all. `Invalid`: names no tag, or no
    /// topic.
    pub fn tags(topic: &str, expression: &str) -> Result<Self> {
        names::check_topic(topic)?;
        let data = SubscriptionData::from_tags(topic, Some(expression))?;
        Ok(Self { data })
    }

    /// Messages whose properties fulfil a condition in SQL92. The broker judges the expression;
    /// it must have `enablePropertyFilter`.
    pub fn sql(topic: &str, expression: &str) -> Result<Self> {
        names::check_topic(topic)?;
        let data = SubscriptionData::from_expression(topic, expression, TYPE_SQL92);
        Ok(Self { data })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.data.topic
    }
}

/// How a consumer takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// How the cluster is reached.
    pub client: ClientOptions,
    /// The consumer group.
    pub group: String,
    /// Whether each member gets every message (`Broadcasting`) or a share (`Clustering`).
    pub message_model: MessageModel,
    /// Where a group that has no offset begins.
    pub start_from: StartFrom,
    /// How queues are divided among the members.
    pub allocation: Allocation,
    /// Most threads that messages are consumed on.
    pub consume_threads: usize,
    /// Most messages given to the listener at a time.
    pub consume_batch_max: usize,
    /// Messages asked for at a time.
    pub pull_batch_max: i32,
    /// How long a broker may hold a pull while there is nothing to give, ms.
    pub pull_hold_ms: u64,
    /// Messages of a queue held at a time.
    pub max_messages_per_queue: usize,
    /// Body bytes of a queue held at a time.
    pub max_bytes_per_queue: usize,
    /// Messages of all its queues held at a time, in equal parts, instead of
    /// `max_messages_per_queue`.
    pub max_messages: Option<usize>,
    /// Body bytes of all its queues held at a time, in equal parts, instead of
    /// `max_bytes_per_queue`.
    pub max_bytes: Option<usize>,
    /// How long a queue rests after a pull that brought something, ms.
    pub pull_interval_ms: u64,
    /// Most offsets between the first and the last message of a queue that are held.
    pub max_span_per_queue: i64,
    /// After how many failures a message goes to the dead letters; `None` is 16, and for ever
    /// where messages are consumed in order.
    pub max_reconsume_times: Option<i32>,
    /// A message that somebody works on for longer than this, ms, is sent back, so that it does not
    /// hold up the offset of its queue; what the listener answers then is without effect, and a
    /// handle cannot be answered for any more. What waits to be polled is not counted. 0: never.
    /// In order, and of a broadcast, there is no limit; `pop_invisible_ms` is that of what is
    /// popped.
    pub consume_timeout_ms: u64,
    /// How long a queue that is consumed in order rests after a failure, ms.
    pub suspend_queue_ms: u64,
    /// How often offsets are committed, ms.
    pub commit_interval_ms: u64,
    /// Whether offsets are committed without the program's doing; a push consumer always does.
    pub auto_commit: bool,
    /// How often queues are divided anew without a reason, ms.
    pub rebalance_interval_ms: u64,
    /// Folder for the offsets of a broadcast, which are this member's alone; `None` keeps them in
    /// memory.
    pub offset_dir: Option<PathBuf>,
    /// Most bytes that a compressed body may inflate to.
    pub max_message_bytes: usize,
    /// Whether brokers divide the queues, and say whether they are pulled from or popped (see
    /// `Admin` and `mqadmin setConsumeMode`). By `Average` or `Circle` only, and only where a
    /// listener gets messages of a share in any order; others divide among themselves and pull.
    pub broker_rebalance: bool,
    /// How long a popped message is this member's, ms from 5,000 to 300,000. What is not consumed
    /// by then comes again.
    pub pop_invisible_ms: u64,
    /// Most messages of one pop, from 1 to 32.
    pub pop_batch_max: i32,
    /// Nothing is popped while more messages of a queue than this are not consumed.
    pub max_popped_per_queue: usize,
    /// How long it is until a popped message that failed comes again, ms: the first time, the
    /// second, and so on; the last one is for all later ones.
    pub pop_retry_delays_ms: Vec<u64>,
    /// What runs around every consumption of a push consumer.
    pub hooks: Hooks<dyn ConsumeHook>,
}

/// As Java clients have them, in seconds.
const POP_RETRY_DELAYS: [u64; 16] = [
    10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200,
];

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            client: ClientOptions::default(),
            group: String::new(),
            message_model: MessageModel::Clustering,
            start_from: StartFrom::Last,
            allocation: Allocation::Average,
            consume_threads: 20,
            consume_batch_max: 1,
            pull_batch_max: 32,
            pull_hold_ms: 15_000,
            max_messages_per_queue: 1_000,
            max_bytes_per_queue: 100 << 20,
            max_messages: None,
            max_bytes: None,
            pull_interval_ms: 0,
            max_span_per_queue: 2_000,
            max_reconsume_times: None,
            consume_timeout_ms: 15 * 60_000,
            suspend_queue_ms: 1_000,
            commit_interval_ms: 5_000,
            auto_commit: true,
            rebalance_interval_ms: 20_000,
            offset_dir: None,
            max_message_bytes: 64 << 20,
            broker_rebalance: false,
            pop_invisible_ms: 60_000,
            pop_batch_max: 32,
            max_popped_per_queue: 96,
            pop_retry_delays_ms: POP_RETRY_DELAYS.map(|seconds| seconds * 1_000).to_vec(),
            hooks: Hooks::default(),
        }
    }
}

impl ConsumerOptions {
    /// The defaults, for this group and these nameservers.
    #[must_use]
    pub fn new(group: impl Into<String>, nameservers: impl Into<String>) -> Self {
        Self {
            client: ClientOptions::new(nameservers),
            group: group.into(),
            ..Self::default()
        }
    }

    pub(crate) fn is_broadcast(&self) -> bool {
        self.message_model == MessageModel::Broadcasting
    }

    /// The limits of each of so many queues.
    pub(crate) fn flow_limits(&self, in_order: bool, queue_count: usize) -> FlowLimits {
        let part = |all: Option<usize>, each| all.map_or(each, |all| all / queue_count.max(1));
        FlowLimits {
            messages: part(self.max_messages, self.max_messages_per_queue).max(1),
            bytes: part(self.max_bytes, self.max_bytes_per_queue).max(1),
            // One after the other, no message can hold up a later one.
            span: if in_order {
                i64::MAX
            } else {
                self.max_span_per_queue.max(1)
            },
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        names::check_group(&self.group)?;
        self.allocation.check()?;
        let wrong = if self.consume_threads == 0 {
            "consume_threads is 0"
        } else if self.consume_batch_max == 0 {
            "consume_batch_max is 0"
        } else if !(1..=1024).contains(&self.pull_batch_max) {
            "pull_batch_max is not from 1 to 1024"
        } else if !(5_000..=300_000).contains(&self.pop_invisible_ms) {
            "pop_invisible_ms is not from 5000 to 300000"
        } else if !(1..=32).contains(&self.pop_batch_max) {
            "pop_batch_max is not from 1 to 32"
        } else if self.max_popped_per_queue == 0 {
            "max_popped_per_queue is 0"
        } else if self.pop_retry_delays_ms.is_empty() {
            "pop_retry_delays_ms is empty"
        } else if self.broker_rebalance
            && !matches!(self.allocation, Allocation::Average | Allocation::Circle)
        {
            "brokers divide queues by average or circle only"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Invalid, "consumer options", wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_all_queues_are_divided_among_them() {
        let mut options = ConsumerOptions::new("g", "n:1");
        let limits = |options: &ConsumerOptions, count| {
            let limits = options.flow_limits(false, count);
            (limits.messages, limits.bytes, limits.span)
        };
        assert_eq!(limits(&options, 4), (1_000, 100 << 20, 2_000));
        options.max_messages = Some(10);
        options.max_bytes = Some(3);
        assert_eq!(limits(&options, 0), (10, 3, 2_000));
        assert_eq!(limits(&options, 4), (2, 1, 2_000));
        assert_eq!(options.flow_limits(true, 1).span, i64::MAX);
    }
}
