//! A whole run: start, load, faults one after the other, end, verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw;
use rmq_core::net;
use rmq_core::protocol::code::ResponseCode;
use rmq_core::protocol::message::record::{CheckLevel, Records};

use crate::apache::{Workspace, exclusive, prepare};
use crate::checker::{self, Conditions, Verdict, Wrong};
use crate::clients::{Client, Kind, Rate};
use crate::cluster::{Cluster, Deployment, Role};
use crate::faults::Fault;
use crate::figures;
use crate::history::{Entry, History, Id, Queue};
use crate::hosts;
use crate::log_files;
use crate::peer::{self, Dice};
use crate::stage::{QUEUES, Stage, TOPIC, now};

/// When consumers have been given nothing new for this long, they are given nothing any more.
const QUIET: Duration = Duration::from_secs(40);

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) deployment: &'static Deployment,
    pub(crate) clients: &'static [Kind],
    /// The faults of the form that CI runs, each once.
    pub(crate) faults: &'static [Fault],
    /// Of the time that `RMQ_FAULT_SECONDS` gives, in percent.
    pub(crate) share: u64,
}

/// The time for faults in the long form.
fn given_time(plan: &Plan) -> Option<Duration> {
    let text = std::env::var("RMQ_FAULT_SECONDS").ok()?;
    let seconds: u64 = text.parse().expect("RMQ_FAULT_SECONDS is a number");
    Some(Duration::from_secs(seconds * plan.share / 100))
}

pub(crate) fn run(plan: &'static Plan) {
    let mut parts = vec!["client-5.5.0"];
    parts.extend(plan.clients.iter().map(|kind| match kind {
        Kind::Java("4.9.8") => "client-4.9.8",
        Kind::Java(_) => "client-5.5.0",
        Kind::Go => "go",
    }));
    if !prepare(&["java", "mvn", "go"], &parts) {
        return;
    }
    let _alone = exclusive();
    let dice = Dice::new(Dice::seed());
    let Some(cluster) = Cluster::start(plan.deployment) else {
        return;
    };
    let observer = cluster.observer().name().to_owned();
    hosts::within(&observer, || stage(plan, cluster, dice));
}

fn stage(plan: &Plan, cluster: Cluster, dice: Dice) {
    let workspace = Workspace::new();
    let long = given_time(plan);
    let seconds = Duration::from_secs;
    let mut stage = Stage {
        cluster,
        clients: Vec::new(),
        dice,
        conditions: Conditions::default(),
        records: Vec::new(),
        hold: if long.is_some() {
            (seconds(4), seconds(20))
        } else {
            (seconds(5), seconds(6))
        },
    };
    println!("== {}", plan.deployment.name);
    stage.conditions.lag_may_be_lost = !plan.deployment.double_write;
    let began = now();
    stage.create_topics();
    stage.await_whole();
    start_clients(&mut stage, plan, &workspace);
    stage.await_load();
    // Members of a group find each other.
    stage.conditions.disturbed.push((began, now() + 5_000_000));
    match long {
        None => {
            for fault in shuffled(plan.faults, &mut stage.dice) {
                stage.suffer(fault);
            }
        }
        Some(time) => suffer_for(&mut stage, time),
    }
    finish(stage);
}

fn start_clients(stage: &mut Stage, plan: &Plan, workspace: &Workspace) {
    let rate = Rate {
        producers: 8,
        messages: 150,
    };
    for (kind, number) in plan.clients.iter().zip(1..) {
        let folder = workspace.folder(&format!("client-{number}"));
        let client = Client::start(*kind, number, &stage.cluster, (TOPIC, rate), &folder);
        stage.clients.push(client);
    }
    for client in &mut stage.clients {
        client.await_ready();
    }
}

fn shuffled(faults: &[Fault], dice: &mut Dice) -> Vec<Fault> {
    let mut left = faults.to_vec();
    let mut mixed = Vec::new();
    while !left.is_empty() {
        let index = usize::try_from(dice.below(left.len() as u64)).unwrap();
        mixed.push(left.swap_remove(index));
    }
    mixed
}

/// Every fault that there is, in an order made by chance, again and again.
fn suffer_for(stage: &mut Stage, time: Duration) {
    let all = Fault::all(stage.cluster.deployment.has_slaves());
    let clock = SystemClock::new();
    while clock.monotonic() < time {
        for fault in shuffled(&all, &mut stage.dice) {
            if clock.monotonic() < time {
                stage.suffer(fault);
            }
        }
    }
}

/// Ends the load, reads the logs, waits for the consumers, and holds all of it against the promise.
fn finish(mut stage: Stage) {
    stage.await_load();
    stage.clients.iter_mut().for_each(Client::stop_sending);
    stage.clients.iter_mut().for_each(Client::await_stopped);
    let mut history = History {
        groups: stage.clients.iter().map(|client| client.number).collect(),
        ..History::default()
    };
    // A request that its client gave up may still lie in a socket whose packets were lost for a
    // while, and be stored when they come through at last.
    let mut verdict = settle(&mut stage, &mut history);
    while read_logs(&stage, Role::Master) != history.log {
        verdict = settle(&mut stage, &mut history);
    }
    stage.clients.iter_mut().for_each(Client::quit);
    keep_histories(&stage);
    let table = figures::table(&history, &stage.records);
    println!("{}\n\n{table}\n{}", stage.cluster.deployment.name, verdict);
    assert!(verdict.holds(), "the history does not hold");
}

/// Reads the logs, and waits until every group has been given what is in them.
fn settle(stage: &mut Stage, history: &mut History) -> Verdict {
    stage.await_whole();
    history.log = read_logs(stage, Role::Master);
    if stage.cluster.deployment.has_slaves() {
        assert!(
            read_logs(stage, Role::Slave) == history.log,
            "a slave has other messages than its master"
        );
        compare_logs(stage);
    }
    await_consumers(stage, history)
}

/// Copies what the clients wrote to the folder that `RMQ_FAULT_HISTORY` names, and what was done.
fn keep_histories(stage: &Stage) {
    let Some(folder) = std::env::var_os("RMQ_FAULT_HISTORY") else {
        return;
    };
    let name = stage.cluster.deployment.name.replace(' ', "-");
    let folder = Path::new(&folder).join(name);
    fs::create_dir_all(&folder).unwrap();
    for client in &stage.clients {
        let target = folder.join(format!("client-{}", client.number));
        fs::copy(&client.file, target).unwrap();
    }
    let lines = stage.records.iter().map(|record| format!("{record:?}\n"));
    fs::write(folder.join("faults"), lines.collect::<String>()).unwrap();
}

fn await_consumers(stage: &mut Stage, history: &mut History) -> Verdict {
    let clock = SystemClock::new();
    let mut last = (0, clock.monotonic());
    loop {
        for client in &mut stage.clients {
            client.read_into(history);
        }
        let verdict = checker::check(history, &stage.conditions);
        let missing = verdict.wrong().contains_key(&Wrong::NotDelivered);
        if history.deliveries.len() != last.0 {
            last = (history.deliveries.len(), clock.monotonic());
        }
        if !missing || clock.monotonic() - last.1 > QUIET {
            return verdict;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The logs of the brokers with this role, read as any consumer could.
fn read_logs(stage: &Stage, role: Role) -> BTreeMap<Queue, Vec<Entry>> {
    let client = peer::client();
    let mut log = BTreeMap::new();
    for pair in 0..stage.cluster.pairs() {
        let address = stage.cluster.address(pair, role);
        for queue in 0..QUEUES {
            let entries = read_queue(&client, &address, queue);
            let key = Queue {
                broker: u8::try_from(pair).unwrap(),
                queue: u16::try_from(queue).unwrap(),
            };
            log.insert(key, entries);
        }
    }
    log
}

fn read_queue(client: &net::Client, broker: &str, queue: i32) -> Vec<Entry> {
    let end = raw::max_offset(client, broker, TOPIC, queue, peer::ANSWER).unwrap();
    let mut at = 0;
    let mut found = Vec::new();
    while at < end {
        let pull = peer::pull_from(TOPIC, queue, at);
        let reply = raw::pull(client, broker, &pull, peer::ANSWER).unwrap();
        if reply.code == ResponseCode::PULL_RETRY_IMMEDIATELY {
            continue;
        }
        assert_eq!(
            reply.code,
            ResponseCode::SUCCESS,
            "{broker} {queue} at {at}"
        );
        for record in Records::new(&reply.records, CheckLevel::BodyCrc) {
            let record = record.unwrap();
            found.push(Entry {
                offset: record.queue_offset(),
                physical: record.physical_offset(),
                id: Id::of_body(record.body()).expect("a message that no client made"),
            });
        }
        at = found.last().map_or(end, |last: &Entry| last.offset + 1);
    }
    found
}

/// The bytes of each slave's log are those of its master's.
fn compare_logs(stage: &Stage) {
    for pair in 0..stage.cluster.pairs() {
        let [master, slave] = [Role::Master, Role::Slave].map(|role| stage.cluster.log(pair, role));
        let ends = [log_files::end(&master), log_files::end(&slave)];
        assert_eq!(ends[0], ends[1], "the logs of pair {pair} end differently");
        match log_files::compare(&master, &slave, ends[0]) {
            Ok(bytes) => println!("logs of pair {pair}: {bytes} bytes are the same"),
            Err(differ) => panic!("pair {pair}: {differ}"),
        }
    }
}
