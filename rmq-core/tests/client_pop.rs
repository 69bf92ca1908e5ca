//! Consumers whose queues brokers divide, against a broker of this process: popped, pulled, and
//! from one to the other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/peer.rs"]
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::embed::{
    Allocation, Cluster, ClusterOptions, ConsumeStatus, ConsumerOptions, Deployment, Message,
    Producer, ProducerOptions, PushConsumer, ReceivedMessage, StartFrom, Subscription,
};
use rmq_core::protocol::body::group::SubscriptionGroupConfig;
use rmq_core::protocol::body::request_mode::{GroupRequestMode, MessageRequestMode};
use rmq_core::protocol::body::running_info::ConsumerRunningInfo;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::request::push::GetConsumerRunningInfoRequest;

const LONG: Duration = Duration::from_secs(30);
const TOPIC: &str = "orders";
const GROUP: &str = "poppers";

/// How often each message was consumed before, in the order in which it came, by body; and
/// whether it was popped.
type Seen = Arc<Mutex<BTreeMap<String, Vec<(i32, bool)>>>>;

fn cluster() -> Cluster {
    Cluster::start(ClusterOptions::new(Deployment::Masters(1))).unwrap()
}

fn ask(cluster: &Cluster, request: Command) -> Command {
    let address = cluster.address("broker-a").unwrap().to_string();
    let client = peer::client();
    let answer = client.call(&address, request, peer::ANSWER).unwrap();
    let remark = &answer.remark;
    assert_eq!(answer.response_code(), ResponseCode::SUCCESS, "{remark:?}");
    answer
}

/// The mode of the group, which is made if it is not there.
fn set_mode(cluster: &Cluster, mode: MessageRequestMode) {
    let config = SubscriptionGroupConfig {
        group_name: GROUP.to_owned(),
        ..SubscriptionGroupConfig::default()
    };
    let code = RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP;
    ask(
        cluster,
        Command::bare_request(code).with_body(config.encode()),
    );
    let mode = GroupRequestMode {
        consumer_group: GROUP.to_owned(),
        mode,
        pop_share_queue_num: 0,
        topic: TOPIC.to_owned(),
    };
    let request = Command::bare_request(RequestCode::SET_MESSAGE_REQUEST_MODE);
    ask(cluster, request.with_body(mode.encode()));
}

fn producer(cluster: &Cluster) -> Producer {
    let options = ProducerOptions {
        send_timeout_ms: 10_000,
        ..ProducerOptions::new("senders", cluster.nameserver_addresses())
    };
    Producer::start(options).unwrap()
}

fn send(producer: &Producer, prefix: &str, count: usize) {
    for i in 0..count {
        let mut message = Message::new(TOPIC, format!("{prefix}{i:03}"));
        message.set_tag(if i % 2 == 0 { "even" } else { "odd" });
        producer.send(message).unwrap();
    }
}

fn options(cluster: &Cluster) -> ConsumerOptions {
    ConsumerOptions {
        start_from: StartFrom::First,
        broker_rebalance: true,
        rebalance_interval_ms: 200,
        commit_interval_ms: 200,
        pop_retry_delays_ms: vec![50],
        ..ConsumerOptions::new(GROUP, cluster.nameserver_addresses())
    }
}

fn all() -> Vec<Subscription> {
    vec![Subscription::tags(TOPIC, "*").unwrap()]
}

fn listener(
    seen: &Seen,
    judge: impl Fn(&str, i32) -> ConsumeStatus + Send + Sync + 'static,
) -> impl Fn(&[ReceivedMessage]) -> ConsumeStatus + Send + Sync + 'static {
    let seen = Arc::clone(seen);
    move |messages| {
        let received = &messages[0];
        assert!(
            messages
                .iter()
                .all(|m| !m.message.topic.starts_with("%RETRY%"))
        );
        let body = String::from_utf8_lossy(&received.message.body).into_owned();
        let popped = received.message.property("POP_CK").is_some();
        let times = received.reconsume_times;
        let status = judge(&body, times);
        let mut seen = seen.lock().unwrap();
        seen.entry(body).or_default().push((times, popped));
        status
    }
}

fn takes_all(seen: &Seen) -> impl Fn(&[ReceivedMessage]) -> ConsumeStatus + Send + Sync + 'static {
    listener(seen, |_, _| ConsumeStatus::Success)
}

fn await_true(mut is_so: impl FnMut() -> bool, shown: impl Fn() -> String) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < LONG, "{}", shown());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn count(seen: &Seen, prefix: &str) -> usize {
    let seen = seen.lock().unwrap();
    seen.keys().filter(|body| body.starts_with(prefix)).count()
}

fn await_count(seen: &Seen, prefix: &str, wanted: usize) {
    await_true(
        || count(seen, prefix) == wanted,
        || format!("{wanted} of {prefix}: {:?}", seen.lock().unwrap()),
    );
}

fn waiting(cluster: &Cluster, consumer: &PushConsumer) -> usize {
    let header = GetConsumerRunningInfoRequest {
        consumer_group: GROUP.to_owned(),
        client_id: consumer.client_id().to_owned(),
        jstack_enable: false,
    };
    let request = Command::request(RequestCode::GET_CONSUMER_RUNNING_INFO, &header);
    let info = ConsumerRunningInfo::decode(&ask(cluster, request).body).unwrap();
    info.pops.values().map(|pops| pops.wait_ack_count).sum()
}

#[test]
fn popped_messages_are_consumed_once_and_failed_ones_again() {
    let cluster = cluster();
    let producer = producer(&cluster);
    send(&producer, "before", 20);
    set_mode(&cluster, MessageRequestMode::Pop);
    let (seen, dead) = (Seen::default(), Seen::default());
    let judge = |body: &str, times| match (body, times) {
        ("again000", 0 | 1) => ConsumeStatus::Later,
        ("again001", _) => ConsumeStatus::LaterAtLevel(1),
        ("again002", _) => ConsumeStatus::LaterAtLevel(-1),
        ("again003", 0) => panic!("on purpose"),
        _ => ConsumeStatus::Success,
    };
    let options = ConsumerOptions {
        max_reconsume_times: Some(2),
        consume_batch_max: 1,
        ..options(&cluster)
    };
    let consumer = PushConsumer::start(options.clone(), all(), listener(&seen, judge)).unwrap();
    await_count(&seen, "before", 20);
    send(&producer, "again", 4);
    let undertaker = ConsumerOptions {
        group: "undertakers".to_owned(),
        broker_rebalance: false,
        ..options
    };
    let letters = vec![Subscription::tags(&format!("%DLQ%{GROUP}"), "*").unwrap()];
    let _undertaker = PushConsumer::start(undertaker, letters, takes_all(&dead)).unwrap();
    await_count(&dead, "again", 2);
    await_true(
        || {
            seen.lock()
                .unwrap()
                .get("again003")
                .is_some_and(|times| times[0].0 == 1)
        },
        || format!("{:?}", seen.lock().unwrap()),
    );
    let popped = consumer.popped_queues();
    assert!(
        popped
            .iter()
            .any(|queue| queue.topic == TOPIC && queue.queue_id == -1)
    );
    assert!(consumer.queues().iter().all(|queue| queue.topic != TOPIC));
    await_true(
        || waiting(&cluster, &consumer) == 0,
        || "some are out".to_owned(),
    );
    consumer.close(LONG).unwrap();
    let dead: BTreeSet<String> = dead.lock().unwrap().keys().cloned().collect();
    assert_eq!(dead, ["again001", "again002"].map(str::to_owned).into());
    let seen = seen.lock().unwrap();
    assert!(seen.values().flatten().all(|(_, popped)| *popped));
    let times = |body: &str| {
        seen[body]
            .iter()
            .map(|(times, _)| *times)
            .collect::<Vec<_>>()
    };
    assert_eq!(times("again000"), [0, 1, 2]);
    assert_eq!(times("again001"), [0, 1, 2]);
    assert_eq!(times("again002"), [0]);
    assert!(
        seen.iter()
            .filter(|(body, _)| body.starts_with("before"))
            .all(|(_, t)| t.len() == 1)
    );
}

/// Members pop of the same queues, and none is given more than it may have.
#[test]
fn members_share_queues_and_are_given_what_they_can_take() {
    let cluster = cluster();
    let producer = producer(&cluster);
    send(&producer, "first", 8);
    set_mode(&cluster, MessageRequestMode::Pop);
    let stuck: Arc<Mutex<()>> = Arc::default();
    let held = stuck.lock().unwrap();
    let (slow, quick) = (Seen::default(), Seen::default());
    let options = ConsumerOptions {
        pop_batch_max: 1,
        max_popped_per_queue: 3,
        consume_threads: 1,
        ..options(&cluster)
    };
    let gate = Arc::clone(&stuck);
    let judge = move |_: &str, _| {
        drop(gate.lock());
        ConsumeStatus::Success
    };
    let first = PushConsumer::start(options.clone(), all(), listener(&slow, judge)).unwrap();
    let out = || waiting(&cluster, &first);
    await_true(|| out() == 4, || format!("{} are out", out()));
    let second = PushConsumer::start(options, all(), takes_all(&quick)).unwrap();
    await_true(
        || !second.popped_queues().is_empty(),
        || "nothing to pop of".to_owned(),
    );
    send(&producer, "second", 12);
    let total = || quick.lock().unwrap().len();
    await_true(|| total() == 16, || format!("{:?}", quick.lock().unwrap()));
    assert_eq!(out(), 4);
    drop(held);
    await_true(
        || slow.lock().unwrap().len() == 4,
        || "the slow one".to_owned(),
    );
    first.close(LONG).unwrap();
    second.close(LONG).unwrap();
}

#[test]
fn a_group_goes_from_pulling_to_popping_and_back() {
    let cluster = cluster();
    let producer = producer(&cluster);
    send(&producer, "pulled", 10);
    let seen = Seen::default();
    // Fails once when it was popped; by then it is to be pulled.
    let judge = |body: &str, times: i32| match body {
        "popped000" if times == 0 => ConsumeStatus::Later,
        _ => ConsumeStatus::Success,
    };
    let options = ConsumerOptions {
        pop_retry_delays_ms: vec![1_500],
        pull_hold_ms: 500,
        ..options(&cluster)
    };
    let consumer = PushConsumer::start(options, all(), listener(&seen, judge)).unwrap();
    await_count(&seen, "pulled", 10);
    let pulls = || {
        consumer
            .queues()
            .iter()
            .filter(|queue| queue.topic == TOPIC)
            .count()
    };
    assert_eq!((pulls(), consumer.popped_queues().len()), (4, 0));

    set_mode(&cluster, MessageRequestMode::Pop);
    await_true(
        || pulls() == 0 && !consumer.popped_queues().is_empty(),
        || format!("{:?} {:?}", consumer.queues(), consumer.popped_queues()),
    );
    send(&producer, "popped", 10);
    await_count(&seen, "popped", 10);

    set_mode(&cluster, MessageRequestMode::Pull);
    await_true(
        || pulls() == 4 && consumer.popped_queues().is_empty(),
        || format!("{:?} {:?}", consumer.queues(), consumer.popped_queues()),
    );
    send(&producer, "again", 10);
    await_count(&seen, "again", 10);
    // What failed when it was popped is pulled now, if it was not popped once more before.
    await_true(
        || seen.lock().unwrap()["popped000"].len() == 2,
        || format!("{:?}", seen.lock().unwrap()),
    );
    let retries = format!("%RETRY%{GROUP}_{TOPIC}");
    await_true(
        || consumer.queues().iter().any(|queue| queue.topic == retries),
        || format!("{:?}", consumer.queues()),
    );
    consumer.close(LONG).unwrap();
    let seen = seen.lock().unwrap();
    for (body, times) in seen.iter().filter(|(body, _)| *body != "popped000") {
        // The last pop, held by the broker, may have taken what was pulled as well.
        assert!(times.len() == 1 || body.starts_with("again"), "{body}");
        assert!(times[0].1 || !body.starts_with("popped"), "{body}");
        assert!(!times[0].1 || !body.starts_with("pulled"), "{body}");
    }
    let times = seen["popped000"].iter().map(|(times, _)| *times);
    assert_eq!(times.collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn popped_messages_are_answered_for_by_handle() {
    let cluster = cluster();
    let producer = producer(&cluster);
    send(&producer, "m", 12);
    set_mode(&cluster, MessageRequestMode::Pop);
    let options = ConsumerOptions {
        max_popped_per_queue: 5,
        pop_batch_max: 2,
        max_reconsume_times: Some(1),
        ..options(&cluster)
    };
    let (consumer, deliveries) = PushConsumer::start_queued(options, all()).unwrap();
    // Nobody takes them: no more come.
    await_true(
        || deliveries.len() == 6,
        || format!("{} wait", deliveries.len()),
    );
    let mut tries: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    let is_done = |tries: &BTreeMap<String, Vec<i32>>| {
        let again = ["m001", "m002"].iter();
        tries.len() == 12 && again.clone().all(|body| tries[*body].len() == 2)
    };
    let clock = SystemClock::new();
    while !is_done(&tries) {
        assert!(clock.monotonic() < LONG, "{tries:?}");
        for delivery in deliveries.poll(4, Duration::from_millis(100)).unwrap() {
            let message = delivery.message();
            assert_eq!(delivery.broker_name(), Some("broker-a"));
            let body = String::from_utf8_lossy(&message.message.body).into_owned();
            match (body.as_str(), message.reconsume_times) {
                // Dropping it is an answer.
                ("m001", 0) => {}
                ("m002", _) => assert!(delivery.later(0)),
                _ => assert!(delivery.ack()),
            }
            tries.entry(body).or_default().push(message.reconsume_times);
        }
    }
    let dead = Seen::default();
    let undertaker = ConsumerOptions {
        start_from: StartFrom::First,
        ..ConsumerOptions::new("undertakers", cluster.nameserver_addresses())
    };
    let letters = vec![Subscription::tags(&format!("%DLQ%{GROUP}"), "*").unwrap()];
    let _undertaker = PushConsumer::start(undertaker, letters, takes_all(&dead)).unwrap();
    await_count(&dead, "m002", 1);
    consumer.close(LONG).unwrap();
    assert!(
        tries
            .values()
            .all(|times| times.is_sorted() && times[0] == 0)
    );
}

#[test]
fn a_popped_handle_is_late_when_its_time_is_over() {
    let cluster = cluster();
    let producer = producer(&cluster);
    send(&producer, "m", 1);
    set_mode(&cluster, MessageRequestMode::Pop);
    let options = ConsumerOptions {
        pop_invisible_ms: 5_000,
        ..options(&cluster)
    };
    let (consumer, deliveries) = PushConsumer::start_queued(options, all()).unwrap();
    let one = || deliveries.poll(1, LONG).unwrap().pop().unwrap();
    let (late, again) = (one(), one());
    assert_eq!(again.message().reconsume_times, 1);
    assert!(!late.ack() && late.is_late() && !late.later(0));
    assert!(again.ack() && !again.is_late());
    consumer.close(LONG).unwrap();
}

#[test]
fn only_what_was_asked_for_is_popped() {
    let cluster = cluster();
    let producer = producer(&cluster);
    send(&producer, "m", 20);
    set_mode(&cluster, MessageRequestMode::Pop);
    let seen = Seen::default();
    let even = vec![Subscription::tags(TOPIC, "even").unwrap()];
    let consumer = PushConsumer::start(options(&cluster), even, takes_all(&seen)).unwrap();
    await_count(&seen, "m", 10);
    consumer.suspend();
    send(&producer, "n", 4);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count(&seen, "n"), 0);
    consumer.resume();
    await_count(&seen, "n", 2);
    consumer.unsubscribe(TOPIC).unwrap();
    await_true(
        || consumer.popped_queues().is_empty(),
        || format!("{:?}", consumer.popped_queues()),
    );
}

#[test]
fn options_of_pop_have_limits() {
    let good = ConsumerOptions {
        broker_rebalance: true,
        ..ConsumerOptions::new("g", "127.0.0.1:1")
    };
    let with = |change: fn(&mut ConsumerOptions)| {
        let mut options = good.clone();
        change(&mut options);
        let consumer = PushConsumer::start(options, all(), |_| ConsumeStatus::Success);
        consumer.map(drop).map_err(|error| error.kind())
    };
    let wrong: [fn(&mut ConsumerOptions); 8] = [
        |options| options.pop_invisible_ms = 4_999,
        |options| options.pop_invisible_ms = 300_001,
        |options| options.pop_batch_max = 0,
        |options| options.pop_batch_max = 33,
        |options| options.max_popped_per_queue = 0,
        |options| options.pop_retry_delays_ms.clear(),
        |options| options.allocation = Allocation::ConsistentHash { virtual_nodes: 10 },
        |options| options.allocation = Allocation::MachineRoom(["r".to_owned()].into()),
    ];
    for change in wrong {
        assert_eq!(with(change), Err(ErrorKind::Invalid));
    }
    let right: [fn(&mut ConsumerOptions); 3] = [
        |options| options.pop_invisible_ms = 5_000,
        |options| options.pop_invisible_ms = 300_000,
        |options| options.allocation = Allocation::Circle,
    ];
    for change in right {
        assert_eq!(with(change), Ok(()));
    }
}
