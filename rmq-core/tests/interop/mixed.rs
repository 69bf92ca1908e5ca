//! rmq's and Apache's servers in one cluster, and Apache's admin tool.

use std::time::Duration;

use crate::apache::{
    Broker, Cluster, Maker, Namesrv, Workspace, client, client_with, exclusive, prepare, run,
};

const PARTS: [&str; 3] = ["client-4.9.8", "client-5.5.0", "server-5.5.0"];

/// Two nameservers and two masters, one of each maker, every master registered with both: a client
/// finds both masters through either nameserver.
#[test]
fn brokers_and_nameservers_of_both_makers_work_together() {
    if !prepare(&["java", "mvn"], &PARTS) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let makers = [Maker::under_test(), Maker::Apache];
    let namesrvs = makers
        .map(|maker| Namesrv::started(maker, &workspace.folder(&format!("namesrv-{maker:?}"))));
    let all = format!("{};{}", namesrvs[0].address(), namesrvs[1].address());
    let _brokers = ["broker-a", "broker-b"].map(|name| {
        let maker = makers[usize::from(name == "broker-b")];
        let mut broker = Broker::new(maker, name, &workspace.folder(name), &all, &[]);
        broker.start();
        broker
    });
    let home = workspace.folder("home");
    let only = "send_sync,send_batch,push_concurrent,push_orderly,rebalance_concurrent,\
                topic_auto_create,topic_create_api,topic_delete,error_unknown_topic";
    for (namesrv, version) in namesrvs.iter().zip(["5.5.0", "4.9.8"]) {
        let mut suite = client(version, "Suite", &home);
        suite.args(["-n", &namesrv.address(), "--only", only]);
        // One of the two brokers and nameservers is Apache's.
        suite.args(["--forgetful", "true"]);
        let (passed, text) = run("suite", &mut suite, &home, Duration::from_secs(120));
        println!("{text}");
        let failures: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("ok "))
            .collect();
        assert!(
            passed,
            "through {}:\n{}",
            namesrv.address(),
            failures.join("\n")
        );
    }
}

fn run_mqadmin(class: &str) {
    if !prepare(&["java", "mvn"], &PARTS) {
        return;
    }
    let _alone = exclusive();
    let workspace = Workspace::new();
    let cluster = Cluster::start(Maker::under_test(), &workspace, &[]);
    let home = workspace.folder("home");
    // Some commands leave files there.
    let folder = format!("-Djava.io.tmpdir={}", home.display());
    let mut admin = client_with(&[&folder], "5.5.0", class, &home);
    admin.args(["-n", &cluster.namesrv.address()]);
    let (passed, text) = run("mqadmin", &mut admin, &home, Duration::from_secs(240));
    println!("{text}");
    assert!(passed, "{text}");
}

/// Apache's mqadmin reads and changes the cluster: what it prints is what is there.
#[test]
fn mqadmin_operates_the_cluster() {
    run_mqadmin("AdminTool");
}

/// It finds messages by every id, key and place that they have.
#[test]
fn mqadmin_finds_messages() {
    run_mqadmin("AdminQueries");
}
