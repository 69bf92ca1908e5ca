//! Transactions of a broker process that is stopped or killed between their phases, and under load:
//! what was committed is delivered once, what was rolled back never, and producers are asked about
//! the rest.
//!
//! `RMQ_KILLS` is the number of kills under load (3), `RMQ_SEED` makes a run fall as another did.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use peer::{Dice, StopAtEnd};
use process::eventually;
use rmq_core::base::ErrorKind;
use rmq_core::client::raw::{self, SendReceipt};
use rmq_core::net::Client;
use rmq_core::protocol::body::heartbeat::{HeartbeatData, ProducerData};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::id::OffsetMsgId;
use rmq_core::protocol::message::record::{CheckLevel, Checked, RecordRef};
use rmq_core::protocol::request::push::CheckTransactionStateRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::protocol::request::transaction::{
    EndTransactionRequest, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK, TRANSACTION_UNKNOWN,
};
use server::{End, Server};

const TOPIC: &str = "bank";
const GROUP: &str = "tellers";
const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
const OP_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
const GIVEN_UP_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Long enough for a check that should not come to have come.
const TWO_CHECKS: Duration = Duration::from_millis(900);

/// A broker that checks often, with the topic.
fn start(keys: &str) -> Server {
    let often = "flushConsumerOffsetInterval=100\ntransactionTimeOut=200\n\
                 transactionCheckInterval=300\n";
    let server = Server::new(&format!("{often}{keys}"));
    server.create_topic(TOPIC, 2);
    server
}

impl Server {
    /// Bodies in the topic, sorted.
    fn bodies(&self, topic: &str) -> Vec<String> {
        let client = peer::client();
        let mut found = Vec::new();
        for queue in 0..2 {
            if topic != TOPIC && queue > 0 {
                break;
            }
            let stored = peer::read_queue(&client, &self.address, topic, queue).unwrap();
            let bodies = stored.into_iter().map(|one| one.body);
            found.extend(bodies.map(|body| String::from_utf8(body).unwrap()));
        }
        found.sort_unstable();
        found
    }

    fn max_offset(&self, topic: &str) -> i64 {
        raw::max_offset(&peer::client(), &self.address, topic, 0, peer::ANSWER).unwrap()
    }

    /// The offset of the broker's own group in `consumerOffset.json`.
    fn noted(&self, topic: &str) -> Option<i64> {
        let file = self.home.join("store/config/consumerOffset.json");
        let text = fs::read_to_string(file).ok()?;
        let (_, row) = text.split_once(&format!("\"{topic}@CID_RMQ_SYS_TRANS\":"))?;
        let (_, offset) = row.split_once("0:")?;
        let digits = offset.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }
}

/// Which half message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Half {
    offset: i64,
    physical: i64,
}

impl Half {
    fn of(receipt: &SendReceipt) -> Self {
        Self {
            offset: receipt.queue_offset,
            physical: OffsetMsgId::parse(&receipt.msg_id).unwrap().physical_offset,
        }
    }

    fn asked(question: &CheckTransactionStateRequest) -> Self {
        Self {
            offset: question.tran_state_table_offset,
            physical: question.commit_log_offset,
        }
    }
}

type Questions = Arc<Mutex<Vec<(String, Half)>>>;
type Decide = fn(&str) -> i32;

/// A producer of transactions.
struct Producer {
    client: Arc<Client>,
    address: String,
    questions: Questions,
}

impl Producer {
    /// One that only takes note of questions.
    fn new(server: &Server) -> Self {
        Self::answering(server, |_| TRANSACTION_UNKNOWN)
    }

    /// One that answers questions about a body like this.
    fn answering(server: &Server, decide: Decide) -> Self {
        let client = Arc::new(peer::client());
        let questions = Questions::default();
        let (asked, address) = (Arc::clone(&questions), server.address.clone());
        let answering = Arc::downgrade(&client);
        client.on_request(move |pushed| {
            if pushed.command.request_code() != RequestCode::CHECK_TRANSACTION_STATE {
                return;
            }
            let header = pushed.command.header().unwrap();
            let body = body_of(&pushed.command.body);
            let half = Half::asked(&header);
            let decision = decide(&body);
            if decision != TRANSACTION_UNKNOWN
                && let Some(client) = answering.upgrade()
            {
                let command = end_command(half, decision, true);
                let _ = client.oneway(&address, command);
            }
            asked.lock().unwrap().push((body, half));
        });
        let producer = Self {
            client,
            address: server.address.clone(),
            questions,
        };
        producer.join();
        producer
    }

    /// Joins the group, as a heartbeat does; again after the broker was started again.
    fn join(&self) {
        let data = HeartbeatData {
            client_id: format!("{:p}", self.client),
            producers: vec![ProducerData {
                group_name: GROUP.to_owned(),
            }],
            ..HeartbeatData::default()
        };
        eventually("the broker takes a heartbeat", || {
            let request = Command::bare_request(RequestCode::HEART_BEAT).with_body(data.encode());
            let reply = self
                .client
                .call(&self.address, request, peer::ANSWER)
                .ok()?;
            (reply.response_code() == ResponseCode::SUCCESS).then_some(())
        });
    }

    fn try_send(&self, body: &str) -> rmq_core::base::Result<SendReceipt> {
        let properties =
            format!("TRAN_MSG\u{1}true\u{2}PGROUP\u{1}{GROUP}\u{2}UNIQ_KEY\u{1}id-{body}\u{2}");
        let header = SendRequest {
            properties: Some(&properties),
            ..peer::message(TOPIC, i32::from(body.len().is_multiple_of(2)))
        };
        let body = Bytes::copy_from_slice(body.as_bytes());
        raw::send(&self.client, &self.address, &header, body, peer::ANSWER)
    }

    fn send(&self, body: &str) -> Half {
        Half::of(&self.try_send(body).unwrap())
    }

    fn end(&self, half: Half, decision: i32) -> ResponseCode {
        let command = end_command(half, decision, false);
        let reply = self.client.call(&self.address, command, peer::ANSWER);
        reply.unwrap().response_code()
    }

    /// Waits until it is asked about this body.
    fn asked(&self, body: &str) -> Half {
        eventually(&format!("a question about {body}"), || {
            let questions = self.questions.lock().unwrap();
            let found = questions.iter().rev().find(|(asked, _)| asked == body);
            found.map(|(_, half)| *half)
        })
    }

    fn forget_questions(&self) {
        self.questions.lock().unwrap().clear();
    }

    fn asked_about(&self) -> BTreeSet<String> {
        let questions = self.questions.lock().unwrap();
        questions.iter().map(|(body, _)| body.clone()).collect()
    }
}

fn body_of(record: &[u8]) -> String {
    let Ok(Checked::Record(record)) = RecordRef::check(record, CheckLevel::BodyCrc) else {
        panic!("no record");
    };
    assert_eq!(record.topic(), TOPIC);
    String::from_utf8(record.body().to_vec()).unwrap()
}

fn end_command(half: Half, decision: i32, from_transaction_check: bool) -> Command {
    let header = EndTransactionRequest {
        topic: Some(TOPIC.to_owned()),
        producer_group: GROUP.to_owned(),
        tran_state_table_offset: half.offset,
        commit_log_offset: half.physical,
        commit_or_rollback: decision,
        from_transaction_check,
        msg_id: String::new(),
        transaction_id: None,
        broker_name: None,
    };
    Command::request(RequestCode::END_TRANSACTION, &header)
}

fn refused_with(result: rmq_core::base::Result<SendReceipt>) -> ResponseCode {
    match result.unwrap_err().kind() {
        ErrorKind::Remote(code) => ResponseCode::new(code),
        other => panic!("{other:?}"),
    }
}

const OK: ResponseCode = ResponseCode::SUCCESS;

/// Brings a transaction into each phase, ends the broker, and goes on from there.
fn each_phase(how: End, config: &str) {
    let mut server = start(config);
    let producer = Producer::new(&server);
    for body in ["asked", "asked-rolled-back", "asked-twice"] {
        producer.send(body);
        producer.asked(body);
    }
    let asked = producer.asked("asked");
    let first = producer.asked("asked-twice");
    assert_eq!(producer.end(asked, TRANSACTION_COMMIT), OK);
    let rolled_back = producer.asked("asked-rolled-back");
    assert_eq!(producer.end(rolled_back, TRANSACTION_ROLLBACK), OK);
    let sent = producer.send("sent");
    let committed = producer.send("committed");
    assert_eq!(producer.end(committed, TRANSACTION_COMMIT), OK);
    let gone = producer.send("rolled-back");
    assert_eq!(producer.end(gone, TRANSACTION_ROLLBACK), OK);
    assert_eq!(
        producer.end(gone, TRANSACTION_COMMIT),
        ResponseCode::SYSTEM_ERROR
    );

    server.restart(how);
    producer.forget_questions();
    producer.join();
    assert_eq!(server.bodies(TOPIC), ["asked", "committed"]);
    for (half, decision) in [
        (asked, TRANSACTION_COMMIT),
        (committed, TRANSACTION_COMMIT),
        (rolled_back, TRANSACTION_COMMIT),
        (gone, TRANSACTION_COMMIT),
    ] {
        assert_eq!(producer.end(half, decision), ResponseCode::SYSTEM_ERROR);
    }
    // The answer to a question from before, and the producer's own end after it was asked.
    assert_eq!(producer.end(first, TRANSACTION_COMMIT), OK);
    producer.asked("sent");
    assert_eq!(producer.end(sent, TRANSACTION_COMMIT), OK);
    assert_eq!(producer.end(producer.asked("sent"), TRANSACTION_COMMIT), OK);

    // The answer says that the end is in the log; under SYNC_FLUSH the message is seen after that.
    let all = ["asked", "asked-twice", "committed", "sent"];
    eventually("all commits are visible", || {
        (server.bodies(TOPIC).len() >= all.len()).then_some(())
    });
    assert_eq!(server.bodies(TOPIC), all);
    producer.forget_questions();
    std::thread::sleep(TWO_CHECKS);
    assert_eq!(producer.asked_about(), BTreeSet::new());
    server.restart(how);
    assert_eq!(server.bodies(TOPIC), all);
    eventually("the broker has noted that all are over", || {
        let over = |topic| server.noted(topic) == Some(server.max_offset(topic));
        (over(HALF_TOPIC) && over(OP_TOPIC)).then_some(())
    });
}

#[test]
fn each_phase_survives_a_kill() {
    each_phase(End::Killed, "");
}

#[test]
fn each_phase_survives_a_kill_with_sync_flush() {
    each_phase(End::Killed, "flushDiskType=SYNC_FLUSH\n");
}

#[test]
fn each_phase_survives_a_stop() {
    each_phase(End::Stopped, "");
}

#[test]
fn another_producer_of_the_group_is_asked_when_the_first_is_gone() {
    let server = start("");
    let first = Producer::new(&server);
    first.send("orphan");
    first.client.close(peer::ANSWER).unwrap();
    let second = Producer::answering(&server, |_| TRANSACTION_COMMIT);
    second.asked("orphan");
    eventually("it is delivered", || {
        (server.bodies(TOPIC) == ["orphan"]).then_some(())
    });
}

#[test]
fn what_nobody_decides_goes_where_operators_find_it() {
    let mut server = start("transactionCheckMax=2\n");
    let producer = Producer::new(&server);
    let half = producer.send("undecided");
    let ordinary = peer::send(&producer.client, &server.address, (GIVEN_UP_TOPIC, 0), "x");
    assert_eq!(refused_with(ordinary), ResponseCode::NO_PERMISSION);
    for topic in [HALF_TOPIC, OP_TOPIC] {
        let direct = peer::send(&producer.client, &server.address, (topic, 0), "x");
        assert_eq!(refused_with(direct), ResponseCode::NO_PERMISSION);
    }
    eventually("it is given up", || {
        (server.bodies(GIVEN_UP_TOPIC) == ["undecided"]).then_some(())
    });
    assert_eq!(producer.questions.lock().unwrap().len(), 2);
    let file = server.home.join("store/config/topics.json");
    eventually("its topic is noted", || {
        let text = fs::read_to_string(&file).ok()?;
        text.contains(GIVEN_UP_TOPIC).then_some(())
    });
    server.restart(End::Killed);
    assert_eq!(
        producer.end(half, TRANSACTION_COMMIT),
        ResponseCode::SYSTEM_ERROR
    );
    assert_eq!(server.bodies(TOPIC), Vec::<String>::new());
}

#[test]
fn transactions_can_be_refused() {
    let server = start("rejectTransactionMessage=true\n");
    let producer = Producer::new(&server);
    let refused = refused_with(producer.try_send("x"));
    assert_eq!(refused, ResponseCode::NO_PERMISSION);
    peer::send(&producer.client, &server.address, (TOPIC, 0), "ordinary").unwrap();
}

#[derive(Default)]
struct Ledger {
    /// Half messages that the broker acknowledged.
    acknowledged: Mutex<BTreeSet<String>>,
    stop: AtomicBool,
    count: AtomicU64,
}

/// How a transaction is to end, as its number says.
fn decision_of(body: &str) -> i32 {
    let (_, number) = body.rsplit_once('-').unwrap();
    match number.parse::<u64>().unwrap() % 4 {
        0 => TRANSACTION_ROLLBACK,
        _ => TRANSACTION_COMMIT,
    }
}

/// Sends half messages and ends most of them at once, some twice; the others are asked about.
fn sender(ledger: &Ledger, producer: &Producer, sender: u64) {
    let mut dice = Dice::new(sender);
    for number in 0.. {
        if ledger.stop.load(Ordering::Relaxed) {
            return;
        }
        let body = format!("{sender}-{}-{number}", "p".repeat(dice.below(300) as usize));
        let Ok(receipt) = producer.try_send(&body) else {
            // The broker is away for a moment.
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        ledger.count.fetch_add(1, Ordering::Relaxed);
        let half = Half::of(&receipt);
        for _ in 0..dice.below(3) {
            let command = end_command(half, decision_of(&body), false);
            let _ = producer.client.oneway(&producer.address, command);
        }
        ledger.acknowledged.lock().unwrap().insert(body);
    }
}

#[test]
fn killed_under_load_it_delivers_each_commit_once_and_no_roll_back() {
    let mut dice = Dice::new(Dice::seed());
    let mut server = start("transactionCheckMax=1000\n");
    let producers: Vec<Producer> = (0..3)
        .map(|_| Producer::answering(&server, decision_of))
        .collect();
    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&ledger.stop);
        for (number, producer) in (0..).zip(&producers) {
            let ledger = &ledger;
            scope.spawn(move || sender(ledger, producer, number));
        }
        for round in 1..=peer::kills(3) {
            std::thread::sleep(Duration::from_millis(200 + dice.below(600)));
            let how = match dice.below(4) {
                0 => End::Stopped,
                _ => End::Killed,
            };
            server.restart(how);
            producers.iter().for_each(Producer::join);
            let count = ledger.count.load(Ordering::Relaxed);
            println!("{how:?} {round}: {count} sent");
        }
    });
    let acknowledged = ledger.acknowledged.lock().unwrap();
    let wanted: BTreeSet<&String> = acknowledged
        .iter()
        .filter(|body| decision_of(body) == TRANSACTION_COMMIT)
        .collect();
    let times = eventually("every commit is delivered and all are over", || {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for body in server.bodies(TOPIC) {
            *times.entry(body).or_default() += 1;
        }
        let over = server.noted(HALF_TOPIC) == Some(server.max_offset(HALF_TOPIC));
        let missing = wanted.iter().any(|body| !times.contains_key(*body));
        (over && !missing).then_some(times)
    });
    for (body, times) in &times {
        assert_eq!(*times, 1, "{body} was delivered {times} times");
        assert_eq!(decision_of(body), TRANSACTION_COMMIT, "{body}");
    }
    server.restart(End::Killed);
    assert_eq!(server.bodies(TOPIC).len(), times.len());
    println!("{} sent, {} delivered", acknowledged.len(), times.len());
    assert!(acknowledged.len() > 100, "hardly anything was sent");
}
