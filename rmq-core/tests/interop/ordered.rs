//! Ordered consumers as processes: one is killed, the broker is killed, one is stopped, and each
//! queue is still consumed by one at a time, in order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw;

use crate::apache::{
    Broker, Deadline, Maker, Namesrv, Process, Workspace, client_with, exclusive, prepare,
};
use crate::peer::{self, StopAtEnd};

const TOPIC: &str = "ordered";
const QUEUES: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(40);
/// How long the broker keeps a lock that nobody renews.
const LOCK_MS: i64 = 5_000;

/// What the clients are told of locks, so that it is not a minute until one is free.
const LOCK_OPTIONS: [&str; 3] = [
    "-Drocketmq.client.rebalance.lockInterval=1000",
    "-Drocketmq.client.rebalance.lockMaxLiveTime=4000",
    "-Drocketmq.client.rebalance.waitInterval=1000",
];

/// A message that was worked on.
#[derive(Clone, Copy, Debug)]
struct Work {
    queue: i32,
    number: u64,
    begin_ms: i64,
    /// `None` when it was cut short.
    end_ms: Option<i64>,
}

struct Consumer {
    name: &'static str,
    process: Process,
    killed_ms: Option<i64>,
}

impl Consumer {
    fn start(name: &'static str, version: &str, namesrv: &str, dir: &Path) -> Self {
        let mut command = client_with(&LOCK_OPTIONS, version, "OrderedConsumer", dir);
        command.args(["-n", namesrv, "--topic", TOPIC, "--group", "ordered_group"]);
        let mut process = Process::spawn(name, &mut command, dir);
        process.await_output("ready", 0, PATIENCE);
        Self {
            name,
            process,
            killed_ms: None,
        }
    }

    fn kill(&mut self) {
        self.process.kill();
        self.killed_ms = Some(SystemClock::new().wall_ms());
    }

    /// What it did so far, in order.
    fn works(&self) -> Vec<Work> {
        let mut works: Vec<Work> = Vec::new();
        let text = self.process.log_text();
        // The last line of one that was killed may be cut.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let mut words = line.split(' ');
            let what = words.next();
            let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
            let &[queue, number, at_ms] = &numbers[..] else {
                continue;
            };
            let queue = i32::try_from(queue).unwrap();
            match what {
                Some("begin") => works.push(Work {
                    queue,
                    number: number.unsigned_abs(),
                    begin_ms: at_ms,
                    end_ms: None,
                }),
                Some("end") => {
                    let begun = works.iter_mut().rfind(|work| work.queue == queue);
                    begun.unwrap().end_ms = Some(at_ms);
                }
                _ => {}
            }
        }
        works
    }

    /// Waits until it works on every queue, on messages sent from now on.
    fn await_all_queues(&self, sent: &Mutex<Vec<u64>>) {
        let goal = sent.lock().unwrap().clone();
        let deadline = Deadline::after(PATIENCE);
        loop {
            let works = self.works();
            let has = |queue: i32| {
                let goal = goal[usize::try_from(queue).unwrap()];
                let last = works.iter().rfind(|work| work.queue == queue);
                last.is_some_and(|work| work.number >= goal)
            };
            if (0..QUEUES).all(has) {
                return;
            }
            let last: Vec<_> = (0..QUEUES)
                .map(|queue| works.iter().rfind(|work| work.queue == queue))
                .collect();
            assert!(!deadline.passed(), "{} stops at {last:?}", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn await_work(&self) {
        let deadline = Deadline::after(PATIENCE);
        while self.works().is_empty() {
            assert!(!deadline.passed(), "{} is given nothing", self.name);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Sends numbers to each queue, one after the other, each until it is acknowledged.
fn send(address: &str, stop: &AtomicBool, sent: &Mutex<Vec<u64>>) {
    let client = peer::client();
    for number in 0.. {
        for queue in 0..QUEUES {
            while peer::send(&client, address, (TOPIC, queue), number.to_string()).is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
            sent.lock().unwrap()[usize::try_from(queue).unwrap()] = number;
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_millis(8));
    }
}

/// Holds what all consumers did against what a queue promises; returns how often one was handed
/// over.
fn check(consumers: &[&Consumer], sent: &[u64]) -> usize {
    let mut queues: BTreeMap<i32, Vec<(usize, Work)>> = BTreeMap::new();
    for (who, consumer) in consumers.iter().enumerate() {
        for mut work in consumer.works() {
            work.end_ms = work.end_ms.or(consumer.killed_ms);
            queues.entry(work.queue).or_default().push((who, work));
        }
    }
    assert_eq!(queues.len(), sent.len());
    let mut hand_overs = 0;
    for (queue, mut works) in queues {
        // Stable: what one consumer did within a millisecond stays in its order.
        works.sort_by_key(|(_, work)| work.begin_ms);
        let mut highest = 0;
        assert_eq!(works[0].1.number, 0, "queue {queue} begins late");
        for pair in works.windows(2) {
            let [(who_before, before), (who, work)] = pair else {
                continue;
            };
            let name = consumers[*who].name;
            let ended = before.end_ms.unwrap();
            assert!(
                work.begin_ms >= ended,
                "queue {queue}: {name} begins {work:?} while {} is at {before:?}",
                consumers[*who_before].name
            );
            let next = highest + 1;
            assert!(
                work.number <= next,
                "queue {queue}: {name} skips to {work:?} from {highest}"
            );
            if who == who_before {
                // A message whose answer was lost was sent, and stored, twice.
                let follows = [before.number, before.number + 1].contains(&work.number);
                assert!(
                    follows,
                    "queue {queue}: {name} goes from {before:?} to {work:?}"
                );
            } else {
                hand_overs += 1;
            }
            highest = highest.max(work.number);
        }
        assert_eq!(highest, sent[usize::try_from(queue).unwrap()]);
    }
    hand_overs
}

#[test]
fn order_outlives_the_death_of_consumers_and_of_the_broker() {
    if !prepare(
        &["java", "mvn"],
        &["client-4.9.8", "client-5.5.0", "server-5.5.0"],
    ) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let namesrv = Namesrv::started(Maker::Rmq, &workspace.folder("namesrv"));
    let settings = [
        ("rmq.queueLockExpiredTime", &*LOCK_MS.to_string()),
        ("flushDiskType", "SYNC_FLUSH"),
    ]
    .map(|(key, value)| (key, value.to_owned()));
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, &**v)).collect();
    let dir = workspace.folder("broker-a");
    let mut broker = Broker::new(Maker::Rmq, "broker-a", &dir, &namesrv.address(), &settings);
    broker.start();
    let address = broker.address();
    raw::create_topic(&peer::client(), &address, TOPIC, QUEUES, peer::ANSWER).unwrap();
    let start = |name: &'static str, version: &str| {
        Consumer::start(name, version, &namesrv.address(), &workspace.folder(name))
    };
    let sent = Mutex::new(vec![0; usize::try_from(QUEUES).unwrap()]);
    let stop = AtomicBool::new(false);
    let consumers = std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        scope.spawn(|| send(&address, &stop, &sent));
        let mut first = start("first", "5.5.0");
        first.await_all_queues(&sent);
        let mut second = start("second", "4.9.8");
        second.await_work();
        first.await_work();
        first.kill();
        let killed_ms = SystemClock::new().wall_ms();
        second.await_all_queues(&sent);
        let waited_ms = SystemClock::new().wall_ms() - killed_ms;
        println!("the queues of a killed consumer were taken over after {waited_ms} ms");
        assert!(
            waited_ms > LOCK_MS - 2_000,
            "a lock did not outlive its owner"
        );
        broker.kill();
        std::thread::sleep(Duration::from_millis(300));
        broker.start();
        second.await_all_queues(&sent);
        let third = start("third", "5.5.0");
        third.await_work();
        second.process.stop();
        third.await_all_queues(&sent);
        stop.store(true, Ordering::Relaxed);
        [first, second, third]
    });
    let sent = sent.into_inner().unwrap();
    consumers[2].await_all_queues(&Mutex::new(sent.clone()));
    let [first, second, third] = &consumers;
    let hand_overs = check(&[first, second, third], &sent);
    println!("{sent:?} sent, {hand_overs} times a queue was handed over");
    assert!(hand_overs >= 6, "hardly anything was handed over");
}
