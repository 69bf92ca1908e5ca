//! Pulling: PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361).

pub mod fast;
#[cfg(test)]
mod tests;

use super::{EncodeHeader, Field, HeaderError};
use crate::protocol::ext::ExtFields;
use crate::protocol::header::{Sink, WriteFields};

/// Bit of `sys_flag`: store `commit_offset` as the group's offset.
pub const FLAG_COMMIT_OFFSET: i32 = 1;
/// Bit of `sys_flag`: hold the request while there is nothing to pull.
pub const FLAG_SUSPEND: i32 = 2;
/// Bit of `sys_flag`: the subscription is in this request.
pub const FLAG_SUBSCRIPTION: i32 = 4;
/// Bit of `sys_flag`: a filter class is used.
pub const FLAG_CLASS_FILTER: i32 = 8;
/// Bit of `sys_flag`: the consumer is a lite pull consumer.
pub const FLAG_LITE_PULL: i32 = 16;

/// The header of a pull. Strings borrow from the header or from a scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullRequest<'a> {
    /// The consumer's group.
    pub consumer_group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The queue.
    pub queue_id: i32,
    /// The first position wanted.
    pub queue_offset: i64,
    /// The most messages wanted.
    pub max_msg_nums: i32,
    /// The `FLAG_` bits of this module.
    pub sys_flag: i32,
    /// The group's offset in this queue, if `FLAG_COMMIT_OFFSET` is set.
    pub commit_offset: i64,
    /// How long the broker may hold the request, in milliseconds.
    pub suspend_timeout_ms: i64,
    /// The filter expression, if `FLAG_SUBSCRIPTION` is set.
    pub subscription: Option<&'a str>,
    /// When the subscription was made, in milliseconds since 1970.
    pub sub_version: i64,
    /// `TAG` or `SQL92`; absent means `TAG`.
    pub expression_type: Option<&'a str>,
    /// The most bytes wanted.
    pub max_msg_bytes: Option<i32>,
    /// Who asks: absent or -1 an SDK, 0 and above kinds of proxy.
    pub request_source: Option<i32>,
    /// The client behind a proxy; the key is misspelt on the wire.
    pub proxy_forward_client_id: Option<&'a str>,
}

impl<'a> PullRequest<'a> {
    /// Reads the fields.
    ///
    /// # Errors
    /// When a required field is missing or a field has a wrong value.
    pub fn decode(ext: &'a ExtFields) -> Result<Self, HeaderError> {
        let text = |field| ext.get(field).ok_or(HeaderError::Missing { field });
        Ok(Self {
            consumer_group: text("consumerGroup")?,
            topic: text("topic")?,
            queue_id: i32::read(ext, "queueId", "queueId")?,
            queue_offset: i64::read(ext, "queueOffset", "queueOffset")?,
            max_msg_nums: i32::read(ext, "maxMsgNums", "maxMsgNums")?,
            sys_flag: i32::read(ext, "sysFlag", "sysFlag")?,
            commit_offset: i64::read(ext, "commitOffset", "commitOffset")?,
            suspend_timeout_ms: i64::read(ext, "suspendTimeoutMillis", "suspendTimeoutMillis")?,
            subscription: ext.get("subscription"),
            sub_version: i64::read(ext, "subVersion", "subVersion")?,
            expression_type: ext.get("expressionType"),
            max_msg_bytes: Option::read(ext, "maxMsgBytes", "maxMsgBytes")?,
            request_source: Option::read(ext, "requestSource", "requestSource")?,
            proxy_forward_client_id: ext.get("proxyFrowardClientId"),
        })
    }

    /// Whether a bit of `sys_flag` is set.
    #[must_use]
    pub const fn has(&self, flag: i32) -> bool {
        self.sys_flag & flag != 0
    }
}

impl WriteFields for PullRequest<'_> {
    fn write(&self, sink: &mut impl Sink) {
        sink.int("commitOffset", self.commit_offset);
        sink.text("consumerGroup", self.consumer_group);
        sink.text_opt("expressionType", self.expression_type);
        sink.int_opt("maxMsgBytes", self.max_msg_bytes.map(i64::from));
        sink.int("maxMsgNums", self.max_msg_nums.into());
        sink.text_opt("proxyFrowardClientId", self.proxy_forward_client_id);
        sink.int("queueId", self.queue_id.into());
        sink.int("queueOffset", self.queue_offset);
        sink.int_opt("requestSource", self.request_source.map(i64::from));
        sink.int("subVersion", self.sub_version);
        sink.text_opt("subscription", self.subscription);
        sink.int("suspendTimeoutMillis", self.suspend_timeout_ms);
        sink.int("sysFlag", self.sys_flag.into());
        sink.text("topic", self.topic);
    }
}

impl EncodeHeader for PullRequest<'_> {
    fn encode(&self, ext: &mut ExtFields) {
        self.write(ext);
    }
}

/// What a broker says of a pull; the body holds the records as they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PullResponse {
    /// The broker to pull from next: 0 is the master.
    pub suggest_which_broker_id: i64,
    /// The position to pull from next.
    pub next_begin_offset: i64,
    /// The first position of the queue.
    pub min_offset: i64,
    /// One past the last position of the queue.
    pub max_offset: i64,
    /// What to add to the offsets of the records, for topics that are mapped over brokers.
    pub offset_delta: Option<i64>,
    /// The topic's unit flags.
    pub topic_sys_flag: Option<i32>,
    /// The group's flags.
    pub group_sys_flag: Option<i32>,
    /// What forbids the pull: 1 broker, 2 group, 3 topic, 4 broadcasting, 5 subscription.
    pub forbidden_type: Option<i32>,
}

impl PullResponse {
    /// Reads the fields.
    ///
    /// # Errors
    /// When a required field is missing or a field has a wrong value.
    pub fn decode(ext: &ExtFields) -> Result<Self, HeaderError> {
        Ok(Self {
            suggest_which_broker_id: i64::read(
                ext,
                "suggestWhichBrokerId",
                "suggestWhichBrokerId",
            )?,
            next_begin_offset: i64::read(ext, "nextBeginOffset", "nextBeginOffset")?,
            min_offset: i64::read(ext, "minOffset", "minOffset")?,
            max_offset: i64::read(ext, "maxOffset", "maxOffset")?,
            offset_delta: Option::read(ext, "offsetDelta", "offsetDelta")?,
            topic_sys_flag: Option::read(ext, "topicSysFlag", "topicSysFlag")?,
            group_sys_flag: Option::read(ext, "groupSysFlag", "groupSysFlag")?,
            forbidden_type: Option::read(ext, "forbiddenType", "forbiddenType")?,
        })
    }
}

impl WriteFields for PullResponse {
    fn write(&self, sink: &mut impl Sink) {
        sink.int_opt("forbiddenType", self.forbidden_type.map(i64::from));
        sink.int_opt("groupSysFlag", self.group_sys_flag.map(i64::from));
        sink.int("maxOffset", self.max_offset);
        sink.int("minOffset", self.min_offset);
        sink.int("nextBeginOffset", self.next_begin_offset);
        sink.int_opt("offsetDelta", self.offset_delta);
        sink.int("suggestWhichBrokerId", self.suggest_which_broker_id);
        sink.int_opt("topicSysFlag", self.topic_sys_flag.map(i64::from));
    }
}

impl EncodeHeader for PullResponse {
    fn encode(&self, ext: &mut ExtFields) {
        self.write(ext);
    }
}
