//! The producer against brokers and nameservers of this process, and what it does when they fail.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{ErrorKind, Result, thread};
use rmq_core::embed::{
    Cluster, ClusterOptions, Compression, Deployment, Message, MessageQueue, Producer,
    ProducerOptions, ReceivedMessage, SendOptions, SendResult, SendStatus, TransactionCheck,
    TransactionState, reply_to,
};
use rmq_core::protocol::body::connection::ProducerConnection;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::record::CheckLevel;
use rmq_core::protocol::message::user::ReceivedMessages;
use rmq_core::protocol::request::group::GetProducerConnectionListRequest;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);
const TOPIC: &str = "orders";

fn cluster(masters: usize, nameservers: usize) -> Cluster {
    let mut options = ClusterOptions::new(Deployment::Masters(masters));
    options.nameservers = nameservers;
    Cluster::start(options).unwrap()
}

fn options(cluster: &Cluster) -> ProducerOptions {
    ProducerOptions {
        send_timeout_ms: 10_000,
        ..ProducerOptions::new("senders", cluster.nameserver_addresses())
    }
}

fn producer(cluster: &Cluster) -> Producer {
    Producer::start(options(cluster)).unwrap()
}

/// Everything that a broker has of the topic.
fn stored(cluster: &Cluster, broker: &str) -> Vec<ReceivedMessage> {
    let client = peer::client();
    let address = cluster.address(broker).unwrap().to_string();
    let mut found = Vec::new();
    for queue_id in 0..4 {
        let pull = peer::pull_from(TOPIC, queue_id, 0);
        let reply = rmq_core::client::raw::pull(&client, &address, &pull, peer::ANSWER);
        let Ok(reply) = reply else { continue };
        let messages = ReceivedMessages::new(reply.records, CheckLevel::BodyCrc, 1 << 20);
        found.extend(messages.map(|message| message.unwrap()));
    }
    found
}

fn bodies(messages: &[ReceivedMessage]) -> Vec<Vec<u8>> {
    let mut bodies: Vec<_> = messages.iter().map(|m| m.message.body.to_vec()).collect();
    bodies.sort();
    bodies
}

type Told = mpsc::Receiver<Result<SendResult>>;

/// What an asynchronous send says when it is over.
fn told() -> (impl FnOnce(Result<SendResult>) + Send + 'static, Told) {
    let (tell, told) = mpsc::channel();
    (move |outcome| tell.send(outcome).unwrap(), told)
}

fn kind(outcome: Result<impl std::fmt::Debug>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[test]
fn messages_are_stored_as_they_were_sent() {
    let cluster = cluster(1, 1);
    let producer = producer(&cluster);
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut message = Message::new(TOPIC, every_byte.clone());
    message.flag = 7;
    message
        .set_tag("red")
        .set_keys(["k1", "k2"])
        .set_property("color", "\u{e9}");
    let sent = producer.send(message).unwrap();
    assert_eq!(sent.status, SendStatus::Ok);
    assert_eq!(sent.queue.broker_name, "broker-a");
    let other = producer.send(Message::new(TOPIC, "\0")).unwrap();
    assert_ne!(sent.msg_id, other.msg_id);
    assert_ne!(sent.queue, other.queue, "queues take turns");

    let messages = stored(&cluster, "broker-a");
    let found = messages.iter().find(|m| m.msg_id() == sent.msg_id).unwrap();
    assert_eq!(found.message.body, every_byte);
    assert_eq!(found.message.flag, 7);
    assert_eq!(found.message.tag(), Some("red"));
    assert_eq!(found.message.keys().collect::<Vec<_>>(), ["k1", "k2"]);
    assert_eq!(found.message.property("color"), Some("\u{e9}"));
    assert_eq!(found.queue_id, sent.queue.queue_id);
    assert_eq!(found.queue_offset, sent.queue_offset);
    assert_eq!(found.offset_msg_id().as_str(), sent.offset_msg_id);
    assert_eq!(messages.len(), 2);
}

#[test]
fn large_bodies_travel_compressed() {
    let cluster = cluster(1, 1);
    let body = b"some words again and again. ".repeat(1000);
    for compression in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
        let options = ProducerOptions {
            compression,
            ..options(&cluster)
        };
        let producer = Producer::start(options).unwrap();
        producer.send(Message::new(TOPIC, body.clone())).unwrap();
    }
    let found = stored(&cluster, "broker-a");
    assert_eq!(found.len(), 3);
    for message in found {
        assert_eq!(message.message.body, body);
        assert!(message.store_len < body.len() / 2, "{}", message.store_len);
    }
}

#[test]
fn batches_queues_and_keys_say_where_messages_go() {
    let cluster = cluster(1, 1);
    let producer = producer(&cluster);
    let batch: Vec<Message> = (0..3)
        .map(|i| Message::new(TOPIC, format!("b{i}")))
        .collect();
    let sent = producer.send_batch(batch, SendOptions::default()).unwrap();
    assert_eq!(sent.msg_id.split(',').count(), 3);
    assert_eq!(sent.offset_msg_id.split(',').count(), 3);
    assert_eq!(bodies(&stored(&cluster, "broker-a")), [b"b0", b"b1", b"b2"]);

    let queues = producer.queues(TOPIC).unwrap();
    assert_eq!(queues.len(), 4);
    for queue in &queues {
        let options = SendOptions::to_queue(queue.clone());
        let sent = producer
            .send_with(Message::new(TOPIC, "q"), options)
            .unwrap();
        assert_eq!(sent.queue, *queue);
    }
    let to = |key: &str| {
        let options = SendOptions::by_key(key);
        producer
            .send_with(Message::new(TOPIC, "k"), options)
            .unwrap()
            .queue
    };
    assert_eq!(to("user-1"), to("user-1"));
    let used: BTreeSet<MessageQueue> = (0..40).map(|i| to(&format!("user-{i}"))).collect();
    assert_eq!(used.len(), 4);
}

#[test]
fn asynchronous_sends_are_told_once_each() {
    let cluster = cluster(1, 1);
    let producer = Arc::new(producer(&cluster));
    let outcomes = Arc::new(Mutex::new(BTreeMap::new()));
    for i in 0..500 {
        let (outcomes, again) = (Arc::clone(&outcomes), Arc::clone(&producer));
        let message = Message::new(TOPIC, format!("{i}"));
        let done = move |outcome: Result<SendResult>| {
            outcome.unwrap();
            *outcomes.lock().unwrap().entry(i).or_insert(0) += 1;
            if i == 0 {
                // A callback may send, and wait.
                again
                    .send(Message::new(TOPIC, "from the callback"))
                    .unwrap();
            }
        };
        producer
            .send_async(message, SendOptions::default(), done)
            .unwrap();
    }
    producer.flush(LONG).unwrap();
    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes.len(), 500);
    assert!(outcomes.values().all(|times| *times == 1));
    let (done, told) = told();
    let batch = vec![Message::new(TOPIC, "x"); 2];
    producer
        .send_batch_async(batch, SendOptions::default(), done)
        .unwrap();
    assert_eq!(
        told.recv_timeout(LONG).unwrap().unwrap().status,
        SendStatus::Ok
    );
}

#[test]
fn one_way_messages_arrive() {
    let cluster = cluster(1, 1);
    let producer = producer(&cluster);
    producer.send(Message::new(TOPIC, "first")).unwrap();
    for i in 0..5 {
        let message = Message::new(TOPIC, format!("w{i}"));
        producer
            .send_oneway(message, SendOptions::default())
            .unwrap();
    }
    producer.close(LONG).unwrap();
    let clock = SystemClock::new();
    while stored(&cluster, "broker-a").len() < 6 {
        assert!(clock.monotonic() < LONG, "lost");
    }
}

#[test]
fn another_broker_takes_what_a_dead_one_cannot() {
    let cluster = cluster(2, 1);
    let producer = producer(&cluster);
    // The topic comes to be on both brokers.
    for _ in 0..8 {
        producer.send(Message::new(TOPIC, "before")).unwrap();
    }
    cluster.kill("broker-a").unwrap();
    for _ in 0..8 {
        let sent = producer.send(Message::new(TOPIC, "after")).unwrap();
        assert_eq!(sent.queue.broker_name, "broker-b");
    }
    // Order is kept rather than availability.
    let dead = MessageQueue {
        broker_name: "broker-a".to_owned(),
        queue_id: 0,
        topic: TOPIC.to_owned(),
    };
    let options = SendOptions::to_queue(dead);
    let outcome = producer.send_with(Message::new(TOPIC, "x"), options);
    assert_eq!(kind(outcome), ErrorKind::Unreachable);
    cluster.start_member("broker-a").unwrap();
    cluster.await_ready(LONG).unwrap();
    let clock = SystemClock::new();
    while producer
        .send(Message::new(TOPIC, "again"))
        .unwrap()
        .queue
        .broker_name
        != "broker-a"
    {
        assert!(clock.monotonic() < LONG, "never used again");
    }
}

#[test]
fn a_broker_that_hangs_costs_the_time_allowed_and_no_more() {
    let cluster = cluster(1, 1);
    let producer = producer(&cluster);
    producer.send(Message::new(TOPIC, "before")).unwrap();
    cluster.pause("broker-a").unwrap();
    let within = SendOptions::within(SHORT);
    let outcome = producer.send_with(Message::new(TOPIC, "x"), within.clone());
    assert_eq!(kind(outcome), ErrorKind::Timeout);
    let (done, told) = told();
    producer
        .send_async(Message::new(TOPIC, "x"), within, done)
        .unwrap();
    assert_eq!(kind(told.recv_timeout(LONG).unwrap()), ErrorKind::Timeout);
    cluster.resume("broker-a").unwrap();
    producer.send(Message::new(TOPIC, "after")).unwrap();
}

#[test]
fn a_nameserver_that_is_gone_is_done_without() {
    let cluster = cluster(1, 2);
    let producer = producer(&cluster);
    producer.send(Message::new(TOPIC, "1")).unwrap();
    cluster.kill("namesrv-0").unwrap();
    // A topic that was never asked for: the other nameserver knows.
    producer.send(Message::new("another", "2")).unwrap();
    cluster.kill("namesrv-1").unwrap();
    producer.send(Message::new(TOPIC, "3")).unwrap();
    let outcome = producer.send(Message::new("third", "4"));
    assert_eq!(kind(outcome), ErrorKind::Unreachable);
    let (done, told) = told();
    let third = Message::new("third", "4");
    producer
        .send_async(third, SendOptions::default(), done)
        .unwrap();
    assert_eq!(
        kind(told.recv_timeout(LONG).unwrap()),
        ErrorKind::Unreachable
    );
    cluster.start_member("namesrv-0").unwrap();
    cluster.await_ready(LONG).unwrap();
    producer.send(Message::new("third", "4")).unwrap();
}

#[test]
fn close_ends_what_is_blocked_and_is_final() {
    let cluster = cluster(1, 1);
    let producer = Arc::new(producer(&cluster));
    producer.send(Message::new(TOPIC, "before")).unwrap();
    cluster.pause("broker-a").unwrap();
    let (done, told) = told();
    let message = Message::new(TOPIC, "x");
    producer
        .send_async(message.clone(), SendOptions::default(), done)
        .unwrap();
    let blocked = Arc::clone(&producer);
    let waiting = message.clone();
    let (tell, blocked_told) = mpsc::channel();
    let sending = move || tell.send(kind(blocked.send(waiting))).unwrap();
    let thread = thread::spawn("test-sender", sending).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let clock = SystemClock::new();
    producer.close(SHORT).unwrap();
    assert!(
        clock.monotonic() < Duration::from_secs(8),
        "close took its time"
    );
    assert_eq!(kind(told.try_recv().unwrap()), ErrorKind::Closed);
    assert_eq!(blocked_told.recv_timeout(LONG).unwrap(), ErrorKind::Closed);
    thread.join_deadline(LONG).unwrap();
    assert_eq!(kind(producer.send(message.clone())), ErrorKind::Closed);
    let never = |_| panic!("called though the send was refused");
    let refused = producer.send_async(message, SendOptions::default(), never);
    assert_eq!(kind(refused), ErrorKind::Closed);
    producer.close(SHORT).unwrap();
}

#[test]
fn a_callback_may_close_its_producer() {
    let cluster = cluster(1, 1);
    let producer = Arc::new(producer(&cluster));
    let closing = Arc::clone(&producer);
    let (tell, told) = mpsc::channel();
    let done = move |outcome: Result<SendResult>| {
        outcome.unwrap();
        tell.send(closing.close(LONG)).unwrap();
    };
    let message = Message::new(TOPIC, "x");
    producer
        .send_async(message.clone(), SendOptions::default(), done)
        .unwrap();
    told.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(kind(producer.send(message)), ErrorKind::Closed);
    producer.close(LONG).unwrap();
}

#[test]
fn a_full_window_is_busy_and_opens_again() {
    let cluster = cluster(1, 1);
    let options = ProducerOptions {
        max_in_flight: 3,
        ..options(&cluster)
    };
    let producer = Producer::start(options).unwrap();
    producer.send(Message::new(TOPIC, "before")).unwrap();
    cluster.pause("broker-a").unwrap();
    let message = || Message::new(TOPIC, "x");
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let (done, told) = told();
        producer
            .send_async(message(), SendOptions::default(), done)
            .unwrap();
        waiting.push(told);
    }
    let never = |_| panic!("called though the send was refused");
    let refused = producer.send_async(message(), SendOptions::default(), never);
    assert_eq!(kind(refused), ErrorKind::Busy);
    let refused = producer.send_oneway(message(), SendOptions::default());
    assert_eq!(kind(refused), ErrorKind::Busy);
    cluster.resume("broker-a").unwrap();
    for told in waiting {
        told.recv_timeout(LONG).unwrap().unwrap();
    }
    producer.flush(LONG).unwrap();
    producer
        .send_oneway(message(), SendOptions::default())
        .unwrap();
}

#[test]
fn bad_names_and_options_are_refused_at_once() {
    let cluster = cluster(1, 1);
    let nameservers = cluster.nameserver_addresses();
    for group in ["", "a b", "a/b", &"g".repeat(256)] {
        let outcome = Producer::start(ProducerOptions::new(group, &nameservers));
        assert_eq!(kind(outcome), ErrorKind::Invalid, "{group}");
    }
    for nameservers in ["", "localhost", "localhost:0"] {
        let outcome = Producer::start(ProducerOptions::new("g", nameservers));
        assert_eq!(kind(outcome), ErrorKind::Invalid, "{nameservers}");
    }
    let producer = producer(&cluster);
    for topic in [
        "",
        "a b",
        "../x",
        "a\0b",
        &"t".repeat(128),
        "SELF_TEST_TOPIC",
    ] {
        let outcome = producer.send(Message::new(topic, "x"));
        assert_eq!(kind(outcome), ErrorKind::Invalid, "{topic}");
    }
    let large = vec![0; (4 << 20) + 1];
    let outcome = producer.send(Message::new(TOPIC, large));
    assert_eq!(kind(outcome), ErrorKind::Limit);
    let mut unknown = ClusterOptions::new(Deployment::Masters(1));
    unknown.auto_create_topics = false;
    let strict = Cluster::start(unknown).unwrap();
    let producer = Producer::start(options(&strict)).unwrap();
    let outcome = producer.send(Message::new("unknown", "x"));
    assert_eq!(kind(outcome), ErrorKind::NotFound);
}

#[test]
fn transactions_are_delivered_when_committed() {
    let mut options = ClusterOptions::new(Deployment::Masters(1));
    for (key, value) in [
        ("transactionCheckInterval", "100"),
        ("transactionTimeOut", "200"),
    ] {
        options.settings.insert(key.to_owned(), value.to_owned());
    }
    let cluster = Cluster::start(options).unwrap();
    let (tell, checked) = mpsc::channel();
    let checker = move |message: &ReceivedMessage| {
        tell.send(message.msg_id()).unwrap();
        TransactionState::Commit
    };
    let options = self::options(&cluster);
    let producer = Producer::start_with_checker(options, checker).unwrap();
    // The topic comes to be, so that the queues that are looked at are there.
    producer.send(Message::new(TOPIC, "first")).unwrap();
    let transact = |body: &'static str, state| {
        let message = Message::new(TOPIC, body);
        let execute = move |sent: &SendResult| {
            assert_eq!(sent.status, SendStatus::Ok);
            state
        };
        let outcome = producer.send_in_transaction(message, SendOptions::default(), execute);
        let (sent, ended) = outcome.unwrap();
        assert_eq!(ended, state);
        sent.msg_id
    };
    transact("committed", TransactionState::Commit);
    transact("rolled back", TransactionState::Rollback);
    let asked = transact("asked", TransactionState::Unknown);
    assert_eq!(checked.recv_timeout(LONG).unwrap(), asked);
    let clock = SystemClock::new();
    let wanted: [&[u8]; 3] = [b"asked", b"committed", b"first"];
    while bodies(&stored(&cluster, "broker-a")) != wanted {
        assert!(
            clock.monotonic() < LONG,
            "{:?}",
            bodies(&stored(&cluster, "broker-a"))
        );
    }
    producer.close(LONG).unwrap();
}

#[test]
fn transactions_can_be_ended_and_questions_answered_from_any_thread() {
    let mut options = ClusterOptions::new(Deployment::Masters(1));
    for (key, value) in [
        ("transactionCheckInterval", "100"),
        ("transactionTimeOut", "200"),
    ] {
        options.settings.insert(key.to_owned(), value.to_owned());
    }
    let cluster = Cluster::start(options).unwrap();
    let (tell, asked) = mpsc::channel();
    let tell = Mutex::new(tell);
    let queue = move |check| tell.lock().unwrap().send(check).unwrap();
    let producer = Producer::start_with_check_queue(self::options(&cluster), queue).unwrap();
    producer.send(Message::new(TOPIC, "first")).unwrap();
    let half = |body: &'static str| {
        let half = producer.half(Message::new(TOPIC, body));
        producer.send_with(half, SendOptions::default()).unwrap()
    };
    let (ended, left) = (half("ended"), half("left"));
    let end = |sent, state| producer.end_transaction(TOPIC, sent, state);
    end(&ended, TransactionState::Commit).unwrap();
    let check: TransactionCheck = asked.recv_timeout(LONG).unwrap();
    assert_eq!(check.message().msg_id(), left.msg_id);
    // A question that is let go of is asked again.
    drop(check);
    let again = asked.recv_timeout(LONG).unwrap();
    assert_eq!(again.message().msg_id(), left.msg_id);
    again.answer(TransactionState::Commit);
    let clock = SystemClock::new();
    let wanted: [&[u8]; 3] = [b"ended", b"first", b"left"];
    while bodies(&stored(&cluster, "broker-a")) != wanted {
        assert!(clock.monotonic() < LONG, "not delivered");
    }
    producer.close(LONG).unwrap();
    assert_eq!(
        kind(producer.end_transaction(TOPIC, &left, TransactionState::Commit)),
        ErrorKind::Closed
    );
}

#[test]
fn a_blocking_send_can_be_given_up() {
    let cluster = cluster(1, 1);
    let producer = producer(&cluster);
    producer.send(Message::new(TOPIC, "first")).unwrap();
    cluster.pause("broker-a").unwrap();
    let mut looks = 0;
    let mut go_on = || {
        looks += 1;
        looks < 3
    };
    let (message, options) = (Message::new(TOPIC, "given up"), SendOptions::within(LONG));
    let every = Duration::from_millis(5);
    let outcome = producer.send_while(message, options, every, &mut go_on);
    assert_eq!(kind(outcome), ErrorKind::Timeout);
    assert_eq!(looks, 3);
    cluster.resume("broker-a").unwrap();
    producer.close(LONG).unwrap();
}

#[test]
fn a_request_gets_its_reply() {
    let cluster = cluster(1, 1);
    let (asking, answering) = (Arc::new(producer(&cluster)), producer(&cluster));
    let asker = Arc::clone(&asking);
    let (tell, told) = mpsc::channel();
    let ask = move || {
        let mut replies = Vec::new();
        for body in ["question", "nobody hears this"] {
            let timeout = if replies.is_empty() { LONG } else { SHORT };
            replies.push(asker.request(Message::new(TOPIC, body), timeout));
        }
        tell.send(replies).unwrap();
    };
    let thread = thread::spawn("test-asker", ask).unwrap();
    let clock = SystemClock::new();
    let question = loop {
        if let Some(question) = stored(&cluster, "broker-a").pop() {
            break question;
        }
        assert!(clock.monotonic() < LONG, "the request did not come");
    };
    assert_eq!(question.message.body, "question");
    let answer = b"an answer ".repeat(1000);
    let reply = reply_to(&question, answer.clone()).unwrap();
    answering.send(reply).unwrap();
    let mut replies = told.recv_timeout(LONG).unwrap();
    assert_eq!(kind(replies.pop().unwrap()), ErrorKind::Timeout);
    assert_eq!(replies.pop().unwrap().unwrap().message.body, answer);
    thread.join_deadline(LONG).unwrap();
    let plain = answering.send(Message::new(TOPIC, "plain"));
    plain.unwrap();
    let mut no_request = question;
    no_request.message.properties.clear();
    assert_eq!(kind(reply_to(&no_request, "x")), ErrorKind::Invalid);
    let asker = Arc::clone(&asking);
    let (tell, told) = mpsc::channel();
    let ask = move || {
        tell.send(asker.request(Message::new(TOPIC, "x"), LONG))
            .unwrap()
    };
    let thread = thread::spawn("test-asker", ask).unwrap();
    while stored(&cluster, "broker-a").len() < 4 {
        assert!(clock.monotonic() < LONG, "the request did not come");
    }
    asking.close(SHORT).unwrap();
    assert_eq!(kind(told.recv_timeout(LONG).unwrap()), ErrorKind::Closed);
    thread.join_deadline(LONG).unwrap();
}

/// Clients that a broker lists for the group.
fn connected(cluster: &Cluster) -> Vec<String> {
    let header = GetProducerConnectionListRequest {
        producer_group: "senders".to_owned(),
    };
    let request = Command::request(RequestCode::GET_PRODUCER_CONNECTION_LIST, &header);
    let address = cluster.address("broker-a").unwrap().to_string();
    let answer = peer::client()
        .call(&address, request, peer::ANSWER)
        .unwrap();
    if answer.response_code() != ResponseCode::SUCCESS {
        return Vec::new();
    }
    let list = ProducerConnection::decode(&answer.body).unwrap();
    let mut ids: Vec<String> = list.connections.into_iter().map(|c| c.client_id).collect();
    ids.sort();
    ids
}

#[test]
fn brokers_know_each_producer_while_it_lives() {
    let cluster = cluster(1, 1);
    let (first, second) = (producer(&cluster), producer(&cluster));
    let mut ids = vec![first.client_id().to_owned(), second.client_id().to_owned()];
    ids.sort();
    for producer in [&first, &second] {
        producer.send(Message::new(TOPIC, "x")).unwrap();
    }
    let clock = SystemClock::new();
    while connected(&cluster) != ids {
        assert!(
            clock.monotonic() < LONG,
            "{:?} of {ids:?}",
            connected(&cluster)
        );
    }
    first.close(LONG).unwrap();
    assert_eq!(connected(&cluster), [second.client_id()]);
    drop(second);
    while !connected(&cluster).is_empty() {
        assert!(clock.monotonic() < LONG, "{:?}", connected(&cluster));
    }
}
