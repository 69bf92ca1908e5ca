//! Delayed messages while their broker is killed and stopped: what was acknowledged is delivered,
//! not before its time, and once unless the broker was killed.
//!
//! `RMQ_KILLS` is the number of kills (4), `RMQ_SEED` makes a run fall as another one did.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test reports what it saw")]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/process.rs"]
mod process;
#[path = "support/server.rs"]
mod server;
#[path = "support/waiting.rs"]
mod waiting;

use std::collections::HashMap;

use server::Server;
use waiting::{Id, Kind, id_of};

const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
const DELAYS_MS: [i64; 3] = [1_000, 2_000, 3_000];

const DELAYED: Kind = Kind {
    topic: "delayed",
    keys: "messageDelayLevel=1s 2s 3s",
    properties: |(sender, number)| format!("DELAY\u{1}{}\u{2}", (sender + number) % 3 + 1),
    due,
};

fn due(server: &Server) -> HashMap<Id, i64> {
    let mut due = HashMap::new();
    for (queue_id, delay_ms) in (0..).zip(DELAYS_MS) {
        let (client, address) = (&server.client, &server.address);
        peer::visit_queue(client, address, SCHEDULE_TOPIC, queue_id, |record| {
            let entry = due.entry(id_of(record.body())).or_insert(i64::MAX);
            *entry = (record.store_timestamp_ms() + delay_ms).min(*entry);
        })
        .unwrap();
    }
    due
}

#[test]
fn a_killed_broker_delivers_what_it_acknowledged() {
    // Offsets are written often, so that kills fall between delivery and note, too.
    DELAYED.survives_kills("flushDiskType=SYNC_FLUSH\nflushDelayOffsetInterval=50");
}

#[test]
fn a_stopped_broker_delivers_everything_once() {
    DELAYED.survives_stops(|server| {
        let file = std::fs::read_to_string(server.home.join("store/config/delayOffset.json"));
        assert!(file.unwrap().contains("\"offsetTable\":{"));
    });
}
