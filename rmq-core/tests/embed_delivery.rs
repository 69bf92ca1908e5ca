//! Messages by handle: taken when the program likes, answered for from any thread.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{ErrorKind, thread};
use rmq_core::embed::{
    Cluster, ClusterOptions, CompletionQueue, ConsumerOptions, Deliveries, Delivery, Deployment,
    Message, MessageModel, Producer, ProducerOptions, PushConsumer, Result, SendOptions,
    SendResult, StartFrom, Subscription, Target,
};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
const TOPIC: &str = "orders";
const GROUP: &str = "workers";

/// Retries come at once; a topic has four queues.
fn cluster() -> Cluster {
    let mut options = ClusterOptions::new(Deployment::Masters(1));
    let levels = ("messageDelayLevel", "0s 0s 0s 0s 0s 0s");
    for (key, value) in [levels, ("defaultTopicQueueNums", "4")] {
        options.settings.insert(key.to_owned(), value.to_owned());
    }
    Cluster::start(options).unwrap()
}

fn producer(cluster: &Cluster) -> Producer {
    let options = ProducerOptions {
        send_timeout_ms: 20_000,
        ..ProducerOptions::new("senders", cluster.nameserver_addresses())
    };
    Producer::start(options).unwrap()
}

fn options(cluster: &Cluster) -> ConsumerOptions {
    ConsumerOptions {
        start_from: StartFrom::First,
        suspend_queue_ms: 10,
        ..ConsumerOptions::new(GROUP, cluster.nameserver_addresses())
    }
}

fn all() -> Vec<Subscription> {
    vec![Subscription::tags(TOPIC, "*").unwrap()]
}

fn send(producer: &Producer, count: usize) {
    for i in 0..count {
        producer.send(Message::new(TOPIC, i.to_string())).unwrap();
    }
}

fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.message().message.body).into_owned()
}

fn number(delivery: &Delivery) -> usize {
    body(delivery).parse().unwrap()
}

fn one(deliveries: &Deliveries) -> Delivery {
    let mut polled = deliveries.poll(1, LONG).unwrap();
    polled.pop().expect("a message comes in time")
}

fn await_true(mut is_so: impl FnMut() -> bool, what: &str) {
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Of what was there, a new member of the group gets `expected` and nothing else.
fn await_rest(cluster: &Cluster, producer: &Producer, mut expected: Vec<String>) {
    let (consumer, deliveries) = PushConsumer::start_queued(options(cluster), all()).unwrap();
    producer.send(Message::new(TOPIC, "the last")).unwrap();
    expected.push("the last".to_owned());
    while !expected.is_empty() {
        let delivery = one(&deliveries);
        let at = expected.iter().position(|one| *one == body(&delivery));
        expected.remove(at.unwrap_or_else(|| panic!("{delivery:?} was done with")));
        assert!(delivery.ack());
    }
    let more = deliveries.poll(1_000, SHORT).unwrap();
    assert!(more.is_empty(), "{more:?}");
    consumer.close(LONG).unwrap();
}

#[test]
fn a_hundred_thousand_messages_are_answered_for_by_other_threads_and_none_is_lost() {
    const BATCHES: usize = 200;
    const BATCH: usize = 500;
    let cluster = cluster();
    let producer = producer(&cluster);
    for batch in 0..BATCHES {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let messages = numbers.map(|i| Message::new(TOPIC, i.to_string()));
        producer
            .send_batch(messages.collect(), SendOptions::default())
            .unwrap();
    }
    let (consumer, deliveries) = PushConsumer::start_queued(options(&cluster), all()).unwrap();
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let (deliveries, seen) = (deliveries.clone(), Arc::clone(&seen));
            let work = move || {
                while let Ok(batch) = deliveries.poll(64, LONG) {
                    seen.lock().unwrap().extend(batch.iter().map(number));
                    assert!(batch.iter().all(Delivery::ack));
                }
            };
            thread::spawn(format!("worker-{worker}"), work).unwrap()
        })
        .collect();
    await_true(
        || seen.lock().unwrap().len() == BATCHES * BATCH,
        "every message comes",
    );
    consumer.close(LONG).unwrap();
    for worker in workers {
        worker.join_deadline(LONG).unwrap();
    }
    await_rest(&cluster, &producer, Vec::new());
}

#[test]
fn a_slow_reader_holds_no_more_than_the_limits_of_its_queues() {
    let cluster = cluster();
    let producer = producer(&cluster);
    producer.send(Message::new(TOPIC, "first")).unwrap();
    let queue = producer.queues(TOPIC).unwrap().swap_remove(0);
    let to_one_queue = SendOptions {
        target: Target::Queue(queue),
        ..SendOptions::default()
    };
    for i in 0..1_000 {
        let message = Message::new(TOPIC, i.to_string());
        producer.send_with(message, to_one_queue.clone()).unwrap();
    }
    let options = ConsumerOptions {
        max_messages_per_queue: 40,
        pull_batch_max: 8,
        ..options(&cluster)
    };
    let (consumer, deliveries) = PushConsumer::start_queued(options, all()).unwrap();
    // One more queue holds the first message; a pull that began below the limit may exceed it.
    let most = 40 + 8 + 1;
    let mut held = Vec::new();
    while held.len() < 40 {
        held.extend(deliveries.poll(7, LONG).unwrap());
    }
    held.extend(deliveries.poll(1_000, SHORT).unwrap());
    assert!(held.len() <= most, "{} are held", held.len());
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while seen.len() < 1_001 {
        assert!(held.len() + deliveries.len() <= 2 * most);
        seen.extend(held.iter().map(body));
        assert!(held.iter().all(Delivery::ack));
        if seen.len() < 1_001 {
            held = deliveries.poll(5, LONG).unwrap();
        }
    }
    consumer.close(LONG).unwrap();
}

#[test]
fn the_end_wakes_who_polls_and_waits_for_answers() {
    let cluster = cluster();
    let producer = producer(&cluster);
    let (consumer, deliveries) = PushConsumer::start_queued(options(&cluster), all()).unwrap();
    let (tell, told) = mpsc::channel();
    let polling = deliveries.clone();
    let blocked = move || tell.send(polling.poll(1, Duration::MAX)).unwrap();
    let waiter = thread::spawn("polls".to_owned(), blocked).unwrap();
    send(&producer, 3);
    let mut first = told.recv_timeout(LONG).unwrap().unwrap();
    waiter.join_deadline(LONG).unwrap();
    let first = first.pop().unwrap();

    // The answer of another thread is waited for, and counts.
    let polling = deliveries.clone();
    let answer = move || {
        // What it takes and drops comes again.
        while polling.poll(1, Duration::MAX).is_ok() {}
        assert!(first.ack() && !first.ack() && !first.later(0));
        body(&first)
    };
    let (tell, told) = mpsc::channel();
    let answer = move || tell.send(answer()).unwrap();
    let answerer = thread::spawn("answers".to_owned(), answer).unwrap();
    consumer.close(LONG).unwrap();
    let done = told.recv_timeout(LONG).unwrap();
    answerer.join_deadline(LONG).unwrap();
    let error = deliveries.poll(1, LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    consumer.close(LONG).unwrap();
    let mut expected = vec!["0".to_owned(), "1".to_owned(), "2".to_owned()];
    expected.retain(|body| *body != done);
    await_rest(&cluster, &producer, expected);
}

#[test]
fn an_answer_after_the_end_is_without_effect() {
    let cluster = cluster();
    let producer = producer(&cluster);
    let (consumer, deliveries) = PushConsumer::start_queued(options(&cluster), all()).unwrap();
    send(&producer, 2);
    let (first, second) = (one(&deliveries), one(&deliveries));
    let error = consumer.close(SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(first.ack());
    drop(consumer);
    assert!(second.later(0));
    drop(deliveries);
    await_rest(&cluster, &producer, vec!["0".to_owned(), "1".to_owned()]);
    // The handle keeps its message, whatever became of the rest.
    assert!(!body(&first).is_empty());
}

#[test]
fn what_is_dropped_or_put_off_comes_again_and_what_is_given_up_does_not() {
    let cluster = cluster();
    let producer = producer(&cluster);
    let (consumer, deliveries) = PushConsumer::start_queued(options(&cluster), all()).unwrap();
    send(&producer, 3);
    for _ in 0..3 {
        let delivery = one(&deliveries);
        assert_eq!(delivery.message().reconsume_times, 0);
        match number(&delivery) {
            0 => drop(delivery),
            1 => assert!(delivery.later(2)),
            _ => assert!(delivery.later(-1)),
        }
    }
    let mut again: BTreeMap<usize, i32> = BTreeMap::new();
    for _ in 0..2 {
        let delivery = one(&deliveries);
        assert_eq!(delivery.message().message.topic, TOPIC);
        again.insert(number(&delivery), delivery.message().reconsume_times);
        delivery.ack();
    }
    assert_eq!(again, BTreeMap::from([(0, 1), (1, 1)]));
    assert!(deliveries.poll(1, SHORT).unwrap().is_empty());
    consumer.close(LONG).unwrap();
    await_rest(&cluster, &producer, Vec::new());
}

#[test]
fn what_is_not_answered_for_in_time_comes_again() {
    let cluster = cluster();
    let producer = producer(&cluster);
    let options = ConsumerOptions {
        consume_timeout_ms: 1_000,
        ..options(&cluster)
    };
    let (consumer, deliveries) = PushConsumer::start_queued(options, all()).unwrap();
    send(&producer, 3);
    let kept: Vec<Delivery> = (0..3).map(|_| one(&deliveries)).collect();
    // In time, unless this machine stood still.
    let in_time = kept[0].ack();
    assert_ne!(in_time, kept[0].is_late());
    let mut stuck: BTreeSet<usize> = kept.iter().map(number).collect();
    if in_time {
        stuck.remove(&number(&kept[0]));
    }
    while !stuck.is_empty() {
        let again = one(&deliveries);
        assert!(again.message().reconsume_times > 0);
        // The answer to the old handle is none to the new one.
        let mut old = kept.iter().filter(|old| number(old) == number(&again));
        assert!(old.all(|old| old.is_late() && !old.ack() && !old.later(0)));
        if again.ack() {
            stuck.remove(&number(&again));
        }
    }
    assert!(!kept[0].ack());
    // The end does not wait for the answer to what was taken back.
    send(&producer, 1);
    let late = one(&deliveries);
    while !one(&deliveries).ack() {}
    consumer.close(LONG).unwrap();
    assert!(late.is_late() && !late.ack());
    await_rest(&cluster, &producer, Vec::new());
}

#[test]
fn in_order_the_next_message_waits_for_the_answer() {
    let cluster = cluster();
    let producer = producer(&cluster);
    send(&producer, 40);
    let (consumer, deliveries) =
        PushConsumer::start_queued_orderly(options(&cluster), all()).unwrap();
    // One of each queue, and no more until they are answered for.
    let mut heads = Vec::new();
    while heads.len() < 4 {
        heads.extend(deliveries.poll(100, LONG).unwrap());
    }
    assert!(deliveries.poll(100, SHORT).unwrap().is_empty());
    let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    let mut put_off = BTreeSet::new();
    let mut done = 0;
    while done < 40 {
        for delivery in std::mem::take(&mut heads) {
            let message = delivery.message();
            let (queue, offset) = (message.queue_id, message.queue_offset);
            let seen = offsets.entry(queue).or_default();
            // Every third of a queue is put off once and comes next again.
            if offset % 3 == 1 && put_off.insert((queue, offset)) {
                drop(delivery);
            } else {
                let expected = i32::from(put_off.contains(&(queue, offset)));
                assert_eq!(message.reconsume_times, expected);
                seen.push(offset);
                done += 1;
                let answer = move || assert!(delivery.ack());
                thread::spawn("acks".to_owned(), answer).unwrap();
            }
        }
        if done < 40 {
            heads = deliveries.poll(100, LONG).unwrap();
        }
    }
    for offsets in offsets.values() {
        assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
    }
    assert_eq!(offsets.values().map(Vec::len).sum::<usize>(), 40);
    consumer.close(LONG).unwrap();
    await_rest(&cluster, &producer, Vec::new());
}

#[test]
fn a_listener_may_leave_its_answers_to_others() {
    let cluster = cluster();
    send(&producer(&cluster), 30);
    for orderly in [false, true] {
        let (tell, told) = mpsc::channel::<Vec<Delivery>>();
        let tell = Mutex::new(tell);
        let panics = AtomicUsize::new(0);
        let listener = move |deliveries: Vec<Delivery>| {
            assert_ne!(panics.fetch_add(1, Ordering::SeqCst), 2, "on purpose");
            tell.lock().unwrap().send(deliveries).unwrap();
        };
        let options = ConsumerOptions {
            group: format!("{GROUP}-{orderly}"),
            consume_batch_max: 3,
            ..options(&cluster)
        };
        let consumer = match orderly {
            false => PushConsumer::start_with_handles(options, all(), listener),
            true => PushConsumer::start_orderly_with_handles(options, all(), listener),
        };
        let consumer = consumer.unwrap();
        let mut seen = BTreeSet::new();
        while seen.len() < 30 {
            let batch = told.recv_timeout(LONG).unwrap();
            assert!((1..=3).contains(&batch.len()));
            for delivery in batch {
                seen.insert(delivery.message().msg_id());
                assert!(delivery.ack());
            }
        }
        consumer.close(LONG).unwrap();
    }
}

#[test]
fn of_a_broadcast_nothing_goes_back() {
    let cluster = cluster();
    let producer = producer(&cluster);
    let options = ConsumerOptions {
        message_model: MessageModel::Broadcasting,
        ..options(&cluster)
    };
    let members: Vec<_> = (0..2)
        .map(|_| PushConsumer::start_queued(options.clone(), all()).unwrap())
        .collect();
    send(&producer, 6);
    for (consumer, deliveries) in &members {
        let mut seen = BTreeSet::new();
        for _ in 0..6 {
            let delivery = one(deliveries);
            seen.insert(number(&delivery));
            delivery.later(0);
        }
        assert_eq!(seen, (0..6).collect());
        assert!(deliveries.poll(1, SHORT).unwrap().is_empty());
        consumer.close(LONG).unwrap();
    }
}

#[test]
fn a_suspended_consumer_goes_on_with_what_waited() {
    let cluster = cluster();
    let producer = producer(&cluster);
    let (consumer, deliveries) = PushConsumer::start_queued(options(&cluster), all()).unwrap();
    send(&producer, 1);
    one(&deliveries).ack();
    consumer.suspend();
    send(&producer, 8);
    // Pulls that brokers hold now may still bring one each.
    let before = deliveries.poll(100, SHORT).unwrap().len();
    consumer.resume();
    for _ in before..8 {
        assert!(one(&deliveries).ack());
    }
    consumer.close(LONG).unwrap();
}

fn is_readable(fd: RawFd) -> bool {
    let mut polled = mio::Poll::new().unwrap();
    let mut source = mio::unix::SourceFd(&fd);
    polled
        .registry()
        .register(&mut source, mio::Token(0), mio::Interest::READABLE)
        .unwrap();
    let mut events = mio::Events::with_capacity(1);
    polled.poll(&mut events, Some(Duration::ZERO)).unwrap();
    !events.is_empty()
}

#[test]
fn the_descriptor_is_readable_exactly_while_poll_would_not_wait() {
    let queue = CompletionQueue::new();
    queue.push(0).unwrap();
    let fd = queue.fd().unwrap();
    assert!(is_readable(fd), "what came before the descriptor counts");
    assert_eq!(queue.poll(9, LONG).unwrap(), [0]);
    assert!(!is_readable(fd));
    for i in 0..3 {
        queue.push(i).unwrap();
    }
    assert_eq!(queue.poll(2, LONG).unwrap(), [0, 1]);
    assert!(is_readable(fd));
    assert_eq!(queue.poll(2, LONG).unwrap(), [2]);
    assert!(!is_readable(fd));
    queue.wake();
    assert!(is_readable(fd));
    assert!(queue.poll(2, LONG).unwrap().is_empty());
    assert!(!is_readable(fd));
    assert_eq!(queue.fd().unwrap(), fd);
    queue.close();
    assert!(is_readable(fd));
}

/// What one event loop gets.
enum Event {
    Sent(usize, Result<SendResult>),
    Received(Delivery),
}

#[test]
fn one_queue_with_one_descriptor_carries_messages_and_outcomes_of_sends() {
    const COUNT: usize = 500;
    let cluster = cluster();
    let producer = producer(&cluster);
    producer.send(Message::new(TOPIC, "0")).unwrap();
    let events: CompletionQueue<Event> = CompletionQueue::new();
    let into = events.clone();
    let listener = move |deliveries: Vec<Delivery>| {
        for delivery in deliveries {
            // When nobody takes it, it comes again.
            drop(into.push(Event::Received(delivery)));
        }
    };
    let consumer = PushConsumer::start_with_handles(options(&cluster), all(), listener).unwrap();
    for token in 1..=COUNT {
        let into = events.clone();
        let message = Message::new(TOPIC, token.to_string());
        let done = move |outcome| drop(into.push(Event::Sent(token, outcome)));
        producer
            .send_async(message, SendOptions::default(), done)
            .unwrap();
    }
    let mut poll = mio::Poll::new().unwrap();
    let fd = events.fd().unwrap();
    let mut source = mio::unix::SourceFd(&fd);
    poll.registry()
        .register(&mut source, mio::Token(0), mio::Interest::READABLE)
        .unwrap();
    let mut ready = mio::Events::with_capacity(1);
    let (mut sent, mut received) = (BTreeSet::new(), BTreeSet::new());
    while sent.len() < COUNT || received.len() < COUNT + 1 {
        poll.poll(&mut ready, Some(LONG)).unwrap();
        assert!(!ready.is_empty(), "the descriptor tells in time");
        // Edge-triggered, so until nothing is left.
        loop {
            let polled = events.poll(50, Duration::ZERO).unwrap();
            if polled.is_empty() {
                break;
            }
            for event in polled {
                match event {
                    Event::Sent(token, outcome) => {
                        outcome.unwrap();
                        assert!(sent.insert(token), "one outcome for each send");
                    }
                    Event::Received(delivery) => {
                        received.insert(number(&delivery));
                        assert!(delivery.ack());
                    }
                }
            }
        }
    }
    assert_eq!(received, (0..=COUNT).collect());
    consumer.close(LONG).unwrap();
    producer.close(LONG).unwrap();
}
