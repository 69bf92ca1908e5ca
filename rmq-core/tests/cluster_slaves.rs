//! Clusters whose masters have slaves: what slaves hold, what senders are told, what is found when
//! members are gone, stopped or cut off.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test may say how long a start takes")]

#[path = "cluster/outside.rs"]
mod outside;
#[path = "support/peer.rs"]
mod peer;

use outside::*;
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw::SendStatus;
use rmq_core::embed::cluster::{ClusterStorage, SlaveState};
use rmq_core::embed::{Cluster, ClusterOptions, Deployment, FlushDiskType, Storage};
use rmq_core::protocol::code::ResponseCode;

fn asynchronous(masters: usize) -> ClusterOptions {
    ClusterOptions::new(Deployment::AsyncSlaves {
        masters,
        slaves_each: 1,
    })
}

/// Short times, so that what hangs is noticed soon.
fn synchronous(masters: usize, slaves_each: usize) -> ClusterOptions {
    ClusterOptions::new(Deployment::SyncDoubleWrite {
        masters,
        slaves_each,
    })
    .with("slaveTimeout", "500")
    .with("haSendHeartbeatInterval", "100")
    .with("haHousekeepingInterval", "1000")
}

fn start(options: ClusterOptions) -> Cluster {
    let clock = SystemClock::new();
    let what = format!("{:?}", options.deployment);
    let cluster = Cluster::start(options).unwrap();
    let ms = clock.monotonic().as_secs_f64() * 1e3;
    println!("{what}: up after {ms:.1} ms");
    cluster
}

/// What a sender is told.
fn told(outside: &Outside, cluster: &Cluster, member: &str, body: &str) -> SendStatus {
    let receipt = outside.try_send(cluster, member, body, LONG);
    receipt.unwrap().status
}

#[test]
fn asynchronous_slaves_follow_and_take_no_messages() {
    let cluster = start(asynchronous(2));
    let outside = Outside::new();
    for master in ["broker-a", "broker-b"] {
        for number in 0..10 {
            outside.send(&cluster, master, &format!("{master} {number}"));
        }
    }
    cluster.await_replicated(LONG).unwrap();
    for master in ["broker-a", "broker-b"] {
        let slave = cluster.status((master, 1)).unwrap();
        assert_eq!(slave.name, format!("{master}-s"));
        let both = [master, &slave.name].map(|member| outside.read(&cluster, member));
        assert_eq!(both[0], both[1]);
        let refused = outside.try_send(&cluster, &slave.name, "no", LONG);
        let busy = ErrorKind::Remote(ResponseCode::SYSTEM_BUSY.value());
        assert_eq!(refused.unwrap_err().kind(), busy);
        let replication = cluster.status(master).unwrap().replication.unwrap();
        assert_eq!(replication.slaves[0].member, slave.name);
        assert!(replication.slaves[0].in_sync && replication.state.is_none());
        let replication = slave.replication.unwrap();
        assert_eq!(replication.state, Some(SlaveState::Streaming));
    }
    let all = [
        ("broker-a", 0),
        ("broker-a", 1),
        ("broker-b", 0),
        ("broker-b", 1),
    ];
    let all = all.map(|(name, id)| (name.to_owned(), id));
    eventually("slaves in the route", || {
        outside.route(&cluster, "namesrv-0") == all
    });
    cluster.close(LONG).unwrap();
}

#[test]
fn what_double_write_promised_survives_the_masters_disk() {
    for flush in [FlushDiskType::AsyncFlush, FlushDiskType::SyncFlush] {
        let cluster = start(ClusterOptions {
            flush,
            ..synchronous(2, 1)
        });
        let outside = Outside::new();
        let bodies: Vec<String> = (0..50).map(|number| format!("kept {number}")).collect();
        for body in &bodies {
            outside.send(&cluster, "broker-a", body);
        }
        cluster.wipe("broker-a").unwrap();
        eventually("everything at the slave", || {
            outside.read(&cluster, "broker-a-s") == bodies
        });
        outside.send(&cluster, "broker-b", "the other master goes on");
        cluster.close(LONG).unwrap();
    }
}

#[test]
fn a_stopped_slave_takes_the_promise_and_gives_it_back() {
    let cluster = start(synchronous(1, 1));
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "both");
    cluster.pause("broker-a-s").unwrap();
    let status = told(&outside, &cluster, "broker-a", "alone");
    assert_ne!(status, SendStatus::Ok);
    eventually("it is known to be gone", || {
        told(&outside, &cluster, "broker-a", "at once") == SendStatus::SlaveNotAvailable
    });
    cluster.resume("broker-a-s").unwrap();
    cluster.await_ready(LONG).unwrap();
    eventually("promised again", || {
        told(&outside, &cluster, "broker-a", "again") == SendStatus::Ok
    });
    cluster.await_replicated(LONG).unwrap();
    let both = ["broker-a", "broker-a-s"].map(|member| outside.read(&cluster, member));
    assert_eq!(both[0], both[1]);
    cluster.close(LONG).unwrap();
}

#[test]
fn one_of_two_slaves_is_enough_and_the_other_catches_up() {
    let cluster = start(synchronous(1, 2));
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "three copies");
    cluster.kill("broker-a-s2").unwrap();
    for number in 0..20 {
        outside.send(&cluster, "broker-a", &format!("two copies {number}"));
    }
    cluster.wipe("broker-a-s2").unwrap();
    cluster.start_member("broker-a-s2").unwrap();
    cluster.await_ready(LONG).unwrap();
    cluster.await_replicated(LONG).unwrap();
    let expected = outside.read(&cluster, "broker-a");
    assert_eq!(expected.len(), 21);
    assert_eq!(outside.read(&cluster, "broker-a-s2"), expected);
    cluster.close(LONG).unwrap();
}

#[test]
fn cuts_between_master_and_slave_heal_either_way() {
    let cluster = start(synchronous(1, 1));
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "before");
    let ways = [("broker-a", "broker-a-s"), ("broker-a-s", "broker-a")];
    for (from, to) in ways {
        cluster.cut(from, to).unwrap();
        let status = told(&outside, &cluster, "broker-a", from);
        assert_ne!(status, SendStatus::Ok, "{from} to {to} was cut");
        cluster.heal();
        cluster.await_ready(LONG).unwrap();
    }
    cluster.partition(&[&["broker-a-s", "namesrv-0"]]).unwrap();
    assert_ne!(told(&outside, &cluster, "broker-a", "both"), SendStatus::Ok);
    cluster.heal();
    cluster.await_ready(LONG).unwrap();
    outside.send(&cluster, "broker-a", "after");
    cluster.await_replicated(LONG).unwrap();
    let expected = ["before", "broker-a", "broker-a-s", "both", "after"];
    assert_eq!(outside.read(&cluster, "broker-a"), expected);
    assert_eq!(outside.read(&cluster, "broker-a-s"), expected);
    cluster.close(LONG).unwrap();
}

#[test]
fn a_master_that_starts_again_is_followed_and_one_without_its_disk_is_not() {
    let cluster = start(synchronous(1, 1));
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "first");
    cluster.kill("broker-a").unwrap();
    cluster.start_member("broker-a").unwrap();
    cluster.await_ready(LONG).unwrap();
    outside.send(&cluster, "broker-a", "second");
    cluster.wipe("broker-a").unwrap();
    cluster.start_member("broker-a").unwrap();
    eventually("the slave refuses a shorter log", || {
        let status = cluster.status("broker-a-s").unwrap();
        let state = status.replication.and_then(|one| one.state);
        matches!(state, Some(SlaveState::Refused(_)))
    });
    let error = cluster.await_ready(QUIET).unwrap_err();
    assert!(error.to_string().contains("cannot follow"), "{error}");
    // The empty master knows no topic. Its slave, the last copy, does not follow it there either.
    let kept = || outside.read(&cluster, "broker-a-s") == ["first", "second"];
    eventually("the slave still has it", kept);
    for _ in 0..40 {
        std::thread::sleep(QUIET / 4);
        assert!(kept(), "taken from the last copy");
    }
}

#[test]
fn a_cluster_with_slaves_starts_again_in_its_folder() {
    let storage = Storage::temporary().unwrap();
    let outside = Outside::new();
    let options = || ClusterOptions {
        storage: ClusterStorage::Directory(storage.path().to_owned()),
        ..synchronous(2, 1)
    };
    let mut expected = Vec::new();
    for round in ["one", "two", "three"] {
        let cluster = start(options());
        outside.send(&cluster, "broker-a", round);
        expected.push(round);
        match round {
            "one" => cluster.close(LONG).unwrap(),
            "two" => drop(cluster),
            _ => {
                cluster.await_replicated(LONG).unwrap();
                assert_eq!(outside.read(&cluster, "broker-a"), expected);
                assert_eq!(outside.read(&cluster, "broker-a-s"), expected);
            }
        }
    }
}
