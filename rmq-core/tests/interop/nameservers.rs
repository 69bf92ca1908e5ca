//! Several nameservers, each on its own: brokers and clients live with any of them gone.

use std::time::Duration;

use crate::apache::{Broker, Load, Maker, Namesrv, Workspace, client, exclusive, prepare, run};

/// A few scenarios through one nameserver, which has to know both masters.
fn works_through(namesrv: &Namesrv, workspace: &Workspace) {
    let home = workspace.folder("home");
    let only = "send_sync,push_concurrent,topic_auto_create,error_unknown_topic";
    let mut suite = client("5.5.0", "Suite", &home);
    suite.args(["-n", &namesrv.address(), "--only", only]);
    suite.args(["--forgetful", "true"]);
    let (passed, text) = run("suite", &mut suite, &home, Duration::from_secs(120));
    println!("{text}");
    assert!(passed, "through {}:\n{text}", namesrv.address());
}

/// Brokers that start before their nameservers register when these come; a nameserver that goes
/// changes nothing for running clients; one that comes back knows everything again.
#[test]
fn nameservers_come_and_go() {
    if !prepare(&["java", "mvn"], &["client-5.5.0", "server-5.5.0"]) {
        return;
    }
    let _alone = exclusive();
    let maker = Maker::under_test();
    let workspace = Workspace::new();
    let [mut first, mut second] =
        ["namesrv-1", "namesrv-2"].map(|name| Namesrv::new(maker, &workspace.folder(name)));
    let both = format!("{};{}", first.address(), second.address());
    let _brokers = ["broker-a", "broker-b"].map(|name| {
        let dir = workspace.folder(name);
        let period = [("registerNameServerPeriod", "10000")];
        let mut broker = Broker::new(maker, name, &dir, &both, &period);
        broker.start();
        broker
    });
    first.start();
    second.start();
    let load = Load::start(&both, "through", &workspace.folder("load"));
    load.await_acked(500, "with both nameservers");
    first.kill();
    load.await_acked(3000, "without the first nameserver");
    works_through(&second, &workspace);
    first.start();
    works_through(&first, &workspace);
    second.kill();
    load.await_acked(3000, "without the second nameserver");
    match load.finish() {
        Ok(counts) => println!("{counts}"),
        Err(wrong) => panic!("{wrong}"),
    }
}
