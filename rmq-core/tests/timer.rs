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
#[path = "support/server.rs"]
mod server;
#[path = "support/waiting.rs"]
mod waiting;

use std::collections::HashMap;

use process::eventually;
use rmq_core::protocol::body::kv_table::KvTable;
use rmq_core::protocol::body::timer::TimerMetrics;
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::message::recall::RecallHandle;
use rmq_core::protocol::request::query::RecallMessageRequest;
use rmq_core::protocol::request::send::SendRequest;
use rmq_core::store::timer::TimerCheckpoint;
use server::{End, Pair, Server};
use waiting::{Id, Kind, id_of};

const WHEEL_TOPIC: &str = "rmq_sys_wheel_timer";
/// Length of a tick, so short that a test can wait for many.
const TICK_MS: i64 = 100;

const TIMED: Kind = Kind {
    topic: "timed",
    keys: "timerPrecisionMs=100\ntimerRollWindowSlot=20\ntimerFlushIntervalMs=50\n\
           mappedFileSizeTimerLog=4096\nrecallMessageEnable=true",
    // Some are put back on their way.
    properties: |(_, number)| format!("TIMER_DELAY_MS\u{1}{}\u{2}", 150 + number * 7_919 % 3_800),
    due,
};

fn due(server: &Server) -> HashMap<Id, i64> {
    let mut due = HashMap::new();
    let (client, address) = (&server.client, &server.address);
    peer::visit_queue(client, address, WHEEL_TOPIC, 0, |record| {
        let out_ms = record.property("TIMER_OUT_MS").unwrap();
        let out_ms: i64 = std::str::from_utf8(out_ms).unwrap().parse().unwrap();
        let entry = due.entry(id_of(record.body())).or_insert(i64::MAX);
        *entry = (out_ms + TICK_MS).min(*entry);
    })
    .unwrap();
    due
}

#[test]
fn a_killed_broker_delivers_what_it_acknowledged() {
    TIMED.survives_kills("flushDiskType=SYNC_FLUSH");
}

#[test]
fn a_stopped_broker_delivers_everything_once() {
    TIMED.survives_stops(|server| {
        let file = std::fs::read(server.home.join("store/config/timermetrics")).unwrap();
        let metrics = TimerMetrics::decode(&file).unwrap();
        assert_eq!(metrics.counts[TIMED.topic].count, 0);
    });
}

impl Server {
    /// Sends a message of this unique id to wait; returns the answer.
    fn send_timed(&self, id: Id, delay_ms: i64, more: &str) -> Command {
        let (sender, number) = id;
        let properties = format!(
            "TIMER_DELAY_MS\u{1}{delay_ms}\u{2}UNIQ_KEY\u{1}ID{sender}_{number}\u{2}{more}"
        );
        let header = SendRequest {
            properties: Some(&properties),
            ..peer::message(TIMED.topic, 1)
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
    let mut server = TIMED.server("timerMaxDelaySec=3600");
    let mut handles = Vec::new();
    for number in 0..10 {
        let answer = server.send_timed((0, number), 4_000, "");
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
        assert_eq!(answer.ext.get("queueId"), Some("1"));
        handles.push(answer.ext.get("recallHandle").unwrap().to_owned());
    }
    eventually("all of them are counted", || {
        let count = server
            .metrics()
            .counts
            .get(TIMED.topic)
            .map(|metric| metric.count);
        (count == Some(10)).then_some(())
    });
    for handle in &handles[..4] {
        let answer = server.recall(TIMED.topic, handle);
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS, "{answer:?}");
        assert!(answer.ext.get("msgId").unwrap().starts_with("ID0_"));
    }
    let code = |answer: Command| answer.response_code();
    let illegal = ResponseCode::ILLEGAL_OPERATION;
    assert_eq!(code(server.recall(TIMED.topic, "nonsense")), illegal);
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
        assert_eq!(code(server.recall(TIMED.topic, &wrong.encode())), illegal);
    }
    let missing = server.recall("missing", &handles[5]);
    assert_eq!(code(missing), ResponseCode::TOPIC_NOT_EXIST);
    // Through a kill, too.
    server.restart(End::Killed);
    let delivered = eventually("the others are delivered", || {
        let delivered = TIMED.delivered(&server);
        (delivered.len() >= 6).then_some(delivered)
    });
    let mut numbers: Vec<u64> = delivered.keys().map(|id| id.1).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [4, 5, 6, 7, 8, 9]);
    let answer = server.call(Command::bare_request(RequestCode::GET_TIMER_CHECK_POINT));
    let checkpoint = TimerCheckpoint::decode(&answer.body).unwrap();
    assert_eq!(answer.body.len(), 56);
    assert!(checkpoint.read_ms > 0 && checkpoint.queue_offset == checkpoint.master_queue_offset);
    assert_eq!(code(server.recall(TIMED.topic, &handles[9])), illegal);
}

#[test]
fn what_may_not_wait_is_refused_and_what_is_due_is_not() {
    let mut server = TIMED.server("timerMaxDelaySec=10");
    let code = |answer: Command| answer.response_code();
    let illegal = ResponseCode::MESSAGE_ILLEGAL;
    assert_eq!(code(server.send_timed((1, 0), 11_000, "")), illegal);
    assert_eq!(
        code(server.send_timed((1, 1), 1, "TIMER_DELAY_SEC\u{1}x\u{2}")),
        illegal
    );
    assert_eq!(
        code(server.send_timed((1, 2), -1, "TIMER_DEL_UNIQKEY\u{1}x\u{2}")),
        illegal
    );
    for (number, delay_ms) in [(3, 0), (4, -5_000)] {
        let answer = server.send_timed((1, number), delay_ms, "");
        assert_eq!(answer.ext.get("recallHandle"), None);
        assert_eq!(code(answer), ResponseCode::SUCCESS);
    }
    assert_eq!(TIMED.delivered(&server).len(), 2);
    assert!(!server.home.join("store/timerwheel").exists());
    // A delay level goes before a time.
    let answer = server.send_timed((1, 5), 999_000, "DELAY\u{1}1\u{2}");
    assert_eq!(code(answer), ResponseCode::SUCCESS);
    server.add_keys("timerWheelEnable=false\nrecallMessageEnable=false");
    server.restart(End::Stopped);
    assert_eq!(
        code(server.send_timed((1, 6), 2_000, "")),
        ResponseCode::SYSTEM_ERROR
    );
    assert_eq!(
        code(server.recall(TIMED.topic, "x")),
        ResponseCode::NO_PERMISSION
    );
    for request in [
        RequestCode::GET_TIMER_CHECK_POINT,
        RequestCode::GET_TIMER_METRICS,
    ] {
        let answer = server.call(Command::bare_request(request));
        assert_eq!(code(answer), ResponseCode::SYSTEM_ERROR);
    }
}

#[test]
fn the_runtime_information_tells_how_fast_the_timer_is() {
    let server = TIMED.server("");
    let rates = || {
        let request = Command::bare_request(RequestCode::GET_BROKER_RUNTIME_INFO);
        let table = KvTable::decode(&server.call(request).body).unwrap().table;
        let rate = |row: &str| table[row].parse::<f64>().unwrap();
        (rate("timerEnqueueTps"), rate("timerDequeueTps"))
    };
    assert_eq!(rates(), (0.0, 0.0));
    let mut number = 0;
    eventually("both rates are above nothing", || {
        server.send_timed((0, number), 200, "");
        number += 1;
        let (enqueued, dequeued) = rates();
        (enqueued > 0.0 && dequeued > 0.0).then_some(())
    });
}

/// What a slave knows of its master's timer (requests 60 and 61) holds when it takes over.
#[test]
fn a_slave_goes_on_where_the_timer_of_its_lost_master_was() {
    // None of them is so far away that it is put back meanwhile.
    let pair = Pair::new(&format!("{}\ntimerRollWindowSlot=600", TIMED.keys));
    pair.master.create_topic(TIMED.topic, 4);
    for (number, delay_ms) in [(0, 300), (1, 20_000), (2, 300), (3, 20_000)] {
        let answer = pair.master.send_timed((0, number), delay_ms, "");
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
    }
    eventually("what is due is delivered", || {
        (TIMED.delivered(&pair.master).len() == 2).then_some(())
    });
    let file = |name: &str| std::fs::read(pair.slave.home.join("store/config").join(name)).ok();
    eventually("the slave has its master's checkpoint and counts", || {
        let request = Command::bare_request(RequestCode::GET_TIMER_CHECK_POINT);
        let answer = pair.master.call(request);
        let theirs = TimerCheckpoint::decode(&answer.body).unwrap();
        let own = TimerCheckpoint::decode(&file("timercheck")?).unwrap();
        let metrics = TimerMetrics::decode(&file("timermetrics")?).unwrap();
        let count = metrics.counts.get(TIMED.topic)?.count;
        let is_same =
            (own.read_ms, own.master_queue_offset) == (theirs.read_ms, theirs.master_queue_offset);
        (is_same && own.master_queue_offset == 4 && count == 2).then_some(())
    });
    pair.catch_up();
    let due = due(&pair.master);
    let server = pair.fail_over();
    let numbers = |delivered: &HashMap<Id, Vec<i64>>| {
        let mut numbers: Vec<u64> = delivered.keys().map(|id| id.1).collect();
        numbers.sort_unstable();
        numbers
    };
    let delivered = eventually("the rest is delivered by the slave", || {
        let delivered = TIMED.delivered(&server);
        (delivered.len() == 4).then_some(delivered)
    });
    assert_eq!(numbers(&delivered), [0, 1, 2, 3]);
    for (id, times) in &delivered {
        assert_eq!(times.len(), 1, "{id:?} came at {times:?}");
        assert!(times[0] >= due[id], "{id:?} came early");
    }
}
