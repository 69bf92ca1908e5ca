//! What a broker refuses, and with which code: requests that waited too long, what is too large,
//! and what topic, group or broker do not permit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::io::Write;

use peer::{Got, connect, receive};
use rmq_core::base::ErrorKind;
use rmq_core::client::raw;
use rmq_core::embed::{Broker, BrokerConfig, ServerSettings, Storage};
use rmq_core::net::Client;
use rmq_core::protocol::body::group::SubscriptionGroupConfig;
use rmq_core::protocol::body::heartbeat::{ConsumerData, HeartbeatData, MessageModel};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::filter::tag::SubscriptionData;
use rmq_core::protocol::message::properties::PropertiesBuilder;
use rmq_core::protocol::request::pull::PullRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::protocol::request::topic::CreateTopicRequest;

const TOPIC: &str = "orders";
const GROUP: &str = "readers";
/// Values of `forbiddenType` in the answer to a pull.
const BY_BROKER: &str = "1";
const BY_GROUP: &str = "2";
const BY_TOPIC: &str = "3";
const BY_BROADCASTING: &str = "4";

struct Fixture {
    _broker: Broker,
    _storage: Storage,
    client: Client,
    address: String,
}

impl Fixture {
    fn new(keys: &[(&str, &str)]) -> Self {
        let storage = Storage::temporary().unwrap();
        let root = storage.path().to_string_lossy().into_owned();
        let mut properties = BrokerConfig::embedded_defaults(root).to_properties();
        for (key, value) in keys {
            properties.set(*key, *value);
        }
        let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
        let broker = Broker::start(config).unwrap();
        let fixture = Self {
            address: broker.address().to_string(),
            _broker: broker,
            _storage: storage,
            client: peer::client(),
        };
        fixture.put_topic(TOPIC, 6, false);
        fixture
    }

    fn call(&self, request: Command) -> Command {
        let client = &self.client;
        client.call(&self.address, request, peer::ANSWER).unwrap()
    }

    #[track_caller]
    fn done(&self, request: Command) {
        let reply = self.call(request);
        let remark = &reply.remark;
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS, "{remark:?}");
    }

    fn put_topic(&self, topic: &str, perm: i32, order: bool) {
        self.done(new_topic(topic, perm, order));
    }

    fn configure(&self, line: &str) {
        let request = Command::bare_request(RequestCode::UPDATE_BROKER_CONFIG);
        self.done(request.with_body(line.as_bytes().to_vec()));
    }

    /// The answer's code, 0 when it was taken.
    fn send(&self, header: &SendRequest<'_>, body: Vec<u8>) -> ResponseCode {
        match raw::send(
            &self.client,
            &self.address,
            header,
            body.into(),
            peer::ANSWER,
        ) {
            Ok(_) => ResponseCode::SUCCESS,
            Err(error) => match error.kind() {
                ErrorKind::Remote(code) => ResponseCode::new(code),
                _ => panic!("{error}"),
            },
        }
    }

    fn send_to(&self, topic: &str) -> ResponseCode {
        self.send(&peer::message(topic, 0), b"x".to_vec())
    }

    /// The answer's code and why it is forbidden.
    fn pull(&self, header: &PullRequest<'_>) -> (ResponseCode, Option<String>) {
        let reply = self.call(Command::request(RequestCode::PULL_MESSAGE, header));
        let why = reply.ext.get("forbiddenType").map(str::to_owned);
        (reply.response_code(), why)
    }

    fn heartbeat(&self, model: MessageModel) {
        let data = HeartbeatData {
            client_id: "client".to_owned(),
            consumers: vec![ConsumerData {
                group_name: GROUP.to_owned(),
                message_model: model,
                subscriptions: vec![SubscriptionData {
                    topic: TOPIC.to_owned(),
                    sub_string: "*".to_owned(),
                    sub_version: 1,
                    ..SubscriptionData::default()
                }],
                ..ConsumerData::default()
            }],
            ..HeartbeatData::default()
        };
        let request = Command::bare_request(RequestCode::HEART_BEAT);
        self.done(request.with_body(data.encode()));
    }

    fn put_group(&self, change: impl FnOnce(&mut SubscriptionGroupConfig)) {
        let mut group = SubscriptionGroupConfig::new(GROUP);
        change(&mut group);
        let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
        self.done(Command::bare_request(code).with_body(group.encode()));
    }
}

fn new_topic(topic: &str, perm: i32, order: bool) -> Command {
    let header = CreateTopicRequest {
        topic: topic.to_owned(),
        default_topic: "TBW102".to_owned(),
        read_queue_nums: 1,
        write_queue_nums: 1,
        perm,
        topic_filter_type: "SINGLE_TAG".to_owned(),
        topic_sys_flag: Some(0),
        order,
        attributes: None,
        force: false,
    };
    Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC, &header)
}

fn forbidden(why: &str) -> (ResponseCode, Option<String>) {
    (ResponseCode::NO_PERMISSION, Some(why.to_owned()))
}

/// Requests that came while the control thread was at work on others for longer than they may
/// wait are refused and not done.
#[test]
fn requests_that_waited_too_long_are_refused() {
    const COUNT: i32 = 200;
    let fixture = Fixture::new(&[("waitTimeMillsInAdminBrokerQueue", "20")]);
    let make = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
    // Each group is on the disk before the next one is begun.
    let ask = |name: &str| {
        let mut stream = connect(&fixture.address);
        let mut bytes = Vec::new();
        for number in 0..COUNT {
            let group = SubscriptionGroupConfig::new(format!("{name}{number}"));
            let mut request = Command::bare_request(make).with_body(group.encode());
            request.opaque = number;
            request.encode(&mut bytes);
        }
        stream.write_all(&bytes).unwrap();
        let mut busy = Vec::new();
        for _ in 0..COUNT {
            let Got::Frame(reply) = receive(&mut stream) else {
                panic!("a request was not answered");
            };
            if reply.response_code() == ResponseCode::SYSTEM_BUSY {
                let remark = reply.remark.clone().unwrap();
                let start = "[TIMEOUT_CLEAN_QUEUE]broker busy, start flow control for a while, \
                             period in queue: ";
                assert!(remark.starts_with(start), "{remark}");
                busy.push(reply.opaque);
            } else {
                assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
            }
        }
        busy
    };
    let busy = ask("g");
    assert!(!busy.is_empty(), "all were done in time");
    let patient = |request: fn() -> Command| loop {
        let reply = fixture.call(request());
        if reply.response_code() != ResponseCode::SYSTEM_BUSY {
            assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
            return reply;
        }
    };
    let all = || Command::bare_request(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG);
    let table = String::from_utf8(patient(all).body.to_vec()).unwrap();
    for number in 0..COUNT {
        let exists = table.contains(&format!("\"g{number}\""));
        assert_eq!(exists, !busy.contains(&number), "g{number}");
    }
    patient(|| {
        let request = Command::bare_request(RequestCode::UPDATE_BROKER_CONFIG);
        request.with_body(&b"brokerFastFailureEnable=false"[..])
    });
    assert_eq!(ask("h"), []);
}

#[test]
fn messages_that_are_too_large_are_illegal() {
    let fixture = Fixture::new(&[("maxMessageSize", "100000")]);
    let plain = peer::message(TOPIC, 0);
    assert_eq!(
        fixture.send(&plain, vec![1; 100_000]),
        ResponseCode::SUCCESS
    );
    assert_eq!(
        fixture.send(&plain, vec![1; 100_001]),
        ResponseCode::MESSAGE_ILLEGAL
    );
    assert_eq!(fixture.send(&plain, vec![]), ResponseCode::MESSAGE_ILLEGAL);
    for (len, code) in [
        (32_000, ResponseCode::SUCCESS),
        (32_768, ResponseCode::MESSAGE_ILLEGAL),
    ] {
        let mut properties = PropertiesBuilder::default();
        properties.push("mine", &"v".repeat(len)).unwrap();
        let text = String::from_utf8(properties.into_bytes()).unwrap();
        let header = SendRequest {
            properties: Some(&text),
            ..peer::message(TOPIC, 0)
        };
        assert_eq!(fixture.send(&header, vec![1]), code, "{len}");
    }
    let longest = "t".repeat(127);
    assert_eq!(fixture.send_to(&longest), ResponseCode::SUCCESS);
    let longer = "t".repeat(128);
    for topic in [&longer, "", "a b", "../x"] {
        let code = fixture.send_to(topic);
        assert_eq!(code, ResponseCode::INVALID_PARAMETER, "{topic}");
    }
    let queue = peer::message(TOPIC, 1);
    assert_eq!(
        fixture.send(&queue, vec![1]),
        ResponseCode::INVALID_PARAMETER
    );
    assert_eq!(
        fixture.send_to("SCHEDULE_TOPIC_XXXX"),
        ResponseCode::NO_PERMISSION
    );
}

#[test]
fn the_permission_of_the_broker_may_be_changed_while_it_runs() {
    let fixture = Fixture::new(&[]);
    fixture.put_topic("ordered", 6, true);
    let pull = peer::pull_from(TOPIC, 0, 0);
    let none = (ResponseCode::PULL_NOT_FOUND, None);
    assert_eq!(fixture.pull(&pull), none);
    fixture.configure("brokerPermission=2");
    assert_eq!(fixture.pull(&pull), forbidden(BY_BROKER));
    assert_eq!(fixture.send_to("ordered"), ResponseCode::SUCCESS);
    // Producers learn it from the route; who sends all the same is refused for order topics only.
    fixture.configure("brokerPermission=4");
    assert_eq!(fixture.pull(&pull), none);
    assert_eq!(fixture.send_to("ordered"), ResponseCode::NO_PERMISSION);
    assert_eq!(fixture.send_to(TOPIC), ResponseCode::SUCCESS);
    fixture.configure("brokerPermission=6");
    assert_eq!(fixture.send_to("ordered"), ResponseCode::SUCCESS);
}

#[test]
fn topics_and_groups_have_permissions() {
    let fixture = Fixture::new(&[("autoCreateSubscriptionGroup", "false")]);
    let pull = PullRequest {
        consumer_group: GROUP,
        sys_flag: 0,
        ..peer::pull_from(TOPIC, 0, 0)
    };
    let none = (ResponseCode::PULL_NOT_FOUND, None);
    let (code, _) = fixture.pull(&pull);
    assert_eq!(code, ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST);
    fixture.put_group(|_| {});
    fixture.heartbeat(MessageModel::Clustering);
    assert_eq!(fixture.pull(&pull), none);
    fixture.put_topic(TOPIC, 2, false);
    assert_eq!(fixture.pull(&pull), forbidden(BY_TOPIC));
    fixture.put_topic(TOPIC, 6, false);
    fixture.put_group(|group| group.consume_enable = false);
    assert_eq!(fixture.pull(&pull), forbidden(BY_GROUP));
    fixture.put_group(|group| group.consume_broadcast_enable = false);
    assert_eq!(fixture.pull(&pull), none);
    fixture.heartbeat(MessageModel::Broadcasting);
    assert_eq!(fixture.pull(&pull), forbidden(BY_BROADCASTING));
    fixture.put_group(|group| group.consume_broadcast_enable = true);
    assert_eq!(fixture.pull(&pull), none);
}
