//! The consumers against brokers and nameservers of this process, and what they do when they fail.

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
    Admin, ClientOptions, Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Deployment,
    Message, MessageModel, MessageQueue, Producer, ProducerOptions, PullConsumer, PushConsumer,
    ReceivedMessage, SendOptions, StartFrom, Storage, Subscription, admin_invoke,
};
use rmq_core::protocol::body::consumer_status::ConsumerStatus;
use rmq_core::protocol::body::running_info::{ConsumeDirectlyResult, ConsumerRunningInfo};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::json::Json;
use rmq_core::protocol::request::push::{
    ConsumeMessageDirectlyRequest, GetConsumerRunningInfoRequest, GetConsumerStatusRequest,
    ResetOffsetRequest,
};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);
const TOPIC: &str = "orders";
const GROUP: &str = "workers";

/// Retries come at once.
fn cluster(masters: usize) -> Cluster {
    let mut options = ClusterOptions::new(Deployment::Masters(masters));
    for (key, value) in [
        ("messageDelayLevel", "0s 0s 0s 0s 0s 0s"),
        ("enablePropertyFilter", "true"),
    ] {
        options.settings.insert(key.to_owned(), value.to_owned());
    }
    Cluster::start(options).unwrap()
}

fn producer(cluster: &Cluster) -> Producer {
    let options = ProducerOptions {
        send_timeout_ms: 10_000,
        ..ProducerOptions::new("senders", cluster.nameserver_addresses())
    };
    Producer::start(options).unwrap()
}

fn options(cluster: &Cluster) -> ConsumerOptions {
    ConsumerOptions {
        start_from: StartFrom::First,
        ..ConsumerOptions::new(GROUP, cluster.nameserver_addresses())
    }
}

fn all() -> Vec<Subscription> {
    vec![Subscription::tags(TOPIC, "*").unwrap()]
}

fn send(producer: &Producer, bodies: impl IntoIterator<Item = String>) {
    for body in bodies {
        producer.send(Message::new(TOPIC, body)).unwrap();
    }
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i:04}")).collect()
}

fn body(message: &ReceivedMessage) -> String {
    String::from_utf8_lossy(&message.message.body).into_owned()
}

/// What listeners saw, in their order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, messages: &[ReceivedMessage]) {
        self.0.lock().unwrap().extend(messages.iter().map(body));
    }

    fn list(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn set(&self) -> BTreeSet<String> {
        self.list().into_iter().collect()
    }

    /// Takes everything.
    fn listener(&self) -> impl Fn(&[ReceivedMessage]) -> ConsumeStatus + Send + Sync + 'static {
        let seen = self.clone();
        move |messages| {
            seen.add(messages);
            ConsumeStatus::Success
        }
    }

    fn await_set(&self, wanted: &[String]) {
        let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
        await_true(|| self.set() == wanted, || format!("{:?}", self.set()));
    }
}

fn await_true(mut is_so: impl FnMut() -> bool, shown: impl Fn() -> String) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < LONG, "{}", shown());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The queues of the topic that the member has.
fn queues_of(member: &PushConsumer) -> Vec<MessageQueue> {
    let mut queues = member.queues();
    queues.retain(|queue| queue.topic == TOPIC);
    queues
}

fn kind(outcome: Result<impl std::fmt::Debug>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[test]
fn a_group_goes_on_where_it_was() {
    let cluster = cluster(2);
    let producer = producer(&cluster);
    let first = numbered("a", 40);
    send(&producer, first.clone());
    let seen = Seen::default();
    let consumer = PushConsumer::start(options(&cluster), all(), seen.listener()).unwrap();
    seen.await_set(&first);
    let large = "x".repeat(10_000);
    send(&producer, [large.clone()]);
    await_true(
        || seen.set().contains(&large),
        || "the large one".to_owned(),
    );
    consumer.close(LONG).unwrap();
    consumer.close(LONG).unwrap();
    assert_eq!(kind(consumer.unsubscribe(TOPIC)), ErrorKind::Closed);
    let second = numbered("b", 40);
    send(&producer, second.clone());
    let seen = Seen::default();
    let options = ConsumerOptions {
        start_from: StartFrom::Last,
        consume_batch_max: 8,
        ..options(&cluster)
    };
    let _consumer = PushConsumer::start(options, all(), seen.listener()).unwrap();
    seen.await_set(&second);
    assert_eq!(seen.list().len(), second.len(), "nothing comes twice");
}

#[test]
fn what_fails_comes_again_and_is_given_up_in_the_end() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    send(
        &producer,
        ["once".to_owned(), "never".to_owned(), "panic".to_owned()],
    );
    let tries: Arc<Mutex<BTreeMap<String, Vec<i32>>>> = Arc::default();
    let tried = Arc::clone(&tries);
    let listener = move |messages: &[ReceivedMessage]| {
        let message = &messages[0];
        assert_eq!(message.message.topic, TOPIC);
        let times = message.reconsume_times;
        tried
            .lock()
            .unwrap()
            .entry(body(message))
            .or_default()
            .push(times);
        match body(message).as_str() {
            "once" if times > 0 => ConsumeStatus::Success,
            "panic" if times > 0 => ConsumeStatus::Success,
            "panic" => panic!("on purpose"),
            _ => ConsumeStatus::Later,
        }
    };
    let options = ConsumerOptions {
        max_reconsume_times: Some(2),
        ..options(&cluster)
    };
    let consumer = PushConsumer::start(options.clone(), all(), listener).unwrap();
    let dead = Seen::default();
    let mut of_dead = options.clone();
    of_dead.group = "undertakers".to_owned();
    let letters = vec![Subscription::tags(&format!("%DLQ%{GROUP}"), "*").unwrap()];
    let _dead = PushConsumer::start(of_dead, letters, dead.listener()).unwrap();
    dead.await_set(&["never".to_owned()]);
    consumer.close(LONG).unwrap();
    let tries = tries.lock().unwrap();
    assert_eq!(tries["once"], [0, 1]);
    assert_eq!(tries["panic"], [0, 1]);
    assert_eq!(tries["never"], [0, 1, 2]);
}

#[test]
fn what_the_listener_does_not_return_comes_again() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    send(&producer, ["stuck".to_owned()]);
    let times: Arc<Mutex<Vec<i32>>> = Arc::default();
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let seen = Arc::clone(&times);
    let listener = move |messages: &[ReceivedMessage]| {
        let times = messages[0].reconsume_times;
        seen.lock().unwrap().push(times);
        entered.send(times).unwrap();
        if times == 0 {
            released.lock().unwrap().recv_timeout(LONG).unwrap();
            // Without effect: the broker has it again.
            return ConsumeStatus::Later;
        }
        ConsumeStatus::Success
    };
    let options = ConsumerOptions {
        consume_timeout_ms: 1_000,
        ..options(&cluster)
    };
    let consumer = PushConsumer::start(options, all(), listener).unwrap();
    assert_eq!(has_entered.recv_timeout(LONG).unwrap(), 0);
    assert_eq!(has_entered.recv_timeout(LONG).unwrap(), 1);
    release.send(()).unwrap();
    std::thread::sleep(SHORT);
    consumer.close(LONG).unwrap();
    assert_eq!(*times.lock().unwrap(), [0, 1]);
}

#[test]
fn members_share_queues_and_take_each_others_over() {
    let cluster = cluster(2);
    let producer = producer(&cluster);
    send(&producer, numbered("before", 16));
    let seen = Seen::default();
    let start = || PushConsumer::start(options(&cluster), all(), seen.listener()).unwrap();
    let members = [start(), start(), start()];
    let shown = || format!("{:?}", members.iter().map(queues_of).collect::<Vec<_>>());
    let shares = || {
        members
            .iter()
            .map(|m| queues_of(m).len())
            .collect::<Vec<_>>()
    };
    let is_fair = || {
        let mut shares = shares();
        shares.sort_unstable();
        let distinct: BTreeSet<_> = members.iter().flat_map(queues_of).collect();
        shares == [2, 3, 3] && distinct.len() == 8
    };
    await_true(is_fair, shown);
    let during = numbered("during", 60);
    send(&producer, during.clone());
    members[1].close(LONG).unwrap();
    let after = numbered("after", 60);
    send(&producer, after.clone());
    await_true(|| shares() == [4, 0, 4], shown);
    let wanted = [numbered("before", 16), during, after].concat();
    seen.await_set(&wanted);
}

/// The version of the group's subscription that brokers have.
fn version(admin: &Admin) -> i64 {
    let group = format!("{{\"group\":\"{GROUP}\"}}");
    let told = admin_invoke(admin, "consumerConnection", &group).unwrap();
    let told = Json::parse(told.as_bytes()).unwrap();
    let of_topic = told.get("subscriptionTable").unwrap().get(TOPIC).unwrap();
    of_topic.get("subVersion").unwrap().as_i64().unwrap()
}

#[test]
fn a_member_whose_queues_are_others_tells_its_subscription_anew() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let admin = Admin::start(ClientOptions::new(cluster.nameserver_addresses())).unwrap();
    send(&producer, numbered("m", 8));
    let seen = Seen::default();
    let options = ConsumerOptions {
        rebalance_interval_ms: 20,
        ..options(&cluster)
    };
    let start = || PushConsumer::start(options.clone(), all(), seen.listener()).unwrap();
    // Divided again and again, the queues are the same: so is the version.
    let settled = || {
        let mut before = 0;
        let is_settled = || {
            std::thread::sleep(SHORT);
            let now = version(&admin);
            std::mem::replace(&mut before, now) == now
        };
        await_true(is_settled, || {
            "the version is another all the time".to_owned()
        });
        before
    };
    let first = start();
    await_queues(&first, 4);
    let alone = settled();
    let second = start();
    await_queues(&first, 2);
    await_queues(&second, 2);
    let of_two = settled();
    assert!(of_two > alone, "{of_two} after {alone}");
    second.close(LONG).unwrap();
    await_queues(&first, 4);
    let again = settled();
    assert!(again > of_two, "{again} after {of_two}");
    send(&producer, numbered("n", 8));
    seen.await_set(&[numbered("m", 8), numbered("n", 8)].concat());
}

#[test]
fn order_is_kept_and_failures_hold_the_queue_up() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let mut wanted: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for i in 0..60 {
        let options = SendOptions::by_key(format!("k{}", i % 7));
        let text = format!("{i:03}");
        let sent = producer
            .send_with(Message::new(TOPIC, text.clone()), options)
            .unwrap();
        wanted.entry(sent.queue.queue_id).or_default().push(text);
    }
    let seen: Arc<Mutex<BTreeMap<i32, Vec<String>>>> = Arc::default();
    let failed = Arc::new(Mutex::new(BTreeSet::new()));
    let listener = {
        let (seen, failed) = (Arc::clone(&seen), Arc::clone(&failed));
        move |messages: &[ReceivedMessage]| {
            // Every tenth fails once.
            let message = &messages[0];
            let text = body(message);
            if text.ends_with('0') && failed.lock().unwrap().insert(text.clone()) {
                return ConsumeStatus::Later;
            }
            seen.lock()
                .unwrap()
                .entry(message.queue_id)
                .or_default()
                .push(text);
            ConsumeStatus::Success
        }
    };
    let options = ConsumerOptions {
        suspend_queue_ms: 20,
        ..options(&cluster)
    };
    let listener = Arc::new(listener);
    let start = || {
        let listener = Arc::clone(&listener);
        PushConsumer::start_orderly(options.clone(), all(), move |m| listener(m)).unwrap()
    };
    let first = start();
    await_true(|| !seen.lock().unwrap().is_empty(), || "nothing".to_owned());
    let _second = start();
    await_true(
        || *seen.lock().unwrap() == wanted,
        || format!("{:?}", seen.lock().unwrap()),
    );
    assert_eq!(failed.lock().unwrap().len(), 6);
    first.close(LONG).unwrap();
    let sent = producer.send(Message::new(TOPIC, "last")).unwrap();
    wanted
        .entry(sent.queue.queue_id)
        .or_default()
        .push("last".to_owned());
    await_true(
        || *seen.lock().unwrap() == wanted,
        || format!("{:?}", seen.lock().unwrap()),
    );
}

#[test]
fn queues_in_order_that_are_never_idle_are_divided_too() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    send(&producer, numbered("first", 40));
    let seen: Arc<Mutex<BTreeMap<i32, Vec<i64>>>> = Arc::default();
    let start = || {
        let seen = Arc::clone(&seen);
        let listener = move |messages: &[ReceivedMessage]| {
            std::thread::sleep(Duration::from_millis(20));
            let message = &messages[0];
            let mut seen = seen.lock().unwrap();
            let offsets = seen.entry(message.queue_id).or_default();
            offsets.push(message.queue_offset);
            ConsumeStatus::Success
        };
        PushConsumer::start_orderly(options(&cluster), all(), listener).unwrap()
    };
    let share = |member| queues_of(member).len();
    let first = start();
    await_queues(&first, 4);
    let second = start();
    await_true(
        || {
            // More than a member takes meanwhile.
            send(&producer, numbered("more", 20));
            share(&first) == 2 && share(&second) == 2
        },
        || format!("{:?} {:?}", first.queues(), second.queues()),
    );
    first.close(LONG).unwrap();
    second.close(LONG).unwrap();
    for (queue, offsets) in &*seen.lock().unwrap() {
        let in_order = offsets.iter().copied().eq(0..offsets.len() as i64);
        assert!(in_order, "{queue}: {offsets:?}");
    }
}

#[test]
fn every_member_has_a_broadcast() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let sent = numbered("m", 12);
    send(&producer, sent.clone());
    let storage = Storage::temporary().unwrap();
    let of = |name: &str| {
        let mut options = options(&cluster);
        options.message_model = MessageModel::Broadcasting;
        options.offset_dir = Some(storage.path().to_owned());
        options.client.instance_name = Some(name.to_owned());
        options
    };
    let seen = [Seen::default(), Seen::default()];
    let start =
        |name: &str, seen: &Seen| PushConsumer::start(of(name), all(), seen.listener()).unwrap();
    let first = start("one", &seen[0]);
    let _second = start("two", &seen[1]);
    for seen in &seen {
        seen.await_set(&sent);
    }
    first.close(LONG).unwrap();
    let more = numbered("n", 6);
    send(&producer, more.clone());
    let again = Seen::default();
    let _first = start("one", &again);
    again.await_set(&more);
    assert_eq!(seen[0].list().len(), 12);
    seen[1].await_set(&[sent, more].concat());
}

#[test]
fn only_what_was_asked_for_comes() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    for (tag, size) in [("red", 1), ("blue", 5), ("green", 9)] {
        let mut message = Message::new(TOPIC, format!("{tag}{size}"));
        message.set_tag(tag).set_property("size", size.to_string());
        producer.send(message).unwrap();
    }
    let check = |group: &str, subscription, wanted: &[&str]| {
        let seen = Seen::default();
        let mut options = options(&cluster);
        options.group = group.to_owned();
        let _consumer = PushConsumer::start(options, vec![subscription], seen.listener()).unwrap();
        let wanted: Vec<String> = wanted.iter().map(|body| (*body).to_owned()).collect();
        seen.await_set(&wanted);
    };
    check(
        "tags",
        Subscription::tags(TOPIC, "red || green").unwrap(),
        &["red1", "green9"],
    );
    let sql = "size BETWEEN 4 AND 9 AND TAGS <> 'green'";
    check("sql", Subscription::sql(TOPIC, sql).unwrap(), &["blue5"]);
    assert_eq!(kind(Subscription::tags(TOPIC, "||")), ErrorKind::Invalid);
    assert_eq!(kind(Subscription::tags("a b", "*")), ErrorKind::Invalid);
}

#[test]
fn a_new_group_misses_nothing_of_a_young_queue() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    // Sent before anybody could know of the topic.
    let sent = numbered("m", 8);
    send(&producer, sent.clone());
    let options = ConsumerOptions {
        start_from: StartFrom::Last,
        ..options(&cluster)
    };
    let seen = Seen::default();
    let _consumer = PushConsumer::start(options, all(), seen.listener()).unwrap();
    seen.await_set(&sent);
}

#[test]
fn a_broker_that_dies_is_waited_for() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let before = numbered("a", 10);
    send(&producer, before.clone());
    let seen = Seen::default();
    let consumer = PushConsumer::start(options(&cluster), all(), seen.listener()).unwrap();
    seen.await_set(&before);
    cluster.kill("broker-a").unwrap();
    cluster.start_member("broker-a").unwrap();
    cluster.await_ready(LONG).unwrap();
    let after = numbered("b", 10);
    send(&producer, after.clone());
    seen.await_set(&[before, after].concat());
    cluster.kill("namesrv-0").unwrap();
    send(&producer, ["c".to_owned()]);
    await_true(
        || seen.set().contains("c"),
        || "without a nameserver".to_owned(),
    );
    consumer.close(LONG).unwrap();
}

#[test]
fn close_waits_for_the_listener_and_not_for_ever() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    send(&producer, ["x".to_owned()]);
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let listener = move |_: &[ReceivedMessage]| {
        entered.send(()).unwrap();
        released.lock().unwrap().recv_timeout(LONG).unwrap();
        ConsumeStatus::Success
    };
    let consumer = PushConsumer::start(options(&cluster), all(), listener).unwrap();
    has_entered.recv_timeout(LONG).unwrap();
    assert_eq!(kind(consumer.close(SHORT)), ErrorKind::Timeout);
    release.send(()).unwrap();

    let slot: Arc<Mutex<Option<Arc<PushConsumer>>>> = Arc::default();
    let (tell, told) = mpsc::channel();
    let closing = Arc::clone(&slot);
    let listener = move |_: &[ReceivedMessage]| {
        let consumer = loop {
            if let Some(consumer) = closing.lock().unwrap().take() {
                break consumer;
            }
        };
        tell.send(consumer.close(LONG)).unwrap();
        ConsumeStatus::Success
    };
    let mut options = options(&cluster);
    options.group = "closers".to_owned();
    let consumer = Arc::new(PushConsumer::start(options, all(), listener).unwrap());
    *slot.lock().unwrap() = Some(Arc::clone(&consumer));
    told.recv_timeout(LONG).unwrap().unwrap();
    consumer.close(LONG).unwrap();
}

#[test]
fn a_suspended_consumer_takes_nothing() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    send(&producer, ["a".to_owned()]);
    let seen = Seen::default();
    let consumer = PushConsumer::start(options(&cluster), all(), seen.listener()).unwrap();
    seen.await_set(&["a".to_owned()]);
    consumer.suspend();
    send(&producer, ["b".to_owned()]);
    std::thread::sleep(SHORT);
    assert_eq!(seen.list(), ["a"]);
    consumer.resume();
    seen.await_set(&["a".to_owned(), "b".to_owned()]);
    consumer.unsubscribe(TOPIC).unwrap();
    await_true(
        || consumer.queues().iter().all(|queue| queue.topic != TOPIC),
        || format!("{:?}", consumer.queues()),
    );
    consumer
        .subscribe(Subscription::tags(TOPIC, "*").unwrap())
        .unwrap();
    send(&producer, ["c".to_owned()]);
    await_true(
        || seen.set().contains("c"),
        || "subscribed again".to_owned(),
    );
}

#[test]
fn bad_names_and_options_are_refused_at_once() {
    let nothing = |_: &[ReceivedMessage]| ConsumeStatus::Success;
    let good = ConsumerOptions::new("g", "127.0.0.1:1");
    let wrong = [
        ConsumerOptions::new("", "127.0.0.1:1"),
        ConsumerOptions::new("a b", "127.0.0.1:1"),
        ConsumerOptions::new("g", ""),
        ConsumerOptions {
            consume_threads: 0,
            ..good.clone()
        },
        ConsumerOptions {
            consume_batch_max: 0,
            ..good.clone()
        },
        ConsumerOptions {
            pull_batch_max: 1025,
            ..good.clone()
        },
    ];
    for options in wrong {
        let outcome = PushConsumer::start(options, all(), nothing);
        assert_eq!(kind(outcome), ErrorKind::Invalid);
    }
    let outcome = PushConsumer::start(good.clone(), Vec::new(), nothing);
    assert_eq!(kind(outcome), ErrorKind::Invalid);
    // Nobody is there yet: that is no error.
    let consumer = PushConsumer::start(good, all(), nothing).unwrap();
    consumer.close(SHORT).unwrap();
}

/// Polls until everything that is wanted came; what comes besides was redelivered.
fn poll_all(consumer: &PullConsumer, wanted: &[String]) {
    let mut bodies = BTreeSet::new();
    let mut polls = || {
        let messages = consumer.poll(7, SHORT).unwrap();
        bodies.extend(messages.iter().map(body));
        wanted.iter().all(|body| bodies.contains(body))
    };
    await_true(&mut polls, || format!("not all of {wanted:?}"));
}

/// Polls until there is nothing for a while.
fn drain(consumer: &PullConsumer) -> usize {
    let mut count = 0;
    loop {
        match consumer.poll(7, SHORT).unwrap().len() {
            0 => return count,
            more => count += more,
        }
    }
}

#[test]
fn assigned_queues_are_polled_sought_and_paused() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let sent = numbered("m", 20);
    send(&producer, sent.clone());
    let mut options = options(&cluster);
    options.auto_commit = false;
    let consumer = PullConsumer::start(options.clone()).unwrap();
    let queues = consumer.queues(TOPIC).unwrap();
    assert_eq!(queues.len(), 4);
    consumer.assign(&queues).unwrap();
    assert_eq!(consumer.assignment(), queues);
    poll_all(&consumer, &sent);
    assert!(consumer.poll(1, Duration::ZERO).unwrap().is_empty());
    assert_eq!(drain(&consumer), 0);

    // Nothing is committed until it is wished for.
    assert_eq!(consumer.committed(&queues[0]).unwrap().unwrap_or(0), 0);
    assert_eq!(consumer.position(&queues[0]).unwrap(), 5);
    consumer.commit(LONG).unwrap();
    assert_eq!(consumer.committed(&queues[0]).unwrap(), Some(5));

    consumer.seek(&queues[1], 3).unwrap();
    assert_eq!(drain(&consumer), 2);
    consumer.seek_to_begin(&queues[1]).unwrap();
    assert_eq!(drain(&consumer), 5);
    consumer.pause(&queues).unwrap();
    send(&producer, numbered("n", 4));
    assert!(consumer.poll(9, SHORT).unwrap().is_empty());
    consumer.resume(&queues).unwrap();
    poll_all(&consumer, &numbered("n", 4));
    assert_eq!(consumer.offset_at(&queues[0], 0).unwrap(), 0);

    consumer.assign(&queues[..1]).unwrap();
    assert_eq!(consumer.assignment(), queues[..1]);
    assert_eq!(kind(consumer.seek(&queues[1], 0)), ErrorKind::Invalid);
    assert_eq!(kind(consumer.seek(&queues[0], -1)), ErrorKind::Invalid);
    let subscribed = consumer.subscribe(Subscription::tags(TOPIC, "*").unwrap());
    assert_eq!(kind(subscribed), ErrorKind::Invalid);
    consumer.seek_to_end(&queues[0]).unwrap();
    assert!(consumer.poll(9, SHORT).unwrap().is_empty());
    consumer.close(LONG).unwrap();
    // What was not committed comes again.
    let again = PullConsumer::start(options).unwrap();
    again.assign(&queues).unwrap();
    poll_all(&again, &numbered("n", 4));
    assert_eq!(drain(&again), 0);
}

#[test]
fn subscribed_queues_are_shared_and_close_wakes_who_polls() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let sent = numbered("m", 20);
    send(&producer, sent.clone());
    let start = || {
        let consumer = PullConsumer::start(options(&cluster)).unwrap();
        consumer
            .subscribe(Subscription::tags(TOPIC, "*").unwrap())
            .unwrap();
        consumer
    };
    let first = Arc::new(start());
    poll_all(&first, &sent);
    let second = start();
    await_true(
        || first.assignment().len() == 2 && second.assignment().len() == 2,
        || format!("{:?} {:?}", first.assignment(), second.assignment()),
    );
    let (tell, told) = mpsc::channel();
    let polling = Arc::clone(&first);
    let poll = move || tell.send(kind(polling.poll(1, LONG))).unwrap();
    let thread = thread::spawn("test-poller", poll).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    first.close(LONG).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), ErrorKind::Closed);
    thread.join_deadline(LONG).unwrap();
    await_true(
        || second.assignment().len() == 4,
        || format!("{:?}", second.assignment()),
    );
    send(&producer, numbered("n", 4));
    poll_all(&second, &numbered("n", 4));
}

/// Asks a broker, which asks the consumer.
fn ask(cluster: &Cluster, request: Command) -> Command {
    let address = cluster.address("broker-a").unwrap().to_string();
    let answer = peer::client()
        .call(&address, request, peer::ANSWER)
        .unwrap();
    assert_eq!(
        answer.response_code(),
        ResponseCode::SUCCESS,
        "{:?}",
        answer.remark
    );
    answer
}

fn await_queues(consumer: &PushConsumer, count: usize) {
    let queues = || queues_of(consumer);
    await_true(|| queues().len() == count, || format!("{:?}", queues()));
}

/// Has the consumer be given a message by an operator; what it answers.
fn consume_directly(
    cluster: &Cluster,
    consumer: &PushConsumer,
    offset_msg_id: &str,
) -> ConsumeDirectlyResult {
    let header = ConsumeMessageDirectlyRequest {
        consumer_group: GROUP.to_owned(),
        client_id: Some(consumer.client_id().to_owned()),
        msg_id: Some(offset_msg_id.to_owned()),
        broker_name: Some("broker-a".to_owned()),
        topic: None,
        topic_sys_flag: None,
        group_sys_flag: None,
    };
    let request = Command::request(RequestCode::CONSUME_MESSAGE_DIRECTLY, &header);
    ConsumeDirectlyResult::decode(&ask(cluster, request).body).unwrap()
}

#[test]
fn operators_see_and_move_a_consumer() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let sent = producer.send(Message::new(TOPIC, "a")).unwrap();
    let seen = Seen::default();
    let consumer = PushConsumer::start(options(&cluster), all(), seen.listener()).unwrap();
    seen.await_set(&["a".to_owned()]);
    await_queues(&consumer, 4);

    let header = GetConsumerRunningInfoRequest {
        consumer_group: GROUP.to_owned(),
        client_id: consumer.client_id().to_owned(),
        jstack_enable: false,
    };
    let request = Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO, &header);
    let info = ConsumerRunningInfo::decode(&ask(&cluster, request).body).unwrap();
    assert_eq!(info.properties["PROP_CONSUMEORDERLY"], "false");
    assert_eq!(
        info.queues
            .keys()
            .filter(|queue| queue.topic == TOPIC)
            .count(),
        4
    );
    assert!(info.subscriptions.iter().any(|data| data.topic == TOPIC));

    let result = consume_directly(&cluster, &consumer, &sent.offset_msg_id);
    assert_eq!(result.consume_result, "CR_SUCCESS");
    assert_eq!(seen.list(), ["a", "a"]);

    let header = ResetOffsetRequest {
        topic: TOPIC.to_owned(),
        group: GROUP.to_owned(),
        queue_id: -1,
        offset: None,
        timestamp_ms: 0,
        is_force: true,
    };
    ask(
        &cluster,
        Command::request(RequestCode::INVOKE_BROKER_TO_RESET_OFFSET, &header),
    );
    await_true(|| seen.list().len() == 3, || format!("{:?}", seen.list()));

    let header = GetConsumerStatusRequest {
        topic: TOPIC.to_owned(),
        group: GROUP.to_owned(),
        client_addr: Some(String::new()),
    };
    let status = || {
        let code = RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS;
        let answer = ask(&cluster, Command::request(code, &header));
        let status = ConsumerStatus::decode(&answer.body).unwrap();
        status
            .consumers
            .get(consumer.client_id())
            .cloned()
            .unwrap_or_default()
    };
    await_true(
        || status().get(&sent.queue) == Some(&1),
        || format!("{:?}", status()),
    );
}

#[test]
fn an_operator_is_told_of_a_listener_that_panics() {
    let cluster = cluster(1);
    let producer = producer(&cluster);
    let sent = producer.send(Message::new(TOPIC, "a")).unwrap();
    let listener = |_: &[ReceivedMessage]| panic!("on purpose");
    let consumer = PushConsumer::start(options(&cluster), all(), listener).unwrap();
    let result = consume_directly(&cluster, &consumer, &sent.offset_msg_id);
    assert_eq!(result.consume_result, "CR_THROW_EXCEPTION");
    assert!(result.remark.is_some());
}
