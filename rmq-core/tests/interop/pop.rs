//! What one broker has popped and another one takes over: check points and acknowledgements.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rmq_core::client::raw;
use rmq_core::net::Client;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;

use crate::apache::{Broker, Deadline, Maker, Namesrv, Workspace, exclusive, prepare};
use crate::peer;
use crate::popper::{self, Popped};

const TOPIC: &str = "popped";
const GROUP: &str = "poppers";
const INVISIBLE_MS: i64 = 8_000;

fn pop(client: &Client, broker: &str) -> Vec<Popped> {
    let header = popper::pop_of(TOPIC, GROUP, INVISIBLE_MS);
    let request = Command::request(RequestCode::POP_MESSAGE, &header);
    popper::messages(&client.call(broker, request, peer::ANSWER).unwrap())
}

fn ack(client: &Client, broker: &str, message: &Popped) {
    let header = popper::ack_of(TOPIC, GROUP, message);
    let request = Command::request(RequestCode::ACK_MESSAGE, &header);
    let reply = client.call(broker, request, peer::ANSWER).unwrap();
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
}

#[test]
fn what_rmq_popped_is_revived_by_apache() {
    hand_over(Maker::under_test(), Maker::Apache);
}

/// Its check points and acknowledgements lie in the timer until they are due.
#[test]
fn what_apache_popped_is_revived_by_rmq() {
    hand_over(Maker::Apache, Maker::under_test());
}

/// What one broker handed out and was killed with comes again from the other one, what was
/// acknowledged does not.
fn hand_over(writer: Maker, reader: Maker) {
    if !prepare(&["java", "mvn"], &["server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let namesrv = Namesrv::started(Maker::Apache, &workspace.folder("namesrv"));
    let keys = [("flushConsumerOffsetInterval", "200")];
    let folder = workspace.folder("broker-a");
    let mut broker = Broker::new(writer, "broker-a", &folder, &namesrv.address(), &keys);
    broker.start();
    let (client, address) = (peer::client(), broker.address());
    raw::create_topic(&client, &address, TOPIC, 1, peer::ANSWER).unwrap();
    let bodies: BTreeSet<String> = (0..4).map(|n| format!("m{n}")).collect();
    for body in &bodies {
        peer::send(&client, &address, (TOPIC, 0), body.clone().into_bytes()).unwrap();
    }
    let deadline = Deadline::after(Duration::from_secs(20));
    let mut popped = Vec::new();
    while popped.len() < bodies.len() {
        assert!(!deadline.passed(), "{} were popped", popped.len());
        popped.extend(pop(&client, &address));
    }
    for message in &popped[..2] {
        ack(&client, &address, message);
    }
    // Apache's broker goes by the committed offsets alone for what was popped, and its timer
    // takes a moment to have what it is given.
    let file = broker.store().join("config/consumerOffset.json");
    let row = format!("\"{TOPIC}@{GROUP}\":{{0:4");
    let is_written = || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let text: String = text.split_whitespace().collect();
        text.contains(&row)
    };
    while !is_written() {
        assert!(!deadline.passed(), "{} lacks {row}", file.display());
        std::thread::sleep(Duration::from_millis(50));
    }
    broker.kill();
    let mut broker = broker.hand_over(reader);
    broker.start();
    let (client, address) = (peer::client(), broker.address());
    let mut again = BTreeSet::new();
    let deadline = Deadline::after(Duration::from_secs(60));
    // A while longer, for what must not come.
    let mut rest = None;
    while !rest.as_ref().is_some_and(Deadline::passed) {
        assert!(!deadline.passed(), "only {again:?} came again");
        for message in pop(&client, &address) {
            ack(&client, &address, &message);
            assert!(again.insert(message.body), "twice");
        }
        if again.len() >= 2 && rest.is_none() {
            rest = Some(Deadline::after(Duration::from_secs(4)));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let expected: BTreeSet<String> = popped[2..].iter().map(|one| one.body.clone()).collect();
    assert_eq!(again, expected);
}
