//! What a broker tells its nameserver when topics are made: these alone where the nameserver takes
//! that, all of them where it does not; that topics made together share the work; and that sends
//! keep their order while the broker makes their topic and tells the nameserver.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use peer::{Got, connect, receive};
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::thread;
use rmq_core::client::raw;
use rmq_core::embed::{Broker, BrokerConfig, ServerSettings, Storage};
use rmq_core::protocol::body::register::RegisterBrokerBody;
use rmq_core::protocol::body::route::TopicRouteData;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame;
use rmq_core::protocol::frame::Serialize;
use rmq_core::protocol::request::offset::GetMaxOffsetRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::protocol::request::topic::{CreateTopicRequest, GetTopicConfigRequest};

/// What a broker told a nameserver: a topic alone, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    One(String, TopicRouteData),
    All(BTreeSet<String>),
}

/// Takes registrations; those of single topics only if it is `new`.
struct Nameserver {
    address: String,
    told: Arc<Mutex<Vec<Told>>>,
    /// Held, it has the nameserver answer nothing.
    pause: Arc<Mutex<()>>,
}

impl Nameserver {
    fn start(new: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let pause: Arc<Mutex<()>> = Arc::default();
        let (telling, pausing) = (Arc::clone(&told), Arc::clone(&pause));
        // Ends with the test's process.
        let serving = thread::spawn("test-nameserver", move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), new, &telling, &pausing);
            }
        });
        drop(serving.unwrap());
        Self {
            address,
            told,
            pause,
        }
    }

    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, new: bool, told: &Mutex<Vec<Told>>, pause: &Mutex<()>) {
    while let Some(request) = read(&mut stream) {
        let mut code = ResponseCode::SUCCESS;
        let what = match request.request_code() {
            RequestCode::REGISTER_BROKER => {
                let body = RegisterBrokerBody::decode(&request.body).unwrap();
                Some(Told::All(body.topics.topics.into_keys().collect()))
            }
            RequestCode::REGISTER_TOPIC_IN_NAMESRV if new => {
                let topic = request.ext.get("topic").unwrap().to_owned();
                Some(Told::One(
                    topic,
                    TopicRouteData::decode(&request.body).unwrap(),
                ))
            }
            RequestCode::REGISTER_TOPIC_IN_NAMESRV => {
                code = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
                None
            }
            _ => None,
        };
        told.lock().unwrap().extend(what);
        drop(pause.lock().unwrap());
        let mut bytes = Vec::new();
        Command::response(request.opaque, Serialize::Json, code, None).encode(&mut bytes);
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Command> {
    use std::io::Read;
    let mut bytes = vec![0; 4];
    stream.read_exact(&mut bytes).ok()?;
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    bytes.resize(4 + length, 0);
    stream.read_exact(&mut bytes[4..]).ok()?;
    let (frame, _) = frame::next_frame(&bytes, 64 << 20).unwrap()?;
    Some(Command::decode(frame).unwrap())
}

fn broker_of(nameserver: &Nameserver) -> (Broker, Storage) {
    broker_with(nameserver, &[])
}

fn broker_with(nameserver: &Nameserver, settings: &[(&str, &str)]) -> (Broker, Storage) {
    let storage = Storage::temporary().unwrap();
    let root = storage.path().to_string_lossy().into_owned();
    let mut properties = BrokerConfig::embedded_defaults(root).to_properties();
    properties.set("namesrvAddr", &*nameserver.address);
    properties.set("brokerName", "broker-a");
    for (key, value) in settings {
        properties.set(*key, *value);
    }
    let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
    (Broker::start(config).unwrap(), storage)
}

fn create(broker: &Broker, topic: &str) {
    let address = broker.address().to_string();
    raw::create_topic(&peer::client(), &address, topic, 3, peer::ANSWER).unwrap();
}

fn topics_of(told: &[Told]) -> BTreeSet<String> {
    let mut topics = BTreeSet::new();
    for one in told {
        match one {
            Told::One(topic, _) => drop(topics.insert(topic.clone())),
            Told::All(all) => topics.extend(all.iter().cloned()),
        }
    }
    topics
}

#[test]
fn a_nameserver_is_told_of_a_new_topic_alone() {
    let nameserver = Nameserver::start(true);
    let (broker, _storage) = broker_of(&nameserver);
    assert!(matches!(nameserver.take()[..], [Told::All(_)]));
    create(&broker, "fresh");
    // It was told before the creation was answered.
    let told = nameserver.take();
    let [Told::One(topic, route)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(topic, "fresh");
    let queues = &route.queues[0];
    let counts = (queues.read_queue_nums, queues.write_queue_nums, queues.perm);
    assert_eq!((&*queues.broker_name, counts), ("broker-a", (3, 3, 6)));
    // A topic that is deleted needs the whole table, and so does the broker's permission.
    let address = broker.address().to_string();
    let request = Command::bare_request(RequestCode::UPDATE_BROKER_CONFIG);
    let request = request.with_body(&b"brokerPermission=4"[..]);
    let client = peer::client();
    client.call(&address, request, peer::ANSWER).unwrap();
    assert!(matches!(nameserver.take()[..], [Told::All(_)]));
    create(&broker, "closed");
    let told = nameserver.take();
    let [Told::One(_, route)] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(route.queues[0].perm, 4);
}

#[test]
fn a_nameserver_that_takes_no_single_topics_is_told_of_all() {
    let nameserver = Nameserver::start(false);
    let (broker, _storage) = broker_of(&nameserver);
    nameserver.take();
    for topic in ["first", "second"] {
        create(&broker, topic);
        let told = nameserver.take();
        let [Told::All(all)] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(all.contains(topic));
    }
}

/// Topics that are made together are told of, and on disk, when each is answered, and it takes far
/// fewer registrations and writes than topics.
#[test]
fn topics_that_are_made_together_share_the_work() {
    const COUNT: i32 = 300;
    let nameserver = Nameserver::start(true);
    let (broker, storage) = broker_of(&nameserver);
    nameserver.take();
    let mut stream = connect(&broker.address().to_string());
    let mut bytes = Vec::new();
    for number in 0..COUNT {
        let header = CreateTopicRequest {
            topic: format!("t{number}"),
            default_topic: "TBW102".to_owned(),
            read_queue_nums: 4,
            write_queue_nums: 4,
            perm: 6,
            topic_filter_type: "SINGLE_TAG".to_owned(),
            topic_sys_flag: Some(0),
            order: false,
            attributes: None,
            force: false,
        };
        let mut request = Command::request(RequestCode::UPDATE_AND_CREATE_TOPIC, &header);
        request.opaque = number;
        request.encode(&mut bytes);
    }
    let clock = SystemClock::new();
    stream.write_all(&bytes).unwrap();
    let file = storage.path().join("config/topics.json");
    for answered in 0..COUNT {
        let Got::Frame(reply) = receive(&mut stream) else {
            panic!("a creation was not answered");
        };
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
        if answered % 50 == 0 {
            let topic = format!("t{}", reply.opaque);
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(
                text.contains(&format!("\"{topic}\"")),
                "{topic} not on disk"
            );
            let told = topics_of(&nameserver.told.lock().unwrap());
            assert!(told.contains(&topic), "{topic} not registered");
        }
    }
    println!("{COUNT} topics in {:?}", clock.monotonic());
    let told = nameserver.take();
    assert_eq!(topics_of(&told).range("t".to_owned()..).count(), 300);
    let whole = told.iter().filter(|one| matches!(one, Told::All(_)));
    let whole = whole.count();
    assert!(whole < 30, "{whole} whole registrations");
}

/// Sends to queue 0 of a topic, whose bodies and opaques are numbers, as one piece.
fn sends(topic: &str, default_topic: &str, numbers: Range<i32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in numbers {
        let header = SendRequest {
            default_topic,
            ..peer::message(topic, 0)
        };
        let request = header.command(RequestCode::SEND_MESSAGE_V2);
        let mut request = request.with_body(number.to_string().into_bytes());
        request.opaque = number;
        request.encode(&mut bytes);
    }
    bytes
}

/// The opaque and what the code says, the queue offset for what was stored.
type Answer = (i32, Result<i64, i32>);

const NO_TOPIC: i32 = ResponseCode::TOPIC_NOT_EXIST.value();
const BUSY: i32 = ResponseCode::SYSTEM_BUSY.value();

fn answer(stream: &mut TcpStream) -> Answer {
    let Got::Frame(reply) = receive(stream) else {
        panic!("a send was not answered");
    };
    let outcome = match reply.response_code() {
        ResponseCode::SUCCESS => Ok(reply.ext.get("queueOffset").unwrap().parse().unwrap()),
        refusal => Err(refusal.value()),
    };
    (reply.opaque, outcome)
}

fn answers(stream: &mut TcpStream, count: usize) -> BTreeSet<Answer> {
    (0..count).map(|_| answer(stream)).collect()
}

/// What is answered to sends that are stored one behind the other, the first at `offset`.
fn stored(numbers: Range<i32>, offset: i64) -> BTreeSet<Answer> {
    numbers.zip((offset..).map(Ok)).collect()
}

fn refused(numbers: Range<i32>, code: i32) -> BTreeSet<Answer> {
    numbers.map(|number| (number, Err(code))).collect()
}

fn bodies(broker: &str, topic: &str) -> Vec<i32> {
    let stored = peer::read_queue(&peer::client(), broker, topic, 0).unwrap();
    let number = |body: Vec<u8>| String::from_utf8(body).unwrap().parse().unwrap();
    stored.into_iter().map(|one| number(one.body)).collect()
}

/// Waits until the broker has a topic.
fn await_topic(stream: &mut TcpStream, topic: &str) {
    loop {
        let header = GetTopicConfigRequest {
            topic: topic.to_owned(),
        };
        let mut bytes = Vec::new();
        Command::request(RequestCode::GET_TOPIC_CONFIG, &header).encode(&mut bytes);
        match peer::exchange(stream, &bytes) {
            Got::Frame(reply) if reply.response_code() == ResponseCode::SUCCESS => return,
            Got::Frame(_) => std::thread::yield_now(),
            other => panic!("{other:?}"),
        }
    }
}

/// Returns when the broker has read everything that was written before.
fn await_read(stream: &mut TcpStream, topic: &str) {
    const OPAQUE: i32 = -7;
    let header = GetMaxOffsetRequest {
        topic: topic.to_owned(),
        queue_id: 0,
        committed: true,
    };
    let mut request = Command::request(RequestCode::GET_MAX_OFFSET, &header);
    request.opaque = OPAQUE;
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    match peer::exchange(stream, &bytes) {
        Got::Frame(reply) => assert_eq!(reply.opaque, OPAQUE, "{reply:?}"),
        other => panic!("{other:?}"),
    }
}

/// A topic is there before the nameservers have heard of it, and those who made it wait for that.
#[test]
fn no_send_overtakes_those_that_wait_for_its_topic() {
    let nameserver = Nameserver::start(true);
    let (broker, _storage) = broker_of(&nameserver);
    let address = broker.address().to_string();
    let (mut stream, mut other) = (connect(&address), connect(&address));
    for round in 0..10 {
        let topic = format!("t{round}");
        let pause = nameserver.pause.lock().unwrap();
        stream.write_all(&sends(&topic, "TBW102", 0..200)).unwrap();
        await_topic(&mut other, &topic);
        stream
            .write_all(&sends(&topic, "TBW102", 200..400))
            .unwrap();
        await_read(&mut stream, &topic);
        drop(pause);
        assert_eq!(answers(&mut stream, 400), stored(0..400, 0), "{topic}");
        assert_eq!(bodies(&address, &topic), Vec::from_iter(0..400), "{topic}");
    }
}

/// Without anybody to wait for, the topic comes up somewhere between the sends.
#[test]
fn sends_of_one_write_keep_their_order_when_their_topic_is_made() {
    let nameserver = Nameserver::start(true);
    let (broker, _storage) = broker_of(&nameserver);
    let mut stream = connect(&broker.address().to_string());
    for round in 0..30 {
        let topic = format!("t{round}");
        stream.write_all(&sends(&topic, "TBW102", 0..500)).unwrap();
        assert_eq!(answers(&mut stream, 500), stored(0..500, 0), "{topic}");
    }
}

#[test]
fn each_send_is_told_by_itself_why_its_topic_is_not_made() {
    let nameserver = Nameserver::start(true);
    let (broker, _storage) = broker_of(&nameserver);
    let mut stream = connect(&broker.address().to_string());
    stream.write_all(&sends("T", "none", 0..200)).unwrap();
    assert_eq!(answers(&mut stream, 200), refused(0..200, NO_TOPIC));
    // Those in front cannot have the topic made, the first of the others can.
    let mut bytes = sends("T", "none", 0..50);
    bytes.extend(sends("T", "TBW102", 50..200));
    bytes.extend(sends("T", "none", 200..250));
    stream.write_all(&bytes).unwrap();
    let mut expected = refused(0..50, NO_TOPIC);
    expected.extend(stored(50..250, 0));
    assert_eq!(answers(&mut stream, 250), expected);
}

#[test]
fn sends_that_have_no_room_to_wait_for_their_topic_are_refused() {
    let nameserver = Nameserver::start(true);
    let (broker, _storage) = broker_with(&nameserver, &[("rmq.maxWaitingSendBytes", "1")]);
    let address = broker.address().to_string();
    let (mut stream, mut other) = (connect(&address), connect(&address));
    let pause = nameserver.pause.lock().unwrap();
    stream.write_all(&sends("T", "TBW102", 0..1)).unwrap();
    await_topic(&mut other, "T");
    for number in 1..3 {
        stream
            .write_all(&sends("T", "TBW102", number..number + 1))
            .unwrap();
        assert_eq!(answer(&mut stream), (number, Err(BUSY)));
    }
    drop(pause);
    assert_eq!(answers(&mut stream, 1), stored(0..1, 0));
    stream.write_all(&sends("T", "TBW102", 1..3)).unwrap();
    assert_eq!(answers(&mut stream, 2), stored(1..3, 1));
}
