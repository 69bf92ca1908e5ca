//! Administration: topics, groups, clusters, offsets, messages.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::instance::Instance;
use super::names;
use super::options::ClientOptions;
use crate::base::{Error, ErrorKind, Result};
use crate::protocol::body::cluster::ClusterInfo;
use crate::protocol::body::consume_stats::ConsumeStats;
use crate::protocol::body::group::SubscriptionGroupConfig;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::body::reset_offset::ResetOffset;
use crate::protocol::body::route::TopicRouteData;
use crate::protocol::body::topic::TopicConfig;
use crate::protocol::body::topic_list::TopicList;
use crate::protocol::body::topic_stats::TopicStatsTable;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::id::OffsetMsgId;
use crate::protocol::message::record::CheckLevel;
use crate::protocol::message::user::{ReceivedMessage, ReceivedMessages};
use crate::protocol::request::EncodeHeader;
use crate::protocol::request::group::{DeleteSubscriptionGroupRequest, GetConsumeStatsRequest};
use crate::protocol::request::namesrv::GetRouteInfoRequest;
use crate::protocol::request::offset::{
    Boundary, GetMaxOffsetRequest, GetMinOffsetRequest, OffsetResponse, QueryConsumerOffsetRequest,
    SearchOffsetRequest, UpdateConsumerOffsetRequest,
};
use crate::protocol::request::push::ResetOffsetRequest;
use crate::protocol::request::query::{QueryMessageRequest, UNIQUE_KEY_QUERY, ViewMessageRequest};
use crate::protocol::request::topic::{
    CreateTopicRequest, DeleteTopicRequest, GetTopicStatsInfoRequest,
};

const OP: &str = "admin";
const MASTER: i64 = 0;
/// Most bytes that a body may inflate to.
const INFLATED_MAX_BYTES: usize = 64 << 20;

/// Looks at a cluster and changes it. Every call asks anew and blocks for at most a few times
/// `request_timeout_ms`. Usable from any thread.
///
/// Errors: `Invalid` for names that no broker would take; `NotFound` for what is not there;
/// `Unreachable`, `Timeout`; `Remote` with the code of a server that refused.
pub struct Admin {
    instance: Arc<Instance>,
}

impl Admin {
    /// Starts one. Nothing is asked of the network yet. `Invalid`: an option is not usable.
    pub fn start(options: ClientOptions) -> Result<Self> {
        let instance = Arc::new(Instance::new(options, None)?);
        Ok(Self { instance })
    }

    /// The name that brokers know a topic or group by.
    pub(crate) fn outer(&self, name: &str) -> String {
        self.instance.namespace.wrap(name).into_owned()
    }

    /// Gives queues the names that the program knows, and puts them in order.
    fn make_inner<T>(&self, offsets: &mut [(MessageQueue, T)]) {
        for (queue, _) in offsets.iter_mut() {
            *queue = self.instance.unwrap_queue(queue);
        }
        offsets.sort_by(|(a, _), (b, _)| a.cmp(b));
    }

    fn messages(&self, answer: &Command) -> Result<Vec<ReceivedMessage>> {
        let body = answer.body.clone();
        let found = ReceivedMessages::new(body, CheckLevel::Bounds, INFLATED_MAX_BYTES);
        let mut messages = found.collect::<std::result::Result<Vec<_>, _>>()?;
        for received in &mut messages {
            self.instance.unwrap_topic(&mut received.message);
        }
        Ok(messages)
    }

    /// The nameservers, each by its address.
    pub(crate) fn nameservers(&self) -> &[String] {
        &self.instance.nameservers
    }

    /// Asks the nameservers, one after the other until one answers.
    pub(crate) fn ask_nameserver(
        &self,
        code: RequestCode,
        header: &impl EncodeHeader,
    ) -> Result<Command> {
        let servers = &self.instance.nameservers;
        let first = self.instance.nameserver.load(Ordering::Relaxed);
        let mut outcome = Err(Error::new(
            ErrorKind::NotFound,
            OP,
            "there is no nameserver",
        ));
        for turn in 0..servers.len() {
            let server = &servers[(first + turn) % servers.len()];
            outcome = self.ask(server, Command::request(code, header));
            if !matches!(&outcome, Err(error) if error.kind().retriable()) {
                break;
            }
        }
        outcome
    }

    /// Asks one server.
    pub(crate) fn ask(&self, address: &str, request: Command) -> Result<Command> {
        let code = request.request_code();
        let answer = self.instance.call(address, request)?;
        let kind = match answer.response_code() {
            ResponseCode::SUCCESS => return Ok(answer),
            ResponseCode::TOPIC_NOT_EXIST
            | ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST
            | ResponseCode::QUERY_NOT_FOUND => ErrorKind::NotFound,
            code => ErrorKind::Remote(code.value()),
        };
        let remark = answer.remark.as_deref().unwrap_or("no remark");
        let context = format!(
            "{address} answered {code} with {}: {remark}",
            answer.response_code()
        );
        Err(Error::new(kind, OP, context))
    }

    /// The brokers and clusters that are registered.
    pub fn cluster(&self) -> Result<ClusterInfo> {
        let code = RequestCode::GET_BROKER_CLUSTER_INFO;
        let answer = self.ask_nameserver(code, &crate::protocol::request::NoHeader)?;
        ClusterInfo::decode(&answer.body).map_err(unreadable)
    }

    /// Where a topic is.
    pub fn route(&self, topic: &str) -> Result<TopicRouteData> {
        let header = GetRouteInfoRequest {
            topic: self.outer(topic),
            accept_standard_json_only: Some(true),
        };
        let answer = self.ask_nameserver(RequestCode::GET_ROUTEINFO_BY_TOPIC, &header)?;
        TopicRouteData::decode(&answer.body).map_err(unreadable)
    }

    /// The names of all topics; with a namespace, of those in it.
    pub fn topics(&self) -> Result<BTreeSet<String>> {
        let code = RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER;
        let answer = self.ask_nameserver(code, &crate::protocol::request::NoHeader)?;
        let topics = TopicList::decode(&answer.body).map_err(unreadable)?.topics;
        let namespace = &self.instance.namespace;
        let own = topics.iter().filter(|topic| namespace.has(topic));
        Ok(own
            .map(|topic| namespace.unwrap(topic).into_owned())
            .collect())
    }

    /// The addresses of all masters.
    pub(crate) fn masters(&self) -> Result<Vec<String>> {
        let brokers = self.cluster()?.brokers.into_values();
        let masters = brokers.filter_map(|mut broker| broker.broker_addrs.remove(&MASTER));
        Ok(masters.collect())
    }

    /// The addresses of the masters that have a topic.
    pub(crate) fn masters_of(&self, topic: &str) -> Result<Vec<String>> {
        let brokers = self.route(topic)?.brokers.into_iter();
        let masters = brokers.filter_map(|mut broker| broker.broker_addrs.remove(&MASTER));
        Ok(masters.collect())
    }

    /// The address of the master of a queue, and the queue as brokers know it.
    fn master_of(&self, queue: &MessageQueue) -> Result<(String, MessageQueue)> {
        let route = self.route(&queue.topic)?;
        let found = route.brokers.into_iter().find_map(|mut broker| {
            (broker.broker_name == queue.broker_name)
                .then(|| broker.broker_addrs.remove(&MASTER))
                .flatten()
        });
        let address = found.ok_or_else(|| {
            let (topic, broker) = (&queue.topic, &queue.broker_name);
            let context = format!("{topic} has no queue on a master called {broker}");
            Error::new(ErrorKind::NotFound, OP, context)
        })?;
        Ok((address, self.instance.wrap_queue(queue)))
    }

    /// Creates or changes a topic on every master. On an error some may have it.
    pub fn create_topic(&self, topic: &TopicConfig) -> Result<()> {
        let attributes = topic.attributes.iter();
        let attributes: Vec<String> = attributes.map(|(k, v)| format!("+{k}={v}")).collect();
        self.create_topic_at(&self.masters()?, topic, &attributes)
    }

    /// The same on these brokers, with changes of attributes: `+name=value`, `-name`.
    pub(crate) fn create_topic_at(
        &self,
        brokers: &[String],
        topic: &TopicConfig,
        attributes: &[String],
    ) -> Result<()> {
        let name = self.outer(&topic.topic_name);
        names::check_topic(&name)?;
        let header = CreateTopicRequest {
            topic: name,
            default_topic: names::AUTO_CREATE_TOPIC.to_owned(),
            read_queue_nums: topic.read_queue_nums,
            write_queue_nums: topic.write_queue_nums,
            perm: topic.perm,
            topic_filter_type: topic.topic_filter_type.to_string(),
            topic_sys_flag: Some(topic.topic_sys_flag),
            order: topic.order,
            attributes: (!attributes.is_empty()).then(|| attributes.join(",")),
            force: false,
        };
        for broker in brokers {
            let code = RequestCode::UPDATE_AND_CREATE_TOPIC;
            self.ask(broker, Command::request(code, &header))?;
        }
        Ok(())
    }

    /// Deletes a topic with its messages, on every master and in every nameserver.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        self.delete_topic_at(&self.masters()?, topic)
    }

    /// The same on these brokers.
    pub(crate) fn delete_topic_at(&self, brokers: &[String], topic: &str) -> Result<()> {
        let topic = self.outer(topic);
        names::check_topic(&topic)?;
        let header = DeleteTopicRequest { topic };
        for broker in brokers {
            let code = RequestCode::DELETE_TOPIC_IN_BROKER;
            self.ask(broker, Command::request(code, &header))?;
        }
        for nameserver in &self.instance.nameservers {
            let code = RequestCode::DELETE_TOPIC_IN_NAMESRV;
            self.ask(nameserver, Command::request(code, &header))?;
        }
        Ok(())
    }

    /// Creates or changes a consumer group on every master.
    pub fn create_group(&self, group: &SubscriptionGroupConfig) -> Result<()> {
        self.create_group_at(&self.masters()?, group)
    }

    /// The same on these brokers.
    pub(crate) fn create_group_at(
        &self,
        brokers: &[String],
        group: &SubscriptionGroupConfig,
    ) -> Result<()> {
        let group = SubscriptionGroupConfig {
            group_name: self.outer(&group.group_name),
            ..group.clone()
        };
        names::check_group(&group.group_name)?;
        for broker in brokers {
            let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
            let request = Command::bare_request(code).with_body(group.encode());
            self.ask(broker, request)?;
        }
        Ok(())
    }

    /// Deletes a consumer group with its offsets, on every master.
    pub fn delete_group(&self, group: &str) -> Result<()> {
        self.delete_group_at(&self.masters()?, group, true)
    }

    /// The same on these brokers, with its offsets or without.
    pub(crate) fn delete_group_at(
        &self,
        brokers: &[String],
        group: &str,
        clean_offset: bool,
    ) -> Result<()> {
        let group = self.outer(group);
        names::check_group(&group)?;
        let header = DeleteSubscriptionGroupRequest {
            group,
            clean_offset,
        };
        for broker in brokers {
            let code = RequestCode::DELETE_SUBSCRIPTIONGROUP;
            self.ask(broker, Command::request(code, &header))?;
        }
        Ok(())
    }

    /// The first offset that a queue still has.
    pub fn min_offset(&self, queue: &MessageQueue) -> Result<i64> {
        let (master, queue) = self.master_of(queue)?;
        let header = GetMinOffsetRequest {
            topic: queue.topic,
            queue_id: queue.queue_id,
        };
        self.ask_offset(&master, RequestCode::GET_MIN_OFFSET, &header)
    }

    /// The offset that the next message of a queue will have.
    pub fn max_offset(&self, queue: &MessageQueue) -> Result<i64> {
        let (master, queue) = self.master_of(queue)?;
        let header = GetMaxOffsetRequest {
            topic: queue.topic,
            queue_id: queue.queue_id,
            committed: true,
        };
        self.ask_offset(&master, RequestCode::GET_MAX_OFFSET, &header)
    }

    /// The offset of the first message of a queue that was stored at a time or later, ms since the
    /// epoch; of a time after the last message the end of the queue.
    pub fn offset_at(&self, queue: &MessageQueue, timestamp_ms: i64) -> Result<i64> {
        let (master, queue) = self.master_of(queue)?;
        let header = SearchOffsetRequest {
            topic: queue.topic,
            queue_id: queue.queue_id,
            timestamp_ms,
            boundary: Boundary::Lower,
        };
        self.ask_offset(&master, RequestCode::SEARCH_OFFSET_BY_TIMESTAMP, &header)
    }

    fn ask_offset(
        &self,
        master: &str,
        code: RequestCode,
        header: &impl EncodeHeader,
    ) -> Result<i64> {
        let answer = self.ask(master, Command::request(code, header))?;
        let found: OffsetResponse = answer.header().map_err(unreadable)?;
        Ok(found.offset)
    }

    /// The offset that a group committed in a queue; `None` when it has none.
    pub fn committed_offset(&self, group: &str, queue: &MessageQueue) -> Result<Option<i64>> {
        let (master, queue) = self.master_of(queue)?;
        let header = QueryConsumerOffsetRequest {
            consumer_group: self.outer(group),
            topic: queue.topic,
            queue_id: queue.queue_id,
            set_zero_if_not_found: Some(false),
        };
        match self.ask_offset(&master, RequestCode::QUERY_CONSUMER_OFFSET, &header) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            offset => offset.map(Some),
        }
    }

    /// Commits an offset for a group, whose consumers go on from there when they start.
    pub fn commit_offset(&self, group: &str, queue: &MessageQueue, offset: i64) -> Result<()> {
        let group = self.outer(group);
        names::check_group(&group)?;
        let (master, queue) = self.master_of(queue)?;
        let header = UpdateConsumerOffsetRequest {
            consumer_group: group,
            topic: queue.topic,
            queue_id: Some(queue.queue_id),
            commit_offset: Some(offset),
        };
        let code = RequestCode::UPDATE_CONSUMER_OFFSET;
        self.ask(&master, Command::request(code, &header)).map(drop)
    }

    /// First and last offsets of every queue of a topic.
    pub fn topic_offsets(&self, topic: &str) -> Result<TopicStatsTable> {
        let header = GetTopicStatsInfoRequest {
            topic: self.outer(topic),
        };
        let mut all = TopicStatsTable::default();
        for master in self.masters_of(topic)? {
            let request = Command::request(RequestCode::GET_TOPIC_STATS_INFO, &header);
            let answer = self.ask(&master, request)?;
            let part = TopicStatsTable::decode(&answer.body).map_err(unreadable)?;
            all.topic_put_tps += part.topic_put_tps;
            all.offsets.extend(part.offsets);
        }
        self.make_inner(&mut all.offsets);
        Ok(all)
    }

    /// How far a group has come with a topic.
    pub fn group_offsets(&self, group: &str, topic: &str) -> Result<ConsumeStats> {
        let header = GetConsumeStatsRequest {
            consumer_group: self.outer(group),
            topic: Some(self.outer(topic)),
            topic_list: None,
        };
        let mut all = ConsumeStats::default();
        for master in self.masters_of(topic)? {
            let request = Command::request(RequestCode::GET_CONSUME_STATS, &header);
            let answer = self.ask(&master, request)?;
            let part = ConsumeStats::decode(&answer.body).map_err(unreadable)?;
            all.consume_tps += part.consume_tps;
            all.offsets.extend(part.offsets);
        }
        self.make_inner(&mut all.offsets);
        Ok(all)
    }

    /// Has the consumers of a group, which must be connected, go on with what was stored at a time
    /// or later, ms since the epoch; -1 is the end. Answers the new offsets.
    pub fn reset_offsets(
        &self,
        group: &str,
        topic: &str,
        timestamp_ms: i64,
    ) -> Result<Vec<(MessageQueue, i64)>> {
        let header = ResetOffsetRequest {
            topic: self.outer(topic),
            group: self.outer(group),
            queue_id: -1,
            offset: None,
            timestamp_ms,
            is_force: true,
        };
        let mut offsets = Vec::new();
        for master in self.masters_of(topic)? {
            let request = Command::request(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET, &header);
            let answer = self.ask(&master, request)?;
            offsets.extend(
                ResetOffset::decode(&answer.body)
                    .map_err(unreadable)?
                    .offsets,
            );
        }
        self.make_inner(&mut offsets);
        Ok(offsets)
    }

    /// The message that is stored at a place: `SendResult::offset_msg_id`. It is asked of the
    /// broker that the id names.
    pub fn message_at(&self, offset_msg_id: &str) -> Result<ReceivedMessage> {
        let id = OffsetMsgId::parse(offset_msg_id)
            .map_err(|error| Error::new(ErrorKind::Invalid, OP, error.to_string()))?;
        let header = ViewMessageRequest {
            physical_offset: id.physical_offset,
            topic: None,
        };
        let request = Command::request(RequestCode::VIEW_MESSAGE_BY_ID, &header);
        let answer = self.ask(&id.store_host.to_string(), request)?;
        let found = self.messages(&answer)?.into_iter().next();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, OP, offset_msg_id))
    }

    /// The messages of a topic that have a key, at most `max` of each broker.
    pub fn messages_by_key(
        &self,
        topic: &str,
        key: &str,
        max: i32,
    ) -> Result<Vec<ReceivedMessage>> {
        self.query(topic, key, max, false, (0, i64::MAX))
    }

    /// The same of those that were stored between two times, ms since the epoch.
    pub(crate) fn messages_by_key_within(
        &self,
        topic: &str,
        key: &str,
        max: i32,
        between: (i64, i64),
    ) -> Result<Vec<ReceivedMessage>> {
        self.query(topic, key, max, false, between)
    }

    /// The messages of a topic that have a unique id: `SendResult::msg_id`. More than one when a
    /// send was tried again, or the message is delayed or came back.
    pub fn messages_by_id(&self, topic: &str, msg_id: &str) -> Result<Vec<ReceivedMessage>> {
        self.query(topic, msg_id, 32, true, (0, i64::MAX))
    }

    fn query(
        &self,
        topic: &str,
        key: &str,
        max_num: i32,
        by_id: bool,
        (begin_timestamp_ms, end_timestamp_ms): (i64, i64),
    ) -> Result<Vec<ReceivedMessage>> {
        let header = QueryMessageRequest {
            topic: self.outer(topic),
            key: key.to_owned(),
            max_num,
            begin_timestamp_ms,
            end_timestamp_ms,
            index_type: None,
            last_key: None,
        };
        let mut found = Vec::new();
        for master in self.masters_of(topic)? {
            let mut request = Command::request(RequestCode::QUERY_MESSAGE, &header);
            if by_id {
                request.ext.insert(UNIQUE_KEY_QUERY, "true");
            }
            match self.ask(&master, request) {
                Ok(answer) => found.extend(self.messages(&answer)?),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // The index holds hashes, which others may share.
        let is_meant = |received: &ReceivedMessage| match by_id {
            true => received.message.unique_id() == Some(key),
            false => received.message.keys().any(|own| own == key),
        };
        found.retain(is_meant);
        Ok(found)
    }

    /// Ends its connections. Dropping does the same.
    pub fn close(&self) {
        self.instance.close(Duration::ZERO);
    }
}

fn unreadable(error: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Corrupt, OP, error.to_string())
}

impl Drop for Admin {
    fn drop(&mut self) {
        if self.instance.runtime.process.is_current() {
            self.close();
        }
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("instance", &self.instance)
            .finish()
    }
}
