//! A cluster under load, what is done to it, and what is known of it from outside.

use std::time::Duration;

use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw::{self, SendStatus};
use rmq_core::net;

use crate::checker::Conditions;
use crate::clients::Client;
use crate::cluster::{Cluster, Role};
use crate::faults::Fault;
use crate::history::Micros;
use crate::peer::{self, Dice};

pub(crate) const TOPIC: &str = "history";
pub(crate) const QUEUES: i32 = 4;
const PROBES: &str = "probes";

/// After a fault is over the cluster must be whole again within this time.
const RECOVERY: Duration = Duration::from_secs(90);
const PROBE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(20);
/// A consumer may notice this much after everything is well that it has to move.
const DISTURBED_AFTER: Duration = Duration::from_secs(35);

pub(crate) fn now() -> Micros {
    SystemClock::new().wall_ms() * 1000
}

/// One fault, from its beginning until the cluster was whole again.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) fault: Fault,
    /// The broker whose master was gone, where one was.
    pub(crate) master_gone: Option<u8>,
    pub(crate) from: Micros,
    /// What was broken is mended, and the cluster has not yet noticed.
    pub(crate) mended: Micros,
    pub(crate) whole: Micros,
    pub(crate) lag: Option<Lag>,
}

/// Bytes of its log that a master had and its slave had not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lag {
    /// When the master was lost, by its disk and the slave's.
    pub(crate) lost: u64,
    /// A moment before, by what the master told.
    pub(crate) told: u64,
}

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) clients: Vec<Client>,
    pub(crate) dice: Dice,
    pub(crate) conditions: Conditions,
    pub(crate) records: Vec<Record>,
    /// How long a fault lasts.
    pub(crate) hold: (Duration, Duration),
}

impl Stage {
    pub(crate) fn hold(&mut self) {
        let (least, most) = self.hold;
        let span = u64::try_from((most - least).as_millis()).unwrap();
        let more = Duration::from_millis(self.dice.below(span + 1));
        std::thread::sleep(least + more);
    }

    pub(crate) fn any_pair(&mut self) -> usize {
        let count = self.cluster.pairs() as u64;
        usize::try_from(self.dice.below(count)).unwrap()
    }

    pub(crate) fn any_of(&mut self, hosts: &[usize]) -> usize {
        hosts[usize::try_from(self.dice.below(hosts.len() as u64)).unwrap()]
    }

    /// Topics that the clients and the probes need, made on every master.
    pub(crate) fn create_topics(&self) {
        let client = peer::client();
        for pair in 0..self.cluster.pairs() {
            let master = self.cluster.address(pair, Role::Master);
            for (topic, queues) in [(TOPIC, QUEUES), (PROBES, 1)] {
                raw::create_topic(&client, &master, topic, queues, peer::ANSWER).unwrap();
            }
        }
        for nameserver in self.cluster.nameserver_addresses() {
            self.await_that(&format!("{nameserver} has the topic"), || {
                let route = raw::route(&client, &nameserver, TOPIC, PROBE).ok()?;
                (route.brokers.len() == self.cluster.pairs()).then_some(())
            });
        }
    }

    fn await_that<T>(&self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        let clock = SystemClock::new();
        loop {
            if let Some(found) = probe() {
                return found;
            }
            let waited = clock.monotonic();
            assert!(waited < RECOVERY, "not within {RECOVERY:?}: {what}");
            std::thread::sleep(STEP);
        }
    }

    /// Waits until every broker acknowledges messages, their slaves have them, and both nameservers
    /// know all masters.
    pub(crate) fn await_whole(&self) {
        // Connections of its own: others may wait for packets that were lost.
        let client = peer::client();
        for pair in 0..self.cluster.pairs() {
            self.await_probe(&client, pair);
        }
        for nameserver in self.cluster.nameserver_addresses() {
            self.await_that(&format!("{nameserver} knows the brokers"), || {
                let known = peer::brokers(&client, &nameserver).ok()?;
                (known.len() == self.cluster.pairs()).then_some(())
            });
        }
    }

    fn await_probe(&self, client: &net::Client, pair: usize) {
        let name = self.cluster.deployment.pairs[pair].name;
        let master = self.cluster.address(pair, Role::Master);
        let header = peer::message(PROBES, 0);
        let mut last = None;
        let receipt = self.await_that(&format!("{name} acknowledges"), || {
            let sent = raw::send(client, &master, &header, "probe".into(), PROBE);
            let text = format!("{sent:?}");
            if last.as_ref() != Some(&text) {
                println!("    {name}: {}", text.chars().take(160).collect::<String>());
                last = Some(text);
            }
            sent.ok().filter(|receipt| receipt.status == SendStatus::Ok)
        });
        if self.cluster.deployment.has_slaves() {
            let slave = self.cluster.address(pair, Role::Slave);
            self.await_that(&format!("the slave of {name} has what it has"), || {
                let end = raw::max_offset(client, &slave, PROBES, 0, PROBE).ok()?;
                (end > receipt.queue_offset).then_some(())
            });
        }
    }

    /// What a master says of its slave's lag, in bytes.
    pub(crate) fn told_lag(&self, pair: usize) -> u64 {
        let master = self.cluster.address(pair, Role::Master);
        let status = peer::ha_status(&peer::client(), &master).unwrap();
        assert_eq!(status.connections.len(), 1, "{status:?}");
        u64::try_from(status.connections[0].diff).unwrap()
    }

    /// Lets the load go on for a while, and demands that it does.
    pub(crate) fn await_load(&self) {
        let before: Vec<u64> = self.clients.iter().map(Client::ok).collect();
        self.await_that("every client has messages acknowledged", || {
            let mut pairs = self.clients.iter().zip(&before);
            pairs
                .all(|(client, before)| client.ok() > before + 10)
                .then_some(())
        });
    }

    /// Does one thing to the cluster under load, and waits until it is whole again.
    pub(crate) fn suffer(&mut self, fault: Fault) {
        self.await_load();
        let mut record = Record {
            fault,
            master_gone: None,
            from: now(),
            mended: 0,
            whole: 0,
            lag: None,
        };
        println!("  {fault:?}");
        fault.inject(self, &mut record);
        record.mended = now();
        self.await_whole();
        record.whole = now();
        let after = i64::try_from(DISTURBED_AFTER.as_micros()).unwrap();
        let disturbed = (record.from, record.whole + after);
        self.conditions.disturbed.push(disturbed);
        self.records.push(record);
    }
}
