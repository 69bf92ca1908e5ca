//! What a client does around the sending itself: namespaces, held batches, traces, hooks, limits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/relay.rs"]
mod relay;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{ErrorKind, Result};
use rmq_core::embed::{
    Admin, AfterConsume, AfterSend, Allocation, ClientOptions, Cluster, ClusterOptions,
    ConsumeHook, ConsumeStatus, ConsumerOptions, Deployment, Hooks, Message, MessageQueue,
    Producer, ProducerOptions, PullConsumer, PushConsumer, ReceivedMessage, SendHook, SendOptions,
    SendResult, StartFrom, Subscription, SubscriptionGroupConfig, TopicConfig, TransactionState,
    reply_to,
};
use rmq_core::protocol::body::topic_stats::TopicOffset;
use rmq_core::protocol::code::RequestCode;

const LONG: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";
const GROUP: &str = "workers";

fn cluster() -> Cluster {
    let mut options = ClusterOptions::new(Deployment::Masters(1));
    for (key, value) in [
        ("messageDelayLevel", "0s 0s 0s 0s 0s 0s"),
        ("recallMessageEnable", "true"),
    ] {
        options.settings.insert(key.to_owned(), value.to_owned());
    }
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

/// Sends in all ways, consumes, fails, polls, and administers.
fn do_everything(client: &ClientOptions) {
    let admin = Admin::start(client.clone()).unwrap();
    admin.create_topic(&TopicConfig::new(TOPIC)).unwrap();
    let group = SubscriptionGroupConfig::new(GROUP);
    admin.create_group(&group).unwrap();
    let options = ProducerOptions {
        client: client.clone(),
        send_timeout_ms: 10_000,
        ..ProducerOptions::new("senders", "")
    };
    let commit = |_: &ReceivedMessage| TransactionState::Commit;
    let producer = Producer::start_with_checker(options, commit).unwrap();
    let queues = producer.queues(TOPIC).unwrap();
    producer.send(Message::new(TOPIC, "sent")).unwrap();
    let all_or_none = vec![Message::new(TOPIC, "b0"), Message::new(TOPIC, "b1")];
    let to_all = SendOptions::default;
    producer.send_batch(all_or_none, to_all()).unwrap();
    producer
        .send_oneway(Message::new(TOPIC, "oneway"), to_all())
        .unwrap();
    for (body, state) in [
        ("known", TransactionState::Commit),
        // The broker asks.
        ("asked", TransactionState::Unknown),
    ] {
        let message = Message::new(TOPIC, body);
        producer
            .send_in_transaction(message, to_all(), |_| state)
            .unwrap();
    }
    let wanted = ["sent", "b0", "b1", "oneway", "known", "asked"].map(str::to_owned);
    let wanted = BTreeSet::from(wanted);

    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let listener = move |messages: &[ReceivedMessage]| {
        assert_eq!(messages[0].message.topic, TOPIC);
        if messages[0].reconsume_times == 0 {
            return ConsumeStatus::Later;
        }
        noted.lock().unwrap().insert(body(&messages[0]));
        ConsumeStatus::Success
    };
    let options = consumer_options(client.clone());
    let all = Subscription::tags(TOPIC, "*").unwrap();
    let consumer = PushConsumer::start(options.clone(), vec![all], listener).unwrap();
    await_true("all come again", || *seen.lock().unwrap() == wanted);
    consumer.close(LONG).unwrap();

    let mut seen = BTreeSet::new();
    let polling = PullConsumer::start(ConsumerOptions {
        group: "pollers".to_owned(),
        ..options
    })
    .unwrap();
    polling.assign(&queues).unwrap();
    while seen != wanted {
        seen.extend(polling.poll(32, LONG).unwrap().iter().map(body));
    }
    polling.commit(LONG).unwrap();
    let end = admin.max_offset(&queues[0]).unwrap();
    assert!(admin.min_offset(&queues[0]).unwrap() <= end);
    assert_eq!(admin.committed_offset("nobody", &queues[0]).unwrap(), None);
    admin.commit_offset(GROUP, &queues[0], end).unwrap();
    assert_eq!(
        admin.committed_offset(GROUP, &queues[0]).unwrap(),
        Some(end)
    );
    polling.close(LONG).unwrap();
    producer.close(LONG).unwrap();
}

#[test]
fn a_namespace_for_servers_is_said_with_every_request_and_changes_no_name() {
    for namespace in ["", "tenant-1"] {
        let mut options = ClusterOptions::new(Deployment::Masters(1));
        for (key, value) in [
            ("messageDelayLevel", "0s 0s 0s 0s 0s 0s"),
            ("transactionTimeOut", "200"),
            ("transactionCheckInterval", "100"),
        ] {
            options.settings.insert(key.to_owned(), value.to_owned());
        }
        let cluster = Cluster::start(options).unwrap();
        let nameserver = cluster.nameserver_addresses();
        let broker = cluster.address("broker-a").unwrap().to_string();
        let relay = relay::Relay::start(&nameserver, &broker);
        do_everything(&ClientOptions {
            namespace_v2: namespace.to_owned(),
            trace: true,
            ..ClientOptions::new(relay.nameserver.clone())
        });
        let asked = relay.asked.lock().unwrap();
        let of_namespace = Some(namespace).filter(|name| !name.is_empty());
        for request in &*asked {
            let said = (request.ext.get("nsd"), request.ext.get("ns"));
            assert_eq!(
                said,
                (of_namespace.map(|_| "true"), of_namespace),
                "{request:?}"
            );
        }
        let codes: BTreeSet<i32> = asked.iter().map(|request| request.code).collect();
        for code in [
            RequestCode::GET_ROUTEINFO_BY_TOPIC,
            RequestCode::GET_BROKER_CLUSTER_INFO,
            RequestCode::HEART_BEAT,
            RequestCode::SEND_MESSAGE_V2,
            RequestCode::SEND_BATCH_MESSAGE,
            RequestCode::END_TRANSACTION,
            RequestCode::GET_CONSUMER_LIST_BY_GROUP,
            RequestCode::QUERY_CONSUMER_OFFSET,
            RequestCode::PULL_MESSAGE,
            RequestCode::LITE_PULL_MESSAGE,
            RequestCode::CONSUMER_SEND_MSG_BACK,
            RequestCode::UPDATE_CONSUMER_OFFSET,
            RequestCode::GET_MIN_OFFSET,
            RequestCode::GET_MAX_OFFSET,
            RequestCode::UNREGISTER_CLIENT,
        ] {
            assert!(codes.contains(&code.value()), "{code} was not asked");
        }
    }
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

/// Everything that a topic has, by queue and offset.
fn stored(cluster: &Cluster, topic: &str) -> Vec<ReceivedMessage> {
    let options = ConsumerOptions {
        auto_commit: false,
        ..consumer_options(ClientOptions::new(cluster.nameserver_addresses()))
    };
    let admin = Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap();
    let Ok(offsets) = admin.topic_offsets(topic) else {
        return Vec::new();
    };
    let has = |(_, o): &&(MessageQueue, TopicOffset)| o.max_offset > o.min_offset;
    let filled: Vec<_> = offsets.offsets.iter().filter(has).collect();
    let total: i64 = filled
        .iter()
        .map(|(_, o)| o.max_offset - o.min_offset)
        .sum();
    let queues: Vec<MessageQueue> = filled.iter().map(|(queue, _)| queue.clone()).collect();
    let consumer = PullConsumer::start(options).unwrap();
    consumer.assign(&queues).unwrap();
    for queue in &queues {
        consumer.seek_to_begin(queue).unwrap();
    }
    let mut all = Vec::new();
    await_true("the topic is read", || {
        all.extend(consumer.poll(64, Duration::from_millis(50)).unwrap());
        all.len() as i64 >= total
    });
    all.sort_by_key(|m| (m.queue_id, m.queue_offset));
    all
}

fn batching(cluster: &Cluster) -> ProducerOptions {
    ProducerOptions {
        auto_batch: true,
        batch_hold_ms: 30_000,
        batch_max_bytes: 50,
        ..options(cluster)
    }
}

type Outcomes = Arc<Mutex<BTreeMap<usize, Vec<SendResult>>>>;

fn send_numbered(
    producer: &Producer,
    numbers: std::ops::Range<usize>,
    how: &SendOptions,
) -> Outcomes {
    let outcomes = Outcomes::default();
    for number in numbers {
        let noted = Arc::clone(&outcomes);
        let done = move |outcome: Result<SendResult>| {
            let mut noted = noted.lock().unwrap();
            noted.entry(number).or_default().push(outcome.unwrap());
        };
        let message = Message::new(TOPIC, format!("{number:05}"));
        producer.send_async(message, how.clone(), done).unwrap();
    }
    outcomes
}

#[test]
fn held_messages_travel_together_and_are_answered_one_by_one() {
    let cluster = cluster();
    let producer = Producer::start(batching(&cluster)).unwrap();
    let by_key = SendOptions::by_key("user");
    // Ten are a batch by size, the last five wait for the flush.
    let outcomes = send_numbered(&producer, 0..25, &by_key);
    await_true("two batches are sent", || {
        outcomes.lock().unwrap().len() == 20
    });
    assert_eq!(stored(&cluster, TOPIC).len(), 20);
    producer.flush(LONG).unwrap();
    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes.len(), 25);
    let found = stored(&cluster, TOPIC);
    assert_eq!(found.len(), 25);
    for (number, message) in found.iter().enumerate() {
        assert_eq!(body(message), format!("{number:05}"), "in order");
        let [sent] = &outcomes[&number][..] else {
            panic!("{number} was answered more than once");
        };
        assert_eq!(sent.msg_id, message.msg_id());
        assert_eq!(sent.offset_msg_id, message.offset_msg_id().as_str());
        assert_eq!(sent.queue_offset, message.queue_offset);
        assert_eq!(message.message.property("__SHARDINGKEY"), Some("user"));
    }
}

/// At first contact the route is asked for, the connection is made and, in every other round, the
/// topic. What is sent before, while and after that goes in the order of the calls.
#[test]
fn sends_of_one_thread_keep_their_order_at_first_contact() {
    const ROUNDS: usize = 40;
    const AT_LEAST: usize = 200;
    const AT_MOST: usize = 5_000;
    let cluster = cluster();
    let admin = Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap();
    admin.create_topic(&TopicConfig::new(TOPIC)).unwrap();
    let other = Producer::start(options(&cluster)).unwrap();
    let known = other.queues(TOPIC).unwrap().remove(0);
    for round in 0..ROUNDS {
        let topic = format!("first-{round}");
        if round % 2 == 0 {
            admin.create_topic(&TopicConfig::new(&topic)).unwrap();
        }
        let queue = MessageQueue {
            topic: topic.clone(),
            ..known.clone()
        };
        let producer = Producer::start(options(&cluster)).unwrap();
        let answered = Arc::new(AtomicUsize::new(0));
        let (told, offsets) = mpsc::channel();
        let mut sent = 0;
        // Some are to come when the first are answered, and so on their way already.
        while sent < AT_LEAST || (answered.load(Ordering::SeqCst) == 0 && sent < AT_MOST) {
            let (number, told) = (sent, told.clone());
            let answered = Arc::clone(&answered);
            let done = move |outcome: Result<SendResult>| {
                answered.fetch_add(1, Ordering::SeqCst);
                let offset = outcome.unwrap().queue_offset;
                told.send((number, usize::try_from(offset).unwrap()))
                    .unwrap();
            };
            let message = Message::new(&topic, "x");
            let to_queue = SendOptions::to_queue(queue.clone());
            producer.send_async(message, to_queue, done).unwrap();
            sent += 1;
        }
        for _ in 0..sent {
            let (number, offset) = offsets.recv_timeout(LONG).unwrap();
            assert_eq!(number, offset, "{topic}, one of {sent}");
        }
        producer.close(LONG).unwrap();
    }
}

#[test]
fn a_message_is_held_no_longer_than_it_may_be() {
    let cluster = cluster();
    let options = ProducerOptions {
        batch_hold_ms: 1,
        ..batching(&cluster)
    };
    let producer = Producer::start(options).unwrap();
    let sent = producer
        .send(Message::new(TOPIC, "waits for itself"))
        .unwrap();
    assert_eq!((sent.queue_offset, sent.msg_id.len()), (0, 32));
    // Neither of these can be in a batch.
    let mut delayed = Message::new(TOPIC, "delayed");
    delayed.set_delay_level(1);
    producer.send(delayed).unwrap();
    producer.send(Message::new(TOPIC, vec![b'x'; 51])).unwrap();
    let batch = vec![Message::new(TOPIC, "b"); 2];
    let sent = producer.send_batch(batch, SendOptions::default()).unwrap();
    assert_eq!(sent.msg_id.split(',').count(), 2);
    await_true("all are there", || stored(&cluster, TOPIC).len() == 5);
}

#[test]
fn close_sends_what_is_held_or_tells_that_it_was_not_sent() {
    let cluster = cluster();
    let producer = Producer::start(batching(&cluster)).unwrap();
    let outcomes = send_numbered(&producer, 0..3, &SendOptions::default());
    producer.close(LONG).unwrap();
    assert_eq!(outcomes.lock().unwrap().len(), 3);
    assert_eq!(stored(&cluster, TOPIC).len(), 3);

    let producer = Producer::start(batching(&cluster)).unwrap();
    cluster.pause("broker-a").unwrap();
    let (tell, told) = mpsc::channel();
    let done = move |outcome: Result<SendResult>| tell.send(outcome.unwrap_err().kind()).unwrap();
    let message = Message::new(TOPIC, "held");
    producer
        .send_async(message, SendOptions::default(), done)
        .unwrap();
    producer.close(Duration::ZERO).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), ErrorKind::Closed);
    assert!(told.recv().is_err(), "told twice");
    cluster.resume("broker-a").unwrap();
}

#[test]
fn bytes_under_way_are_bounded() {
    let cluster = cluster();
    let options = ProducerOptions {
        max_in_flight_bytes: 100,
        send_timeout_ms: 300,
        ..options(&cluster)
    };
    let producer = Producer::start(options).unwrap();
    producer
        .send(Message::new(TOPIC, vec![b'x'; 1000]))
        .unwrap();
    cluster.pause("broker-a").unwrap();
    let (tell, told) = mpsc::channel();
    let send = |bytes| {
        let tell = tell.clone();
        let done = move |outcome: Result<SendResult>| tell.send(outcome.is_err()).unwrap();
        let message = Message::new(TOPIC, vec![b'x'; bytes]);
        producer.send_async(message, SendOptions::within(LONG), done)
    };
    send(60).unwrap();
    send(40).unwrap();
    assert_eq!(send(1).unwrap_err().kind(), ErrorKind::Busy);
    let error = producer.send(Message::new(TOPIC, "x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.kind().retriable());
    cluster.resume("broker-a").unwrap();
    for _ in 0..2 {
        assert!(!told.recv_timeout(LONG).unwrap());
    }
    send(100).unwrap();
    assert!(!told.recv_timeout(LONG).unwrap());
    // A synchronous send waits for room.
    let patient = SendOptions::within(LONG);
    send(100).unwrap();
    producer
        .send_with(Message::new(TOPIC, "x"), patient)
        .unwrap();
}

/// Notes what hooks are told, by body.
#[derive(Default)]
struct Noted(Mutex<BTreeMap<String, Vec<String>>>);

impl Noted {
    fn hooks(self: &Arc<Self>) -> Hooks<dyn SendHook> {
        let noted = Arc::clone(self);
        let hook = move |message: &mut Message| -> Option<AfterSend> {
            message.set_property("traceparent", "00-abc");
            let body = String::from_utf8_lossy(&message.body).into_owned();
            let noted = Arc::clone(&noted);
            Some(Box::new(move |outcome| {
                let text = match outcome {
                    Ok(Some(sent)) => format!("sent {}", sent.msg_id.split(',').count()),
                    Ok(None) => "handed over".to_owned(),
                    Err(error) => format!("{:?}", error.kind()),
                };
                noted.0.lock().unwrap().entry(body).or_default().push(text);
            }))
        };
        let mut hooks: Hooks<dyn SendHook> = Hooks::default();
        hooks.add(Arc::new(hook));
        hooks
    }
}

#[test]
fn hooks_run_around_every_send() {
    let cluster = cluster();
    let noted = Arc::new(Noted::default());
    let options = ProducerOptions {
        hooks: noted.hooks(),
        max_in_flight: 1,
        ..options(&cluster)
    };
    let producer = Producer::start(options).unwrap();
    let plain = SendOptions::default;
    producer.send(Message::new(TOPIC, "sync")).unwrap();
    producer
        .send_async(Message::new(TOPIC, "async"), plain(), |_| {})
        .unwrap();
    producer.flush(LONG).unwrap();
    let batch = ["b1", "b2"].map(|body| Message::new(TOPIC, body));
    producer.send_batch(batch.into(), plain()).unwrap();
    producer
        .send_oneway(Message::new(TOPIC, "oneway"), plain())
        .unwrap();
    producer.flush(LONG).unwrap();
    producer.send(Message::new("no topic", "bad")).unwrap_err();
    let gate = Arc::new(Mutex::new(()));
    let shut = gate.lock().unwrap();
    let opened = Arc::clone(&gate);
    let blocked = Message::new(TOPIC, "blocks");
    producer
        .send_async(blocked, plain(), move |_| drop(opened.lock().unwrap()))
        .unwrap();
    let full = producer.send_async(Message::new(TOPIC, "full"), plain(), |_| {});
    full.unwrap_err();
    drop(shut);
    producer.flush(LONG).unwrap();
    let wanted = [
        ("async", "sent 1"),
        ("b1", "sent 2"),
        ("b2", "sent 2"),
        ("bad", "Invalid"),
        ("blocks", "sent 1"),
        ("full", "Busy"),
        ("oneway", "handed over"),
        ("sync", "sent 1"),
    ];
    let wanted = wanted.map(|(body, told)| (body.to_owned(), vec![told.to_owned()]));
    assert_eq!(*noted.0.lock().unwrap(), BTreeMap::from(wanted));
    await_true("the one-way message came", || {
        stored(&cluster, TOPIC).len() == 6
    });
    let found = stored(&cluster, TOPIC);
    let has = |m: &ReceivedMessage| m.message.property("traceparent") == Some("00-abc");
    assert!(found.iter().all(has));
}

#[test]
fn asynchronous_requests_are_told_once_each() {
    let cluster = cluster();
    let inside = ProducerOptions {
        client: in_namespace(&cluster),
        ..options(&cluster)
    };
    let asking = Producer::start(inside.clone()).unwrap();
    let answering = Producer::start(inside).unwrap();
    let (tell, told) = mpsc::channel();
    let ask = |body: &'static str, timeout| {
        let tell = tell.clone();
        let done = move |reply: Result<ReceivedMessage>| {
            let reply = reply.map(|reply| self::body(&reply));
            tell.send((body, reply.map_err(|error| error.kind())))
                .unwrap();
        };
        asking.request_async(Message::new(TOPIC, body), timeout, done)
    };
    ask("question", LONG).unwrap();
    await_true("the request came", || {
        stored(&cluster, "ns%orders").len() == 1
    });
    let question = stored(&cluster, "ns%orders").remove(0);
    let reply = || reply_to(&question, "answer").unwrap();
    answering.send(reply()).unwrap();
    // Another reply finds nobody.
    answering.send(reply()).unwrap();
    let answered = ("question", Ok("answer".to_owned()));
    assert_eq!(told.recv_timeout(LONG).unwrap(), answered);
    ask("unheard", Duration::from_millis(50)).unwrap();
    let late = ("unheard", Err(ErrorKind::Timeout));
    assert_eq!(told.recv_timeout(LONG).unwrap(), late);
    ask("closed", LONG).unwrap();
    let error = asking.request_async(Message::new("no topic", "x"), LONG, |_| {});
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    asking.close(Duration::ZERO).unwrap();
    let closed = ("closed", Err(ErrorKind::Closed));
    assert_eq!(told.recv_timeout(LONG).unwrap(), closed);
    assert_eq!(ask("late", LONG).unwrap_err().kind(), ErrorKind::Closed);
    assert!(told.try_recv().is_err(), "told twice");
}

/// A cluster with a trace topic of one queue, so that what was told first is read first.
fn with_traces() -> Cluster {
    let cluster = cluster();
    let admin = Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap();
    let traces = TopicConfig {
        read_queue_nums: 1,
        write_queue_nums: 1,
        ..TopicConfig::new("traces")
    };
    admin.create_topic(&traces).unwrap();
    cluster
}

#[test]
fn traces_tell_what_was_sent() {
    let cluster = with_traces();
    let client = ClientOptions {
        trace: true,
        trace_topic: "traces".to_owned(),
        ..in_namespace(&cluster)
    };
    let options = ProducerOptions {
        client,
        ..options(&cluster)
    };
    let producer = Producer::start(options).unwrap();
    let mut message = Message::new(TOPIC, "hello");
    message.set_tag("red").set_keys(["k1", "k2"]);
    let sent = producer.send(message).unwrap();
    let batch = vec![Message::new(TOPIC, "b"); 2];
    let batch = producer.send_batch(batch, SendOptions::default()).unwrap();
    let decide = |_: &SendResult| TransactionState::Rollback;
    let half = Message::new(TOPIC, "half");
    let ended = producer.send_in_transaction(half, SendOptions::default(), decide);
    let (half, _) = ended.unwrap();
    producer.close(LONG).unwrap();
    let traces = stored(&cluster, "traces");
    let text: String = traces.iter().map(body).collect();
    let records: Vec<Vec<&str>> = text
        .split_terminator('\u{2}')
        .map(|record| record.split('\u{1}').collect())
        .collect();
    assert_eq!(records.len(), 5, "{records:?}");
    let of = |id: &str| records.iter().filter(|r| r[5] == id).collect::<Vec<_>>();
    let [first] = of(&sent.msg_id)[..] else {
        panic!("{records:?}");
    };
    assert_eq!(first[..1], ["Pub"]);
    assert_eq!(
        first[2..10],
        [
            "DefaultRegion",
            "senders",
            TOPIC,
            sent.msg_id.as_str(),
            "red",
            "k1 k2",
            cluster.address("broker-a").unwrap().to_string().as_str(),
            "5"
        ]
    );
    assert_eq!(first[11..], ["0", sent.offset_msg_id.as_str(), "true"]);
    for id in batch.msg_id.split(',') {
        assert_eq!(of(id).len(), 1);
    }
    let half = of(&half.msg_id);
    assert_eq!((half[0][0], half[0][11]), ("Pub", "1"));
    assert_eq!(
        (half[1][0], half[1][11]),
        ("EndTransaction", "ROLLBACK_MESSAGE")
    );
    // They are found by the id and the keys of the message.
    let admin = Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap();
    for key in [sent.msg_id.as_str(), "k1", "k2"] {
        let found = || admin.messages_by_key("traces", key, 32).unwrap().len();
        await_true("the trace is found by its key", || found() == 1);
    }
}

#[test]
fn traces_that_cannot_be_sent_are_no_reason_to_fail() {
    let cluster = cluster();
    let client = ClientOptions {
        trace: true,
        trace_topic: "SELF_TEST_TOPIC".to_owned(),
        ..ClientOptions::new(cluster.nameserver_addresses())
    };
    let options = ProducerOptions {
        client,
        ..options(&cluster)
    };
    let producer = Producer::start(options).unwrap();
    producer.send(Message::new(TOPIC, "untraced")).unwrap();
    producer.close(LONG).unwrap();
}

#[test]
fn a_timed_message_is_taken_back() {
    let cluster = cluster();
    let producer = Producer::start(options(&cluster)).unwrap();
    let mut message = Message::new(TOPIC, "later");
    message.set_delay_ms(20_000);
    let sent = producer.send(message).unwrap();
    let handle = sent.recall_handle.unwrap();
    assert_eq!(producer.recall(TOPIC, &handle).unwrap(), sent.msg_id);
    let error = producer.recall(TOPIC, "no handle").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// The records of the trace topic that are about a message: kind, success if told, code if told.
fn traces_of(cluster: &Cluster, msg_id: &str) -> Vec<String> {
    let text: String = stored(cluster, "traces").iter().map(body).collect();
    let of = |record: &str| {
        let fields: Vec<&str> = record.split('\u{1}').collect();
        match fields[..] {
            ["SubBefore", _, _, group, _, id, times, _] if id == msg_id => {
                Some(format!("before {group} {times}"))
            }
            ["SubAfter", _, id, _, success, _, code, _, group] if id == msg_id => {
                Some(format!("after {group} {success} {code}"))
            }
            _ => None,
        }
    };
    text.split_terminator('\u{2}').filter_map(of).collect()
}

#[test]
fn consumption_is_traced_and_hooked() {
    let cluster = with_traces();
    let client = ClientOptions {
        trace: true,
        trace_topic: "traces".to_owned(),
        ..in_namespace(&cluster)
    };
    let producer = Producer::start(ProducerOptions {
        client: in_namespace(&cluster),
        ..options(&cluster)
    })
    .unwrap();
    let sent = producer.send(Message::new(TOPIC, "twice")).unwrap();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&told);
    let hook = move |group: &str, messages: &[ReceivedMessage]| -> Option<AfterConsume> {
        let begun = format!(
            "{group} {} {}",
            messages[0].message.topic,
            body(&messages[0])
        );
        let noted = Arc::clone(&noted);
        Some(Box::new(move |status| {
            noted.lock().unwrap().push(format!("{begun} {status:?}"));
        }))
    };
    let mut hooks: Hooks<dyn ConsumeHook> = Hooks::default();
    hooks.add(Arc::new(hook));
    let of_group = |group: &str| ConsumerOptions {
        group: group.to_owned(),
        hooks: hooks.clone(),
        ..consumer_options(client.clone())
    };
    let all = || vec![Subscription::tags(TOPIC, "*").unwrap()];
    let listener = |messages: &[ReceivedMessage]| match messages[0].reconsume_times {
        0 => ConsumeStatus::Later,
        _ => ConsumeStatus::Success,
    };
    let consumer = PushConsumer::start(of_group("g1"), all(), listener).unwrap();
    await_true("it came twice", || told.lock().unwrap().len() == 2);
    consumer.close(LONG).unwrap();
    let wanted = ["g1 orders twice Later", "g1 orders twice Success"];
    assert_eq!(*told.lock().unwrap(), wanted);
    let traces = traces_of(&cluster, &sent.msg_id);
    let wanted = [
        "before g1 0",
        "after g1 false 4",
        "before g1 1",
        "after g1 true 0",
    ];
    assert_eq!(traces, wanted);

    // So it is where each message is answered by itself.
    let (consumer, deliveries) = PushConsumer::start_queued(of_group("g2"), all()).unwrap();
    let delivery = deliveries.poll(1, LONG).unwrap().remove(0);
    assert_eq!(told.lock().unwrap().len(), 2);
    assert!(delivery.ack());
    consumer.close(LONG).unwrap();
    assert_eq!(told.lock().unwrap()[2..], ["g2 orders twice Success"]);
    let traces = traces_of(&cluster, &sent.msg_id);
    assert_eq!(traces[4..], ["before g2 0", "after g2 true 0"]);
}

#[test]
fn queues_of_ones_own_choice_are_named_inside_the_namespace() {
    let cluster = cluster();
    let client = in_namespace(&cluster);
    let options = ProducerOptions {
        client: client.clone(),
        ..options(&cluster)
    };
    let producer = Producer::start(options).unwrap();
    let queue = producer.queues(TOPIC).unwrap().remove(2);
    let to_queue = SendOptions::to_queue(queue.clone());
    producer
        .send_with(Message::new(TOPIC, "x"), to_queue)
        .unwrap();
    let options = ConsumerOptions {
        allocation: Allocation::Config(vec![queue.clone()]),
        ..consumer_options(client)
    };
    let (tell, told) = mpsc::channel();
    let listener = move |messages: &[ReceivedMessage]| {
        tell.send(messages[0].queue_id).unwrap();
        ConsumeStatus::Success
    };
    let all = vec![Subscription::tags(TOPIC, "*").unwrap()];
    let consumer = PushConsumer::start(options, all, listener).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), queue.queue_id);
    assert_eq!(consumer.queues(), [queue]);
}
