//! Two masters that flush before they answer, one of the two killed again and again under load:
//! nothing that was acknowledged is lost, nothing lies twice in the log, the order of every queue
//! holds. `RMQ_SOAK_KILLS` says how often (6 unless told, 100 for the long form).

#[path = "support/apache.rs"]
mod apache;

use std::io::Write as _;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use apache::{Cluster, Deadline, Maker, Process, Workspace, client, exclusive, prepare, run};
use rmq_core::base::clock::{Clock, SystemClock};

/// xorshift64
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// The number that the load reported last after that word.
fn reported(load: &Process, word: &str) -> u64 {
    let text = load.log_text();
    let number = |line: &str| {
        let mut parts = line.split(' ').skip_while(|part| *part != word);
        parts.nth(1).and_then(|value| value.parse().ok())
    };
    text.lines().rev().find_map(number).unwrap_or(0)
}

fn await_more(load: &Process, than: u64, what: &str) {
    let deadline = Deadline::after(Duration::from_secs(30));
    while reported(load, "acked") <= than {
        assert!(!deadline.passed(), "no acknowledgement {what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn killed_masters_lose_nothing_that_they_acknowledged() {
    if !prepare(&["java", "mvn"], &["client-5.5.0", "server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let kills: u32 = std::env::var("RMQ_SOAK_KILLS").map_or(6, |value| {
        value.parse().expect("RMQ_SOAK_KILLS is a number")
    });
    let seed = SystemClock::new().wall_ms().unsigned_abs() | 1;
    println!("{kills} kills, seed {seed}");
    let mut random = Random(seed);
    let workspace = Workspace::new();
    let mut cluster = Cluster::start(
        Maker::under_test(),
        &workspace,
        &[("flushDiskType", "SYNC_FLUSH")],
    );
    let dir = workspace.folder("load");
    let mut command = client("5.5.0", "Load", &dir);
    command
        .args(["-n", &cluster.namesrv.address()])
        .args(["--topic", "soak", "--group", "soakers", "--rate", "1000"])
        .arg("--dir")
        .arg(&dir)
        .stdin(Stdio::piped());
    let mut load = Process::spawn("load", &mut command, &dir);
    load.await_output("ready", 0, Duration::from_secs(60));
    for kill in 1..=kills {
        await_more(&load, reported(&load, "acked"), "with both masters up");
        sleep(random.millis(300, 2500));
        let victim = usize::try_from(random.below(2)).expect("0 or 1");
        cluster.brokers[victim].kill();
        let acked = reported(&load, "acked");
        println!(
            "kill {kill}: {}, {acked} acked",
            cluster.brokers[victim].name
        );
        await_more(&load, acked + 50, "through the other master");
        sleep(random.millis(0, 1000));
        cluster.brokers[victim].start();
    }
    sleep(Duration::from_secs(2));
    let input = load
        .child()
        .stdin
        .as_mut()
        .expect("standard input is piped");
    input.write_all(b"stop\n").expect("the load listens");
    let ended = load.await_end(Duration::from_secs(120));
    let progress = load.log_text().lines().last().map(str::to_owned);
    println!("{}", progress.unwrap_or_default());
    assert!(ended.is_some(), "the load does not end");

    let mut history = client("5.5.0", "History", &dir);
    history.arg("--dir").arg(&dir);
    let home = workspace.folder("history");
    let (holds, text) = run("history", &mut history, &home, Duration::from_secs(60));
    println!("{text}");
    assert!(holds, "the history does not hold (seed {seed}):\n{text}");
    assert!(
        ended.is_some_and(|s| s.success()),
        "the load was not drained"
    );
}
