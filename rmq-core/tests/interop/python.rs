//! The Python package beside the official Java client, on rmq's servers and on Apache's: each
//! receives what the other sends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::apache::{
    Cluster, Deadline, Maker, Process, Workspace, client as java, exclusive, prepare,
};
use crate::peer;

const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "of_both";
const COUNT: usize = 32;

/// The interpreter of the environment that `make python` installs the wheel in.
fn interpreter() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let python = target.join("wheel-venv/bin/python");
    python.exists().then_some(python)
}

/// Bodies that a member was given, as far as they begin like this.
fn seen(process: &Process, prefix: &str) -> usize {
    let text = process.log_text();
    let begins = format!("got {prefix}");
    let mut lines: Vec<&str> = text.lines().filter(|l| l.starts_with(&begins)).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.len()
}

fn member(name: &str, mut command: Command, namesrv: &str, dir: &Path) -> Process {
    let group = format!("{name}_group");
    command.args(["-n", namesrv, "--topic", TOPIC, "--group", &group]);
    command.stdin(Stdio::piped());
    let mut process = Process::spawn(name, &mut command, dir);
    process.await_output("ready", 0, PATIENCE);
    process
}

fn each_receives_what_the_other_sends(maker: Maker) {
    let Some(python) = interpreter() else {
        assert!(std::env::var_os("CI").is_none(), "make python comes first");
        println!(
            "NOT RUN: the Python package is not installed below target: make python does that"
        );
        return;
    };
    if !prepare(&["java", "mvn"], &["client-5.5.0", "server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let cluster = Cluster::start(maker, &workspace, &[]);
    let namesrv = cluster.namesrv.address();
    let deadline = Deadline::after(PATIENCE);
    while !peer::brokers(&peer::client(), &namesrv).is_ok_and(|names| names.len() == 2) {
        assert!(!deadline.passed(), "both brokers are registered");
        std::thread::sleep(Duration::from_millis(20));
    }
    let dir = workspace.folder("member");
    let mut program = Command::new(python);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/python/member.py");
    program.arg(source);
    let mut members = [
        member("python", program, &namesrv, &workspace.folder("python")),
        member("java", java("5.5.0", "Member", &dir), &namesrv, &dir),
    ];
    members[0].say(&format!("send py {COUNT}"));
    members[1].say(&format!("send java {COUNT}"));
    let deadline = Deadline::after(PATIENCE);
    let complete = |members: &[Process]| {
        let whole = |one: &Process| ["py", "java"].map(|prefix| seen(one, prefix)) == [COUNT; 2];
        members.iter().all(whole)
    };
    while !complete(&members) {
        let shown = || members.each_ref().map(Process::log_text).join("\n");
        assert!(!deadline.passed(), "not everything came:\n{}", shown());
        std::thread::sleep(Duration::from_millis(20));
    }
    for one in &mut members {
        one.say("leave");
        one.await_output("left", 0, PATIENCE);
    }
}

#[test]
fn python_and_java_on_rmq() {
    each_receives_what_the_other_sends(Maker::under_test());
}

#[test]
fn python_and_java_on_apache() {
    each_receives_what_the_other_sends(Maker::Apache);
}
