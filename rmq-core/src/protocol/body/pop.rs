//! What pop keeps: check points and acknowledgements, which are messages of the revive topic, the
//! state of ordered groups (`consumerOrderInfo.json`), and acknowledgements of many messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most messages of a check point: its bits are those of an `i32`.
pub const CHECK_POINT_MAX: usize = 32;

/// Messages that one pop took of one queue. Written with the group under two names: RocketMQ reads
/// the longer one up to 5.3 and the shorter one since. Longer names of the others are read too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PopCheckPoint {
    /// A bit for each message that was acknowledged before this was written.
    #[serde(rename = "bm", alias = "bitMap")]
    pub bits: i32,
    /// The broker that the messages are of.
    #[serde(rename = "bn", alias = "brokerName")]
    pub broker_name: String,
    /// The group.
    #[serde(rename = "c", alias = "cid")]
    pub group: String,
    /// The group once more; set in what is written only.
    #[serde(rename = "cId")]
    pub group_long: String,
    /// Distance of each message from the first offset; empty when they follow each other.
    #[serde(rename = "d", alias = "queueOffsetDiff")]
    pub diffs: Vec<i32>,
    /// How long the messages are invisible, ms from the pop.
    #[serde(rename = "it", alias = "invisibleTime")]
    pub invisible_time_ms: i64,
    /// How many messages.
    #[serde(rename = "n", alias = "num")]
    pub count: i32,
    /// When they were popped, ms since the epoch.
    #[serde(rename = "pt", alias = "popTime")]
    pub pop_time_ms: i64,
    /// The queue.
    #[serde(rename = "q", alias = "queueId")]
    pub queue_id: i32,
    /// Where it lies in the revive queue; 0 in what is stored.
    #[serde(rename = "ro", alias = "reviveOffset")]
    pub revive_offset: i64,
    /// How often it was written again because a message could not be revived.
    #[serde(rename = "rp", alias = "rePutTimes")]
    pub re_put_times: Option<String>,
    /// The offset that the pop began at.
    #[serde(rename = "so", alias = "startOffset")]
    pub start_offset: i64,
    /// Whether coming again does not count as a try.
    #[serde(rename = "sp", alias = "suspend", skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// The topic, which may be one of retries.
    #[serde(rename = "t", alias = "topic")]
    pub topic: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl PopCheckPoint {
    /// When what is not acknowledged by then comes again, ms since the epoch.
    #[must_use]
    pub fn revive_time_ms(&self) -> i64 {
        self.pop_time_ms.saturating_add(self.invisible_time_ms)
    }

    /// How many messages, within the limit.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.count)
            .unwrap_or(0)
            .min(CHECK_POINT_MAX)
    }

    /// Whether it has no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The queue offset of a message.
    #[must_use]
    pub fn offset_at(&self, index: usize) -> Option<i64> {
        if index >= self.len() {
            return None;
        }
        let diff = match self.diffs.is_empty() {
            true => i32::try_from(index).ok()?,
            false => *self.diffs.get(index)?,
        };
        Some(self.start_offset + i64::from(diff))
    }

    /// Which message has this queue offset.
    #[must_use]
    pub fn index_of(&self, offset: i64) -> Option<usize> {
        (0..self.len()).find(|index| self.offset_at(*index) == Some(offset))
    }

    /// Reads the body of a check point.
    pub fn parse(bytes: &[u8]) -> Result<Self, crate::protocol::json::JsonError> {
        let mut point = Self::decode(bytes)?;
        let long = std::mem::take(&mut point.group_long);
        if point.group.is_empty() {
            point.group = long;
        }
        Ok(point)
    }

    /// Writes the body of a check point.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        let point = Self {
            group_long: self.group.clone(),
            ..self.clone()
        };
        point.encode()
    }
}

/// An acknowledgement of one message, or with `offsets` of several, of one check point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PopAck {
    /// The queue offset of the message; -1 when there are several.
    #[serde(rename = "ao", alias = "ackOffset")]
    pub offset: i64,
    /// The queue offsets of several.
    #[serde(rename = "aol", alias = "ackOffsetList")]
    pub offsets: Option<Vec<i64>>,
    /// The broker that the messages are of.
    #[serde(rename = "bn", alias = "brokerName")]
    pub broker_name: String,
    /// The group.
    #[serde(rename = "c", alias = "consumerGroup")]
    pub group: String,
    /// When they were popped, ms since the epoch.
    #[serde(rename = "pt", alias = "popTime")]
    pub pop_time_ms: i64,
    /// The queue.
    #[serde(rename = "q", alias = "queueId")]
    pub queue_id: i32,
    /// The offset that the pop began at.
    #[serde(rename = "so", alias = "startOffset")]
    pub start_offset: i64,
    /// The topic, which may be one of retries.
    #[serde(rename = "t", alias = "topic")]
    pub topic: String,
}

impl PopAck {
    /// The queue offsets of all its messages.
    #[must_use]
    pub fn offsets(&self) -> &[i64] {
        match &self.offsets {
            Some(offsets) => offsets,
            None => std::slice::from_ref(&self.offset),
        }
    }
}

/// Acknowledgements of messages of one pop and queue, as BATCH_ACK_MESSAGE has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchAck {
    /// Base64 of a bit for each offset from the first one on, in little-endian bytes.
    #[serde(rename = "b", alias = "bitSet")]
    pub bits: String,
    /// The group.
    #[serde(rename = "c", alias = "consumerGroup")]
    pub group: String,
    /// How long the messages are invisible, ms from the pop.
    #[serde(rename = "it", alias = "invisibleTime")]
    pub invisible_time_ms: i64,
    /// When they were popped, ms since the epoch.
    #[serde(rename = "pt", alias = "popTime")]
    pub pop_time_ms: i64,
    /// The queue.
    #[serde(rename = "q", alias = "queueId")]
    pub queue_id: i32,
    /// `0` for the topic itself, `1` and `2` for its retry topics.
    #[serde(rename = "r", alias = "retry")]
    pub retry: String,
    /// The revive queue.
    #[serde(rename = "rq", alias = "reviveQueueId")]
    pub revive_queue_id: i32,
    /// The offset that the pop began at.
    #[serde(rename = "so", alias = "startOffset")]
    pub start_offset: i64,
    /// The topic that was popped of.
    #[serde(rename = "t", alias = "topic")]
    pub topic: String,
}

/// Bits of one acknowledgement that are looked at; a check point has fewer.
const BITS_MAX: usize = 1 << 16;

impl BatchAck {
    /// The queue offsets, ascending; `None` when the bits are not Base64.
    #[must_use]
    pub fn offsets(&self) -> Option<Vec<i64>> {
        let bytes = decode_base64(&self.bits)?;
        let bits = (bytes.len() * 8).min(BITS_MAX);
        let is_set = |bit: &usize| bytes[bit / 8] >> (bit % 8) & 1 == 1;
        let offset = |bit| self.start_offset.saturating_add_unsigned(bit as u64);
        Some((0..bits).filter(is_set).map(offset).collect())
    }
}

/// Bytes of a Base64 text (RFC 4648), with or without padding.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes();
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut buffer, mut bits) = (0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        buffer = buffer << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits & 0xff) as u8);
        }
    }
    Some(out)
}

/// The body of BATCH_ACK_MESSAGE.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BatchAckBody {
    /// The acknowledgements.
    pub acks: Vec<BatchAck>,
    /// The broker that the messages are of.
    pub broker_name: String,
}

/// What an ordered group has of one queue: the messages that it works on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderInfo {
    /// The try of the client that popped them.
    #[serde(rename = "a")]
    pub attempt_id: Option<String>,
    /// A bit for each message that was acknowledged.
    #[serde(rename = "cm")]
    pub acked: i64,
    /// How long the messages are invisible, ms from the pop.
    #[serde(rename = "i")]
    pub invisible_time_ms: Option<i64>,
    /// When they were popped last, ms since the epoch.
    #[serde(rename = "l")]
    pub last_consume_ms: i64,
    /// Queue offset of the first message, then the distance of each other one from it.
    #[serde(rename = "o")]
    pub offsets: Vec<i64>,
    /// How often a message came again, by queue offset.
    #[serde(rename = "oc")]
    pub counts: Option<BTreeMap<i64, i32>>,
    /// When a message comes again, ms since the epoch, by queue offset; others by the pop.
    #[serde(rename = "ot")]
    pub visible_ms: Option<BTreeMap<i64, i64>>,
    /// When they were popped, ms since the epoch.
    #[serde(rename = "popTime")]
    pub pop_time_ms: i64,
}

/// The state of ordered groups by `topic@group` and queue: `consumerOrderInfo.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderInfoTable {
    /// The rows.
    pub table: BTreeMap<String, BTreeMap<i32, OrderInfo>>,
}

super::body!(
    PopCheckPoint,
    PopAck,
    BatchAckBody,
    OrderInfo,
    OrderInfoTable
);

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> PopCheckPoint {
        PopCheckPoint {
            broker_name: "b".to_owned(),
            group: "g".to_owned(),
            diffs: vec![0, 2],
            invisible_time_ms: 60_000,
            count: 2,
            pop_time_ms: 1_000,
            queue_id: 3,
            start_offset: 5,
            topic: "T".to_owned(),
            ..PopCheckPoint::default()
        }
    }

    #[test]
    fn a_check_point_is_written_for_every_version_and_read_of_each() {
        let text = String::from_utf8(point().to_body()).unwrap();
        let expected = concat!(
            r#"{"bm":0,"bn":"b","c":"g","cId":"g","d":[0,2],"it":60000,"n":2,"pt":1000,"q":3,"#,
            r#""ro":0,"so":5,"t":"T"}"#
        );
        assert_eq!(text, expected);
        assert_eq!(PopCheckPoint::parse(text.as_bytes()).unwrap(), point());
        // Written by the classes of 5.3 and 5.5 with either of their JSON libraries.
        for theirs in [
            r#"{"bitMap":0,"brokerName":"b","cId":"g","invisibleTime":60000,"num":2,"popTime":1000,"queueId":3,"queueOffsetDiff":[0,2],"reviveOffset":0,"reviveTime":61000,"startOffset":5,"suspend":false,"topic":"T"}"#,
            r#"{"bm":0,"bn":"b","c":"g","d":[0,2],"it":60000,"n":2,"pt":1000,"q":3,"reviveTime":61000,"ro":0,"so":5,"sp":false,"t":"T"}"#,
            r#"{"bm":0,"bn":"b","cId":"g","d":[0,2],"it":60000,"n":2,"pt":1000,"q":3,"reviveTime":61000,"ro":0,"so":5,"t":"T"}"#,
        ] {
            let read = PopCheckPoint::parse(theirs.as_bytes()).unwrap();
            assert_eq!(read, point(), "{theirs}");
        }
        assert_eq!(point().revive_time_ms(), 61_000);
    }

    #[test]
    fn offsets_and_indexes_of_a_check_point_agree() {
        let gaps = point();
        assert_eq!((gaps.offset_at(0), gaps.offset_at(1)), (Some(5), Some(7)));
        assert_eq!((gaps.offset_at(2), gaps.index_of(7)), (None, Some(1)));
        assert_eq!(gaps.index_of(6), None);
        let dense = PopCheckPoint {
            diffs: Vec::new(),
            ..point()
        };
        assert_eq!((dense.index_of(6), dense.index_of(7)), (Some(1), None));
        let hostile = PopCheckPoint {
            count: i32::MAX,
            ..point()
        };
        assert_eq!((hostile.len(), hostile.offset_at(5)), (32, None));
        assert_eq!(hostile.index_of(4), None);
    }

    #[test]
    fn acknowledgements_have_rocketmqs_names() {
        let one = PopAck {
            offset: 5,
            broker_name: "b".to_owned(),
            group: "g".to_owned(),
            pop_time_ms: 1,
            queue_id: 2,
            start_offset: 4,
            topic: "T".to_owned(),
            offsets: None,
        };
        let text = r#"{"ao":5,"bn":"b","c":"g","pt":1,"q":2,"so":4,"t":"T"}"#;
        assert_eq!(one.encode(), text.as_bytes());
        let long = r#"{"ackOffset":5,"brokerName":"b","consumerGroup":"g","popTime":1,"queueId":2,"startOffset":4,"topic":"T"}"#;
        assert_eq!(PopAck::decode(long.as_bytes()).unwrap(), one);
        let many = r#"{"ao":-1,"aol":[7,8],"bn":"b","c":"g","pt":0,"q":0,"so":0,"t":"T"}"#;
        let read = PopAck::decode(many.as_bytes()).unwrap();
        assert_eq!(read.offsets(), [7, 8]);
        assert_eq!(read.encode(), many.as_bytes());
        assert_eq!(one.offsets(), [5]);
    }

    #[test]
    fn a_batch_of_acknowledgements_says_which_offsets() {
        let text = r#"{"acks":[{"b":"AQI=","c":"g","it":5,"pt":4,"q":2,"r":"0","rq":3,"so":1,"t":"T"}],"brokerName":"b"}"#;
        let body = BatchAckBody::decode(text.as_bytes()).unwrap();
        assert_eq!(body.acks[0].offsets().unwrap(), [1, 10]);
        assert_eq!(body.encode(), text.as_bytes());
        let broken = BatchAck {
            bits: "A*".to_owned(),
            ..BatchAck::default()
        };
        assert_eq!(broken.offsets(), None);
        assert!(BatchAck::default().offsets().unwrap().is_empty());
    }

    #[test]
    fn the_state_of_ordered_groups_is_read_as_rocketmq_writes_it() {
        let text = r#"{"orderInfoCount":1,"orderedConsumptionLevel":"QUEUE","table":{"T@g":{0:{"cm":0,"i":60000,"l":1795389907640,"o":[3,1,3],"oc":{3:1,4:1,6:1},"ot":{4:99},"popTime":1000}}}}"#;
        let table = OrderInfoTable::decode(text.as_bytes()).unwrap();
        let info = &table.table["T@g"][&0];
        assert_eq!(info.offsets, [3, 1, 3]);
        assert_eq!(info.visible_ms.as_ref().unwrap()[&4], 99);
        let (_, row) = text.split_once("\"table\":").unwrap();
        let (_, written) = std::str::from_utf8(&table.encode())
            .unwrap()
            .split_once("\"table\":")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert_eq!(written, row);
    }
}
