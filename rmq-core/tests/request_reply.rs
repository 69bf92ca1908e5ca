//! Replies of consumers, pushed to the producer that waits for them over its own connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::io::{Read, Write};
use std::net::TcpStream;

use rmq_core::embed::{Broker, BrokerConfig, ServerSettings, Storage};
use rmq_core::protocol::body::heartbeat::{HeartbeatData, ProducerData};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame;
use rmq_core::protocol::message::properties::names;
use rmq_core::protocol::message::user::property_map;
use rmq_core::protocol::request::push::PushReplyMessageRequest;
use rmq_core::protocol::request::send::{SendRequest, SendResponse};

const REPLY_TOPIC: &str = "DefaultCluster_REPLY_TOPIC";

struct Fixture {
    _broker: Broker,
    address: String,
    _storage: Storage,
}

impl Fixture {
    fn new(keys: &[(&str, &str)]) -> Self {
        let storage = Storage::temporary().unwrap();
        let defaults = BrokerConfig::embedded_defaults(storage.path().to_string_lossy());
        let mut properties = defaults.to_properties();
        for (key, value) in keys {
            properties.set(*key, *value);
        }
        let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
        let broker = Broker::start(config).unwrap();
        Self {
            address: broker.address().to_string(),
            _broker: broker,
            _storage: storage,
        }
    }

    /// A connection of a producer with this id, which the broker knows.
    fn producer(&self, client_id: &str) -> Wire {
        let mut wire = Wire(peer::connect(&self.address));
        let data = HeartbeatData {
            client_id: client_id.to_owned(),
            producers: vec![ProducerData {
                group_name: "askers".to_owned(),
            }],
            ..HeartbeatData::default()
        };
        let mut beat = Command::bare_request(RequestCode::HEART_BEAT);
        beat.opaque = 1;
        beat.body = data.encode().into();
        wire.send(&beat);
        assert_eq!(wire.receive().response_code(), ResponseCode::SUCCESS);
        wire
    }

    fn replier(&self) -> Wire {
        Wire(peer::connect(&self.address))
    }

    fn stored(&self) -> Vec<peer::Stored> {
        peer::read_queue(&peer::client(), &self.address, REPLY_TOPIC, 0).unwrap()
    }
}

struct Wire(TcpStream);

impl Wire {
    fn send(&mut self, command: &Command) {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        self.0.write_all(&bytes).unwrap();
    }

    /// The next frame, be it a request or a response.
    fn receive(&mut self) -> Command {
        let mut bytes = vec![0; 4];
        self.0.read_exact(&mut bytes).unwrap();
        let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        bytes.resize(4 + length, 0);
        self.0.read_exact(&mut bytes[4..]).unwrap();
        let (frame, _) = frame::next_frame(&bytes, 64 << 20).unwrap().unwrap();
        Command::decode(frame).unwrap()
    }

    fn reply_to(&mut self, code: RequestCode, client_id: Option<&str>, opaque: i32, body: &str) {
        let to = client_id.map_or_else(String::new, |id| format!("REPLY_TO_CLIENT\u{1}{id}\u{2}"));
        let properties = format!("CORRELATION_ID\u{1}c7\u{2}MSG_TYPE\u{1}reply\u{2}{to}");
        let header = SendRequest {
            properties: Some(&properties),
            ..peer::message(REPLY_TOPIC, -1)
        };
        let mut request = header.command(code);
        request.opaque = opaque;
        request.body = body.as_bytes().to_vec().into();
        self.send(&request);
    }
}

#[test]
fn a_reply_is_pushed_to_the_client_that_it_names_and_stored() {
    for code in [
        RequestCode::SEND_REPLY_MESSAGE,
        RequestCode::SEND_REPLY_MESSAGE_V2,
    ] {
        let fixture = Fixture::new(&[]);
        let mut other = fixture.producer("another");
        let mut asker = fixture.producer("asker");
        let mut replier = fixture.replier();
        replier.reply_to(code, Some("asker"), 41, "the answer");
        let push = asker.receive();
        assert!(!push.is_response() && !push.is_oneway());
        assert_eq!(
            push.request_code(),
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT
        );
        assert_eq!(&push.body[..], b"the answer");
        let header: PushReplyMessageRequest = push.header().unwrap();
        assert_eq!(header.topic, REPLY_TOPIC);
        assert_eq!(header.store_host, fixture.address);
        assert_eq!(
            header.born_host,
            replier.0.local_addr().unwrap().to_string()
        );
        let properties = property_map(header.properties.unwrap().as_bytes());
        assert_eq!(properties[names::CORRELATION_ID], "c7");
        assert!(properties.contains_key(names::PUSH_REPLY_TIME));

        // Nothing is said before the client has it.
        assert!(fixture.stored().is_empty());
        asker.send(&Command::response_to(&push, ResponseCode::SUCCESS, None));
        let answer = replier.receive();
        assert_eq!(
            (answer.opaque, answer.response_code()),
            (41, ResponseCode::SUCCESS)
        );
        let response = SendResponse::decode(&answer.ext).unwrap();
        assert_eq!((response.queue_id, response.queue_offset), (0, 0));
        assert_eq!(response.msg_id.len(), 32);
        let stored = fixture.stored();
        assert_eq!(stored[0].body, b"the answer");

        // Its place in the connection table follows it.
        let mut again = fixture.producer("asker");
        replier.reply_to(code, Some("asker"), 42, "second");
        let push = again.receive();
        asker.send(&Command::response_to(&push, ResponseCode::SUCCESS, None));
        again.send(&Command::response_to(&push, ResponseCode::SUCCESS, None));
        assert_eq!(replier.receive().response_code(), ResponseCode::SUCCESS);
        drop(again);
        other.0.set_nonblocking(true).unwrap();
        assert!(
            other.0.read(&mut [0]).is_err(),
            "the other client got something"
        );
    }
}

#[test]
fn a_reply_that_reaches_nobody_is_refused() {
    let fixture = Fixture::new(&[("storeReplyMessageEnable", "false")]);
    let mut replier = fixture.replier();
    let code = RequestCode::SEND_REPLY_MESSAGE_V2;
    replier.reply_to(code, None, 1, "x");
    let answer = replier.receive();
    assert_eq!(answer.response_code(), ResponseCode::SYSTEM_ERROR);
    let remark = "reply message properties[REPLY_TO_CLIENT] is null";
    assert_eq!(answer.remark.as_deref(), Some(remark));

    replier.reply_to(code, Some("nobody"), 2, "x");
    let answer = replier.receive();
    assert_eq!(answer.response_code(), ResponseCode::SYSTEM_ERROR);
    let remark = "push reply message fail, channel of <nobody> not found.";
    assert_eq!(answer.remark.as_deref(), Some(remark));

    // The client does not want it.
    let mut asker = fixture.producer("asker");
    replier.reply_to(code, Some("asker"), 3, "x");
    let push = asker.receive();
    asker.send(&Command::response_to(
        &push,
        ResponseCode::SYSTEM_ERROR,
        None,
    ));
    let answer = replier.receive();
    assert_eq!(
        (answer.opaque, answer.response_code()),
        (3, ResponseCode::SYSTEM_ERROR)
    );
    let remark = "push reply message to askerfail.";
    assert_eq!(answer.remark.as_deref(), Some(remark));

    // The client goes away with it.
    replier.reply_to(code, Some("asker"), 4, "x");
    asker.receive();
    drop(asker);
    let answer = replier.receive();
    assert_eq!(
        (answer.opaque, answer.response_code()),
        (4, ResponseCode::SYSTEM_ERROR)
    );

    // A client that is well gets its reply all the same, and nothing was stored.
    let mut asker = fixture.producer("asker");
    replier.reply_to(code, Some("asker"), 5, "x");
    let push = asker.receive();
    asker.send(&Command::response_to(&push, ResponseCode::SUCCESS, None));
    let answer = replier.receive();
    assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
    assert_eq!(SendResponse::decode(&answer.ext).unwrap().msg_id, "0");
    assert!(fixture.stored().is_empty());
}

#[test]
fn a_reply_to_a_topic_that_may_not_be_sent_to_is_refused() {
    let fixture = Fixture::new(&[]);
    let mut replier = fixture.replier();
    for (topic, queue_id, code) in [
        ("SCHEDULE_TOPIC_XXXX", 0, ResponseCode::NO_PERMISSION),
        ("a/b", 0, ResponseCode::INVALID_PARAMETER),
        (REPLY_TOPIC, 1, ResponseCode::INVALID_PARAMETER),
    ] {
        let header = peer::message(topic, queue_id);
        let mut request = header.command(RequestCode::SEND_REPLY_MESSAGE);
        request.opaque = 9;
        replier.send(&request);
        assert_eq!(replier.receive().response_code(), code, "{topic}");
    }
}
