//! A broker process that is killed again and again while every kind of message is on its way:
//! delayed, sent back, half and committed, ordered with its queue locked. What was acknowledged
//! comes, not before its time and not what was rolled back, and order holds.
//!
//! `RMQ_KILLS` is the number of kills of each broker (4), `RMQ_SEED` makes a run fall as another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use peer::{Dice, StopAtEnd};
use process::eventually;
use rmq_core::base::ErrorKind;
use rmq_core::client::raw::{self, SendReceipt};
use rmq_core::net::Client;
use rmq_core::protocol::body::heartbeat::{HeartbeatData, ProducerData};
use rmq_core::protocol::body::lock::{LockRequest, LockResponse};
use rmq_core::protocol::body::message_queue::MessageQueue;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::id::OffsetMsgId;
use rmq_core::protocol::message::record::{CheckLevel, Checked, RecordRef, Records};
use rmq_core::protocol::request::push::CheckTransactionStateRequest;
use rmq_core::protocol::request::query::SendMessageBackRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::protocol::request::transaction::{
    EndTransactionRequest, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK,
};
use server::{End, Server, now_ms};

const DELAYED: &str = "delayed";
const RETRIED: &str = "retried";
const BANK: &str = "bank";
const ORDERED: &str = "ordered";
const GROUP: &str = "group";
/// Delays by level, ms.
const DELAYS_MS: [i64; 2] = [1_000, 2_000];
/// How long a lock of a queue lives.
const LOCK_MS: u64 = 800;
/// How long a client waits for one answer of a broker that may be dead.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause between the messages of one kind.
const PAUSE: Duration = Duration::from_millis(3);

/// A broker with the topics.
fn start(flush: &str) -> Server {
    let server = Server::new(&format!(
        "flushDiskType={flush}\nmessageDelayLevel=1s 2s\nflushDelayOffsetInterval=100\n\
         flushConsumerOffsetInterval=100\ntransactionTimeOut=300\n\
         transactionCheckInterval=300\ntransactionCheckMax=1000\n\
         rmq.queueLockExpiredTime={LOCK_MS}\n"
    ));
    for topic in [DELAYED, RETRIED, BANK, ORDERED] {
        server.create_topic(topic, 1);
    }
    server
}

/// One message of a queue.
struct Found {
    body: String,
    stored_ms: i64,
}

/// Everything in queue 0 of a topic; nothing when the topic does not exist yet.
fn read(client: &Client, address: &str, topic: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let read = peer::visit_queue(client, address, topic, 0, |record| {
        found.push(Found {
            body: String::from_utf8(record.body().to_vec()).unwrap(),
            stored_ms: record.store_timestamp_ms(),
        });
    });
    match read {
        Err(error) if !matches!(error.kind(), ErrorKind::Remote(_)) => panic!("{error}"),
        _ => found,
    }
}

/// What all kinds share: the broker's address, and when to stop.
struct Run {
    address: String,
    stop: AtomicBool,
}

impl Run {
    /// Calls `step` with numbers from 0 on until the run is to stop.
    fn each(&self, mut step: impl FnMut(&Client, u64)) {
        let client = peer::client();
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            step(&client, number);
            std::thread::sleep(PAUSE);
        }
    }

    /// Sends a message once. `None`: it may have been stored or not.
    fn send(&self, client: &Client, topic: &str, properties: &str, body: &str) -> Option<i64> {
        let header = SendRequest {
            properties: Some(properties),
            ..peer::message(topic, 0)
        };
        let body = body.as_bytes().to_vec().into();
        let sent = raw::send(client, &self.address, &header, body, SEND_TIMEOUT).ok()?;
        Some(physical_offset(&sent))
    }

    /// The answer's code; `None` when there was none.
    fn call(&self, client: &Client, request: Command) -> Option<ResponseCode> {
        let reply = client.call(&self.address, request, SEND_TIMEOUT).ok()?;
        Some(reply.response_code())
    }
}

fn physical_offset(receipt: &SendReceipt) -> i64 {
    OffsetMsgId::parse(&receipt.msg_id).unwrap().physical_offset
}

/// When each message is due that a broker has promised to deliver, by body.
type Promises = BTreeMap<String, i64>;

fn send_delayed(run: &Run) -> Promises {
    let mut promised = Promises::new();
    run.each(|client, number| {
        let level = usize::try_from(number % 2).unwrap();
        let due_ms = now_ms() + DELAYS_MS[level];
        let body = format!("{number}");
        let properties = format!("DELAY\u{1}{}\u{2}", level + 1);
        if run.send(client, DELAYED, &properties, &body).is_some() {
            promised.insert(body, due_ms);
        }
    });
    promised
}

/// Sends messages, and sends each back as a consumer does, until it is taken.
fn send_back(run: &Run) -> Promises {
    let mut promised = Promises::new();
    run.each(|client, number| {
        let body = format!("{number}");
        let Some(offset) = run.send(client, RETRIED, "", &body) else {
            return;
        };
        let header = SendMessageBackRequest {
            physical_offset: offset,
            group: GROUP.to_owned(),
            delay_level: 1,
            origin_msg_id: None,
            origin_topic: Some(RETRIED.to_owned()),
            unit_mode: false,
            max_reconsume_times: Some(16),
        };
        let due_ms = now_ms() + DELAYS_MS[0];
        let request = Command::request(RequestCode::CONSUMER_SEND_MSG_BACK, &header);
        if run.call(client, request) == Some(ResponseCode::SUCCESS) {
            promised.insert(body, due_ms);
        }
    });
    promised
}

/// Every promise is kept, and nothing comes early, or that was not sent.
fn check_promises(address: &str, topic: &str, promised: &Promises) {
    let client = peer::client();
    let mut found = Vec::new();
    eventually(&format!("all that {topic} promises"), || {
        found = read(&client, address, topic);
        let bodies: BTreeSet<&String> = found.iter().map(|one| &one.body).collect();
        promised
            .keys()
            .all(|body| bodies.contains(body))
            .then_some(())
    });
    for one in &found {
        // What was sent without an answer has no promise, but may come.
        if let Some(due_ms) = promised.get(&one.body) {
            let early_ms = due_ms - one.stored_ms;
            assert!(early_ms <= 0, "{topic} {}: {early_ms} ms early", one.body);
        }
    }
    let (count, doubles) = (promised.len(), found.len().saturating_sub(promised.len()));
    println!("{topic}: {count} acknowledged, 0 lost, 0 early, {doubles} repeated or unanswered");
    assert!(count > 50, "hardly anything was sent to {topic}");
}

fn is_committed(body: &str) -> bool {
    !body.parse::<u64>().unwrap().is_multiple_of(3)
}

fn end_of(body: &str, (offset, physical): (i64, i64), asked: bool) -> Command {
    let header = EndTransactionRequest {
        topic: Some(BANK.to_owned()),
        producer_group: GROUP.to_owned(),
        tran_state_table_offset: offset,
        commit_log_offset: physical,
        commit_or_rollback: match is_committed(body) {
            true => TRANSACTION_COMMIT,
            false => TRANSACTION_ROLLBACK,
        },
        from_transaction_check: asked,
        msg_id: String::new(),
        transaction_id: None,
        broker_name: None,
    };
    Command::request(RequestCode::END_TRANSACTION, &header)
}

/// A client that answers the broker's questions.
fn teller(address: &str) -> Arc<Client> {
    let client = Arc::new(peer::client());
    let (answering, address) = (Arc::downgrade(&client), address.to_owned());
    client.on_request(move |pushed| {
        if pushed.command.request_code() != RequestCode::CHECK_TRANSACTION_STATE {
            return;
        }
        let header: CheckTransactionStateRequest = pushed.command.header().unwrap();
        let Ok(Checked::Record(record)) =
            RecordRef::check(&pushed.command.body, CheckLevel::BodyCrc)
        else {
            panic!("a question without a record");
        };
        let body = std::str::from_utf8(record.body()).unwrap();
        let half = (header.tran_state_table_offset, header.commit_log_offset);
        if let Some(client) = answering.upgrade() {
            // The broker may be gone again; it will ask again.
            let _ = client.oneway(&address, end_of(body, half, true));
        }
    });
    client
}

fn join(run: &Run, client: &Client) {
    let data = HeartbeatData {
        client_id: "teller".to_owned(),
        producers: vec![ProducerData {
            group_name: GROUP.to_owned(),
        }],
        ..HeartbeatData::default()
    };
    let request = Command::bare_request(RequestCode::HEART_BEAT).with_body(data.encode());
    run.call(client, request);
}

/// Half messages that the broker took. Each third is left to its questions.
fn send_halves(run: &Run, asked: &Client) -> BTreeSet<String> {
    let mut taken = BTreeSet::new();
    run.each(|client, number| {
        if number % 20 == 0 {
            join(run, asked);
        }
        let body = format!("{number}");
        let properties =
            format!("TRAN_MSG\u{1}true\u{2}PGROUP\u{1}{GROUP}\u{2}UNIQ_KEY\u{1}id-{body}\u{2}");
        let header = SendRequest {
            properties: Some(&properties),
            ..peer::message(BANK, 0)
        };
        let bytes = body.as_bytes().to_vec().into();
        let Ok(sent) = raw::send(client, &run.address, &header, bytes, SEND_TIMEOUT) else {
            return;
        };
        if number % 3 != 1 {
            let half = (sent.queue_offset, physical_offset(&sent));
            run.call(client, end_of(&body, half, false));
        }
        taken.insert(body);
    });
    taken
}

fn check_halves(run: &Run, asked: &Client, taken: &BTreeSet<String>) {
    let client = peer::client();
    let wanted: BTreeSet<&String> = taken.iter().filter(|body| is_committed(body)).collect();
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    eventually("all that was committed", || {
        join(run, asked);
        times.clear();
        for one in read(&client, &run.address, BANK) {
            *times.entry(one.body).or_default() += 1;
        }
        let done = wanted.iter().all(|body| times.contains_key(*body));
        std::thread::sleep(Duration::from_millis(50));
        done.then_some(())
    });
    for (body, count) in &times {
        assert!(is_committed(body), "{body} was rolled back");
        assert_eq!(*count, 1, "{body} was delivered {count} times");
    }
    println!(
        "{BANK}: {} halves, {} committed, 0 lost, 0 twice, none rolled back",
        taken.len(),
        times.len()
    );
    assert!(taken.len() > 50, "hardly any transactions");
}

/// Numbers in one queue, each sent until it is acknowledged; returns the last one.
fn send_ordered(run: &Run) -> u64 {
    let mut last = 0;
    run.each(|client, number| {
        let body = format!("{number}");
        eventually("an acknowledgement", || {
            run.send(client, ORDERED, "", &body)
        });
        last = number;
    });
    last
}

/// What consumers did, in order: who, and which number.
type History = Mutex<Vec<(&'static str, u64)>>;

/// Owns the queue now and for a while.
fn lock(run: &Run, client: &Client, name: &str) -> bool {
    let queue = MessageQueue {
        topic: ORDERED.to_owned(),
        broker_name: "broker-a".to_owned(),
        queue_id: 0,
    };
    let body = LockRequest {
        consumer_group: GROUP.to_owned(),
        client_id: name.to_owned(),
        queues: vec![queue],
        ..LockRequest::default()
    };
    let request = Command::bare_request(RequestCode::LOCK_BATCH_MQ).with_body(body.encode());
    let Ok(reply) = client.call(&run.address, request, SEND_TIMEOUT) else {
        return false;
    };
    let owned = LockResponse::decode(&reply.body);
    owned.is_ok_and(|owned| owned.queues.len() == 1)
}

/// Consumes while it owns the queue; after each `turn` messages it falls silent for longer than
/// its lock lives, as one that was killed.
fn consume(run: &Run, name: &'static str, turn: usize, history: &History) {
    let client = peer::client();
    let place = (GROUP, ORDERED, 0);
    let mut done = 0;
    while !run.stop.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE);
        if !lock(run, &client, name) {
            continue;
        }
        let Ok(at) = raw::committed_offset(&client, &run.address, place, SEND_TIMEOUT) else {
            continue;
        };
        let at = at.unwrap_or(0);
        let pull = peer::pull_from(ORDERED, 0, at);
        let Ok(reply) = raw::pull(&client, &run.address, &pull, SEND_TIMEOUT) else {
            continue;
        };
        let mut next = at;
        for record in Records::new(&reply.records, CheckLevel::AllCrc) {
            let record: RecordRef<'_> = record.unwrap();
            assert_eq!(record.queue_offset(), next);
            next += 1;
            let number = std::str::from_utf8(record.body()).unwrap().parse();
            history.lock().unwrap().push((name, number.unwrap()));
            done += 1;
        }
        if next > at {
            // A commit that is lost has the messages come again.
            let _ = raw::commit_offset(&client, &run.address, place, next, SEND_TIMEOUT);
        }
        if done >= turn {
            done = 0;
            std::thread::sleep(Duration::from_millis(LOCK_MS + 100));
        }
    }
}

/// No number is passed over, by whomever the queue is consumed.
fn check_order(address: &str, last: u64, history: &History) {
    let client = peer::client();
    let mut stored = 0;
    for one in read(&client, address, ORDERED) {
        let number: u64 = one.body.parse().unwrap();
        assert!(
            number == stored || number + 1 == stored,
            "{number} at {stored}"
        );
        stored = number + 1;
    }
    assert_eq!(stored, last + 1);
    let history = history.lock().unwrap();
    let (mut next, mut hand_overs) = (0, 0);
    for (index, (name, number)) in history.iter().enumerate() {
        assert!(*number <= next, "{name} passes over {next} to {number}");
        next = next.max(number + 1);
        hand_overs += u64::from(index > 0 && history[index - 1].0 != *name);
    }
    println!("{ORDERED}: {stored} sent, {next} consumed in order, {hand_overs} hand-overs");
    assert!(next > 50 && hand_overs > 0, "hardly anything was consumed");
}

fn every_kind_survives(flush: &str) {
    let mut dice = Dice::new(Dice::seed());
    let mut server = start(flush);
    let run = Run {
        address: server.address.clone(),
        stop: AtomicBool::new(false),
    };
    let asked = teller(&run.address);
    join(&run, &asked);
    let history = History::default();
    let (delayed, retried, halves, last) = std::thread::scope(|scope| {
        let stop = StopAtEnd(&run.stop);
        let (run, asked, history) = (&run, &*asked, &history);
        let delayed = scope.spawn(|| send_delayed(run));
        let retried = scope.spawn(|| send_back(run));
        let halves = scope.spawn(|| send_halves(run, asked));
        let ordered = scope.spawn(|| send_ordered(run));
        scope.spawn(|| consume(run, "one", 150, history));
        scope.spawn(|| consume(run, "two", 100, history));
        for _ in 0..peer::kills(4) {
            std::thread::sleep(Duration::from_millis(600 + dice.below(1_500)));
            server.restart(End::Killed);
        }
        std::thread::sleep(Duration::from_millis(1_000));
        drop(stop);
        let joined = (delayed.join(), retried.join(), halves.join());
        (
            joined.0.unwrap(),
            joined.1.unwrap(),
            joined.2.unwrap(),
            ordered.join().unwrap(),
        )
    });
    // While the last messages still wait, once more.
    server.restart(End::Killed);
    check_halves(&run, &asked, &halves);
    check_promises(&run.address, DELAYED, &delayed);
    check_promises(&run.address, &format!("%RETRY%{GROUP}"), &retried);
    check_order(&run.address, last, &history);
}

#[test]
fn every_kind_survives_kills_with_sync_flush() {
    every_kind_survives("SYNC_FLUSH");
}

#[test]
fn every_kind_survives_kills_with_async_flush() {
    every_kind_survives("ASYNC_FLUSH");
}
