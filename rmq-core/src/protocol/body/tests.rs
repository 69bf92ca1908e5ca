use super::connection::{Connection, ConsumerConnection};
use super::group::{GroupTable, SubscriptionGroupConfig};
use super::heartbeat::{ConsumeFromWhere, ConsumeType, HeartbeatData, MessageModel};
use super::lock::{LockRequest, LockResponse};
use super::message_queue::MessageQueue;
use super::offset::{ConsumerOffsetTable, DelayOffsetTable};
use super::register::{RegisterBrokerBody, RegisterError};
use super::reset_offset::ResetOffset;
use super::route::TopicRouteData;
use super::topic::{TopicConfig, TopicFile, TopicFilterType, TopicTable};
use super::topic_list::TopicList;
use crate::protocol::json::Flavour;
use crate::protocol::language::Language;
use crate::protocol::message::compress;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn queue(queue_id: i32) -> MessageQueue {
    MessageQueue {
        broker_name: "b-a".into(),
        queue_id,
        topic: "T".into(),
    }
}

#[test]
fn routes_are_written_in_both_dialects_and_read_from_both() {
    let bare = r#"{"brokerDatas":[{"brokerAddrs":{0:"1.1.1.1:10911",1:"1.1.1.2:10911"},"brokerName":"b-a","cluster":"c","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"b-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;
    let quoted = bare.replace("{0:", "{\"0\":").replace(",1:", ",\"1\":");
    let route = TopicRouteData::decode(bare.as_bytes()).unwrap();
    assert_eq!(TopicRouteData::decode(quoted.as_bytes()), Ok(route.clone()));
    assert_eq!(text(route.encode()), bare);
    assert_eq!(text(route.encode_as(Flavour::Standard)), quoted);
    assert_eq!(route.brokers[0].broker_addrs[&1], "1.1.1.2:10911");
}

#[test]
fn heartbeats_of_java_read_back_to_the_byte() {
    let json = r#"{"clientID":"1.1.1.1@1","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"cg","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*","subVersion":1795357533837,"tagsSet":[],"topic":"T"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"pg"}],"withoutSub":false}"#;
    let data = HeartbeatData::decode(json.as_bytes()).unwrap();
    assert_eq!(text(data.encode()), json);
    let consumer = &data.consumers[0];
    assert_eq!(consumer.consume_type, ConsumeType::Passively);
    assert_eq!(consumer.message_model, MessageModel::Clustering);
    assert_eq!(consumer.subscriptions[0].sub_version, 1_795_357_533_837);
}

#[test]
fn enumerations_are_read_in_every_spelling() {
    let read = |json: &str| {
        HeartbeatData::decode(json.as_bytes())
            .unwrap()
            .consumers
            .remove(0)
    };
    let data = read(
        r#"{"consumerDataSet":[{"consumeType":"consume_pop","messageModel":0,"consumeFromWhere":"4"}]}"#,
    );
    assert_eq!(data.consume_type, ConsumeType::Pop);
    assert_eq!(data.message_model, MessageModel::Broadcasting);
    assert_eq!(data.consume_from_where, ConsumeFromWhere::FirstOffset);
    let data = read(r#"{"consumerDataSet":[{"consumeType":"NOPE","messageModel":null}]}"#);
    assert_eq!(data.consume_type, ConsumeType::Passively);
    assert_eq!(data.message_model, MessageModel::Clustering);
}

#[test]
fn lock_bodies_of_go_lack_members_and_are_read() {
    let body = LockRequest::decode(
        br#"{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"T","brokerName":"b-a","queueId":3}]}"#,
    )
    .unwrap();
    assert_eq!(body.queues, [queue(3)]);
    assert!(!body.only_this_broker);
    let answer = LockResponse {
        queues: body.queues,
    };
    assert_eq!(
        text(answer.encode()),
        r#"{"lockOKMQSet":[{"brokerName":"b-a","queueId":3,"topic":"T"}]}"#
    );
}

#[test]
fn queues_are_ordered_as_clients_share_them_out() {
    let named = |topic: &str, broker: &str, queue_id| MessageQueue {
        broker_name: broker.into(),
        queue_id,
        topic: topic.into(),
    };
    let want = [
        named("A", "z", 9),
        named("B", "a", 2),
        named("B", "a", 10),
        named("B", "b", 0),
    ];
    let mut queues = want.clone();
    queues.reverse();
    queues.sort();
    assert_eq!(queues, want);
}

#[test]
fn topics_have_a_text_form() {
    let mut topic = TopicConfig::new("T");
    assert_eq!(topic.to_text(), "T 16 16 6 SINGLE_TAG {}");
    topic
        .attributes
        .insert("message.type".into(), "FIFO".into());
    topic.topic_filter_type = TopicFilterType::MultiTag;
    assert_eq!(TopicConfig::from_text(&topic.to_text()), Ok(topic));
    assert_eq!(
        TopicConfig::from_text("T 8 4 2 SINGLE_TAG")
            .unwrap()
            .write_queue_nums,
        4
    );
    assert_eq!(
        TopicConfig::from_text("T 8 4 2 SINGLE_TAG {").unwrap().perm,
        2
    );
    for bad in [
        "",
        "T",
        "T 8 4 2",
        "T 8 x 2 SINGLE_TAG {}",
        "T 8 4 2 NO_TAG",
    ] {
        assert!(TopicConfig::from_text(bad).is_err(), "{bad}");
    }
}

fn registration() -> RegisterBrokerBody {
    RegisterBrokerBody::decode(
        br#"{"filterServerList":["f"],"topicConfigSerializeWrapper":{"dataVersion":{"counter":7,"stateVersion":1,"timestamp":1795357533883},"topicConfigTable":{"T":{"attributes":{"a":"b"},"order":false,"perm":6,"readQueueNums":16,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":16}},"topicQueueMappingInfoMap":{"T":{"bname":"b-a","currIdMap":{0:0},"dirty":false,"epoch":1,"scope":"__global__","topic":"T","totalQueues":4}}}}"#,
    )
    .unwrap()
}

#[test]
fn registrations_compress_and_come_back() {
    let body = registration();
    let bytes = body.encode_compressed();
    assert_eq!(
        RegisterBrokerBody::decode_request(&bytes, true, 479, 1 << 20),
        Ok(body.clone())
    );
    let mut old = body.clone();
    old.topics.mappings.clear();
    assert_eq!(
        RegisterBrokerBody::decode_request(&bytes, true, 401, 1 << 20),
        Ok(old)
    );
    assert_eq!(
        RegisterBrokerBody::decode_request(&bytes, true, 479, 10),
        Err(RegisterError::Compress(compress::CompressError::TooLong {
            max: 10
        }))
    );
    let plain = body.encode();
    assert_eq!(
        RegisterBrokerBody::decode_request(&plain, false, 479, 0),
        Ok(body)
    );
    assert_eq!(
        RegisterBrokerBody::decode_request(b"", false, 479, 0),
        Ok(RegisterBrokerBody::default())
    );
}

#[test]
fn every_cut_of_a_registration_is_an_error() {
    let bytes = compress::inflate(&registration().encode_compressed(), 1 << 20).unwrap();
    for len in 0..bytes.len() {
        let cut = compress::deflate(&bytes[..len], 1);
        assert!(
            RegisterBrokerBody::decode_request(&cut, true, 479, 1 << 20).is_err(),
            "{len}"
        );
    }
    let mut negative = bytes;
    negative[0] = 0xff;
    assert_eq!(
        RegisterBrokerBody::decode_request(&compress::deflate(&negative, 1), true, 479, 1 << 20),
        Err(RegisterError::Truncated)
    );
}

#[test]
fn the_oldest_brokers_send_the_bare_table() {
    let table = TopicTable::decode(br#"{"topicConfigTable":{"T":{"topicName":"T"}}}"#).unwrap();
    let body = RegisterBrokerBody::decode_request(&table.encode(), false, 30, 0).unwrap();
    assert_eq!(body.topics.topics, table.topics);
}

#[test]
fn a_file_in_parts_is_the_same_as_one_from_a_table() {
    let mut table = TopicTable::default();
    let mut file = TopicFile::default();
    table.data_version.advance(77);
    let names = ["b", "a", "\u{e9}\"\\", "topicConfigTable\":{", "c", "a"];
    let mut steps: Vec<(&str, bool)> = names.map(|name| (name, true)).into();
    steps.extend(names[1..].iter().map(|name| (*name, false)));
    steps.push(("b", false));
    for (n, (name, there)) in (0..).zip(steps) {
        assert_eq!(file.encode(&table.data_version), table.encode_file());
        let mut topic = TopicConfig::new(name);
        topic.read_queue_nums = n;
        topic.attributes.insert("+k".to_owned(), "v}\n}".to_owned());
        let before = file.put(name, there.then_some(&topic));
        file.set(name, before);
        assert_eq!(file.encode(&table.data_version), table.encode_file());
        file.put(name, there.then_some(&topic));
        match there {
            true => table.topics.insert(name.to_owned(), topic),
            false => table.topics.remove(name),
        };
        assert_eq!(
            TopicFile::new(&table).encode(&table.data_version),
            table.encode_file()
        );
    }
    assert_eq!(file.encode(&table.data_version), table.encode_file());
}

#[test]
fn a_broker_without_a_permission_takes_it_from_its_topics() {
    let mut table = TopicTable::default();
    let topic = TopicConfig {
        perm: 7,
        ..TopicConfig::new("T")
    };
    table.topics.insert("T".into(), topic);
    let perm = |permission| {
        RegisterBrokerBody::new(table.clone(), permission)
            .topics
            .topics["T"]
            .perm
    };
    assert_eq!((perm(6), perm(4), perm(2)), (7, 4, 2));
}

#[test]
fn groups_keep_members_of_newer_releases() {
    let json = r#"{"groupName":"g","retryMaxTimes":3,"retryQueueNums":null,"newThing":{"a":[1]},"groupRetryPolicy":{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":1,"later":true}}}"#;
    let group = SubscriptionGroupConfig::decode(json.as_bytes()).unwrap();
    assert_eq!((group.retry_max_times, group.retry_queue_nums), (3, 1));
    let policy = group
        .group_retry_policy
        .exponential_retry_policy
        .as_ref()
        .unwrap();
    assert_eq!((policy.initial_ms, policy.max_ms), (1, 7_200_000));
    let written = text(group.encode());
    assert!(written.contains(r#""newThing":{"a":[1]}"#), "{written}");
    assert!(written.contains(r#""later":true"#), "{written}");
    assert_eq!(
        SubscriptionGroupConfig::decode(written.as_bytes()),
        Ok(group)
    );
}

#[test]
fn default_groups_are_written_as_java_writes_them() {
    assert_eq!(
        text(SubscriptionGroupConfig::new("g").encode()),
        r#"{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"g","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}"#
    );
}

#[test]
fn offset_files_have_the_shape_of_javas() {
    let table = ConsumerOffsetTable::decode(
        br#"{"dataVersion":{"counter":1},"groupTopicMap":{"x":["y"]},"offsetTable":{"T@g":{0:10,1:5},"U@g":{0:1}}}"#,
    )
    .unwrap();
    assert_eq!(table.offsets["T@g"][&1], 5);
    assert_eq!(
        text(table.encode_file()),
        "{
\t\"dataVersion\":{
\t\t\"counter\":1,
\t\t\"stateVersion\":0,
\t\t\"timestamp\":0
\t},
\t\"groupTopicMap\":{
\t\t\"g\":[\"T\",\"U\"]
\t},
\t\"offsetTable\":{
\t\t\"T@g\":{0:10,1:5
\t\t},
\t\t\"U@g\":{0:1
\t\t}
\t}
}"
    );
    let delays = DelayOffsetTable::decode(br#"{"offsetTable":{1:10,"3":5}}"#).unwrap();
    assert_eq!(delays.offsets.len(), 2);
}

#[test]
fn small_bodies_have_the_shape_of_javas() {
    let list = TopicList {
        broker_addr: None,
        topics: ["T".to_owned()].into(),
    };
    assert_eq!(text(list.encode()), r#"{"topicList":["T"]}"#);
    let reset = ResetOffset {
        offsets: vec![(queue(0), 7), (queue(1), 8)],
    };
    let json = text(reset.encode());
    assert_eq!(
        json,
        r#"{"offsetTable":{{"brokerName":"b-a","queueId":0,"topic":"T"}:7,{"brokerName":"b-a","queueId":1,"topic":"T"}:8}}"#
    );
    assert_eq!(ResetOffset::decode(json.as_bytes()), Ok(reset));
    let clients = ConsumerConnection {
        connections: vec![Connection {
            language: Language::GO,
            ..Connection::default()
        }],
        ..ConsumerConnection::default()
    };
    let json = text(clients.encode());
    assert!(json.contains(r#""language":"GO""#), "{json}");
    assert_eq!(ConsumerConnection::decode(json.as_bytes()), Ok(clients));
}

#[test]
fn group_tables_read_back() {
    let mut table = GroupTable::default();
    table
        .groups
        .insert("g".into(), SubscriptionGroupConfig::new("g"));
    table
        .forbidden
        .entry("g".into())
        .or_default()
        .insert("T".into(), 4);
    table.data_version.advance(5);
    assert_eq!(table.data_version.counter, 1);
    assert_eq!(GroupTable::decode(&table.encode_file()), Ok(table.clone()));
    assert_eq!(GroupTable::decode(&table.encode_wire()), Ok(table));
}
