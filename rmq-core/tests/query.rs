//! Finding messages: by key, by unique id, by tag, by log offset, and what a queue holds; asked of
//! a broker over real sockets and files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw;
use rmq_core::embed::{Broker, BrokerConfig, Storage};
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::body::consume_queue::ConsumeQueuePart;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::filter::tag;
use rmq_core::protocol::message::record::{CheckLevel, RecordRef, Records};
use rmq_core::protocol::request::query::{
    QueryConsumeQueueRequest, QueryMessageRequest, QueryMessageResponse, UNIQUE_KEY_QUERY,
    ViewMessageRequest,
};
use rmq_core::protocol::request::send::SendRequest;

const TIMEOUT: Duration = Duration::from_secs(20);
const NOT_FOUND: &str = "can not find message, maybe time range not correct";

struct Fixture {
    broker: Option<Broker>,
    client: Arc<Client>,
    address: String,
    storage: Storage,
}

impl Fixture {
    fn new() -> Self {
        let client = Client::start(ClientConfig::default(), SystemClock::shared()).unwrap();
        let mut fixture = Self {
            broker: None,
            client: Arc::new(client),
            address: String::new(),
            storage: Storage::temporary().unwrap(),
        };
        fixture.start(|_| ());
        raw::create_topic(&fixture.client, &fixture.address, "T", 1, TIMEOUT).unwrap();
        fixture
    }

    fn start(&mut self, change: impl FnOnce(&mut BrokerConfig)) {
        let mut config = BrokerConfig::embedded_defaults(self.storage.path().to_string_lossy());
        config.broker_name = "broker-a".into();
        change(&mut config);
        let broker = Broker::start(config).unwrap();
        self.address = broker.address().to_string();
        self.broker = Some(broker);
    }

    fn close(&mut self) {
        self.broker.take().unwrap().close(TIMEOUT).unwrap();
    }

    /// Sends a message; returns its offset in the queue.
    fn send(&self, topic: &str, properties: &str, body: &[u8]) -> i64 {
        let header = SendRequest {
            producer_group: "p",
            topic,
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id: 0,
            sys_flag: 0,
            born_timestamp_ms: 1,
            flag: 0,
            properties: Some(properties),
            reconsume_times: 0,
            unit_mode: false,
            batch: false,
            max_reconsume_times: None,
            broker_name: None,
        };
        let body = Bytes::copy_from_slice(body);
        let receipt = raw::send(&self.client, &self.address, &header, body, TIMEOUT).unwrap();
        receipt.queue_offset
    }

    fn call(&self, request: Command) -> Command {
        self.client.call(&self.address, request, TIMEOUT).unwrap()
    }

    fn query(&self, request: &QueryMessageRequest, unique: bool) -> Command {
        let mut command = Command::request(RequestCode::QUERY_MESSAGE, request);
        command
            .ext
            .insert(UNIQUE_KEY_QUERY, if unique { "true" } else { "false" });
        self.call(command)
    }

    /// The bodies that a query finds once it finds that many.
    fn await_found(
        &self,
        request: &QueryMessageRequest,
        unique: bool,
        count: usize,
    ) -> Vec<String> {
        let clock = SystemClock::new();
        let until = clock.monotonic() + TIMEOUT;
        loop {
            let found = bodies(&self.query(request, unique));
            if found.len() >= count {
                return found;
            }
            assert!(clock.monotonic() < until, "{request:?}: {found:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn key(key: &str) -> QueryMessageRequest {
    QueryMessageRequest {
        topic: "T".to_owned(),
        key: key.to_owned(),
        max_num: 64,
        begin_timestamp_ms: 0,
        end_timestamp_ms: i64::MAX,
        index_type: None,
        last_key: None,
    }
}

fn records(answer: &Command) -> Vec<RecordRef<'_>> {
    let records = Records::new(&answer.body, CheckLevel::BodyCrc);
    records.map(Result::unwrap).collect()
}

fn bodies(answer: &Command) -> Vec<String> {
    let body = |record: &RecordRef<'_>| String::from_utf8(record.body().to_vec()).unwrap();
    records(answer).iter().map(body).collect()
}

fn code(answer: &Command) -> ResponseCode {
    ResponseCode::new(answer.code)
}

#[test]
fn messages_are_found_by_key_by_id_and_by_tag() {
    let fixture = Fixture::new();
    for number in 0..100 {
        let properties = format!(
            "UNIQ_KEY\u{1}ID{number}\u{2}KEYS\u{1}all n{number}\u{2}TAGS\u{1}t{}\u{2}",
            number % 2
        );
        fixture.send("T", &properties, format!("m{number}").as_bytes());
    }
    assert_eq!(fixture.await_found(&key("n99"), false, 1), ["m99"]);
    assert_eq!(fixture.await_found(&key("n7"), false, 1), ["m7"]);
    assert_eq!(fixture.await_found(&key("ID42"), true, 1), ["m42"]);
    // No more than maxMsgsNumBatch, or defaultQueryMaxNum for ids: the newest.
    let expected = |from: usize| (from..100).map(|n| format!("m{n}")).collect::<Vec<_>>();
    let many = QueryMessageRequest {
        max_num: 1000,
        ..key("all")
    };
    assert_eq!(bodies(&fixture.query(&many, false)), expected(36));
    assert_eq!(bodies(&fixture.query(&many, true)), expected(68));
    let few = QueryMessageRequest {
        max_num: 3,
        ..key("all")
    };
    assert_eq!(bodies(&fixture.query(&few, false)), expected(97));
    let tag = QueryMessageRequest {
        index_type: Some("T".to_owned()),
        max_num: 2,
        ..key("t1")
    };
    assert_eq!(bodies(&fixture.query(&tag, false)), ["m97", "m99"]);
    let answer = fixture.query(&key("n7"), false);
    let header: QueryMessageResponse = answer.header().unwrap();
    let newest = fixture.query(&key("n99"), false);
    let newest = records(&newest)[0];
    assert_eq!(
        (
            header.index_last_update_timestamp_ms,
            header.index_last_update_physical_offset
        ),
        (newest.store_timestamp_ms(), newest.physical_offset())
    );
}

#[test]
fn what_is_not_there_is_not_found() {
    let fixture = Fixture::new();
    fixture.send("T", "KEYS\u{1}k\u{2}", b"m");
    fixture.await_found(&key("k"), false, 1);
    let other_topic = QueryMessageRequest {
        topic: "U".to_owned(),
        ..key("k")
    };
    let too_early = QueryMessageRequest {
        end_timestamp_ms: 1000,
        ..key("k")
    };
    let too_late = QueryMessageRequest {
        begin_timestamp_ms: i64::MAX - 1,
        ..key("k")
    };
    let none = QueryMessageRequest {
        max_num: 0,
        ..key("k")
    };
    for request in [key("K"), key(""), other_topic, too_early, too_late, none] {
        let answer = fixture.query(&request, false);
        assert_eq!(code(&answer), ResponseCode::QUERY_NOT_FOUND, "{request:?}");
        assert_eq!(answer.remark.as_deref(), Some(NOT_FOUND));
        let header: QueryMessageResponse = answer.header().unwrap();
        assert_eq!(header.index_last_update_physical_offset, 0);
    }
    let negative = QueryMessageRequest {
        max_num: -1,
        ..key("k")
    };
    let answer = fixture.query(&negative, false);
    assert_eq!(code(&answer), ResponseCode::SYSTEM_ERROR);
    // A header without its fields.
    let mut empty = Command::request(RequestCode::QUERY_MESSAGE, &key("k"));
    empty.ext = Default::default();
    assert_eq!(code(&fixture.call(empty)), ResponseCode::SYSTEM_ERROR);
}

#[test]
fn an_answer_stays_below_the_frame_limit() {
    let fixture = Fixture::new();
    let body = vec![b'x'; 3 << 20];
    for _ in 0..7 {
        fixture.send("T", "KEYS\u{1}large\u{2}", &body);
    }
    fixture.send("T", "KEYS\u{1}last\u{2}", b"m");
    fixture.await_found(&key("last"), false, 1);
    assert_eq!(records(&fixture.query(&key("large"), false)).len(), 5);
}

#[test]
fn a_message_is_seen_at_its_place_in_the_log_and_nowhere_else() {
    let fixture = Fixture::new();
    fixture.send("T", "KEYS\u{1}k\u{2}", b"m");
    fixture.await_found(&key("k"), false, 1);
    let answer = fixture.query(&key("k"), false);
    let offset = records(&answer)[0].physical_offset();
    let view = |physical_offset| {
        let request = ViewMessageRequest {
            physical_offset,
            topic: None,
        };
        fixture.call(Command::request(RequestCode::VIEW_MESSAGE_BY_ID, &request))
    };
    assert_eq!(bodies(&view(offset)), ["m"]);
    for wrong in [-1, offset + 1, offset + 4, 1 << 40, i64::MAX, i64::MIN] {
        let answer = view(wrong);
        assert_eq!(code(&answer), ResponseCode::SYSTEM_ERROR, "{wrong}");
        let remark = format!("can not find message by the offset, {wrong}");
        assert_eq!(answer.remark, Some(remark));
    }
}

#[test]
fn a_queue_shows_its_entries() {
    let fixture = Fixture::new();
    for number in 0..5 {
        fixture.send("T", &format!("TAGS\u{1}t{number}\u{2}"), b"m");
    }
    let ask = |topic: &str, queue_id, index, count, group: Option<&str>| {
        let request = QueryConsumeQueueRequest {
            topic: Some(topic.to_owned()),
            queue_id,
            index,
            count,
            consumer_group: group.map(str::to_owned),
        };
        fixture.call(Command::request(RequestCode::QUERY_CONSUME_QUEUE, &request))
    };
    let part = |answer: &Command| ConsumeQueuePart::decode(&answer.body).unwrap();
    let answer = ask("T", 0, 1, 3, None);
    let found = part(&answer);
    assert_eq!((found.min_queue_index, found.max_queue_index), (0, 5));
    assert_eq!((found.filter_data, found.subscription_data), (None, None));
    let codes: Vec<i64> = found
        .queue_data
        .unwrap()
        .iter()
        .map(|entry| entry.tags_code)
        .collect();
    let want: Vec<i64> = [b"t1", b"t2", b"t3"].map(|t| tag::tags_code(t)).to_vec();
    assert_eq!(codes, want);
    for (index, count, entries) in [(0, 100, 5), (5, 9, 0), (2, 0, 0), (2, -3, 0)] {
        let found = part(&ask("T", 0, index, count, None));
        assert_eq!(found.queue_data.unwrap().len(), entries, "{index} {count}");
    }
    let offline = part(&ask("T", 0, 0, 1, Some("g")));
    assert_eq!(offline.filter_data.as_deref(), Some("g@T is not online!"));
    for index in [-1, 6] {
        let answer = ask("T", 0, index, 1, None);
        assert_eq!(code(&answer), ResponseCode::SUCCESS);
        let remark = format!("Index {index} of 0@T is not exist!");
        assert_eq!(answer.remark, Some(remark));
        assert_eq!(part(&answer).queue_data, None);
    }
    for (topic, queue_id) in [("T", 7), ("U", 0), ("../T", 0)] {
        let answer = ask(topic, queue_id, 0, 1, None);
        assert_eq!(code(&answer), ResponseCode::SYSTEM_ERROR);
        let remark = format!("{queue_id}@{topic} is not exist!");
        assert_eq!(answer.remark, Some(remark));
    }
}

#[test]
fn messages_are_found_after_a_stop_and_after_a_crash() {
    let mut fixture = Fixture::new();
    let mut count = 0;
    for crash in [true, false, true, true, false] {
        for _ in 0..50 {
            let properties = format!("UNIQ_KEY\u{1}ID{count}\u{2}KEYS\u{1}n{count}\u{2}");
            fixture.send("T", &properties, format!("m{count}").as_bytes());
            count += 1;
        }
        match crash {
            true => fixture.broker.take().unwrap().kill(),
            false => fixture.close(),
        }
        fixture.start(|_| ());
        for number in [count - 1, 0, count / 2] {
            let body = format!("m{number}");
            let found = fixture.await_found(&key(&format!("n{number}")), false, 1);
            assert_eq!(found, [body.as_str()]);
            let found = fixture.await_found(&key(&format!("ID{number}")), true, 1);
            assert_eq!(found, [body]);
        }
    }
}

#[test]
fn the_index_can_be_left_unread_and_unwritten() {
    let mut fixture = Fixture::new();
    fixture.send("T", "KEYS\u{1}k\u{2}", b"m");
    fixture.await_found(&key("k"), false, 1);
    fixture.close();
    fixture.start(|config| config.store.index_file_read = false);
    let answer = fixture.query(&key("k"), false);
    assert_eq!(code(&answer), ResponseCode::QUERY_NOT_FOUND);
    fixture.close();
    fixture.start(|config| config.store.index_enable = false);
    fixture.send("T", "KEYS\u{1}k\u{2}", b"late");
    assert_eq!(bodies(&fixture.query(&key("k"), false)), ["m"]);
    fixture.close();
    // Built for what it missed, before the first request.
    fixture.start(|config| config.store.index_safe = true);
    assert_eq!(bodies(&fixture.query(&key("k"), false)), ["m", "late"]);
}

/// Clients with message traces on send them to this topic, whether or not the broker made it.
#[test]
fn traces_have_their_topic() {
    let mut fixture = Fixture::new();
    let topic = "RMQ_SYS_TRACE_TOPIC";
    assert_eq!(fixture.send(topic, "KEYS\u{1}ID1 k\u{2}", b"trace"), 0);
    fixture.close();
    fixture.start(|config| config.trace_topic_enable = true);
    assert_eq!(fixture.send(topic, "KEYS\u{1}ID2 k\u{2}", b"trace"), 1);
    let request = QueryMessageRequest {
        topic: topic.to_owned(),
        ..key("k")
    };
    assert_eq!(fixture.await_found(&request, false, 2).len(), 2);
}
