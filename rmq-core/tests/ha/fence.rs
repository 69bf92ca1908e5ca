//! Replication over a network that fails on command.

use std::net::IpAddr;

use rmq_core::ha::{MasterOptions, SlaveOptions, SlaveState};
use rmq_core::net::Fence;
use rmq_core::store::Replication;

use crate::store_support::LONG;
use crate::support::{Node, bound, eventually, sync_options};

#[test]
fn a_cut_either_way_stops_replication_and_healing_lets_it_go_on() {
    let (first, second) = (Node::waiting(), Node::new());
    let fence = Fence::default();
    let master = first.master_with(MasterOptions {
        fence: fence.clone(),
        ..sync_options(1)
    });
    let slave = second.slave_with(
        SlaveOptions {
            fence: fence.clone(),
            ..bound(2)
        },
        master.address(),
    );
    let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
    let in_sync = || first.store.watermarks().replication() == Replication::InSync;
    first.fill(10);
    second.equals(&first);
    eventually("in sync", in_sync);
    // The log does not get there.
    fence.cut(here, there);
    let before = second.end();
    first.fill(10);
    eventually("out of sync", || !in_sync());
    assert_eq!(second.end(), before);
    fence.heal(here, there);
    second.equals(&first);
    eventually("in sync", in_sync);
    // Acknowledgements do not get back.
    fence.cut(there, here);
    let kept = first.store.watermarks().promised();
    first.fill(10);
    second.equals(&first);
    eventually("out of sync", || !in_sync());
    assert_eq!(first.store.watermarks().promised(), kept);
    fence.heal(there, here);
    eventually("promised", || {
        first.store.watermarks().promised() == first.end()
    });
    eventually("in sync", in_sync);
    assert!(slave.is_connected());
}

#[test]
fn no_connection_is_made_through_a_cut_and_both_ends_notice_silence() {
    let (first, second) = (Node::new(), Node::new());
    let fence = Fence::default();
    let master = first.master_with(MasterOptions {
        fence: fence.clone(),
        housekeeping_ms: 150,
        ..sync_options(1)
    });
    let slave = second.slave_with(
        SlaveOptions {
            fence: fence.clone(),
            housekeeping_ms: 150,
            connect_timeout_ms: 50,
            ..bound(3)
        },
        master.address(),
    );
    first.fill(10);
    second.equals(&first);
    fence.isolate(IpAddr::from([127, 0, 0, 3]));
    eventually("the master gave up", || master.status().slaves.is_empty());
    eventually("the slave gave up", || {
        slave.status().state == SlaveState::Connecting
    });
    first.fill(10);
    fence.restore(IpAddr::from([127, 0, 0, 3]));
    second.equals(&first);
    // Ends at once also while it cannot connect.
    fence.isolate(IpAddr::from([127, 0, 0, 3]));
    eventually("the slave gave up", || {
        slave.status().state == SlaveState::Connecting
    });
    slave.close(LONG).unwrap();
    master.close(LONG).unwrap();
}
