//! The admin client against brokers and nameservers of this process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{ErrorKind, Result};
use rmq_core::embed::{
    Admin, ClientOptions, Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Deployment,
    Message, Producer, ProducerOptions, PushConsumer, StartFrom, Subscription,
    SubscriptionGroupConfig, TopicConfig,
};

const LONG: Duration = Duration::from_secs(30);
const TOPIC: &str = "orders";
const GROUP: &str = "workers";

fn cluster() -> Cluster {
    let mut options = ClusterOptions::new(Deployment::Masters(2));
    options.nameservers = 2;
    options.auto_create_topics = false;
    Cluster::start(options).unwrap()
}

fn admin(cluster: &Cluster) -> Admin {
    Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap()
}

fn kind(outcome: Result<impl std::fmt::Debug>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

fn await_true(mut is_so: impl FnMut() -> bool, what: &str) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn topic(queues: i32) -> TopicConfig {
    TopicConfig {
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..TopicConfig::new(TOPIC)
    }
}

#[test]
fn topics_come_and_go() {
    let cluster = cluster();
    let admin = admin(&cluster);
    let info = admin.cluster().unwrap();
    assert_eq!(
        info.brokers.keys().collect::<Vec<_>>(),
        ["broker-a", "broker-b"]
    );
    assert_eq!(kind(admin.route(TOPIC)), ErrorKind::NotFound);
    admin.create_topic(&topic(2)).unwrap();
    await_true(
        || {
            admin
                .route(TOPIC)
                .is_ok_and(|route| route.queues.len() == 2)
        },
        "the route",
    );
    assert!(admin.topics().unwrap().contains(TOPIC));
    admin.create_topic(&topic(3)).unwrap();
    let has_three = || {
        let route = admin.route(TOPIC).unwrap();
        route
            .queues
            .iter()
            .all(|queues| queues.write_queue_nums == 3)
    };
    await_true(has_three, "three queues");
    assert_eq!(admin.topic_offsets(TOPIC).unwrap().offsets.len(), 6);
    // One nameserver is enough to ask.
    cluster.kill("namesrv-0").unwrap();
    admin.route(TOPIC).unwrap();
    cluster.start_member("namesrv-0").unwrap();
    cluster.await_ready(LONG).unwrap();
    admin.delete_topic(TOPIC).unwrap();
    await_true(
        || !admin.topics().unwrap().contains(TOPIC),
        "the topic is still there",
    );
    for name in ["", "a b", &"t".repeat(128)] {
        assert_eq!(
            kind(admin.create_topic(&TopicConfig::new(name))),
            ErrorKind::Invalid
        );
        assert_eq!(kind(admin.delete_topic(name)), ErrorKind::Invalid);
    }
    assert_eq!(kind(admin.delete_group("a b")), ErrorKind::Invalid);
    admin.close();
    assert_eq!(
        kind(Admin::start(ClientOptions::new("nowhere"))),
        ErrorKind::Invalid
    );
}

#[test]
fn groups_are_followed_and_set_back_and_messages_are_found() {
    let cluster = cluster();
    let admin = admin(&cluster);
    admin.create_topic(&topic(1)).unwrap();
    admin
        .create_group(&SubscriptionGroupConfig::new(GROUP))
        .unwrap();
    await_true(
        || {
            admin
                .route(TOPIC)
                .is_ok_and(|route| route.queues.len() == 2)
        },
        "the route",
    );
    let nameservers = cluster.nameserver_addresses();
    let producer = Producer::start(ProducerOptions::new("senders", &nameservers)).unwrap();
    let mut message = Message::new(TOPIC, "first");
    message.set_keys(["k1", "k2"]);
    let sent = producer.send(message).unwrap();
    producer.send(Message::new(TOPIC, "second")).unwrap();

    let found = admin.message_at(&sent.offset_msg_id).unwrap();
    assert_eq!(found.message.body, "first");
    await_true(
        || admin.messages_by_key(TOPIC, "k2", 10).unwrap().len() == 1,
        "the index has the key",
    );
    assert!(admin.messages_by_key(TOPIC, "k3", 10).unwrap().is_empty());
    let by_id = admin.messages_by_id(TOPIC, &sent.msg_id).unwrap();
    assert_eq!(by_id[0].queue_offset, sent.queue_offset);
    assert_eq!(kind(admin.message_at("junk")), ErrorKind::Invalid);

    let (tell, told) = mpsc::channel();
    let options = ConsumerOptions {
        start_from: StartFrom::First,
        commit_interval_ms: 20,
        ..ConsumerOptions::new(GROUP, &nameservers)
    };
    let subscriptions = vec![Subscription::tags(TOPIC, "*").unwrap()];
    let listener = move |_: &[_]| {
        tell.send(()).unwrap();
        ConsumeStatus::Success
    };
    let consumer = PushConsumer::start(options, subscriptions, listener).unwrap();
    for _ in 0..2 {
        told.recv_timeout(LONG).unwrap();
    }
    let left = || {
        let stats = admin.group_offsets(GROUP, TOPIC).unwrap();
        let each = stats.offsets.iter();
        each.map(|(_, o)| o.broker_offset - o.consumer_offset)
            .sum::<i64>()
    };
    await_true(|| left() == 0, "all is consumed");
    let offsets = admin.reset_offsets(GROUP, TOPIC, 0).unwrap();
    assert_eq!(
        offsets
            .iter()
            .map(|(_, offset)| *offset)
            .collect::<Vec<_>>(),
        [0, 0]
    );
    for _ in 0..2 {
        told.recv_timeout(LONG).unwrap();
    }
    consumer.close(LONG).unwrap();
    admin.delete_group(GROUP).unwrap();
}
