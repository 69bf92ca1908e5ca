//! Timed messages while their broker is killed and stopped: what was acknowledged is delivered, not
//! before its time, and once unless the broker was killed. And what is taken back is not.
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
use rmq_core::protocol::body::timer::TimerMetrics;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::recall::RecallHandle;
use rmq_core::protocol::message::record::{CheckLevel, RecordRef, Records};
use rmq_core::protocol::request::query::RecallMessageRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::store::timer::TimerCheckpoint;

const TOPIC: &str = "timed";
const WHEEL_TOPIC: &str = "rmq_sys_wheel_timer";
const QUEUES: i32 = 4;
const SENDERS: u64 = 4;
/// Length of a tick, so short that a test can wait for many.
const TICK_MS: i64 = 100;
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
                 mappedFileSizeConsumeQueue=2000\ntimerPrecisionMs={TICK_MS}\n\
                 timerRollWindowSlot=20\ntimerFlushIntervalMs=50\nmappedFileSizeTimerLog=4096\n\
                 recallMessageEnable=true\n{keys}\n"
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

    fn each(&self, topic: &str, queue_id: i32, mut visit: impl FnMut(&RecordRef<'_>)) {
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
                visit(&record);
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
            self.each(TOPIC, queue_id, |record| {
                let times: &mut Vec<i64> = found.entry(id_of(record.body())).or_default();
                times.push(record.store_timestamp_ms());
            });
        }
        found
    }

    /// When each message is due: of one that was sent twice, the first time.
    fn due(&self) -> HashMap<Id, i64> {
        let mut due = HashMap::new();
        self.each(WHEEL_TOPIC, 0, |record| {
            let out_ms = record.property("TIMER_OUT_MS").unwrap();
            let out_ms: i64 = std::str::from_utf8(out_ms).unwrap().parse().unwrap();
            let entry = due.entry(id_of(record.body())).or_insert(i64::MAX);
            *entry = (out_ms + TICK_MS).min(*entry);
        });
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

/// Sends one message to wait for a time; whether it was acknowledged, or `None` if that
/// is not known.
fn send(client: &Client, address: &str, id: Id, delay_ms: u64) -> Option<bool> {
    let queue_id = i32::try_from(id.1 % QUEUES.unsigned_abs() as u64).unwrap();
    let properties = format!("TIMER_DELAY_MS\u{1}{delay_ms}\u{2}TAGS\u{1}t\u{2}");
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
        // Some are put back on their way.
        let delay_ms = 150 + number * 7_919 % 3_800;
        loop {
            if ledger.stop.load(Ordering::Relaxed) {
                return;
            }
            match send(&client, address, id, delay_ms) {
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
    let mut broker = Broker::new("flushDiskType=SYNC_FLUSH");
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
        let file = std::fs::read(broker.home.join("store/config/timermetrics")).unwrap();
        let metrics = TimerMetrics::decode(&file).unwrap();
        assert_eq!(metrics.counts[TOPIC].count, 0);
    }
}

impl Broker {
    fn call(&self, request: Command) -> Command {
        let answer = self.client.call(&self.address, request, peer::ANSWER);
        answer.unwrap()
    }

    /// Sends a message of this unique id to wait; returns the answer.
    fn send_timed(&self, id: Id, delay_ms: i64, more: &str) -> Command {
        let (sender, number) = id;
        let properties = format!(
            "TIMER_DELAY_MS\u{1}{delay_ms}\u{2}UNIQ_KEY\u{1}ID{sender}_{number}\u{2}{more}"
        );
        let header = SendRequest {
            properties: Some(&properties),
            ..peer::message(TOPIC, 1)
        };
        let body = format!("{sender} {number}");
        let request = header.command(RequestCode::SEND_MESSAGE).with_body(body);
        self.call(request)
    }

    fn recall(&self, topic: &str, handle: &str) -> Command {
        let header = RecallMessageRequest {
            producer_group: Some("g".to_owned()),
            topic: topic.to_owned(),
            recall_handle: handle.to_owned(),
        };
        self.call(Command::request(RequestCode::RECALL_MESSAGE, &header))
    }

    fn metrics(&self) -> TimerMetrics {
        let answer = self.call(Command::bare_request(RequestCode::GET_TIMER_METRICS));
        TimerMetrics::decode(&answer.body).unwrap()
    }
}

#[test]
fn what_is_recalled_is_not_delivered() {
    let mut broker = Broker::new("timerMaxDelaySec=3600");
    let mut handles = Vec::new();
    for number in 0..10 {
        let answer = broker.send_timed((0, number), 4_000, "");
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
        assert_eq!(answer.ext.get("queueId"), Some("1"));
        handles.push(answer.ext.get("recallHandle").unwrap().to_owned());
    }
    eventually("all of them are counted", || {
        let count = broker
            .metrics()
            .counts
            .get(TOPIC)
            .map(|metric| metric.count);
        (count == Some(10)).then_some(())
    });
    for handle in &handles[..4] {
        let answer = broker.recall(TOPIC, handle);
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS, "{answer:?}");
        assert!(answer.ext.get("msgId").unwrap().starts_with("ID0_"));
    }
    let code = |answer: Command| answer.response_code();
    let illegal = ResponseCode::ILLEGAL_OPERATION;
    assert_eq!(code(broker.recall(TOPIC, "nonsense")), illegal);
    let other = RecallHandle::decode(&handles[5]).unwrap();
    for wrong in [
        RecallHandle {
            broker_name: "broker-b".to_owned(),
            ..other.clone()
        },
        RecallHandle {
            time: "1".to_owned(),
            ..other.clone()
        },
        RecallHandle {
            topic: "other".to_owned(),
            ..other
        },
    ] {
        assert_eq!(code(broker.recall(TOPIC, &wrong.encode())), illegal);
    }
    let missing = broker.recall("missing", &handles[5]);
    assert_eq!(code(missing), ResponseCode::TOPIC_NOT_EXIST);
    // Through a kill, too.
    broker.restart(Process::kill);
    let delivered = eventually("the others are delivered", || {
        let delivered = broker.delivered();
        (delivered.len() >= 6).then_some(delivered)
    });
    let mut numbers: Vec<u64> = delivered.keys().map(|id| id.1).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [4, 5, 6, 7, 8, 9]);
    let answer = broker.call(Command::bare_request(RequestCode::GET_TIMER_CHECK_POINT));
    let checkpoint = TimerCheckpoint::decode(&answer.body).unwrap();
    assert_eq!(answer.body.len(), 56);
    assert!(checkpoint.read_ms > 0 && checkpoint.queue_offset == checkpoint.master_queue_offset);
    assert_eq!(code(broker.recall(TOPIC, &handles[9])), illegal);
}

#[test]
fn what_may_not_wait_is_refused_and_what_is_due_is_not() {
    let mut broker = Broker::new("timerMaxDelaySec=10");
    let code = |answer: Command| answer.response_code();
    let illegal = ResponseCode::MESSAGE_ILLEGAL;
    assert_eq!(code(broker.send_timed((1, 0), 11_000, "")), illegal);
    assert_eq!(
        code(broker.send_timed((1, 1), 1, "TIMER_DELAY_SEC\u{1}x\u{2}")),
        illegal
    );
    assert_eq!(
        code(broker.send_timed((1, 2), -1, "TIMER_DEL_UNIQKEY\u{1}x\u{2}")),
        illegal
    );
    for (number, delay_ms) in [(3, 0), (4, -5_000)] {
        let answer = broker.send_timed((1, number), delay_ms, "");
        assert_eq!(answer.ext.get("recallHandle"), None);
        assert_eq!(code(answer), ResponseCode::SUCCESS);
    }
    assert_eq!(broker.delivered().len(), 2);
    assert!(!broker.home.join("store/timerwheel").exists());
    // A delay level goes before a time.
    let answer = broker.send_timed((1, 5), 999_000, "DELAY\u{1}1\u{2}");
    assert_eq!(code(answer), ResponseCode::SUCCESS);
    broker.process.stop();
    let path = broker.home.join("broker.conf");
    let conf = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        conf + "timerWheelEnable=false\nrecallMessageEnable=false\n",
    )
    .unwrap();
    broker.process = Broker::launch(&broker.home);
    broker.process.booted();
    assert_eq!(
        code(broker.send_timed((1, 6), 2_000, "")),
        ResponseCode::SYSTEM_ERROR
    );
    assert_eq!(code(broker.recall(TOPIC, "x")), ResponseCode::NO_PERMISSION);
    for request in [
        RequestCode::GET_TIMER_CHECK_POINT,
        RequestCode::GET_TIMER_METRICS,
    ] {
        let answer = broker.call(Command::bare_request(request));
        assert_eq!(code(answer), ResponseCode::SYSTEM_ERROR);
    }
}
