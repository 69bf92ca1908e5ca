//! Every example runs and ends well.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// Runs an example for a short time; what it printed.
fn run(program: &str) -> String {
    let output = Command::new(program)
        .env("RMQ_DEMO_SECONDS", "0.6")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}:\n{printed}\n{errors}");
    printed
}

#[test]
fn the_demo_loses_nothing() {
    let printed = run(env!("CARGO_BIN_EXE_demo"));
    let lost = printed.lines().find(|line| line.starts_with("lost"));
    assert_eq!(
        lost.map(|line| line.ends_with(" 0")),
        Some(true),
        "{printed}"
    );
}

#[test]
fn a_masters_disk_is_lost_and_no_message() {
    let printed = run(env!("CARGO_BIN_EXE_cluster"));
    let masters = printed.lines().filter(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        line.starts_with("broker-") && columns.len() == 4 && columns[1] != "0" && columns[3] == "0"
    });
    assert_eq!(masters.count(), 2, "{printed}");
}

#[test]
fn what_the_quickstart_sends_it_receives() {
    let printed = run(env!("CARGO_BIN_EXE_quickstart"));
    let mut received: Vec<&str> = printed
        .lines()
        .filter(|line| line.starts_with("received"))
        .collect();
    received.sort_unstable();
    assert_eq!(
        received,
        ["received: hello", "received: hello again"],
        "{printed}"
    );
}

#[test]
fn steps_come_in_order() {
    let printed = run(env!("CARGO_BIN_EXE_ordered"));
    assert_eq!(printed, "10 steps of 5 users came in order\n");
}

#[test]
fn a_delayed_message_comes_when_the_clock_is_moved() {
    let printed = run(env!("CARGO_BIN_EXE_delayed"));
    let wanted = "taken back: true\nan hour later: tea is ready\nand no more: true\n";
    assert_eq!(printed, wanted);
}

#[test]
fn transactions_deliver_what_was_committed() {
    let printed = run(env!("CARGO_BIN_EXE_transaction"));
    let delivered = printed.lines().filter(|line| line.starts_with("deliv"));
    let mut delivered: Vec<&str> = delivered.collect();
    delivered.sort_unstable();
    assert_eq!(delivered, ["delivered: crashed", "delivered: paid"]);
    assert!(printed.ends_with("no more: true\n"), "{printed}");
}

#[test]
fn questions_are_answered() {
    let printed = run(env!("CARGO_BIN_EXE_request_reply"));
    let wanted = "who is there: WHO IS THERE\nwho else: WHO ELSE\n";
    assert_eq!(printed, wanted);
}

#[test]
fn an_administrator_sees_what_is_there() {
    let printed = run(env!("CARGO_BIN_EXE_admin"));
    assert!(printed.starts_with("3 messages in Books\n"), "{printed}");
    assert!(printed.ends_with("deleted: true\n"), "{printed}");
}
