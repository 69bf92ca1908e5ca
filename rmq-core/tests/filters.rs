//! Subscriptions by SQL92 expressions over a broker's sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::fs::File;
use std::thread;
use std::time::Duration;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use rmq_core::client::raw::{self, PullReply};
use rmq_core::embed::{Broker, BrokerConfig, ServerSettings, Storage};
use rmq_core::net::Client;
use rmq_core::protocol::body::client_config::CheckClientRequest;
use rmq_core::protocol::body::consumer_filter::ConsumerFilterTable;
use rmq_core::protocol::body::heartbeat::{ConsumerData, HeartbeatData};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::filter::tag::SubscriptionData;
use rmq_core::protocol::message::properties::PropertiesBuilder;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest};
use rmq_core::protocol::request::send::SendRequest;

const TOPIC: &str = "orders";
const GROUP: &str = "readers";
const SQL92: &str = "SQL92";

struct Fixture {
    broker: Option<Broker>,
    client: Client,
    address: String,
    storage: Storage,
    keys: Vec<(&'static str, &'static str)>,
}

impl Fixture {
    fn new(keys: &[(&'static str, &'static str)]) -> Self {
        let mut fixture = Self {
            broker: None,
            client: peer::client(),
            address: String::new(),
            storage: Storage::temporary().unwrap(),
            keys: keys.to_vec(),
        };
        fixture.start();
        raw::create_topic(&fixture.client, &fixture.address, TOPIC, 1, peer::ANSWER).unwrap();
        fixture
    }

    fn filtering() -> Self {
        Self::new(&[("enablePropertyFilter", "true")])
    }

    fn start(&mut self) {
        let root = self.storage.path().to_string_lossy().into_owned();
        let mut properties = BrokerConfig::embedded_defaults(root).to_properties();
        for (key, value) in &self.keys {
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

    fn send(&self, topic: &str, body: &[u8], properties: &[(&str, &str)]) {
        let mut text = PropertiesBuilder::new();
        for (name, value) in properties {
            text.push(name, value).unwrap();
        }
        let header = SendRequest {
            properties: Some(std::str::from_utf8(text.as_bytes()).unwrap()),
            ..peer::message(topic, 0)
        };
        let body = body.to_vec().into();
        raw::send(&self.client, &self.address, &header, body, peer::ANSWER).unwrap();
    }

    /// Sends messages whose property `n` and body are the numbers.
    fn send_numbers(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let text = number.to_string();
            self.send(TOPIC, text.as_bytes(), &[("n", &text)]);
        }
    }

    /// The answer to a pull with an expression in it.
    fn pull(&self, expression: &str, offset: i64) -> PullReply {
        let header = by_expression(expression, offset);
        raw::pull(&self.client, &self.address, &header, peer::ANSWER).unwrap()
    }

    fn call(&self, request: Command) -> (ResponseCode, String) {
        let reply = self.client.call(&self.address, request, peer::ANSWER);
        let reply = reply.unwrap();
        (
            reply.response_code(),
            reply.remark.clone().unwrap_or_default(),
        )
    }

    fn pull_code(&self, header: &PullRequest<'_>) -> (ResponseCode, String) {
        self.call(Command::request(RequestCode::PULL_MESSAGE, header))
    }

    fn heartbeat(&self, subscription: SubscriptionData) {
        let data = HeartbeatData {
            client_id: "client".into(),
            consumers: vec![ConsumerData {
                group_name: GROUP.into(),
                subscriptions: vec![subscription],
                ..ConsumerData::default()
            }],
            ..HeartbeatData::default()
        };
        let mut request = Command::bare_request(RequestCode::HEART_BEAT);
        request.body = data.encode().into();
        assert_eq!(self.call(request).0, ResponseCode::SUCCESS);
    }

    fn check(&self, kind: &str, expression: &str) -> (ResponseCode, String) {
        let body = CheckClientRequest {
            client_id: "client".into(),
            group: GROUP.into(),
            namespace: None,
            subscription: Some(SubscriptionData::from_expression(TOPIC, expression, kind)),
        };
        let mut request = Command::bare_request(RequestCode::CHECK_CLIENT_CONFIG);
        request.body = body.encode().into();
        self.call(request)
    }
}

fn by_expression(expression: &str, offset: i64) -> PullRequest<'_> {
    PullRequest {
        consumer_group: GROUP,
        subscription: Some(expression),
        expression_type: Some(SQL92),
        sys_flag: FLAG_SUBSCRIPTION,
        ..peer::pull_from(TOPIC, 0, offset)
    }
}

/// A pull by the subscription of the group's heartbeats.
fn by_heartbeat(version: i64) -> PullRequest<'static> {
    PullRequest {
        consumer_group: GROUP,
        subscription: None,
        sub_version: version,
        sys_flag: 0,
        ..peer::pull_from(TOPIC, 0, 0)
    }
}

fn subscription(expression: &str, version: i64) -> SubscriptionData {
    SubscriptionData {
        sub_version: version,
        ..SubscriptionData::from_expression(TOPIC, expression, SQL92)
    }
}

fn bodies(reply: &PullReply) -> Vec<String> {
    Records::new(&reply.records, CheckLevel::AllCrc)
        .map(|record| String::from_utf8(record.unwrap().body().to_vec()).unwrap())
        .collect()
}

#[test]
fn a_pull_takes_what_its_expression_takes() {
    let fixture = Fixture::filtering();
    fixture.send_numbers(0..10);
    let reply = fixture.pull("n > 3 AND n <> 7 AND missing IS NULL", 0);
    assert_eq!(reply.code, ResponseCode::SUCCESS);
    assert_eq!(bodies(&reply), ["4", "5", "6", "8", "9"]);
    assert_eq!(reply.header.next_begin_offset, 10);
    let reply = fixture.pull("n = '2'", 5);
    assert_eq!(reply.code, ResponseCode::PULL_RETRY_IMMEDIATELY);
    assert_eq!(
        (reply.header.next_begin_offset, bodies(&reply).len()),
        (10, 0)
    );
    // A message that the expression has no answer for is left out.
    fixture.send(TOPIC, b"x", &[("n", "x")]);
    let reply = fixture.pull("n > 8", 0);
    assert_eq!(
        (bodies(&reply), reply.header.next_begin_offset),
        (vec!["9".to_owned()], 11)
    );
}

#[test]
fn without_enable_property_filter_expressions_are_refused() {
    let fixture = Fixture::new(&[]);
    let refused = |kind: &str| {
        let remark = format!("The broker does not support consumer to filter message by {kind}");
        (ResponseCode::SYSTEM_ERROR, remark)
    };
    assert_eq!(
        fixture.pull_code(&by_expression("n > 3", 0)),
        refused(SQL92)
    );
    assert_eq!(fixture.check(SQL92, "n > 3"), refused(SQL92));
    assert_eq!(fixture.check("XPATH", "n"), refused("XPATH"));
    assert_eq!(fixture.check("TAG", "a||b").0, ResponseCode::SUCCESS);
    fixture.heartbeat(subscription("n > 3", 1));
    assert_eq!(fixture.pull_code(&by_heartbeat(1)), refused(SQL92));
}

#[test]
fn expressions_that_cannot_be_used_are_refused() {
    let fixture = Fixture::filtering();
    let (code, remark) = fixture.check(SQL92, "n > ");
    assert_eq!(code, ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    let missing = "character 5: a property, a value or ( is missing at the end";
    assert_eq!(remark, format!("Invalid MessageSelector. {missing}"));
    let (code, remark) = fixture.check("XPATH", "n");
    assert_eq!(code, ResponseCode::SUBSCRIPTION_PARSE_FAILED);
    assert_eq!(remark, "The expression type XPATH is unknown");
    assert_eq!(fixture.check(SQL92, "n > 3").0, ResponseCode::SUCCESS);

    for (header, detail) in [
        (by_expression("n > ", 0), missing),
        (by_expression("", 0), ""),
        (
            PullRequest {
                expression_type: Some("XPATH"),
                ..by_expression("n", 0)
            },
            "XPATH",
        ),
    ] {
        let (code, remark) = fixture.pull_code(&header);
        assert_eq!(code, ResponseCode::SUBSCRIPTION_PARSE_FAILED);
        assert!(
            remark.starts_with("parse the consumer's subscription failed"),
            "{remark}"
        );
        assert!(remark.contains(detail), "{remark}");
    }
    fixture.heartbeat(subscription("n > ", 1));
    let (code, remark) = fixture.pull_code(&by_heartbeat(1));
    assert_eq!(code, ResponseCode::FILTER_DATA_NOT_EXIST);
    assert_eq!(
        remark,
        "The broker's consumer filter data is not exist!Your expression may be wrong!"
    );
}

#[test]
fn limits_of_expressions_are_configured() {
    let fixture = Fixture::new(&[
        ("enablePropertyFilter", "true"),
        ("rmq.maxFilterExpressionBytes", "20"),
        ("rmq.maxFilterDepth", "2"),
        ("rmq.maxFilterOperators", "3"),
    ]);
    for (good, bad) in [
        ("n = '12345678901234'", "n = '123456789012345'"),
        ("((n = 1))", "(((n = 1)))"),
        ("a OR b OR c OR d", "a OR b OR c OR d OR e"),
    ] {
        assert_eq!(
            fixture.check(SQL92, good).0,
            ResponseCode::SUCCESS,
            "{good}"
        );
        let code = fixture.check(SQL92, bad).0;
        assert_eq!(code, ResponseCode::SUBSCRIPTION_PARSE_FAILED, "{bad}");
        let code = fixture.pull_code(&by_expression(bad, 0)).0;
        assert_eq!(code, ResponseCode::SUBSCRIPTION_PARSE_FAILED, "{bad}");
    }
}

#[test]
fn a_group_is_filtered_by_its_newest_heartbeat() {
    let fixture = Fixture::filtering();
    fixture.send_numbers(0..6);
    let pulled = |version| {
        let header = by_heartbeat(version);
        bodies(&raw::pull(&fixture.client, &fixture.address, &header, peer::ANSWER).unwrap())
    };
    fixture.heartbeat(subscription("n < 2", 5));
    assert_eq!(pulled(5), ["0", "1"]);
    let code = fixture.pull_code(&by_heartbeat(6)).0;
    assert_eq!(code, ResponseCode::SUBSCRIPTION_NOT_LATEST);
    fixture.heartbeat(subscription("n >= 4", 6));
    assert_eq!(pulled(6), ["4", "5"]);
    fixture.heartbeat(subscription("n < 2", 5));
    assert_eq!(pulled(5), ["4", "5"]);
}

#[test]
fn filters_are_written_for_the_next_start() {
    let mut fixture = Fixture::filtering();
    fixture.heartbeat(subscription("n < 2", 5));
    let read = |fixture: &Fixture| {
        let path = fixture.storage.path().join("config/consumerFilter.json");
        let bytes = std::fs::read(path).unwrap();
        let table = ConsumerFilterTable::decode(&bytes).unwrap();
        table.topics[TOPIC].groups[GROUP].clone()
    };
    fixture.stop();
    let filter = read(&fixture);
    assert_eq!(
        (filter.expression.as_str(), filter.client_version),
        ("n < 2", 5)
    );
    fixture.start();
    // The members of the group bring their subscription again; until then it has none.
    let code = fixture.pull_code(&by_heartbeat(5)).0;
    assert_eq!(code, ResponseCode::SUBSCRIPTION_NOT_EXIST);
    fixture.heartbeat(subscription("n < 2", 5));
    assert_eq!(
        fixture.pull_code(&by_heartbeat(5)).0,
        ResponseCode::PULL_NOT_FOUND
    );
    fixture.stop();
    let again = read(&fixture);
    assert_eq!(
        (again.born_ms, again.expression),
        (filter.born_ms, filter.expression)
    );
}

#[test]
fn a_held_pull_waits_for_a_message_that_it_takes() {
    let fixture = Fixture::filtering();
    let client = peer::client();
    let reply = thread::scope(|scope| {
        let puller = scope.spawn(|| {
            let mut offset = 0;
            loop {
                let header = PullRequest {
                    sys_flag: FLAG_SUBSCRIPTION | FLAG_SUSPEND,
                    suspend_timeout_ms: 8000,
                    ..by_expression("n = 7", offset)
                };
                let reply = raw::pull(&client, &fixture.address, &header, peer::ANSWER).unwrap();
                // It came between two messages, so it was not held.
                if reply.code != ResponseCode::PULL_RETRY_IMMEDIATELY {
                    return reply;
                }
                offset = reply.header.next_begin_offset;
            }
        });
        fixture.send_numbers(0..9);
        puller.join().unwrap()
    });
    assert_eq!(reply.code, ResponseCode::SUCCESS);
    assert_eq!(bodies(&reply), ["7"]);
}

#[test]
fn a_held_pull_follows_the_subscription_of_its_group() {
    let fixture = Fixture::filtering();
    fixture.heartbeat(subscription("n < 2", 5));
    let client = peer::client();
    let reply = thread::scope(|scope| {
        let puller = scope.spawn(|| {
            let header = PullRequest {
                sys_flag: FLAG_SUSPEND,
                suspend_timeout_ms: 8000,
                ..by_heartbeat(5)
            };
            raw::pull(&client, &fixture.address, &header, peer::ANSWER).unwrap()
        });
        thread::sleep(Duration::from_millis(100));
        fixture.heartbeat(subscription("n >= 4", 6));
        fixture.send_numbers(0..6);
        puller.join().unwrap()
    });
    // It was held at the empty queue, or came later still, between two messages.
    if reply.code == ResponseCode::SUCCESS {
        assert_eq!(bodies(&reply)[0], "4");
    } else {
        assert_eq!(reply.code, ResponseCode::PULL_RETRY_IMMEDIATELY);
    }
}

#[test]
fn a_pull_that_costs_too_much_ends_and_goes_on() {
    let fixture = Fixture::new(&[
        ("enablePropertyFilter", "true"),
        ("rmq.maxFilterStepsPerPull", "20"),
    ]);
    fixture.send_numbers(0..50);
    let (mut at, mut pulls, mut found) = (0, 0, Vec::new());
    while at < 50 {
        let reply = fixture.pull("n = 10 OR n = 11 OR n = 49", at);
        assert!(reply.header.next_begin_offset > at);
        at = reply.header.next_begin_offset;
        found.extend(bodies(&reply));
        pulls += 1;
    }
    assert_eq!(found, ["10", "11", "49"]);
    // Six steps for each message: five operators and one.
    assert_eq!(pulls, 13);
}

#[test]
fn retried_messages_are_filtered_by_their_origin_if_that_is_asked_for() {
    let retry = "%RETRY%readers";
    for (enabled, want) in [("true", vec!["0", "x"]), ("false", vec![])] {
        let fixture = Fixture::new(&[
            ("enablePropertyFilter", "true"),
            ("filterSupportRetry", enabled),
        ]);
        fixture.heartbeat(subscription("n < 2", 5));
        for (body, origin, number) in [("0", TOPIC, "0"), ("7", TOPIC, "7"), ("x", "other", "9")] {
            let properties = [("RETRY_TOPIC", origin), ("n", number)];
            fixture.send(retry, body.as_bytes(), &properties);
        }
        let header = PullRequest {
            topic: retry,
            ..by_expression("FALSE", 0)
        };
        let reply = raw::pull(&fixture.client, &fixture.address, &header, peer::ANSWER).unwrap();
        assert_eq!(bodies(&reply), want);
        // A subscription by tags, which clients have for their retry topics, takes everything.
        let header = PullRequest {
            consumer_group: GROUP,
            ..peer::pull_from(retry, 0, 0)
        };
        let reply = raw::pull(&fixture.client, &fixture.address, &header, peer::ANSWER).unwrap();
        assert_eq!(bodies(&reply).len(), 3);
    }
}

/// Messages that the system has put out of memory are filtered by the helper thread.
#[test]
fn messages_on_the_disk_are_filtered_too() {
    let mut fixture = Fixture::filtering();
    for number in 0..300_u32 {
        let text = number.to_string();
        fixture.send(TOPIC, &[b'x'; 10_000], &[("n", &text)]);
    }
    fixture.stop();
    fixture.start();
    for entry in std::fs::read_dir(fixture.storage.path().join("commitlog")).unwrap() {
        let file = File::open(entry.unwrap().path()).unwrap();
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
    }
    let (mut at, mut found) = (0, 0);
    while at < 300 {
        let reply = fixture.pull("n BETWEEN 100 AND 109 OR n = 299", at);
        assert!(reply.header.next_begin_offset > at);
        at = reply.header.next_begin_offset;
        found += bodies(&reply).len();
    }
    assert_eq!(found, 11);
}
