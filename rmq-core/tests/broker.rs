//! A broker over real sockets and files, asked through the typed calls of the client side.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test may look at the clock")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw::{self, PullReply, SendReceipt, SendStatus};
use rmq_core::config::FlushDiskType;
use rmq_core::embed::{Broker, BrokerConfig, Storage};
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::Serialize;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::pull::{FLAG_SUBSCRIPTION, FLAG_SUSPEND, PullRequest};
use rmq_core::protocol::request::send::SendRequest;

const TIMEOUT: Duration = Duration::from_secs(5);

struct Fixture {
    broker: Option<Broker>,
    client: Arc<Client>,
    address: String,
    storage: Storage,
    flush: FlushDiskType,
}

impl Fixture {
    fn new(flush: FlushDiskType) -> Self {
        let storage = Storage::temporary().unwrap();
        let client = Client::start(ClientConfig::default(), SystemClock::shared()).unwrap();
        let mut fixture = Self {
            broker: None,
            client: Arc::new(client),
            address: String::new(),
            storage,
            flush,
        };
        fixture.start();
        fixture
    }

    fn start(&mut self) {
        let mut config = BrokerConfig::embedded_defaults(self.storage.path().to_string_lossy());
        config.broker_name = "broker-a".into();
        config.store.flush_disk_type = self.flush;
        let broker = Broker::start(config).unwrap();
        self.address = broker.address().to_string();
        self.broker = Some(broker);
    }

    fn kill(&mut self) {
        self.broker.take().unwrap().kill();
    }

    fn close(&mut self) {
        self.broker.take().unwrap().close(TIMEOUT).unwrap();
    }

    fn create_topic(&self, topic: &str, queues: i32) {
        raw::create_topic(&self.client, &self.address, topic, queues, TIMEOUT).unwrap();
    }

    fn send(&self, topic: &str, queue_id: i32, body: &[u8]) -> SendReceipt {
        self.try_send(&header(topic, queue_id), body).unwrap()
    }

    fn try_send(
        &self,
        header: &SendRequest<'_>,
        body: &[u8],
    ) -> rmq_core::base::Result<SendReceipt> {
        let body = Bytes::copy_from_slice(body);
        raw::send(&self.client, &self.address, header, body, TIMEOUT)
    }

    fn pull(&self, topic: &str, queue_id: i32, offset: i64, hold_ms: i64) -> PullReply {
        self.pull_tagged(topic, queue_id, offset, hold_ms, "*")
    }

    fn pull_tagged(
        &self,
        topic: &str,
        queue_id: i32,
        offset: i64,
        hold_ms: i64,
        tags: &str,
    ) -> PullReply {
        let header = pull_header(topic, queue_id, offset, hold_ms, tags);
        raw::pull(&self.client, &self.address, &header, TIMEOUT).unwrap()
    }

    fn max_offset(&self, topic: &str, queue_id: i32) -> i64 {
        raw::max_offset(&self.client, &self.address, topic, queue_id, TIMEOUT).unwrap()
    }
}

fn header(topic: &str, queue_id: i32) -> SendRequest<'_> {
    SendRequest {
        producer_group: "p",
        topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id,
        sys_flag: 0,
        born_timestamp_ms: 1,
        flag: 0,
        properties: None,
        reconsume_times: 0,
        unit_mode: false,
        batch: false,
        max_reconsume_times: None,
        broker_name: None,
    }
}

fn pull_header<'a>(
    topic: &'a str,
    queue_id: i32,
    offset: i64,
    hold_ms: i64,
    tags: &'a str,
) -> PullRequest<'a> {
    PullRequest {
        consumer_group: "c",
        topic,
        queue_id,
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: FLAG_SUBSCRIPTION | if hold_ms > 0 { FLAG_SUSPEND } else { 0 },
        commit_offset: 0,
        suspend_timeout_ms: hold_ms,
        subscription: Some(tags),
        sub_version: 0,
        expression_type: None,
        max_msg_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
    }
}

fn bodies(reply: &PullReply) -> Vec<Vec<u8>> {
    let records = Records::new(&reply.records, CheckLevel::BodyCrc);
    records
        .map(|record| record.unwrap().body().to_vec())
        .collect()
}

fn refused_with(result: rmq_core::base::Result<SendReceipt>) -> ResponseCode {
    match result.unwrap_err().kind() {
        ErrorKind::Remote(code) => ResponseCode::new(code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_sent_is_pulled() {
    for flush in [FlushDiskType::AsyncFlush, FlushDiskType::SyncFlush] {
        let fixture = Fixture::new(flush);
        fixture.create_topic("T", 2);
        for number in 0..10_u8 {
            let receipt = fixture.send("T", 1, &[number; 5]);
            assert_eq!(receipt.status, SendStatus::Ok);
            assert_eq!((receipt.queue_id, receipt.queue_offset), (1, number.into()));
        }
        let reply = fixture.pull("T", 1, 0, 0);
        assert_eq!(reply.code, ResponseCode::SUCCESS);
        assert_eq!(
            bodies(&reply),
            (0..10_u8).map(|n| vec![n; 5]).collect::<Vec<_>>()
        );
        assert_eq!((reply.header.min_offset, reply.header.max_offset), (0, 10));
        assert_eq!(reply.header.next_begin_offset, 10);
        assert_eq!(fixture.max_offset("T", 0), 0);
        let beyond = fixture.pull("T", 1, 10, 0);
        assert_eq!(beyond.code, ResponseCode::PULL_NOT_FOUND);
        assert_eq!(
            fixture.pull("T", 1, 11, 0).code,
            ResponseCode::PULL_OFFSET_MOVED
        );
        assert_eq!(fixture.pull("T", 1, -1, 0).header.next_begin_offset, 0);
    }
}

#[test]
fn a_topic_is_created_by_sending_with_inherited_queues() {
    let fixture = Fixture::new(FlushDiskType::AsyncFlush);
    assert_eq!(fixture.send("New", 3, b"x").queue_offset, 0);
    let refused = fixture.try_send(&header("New", 4), b"x");
    assert_eq!(refused_with(refused), ResponseCode::INVALID_PARAMETER);
    let any = fixture.send("New", -1, b"x");
    assert!((0..4).contains(&any.queue_id));
    let no_parent = SendRequest {
        default_topic: "None",
        ..header("Other", 0)
    };
    assert_eq!(
        refused_with(fixture.try_send(&no_parent, b"x")),
        ResponseCode::TOPIC_NOT_EXIST
    );
    for bad in ["../up", "a b", ""] {
        let refused = fixture.try_send(&header(bad, 0), b"x");
        assert_eq!(
            refused_with(refused),
            ResponseCode::INVALID_PARAMETER,
            "{bad:?}"
        );
    }
    let forbidden = fixture.try_send(&header("SCHEDULE_TOPIC_XXXX", 0), b"x");
    assert_eq!(refused_with(forbidden), ResponseCode::NO_PERMISSION);
}

#[test]
fn body_sizes_at_the_limit_and_above() {
    let fixture = Fixture::new(FlushDiskType::AsyncFlush);
    fixture.create_topic("T", 1);
    let largest: Vec<u8> = (0..4 << 20).map(|n: u32| n as u8).collect();
    fixture.send("T", 0, &largest);
    fixture.send("T", 0, b"x");
    for body in [&[0; (4 << 20) + 1][..], b""] {
        let refused = fixture.try_send(&header("T", 0), body);
        assert_eq!(refused_with(refused), ResponseCode::MESSAGE_ILLEGAL);
    }
    assert_eq!(bodies(&fixture.pull("T", 0, 0, 0)), [largest]);
    assert_eq!(bodies(&fixture.pull("T", 0, 1, 0)), [b"x"]);
}

#[test]
fn what_no_message_can_be_is_refused() {
    let fixture = Fixture::new(FlushDiskType::AsyncFlush);
    fixture.create_topic("T", 1);
    for (properties, code) in [
        ("DELAY\u{1}x\u{2}", ResponseCode::MESSAGE_ILLEGAL),
        (
            "TIMER_DELAY_MS\u{1}soon\u{2}",
            ResponseCode::MESSAGE_ILLEGAL,
        ),
        (
            "TRAN_MSG\u{1}true\u{2}DELAY\u{1}3\u{2}",
            ResponseCode::MESSAGE_ILLEGAL,
        ),
    ] {
        let header = SendRequest {
            properties: Some(properties),
            ..header("T", 0)
        };
        assert_eq!(
            refused_with(fixture.try_send(&header, b"x")),
            code,
            "{properties:?}"
        );
    }
    assert_eq!(fixture.max_offset("T", 0), 0);
}

#[test]
fn a_held_pull_is_woken_by_a_message_and_ended_by_its_time() {
    for flush in [FlushDiskType::AsyncFlush, FlushDiskType::SyncFlush] {
        let fixture = Fixture::new(flush);
        fixture.create_topic("T", 1);
        let clock = SystemClock::new();
        let began = clock.monotonic();
        assert_eq!(
            fixture.pull("T", 0, 0, 200).code,
            ResponseCode::PULL_NOT_FOUND
        );
        assert!(clock.monotonic() - began >= Duration::from_millis(190));

        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| fixture.pull("T", 0, 0, 30_000));
            std::thread::sleep(Duration::from_millis(100));
            fixture.send("T", 0, b"news");
            assert_eq!(bodies(&waiting.join().unwrap()), [b"news"]);
        });
    }
}

#[test]
fn a_held_pull_waits_behind_messages_of_other_tags() {
    let fixture = Fixture::new(FlushDiskType::AsyncFlush);
    fixture.create_topic("T", 1);
    let tagged = |tag: &'static str| SendRequest {
        properties: Some(tag),
        ..header("T", 0)
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| fixture.pull_tagged("T", 0, 0, 30_000, "A || B"));
        std::thread::sleep(Duration::from_millis(50));
        fixture
            .try_send(&tagged("TAGS\u{1}C\u{2}"), b"other")
            .unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        fixture
            .try_send(&tagged("TAGS\u{1}B\u{2}"), b"mine")
            .unwrap();
        let reply = waiting.join().unwrap();
        assert_eq!(bodies(&reply), [b"mine"]);
        assert_eq!(reply.header.next_begin_offset, 2);
    });
}

#[test]
fn acknowledged_messages_survive_a_crash_and_a_clean_stop() {
    let mut fixture = Fixture::new(FlushDiskType::SyncFlush);
    fixture.create_topic("T", 1);
    for number in 0..50_u8 {
        fixture.send("T", 0, &[number]);
    }
    let at = ("c", "T", 0);
    fixture.pull("T", 0, 0, 0);
    raw::commit_offset(&fixture.client, &fixture.address, at, 7, TIMEOUT).unwrap();
    fixture.kill();
    fixture.start();
    assert_eq!(fixture.max_offset("T", 0), 50);
    assert_eq!(fixture.send("T", 0, b"after").queue_offset, 50);
    fixture.pull("T", 0, 0, 0);
    raw::commit_offset(&fixture.client, &fixture.address, at, 9, TIMEOUT).unwrap();
    assert!(fixture.storage.path().join("abort").exists());
    fixture.close();
    assert!(!fixture.storage.path().join("abort").exists());
    fixture.start();
    let committed = raw::committed_offset(&fixture.client, &fixture.address, at, TIMEOUT);
    assert_eq!(committed.unwrap(), Some(9));
    let reply = fixture.pull("T", 0, 40, 0);
    let mut expected: Vec<Vec<u8>> = (40..50_u8).map(|number| vec![number]).collect();
    expected.push(b"after".to_vec());
    assert_eq!(bodies(&reply), expected);
}

#[test]
fn both_serializations_are_answered_in_kind() {
    let fixture = Fixture::new(FlushDiskType::AsyncFlush);
    fixture.create_topic("T", 1);
    for serialize in [Serialize::Json, Serialize::Rocketmq] {
        for code in [RequestCode::SEND_MESSAGE, RequestCode::SEND_MESSAGE_V2] {
            let mut request = header("T", 0).command(code).with_body(&b"x"[..]);
            request.serialize = serialize;
            let reply = fixture
                .client
                .call(&fixture.address, request, TIMEOUT)
                .unwrap();
            assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
            assert_eq!(reply.serialize, serialize);
            assert_eq!(reply.ext.get("MSG_REGION"), Some("DefaultRegion"));
            assert!(
                reply
                    .ext
                    .get("transactionId")
                    .is_some_and(|id| id.len() == 32)
            );
        }
    }
    let unknown = Command::bare_request(RequestCode::new(9999));
    let reply = fixture
        .client
        .call(&fixture.address, unknown, TIMEOUT)
        .unwrap();
    assert_eq!(
        reply.response_code(),
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED
    );
    assert_eq!(
        reply.remark.as_deref(),
        Some(" request type 9999 not supported")
    );
}

#[test]
fn a_broker_that_would_not_keep_its_promise_does_not_start() {
    use rmq_core::config::BrokerRole;
    let nameserver = ["127.0.0.1:1".to_owned()];
    for (role, id, nameservers, why) in [
        (
            BrokerRole::Slave,
            0,
            &nameserver[..],
            "Slave's brokerId must be > 0",
        ),
        (BrokerRole::AsyncMaster, 1, &nameserver, "brokerRole=SLAVE"),
        (BrokerRole::SyncMaster, 1, &nameserver, "brokerRole=SLAVE"),
        (BrokerRole::Slave, 1, &[], "needs namesrvAddr"),
    ] {
        let storage = Storage::temporary().unwrap();
        let mut config = BrokerConfig::embedded_defaults(storage.path().to_string_lossy());
        config.store.broker_role = role;
        config.broker_id = id;
        config.namesrv_addr = nameservers.to_vec();
        let error = Broker::start(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{error}");
    }
}
