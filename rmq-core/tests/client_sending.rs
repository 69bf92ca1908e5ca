//! What a client does around the sending itself: namespaces, held batches, traces, hooks, limits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::embed::{
    Admin, ClientOptions, Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Deployment,
    Message, Producer, ProducerOptions, PullConsumer, PushConsumer, ReceivedMessage, SendOptions,
    StartFrom, Subscription, SubscriptionGroupConfig, TopicConfig,
};

const LONG: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";
const GROUP: &str = "workers";

fn cluster() -> Cluster {
    let mut options = ClusterOptions::new(Deployment::Masters(1));
    let delays = "0s 0s 0s 0s 0s 0s".to_owned();
    options
        .settings
        .insert("messageDelayLevel".to_owned(), delays);
    Cluster::start(options).unwrap()
}

fn options(cluster: &Cluster) -> ProducerOptions {
    ProducerOptions {
        send_timeout_ms: 10_000,
        ..ProducerOptions::new("senders", cluster.nameserver_addresses())
    }
}

fn await_true(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn body(message: &ReceivedMessage) -> String {
    String::from_utf8_lossy(&message.message.body).into_owned()
}

fn in_namespace(cluster: &Cluster) -> ClientOptions {
    ClientOptions {
        namespace: "ns".to_owned(),
        ..ClientOptions::new(cluster.nameserver_addresses())
    }
}

fn consumer_options(client: ClientOptions) -> ConsumerOptions {
    ConsumerOptions {
        client,
        start_from: StartFrom::First,
        ..ConsumerOptions::new(GROUP, "")
    }
}

#[test]
fn a_namespace_is_seen_by_brokers_alone() {
    let cluster = cluster();
    let client = in_namespace(&cluster);
    let admin = Admin::start(client.clone()).unwrap();
    admin.create_topic(&TopicConfig::new(TOPIC)).unwrap();
    let group = SubscriptionGroupConfig::new(GROUP);
    admin.create_group(&group).unwrap();
    let producer = Producer::start(ProducerOptions {
        client: client.clone(),
        ..options(&cluster)
    })
    .unwrap();
    let queues = producer.queues(TOPIC).unwrap();
    assert!(queues.iter().all(|queue| queue.topic == TOPIC));
    let to_first = SendOptions::to_queue(queues[0].clone());
    let sent = producer.send_with(Message::new(TOPIC, "a"), to_first);
    let sent = sent.unwrap();
    assert_eq!(sent.queue, queues[0]);
    let batch = vec![Message::new(TOPIC, "b"), Message::new(TOPIC, "c")];
    producer.send_batch(batch, SendOptions::default()).unwrap();

    let seen: Arc<Mutex<BTreeMap<String, i32>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let listener = move |messages: &[ReceivedMessage]| {
        assert_eq!(messages[0].message.topic, TOPIC);
        let times = messages[0].reconsume_times;
        noted.lock().unwrap().insert(body(&messages[0]), times);
        match times {
            0 => ConsumeStatus::Later,
            _ => ConsumeStatus::Success,
        }
    };
    let all = || Subscription::tags(TOPIC, "*").unwrap();
    let options = consumer_options(client.clone());
    let consumer = PushConsumer::start(options, vec![all()], listener).unwrap();
    let wanted = ["a", "b", "c"].map(|body| (body.to_owned(), 1));
    let wanted = BTreeMap::from(wanted);
    await_true("all come, and again", || *seen.lock().unwrap() == wanted);
    let topics: Vec<String> = consumer.queues().into_iter().map(|q| q.topic).collect();
    assert!(topics.contains(&TOPIC.to_owned()), "{topics:?}");
    assert!(topics.contains(&"%RETRY%workers".to_owned()), "{topics:?}");
    consumer.close(LONG).unwrap();

    // What the program sees has no namespace, what the brokers have does.
    assert_eq!(
        admin.message_at(&sent.offset_msg_id).unwrap().message.topic,
        TOPIC
    );
    let found = admin.messages_by_id(TOPIC, &sent.msg_id).unwrap();
    assert_eq!(found[0].message.property("INSTANCE_ID"), Some("ns"));
    let offsets = admin.topic_offsets(TOPIC).unwrap().offsets;
    assert!(offsets.iter().all(|(queue, _)| queue.topic == TOPIC));
    let progress = admin.group_offsets(GROUP, TOPIC).unwrap().offsets;
    let consumed: i64 = progress.iter().map(|(_, o)| o.consumer_offset).sum();
    assert_eq!(consumed, 3);
    let own = admin.topics().unwrap();
    assert!(own.contains(TOPIC) && !own.contains("TBW102"), "{own:?}");
    let outside = Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap();
    let names = outside.topics().unwrap();
    assert!(names.contains("ns%orders") && names.contains("%RETRY%ns%workers"));
    assert!(!names.contains(TOPIC), "{names:?}");
}

#[test]
fn a_polled_consumer_gives_and_takes_names_inside_its_namespace() {
    let cluster = cluster();
    let client = in_namespace(&cluster);
    let producer = Producer::start(ProducerOptions {
        client: client.clone(),
        ..options(&cluster)
    })
    .unwrap();
    for i in 0..4 {
        producer.send(Message::new(TOPIC, format!("{i}"))).unwrap();
    }
    let consumer = PullConsumer::start(consumer_options(client)).unwrap();
    let queues = consumer.queues(TOPIC).unwrap();
    assert!(queues.iter().all(|queue| queue.topic == TOPIC));
    consumer.assign(&queues).unwrap();
    consumer.assign(&queues).unwrap();
    assert_eq!(consumer.assignment(), queues);
    for queue in &queues {
        consumer.seek_to_begin(queue).unwrap();
        assert_eq!(consumer.position(queue).unwrap(), 0);
        assert_eq!(consumer.offset_at(queue, 0).unwrap(), 0);
    }
    let mut got = Vec::new();
    await_true("all are polled", || {
        let messages = consumer.poll(8, Duration::from_millis(100)).unwrap();
        assert!(messages.iter().all(|m| m.message.topic == TOPIC));
        got.extend(messages.iter().map(body));
        got.len() == 4
    });
    consumer.commit(LONG).unwrap();
    let committed = |queue| consumer.committed(queue).unwrap().unwrap_or(0);
    assert_eq!(queues.iter().map(committed).sum::<i64>(), 4);
}
