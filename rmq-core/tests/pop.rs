//! Pop over the wire, with a broker process that is stopped or killed in the middle: what was
//! acknowledged never comes again, what was not comes again after its invisible time and not
//! before.
//!
//! `RMQ_KILLS` is the number of kills of the random run (3), `RMQ_SEED` makes it fall as another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/popper.rs"]
mod popper;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peer::Dice;
use popper::Popped;
use process::eventually;
use rmq_core::protocol::body::assignment::{Assignments, QueryAssignment};
use rmq_core::protocol::body::group::SubscriptionGroupConfig;
use rmq_core::protocol::body::heartbeat::{ConsumerData, HeartbeatData};
use rmq_core::protocol::body::request_mode::{GroupRequestMode, MessageRequestMode};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::request::pop::extra::RetryKind;
use rmq_core::protocol::request::pop::{
    ChangeInvisibleTimeRequest, ChangeInvisibleTimeResponse, NotificationRequest,
    NotificationResponse, PeekMessageRequest, PollingInfoRequest, PollingInfoResponse,
    PopMessageRequest, PopMessageResponse,
};
use rmq_core::protocol::request::topic::DeleteTopicRequest;
use server::{End, Pair, Server, now_ms};

const TOPIC: &str = "bank";
const GROUP: &str = "tellers";
const QUEUES: i32 = 2;

/// A broker with the topic.
fn start(keys: &str) -> Server {
    let server = Server::new(&format!("flushConsumerOffsetInterval=100\n{keys}"));
    server.create_topic(TOPIC, QUEUES);
    server
}

impl Server {
    fn send(&self, queue: i32, body: &str) {
        let place = (TOPIC, queue);
        let body = body.to_owned().into_bytes();
        peer::send(&self.client, &self.address, place, body).unwrap();
    }

    fn ask(&self, header: &PopMessageRequest) -> Command {
        self.call(Command::request(RequestCode::POP_MESSAGE, header))
    }

    /// Pops whatever there is, for `invisible_ms`.
    fn pop(&self, invisible_ms: i64) -> Vec<Popped> {
        let reply = self.ask(&pop_of(invisible_ms));
        messages(&reply)
    }

    /// Pops until `count` messages are there.
    fn pop_until(&self, count: usize, invisible_ms: i64) -> Vec<Popped> {
        let mut all = Vec::new();
        eventually("the messages are there to pop", || {
            all.extend(self.pop(invisible_ms));
            (all.len() >= count).then_some(())
        });
        all
    }

    fn try_ack(&self, message: &Popped) -> rmq_core::base::Result<ResponseCode> {
        let header = popper::ack_of(TOPIC, GROUP, message);
        let request = Command::request(RequestCode::ACK_MESSAGE, &header);
        let reply = self.client.call(&self.address, request, peer::ANSWER)?;
        Ok(reply.response_code())
    }

    fn ack(&self, message: &Popped) {
        assert_eq!(self.try_ack(message).unwrap(), ResponseCode::SUCCESS);
    }

    fn change(&self, message: &Popped, invisible_ms: i64) -> Popped {
        let header = ChangeInvisibleTimeRequest {
            consumer_group: GROUP.to_owned(),
            topic: message.info.retry.topic(TOPIC, GROUP),
            queue_id: message.info.queue_id,
            extra_info: message.info.to_text(),
            offset: message.info.queue_offset.unwrap(),
            invisible_time_ms: invisible_ms,
            suspend: None,
        };
        let code = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
        let reply = self.call(Command::request(code, &header));
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
        let changed: ChangeInvisibleTimeResponse = reply.header().unwrap();
        let mut message = message.clone();
        message.at_ms = now_ms();
        message.info.start_offset = header.offset;
        message.info.pop_time_ms = changed.pop_time_ms;
        message.info.invisible_time_ms = changed.invisible_time_ms;
        message.info.revive_queue_id = changed.revive_queue_id;
        message
    }

    fn put_group(&self, retry_max_times: i32) {
        let group = SubscriptionGroupConfig {
            group_name: GROUP.to_owned(),
            retry_max_times,
            ..SubscriptionGroupConfig::default()
        };
        let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
        let reply = self.call(Command::bare_request(code).with_body(group.encode()));
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
    }
}

fn pop_of(invisible_ms: i64) -> PopMessageRequest {
    popper::pop_of(TOPIC, GROUP, invisible_ms)
}

/// The messages of an answer.
fn messages(reply: &Command) -> Vec<Popped> {
    let code = reply.response_code();
    let expected = [ResponseCode::SUCCESS, ResponseCode::POLLING_TIMEOUT];
    assert!(expected.contains(&code), "{code}");
    let messages = popper::messages(reply);
    assert!(messages.iter().all(|one| one.topic == TOPIC));
    messages
}

fn bodies(messages: &[Popped]) -> BTreeSet<String> {
    messages.iter().map(|one| one.body.clone()).collect()
}

fn names(count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("m{n}")).collect()
}

fn fill(server: &Server, count: usize) {
    for (n, queue) in (0..count).zip((0..QUEUES).cycle()) {
        server.send(queue, &format!("m{n}"));
    }
}

#[test]
fn what_is_not_acknowledged_comes_again_with_its_count() {
    let server = start("");
    fill(&server, 5);
    let first = server.pop_until(5, 700);
    assert_eq!(bodies(&first), names(5));
    assert!(first.iter().all(|one| one.reconsume_times == 0));
    assert!(server.pop(700).is_empty(), "invisible");
    for message in &first[..3] {
        server.ack(message);
    }
    let again = server.pop_until(2, 700);
    assert_eq!(bodies(&again), bodies(&first[3..]));
    let popped = &first[3];
    assert!(now_ms() - popped.at_ms >= 690);
    for message in &again {
        assert_eq!(
            (message.reconsume_times, message.info.retry),
            (1, RetryKind::V1)
        );
        server.ack(message);
    }
    std::thread::sleep(Duration::from_millis(900));
    assert!(server.pop(700).is_empty(), "all is acknowledged");
}

#[test]
fn a_kill_loses_no_acknowledgement_and_no_message() {
    for (how, extra) in [
        (End::Killed, ""),
        (End::Stopped, ""),
        (
            End::Killed,
            "flushDiskType=SYNC_FLUSH\nenableRetryTopicV2=true\n",
        ),
    ] {
        let mut server = start(extra);
        fill(&server, 10);
        let first = server.pop_until(10, 2_500);
        for message in &first[..4] {
            server.ack(message);
        }
        server.restart(how);
        server.send(0, "fresh");
        let fresh = server.pop_until(1, 60_000);
        assert_eq!(
            bodies(&fresh),
            BTreeSet::from(["fresh".to_owned()]),
            "{how:?}"
        );
        server.ack(&first[4]);
        let again = server.pop_until(5, 60_000);
        assert_eq!(bodies(&again), bodies(&first[5..]), "{how:?}");
        assert!(now_ms() - first[9].at_ms >= 2_490);
        for message in &again {
            server.ack(message);
        }
        server.restart(how);
        assert!(server.pop(60_000).is_empty(), "{how:?}");
    }
}

#[test]
fn a_changed_time_counts_from_the_change() {
    let mut server = start("");
    fill(&server, 2);
    let popped = server.pop_until(2, 800);
    let longer = server.change(&popped[0], 2_000);
    let sooner = server.change(&popped[1], 100);
    let again = server.pop_until(1, 60_000);
    assert_eq!(again[0].body, sooner.body);
    server.ack(&again[0]);
    server.restart(End::Killed);
    let again = server.pop_until(1, 60_000);
    assert_eq!(again[0].body, longer.body);
    assert!(now_ms() - longer.at_ms >= 1_990);
    // The handle that the change replaced acknowledges nothing.
    let changed = server.change(&again[0], 300);
    server.ack(&again[0]);
    let third = server.pop_until(1, 60_000);
    server.ack(&changed);
    assert_eq!((third[0].reconsume_times, third.len()), (2, 1));
}

#[test]
fn a_pop_waits_for_a_message() {
    let server = start("");
    let waiting = PopMessageRequest {
        poll_time_ms: 8_000,
        ..pop_of(60_000)
    };
    let info = || -> i32 {
        let header = PollingInfoRequest {
            consumer_group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            queue_id: -1,
        };
        let reply = server.call(Command::request(RequestCode::POLLING_INFO, &header));
        let response: PollingInfoResponse = reply.header().unwrap();
        response.polling_num
    };
    // The group is made by the first pop.
    assert!(server.pop(60_000).is_empty());
    let started = now_ms();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| messages(&server.ask(&waiting)));
        eventually("the pop is held", || (info() == 1).then_some(()));
        server.send(1, "late");
        assert_eq!(first.join().unwrap()[0].body, "late");
    });
    assert!(now_ms() - started < 7_000, "not by its timeout");
    assert_eq!(info(), 0);
    let short = PopMessageRequest {
        poll_time_ms: 300,
        ..pop_of(60_000)
    };
    let started = now_ms();
    let reply = server.ask(&short);
    assert_eq!(reply.response_code(), ResponseCode::POLLING_TIMEOUT);
    assert!(now_ms() - started >= 290);
    // One that comes again wakes it too.
    server.send(0, "again");
    let popped = server.pop_until(1, 600);
    let started = now_ms();
    let again = messages(&server.ask(&waiting));
    assert_eq!((&again[0].body, again.len()), (&popped[0].body, 1));
    assert!(now_ms() - started < 5_000);
}

#[test]
fn a_group_that_has_too_much_of_a_queue_gets_no_more_of_it() {
    let limit = "enablePopMessageThreshold=true\npopInflightMessageThreshold=3\n";
    let mut server = start(limit);
    for n in 0..12 {
        server.send(0, &format!("m{n}"));
    }
    let four = PopMessageRequest {
        max_msg_nums: 4,
        ..pop_of(60_000)
    };
    let waiting = PopMessageRequest {
        poll_time_ms: 20_000,
        ..four.clone()
    };
    // At the limit it gets more, above it does not.
    let first = messages(&server.ask(&PopMessageRequest {
        max_msg_nums: 3,
        ..four.clone()
    }));
    let mut popped = messages(&server.ask(&four));
    assert_eq!((first.len(), popped.len()), (3, 4));
    let refused = server.ask(&four);
    assert_eq!(refused.response_code(), ResponseCode::POLLING_TIMEOUT);
    // The other queue is not touched by that, nor what is in flight by a kill.
    server.send(1, "other");
    let other = server.pop_until(1, 60_000);
    assert_eq!((other[0].body.as_str(), other.len()), ("other", 1));
    server.restart(End::Killed);
    assert!(messages(&server.ask(&four)).is_empty());
    for message in &first {
        server.ack(message);
    }
    assert!(messages(&server.ask(&four)).is_empty());
    // Who waits hears of the acknowledgement that makes room.
    let started = now_ms();
    std::thread::scope(|scope| {
        let held = scope.spawn(|| messages(&server.ask(&waiting)));
        std::thread::sleep(Duration::from_millis(100));
        server.ack(&popped.remove(0));
        let more: Vec<String> = held
            .join()
            .unwrap()
            .into_iter()
            .map(|one| one.body)
            .collect();
        assert_eq!(more, ["m7", "m8", "m9", "m10"]);
    });
    assert!(now_ms() - started < 19_000, "not by its timeout");
    server.add_keys("enablePopMessageThreshold=false");
    server.restart(End::Stopped);
    assert_eq!(
        bodies(&server.pop(60_000)),
        BTreeSet::from(["m11".to_owned()])
    );
}

#[test]
fn a_notification_says_that_there_is_something_and_a_peek_what() {
    let server = start("");
    server.put_group(16);
    let ask = |poll_ms| -> NotificationResponse {
        let header = NotificationRequest {
            consumer_group: GROUP.to_owned(),
            topic: TOPIC.to_owned(),
            queue_id: -1,
            poll_time_ms: poll_ms,
            born_time_ms: 0,
            order: false,
            attempt_id: None,
        };
        let reply = server.call(Command::request(RequestCode::NOTIFICATION, &header));
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
        reply.header().unwrap()
    };
    assert!(!ask(0).has_msg);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ask(8_000));
        std::thread::sleep(Duration::from_millis(100));
        server.send(0, "news");
        assert!(waiting.join().unwrap().has_msg);
    });
    let header = PeekMessageRequest {
        topic: TOPIC.to_owned(),
        queue_id: -1,
        max_msg_nums: 32,
        consumer_group: GROUP.to_owned(),
    };
    for _ in 0..2 {
        let reply = server.call(Command::request(RequestCode::PEEK_MESSAGE, &header));
        assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
        assert!(!reply.body.is_empty());
    }
    assert_eq!(
        bodies(&server.pop(60_000)),
        BTreeSet::from(["news".to_owned()])
    );
}

#[test]
fn ordered_messages_wait_for_those_before_them() {
    let mut server = start("");
    for body in ["a", "b", "c"] {
        server.send(0, body);
    }
    let ordered = PopMessageRequest {
        queue_id: 0,
        order: true,
        max_msg_nums: 2,
        ..pop_of(1_000)
    };
    let popped = messages(&server.ask(&ordered));
    assert_eq!(
        bodies(&popped),
        BTreeSet::from(["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(popped[0].info.revive_queue_id, 999);
    assert!(messages(&server.ask(&ordered)).is_empty(), "blocked");
    server.ack(&popped[0]);
    assert!(
        messages(&server.ask(&ordered)).is_empty(),
        "blocked by the second"
    );
    // It is visible again after its time, counted, and with what follows.
    let waiting = PopMessageRequest {
        poll_time_ms: 8_000,
        ..ordered.clone()
    };
    let reply = server.ask(&waiting);
    let header: PopMessageResponse = reply.header().unwrap();
    assert_eq!(header.order_count_info.unwrap(), "0 qo0%1 1;0 0 0");
    let again = messages(&reply);
    assert_eq!(again[0].body, "b");
    assert!(now_ms() - popped[1].at_ms >= 990);
    for message in &again {
        server.ack(message);
    }
    server.restart(End::Stopped);
    assert!(messages(&server.ask(&ordered)).is_empty());
}

#[test]
fn what_was_tried_often_enough_is_a_dead_letter() {
    let server = start("");
    server.put_group(1);
    server.send(0, "poison");
    let first = server.pop_until(1, 100);
    assert_eq!(first[0].reconsume_times, 0);
    let second = server.pop_until(1, 100);
    assert_eq!(second[0].reconsume_times, 1);
    let dead = eventually("the dead letter is there", || {
        let topic = format!("%DLQ%{GROUP}");
        let stored = peer::read_queue(&server.client, &server.address, &topic, 0).ok()?;
        stored.into_iter().next()
    });
    assert_eq!(dead.body, b"poison");
    assert!(server.pop(100).is_empty());
}

#[test]
fn the_broker_assigns_by_the_mode_that_was_set() {
    let mut server = start("");
    server.put_group(16);
    let join = |server: &Server| {
        let data = HeartbeatData {
            client_id: "me".to_owned(),
            consumers: vec![ConsumerData {
                group_name: GROUP.to_owned(),
                ..ConsumerData::default()
            }],
            ..HeartbeatData::default()
        };
        let request = Command::bare_request(RequestCode::HEART_BEAT).with_body(data.encode());
        assert_eq!(server.call(request).response_code(), ResponseCode::SUCCESS);
    };
    let assigned = |server: &Server| -> Vec<(MessageRequestMode, i32)> {
        let query = QueryAssignment {
            client_id: "me".to_owned(),
            consumer_group: GROUP.to_owned(),
            strategy_name: "AVG".to_owned(),
            topic: TOPIC.to_owned(),
            ..QueryAssignment::default()
        };
        let code = RequestCode::QUERY_ASSIGNMENT;
        let reply = server.call(Command::bare_request(code).with_body(query.encode()));
        let queues = Assignments::decode(&reply.body).unwrap().queues.unwrap();
        let pairs = queues
            .iter()
            .map(|one| (one.mode, one.message_queue.queue_id));
        pairs.collect()
    };
    join(&server);
    let pull = [(MessageRequestMode::Pull, 0), (MessageRequestMode::Pull, 1)];
    assert_eq!(assigned(&server), pull);
    let mode = GroupRequestMode {
        consumer_group: GROUP.to_owned(),
        mode: MessageRequestMode::Pop,
        pop_share_queue_num: 0,
        topic: TOPIC.to_owned(),
    };
    let code = RequestCode::SET_MESSAGE_REQUEST_MODE;
    let reply = server.call(Command::bare_request(code).with_body(mode.encode()));
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
    assert_eq!(assigned(&server), [(MessageRequestMode::Pop, -1)]);
    server.restart(End::Killed);
    join(&server);
    assert_eq!(assigned(&server), [(MessageRequestMode::Pop, -1)]);
}

#[test]
fn a_deleted_topic_takes_its_retries_along() {
    let server = start("");
    server.send(0, "old");
    server.pop_until(1, 100);
    let retries = RetryKind::V1.topic(TOPIC, GROUP);
    let stored = || {
        let found = peer::read_queue(&server.client, &server.address, &retries, 0);
        found.ok().filter(|found| !found.is_empty())
    };
    eventually("it comes again", stored);
    let header = DeleteTopicRequest {
        topic: TOPIC.to_owned(),
    };
    let reply = server.call(Command::request(
        RequestCode::DELETE_TOPIC_IN_BROKER,
        &header,
    ));
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS);
    assert!(stored().is_none());
    server.create_topic(TOPIC, QUEUES);
    assert!(server.pop(60_000).is_empty());
    server.send(1, "new");
    assert_eq!(server.pop_until(1, 60_000)[0].body, "new");
}

/// What is in flight at a master that is lost is in flight at the slave that takes its place: the
/// check points and acknowledgements are in the log.
#[test]
fn pops_in_flight_outlive_their_master() {
    let pair = Pair::new("flushConsumerOffsetInterval=100");
    pair.master.create_topic(TOPIC, QUEUES);
    fill(&pair.master, 10);
    pair.catch_up();
    let first = pair.master.pop_until(10, 12_000);
    for message in &first[..4] {
        pair.master.ack(message);
    }
    let longer = pair.master.change(&first[4], 15_000);
    pair.master.send(0, "fresh");
    pair.catch_up();
    let server = pair.fail_over();
    let fresh = server.pop_until(1, 60_000);
    assert_eq!(bodies(&fresh), BTreeSet::from(["fresh".to_owned()]));
    // Handles of the old master are good at the new one.
    server.ack(&first[5]);
    let mut again = server.pop_until(5, 60_000);
    assert_eq!(bodies(&again[..4]), bodies(&first[6..]));
    assert_eq!(again.remove(4).body, longer.body);
    assert!(again.iter().all(|one| one.at_ms - first[9].at_ms >= 11_990));
    assert!(now_ms() - longer.at_ms >= 14_990);
    assert!(again.iter().all(|one| one.reconsume_times == 1));
    assert!(server.pop(60_000).is_empty());
}

/// A consumer that pops, acknowledges, changes times and forgets at random, while the broker is
/// killed now and then.
#[test]
fn random_consumers_and_kills_lose_nothing_and_repeat_nothing_acknowledged() {
    const INVISIBLE_MS: i64 = 1_500;
    let kills = peer::kills(3);
    let seed = Dice::seed();
    println!("RMQ_SEED={seed} RMQ_KILLS={kills}");
    let mut dice = Dice::new(seed);
    let mut server = start("");
    let mut sent = 0;
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    // When each message may come at the earliest.
    let mut visible: BTreeMap<String, i64> = BTreeMap::new();
    let invisible = INVISIBLE_MS - 10;
    for round in 0..=kills {
        for _ in 0..30 {
            for _ in 0..dice.below(6) {
                let queue = i32::try_from(dice.below(2)).unwrap();
                server.send(queue, &format!("m{sent}"));
                sent += 1;
            }
            for message in server.pop(INVISIBLE_MS) {
                let body = &message.body;
                assert!(!acknowledged.contains(body), "{body} was acknowledged");
                if let Some(earliest) = visible.get(body) {
                    assert!(message.at_ms >= *earliest, "{body} came too early");
                }
                visible.insert(body.clone(), message.at_ms + invisible);
                match dice.below(10) {
                    0..6 => {
                        server.ack(&message);
                        acknowledged.insert(body.clone());
                    }
                    6 => {
                        let before = now_ms();
                        server.change(&message, 2 * INVISIBLE_MS);
                        visible.insert(body.clone(), before + 2 * invisible);
                    }
                    _ => {}
                }
            }
        }
        if round < kills {
            server.restart(End::Killed);
        }
    }
    eventually("everything is acknowledged", || {
        for message in server.pop(INVISIBLE_MS) {
            let body = &message.body;
            assert!(!acknowledged.contains(body), "{body} was acknowledged");
            assert!(
                visible
                    .get(body)
                    .is_none_or(|earliest| message.at_ms >= *earliest)
            );
            server.ack(&message);
            acknowledged.insert(message.body);
        }
        (acknowledged.len() == sent).then_some(())
    });
    assert_eq!(acknowledged, names(sent));
}
