//! Store directories that one of the two wrote and the other opens.

use std::fs;
use std::time::Duration;

use crate::apache::{Broker, Deadline, Maker, Namesrv, Workspace, client, exclusive, prepare, run};

const TOPIC: &str = "written";
const GROUP: &str = "readers";
/// Small files, so that the messages fill several of each kind, and delays that tests can wait for.
const KEYS: [(&str, &str); 3] = [
    ("mappedFileSizeCommitLog", "8388608"),
    ("mappedFileSizeConsumeQueue", "20000"),
    ("messageDelayLevel", "1s 15s"),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Stopped,
    Killed,
}

/// Committed offsets are written to disk every few seconds; a crash before that would lose them.
fn await_committed(broker: &Broker) {
    let file = broker.store().join("config/consumerOffset.json");
    let deadline = Deadline::after(Duration::from_secs(30));
    let key = format!("{TOPIC}@{GROUP}");
    while !fs::read_to_string(&file).is_ok_and(|text| text.contains(&key)) {
        assert!(
            !deadline.passed(),
            "{} holds no offsets of {key}",
            file.display()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `writer` fills a store and ends, `reader` opens it and is held against what was written.
fn hand_over(writer: Maker, reader: Maker, end: End) {
    if !prepare(
        &["java", "mvn"],
        &["client-4.9.8", "client-5.5.0", "server-5.5.0"],
    ) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let namesrv = Namesrv::started(reader, &workspace.folder("namesrv"));
    let mut broker = Broker::new(
        writer,
        "broker-a",
        &workspace.folder("broker-a"),
        &namesrv.address(),
        &KEYS,
    );
    broker.start();
    let home = workspace.folder("home");
    let manifest = workspace.path().join("manifest");
    let clean = (end == End::Stopped).to_string();
    let program = |version: &str, class: &str| {
        let mut command = client(version, class, &home);
        command
            .args(["-n", &namesrv.address(), "--topic", TOPIC, "--group", GROUP])
            .args(["--clean", &clean])
            .arg("--manifest")
            .arg(&manifest);
        run(class, &mut command, &home, Duration::from_secs(90))
    };
    let (filled, text) = program("5.5.0", "StoreFill");
    assert!(filled, "{text}");
    await_committed(&broker);
    match end {
        End::Stopped => {
            broker.stop();
            assert!(
                !broker.store().join("abort").exists(),
                "the abort file is left after a clean stop"
            );
        }
        End::Killed => {
            broker.kill();
            assert!(
                broker.store().join("abort").exists(),
                "no abort file while the broker runs"
            );
        }
    }
    let mut broker = broker.hand_over(reader);
    broker.start();
    let (held, text) = program("5.5.0", "StoreDrain");
    println!("{text}");
    assert!(held, "{text}");
}

#[test]
fn store_of_apache_stopped_is_opened_by_rmq() {
    hand_over(Maker::Apache, Maker::under_test(), End::Stopped);
}

#[test]
fn store_of_apache_killed_is_opened_by_rmq() {
    hand_over(Maker::Apache, Maker::under_test(), End::Killed);
}

#[test]
fn store_of_rmq_stopped_is_opened_by_apache() {
    hand_over(Maker::under_test(), Maker::Apache, End::Stopped);
}

#[test]
fn store_of_rmq_killed_is_opened_by_apache() {
    hand_over(Maker::under_test(), Maker::Apache, End::Killed);
}
