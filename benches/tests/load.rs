//! The generator against a server of known behaviour.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rmq_benches::load::frames::SendKind;
use rmq_benches::load::{Operation, Plan, run};
use rmq_benches::null::NullServer;
use rmq_core::protocol::frame::Serialize;

fn plan(server: &NullServer, operation: Operation) -> Plan {
    Plan {
        warm_up: Duration::from_millis(50),
        measure: Duration::from_millis(300),
        ..Plan::new(vec![server.address()], operation)
    }
}

const SEND: Operation = Operation::Send(SendKind::V2);

#[test]
fn closed_loops_count_what_is_answered() {
    let server = NullServer::start(0).expect("a free port");
    let operations = [
        (SEND, 1),
        (Operation::Send(SendKind::V1), 1),
        (Operation::Send(SendKind::Batch(5)), 5),
        (Operation::Pull(32), 32),
    ];
    for (operation, messages) in operations {
        for serialize in [Serialize::Json, Serialize::Rocketmq] {
            let plan = Plan {
                serialize,
                ..plan(&server, operation)
            };
            plan.create_topic().expect("a topic");
            let report = run(&plan).expect("a report");
            assert!(report.is_clean(), "{operation:?}: {report}");
            assert!(report.requests > 0, "{operation:?}: {report}");
            assert_eq!(report.messages, report.requests * messages, "{operation:?}");
            assert!(report.latency.p50 > 0.0 && report.latency.max >= report.latency.p99_9);
        }
    }
}

#[test]
fn a_count_ends_the_run() {
    let server = NullServer::start(0).expect("a free port");
    let plan = Plan {
        warm_up: Duration::ZERO,
        measure: Duration::from_secs(60),
        count: Some(500),
        ..plan(&server, SEND)
    };
    let report = run(&plan).expect("a report");
    assert!(report.elapsed < Duration::from_secs(30), "{report}");
    assert!(report.requests >= 500 && report.is_clean(), "{report}");
}

#[test]
fn refusals_are_counted_by_their_code() {
    let server = NullServer::start(0).expect("a free port");
    server.behaviour().busy.store(true, Ordering::Relaxed);
    let report = run(&plan(&server, SEND)).expect("a report");
    assert_eq!(report.requests, 0);
    assert!(report.refused.get(&2).is_some_and(|&n| n > 0), "{report}");
    assert_eq!(report.refused.len(), 1);
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let server = NullServer::start(0).expect("a free port");
    let plan = Plan {
        rate: Some(1000.0),
        window: 4096,
        ..plan(&server, SEND)
    };
    let report = run(&plan).expect("a report");
    assert!(report.is_clean() && report.late == 0, "{report}");
    // However slow the machine, every request that was due is sent: 1,000/s for 0.35 s.
    assert!(report.requests <= 350, "{report}");
    assert!(report.requests >= 100, "{report}");
}

#[test]
fn a_stall_is_charged_to_all_that_waited() {
    let server = NullServer::start(0).expect("a free port");
    let plan = Plan {
        rate: Some(1000.0),
        window: 4096,
        warm_up: Duration::ZERO,
        measure: Duration::from_millis(600),
        ..plan(&server, SEND)
    };
    server.behaviour().stall_ms.store(300, Ordering::Relaxed);
    let report = run(&plan).expect("a report");
    // Half of the requests were due in the stall. A generator that waits for answers before it
    // sends would have charged one of them.
    assert!(report.latency.max >= 299_000.0, "{report}");
    assert!(report.latency.p90 >= 150_000.0, "{report}");
}

#[test]
fn what_is_never_answered_is_told() {
    let server = NullServer::start(0).expect("a free port");
    server.behaviour().silent.store(true, Ordering::Relaxed);
    let plan = Plan {
        connections: 1,
        window: 3,
        drain: Duration::from_millis(50),
        ..plan(&server, SEND)
    };
    let report = run(&plan).expect("a report");
    assert_eq!((report.requests, report.unanswered), (0, 3));
    assert!(!report.is_clean());
}

#[test]
fn a_server_that_goes_away_is_told() {
    let server = NullServer::start(0).expect("a free port");
    server.behaviour().stall_ms.store(200, Ordering::Relaxed);
    let plan = Plan {
        connections: 2,
        ..plan(&server, SEND)
    };
    let ended = rmq_core::base::thread::spawn("drop-server", move || drop(server));
    let report = run(&plan);
    ended
        .expect("a thread")
        .join_deadline(Duration::from_secs(10))
        .expect("an end");
    match report {
        Ok(report) => assert!(!report.broken.is_empty(), "{report}"),
        // It was gone before the first connection.
        Err(e) => assert!(e.to_string().contains("connect"), "{e}"),
    }
}
