//! What a broker tells its nameserver when topics are made: these alone where the nameserver takes
//! that, all of them where it does not; and that topics made together share the work.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
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
use rmq_core::protocol::request::topic::CreateTopicRequest;

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
}

impl Nameserver {
    fn start(new: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let telling = Arc::clone(&told);
        // Ends with the test's process.
        let serving = thread::spawn("test-nameserver", move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), new, &telling);
            }
        });
        drop(serving.unwrap());
        Self { address, told }
    }

    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, new: bool, told: &Mutex<Vec<Told>>) {
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
    let storage = Storage::temporary().unwrap();
    let root = storage.path().to_string_lossy().into_owned();
    let mut properties = BrokerConfig::embedded_defaults(root).to_properties();
    properties.set("namesrvAddr", &*nameserver.address);
    properties.set("brokerName", "broker-a");
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
