//! What the client's handles leave in their process. One test, for it counts everything of the
//! process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::embed::{
    Admin, ClientOptions, Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Message,
    Producer, ProducerOptions, PullConsumer, PushConsumer, SendOptions, StartFrom, Subscription,
    TopicConfig,
};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);
const TOPIC: &str = "orders";

/// Threads of the handles, and descriptors of the process.
fn held() -> (usize, usize) {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| {
        // A thread may end meanwhile.
        let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        (name.starts_with("rmq-clients") || name.starts_with("rmq-consume")).then_some(())
    });
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (names.count(), descriptors)
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < LONG, "{what}: {:?}", held());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every kind of handle at work; ended cleanly or dropped.
fn round(nameservers: &str, cleanly: bool) {
    let client = ClientOptions {
        trace: true,
        trace_topic: "traces".to_owned(),
        ..ClientOptions::new(nameservers)
    };
    let options = ProducerOptions {
        client: client.clone(),
        auto_batch: true,
        ..ProducerOptions::new("senders", nameservers)
    };
    let producer = Producer::start(options).unwrap();
    producer.send(Message::new(TOPIC, "x")).unwrap();
    let (tell, told) = mpsc::channel();
    let subscriptions = || vec![Subscription::tags(TOPIC, "*").unwrap()];
    let options = |group: &str| ConsumerOptions {
        start_from: StartFrom::First,
        client: client.clone(),
        ..ConsumerOptions::new(group, nameservers)
    };
    let listener = move |_: &[_]| {
        // Nobody listens any more when the round has ended.
        let _ = tell.send(());
        ConsumeStatus::Success
    };
    let push = PushConsumer::start(options("pushed"), subscriptions(), listener).unwrap();
    let pull = PullConsumer::start(options("pulling")).unwrap();
    pull.assign(&pull.queues(TOPIC).unwrap()).unwrap();
    assert!(!pull.poll(1, LONG).unwrap().is_empty());
    told.recv_timeout(LONG).unwrap();
    let admin = Admin::start(ClientOptions::new(nameservers)).unwrap();
    admin.cluster().unwrap();
    let (tell, told) = mpsc::channel();
    let done = move |outcome| drop(tell.send(outcome));
    producer
        .send_async(Message::new(TOPIC, "x"), SendOptions::default(), done)
        .unwrap();
    told.recv_timeout(LONG).unwrap().unwrap();
    // Some rounds end while this waits for others or for an answer.
    producer
        .send_async(Message::new(TOPIC, "x"), SendOptions::default(), drop)
        .unwrap();
    producer
        .request_async(Message::new(TOPIC, "x"), SHORT, drop)
        .unwrap();
    if cleanly {
        push.close(LONG).unwrap();
        pull.close(LONG).unwrap();
        producer.close(LONG).unwrap();
        admin.close();
    }
}

#[test]
fn nothing_is_left_of_handles_however_they_end() {
    let cluster = Cluster::start(ClusterOptions::default()).unwrap();
    let nameservers = cluster.nameserver_addresses();
    let (threads, _) = held();
    assert_eq!(threads, 0);
    // The servers open what they keep: the files of these queues among others.
    let admin = Admin::start(ClientOptions::new(nameservers.as_str())).unwrap();
    for topic in [TOPIC, "traces"] {
        let one_queue = TopicConfig {
            read_queue_nums: 1,
            write_queue_nums: 1,
            ..TopicConfig::new(topic)
        };
        admin.create_topic(&one_queue).unwrap();
    }
    drop(admin);
    round(&nameservers, true);
    eventually("the first round ends", || held().0 == threads);
    std::thread::sleep(Duration::from_millis(200));
    let (_, before) = held();
    for i in 0..12 {
        round(&nameservers, i % 2 == 0);
        eventually("no thread is left", || held().0 == threads);
    }
    // A handle that outlives the others keeps the threads that all share, and they are few.
    let last = Producer::start(ProducerOptions::new("senders", &nameservers)).unwrap();
    for _ in 0..4 {
        round(&nameservers, false);
    }
    last.send(Message::new(TOPIC, "x")).unwrap();
    eventually("the shared threads remain", || {
        (1..=7).contains(&(held().0 - threads))
    });
    drop(last);
    eventually("descriptors are given back", || {
        held().0 == threads && held().1 <= before
    });
}
