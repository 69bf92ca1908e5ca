//! The commands as an operator meets them: boot lines, options, what a failure says, clean stops.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use process::{Ended, Home, Process, eventually, free_port};
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::protocol::code::ResponseCode;

/// A broker of this host alone with small files. It stores in `~/store`.
fn broker_text(port: u16) -> String {
    format!(
        "brokerName=broker-a\nbrokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\n\
         bindAddress=127.0.0.1\nlistenPort={port}\nmappedFileSizeCommitLog=1m\n"
    )
}

fn namesrv_text(port: u16) -> String {
    format!("bindAddress=127.0.0.1\nlistenPort={port}\n")
}

fn start_broker(home: &Home, port: u16, more: &str) -> Process {
    let file = home.write("broker.conf", &(broker_text(port) + more));
    home.broker().config(&file).start()
}

fn start_namesrv(home: &Home, port: u16) -> Process {
    let file = home.write("namesrv.conf", &namesrv_text(port));
    home.namesrv().config(&file).start()
}

fn run_broker(home: &Home, text: &str) -> Ended {
    let file = home.write("broker.conf", text);
    home.broker().config(&file).run()
}

/// The `key=value` lines of a printed configuration.
fn items(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line
            .split_once('=')
            .unwrap_or_else(|| panic!("no = in {line:?}"));
        (key.to_owned(), value.to_owned())
    };
    text.lines().map(pair).collect()
}

fn abort_file(home: &Home) -> PathBuf {
    home.join("store/abort")
}

#[test]
fn the_nameserver_boots_with_apaches_line() {
    let home = Home::new();
    let port = free_port();
    let file = home.write("namesrv.conf", &format!("listenPort={port}\n"));
    let mut namesrv = home.namesrv().config(&file).start();
    let boot = format!("The Name Server boot success. serializeType=JSON, address 0.0.0.0:{port}");
    assert_eq!(namesrv.booted(), boot);
    let told = format!("load config properties file OK, {}", file.display());
    assert_eq!(namesrv.stdout(), format!("{told}\n{boot}\n"));
    assert_eq!(namesrv.ports(), [port].into());
    namesrv.stop();
    assert_eq!(namesrv.stdout(), format!("{told}\n{boot}\n"));
}

#[test]
fn the_nameserver_boots_on_a_free_port() {
    let home = Home::new();
    let mut namesrv = start_namesrv(&home, 0);
    let address = namesrv.address();
    let port: u16 = address.strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
    assert_eq!(namesrv.ports(), [port].into());
    assert!(peer::brokers(&peer::client(), &address).unwrap().is_empty());
}

#[test]
fn the_broker_boots_with_apaches_line() {
    let home = Home::new();
    let mut namesrv = start_namesrv(&home, 0);
    let nameserver = namesrv.address();
    let port = free_port();
    let file = home.write("broker.conf", &broker_text(port));
    let mut broker = home
        .broker()
        .config(&file)
        .arg("-n")
        .arg(&nameserver)
        .start();
    let boot = format!(
        "The broker[broker-a, 127.0.0.1:{port}] boot success. serializeType=JSON and name server \
         is {nameserver}"
    );
    assert_eq!(broker.stdout(), format!("{boot}\n"));
    assert!(broker.ports().is_superset(&[port, port - 2].into()));
    // A broker that says that it has booted is known to the nameservers that are up.
    let known = peer::brokers(&peer::client(), &nameserver).unwrap();
    assert_eq!(known, ["broker-a".to_owned()].into());

    // A clean stop takes that back at once.
    broker.stop();
    assert!(
        peer::brokers(&peer::client(), &nameserver)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_broker_without_nameservers_says_nothing_of_them() {
    let home = Home::new();
    let port = free_port();
    let mut broker = start_broker(&home, port, "");
    assert_eq!(
        broker.booted(),
        format!("The broker[broker-a, 127.0.0.1:{port}] boot success. serializeType=JSON")
    );
}

#[test]
fn nameservers_come_from_the_line_before_the_file_before_the_environment() {
    let home = Home::new();
    let file = home.write("broker.conf", "namesrvAddr=127.0.0.1:2\n");
    let shown = |launch: process::Launch<'_>| {
        let ended = launch.arg("-p").run();
        assert_eq!(ended.code(), 0, "{ended:?}");
        items(&ended.stdout)["namesrvAddr"].clone()
    };
    let from_environment = || home.broker().env("NAMESRV_ADDR", "127.0.0.1:1");
    assert_eq!(shown(from_environment()), "127.0.0.1:1");
    assert_eq!(shown(from_environment().config(&file)), "127.0.0.1:2");
    let all = from_environment()
        .config(&file)
        .arg("-n")
        .arg("127.0.0.1:3;127.0.0.1:4");
    assert_eq!(shown(all), "127.0.0.1:3;127.0.0.1:4");
}

#[test]
fn configurations_are_printed_and_nothing_is_started() {
    let home = Home::new();
    let file = home.write(
        "broker.conf",
        "# mine\nbrokerName = printed\nflushDiskType=sync_flush\n",
    );
    let ended = home.broker().config(&file).arg("-p").run();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let all = items(&ended.stdout);
    assert_eq!(all["brokerName"], "printed");
    assert_eq!(all["flushDiskType"], "SYNC_FLUSH");
    assert_eq!(all["listenPort"], "10911");
    assert_eq!(all["haListenPort"], "10912");
    assert_eq!(
        all["storePathRootDir"],
        home.join("store").to_str().unwrap()
    );
    assert!(all.len() > 200, "{} items", all.len());

    let ended = home.broker().config(&file).arg("-m").run();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let important = items(&ended.stdout);
    assert_eq!(important["brokerName"], "printed");
    assert!(
        important.len() < all.len() / 2,
        "{} of {}",
        important.len(),
        all.len()
    );
    assert!(
        important
            .iter()
            .all(|(key, value)| all.get(key) == Some(value))
    );

    let file = home.write("namesrv.conf", "kvConfigPath=elsewhere\n");
    let ended = home.namesrv().config(&file).arg("-p").run();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let all = items(&ended.stdout);
    assert_eq!(
        (&*all["listenPort"], &*all["kvConfigPath"]),
        ("9876", "elsewhere")
    );
    assert!(!home.join("store").exists() && !home.join("namesrv").exists());
}

#[test]
fn printing_a_wrong_configuration_fails() {
    let home = Home::new();
    let file = home.write("broker.conf", "listenPort=no\n");
    let ended = home.broker().config(&file).arg("-p").run();
    assert!(ended.cause().contains("listenPort=no"), "{ended:?}");
}

#[test]
fn every_command_explains_itself() {
    let home = Home::new();
    for name in ["mqnamesrv", "mqbroker", "mqshutdown"] {
        for option in ["-h", "--help"] {
            let ended = home.command(name).arg(option).run();
            assert_eq!(ended.code(), 0, "{ended:?}");
            assert!(ended.stdout.contains(name), "{ended:?}");
            assert_eq!(ended.stderr, "");
        }
        let ended = home.command(name).arg("--no-such-option").run();
        assert!(ended.code() > 0 && ended.stdout.is_empty(), "{ended:?}");
        assert!(ended.stderr.contains("--no-such-option"), "{ended:?}");
    }
    for wrong in [vec![], vec!["proxy"]] {
        let launch = home.command("mqshutdown");
        let ended = wrong
            .iter()
            .fold(launch, |launch, arg| launch.arg(*arg))
            .run();
        assert!(ended.code() > 0, "{ended:?}");
        assert!(ended.stderr.contains("broker") && ended.stderr.contains("namesrv"));
    }
}

#[test]
fn an_unknown_key_is_reported_once_and_ignored() {
    let home = Home::new();
    let port = free_port();
    let more = "flushDiskTyp=SYNC_FLUSH\nsomethingElse=1\nsomethingElse=2\n";
    let mut broker = start_broker(&home, port, more);
    broker.stop();
    let told = broker.stderr();
    let lines = |key: &str| told.lines().filter(|line| line.contains(key)).count();
    assert_eq!(lines("flushDiskTyp "), 1, "{told}");
    assert_eq!(lines("somethingElse"), 1, "{told}");
    let file = home.join("broker.conf");
    assert!(told.contains(&format!("{}:7", file.display())), "{told}");
    assert!(told.contains("flushDiskType?"), "{told}");
    // A printed configuration says it too, beside the output.
    let ended = home.broker().config(&file).arg("-p").run();
    assert_eq!(ended.code(), 0);
    assert_eq!(
        ended.stderr.matches("somethingElse").count(),
        1,
        "{ended:?}"
    );
}

/// Wrong values: a line of a file, and what the failure must say of what is allowed.
const WRONG_VALUES: [(&str, &str); 17] = [
    ("listenPort=http", "0 to 65535"),
    ("listenPort=65536", "0 to 65535"),
    ("listenPort=-1", "0 to 65535"),
    ("listenPort=2", "listenPort-2"),
    ("brokerId=first", "a whole number from -1 on"),
    ("brokerRole=MASTER", "ASYNC_MASTER or SYNC_MASTER or SLAVE"),
    ("flushDiskType=MAYBE", "ASYNC_FLUSH or SYNC_FLUSH"),
    ("autoCreateTopicEnable=yes", "true or false"),
    ("brokerPermission=8", "0 to 7"),
    ("mappedFileSizeCommitLog=12x", "65536 to"),
    ("deleteWhen=25", "0 to 23"),
    ("messageDelayLevel=1s soon", "10s, 5m, 2h"),
    ("namesrvAddr=nowhere", "host:port"),
    ("namesrvAddr=127.0.0.1:0", "host:port"),
    ("brokerIP1=not-an-address", "IP address"),
    ("bindAddress=everywhere", "IP address"),
    ("rmq.logLevel=loud", "off or error or warn"),
];

#[test]
fn a_wrong_value_names_file_line_key_value_and_what_is_allowed() {
    let home = Home::new();
    for (line, allowed) in WRONG_VALUES {
        let text = format!("# a comment\n\nbrokerName=broker-a\n{line}\nbrokerClusterName=c\n");
        let ended = run_broker(&home, &text);
        let place = format!("{}:4", home.join("broker.conf").display());
        let cause = ended.cause();
        for part in ["mqbroker: ", &place, line, allowed] {
            assert!(cause.contains(part), "{part:?} is not in {cause:?}");
        }
    }
    let file = home.write("namesrv.conf", "\nscanNotActiveBrokerInterval=never\n");
    let ended = home.namesrv().config(&file).run();
    let place = format!("{}:2", file.display());
    for part in [
        "mqnamesrv: ",
        &place,
        "scanNotActiveBrokerInterval=never",
        "1 to 3600000",
    ] {
        assert!(ended.cause().contains(part), "{ended:?}");
    }
    let ended = home.broker().arg("-n").arg("127.0.0.1").run();
    assert!(ended.cause().contains("command line"), "{ended:?}");
    assert!(ended.cause().contains("127.0.0.1"), "{ended:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_line() {
    let home = Home::new();
    let missing = home.join("no/such.conf");
    for launch in [home.broker(), home.namesrv()] {
        let ended = launch.clone().config(&missing).run();
        assert!(
            ended.cause().contains(missing.to_str().unwrap()),
            "{ended:?}"
        );
        let ended = launch.clone().config(home.path()).run();
        assert!(
            ended.cause().contains(home.path().to_str().unwrap()),
            "{ended:?}"
        );
        let file = home.write("escape.conf", "brokerName=a\nbrokerName=\\u12\n");
        let ended = launch.config(&file).run();
        assert!(
            ended.cause().contains(&format!("{}:2", file.display())),
            "{ended:?}"
        );
    }
}

#[test]
fn a_port_in_use_is_one_line() {
    let home = Home::new();
    let port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let in_use = |ended: &Ended, port: u16| {
        let cause = ended.cause();
        assert!(cause.contains(&format!("127.0.0.1:{port}")), "{cause}");
        assert!(cause.to_lowercase().contains("in use"), "{cause}");
    };
    let file = home.write("namesrv.conf", &namesrv_text(port));
    in_use(&home.namesrv().config(&file).run(), port);
    in_use(&run_broker(&home, &broker_text(port)), port);
    // What the broker had opened before is closed in order again.
    assert!(!abort_file(&home).exists());
    drop(taken);

    for other in [port - 2, port + 1] {
        let _taken = TcpListener::bind(("127.0.0.1", other)).unwrap();
        in_use(&run_broker(&home, &broker_text(port)), other);
        assert!(!abort_file(&home).exists());
    }
}

#[test]
fn a_path_that_cannot_be_written_is_one_line() {
    let home = Home::new();
    home.write("file", "in the way");
    let port = free_port();
    for (key, path) in [
        ("storePathRootDir", home.join("file")),
        ("storePathRootDir", home.join("file/store")),
        ("storePathRootDir", PathBuf::from("/proc/rmq-store")),
        ("storePathCommitLog", home.join("file/log")),
        ("rmq.logDir", home.join("file/logs")),
    ] {
        let ended = run_broker(
            &home,
            &format!("{}{key}={}\n", broker_text(port), path.display()),
        );
        assert!(ended.cause().contains(path.to_str().unwrap()), "{ended:?}");
    }
    let logs = home.join("file/logs");
    let text = format!("{}rmq.logDir={}\n", namesrv_text(0), logs.display());
    let file = home.write("namesrv.conf", &text);
    let ended = home.namesrv().config(&file).run();
    assert!(ended.cause().contains(logs.to_str().unwrap()), "{ended:?}");
}

#[test]
fn a_store_of_another_process_is_one_line() {
    let home = Home::new();
    let mut first = start_broker(&home, free_port(), "");
    let ended = run_broker(&home, &broker_text(free_port()));
    let cause = ended.cause();
    assert!(
        cause.contains(home.join("store").to_str().unwrap()),
        "{cause}"
    );
    assert!(cause.contains("lock"), "{cause}");
    // The first one does not notice.
    let address = first.address();
    peer::send(&peer::client(), &address, ("t", 0), "still here").unwrap();
    first.stop();
    assert!(!abort_file(&home).exists());
}

#[test]
fn a_role_that_would_replicate_nothing_is_refused_at_the_start() {
    let home = Home::new();
    let port = free_port();
    for (more, why) in [
        (
            "brokerRole=SLAVE\nbrokerId=0\n",
            "Slave's brokerId must be > 0",
        ),
        ("brokerId=1\n", "brokerRole=SLAVE"),
        ("brokerRole=SYNC_MASTER\nbrokerId=1\n", "brokerRole=SLAVE"),
        ("brokerRole=SLAVE\nbrokerId=1\n", "needs namesrvAddr"),
    ] {
        let ended = run_broker(&home, &(broker_text(port) + more));
        assert!(ended.cause().contains(why), "{ended:?}");
    }
}

#[test]
fn signals_stop_cleanly_and_the_next_start_goes_on() {
    let home = Home::new();
    let port = free_port();
    let client = peer::client();
    for (round, signal) in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .enumerate()
    {
        let mut broker = start_broker(&home, port, "");
        let address = broker.address();
        assert!(abort_file(&home).exists());
        let receipt = peer::send(&client, &address, ("t", 1), format!("{round}")).unwrap();
        assert_eq!(receipt.queue_offset, round as i64, "{receipt:?}");
        broker.signal(signal);
        assert_eq!(broker.ended().code(), Some(0), "{signal}");
        assert!(!abort_file(&home).exists(), "{signal}");
    }
    let mut broker = start_broker(&home, port, "");
    let stored = peer::read_queue(&client, &broker.address(), "t", 1).unwrap();
    let bodies: Vec<&[u8]> = stored.iter().map(|one| &one.body[..]).collect();
    assert_eq!(bodies, [b"0", b"1", b"2"]);

    let mut namesrv = start_namesrv(&home, 0);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        namesrv.signal(signal);
        assert_eq!(namesrv.ended().code(), Some(0), "{signal}");
        namesrv = start_namesrv(&home, 0);
    }
}

#[test]
fn an_ignored_hangup_stays_ignored() {
    let home = Home::new();
    let port = free_port();
    let file = home.write("broker.conf", &broker_text(port));
    let mut broker = home.broker().config(&file).ignoring("HUP INT").start();
    broker.signal(Signal::SIGHUP);
    broker.signal(Signal::SIGINT);
    // Had they been taken, the broker would be on its way out and refuse this.
    let clock = SystemClock::new();
    while clock.monotonic().as_millis() < 300 {
        peer::send(
            &peer::client(),
            &broker.address(),
            ("t", 0),
            "after the hangup",
        )
        .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(broker.is_running());
    broker.stop();
}

#[test]
fn a_stop_that_comes_during_the_start_is_clean() {
    let home = Home::new();
    let file = home.write("broker.conf", &broker_text(free_port()));
    for wait_ms in [0, 5, 10, 20, 40] {
        let mut broker = home.broker().config(&file).spawn();
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        broker.signal(Signal::SIGTERM);
        let status = broker.ended();
        // Before the command has looked at its options the signal ends it as it ends any other.
        assert!(
            status.success() || !abort_file(&home).exists(),
            "{wait_ms} ms: {status}"
        );
    }
    home.broker().config(&file).start().stop();
    assert!(!abort_file(&home).exists());
}

#[test]
fn a_killed_broker_leaves_its_abort_file_and_starts_again() {
    let home = Home::new();
    let port = free_port();
    let client = peer::client();
    let mut broker = start_broker(&home, port, "flushDiskType=SYNC_FLUSH\n");
    peer::send(&client, &broker.address(), ("t", 0), "kept").unwrap();
    broker.kill();
    assert!(abort_file(&home).exists());
    let mut broker = start_broker(&home, port, "flushDiskType=SYNC_FLUSH\n");
    let stored = peer::read_queue(&client, &broker.address(), "t", 0).unwrap();
    assert_eq!(stored.len(), 1);
    broker.stop();
    assert!(!abort_file(&home).exists());
}

#[test]
fn files_that_can_be_made_again_may_be_missing() {
    let home = Home::new();
    let port = free_port();
    let client = peer::client();
    let gone = ["queueSnapshot", "checkpoint", "consumequeue", "config"];
    for (round, name) in gone.into_iter().enumerate() {
        let mut broker = start_broker(&home, port, "");
        let address = broker.address();
        for queue in 0..2 {
            let sent = peer::send(&client, &address, ("t", queue), format!("{round}")).unwrap();
            assert_eq!(sent.queue_offset, round as i64, "before {name} was removed");
        }
        broker.stop();
        let path = home.join("store").join(name);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
    let mut broker = start_broker(&home, port, "");
    let address = broker.address();
    // The topic has to be made again before it can be read.
    peer::send(&client, &address, ("t", 0), "last").unwrap();
    for (queue, count) in [(0, 5), (1, 4)] {
        let stored = peer::read_queue(&client, &address, "t", queue).unwrap();
        assert_eq!(stored.len(), count, "queue {queue}");
    }
}

#[test]
fn limits_of_descriptors_are_raised_to_what_is_allowed() {
    let home = Home::new();
    let file = home.write("namesrv.conf", &namesrv_text(0));
    let hard = process::raise_open_files();
    let namesrv = home.namesrv().config(&file).soft_open_files(256).start();
    assert_eq!(namesrv.open_files_limit(), hard);
}

fn logs_in(folder: &Path) -> String {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn logs_go_where_they_are_sent() {
    let home = Home::new();
    let logs = home.join("deep/logs");
    let more = format!("rmq.logDir={}\nunknownOne=1\n", logs.display());
    let mut broker = start_broker(&home, free_port(), &more);
    eventually("the chosen address is logged", || {
        logs_in(&logs).contains("127.0.0.1").then_some(())
    });
    broker.stop();
    let name = fs::read_dir(&logs)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let name = name.to_str().unwrap();
    assert!(
        name.starts_with("broker.") && name.ends_with(".log"),
        "{name}"
    );
    let text = logs_in(&logs);
    assert!(
        text.contains("unknownOne") && text.contains("stopping"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "colours in a file");
    // Standard error has the warning for whoever started it, and no log.
    assert_eq!(broker.stderr().lines().count(), 1, "{}", broker.stderr());

    let quiet = start_broker(&home, free_port(), "rmq.logLevel=off\n");
    assert_eq!(quiet.stderr(), "");
    drop(quiet);
}

#[test]
fn mqshutdown_stops_what_runs_and_says_so() {
    let Some(host) = hosts::single() else { return };
    let home = Home::new();
    let shutdown = |kind: &str| {
        home.command("mqshutdown")
            .arg(kind)
            .inside(host.name())
            .run()
    };
    for (kind, name) in [("broker", "mqbroker"), ("namesrv", "mqnamesrv")] {
        let ended = shutdown(kind);
        assert!(ended.code() > 0, "{ended:?}");
        assert_eq!(ended.stdout, format!("No {name} running.\n"));
    }

    let file = home.write("broker.conf", &broker_text(10_911));
    let mut broker = home.broker().config(&file).inside(host.name()).start();
    let mut namesrv = home.namesrv().inside(host.name()).start();
    let ended = shutdown("broker");
    assert_eq!(ended.code(), 0, "{ended:?}");
    let pid = broker.id();
    assert_eq!(
        ended.stdout,
        format!("The mqbroker({pid}) is running...\nSend shutdown request to mqbroker({pid}) OK\n")
    );
    // It waits until the server is gone.
    assert!(!abort_file(&home).exists());
    assert_eq!(broker.ended().code(), Some(0));
    assert!(namesrv.is_running());
    assert_eq!(shutdown("namesrv").code(), 0);
    assert_eq!(namesrv.ended().code(), Some(0));
    assert!(shutdown("namesrv").code() > 0);
}

#[test]
fn a_full_disk_is_waited_out() {
    // A disk of its own takes the same rights as a network of its own.
    let Some(_host) = hosts::single() else { return };
    let home = Home::new();
    let disk = home.join("disk");
    fs::create_dir(&disk).unwrap();
    // What fills up is the disk itself; nothing is refused or deleted before it has.
    let more = format!(
        "storePathRootDir={}/store\ndiskMaxUsedSpaceRatio=99\ndiskSpaceCleanForciblyRatio=99\n\
         diskSpaceWarningLevelRatio=100\n",
        disk.display()
    );
    let file = home.write("broker.conf", &(broker_text(free_port()) + &more));
    let mut broker = home.broker().config(&file).on_small_disk(&disk, 16).start();
    let (client, address) = (peer::client(), broker.address());
    let send = || peer::send(&client, &address, ("t", 0), vec![b'x'; 50_000]);
    let mut taken = 0;
    let refused = loop {
        match send() {
            Ok(receipt) => assert_eq!(receipt.queue_offset, taken),
            Err(error) => break error,
        }
        taken += 1;
        assert!(taken < 1_000, "a disk of 16 MiB takes more than it has");
    };
    let unavailable = ErrorKind::Remote(ResponseCode::SERVICE_NOT_AVAILABLE.value());
    assert_eq!(refused.kind(), unavailable, "{refused}");
    assert!(taken > 100, "{taken} messages filled the disk");
    // Reading goes on.
    let count = || peer::read_queue(&client, &address, "t", 0).unwrap().len() as i64;
    assert_eq!(count(), taken);
    fs::remove_file(broker.root(&disk).join("ballast")).unwrap();
    let receipt = eventually("messages are taken again", || send().ok());
    assert_eq!(receipt.queue_offset, taken);
    (0..40).for_each(|_| drop(send().unwrap()));
    assert_eq!(count(), taken + 41);
    broker.stop();
}
