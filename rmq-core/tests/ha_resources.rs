//! What replication uses while slaves misbehave, and that nothing of it stays. Alone in its
//! process, whose threads, descriptors and memory it counts.

#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "store_support/mod.rs"]
mod store_support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rmq_core::base::clock::{Clock, SharedClock, SystemClock};
use rmq_core::ha::{Master, MasterOptions, Slave, SlaveOptions};
use rmq_core::store::{RealDisk, Store, StoreOptions};
use store_support::{LONG, put};

fn open(root: &std::path::Path, clock: &SharedClock) -> Arc<Store> {
    let options = StoreOptions {
        segment_bytes: 16 << 20,
        ..StoreOptions::new(root)
    };
    Store::open(options, RealDisk::shared(), Arc::clone(clock)).unwrap()
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !done() {
        assert!(clock.monotonic() < Duration::from_secs(60), "not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end while it is looked at.
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let mut names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
    names.retain(|name| name.starts_with("rmq-ha"));
    names.sort();
    names
}

fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    targets
        .filter(|target| {
            let target = target.to_string_lossy();
            target.starts_with("socket:") || target.starts_with("anon_inode:")
        })
        .count()
}

/// Memory of this process that is no file's.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[test]
fn slaves_that_do_not_read_take_no_memory_and_close_leaves_nothing() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let clock = SystemClock::shared();
    let [first, second] = [0, 1].map(|i| open(dirs[i].path(), &clock));
    let before = sockets();
    let options = MasterOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        max_unreported: 16,
        ..MasterOptions::default()
    };
    let master = Master::start(options, Arc::clone(&first), Arc::clone(&clock)).unwrap();
    let slave = Slave::start(
        SlaveOptions::default(),
        Arc::clone(&second),
        Arc::clone(&clock),
    )
    .unwrap();
    slave.set_master(Some(master.address().to_string()));
    let connect = || TcpStream::connect(master.address()).unwrap();
    let stalled: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = connect();
            stream.write_all(&1i64.to_be_bytes()).unwrap();
            stream
        })
        .collect();
    let silent: Vec<_> = (0..100).map(|_| connect()).collect();
    eventually("all are served", || master.status().slaves.len() == 5);
    // One thread each, and none for those who say nothing.
    eventually("one thread each", || threads().len() == 1 + 5 + 1);
    let at_first = memory_kib();
    let body = vec![b'm'; 250_000];
    for _ in 0..400 {
        put(&first, "topic", 0, &body).unwrap();
    }
    let end = first.watermarks().appended();
    eventually("the slave has all", || {
        second.watermarks().appended() == end
    });
    let grown = memory_kib().saturating_sub(at_first);
    assert!(grown < 24 << 10, "{grown} KiB for 100 MB");
    let behind = master.status().slaves.iter().filter(|s| s.ack <= 1).count();
    assert_eq!(behind, 4);
    slave.close(LONG).unwrap();
    master.close(LONG).unwrap();
    // Their work has ended; the system takes a moment to let go of them.
    eventually("no thread is left", || threads().is_empty());
    drop((stalled, silent, slave, master));
    eventually("all descriptors are closed", || {
        // The hook of the store keeps a waker.
        sockets() <= before + 1
    });
    first.close(LONG).unwrap();
    second.close(LONG).unwrap();
}
