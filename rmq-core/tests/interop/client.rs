//! rmq's client beside the official Java client, in one group, on rmq's servers and on Apache's.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmq_core::embed::{
    ClientOptions, Compression, ConsumeStatus, ConsumerOptions, Message, Producer, ProducerOptions,
    PushConsumer, ReceivedMessage, SendOptions, StartFrom, Subscription,
};

use crate::apache::{
    Cluster, Deadline, Maker, Process, Workspace, client as java, exclusive, prepare,
};
use crate::peer;

const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "shared";
const GROUP: &str = "shared_group";

/// How often each message was consumed before, by body, at one member.
type Seen = Arc<Mutex<BTreeMap<String, Vec<i32>>>>;

/// The body without what was only there to be compressed.
fn body(message: &ReceivedMessage) -> String {
    String::from_utf8_lossy(&message.message.body)
        .trim_end()
        .to_owned()
}

struct Java {
    process: Process,
}

impl Java {
    fn start(namesrv: &str, workspace: &Workspace) -> Self {
        let dir = workspace.folder("member");
        let mut command = java("5.5.0", "Member", &dir);
        command.args(["-n", namesrv, "--topic", TOPIC, "--group", GROUP]);
        command.stdin(Stdio::piped());
        let mut process = Process::spawn("member", &mut command, &dir);
        process.await_output("ready", 0, PATIENCE);
        Self { process }
    }

    fn seen(&self) -> BTreeMap<String, Vec<i32>> {
        let mut seen: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for line in self.process.log_text().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["got", body, times] = words[..] {
                seen.entry(body.to_owned())
                    .or_default()
                    .push(times.parse().unwrap());
            }
        }
        seen
    }
}

fn await_true(what: &str, mut is_so: impl FnMut() -> bool, shown: impl Fn() -> String) {
    let deadline = Deadline::after(PATIENCE);
    while !is_so() {
        assert!(!deadline.passed(), "{what}: {}", shown());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn consumer(namesrv: &str, seen: &Seen) -> PushConsumer {
    let options = ConsumerOptions {
        start_from: StartFrom::First,
        commit_interval_ms: 1_000,
        client: ClientOptions {
            route_poll_interval_ms: 1_000,
            ..ClientOptions::new(namesrv)
        },
        ..ConsumerOptions::new(GROUP, namesrv)
    };
    let seen = Arc::clone(seen);
    let listener = move |messages: &[ReceivedMessage]| {
        let message = &messages[0];
        let (body, times) = (body(message), message.reconsume_times);
        let again = body.starts_with("retry") && times == 0;
        seen.lock().unwrap().entry(body).or_default().push(times);
        match again {
            true => ConsumeStatus::Later,
            false => ConsumeStatus::Success,
        }
    };
    let subscriptions = vec![Subscription::tags(TOPIC, "*").unwrap()];
    PushConsumer::start(options, subscriptions, listener).unwrap()
}

fn send(producer: &Producer, prefix: &str, count: usize) {
    for i in 0..count {
        let mut text = format!("{prefix}{i:04}");
        if i % 2 == 0 {
            text.push_str(&" ".repeat(5000));
        }
        producer.send(Message::new(TOPIC, text)).unwrap();
    }
}

fn both(seen: &Seen, java: &Java) -> BTreeMap<String, Vec<i32>> {
    let mut all = seen.lock().unwrap().clone();
    for (body, times) in java.seen() {
        all.entry(body).or_default().extend(times);
    }
    all
}

fn count_of(seen: &BTreeMap<String, Vec<i32>>, prefix: &str) -> usize {
    seen.keys().filter(|body| body.starts_with(prefix)).count()
}

fn producers(namesrv: &str) -> [Producer; 3] {
    [Compression::Zlib, Compression::Lz4, Compression::Zstd].map(|compression| {
        let options = ProducerOptions {
            send_timeout_ms: 10_000,
            compression,
            ..ProducerOptions::new("rmq_senders", namesrv)
        };
        Producer::start(options).unwrap()
    })
}

/// The queues of the topic that the member has.
fn shares(member: &PushConsumer) -> usize {
    let queues = member.queues().into_iter();
    queues.filter(|queue| queue.topic == TOPIC).count()
}

fn await_shares(member: &PushConsumer, wanted: usize) {
    let shown = || format!("{:?}", member.queues());
    await_true("the share of queues", || shares(member) == wanted, shown);
}

/// Each takes what the other sends, what is compressed in any way, and what failed at either.
fn work_together(java: &mut Java, seen: &Seen, producers: &[Producer]) {
    for (i, producer) in producers.iter().enumerate() {
        send(producer, &format!("rust{i}"), 16);
    }
    let batch = (0..8)
        .map(|i| Message::new(TOPIC, format!("batch{i:04}")))
        .collect();
    producers[0]
        .send_batch(batch, SendOptions::default())
        .unwrap();
    java.process.say("send java 32");
    send(&producers[0], "retry", 16);
    let retried = |all: &BTreeMap<String, Vec<i32>>| {
        let mut retries = all.iter().filter(|(body, _)| body.starts_with("retry"));
        retries.all(|(_, times)| times.iter().any(|times| *times > 0))
    };
    let complete = || {
        let all = both(seen, java);
        let prefixes = ["first", "rust", "batch", "java", "retry"];
        prefixes.map(|prefix| count_of(&all, prefix)) == [20, 48, 8, 32, 16] && retried(&all)
    };
    await_true("everything", complete, || format!("{:?}", both(seen, java)));
    // Each had its share of what was sent to all queues.
    for (who, seen) in [("Java", java.seen()), ("rmq", seen.lock().unwrap().clone())] {
        assert!(count_of(&seen, "rust") >= 12, "{who}: {seen:?}");
        assert!(count_of(&seen, "java") >= 8, "{who}: {seen:?}");
    }
}

/// A Java member and one of rmq divide the queues, and each goes on where the other has left.
fn a_group_of_both(maker: Maker) {
    if !prepare(&["java", "mvn"], &["client-5.5.0", "server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let delays = [("messageDelayLevel", "1s 1s 1s 1s 1s 1s")];
    let cluster = Cluster::start(maker, &workspace, &delays);
    let namesrv = cluster.namesrv.address();
    // Apache's broker says that it has started before a nameserver knows it.
    let known = || peer::brokers(&peer::client(), &namesrv).is_ok_and(|names| names.len() == 2);
    await_true("both brokers are registered", known, String::new);
    let producers = producers(&namesrv);
    send(&producers[0], "first", 20);
    let mut java = Java::start(&namesrv, &workspace);
    let shown = || format!("{:?}", java.seen());
    await_true(
        "the Java member alone",
        || count_of(&java.seen(), "first") == 20,
        shown,
    );

    let seen = Seen::default();
    let member = consumer(&namesrv, &seen);
    await_shares(&member, 4);
    work_together(&mut java, &seen, &producers);

    let from = java.process.log_text().len();
    java.process.say("leave");
    java.process.await_output("left", from, PATIENCE);
    await_shares(&member, 8);
    send(&producers[1], "last", 16);
    let alone = || count_of(&seen.lock().unwrap(), "last") == 16;
    await_true("alone", alone, || format!("{:?}", seen.lock().unwrap()));
    member.close(PATIENCE).unwrap();
    let again = Seen::default();
    let _member = consumer(&namesrv, &again);
    send(&producers[2], "end", 8);
    let ended = || count_of(&again.lock().unwrap(), "end") == 8;
    await_true("where the group was", ended, || {
        format!("{:?}", again.lock().unwrap())
    });
    let again = again.lock().unwrap();
    assert_eq!(again.len(), 8, "consumed once more: {again:?}");
}

#[test]
fn a_group_of_java_and_rmq_members_on_rmq() {
    a_group_of_both(Maker::under_test());
}

#[test]
fn a_group_of_java_and_rmq_members_on_apache() {
    a_group_of_both(Maker::Apache);
}
