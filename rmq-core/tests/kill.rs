//! Two masters with SYNC_FLUSH; one after the other is killed under load and started again. What
//! was acknowledged is there afterwards, where its receipt says, once, and in order.
//!
//! `RMQ_KILLS` is the number of kills (5), `RMQ_SEED` makes a run fall as another one did.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use peer::{Dice, StopAtEnd, Stored};
use process::eventually;
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw::{self, SendStatus};
use rmq_core::net::Client;
use server::{End, Server};

const SENDERS: u64 = 6;
const QUEUES: i32 = 4;
const TOPIC: &str = "kill";
/// How long a sender waits for an answer before it tries the other broker.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// One of the masters.
fn master(name: &str) -> Server {
    let master = Server::new(&format!("brokerName={name}\nflushDiskType=SYNC_FLUSH"));
    master.create_topic(TOPIC, QUEUES);
    master
}

/// A place in a queue of a master.
type Place = (usize, i32, i64);

/// A message: its sender and its number.
type Id = (u64, u64);

#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<(Id, Place)>>,
    /// Messages that were sent more than once, since nobody answered the first time.
    retried: Mutex<HashSet<Id>>,
    stop: AtomicBool,
    count: AtomicU64,
}

fn body_of((sender, number): Id) -> String {
    // Lengths differ, so that records end anywhere in a file and in a page.
    let padding = usize::try_from((sender * 7_919 + number * 104_729) % 1_500).unwrap();
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

/// Sends numbered messages one after the other, each until a master acknowledges it.
fn sender(ledger: &Ledger, addresses: &[String; 2], sender: u64) {
    let client = peer::client();
    let mut target = usize::try_from(sender % 2).unwrap();
    for number in 0.. {
        if ledger.stop.load(Ordering::Relaxed) {
            return;
        }
        let id = (sender, number);
        let queue = i32::try_from(number / 10 % QUEUES.unsigned_abs() as u64).unwrap();
        loop {
            match send(&client, &addresses[target], queue, id) {
                Sent::Acknowledged(offset) => {
                    let place = (target, queue, offset);
                    ledger.acknowledged.lock().unwrap().push((id, place));
                    ledger.count.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Sent::Refused => {}
                Sent::Unknown => {
                    ledger.retried.lock().unwrap().insert(id);
                }
            }
            target = 1 - target;
            // Both may be away for a moment.
            std::thread::sleep(Duration::from_millis(5));
        }
        // Back to its own now and then, so that both always have work.
        if number % 50 == 0 {
            target = usize::try_from(sender % 2).unwrap();
        }
    }
}

enum Sent {
    Acknowledged(i64),
    /// Not stored.
    Refused,
    /// It may have been stored.
    Unknown,
}

fn send(client: &Client, address: &str, queue: i32, id: Id) -> Sent {
    let header = peer::message(TOPIC, queue);
    match raw::send(client, address, &header, body_of(id).into(), SEND_TIMEOUT) {
        Ok(receipt) if receipt.status == SendStatus::Ok => {
            assert_eq!(receipt.queue_id, queue);
            Sent::Acknowledged(receipt.queue_offset)
        }
        Ok(receipt) => {
            println!("{id:?}: {receipt:?}");
            Sent::Unknown
        }
        Err(error) if matches!(error.kind(), ErrorKind::Remote(_)) => {
            println!("{id:?}: {error}");
            Sent::Refused
        }
        Err(_) => Sent::Unknown,
    }
}

/// Kills one master and starts it again; now and then during its start too.
fn kill_round(round: u64, masters: &mut [Server; 2], ledger: &Ledger, dice: &mut Dice) {
    std::thread::sleep(Duration::from_millis(100 + dice.below(600)));
    let which = usize::try_from(dice.below(2)).unwrap();
    let before = ledger.count.load(Ordering::Relaxed);
    let master = &mut masters[which];
    master.end(End::Killed);
    // The other one takes everything meanwhile.
    eventually("senders go on through the other master", || {
        (ledger.count.load(Ordering::Relaxed) > before + 20).then_some(())
    });
    if dice.below(3) == 0 {
        let mut early = Server::launch(&master.home);
        std::thread::sleep(Duration::from_millis(dice.below(60)));
        early.kill();
    }
    let clock = SystemClock::new();
    master.boot();
    let count = ledger.count.load(Ordering::Relaxed);
    println!(
        "kill {round}: master {which}, back after {:?}, {count} sent",
        clock.monotonic()
    );
}

#[test]
fn killed_masters_lose_nothing_that_they_acknowledged() {
    let mut dice = Dice::new(Dice::seed());
    let mut masters = [master("broker-a"), master("broker-b")];
    let addresses = [masters[0].address.clone(), masters[1].address.clone()];
    let ledger = Ledger::default();
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&ledger.stop);
        for number in 0..SENDERS {
            let (ledger, addresses) = (&ledger, &addresses);
            scope.spawn(move || sender(ledger, addresses, number));
        }
        for round in 1..=peer::kills(5) {
            kill_round(round, &mut masters, &ledger, &mut dice);
        }
        std::thread::sleep(Duration::from_millis(200));
    });
    // The last kill is looked at after one more restart, of both at once.
    for master in &mut masters {
        master.restart(End::Killed);
    }
    let stored = read_all(&addresses);
    check(&ledger, &stored);
    // And a clean stop changes nothing.
    for master in &mut masters {
        master.restart(End::Stopped);
    }
    assert!(
        read_all(&addresses) == stored,
        "a clean restart changed a queue"
    );
}

type Queues = BTreeMap<(usize, i32), Vec<Stored>>;

fn read_all(addresses: &[String; 2]) -> Queues {
    let client = peer::client();
    let mut queues = Queues::new();
    for (master, address) in addresses.iter().enumerate() {
        for queue in 0..QUEUES {
            let stored = peer::read_queue(&client, address, TOPIC, queue).unwrap();
            queues.insert((master, queue), stored);
        }
    }
    queues
}

fn check(ledger: &Ledger, queues: &Queues) {
    let acknowledged = ledger.acknowledged.lock().unwrap();
    let retried = ledger.retried.lock().unwrap();
    let mut found: HashMap<Place, Id> = HashMap::new();
    let mut times: HashMap<Id, u64> = HashMap::new();
    for (&(master, queue), stored) in queues {
        let offsets: Vec<i64> = stored.iter().map(|one| one.physical_offset).collect();
        assert!(
            offsets.is_sorted(),
            "queue {queue} of master {master} is not in log order"
        );
        for one in stored {
            let id = id_of(&one.body);
            found.insert((master, queue, one.queue_offset), id);
            *times.entry(id).or_default() += 1;
        }
    }
    // Nothing lost: each receipt's place holds that very message, and no other receipt's.
    let mut places = HashSet::new();
    for (id, place) in acknowledged.iter() {
        assert_eq!(found.get(place), Some(id), "acknowledged at {place:?}");
        assert!(places.insert(*place), "two receipts for {place:?}");
    }
    // Nothing twice in the log that was sent once.
    for (id, count) in &times {
        assert!(
            *count == 1 || retried.contains(id),
            "{id:?} is there {count} times"
        );
    }
    // A sender's messages are in each queue in the order in which they were acknowledged.
    let mut last: HashMap<(u64, usize, i32), (u64, i64)> = HashMap::new();
    for ((sender, number), (master, queue, offset)) in acknowledged.iter() {
        let before = last.insert((*sender, *master, *queue), (*number, *offset));
        if let Some((number_before, offset_before)) = before {
            assert!(number_before < *number);
            assert!(
                offset_before < *offset,
                "{sender} {number} at {offset} in queue {queue}"
            );
        }
    }
    let doubles = times.values().filter(|count| **count > 1).count();
    println!(
        "{} acknowledged, 0 lost, {} stored, {} retried, {doubles} of them twice",
        acknowledged.len(),
        found.len(),
        retried.len(),
    );
    assert!(acknowledged.len() > 100, "hardly anything was sent");
}
