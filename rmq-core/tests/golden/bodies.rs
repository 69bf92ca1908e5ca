//! Bodies: each is read, and written again to the same text where its order is fixed.

use std::fmt::Debug;

use rmq_core::protocol::body::broker_stats::BrokerStatsData;
use rmq_core::protocol::body::client_config::CheckClientRequest;
use rmq_core::protocol::body::cluster::{BrokerMemberGroupResponse, ClusterInfo};
use rmq_core::protocol::body::connection::{ConsumerConnection, ProducerConnection, ProducerTable};
use rmq_core::protocol::body::consume_queue::ConsumeQueuePart;
use rmq_core::protocol::body::consume_stats::{ConsumeStats, ConsumeStatsList};
use rmq_core::protocol::body::consume_time::ConsumeTimeSpans;
use rmq_core::protocol::body::consumer_list::ConsumerList;
use rmq_core::protocol::body::consumer_status::ConsumerStatus;
use rmq_core::protocol::body::data_version::DataVersion;
use rmq_core::protocol::body::group::{
    GroupSubscription, GroupTable, SubscriptionGroupConfig, SubscriptionGroupList,
};
use rmq_core::protocol::body::group_list::GroupList;
use rmq_core::protocol::body::heartbeat::HeartbeatData;
use rmq_core::protocol::body::kv_table::KvTable;
use rmq_core::protocol::body::lock::{LockRequest, LockResponse};
use rmq_core::protocol::body::offset::{ConsumerOffsetTable, DelayOffsetTable};
use rmq_core::protocol::body::register::RegisterBrokerBody;
use rmq_core::protocol::body::reset_offset::{ResetOffset, ResetOffsetList};
use rmq_core::protocol::body::route::TopicRouteData;
use rmq_core::protocol::body::topic::{
    TopicAndMappingTable, TopicConfig, TopicConfigList, TopicTable,
};
use rmq_core::protocol::body::topic_list::TopicList;
use rmq_core::protocol::body::topic_stats::TopicStatsTable;
use rmq_core::protocol::json::{self, Flavour};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::{Line, RELEASES, lines};

fn flavour(line: &Line) -> Flavour {
    match line.text("flavour") {
        "Fastjson" => Flavour::Fastjson,
        "Standard" => Flavour::Standard,
        "Pretty" => Flavour::Pretty,
        other => panic!("{other}"),
    }
}

/// The newest release has another library, which breaks lines elsewhere and escapes less, and one
/// more member in a file.
fn is_comparable(release: &str, line: &Line) -> bool {
    let newer = || flavour(line) != Flavour::Fastjson || line.text("text").contains("pullOffset");
    release == "5.3.3" || !newer()
}

fn check<T>(release: &str, line: &Line)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let text = line.text("text");
    let place = &line.place;
    let value: T = json::from_text(text).unwrap_or_else(|e| panic!("{place}: {e}"));
    for flavour in [Flavour::Fastjson, Flavour::Standard, Flavour::Pretty] {
        let written = json::to_text(&value, flavour);
        assert_eq!(
            json::from_text::<T>(&written).as_ref(),
            Ok(&value),
            "{place}"
        );
    }
    let written = json::to_text(&value, flavour(line));
    if line.flag("exact") && is_comparable(release, line) {
        assert_eq!(written, text, "{place}");
    }
}

fn check_line(release: &str, line: &Line) {
    let check = match line.text("type") {
        "BrokerMemberGroupResponse" => check::<BrokerMemberGroupResponse>,
        "BrokerStatsData" => check::<BrokerStatsData>,
        "CheckClientRequest" => check::<CheckClientRequest>,
        "ClusterInfo" => check::<ClusterInfo>,
        "ConsumeQueuePart" => check::<ConsumeQueuePart>,
        "ConsumeStats" => check::<ConsumeStats>,
        "ConsumeStatsList" => check::<ConsumeStatsList>,
        "ConsumeTimeSpans" => check::<ConsumeTimeSpans>,
        "ConsumerConnection" => check::<ConsumerConnection>,
        "ConsumerList" => check::<ConsumerList>,
        "ConsumerOffsetTable" => check::<ConsumerOffsetTable>,
        "ConsumerStatus" => check::<ConsumerStatus>,
        "DataVersion" => check::<DataVersion>,
        "DelayOffsetTable" => check::<DelayOffsetTable>,
        "GroupList" => check::<GroupList>,
        "GroupSubscription" => check::<GroupSubscription>,
        "GroupTable" => check::<GroupTable>,
        "HeartbeatData" => check::<HeartbeatData>,
        "KvTable" => check::<KvTable>,
        "LockRequest" => check::<LockRequest>,
        "LockResponse" => check::<LockResponse>,
        "ProducerConnection" => check::<ProducerConnection>,
        "ProducerTable" => check::<ProducerTable>,
        "RegisterBrokerBody" => check::<RegisterBrokerBody>,
        "ResetOffset" => check::<ResetOffset>,
        "ResetOffsetList" => check::<ResetOffsetList>,
        "SubscriptionGroupConfig" => check::<SubscriptionGroupConfig>,
        "SubscriptionGroupList" => check::<SubscriptionGroupList>,
        "TopicAndMappingTable" => check::<TopicAndMappingTable>,
        "TopicConfig" => check::<TopicConfig>,
        "TopicConfigList shared" => return check_shared(line),
        "TopicConfigList" => check::<TopicConfigList>,
        "TopicList" => check::<TopicList>,
        "TopicRouteData" => check::<TopicRouteData>,
        "TopicStatsTable" => check::<TopicStatsTable>,
        "TopicTable" => check::<TopicTable>,
        "compressed" => return check_compressed(line),
        "topic text" => return check_topic_text(line),
        other => panic!("{}: {other}", line.place),
    };
    check(release, line);
}

fn check_compressed(line: &Line) {
    let plain = RegisterBrokerBody::decode(line.text("text").as_bytes()).unwrap();
    let bytes = line.bytes("compressed");
    let read = RegisterBrokerBody::decode_request(&bytes, true, 479, 1 << 20).unwrap();
    // The text form of a topic has neither its flags nor its order, and the version of the
    // mappings is left out.
    let mut want = plain;
    want.topics.mapping_data_version = read.topics.mapping_data_version;
    for topic in want.topics.topics.values_mut() {
        topic.topic_sys_flag = 0;
    }
    assert_eq!(read, want, "{}", line.place);
    let again = read.encode_compressed();
    assert_eq!(
        RegisterBrokerBody::decode_request(&again, true, 479, 1 << 20),
        Ok(read)
    );
}

/// Two topics with one table of attributes, which Apache writes once.
fn check_shared(line: &Line) {
    let list = TopicConfigList::decode(line.text("text").as_bytes()).unwrap();
    assert_eq!(list.topics.len(), 2, "{}", line.place);
    for topic in &list.topics {
        assert_eq!(topic.attributes["message.type"], "FIFO", "{}", line.place);
    }
}

fn check_topic_text(line: &Line) {
    let mut topic = TopicConfig::decode(line.text("json").as_bytes()).unwrap();
    assert_eq!(topic.to_text(), line.text("text"), "{}", line.place);
    topic.topic_sys_flag = 0;
    assert_eq!(
        TopicConfig::from_text(line.text("text")),
        Ok(topic),
        "{}",
        line.place
    );
}

#[test]
fn bodies() {
    for release in RELEASES {
        for line in lines(release, "bodies") {
            check_line(release, &line);
        }
    }
}
