//! Groups of Java members and members of rmq's client, on the servers of each maker: who has which
//! queue, where a group goes on, what comes again, what is given up, what is kept in order.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::embed::{
    Admin, Allocation, ClientOptions, ConsumeStatus, ConsumerOptions, Message, MessageModel,
    MessageQueue, Producer, ProducerOptions, PushConsumer, ReceivedMessage, SendOptions, StartFrom,
    Subscription, SubscriptionGroupConfig, TopicConfig,
};
use rmq_core::protocol::body::request_mode::{GroupRequestMode, MessageRequestMode};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::properties::names as property;

use crate::apache::{
    Cluster, Deadline, Maker, Process, Workspace, client_with, exclusive, prepare,
};
use crate::peer;

const PATIENCE: Duration = Duration::from_secs(60);
const MAX_RECONSUME_TIMES: i32 = 2;

/// So that it is not seconds until a member that came or went is known of.
const JAVA_OPTIONS: [&str; 3] = [
    "-Drocketmq.client.rebalance.waitInterval=1000",
    "-Drocketmq.client.rebalance.lockInterval=1000",
    "-Drocketmq.client.rebalance.minInterval=500",
];

/// A message at a member.
#[derive(Clone, Debug)]
struct Got {
    body: String,
    /// How often it was consumed before.
    times: i32,
    at_ms: i64,
}

fn await_true(what: &str, mut is_so: impl FnMut() -> bool, shown: impl Fn() -> String) {
    let deadline = Deadline::after(PATIENCE);
    while !is_so() {
        assert!(!deadline.passed(), "{what}: {}", shown());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Java members, in one machine.
struct Java(Mutex<Process>);

impl Java {
    fn start(version: &str, namesrv: &str, workspace: &Workspace) -> Self {
        let dir = workspace.folder("members");
        let mut command = client_with(&JAVA_OPTIONS, version, "Members", &dir);
        command.args(["-n", namesrv]).stdin(Stdio::piped());
        let mut process = Process::spawn("members", &mut command, &dir);
        process.await_output("ready", 0, PATIENCE);
        Self(Mutex::new(process))
    }

    /// Says a line; what follows `answer` in the first new line that begins so.
    fn ask(&self, line: &str, answer: &str) -> String {
        let mut process = self.0.lock().unwrap();
        let from = process.log_text().len();
        process.say(line);
        process.await_output(answer, from, PATIENCE);
        loop {
            let text = process.log_text();
            let text = text[from..]
                .rsplit_once('\n')
                .map_or("", |(whole, _)| whole);
            let mut answers = text.lines().filter_map(|line| line.strip_prefix(answer));
            if let Some(rest) = answers.next() {
                return rest.to_owned();
            }
        }
    }

    /// The new member's client id.
    fn join(&self, name: &str, group: &str, topic: &str, mode: &str, strategy: &str) -> String {
        let line = format!("join {name} {group} {topic} {mode} {strategy}");
        self.ask(&line, &format!("joined {name} "))
    }

    fn leave(&self, name: &str) {
        self.ask(&format!("leave {name}"), &format!("left {name}"));
    }

    fn queues(&self, name: &str) -> BTreeSet<String> {
        let queues = self.ask(&format!("queues {name}"), &format!("queues {name} "));
        let names = queues.split(',').filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    fn got(&self, name: &str) -> Vec<Got> {
        let text = self.0.lock().unwrap().log_text();
        let mut all = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["got", who, body, times, at_ms, _queue] = words[..]
                && who == name
            {
                all.push(Got {
                    body: body.to_owned(),
                    times: times.parse().unwrap(),
                    at_ms: at_ms.parse().unwrap(),
                });
            }
        }
        all
    }
}

/// A member of rmq's client.
struct Own {
    consumer: PushConsumer,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Own {
    fn start(topic: &str, options: ConsumerOptions, in_order: bool) -> Self {
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let gets = Arc::clone(&got);
        let listener = move |messages: &[ReceivedMessage]| {
            let (message, times) = (&messages[0].message, messages[0].reconsume_times);
            let body = String::from_utf8_lossy(&message.body).into_owned();
            let again = body.starts_with("fail") || (body.starts_with("retry") && times == 0);
            let at_ms = SystemClock::new().wall_ms();
            gets.lock().unwrap().push(Got { body, times, at_ms });
            match again {
                true => ConsumeStatus::Later,
                false => ConsumeStatus::Success,
            }
        };
        let all = vec![Subscription::tags(topic, "*").unwrap()];
        let consumer = match in_order {
            true => PushConsumer::start_orderly(options, all, listener),
            false => PushConsumer::start(options, all, listener),
        };
        Self {
            consumer: consumer.unwrap(),
            got,
        }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    fn queues(&self, topic: &str) -> BTreeSet<String> {
        let queues = self.consumer.queues();
        names(queues.iter().filter(|queue| queue.topic == topic))
    }

    fn close(self) {
        self.consumer.close(PATIENCE).unwrap();
    }
}

fn names<'a>(queues: impl IntoIterator<Item = &'a MessageQueue>) -> BTreeSet<String> {
    let queues = queues.into_iter();
    queues
        .map(|queue| format!("{}:{}", queue.broker_name, queue.queue_id))
        .collect()
}

/// What the scenarios share.
struct Scene {
    namesrv: String,
    masters: Vec<String>,
    java: Java,
    producer: Producer,
}

impl Scene {
    fn start(maker: Maker, version: &str, workspace: &Workspace) -> (Cluster, Self) {
        let delays = [("messageDelayLevel", "1s 1s 1s 1s 1s 1s")];
        let cluster = Cluster::start(maker, workspace, &delays);
        let namesrv = cluster.namesrv.address();
        // Apache's broker says that it has started before a nameserver knows it.
        let known = || peer::brokers(&peer::client(), &namesrv).is_ok_and(|names| names.len() == 2);
        await_true("both brokers are registered", known, String::new);
        let options = ProducerOptions {
            send_timeout_ms: 10_000,
            ..ProducerOptions::new("rmq_senders", &namesrv)
        };
        let scene = Self {
            masters: cluster
                .brokers
                .iter()
                .map(|broker| broker.address())
                .collect(),
            java: Java::start(version, &namesrv, workspace),
            producer: Producer::start(options).unwrap(),
            namesrv,
        };
        let admin = Admin::start(ClientOptions::new(&scene.namesrv)).unwrap();
        for topic in [
            "strategy",
            "offsets",
            "retries",
            "ordered",
            "broadcast",
            "pop",
            "operators",
        ] {
            let config = TopicConfig {
                topic_name: topic.to_owned(),
                read_queue_nums: 4,
                write_queue_nums: 4,
                ..TopicConfig::default()
            };
            // Apache's broker answers before the nameserver knows.
            admin.create_topic(&config).unwrap();
            let queues = || {
                scene
                    .producer
                    .queues(topic)
                    .map_or(0, |queues| queues.len())
            };
            await_true(
                "a topic",
                || queues() == 8,
                || format!("{topic}: {}", queues()),
            );
        }
        (cluster, scene)
    }

    fn options(&self, group: &str) -> ConsumerOptions {
        ConsumerOptions {
            start_from: StartFrom::First,
            commit_interval_ms: 500,
            rebalance_interval_ms: 1_000,
            max_reconsume_times: Some(MAX_RECONSUME_TIMES),
            suspend_queue_ms: 100,
            client: ClientOptions {
                route_poll_interval_ms: 1_000,
                ..ClientOptions::new(&self.namesrv)
            },
            ..ConsumerOptions::new(group, &self.namesrv)
        }
    }

    fn send(&self, topic: &str, prefix: &str, count: usize) {
        for i in 0..count {
            let message = Message::new(topic, format!("{prefix}{i:03}"));
            self.producer.send(message).unwrap();
        }
    }

    /// Each strategy that both have, in a group of its own.
    fn strategies(&self) {
        let mut all = self.producer.queues("strategy").unwrap();
        all.sort();
        for strategy in [
            Allocation::Average,
            Allocation::Circle,
            Allocation::ConsistentHash { virtual_nodes: 10 },
        ] {
            let name = strategy.name();
            let group = format!("g_{name}");
            let java_id = self
                .java
                .join(&name, &group, "strategy", "concurrent", &name);
            let options = ConsumerOptions {
                allocation: strategy.clone(),
                ..self.options(&group)
            };
            let own = Own::start("strategy", options, false);
            let own_id = own.consumer.client_id().to_owned();
            let mut members = vec![java_id.clone(), own_id.clone()];
            members.sort();
            let share = |id: &str| names(&strategy.allocate(id, &all, &members).unwrap());
            let shares = || (self.java.queues(&name), own.queues("strategy"));
            await_true(
                &name,
                || shares() == (share(&java_id), share(&own_id)),
                || format!("{:?} of {members:?}", shares()),
            );
            own.close();
            let all = names(&all);
            await_true(
                "Java alone",
                || self.java.queues(&name) == all,
                || format!("{:?}", self.java.queues(&name)),
            );
            self.java.leave(&name);
        }
    }

    /// Each goes on where the other has left, with nothing twice.
    fn offsets(&self) {
        let group = "g_offsets";
        self.send("offsets", "first", 24);
        let own = Own::start("offsets", self.options(group), false);
        await_bodies("rmq alone", 24, || own.got());
        own.close();
        self.send("offsets", "second", 24);
        self.java.join("one", group, "offsets", "concurrent", "AVG");
        await_bodies("Java goes on", 24, || self.java.got("one"));
        self.java.leave("one");
        self.send("offsets", "third", 24);
        let own = Own::start("offsets", self.options(group), false);
        await_bodies("rmq goes on", 24, || own.got());
        own.close();
        self.java.join("two", group, "offsets", "concurrent", "AVG");
        self.send("offsets", "fourth", 24);
        await_bodies("Java goes on again", 24, || self.java.got("two"));
        self.java.leave("two");
        for (name, prefix) in [("one", "second"), ("two", "fourth")] {
            let got = self.java.got(name);
            assert!(
                got.iter().all(|got| got.body.starts_with(prefix)),
                "{got:?}"
            );
        }
    }

    /// The tries of a message count at both, and it is given up after as many.
    fn retries(&self) {
        let group = "g_retries";
        self.java
            .join("again", group, "retries", "concurrent", "AVG");
        let own = Own::start("retries", self.options(group), false);
        await_true(
            "both have queues",
            || own.queues("retries").len() == 4 && self.java.queues("again").len() == 4,
            || format!("{:?}", own.queues("retries")),
        );
        self.send("retries", "fail", 16);
        self.send("retries", "retry", 16);
        let both = || by_body([own.got(), self.java.got("again")].concat());
        let is_done = || {
            let both = both();
            let tries = |prefix: &str| {
                let with = both.iter().filter(|(body, _)| body.starts_with(prefix));
                with.map(|(_, times)| times.len()).collect::<Vec<_>>()
            };
            tries("fail") == [3; 16] && tries("retry") == [2; 16]
        };
        await_true("all tries", is_done, || format!("{:?}", both()));
        for message in self.dead_letters("%DLQ%g_retries", 16) {
            let text = |name| message.message.property(name);
            assert_eq!(text(property::RETRY_TOPIC), Some("retries"), "{message:?}");
            assert!(text(property::ORIGIN_MESSAGE_ID).is_some(), "{message:?}");
            assert_eq!(message.reconsume_times, 3, "{message:?}");
        }
        for (body, times) in both() {
            let expected: &[i32] = match body.starts_with("fail") {
                true => &[0, 1, 2],
                false => &[0, 1],
            };
            assert_eq!(times, expected, "{body}");
        }
        for (who, got) in [("rmq", own.got()), ("Java", self.java.got("again"))] {
            assert!(got.iter().any(|got| got.times > 0), "no retries at {who}");
        }
        own.close();
        self.java.leave("again");
    }

    fn dead_letters(&self, topic: &str, count: usize) -> Vec<ReceivedMessage> {
        let dead: Arc<Mutex<Vec<ReceivedMessage>>> = Arc::default();
        let gets = Arc::clone(&dead);
        let all = vec![Subscription::tags(topic, "*").unwrap()];
        let options = self.options("g_letters");
        let consumer = PushConsumer::start(options, all, move |messages| {
            gets.lock().unwrap().extend(messages.iter().cloned());
            ConsumeStatus::Success
        });
        let consumer = consumer.unwrap();
        let shown = || format!("{:?}", dead.lock().unwrap());
        await_true(
            "dead letters",
            || dead.lock().unwrap().len() == count,
            shown,
        );
        consumer.close(PATIENCE).unwrap();
        let dead = dead.lock().unwrap();
        dead.clone()
    }

    /// One works on a queue at a time, in order, whoever has it.
    fn ordered(&self) {
        let group = "g_ordered";
        let send = |from: usize| {
            for number in from..from + 5 {
                for key in 0..16 {
                    let message = Message::new("ordered", format!("{key:02}-{number:03}"));
                    let options = SendOptions::by_key(key.to_string());
                    self.producer.send_with(message, options).unwrap();
                }
            }
        };
        self.java
            .join("ordered", group, "ordered", "orderly", "AVG");
        send(0);
        let own = Own::start("ordered", self.options(group), true);
        await_true(
            "rmq has queues of its own",
            || own.queues("ordered").len() == 4,
            || format!("{:?}", own.queues("ordered")),
        );
        send(5);
        let both = || [own.got(), self.java.got("ordered")].concat();
        let count = || {
            both()
                .into_iter()
                .map(|got| got.body)
                .collect::<BTreeSet<_>>()
                .len()
        };
        await_true("all in order", || count() == 160, || format!("{}", count()));
        self.java.leave("ordered");
        await_true(
            "rmq has all queues",
            || own.queues("ordered").len() == 8,
            || format!("{:?}", own.queues("ordered")),
        );
        send(10);
        await_true("all in order", || count() == 240, || format!("{}", count()));
        let mut all = both();
        all.sort_by(|a, b| (a.at_ms, &a.body).cmp(&(b.at_ms, &b.body)));
        let mut next: BTreeMap<String, usize> = BTreeMap::new();
        for got in &all {
            let (key, number) = got.body.split_once('-').unwrap();
            let (next, number) = (
                next.entry(key.to_owned()).or_default(),
                number.parse().unwrap(),
            );
            // What was worked on when a queue changed hands may come twice.
            assert!(*next >= number, "{key}: {number} before {next}");
            *next = (*next).max(number + 1);
        }
        for (who, got) in [("rmq", own.got()), ("Java", self.java.got("ordered"))] {
            assert!(got.len() >= 40, "{who} had {}", got.len());
        }
        own.close();
    }

    fn broadcast(&self) {
        let group = "g_broadcast";
        self.send("broadcast", "before", 8);
        self.java
            .join("broadcast", group, "broadcast", "broadcast", "AVG");
        let options = ConsumerOptions {
            message_model: MessageModel::Broadcasting,
            ..self.options(group)
        };
        let own = Own::start("broadcast", options, false);
        await_true(
            "both have all queues",
            || self.java.queues("broadcast").len() == 8 && own.queues("broadcast").len() == 8,
            || format!("{:?}", own.queues("broadcast")),
        );
        self.send("broadcast", "after", 16);
        await_bodies("all at rmq", 24, || own.got());
        await_bodies("all at Java", 24, || self.java.got("broadcast"));
        own.close();
        self.java.leave("broadcast");
    }

    /// Operators ask rmq's consumer with Apache's tools, by way of the broker.
    fn operators(&self) {
        let group = "g_operators";
        let mut id = String::new();
        for i in 0..8 {
            let sent = self
                .producer
                .send(Message::new("operators", format!("m{i}")));
            id = sent.unwrap().offset_msg_id;
        }
        let own = Own::start("operators", self.options(group), false);
        await_bodies("what was sent", 8, || own.got());
        let client = own.consumer.client_id();
        let ask = |what: &str| {
            let line = format!("admin {what} {group} operators {client} {id}");
            self.java.ask(&line, &format!("admin {what} "))
        };
        await_true("offsets", || ask("status") == "8 8", || ask("status"));
        assert_eq!(ask("running"), "8 true true false");
        assert_eq!(ask("direct"), "CR_SUCCESS");
        assert_eq!(own.got().len(), 9);
        assert_eq!(ask("reset"), "8");
        let shown = || format!("{:?}", own.got());
        // Apache's broker may reset a queue both by itself and by way of the consumer.
        let again = || by_body(own.got()).values().all(|times| times.len() >= 2);
        await_true("everything again", again, shown);
        own.close();
    }

    /// Both pop of the same queues; what failed at one comes again at any.
    fn pop(&self) {
        let group = "g_pop";
        let admin = Admin::start(ClientOptions::new(&self.namesrv)).unwrap();
        let config = SubscriptionGroupConfig {
            group_name: group.to_owned(),
            ..SubscriptionGroupConfig::default()
        };
        admin.create_group(&config).unwrap();
        let mode = GroupRequestMode {
            consumer_group: group.to_owned(),
            mode: MessageRequestMode::Pop,
            pop_share_queue_num: 0,
            topic: "pop".to_owned(),
        };
        let client = peer::client();
        for master in &self.masters {
            let request = Command::bare_request(RequestCode::SET_MESSAGE_REQUEST_MODE);
            let answer = client.call(master, request.with_body(mode.encode()), peer::ANSWER);
            assert_eq!(answer.unwrap().response_code(), ResponseCode::SUCCESS);
        }
        self.java.join("pop", group, "pop", "pop", "AVG");
        let options = ConsumerOptions {
            broker_rebalance: true,
            pop_batch_max: 1,
            pop_invisible_ms: 30_000,
            pop_retry_delays_ms: vec![1_000],
            ..self.options(group)
        };
        let own = Own::start("pop", options, false);
        let deadline = Deadline::after(PATIENCE);
        let mut sent = 0;
        while own.got().len() < 5 || self.java.got("pop").len() < 5 {
            let counts = (own.got().len(), self.java.got("pop").len());
            assert!(!deadline.passed(), "shares of {sent}: {counts:?}");
            self.send("pop", &format!("m{sent:03}-"), 4);
            sent += 4;
            std::thread::sleep(Duration::from_millis(100));
        }
        self.send("pop", "retry", 8);
        let both = || by_body([own.got(), self.java.got("pop")].concat());
        let is_done = || {
            let both = both();
            let retried = both
                .iter()
                .filter(|(body, times)| body.starts_with("retry") && **times == [0, 1]);
            both.len() == sent + 8 && retried.count() == 8
        };
        await_true("all, and failed ones again", is_done, || {
            format!("{sent}: {:?}", both())
        });
        for (body, times) in both() {
            assert!(
                body.starts_with("retry") || times == [0],
                "{body}: {times:?}"
            );
        }
        assert!(!own.consumer.popped_queues().is_empty() && own.queues("pop").is_empty());
        own.close();
        self.java.leave("pop");
    }
}

fn by_body(got: Vec<Got>) -> BTreeMap<String, Vec<i32>> {
    let mut all: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for got in got {
        all.entry(got.body).or_default().push(got.times);
    }
    for times in all.values_mut() {
        times.sort_unstable();
    }
    all
}

/// Waits for so many different bodies, each of which comes once.
fn await_bodies(what: &str, count: usize, got: impl Fn() -> Vec<Got>) {
    let shown = || format!("{:?}", by_body(got()));
    await_true(what, || by_body(got()).len() >= count, shown);
    let all = by_body(got());
    assert!(
        all.len() == count && all.values().all(|times| *times == [0]),
        "{what}: {all:?}"
    );
}

fn groups_of_both(maker: Maker, version: &str, pops: bool) {
    let server = match maker {
        Maker::ApacheOld => "server-4.9.7",
        _ => "server-5.5.0",
    };
    if !prepare(&["java", "mvn"], &[&format!("client-{version}"), server]) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let (_cluster, scene) = Scene::start(maker, version, &workspace);
    let mut scenarios: Vec<fn(&Scene)> = vec![
        Scene::strategies,
        Scene::offsets,
        Scene::retries,
        Scene::ordered,
        Scene::broadcast,
        Scene::operators,
    ];
    if pops {
        scenarios.push(Scene::pop);
    }
    std::thread::scope(|scope| {
        for scenario in scenarios {
            let scene = &scene;
            scope.spawn(move || scenario(scene));
        }
    });
}

#[test]
fn groups_of_java_and_rmq_members_on_rmq() {
    groups_of_both(Maker::under_test(), "5.5.0", true);
}

#[test]
fn groups_of_java_and_rmq_members_on_apache() {
    groups_of_both(Maker::Apache, "5.5.0", true);
}

#[test]
fn groups_of_java_and_rmq_members_on_apache_4() {
    groups_of_both(Maker::ApacheOld, "4.9.8", false);
}
