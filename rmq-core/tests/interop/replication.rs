//! Masters of one maker with slaves of the other, and a live broker moved from Apache's to rmq.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;

use crate::apache::{
    Broker, Deadline, Load, Maker, Namesrv, Workspace, client, exclusive, prepare, run,
};
use crate::{log_files, peer};

const TOPIC: &str = "replicated";
const GROUP: &str = "readers";
/// Small files, so that the messages fill several of each kind.
const SIZES: [(&str, &str); 2] = [
    ("mappedFileSizeCommitLog", "8388608"),
    ("mappedFileSizeConsumeQueue", "20000"),
];
const PARTS: [&str; 4] = [
    "client-4.9.8",
    "client-5.5.0",
    "server-5.5.0",
    "server-4.9.7",
];
/// Longer than any slave takes until it asks for metadata.
const LIMIT: Duration = Duration::from_secs(90);

fn log_of(broker: &Broker) -> PathBuf {
    broker.store().join("commitlog")
}

fn await_that(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Deadline::after(LIMIT);
    while !met() {
        assert!(!deadline.passed(), "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Pair {
    workspace: Workspace,
    namesrv: Namesrv,
    master: Broker,
    slave: Broker,
}

impl Pair {
    /// The master started; the slave not yet.
    fn new(master: Maker, slave: Maker) -> Self {
        let workspace = Workspace::new();
        let namesrv = Namesrv::started(Maker::under_test(), &workspace.folder("namesrv"));
        let broker = |maker, folder, own: &[(&str, &str)]| {
            let extra = [&SIZES[..], own].concat();
            let folder = workspace.folder(folder);
            Broker::new(maker, "broker-a", &folder, &namesrv.address(), &extra)
        };
        let of_slave = [
            ("brokerId", "1"),
            ("brokerRole", "SLAVE"),
            ("slaveReadEnable", "true"),
        ];
        let slave = broker(slave, "slave", &of_slave);
        let mut master = broker(master, "master", &[]);
        master.start();
        Self {
            workspace,
            namesrv,
            master,
            slave,
        }
    }

    /// Waits until the slave has every byte of its master's log, and compares them.
    fn await_same_log(&self) {
        let mut ends = (0, 0);
        await_that("the slave has the whole log", || {
            let end = |broker| log_files::end(&log_of(broker));
            ends = (end(&self.master), end(&self.slave));
            ends.0 > 0 && ends.0 == ends.1
        });
        let same = log_files::compare(&log_of(&self.master), &log_of(&self.slave), ends.0);
        assert_eq!(same, Ok(ends.0), "the slave's log is another one");
        println!("{} bytes of log are the same", ends.0);
    }

    /// Waits until a file of the slave's folder `config` has this in it.
    fn await_metadata(&self, file: &str, what: &str) {
        let path = self.slave.store().join("config").join(file);
        await_that(&format!("{what} in {file} of the slave"), || {
            fs::read_to_string(&path).is_ok_and(|text| text.contains(what))
        });
    }

    fn program(&self, class: &str, more: &[&str]) -> (bool, String) {
        let home = self.workspace.folder("home");
        let mut command = client("5.5.0", class, &home);
        command
            .args(["-n", &self.namesrv.address()])
            .args(["--topic", TOPIC, "--group", GROUP])
            .arg("--manifest")
            .arg(self.workspace.path().join("manifest"))
            .args(more);
        run(class, &mut command, &home, Duration::from_secs(90))
    }
}

/// A master with messages of every kind and a group that has consumed a third of them, and an empty
/// slave that has just started.
fn filled(master: Maker, slave: Maker) -> Pair {
    let mut pair = Pair::new(master, slave);
    let (filled, text) = pair.program("StoreFill", &[]);
    assert!(filled, "{text}");
    pair.slave.start();
    pair
}

/// The slave gets everything that its master has, and serves it when the master is gone.
fn replicated(mut pair: Pair) {
    pair.await_same_log();
    pair.await_metadata("topics.json", &format!("\"{TOPIC}\""));
    pair.await_metadata("subscriptionGroup.json", &format!("\"{GROUP}\""));
    pair.await_metadata("consumerOffset.json", &format!("{TOPIC}@{GROUP}"));
    pair.master.kill();
    let (held, text) = pair.program("StoreDrain", &["--slave", "true"]);
    println!("{text}");
    assert!(held, "{text}");
}

#[test]
fn each_maker_has_slaves_of_the_other() {
    if !prepare(&["java", "mvn"], &PARTS) {
        return;
    }
    let _alone = exclusive();
    let rmq = Maker::under_test();
    // Apache's 5.5.0 asks its master for metadata a minute after it started; meanwhile the others.
    let slow = filled(rmq, Maker::Apache);
    for (master, slave) in [
        (Maker::Apache, rmq),
        (Maker::ApacheOld, rmq),
        (rmq, Maker::ApacheOld),
    ] {
        println!("{slave:?} is slave of {master:?}");
        replicated(filled(master, slave));
    }
    println!("{:?} is slave of {rmq:?}", Maker::Apache);
    replicated(slow);
}

/// The master takes no more messages; what it has can still be read.
fn make_read_only(master: &Broker) {
    let mut request = Command::bare_request(RequestCode::UPDATE_BROKER_CONFIG);
    request.body = "brokerPermission=4\n".into();
    let client = peer::client();
    let reply = client.call(&master.address(), request, peer::ANSWER);
    let reply = reply.expect("the master answers");
    assert_eq!(reply.response_code(), ResponseCode::SUCCESS, "{reply:?}");
}

/// A live broker of Apache's is replaced by rmq without losing a message: rmq joins as its slave,
/// catches up, the master takes no more messages and ends, and rmq goes on as the master.
fn moved(from: Maker) {
    if !prepare(&["java", "mvn"], &PARTS) {
        return;
    }
    let _alone = exclusive();
    let mut pair = Pair::new(from, Maker::under_test());
    let folder = pair.workspace.folder("load");
    let load = Load::start_on(1, &pair.namesrv.address(), "moved", &folder);
    load.await_acked(3000, "by Apache's master alone");
    pair.slave.start();
    load.await_acked(3000, "while the slave catches up");
    pair.await_metadata("consumerOffset.json", "moved@moved_group");
    make_read_only(&pair.master);
    pair.await_same_log();
    pair.master.stop();
    pair.slave.stop();
    pair.slave.set("brokerId", "0");
    pair.slave.set("brokerRole", "ASYNC_MASTER");
    pair.slave.start();
    load.await_acked(3000, "by rmq");
    match load.finish() {
        Ok(counts) => println!("{counts}"),
        Err(wrong) => panic!("the history does not hold:\n{wrong}"),
    }
}

#[test]
fn a_broker_moves_from_apache_5_5_0_to_rmq() {
    moved(Maker::Apache);
}

#[test]
fn a_broker_moves_from_apache_4_9_7_to_rmq() {
    moved(Maker::ApacheOld);
}
