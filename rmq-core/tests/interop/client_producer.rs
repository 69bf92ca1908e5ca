//! rmq's producer in all its ways of sending, on the servers of each maker, with a Java consumer
//! and replier at the other end and Apache's mqadmin to read the traces.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rmq_core::base::Result;
use rmq_core::embed::{
    Admin, ClientOptions, Compression, ConsumeStatus, ConsumerOptions, Message, Producer,
    ProducerOptions, PushConsumer, ReceivedMessage, SendOptions, SendResult, SendStatus, StartFrom,
    Subscription, TopicConfig, TransactionState,
};

use crate::apache::{
    Cluster, Deadline, Maker, Process, Workspace, client as java, exclusive, prepare,
};
use crate::peer;

const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "sent";
const TRACES: &str = "traces";

fn await_true(what: &str, mut is_so: impl FnMut() -> bool, shown: impl Fn() -> String) {
    let deadline = Deadline::after(PATIENCE);
    while !is_so() {
        assert!(!deadline.passed(), "{what}: {}", shown());
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Java(Process);

impl Java {
    fn start(namesrv: &str, workspace: &Workspace) -> Self {
        let dir = workspace.folder("receiver");
        let mut command = java("5.5.0", "Receiver", &dir);
        command.args(["-n", namesrv, "--topic", TOPIC, "--group", "receivers"]);
        command.stdin(Stdio::piped());
        Self(Process::spawn("receiver", &mut command, &dir))
    }

    /// What it got: namespace, topic, tags, keys and body.
    fn got(&self) -> BTreeSet<String> {
        let text = self.0.log_text();
        let got = text.lines().filter_map(|line| line.strip_prefix("got "));
        got.map(str::to_owned).collect()
    }

    /// What mqadmin prints of a message's traces, asked until there are so many.
    fn traces(&mut self, msg_id: &str, wanted: &[&str]) {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let from = self.0.log_text().len();
            self.0.say(&format!("trace {msg_id}"));
            let end = format!("traced {msg_id}");
            self.0.await_output(&end, from, PATIENCE);
            let text = self.0.log_text();
            let lines = text[from..].lines().filter_map(|line| {
                let mut words = line
                    .strip_prefix(&format!("trace {msg_id} "))?
                    .split_whitespace();
                let kind = words.next().filter(|kind| ["Pub", "Sub"].contains(kind))?;
                Some(format!("{kind} {} {}", words.next()?, words.last()?))
            });
            let mut lines: Vec<String> = lines.collect();
            lines.sort();
            if lines == wanted {
                return;
            }
            assert!(!deadline.passed(), "traces of {msg_id}: {lines:?}\n{text}");
        }
    }
}

fn options(namesrv: &str) -> ProducerOptions {
    ProducerOptions {
        send_timeout_ms: 10_000,
        client: ClientOptions {
            trace: true,
            trace_topic: TRACES.to_owned(),
            ..ClientOptions::new(namesrv)
        },
        ..ProducerOptions::new("rmq_senders", namesrv)
    }
}

fn message(body: &str) -> Message {
    let mut message = Message::new(TOPIC, body.to_owned());
    message.set_tag("red").set_keys(["k1", body]);
    message
}

/// Sends in each way; answers what the receiver is to get, and the id of the first message.
fn send_everything(namesrv: &str, producer: &Producer) -> (BTreeSet<String>, String) {
    let mut wanted = BTreeSet::new();
    let mut want = |body: &str| wanted.insert(format!("- {TOPIC} red k1+{body} {body}"));
    let plain = SendOptions::default;
    let first = producer.send(message("sync")).unwrap();
    assert_eq!(first.status, SendStatus::Ok);
    want("sync");
    producer
        .send_async(message("async"), plain(), |outcome| drop(outcome.unwrap()))
        .unwrap();
    want("async");
    producer.send_oneway(message("oneway"), plain()).unwrap();
    want("oneway");
    let batch = ["batch0", "batch1", "batch2"];
    producer
        .send_batch(batch.map(message).into(), plain())
        .unwrap();
    for body in batch {
        want(body);
    }
    let queue = producer.queues(TOPIC).unwrap().remove(1);
    let sent = producer.send_with(message("queue"), SendOptions::to_queue(queue.clone()));
    assert_eq!(sent.unwrap().queue, queue);
    want("queue");
    producer
        .send_with(message("key"), SendOptions::by_key("user"))
        .unwrap();
    want("key");
    let mut delayed = message("delayed");
    delayed.set_delay_level(1);
    producer.send(delayed).unwrap();
    want("delayed");
    for (compression, body) in [
        (Compression::Zlib, "zlib"),
        (Compression::Lz4, "lz4"),
        (Compression::Zstd, "zstd"),
    ] {
        let options = ProducerOptions {
            compression,
            ..options(namesrv)
        };
        let mut long = message(body);
        long.body = format!("{body}{}", " ".repeat(5_000)).into();
        Producer::start(options).unwrap().send(long).unwrap();
        want(body);
    }
    (wanted, first.msg_id)
}

/// Held messages arrive as if each had been sent by itself.
fn send_held(namesrv: &str) -> BTreeSet<String> {
    let options = ProducerOptions {
        auto_batch: true,
        batch_hold_ms: 200,
        batch_max_bytes: 100,
        ..options(namesrv)
    };
    let producer = Producer::start(options).unwrap();
    let (tell, told) = mpsc::channel();
    let bodies: Vec<String> = (0..50).map(|i| format!("held{i:03}")).collect();
    for body in &bodies {
        let tell = tell.clone();
        let done = move |outcome: Result<SendResult>| tell.send(outcome.unwrap()).unwrap();
        producer
            .send_async(message(body), SendOptions::by_key("user"), done)
            .unwrap();
    }
    producer.close(PATIENCE).unwrap();
    let results: Vec<SendResult> = told.try_iter().collect();
    let places: BTreeSet<i64> = results.iter().map(|sent| sent.queue_offset).collect();
    let ids: BTreeSet<&String> = results.iter().map(|sent| &sent.offset_msg_id).collect();
    assert_eq!((results.len(), places.len(), ids.len()), (50, 50, 50));
    let each = bodies
        .iter()
        .map(|body| format!("- {TOPIC} red k1+{body} {body}"));
    each.collect()
}

fn transact(producer: &Producer) -> BTreeSet<String> {
    let ends = [
        ("committed", TransactionState::Commit),
        ("rolledback", TransactionState::Rollback),
        ("checked", TransactionState::Unknown),
    ];
    for (body, state) in ends {
        let outcome = producer.send_in_transaction(message(body), SendOptions::default(), |sent| {
            assert_eq!(sent.status, SendStatus::Ok);
            state
        });
        assert_eq!(outcome.unwrap().1, state);
    }
    let delivered = ["committed", "checked"].iter();
    delivered
        .map(|body| format!("- {TOPIC} red k1+{body} {body}"))
        .collect()
}

/// The Java consumer answers; both ways of asking are told.
fn ask(producer: &Producer) -> BTreeSet<String> {
    let reply = producer.request(message("question"), PATIENCE).unwrap();
    assert_eq!(reply.message.body, "echo question");
    let (tell, told) = mpsc::channel();
    let done = move |reply: Result<ReceivedMessage>| tell.send(reply.unwrap()).unwrap();
    producer
        .request_async(message("again"), PATIENCE, done)
        .unwrap();
    let reply = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(reply.message.body, "echo again");
    let asked = ["question", "again"].iter();
    asked
        .map(|body| format!("- {TOPIC} red k1+{body} {body}"))
        .collect()
}

/// A consumer of rmq's that tells what it consumed, until it has consumed that message.
fn consume_traced(namesrv: &str, body: &'static str) {
    let options = ConsumerOptions {
        start_from: StartFrom::First,
        client: options(namesrv).client,
        ..ConsumerOptions::new("rmq_receivers", namesrv)
    };
    let (tell, told) = mpsc::channel();
    let listener = move |messages: &[ReceivedMessage]| {
        if messages[0].message.body == body {
            tell.send(()).unwrap();
        }
        ConsumeStatus::Success
    };
    let all = vec![Subscription::tags(TOPIC, "*").unwrap()];
    let consumer = PushConsumer::start(options, all, listener).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    consumer.close(PATIENCE).unwrap();
}

fn topics(namesrv: &str, wanted: &[TopicConfig]) {
    let admin = Admin::start(ClientOptions::new(namesrv)).unwrap();
    for topic in wanted {
        admin.create_topic(topic).unwrap();
        let routed = || {
            let route = admin.route(&topic.topic_name);
            route.is_ok_and(|route| route.brokers.len() == 2)
        };
        await_true("the topic is known", routed, String::new);
    }
}

fn everything_arrives(maker: Maker) {
    if !prepare(
        &["java", "mvn"],
        &["client-5.5.0", "server-5.5.0", "server-4.9.7"],
    ) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let settings = [
        ("messageDelayLevel", "1s 1s 1s 1s 1s 1s"),
        ("transactionTimeOut", "500"),
        ("transactionCheckInterval", "500"),
    ];
    let cluster = Cluster::start(maker, &workspace, &settings);
    let namesrv = cluster.namesrv.address();
    // Apache's broker says that it has started before a nameserver knows it.
    let known = || peer::brokers(&peer::client(), &namesrv).is_ok_and(|names| names.len() == 2);
    await_true("both brokers are registered", known, String::new);
    topics(
        &namesrv,
        &[
            TopicConfig::new(TOPIC),
            TopicConfig::new(TRACES),
            TopicConfig::new("ns%sent"),
        ],
    );
    let mut java = Java::start(&namesrv, &workspace);
    java.0.await_output("ready", 0, PATIENCE);

    // Apache's broker may ask about what is settled, too: it notes ends some seconds later.
    let decide = |message: &ReceivedMessage| match message.message.body == "rolledback" {
        true => TransactionState::Rollback,
        false => TransactionState::Commit,
    };
    let producer = Producer::start_with_checker(options(&namesrv), decide).unwrap();
    let (mut wanted, first) = send_everything(&namesrv, &producer);
    wanted.extend(send_held(&namesrv));
    wanted.extend(transact(&producer));
    wanted.extend(ask(&producer));
    let mut inside = options(&namesrv);
    inside.client.namespace = "ns".to_owned();
    Producer::start(inside)
        .unwrap()
        .send(message("inside"))
        .unwrap();
    wanted.insert(format!("ns {TOPIC} red k1+inside inside"));
    consume_traced(&namesrv, "sync");
    let shown = || {
        format!(
            "{:?}",
            java.got().symmetric_difference(&wanted).collect::<Vec<_>>()
        )
    };
    await_true("everything arrives", || java.got() == wanted, shown);
    producer.close(PATIENCE).unwrap();
    java.traces(
        &first,
        &["Pub rmq_senders success", "Sub rmq_receivers success"],
    );
}

#[test]
fn all_ways_of_sending_on_rmq() {
    everything_arrives(Maker::under_test());
}

#[test]
fn all_ways_of_sending_on_apache() {
    everything_arrives(Maker::Apache);
}

#[test]
fn all_ways_of_sending_on_an_older_apache() {
    everything_arrives(Maker::ApacheOld);
}
