//! What operators ask of consumers through a broker, offsets that they move, and statistics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/popper.rs"]
mod popper;

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use rmq_core::client::raw::{self, PullReply, SendReceipt};
use rmq_core::embed::{Broker, BrokerConfig, ServerSettings, Storage};
use rmq_core::net::Client;
use rmq_core::protocol::body::broker_stats::BrokerStatsData;
use rmq_core::protocol::body::consume_stats::ConsumeStats;
use rmq_core::protocol::body::consumer_status::ConsumerStatus;
use rmq_core::protocol::body::group::SubscriptionGroupConfig;
use rmq_core::protocol::body::heartbeat::{ConsumerData, HeartbeatData};
use rmq_core::protocol::body::kv_table::KvTable;
use rmq_core::protocol::body::message_queue::MessageQueue;
use rmq_core::protocol::body::reset_offset::{ResetOffset, ResetOffsetList};
use rmq_core::protocol::body::topic_stats::TopicStatsTable;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::filter::tag::SubscriptionData;
use rmq_core::protocol::language::Language;
use rmq_core::protocol::message::id::OffsetMsgId;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::EncodeHeader;
use rmq_core::protocol::request::admin::ViewBrokerStatsDataRequest;
use rmq_core::protocol::request::group::{DeleteSubscriptionGroupRequest, GetConsumeStatsRequest};
use rmq_core::protocol::request::pop::PopMessageRequest;
use rmq_core::protocol::request::pull::PullRequest;
use rmq_core::protocol::request::push::{
    ConsumeMessageDirectlyRequest, GetConsumerRunningInfoRequest, GetConsumerStatusRequest,
    ResetOffsetRequest,
};
use rmq_core::protocol::request::query::SendMessageBackRequest;
use rmq_core::protocol::request::topic::{DeleteTopicRequest, GetTopicStatsInfoRequest};
use rmq_core::protocol::version;

const TOPIC: &str = "orders";
const GROUP: &str = "readers";

struct Fixture {
    broker: Broker,
    client: Client,
    address: String,
    _storage: Storage,
}

impl Fixture {
    fn new(keys: &[(&str, &str)]) -> Self {
        let storage = Storage::temporary().unwrap();
        let root = storage.path().to_string_lossy().into_owned();
        let mut properties = BrokerConfig::embedded_defaults(root).to_properties();
        properties.set("brokerName", "broker-a");
        properties.set("brokerClusterName", "cluster-a");
        for (key, value) in keys {
            properties.set(*key, *value);
        }
        let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
        let broker = Broker::start(config).unwrap();
        let fixture = Self {
            client: peer::client(),
            address: broker.address().to_string(),
            broker,
            _storage: storage,
        };
        raw::create_topic(&fixture.client, &fixture.address, TOPIC, 2, peer::ANSWER).unwrap();
        let group = SubscriptionGroupConfig {
            group_name: GROUP.into(),
            ..SubscriptionGroupConfig::default()
        };
        let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
        let made = fixture.call(Command::bare_request(code).with_body(group.encode()));
        assert_eq!(made.response_code(), ResponseCode::SUCCESS, "{made:?}");
        fixture
    }

    fn call(&self, request: Command) -> Command {
        let reply = self.client.call(&self.address, request, peer::ANSWER);
        reply.unwrap()
    }

    #[track_caller]
    fn ask(&self, code: RequestCode, header: &impl EncodeHeader) -> bytes::Bytes {
        let reply = self.call(Command::request(code, header));
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS, "{reply:?}");
        reply.body
    }

    /// The code and sentence of a refusal.
    fn refused(&self, code: RequestCode, header: &impl EncodeHeader) -> (ResponseCode, String) {
        let reply = self.call(Command::request(code, header));
        (reply.response_code(), reply.remark.unwrap_or_default())
    }

    fn send(&self, queue_id: i32) -> SendReceipt {
        peer::send(&self.client, &self.address, (TOPIC, queue_id), &b"x"[..]).unwrap()
    }

    fn commit(&self, queue_id: i32, offset: i64) {
        let place = (GROUP, TOPIC, queue_id);
        raw::commit_offset(&self.client, &self.address, place, offset, peer::ANSWER).unwrap();
    }

    fn committed(&self, queue_id: i32) -> Option<i64> {
        let place = (GROUP, TOPIC, queue_id);
        raw::committed_offset(&self.client, &self.address, place, peer::ANSWER).unwrap()
    }

    /// A pull of the group, held for so long when there is nothing.
    fn pull(&self, queue_id: i32, offset: i64, held_ms: i64) -> PullReply {
        let request = PullRequest {
            consumer_group: GROUP,
            suspend_timeout_ms: held_ms,
            sys_flag: 4 | if held_ms > 0 { 2 } else { 0 },
            ..peer::pull_from(TOPIC, queue_id, offset)
        };
        raw::pull(&self.client, &self.address, &request, peer::ANSWER).unwrap()
    }

    fn counted(&self, name: &str, key: &str) -> Result<BrokerStatsData, String> {
        let header = ViewBrokerStatsDataRequest {
            stats_name: name.into(),
            stats_key: key.into(),
        };
        let reply = self.call(Command::request(
            RequestCode::VIEW_BROKER_STATS_DATA,
            &header,
        ));
        match reply.response_code() {
            ResponseCode::SUCCESS => Ok(BrokerStatsData::decode(&reply.body).unwrap()),
            ResponseCode::SYSTEM_ERROR => Err(reply.remark.unwrap_or_default()),
            code => panic!("{code}"),
        }
    }

    fn join(&self, client_id: &str) -> Consumer {
        self.join_as(client_id, Language::JAVA, version::V5_5_0)
    }

    fn join_as(&self, client_id: &str, language: Language, version: i32) -> Consumer {
        let mut stream = peer::connect(&self.address);
        let data = HeartbeatData {
            client_id: client_id.into(),
            consumers: vec![ConsumerData {
                group_name: GROUP.into(),
                subscriptions: vec![SubscriptionData::from_tags(TOPIC, None).unwrap()],
                ..ConsumerData::default()
            }],
            ..HeartbeatData::default()
        };
        let beat = Command {
            language,
            version,
            opaque: 7,
            ..Command::bare_request(RequestCode::HEART_BEAT).with_body(data.encode())
        };
        let got = peer::exchange(&mut stream, &beat.to_bytes());
        assert!(matches!(got, peer::Got::Frame(_)), "{got:?}");
        Consumer { stream }
    }
}

/// A consumer of the group that answers what it is told to.
struct Consumer {
    stream: TcpStream,
}

impl Consumer {
    /// The next thing that the broker asks, other than to look at the group again.
    fn asked(&mut self) -> Command {
        loop {
            let command = peer::try_receive(&mut self.stream).unwrap();
            let changed = RequestCode::NOTIFY_CONSUMER_IDS_CHANGED;
            if !command.is_response() && command.request_code() != changed {
                return command;
            }
        }
    }

    fn answer(&mut self, request: &Command, code: ResponseCode, body: impl Into<bytes::Bytes>) {
        let remark = Some("of the consumer".to_owned());
        let answer = Command::response_to(request, code, remark).with_body(body);
        self.stream.write_all(&answer.to_bytes()).unwrap();
    }
}

fn running_info_of(client_id: &str) -> GetConsumerRunningInfoRequest {
    GetConsumerRunningInfoRequest {
        consumer_group: GROUP.into(),
        client_id: client_id.into(),
        jstack_enable: true,
    }
}

const INFO: RequestCode = RequestCode::GET_CONSUMER_RUNNING_INFO;

#[test]
fn what_a_consumer_is_at_comes_from_itself() {
    let fixture = Fixture::new(&[]);
    let (mut one, mut two) = (fixture.join("one"), fixture.join("two"));
    thread::scope(|scope| {
        let asking = scope.spawn(|| fixture.call(Command::request(INFO, &running_info_of("two"))));
        let asked = two.asked();
        assert_eq!(asked.request_code(), INFO);
        assert_eq!(asked.ext.get("jstackEnable"), Some("true"));
        assert_eq!(asked.ext.get("consumerGroup"), Some(GROUP));
        two.answer(&asked, ResponseCode::SUCCESS, "{\"mqTable\":{}}");
        let told = asking.join().unwrap();
        assert_eq!(told.response_code(), ResponseCode::SUCCESS);
        assert_eq!(&told.body[..], b"{\"mqTable\":{}}");
        // An error of the consumer is passed on as it is.
        let asking = scope.spawn(|| fixture.call(Command::request(INFO, &running_info_of("one"))));
        let asked = one.asked();
        one.answer(&asked, ResponseCode::SYSTEM_ERROR, "");
        let told = asking.join().unwrap();
        assert_eq!(told.response_code(), ResponseCode::SYSTEM_ERROR);
        assert_eq!(told.remark.as_deref(), Some("of the consumer"));
        // One that goes away owes no answer.
        let asking = scope.spawn(|| fixture.refused(INFO, &running_info_of("one")));
        one.asked();
        drop(one);
        let (code, remark) = asking.join().unwrap();
        assert_eq!(code, ResponseCode::SYSTEM_ERROR);
        assert!(remark.contains("has gone"), "{remark}");
    });
    fixture.broker.close(peer::ANSWER).unwrap();
}

#[test]
fn consumers_that_are_not_there_or_too_old_are_not_asked() {
    let fixture = Fixture::new(&[]);
    let _old = fixture.join_as("old", Language::JAVA, version::V3_0_11);
    for client_id in ["", "nobody"] {
        let (code, remark) = fixture.refused(INFO, &running_info_of(client_id));
        assert_eq!(code, ResponseCode::SYSTEM_ERROR);
        assert!(remark.contains("not online"), "{remark}");
    }
    let (code, remark) = fixture.refused(INFO, &running_info_of("old"));
    assert_eq!(code, ResponseCode::SYSTEM_ERROR);
    assert!(remark.contains("V3_1_8_SNAPSHOT or newer"), "{remark}");
    let group = GetConsumerRunningInfoRequest {
        consumer_group: "nobody".into(),
        ..running_info_of("old")
    };
    assert_eq!(fixture.refused(INFO, &group).0, ResponseCode::SYSTEM_ERROR);
    fixture.broker.close(peer::ANSWER).unwrap();
}

#[test]
fn a_message_is_handed_to_one_consumer_now() {
    let fixture = Fixture::new(&[]);
    let mut consumer = fixture.join("one");
    let receipt = fixture.send(1);
    let directly = |msg_id: &str| ConsumeMessageDirectlyRequest {
        consumer_group: GROUP.into(),
        client_id: Some("one".into()),
        msg_id: Some(msg_id.into()),
        broker_name: None,
        topic: Some(TOPIC.into()),
        topic_sys_flag: None,
        group_sys_flag: None,
    };
    let code = RequestCode::CONSUME_MESSAGE_DIRECTLY;
    let id = receipt.msg_id.clone();
    thread::scope(|scope| {
        let asking = scope.spawn(|| fixture.ask(code, &directly(&id)));
        let asked = consumer.asked();
        assert_eq!(asked.request_code(), code);
        assert_eq!(asked.ext.get("brokerName"), Some("broker-a"));
        assert_eq!(asked.ext.get("msgId"), Some(&*id));
        assert_eq!(asked.ext.get("topicSysFlag"), Some("0"));
        assert_eq!(asked.ext.get("groupSysFlag"), Some("0"));
        let record = Records::new(&asked.body, CheckLevel::BodyCrc).next();
        let record = record.unwrap().unwrap();
        assert_eq!((&*record.topic(), record.body()), (TOPIC, &b"x"[..]));
        consumer.answer(&asked, ResponseCode::SUCCESS, "{\"order\":false}");
        assert_eq!(&asking.join().unwrap()[..], b"{\"order\":false}");
    });
    // Ids of nothing, of the inside of a record, and of none.
    let elsewhere = OffsetMsgId {
        physical_offset: 13,
        ..OffsetMsgId::parse(&id).unwrap()
    };
    let inside = elsewhere.to_text();
    for id in ["", "7F", "no id", inside.as_str()] {
        let (answer, remark) = fixture.refused(code, &directly(id));
        assert_eq!(answer, ResponseCode::SYSTEM_ERROR);
        assert!(remark.contains("no message"), "{remark}");
    }
    fixture.broker.close(peer::ANSWER).unwrap();
}

#[test]
fn offsets_in_memory_are_gathered_from_the_consumers_that_answer() {
    let fixture = Fixture::new(&[]);
    let (mut one, mut two) = (fixture.join("one"), fixture.join("two"));
    let code = RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS;
    let of = |client: Option<&str>| GetConsumerStatusRequest {
        topic: TOPIC.into(),
        group: GROUP.into(),
        client_addr: client.map(str::to_owned),
    };
    let queue = MessageQueue {
        topic: TOPIC.into(),
        broker_name: "broker-a".into(),
        queue_id: 1,
    };
    let own = ConsumerStatus {
        queues: [(queue.clone(), 42)].into(),
        ..ConsumerStatus::default()
    };
    thread::scope(|scope| {
        let asking = scope.spawn(|| fixture.ask(code, &of(None)));
        let asked = one.asked();
        let question = RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT;
        assert_eq!(asked.request_code(), question);
        assert_eq!(asked.ext.get("topic"), Some(TOPIC));
        one.answer(&asked, ResponseCode::SUCCESS, own.encode());
        two.asked();
        drop(two);
        let told = ConsumerStatus::decode(&asking.join().unwrap()).unwrap();
        assert_eq!(told.consumers.len(), 1);
        assert_eq!(told.consumers["one"][&queue], 42);
        let asking = scope.spawn(|| fixture.ask(code, &of(Some("one"))));
        let asked = one.asked();
        one.answer(&asked, ResponseCode::SYSTEM_ERROR, "");
        let told = ConsumerStatus::decode(&asking.join().unwrap()).unwrap();
        assert_eq!(told, ConsumerStatus::default());
    });
    let told = fixture.ask(code, &of(Some("nobody")));
    assert_eq!(
        ConsumerStatus::decode(&told).unwrap(),
        ConsumerStatus::default()
    );
    let nobody = GetConsumerStatusRequest {
        group: "nobody".into(),
        ..of(None)
    };
    assert_eq!(fixture.refused(code, &nobody).0, ResponseCode::SYSTEM_ERROR);
    fixture.broker.close(peer::ANSWER).unwrap();
}

const RESET: RequestCode = RequestCode::INVOKE_BROKER_TO_RESET_OFFSET;

fn reset_to(timestamp_ms: i64) -> ResetOffsetRequest {
    ResetOffsetRequest {
        topic: TOPIC.into(),
        group: GROUP.into(),
        queue_id: -1,
        offset: None,
        timestamp_ms,
        is_force: true,
    }
}

fn offsets_in(body: &[u8]) -> Vec<(i32, i64)> {
    let body = ResetOffset::decode(body).unwrap();
    let offsets = body.offsets.iter().map(|(queue, at)| (queue.queue_id, *at));
    offsets.collect()
}

#[test]
fn offsets_of_a_group_that_is_away_are_moved() {
    let fixture = Fixture::new(&[]);
    for _ in 0..3 {
        fixture.send(0);
    }
    fixture.commit(0, 2);
    assert_eq!(
        offsets_in(&fixture.ask(RESET, &reset_to(-1))),
        [(0, 3), (1, 0)]
    );
    assert_eq!(
        (fixture.committed(0), fixture.committed(1)),
        (Some(3), Some(0))
    );
    assert_eq!(
        offsets_in(&fixture.ask(RESET, &reset_to(0))),
        [(0, 0), (1, 0)]
    );
    assert_eq!(fixture.committed(0), Some(0));
    let one = |queue_id, offset| ResetOffsetRequest {
        queue_id,
        offset: Some(offset),
        ..reset_to(0)
    };
    assert_eq!(offsets_in(&fixture.ask(RESET, &one(0, 2))), [(0, 2)]);
    assert_eq!(fixture.committed(0), Some(2));
    // What is wrong changes nothing.
    for (queue_id, offset) in [(0, 5), (0, -2), (2, 0), (i32::MAX, 0)] {
        let (code, remark) = fixture.refused(RESET, &one(queue_id, offset));
        assert_eq!(code, ResponseCode::SYSTEM_ERROR, "{remark}");
    }
    let topic = ResetOffsetRequest {
        topic: "nothing".into(),
        ..reset_to(0)
    };
    assert_eq!(
        fixture.refused(RESET, &topic).0,
        ResponseCode::TOPIC_NOT_EXIST
    );
    let group = ResetOffsetRequest {
        group: "nobody".into(),
        ..reset_to(0)
    };
    let unknown = ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST;
    assert_eq!(fixture.refused(RESET, &group).0, unknown);
    assert_eq!(fixture.committed(0), Some(2));
    fixture.broker.close(peer::ANSWER).unwrap();
}

#[test]
fn a_waiting_consumer_is_sent_to_the_new_offset_at_once() {
    let fixture = Fixture::new(&[]);
    let _consumer = fixture.join("one");
    for _ in 0..3 {
        fixture.send(0);
    }
    fixture.commit(0, 3);
    thread::scope(|scope| {
        let pulling = scope.spawn(|| fixture.pull(0, 3, 9_000));
        thread::sleep(std::time::Duration::from_millis(200));
        fixture.ask(RESET, &reset_to(0));
        let reply = pulling.join().unwrap();
        assert_eq!(reply.code, ResponseCode::PULL_OFFSET_MOVED);
        assert_eq!(reply.header.next_begin_offset, 0);
    });
    // It was told once: now it goes on from there, and commits.
    assert_eq!(fixture.pull(0, 0, 0).code, ResponseCode::SUCCESS);
    fixture.commit(0, 1);
    assert_eq!(fixture.committed(0), Some(1));
    // Who commits before it was told commits nothing.
    fixture.ask(RESET, &reset_to(-1));
    fixture.commit(0, 1);
    assert_eq!(fixture.committed(0), Some(3));
    let reply = fixture.pull(0, 1, 0);
    assert_eq!(reply.code, ResponseCode::PULL_OFFSET_MOVED);
    assert_eq!(reply.header.next_begin_offset, 3);
    fixture.commit(0, 2);
    assert_eq!(fixture.committed(0), Some(2));
    fixture.broker.close(peer::ANSWER).unwrap();
}

#[test]
fn consumers_are_asked_to_reset_where_the_broker_is_told_not_to() {
    let fixture = Fixture::new(&[("useServerSideResetOffset", "false")]);
    for _ in 0..3 {
        fixture.send(0);
    }
    assert_eq!(
        fixture.refused(RESET, &reset_to(0)).0,
        ResponseCode::SYSTEM_ERROR
    );
    fixture.commit(0, 2);
    fixture.commit(1, 0);
    let away = ResponseCode::CONSUMER_NOT_ONLINE;
    assert_eq!(fixture.refused(RESET, &reset_to(0)).0, away);
    let mut java = fixture.join("one");
    let mut cpp = fixture.join_as("two", Language::CPP, version::V4_5_1);
    assert_eq!(
        offsets_in(&fixture.ask(RESET, &reset_to(-1))),
        [(0, 3), (1, 0)]
    );
    let asked = java.asked();
    assert_eq!(
        asked.request_code(),
        RequestCode::RESET_CONSUMER_CLIENT_OFFSET
    );
    assert!(asked.is_oneway());
    assert_eq!(asked.ext.get("group"), Some(GROUP));
    assert_eq!(offsets_in(&asked.body), [(0, 3), (1, 0)]);
    let list = ResetOffsetList::decode(&cpp.asked().body).unwrap();
    assert_eq!(list.offsets.len(), 2);
    assert_eq!((list.offsets[0].queue_id, list.offsets[0].offset), (0, 3));
    // Without force nobody skips what is still to be consumed.
    let gently = ResetOffsetRequest {
        is_force: false,
        ..reset_to(-1)
    };
    assert_eq!(offsets_in(&fixture.ask(RESET, &gently)), [(0, 2), (1, 0)]);
    // The broker itself moved nothing.
    assert_eq!(fixture.committed(0), Some(2));
    fixture.broker.close(peer::ANSWER).unwrap();
}

#[test]
fn a_group_that_pops_goes_on_from_the_new_offset() {
    let fixture = Fixture::new(&[]);
    let _consumer = fixture.join("one");
    for _ in 0..3 {
        fixture.send(0);
    }
    // The offsets of the messages that the group pops.
    let pop = || -> Vec<i64> {
        let header = PopMessageRequest {
            queue_id: 0,
            max_msg_nums: 2,
            ..popper::pop_of(TOPIC, GROUP, 60_000)
        };
        let reply = fixture.call(Command::request(RequestCode::POP_MESSAGE, &header));
        let records = Records::new(&reply.body, CheckLevel::BodyCrc);
        records
            .map(|record| record.unwrap().queue_offset())
            .collect()
    };
    assert_eq!(pop(), [0, 1]);
    // To where it was before.
    fixture.ask(RESET, &reset_to(0));
    assert_eq!(pop(), [0, 1]);
    assert_eq!(pop(), [2]);
    let one = ResetOffsetRequest {
        queue_id: 0,
        offset: Some(1),
        ..reset_to(0)
    };
    fixture.ask(RESET, &one);
    assert_eq!(pop(), [1, 2]);
    let key = format!("{TOPIC}@{GROUP}");
    let got = fixture.counted("GROUP_GET_NUMS", &key).unwrap();
    assert_eq!(got.stats_day.sum, 7);
    // The reset was told: a pull goes where it wants to.
    assert_eq!(fixture.pull(0, 2, 0).code, ResponseCode::SUCCESS);
    fixture.broker.close(peer::ANSWER).unwrap();
}

/// Five messages, pulled at once, the first of them sent back.
fn send_pull_and_send_back(fixture: &Fixture) {
    let first = fixture.send(0);
    for _ in 0..4 {
        fixture.send(0);
    }
    assert_eq!(fixture.pull(0, 0, 0).code, ResponseCode::SUCCESS);
    let back = SendMessageBackRequest {
        physical_offset: OffsetMsgId::parse(&first.msg_id).unwrap().physical_offset,
        group: GROUP.into(),
        delay_level: 3,
        origin_msg_id: None,
        origin_topic: Some(TOPIC.into()),
        unit_mode: false,
        max_reconsume_times: None,
    };
    fixture.ask(RequestCode::CONSUMER_SEND_MSG_BACK, &back);
}

fn check_runtime_info(fixture: &Fixture) {
    let info = fixture.call(Command::bare_request(RequestCode::GET_BROKER_RUNTIME_INFO));
    let rows = KvTable::decode(&info.body).unwrap().table;
    assert_eq!(rows["msgPutTotalTodayMorning"], "0");
    assert_eq!(rows["msgPutTotalTodayNow"], "5");
    assert_eq!(rows["msgGetTotalTodayNow"], "5");
    assert_eq!(rows["msgGetTotalYesterdayMorning"], "0");
}

#[test]
fn figures_are_counted_by_topic_group_and_broker() {
    let fixture = Fixture::new(&[]);
    let _consumer = fixture.join("one");
    let missing = fixture.counted("TOPIC_PUT_NUMS", TOPIC).unwrap_err();
    assert_eq!(missing, "The stats <TOPIC_PUT_NUMS> <orders> not exist");
    send_pull_and_send_back(&fixture);
    let key = format!("{TOPIC}@{GROUP}");
    let put = fixture.counted("TOPIC_PUT_NUMS", TOPIC).unwrap();
    for span in [put.stats_minute, put.stats_hour, put.stats_day] {
        assert_eq!((span.sum, span.average), (5, 1.0));
        assert!(span.tps > 0.0 && span.tps <= 0.5, "{span:?}");
    }
    assert!(
        fixture
            .counted("TOPIC_PUT_SIZE", TOPIC)
            .unwrap()
            .stats_day
            .sum
            > 5 * 90
    );
    let got = fixture.counted("GROUP_GET_NUMS", &key).unwrap();
    assert_eq!((got.stats_minute.sum, got.stats_minute.average), (5, 5.0));
    assert!(
        fixture
            .counted("GROUP_GET_SIZE", &key)
            .unwrap()
            .stats_hour
            .sum
            > 5 * 90
    );
    let back = fixture.counted("SNDBCK_PUT_NUMS", &key).unwrap();
    assert_eq!(back.stats_day.sum, 1);
    for (name, least) in [("BROKER_PUT_NUMS", 6), ("BROKER_GET_NUMS", 5)] {
        let sum = fixture.counted(name, "cluster-a").unwrap().stats_day.sum;
        assert!(sum >= least, "{name} {sum}");
        fixture.counted(name, "cluster-b").unwrap_err();
    }
    fixture.counted("NO_SUCH_NAME", TOPIC).unwrap_err();
    let header = GetTopicStatsInfoRequest {
        topic: TOPIC.into(),
    };
    let stats = fixture.ask(RequestCode::GET_TOPIC_STATS_INFO, &header);
    assert!(TopicStatsTable::decode(&stats).unwrap().topic_put_tps > 0.0);
    let header = GetConsumeStatsRequest {
        consumer_group: GROUP.into(),
        topic: Some(TOPIC.into()),
        topic_list: None,
    };
    let stats = fixture.ask(RequestCode::GET_CONSUME_STATS, &header);
    assert!(ConsumeStats::decode(&stats).unwrap().consume_tps > 0.0);
    check_runtime_info(&fixture);
    // Figures go with what they are of.
    let header = DeleteSubscriptionGroupRequest {
        group: GROUP.into(),
        clean_offset: false,
    };
    fixture.ask(RequestCode::DELETE_SUBSCRIPTIONGROUP, &header);
    fixture.counted("GROUP_GET_NUMS", &key).unwrap_err();
    let header = DeleteTopicRequest {
        topic: TOPIC.into(),
    };
    fixture.ask(RequestCode::DELETE_TOPIC_IN_BROKER, &header);
    fixture.counted("TOPIC_PUT_NUMS", TOPIC).unwrap_err();
    fixture.broker.close(peer::ANSWER).unwrap();
}
