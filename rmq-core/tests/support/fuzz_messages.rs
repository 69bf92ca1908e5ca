//! The targets of messages and bodies; see `fuzz_bodies.rs`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;

use bytes::Bytes;
use rmq_core::protocol::body::cluster::ClusterInfo;
use rmq_core::protocol::body::connection::ConsumerConnection;
use rmq_core::protocol::body::consume_stats::ConsumeStatsList;
use rmq_core::protocol::body::consumer_status::ConsumerStatus;
use rmq_core::protocol::body::group::GroupTable;
use rmq_core::protocol::body::heartbeat::HeartbeatData;
use rmq_core::protocol::body::lock::LockRequest;
use rmq_core::protocol::body::offset::ConsumerOffsetTable;
use rmq_core::protocol::body::register::RegisterBrokerBody;
use rmq_core::protocol::body::reset_offset::ResetOffset;
use rmq_core::protocol::body::route::TopicRouteData;
use rmq_core::protocol::body::topic::TopicAndMappingTable;
use rmq_core::protocol::filter::sql::{Selector, SelectorLimits};
use rmq_core::protocol::json::{self, Flavour, Json};
use rmq_core::protocol::message::batch::{Batch, BatchMessage};
use rmq_core::protocol::message::compress;
use rmq_core::protocol::message::properties::{self, Properties, Scanned};
use rmq_core::protocol::message::record::{
    CheckLevel, Checked, MAGIC_V1, MAX_TOPIC_LEN_V1, NewRecord, Place, RecordRef, Records,
    StageOptions, body_crc,
};
use rmq_core::protocol::message::user::{ReceivedMessages, property_map, property_text};
use rmq_core::protocol::version;
use serde::Serialize;
use serde::de::DeserializeOwned;

const INFLATED_MAX_BYTES: usize = 1 << 16;

/// A log: every record in it, and the one at its start by every level of checks.
pub(crate) fn record(bytes: &[u8]) {
    use CheckLevel::{AllCrc, BodyCrc, Bounds, Exact};
    let mut passed = true;
    for level in [Bounds, Exact, BodyCrc, AllCrc] {
        let checked = RecordRef::check(bytes, level);
        assert!(
            passed || checked.is_err(),
            "a stricter check passes what a looser one refuses"
        );
        passed = checked.is_ok();
        if let Ok(Checked::Record(record)) = checked {
            read_record(&record);
            if level == AllCrc {
                encodes_again(&record);
            }
        }
    }
    let whole: usize = Records::new(bytes, Bounds)
        .map_while(Result::ok)
        .map(|record| record.len())
        .sum();
    assert!(whole <= bytes.len());
    let received = ReceivedMessages::new(Bytes::copy_from_slice(bytes), Bounds, INFLATED_MAX_BYTES);
    for message in received.flatten() {
        assert!(message.message.body.len() <= bytes.len().max(INFLATED_MAX_BYTES));
        assert!(!message.msg_id().is_empty());
        let _ = message.unwrap_batch();
    }
}

fn read_record(record: &RecordRef<'_>) {
    assert!(record.body().len() + record.topic_bytes().len() < record.len());
    for property in record.properties() {
        assert!(
            record
                .property(&String::from_utf8_lossy(property.name))
                .is_some()
                || !is_utf8(property.name)
        );
    }
    let _ = (
        record.tags(),
        record.keys(),
        record.uniq_key(),
        record.queue_id(),
        record.flag(),
    );
}

fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// A record that could have come from this encoder comes out of it again, byte for byte.
fn encodes_again(record: &RecordRef<'_>) {
    let Ok(topic) = std::str::from_utf8(record.topic_bytes()) else {
        return;
    };
    let new = NewRecord {
        topic,
        queue_id: record.queue_id(),
        flag: record.flag(),
        sys_flag: record.sys_flag(),
        born_timestamp_ms: record.born_timestamp_ms(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_transaction_offset: record.prepared_transaction_offset(),
        body: record.body(),
        properties: record.properties_bytes(),
        extra_properties: b"",
    };
    let place = Place {
        queue_offset: record.queue_offset(),
        physical_offset: record.physical_offset(),
        store_timestamp_ms: record.store_timestamp_ms(),
    };
    let mut again = Vec::new();
    new.encode(&StageOptions::default(), &place, &mut again)
        .expect("it fits, as it did before");
    let Ok(Checked::Record(read)) = RecordRef::check(&again, CheckLevel::AllCrc) else {
        panic!("our own record is sound");
    };
    assert_eq!((read.topic(), read.body()), (record.topic(), record.body()));
    assert_eq!(read.properties_bytes(), record.properties_bytes());
    assert_eq!(
        read.born_host().ip().to_canonical(),
        record.born_host().ip().to_canonical()
    );
    // Apache picks the version by the length, writes true sums, and leaves no part of a port out.
    let canonical = |host: SocketAddr| host.ip() == host.ip().to_canonical();
    let usual = (record.magic() == MAGIC_V1) == (topic.len() <= MAX_TOPIC_LEN_V1)
        && record.body_crc() == body_crc(record.body())
        && canonical(record.born_host())
        && canonical(record.store_host());
    if usual && again.len() == record.len() {
        let differing = again
            .iter()
            .zip(record.bytes())
            .filter(|(a, b)| a != b)
            .count();
        // The upper halves of the two ports, which are no part of an address.
        assert!(differing <= 4, "{differing} bytes differ");
    }
}

/// A property text, against a plain reading of it.
pub(crate) fn properties(bytes: &[u8]) {
    let mut model: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
    for segment in bytes.split(|&b| b == 2) {
        let mut halves = segment.splitn(2, |&b| b == 1);
        if let (Some(name), Some(value)) = (halves.next(), halves.next())
            && !name.is_empty()
            && !value.is_empty()
        {
            model.insert(name, value);
        }
    }
    let read: BTreeMap<&[u8], &[u8]> = Properties::new(bytes).map(|p| (p.name, p.value)).collect();
    assert_eq!(read, model);
    let scan = properties::scan(bytes);
    for &scanned in Scanned::ALL {
        let want = model.get(scanned.name().as_bytes()).copied();
        assert_eq!(scan.get(scanned), want);
        assert_eq!(properties::find(bytes, scanned.name()), want);
    }
    for name in model
        .keys()
        .filter_map(|name| std::str::from_utf8(name).ok())
    {
        let mut without = Vec::new();
        assert!(properties::remove(bytes, name, &mut without));
        let mut rest = model.clone();
        rest.remove(name.as_bytes());
        let left: BTreeMap<&[u8], &[u8]> = Properties::new(&without)
            .map(|p| (p.name, p.value))
            .collect();
        assert_eq!(left, rest);
    }
    if is_utf8(bytes) {
        let map = property_map(bytes);
        let text = property_text(&map).expect("what was read can be written");
        assert_eq!(property_map(&text), map);
    }
}

/// The body of a batch.
pub(crate) fn batch(bytes: &[u8]) {
    let messages: Vec<BatchMessage<'_>> = Batch::new(bytes).map_while(Result::ok).collect();
    let whole: usize = messages.iter().map(BatchMessage::encoded_len).sum();
    assert!(whole <= bytes.len());
    assert_eq!(Batch::count(&bytes[..whole]), Ok(messages.len()));
    assert_eq!(Batch::count(bytes).is_ok(), whole == bytes.len());
    let mut again = Vec::new();
    for message in &messages {
        message
            .encode(&mut again)
            .expect("it fits, as it did before");
    }
    assert_eq!(
        Batch::new(&again).collect::<Result<Vec<_>, _>>(),
        Ok(messages)
    );
}

/// A text of unknown shape: what was read is written in every flavour and read again the same.
pub(crate) fn json(bytes: &[u8]) {
    let Ok(tree) = Json::parse(bytes) else { return };
    let text = json::to_text(&tree, Flavour::Fastjson);
    let once = Json::parse(text.as_bytes()).expect("our own text is read");
    // Nulls are not written; after that nothing changes any more.
    assert_eq!(json::to_text(&once, Flavour::Fastjson), text);
    let pretty = json::to_text(&once, Flavour::Pretty);
    assert_eq!(Json::parse(pretty.as_bytes()), Ok(once.clone()));
    let standard = json::to_text(&once, Flavour::Standard);
    assert!(standard.is_ascii());
    let strict = serde_json::from_str::<serde_json::Value>(&standard);
    assert!(strict.is_ok(), "{standard} is not standard");
}

fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = json::from_slice::<T>(bytes) else {
        return;
    };
    for flavour in [Flavour::Fastjson, Flavour::Pretty] {
        let written = json::to_vec(&value, flavour);
        assert_eq!(json::from_slice::<T>(&written).as_ref(), Ok(&value));
    }
    // Bare keys inside members that a type does not know become strings.
    let standard = json::to_vec(&value, Flavour::Standard);
    let read = json::from_slice::<T>(&standard).expect("our own text is read");
    assert_eq!(json::to_vec(&read, Flavour::Standard), standard);
}

/// A text read as the bodies that peers and files bring.
pub(crate) fn body(bytes: &[u8]) {
    survives::<ClusterInfo>(bytes);
    survives::<ConsumeStatsList>(bytes);
    survives::<ConsumerConnection>(bytes);
    survives::<ConsumerOffsetTable>(bytes);
    survives::<ConsumerStatus>(bytes);
    survives::<GroupTable>(bytes);
    survives::<HeartbeatData>(bytes);
    survives::<LockRequest>(bytes);
    survives::<ResetOffset>(bytes);
    survives::<TopicAndMappingTable>(bytes);
    survives::<TopicRouteData>(bytes);
    survives::<RegisterBrokerBody>(bytes);
}

/// The inside of a compressed registration.
pub(crate) fn register(bytes: &[u8]) {
    // As it comes, and with the compression that a fuzzer would not find.
    let _ = RegisterBrokerBody::decode_request(bytes, true, version::CURRENT, INFLATED_MAX_BYTES);
    let deflated = compress::deflate(bytes, 1);
    for broker_version in [version::V4_9_8, version::CURRENT] {
        let read =
            RegisterBrokerBody::decode_request(&deflated, true, broker_version, INFLATED_MAX_BYTES);
        if let Ok(read) = read {
            let again = RegisterBrokerBody::decode_request(
                &read.encode_compressed(),
                true,
                version::CURRENT,
                usize::MAX,
            );
            assert_eq!(again.as_ref(), Ok(&read));
        }
    }
}

pub(crate) fn record_seeds() -> Vec<Vec<u8>> {
    let hosts = ["10.1.2.3:5", "[2001:db8::9]:10911"].map(|host| host.parse().expect("a host"));
    let mut seeds = Vec::new();
    let mut log = Vec::new();
    for (born_host, store_host) in [
        (hosts[0], hosts[0]),
        (hosts[1], hosts[0]),
        (hosts[1], hosts[1]),
    ] {
        for topic in ["T".to_owned(), "t".repeat(128)] {
            let deflated = compress::deflate(b"a body, a body, a body", 5);
            for (body, sys_flag) in [(b"plain".to_vec(), 0), (deflated, 0x301)] {
                let new = NewRecord {
                    topic: &topic,
                    queue_id: 3,
                    flag: 1,
                    sys_flag,
                    born_timestamp_ms: 1_795_357_533_837,
                    born_host,
                    store_host,
                    reconsume_times: 0,
                    prepared_transaction_offset: 0,
                    body: &body,
                    properties: b"TAGS\x01a\x02KEYS\x01k1 k2\x02",
                    extra_properties: b"UNIQ_KEY\x017F00000100002A9F0000000000000003\x02",
                };
                let mut one = Vec::new();
                let options = StageOptions {
                    append_crc: topic.len() > 1,
                    ..StageOptions::default()
                };
                new.encode(&options, &Place::default(), &mut one)
                    .expect("it fits");
                log.extend_from_slice(&one);
                seeds.push(one);
            }
        }
    }
    seeds.push(log);
    seeds.push([0, 0, 16, 0, 0xcb, 0xd4, 0x31, 0x94, 0, 0].to_vec());
    seeds
}

pub(crate) fn properties_seeds() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for scanned in Scanned::ALL {
        all.extend_from_slice(scanned.name().as_bytes());
        all.extend_from_slice(b"\x01value\x02");
    }
    vec![
        all,
        b"a\x011\x02a\x012\x02b\x013".to_vec(),
        b"\x01\x02\x01\x01\x02x".to_vec(),
    ]
}

pub(crate) fn batch_seeds() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut seeds = Vec::new();
    for (flag, body) in [(0, b"one".as_slice()), (7, b""), (-1, b"three")] {
        let properties = b"UNIQ_KEY\x01x\x02";
        BatchMessage {
            flag,
            body,
            properties,
        }
        .encode(&mut out)
        .expect("it fits");
        seeds.push(out.clone());
    }
    seeds
}

pub(crate) fn json_seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":[1,-2.5e3,"x\u4e2d\ud83d\ude00\n",true,null],{"k":1}:{},7:"seven",'s':"t"}"#,
        r#"{/*c*/a:undefined,,"b":+5L,"c":Set[1,2],"d":NaN;"e":[[[]]]} // end"#,
        r#"{"a":[{"k":[1]}],"b":{"$ref":"$.a[0].k"},"c":{"$ref":"$.b"}}"#,
        r#"{"a":1,"a":{"a":2,"b":null},"{\"q\":1}":9223372036854775808}"#,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn body_seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"brokerDatas":[{"brokerAddrs":{0:"1.1.1.1:10911","1":"x"},"brokerName":"b","cluster":"c","enableActingMaster":"true","zoneName":null}],"filterServerTable":{"a":["f"]},"orderTopicConf":"b:8","queueDatas":[{"brokerName":"b","perm":"6","readQueueNums":4,"topicSynFlag":1,"writeQueueNums":8.0}]}"#,
        r#"{"clientID":"id","consumerDataSet":[{"consumeFromWhere":4,"consumeType":"CONSUME_POP","groupName":"g","messageModel":"CLUSTERING","subscriptionDataSet":[{"codeSet":["2112",65],"subString":"Aa||A","subVersion":"5","tagsSet":["Aa"],"topic":"T"}]}],"heartbeatFingerprint":-5,"producerDataSet":{"groupName":"p"},"withoutSub":1}"#,
        r#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":5},"forbiddenTable":{"g":{"T":4}},"subscriptionGroupTable":{"g":{"groupName":"g","groupRetryPolicy":{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":1}},"subscriptionDataSet":[{"topic":"T"}],"newer":{"x":[1]}}}}"#,
        r#"{"consumeTps":1.0E7,"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:{"brokerOffset":5},"{\"brokerName\":\"b\",\"queueId\":2,\"topic\":\"T\"}":{}}}"#,
        r#"{"filterServerList":["f"],"topicConfigSerializeWrapper":{"dataVersion":{"counter":7},"topicConfigTable":{"T":{"attributes":{"a":"b"},"perm":6,"topicFilterType":"MULTI_TAG","topicName":"T","later":1}},"topicQueueMappingDetailMap":{"T":{"hostedQueues":{0:[{"gen":1}]}}},"topicQueueMappingInfoMap":{"T":{"currIdMap":{0:0}}}}}"#,
        r#"{"clientId":"c","consumerGroup":"g","mqSet":[{"brokerName":"b","queueId":"3","topic":"T"}],"offsetTable":{"T@g":{0:3,"1":4}}}"#,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn register_seeds() -> Vec<Vec<u8>> {
    body_seeds()
        .iter()
        .filter_map(|text| RegisterBrokerBody::decode(text).ok())
        .map(|body| body.encode_compressed())
        .filter_map(|bytes| compress::inflate(&bytes, INFLATED_MAX_BYTES).ok())
        .collect()
}

/// An expression and, behind a zero, the properties of a message: an expression that is read
/// prints as a text that reads back as itself, and says the same.
pub(crate) fn selector(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let properties = parts.next().unwrap_or_default();
    let limits = SelectorLimits::default();
    match Selector::parse(&text, &limits) {
        Ok(selector) => {
            // Printing puts every operator into parentheses.
            let roomy = SelectorLimits {
                max_bytes: 10 * limits.max_bytes,
                max_depth: 2 * limits.max_depth,
                ..limits
            };
            let again = Selector::parse(&selector.to_string(), &roomy).expect("it reads back");
            assert_eq!(again.to_string(), selector.to_string());
            assert_eq!(again.evaluate(properties), selector.evaluate(properties));
            let read = selector.unread_from().map_or(&*text, |end| &text[..end]);
            assert_eq!(
                Selector::parse(read, &limits).map(|one| one.to_string()),
                Ok(selector.to_string())
            );
        }
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.position)),
    }
}

/// Expressions with every operator.
pub(crate) fn selector_seeds() -> Vec<Vec<u8>> {
    [
        "a = 1 AND NOT b <> 'it''s' OR c IS NOT NULL\0a\u{1}1\u{2}b\u{1}x\u{2}",
        "(a BETWEEN -1.5e3 AND 9L) = TRUE and d is null\0a\u{1} 0x1p3 \u{2}",
        "a IN ('x', 'y') OR a NOT IN ('z') -- no\n AND b NOT CONTAINS 'c'\0b\u{1}abc",
        "a STARTSWITH 'x' or /* c */ b >= + .5 or - c < a or b NOT ENDSWITH 'q'\0c\u{1}7",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
