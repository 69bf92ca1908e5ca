//! Delayed messages while their broker is killed and stopped: what was acknowledged is delivered,
//! not before its time, and once unless the broker was killed.
//!
//! `RMQ_KILLS` is the number of kills (4), `RMQ_SEED` makes a run fall as another one did.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use peer::Dice;
use process::{Home, Process, eventually, free_port};
use rmq_core::base::ErrorKind;
use rmq_core::client::raw::{self, SendStatus};
use rmq_core::net::Client;
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::message::record::{CheckLevel, Records};
use rmq_core::protocol::request::send::SendRequest;

const TOPIC: &str = "delayed";
const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
const QUEUES: i32 = 4;
const SENDERS: u64 = 4;
const DELAYS_MS: [i64; 3] = [1_000, 2_000, 3_000];
const LEVELS: &str = "1s 2s 3s";
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

struct Broker {
    home: Home,
    address: String,
    process: Process,
    client: Client,
}

impl Broker {
    fn new(keys: &str) -> Self {
        let home = Home::new();
        let port = free_port();
        // Small files, so that kills fall on their ends too.
        home.write(
            "broker.conf",
            &format!(
                "brokerName=broker-a\nbrokerIP1=127.0.0.1\nbindAddress=127.0.0.1\n\
                 listenPort={port}\nmappedFileSizeCommitLog=256k\n\
                 mappedFileSizeConsumeQueue=2000\nmessageDelayLevel={LEVELS}\n{keys}\n"
            ),
        );
        let process = Self::launch(&home);
        let mut broker = Self {
            home,
            address: format!("127.0.0.1:{port}"),
            process,
            client: peer::client(),
        };
        broker.process.booted();
        raw::create_topic(&broker.client, &broker.address, TOPIC, QUEUES, peer::ANSWER).unwrap();
        broker
    }

    fn launch(home: &Home) -> Process {
        home.broker().config(&home.join("broker.conf")).spawn()
    }

    fn restart(&mut self, end: fn(&mut Process)) {
        end(&mut self.process);
        self.process = Self::launch(&self.home);
        self.process.booted();
    }

    /// Where each message lies in a queue, and when it was stored there.
    fn stored(&self, topic: &str, queue_id: i32, into: &mut HashMap<Id, Vec<i64>>) {
        let (client, address) = (&self.client, &*self.address);
        let end = raw::max_offset(client, address, topic, queue_id, peer::ANSWER).unwrap();
        let mut at = 0;
        while at < end {
            let pull = peer::pull_from(topic, queue_id, at);
            let reply = raw::pull(client, address, &pull, peer::ANSWER).unwrap();
            for record in Records::new(&reply.records, CheckLevel::BodyCrc) {
                let record = record.unwrap();
                assert_eq!(record.queue_offset(), at);
                at += 1;
                let id = id_of(record.body());
                into.entry(id)
                    .or_default()
                    .push(record.store_timestamp_ms());
            }
            assert!(
                reply.code == ResponseCode::SUCCESS
                    || reply.code == ResponseCode::PULL_RETRY_IMMEDIATELY,
                "{reply:?}"
            );
        }
    }

    fn delivered(&self) -> HashMap<Id, Vec<i64>> {
        let mut found = HashMap::new();
        for queue_id in 0..QUEUES {
            self.stored(TOPIC, queue_id, &mut found);
        }
        found
    }

    /// When each message is due: of one that was sent twice, the first time.
    fn due(&self) -> HashMap<Id, i64> {
        let mut due = HashMap::new();
        for (queue_id, delay_ms) in (0..).zip(DELAYS_MS) {
            let mut waiting = HashMap::new();
            self.stored(SCHEDULE_TOPIC, queue_id, &mut waiting);
            for (id, times) in waiting {
                let first = times.into_iter().min().unwrap() + delay_ms;
                let entry = due.entry(id).or_insert(first);
                *entry = first.min(*entry);
            }
        }
        due
    }
}

/// A message: its sender and its number.
type Id = (u64, u64);

fn id_of(body: &[u8]) -> Id {
    let text = std::str::from_utf8(body).unwrap();
    let mut words = text.split(' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    (number(), number())
}

#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<Id>>,
    /// Messages that were sent more than once, since nobody answered the first time.
    retried: Mutex<HashSet<Id>>,
    stop: AtomicBool,
    count: AtomicU64,
}

/// Stops the senders also when an assertion fails, so that they can be joined.
struct StopAtEnd<'a>(&'a Ledger);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends one message to wait in a level (from 1); whether it was acknowledged, or `None` if that
/// is not known.
fn send(client: &Client, address: &str, id: Id, level: usize) -> Option<bool> {
    let queue_id = i32::try_from(id.1 % QUEUES.unsigned_abs() as u64).unwrap();
    let properties = format!("DELAY\u{1}{level}\u{2}TAGS\u{1}t\u{2}");
    let header = SendRequest {
        properties: Some(&properties),
        ..peer::message(TOPIC, queue_id)
    };
    let padding = "p".repeat(usize::try_from(id.1 * 7_919 % 700).unwrap());
    let body = format!("{} {} {padding}", id.0, id.1);
    match raw::send(client, address, &header, body.into(), SEND_TIMEOUT) {
        Ok(receipt) if receipt.status == SendStatus::Ok => {
            assert_eq!(receipt.queue_id, queue_id);
            Some(true)
        }
        Ok(_) => None,
        Err(error) if matches!(error.kind(), ErrorKind::Remote(_)) => Some(false),
        Err(_) => None,
    }
}

/// Sends numbered messages one after the other, each until it is acknowledged.
fn sender(ledger: &Ledger, address: &str, sender: u64, from: u64) {
    let client = peer::client();
    for number in from.. {
        let id = (sender, number);
        let level = usize::try_from((sender + number) % 3).unwrap() + 1;
        loop {
            if ledger.stop.load(Ordering::Relaxed) {
                return;
            }
            match send(&client, address, id, level) {
                Some(true) => break,
                Some(false) => {}
                None => {
                    ledger.retried.lock().unwrap().insert(id);
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        ledger.acknowledged.lock().unwrap().push(id);
        ledger.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lets senders send while `work` is done.
fn under_load(address: &str, ledger: &Ledger, work: impl FnOnce()) {
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(ledger);
        for number in 0..SENDERS {
            scope.spawn(move || sender(ledger, address, number, 0));
        }
        work();
    });
}

/// Everything acknowledged is delivered, and nothing too early; returns how late at most.
fn check(broker: &Broker, ledger: &Ledger) -> HashMap<Id, Vec<i64>> {
    let acknowledged = ledger.acknowledged.lock().unwrap().clone();
    let delivered = eventually("everything acknowledged is delivered", || {
        let delivered = broker.delivered();
        let all = acknowledged.iter().all(|id| delivered.contains_key(id));
        all.then_some(delivered)
    });
    let due = broker.due();
    let mut lateness_ms = BTreeMap::<i64, u64>::new();
    for (id, times) in &delivered {
        for time_ms in times {
            let late_ms = time_ms - due[id];
            assert!(late_ms >= 0, "{id:?} came {} ms early", -late_ms);
        }
        let first_ms = times.iter().min().unwrap() - due[id];
        *lateness_ms.entry(first_ms / 100 * 100).or_default() += 1;
    }
    println!(
        "{} acknowledged, 0 lost, 0 early; by how late (ms): {lateness_ms:?}",
        acknowledged.len()
    );
    delivered
}

fn kills() -> u64 {
    std::env::var("RMQ_KILLS").map_or(4, |text| text.parse().expect("RMQ_KILLS is a number"))
}

#[test]
fn a_killed_broker_delivers_what_it_acknowledged() {
    let mut dice = Dice::new(Dice::seed());
    // Offsets are written often, so that kills fall between delivery and note, too.
    let mut broker = Broker::new("flushDiskType=SYNC_FLUSH\nflushDelayOffsetInterval=50");
    let ledger = Ledger::default();
    let address = broker.address.clone();
    under_load(&address, &ledger, || {
        for _ in 0..kills() {
            std::thread::sleep(Duration::from_millis(1_000 + dice.below(1_500)));
            broker.restart(Process::kill);
        }
        std::thread::sleep(Duration::from_millis(300));
    });
    // Once more while nearly everything waits.
    broker.restart(Process::kill);
    let delivered = check(&broker, &ledger);
    let doubles = delivered.values().filter(|times| times.len() > 1).count();
    println!("{doubles} of {} were delivered twice", delivered.len());
    assert!(delivered.len() > 100, "hardly anything was sent");
}

#[test]
fn a_stopped_broker_delivers_everything_once() {
    for flush in ["ASYNC_FLUSH", "SYNC_FLUSH"] {
        let mut broker = Broker::new(&format!("flushDiskType={flush}"));
        let ledger = Ledger::default();
        let address = broker.address.clone();
        under_load(&address, &ledger, || {
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(1_300));
                broker.restart(Process::stop);
            }
        });
        broker.restart(Process::stop);
        let delivered = check(&broker, &ledger);
        // A stop of a broker that has nothing to deliver any more changes nothing either.
        broker.restart(Process::stop);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(broker.delivered(), delivered);
        let retried = ledger.retried.lock().unwrap();
        for (id, times) in &delivered {
            let twice = times.len() > 1 && !retried.contains(id);
            assert!(!twice, "{id:?} was delivered at {times:?}");
        }
        let file = std::fs::read_to_string(broker.home.join("store/config/delayOffset.json"));
        assert!(file.unwrap().contains("\"offsetTable\":{"));
    }
}
