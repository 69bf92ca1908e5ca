//! Messages that are sent back, sent again and given up, over a broker's sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeMap;
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw::{self, SendReceipt};
use rmq_core::embed::{Broker, BrokerConfig, ServerSettings, Storage};
use rmq_core::net::Client;
use rmq_core::protocol::body::group::SubscriptionGroupConfig;
use rmq_core::protocol::body::lock::{LockRequest, LockResponse};
use rmq_core::protocol::body::message_queue::MessageQueue;
use rmq_core::protocol::body::topic::TopicConfig;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::properties::names;
use rmq_core::protocol::message::record::{CheckLevel, RecordRef, Records};
use rmq_core::protocol::message::user::{PropertyMap, property_map};
use rmq_core::protocol::request::query::SendMessageBackRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::protocol::request::topic::GetTopicConfigRequest;
use rmq_core::protocol::version;

const TOPIC: &str = "orders";
const GROUP: &str = "workers";
const LONG: Duration = Duration::from_secs(20);

struct Fixture {
    broker: Broker,
    client: Client,
    address: String,
    _storage: Storage,
}

/// A message as it lies in a queue.
#[derive(Clone, Debug)]
struct Found {
    physical_offset: i64,
    reconsume_times: i32,
    queue_id: i32,
    body: Vec<u8>,
    properties: PropertyMap,
}

impl Found {
    fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str)
    }
}

impl Fixture {
    /// Retries come at once: every level but the last takes no time.
    fn new(keys: &[(&str, &str)]) -> Self {
        let storage = Storage::temporary().unwrap();
        let defaults = BrokerConfig::embedded_defaults(storage.path().to_string_lossy());
        let mut properties = defaults.to_properties();
        properties.set("messageDelayLevel", "0s 0s 0s 0s 0s 1h");
        for (key, value) in keys {
            properties.set(*key, *value);
        }
        let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
        let broker = Broker::start(config).unwrap();
        let address = broker.address().to_string();
        let client = peer::client();
        raw::create_topic(&client, &address, TOPIC, 1, peer::ANSWER).unwrap();
        let fixture = Self {
            broker,
            client,
            address,
            _storage: storage,
        };
        // The group that looks at queues; it may be one that is not made by itself.
        fixture.put_group(&SubscriptionGroupConfig::new("test-consumer"));
        fixture
    }

    fn call(&self, request: Command) -> Command {
        self.client
            .call(&self.address, request, peer::ANSWER)
            .unwrap()
    }

    fn send(&self, body: &str) -> SendReceipt {
        let properties = "TAGS\u{1}red\u{2}KEYS\u{1}k1\u{2}WAIT\u{1}true\u{2}";
        let header = SendRequest {
            properties: Some(properties),
            ..peer::message(TOPIC, 0)
        };
        self.try_send(&header, body).unwrap()
    }

    fn try_send(
        &self,
        header: &SendRequest<'_>,
        body: &str,
    ) -> rmq_core::base::Result<SendReceipt> {
        let body = body.as_bytes().to_vec();
        raw::send(
            &self.client,
            &self.address,
            header,
            body.into(),
            peer::ANSWER,
        )
    }

    fn put_group(&self, group: &SubscriptionGroupConfig) {
        let mut request = Command::bare_request(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP);
        request.body = group.encode().into();
        assert_eq!(self.call(request).response_code(), ResponseCode::SUCCESS);
    }

    fn topic(&self, topic: &str) -> Option<TopicConfig> {
        let header = GetTopicConfigRequest {
            topic: topic.to_owned(),
        };
        let reply = self.call(Command::request(RequestCode::GET_TOPIC_CONFIG, &header));
        let found = reply.response_code() == ResponseCode::SUCCESS;
        found.then(|| TopicConfig::decode(&reply.body).unwrap())
    }

    fn queue(&self, topic: &str, queue_id: i32) -> Vec<Found> {
        let mut found = Vec::new();
        let end = raw::max_offset(&self.client, &self.address, topic, queue_id, peer::ANSWER);
        let mut at = 0;
        while at < end.as_ref().copied().unwrap_or(0) {
            let pull = peer::pull_from(topic, queue_id, at);
            let reply = raw::pull(&self.client, &self.address, &pull, peer::ANSWER).unwrap();
            for record in Records::new(&reply.records, CheckLevel::AllCrc) {
                let record: RecordRef<'_> = record.unwrap();
                assert_eq!(record.topic(), topic);
                at += 1;
                found.push(Found {
                    physical_offset: record.physical_offset(),
                    reconsume_times: record.reconsume_times(),
                    queue_id: record.queue_id(),
                    body: record.body().to_vec(),
                    properties: property_map(record.properties_bytes()),
                });
            }
        }
        found
    }

    /// Everything of a topic once it has so many messages.
    fn await_queue(&self, topic: &str, count: usize) -> Vec<Found> {
        let clock = SystemClock::new();
        loop {
            let queues = self.topic(topic).map_or(0, |topic| topic.read_queue_nums);
            let found: Vec<_> = (0..queues).flat_map(|id| self.queue(topic, id)).collect();
            if found.len() >= count {
                assert_eq!(found.len(), count, "{found:?}");
                return found;
            }
            assert!(
                clock.monotonic() < LONG,
                "{topic} has {} messages",
                found.len()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn send_back(&self, header: &SendMessageBackRequest) -> Command {
        self.call(Command::request(
            RequestCode::CONSUMER_SEND_MSG_BACK,
            header,
        ))
    }

    fn code_of_back(&self, header: &SendMessageBackRequest) -> ResponseCode {
        self.send_back(header).response_code()
    }
}

fn back(physical_offset: i64) -> SendMessageBackRequest {
    SendMessageBackRequest {
        physical_offset,
        group: GROUP.to_owned(),
        delay_level: 0,
        origin_msg_id: None,
        origin_topic: Some(TOPIC.to_owned()),
        unit_mode: false,
        max_reconsume_times: Some(16),
    }
}

fn retry() -> String {
    format!("%RETRY%{GROUP}")
}

fn dead() -> String {
    format!("%DLQ%{GROUP}")
}

#[test]
fn a_message_sent_back_comes_again_and_keeps_its_origin() {
    for flush in ["ASYNC_FLUSH", "SYNC_FLUSH"] {
        let fixture = Fixture::new(&[("flushDiskType", flush)]);
        let receipt = fixture.send("first");
        let first = fixture.queue(TOPIC, 0).remove(0);
        assert_eq!(
            fixture.code_of_back(&back(first.physical_offset)),
            ResponseCode::SUCCESS
        );
        let mut last = fixture.await_queue(&retry(), 1).remove(0);
        for times in 1..=3 {
            assert_eq!(last.reconsume_times, times);
            assert_eq!(last.body, b"first");
            for (name, value) in [
                (names::RETRY_TOPIC, TOPIC),
                (names::ORIGIN_MESSAGE_ID, &receipt.msg_id),
                (names::REAL_TOPIC, &retry()),
                (names::REAL_QUEUE_ID, "0"),
                (names::WAIT, "false"),
                (names::TAGS, "red"),
                (names::KEYS, "k1"),
            ] {
                assert_eq!(last.property(name), Some(value), "{name} of try {times}");
            }
            assert_eq!(
                last.property(names::UNIQ_KEY),
                first.property(names::UNIQ_KEY)
            );
            let header = back(last.physical_offset);
            assert_eq!(fixture.code_of_back(&header), ResponseCode::SUCCESS);
            if times < 3 {
                last = fixture.await_queue(&retry(), 1 + usize::try_from(times).unwrap())
                    [usize::try_from(times).unwrap()]
                .clone();
            }
        }
        // The fourth try waits an hour: level 3 and one more each time.
        assert_eq!(fixture.queue("SCHEDULE_TOPIC_XXXX", 5).len(), 1);
        assert_eq!(fixture.await_queue(&retry(), 3).len(), 3);
        let topic = fixture.topic(&retry()).unwrap();
        assert_eq!((topic.read_queue_nums, topic.write_queue_nums), (1, 1));
        assert_eq!((topic.perm, topic.topic_sys_flag), (6, 0));
        fixture.broker.close(LONG).unwrap();
    }
}

#[test]
fn the_delay_level_may_be_chosen_and_retries_spread_over_the_groups_queues() {
    let fixture = Fixture::new(&[]);
    fixture.put_group(&SubscriptionGroupConfig {
        retry_queue_nums: 3,
        ..SubscriptionGroupConfig::new(GROUP)
    });
    for number in 0..9 {
        fixture.send(&number.to_string());
    }
    for found in fixture.queue(TOPIC, 0) {
        let header = SendMessageBackRequest {
            delay_level: 1,
            unit_mode: true,
            ..back(found.physical_offset)
        };
        assert_eq!(fixture.code_of_back(&header), ResponseCode::SUCCESS);
    }
    let mut by_queue = BTreeMap::new();
    for found in fixture.await_queue(&retry(), 9) {
        *by_queue.entry(found.queue_id).or_insert(0) += 1;
    }
    assert_eq!(by_queue, BTreeMap::from([(0, 3), (1, 3), (2, 3)]));
    assert_eq!(fixture.topic(&retry()).unwrap().topic_sys_flag, 2);
    let last = fixture.queue(TOPIC, 0).remove(8);
    let header = SendMessageBackRequest {
        delay_level: 99,
        ..back(last.physical_offset)
    };
    assert_eq!(fixture.code_of_back(&header), ResponseCode::SUCCESS);
    let waiting = fixture.queue("SCHEDULE_TOPIC_XXXX", 5);
    assert_eq!(waiting[0].property(names::DELAY), Some("6"));
}

#[test]
fn after_enough_tries_a_message_is_a_dead_letter() {
    let fixture = Fixture::new(&[]);
    fixture.put_group(&SubscriptionGroupConfig {
        retry_max_times: 1,
        ..SubscriptionGroupConfig::new(GROUP)
    });
    let receipt = fixture.send("x");
    let first = fixture.queue(TOPIC, 0).remove(0);
    let by_group = |physical_offset| SendMessageBackRequest {
        max_reconsume_times: None,
        ..back(physical_offset)
    };
    let header = by_group(first.physical_offset);
    assert_eq!(fixture.code_of_back(&header), ResponseCode::SUCCESS);
    let second = fixture.await_queue(&retry(), 1).remove(0);
    let header = by_group(second.physical_offset);
    assert_eq!(fixture.code_of_back(&header), ResponseCode::SUCCESS);
    let letter = fixture.await_queue(&dead(), 1).remove(0);
    assert_eq!(letter.reconsume_times, 2);
    assert_eq!(letter.body, b"x");
    assert_eq!(letter.property(names::RETRY_TOPIC), Some(TOPIC));
    assert_eq!(letter.property(names::DELAY), Some("0"));
    assert_eq!(
        letter.property(names::ORIGIN_MESSAGE_ID),
        Some(&*receipt.msg_id)
    );
    let topic = fixture.topic(&dead()).unwrap();
    assert_eq!((topic.read_queue_nums, topic.perm), (1, 6));

    // What a client says counts more, if it is new enough to say it.
    let mut request = Command::request(
        RequestCode::CONSUMER_SEND_MSG_BACK,
        &back(second.physical_offset),
    );
    request.version = version::V3_4_9;
    assert_eq!(
        fixture.call(request.clone()).response_code(),
        ResponseCode::SUCCESS
    );
    assert_eq!(fixture.await_queue(&retry(), 2)[1].reconsume_times, 2);
    request.version = version::V3_4_9 - 1;
    assert_eq!(fixture.call(request).response_code(), ResponseCode::SUCCESS);
    fixture.await_queue(&dead(), 2);

    // And it may give a message up at once.
    let header = SendMessageBackRequest {
        delay_level: -1,
        ..back(first.physical_offset)
    };
    assert_eq!(fixture.code_of_back(&header), ResponseCode::SUCCESS);
    assert_eq!(fixture.await_queue(&dead(), 3)[2].reconsume_times, 1);
}

#[test]
fn what_cannot_be_sent_back_is_refused() {
    let fixture = Fixture::new(&[("autoCreateSubscriptionGroup", "false")]);
    fixture.send("x");
    let offset = fixture.queue(TOPIC, 0)[0].physical_offset;
    assert_eq!(
        fixture.code_of_back(&back(offset)),
        ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST
    );
    fixture.put_group(&SubscriptionGroupConfig::new(GROUP));
    for nowhere in [-1, offset + 1, offset + 1_000_000, i64::MAX, i64::MIN] {
        let reply = fixture.send_back(&back(nowhere));
        assert_eq!(reply.response_code(), ResponseCode::SYSTEM_ERROR);
        assert!(reply.remark.unwrap().contains(&nowhere.to_string()));
    }
    raw::create_topic(&fixture.client, &fixture.address, &retry(), 1, peer::ANSWER).unwrap();
    set_perm(&fixture, &retry(), 4);
    assert_eq!(
        fixture.code_of_back(&back(offset)),
        ResponseCode::NO_PERMISSION
    );
    set_perm(&fixture, &retry(), 6);
    fixture.put_group(&SubscriptionGroupConfig {
        retry_queue_nums: 0,
        ..SubscriptionGroupConfig::new(GROUP)
    });
    assert_eq!(fixture.code_of_back(&back(offset)), ResponseCode::SUCCESS);
    assert!(fixture.queue(&retry(), 0).is_empty());
    // Without its fields.
    let bare = Command::bare_request(RequestCode::CONSUMER_SEND_MSG_BACK);
    assert_eq!(
        fixture.call(bare).response_code(),
        ResponseCode::SYSTEM_ERROR
    );

    let closed = Fixture::new(&[("brokerPermission", "4")]);
    assert_eq!(closed.code_of_back(&back(0)), ResponseCode::NO_PERMISSION);
}

fn set_perm(fixture: &Fixture, topic: &str, perm: i32) {
    use rmq_core::protocol::request::topic::CreateTopicRequest;
    let header = CreateTopicRequest {
        topic: topic.to_owned(),
        default_topic: "TBW102".to_owned(),
        read_queue_nums: 1,
        write_queue_nums: 1,
        perm,
        topic_filter_type: "SINGLE_TAG".to_owned(),
        topic_sys_flag: None,
        order: false,
        attributes: None,
        force: false,
    };
    let reply = fixture.call(Command::request(
        RequestCode::UPDATE_AND_CREATE_TOPIC,
        &header,
    ));
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS, "{reply:?}");
}

#[test]
fn a_retry_that_a_client_sends_is_held_against_the_limits() {
    let fixture = Fixture::new(&[]);
    let topic = retry();
    let header = |times, most| SendRequest {
        properties: Some("DELAY\u{1}3\u{2}RETRY_TOPIC\u{1}orders\u{2}TRAN_MSG\u{1}true\u{2}"),
        reconsume_times: times,
        max_reconsume_times: most,
        ..peer::message(&topic, 0)
    };
    fixture.try_send(&header(2, Some(2)), "again").unwrap();
    let again = fixture.await_queue(&topic, 1).remove(0);
    assert_eq!((again.reconsume_times, again.body), (2, b"again".to_vec()));
    fixture.try_send(&header(16, None), "last").unwrap();
    fixture.await_queue(&topic, 2);

    let plain = |times, most| SendRequest {
        properties: Some("DELAY\u{1}3\u{2}RETRY_TOPIC\u{1}orders\u{2}"),
        ..header(times, most)
    };
    fixture.try_send(&plain(3, Some(2)), "dead").unwrap();
    let letter = fixture.await_queue(&dead(), 1).remove(0);
    assert_eq!(
        (letter.reconsume_times, letter.body.clone()),
        (3, b"dead".to_vec())
    );
    assert_eq!(letter.property(names::DELAY), Some("-1"));
    fixture.try_send(&plain(17, None), "dead").unwrap();
    fixture.await_queue(&dead(), 2);

    // Of a group that consumes in order a retry is the end.
    let lock = LockRequest {
        consumer_group: GROUP.to_owned(),
        client_id: "c".to_owned(),
        queues: vec![MessageQueue {
            topic: TOPIC.to_owned(),
            broker_name: fixture.broker.name(),
            queue_id: 0,
        }],
        ..LockRequest::default()
    };
    let mut request = Command::bare_request(RequestCode::LOCK_BATCH_MQ);
    request.body = lock.encode().into();
    let reply = fixture.call(request);
    assert_eq!(LockResponse::decode(&reply.body).unwrap().queues.len(), 1);
    fixture.try_send(&plain(1, Some(16)), "ordered").unwrap();
    assert_eq!(fixture.await_queue(&dead(), 3)[2].body, b"ordered");
    assert_eq!(fixture.await_queue(&topic, 2).len(), 2);
}

#[test]
fn a_retry_of_an_unknown_group_is_refused() {
    let fixture = Fixture::new(&[("autoCreateSubscriptionGroup", "false")]);
    let topic = retry();
    let refused = fixture.try_send(&peer::message(&topic, 0), "x");
    let code = ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST;
    assert_eq!(
        refused.unwrap_err().kind(),
        rmq_core::base::ErrorKind::Remote(code.value())
    );
    fixture.put_group(&SubscriptionGroupConfig::new(GROUP));
    fixture.try_send(&peer::message(&topic, 0), "x").unwrap();
    assert_eq!(fixture.await_queue(&topic, 1).len(), 1);
}

#[test]
fn retries_survive_a_crash() {
    let storage = Storage::temporary().unwrap();
    let start = || {
        let defaults = BrokerConfig::embedded_defaults(storage.path().to_string_lossy());
        let mut properties = defaults.to_properties();
        properties.set("flushDiskType", "SYNC_FLUSH");
        properties.set("messageDelayLevel", "1s 1s 1s");
        let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
        Broker::start(config).unwrap()
    };
    let broker = start();
    let client = peer::client();
    let address = broker.address().to_string();
    let receipt = peer::send(&client, &address, (TOPIC, 0), "x").unwrap();
    let stored = peer::read_queue(&client, &address, TOPIC, 0).unwrap();
    assert_eq!(receipt.queue_offset, 0);
    let header = back(stored[0].physical_offset);
    let request = Command::request(RequestCode::CONSUMER_SEND_MSG_BACK, &header);
    let reply = client.call(&address, request, peer::ANSWER).unwrap();
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
    broker.kill();
    let broker = start();
    let address = broker.address().to_string();
    let clock = SystemClock::new();
    loop {
        let found = peer::read_queue(&client, &address, &retry(), 0).unwrap();
        if let Some(found) = found.first() {
            assert_eq!(found.body, b"x");
            return;
        }
        assert!(clock.monotonic() < LONG);
        std::thread::sleep(Duration::from_millis(5));
    }
}
