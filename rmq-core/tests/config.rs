//! Configuration: every Apache key is known with its default, shipped files load, errors name what
//! is wrong, and the documentation equals the table.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use rmq_core::base::ErrorKind;
use rmq_core::config::table::Row;
use rmq_core::config::{
    BrokerConfig, BrokerRole, Environment, FlushDiskType, NamesrvConfig, Outcome, Properties,
    ServerSettings, auth, controller, docs, server, store,
};

const GROUPS: [&[Row]; 7] = [
    server::ServerConfig::ROWS,
    server::ClientConfig::ROWS,
    NamesrvConfig::ROWS,
    controller::ControllerKeys::ROWS,
    BrokerConfig::ROWS,
    store::StoreConfig::ROWS,
    auth::AuthKeys::ROWS,
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn properties(text: &str) -> Properties {
    Properties::parse("broker.conf", text.as_bytes()).unwrap()
}

fn broker_of(text: &str) -> BrokerConfig {
    let (config, warnings) = BrokerConfig::load(&environment(), &[&properties(text)]).unwrap();
    assert_eq!(warnings, []);
    config
}

fn broker_error(text: &str) -> String {
    BrokerConfig::load(&environment(), &[&properties(text)])
        .unwrap_err()
        .to_string()
}

fn environment() -> Environment {
    Environment {
        home: "/HOME".to_owned(),
        ..Environment::fixed()
    }
}

#[test]
fn every_key_of_apache_is_known_with_its_default() {
    // What rmq decides otherwise: values that the start of Apache's server sets over the default,
    // or that only Apache's host knows.
    let ours = [
        "brokerName",
        "brokerIP1",
        "brokerIP2",
        "haListenPort",
        "listenPort",
        "rocketmqHome",
        "namesrvAddr",
    ];
    let list = fs::read_to_string(root().join("rmq-core/tests/config_apache_keys.tsv")).unwrap();
    let mut count = 0;
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [class, key, _, default, _] = columns[..] else {
            panic!("{line}")
        };
        let groups: &[&[Row]] = match class {
            "NettyServerConfig" => &GROUPS[..1],
            "NettyClientConfig" => &GROUPS[..2],
            "NamesrvConfig" => &GROUPS[..3],
            "ControllerConfig" | "JraftConfig" => &GROUPS[..4],
            _ => &GROUPS,
        };
        let row = groups.iter().rev().flat_map(|rows| rows.iter());
        let row = row
            .into_iter()
            .find(|row| row.key == key || row.alias == Some(key));
        let row = row.unwrap_or_else(|| panic!("{class} {key} is unknown"));
        count += 1;
        if ours.contains(&key) || class == "ControllerConfig" && key == "configBlackList" {
            continue;
        }
        let text = row.default_text(&environment());
        if class == "ControllerConfig" && key == "configStorePath" {
            continue;
        }
        assert_eq!(text.as_deref().unwrap_or("null"), default, "{class} {key}");
    }
    assert!(count > 500, "{count}");
}

#[test]
fn rows_are_documented_and_unique() {
    for rows in GROUPS {
        let mut keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), rows.len());
        for row in rows {
            assert!(
                row.doc.len() > 8 && row.doc.ends_with('.'),
                "{}: {:?}",
                row.key,
                row.doc
            );
            assert!(row.doc.is_ascii() && !row.doc.contains('|'), "{}", row.key);
            assert!(!row.doc.contains("  "), "{}: {:?}", row.key, row.doc);
        }
    }
}

#[test]
fn the_documentation_equals_the_table() {
    let path = root().join("docs/configuration.md");
    let page = docs::render();
    if std::env::var_os("RMQ_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/configuration.md is old: run this test with RMQ_BLESS=1"
    );
}

#[test]
fn every_shipped_file_loads_without_a_warning() {
    let mut folders = vec![root().join("conf")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = fs::read(&path).unwrap();
            assert!(content.is_ascii(), "{}", path.display());
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let file = Properties::parse(&name, &content).unwrap();
            let warnings = if name.starts_with("namesrv") {
                NamesrvConfig::load(&environment(), &[&file]).unwrap().1
            } else {
                BrokerConfig::load(&environment(), &[&file]).unwrap().1
            };
            assert_eq!(warnings, [], "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn the_two_master_deployment_is_read_as_written() {
    let path = root().join("conf/2m-noslave-syncflush/broker-b.conf");
    let config = broker_of(&fs::read_to_string(path).unwrap());
    assert_eq!(config.broker_name, "broker-b");
    assert_eq!(config.cluster_name, "rocketmq-cluster");
    assert_eq!(
        config.namesrv_addr,
        ["192.168.1.11:9876", "192.168.1.12:9876"]
    );
    assert_eq!(config.broker_ip1.as_deref(), Some("192.168.1.12"));
    assert_eq!(config.store.flush_disk_type, FlushDiskType::SyncFlush);
    assert_eq!(config.store.broker_role, BrokerRole::AsyncMaster);
    assert_eq!(config.server.listen_port, 10_911);
    assert_eq!(
        (config.vip_port(), config.store.ha_listen_port),
        (10_909, 10_912)
    );
}

#[test]
fn command_line_lies_over_file_over_default() {
    let file = properties("namesrvAddr=a:1\nlistenPort=20000\nhaListenPort=7\n");
    let mut options = Properties::new("command line");
    options.set("namesrvAddr", "b:2;c:3");
    let (config, _) = BrokerConfig::load(&environment(), &[&file, &options]).unwrap();
    assert_eq!(config.namesrv_addr, ["b:2", "c:3"]);
    assert_eq!(
        (config.server.listen_port, config.vip_port()),
        (20_000, 19_998)
    );
    assert_eq!(config.store.ha_listen_port, 7);
    assert_eq!(config.store.root_dir, "/HOME/store");
    assert_eq!(config.store.commitlog_path(), "/HOME/store/commitlog");
    let (namesrv, _) = NamesrvConfig::load(&environment(), &[]).unwrap();
    assert_eq!(namesrv.server.listen_port, 9876);
    assert_eq!(
        namesrv.kv_config_path.as_deref(),
        Some("/HOME/namesrv/kvConfig.json")
    );
}

#[test]
fn a_wrong_value_is_one_line_that_names_everything() {
    let error = broker_error("a=1\n\nflushDiskType = SYNC\nbrokerName=x");
    assert_eq!(
        error,
        "read configuration: broker.conf:3: flushDiskType=SYNC: \
         allowed is ASYNC_FLUSH or SYNC_FLUSH"
    );
    let error = broker_error("listenPort=70000");
    assert!(
        error.ends_with(
            "broker.conf:1: listenPort=70000: allowed is a whole number from 0 to 65535"
        )
    );
    assert_eq!(
        broker_error("storePathCommitLog=/a,/b"),
        "read configuration: broker.conf:1: storePathCommitLog=/a,/b: several folders for one \
         commit log are not supported"
    );
    let error = broker_error("fileReservedTime=ten\nautoCreateTopicEnable=yes\ndeleteWhen=25");
    assert!(
        error.contains("broker.conf:") && error.ends_with("(and 2 more wrong values)"),
        "{error}"
    );
    assert!(!error.contains('\n'));
    // A key without effect is checked all the same.
    assert!(
        broker_error("haTransferBatchSize=big").contains("haTransferBatchSize=big: allowed is")
    );
    assert!(
        broker_error("namesrvAddr=host").contains("namesrvAddr=host: allowed are host:port pairs")
    );
    assert!(broker_error("namesrvAddr=h:0").contains("namesrvAddr=h:0"));
    for (text, why) in [
        ("brokerRole=SLAVE", "Slave's brokerId must be > 0"),
        (
            "brokerId=1",
            "brokerRole=ASYNC_MASTER is the master of its group",
        ),
        ("brokerId=-1", "whose brokerId is 0"),
        ("minInSyncReplicas=3", "at most inSyncReplicas=1"),
        ("haMasterAddress=host", "allowed is host:port"),
        ("haListenPort=10911", "taken by clients"),
    ] {
        let error = broker_error(text);
        assert!(error.contains(why), "{text}: {error}");
    }
    assert!(broker_error("brokerName=").contains("broker.conf:1: brokerName=: "));
    assert!(broker_error("listenPort=65535").contains("listenPort+1"));
    assert!(broker_error("listenPort=2").contains("listenPort-2"));
}

#[test]
fn unknown_keys_are_reported_once_and_never_fatal() {
    let file = properties("flushDisktype=SYNC_FLUSH\nfoo=1\nfoo=2\nbrokerNames=x\n");
    let (config, warnings) = BrokerConfig::load(&environment(), &[&file, &file]).unwrap();
    assert_eq!(config.store.flush_disk_type, FlushDiskType::AsyncFlush);
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "broker.conf:1: the key flushDisktype is unknown and ignored \
             (did you mean flushDiskType?)",
            "broker.conf:3: the key foo is unknown and ignored",
            "broker.conf:4: the key brokerNames is unknown and ignored (did you mean brokerName?)",
        ]
    );
}

#[test]
fn every_key_comes_back_and_secrets_do_not() {
    let config = broker_of(
        "maxMessageSize=8m\nhaSendHeartbeatInterval=1000\ninitAuthenticationUser={\"p\":\"x\"}\n",
    );
    let shown = config.to_properties();
    assert_eq!(shown.get("maxMessageSize"), Some("8388608"));
    assert_eq!(shown.get("haSendHeartbeatInterval"), Some("1000"));
    assert_eq!(shown.get("initAuthenticationUser"), Some("******"));
    assert_eq!(shown.get("haTransferBatchSize"), Some("32768"));
    assert_eq!(shown.get("listenPort"), Some("10911"));
    assert_eq!(shown.get("haListenPort"), Some("10912"));
    assert_eq!(shown.get("clientCallbackExecutorThreads"), Some("2"));
    assert_eq!(shown.get("haMasterAddress"), None);
    assert!(shown.len() > 400, "{}", shown.len());
    let important = config.to_important_properties();
    assert_eq!(important.get("listenPort"), Some("10911"));
    assert_eq!(important.get("haTransferBatchSize"), None);
    assert!((20..100).contains(&important.len()), "{}", important.len());
    // What is shown can be read again and means the same.
    let (again, warnings) = BrokerConfig::load(&environment(), &[&shown]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(again.to_properties(), shown);
}

#[test]
fn changes_at_run_time_tell_what_became_of_each_key() {
    let config = broker_of("brokerName=a");
    let update = properties(
        "maxMessageSize=1024\nflushDiskType=SYNC_FLUSH\nputMessageTimeout=1\nfoo=1\n\
         traceOn=true",
    );
    let (changed, changes) = config.reload(&update).unwrap();
    let outcomes: Vec<_> = changes
        .iter()
        .map(|c| (c.key.as_str(), c.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("maxMessageSize", Outcome::Applied),
            ("flushDiskType", Outcome::NeedsRestart),
            ("putMessageTimeout", Outcome::NoEffect),
            ("foo", Outcome::Unknown),
            ("traceOn", Outcome::Unchanged),
        ]
    );
    assert_eq!(changed.store.max_message_bytes, 1024);
    assert_eq!(changed.store.flush_disk_type, FlushDiskType::AsyncFlush);
    assert_eq!(
        changed.to_properties().get("flushDiskType"),
        Some("SYNC_FLUSH")
    );
    assert_eq!(
        rmq_core::config::KeyChange::summary(&changes),
        "applied: maxMessageSize; needs a restart: flushDiskType; \
         accepted without effect: putMessageTimeout; unknown: foo; unchanged: traceOn"
    );
    // Asking again changes nothing, and going back is a change again.
    let (_, again) = changed
        .reload(&properties("flushDiskType=SYNC_FLUSH"))
        .unwrap();
    assert_eq!(again[0].outcome, Outcome::Unchanged);
    let (back, again) = changed
        .reload(&properties("flushDiskType=ASYNC_FLUSH"))
        .unwrap();
    assert_eq!(again[0].outcome, Outcome::NeedsRestart);
    assert_eq!(
        back.to_properties().get("flushDiskType"),
        Some("ASYNC_FLUSH")
    );
}

#[test]
fn paths_and_listed_keys_cannot_be_changed_at_run_time() {
    let broker = broker_of("configBlackList=brokerPermission");
    for key in [
        "brokerConfigPath",
        "rocketmqHome",
        "configBlackList",
        "storePathRootDir",
        "storePathCommitLog",
        "brokerPermission",
        "initAuthenticationUser",
        "authConfigPath",
    ] {
        let mut update = properties("traceOn=false");
        update.set(key, "4");
        let error = broker.reload(&update).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{key}");
        assert!(error.to_string().contains(key));
    }
    let namesrv = NamesrvConfig::defaults(&environment());
    for key in [
        "configBlackList",
        "configStorePath",
        "kvConfigPath",
        "rocketmqHome",
    ] {
        let mut update = Properties::new("t");
        update.set(key, "/tmp/x");
        assert_eq!(
            namesrv.reload(&update).unwrap_err().kind(),
            ErrorKind::Permission,
            "{key}"
        );
    }
    let wrong = broker.reload(&properties("maxMessageSize=-1")).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Invalid);
    assert!(
        wrong.to_string().contains("maxMessageSize=-1: allowed is"),
        "{wrong}"
    );
}

#[test]
fn embedded_defaults_are_small_and_local() {
    let broker = BrokerConfig::embedded_defaults("/tmp/x");
    assert_eq!(broker.server.bind_address, "127.0.0.1");
    assert_eq!((broker.server.listen_port, broker.vip_port()), (0, 0));
    assert_eq!(broker.store.segment_bytes, 16 << 20);
    assert_eq!(broker.store.commitlog_path(), "/tmp/x/commitlog");
    let namesrv = NamesrvConfig::embedded_defaults();
    assert_eq!(
        (namesrv.server.listen_port, namesrv.kv_config_path),
        (0, None)
    );
}

#[test]
fn second_spellings_and_derived_values() {
    let file = properties("scanAvailableNameSrv=false\nmappedFileSizeConsumeQueue=41\n");
    let (config, warnings) = BrokerConfig::load(&environment(), &[&file]).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(
        config.to_properties().get("isScanAvailableNameSrv"),
        Some("false")
    );
    assert_eq!(config.store.consume_queue_file_bytes, 60);
    let config = broker_of("registerNameServerPeriod=1");
    assert_eq!((config.broker_id, config.register_interval_ms), (0, 10_000));
    let slave = broker_of("brokerId=1\nbrokerRole=SLAVE");
    assert_eq!((slave.broker_id, slave.memory_percent()), (1, 30));
}
