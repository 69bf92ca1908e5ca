//! Two masters that flush before they answer, one of the two killed again and again under load:
//! nothing that was acknowledged is lost, nothing lies twice in the log, the order of every queue
//! holds. `RMQ_SOAK_KILLS` says how often (6 unless told, 100 for the long form).

#[path = "support/apache.rs"]
mod apache;

use std::thread::sleep;
use std::time::Duration;

use apache::{Cluster, Load, Maker, Workspace, exclusive, prepare};
use rmq_core::base::clock::{Clock, SystemClock};

/// xorshift64
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[test]
fn killed_masters_lose_nothing_that_they_acknowledged() {
    if !prepare(&["java", "mvn"], &["client-5.5.0", "server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let kills: u32 = std::env::var("RMQ_SOAK_KILLS").map_or(6, |value| {
        value.parse().expect("RMQ_SOAK_KILLS is a number")
    });
    let seed = SystemClock::new().wall_ms().unsigned_abs() | 1;
    println!("{kills} kills, seed {seed}");
    let mut random = Random(seed);
    let workspace = Workspace::new();
    let mut cluster = Cluster::start(
        Maker::under_test(),
        &workspace,
        &[("flushDiskType", "SYNC_FLUSH")],
    );
    let load = Load::start(
        &cluster.namesrv.address(),
        "soak",
        &workspace.folder("load"),
    );
    for kill in 1..=kills {
        load.await_acked(1, "with both masters up");
        sleep(random.millis(300, 2500));
        let victim = usize::try_from(random.below(2)).expect("0 or 1");
        cluster.brokers[victim].kill();
        println!(
            "kill {kill}: {}, {} acked",
            cluster.brokers[victim].name,
            load.acked()
        );
        load.await_acked(50, "through the other master");
        sleep(random.millis(0, 1000));
        cluster.brokers[victim].start();
    }
    load.await_acked(1000, "at the end");
    match load.finish() {
        Ok(counts) => println!("{counts}"),
        Err(wrong) => panic!("the history does not hold (seed {seed}):\n{wrong}"),
    }
}
