//! Synchronous double write, as `conf/2m-2s-sync` sets it up: what was answered SEND_OK is on the
//! slave, whenever the master and its disk are lost, and nothing is answered SEND_OK that is not.
//!
//! `RMQ_WIPES` is the number of masters that are killed and wiped (5; 100 in the long form),
//! `RMQ_SEED` makes a run fall as another one did.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/log_files.rs"]
mod log_files;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use peer::{Dice, StopAtEnd};
use process::{Home, Process, eventually, free_port};
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw::{self, SendStatus};
use rmq_core::net::Client;
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::message::record::{CheckLevel, Records};

const TOPIC: &str = "double";
const QUEUES: i32 = 4;
const SENDERS: u64 = 8;
/// Longer than a master waits for its slaves.
const SEND: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Master,
    Slave,
}

/// A broker's place: a disk, and a port. It is master or slave as it is started.
struct Member {
    home: Home,
    port: u16,
    process: Option<Process>,
}

impl Member {
    fn new() -> Self {
        Self {
            home: Home::new(),
            port: free_port(),
            process: None,
        }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The shipped file, with what several brokers on one machine need besides.
    fn start(&mut self, role: Role, nameserver: &str) {
        let name = match role {
            Role::Master => "broker-a.properties",
            Role::Slave => "broker-a-s.properties",
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/2m-2s-sync");
        let shipped = fs::read_to_string(folder.join(name)).unwrap();
        let port = self.port;
        // Small files, so that some losses fall on their ends.
        let own = format!(
            "\nbrokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\nbindAddress=127.0.0.1\nlistenPort={port}\n\
             mappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=20000\n"
        );
        let file = self.home.write("broker.conf", &(shipped + &own));
        let launch = self.home.broker().config(&file).arg("-n").arg(nameserver);
        self.process = Some(launch.start());
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was started")
    }

    fn wipe(&self) {
        fs::remove_dir_all(self.home.join("store")).unwrap();
    }

    fn log(&self) -> std::path::PathBuf {
        self.home.join("store/commitlog")
    }
}

struct Cluster {
    _nameserver: Process,
    _home: Home,
    nameserver: String,
    master: Member,
    slave: Member,
}

impl Cluster {
    fn start() -> Self {
        let home = Home::new();
        let port = free_port();
        let file = home.write(
            "namesrv.conf",
            &format!("listenPort={port}\nbindAddress=127.0.0.1\n"),
        );
        let process = home.namesrv().config(&file).start();
        let nameserver = format!("127.0.0.1:{port}");
        let mut master = Member::new();
        master.start(Role::Master, &nameserver);
        let mut slave = Member::new();
        slave.start(Role::Slave, &nameserver);
        let cluster = Self {
            _nameserver: process,
            _home: home,
            nameserver,
            master,
            slave,
        };
        let client = peer::client();
        let address = cluster.master.address();
        for (topic, queues) in [(TOPIC, QUEUES), ("probe", 1)] {
            raw::create_topic(&client, &address, topic, queues, peer::ANSWER).unwrap();
        }
        cluster.await_double_write(&client);
        cluster
    }

    fn await_double_write(&self, client: &Client) {
        eventually("the master answers SEND_OK", || {
            let sent = peer::send(client, &self.master.address(), ("probe", 0), "p");
            matches!(sent, Ok(receipt) if receipt.status == SendStatus::Ok).then_some(())
        });
    }

    /// The slave goes on as the master, and a new, empty one becomes its slave.
    fn take_over(&mut self, slave_is_killed: bool) {
        let process = self.slave.process();
        match slave_is_killed {
            true => process.kill(),
            false => process.stop(),
        }
        std::mem::swap(&mut self.master, &mut self.slave);
        self.master.start(Role::Master, &self.nameserver);
        self.slave.start(Role::Slave, &self.nameserver);
    }
}

/// A message: its sender and its number.
type Id = (u64, u64);

#[derive(Clone, Copy, Debug)]
struct Answer {
    id: Id,
    /// Microseconds of the test's clock.
    sent: u64,
    answered: u64,
    status: SendStatus,
    place: (i32, i64),
}

/// What senders were answered.
struct Ledger {
    clock: SystemClock,
    stop: AtomicBool,
    next: [AtomicU64; SENDERS as usize],
    answers: Mutex<Vec<Answer>>,
    ok: AtomicU64,
}

impl Ledger {
    fn new() -> Self {
        Self {
            clock: SystemClock::new(),
            stop: AtomicBool::new(false),
            next: std::array::from_fn(|_| AtomicU64::new(0)),
            answers: Mutex::default(),
            ok: AtomicU64::new(0),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_micros()).unwrap()
    }

    /// Sends one message after the other to the master until told to stop, or until the master does
    /// not answer.
    fn run(&self, sender: u64, master: &str) {
        let client = peer::client();
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next[sender as usize].fetch_add(1, Ordering::Relaxed);
            let id = (sender, number);
            let queue = i32::try_from(number % QUEUES as u64).unwrap();
            let header = peer::message(TOPIC, queue);
            let sent = self.now();
            let body = body_of(id).into();
            let Ok(receipt) = raw::send(&client, master, &header, body, SEND) else {
                return;
            };
            self.ok.fetch_add(
                u64::from(receipt.status == SendStatus::Ok),
                Ordering::Relaxed,
            );
            self.answers.lock().unwrap().push(Answer {
                id,
                sent,
                answered: self.now(),
                status: receipt.status,
                place: (receipt.queue_id, receipt.queue_offset),
            });
        }
    }

    fn await_ok(&self, more: u64, what: &str) {
        let goal = self.ok.load(Ordering::Relaxed) + more;
        eventually(what, || {
            (self.ok.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }
}

fn body_of((sender, number): Id) -> String {
    let padding = usize::try_from((sender * 7_919 + number * 104_729) % 400).unwrap();
    format!("{sender} {number} {}", "p".repeat(padding))
}

fn id_of(body: &[u8]) -> Id {
    let text = std::str::from_utf8(body).unwrap();
    let mut words = text.split(' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    let id = (number(), number());
    assert_eq!(text, body_of(id), "a body was changed");
    id
}

type Places = BTreeMap<(i32, i64), Id>;

/// Adds what a broker has from these offsets on, and moves them to the ends.
fn read_on(
    client: &Client,
    broker: &str,
    offsets: &mut [i64; QUEUES as usize],
    found: &mut Places,
) {
    for queue in 0..QUEUES {
        let at = &mut offsets[queue as usize];
        let end = raw::max_offset(client, broker, TOPIC, queue, peer::ANSWER).unwrap();
        while *at < end {
            let pull = peer::pull_from(TOPIC, queue, *at);
            // The slave may have a topic's first messages before it is told of the topic.
            let unknown = ErrorKind::Remote(ResponseCode::TOPIC_NOT_EXIST.value());
            let reply = eventually("the slave knows the topic", || {
                match raw::pull(client, broker, &pull, peer::ANSWER) {
                    Err(error) if error.kind() == unknown => None,
                    reply => Some(reply.unwrap()),
                }
            });
            if reply.code == ResponseCode::PULL_RETRY_IMMEDIATELY {
                continue;
            }
            assert_eq!(reply.code, ResponseCode::SUCCESS, "{broker} {queue} {at}");
            for record in Records::new(&reply.records, CheckLevel::BodyCrc) {
                let record = record.unwrap();
                assert_eq!(record.queue_offset(), *at, "a hole in queue {queue}");
                found.insert((queue, *at), id_of(record.body()));
                *at += 1;
            }
        }
    }
}

/// Every SEND_OK of these is there, and none shares its place with another one.
fn check(answers: &[Answer], found: &Places) -> u64 {
    let mut promised = HashMap::new();
    for answer in answers.iter().filter(|one| one.status == SendStatus::Ok) {
        let Answer { id, place, .. } = *answer;
        assert_eq!(found.get(&place), Some(&id), "acknowledged at {place:?}");
        let other = promised.insert(place, id);
        assert!(other.is_none(), "{other:?} and {id:?} at {place:?}");
    }
    promised.len() as u64
}

fn wipes() -> u64 {
    std::env::var("RMQ_WIPES").map_or(5, |text| text.parse().expect("RMQ_WIPES is a number"))
}

#[test]
fn every_acknowledged_message_outlives_the_master_and_its_disk() {
    let mut dice = Dice::new(Dice::seed());
    let mut cluster = Cluster::start();
    let client = peer::client();
    let ledger = Ledger::new();
    let mut offsets = [0; QUEUES as usize];
    let mut found = Places::new();
    let mut checked = 0;
    for wipe in 1..=wipes() {
        ledger.stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let _stop = StopAtEnd(&ledger.stop);
            let address = cluster.master.address();
            for sender in 0..SENDERS {
                let (ledger, address) = (&ledger, address.clone());
                scope.spawn(move || ledger.run(sender, &address));
            }
            ledger.await_ok(50, "senders get on");
            std::thread::sleep(Duration::from_millis(dice.below(500)));
            cluster.master.process().kill();
        });
        cluster.master.wipe();
        let slave = cluster.slave.address();
        read_on(&client, &slave, &mut offsets, &mut found);
        let answers = std::mem::take(&mut *ledger.answers.lock().unwrap());
        let all = answers.len();
        let ok = check(&answers, &found);
        checked += ok;
        println!("wipe {wipe}: {ok} SEND_OK of {all} answers, all on the slave");
        cluster.take_over(dice.below(2) == 0);
        cluster.await_double_write(&client);
    }
    // Through all of it nothing has moved, on either of the two.
    for broker in [cluster.master.address(), cluster.slave.address()] {
        let mut again = Places::new();
        read_on(&client, &broker, &mut [0; QUEUES as usize], &mut again);
        assert!(again == found, "{broker} has something else");
    }
    println!("{checked} SEND_OK, 0 lost, {} stored", found.len());
}

/// Follows the queues as a consumer does, and counts what it sees.
fn consume(client: &Client, broker: &str, stop: &AtomicBool, seen: &AtomicI64) {
    let mut offsets = [0; QUEUES as usize];
    let mut found = Places::new();
    while !stop.load(Ordering::Relaxed) {
        read_on(client, broker, &mut offsets, &mut found);
        seen.store(offsets.iter().sum(), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_is_acknowledged_while_the_slave_is_stopped() {
    let mut cluster = Cluster::start();
    let client = peer::client();
    let ledger = Ledger::new();
    let seen = AtomicI64::new(0);
    let address = cluster.master.address();
    let (mut stopped, mut continued) = (0, 0);
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&ledger.stop);
        for sender in 0..SENDERS {
            let (ledger, address) = (&ledger, &address);
            scope.spawn(move || ledger.run(sender, address));
        }
        scope.spawn(|| consume(&client, &address, &ledger.stop, &seen));
        ledger.await_ok(500, "senders get on");
        let process = cluster.slave.process();
        process.signal(Signal::SIGSTOP);
        // A signal takes effect, and acknowledgements on their way arrive.
        std::thread::sleep(Duration::from_millis(100));
        stopped = ledger.now();
        eventually("senders are told that there is no slave", || {
            let answers = ledger.answers.lock().unwrap();
            let told = answers.iter().rev().take(1000);
            let none = told.filter(|one| one.status == SendStatus::SlaveNotAvailable);
            (none.count() >= 1000).then_some(())
        });
        let before = seen.load(Ordering::Relaxed);
        eventually("consumers go on without the slave", || {
            (seen.load(Ordering::Relaxed) > before + 500).then_some(())
        });
        continued = ledger.now();
        cluster.slave.process().signal(Signal::SIGCONT);
        ledger.await_ok(500, "senders get on with the slave back");
    });
    let answers = ledger.answers.into_inner().unwrap();
    let during: Vec<&Answer> = answers
        .iter()
        .filter(|one| one.sent > stopped && one.answered < continued)
        .collect();
    // Those that were on their way when the slave was stopped wait for it in vain.
    let late = count(answers.iter(), SendStatus::FlushSlaveTimeout);
    let none = count(during.iter().copied(), SendStatus::SlaveNotAvailable);
    let ok = count(during.iter().copied(), SendStatus::Ok);
    println!(
        "{} sends while the slave was stopped: {none} SLAVE_NOT_AVAILABLE, {ok} SEND_OK; {late} \
         FLUSH_SLAVE_TIMEOUT before",
        during.len()
    );
    assert!(late > 0 && none > 0 && ok == 0);
    compare(&cluster, &client, &answers);
}

fn count<'a>(answers: impl Iterator<Item = &'a Answer>, status: SendStatus) -> usize {
    answers.filter(|one| one.status == status).count()
}

/// Both have every message, those that were not promised too, and every byte of the log.
fn compare(cluster: &Cluster, client: &Client, answers: &[Answer]) {
    cluster.await_double_write(client);
    let end = log_files::end(&cluster.master.log());
    eventually("the slave has caught up", || {
        (log_files::end(&cluster.slave.log()) >= end).then_some(())
    });
    let same = log_files::compare(&cluster.master.log(), &cluster.slave.log(), end);
    assert_eq!(same, Ok(end));
    for broker in [cluster.master.address(), cluster.slave.address()] {
        let mut found = Places::new();
        eventually(&format!("{broker} shows everything"), || {
            read_on(client, &broker, &mut [0; QUEUES as usize], &mut found);
            (found.len() >= answers.len()).then_some(())
        });
        for answer in answers {
            assert_eq!(
                found.get(&answer.place),
                Some(&answer.id),
                "{broker}: {answer:?}"
            );
        }
    }
}
