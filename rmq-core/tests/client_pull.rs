//! The pull consumer against a broker of this process: where it stands, what it commits, who wakes
//! it. What it shares with other consumers is in `client_consumer.rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{ErrorKind, thread};
use rmq_core::embed::{
    Cluster, ClusterOptions, ConsumerOptions, Deployment, Message, MessageQueue, Producer,
    ProducerOptions, PullConsumer, SendOptions, StartFrom, Subscription,
};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);
const TOPIC: &str = "orders";

struct Scene {
    cluster: Cluster,
    producer: Producer,
    consumer: Arc<PullConsumer>,
    /// The queue that everything goes to.
    queue: MessageQueue,
}

impl Scene {
    /// Ten messages in a queue, and a consumer that has it.
    fn start() -> Self {
        let cluster = Cluster::start(ClusterOptions::new(Deployment::Masters(1))).unwrap();
        let options = ProducerOptions {
            send_timeout_ms: 10_000,
            ..ProducerOptions::new("senders", cluster.nameserver_addresses())
        };
        let producer = Producer::start(options).unwrap();
        let sent = producer.send(Message::new(TOPIC, "m000")).unwrap();
        let consumer = consumer(&cluster);
        consumer.assign(std::slice::from_ref(&sent.queue)).unwrap();
        let scene = Self {
            cluster,
            producer,
            consumer: Arc::new(consumer),
            queue: sent.queue,
        };
        scene.send(1..10);
        scene
    }

    fn send(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let message = Message::new(TOPIC, format!("m{number:03}"));
            let options = SendOptions::to_queue(self.queue.clone());
            self.producer.send_with(message, options).unwrap();
        }
    }

    /// Polls so many messages; the numbers in their bodies.
    fn poll(&self, count: usize) -> Vec<usize> {
        let clock = SystemClock::new();
        let mut numbers = Vec::new();
        while numbers.len() < count {
            assert!(clock.monotonic() < LONG, "{numbers:?}");
            let messages = self.consumer.poll(count - numbers.len(), SHORT).unwrap();
            let texts = messages
                .iter()
                .map(|m| std::str::from_utf8(&m.message.body[1..]));
            numbers.extend(texts.map(|text| text.unwrap().parse::<usize>().unwrap()));
        }
        numbers
    }

    fn committed(&self) -> Option<i64> {
        self.consumer.committed(&self.queue).unwrap()
    }
}

fn consumer(cluster: &Cluster) -> PullConsumer {
    let options = ConsumerOptions {
        start_from: StartFrom::First,
        auto_commit: false,
        ..ConsumerOptions::new("pullers", cluster.nameserver_addresses())
    };
    PullConsumer::start(options).unwrap()
}

#[test]
fn it_goes_on_where_it_is_told() {
    let scene = Scene::start();
    let (consumer, queue) = (&scene.consumer, &scene.queue);
    assert_eq!(scene.poll(10), (0..10).collect::<Vec<_>>());
    consumer.seek(queue, 7).unwrap();
    assert_eq!(consumer.position(queue).unwrap(), 7);
    assert_eq!(scene.poll(3), [7, 8, 9]);
    consumer.seek_to_begin(queue).unwrap();
    assert_eq!(scene.poll(1), [0]);
    consumer.seek_to_end(queue).unwrap();
    scene.send(10..12);
    assert_eq!(scene.poll(2), [10, 11]);
    consumer.seek_to_time(queue, 0).unwrap();
    assert_eq!(scene.poll(1), [0]);
    consumer.seek_to_time(queue, i64::MAX).unwrap();
    assert_eq!(consumer.position(queue).unwrap(), 12);
    let other = MessageQueue {
        queue_id: queue.queue_id + 1,
        ..queue.clone()
    };
    let error = consumer.seek_to_time(&other, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn it_commits_what_it_handed_out_or_what_it_is_told() {
    let scene = Scene::start();
    let (consumer, queue) = (&scene.consumer, &scene.queue);
    scene.poll(4);
    let (tell, told) = mpsc::channel();
    let done = move |outcome| tell.send(outcome).unwrap();
    consumer.commit_async(done).unwrap();
    told.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(scene.committed(), Some(4));
    // Nothing new is no failure.
    let (tell, told) = mpsc::channel();
    let done = move |outcome| tell.send(outcome).unwrap();
    consumer.commit_async(done).unwrap();
    told.recv_timeout(LONG).unwrap().unwrap();

    consumer
        .commit_offsets(&[(queue.clone(), 2)], LONG)
        .unwrap();
    assert_eq!(scene.committed(), Some(2));
    consumer.commit(LONG).unwrap();
    assert_eq!(scene.committed(), Some(4));
    let wrong = [(queue.clone(), 3), (queue.clone(), -1)];
    let error = consumer.commit_offsets(&wrong, LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(scene.committed(), Some(4));

    scene.poll(1);
    scene.cluster.kill("broker-a").unwrap();
    let (tell, told) = mpsc::channel();
    let done = move |outcome| tell.send(outcome).unwrap();
    consumer.commit_async(done).unwrap();
    assert!(told.recv_timeout(LONG).unwrap().is_err());
}

#[test]
fn whoever_polls_can_be_woken() {
    let scene = Scene::start();
    scene.poll(10);
    scene.consumer.wake();
    // The next one, if nobody waits.
    assert!(scene.consumer.poll(1, LONG).unwrap().is_empty());
    let (tell, told) = mpsc::channel();
    let polling = Arc::clone(&scene.consumer);
    let poll = move || tell.send(polling.poll(1, LONG).unwrap().len()).unwrap();
    let thread = thread::spawn("test-poller", poll).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    scene.consumer.wake();
    assert_eq!(told.recv_timeout(LONG / 2).unwrap(), 0);
    thread.join_deadline(LONG).unwrap();
    scene.send(10..11);
    assert_eq!(scene.poll(1), [10]);
}

#[test]
fn a_topic_that_is_not_wanted_any_more_is_let_go_of() {
    let scene = Scene::start();
    let consumer = consumer(&scene.cluster);
    consumer
        .subscribe(Subscription::tags(TOPIC, "*").unwrap())
        .unwrap();
    let clock = SystemClock::new();
    let await_queues = |count: usize| {
        while consumer.assignment().len() != count {
            assert!(clock.monotonic() < LONG, "{:?}", consumer.assignment());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    scene.consumer.close(LONG).unwrap();
    await_queues(4);
    consumer.unsubscribe(TOPIC).unwrap();
    await_queues(0);
}
