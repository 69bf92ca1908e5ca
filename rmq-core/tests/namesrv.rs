//! The nameserver over real sockets: every request that a broker, client or tool sends it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rmq_core::base::ErrorKind;
use rmq_core::base::clock::{Clock, ManualClock, SystemClock};
use rmq_core::config::NamesrvConfig;
use rmq_core::namesrv::{Host, Namesrv};
use rmq_core::net::{Client, ClientConfig};
use rmq_core::protocol::body::register::RegisterBrokerBody;
use rmq_core::protocol::body::topic::{TopicConfig, TopicTable};
use rmq_core::protocol::code::{RequestCode, ResponseCode};
use rmq_core::protocol::command::Command;
use rmq_core::protocol::frame::Serialize;
use rmq_core::protocol::version;

const TIMEOUT: Duration = Duration::from_secs(10);

struct Fixture {
    namesrv: Namesrv,
    client: Client,
    address: String,
}

impl Fixture {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut NamesrvConfig)) -> Self {
        let mut config = NamesrvConfig::embedded_defaults();
        config.server.reactor_threads = 2;
        change(&mut config);
        let namesrv = Namesrv::start(config, Host::default()).unwrap();
        let address = format!("127.0.0.1:{}", namesrv.port());
        Self {
            namesrv,
            client: new_client(),
            address,
        }
    }

    fn send(&self, command: Command) -> Command {
        self.client.call(&self.address, command, TIMEOUT).unwrap()
    }

    /// Sends a request with these fields and this body.
    fn ask(&self, code: RequestCode, fields: &[(&str, &str)], body: &str) -> Command {
        self.send(request(code, fields, body))
    }

    /// The same, for requests that must succeed; returns the body.
    fn ok(&self, code: RequestCode, fields: &[(&str, &str)], body: &str) -> String {
        let answer = self.ask(code, fields, body);
        assert_eq!(answer.code, 0, "{answer:?}");
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    fn register(&self, name: &str, id: i64, topics: &[&str]) -> Command {
        let body = registration_body(1, topics);
        self.ask(
            RequestCode::REGISTER_BROKER,
            &broker_fields(name, id),
            &body,
        )
    }

    fn route(&self, topic: &str) -> Command {
        self.ask(RequestCode::GET_ROUTEINFO_BY_TOPIC, &[("topic", topic)], "")
    }
}

fn host_with(clock: &Arc<ManualClock>) -> Host {
    Host {
        clock: clock.clone(),
        ..Host::default()
    }
}

fn new_client() -> Client {
    Client::start(ClientConfig::default(), SystemClock::shared()).unwrap()
}

fn request(code: RequestCode, fields: &[(&str, &str)], body: &str) -> Command {
    let mut command = Command::bare_request(code).with_body(body.to_owned());
    for (key, value) in fields {
        command.ext.insert((*key).to_owned(), *value);
    }
    command
}

/// The fields that 103, 104, 322 and 904 share; addresses follow from name and id.
fn broker_fields(name: &str, id: i64) -> Vec<(&'static str, &'static str)> {
    let leak = |text: String| -> &'static str { text.leak() };
    vec![
        ("brokerName", leak(name.to_owned())),
        ("brokerAddr", leak(format!("10.0.0.{id}:10911-{name}"))),
        ("clusterName", "c1"),
        ("haServerAddr", leak(format!("10.0.0.{id}:10912"))),
        ("brokerId", leak(id.to_string())),
    ]
}

fn registration_body(counter: i64, topics: &[&str]) -> String {
    let table: Vec<String> = topics
        .iter()
        .map(|topic| {
            format!(
                "\"{topic}\":{{\"attributes\":{{}},\"order\":false,\"perm\":6,\
                 \"readQueueNums\":4,\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"{topic}\",\
                 \"topicSysFlag\":0,\"writeQueueNums\":4}}"
            )
        })
        .collect();
    format!(
        "{{\"filterServerList\":[],\"topicConfigSerializeWrapper\":{{\"dataVersion\":\
         {{\"counter\":{counter},\"stateVersion\":0,\"timestamp\":7}},\"topicConfigTable\":{{{}}},\
         \"topicQueueMappingDetailMap\":{{}},\"topicQueueMappingInfoMap\":{{}}}}}}",
        table.join(",")
    )
}

const TEXT: fn(&Command) -> String = |command| String::from_utf8_lossy(&command.body).into_owned();

#[test]
fn a_broker_registers_and_clients_find_it() {
    let f = Fixture::new();
    let answer = f.register("b-a", 0, &["T", "U"]);
    assert_eq!((answer.code, answer.body.len()), (0, 0));
    assert_eq!(answer.version, version::CURRENT);
    let route = f.route("T");
    assert_eq!(
        TEXT(&route),
        concat!(
            r#"{"brokerDatas":[{"brokerAddrs":{"0":"10.0.0.0:10911-b-a"},"#,
            r#""brokerName":"b-a","cluster":"c1","enableActingMaster":false}],"#,
            r#""filterServerTable":{},"queueDatas":[{"brokerName":"b-a","#,
            r#""perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#,
        )
    );
    // A slave is told its master and where to replicate from.
    let slave = f.register("b-a", 1, &["T", "U"]);
    assert_eq!(slave.ext.get("masterAddr"), Some("10.0.0.0:10911-b-a"));
    assert_eq!(slave.ext.get("haServerAddr"), Some("10.0.0.0:10912"));
    let missing = f.route("X");
    assert_eq!(missing.response_code(), ResponseCode::TOPIC_NOT_EXIST);
    assert!(
        missing
            .remark
            .unwrap()
            .contains("No topic route info in name server for the topic: X")
    );
}

#[test]
fn routes_are_written_as_each_client_reads_them() {
    let f = Fixture::new();
    f.register("b-a", 0, &["T", "U"]);
    let mut old = request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")], "");
    old.version = version::V4_9_4 - 1;
    // Twice: the second answer comes from the cache.
    for _ in 0..2 {
        let plain = TEXT(&f.send(old.clone()));
        assert!(
            plain.contains(r#""brokerAddrs":{0:"10.0.0.0:10911-b-a"}"#),
            "{plain}"
        );
    }
    let mut asks = old.clone();
    asks.ext.insert("acceptStandardJsonOnly", "true");
    assert!(TEXT(&f.send(asks)).contains(r#"{"0":"#));
    let mut binary = old;
    binary.serialize = Serialize::Rocketmq;
    assert!(TEXT(&f.send(binary)).contains("{0:"));
}

#[test]
fn a_route_follows_every_change() {
    let f = Fixture::with(|config| config.order_message_enable = true);
    f.register("b-a", 0, &["T", "U"]);
    let first = TEXT(&f.route("T"));
    f.register("b-b", 0, &["T", "U"]);
    let second = TEXT(&f.route("T"));
    assert!(!first.contains("b-b") && second.contains("b-b"), "{second}");
    let fields = [
        ("namespace", "ORDER_TOPIC_CONFIG"),
        ("key", "T"),
        ("value", "b-a:4"),
    ];
    f.ok(RequestCode::PUT_KV_CONFIG, &fields, "");
    assert!(TEXT(&f.route("T")).contains(r#""orderTopicConf":"b-a:4""#));
    f.ok(
        RequestCode::UPDATE_NAMESRV_CONFIG,
        &[],
        "orderMessageEnable=false",
    );
    assert!(!TEXT(&f.route("T")).contains("orderTopicConf"));
    let wiped = f.ask(
        RequestCode::WIPE_WRITE_PERM_OF_BROKER,
        &[("brokerName", "b-a")],
        "",
    );
    assert_eq!(wiped.ext.get("wipeTopicCount"), Some("2"));
    assert!(TEXT(&f.route("T")).contains(r#"{"brokerName":"b-a","perm":4"#));
    let added = f.ask(
        RequestCode::ADD_WRITE_PERM_OF_BROKER,
        &[("brokerName", "b-a")],
        "",
    );
    assert_eq!(added.ext.get("addTopicCount"), Some("2"));
    assert!(TEXT(&f.route("T")).contains(r#"{"brokerName":"b-a","perm":6"#));
    f.ok(RequestCode::UNREGISTER_BROKER, &broker_fields("b-b", 0), "");
    assert_eq!(TEXT(&f.route("T")), first);
    f.ok(RequestCode::DELETE_TOPIC_IN_NAMESRV, &[("topic", "T")], "");
    assert_eq!(f.route("T").response_code(), ResponseCode::TOPIC_NOT_EXIST);
}

#[test]
fn registrations_that_cannot_be_taken_are_refused() {
    let f = Fixture::new();
    let single = f.register("b-a", 0, &["T"]);
    assert_eq!(
        (single.code, single.remark.as_deref()),
        (1, Some("register broker failed"))
    );
    assert_eq!(
        f.ok(RequestCode::GET_BROKER_CLUSTER_INFO, &[], ""),
        EMPTY_CLUSTERS
    );

    let body = registration_body(1, &["T", "U"]);
    let mut fields = broker_fields("b-a", 0);
    fields.push(("bodyCrc32", "12345"));
    let wrong = f.ask(RequestCode::REGISTER_BROKER, &fields, &body);
    assert_eq!(
        (wrong.code, wrong.remark.as_deref()),
        (1, Some("crc32 not match"))
    );
    let crc = (crc32fast::hash(body.as_bytes()) & 0x7fff_ffff).to_string();
    fields.pop();
    fields.push(("bodyCrc32", crc.leak()));
    assert_eq!(f.ask(RequestCode::REGISTER_BROKER, &fields, &body).code, 0);

    let missing = f.ask(RequestCode::REGISTER_BROKER, &fields[1..], &body);
    assert_eq!(missing.code, 1);
    assert!(missing.remark.unwrap().contains("brokerName"));
    let garbage = f.ask(
        RequestCode::REGISTER_BROKER,
        &broker_fields("b-b", 0),
        "{\"x\":[[[",
    );
    assert_eq!(garbage.code, 1);
    let mut unnamed = broker_fields("", 0);
    unnamed[0].1 = "";
    assert_eq!(f.ask(RequestCode::REGISTER_BROKER, &unnamed, &body).code, 1);
}

#[test]
fn a_compressed_registration_and_a_very_old_one_are_read() {
    let f = Fixture::with(|config| config.inflated_bytes_max = 1 << 16);
    let mut table = TopicTable::default();
    for name in ["T", "U"] {
        table.topics.insert(name.to_owned(), TopicConfig::new(name));
    }
    let mut fields = broker_fields("b-a", 0);
    fields.push(("compressed", "true"));
    let send = |name: &str, body: Vec<u8>, version: i32| {
        let mut command = request(RequestCode::REGISTER_BROKER, &fields, "").with_body(body);
        command.ext.insert("brokerName", name);
        command.version = version;
        f.send(command)
    };
    let body = RegisterBrokerBody::new(table.clone(), 6).encode_compressed();
    assert_eq!(send("b-a", body.clone(), version::CURRENT).code, 0);
    assert!(TEXT(&f.route("T")).contains(r#""readQueueNums":16"#));
    // Cut short, or larger than allowed: its own request fails.
    assert_eq!(
        send("b-b", body[..body.len() / 2].to_vec(), version::CURRENT).code,
        1
    );
    for n in 0..2_000 {
        let name = format!("topic-{n:040}");
        table.topics.insert(name.clone(), TopicConfig::new(name));
    }
    let large = RegisterBrokerBody::new(table.clone(), 6).encode_compressed();
    assert_eq!(send("b-c", large, version::CURRENT).code, 1);
    // Before 3.0.11 the body is the table alone.
    assert_eq!(send("b-d", table.encode(), version::V3_0_11 - 1).code, 0);
    assert!(TEXT(&f.route("T")).contains("b-d"));
    assert!(!TEXT(&f.route("T")).contains("b-b"));
}

const EMPTY_CLUSTERS: &str = r#"{"brokerAddrTable":{},"clusterAddrTable":{}}"#;

#[test]
fn clusters_members_and_data_versions() {
    let f = Fixture::new();
    f.register("b-a", 0, &["T", "U"]);
    f.register("b-a", 1, &["T", "U"]);
    assert_eq!(
        f.ok(RequestCode::GET_BROKER_CLUSTER_INFO, &[], ""),
        concat!(
            r#"{"brokerAddrTable":{"b-a":{"brokerAddrs":{"#,
            r#"0:"10.0.0.0:10911-b-a",1:"10.0.0.1:10911-b-a"},"#,
            r#""brokerName":"b-a","cluster":"c1","enableActingMaster":false}},"#,
            r#""clusterAddrTable":{"c1":["b-a"]}}"#,
        )
    );
    let fields = [("clusterName", "c1"), ("brokerName", "b-a")];
    assert_eq!(
        f.ok(RequestCode::GET_BROKER_MEMBER_GROUP, &fields, ""),
        concat!(
            r#"{"brokerMemberGroup":{"brokerAddrs":{"#,
            r#"0:"10.0.0.0:10911-b-a",1:"10.0.0.1:10911-b-a"},"#,
            r#""brokerName":"b-a","cluster":"c1"}}"#,
        )
    );
    let version = r#"{"counter":1,"stateVersion":0,"timestamp":7}"#;
    let same = f.ask(
        RequestCode::QUERY_DATA_VERSION,
        &broker_fields("b-a", 0),
        version,
    );
    assert_eq!(
        (same.ext.get("changed"), TEXT(&same).as_str()),
        (Some("false"), version)
    );
    let other = version.replace('7', "8");
    let changed = f.ask(
        RequestCode::QUERY_DATA_VERSION,
        &broker_fields("b-a", 0),
        &other,
    );
    assert_eq!(
        (changed.ext.get("changed"), TEXT(&changed).as_str()),
        (Some("true"), version)
    );
    let unknown = f.ask(
        RequestCode::QUERY_DATA_VERSION,
        &broker_fields("b-z", 0),
        version,
    );
    assert_eq!(
        (unknown.ext.get("changed"), unknown.body.len()),
        (Some("true"), 0)
    );
    f.ok(RequestCode::BROKER_HEARTBEAT, &broker_fields("b-a", 0), "");
}

#[test]
fn lists_of_topics() {
    let f = Fixture::new();
    f.register("b-a", 0, &["T", "U"]);
    let list = |names: &str| format!("{{\"topicList\":[{names}]}}");
    let all = RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER;
    assert_eq!(f.ok(all, &[], ""), list(r#""T","U""#));
    let by_cluster = RequestCode::GET_TOPICS_BY_CLUSTER;
    assert_eq!(
        f.ok(by_cluster, &[("cluster", "c1")], ""),
        list(r#""T","U""#)
    );
    assert_eq!(f.ok(by_cluster, &[("cluster", "c2")], ""), list(""));
    assert_eq!(
        f.ok(RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS, &[], ""),
        r#"{"brokerAddr":"10.0.0.0:10911-b-a","topicList":["b-a","c1"]}"#
    );
    let body = concat!(
        r#"{"queueDatas":[{"brokerName":"b-a","readQueueNums":2,"#,
        r#""writeQueueNums":2,"perm":6,"topicSysFlag":3}]}"#,
    );
    f.ok(
        RequestCode::REGISTER_TOPIC_IN_NAMESRV,
        &[("topic", "Unit")],
        body,
    );
    assert_eq!(
        f.ok(RequestCode::GET_UNIT_TOPIC_LIST, &[], ""),
        list(r#""Unit""#)
    );
    assert_eq!(
        f.ok(RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST, &[], ""),
        list(r#""Unit""#)
    );
    assert_eq!(
        f.ok(RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, &[], ""),
        list("")
    );
    assert!(TEXT(&f.route("Unit")).contains(r#""topicSysFlag":3"#));
    let fields = [("topic", "Unit"), ("clusterName", "c2")];
    f.ok(RequestCode::DELETE_TOPIC_IN_NAMESRV, &fields, "");
    assert_eq!(f.route("Unit").code, 0);
    f.ok(
        RequestCode::UPDATE_NAMESRV_CONFIG,
        &[],
        "enableTopicList=false\nenableAllTopicList=false",
    );
    for code in [all, by_cluster, RequestCode::GET_UNIT_TOPIC_LIST] {
        let answer = f.ask(code, &[("cluster", "c1")], "");
        assert_eq!(
            (answer.code, answer.remark.as_deref()),
            (1, Some("disable"))
        );
    }
}

#[test]
fn the_key_value_configuration_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder
        .path()
        .join("namesrv/kvConfig.json")
        .display()
        .to_string();
    let f = Fixture::with(|config| config.kv_config_path = Some(path.clone()));
    let key = [("namespace", "n"), ("key", "k")];
    let missing = f.ask(RequestCode::GET_KV_CONFIG, &key, "");
    assert_eq!(missing.response_code(), ResponseCode::QUERY_NOT_FOUND);
    assert_eq!(
        missing.remark.as_deref(),
        Some("No config item, Namespace: n Key: k")
    );
    let put = [("namespace", "n"), ("key", "k"), ("value", "v \u{4f60}")];
    f.ok(RequestCode::PUT_KV_CONFIG, &put, "");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "{\"configTable\":{\"n\":{\"k\":\"v \u{4f60}\"}}}");
    let long = "x".repeat(65_537);
    let refused = f.ask(
        RequestCode::PUT_KV_CONFIG,
        &[("namespace", "n"), ("key", "l"), ("value", &long)],
        "",
    );
    assert_eq!(refused.code, 1);
    let fits = [("namespace", "n"), ("key", "l"), ("value", &long[1..])];
    f.ok(RequestCode::PUT_KV_CONFIG, &fits, "");
    f.ok(
        RequestCode::DELETE_KV_CONFIG,
        &[("namespace", "n"), ("key", "l")],
        "",
    );
    f.ok(
        RequestCode::DELETE_KV_CONFIG,
        &[("namespace", "n"), ("key", "l")],
        "",
    );
    f.namesrv.kill().unwrap();

    let f = Fixture::with(|config| config.kv_config_path = Some(path));
    let got = f.ask(RequestCode::GET_KV_CONFIG, &key, "");
    assert_eq!(got.ext.get("value"), Some("v \u{4f60}"));
    let list = f.ok(
        RequestCode::GET_KVLIST_BY_NAMESPACE,
        &[("namespace", "n")],
        "",
    );
    assert_eq!(list, "{\"table\":{\"k\":\"v \u{4f60}\"}}");
    let none = f.ask(
        RequestCode::GET_KVLIST_BY_NAMESPACE,
        &[("namespace", "m")],
        "",
    );
    assert_eq!(none.remark.as_deref(), Some("No config item, Namespace: m"));
    f.namesrv.shutdown(TIMEOUT).unwrap();
}

#[test]
fn registrations_are_answered_with_the_order_configuration() {
    let f = Fixture::new();
    let fields = [
        ("namespace", "ORDER_TOPIC_CONFIG"),
        ("key", "T"),
        ("value", "b-a:8"),
    ];
    f.ok(RequestCode::PUT_KV_CONFIG, &fields, "");
    assert_eq!(
        TEXT(&f.register("b-a", 0, &["T", "U"])),
        r#"{"table":{"T":"b-a:8"}}"#
    );
    f.ok(
        RequestCode::UPDATE_NAMESRV_CONFIG,
        &[],
        "returnOrderTopicConfigToBroker=false",
    );
    assert_eq!(TEXT(&f.register("b-a", 0, &["T", "U"])), "");
}

#[test]
fn the_configuration_is_shown_and_changed_with_care() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("namesrv.conf");
    std::fs::write(&path, "# mine\nenableTopicList = true\n").unwrap();
    let f = Fixture::with(|config| config.config_store_path = Some(path.display().to_string()));
    let shown = f.ok(RequestCode::GET_NAMESRV_CONFIG, &[], "");
    let port = format!("listenPort={}\n", f.namesrv.port());
    for line in ["enableTopicList=true\n", "clusterTest=false\n", &port] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    for key in [
        "configStorePath",
        "kvConfigPath",
        "rocketmqHome",
        "configBlackList",
    ] {
        let body = format!("enableTopicList=false\n{key}=/tmp/x");
        let refused = f.ask(RequestCode::UPDATE_NAMESRV_CONFIG, &[], &body);
        assert_eq!(
            refused.response_code(),
            ResponseCode::NO_PERMISSION,
            "{key}"
        );
    }
    let wrong = f.ask(
        RequestCode::UPDATE_NAMESRV_CONFIG,
        &[],
        "enableTopicList=perhaps",
    );
    assert_eq!(wrong.code, 1);
    assert!(
        wrong
            .remark
            .unwrap()
            .contains("enableTopicList=perhaps: allowed is true or false")
    );
    assert!(f.namesrv.config().enable_topic_list);
    let done = f.ask(
        RequestCode::UPDATE_NAMESRV_CONFIG,
        &[],
        "enableTopicList=false\nx=1",
    );
    assert_eq!(done.code, 0);
    assert_eq!(
        done.remark.as_deref(),
        Some("applied: enableTopicList; unknown: x")
    );
    assert!(!f.namesrv.config().enable_topic_list);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "# mine\nenableTopicList=false\n"
    );
}

#[test]
fn a_change_that_cannot_be_written_is_not_answered_as_done() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    // A folder cannot be made where a file is.
    let path = folder
        .path()
        .join("file/kvConfig.json")
        .display()
        .to_string();
    let start = |path: &str| {
        let mut config = NamesrvConfig::embedded_defaults();
        config.kv_config_path = Some(path.to_owned());
        Namesrv::start(config, Host::default())
    };
    assert!(start(&path).is_err());
    let path = folder
        .path()
        .join("later/kvConfig.json")
        .display()
        .to_string();
    let f = Fixture::with(|config| config.kv_config_path = Some(path));
    std::fs::write(folder.path().join("later"), "x").unwrap();
    let put = [("namespace", "n"), ("key", "k"), ("value", "v")];
    let answer = f.ask(RequestCode::PUT_KV_CONFIG, &put, "");
    assert_eq!(answer.code, 1);
    assert!(answer.remark.unwrap().contains("not written"));
    // It is tried again with the next change.
    std::fs::remove_file(folder.path().join("later")).unwrap();
    f.ok(RequestCode::PUT_KV_CONFIG, &put, "");
    assert!(folder.path().join("later/kvConfig.json").exists());
}

#[test]
fn unknown_requests_and_one_way_requests() {
    let f = Fixture::new();
    let answer = f.ask(RequestCode::new(77_777), &[], "");
    assert_eq!(
        answer.response_code(),
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED
    );
    assert_eq!(
        answer.remark.as_deref(),
        Some(" request type 77777 not supported")
    );
    // A one-way request has its effect and no answer: what comes next is the next one's.
    let body = registration_body(1, &["T", "U"]);
    let oneway = request(
        RequestCode::REGISTER_BROKER,
        &broker_fields("b-a", 0),
        &body,
    )
    .oneway();
    f.client.oneway(&f.address, oneway).unwrap();
    assert_eq!(f.route("T").code, 0);
}

#[test]
fn a_broker_whose_connection_closes_is_gone_at_once() {
    let f = Fixture::new();
    let broker = new_client();
    let body = registration_body(1, &["T", "U"]);
    let register = request(
        RequestCode::REGISTER_BROKER,
        &broker_fields("b-a", 0),
        &body,
    );
    assert_eq!(broker.call(&f.address, register, TIMEOUT).unwrap().code, 0);
    assert_eq!(f.route("T").code, 0);
    broker.close(TIMEOUT).unwrap();
    until(|| f.route("T").response_code() == ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(
        f.ok(RequestCode::GET_BROKER_CLUSTER_INFO, &[], ""),
        EMPTY_CLUSTERS
    );
}

#[test]
fn a_silent_broker_is_dropped_and_its_connection_closed() {
    let clock = ManualClock::new(0);
    let mut config = NamesrvConfig::embedded_defaults();
    config.scan_interval_ms = 10;
    config.server.idle_timeout_s = 0;
    let namesrv = Namesrv::start(config, host_with(&clock)).unwrap();
    let address = format!("127.0.0.1:{}", namesrv.port());
    let client = new_client();
    let ask = |command| client.call(&address, command, TIMEOUT).unwrap();
    let body = registration_body(1, &["T", "U"]);
    let register = request(
        RequestCode::REGISTER_BROKER,
        &broker_fields("b-a", 0),
        &body,
    );
    ask(register);
    let route = || request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")], "");
    clock.advance(Duration::from_secs(119));
    assert_eq!(
        ask(request(
            RequestCode::BROKER_HEARTBEAT,
            &broker_fields("b-a", 0),
            ""
        ))
        .code,
        0
    );
    clock.advance(Duration::from_secs(119));
    assert_eq!(ask(route()).code, 0);
    clock.advance(Duration::from_secs(2));
    // The turn that reads this request still answers it; the scan is at its end.
    let _ = client.call(&address, route(), TIMEOUT);
    let gone = || {
        client
            .call(&address, route(), TIMEOUT)
            .is_ok_and(|answer| answer.code == 17)
    };
    until(gone);
    assert!(clock.monotonic() >= Duration::from_secs(240));
    namesrv.shutdown(TIMEOUT).unwrap();
}

#[test]
fn routes_wait_for_brokers_when_told_to() {
    let clock = ManualClock::new(0);
    let mut config = NamesrvConfig::embedded_defaults();
    config.need_wait_for_service = true;
    let namesrv = Namesrv::start(config, host_with(&clock)).unwrap();
    let address = format!("127.0.0.1:{}", namesrv.port());
    let client = new_client();
    let ask = || {
        let route = request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &[("topic", "T")], "");
        client.call(&address, route, TIMEOUT).unwrap()
    };
    let answer = ask();
    assert_eq!(
        (answer.code, answer.remark.as_deref()),
        (1, Some("name server not ready"))
    );
    clock.advance(Duration::from_secs(45));
    assert_eq!(ask().code, 17);
}

#[test]
fn an_acting_master_is_shown_and_its_group_told() {
    let f = Fixture::with(|config| {
        config.support_acting_master = true;
        config.notify_min_broker_id_changed = true;
    });
    // The slave's address is one where somebody listens for what the nameserver says.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let slave_address = listener.local_addr().unwrap().to_string();
    let body = registration_body(1, &["T", "U"]);
    for id in [0, 1] {
        let mut fields = broker_fields("b-a", id);
        if id == 1 {
            fields[1].1 = slave_address.clone().leak();
        }
        fields.push(("enableActingMaster", "true"));
        assert_eq!(f.ask(RequestCode::REGISTER_BROKER, &fields, &body).code, 0);
    }
    f.ok(RequestCode::UNREGISTER_BROKER, &broker_fields("b-a", 0), "");
    let route = TEXT(&f.route("T")).replace("\\/", "/");
    assert!(
        route.contains(&format!(r#""brokerAddrs":{{"0":"{slave_address}"}}"#)),
        "{route}"
    );
    assert!(route.contains(r#""perm":4"#));
    let (mut told, _) = listener.accept().unwrap();
    told.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut head = [0; 4];
    told.read_exact(&mut head).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(head) as usize];
    told.read_exact(&mut frame).unwrap();
    let text = String::from_utf8_lossy(&frame);
    for part in [
        "905",
        r#""minBrokerId":"1""#,
        &slave_address,
        "10.0.0.0:10911-b-a",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn bad_input_ends_its_own_connection_only() {
    let f = Fixture::new();
    let frames: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        &[0xff; 64],
        &[0, 0, 0, 8, 0, 0, 0, 4, b'{', b'{', b'{', b'{'],
        &[0, 0, 0, 8, 0, 0, 0, 99, 1, 2, 3, 4],
        &[0, 0, 0, 4, 9, 0, 0, 0],
    ];
    for frame in frames {
        let mut socket = TcpStream::connect(&f.address).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        socket.write_all(frame).unwrap();
        let mut rest = Vec::new();
        // The end of the stream, or a reset: closed either way, not a timeout.
        if let Err(e) = socket.read_to_end(&mut rest) {
            assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{frame:?}");
        }
    }
    assert_eq!(f.route("T").code, 17);
    until(|| f.namesrv.connection_count() == 1);
}

#[test]
fn a_port_in_use_is_said() {
    let f = Fixture::new();
    let mut config = NamesrvConfig::embedded_defaults();
    config.server.listen_port = f.namesrv.port();
    let error = Namesrv::start(config, Host::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressInUse);
    assert!(
        error.to_string().contains(&f.namesrv.port().to_string()),
        "{error}"
    );
    let mut config = NamesrvConfig::embedded_defaults();
    config.server.bind_address = "no such host".to_owned();
    let error = Namesrv::start(config, Host::default()).unwrap_err();
    assert!(
        error.to_string().contains("bindAddress=no such host"),
        "{error}"
    );
}

#[test]
fn it_ends_more_than_once_and_starts_again() {
    for _ in 0..3 {
        let f = Fixture::new();
        f.register("b-a", 0, &["T", "U"]);
        f.namesrv.shutdown(TIMEOUT).unwrap();
        f.namesrv.shutdown(TIMEOUT).unwrap();
        f.namesrv.kill().unwrap();
        assert!(
            f.client
                .call(
                    &f.address,
                    Command::bare_request(RequestCode::new(1)),
                    TIMEOUT
                )
                .is_err()
        );
    }
}

/// Waits for something that another thread is about to do.
fn until(done: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it did not happen within ten seconds");
}
