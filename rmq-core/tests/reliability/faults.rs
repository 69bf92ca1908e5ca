//! What is done to a cluster.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::checker::{Alone, Loss};
use crate::clients::Kind;
use crate::cluster::Role;
use crate::partition::{self, Cuts};
use crate::stage::{Lag, Record, Stage, now};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    MasterKilled,
    SlaveKilled,
    MasterStopped,
    SlaveStopped,
    /// The master's host with its disk; the slave takes over, a new host becomes its slave.
    MasterHostLost,
    SlaveHostLost,
    NodeCutOff,
    Halves,
    OneWay,
    Bridge,
    Ring,
    SlowLink,
    NameserverLost,
    /// Both masters are killed, one after the other.
    BothMasters,
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MasterKilled => "master killed (SIGKILL)",
            Self::SlaveKilled => "slave killed (SIGKILL)",
            Self::MasterStopped => "master stopped (SIGSTOP)",
            Self::SlaveStopped => "slave stopped (SIGSTOP)",
            Self::MasterHostLost => "master's host and disk lost",
            Self::SlaveHostLost => "slave's host and disk lost",
            Self::NodeCutOff => "partition: one broker",
            Self::Halves => "partition: halves",
            Self::OneWay => "partition: one way",
            Self::Bridge => "partition: bridge",
            Self::Ring => "partition: ring",
            Self::SlowLink => "slow link",
            Self::NameserverLost => "nameserver killed",
            Self::BothMasters => "masters killed one after the other",
        }
    }

    /// Those that a deployment can suffer: without slaves a lost disk is simply lost, and there are
    /// too few hosts for a ring.
    pub(crate) fn all(with_slaves: bool) -> Vec<Self> {
        let all = [
            Self::MasterKilled,
            Self::SlaveKilled,
            Self::MasterStopped,
            Self::SlaveStopped,
            Self::MasterHostLost,
            Self::SlaveHostLost,
            Self::NodeCutOff,
            Self::Halves,
            Self::OneWay,
            Self::Bridge,
            Self::Ring,
            Self::SlowLink,
            Self::NameserverLost,
            Self::BothMasters,
        ];
        let of_slaves = [
            Self::Bridge,
            Self::Ring,
            Self::SlaveKilled,
            Self::SlaveStopped,
            Self::MasterHostLost,
            Self::SlaveHostLost,
        ];
        let possible = |fault: &Self| with_slaves || !of_slaves.contains(fault);
        all.into_iter().filter(possible).collect()
    }

    /// Breaks something, waits, and mends it.
    pub(crate) fn inject(self, stage: &mut Stage, record: &mut Record) {
        match self {
            Self::MasterKilled => stage.kill_master(record),
            Self::SlaveKilled => stage.kill_slave(),
            Self::MasterStopped => stage.stop_master(),
            Self::SlaveStopped => stage.stop_slave(),
            Self::MasterHostLost => stage.lose_master_host(record),
            Self::SlaveHostLost => stage.lose_slave_host(),
            Self::NodeCutOff => stage.cut_node(),
            Self::Halves => {
                let hosts = stage.cluster.all_hosts();
                let cuts = partition::halves(&hosts, &mut stage.dice);
                stage.divide(&cuts);
            }
            Self::OneWay => stage.cut_one_way(),
            Self::Bridge => {
                let hosts = stage.cluster.server_hosts();
                let cuts = partition::bridge(&hosts, &mut stage.dice);
                stage.divide(&cuts);
            }
            Self::Ring => {
                let hosts = stage.cluster.server_hosts();
                let cuts = partition::ring(&hosts, &mut stage.dice);
                stage.divide(&cuts);
            }
            Self::SlowLink => stage.slow_link(),
            Self::NameserverLost => stage.lose_nameserver(),
            Self::BothMasters => stage.kill_both_masters(),
        }
    }
}

/// Signals and packets on their way take effect within this time.
const EFFECT: Duration = Duration::from_millis(50);
/// Lets messages gather that consumers have not yet seen.
const GATHER: Duration = Duration::from_millis(1300);
/// Less than the load, so that a slave behind it falls back.
const SLOW_KILOBITS: u32 = 300;

impl Stage {
    /// Marks the time from now until the end of `work` as one in which the masters have no slaves.
    fn alone(&mut self, pairs: &[usize], work: impl FnOnce(&mut Self)) {
        std::thread::sleep(EFFECT);
        let from = now();
        work(self);
        if self.cluster.deployment.double_write {
            let to = now();
            let alone = |pair: &usize| Alone {
                broker: u8::try_from(*pair).unwrap(),
                from,
                to,
            };
            self.conditions.alone.extend(pairs.iter().map(alone));
        }
    }

    /// Consumers of the Java client stand still while `work` is done, so that there is something
    /// left for them to read afterwards.
    fn with_backlog(&mut self, work: impl FnOnce(&mut Self)) {
        let java = |stage: &mut Self, resume: bool| {
            for client in &mut stage.clients {
                match client.kind {
                    Kind::Java(_) if resume => client.resume(),
                    Kind::Java(_) => client.pause(),
                    Kind::Go => {}
                }
            }
        };
        if self.cluster.deployment.has_slaves() {
            java(self, false);
            std::thread::sleep(GATHER);
            work(self);
            java(self, true);
        } else {
            work(self);
        }
    }

    fn kill_master(&mut self, record: &mut Record) {
        let pair = self.any_pair();
        record.master_gone = Some(u8::try_from(pair).unwrap());
        self.with_backlog(|stage| stage.cluster.kill_broker(pair, Role::Master));
        record.from = now();
        self.hold();
        self.cluster.start_broker(pair, Role::Master);
    }

    fn kill_slave(&mut self) {
        let pair = self.any_pair();
        self.cluster.kill_broker(pair, Role::Slave);
        self.alone(&[pair], Self::hold);
        self.cluster.start_broker(pair, Role::Slave);
    }

    fn stop_master(&mut self) {
        let pair = self.any_pair();
        let cluster = &mut self.cluster;
        cluster.signal_broker(pair, Role::Master, Signal::SIGSTOP);
        self.hold();
        self.cluster
            .signal_broker(pair, Role::Master, Signal::SIGCONT);
    }

    fn stop_slave(&mut self) {
        let pair = self.any_pair();
        let cluster = &mut self.cluster;
        cluster.signal_broker(pair, Role::Slave, Signal::SIGSTOP);
        self.alone(&[pair], Self::hold);
        self.cluster
            .signal_broker(pair, Role::Slave, Signal::SIGCONT);
    }

    fn lose_master_host(&mut self, record: &mut Record) {
        let pair = self.any_pair();
        record.master_gone = Some(u8::try_from(pair).unwrap());
        let slave_host = self.cluster.host(pair, Role::Slave);
        let behind = !self.cluster.deployment.double_write;
        if behind {
            // So that there is something to lose.
            self.cluster.network.slow(slave_host, SLOW_KILOBITS);
        }
        let (mut told, mut end) = (0, 0);
        self.with_backlog(|stage| {
            told = stage.told_lag(pair);
            end = stage.cluster.lose_host(pair, Role::Master);
        });
        record.from = now();
        self.hold();
        if behind {
            self.cluster.network.restore(slave_host);
        }
        let kept = self.cluster.take_over(pair);
        let lost = end.saturating_sub(kept);
        record.lag = Some(Lag { lost, told });
        self.conditions.losses.push(Loss {
            broker: u8::try_from(pair).unwrap(),
            at: record.from,
            kept: i64::try_from(kept).unwrap(),
        });
        self.cluster.replace_host(pair, Role::Slave);
        self.cluster.start_broker(pair, Role::Slave);
    }

    fn lose_slave_host(&mut self) {
        let pair = self.any_pair();
        self.cluster.lose_host(pair, Role::Slave);
        self.alone(&[pair], Self::hold);
        self.cluster.replace_host(pair, Role::Slave);
        self.cluster.start_broker(pair, Role::Slave);
    }

    fn any_broker_host(&mut self) -> usize {
        let nameservers = self.cluster.deployment.nameservers;
        let mut hosts = self.cluster.server_hosts();
        if self.cluster.deployment.has_slaves() {
            hosts.retain(|host| !nameservers.contains(host));
        }
        self.any_of(&hosts)
    }

    fn cut_node(&mut self) {
        let hosts = self.cluster.all_hosts();
        let host = self.any_broker_host();
        self.divide(&partition::node(&hosts, host));
    }

    fn cut_one_way(&mut self) {
        let hosts = self.cluster.all_hosts();
        let host = self.any_broker_host();
        let heard = self.dice.below(2) == 0;
        self.divide(&partition::one_way(&hosts, host, heard));
    }

    fn divide(&mut self, cuts: &Cuts) {
        println!("    {cuts:?}");
        for (from, to) in cuts {
            self.cluster.network.cut(*from, *to);
        }
        let parted = |pair: &usize| {
            let [master, slave] = [Role::Master, Role::Slave].map(|r| self.cluster.host(*pair, r));
            cuts.contains(&(master, slave)) || cuts.contains(&(slave, master))
        };
        let pairs: Vec<usize> = (0..self.cluster.pairs()).filter(parted).collect();
        self.alone(&pairs, Self::hold);
        for (from, to) in cuts {
            self.cluster.network.heal(*from, *to);
        }
    }

    fn slow_link(&mut self) {
        let host = self.any_broker_host();
        self.cluster.network.slow(host, SLOW_KILOBITS);
        self.hold();
        self.cluster.network.restore(host);
    }

    fn lose_nameserver(&mut self) {
        let number = usize::try_from(self.dice.below(2)).unwrap();
        self.cluster.kill_nameserver(number);
        self.hold();
        self.cluster.start_nameserver(number);
    }

    fn kill_both_masters(&mut self) {
        for pair in 0..self.cluster.pairs() {
            self.cluster.kill_broker(pair, Role::Master);
            self.hold();
            self.cluster.start_broker(pair, Role::Master);
            self.await_whole();
        }
    }
}
