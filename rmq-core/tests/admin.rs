//! What operators ask a broker, over its sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rmq_core::client::raw;
use rmq_core::embed::{Broker, BrokerConfig, ServerSettings, Storage};
use rmq_core::net::Client;
use rmq_core::protocol::body::connection::ProducerTable;
use rmq_core::protocol::body::consume_stats::{ConsumeStats, ConsumeStatsList};
use rmq_core::protocol::body::consume_time::ConsumeTimeSpans;
use rmq_core::protocol::body::group::{
    GroupForbidden, GroupSubscription, SubscriptionGroupConfig, SubscriptionGroupList,
};
use rmq_core::protocol::body::group_list::GroupList;
use rmq_core::protocol::body::heartbeat::{ConsumerData, HeartbeatData, ProducerData};
use rmq_core::protocol::body::offset::CorrectionOffsets;
use rmq_core::protocol::body::request_mode::{
    GroupRequestMode, MessageRequestMode, RequestModeTable,
};
use rmq_core::protocol::body::topic::{TopicConfig, TopicConfigList};
use rmq_core::protocol::body::topic_list::TopicList;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::filter::tag::SubscriptionData;
use rmq_core::protocol::request::EncodeHeader;
use rmq_core::protocol::request::group::{
    CloneGroupOffsetRequest, GetBrokerConsumeStatsRequest, GetConsumeStatsRequest,
    QueryCorrectionOffsetRequest, QuerySubscriptionByConsumerRequest, QueryTopicsByConsumerRequest,
    UpdateGroupForbiddenRequest,
};
use rmq_core::protocol::request::topic::{
    GetTopicConfigRequest, QueryConsumeTimeSpanRequest, QueryTopicConsumeByWhoRequest,
};

const TOPIC: &str = "orders";
const GROUP: &str = "readers";

struct Fixture {
    broker: Option<Broker>,
    client: Client,
    address: String,
    storage: Storage,
}

impl Fixture {
    fn new() -> Self {
        let mut fixture = Self {
            broker: None,
            client: peer::client(),
            address: String::new(),
            storage: Storage::temporary().unwrap(),
        };
        fixture.start(&[]);
        raw::create_topic(&fixture.client, &fixture.address, TOPIC, 2, peer::ANSWER).unwrap();
        fixture
    }

    fn start(&mut self, keys: &[(&str, &str)]) {
        let root = self.storage.path().to_string_lossy().into_owned();
        let mut properties = BrokerConfig::embedded_defaults(root).to_properties();
        properties.set("brokerName", "broker-a");
        for (key, value) in keys {
            properties.set(*key, *value);
        }
        let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
        let broker = Broker::start(config).unwrap();
        self.address = broker.address().to_string();
        self.broker = Some(broker);
    }

    fn stop(&mut self) {
        self.broker.take().unwrap().close(peer::ANSWER).unwrap();
    }

    fn call(&self, request: Command) -> Command {
        self.client
            .call(&self.address, request, peer::ANSWER)
            .unwrap()
    }

    /// The body of a successful answer.
    #[track_caller]
    fn ask(&self, code: RequestCode, header: &impl EncodeHeader) -> bytes::Bytes {
        let reply = self.call(Command::request(code, header));
        assert_eq!(
            reply.response_code(),
            ResponseCode::SUCCESS,
            "{:?}",
            reply.remark
        );
        reply.body
    }

    #[track_caller]
    fn tell(&self, code: RequestCode, body: Vec<u8>) -> Command {
        let reply = self.call(Command::bare_request(code).with_body(body));
        assert_eq!(
            reply.response_code(),
            ResponseCode::SUCCESS,
            "{:?}",
            reply.remark
        );
        reply
    }

    fn refused(&self, code: RequestCode, body: Vec<u8>) -> ResponseCode {
        self.call(Command::bare_request(code).with_body(body))
            .response_code()
    }

    fn send(&self, topic: &str, queue_id: i32, count: usize) {
        for _ in 0..count {
            peer::send(&self.client, &self.address, (topic, queue_id), &b"x"[..]).unwrap();
        }
    }

    fn commit(&self, topic: &str, group: &str, queue_id: i32, offset: i64) {
        let (client, place) = (&self.client, (group, topic, queue_id));
        raw::commit_offset(client, &self.address, place, offset, peer::ANSWER).unwrap();
    }

    fn committed(&self, topic: &str, group: &str, queue_id: i32) -> Option<i64> {
        let place = (group, topic, queue_id);
        raw::committed_offset(&self.client, &self.address, place, peer::ANSWER).unwrap()
    }

    fn heartbeat(&self, group: &str, topic: &str) {
        let data = HeartbeatData {
            client_id: "client".into(),
            consumers: vec![ConsumerData {
                group_name: group.into(),
                subscriptions: vec![SubscriptionData::from_tags(topic, Some("red")).unwrap()],
                ..ConsumerData::default()
            }],
            producers: vec![ProducerData {
                group_name: "writers".into(),
            }],
            ..HeartbeatData::default()
        };
        self.tell(RequestCode::HEART_BEAT, data.encode());
    }

    fn make_group(&self, group: &str) {
        let body = SubscriptionGroupConfig::new(group).encode();
        self.tell(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, body);
    }

    fn topic(&self, topic: &str) -> Option<TopicConfig> {
        let header = GetTopicConfigRequest {
            topic: topic.to_owned(),
        };
        let reply = self.call(Command::request(RequestCode::GET_TOPIC_CONFIG, &header));
        let found = reply.response_code() == ResponseCode::SUCCESS;
        found.then(|| TopicConfig::decode(&reply.body).unwrap())
    }
}

#[test]
fn lists_of_topics_and_groups_are_made_as_a_whole() {
    let fixture = Fixture::new();
    let topic = |name: &str, attributes: &[(&str, &str)]| TopicConfig {
        read_queue_nums: 3,
        attributes: attributes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..TopicConfig::new(name)
    };
    let make = RequestCode::UPDATE_AND_CREATE_TOPIC_LIST;
    let list = |topics: Vec<TopicConfig>| TopicConfigList { topics }.encode();
    fixture.tell(
        make,
        list(vec![
            topic("a", &[]),
            topic("b", &[("+message.type", "FIFO")]),
        ]),
    );
    assert_eq!(fixture.topic("a").unwrap().read_queue_nums, 3);
    assert_eq!(
        fixture.topic("b").unwrap().attributes["message.type"],
        "FIFO"
    );
    fixture.tell(make, list(vec![topic("b", &[("-message.type", "")])]));
    assert!(fixture.topic("b").unwrap().attributes.is_empty());
    for wrong in [
        topic("../d", &[]),
        topic("TBW102", &[]),
        topic("d", &[("message.type", "FIFO")]),
        topic("d", &[("+message.type", "MIXED")]),
        TopicConfig {
            perm: 9,
            ..topic("d", &[])
        },
    ] {
        let code = fixture.refused(make, list(vec![topic("c", &[]), wrong]));
        assert_eq!(code, ResponseCode::INVALID_PARAMETER);
        assert!(fixture.topic("c").is_none());
    }
    let make = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST;
    let list = |names: &[&str]| {
        let groups = names.iter().map(|name| SubscriptionGroupConfig::new(*name));
        SubscriptionGroupList {
            groups: groups.collect(),
        }
        .encode()
    };
    fixture.tell(make, list(&["g", "h"]));
    assert_eq!(
        fixture.refused(make, list(&["i", "a b"])),
        ResponseCode::INVALID_PARAMETER
    );
    let body = fixture
        .tell(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, vec![])
        .body;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(
        text.contains("\"h\":{") && !text.contains("\"i\":{"),
        "{text}"
    );
}

#[test]
fn system_topics_are_listed() {
    let fixture = Fixture::new();
    let body = fixture
        .tell(RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_BROKER, vec![])
        .body;
    let topics = TopicList::decode(&body).unwrap().topics;
    for name in [
        "TBW102",
        "SCHEDULE_TOPIC_XXXX",
        "broker-a",
        "RMQ_SYS_TRACE_TOPIC",
    ] {
        assert!(topics.contains(name), "{name} is not in {topics:?}");
    }
    assert!(!topics.contains(TOPIC));
}

#[test]
fn a_group_may_be_kept_from_a_topic() {
    let mut fixture = Fixture::new();
    let ask = |fixture: &Fixture, readable| {
        let header = UpdateGroupForbiddenRequest {
            group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            readable,
        };
        let body = fixture.ask(RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN, &header);
        GroupForbidden::decode(&body).unwrap().readable
    };
    let pulled = |fixture: &Fixture| {
        fixture.heartbeat(GROUP, TOPIC);
        let header = rmq_core::protocol::request::pull::PullRequest {
            consumer_group: GROUP,
            sys_flag: 0,
            ..peer::pull_from(TOPIC, 0, 0)
        };
        fixture
            .call(Command::request(RequestCode::PULL_MESSAGE, &header))
            .response_code()
    };
    assert!(ask(&fixture, None));
    assert_eq!(pulled(&fixture), ResponseCode::PULL_NOT_FOUND);
    assert!(!ask(&fixture, Some(false)));
    assert_eq!(pulled(&fixture), ResponseCode::NO_PERMISSION);
    fixture.stop();
    fixture.start(&[]);
    assert_eq!(pulled(&fixture), ResponseCode::NO_PERMISSION);
    assert!(ask(&fixture, Some(true)));
    assert_eq!(pulled(&fixture), ResponseCode::PULL_NOT_FOUND);
}

#[test]
fn request_modes_are_kept() {
    let mut fixture = Fixture::new();
    fixture.make_group(GROUP);
    let mode = |topic: &str, group: &str| {
        GroupRequestMode {
            consumer_group: group.to_owned(),
            mode: MessageRequestMode::Pop,
            pop_share_queue_num: 2,
            topic: topic.to_owned(),
        }
        .encode()
    };
    let set = RequestCode::SET_MESSAGE_REQUEST_MODE;
    fixture.tell(set, mode(TOPIC, GROUP));
    for (topic, group, code) in [
        ("%RETRY%readers", GROUP, ResponseCode::NO_PERMISSION),
        ("absent", GROUP, ResponseCode::TOPIC_NOT_EXIST),
        (TOPIC, "absent", ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST),
    ] {
        assert_eq!(fixture.refused(set, mode(topic, group)), code);
    }
    fixture.stop();
    fixture.start(&[]);
    let body = fixture
        .tell(RequestCode::GET_ALL_MESSAGE_REQUEST_MODE, vec![])
        .body;
    let table = RequestModeTable::decode(&body).unwrap();
    assert_eq!(table.modes[TOPIC][GROUP].mode, MessageRequestMode::Pop);
    assert_eq!(table.modes.len(), 1);
}

#[test]
fn progress_is_told_of_groups_that_still_subscribe() {
    let fixture = Fixture::new();
    let other = "others";
    raw::create_topic(&fixture.client, &fixture.address, other, 1, peer::ANSWER).unwrap();
    fixture.make_group(GROUP);
    fixture.send(TOPIC, 0, 5);
    fixture.send(TOPIC, 1, 1);
    fixture.send(other, 0, 2);
    fixture.commit(TOPIC, GROUP, 0, 3);
    fixture.commit(other, GROUP, 0, 1);
    let stats = |topic: Option<&str>, list: Option<&str>| {
        let header = GetConsumeStatsRequest {
            consumer_group: GROUP.to_owned(),
            topic: topic.map(str::to_owned),
            topic_list: list.map(str::to_owned),
        };
        let body = fixture.ask(RequestCode::GET_CONSUME_STATS, &header);
        let stats = ConsumeStats::decode(&body).unwrap();
        let row = |(queue, row): (rmq_core::protocol::body::message_queue::MessageQueue, _)| {
            let row: rmq_core::protocol::body::consume_stats::OffsetWrapper = row;
            let name = format!("{}:{}", queue.topic, queue.queue_id);
            (
                name,
                (
                    row.broker_offset,
                    row.consumer_offset,
                    row.last_timestamp > 0,
                ),
            )
        };
        stats
            .offsets
            .into_iter()
            .map(row)
            .collect::<BTreeMap<_, _>>()
    };
    let orders = [
        ("orders:0".to_owned(), (5, 3, true)),
        ("orders:1".to_owned(), (1, 0, false)),
    ];
    let rest = [("others:0".to_owned(), (2, 1, true))];
    let both: BTreeMap<_, _> = orders.iter().chain(&rest).cloned().collect();
    assert_eq!(stats(None, None), both);
    assert_eq!(stats(Some(TOPIC), None), orders.clone().into());
    fixture.heartbeat(GROUP, TOPIC);
    // The group is connected and does not subscribe to the other topic any more.
    assert_eq!(stats(None, None), orders.clone().into());
    assert!(stats(Some(other), None).is_empty());
    assert_eq!(stats(None, Some("others;absent")), rest.into());

    let header = GetBrokerConsumeStatsRequest { is_order: false };
    let body = fixture.ask(RequestCode::GET_BROKER_CONSUME_STATS, &header);
    let all = ConsumeStatsList::decode(&body).unwrap();
    assert_eq!(
        (all.total_diff, all.broker_addr),
        (3, fixture.address.clone())
    );
    let of_group = all.stats.iter().find_map(|one| one.get(GROUP)).unwrap();
    assert_eq!(of_group.len(), 1);
    let header = GetBrokerConsumeStatsRequest { is_order: true };
    let body = fixture.ask(RequestCode::GET_BROKER_CONSUME_STATS, &header);
    assert_eq!(ConsumeStatsList::decode(&body).unwrap().total_diff, 0);
}

#[test]
fn who_consumes_what() {
    let fixture = Fixture::new();
    fixture.make_group("past");
    fixture.commit(TOPIC, "past", 0, 1);
    fixture.heartbeat(GROUP, TOPIC);
    let header = QueryTopicConsumeByWhoRequest {
        topic: TOPIC.to_owned(),
    };
    let body = fixture.ask(RequestCode::QUERY_TOPIC_CONSUME_BY_WHO, &header);
    assert_eq!(GroupList::decode(&body).unwrap().groups, ["past", GROUP]);
    let header = QueryTopicsByConsumerRequest {
        group: "past".to_owned(),
    };
    let body = fixture.ask(RequestCode::QUERY_TOPICS_BY_CONSUMER, &header);
    let list = TopicList::decode(&body).unwrap();
    assert_eq!(list.topics, BTreeSet::from([TOPIC.to_owned()]));
    assert_eq!(list.broker_addr.unwrap(), fixture.address);
    let subscription = |group: &str| {
        let header = QuerySubscriptionByConsumerRequest {
            group: group.to_owned(),
            topic: Some(TOPIC.to_owned()),
        };
        let body = fixture.ask(RequestCode::QUERY_SUBSCRIPTION_BY_CONSUMER, &header);
        GroupSubscription::decode(&body).unwrap().subscription
    };
    assert_eq!(subscription(GROUP).unwrap().sub_string, "red");
    assert!(subscription("past").is_none());

    let body = fixture
        .tell(RequestCode::GET_ALL_PRODUCER_INFO, vec![])
        .body;
    let table = ProducerTable::decode(&body).unwrap();
    let writer = &table.groups["writers"][0];
    assert_eq!(writer.client_id, "client");
    assert!(writer.remote_ip.starts_with("/127.0.0.1:") && writer.last_update_timestamp_ms > 0);
}

#[test]
fn times_of_consumption() {
    let fixture = Fixture::new();
    fixture.make_group(GROUP);
    fixture.send(TOPIC, 0, 3);
    fixture.commit(TOPIC, GROUP, 0, 2);
    let ask = |topic: &str| {
        let header = QueryConsumeTimeSpanRequest {
            topic: topic.to_owned(),
            group: GROUP.to_owned(),
        };
        fixture.call(Command::request(
            RequestCode::QUERY_CONSUME_TIME_SPAN,
            &header,
        ))
    };
    let spans = ConsumeTimeSpans::decode(&ask(TOPIC).body).unwrap().spans;
    let (used, empty) = (&spans[0], &spans[1]);
    let in_order = [
        used.min_timestamp,
        used.consume_timestamp,
        used.max_timestamp,
    ];
    assert!(in_order.is_sorted() && in_order[0] > 0, "{used:?}");
    assert!((0..60_000).contains(&used.delay_time), "{used:?}");
    assert_eq!(
        (empty.min_timestamp, empty.max_timestamp, empty.delay_time),
        (-1, -1, 0)
    );
    assert_eq!(ask("absent").response_code(), ResponseCode::TOPIC_NOT_EXIST);
}

#[test]
fn offsets_are_compared_and_cloned() {
    let fixture = Fixture::new();
    fixture.send(TOPIC, 0, 9);
    fixture.send(TOPIC, 1, 9);
    for (group, first, second) in [("fast", 8, 8), ("slow", 3, 5), ("last", 1, 1)] {
        fixture.make_group(group);
        fixture.commit(TOPIC, group, 0, first);
        fixture.commit(TOPIC, group, 1, second);
    }
    let correction = |left_out: &str, compared: &str| {
        let header = QueryCorrectionOffsetRequest {
            filter_groups: Some(left_out.to_owned()),
            compare_group: compared.to_owned(),
            topic: TOPIC.to_owned(),
        };
        let body = fixture.ask(RequestCode::QUERY_CORRECTION_OFFSET, &header);
        CorrectionOffsets::decode(&body).unwrap().offsets
    };
    assert_eq!(correction("", "fast"), BTreeMap::from([(0, 1), (1, 1)]));
    assert_eq!(correction("last", "fast"), BTreeMap::from([(0, 3), (1, 5)]));
    let behind = BTreeMap::from([(0, i64::MAX), (1, i64::MAX)]);
    assert_eq!(correction("last", "last"), behind);
    // Leaving a group out does not take its offsets.
    assert_eq!(fixture.committed(TOPIC, "last", 0), Some(1));

    let clone = |target: &str, topic: Option<&str>| {
        let header = CloneGroupOffsetRequest {
            source_group: "slow".to_owned(),
            target_group: target.to_owned(),
            topic: topic.map(str::to_owned),
            offline: false,
        };
        fixture
            .call(Command::request(RequestCode::CLONE_GROUP_OFFSET, &header))
            .response_code()
    };
    assert_eq!(clone("twin", Some(TOPIC)), ResponseCode::SUCCESS);
    assert_eq!(fixture.committed(TOPIC, "twin", 1), Some(5));
    assert_eq!(clone("triplet", None), ResponseCode::SUCCESS);
    assert_eq!(fixture.committed(TOPIC, "triplet", 0), Some(3));
    assert_eq!(clone("a b", None), ResponseCode::INVALID_PARAMETER);
}

#[test]
fn queues_of_topics_that_are_gone_are_cleaned_up() {
    let mut fixture = Fixture::new();
    fixture.send(TOPIC, 0, 3);
    raw::create_topic(&fixture.client, &fixture.address, "kept", 1, peer::ANSWER).unwrap();
    fixture.send("kept", 0, 1);
    fixture.stop();
    let config = fixture.storage.path().join("config");
    for name in ["topics.json", "topics.json.bak"] {
        let path = config.join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, text.replace("\"orders\"", "\"renamed\"")).unwrap();
    }
    fixture.start(&[]);
    let queues = |topic: &str| {
        fixture
            .storage
            .path()
            .join("consumequeue")
            .join(topic)
            .exists()
    };
    assert!(queues(TOPIC) && queues("kept"));
    fixture.tell(RequestCode::CLEAN_UNUSED_TOPIC, vec![]);
    assert!(!queues(TOPIC) && queues("kept"));
    for code in [
        RequestCode::CLEAN_EXPIRED_CONSUMEQUEUE,
        RequestCode::DELETE_EXPIRED_COMMITLOG,
    ] {
        fixture.tell(code, vec![]);
    }
    let end = raw::max_offset(&fixture.client, &fixture.address, "kept", 0, peer::ANSWER);
    assert_eq!(end.unwrap(), 1);
}

/// A fixture whose configuration came from a file.
fn from_file(text: &str) -> (Fixture, PathBuf) {
    let mut fixture = Fixture::new();
    fixture.stop();
    let path = fixture.storage.path().join("broker.conf");
    std::fs::write(&path, text).unwrap();
    fixture.start(&[("brokerConfigPath", &path.to_string_lossy())]);
    (fixture, path)
}

#[test]
fn a_changed_configuration_takes_effect_and_is_written_into_its_file() {
    let (fixture, path) =
        from_file("# ours\nbrokerName = broker-a\n\n! more\nmaxMessageSize=4194304\n");
    let update = |text: &str| {
        let request = Command::bare_request(RequestCode::UPDATE_BROKER_CONFIG);
        fixture.call(request.with_body(text.as_bytes().to_vec()))
    };
    let shown = |key: &str| {
        let reply = fixture.tell(RequestCode::GET_BROKER_CONFIG, vec![]);
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.map(str::to_owned).unwrap()
    };
    let version = || {
        let reply = fixture.tell(RequestCode::GET_BROKER_CONFIG, vec![]);
        reply.ext.get("version").unwrap().to_owned()
    };
    let before = version();
    let reply =
        update("maxMessageSize=100000\nfileReservedTime=5\nflushDiskType=SYNC_FLUSH\nfoo=1\n");
    assert_eq!(
        reply.response_code(),
        ResponseCode::SUCCESS,
        "{:?}",
        reply.remark
    );
    assert_eq!(
        reply.remark.as_deref().unwrap(),
        "applied: maxMessageSize, fileReservedTime; needs a restart: flushDiskType; unknown: foo"
    );
    assert_eq!(shown("maxMessageSize"), "100000");
    assert_ne!(version(), before);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "# ours\nbrokerName = broker-a\n\n! more\nmaxMessageSize=100000\nfileReservedTime=5\n\
         flushDiskType=SYNC_FLUSH\n"
    );
    let large = |len: usize| {
        let sent = peer::send(&fixture.client, &fixture.address, (TOPIC, 0), vec![0; len]);
        sent.is_ok()
    };
    assert!(large(100_000) && !large(100_001));
    update("maxMessageSize=200000");
    assert!(large(200_000) && !large(200_001));

    assert_eq!(
        update("brokerPermission=4").response_code(),
        ResponseCode::SUCCESS
    );
    assert_eq!(
        update("rmq.maxGroups=1").response_code(),
        ResponseCode::SUCCESS
    );
    let more = SubscriptionGroupConfig::new("more").encode();
    let make = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
    assert_eq!(fixture.refused(make, more), ResponseCode::SYSTEM_ERROR);
}

#[test]
fn a_change_that_is_not_allowed_changes_nothing() {
    let (fixture, path) = from_file("brokerName=broker-a\n");
    let update = |text: &str| {
        let request = Command::bare_request(RequestCode::UPDATE_BROKER_CONFIG);
        fixture
            .call(request.with_body(text.as_bytes().to_vec()))
            .response_code()
    };
    for key in [
        "brokerConfigPath",
        "rocketmqHome",
        "configBlackList",
        "storePathRootDir",
        "storePathCommitLog",
        "messageStorePlugIn",
        "rmq.logDir",
    ] {
        let text = format!("fileReservedTime=5\n{key}=/tmp/$(touch x)");
        assert_eq!(update(&text), ResponseCode::NO_PERMISSION, "{key}");
    }
    assert_eq!(
        update("fileReservedTime=5\nmaxMessageSize=a lot"),
        ResponseCode::SYSTEM_ERROR
    );
    assert_eq!(update("fileReservedTime=\\u12"), ResponseCode::SYSTEM_ERROR);
    assert_eq!(update(""), ResponseCode::SUCCESS);
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "brokerName=broker-a\n"
    );
    let reply = fixture.tell(RequestCode::GET_BROKER_CONFIG, vec![]);
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    assert!(text.contains("fileReservedTime=72\n"), "{text}");
}
