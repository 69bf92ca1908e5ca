//! The deployments of `conf/` on hosts of their own, official clients that send and consume through
//! all of it, and faults: processes killed and stopped, hosts lost with their disks, networks
//! parted and slow. At the end the whole history is held against what the deployment promises.
//!
//! Each kind of fault once, as CI runs it; with `RMQ_FAULT_SECONDS` for so long, in an order made
//! by chance. `RMQ_SEED` makes a schedule fall as another one did. docs/RELIABILITY.md says what is
//! promised and shows the figures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/apache.rs"]
mod apache;
#[path = "reliability/checker.rs"]
mod checker;
#[path = "reliability/clients.rs"]
mod clients;
#[path = "reliability/cluster.rs"]
mod cluster;
#[path = "reliability/faults.rs"]
mod faults;
#[path = "reliability/figures.rs"]
mod figures;
#[path = "reliability/history.rs"]
mod history;
#[path = "support/hosts.rs"]
mod hosts;
#[path = "support/log_files.rs"]
mod log_files;
#[path = "reliability/network.rs"]
mod network;
#[path = "reliability/partition.rs"]
mod partition;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;
#[path = "reliability/run.rs"]
mod run;
#[path = "reliability/stage.rs"]
mod stage;

use clients::Kind::{Go, Java};
use faults::Fault;
use run::Plan;

#[test]
fn one_master() {
    run::run(&Plan {
        deployment: &cluster::ONE_MASTER,
        clients: &[Java("5.5.0"), Go],
        faults: &[Fault::MasterKilled, Fault::MasterStopped],
        share: 10,
    });
}

/// The lag of a slow slave is what a lost disk takes with it.
#[test]
fn masters_with_slaves_that_follow() {
    run::run(&Plan {
        deployment: &cluster::ASYNC_REPLICATION,
        clients: &[Java("5.5.0"), Go],
        faults: &[
            Fault::MasterKilled,
            Fault::MasterHostLost,
            Fault::SlaveStopped,
            Fault::OneWay,
        ],
        share: 30,
    });
}

#[test]
fn masters_with_slaves_that_have_every_acknowledged_message() {
    run::run(&Plan {
        deployment: &cluster::DOUBLE_WRITE,
        clients: &[Java("5.5.0"), Go, Java("4.9.8")],
        faults: &[
            Fault::MasterKilled,
            Fault::SlaveKilled,
            Fault::MasterStopped,
            Fault::SlaveStopped,
            Fault::MasterHostLost,
            Fault::SlaveHostLost,
            Fault::NodeCutOff,
            Fault::Halves,
            Fault::OneWay,
            Fault::Bridge,
            Fault::Ring,
            Fault::SlowLink,
            Fault::NameserverLost,
            Fault::BothMasters,
        ],
        share: 45,
    });
}

#[test]
fn masters_that_flush_before_they_answer() {
    run::run(&Plan {
        deployment: &cluster::MASTERS_THAT_FLUSH,
        clients: &[Java("5.5.0"), Go],
        faults: &[Fault::MasterKilled, Fault::NodeCutOff, Fault::BothMasters],
        share: 15,
    });
}
