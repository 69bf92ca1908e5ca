//! The scenarios of the official clients.

use std::process::Command;
use std::time::Duration;

use crate::apache::{Cluster, Maker, Workspace, client_with, exclusive, go_suite, prepare, run};

const LIMIT: Duration = Duration::from_secs(300);

/// Delay levels that tests can wait for, as many as there are by default.
const SHORT_DELAYS: (&str, &str) = (
    "messageDelayLevel",
    "1s 2s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 2s 3s",
);

/// Transactions that tests can wait for: when, how often and how many times producers are asked.
const SHORT_TRANSACTIONS: [(&str, &str); 3] = [
    ("transactionTimeOut", "2000"),
    ("transactionCheckInterval", "1000"),
    ("transactionCheckMax", "4"),
];

/// Runs a suite against a nameserver and two masters, and passes its lines on.
fn run_suite(name: &str, suite: impl Fn(&Cluster, &Workspace) -> Command) {
    let _alone = exclusive();
    let (passed, text) = run_once(name, &suite);
    let crashed = text.contains("panic: send on closed channel") && text.contains("putMessage");
    let (passed, text) = if crashed {
        // A race in the Go client: a push consumer that is shut down closes the channel of a queue
        // to which an answered pull still writes (consumer.go:302, process_queue.go:128).
        println!("{name}: the client crashed at a shutdown; once more:\n{text}");
        run_once(name, &suite)
    } else {
        (passed, text)
    };
    println!("{text}");
    let failures: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("ok "))
        .collect();
    assert!(passed, "{name}:\n{}", failures.join("\n"));
}

fn run_once(name: &str, suite: impl Fn(&Cluster, &Workspace) -> Command) -> (bool, String) {
    let workspace = Workspace::new();
    let mut settings = vec![
        SHORT_DELAYS,
        ("enablePropertyFilter", "true"),
        ("recallMessageEnable", "true"),
    ];
    settings.extend(SHORT_TRANSACTIONS);
    let cluster = Cluster::start(Maker::under_test(), &workspace, &settings);
    let mut command = suite(&cluster, &workspace);
    run(name, &mut command, &workspace.folder(name), LIMIT)
}

fn java_suite(version: &str, options: &[&str], arguments: &[&str]) {
    if !prepare(
        &["java", "mvn"],
        &[&format!("client-{version}"), "server-5.5.0"],
    ) {
        return;
    }
    run_suite(&format!("java-{version}"), |cluster, workspace| {
        let home = workspace.folder("home");
        let mut command = client_with(options, version, "Suite", &home);
        command
            .args(["-n", &cluster.namesrv.address(), "--threads", "6"])
            .args(arguments);
        if Maker::under_test() == Maker::Apache {
            command.args(["--forgetful", "true"]);
        }
        if let Some(only) = only() {
            command.args(["--only", &only]);
        }
        command
    });
}

/// Names of scenarios, to run only these.
fn only() -> Option<String> {
    std::env::var("RMQ_INTEROP_ONLY").ok()
}

#[test]
fn java_client_4_9_8() {
    java_suite("4.9.8", &[], &[]);
}

#[test]
fn java_client_5_5_0() {
    java_suite("5.5.0", &[], &[]);
}

/// The other serialization of headers, that a client is told to use by a property.
#[test]
fn java_client_5_5_0_with_binary_headers() {
    let only = "send_sync,send_async,send_oneway,send_batch,push_concurrent,push_orderly,\
                push_tag_filter,push_long_polling,push_restart,pull_statuses,pull_filter,\
                offsets_by_time,offsets_of_group,topic_create_api,topic_delete,\
                properties_unicode,body_limit,error_queue_id,sql_push,sql_pull,sql_bad";
    java_suite(
        "5.5.0",
        &["-Drocketmq.serialize.type=ROCKETMQ"],
        &["--only", only],
    );
}

#[test]
fn go_client_2_1_2() {
    if !prepare(&["java", "mvn", "go"], &["server-5.5.0", "go"]) {
        return;
    }
    run_suite("go", |cluster, workspace| {
        let masters: Vec<String> = cluster.brokers.iter().map(|b| b.address()).collect();
        let mut command = go_suite();
        command
            .args(["-n", &cluster.namesrv.address(), "-threads", "6"])
            .args(["-brokers", &masters.join(",")])
            .arg("-log")
            .arg(workspace.folder("home").join("client.log"));
        if let Some(only) = only() {
            command.args(["-only", &only]);
        }
        command
    });
}

/// Expressions where brokers do not take them, which is the default.
#[test]
fn expressions_are_refused_by_brokers_without_property_filter() {
    let parts = ["client-4.9.8", "client-5.5.0", "server-5.5.0"];
    if !prepare(&["java", "mvn"], &parts) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let cluster = Cluster::start(Maker::under_test(), &workspace, &[]);
    for version in ["4.9.8", "5.5.0"] {
        let home = workspace.folder("home");
        let mut command = client_with(&[], version, "Suite", &home);
        let namesrv = cluster.namesrv.address();
        command.args(["-n", &namesrv, "--only", "sql_disabled"]);
        let (passed, text) = run("suite", &mut command, &home, LIMIT);
        println!("{text}");
        assert!(passed, "{version}:\n{text}");
    }
}
