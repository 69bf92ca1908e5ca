//! Two masters on two hosts, as the documentation says to start them: default ports, the shipped
//! configuration files, `mqnamesrv &` and `mqbroker -c FILE &` on each, `mqshutdown` at the end.
//!
//! The hosts are network namespaces, made with `ip` (iproute2) by root. Where they cannot be made
//! the tests say so, and fail if the environment has CI set.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hosts::Host;
use nix::sys::signal::Signal;
use peer::StopAtEnd;
use process::{Ended, Home, Process, eventually};
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::base::{Error, ErrorKind};
use rmq_core::client::raw;
use rmq_core::net::Client;
use rmq_core::protocol::body::route::BrokerData;
use rmq_core::protocol::code::ResponseCode;

const ADDRESSES: [&str; 2] = ["192.168.1.11", "192.168.1.12"];
const NAMESERVERS: [&str; 2] = ["192.168.1.11:9876", "192.168.1.12:9876"];
const BROKERS: [&str; 2] = ["192.168.1.11:10911", "192.168.1.12:10911"];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A host with rmq unpacked on it: a folder with the commands and the configuration files.
struct Site {
    host: Host,
    home: Home,
    folder: PathBuf,
}

impl Site {
    fn new(host: Host) -> Self {
        let home = Home::new();
        let folder = home.join("bin");
        fs::create_dir(&folder).unwrap();
        for name in ["mqnamesrv", "mqbroker", "mqshutdown"] {
            symlink(process::built(name), folder.join(name)).unwrap();
        }
        for name in ["broker-a.conf", "broker-b.conf"] {
            let shipped = repository("conf/2m-noslave-syncflush").join(name);
            fs::copy(shipped, folder.join(name)).unwrap();
        }
        Self { host, home, folder }
    }

    /// `./mqbroker ...` in the folder, on this host.
    fn launch(&self, name: &'static str) -> process::Launch<'_> {
        let program = format!("./{name}");
        let launch = self.home.command(name).from(&self.folder, program);
        launch.inside(self.host.name())
    }

    fn namesrv(&self) -> Process {
        self.launch("mqnamesrv").start()
    }

    fn broker(&self, file: &str) -> Process {
        self.launch("mqbroker").arg("-c").arg(file).start()
    }

    fn shutdown(&self, kind: &str) -> Ended {
        self.launch("mqshutdown").arg(kind).run()
    }

    fn abort_file(&self) -> PathBuf {
        self.home.join("store/abort")
    }
}

fn sites() -> Option<[Site; 2]> {
    Some(hosts::pair()?.map(Site::new))
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

/// Waits until every nameserver of these knows exactly these brokers.
fn await_brokers(client: &Client, nameservers: &[&str], expected: &[&str]) {
    for nameserver in nameservers {
        let mut known = Ok(BTreeSet::new());
        eventually(&format!("{nameserver} knows {expected:?}"), || {
            known = peer::brokers(client, nameserver);
            matches!(&known, Ok(known) if *known == names(expected)).then_some(())
        });
    }
}

/// Queues of a topic by broker address, as a nameserver tells clients.
fn route(client: &Client, nameserver: &str, topic: &str) -> Result<BTreeMap<String, i32>, Error> {
    let not_there = ErrorKind::Remote(ResponseCode::TOPIC_NOT_EXIST.value());
    let data = match raw::route(client, nameserver, topic, peer::ANSWER) {
        Err(error) if error.kind() == not_there => return Ok(BTreeMap::new()),
        data => data?,
    };
    let queues = |name: &str| {
        let own = data.queues.iter().find(|queue| queue.broker_name == name);
        own.map_or(0, |queue| queue.write_queue_nums)
    };
    let pair = |broker: &BrokerData| (broker.broker_addrs[&0].clone(), queues(&broker.broker_name));
    Ok(data.brokers.iter().map(pair).collect())
}

/// What a producer does with a topic that nobody knows: it takes the brokers of the default topic
/// and sends to each of their queues in turn.
fn produce_new_topic(client: &Client, nameserver: &str, topic: &str) {
    assert!(route(client, nameserver, topic).unwrap().is_empty());
    let brokers = route(client, nameserver, "TBW102").unwrap();
    assert_eq!(
        brokers.keys().cloned().collect::<BTreeSet<_>>(),
        names(&BROKERS)
    );
    for number in 0..8 {
        for broker in brokers.keys() {
            let body = format!("{topic} {number}");
            peer::send(client, broker, (topic, number % 4), body).unwrap();
        }
    }
}

/// Sends and pulls without pause, and counts what fails.
#[derive(Default)]
struct Traffic {
    stop: AtomicBool,
    done: AtomicU64,
    failed: AtomicU64,
}

impl Traffic {
    fn run(&self, topic: &str) {
        let client = peer::client();
        while !self.stop.load(Ordering::Relaxed) {
            for broker in BROKERS {
                let outcome = peer::send(&client, broker, (topic, 0), "on").and_then(|receipt| {
                    let header = peer::pull_from(topic, 0, receipt.queue_offset);
                    raw::pull(&client, broker, &header, peer::ANSWER)
                });
                match outcome {
                    Ok(reply) if !reply.records.is_empty() => {
                        self.done.fetch_add(1, Ordering::Relaxed)
                    }
                    other => {
                        println!("{broker}: {other:?}");
                        self.failed.fetch_add(1, Ordering::Relaxed)
                    }
                };
            }
        }
    }

    fn goes_on(&self) {
        let before = self.done.load(Ordering::Relaxed);
        eventually("traffic goes on", || {
            (self.done.load(Ordering::Relaxed) > before + 20).then_some(())
        });
        assert_eq!(self.failed.load(Ordering::Relaxed), 0, "requests failed");
    }
}

#[test]
fn two_masters_with_a_nameserver_each() {
    let Some(sites) = sites() else { return };
    let [a, b] = &sites;
    // A broker before any nameserver: it boots, and waits for them.
    let mut broker_a = a.broker("broker-a.conf");
    let boot = |name: &str, address: &str| {
        format!(
            "The broker[{name}, {address}:10911] boot success. serializeType=JSON and name server \
             is 192.168.1.11:9876;192.168.1.12:9876"
        )
    };
    assert_eq!(broker_a.booted(), boot("broker-a", ADDRESSES[0]));
    let mut namesrv_a = a.namesrv();
    let mut namesrv_b = b.namesrv();
    for namesrv in [&mut namesrv_a, &mut namesrv_b] {
        let line = "The Name Server boot success. serializeType=JSON, address 0.0.0.0:9876";
        assert_eq!(namesrv.booted(), line);
        assert_eq!(namesrv.ports(), [9876].into());
    }
    a.host
        .within(|| await_brokers(&peer::client(), &NAMESERVERS, &["broker-a"]));
    let mut broker_b = b.broker("broker-b.conf");
    assert_eq!(broker_b.booted(), boot("broker-b", ADDRESSES[1]));
    for broker in [&broker_a, &broker_b] {
        assert_eq!(broker.ports(), [10909, 10911, 10912].into());
    }
    for site in &sites {
        site.host.within(|| {
            await_brokers(&peer::client(), &NAMESERVERS, &["broker-a", "broker-b"]);
        });
    }
    a.host.within(topics_are_spread);
    one_nameserver_gone(&sites, namesrv_a);
    let namesrv_a = a.namesrv();
    shut_down(&sites, [broker_a, broker_b], [namesrv_a, namesrv_b]);
}

/// A topic that comes into being by being sent to lies on both brokers; both nameservers say so.
fn topics_are_spread() {
    let client = peer::client();
    produce_new_topic(&client, NAMESERVERS[1], "spread");
    let expected: BTreeMap<String, i32> = BROKERS
        .iter()
        .map(|broker| ((*broker).to_owned(), 4))
        .collect();
    for nameserver in NAMESERVERS {
        eventually(&format!("{nameserver} has the new topic on both"), || {
            (route(&client, nameserver, "spread").unwrap() == expected).then_some(())
        });
    }
    for broker in BROKERS {
        for queue in 0..4 {
            let stored = peer::read_queue(&client, broker, "spread", queue).unwrap();
            assert_eq!(stored.len(), 2, "{broker} {queue}");
        }
        // The second listener serves too.
        let second = broker.replace("10911", "10909");
        peer::send(&client, &second, ("spread", 0), "by the second port").unwrap();
    }
}

fn one_nameserver_gone([a, b]: &[Site; 2], mut namesrv_a: Process) {
    let traffic = Traffic::default();
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&traffic.stop);
        scope.spawn(|| b.host.within(|| traffic.run("traffic")));
        traffic.goes_on();
        namesrv_a.kill();
        traffic.goes_on();
        b.host.within(|| {
            let client = peer::client();
            peer::brokers(&client, NAMESERVERS[0]).expect_err("it is dead");
            await_brokers(&client, &NAMESERVERS[1..], &["broker-a", "broker-b"]);
            // New topics too are found through the one that is left.
            produce_new_topic(&client, NAMESERVERS[1], "later");
            eventually("the new topic is known", || {
                let known = route(&client, NAMESERVERS[1], "later").unwrap();
                (known.len() == 2).then_some(())
            });
        });
        traffic.goes_on();
        // It comes back, and is told everything.
        let mut again = a.namesrv();
        b.host.within(|| {
            let client = peer::client();
            await_brokers(&client, &NAMESERVERS[..1], &["broker-a", "broker-b"]);
            let known = route(&client, NAMESERVERS[0], "later").unwrap();
            assert_eq!(known.len(), 2, "{known:?}");
        });
        traffic.goes_on();
        again.stop();
        traffic.goes_on();
    });
}

fn shut_down([a, b]: &[Site; 2], brokers: [Process; 2], nameservers: [Process; 2]) {
    let [mut broker_a, mut broker_b] = brokers;
    let [mut namesrv_a, mut namesrv_b] = nameservers;
    b.host.within(|| {
        let client = peer::client();
        // A change of topics is told at once; without one a new nameserver hears of a broker when
        // its next registration is due.
        for broker in BROKERS {
            raw::create_topic(&client, broker, "told", 1, peer::ANSWER).unwrap();
        }
        await_brokers(&client, &NAMESERVERS, &["broker-a", "broker-b"]);
    });
    assert!(a.abort_file().exists() && b.abort_file().exists());
    assert_eq!(a.shutdown("broker").code(), 0);
    assert_eq!(broker_a.ended().code(), Some(0));
    assert!(!a.abort_file().exists() && b.abort_file().exists());
    assert!(broker_b.is_running() && namesrv_a.is_running() && namesrv_b.is_running());
    b.host.within(|| {
        let client = peer::client();
        // Taken back by the broker itself: no waiting for anything to expire.
        for nameserver in NAMESERVERS {
            assert_eq!(
                peer::brokers(&client, nameserver).unwrap(),
                names(&["broker-b"])
            );
            let known = route(&client, nameserver, "spread").unwrap();
            assert_eq!(
                known.into_keys().collect::<BTreeSet<_>>(),
                names(&BROKERS[1..])
            );
        }
        peer::send(&client, BROKERS[1], ("spread", 0), "the other goes on").unwrap();
    });
    assert_eq!(b.shutdown("broker").code(), 0);
    assert_eq!(broker_b.ended().code(), Some(0));
    assert!(!b.abort_file().exists());
    assert_eq!(a.shutdown("namesrv").code(), 0);
    assert_eq!(namesrv_a.ended().code(), Some(0));
    assert!(namesrv_b.is_running());
    assert_eq!(b.shutdown("namesrv").code(), 0);
    assert_eq!(namesrv_b.ended().code(), Some(0));
    for kind in ["broker", "namesrv"] {
        let nothing = a.shutdown(kind);
        assert_eq!(nothing.stdout, format!("No mq{kind} running.\n"));
        assert!(nothing.code() > 0);
    }
}

#[test]
fn a_master_started_again_has_its_messages() {
    let Some(sites) = sites() else { return };
    let [a, b] = &sites;
    let _namesrv = b.namesrv();
    for round in 0..2 {
        let mut broker = a.broker("broker-a.conf");
        b.host.within(|| {
            let client = peer::client();
            await_brokers(&client, &NAMESERVERS[1..], &["broker-a"]);
            let receipt = peer::send(&client, BROKERS[0], ("kept", 0), "x").unwrap();
            assert_eq!(receipt.queue_offset, round);
        });
        match round {
            0 => broker.kill(),
            _ => broker.stop(),
        }
    }
}

#[test]
fn an_address_left_out_is_that_of_the_network_card() {
    let Some(sites) = sites() else { return };
    let [a, b] = &sites;
    // What else a host may have: a container bridge.
    a.host.ip("link add docker0 type bridge").unwrap();
    a.host.ip("addr add 172.17.0.1/16 dev docker0").unwrap();
    a.host.ip("link set docker0 up").unwrap();
    let _namesrv = b.namesrv();
    let shipped = fs::read_to_string(a.folder.join("broker-a.conf")).unwrap();
    let without: Vec<&str> = shipped
        .lines()
        .filter(|line| !line.starts_with("brokerIP"))
        .collect();
    assert_eq!(without.len() + 2, shipped.lines().count());
    fs::write(a.folder.join("auto.conf"), without.join("\n")).unwrap();

    let mut broker = a.broker("auto.conf");
    assert!(
        broker
            .booted()
            .starts_with("The broker[broker-a, 192.168.1.11:10911] ")
    );
    let log = broker.stderr();
    let line = log
        .lines()
        .find(|line| line.contains("address") && line.contains("eth0"));
    assert!(
        line.is_some_and(|line| line.contains("192.168.1.11")),
        "{log}"
    );
    b.host.within(|| {
        let client = peer::client();
        await_brokers(&client, &NAMESERVERS[1..], &["broker-a"]);
        let known = route(&client, NAMESERVERS[1], "TBW102").unwrap();
        assert_eq!(
            known.into_keys().collect::<BTreeSet<_>>(),
            names(&BROKERS[..1])
        );
        peer::send(&client, BROKERS[0], ("t", 0), "reached").unwrap();
    });
}

#[test]
fn a_nameserver_that_hangs_changes_nothing() {
    let Some(sites) = sites() else { return };
    let [a, b] = &sites;
    let _namesrv_a = a.namesrv();
    let namesrv_b = b.namesrv();
    let _broker = a.broker("broker-a.conf");
    namesrv_b.signal(Signal::SIGSTOP);
    a.host.within(|| {
        let client = peer::client();
        for topic in ["first", "second", "third"] {
            let clock = SystemClock::new();
            peer::send(&client, BROKERS[0], (topic, 0), "x").unwrap();
            eventually("the other nameserver is told", || {
                let known = route(&client, NAMESERVERS[0], topic).unwrap();
                (!known.is_empty()).then_some(())
            });
            println!("{topic}: known after {:?}", clock.monotonic());
        }
    });
    namesrv_b.signal(Signal::SIGCONT);
    b.host.within(|| {
        let client = peer::client();
        eventually("it is told when it goes on", || {
            let known = route(&client, NAMESERVERS[1], "third").ok()?;
            (!known.is_empty()).then_some(())
        });
    });
}

#[test]
fn a_host_that_does_not_answer_delays_no_start() {
    let Some(sites) = sites() else { return };
    let [a, _b] = &sites;
    let _namesrv = a.namesrv();
    // Packets to the other host vanish, as when it is switched off.
    let nobody = "192.168.1.12 lladdr 02:00:00:00:00:12 dev eth0 nud permanent";
    a.host.ip(&format!("neigh replace {nobody}")).unwrap();
    let clock = SystemClock::new();
    let mut broker = a.broker("broker-a.conf");
    let took = clock.monotonic();
    println!("booted after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    a.host.within(|| {
        let client = peer::client();
        await_brokers(&client, &NAMESERVERS[..1], &["broker-a"]);
        peer::send(&client, BROKERS[0], ("t", 0), "x").unwrap();
    });
    let stopping = SystemClock::new();
    broker.stop();
    let took = stopping.monotonic();
    println!("stopped after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
