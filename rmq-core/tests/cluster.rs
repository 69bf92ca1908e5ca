//! Clusters in this process: what they are made of, what is done to their members, what is left.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test may say how long a start takes")]

#[path = "cluster/outside.rs"]
mod outside;
#[path = "support/peer.rs"]
mod peer;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::time::Duration;

use outside::*;
use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, SystemClock};
use rmq_core::client::raw;
use rmq_core::embed::cluster::{CLIENTS, ClusterClock, ClusterStorage, Keys};
use rmq_core::embed::{Cluster, ClusterOptions, Deployment, FlushDiskType, Storage};

fn masters(count: usize) -> Cluster {
    Cluster::start(ClusterOptions::new(Deployment::Masters(count))).unwrap()
}

/// Starts a cluster and says how long that took.
fn timed(options: ClusterOptions) -> Cluster {
    let clock = SystemClock::new();
    let what = format!(
        "{:?}, {} nameservers",
        options.deployment, options.nameservers
    );
    let cluster = Cluster::start(options).unwrap();
    let ms = clock.monotonic().as_secs_f64() * 1e3;
    println!("{what}: up after {ms:.1} ms");
    cluster
}

#[test]
fn one_master_sends_and_reads() {
    let cluster = timed(ClusterOptions::default());
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "one");
    assert_eq!(outside.read(&cluster, "broker-a"), ["one"]);
    assert_eq!(
        outside.route(&cluster, "namesrv-0"),
        [("broker-a".to_owned(), 0)]
    );
    let names: Vec<String> = cluster.members().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["namesrv-0", "broker-a"]);
    cluster.close(LONG).unwrap();
}

#[test]
fn several_masters_are_known_to_every_nameserver() {
    let mut options = ClusterOptions::new(Deployment::Masters(3)).with("maxMessageSize", "1000");
    options.nameservers = 2;
    options.flush = FlushDiskType::SyncFlush;
    options.cluster_name = "Three".to_owned();
    let cluster = timed(options);
    let outside = Outside::new();
    for member in ["broker-a", "broker-b", "broker-c"] {
        outside.send(&cluster, member, member);
        assert_eq!(outside.read(&cluster, member), [member]);
        let large = outside.try_send(&cluster, member, &"x".repeat(2_000), LONG);
        assert!(large.is_err(), "the setting did not reach {member}");
    }
    let all = ["broker-a", "broker-b", "broker-c"].map(|name| (name.to_owned(), 0));
    for nameserver in ["namesrv-0", "namesrv-1"] {
        eventually("all of the route", || {
            outside.route(&cluster, nameserver) == all
        });
    }
    let addresses = cluster.nameserver_addresses();
    let expected =
        ["namesrv-0", "namesrv-1"].map(|name| cluster.address(name).unwrap().to_string());
    assert_eq!(addresses, expected.join(";"));
    cluster.close(LONG).unwrap();
}

#[test]
fn a_killed_master_comes_back_at_its_port_with_what_it_stored() {
    let cluster = masters(2);
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "before");
    outside.send(&cluster, "broker-b", "other");
    let address = cluster.address("broker-a").unwrap();
    cluster.kill(("broker-a", 0)).unwrap();
    assert!(!cluster.is_running("broker-a").unwrap());
    assert!(
        TcpStream::connect(address).is_err(),
        "something still listens"
    );
    outside.send(&cluster, "broker-b", "meanwhile");
    let other = [("broker-b".to_owned(), 0)];
    eventually("the route without it", || {
        outside.route(&cluster, "namesrv-0") == other
    });
    cluster.kill("broker-a").unwrap();

    cluster.start_member("broker-a").unwrap();
    cluster.await_ready(LONG).unwrap();
    assert_eq!(cluster.address("broker-a").unwrap(), address);
    outside.send(&cluster, "broker-a", "after");
    assert_eq!(outside.read(&cluster, "broker-a"), ["before", "after"]);
    let again = cluster.start_member("broker-a").unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Invalid, "{again}");

    cluster.restart("broker-a", LONG).unwrap();
    assert_eq!(outside.read(&cluster, "broker-a"), ["before", "after"]);
    cluster.close(LONG).unwrap();
}

#[test]
fn a_nameserver_that_starts_again_is_told_everything_soon() {
    let options = ClusterOptions {
        nameservers: 2,
        ..ClusterOptions::new(Deployment::Masters(2))
    };
    let cluster = Cluster::start(options).unwrap();
    let outside = Outside::new();
    for member in ["broker-a", "broker-b"] {
        outside.send(&cluster, member, "x");
    }
    let all = ["broker-a", "broker-b"].map(|name| (name.to_owned(), 0));
    let clock = SystemClock::new();
    cluster.kill("namesrv-1").unwrap();
    assert_eq!(outside.route(&cluster, "namesrv-0"), all);
    cluster.start_member("namesrv-1").unwrap();
    cluster.await_ready(LONG).unwrap();
    assert_eq!(outside.route(&cluster, "namesrv-1"), all);
    // Sooner than at the next registration, which is ten seconds away or more.
    assert!(clock.monotonic() < Duration::from_secs(9));
    cluster.close(LONG).unwrap();
}

#[test]
fn a_wiped_master_comes_back_empty() {
    let cluster = masters(2);
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "gone");
    outside.send(&cluster, "broker-b", "kept");
    cluster.wipe("broker-a").unwrap();
    let status = cluster.status("broker-a").unwrap();
    assert!(!status.running && !status.folder.exists());
    cluster.wipe("broker-a").unwrap();
    cluster.start_member("broker-a").unwrap();
    assert!(outside.read(&cluster, "broker-a").is_empty());
    outside.send(&cluster, "broker-a", "new");
    assert_eq!(outside.read(&cluster, "broker-a"), ["new"]);
    assert_eq!(outside.read(&cluster, "broker-b"), ["kept"]);
}

#[test]
fn a_reset_cluster_is_a_new_one_at_the_old_addresses() {
    let options = ClusterOptions {
        storage: ClusterStorage::Memory,
        ..ClusterOptions::new(Deployment::SyncDoubleWrite {
            masters: 1,
            slaves_each: 1,
        })
    };
    let cluster = Cluster::start(options).unwrap();
    let outside = Outside::new();
    let before = cluster.members();
    assert!(before[1].folder.starts_with("/dev/shm"));
    outside.send(&cluster, "broker-a", "gone");
    cluster.kill("broker-a-s").unwrap();
    cluster.partition(&[&["broker-a"], &[CLIENTS]]).unwrap();
    cluster.reset().unwrap();
    assert!(outside.read(&cluster, "broker-a").is_empty());
    outside.send(&cluster, "broker-a", "new");
    assert_eq!(outside.read(&cluster, "broker-a"), ["new"]);
    let after = cluster.members();
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(old, new)| old.address == new.address)
    );
    cluster.close(LONG).unwrap();
    assert!(!before[1].folder.exists());
}

#[test]
fn an_hour_passes_at_once_where_the_clock_is_manual() {
    let options = ClusterOptions {
        clock: ClusterClock::Manual,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).unwrap();
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "first");
    let address = cluster.address("broker-a").unwrap().to_string();
    let mut header = peer::message(TOPIC, 0);
    // Level 17 is an hour.
    header.properties = Some("DELAY\u{1}17\u{2}");
    raw::send(&outside.client, &address, &header, "late".into(), LONG).unwrap();
    cluster.advance(Duration::from_secs(3500)).unwrap();
    std::thread::sleep(QUIET);
    assert_eq!(outside.read(&cluster, "broker-a"), ["first"]);
    cluster.advance(Duration::from_secs(101)).unwrap();
    eventually("the hour is over", || {
        outside.read(&cluster, "broker-a") == ["first", "late"]
    });
    // Nobody was taken for dead because of it.
    cluster.await_ready(LONG).unwrap();
    cluster.close(LONG).unwrap();
    let other = masters(1).advance(Duration::ZERO).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Invalid);
}

#[test]
fn a_paused_member_goes_on_where_it_was() {
    let cluster = masters(2);
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "before");
    cluster.pause("broker-a").unwrap();
    assert!(cluster.status("broker-a").unwrap().paused);
    let error = outside.try_send(&cluster, "broker-a", "waits", QUIET);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    outside.send(&cluster, "broker-b", "another member");
    // Paused members are not waited for.
    cluster.await_ready(LONG).unwrap();
    cluster.resume("broker-a").unwrap();
    outside.send(&cluster, "broker-a", "after");
    // What was sent meanwhile had waited, and came first.
    assert_eq!(
        outside.read(&cluster, "broker-a"),
        ["before", "waits", "after"]
    );
    cluster.close(LONG).unwrap();
}

#[test]
fn a_member_killed_while_paused_starts_unpaused() {
    let cluster = masters(1);
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "before");
    cluster.pause("broker-a").unwrap();
    cluster.kill("broker-a").unwrap();
    cluster.start_member("broker-a").unwrap();
    outside.send(&cluster, "broker-a", "after");
    assert_eq!(outside.read(&cluster, "broker-a"), ["before", "after"]);
}

#[test]
fn a_partition_divides_and_heals() {
    let cluster = masters(2);
    let outside = Outside::new();
    for member in ["broker-a", "broker-b"] {
        outside.send(&cluster, member, "before");
    }
    let near = ["namesrv-0", "broker-b", CLIENTS];
    cluster.partition(&[&["broker-a"], &near]).unwrap();
    let error = outside.try_send(&cluster, "broker-a", "across", QUIET);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    outside.send(&cluster, "broker-b", "this side");
    // A partition takes the place of the one before.
    cluster.partition(&[&["broker-b"]]).unwrap();
    outside.send(&cluster, "broker-a", "after");
    let error = outside.try_send(&cluster, "broker-b", "across", QUIET);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    cluster.heal();
    outside.send(&cluster, "broker-b", "after");
    let expected = ["before", "across", "after"];
    assert_eq!(outside.read(&cluster, "broker-a"), expected);
    let expected = ["before", "this side", "across", "after"];
    assert_eq!(outside.read(&cluster, "broker-b"), expected);
    let error = cluster.partition(&[&["broker-z"]]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("broker-b"), "{error}");
    cluster.close(LONG).unwrap();
}

#[test]
fn one_way_cuts_lose_answers_or_requests() {
    let cluster = masters(2);
    let outside = Outside::new();
    for member in ["broker-a", "broker-b"] {
        outside.send(&cluster, member, "before");
    }
    cluster.cut("broker-a", CLIENTS).unwrap();
    cluster.cut(CLIENTS, "broker-b").unwrap();
    for member in ["broker-a", "broker-b"] {
        let error = outside.try_send(&cluster, member, "cut", QUIET);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout, "{member}");
    }
    // Only the answer is lost on the way from a; b never has the request.
    let observer = Outside::observer();
    eventually("the message stored", || {
        observer.read(&cluster, "broker-a") == ["before", "cut"]
    });
    assert_eq!(observer.read(&cluster, "broker-b"), ["before"]);
    cluster.kill("broker-b").unwrap();
    cluster.heal();
    cluster.start_member("broker-b").unwrap();
    assert_eq!(outside.read(&cluster, "broker-a"), ["before", "cut"]);
    assert_eq!(outside.read(&cluster, "broker-b"), ["before"]);
}

#[test]
fn a_broker_starts_across_a_cut_and_registers_when_it_heals() {
    let cluster = masters(2);
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "kept");
    cluster.kill("broker-a").unwrap();
    // Behind the cut the nameserver would not notice that it is gone.
    eventually("it is forgotten", || {
        outside.route(&cluster, "namesrv-0").is_empty()
    });
    cluster.cut("broker-a", "namesrv-0").unwrap();
    cluster.start_member("broker-a").unwrap();
    assert_eq!(outside.read(&cluster, "broker-a"), ["kept"]);
    let error = cluster.await_ready(QUIET).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("does not know broker-a"),
        "{error}"
    );
    cluster.heal();
    cluster.await_ready(LONG).unwrap();
}

#[test]
fn clusters_side_by_side_do_not_meet() {
    let clusters: Vec<Cluster> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..5)
            .map(|count| scope.spawn(move || masters(1 + count % 2)))
            .collect();
        starting
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect()
    });
    let outside = Outside::new();
    for (number, cluster) in clusters.iter().enumerate() {
        outside.send(cluster, "broker-a", &format!("cluster {number}"));
    }
    clusters[0].partition(&[&["broker-a"]]).unwrap();
    clusters[1].kill("broker-a").unwrap();
    for (number, cluster) in clusters.iter().enumerate().skip(2) {
        let own = format!("cluster {number}");
        assert_eq!(outside.read(cluster, "broker-a"), [own]);
        assert_eq!(
            outside.route(cluster, "namesrv-0"),
            [("broker-a".to_owned(), 0)]
        );
    }
}

#[test]
fn a_folder_is_found_again_and_left_behind() {
    let storage = Storage::temporary().unwrap();
    let outside = Outside::new();
    let options = || ClusterOptions {
        storage: ClusterStorage::Directory(storage.path().join("cluster")),
        ..ClusterOptions::default()
    };
    let first = Cluster::start(options()).unwrap();
    outside.send(&first, "broker-a", "kept");
    first.close(LONG).unwrap();
    let second = Cluster::start(options()).unwrap();
    assert_eq!(outside.read(&second, "broker-a"), ["kept"]);
    let locked = Cluster::start(options()).unwrap_err();
    assert!(locked.to_string().contains("broker-a"), "{locked}");
    drop(second);
    assert!(storage.path().join("cluster/broker-a/commitlog").exists());
}

#[test]
fn keys_that_are_unknown_or_not_the_users_are_refused() {
    let with = |member: &str, key: &str| {
        let keys: Keys = [(key.to_owned(), "1".to_owned())].into();
        let mut options = ClusterOptions::default();
        match member {
            "" => options.settings = keys,
            member => options.member_settings = BTreeMap::from([(member.to_owned(), keys)]),
        }
        Cluster::start(options).unwrap_err()
    };
    for (member, key, why) in [
        ("", "maxMesageSize", "did you mean maxMessageSize"),
        ("broker-a", "listenPort", "set by the cluster"),
        ("namesrv-0", "flushDiskType", "set by the cluster"),
        ("namesrv-0", "maxMessageSize", "unknown"),
        ("broker-b", "maxMessageSize", "broker-b"),
    ] {
        let error = with(member, key);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let wrong = ClusterOptions::default().with("maxMessageSize", "many");
    let error = Cluster::start(wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn a_close_is_bounded_and_final() {
    let cluster = masters(2);
    let outside = Outside::new();
    outside.send(&cluster, "broker-a", "x");
    let folder = cluster.status("broker-a").unwrap().folder;
    cluster.pause("broker-a").unwrap();
    cluster.partition(&[&["namesrv-0"], &["broker-b"]]).unwrap();
    cluster.kill("broker-b").unwrap();
    let clock = SystemClock::new();
    cluster.close(Duration::from_secs(10)).unwrap();
    assert!(clock.monotonic() < Duration::from_secs(13));
    assert!(!folder.exists(), "temporary storage is left");
    cluster.close(LONG).unwrap();
    let error = cluster.start_member("broker-a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(cluster.members().iter().all(|member| !member.running));
}

#[test]
fn whoever_closes_while_another_does_waits_for_the_end() {
    let cluster = masters(1);
    let folder = cluster.status("broker-a").unwrap().folder;
    std::thread::scope(|scope| {
        let first = scope.spawn(|| cluster.close(LONG));
        // From the first moment on the cluster says that it is closed.
        while cluster.start_member("broker-a").unwrap_err().kind() != ErrorKind::Closed {}
        cluster.close(LONG).unwrap();
        assert!(!folder.exists(), "temporary storage is left");
        first.join().unwrap().unwrap();
    });
}

#[test]
fn a_drop_kills_and_removes_everything() {
    let cluster = masters(1);
    let status = cluster.status("broker-a").unwrap();
    drop(cluster);
    assert!(TcpStream::connect(status.address).is_err());
    assert!(!status.folder.exists());
}
