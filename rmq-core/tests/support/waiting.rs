//! Messages that wait at their broker while that is killed and stopped: what was acknowledged is
//! delivered, not before its time, and once unless the broker was killed. For each kind of waiting
//! there is a test that says what it is; it has the modules `peer`, `process` and `server` too.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rmq_core::base::ErrorKind;
use rmq_core::client::raw::{self, SendStatus};
use rmq_core::net::Client;
use rmq_core::protocol::request::send::SendRequest;

use crate::peer::{self, Dice, StopAtEnd};
use crate::process::eventually;
use crate::server::{End, Server};

const QUEUES: i32 = 4;
const SENDERS: u64 = 4;
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// A message: its sender and its number.
pub(crate) type Id = (u64, u64);

/// A kind of waiting.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// The topic that messages are sent to.
    pub(crate) topic: &'static str,
    /// What the broker is configured with.
    pub(crate) keys: &'static str,
    /// The properties that have a message wait.
    pub(crate) properties: fn(Id) -> String,
    /// When each message of the broker is due, ms since the epoch: of one that was sent twice, the
    /// first time.
    pub(crate) due: fn(&Server) -> HashMap<Id, i64>,
}

impl Kind {
    /// A broker for these messages.
    pub(crate) fn server(&self, keys: &str) -> Server {
        let server = Server::new(&format!("{}\n{keys}", self.keys));
        server.create_topic(self.topic, QUEUES);
        server
    }

    /// When each message was delivered.
    pub(crate) fn delivered(&self, server: &Server) -> HashMap<Id, Vec<i64>> {
        let mut found = HashMap::new();
        for queue_id in 0..QUEUES {
            let (client, address) = (&server.client, &*server.address);
            peer::visit_queue(client, address, self.topic, queue_id, |record| {
                let times: &mut Vec<i64> = found.entry(id_of(record.body())).or_default();
                times.push(record.store_timestamp_ms());
            })
            .unwrap();
        }
        found
    }

    /// A killed broker delivers what it acknowledged.
    pub(crate) fn survives_kills(&self, keys: &str) {
        let mut dice = Dice::new(Dice::seed());
        let mut server = self.server(keys);
        let ledger = Ledger::default();
        let address = server.address.clone();
        self.under_load(&address, &ledger, || {
            for _ in 0..peer::kills(4) {
                std::thread::sleep(Duration::from_millis(1_000 + dice.below(1_500)));
                server.restart(End::Killed);
            }
            std::thread::sleep(Duration::from_millis(300));
        });
        // Once more while nearly everything waits.
        server.restart(End::Killed);
        let delivered = self.check(&server, &ledger);
        let doubles = delivered.values().filter(|times| times.len() > 1).count();
        println!("{doubles} of {} were delivered twice", delivered.len());
        assert!(delivered.len() > 100, "hardly anything was sent");
    }

    /// A stopped broker delivers everything once, and has then noted it.
    pub(crate) fn survives_stops(&self, check_notes: impl Fn(&Server)) {
        for flush in ["ASYNC_FLUSH", "SYNC_FLUSH"] {
            let mut server = self.server(&format!("flushDiskType={flush}"));
            let ledger = Ledger::default();
            let address = server.address.clone();
            self.under_load(&address, &ledger, || {
                for _ in 0..2 {
                    std::thread::sleep(Duration::from_millis(1_300));
                    server.restart(End::Stopped);
                }
            });
            server.restart(End::Stopped);
            let delivered = self.check(&server, &ledger);
            // A stop of a broker that has nothing to deliver any more changes nothing either.
            server.restart(End::Stopped);
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(self.delivered(&server), delivered);
            let retried = ledger.retried.lock().unwrap();
            for (id, times) in &delivered {
                let twice = times.len() > 1 && !retried.contains(id);
                assert!(!twice, "{id:?} was delivered at {times:?}");
            }
            check_notes(&server);
        }
    }

    /// Lets senders send while `work` is done.
    fn under_load(&self, address: &str, ledger: &Ledger, work: impl FnOnce()) {
        std::thread::scope(|scope| {
            let _stop = StopAtEnd(&ledger.stop);
            for number in 0..SENDERS {
                scope.spawn(move || self.sender(ledger, address, number));
            }
            work();
        });
    }

    /// Sends numbered messages one after the other, each until it is acknowledged.
    fn sender(&self, ledger: &Ledger, address: &str, sender: u64) {
        let client = peer::client();
        for number in 0.. {
            let id = (sender, number);
            loop {
                if ledger.stop.load(Ordering::Relaxed) {
                    return;
                }
                match self.send(&client, address, id) {
                    Some(true) => break,
                    Some(false) => {}
                    None => {
                        ledger.retried.lock().unwrap().insert(id);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            ledger.acknowledged.lock().unwrap().push(id);
        }
    }

    /// Sends one message to wait; whether it was acknowledged, or `None` if that is not known.
    fn send(&self, client: &Client, address: &str, id: Id) -> Option<bool> {
        let queue_id = i32::try_from(id.1 % QUEUES.unsigned_abs() as u64).unwrap();
        let properties = format!("{}TAGS\u{1}t\u{2}", (self.properties)(id));
        let header = SendRequest {
            properties: Some(&properties),
            ..peer::message(self.topic, queue_id)
        };
        let padding = "p".repeat(usize::try_from(id.1 * 7_919 % 700).unwrap());
        let body = format!("{} {} {padding}", id.0, id.1);
        match raw::send(client, address, &header, body.into(), SEND_TIMEOUT) {
            Ok(receipt) if receipt.status == SendStatus::Ok => {
                assert_eq!(receipt.queue_id, queue_id);
                Some(true)
            }
            Ok(_) => None,
            Err(error) if matches!(error.kind(), ErrorKind::Remote(_)) => Some(false),
            Err(_) => None,
        }
    }

    /// Everything acknowledged is delivered, and nothing too early; returns what was delivered.
    fn check(&self, server: &Server, ledger: &Ledger) -> HashMap<Id, Vec<i64>> {
        let acknowledged = ledger.acknowledged.lock().unwrap().clone();
        let delivered = eventually("everything acknowledged is delivered", || {
            let delivered = self.delivered(server);
            let all = acknowledged.iter().all(|id| delivered.contains_key(id));
            all.then_some(delivered)
        });
        let due = (self.due)(server);
        let mut lateness_ms = BTreeMap::<i64, u64>::new();
        for (id, times) in &delivered {
            for time_ms in times {
                let late_ms = time_ms - due[id];
                assert!(late_ms >= 0, "{id:?} came {} ms early", -late_ms);
            }
            let first_ms = times.iter().min().unwrap() - due[id];
            *lateness_ms.entry(first_ms / 100 * 100).or_default() += 1;
        }
        println!(
            "{} acknowledged, 0 lost, 0 early; by how late (ms): {lateness_ms:?}",
            acknowledged.len()
        );
        delivered
    }
}

/// The message that has this body.
pub(crate) fn id_of(body: &[u8]) -> Id {
    let text = std::str::from_utf8(body).unwrap();
    let mut words = text.split(' ');
    let mut number = || words.next().unwrap().parse().unwrap();
    (number(), number())
}

#[derive(Default)]
struct Ledger {
    acknowledged: Mutex<Vec<Id>>,
    /// Messages that were sent more than once, since nobody answered the first time.
    retried: Mutex<HashSet<Id>>,
    stop: AtomicBool,
}
