//! What clusters leave in their process. One test, for it counts everything of the process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "cluster/outside.rs"]
mod outside;
#[path = "support/peer.rs"]
mod peer;

use outside::*;
use rmq_core::embed::{Cluster, ClusterOptions, Deployment};

/// Threads and descriptors of this process.
fn held() -> (usize, usize) {
    let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Folders of this process in the system's temporary one.
fn folders() -> usize {
    let own = format!("rmq-{}-", std::process::id());
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    entries
        .filter(|entry| {
            let name = entry.as_ref().map(|entry| entry.file_name());
            name.is_ok_and(|name| name.to_string_lossy().starts_with(&own))
        })
        .count()
}

#[test]
fn nothing_is_left_of_clusters_however_they_end() {
    let before = held();
    for round in 0..8 {
        let deployment = match round {
            0..4 => Deployment::Masters(2),
            _ => Deployment::SyncDoubleWrite {
                masters: 2,
                slaves_each: 1,
            },
        };
        let cluster = Cluster::start(ClusterOptions::new(deployment)).unwrap();
        let outside = Outside::new();
        outside.send(&cluster, "broker-a", "x");
        outside.send(&cluster, "broker-b", "x");
        let running = held();
        for _ in 0..3 {
            cluster.pause("broker-b").unwrap();
            cluster.kill("broker-a").unwrap();
            cluster.resume("broker-b").unwrap();
            cluster.start_member("broker-a").unwrap();
            cluster.restart("namesrv-0", LONG).unwrap();
        }
        // The same members, so no more threads; a connection more or less is their affair.
        eventually("restarts leave nothing", || {
            let now = held();
            now.0 <= running.0 && now.1 <= running.1 + 4
        });
        drop(outside);
        match round % 4 {
            0 => cluster.close(LONG).unwrap(),
            1 => {
                cluster.kill("broker-a").unwrap();
                cluster.close(LONG).unwrap();
            }
            2 => cluster.partition(&[&["broker-a"], &["broker-b"]]).unwrap(),
            _ => cluster.pause("broker-a").unwrap(),
        }
        drop(cluster);
        eventually("threads and descriptors given back", || held() == before);
        assert_eq!(folders(), 0);
    }
    // A start that fails halfway leaves nothing either.
    let mut wrong = ClusterOptions::new(Deployment::Masters(2));
    let keys = [("maxMessageSize".to_owned(), "many".to_owned())].into();
    wrong.member_settings.insert("broker-b".to_owned(), keys);
    Cluster::start(wrong).unwrap_err();
    assert_eq!((held(), folders()), (before, 0));
}
